//! What is counted of how a stream is read.

use std::time::Duration;

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::make::{counters, gauges};

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
    read_by: IntGaugeVec,
    subscriptions: IntCounterVec,
    trimmed: IntCounterVec,
    trimmed_seconds: IntCounterVec,
}

impl SourceMetrics {
    pub(super) fn new(r: &Registry) -> SourceMetrics {
        let shards = "Shards by how they are read, where subscriptions are asked for.";
        let subscriptions = "Subscriptions to shards, by what became of them.";
        let trimmed = "Positions that were no longer in the stream.";
        let seconds = "Time between such positions and the records after them.";
        SourceMetrics {
            trimmed: counters(r, "trimmed_positions_total", trimmed, &["shard"]),
            trimmed_seconds: counters(r, "trimmed_seconds_total", seconds, &["shard"]),
            read_by: gauges(r, "shards_read", shards, &["by"]),
            subscriptions: counters(r, "subscriptions_total", subscriptions, &["event"]),
        }
    }
}

impl super::Metrics {
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
