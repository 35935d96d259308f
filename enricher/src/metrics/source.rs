//! What is counted of how a stream is read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::make::{Maker, counter, counters, gauges};
use super::progress::{Age, Retention};
use crate::batch::Batch;

/// What became of a subscription to a shard.
#[derive(Clone, Copy, Debug)]
pub enum Subscription {
    /// The stream has granted it.
    Begun,
    /// It came to its end.
    Ended,
    /// It was cut off before that.
    Failed,
    /// Its connection was silent for too long.
    Silent,
    /// It was not granted, and the shard is polled for a while.
    Refused,
}

/// A shard that is read in one way. Dropped when it no longer is.
#[derive(Debug)]
pub struct ReadBy(IntGauge);

#[derive(Clone, Debug)]
pub(super) struct SourceMetrics {
    records: IntCounterVec,
    record_bytes: IntCounterVec,
    batches: IntCounter,
    listings: IntCounterVec,
    pub(super) lag_millis: IntGaugeVec,
    pub(super) undurable_seconds: IntGaugeVec,
    read_by: IntGaugeVec,
    subscriptions: IntCounterVec,
    trimmed: IntCounterVec,
    trimmed_seconds: IntCounterVec,
    retention: IntGaugeVec,
    retention_left: IntGaugeVec,
    compressed: IntCounter,
    retentions: Arc<Mutex<Retentions>>,
}

/// How long each stream keeps records, by its name.
type Retentions = Vec<(String, Arc<Retention>)>;

impl SourceMetrics {
    pub(super) fn new(r: &Maker) -> SourceMetrics {
        let lag = "How far the reader is behind the shard's tip.";
        let undurable = "Age of the oldest record that is not durable.";
        let listings = "Listings of the stream's shards.";
        let shards = "Shards by how they are read, where subscriptions are asked for.";
        let subscriptions = "Subscriptions to shards, by what became of them.";
        let trimmed = "Positions that were no longer in the stream.";
        let seconds = "Time between such positions and the records after them.";
        let kept = "How long a stream keeps records.";
        let left = "Until the shard's oldest record that is not durable expires.";
        let compressed = "Records that were parked since they are compressed.";
        SourceMetrics {
            retention: gauges(r, "retention_seconds", kept, &["stream"]),
            retention_left: gauges(r, "retention_left_seconds", left, &["shard"]),
            compressed: counter(r, "compressed_records_total", compressed),
            retentions: Arc::default(),
            records: counters(r, "records_total", "Records read.", &["shard"]),
            record_bytes: counters(r, "record_bytes_total", "Bytes of records read.", &["shard"]),
            batches: counter(r, "batches_read_total", "Batches read."),
            listings: counters(r, "shard_listings_total", listings, &["result"]),
            lag_millis: gauges(r, "lag_milliseconds", lag, &["shard"]),
            undurable_seconds: gauges(r, "undurable_seconds", undurable, &["shard"]),
            trimmed: counters(r, "trimmed_positions_total", trimmed, &["shard"]),
            trimmed_seconds: counters(r, "trimmed_seconds_total", seconds, &["shard"]),
            read_by: gauges(r, "shards_read", shards, &["by"]),
            subscriptions: counters(r, "subscriptions_total", subscriptions, &["event"]),
        }
    }
}

impl SourceMetrics {
    /// Records were parked since they are compressed.
    pub(super) fn compressed(&self, records: u32) {
        self.compressed.inc_by(u64::from(records));
    }

    /// Records read, of all shards.
    pub(super) fn all_records(&self) -> u64 {
        let families = self.records.collect();
        let metrics = families.iter().flat_map(|family| family.get_metric());
        metrics.map(|metric| metric.get_counter().get_value() as u64).sum()
    }

    /// Says how long records have before they expire.
    pub(super) fn expire(&self, ages: &[Age]) {
        self.retention_left.reset();
        for Age { shard, undurable, retention, .. } in ages {
            let Some(retention) = retention else { continue };
            let left = retention.saturating_sub(*undurable);
            self.retention_left.with_label_values(&[shard]).set(left.as_secs() as i64);
        }
        for (stream, retention) in self.retentions().iter() {
            if let Some(retention) = retention.get() {
                self.retention.with_label_values(&[stream]).set(retention.as_secs() as i64);
            }
        }
    }

    fn retentions(&self) -> MutexGuard<'_, Retentions> {
        self.retentions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl super::Metrics {
    /// Where a stream that is read says how long it keeps records.
    pub fn retention(&self, stream: &str) -> Arc<Retention> {
        let retention = Arc::<Retention>::default();
        self.source.retentions().push((stream.to_owned(), Arc::clone(&retention)));
        retention
    }

    /// How old things are, of each shard that is read.
    pub fn ages(&self) -> Vec<Age> {
        self.progress.now(crate::clock::now_ms())
    }

    /// A batch was read.
    pub fn batch_read(&self, batch: &Batch) {
        let shard = [batch.shard.as_str()];
        self.source.records.with_label_values(&shard).inc_by(batch.records.len() as u64);
        self.source.record_bytes.with_label_values(&shard).inc_by(batch.bytes() as u64);
        self.source.batches.inc();
    }

    /// The stream's shards were listed, or not.
    pub fn listed(&self, result: Result<(), ()>) {
        let name = if result.is_ok() { "ok" } else { "failed" };
        self.source.listings.with_label_values(&[name]).inc();
    }

    /// A position was no longer in the stream; where it is known, the time until the oldest record
    /// that still is.
    pub fn trimmed(&self, shard: &str, gap: Option<Duration>) {
        self.source.trimmed.with_label_values(&[shard]).inc();
        let seconds = gap.unwrap_or_default().as_secs();
        self.source.trimmed_seconds.with_label_values(&[shard]).inc_by(seconds);
    }

    /// A shard is read in this way as long as the answer lives.
    pub fn reads_by(&self, way: &str) -> ReadBy {
        let shards = self.source.read_by.with_label_values(&[way]);
        shards.inc();
        ReadBy(shards)
    }

    /// Something became of a subscription.
    pub fn subscription(&self, event: Subscription) {
        let name = match event {
            Subscription::Begun => "begun",
            Subscription::Ended => "ended",
            Subscription::Failed => "failed",
            Subscription::Silent => "silent",
            Subscription::Refused => "refused",
        };
        self.source.subscriptions.with_label_values(&[name]).inc();
    }
}

impl Drop for ReadBy {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn a_scrape_says_how_long_records_have() {
        let metrics = Metrics::new();
        let retention = metrics.retention("payloads");
        let reading = metrics.reading("a", Duration::from_secs(60), &retention);
        reading.answered(Duration::from_secs(80_000));
        assert!(!metrics.text().contains("retention_left_seconds{"), "nothing is known");
        retention.set(Duration::from_secs(86_400));
        let text = metrics.text();
        for line in [
            "snowmelt_retention_seconds{stream=\"payloads\"} 86400",
            "snowmelt_retention_left_seconds{shard=\"a\"} 6400",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        reading.answered(Duration::from_secs(90_000));
        assert!(metrics.text().contains("retention_left_seconds{shard=\"a\"} 0"));
    }
}
