//! A worker's parts, made of its plan: every client and component of a running worker begins here.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use enrichments::javascript::{Limits, Options};
use lease::LeaseStore;
use lease::store::dynamo::{Dynamo, Keys};
use lookups::Lookups;
use pipeline::Pipeline;
use resolver::Resolver;

use super::destinations::{self, Access, Catalog, Destination, Iceberg, Larger, Objects, To};
use super::enriching::{self, Renewal};
use super::plan::Plan;
use super::watched::{Owners, Watched};
use super::{IN_FLIGHT, Shared, Worker};
use crate::aws::{self, Aws};
use crate::catalogs::{self, Catalogs};
use crate::config::{self, Config};
use crate::exit::Usage;
use crate::notices::{Hook, Metadata, Notices};
use crate::pool::Pool;
use crate::rules::Rules;
use crate::sink::iceberg::Home;
use crate::sink::kinesis::{Fallback, Kinesis};
use crate::sink::local::Folder;
use crate::sink::object::Kind;
use crate::sink::object::table::Tables;
use crate::sink::s3::Bucket;
use crate::sink::storage::Storage;
use crate::sink::{Sinks, iceberg, object};
use crate::source::kinesis::Kinesis as Stream;
use crate::source::kinesis::fan_out::{Consumer, FanOut};
use crate::source::kinesis::several::Several;
use crate::source::{self, Source};

/// A worker with what it needs besides.
pub struct Parts {
    /// What reads, processes and writes.
    pub worker: Worker,
    /// The lease table.
    pub store: Arc<dyn LeaseStore>,
    /// Who works which shard, as the table was last read.
    pub owners: Arc<Owners>,
    /// What keeps its assets fresh.
    pub renewal: Renewal,
    /// What tells that the machine is to go, where that is asked for.
    pub notices: Option<Notices>,
    /// Where operators ask.
    pub admin: SocketAddr,
}

/// Builds everything. Credentials are looked for, and assets are fetched where there is a folder
/// to keep them; streams, buckets and the lease table are not asked for anything yet.
pub async fn build(config: &Config, plan: &Plan) -> anyhow::Result<Parts> {
    for warning in &plan.warnings {
        tracing::warn!("{warning}");
    }
    for destination in &plan.destinations {
        let (route, to) = (destination.route.name(), destination.to.to_string());
        tracing::info!(
            route,
            to,
            implied = destination.implied,
            name = destination.name,
            "lines go to"
        );
    }
    let rules = rules(config);
    let settings_of_aws = aws(&config.aws);
    let resolver = rules.resolver(&settings_of_aws)?.with_wait(config.schemas.wait());
    let aws = Aws::load(settings_of_aws.clone()).await;
    if !aws.has_region() {
        let wrong = "[aws] region: neither the file nor the environment (AWS_REGION, a profile, an \
                     instance) names one";
        return Err(Usage(wrong.to_owned()).into());
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = config.worker.threads.map_or(cores, config::Count::get);
    let shared = Shared::new(Arc::new(Pool::new(threads)?), in_flight(config, plan));
    let metrics = &shared.metrics;
    metrics.health().set_patience(config.admin.patience.get());
    let (settings, enrichments) = (plan.pipeline.clone(), &config.enrichments);
    let (pipeline, renewal) =
        enriching::start(settings, &rules, enrichments, &settings_of_aws, metrics).await?;
    let lookups = lookups(&pipeline.borrow(), |name| config.lookups.of(name))?;
    let source = source(config, &aws, &shared).await;
    let sinks = sinks(plan, &shared, &Clients::of(plan, &aws).await?, &resolver);
    let keys = if config.source.streams.is_empty() { Keys::OfOne } else { Keys::OfSeveral };
    let table = Arc::new(Dynamo::new(aws.dynamodb(), &config.leases.table).with(keys));
    let notices = notices(&config.life, &aws, &shared)?;
    let store = Watched::new(table, &config.leases.table, shared.metrics.health());
    Ok(Parts {
        worker: Worker::new(source, pipeline, resolver, sinks, shared).with_lookups(lookups),
        owners: store.owners(),
        store: Arc::new(store),
        renewal,
        notices,
        admin: config.admin.listen,
    })
}

/// What tells that this machine is to go; nothing unless it is asked for.
fn notices(life: &config::Life, aws: &Aws, shared: &Shared) -> Result<Option<Notices>, Usage> {
    if life.notices.is_empty() {
        return Ok(None);
    }
    let hook =
        life.hook.as_ref().map(|hook| Hook::new(aws.autoscaling()?, &hook.group, &hook.name));
    let hook = hook.transpose().map_err(|why| Usage(format!("[life.hook]: {why}")))?;
    let (kinds, metrics) = (life.notices.clone(), Arc::clone(&shared.metrics));
    Ok(Some(Notices::new(kinds, Metadata::here(), hook, metrics)))
}

/// The bytes that the budget grants. It counts three for each byte read, which lines as columns fit
/// into; with the same as JSON, or packed for a stream, beside them they are about twice as many.
fn in_flight(config: &Config, plan: &Plan) -> usize {
    let bytes = config.worker.bytes_in_flight.get();
    let packs = config.routes().any(|(_, route)| route.packs());
    if plan.pipeline.json.is_empty() && !packs { bytes } else { bytes / 2 }
}

/// Who answers a pipeline's look-ups. Nobody is asked yet.
pub fn lookups(
    pipeline: &Pipeline,
    settings: impl Fn(&'static str) -> lookups::Settings,
) -> Result<Arc<Lookups>, Usage> {
    let opened = Lookups::open(pipeline.enrichments().lookups(), settings);
    Ok(Arc::new(opened.map_err(|error| Usage(error.to_string()))?))
}

/// What events are checked against and enriched with.
pub fn rules(config: &Config) -> Rules {
    let limits = Limits {
        steps: config.enrichments.script_steps.get() as u64,
        memory: config.enrichments.script_memory.get(),
        stack: config.enrichments.script_stack.get(),
    };
    Rules {
        resolver: config.schemas.resolver.clone(),
        schemas: config.schemas.folder.clone(),
        bundle: config.schemas.bundle.clone(),
        enrichments: config.enrichments.folder.clone(),
        assets: config.enrichments.assets.clone(),
        asset_cache: config.enrichments.cache.clone(),
        allow_unsupported: config
            .enrichments
            .allow_unsupported
            .iter()
            .map(|name| name.to_string())
            .collect(),
        peer_masking: config.enrichments.peer_masking,
        scripts: Options { limits, ..Options::default() },
        own_script: None,
    }
}

/// Where AWS is.
pub fn aws(config: &config::Aws) -> aws::Settings {
    let url =
        |url: &Option<config::Name<config::OfEndpoint>>| url.as_ref().map(|url| url.to_string());
    aws::Settings {
        region: config.region.as_ref().map(|region| region.to_string()),
        endpoint: url(&config.endpoint_url),
        kinesis_endpoint: url(&config.kinesis_endpoint_url),
        dynamodb_endpoint: url(&config.dynamodb_endpoint_url),
        s3_endpoint: url(&config.s3_endpoint_url),
        autoscaling_endpoint: url(&config.autoscaling_endpoint_url),
        s3_path_style: config.s3_path_style,
    }
}

async fn source(config: &Config, aws: &Aws, shared: &Shared) -> Arc<dyn Source> {
    let mut streams = Vec::new();
    for input in config.source.inputs() {
        let aws = aws.elsewhere(input.region(), input.role.as_deref()).await;
        streams.push(stream(config, &input, aws, shared));
    }
    match streams.pop() {
        Some(stream) if config.source.streams.is_empty() => Arc::new(stream),
        last => Arc::new(Several::new(streams.into_iter().chain(last))),
    }
}

/// One of the streams that are read.
fn stream(config: &Config, input: &config::Input, aws: Aws, shared: &Shared) -> Stream {
    // Batches that come more often would be too many before an object closes.
    let least_age = config.longest_object_age() / (IN_FLIGHT as u32 / 2);
    let Config { source: config, leases, .. } = config;
    let settings = source::kinesis::Settings {
        stream: input.name().to_owned(),
        arn: input.arn().map(str::to_owned),
        poll_interval: config.poll_interval.get(),
        idle_poll_interval: config.idle_poll_interval.get(),
        batch_bytes: config.batch_bytes.get(),
        batch_age: config.batch_age.get().max(least_age),
        expired: match config.expired {
            config::Expired::GoOn => source::kinesis::Expired::GoOn,
            config::Expired::Stop => source::kinesis::Expired::Stop,
        },
    };
    let stream = Stream::new(aws.kinesis(), settings, Arc::clone(&shared.metrics));
    if config.mode == config::Mode::Polling {
        return stream;
    }
    let consumer = match config.consumer.as_deref() {
        Some(arn) if arn.starts_with("arn:") => Consumer::Arn(arn.to_owned()),
        name => Consumer::Named(name.unwrap_or(&leases.table).to_owned()),
    };
    let connect = Box::new(move || aws.kinesis_apart());
    stream.with_fan_out(FanOut::new(input.name(), consumer, connect))
}

/// Clients of AWS, by where and as whom, and what catalogs on the network are asked with. Empty
/// where nothing of AWS is written.
#[derive(Debug, Default)]
pub struct Clients(HashMap<Access, Aws>, Option<Catalogs>);

impl Clients {
    /// Those that a plan needs. Nobody is asked for anything yet.
    pub async fn of(plan: &Plan, aws: &Aws) -> anyhow::Result<Clients> {
        let mut clients = HashMap::new();
        for access in plan.destinations.iter().flat_map(|destination| destination.to.accesses()) {
            if !clients.contains_key(access) {
                let (region, role) = (access.region.as_deref(), access.role.as_deref());
                clients.insert(access.clone(), aws.elsewhere(region, role).await);
            }
        }
        let remote = |destination: &Destination| match &destination.to {
            To::Iceberg(table) => matches!(table.catalog, Catalog::Remote(..)),
            To::Stream { .. } | To::Objects(_) => false,
        };
        let catalogs = plan.destinations.iter().any(remote).then(Catalogs::new).transpose()?;
        Ok(Clients(clients, catalogs))
    }

    /// Where a table is, and those that are filled together with it.
    fn home(&self, table: &Iceberg) -> Home {
        match (&table.catalog, &table.access, &self.1) {
            (Catalog::Remote(remote, warehouse), Some(access), Some(catalogs)) => {
                let key = table.kms_key.clone();
                catalogs.on_the_network(remote, warehouse.clone(), self.get(access), key)
            }
            (Catalog::Remote(..), ..) => unreachable!("a plan with such comes with clients"),
            (Catalog::Folder(folder), ..) => catalogs::in_folder(folder),
        }
    }

    fn get(&self, access: &Access) -> &Aws {
        self.0.get(access).expect("a plan with streams or buckets comes with clients")
    }
}

/// What takes the lines of each route. A resolver tells which columns tables have.
pub fn sinks(plan: &Plan, shared: &Shared, clients: &Clients, resolver: &Resolver) -> Sinks {
    let tables = std::cell::LazyCell::new(|| {
        let (pool, metrics) = (Arc::clone(&shared.pool), Arc::clone(&shared.metrics));
        Arc::new(Tables::new(resolver.clone(), pool, metrics))
    });
    let objects = |Objects { home, settings }: &Objects| {
        let storage = match home {
            destinations::Home::Bucket { name, access, kms_key } => {
                let bucket = Bucket::new(clients.get(access).s3(), name.clone());
                Storage::S3(bucket.with_kms_key(kms_key.clone()))
            }
            destinations::Home::Folder(path) => Storage::Folder(Folder::new(path)),
        };
        let (pool, metrics) = (Arc::clone(&shared.pool), Arc::clone(&shared.metrics));
        let (settings, hurry) = (settings.clone(), shared.hurry.clone());
        Arc::new(match settings.kind {
            Kind::Lines => object::Objects::start(storage, settings, pool, hurry, metrics),
            Kind::Table => {
                object::Objects::start_tables(storage, settings, Arc::clone(&tables), hurry)
            }
        })
    };
    let mut sinks = Sinks::dividing(Arc::clone(&shared.pool), Arc::clone(&shared.metrics));
    for destination in &plan.destinations {
        let (route, want) = (destination.route, destination.want.clone());
        sinks = match &destination.to {
            To::Objects(settings) => sinks.with_want(route, want, objects(settings)),
            To::Stream { settings, access, larger } => {
                let fallback = match larger {
                    Larger::Elsewhere => Fallback::Elsewhere,
                    Larger::Objects(settings) => Fallback::Sink(objects(settings)),
                    Larger::None => Fallback::None,
                };
                let (client, metrics) =
                    (clients.get(access).kinesis(), Arc::clone(&shared.metrics));
                let stream = Kinesis::new(client, settings.clone(), fallback, metrics);
                let stream = stream.with_pool(Arc::clone(&shared.pool));
                sinks.with_want(route, want, Arc::new(stream))
            }
            To::Iceberg(_) => sinks,
        };
    }
    for together in together(plan) {
        let (_, first) = together[0];
        let name = |destination: &Destination| destination.name.clone().unwrap_or_default();
        let of = together.iter().map(|(one, table)| (one.route, table.table, name(one)));
        let settings = iceberg::Settings {
            catalog: first.catalog.to_string(),
            namespace: first.namespace.clone(),
            links: first.links.clone(),
            stream: plan.pipeline.stream.clone(),
            worker: plan.leases.worker_id.to_string(),
            object_bytes: first.object_bytes,
            object_age: first.object_age,
            commit_every: first.commit_every,
            tables: of.collect(),
        };
        let (home, hurry) = (clients.home(first), shared.hurry.clone());
        let made = iceberg::Iceberg::new(home, settings, Arc::clone(&tables), hurry);
        let wants = together.iter().map(|(one, _)| (one.route, one.want.clone()));
        sinks = sinks.with_tables(Arc::new(made), wants.collect());
    }
    sinks
}

/// The tables of Iceberg of a plan, those together that are filled together.
fn together(plan: &Plan) -> Vec<Vec<(&Destination, &Iceberg)>> {
    let mut all: Vec<Vec<(&Destination, &Iceberg)>> = Vec::new();
    for destination in &plan.destinations {
        let To::Iceberg(table) = &destination.to else { continue };
        match all.iter_mut().find(|others| table.is_beside(others[0].1)) {
            Some(others) => others.push((destination, table)),
            None => all.push(vec![(destination, table)]),
        }
    }
    all
}
