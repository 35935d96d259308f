//! Every metric: its name, its help, its labels, and the verbs that touch it.
//!
//! Labels come from closed sets or from the configuration, except `shard`. A value and not a
//! static: several workers can live in one process, each with its own.

mod answering;
mod causes;
mod lake;
mod lookups;
mod make;
mod outlook;
mod page;
mod peer;
mod progress;
mod reports;
mod source;
mod usage;
mod verdicts;
mod written;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry, TextEncoder};

pub use make::Described;
pub use outlook::{Load, Pace};
pub use page::page;
pub use peer::{Figures, collected_ms};
pub use progress::{Age, InFlight, Reading, Retention};
pub use reports::AssetEvent;
pub use source::{ReadBy, Subscription};
pub use written::{Repeat, Retry};

use answering::Answering;
use lake::LakeMetrics;
use lookups::LookupMetrics;
use make::{Maker, counter, gauge, gauges, seconds};
use outlook::OutlookMetrics;
use peer::Peer;
use progress::Progress;
use reports::Reports;
use source::SourceMetrics;
use usage::Usage;
use verdicts::VerdictMetrics;
use written::WriteMetrics;

use crate::health::Health;

/// The counters of one worker.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    described: Arc<[Described]>,
    source: SourceMetrics,
    verdicts: VerdictMetrics,
    writing: WriteMetrics,
    reports: Reports,
    lookups: LookupMetrics,
    lake: LakeMetrics,
    batch_seconds: HistogramVec,
    durable_seconds: HistogramVec,
    in_flight_bytes: IntGauge,
    in_flight_limit: IntGauge,
    log_lines_dropped: IntCounter,
    outlook: OutlookMetrics,
    usage: Usage,
    seen: Arc<Mutex<Seen>>,
    progress: Arc<Progress>,
    answering: Arc<Answering>,
    peer: Arc<Peer>,
    health: Arc<Health>,
}

/// A few counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events enriched.
    pub enriched: u64,
    /// Bad rows made.
    pub bad: u64,
    /// Events parked.
    pub parked: u64,
    /// Objects written.
    pub objects: u64,
    /// Leases held.
    pub held: u64,
    /// Leases lost to other workers.
    pub lost: u64,
}

/// What was reported last, as it was reported.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// By the keeper of the leases.
    pub leases: lease::Status,
    /// Of each asset its name and the version in use.
    pub assets: Vec<(String, Option<String>)>,
}

/// The steps of a batch that are timed.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Resolving schemas and processing.
    Process,
    /// Until durable on every route.
    Write,
}

/// From a millisecond, a batch in memory, to minutes, one that waits for its object.
const SECONDS: [f64; 11] = [0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0, 60.0, 300.0];

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Metrics {
        let maker = Maker::default();
        let made = Metrics::made(&maker);
        let (registry, described) = maker.done();
        Metrics { registry, described: described.into(), ..made }
    }

    fn made(r: &Maker) -> Metrics {
        let labels = ["version", "profile"];
        let build = gauges(r, "build_info", "What runs; always 1.", &labels);
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), profile]).set(1);
        let batch = "Time of a batch by step: `process`, waiting for schemas included, or `write`.";
        let durable = "From when the oldest record of a batch came to the stream until all of it \
                       is durable.";
        let in_flight =
            "Bytes between reading and durability, as `[worker] bytes_in_flight` counts them.";
        let limit = "The most bytes that there may be between reading and durability.";
        let dropped = "Lines of the log that could not be written.";
        Metrics {
            source: SourceMetrics::new(r),
            verdicts: VerdictMetrics::new(r),
            writing: WriteMetrics::new(r),
            reports: Reports::new(r),
            lookups: LookupMetrics::new(r),
            lake: LakeMetrics::new(r),
            batch_seconds: seconds(r, "batch_seconds", batch, &["step"]),
            durable_seconds: seconds(r, "durable_seconds", durable, &[]),
            in_flight_bytes: gauge(r, "in_flight_bytes", in_flight),
            in_flight_limit: gauge(r, "in_flight_limit_bytes", limit),
            log_lines_dropped: counter(r, "log_lines_dropped_total", dropped),
            outlook: OutlookMetrics::new(r),
            usage: Usage::new(r),
            registry: Registry::new(),
            described: Arc::default(),
            seen: Arc::default(),
            progress: Arc::default(),
            answering: Arc::default(),
            peer: Arc::default(),
            health: Arc::default(),
        }
    }

    /// What was reported last.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What each metric is.
    pub fn described(&self) -> &[Described] {
        &self.described
    }

    /// Whether the worker could lately do what it is for.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// A shard is about to be read; an answer of the stream is expected so often.
    pub fn reading(&self, shard: &str, every: Duration, retention: &Arc<Retention>) -> Reading {
        self.progress.reading(shard, every, retention)
    }

    /// A shard is no longer ours: its lag is somebody else's to tell.
    pub fn shard_left(&self, shard: &str) {
        self.progress.forget(shard);
    }

    /// A step of a batch is done.
    pub fn took(&self, step: Step, took: Duration) {
        let name = match step {
            Step::Process => "process",
            Step::Write => "write",
        };
        self.batch_seconds.with_label_values(&[name]).observe(took.as_secs_f64());
    }

    /// The budget now.
    pub fn in_flight(&self, taken: usize, limit: usize) {
        self.in_flight_bytes.set(taken as i64);
        self.in_flight_limit.set(limit as i64);
    }

    /// What a line of progress tells.
    pub fn counts(&self) -> Counts {
        let sum = |family: &IntCounterVec| {
            let families = family.collect();
            let metrics = families.iter().flat_map(|family| family.get_metric());
            metrics.map(|metric| metric.get_counter().get_value() as u64).sum()
        };
        Counts {
            enriched: self.verdicts.enriched.get(),
            bad: sum(&self.verdicts.bad),
            parked: self.verdicts.parked.get(),
            objects: sum(&self.writing.objects),
            held: self.reports.leases.with_label_values(&["held"]).get().unsigned_abs(),
            lost: self.reports.lease_events.with_label_values(&["lost"]).get(),
        }
    }

    /// What the worker measured of itself now; `lags` are filled in here.
    pub fn load(&self, load: Load) {
        let lags = self.ages().into_iter().map(|age| (age.shard, age.lag)).collect();
        let Counts { enriched, bad, .. } = self.counts();
        self.outlook.lock().note(Load { lags, enriched, bad, ..load });
    }

    /// How fast the work of the last minute went, once that can be told.
    pub fn pace(&self) -> Option<Pace> {
        self.outlook.lock().pace()
    }

    /// How many workers like this one the stream needs, once that can be told.
    pub fn desired_workers(&self) -> Option<u64> {
        self.outlook.lock().workers()
    }

    /// In how many seconds each shard's reader is at its tip, where that can be told.
    pub fn catch_up(&self) -> Vec<(String, f64)> {
        let outlook = self.outlook.lock();
        outlook.catch_up().into_iter().map(|(shard, at)| (shard.to_owned(), at)).collect()
    }

    /// A batch is durable on every route, the oldest record of which came then, in milliseconds
    /// since 1970.
    pub fn durable(&self, came_ms: i64, now_ms: i64) {
        let millis = u64::try_from(now_ms - came_ms).unwrap_or_default();
        let latency = Duration::from_millis(millis).as_secs_f64();
        self.durable_seconds.with_label_values::<&str>(&[]).observe(latency);
    }

    /// The text that a scrape gets.
    pub fn text(&self) -> String {
        raise(&self.log_lines_dropped, crate::log::dropped());
        self.source.lag_millis.reset();
        self.source.undurable_seconds.reset();
        let ages = self.ages();
        for Age { shard, lag, undurable, .. } in &ages {
            let [lag, undurable] = [lag.as_millis() as i64, undurable.as_secs() as i64];
            self.source.lag_millis.with_label_values(&[shard]).set(lag);
            self.source.undurable_seconds.with_label_values(&[shard]).set(undurable);
        }
        self.source.expire(&ages);
        self.outlook.tell();
        self.usage.tell();
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

/// Brings a counter up to what somebody else has counted.
fn raise(counter: &IntCounter, count: u64) {
    counter.inc_by(count.saturating_sub(counter.get()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use enrichments::javascript::CutOffs;
    use pipeline::{Output, Route};
    use resolver::Figures;

    #[test]
    fn scripts_that_came_to_a_limit_are_counted_by_it() {
        let metrics = Metrics::new();
        let cut_offs = CutOffs { steps: 2, memory: 0, stack: 1 };
        let output = Output { cut_offs, ..Output::default() };
        metrics.processed(&output, Duration::ZERO);
        metrics.processed(&output, Duration::ZERO);
        let text = metrics.text();
        for line in ["{limit=\"steps\"} 4", "{limit=\"memory\"} 0", "{limit=\"stack\"} 2"] {
            let line = format!("snowmelt_scripts_cut_off_total{line}");
            assert!(text.lines().any(|found| found == line), "{line}");
        }
    }

    #[test]
    fn a_scrape_names_what_was_touched() {
        let metrics = Metrics::new();
        metrics.wrote(Route::Enriched, "kinesis", 3, 300);
        metrics.retried(Retry::Entries);
        metrics.leases(&lease::Status { held: 2, ..lease::Status::default() });
        let registry = resolver::RegistryFigures {
            name: "Acme".to_owned(),
            unchanged: 7,
            ..resolver::RegistryFigures::default()
        };
        let registries = vec![registry];
        metrics.schemas(&Figures { stale: 2, registries, ..Figures::default() });
        let text = metrics.text();
        for line in [
            "snowmelt_schemas_stale_total 2",
            r#"snowmelt_registry_requests_total{registry="Acme",result="unchanged"} 7"#,
            r#"snowmelt_lines_total{route="enriched",sink="kinesis"} 3"#,
            r#"snowmelt_retries_total{what="entries"} 1"#,
            r#"snowmelt_leases{state="held"} 2"#,
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
    }
}
