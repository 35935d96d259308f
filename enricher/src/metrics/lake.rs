//! What tables of Iceberg report: links that wait, and what was appended.

use std::time::Duration;

use prometheus::{IntCounter, IntCounterVec, IntGaugeVec};

use super::Metrics;
use super::make::{Maker, counter, counters, gauges};

/// The metrics of tables of Iceberg. Those of commits are told by the worker that commits.
#[derive(Clone, Debug)]
pub(super) struct LakeMetrics {
    commits: IntCounterVec,
    files: IntCounterVec,
    rows: IntCounterVec,
    millis: IntCounterVec,
    waiting: IntGaugeVec,
    oldest: IntGaugeVec,
    nobodys: IntCounter,
}

impl LakeMetrics {
    pub(super) fn new(r: &Maker) -> LakeMetrics {
        let by_table = ["table"];
        let commits = "Commits to a table of Iceberg. This and what follows is told by the worker \
                       that commits.";
        let files = "Data files that commits appended.";
        let rows = "Rows that commits appended.";
        let millis = "How long rounds of commits took that appended to a table.";
        let waiting =
            "Links that some table does not have yet; 0 at a worker that does not commit.";
        let oldest = "How long ago the oldest of these was written.";
        let nobodys = "Links that came after their shard had another owner, and were removed.";
        LakeMetrics {
            commits: counters(r, "iceberg_commits_total", commits, &by_table),
            files: counters(r, "iceberg_files_total", files, &by_table),
            rows: counters(r, "iceberg_rows_total", rows, &by_table),
            millis: counters(r, "iceberg_commit_milliseconds_total", millis, &by_table),
            waiting: gauges(r, "iceberg_links_waiting", waiting, &["namespace"]),
            oldest: gauges(r, "iceberg_oldest_link_seconds", oldest, &["namespace"]),
            nobodys: counter(r, "iceberg_late_links_total", nobodys),
        }
    }
}

impl Metrics {
    /// Files are in a table.
    pub fn committed(&self, table: &str, files: usize, rows: u64, took: Duration) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.lake.commits.with_label_values(&[table]).inc();
        self.lake.files.with_label_values(&[table]).inc_by(files as u64);
        self.lake.rows.with_label_values(&[table]).inc_by(rows);
        self.lake.millis.with_label_values(&[table]).inc_by(millis);
    }

    /// So many links wait for tables of a namespace, the oldest of them for so long.
    pub fn links_wait(&self, namespace: &str, links: usize, oldest: Duration) {
        let set = |gauge: &IntGaugeVec, value| gauge.with_label_values(&[namespace]).set(value);
        set(&self.lake.waiting, i64::try_from(links).unwrap_or(i64::MAX));
        set(&self.lake.oldest, i64::try_from(oldest.as_secs()).unwrap_or(i64::MAX));
    }

    /// A link came too late.
    pub fn link_of_nobody(&self) {
        self.lake.nobodys.inc();
    }
}
