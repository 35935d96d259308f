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

#[derive(Clone, Debug)]
pub(super) struct WriteMetrics {
    lines: IntCounterVec,
    line_bytes: IntCounterVec,
    pub(super) objects: IntCounterVec,
    object_bytes: IntCounterVec,
    fallback: IntCounterVec,
    errors: IntCounterVec,
    unwanted: IntCounterVec,
    retries: IntCounterVec,
    lost_lines: IntCounter,
}

impl WriteMetrics {
    pub(super) fn new(r: &Maker) -> WriteMetrics {
        let by_sink = ["route", "sink"];
        let bytes = "Bytes of lines durable in a sink.";
        let written = "Bytes of objects written.";
        let fallback = "Lines that were too large for a stream and became objects.";
        let failed = "Requests of a sink that failed.";
        let unwanted = "Lines that no destination wants.";
        let retries = "Requests and entries that were tried again, by what they were.";
        WriteMetrics {
            lines: counters(r, "lines_total", "Lines durable in a sink.", &by_sink),
            line_bytes: counters(r, "line_bytes_total", bytes, &by_sink),
            objects: counters(r, "objects_total", "Objects written.", &["route"]),
            object_bytes: counters(r, "object_bytes_total", written, &["route"]),
            fallback: counters(r, "fallback_lines_total", fallback, &["route"]),
            errors: counters(r, "write_errors_total", failed, &by_sink),
            unwanted: counters(r, "unwanted_lines_total", unwanted, &["route"]),
            retries: counters(r, "retries_total", retries, &["what"]),
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

    /// Lines were lost with their lease: the next owner of their shard makes them again.
    pub fn lost(&self, lines: usize) {
        self.writing.lost_lines.inc_by(lines as u64);
    }
}
