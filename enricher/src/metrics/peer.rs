//! What a peer counts and this worker tells in other words: kept for whoever goes on with graphs
//! of the peer's names ([`crate::statsd`]).

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use event::{Field, time};
use pipeline::Output;

use super::Metrics;

/// No time was measured.
const NONE: i64 = i64::MIN;

#[derive(Debug)]
pub(super) struct Peer {
    good_bytes: AtomicU64,
    failed: AtomicU64,
    from_collector: AtomicI64,
    in_stream: AtomicI64,
}

impl Default for Peer {
    fn default() -> Peer {
        let (from_collector, in_stream) = (AtomicI64::new(NONE), AtomicI64::new(NONE));
        let (good_bytes, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        Peer { good_bytes, failed, from_collector, in_stream }
    }
}

/// Counts since the start, and times since they were taken last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Records read.
    pub raw: u64,
    /// Events enriched.
    pub good: u64,
    /// Bytes of their lines.
    pub good_bytes: u64,
    /// Failed events that were written as far as they came.
    pub failed: u64,
    /// Bad rows made.
    pub bad: u64,
    /// Events that a script made vanish.
    pub dropped: u64,
    /// Events enriched although a field is too long.
    pub invalid: u64,
    /// From when the collector took the first event of the newest batch until it was durable, in
    /// milliseconds.
    pub from_collector: Option<i64>,
    /// From when the oldest record of the newest batch came to the stream until its processing
    /// began, in milliseconds.
    pub in_stream: Option<i64>,
}

impl Metrics {
    /// The processing of a batch begins, the oldest record of which came to the stream then.
    pub fn begun(&self, came_ms: i64, now_ms: i64) {
        self.peer.in_stream.store(now_ms - came_ms, Ordering::Relaxed);
    }

    /// A batch is durable whose first event the collector took then.
    pub fn collected(&self, collected_ms: i64, now_ms: i64) {
        self.peer.from_collector.store(now_ms - collected_ms, Ordering::Relaxed);
    }

    pub(super) fn count_for_peers(&self, output: &Output) {
        let good_bytes = output.enriched.as_bytes().len() as u64;
        self.peer.good_bytes.fetch_add(good_bytes, Ordering::Relaxed);
        self.peer.failed.fetch_add(output.incomplete.len() as u64, Ordering::Relaxed);
    }

    /// The counts, and the times, which are not told twice.
    pub fn figures(&self) -> Figures {
        let counts = self.counts();
        let taken = |time: &AtomicI64| Some(time.swap(NONE, Ordering::Relaxed));
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Figures {
            raw: self.source.all_records(),
            good: counts.enriched,
            good_bytes: count(&self.peer.good_bytes),
            failed: count(&self.peer.failed),
            bad: counts.bad,
            dropped: self.verdicts.dropped.get(),
            invalid: self.verdicts.too_long.get(),
            from_collector: taken(&self.peer.from_collector).filter(|time| *time != NONE),
            in_stream: taken(&self.peer.in_stream).filter(|time| *time != NONE),
        }
    }
}

/// When the collector took the first event of a batch, where there is one.
pub fn collected_ms(output: &Output) -> Option<i64> {
    let first = output.enriched.iter().next()?;
    let column = first.split(|byte| *byte == b'\t').nth(Field::CollectorTstamp as usize)?;
    time::parse_ms(std::str::from_utf8(column).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_when_the_collector_took_it() {
        let mut output = Output::default();
        assert_eq!(collected_ms(&output), None);
        output.enriched.push_with(|out| {
            out.extend_from_slice(b"shop\tweb\t2024-05-01 10:11:13.000\t2024-05-01 10:11:12.345\t")
        });
        assert_eq!(collected_ms(&output), Some(1_714_558_272_345));
    }

    #[test]
    fn times_are_told_once_and_counts_for_ever() {
        let metrics = Metrics::new();
        let mut output = Output { too_long: 2, ..Output::default() };
        output.enriched.push_with(|out| out.extend_from_slice(b"four"));
        output.incomplete.push_with(|out| out.extend_from_slice(b"x"));
        metrics.processed(&output, std::time::Duration::ZERO);
        metrics.begun(1_000, 1_200);
        metrics.collected(1_000, 1_900);
        let first = metrics.figures();
        let expected = Figures {
            good_bytes: 5,
            failed: 1,
            invalid: 2,
            from_collector: Some(900),
            in_stream: Some(200),
            ..Figures::default()
        };
        assert_eq!(first, expected);
        let again = Figures { from_collector: None, in_stream: None, ..expected };
        assert_eq!(metrics.figures(), again);
    }
}
