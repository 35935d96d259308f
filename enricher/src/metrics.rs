//! Every metric: its name, its help, its labels, and the verbs that touch it.
//!
//! Labels come from closed sets or from the configuration, except `shard`. A value and not a
//! static: several workers can live in one process, each with its own.

mod answering;
mod lookups;
mod make;
mod progress;
mod source;

use std::sync::Arc;
use std::time::Duration;

use enrichments::javascript::CutOffs;
use prometheus::core::Collector;
use prometheus::{
    HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder,
};
use resolver::Figures;

pub use progress::{Age, InFlight, Reading, Retention};
pub use source::{ReadBy, Subscription};

use answering::Answering;
use make::{counter, counters, gauge, gauges, seconds};
use progress::Progress;

use crate::batch::Batch;
use crate::health::Health;
use pipeline::Output;
use pipeline::Route;
use pipeline::output::Verdict;

/// The counters of one worker.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    records: IntCounterVec,
    record_bytes: IntCounterVec,
    lag_millis: IntGaugeVec,
    undurable_seconds: IntGaugeVec,
    batches: IntCounter,
    enriched: IntCounter,
    parked: IntCounter,
    dropped: IntCounter,
    scripts_cut_off: IntCounterVec,
    bad: IntCounterVec,
    batch_seconds: HistogramVec,
    lines: IntCounterVec,
    line_bytes: IntCounterVec,
    objects: IntCounterVec,
    object_bytes: IntCounterVec,
    fallback: IntCounterVec,
    writing: WriteMetrics,
    retries: IntCounterVec,
    lost_lines: IntCounter,
    leases: IntGaugeVec,
    lease_events: IntCounterVec,
    in_flight_bytes: IntGauge,
    in_flight_limit: IntGauge,
    shard_listings: IntCounterVec,
    schemas: IntGaugeVec,
    schema_waits: IntCounterVec,
    schemas_stale: IntCounter,
    schemas_changed: IntCounter,
    registry_requests: IntCounterVec,
    lookups: lookups::LookupMetrics,
    assets: AssetMetrics,
    log_lines_dropped: IntCounter,
    source: source::SourceMetrics,
    progress: Arc<Progress>,
    answering: Arc<Answering>,
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

/// The steps of a batch that are timed.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Resolving schemas and processing.
    Process,
    /// Until durable on every route.
    Write,
}

/// Who tried again.
#[derive(Clone, Copy, Debug)]
pub enum Retry {
    /// Reading was refused or failed.
    Read,
    /// Some entries of a PutRecords request were refused.
    Entries,
    /// A whole request to a stream failed.
    Stream,
    /// Writing an object failed.
    Object,
    /// Writing a manifest failed.
    Manifest,
}

/// What came of asking the source of an asset.
#[derive(Clone, Copy, Debug)]
pub enum AssetEvent {
    /// The edition kept is the newest.
    Unchanged,
    /// Another took its place.
    Replaced,
    /// There was no answer, or none that helps.
    Failed,
    /// What came cannot be used.
    Broken,
    /// What was kept grew too old and was deleted.
    Expired,
}

/// From a millisecond, a batch in memory, to minutes, one that waits for its object.
const SECONDS: [f64; 11] = [0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0, 60.0, 300.0];

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Metrics {
        let registry = Registry::new();
        let r = &registry;
        Metrics {
            records: counters(r, "records_total", "Records read.", &["shard"]),
            record_bytes: counters(r, "record_bytes_total", "Bytes of records read.", &["shard"]),
            lag_millis: gauges(r, "lag_milliseconds", "Behind the shard's tip.", &["shard"]),
            undurable_seconds: gauges(
                r,
                "undurable_seconds",
                "Age of the oldest record that is not durable.",
                &["shard"],
            ),
            batches: counter(r, "batches_read_total", "Batches read."),
            enriched: counter(r, "events_enriched_total", "Events enriched."),
            parked: counter(r, "events_parked_total", "Events whose verdict waits."),
            dropped: counter(r, "events_dropped_total", "Events that a script made vanish."),
            scripts_cut_off: counters(r, "scripts_cut_off_total", "By a limit.", &["limit"]),
            bad: counters(r, "bad_rows_total", "Bad rows made.", &["kind"]),
            batch_seconds: seconds(r, "batch_seconds", "Time of a batch by step.", &["step"]),
            lines: counters(r, "lines_total", "Lines durable in a sink.", &["route", "sink"]),
            line_bytes: counters(r, "line_bytes_total", "Their bytes.", &["route", "sink"]),
            objects: counters(r, "objects_total", "Objects written.", &["route"]),
            object_bytes: counters(r, "object_bytes_total", "Their bytes.", &["route"]),
            fallback: counters(r, "fallback_lines_total", "Too large to stream.", &["route"]),
            writing: WriteMetrics::new(r),
            retries: counters(r, "retries_total", "What was tried again.", &["what"]),
            lost_lines: counter(r, "lost_lines_total", "Lines given up with their lease."),
            leases: gauges(r, "leases", "Leases as this worker sees them.", &["state"]),
            lease_events: counters(
                r,
                "lease_events_total",
                "What the keeper has done.",
                &["event"],
            ),
            in_flight_bytes: gauge(r, "in_flight_bytes", "Taken from the budget."),
            in_flight_limit: gauge(r, "in_flight_limit_bytes", "The budget."),
            assets: AssetMetrics::new(r),
            shard_listings: counters(r, "shard_listings_total", "Shards listed.", &["result"]),
            schemas: gauges(r, "schemas", "Schema keys known, by answer.", &["answer"]),
            schema_waits: counters(r, "schema_waits_total", "Keys waited for.", &["answer"]),
            schemas_stale: counter(r, "schemas_stale_total", "Served though not renewed."),
            schemas_changed: counter(r, "schemas_changed_total", "Changed under a version."),
            registry_requests: counters(
                r,
                "registry_requests_total",
                "Requests to schema registries.",
                &["registry", "result"],
            ),
            lookups: lookups::LookupMetrics::new(r),
            log_lines_dropped: counter(r, "log_lines_dropped_total", "Lines nobody could take."),
            source: source::SourceMetrics::new(r),
            progress: Arc::default(),
            answering: Arc::default(),
            health: Arc::default(),
            registry,
        }
    }

    /// Whether the worker could lately do what it is for.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// A shard is about to be read; an answer of the stream is expected so often.
    pub fn reading(&self, shard: &str, every: Duration, retention: &Arc<Retention>) -> Reading {
        self.progress.reading(shard, every, retention)
    }

    /// A batch was read.
    pub fn batch_read(&self, batch: &Batch) {
        let shard = [batch.shard.as_str()];
        self.records.with_label_values(&shard).inc_by(batch.records.len() as u64);
        self.record_bytes.with_label_values(&shard).inc_by(batch.bytes() as u64);
        self.batches.inc();
    }

    /// A shard is no longer ours: its lag is somebody else's to tell.
    pub fn shard_left(&self, shard: &str) {
        self.progress.forget(shard);
    }

    /// A batch has its verdicts.
    pub fn processed(&self, output: &Output, took: Duration) {
        self.took(Step::Process, took);
        for (_, verdict) in &output.verdicts {
            match verdict {
                Verdict::Enriched => self.enriched.inc(),
                Verdict::Bad(kind) => self.bad.with_label_values(&[kind.name()]).inc(),
                Verdict::Parked => self.parked.inc(),
                Verdict::Dropped => self.dropped.inc(),
            }
        }
        let CutOffs { steps, memory, stack } = output.cut_offs;
        for (limit, count) in [("steps", steps), ("memory", memory), ("stack", stack)] {
            self.scripts_cut_off.with_label_values(&[limit]).inc_by(u64::from(count));
        }
        self.source.compressed(output.compressed);
    }

    /// A step of a batch is done.
    pub fn took(&self, step: Step, took: Duration) {
        let name = match step {
            Step::Process => "process",
            Step::Write => "write",
        };
        self.batch_seconds.with_label_values(&[name]).observe(took.as_secs_f64());
    }

    /// Lines are durable in a sink.
    pub fn wrote(&self, route: Route, sink: &str, lines: usize, bytes: usize) {
        self.lines.with_label_values(&[route.name(), sink]).inc_by(lines as u64);
        self.line_bytes.with_label_values(&[route.name(), sink]).inc_by(bytes as u64);
    }

    /// A request of a sink failed.
    pub fn write_failed(&self, route: Route, sink: &str) {
        self.writing.errors.with_label_values(&[route.name(), sink]).inc();
    }

    /// No destination wants these lines, as the configuration has it.
    pub fn unwanted(&self, route: Route, lines: usize) {
        self.writing.unwanted.with_label_values(&[route.name()]).inc_by(lines as u64);
    }

    /// An object is durable.
    pub fn object_written(&self, route: Route, bytes: usize) {
        self.objects.with_label_values(&[route.name()]).inc();
        self.object_bytes.with_label_values(&[route.name()]).inc_by(bytes as u64);
    }

    /// Lines were too large for a record of a stream.
    pub fn fell_back(&self, route: Route, lines: usize) {
        self.fallback.with_label_values(&[route.name()]).inc_by(lines as u64);
    }

    /// Something is tried again.
    pub fn retried(&self, what: Retry) {
        let name = match what {
            Retry::Read => "read",
            Retry::Entries => "entries",
            Retry::Stream => "stream",
            Retry::Object => "object",
            Retry::Manifest => "manifest",
        };
        self.retries.with_label_values(&[name]).inc();
    }

    /// Lines were lost with their lease: the next owner of their shard makes them again.
    pub fn lost(&self, lines: usize) {
        self.lost_lines.inc_by(lines as u64);
    }

    /// The stream's shards were listed, or not.
    pub fn listed(&self, result: Result<(), ()>) {
        let name = if result.is_ok() { "ok" } else { "failed" };
        self.shard_listings.with_label_values(&[name]).inc();
    }

    /// What the keeper reports.
    pub fn leases(&self, status: &lease::Status) {
        let states = [
            ("held", status.held),
            ("known", status.known),
            ("free", status.free),
            ("foreign", status.foreign),
            ("paused", status.paused),
            ("unreadable", status.unreadable),
        ];
        for (state, count) in states {
            self.leases.with_label_values(&[state]).set(count as i64);
        }
        for (event, count) in [
            ("write", status.writes),
            ("write_error", status.write_errors),
            ("scan", status.scans),
            ("scan_error", status.scan_errors),
            ("read", status.reads),
            ("scan_item", status.items),
            ("taken_free", status.taken_free),
            ("taken_expired", status.taken_expired),
            ("taken_over", status.taken_over),
            ("released", status.released),
            ("failed", status.failed),
            ("lost", status.lost),
            ("asked", status.asked),
            ("created", status.created),
            ("deleted", status.deleted),
        ] {
            raise(&self.lease_events.with_label_values(&[event]), count);
        }
    }

    /// What the resolver reports. Registries are those of the configuration, a closed set.
    pub fn schemas(&self, figures: &Figures) {
        let known = [
            ("found", figures.found),
            ("missing", figures.missing),
            ("unavailable", figures.unavailable),
        ];
        for (answer, count) in known {
            self.schemas.with_label_values(&[answer]).set(count as i64);
        }
        let waits = [
            ("found", figures.waited_found),
            ("missing", figures.waited_missing),
            ("unavailable", figures.waited_unavailable),
        ];
        for (answer, count) in waits {
            raise(&self.schema_waits.with_label_values(&[answer]), count);
        }
        raise(&self.schemas_stale, figures.stale);
        raise(&self.schemas_changed, figures.changed);
        for registry in &figures.registries {
            let answered = registry.found + registry.unchanged + registry.missing;
            let what = format!("registry {}", registry.name);
            self.answering.note(what, answered, registry.failed, &self.health);
            for (result, count) in [
                ("found", registry.found),
                ("unchanged", registry.unchanged),
                ("missing", registry.missing),
                ("refused", registry.refused),
                ("failed", registry.failed),
                ("spared", registry.spared),
            ] {
                let labels = [registry.name.as_str(), result];
                raise(&self.registry_requests.with_label_values(&labels), count);
            }
        }
    }

    /// The source of an asset was asked.
    pub fn asset(&self, event: AssetEvent) {
        let name = match event {
            AssetEvent::Unchanged => "unchanged",
            AssetEvent::Replaced => "replaced",
            AssetEvent::Failed => "failed",
            AssetEvent::Broken => "broken",
            AssetEvent::Expired => "expired",
        };
        self.assets.events.with_label_values(&[name]).inc();
    }

    /// All assets by name, each with its version and the time since that was confirmed. The names
    /// are those in the configuration, so there are as many as the operator wrote.
    pub fn assets<'a>(&self, assets: impl Iterator<Item = (&'a str, Option<(&'a str, Duration)>)>) {
        self.assets.info.reset();
        self.assets.age.reset();
        let mut missing = 0;
        for (name, known) in assets {
            let Some((version, age)) = known else {
                missing += 1;
                continue;
            };
            self.assets.info.with_label_values(&[name, version]).set(1);
            self.assets.age.with_label_values(&[name]).set(age.as_secs() as i64);
        }
        self.assets.missing.set(missing);
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
            enriched: self.enriched.get(),
            bad: sum(&self.bad),
            parked: self.parked.get(),
            objects: sum(&self.objects),
            held: self.leases.with_label_values(&["held"]).get().unsigned_abs(),
            lost: self.lease_events.with_label_values(&["lost"]).get(),
        }
    }

    /// The text that a scrape gets.
    pub fn text(&self) -> String {
        raise(&self.log_lines_dropped, crate::log::dropped());
        self.lag_millis.reset();
        self.undurable_seconds.reset();
        let ages = self.ages();
        for Age { shard, lag, undurable, .. } in &ages {
            self.lag_millis.with_label_values(&[shard]).set(lag.as_millis() as i64);
            self.undurable_seconds.with_label_values(&[shard]).set(undurable.as_secs() as i64);
        }
        self.source.expire(&ages);
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

/// What is counted of writing, besides what was written.
#[derive(Clone, Debug)]
struct WriteMetrics {
    errors: IntCounterVec,
    unwanted: IntCounterVec,
}

impl WriteMetrics {
    fn new(r: &Registry) -> WriteMetrics {
        let failed = "Requests of a sink that failed.";
        let unwanted = "Lines that no destination wants.";
        WriteMetrics {
            errors: counters(r, "write_errors_total", failed, &["route", "sink"]),
            unwanted: counters(r, "unwanted_lines_total", unwanted, &["route"]),
        }
    }
}

/// What is counted of assets.
#[derive(Clone, Debug)]
struct AssetMetrics {
    info: IntGaugeVec,
    age: IntGaugeVec,
    missing: IntGauge,
    events: IntCounterVec,
}

impl AssetMetrics {
    fn new(r: &Registry) -> AssetMetrics {
        AssetMetrics {
            info: gauges(r, "asset_info", "Editions of assets.", &["asset", "version"]),
            age: gauges(r, "asset_age_seconds", "Since its source confirmed it.", &["asset"]),
            missing: gauge(r, "assets_missing", "Assets that enrichments do without."),
            events: counters(r, "asset_events_total", "What sources of assets gave.", &["event"]),
        }
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
