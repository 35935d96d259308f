//! What is counted of writing: lines, objects, requests that failed.

use pipeline::Route;
use prometheus::{IntCounter, IntCounterVec};

use super::Metrics;
use super::make::{Maker, counter, counters};

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

/// Why lines may be in a destination twice.
#[derive(Clone, Copy, Debug)]
pub enum Repeat {
    /// A stream may have taken the records of a request that it did not answer, or with an error of
    /// its own; they are sent again.
    AnswerLost,
    /// They were durable and not in the checkpoint when their lease was lost.
    LeaseLost,
    /// They were when a shard could not be worked, which is tried again.
    Failed,
    /// They were when the time to drain was over.
    Stopped,
}

#[derive(Clone, Debug)]
pub(super) struct WriteMetrics {
    lines: IntCounterVec,
    line_bytes: IntCounterVec,
    pub(super) objects: IntCounterVec,
    object_bytes: IntCounterVec,
    fallback: IntCounterVec,
    errors: IntCounterVec,
    unwanted: IntCounterVec,
    misfits: IntCounterVec,
    retries: IntCounterVec,
    lost_lines: IntCounter,
    repeated: IntCounterVec,
}

impl WriteMetrics {
    pub(super) fn new(r: &Maker) -> WriteMetrics {
        let by_sink = ["route", "sink"];
        let bytes = "Bytes of lines durable in a sink.";
        let written = "Bytes of objects written.";
        let fallback = "Lines that were too large for a stream and became objects.";
        let failed = "Requests of a sink that failed.";
        let unwanted = "Lines that no destination wants.";
        let repeated = "Lines that may be in a destination twice, by cause: `answer_lost`, of a \
                        request to a stream; `lease_lost`, `failed` and `stopped`, durable and \
                        past the checkpoint when a shard was left so. A worker that is killed \
                        counts nothing.";
        let misfits = "Values that fit no column of a table and stand in its column _misfits.";
        let retries = "Requests and entries that were tried again, by what they were.";
        WriteMetrics {
            lines: counters(r, "lines_total", "Lines durable in a sink.", &by_sink),
            line_bytes: counters(r, "line_bytes_total", bytes, &by_sink),
            objects: counters(r, "objects_total", "Objects written.", &["route"]),
            object_bytes: counters(r, "object_bytes_total", written, &["route"]),
            fallback: counters(r, "fallback_lines_total", fallback, &["route"]),
            errors: counters(r, "write_errors_total", failed, &by_sink),
            unwanted: counters(r, "unwanted_lines_total", unwanted, &["route"]),
            misfits: counters(r, "misfits_total", misfits, &["route"]),
            retries: counters(r, "retries_total", retries, &["what"]),
            repeated: counters(r, "duplicates_total", repeated, &["cause"]),
            lost_lines: counter(r, "lost_lines_total", "Lines given up with their lease."),
        }
    }
}

impl Metrics {
    /// Lines are durable in a sink.
    pub fn wrote(&self, route: Route, sink: &str, lines: usize, bytes: usize) {
        self.writing.lines.with_label_values(&[route.name(), sink]).inc_by(lines as u64);
        self.writing.line_bytes.with_label_values(&[route.name(), sink]).inc_by(bytes as u64);
    }

    /// A request of a sink failed.
    pub fn write_failed(&self, route: Route, sink: &str) {
        self.writing.errors.with_label_values(&[route.name(), sink]).inc();
    }

    /// No destination wants these lines, as the configuration has it.
    pub fn unwanted(&self, route: Route, lines: usize) {
        self.writing.unwanted.with_label_values(&[route.name()]).inc_by(lines as u64);
    }

    /// Values fit no column of a table.
    pub fn misfits(&self, route: Route, values: u64) {
        self.writing.misfits.with_label_values(&[route.name()]).inc_by(values);
    }

    /// An object is durable.
    pub fn object_written(&self, route: Route, bytes: usize) {
        self.writing.objects.with_label_values(&[route.name()]).inc();
        self.writing.object_bytes.with_label_values(&[route.name()]).inc_by(bytes as u64);
    }

    /// Lines were too large for a record of a stream.
    pub fn fell_back(&self, route: Route, lines: usize) {
        self.writing.fallback.with_label_values(&[route.name()]).inc_by(lines as u64);
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
        self.writing.retries.with_label_values(&[name]).inc();
    }

    /// Lines may be written twice.
    pub fn repeats(&self, why: Repeat, lines: u64) {
        let name = match why {
            Repeat::AnswerLost => "answer_lost",
            Repeat::LeaseLost => "lease_lost",
            Repeat::Failed => "failed",
            Repeat::Stopped => "stopped",
        };
        self.writing.repeated.with_label_values(&[name]).inc_by(lines);
    }

    /// Lines were lost with their lease: the next owner of their shard makes them again.
    pub fn lost(&self, lines: usize) {
        self.writing.lost_lines.inc_by(lines as u64);
    }
}
