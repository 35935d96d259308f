//! The settings of a worker: values that are right or were refused where they stand in the file.
//!
//! Reading the file is [`file`]'s, what a value may be is [`value`]'s, what belongs together is
//! [`check`]'s, what must be there [`there`]'s; this module says which settings there are and what
//! they default to.
//! `enricher/config/worker.toml` shows and explains every one of them.

mod adapters;
mod check;
mod file;
mod iceberg;
mod life;
mod lookups;
mod name;
mod place;
mod reading;
mod route;
mod telling;
mod there;
mod value;

use std::path::PathBuf;
use std::time::Duration;

use pipeline::adapt::Adapters;
use pipeline::protection::Personal;
use serde::Deserialize;

pub use file::{Error, adapters, explain, load, load_all, parse};
pub use iceberg::{Catalog, Iceberg};
pub use life::{Hook, Life, Notice};
pub use lookups::{Lookups, OnUnavailable};
pub use name::{
    Name, OfBucket, OfConsumer, OfEndpoint, OfMetrics, OfNamespace, OfPrefix, OfRegion, OfRole,
    OfServer, OfSource, OfStream, OfTable, OfTag,
};
pub use place::Place;
pub use route::{
    Folders, Format, Objects, Otherwise, Packed, Route, Stream, To, closes_at, folder,
};
pub use telling::{Admin, Log, Metrics};
pub use value::{Bytes, Count, FieldLimits, PERSONAL, Span, Text, environment, instant, moment};

/// Everything a worker is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The process itself.
    #[serde(default)]
    pub worker: Worker,
    /// Where AWS is.
    #[serde(default)]
    pub aws: Aws,
    /// The stream that is read.
    pub source: Source,
    /// The lease table.
    pub leases: Leases,
    /// Where enriched events go.
    pub enriched: Route,
    /// Where bad rows go.
    pub bad: Route,
    /// Where records go whose verdict waits; the first bucket there is if absent.
    pub parked: Option<Route>,
    /// Where events about pseudonymised fields go; nowhere if absent.
    pub pii: Option<Route>,
    /// Where companions of failed events go; nowhere if absent.
    pub incomplete: Option<Route>,
    /// Where the whole text of what is too large for a line goes; the first bucket there is if
    /// absent.
    pub oversized: Option<Route>,
    /// Where records are kept as they came.
    #[serde(default)]
    pub archive: Archive,
    /// Where schemas come from.
    #[serde(default)]
    pub schemas: Schemas,
    /// What events are refused for.
    #[serde(default)]
    pub validation: Validation,
    /// What is added to events.
    #[serde(default)]
    pub enrichments: Enrichments,
    /// How those are asked who answer look-ups.
    #[serde(default)]
    pub lookups: lookups::Lookups,
    /// What differs in the webhooks that are built in.
    #[serde(default)]
    pub adapters: adapters::BuiltIn,
    /// Webhooks that are not built in.
    #[serde(default)]
    pub adapter: Vec<adapters::Webhook>,
    /// What bad rows may tell.
    #[serde(default)]
    pub bad_rows: BadRows,
    /// What ends it.
    #[serde(default)]
    pub life: Life,
    /// Who is told of metrics.
    #[serde(default)]
    pub metrics: Metrics,
    /// What operators may ask.
    #[serde(default)]
    pub admin: Admin,
    /// What is logged.
    #[serde(default)]
    pub log: Log,
}

/// `[worker]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Worker {
    /// How the worker's name begins; each start of the process adds its own ending.
    pub name: Text,
    /// Threads that compute; as many as there are cores if absent.
    pub threads: Option<Count<1, 1024>>,
    /// The bound on bytes between reading and durability.
    pub bytes_in_flight: Bytes<{ 8 << 20 }, { 1 << 40 }>,
    /// How long draining may take.
    pub grace: Span<1_000, 3_600_000>,
}

/// `[aws]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Aws {
    /// The region; the environment's if absent.
    pub region: Option<Name<OfRegion>>,
    /// Replaces every service's endpoint.
    pub endpoint_url: Option<Name<OfEndpoint>>,
    /// Replaces the endpoint of Kinesis.
    pub kinesis_endpoint_url: Option<Name<OfEndpoint>>,
    /// Replaces the endpoint of DynamoDB.
    pub dynamodb_endpoint_url: Option<Name<OfEndpoint>>,
    /// Replaces the endpoint of S3.
    pub s3_endpoint_url: Option<Name<OfEndpoint>>,
    /// Replaces the endpoint of the autoscaling service.
    pub autoscaling_endpoint_url: Option<Name<OfEndpoint>>,
    /// Addresses buckets by path.
    pub s3_path_style: bool,
}

/// `[source]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The stream that is read, by name or ARN.
    pub stream: Option<Name<OfSource>>,
    /// The role to read it as; the worker's own if absent.
    pub role: Option<Name<OfRole>>,
    /// Several streams, in place of one.
    #[serde(default)]
    pub streams: Vec<Input>,
    /// Where to start where nobody has read yet.
    #[serde(default)]
    pub initial_position: InitialPosition,
    /// How its shards are read.
    #[serde(default)]
    pub mode: Mode,
    /// Who subscribes to shards, by name or ARN; named as the lease table if absent.
    pub consumer: Option<Name<OfConsumer>>,
    /// Between two requests to a shard that has records, but no more of them.
    #[serde(default = "poll_interval")]
    pub poll_interval: Span<250, 60_000>,
    /// Between two requests to a shard that has had no records for a while; `poll_interval` if that
    /// is longer.
    #[serde(default = "idle_poll_interval")]
    pub idle_poll_interval: Span<250, 60_000>,
    /// A batch is complete when it has so many bytes.
    #[serde(default = "batch_bytes")]
    pub batch_bytes: Bytes<{ 1 << 10 }, { 16 << 20 }>,
    /// A batch is complete so long after its first record came.
    #[serde(default = "batch_age")]
    pub batch_age: Span<0, 60_000>,
    /// Takes records that are not Thrift as Base64 of it.
    #[serde(default)]
    pub base64: bool,
    /// What becomes of a shard of which records expired before they were read.
    #[serde(default)]
    pub expired: Expired,
}

/// What becomes of a shard of which records expired before they were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expired {
    /// It goes on with the oldest record there is.
    #[default]
    GoOn,
    /// It is not worked until this is changed.
    Stop,
}

/// One of several streams that are read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The stream, by name or ARN.
    pub stream: Name<OfSource>,
    /// The role to read it as; the worker's own if absent.
    pub role: Option<Name<OfRole>>,
}

impl Input {
    /// The stream's name.
    pub fn name(&self) -> &str {
        self.stream.rsplit('/').next().unwrap_or(&self.stream)
    }

    /// Its ARN, if it was given by that.
    pub fn arn(&self) -> Option<&str> {
        Some(&*self.stream).filter(|stream| stream.starts_with("arn:"))
    }

    /// The region that its ARN names.
    pub fn region(&self) -> Option<&str> {
        self.arn()?.split(':').nth(3)
    }
}

impl Source {
    /// The streams that are read. Checking has found that there is one at least.
    pub fn inputs(&self) -> Vec<Input> {
        let one = self.stream.clone().map(|stream| Input { stream, role: self.role.clone() });
        one.into_iter().chain(self.streams.iter().cloned()).collect()
    }
}

/// How shards are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They are asked for records.
    #[default]
    Polling,
    /// They push records to a consumer that subscribes to them.
    FanOut,
}

/// Where to start where nobody has read yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InitialPosition {
    /// At the oldest record.
    #[default]
    TrimHorizon,
    /// At what is written from now on.
    Latest,
    /// At what was written from this time on, in milliseconds since 1970.
    AtTimestamp(i64),
}

/// `[leases]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leases {
    /// The DynamoDB table; made if it does not exist.
    pub table: Name<OfTable>,
    /// A worker that has not renewed a lease for so long loses it.
    #[serde(default = "lease_duration")]
    pub duration: Span<2_000, 300_000>,
}

/// `[archive]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Archive {
    /// Where records are kept as they came: `s3://bucket/prefix`, or a folder.
    pub raw: Option<Place>,
}

/// `[schemas]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schemas {
    /// An Iglu resolver configuration.
    pub resolver: Option<PathBuf>,
    /// A folder of schemas asked before all registries.
    pub folder: Option<PathBuf>,
    /// A bundle of schemas asked before all registries.
    pub bundle: Option<PathBuf>,
    /// What becomes of data whose schema no registry could be asked for.
    pub unavailable: Unavailable,
    /// How long such data waits first, from the registry's first failure.
    pub patience: Span<0, 3_600_000>,
}

/// What becomes of data whose schema no registry could be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unavailable {
    /// It waits until a registry answers, and its shard with it.
    Wait,
    /// It is parked, to be replayed.
    #[default]
    Park,
    /// It becomes a bad row.
    Bad,
}

impl Schemas {
    /// How long data waits for a registry that cannot be asked, from its first failure.
    pub fn wait(&self) -> Duration {
        match self.unavailable {
            Unavailable::Wait => Duration::MAX,
            Unavailable::Park | Unavailable::Bad => self.patience.get(),
        }
    }
}

/// `[validation]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Validation {
    /// Enriches events whose fields are too long.
    pub accept_invalid: bool,
    /// How long columns may be, where not as the atomic schema has it.
    pub atomic_fields_limits: FieldLimits,
}

/// `[enrichments]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Enrichments {
    /// A folder of enrichment configurations.
    pub folder: Option<PathBuf>,
    /// A folder of the assets they name, which is only read.
    pub assets: Option<PathBuf>,
    /// A folder in which the assets they name are kept after fetching them.
    pub cache: Option<PathBuf>,
    /// How often the sources of assets are asked.
    pub refresh: Span<1_000, 604_800_000>,
    /// How long an asset is kept that its source no longer confirms; for ever if absent.
    pub max_age: Option<Span<60_000, 31_536_000_000>>,
    /// Enrichments whose configurations are skipped with a warning although they do not run here.
    pub allow_unsupported: Vec<Text>,
    /// Masks addresses exactly as a running peer does, readable ones included.
    pub peer_masking: bool,
    /// Steps of the engine that a script may take for one event.
    pub script_steps: Count<10_000, 1_000_000_000>,
    /// Memory of the engine of one thread.
    pub script_memory: Bytes<0x40_0000, 0x4000_0000>,
    /// What its calls may nest into.
    pub script_stack: Bytes<0x1_0000, 0x8_0000>,
}

/// `[bad_rows]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BadRows {
    /// What becomes of personal data in bad rows.
    #[serde(deserialize_with = "value::personal")]
    pub pii: Personal,
}

impl Config {
    /// The webhooks, built in and described. Reading the file has found that they fit together.
    pub fn adapters(&self) -> Adapters {
        let mut adapters = self.adapters.0.clone();
        for webhook in &self.adapter {
            let added = adapters.add(webhook.custom.clone(), webhook.signature.clone());
            added.expect("reading the file has added it before");
        }
        adapters
    }

    /// The longest that an object of some destination stays open.
    pub fn longest_object_age(&self) -> Duration {
        let ages = self.routes().flat_map(|(_, route)| route.object_ages());
        ages.max().unwrap_or_default()
    }

    /// The routes that have destinations of their own.
    pub fn routes(&self) -> impl Iterator<Item = (pipeline::Route, &Route)> {
        [
            (pipeline::Route::Enriched, Some(&self.enriched)),
            (pipeline::Route::Bad, Some(&self.bad)),
            (pipeline::Route::Parked, self.parked.as_ref()),
            (pipeline::Route::Pii, self.pii.as_ref()),
            (pipeline::Route::Incomplete, self.incomplete.as_ref()),
            (pipeline::Route::Oversized, self.oversized.as_ref()),
        ]
        .into_iter()
        .filter_map(|(route, destinations)| Some((route, destinations?)))
    }

    /// Paths of the file are relative to the file.
    fn relative_to(mut self, folder: &std::path::Path) -> Config {
        if let Some(Place::Folder(path)) = &mut self.archive.raw {
            *path = folder.join(&*path);
        }
        let routes = [&mut self.enriched, &mut self.bad].into_iter().chain(
            [&mut self.parked, &mut self.pii, &mut self.incomplete, &mut self.oversized]
                .into_iter()
                .flatten(),
        );
        for to in routes.flat_map(|route| &mut route.to) {
            if let Some(own) = &mut to.folder {
                own.path = folder.join(&own.path);
            }
            if let Some(iceberg) = &mut to.iceberg {
                if let Some(own) = &mut iceberg.folder {
                    *own = folder.join(&*own);
                }
                if let Some(Place::Folder(own)) = &mut iceberg.links {
                    *own = folder.join(&*own);
                }
            }
        }
        let paths = [
            &mut self.schemas.resolver,
            &mut self.schemas.folder,
            &mut self.schemas.bundle,
            &mut self.enrichments.folder,
            &mut self.enrichments.assets,
            &mut self.enrichments.cache,
            &mut self.lookups.database.authorities,
            &mut self.lookups.rates.folder,
        ];
        for path in paths.into_iter().flatten() {
            *path = folder.join(&*path);
        }
        self
    }
}

impl Default for Worker {
    fn default() -> Worker {
        Worker {
            name: Text::from("worker"),
            threads: None,
            bytes_in_flight: Bytes::new(256 << 20),
            grace: Span::new(60_000),
        }
    }
}

impl Default for Schemas {
    fn default() -> Schemas {
        Schemas {
            resolver: None,
            folder: None,
            bundle: None,
            unavailable: Unavailable::default(),
            patience: Span::new(30_000),
        }
    }
}

impl Default for Enrichments {
    fn default() -> Enrichments {
        Enrichments {
            folder: None,
            assets: None,
            cache: None,
            refresh: Span::new(3_600_000),
            max_age: None,
            allow_unsupported: Vec::new(),
            peer_masking: false,
            script_steps: Count::new(5_000_000),
            script_memory: Bytes::new(32 << 20),
            script_stack: Bytes::new(256 << 10),
        }
    }
}

fn poll_interval() -> Span<250, 60_000> {
    Span::new(500)
}

fn idle_poll_interval() -> Span<250, 60_000> {
    Span::new(1_500)
}

fn batch_bytes() -> Bytes<{ 1 << 10 }, { 16 << 20 }> {
    Bytes::new(2 << 20)
}

fn batch_age() -> Span<0, 60_000> {
    Span::new(200)
}

fn lease_duration() -> Span<2_000, 300_000> {
    Span::new(10_000)
}

fn object_age() -> Span<100, 3_600_000> {
    Span::new(60_000)
}

#[cfg(test)]
mod page;
