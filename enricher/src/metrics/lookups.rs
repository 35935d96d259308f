//! What look-ups report: how often they were asked, what came of it, how long it took.

use lookups::Figures;
use prometheus::{IntCounterVec, IntGaugeVec};

use super::make::{Maker, counters, gauges};
use super::{Metrics, raise};

/// The metrics of look-ups, by the names of their configurations.
#[derive(Clone, Debug)]
pub(super) struct LookupMetrics {
    events: IntCounterVec,
    requests: IntCounterVec,
    millis: IntCounterVec,
    open: IntGaugeVec,
}

impl LookupMetrics {
    pub(super) fn new(r: &Maker) -> LookupMetrics {
        LookupMetrics {
            events: counters(
                r,
                "lookup_events_total",
                "Events whose answer was there: kept, or stale for want of a new one.",
                &["lookup", "answer"],
            ),
            requests: counters(
                r,
                "lookup_requests_total",
                "Questions of look-ups, by what came of them.",
                &["lookup", "result"],
            ),
            millis: counters(
                r,
                "lookup_milliseconds_total",
                "How long the questions took that were sent.",
                &["lookup"],
            ),
            open: gauges(
                r,
                "lookup_circuit_open",
                "1 while a look-up is left alone because it does not answer.",
                &["lookup"],
            ),
        }
    }
}

impl Metrics {
    /// What the look-ups report. They are those of the configuration, a closed set.
    pub fn lookups(&self, figures: &[Figures]) {
        for figures in figures {
            let name = figures.name;
            let answered = figures.answered + figures.refused;
            let what = format!("look-up {name}");
            self.answering.note(what, answered, figures.outages, &self.health);
            for (answer, count) in [("kept", figures.kept), ("stale", figures.stale)] {
                raise(&self.lookups.events.with_label_values(&[name, answer]), count);
            }
            for (result, count) in [
                ("answered", figures.answered),
                ("refused", figures.refused),
                ("outage", figures.outages),
                ("unsent", figures.unsent),
            ] {
                raise(&self.lookups.requests.with_label_values(&[name, result]), count);
            }
            let millis = u64::try_from(figures.took.as_millis()).unwrap_or(u64::MAX);
            raise(&self.lookups.millis.with_label_values(&[name]), millis);
            self.lookups.open.with_label_values(&[name]).set(figures.open.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_by_look_up() {
        let metrics = Metrics::new();
        let took = std::time::Duration::from_millis(70);
        let figures = Figures {
            name: "api_request_enrichment_config",
            kept: 5,
            answered: 3,
            outages: 2,
            took,
            open: true,
            ..Figures::default()
        };
        metrics.lookups(std::slice::from_ref(&figures));
        metrics.lookups(&[figures]);
        let text = metrics.text();
        let label = r#"lookup="api_request_enrichment_config""#;
        for line in [
            format!("snowmelt_lookup_events_total{{answer=\"kept\",{label}}} 5"),
            format!("snowmelt_lookup_requests_total{{{label},result=\"answered\"}} 3"),
            format!("snowmelt_lookup_requests_total{{{label},result=\"outage\"}} 2"),
            format!("snowmelt_lookup_milliseconds_total{{{label}}} 70"),
            format!("snowmelt_lookup_circuit_open{{{label}}} 1"),
        ] {
            assert!(text.contains(&line), "{line} in {text}");
        }
    }
}
