//! A worker's parts, built from its configuration: every client and component of a running worker
//! begins here.

use std::net::SocketAddr;
use std::sync::Arc;

use lease::store::dynamo::Dynamo;
use lease::{LeaseStore, Position, WorkerId};

use super::Worker;
use super::enriching::{self, Renewal};
use super::watched::Watched;
use crate::aws::{self, Aws};
use crate::budget::{Budget, Hurry};
use crate::config::{self, Config, InitialPosition};
use crate::exit::Usage;
use crate::metrics::Metrics;
use crate::pool::Pool;
use crate::rules::Rules;
use crate::sink::kinesis::{Fallback, Kinesis, LINE_BYTES};
use crate::sink::object::{Objects, Settings};
use crate::sink::s3::Bucket;
use crate::sink::storage::Storage;
use crate::sink::{Route, Sink, Sinks};
use crate::source;
use pipeline::load::RecordEncoding;
use pipeline::protection::Personal;

/// A worker with what it needs besides.
pub struct Parts {
    /// The worker.
    pub worker: Worker,
    /// The lease table.
    pub store: Arc<dyn LeaseStore>,
    /// The settings of the keeper.
    pub leases: lease::Config,
    /// What keeps its assets fresh.
    pub renewal: Renewal,
    /// Where operators ask.
    pub admin: SocketAddr,
}

/// Builds everything; nothing is read or written yet. `run` tells this start of the process from
/// all others.
pub async fn build(config: &Config, run: &str) -> anyhow::Result<Parts> {
    let rules = rules(config);
    let settings_of_aws = aws(&config.aws);
    let resolver = rules.resolver(&settings_of_aws)?.with_wait(config.schemas.wait());
    let aws = Aws::load(settings_of_aws.clone()).await;
    if !aws.has_region() {
        let wrong = "[aws] region: neither the file nor the environment (AWS_REGION, a profile, an \
                     instance) names one";
        return Err(Usage(wrong.to_owned()).into());
    }
    let name = format!("{}-{run}", &*config.worker.name);
    let id = WorkerId::parse(&name);
    let id = id.ok_or_else(|| Usage(format!("[worker] name: `{name}` cannot name a worker")))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = config.worker.threads.map_or(cores, |threads| threads.get().into());
    let (hurry, metrics) = (Hurry::default(), Arc::new(Metrics::new()));
    metrics.health().set_patience(config.admin.patience.get());
    let (pipeline, renewal) =
        enriching::start(settings(config), &rules, &config.enrichments, &settings_of_aws, &metrics)
            .await?;
    let shared = Shared {
        aws: &aws,
        name: &name,
        pool: Arc::new(Pool::new(threads)?),
        hurry: hurry.clone(),
        metrics: Arc::clone(&metrics),
    };
    let mut sinks = Sinks::default();
    for (route, destinations) in config.routes() {
        sinks = shared.route(sinks, route, destinations);
    }
    sinks = shared.buckets(sinks, config);
    let table = Arc::new(Dynamo::new(aws.dynamodb(), &config.leases.table));
    let store = Watched::new(table, &config.leases.table, metrics.health());
    let pool = shared.pool;
    let worker = Worker {
        source: Arc::new(source(&config.source, &aws, &metrics)),
        pipeline,
        resolver,
        pool,
        sinks,
        budget: Arc::new(Budget::new(config.worker.bytes_in_flight.get(), hurry.clone())),
        caution: tokio::sync::Mutex::default(),
        hurry,
        metrics,
    };
    Ok(Parts {
        worker,
        store: Arc::new(store),
        leases: leases(config, id),
        renewal,
        admin: config.admin.listen,
    })
}

fn rules(config: &Config) -> Rules {
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
        s3_path_style: config.s3_path_style,
    }
}

fn leases(config: &Config, id: WorkerId) -> lease::Config {
    let mut leases = lease::Config::with_lease_duration(id, config.leases.duration.get());
    leases.initial_position = match config.source.initial_position {
        InitialPosition::TrimHorizon => Position::TrimHorizon,
        InitialPosition::Latest => Position::Latest,
        InitialPosition::AtTimestamp(ms) => Position::AtTimestamp(Some(ms)),
    };
    leases
}

fn source(config: &config::Source, aws: &Aws, metrics: &Arc<Metrics>) -> source::kinesis::Kinesis {
    let settings = source::kinesis::Settings {
        stream: config.stream.to_string(),
        poll_interval: config.poll_interval.get(),
        idle_poll_interval: config.idle_poll_interval.get(),
        batch_bytes: config.batch_bytes.get(),
        batch_age: config.batch_age.get(),
    };
    source::kinesis::Kinesis::new(aws.kinesis(), settings, Arc::clone(metrics))
}

fn settings(config: &Config) -> pipeline::Settings {
    let mut settings = pipeline::Settings::new(crate::process::this_program());
    settings.stream = config.source.stream.to_string();
    if config.source.base64 {
        settings.record_encoding = RecordEncoding::PlainOrBase64;
    }
    if config.validation.accept_invalid {
        settings.lengths = pipeline::Lengths::Accepted;
    }
    settings.limits = config.validation.atomic_fields_limits.0.clone();
    let narrow = |route: &config::Route| {
        route.kinesis.is_some() && route.s3.is_none() && route.oversized.is_none()
    };
    if config.routes().any(|(_, route)| narrow(route)) {
        // What is larger could go nowhere.
        settings.line_bytes_max = LINE_BYTES;
    }
    if config.schemas.unavailable == config::Unavailable::Bad {
        settings.unavailable = pipeline::Unavailable::Bad;
    } else if config.parked.is_none() && first_bucket(config).is_none() {
        tracing::warn!(
            "neither [parked] nor any bucket is configured: events with schemas that cannot be \
             had, and records that workers die on, become bad rows"
        );
        settings.unavailable = pipeline::Unavailable::Bad;
    }
    settings.personal = match config.bad_rows.pii {
        config::BadRowPii::Keep => Personal::Keep,
        config::BadRowPii::Pseudonymise => Personal::Pseudonymise,
        config::BadRowPii::Withhold => Personal::Withhold,
    };
    settings.pii_events = config.pii.is_some();
    settings.incomplete = config.incomplete.is_some();
    settings
}

/// The bucket that takes what no section was written for, and the route that it is lent by.
fn first_bucket(config: &Config) -> Option<(Route, &config::Objects)> {
    let routes = [(Route::Bad, &config.bad), (Route::Enriched, &config.enriched)];
    let buckets = routes.into_iter().flat_map(|(route, destinations)| {
        destinations.objects().map(move |objects| (route, objects))
    });
    buckets.into_iter().next()
}

/// How names of a route's objects begin.
fn prefix(route: Route, objects: &config::Objects) -> String {
    let prefix = objects.prefix.as_deref().unwrap_or(route.name());
    prefix.trim_end_matches('/').to_owned()
}

/// What sinks have in common.
struct Shared<'a> {
    aws: &'a Aws,
    name: &'a str,
    pool: Arc<Pool>,
    hurry: Hurry,
    metrics: Arc<Metrics>,
}

impl Shared<'_> {
    fn route(&self, mut sinks: Sinks, route: Route, config: &config::Route) -> Sinks {
        if let Some(stream) = &config.kinesis {
            let fallback = match (&config.s3, &config.oversized) {
                (Some(_), _) => Fallback::Elsewhere,
                (None, Some(objects)) => {
                    Fallback::Sink(self.objects(route, objects, prefix(route, objects)))
                }
                (None, None) => Fallback::None,
            };
            let (name, key) = (stream.stream.to_string(), stream.partition_key.0);
            let (client, metrics) = (self.aws.kinesis(), Arc::clone(&self.metrics));
            let kinesis = Kinesis::new(client, name, route, key, fallback, metrics);
            sinks = sinks.with(route, Arc::new(kinesis));
        }
        if let Some(objects) = &config.s3 {
            let prefix = prefix(route, objects);
            sinks = sinks.with(route, self.objects(route, objects, prefix));
        }
        sinks
    }

    /// What became a size violation is kept whole in the first bucket there is, as a stream could
    /// not take it, and so is what waits, unless it has a place of its own.
    fn buckets(&self, mut sinks: Sinks, config: &Config) -> Sinks {
        let Some((lender, objects)) = first_bucket(config) else {
            tracing::warn!("no bucket is configured: size violations keep a part of their text");
            return sinks;
        };
        let borrowed = [(Route::Oversized, true), (Route::Parked, config.parked.is_none())];
        for (route, _) in borrowed.into_iter().filter(|(_, borrows)| *borrows) {
            // Under the folder that the lender may write to, hidden from those who read that.
            let prefix = format!("{}/_{}", prefix(lender, objects), route.name());
            let (name, bucket) = (route.name(), &objects.bucket);
            tracing::info!(route = name, place = %format!("s3://{bucket}/{prefix}/"),
                "a route without a section of its own goes to the first bucket");
            sinks = sinks.with(route, self.objects(route, objects, prefix));
        }
        sinks
    }

    fn objects(&self, route: Route, config: &config::Objects, prefix: String) -> Arc<dyn Sink> {
        let settings = Settings {
            route,
            prefix,
            suffix: if route.is_of_events() { "tsv" } else { "jsonl" },
            worker: self.name.to_owned(),
            compression: config.compression,
            object_bytes: config.object_bytes.get(),
            object_age: config.object_age.get(),
        };
        let storage = Storage::S3(Bucket::new(self.aws.s3(), &*config.bucket));
        let (pool, metrics) = (Arc::clone(&self.pool), Arc::clone(&self.metrics));
        Arc::new(Objects::start(storage, settings, pool, self.hurry.clone(), metrics))
    }
}
