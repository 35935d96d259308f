//! What others count for themselves and report: the keeper of leases, the resolver, the assets.

use std::time::Duration;

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use resolver::Figures;

use super::make::{Maker, counter, counters, gauge, gauges};
use super::{Metrics, raise};

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

/// What others count for themselves.
#[derive(Clone, Debug)]
pub(super) struct Reports {
    pub(super) leases: IntGaugeVec,
    pub(super) lease_events: IntCounterVec,
    schemas: IntGaugeVec,
    schema_waits: IntCounterVec,
    schemas_stale: IntCounter,
    schemas_changed: IntCounter,
    registry_requests: IntCounterVec,
    assets: AssetMetrics,
    notices: IntCounterVec,
}

impl Reports {
    pub(super) fn new(r: &Maker) -> Reports {
        let leases = "Leases as this worker sees them, by their state.";
        let events = "What became of leases and of requests to their table.";
        let waits = "Schema keys that data waited for, by the answer.";
        let stale = "Times a schema stayed in use because it could not be had again.";
        let changed = "Times a registry had another schema under a key than before.";
        let requests = "Requests to schema registries.";
        let notices = "Notices that the machine is to go.";
        let by_registry = ["registry", "result"];
        Reports {
            leases: gauges(r, "leases", leases, &["state"]),
            lease_events: counters(r, "lease_events_total", events, &["event"]),
            schemas: gauges(r, "schemas", "Schema keys known, by answer.", &["answer"]),
            schema_waits: counters(r, "schema_waits_total", waits, &["answer"]),
            schemas_stale: counter(r, "schemas_stale_total", stale),
            schemas_changed: counter(r, "schemas_changed_total", changed),
            registry_requests: counters(r, "registry_requests_total", requests, &by_registry),
            assets: AssetMetrics::new(r),
            notices: counters(r, "notices_total", notices, &["notice"]),
        }
    }
}

impl Metrics {
    /// What the keeper reports.
    pub fn leases(&self, status: &lease::Status) {
        self.seen().leases = *status;
        let states = [
            ("held", status.held),
            ("known", status.known),
            ("free", status.free),
            ("foreign", status.foreign),
            ("paused", status.paused),
            ("unreadable", status.unreadable),
        ];
        for (state, count) in states {
            self.reports.leases.with_label_values(&[state]).set(count as i64);
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
            raise(&self.reports.lease_events.with_label_values(&[event]), count);
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
            self.reports.schemas.with_label_values(&[answer]).set(count as i64);
        }
        let waits = [
            ("found", figures.waited_found),
            ("missing", figures.waited_missing),
            ("unavailable", figures.waited_unavailable),
        ];
        for (answer, count) in waits {
            raise(&self.reports.schema_waits.with_label_values(&[answer]), count);
        }
        raise(&self.reports.schemas_stale, figures.stale);
        raise(&self.reports.schemas_changed, figures.changed);
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
                raise(&self.reports.registry_requests.with_label_values(&labels), count);
            }
        }
    }

    /// The machine is to go.
    pub fn noticed(&self, notice: &'static str) {
        self.reports.notices.with_label_values(&[notice]).inc();
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
        self.reports.assets.events.with_label_values(&[name]).inc();
    }

    /// All assets by name, each with its version and the time since that was confirmed. The names
    /// are those in the configuration, so there are as many as the operator wrote.
    pub fn assets<'a>(&self, assets: impl Iterator<Item = (&'a str, Option<(&'a str, Duration)>)>) {
        self.reports.assets.info.reset();
        self.reports.assets.age.reset();
        let mut missing = 0;
        self.seen().assets.clear();
        for (name, known) in assets {
            let version = known.map(|(version, _)| version.to_owned());
            self.seen().assets.push((name.to_owned(), version));
            let Some((version, age)) = known else {
                missing += 1;
                continue;
            };
            self.reports.assets.info.with_label_values(&[name, version]).set(1);
            self.reports.assets.age.with_label_values(&[name]).set(age.as_secs() as i64);
        }
        self.reports.assets.missing.set(missing);
    }
}

/// What is counted of assets.
#[derive(Clone, Debug)]
pub(super) struct AssetMetrics {
    info: IntGaugeVec,
    age: IntGaugeVec,
    missing: IntGauge,
    events: IntCounterVec,
}

impl AssetMetrics {
    pub(super) fn new(r: &Maker) -> AssetMetrics {
        AssetMetrics {
            info: gauges(
                r,
                "asset_info",
                "The version of each asset in use; always 1.",
                &["asset", "version"],
            ),
            age: gauges(
                r,
                "asset_age_seconds",
                "Time since the source of an asset confirmed its version.",
                &["asset"],
            ),
            missing: gauge(
                r,
                "assets_missing",
                "Assets that are not there: enrichments do without them.",
            ),
            events: counters(
                r,
                "asset_events_total",
                "Answers of the sources of assets, by what they were.",
                &["event"],
            ),
        }
    }
}
