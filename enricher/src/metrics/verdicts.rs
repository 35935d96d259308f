//! What is counted of events: their verdicts, and why the bad ones are bad.

use std::sync::Arc;
use std::time::Duration;

use enrichments::javascript::CutOffs;
use pipeline::Output;
use pipeline::output::Verdict;
use prometheus::{IntCounter, IntCounterVec};

use super::causes::Causes;
use super::make::{Maker, counter, counters};
use super::{Metrics, Step};

#[derive(Clone, Debug)]
pub(super) struct VerdictMetrics {
    pub(super) enriched: IntCounter,
    pub(super) parked: IntCounter,
    pub(super) dropped: IntCounter,
    pub(super) too_long: IntCounter,
    pub(super) bad: IntCounterVec,
    causes: Arc<Causes>,
    cut_off: IntCounterVec,
}

impl VerdictMetrics {
    pub(super) fn new(r: &Maker) -> VerdictMetrics {
        let too_long = "Events enriched although a field is longer than a row of events holds.";
        let cut_off = "Scripts that were cut off, by the limit they came to.";
        VerdictMetrics {
            enriched: counter(r, "events_enriched_total", "Events enriched."),
            parked: counter(r, "events_parked_total", "Events whose verdict waits."),
            dropped: counter(r, "events_dropped_total", "Events that a script made vanish."),
            too_long: counter(r, "events_too_long_total", too_long),
            bad: counters(r, "bad_rows_total", "Bad rows made, by their kind.", &["kind"]),
            causes: Arc::new(Causes::new(r)),
            cut_off: counters(r, "scripts_cut_off_total", cut_off, &["limit"]),
        }
    }
}

impl Metrics {
    /// A batch has its verdicts.
    pub fn processed(&self, output: &Output, took: Duration) {
        self.took(Step::Process, took);
        let verdicts = &self.verdicts;
        for (_, verdict) in &output.verdicts {
            match verdict {
                Verdict::Enriched => verdicts.enriched.inc(),
                Verdict::Bad(kind) => verdicts.bad.with_label_values(&[kind.name()]).inc(),
                Verdict::Parked => verdicts.parked.inc(),
                Verdict::Dropped => verdicts.dropped.inc(),
            }
        }
        verdicts.causes.count(&output.causes);
        let CutOffs { steps, memory, stack } = output.cut_offs;
        for (limit, count) in [("steps", steps), ("memory", memory), ("stack", stack)] {
            verdicts.cut_off.with_label_values(&[limit]).inc_by(u64::from(count));
        }
        verdicts.too_long.inc_by(u64::from(output.too_long));
        self.source.compressed(output.compressed);
        self.count_for_peers(output);
    }
}
