//! How a worker is, as operators ask it: its shards and who has the others, what it waits for, and
//! when everybody it needs last answered. A picture of one moment, made when it is asked for.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::clock;
use crate::metrics::{Age, Metrics};
use crate::process;
use crate::signal::Stop;
use crate::supervisor::Look;
use crate::worker::Worker;
use crate::worker::plan::Plan;
use crate::worker::watched::{Owned, Owners};

/// Above this part of its processors, or of its budget, a worker is at its limit.
const FULL: f64 = 0.85;

/// Behind the tip by less, a shard keeps up.
const BEHIND: Duration = Duration::from_secs(10);

/// What a picture is made of.
pub struct Observed {
    name: String,
    stream: String,
    begun_ms: i64,
    begun: Instant,
    destinations: Vec<Destination>,
    worker: Arc<Worker>,
    owners: Arc<Owners>,
    stop: Stop,
}

/// A worker at one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The name that its leases carry.
    pub worker: String,
    /// Of this program.
    pub version: Cow<'static, str>,
    /// The streams that are read, by name.
    pub stream: String,
    /// When it started, in milliseconds since 1970.
    pub started_ms: i64,
    /// How long it runs.
    pub uptime_seconds: u64,
    /// Whether it could lately do what it is for, and is not asked to drain.
    pub ready: bool,
    /// Whether it was asked to stop.
    pub draining: bool,
    /// Why it is not ready.
    pub reasons: Vec<String>,
    /// What keeps it from doing more.
    pub limit: Limit,
    /// The work of the last minute.
    pub work: Work,
    /// What the process uses.
    pub process: Process,
    /// The fleet, as the lease table shows it.
    pub fleet: Fleet,
    /// The leases of the stream, those of others included.
    pub shards: Vec<Shard>,
    /// Where lines go.
    pub destinations: Vec<Destination>,
    /// Everybody whom it needs: streams, buckets, the table, registries, look-ups.
    pub services: Vec<Dependency>,
    /// What is known of schemas.
    pub schemas: Schemas,
    /// What enrichments look up in, by name, with the version in use.
    pub assets: Vec<Asset>,
}

/// What keeps a worker from doing more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// `none`, `destination`, `processors`, `writing` or `reading`.
    pub stage: Cow<'static, str>,
    /// In words.
    pub why: String,
}

/// What was done lately, in a second; and since the start.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Work {
    /// Events enriched in a second of the last minute.
    pub enriched_per_second: f64,
    /// Bad rows made in a second of the last minute.
    pub bad_per_second: f64,
    /// Events enriched since the start.
    pub enriched: u64,
    /// Bad rows since the start.
    pub bad: u64,
    /// Events whose verdict waits, since the start.
    pub parked: u64,
}

/// What the process uses.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Process {
    /// The part of its threads' time that was used in the last minute, from 0 to 1.
    pub processors: Option<f64>,
    /// Resident memory.
    pub memory_bytes: Option<u64>,
    /// Between reading and durability.
    pub in_flight_bytes: usize,
    /// The most of it.
    pub in_flight_limit_bytes: usize,
}

/// The workers that share the stream, and its leases.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fleet {
    /// Workers seen alive.
    pub workers: u64,
    /// How many it needs; absent until that can be told.
    pub desired_workers: Option<u64>,
    /// Leases held here.
    pub held: u64,
    /// Leases that still have records.
    pub known: u64,
    /// Leases that nobody has.
    pub free: u64,
    /// Leases that are left alone after failures.
    pub paused: u64,
}

/// A shard of the stream, whoever reads it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shard {
    /// Its name.
    pub shard: String,
    /// Who has its lease.
    pub owner: Option<String>,
    /// Whether that is this worker.
    pub here: bool,
    /// Behind its tip; of other workers' as they wrote it last.
    pub lag_seconds: Option<f64>,
    /// The age of its oldest record that is not durable; of shards read here.
    pub undurable_seconds: Option<f64>,
    /// When its reader is at its tip; absent while that is never, or cannot be told.
    pub catch_up_seconds: Option<f64>,
    /// Batches on their way; of shards read here.
    pub batches_in_flight: Option<usize>,
    /// Its load.
    pub bytes_per_second: u64,
    /// How far it was worked, as the table says it.
    pub checkpoint: String,
    /// How often in a row it was given back because it could not be worked.
    pub failures: u32,
}

/// Where lines of a route go.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Destination {
    /// Whose lines.
    pub route: Cow<'static, str>,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// What and where it is, and which lines it wants.
    pub to: String,
    /// Whether it follows from other settings.
    pub implied: bool,
}

/// Somebody whom the worker needs, and how that goes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Dependency {
    /// Who, and for what.
    pub what: String,
    /// When it last did what it was asked, in milliseconds since 1970.
    pub succeeded_ms: Option<i64>,
    /// When it last did not.
    pub failed_ms: Option<i64>,
    /// What was said then.
    pub error: Option<String>,
    /// For how long it has failed now; absent while it works.
    pub failing_seconds: Option<u64>,
}

/// What is known of schemas.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Schemas {
    /// Keys whose schema is known.
    pub found: usize,
    /// Keys that no registry has.
    pub missing: usize,
    /// Keys that no registry could be asked for.
    pub unavailable: usize,
    /// The registries, in the order in which they are asked.
    pub registries: Vec<Registry>,
}

/// A schema registry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Registry {
    /// As the configuration calls it.
    pub name: String,
    /// Requests made.
    pub asked: u64,
    /// Of these, those without a verdict.
    pub failed: u64,
}

/// What enrichments look up in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Asset {
    /// As the configuration calls it.
    pub name: String,
    /// The version in use; absent while there is none.
    pub version: Option<String>,
}

impl Observed {
    /// What is looked at, of a worker of this plan that begins now; the streams by name.
    pub fn new(
        stream: String,
        plan: &Plan,
        worker: Arc<Worker>,
        owners: Arc<Owners>,
        stop: Stop,
    ) -> Observed {
        let destinations = plan.destinations.iter().map(|destination| Destination {
            route: destination.route.name().into(),
            name: destination.name.clone(),
            to: destination.to.to_string(),
            implied: destination.implied,
        });
        Observed {
            name: plan.leases.worker_id.to_string(),
            stream,
            begun_ms: clock::now_ms(),
            begun: Instant::now(),
            destinations: destinations.collect(),
            worker,
            owners,
            stop,
        }
    }

    /// What is counted of it.
    pub fn metrics(&self) -> &Metrics {
        &self.worker.metrics
    }

    /// What of it stands still, which a new start would mend; empty while it lives.
    pub fn stopped(&self) -> Vec<String> {
        self.worker.pulse.stopped()
    }

    /// Whether it was asked to stop.
    pub fn draining(&self) -> bool {
        self.stop.drain.is_cancelled()
    }

    /// What a supervisor is told.
    pub fn look(&self) -> Look {
        let (alive, ready) = (self.stopped().is_empty(), self.reasons().is_empty());
        Look { alive, ready, stays: false, words: self.summary() }
    }

    fn summary(&self) -> String {
        let leases = self.metrics().seen().leases;
        let shards = format!("{} of {} shards", leases.held, leases.known);
        match (self.stopped().as_slice(), self.reasons().as_slice()) {
            ([stopped, ..], _) => stopped.clone(),
            ([], _) if self.draining() => format!("draining: {shards} left"),
            ([], []) => format!("ready: {shards}, {} workers", leases.workers),
            ([], [reason, ..]) => format!("not ready: {reason}"),
        }
    }

    /// Why it is not ready; empty when it is.
    pub fn reasons(&self) -> Vec<String> {
        let draining = self.draining().then(|| "draining".to_owned());
        draining.into_iter().chain(self.metrics().health().reasons()).collect()
    }

    /// The picture now.
    pub fn now(&self) -> Status {
        let metrics = self.metrics();
        let reasons = self.reasons();
        let seen = metrics.seen().clone();
        let counts = metrics.counts();
        let pace = metrics.pace();
        let services: Vec<Dependency> =
            metrics.health().seen().into_iter().map(dependency).collect();
        let standing = metrics.ages();
        let process = Process {
            processors: pace.map(|pace| pace.used),
            memory_bytes: process::memory(),
            in_flight_bytes: self.worker.budget.taken(),
            in_flight_limit_bytes: self.worker.budget.limit(),
        };
        let leases = seen.leases;
        Status {
            worker: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            stream: self.stream.clone(),
            started_ms: self.begun_ms,
            uptime_seconds: self.begun.elapsed().as_secs(),
            ready: reasons.is_empty(),
            draining: self.draining(),
            reasons,
            limit: limit(&services, &process, &standing),
            work: Work {
                enriched_per_second: pace.map_or(0.0, |pace| pace.enriched),
                bad_per_second: pace.map_or(0.0, |pace| pace.bad),
                enriched: counts.enriched,
                bad: counts.bad,
                parked: counts.parked,
            },
            fleet: Fleet {
                workers: leases.workers,
                desired_workers: metrics.desired_workers(),
                held: leases.held,
                known: leases.known,
                free: leases.free,
                paused: leases.paused,
            },
            shards: self.shards(standing),
            destinations: self.destinations.clone(),
            services,
            schemas: self.schemas(),
            assets: seen
                .assets
                .into_iter()
                .map(|(name, version)| Asset { name, version })
                .collect(),
            process,
        }
    }

    fn schemas(&self) -> Schemas {
        let figures = self.worker.resolver.figures();
        let registries = figures.registries.into_iter().map(|registry| Registry {
            asked: registry.asked(),
            failed: registry.failed,
            name: registry.name,
        });
        Schemas {
            found: figures.found,
            missing: figures.missing,
            unavailable: figures.unavailable,
            registries: registries.collect(),
        }
    }

    /// Those of the table, and those that are read here and not in it yet.
    fn shards(&self, standing: Vec<Age>) -> Vec<Shard> {
        let catch_up: BTreeMap<String, f64> = self.metrics().catch_up().into_iter().collect();
        let mut standing: BTreeMap<String, Age> =
            standing.into_iter().map(|one| (one.shard.clone(), one)).collect();
        let mut shards: Vec<Shard> = Vec::new();
        let missing = |shard: &str| Owned {
            shard: shard.to_owned(),
            owner: Some(self.name.clone()),
            checkpoint: String::new(),
            lag_ms: None,
            bytes_per_second: 0,
            failures: 0,
        };
        let owned = self.owners.now();
        let known: BTreeSet<&str> = owned.iter().map(|owned| owned.shard.as_str()).collect();
        let unwritten = standing.keys().filter(|name| !known.contains(name.as_str()));
        let unwritten: Vec<Owned> = unwritten.map(|name| missing(name)).collect();
        for owned in owned.into_iter().chain(unwritten) {
            let read = standing.remove(&owned.shard);
            let at = catch_up.get(&owned.shard).copied();
            let written = owned.lag_ms.map(|lag| lag as f64 / 1000.0);
            shards.push(Shard {
                here: read.is_some(),
                owner: if read.is_some() { Some(self.name.clone()) } else { owned.owner },
                lag_seconds: read.as_ref().map(|read| read.lag.as_secs_f64()).or(written),
                undurable_seconds: read.as_ref().map(|read| read.undurable.as_secs_f64()),
                catch_up_seconds: at.filter(|at| at.is_finite()),
                batches_in_flight: read.as_ref().map(|read| read.in_flight),
                bytes_per_second: owned.bytes_per_second,
                checkpoint: owned.checkpoint,
                failures: owned.failures,
                shard: owned.shard,
            });
        }
        shards
    }
}

fn dependency(seen: crate::health::Seen) -> Dependency {
    Dependency {
        what: seen.what,
        succeeded_ms: seen.succeeded_ms,
        failed_ms: seen.failed_ms.as_ref().map(|(at, _)| *at),
        error: seen.failed_ms.map(|(_, error)| error),
        failing_seconds: seen.failing.map(|failing| failing.as_secs()),
    }
}

/// What keeps a worker from doing more, the first that applies.
fn limit(services: &[Dependency], process: &Process, standing: &[Age]) -> Limit {
    let writes = |service: &&Dependency| service.what.contains(" for ");
    let failing = services.iter().filter(writes).find(|service| service.failing_seconds.is_some());
    let taken = process.in_flight_bytes as f64 / process.in_flight_limit_bytes.max(1) as f64;
    let used = process.processors.unwrap_or_default();
    let furthest = standing.iter().max_by_key(|standing| standing.lag);
    let of = |stage: &'static str, why| Limit { stage: stage.into(), why };
    match (failing, furthest) {
        (Some(Dependency { what, .. }), _) => {
            of("destination", format!("{what} fails: its lines wait, and their shards with them"))
        }
        _ if used >= FULL => {
            let percent = (used * 100.0).round();
            of("processors", format!("{percent} % of the processors' time is used"))
        }
        _ if taken >= FULL => {
            let why = "[worker] bytes_in_flight is taken up by what waits to be durable";
            of("writing", why.to_owned())
        }
        (_, Some(furthest)) if furthest.lag >= BEHIND => {
            let (shard, behind) = (&furthest.shard, furthest.lag.as_secs());
            let why = format!(
                "{shard} is {behind} s behind, and there is room to work: a shard \
                               gives 2 MB in a second to all its readers"
            );
            of("reading", why)
        }
        _ => of("none", "it keeps up".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stage_that_limits_is_the_first_that_is_full() {
        let process = |used, in_flight_bytes| Process {
            processors: Some(used),
            memory_bytes: None,
            in_flight_bytes,
            in_flight_limit_bytes: 100,
        };
        let service = |failing_seconds| Dependency {
            what: "bucket events for enriched".to_owned(),
            succeeded_ms: None,
            failed_ms: None,
            error: None,
            failing_seconds,
        };
        let behind = |seconds| Age {
            shard: "shardId-000000000000".to_owned(),
            lag: Duration::from_secs(seconds),
            undurable: Duration::ZERO,
            retention: None,
            in_flight: 0,
        };
        for (failing, used, in_flight, lag, expected) in [
            (None, 0.1, 10, 0, "none"),
            (Some(3), 0.9, 90, 60, "destination"),
            (None, 0.9, 90, 60, "processors"),
            (None, 0.1, 90, 60, "writing"),
            (None, 0.1, 10, 60, "reading"),
        ] {
            let told = limit(&[service(failing)], &process(used, in_flight), &[behind(lag)]);
            assert_eq!(told.stage, expected, "{}", told.why);
        }
    }
}
