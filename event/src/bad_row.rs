//! Bad rows: what could not become an enriched event, with the reason, in published form.
//!
//! Each function appends one line of compact JSON, self-describing under
//! `com.snowplowanalytics.snowplow.badrows`, members in the order of a running peer. Optional
//! members are written as `null`, never left out; the variants of a message carry no tag and are
//! told apart by their keys. Nothing is truncated here except by [`size_violation`].

use crate::event::Event;
use crate::fields::{Field, Kind};
use crate::json::{write_optional, write_string};
use crate::payload::CollectorPayload;
use crate::raw_event::{Parameter, RawEvent};
use crate::reason::{ClientError, Failure, Reason, RegistryError, RegistryHistory};
use crate::schema_key::SchemaVer;
use crate::time;

/// Who made a bad row: stands in each one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processor {
    /// The program.
    pub artifact: String,
    /// The version it runs in.
    pub version: String,
}

/// What every bad row of a batch shares.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// Who processes.
    pub processor: &'a Processor,
    /// When, in milliseconds since the epoch.
    pub now_ms: i64,
}

/// The kinds of bad row, each a published schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BadKind {
    /// The record is no collector payload. One row for each reason.
    CollectorPayloadFormatViolation,
    /// The adapter refused the payload. One row.
    AdapterFailures,
    /// The tracker protocol's adapters refused the payload. One row.
    TrackerProtocolViolations,
    /// Self-describing JSON of the event is not valid. One row for each event.
    SchemaViolations,
    /// A parameter or an enrichment failed. One row for each event.
    EnrichmentFailures,
    /// The event or its bad row is too large.
    SizeViolation,
    /// Something unexpected happened.
    GenericError,
}

impl BadKind {
    /// Every kind.
    pub const ALL: [BadKind; 7] = [
        BadKind::CollectorPayloadFormatViolation,
        BadKind::AdapterFailures,
        BadKind::TrackerProtocolViolations,
        BadKind::SchemaViolations,
        BadKind::EnrichmentFailures,
        BadKind::SizeViolation,
        BadKind::GenericError,
    ];

    /// The name in the schema's URI.
    pub const fn name(self) -> &'static str {
        match self {
            BadKind::CollectorPayloadFormatViolation => "collector_payload_format_violation",
            BadKind::AdapterFailures => "adapter_failures",
            BadKind::TrackerProtocolViolations => "tracker_protocol_violations",
            BadKind::SchemaViolations => "schema_violations",
            BadKind::EnrichmentFailures => "enrichment_failures",
            BadKind::SizeViolation => "size_violation",
            BadKind::GenericError => "generic_error",
        }
    }

    const fn version(self) -> &'static str {
        match self {
            BadKind::SchemaViolations | BadKind::EnrichmentFailures => "2-0-1",
            BadKind::TrackerProtocolViolations => "1-0-1",
            _ => "1-0-0",
        }
    }
}

/// A record that is no collector payload, for one of its reasons; `payload` is its Base64, or what
/// may be told of it.
pub fn format_violation(stamp: Stamp<'_>, reason: &Reason, payload: &str, out: &mut Vec<u8>) {
    open(BadKind::CollectorPayloadFormatViolation, stamp, out);
    put(",\"loader\":\"thrift\",\"message\":", out);
    match reason {
        // The part of the payload is named differently in this kind.
        Reason::Input { field, value, expectation } => {
            put("{\"payloadField\":", out);
            write_string(&field.text(), out);
            put(",\"value\":", out);
            write_optional(value.as_deref(), out);
            put(",\"expectation\":", out);
            write_string(&expectation.text(), out);
            put("}", out);
        }
        other => write_reason(other, out),
    }
    put("},\"payload\":", out);
    write_string(payload, out);
    put("}}", out);
}

/// A payload that its adapter refused; `kind` says which family of adapters.
pub fn adapter_failures(
    kind: BadKind,
    stamp: Stamp<'_>,
    reasons: &[Reason],
    payload: &CollectorPayload<'_>,
    out: &mut Vec<u8>,
) {
    open(kind, stamp, out);
    put(",\"vendor\":", out);
    write_string(payload.vendor, out);
    put(",\"version\":", out);
    write_string(payload.version, out);
    put(",\"messages\":", out);
    write_list(reasons, write_reason, out);
    put("},\"payload\":", out);
    write_payload(payload, out);
    put("}}", out);
}

/// An event with self-describing JSON that is not valid.
pub fn schema_violations(
    stamp: Stamp<'_>,
    reasons: &[Reason],
    event: &Event<'_>,
    raw: &RawEvent<'_>,
    out: &mut Vec<u8>,
) {
    open(BadKind::SchemaViolations, stamp, out);
    put(",\"messages\":", out);
    write_list(reasons, write_reason, out);
    close_with_event(event, raw, out);
}

/// An event of which a parameter or an enrichment failed.
pub fn enrichment_failures(
    stamp: Stamp<'_>,
    failures: &[Failure],
    event: &Event<'_>,
    raw: &RawEvent<'_>,
    out: &mut Vec<u8>,
) {
    open(BadKind::EnrichmentFailures, stamp, out);
    put(",\"messages\":", out);
    write_list(failures, write_failure, out);
    close_with_event(event, raw, out);
}

/// A line that is larger than the sink takes.
#[derive(Clone, Copy, Debug)]
pub struct Oversize<'a> {
    /// The largest size allowed, in bytes.
    pub max_bytes: usize,
    /// The line's size in bytes.
    pub actual_bytes: usize,
    /// What was expected.
    pub expectation: &'a str,
    /// The line, to be cut.
    pub line: &'a str,
    /// How many UTF-16 code units of it to keep.
    pub keep: usize,
}

/// An event, or a bad row, that is too large; its text is cut.
pub fn size_violation(stamp: Stamp<'_>, oversize: Oversize<'_>, out: &mut Vec<u8>) {
    open(BadKind::SizeViolation, stamp, out);
    put(",\"maximumAllowedSizeBytes\":", out);
    put(&oversize.max_bytes.to_string(), out);
    put(",\"actualSizeBytes\":", out);
    put(&oversize.actual_bytes.to_string(), out);
    put(",\"expectation\":", out);
    write_string(oversize.expectation, out);
    put("},\"payload\":", out);
    write_string(&cut(oversize.line, oversize.keep), out);
    put("}}", out);
}

/// Something unexpected. `payload` is what was being processed, as text.
pub fn generic_error(stamp: Stamp<'_>, errors: &[&str], payload: &str, out: &mut Vec<u8>) {
    open(BadKind::GenericError, stamp, out);
    put(",\"errors\":", out);
    write_list(errors, |error, out| write_string(error, out), out);
    put("},\"payload\":", out);
    write_string(payload, out);
    put("}}", out);
}

/// The first `units` UTF-16 code units; half of a surrogate pair becomes a question mark, as it
/// does when a peer encodes it.
fn cut(text: &str, units: usize) -> String {
    let mut left = units;
    let mut kept = String::with_capacity(units.min(text.len()));
    for character in text.chars() {
        match left.checked_sub(character.len_utf16()) {
            Some(rest) => left = rest,
            None => {
                kept.extend((left == 1).then_some('?'));
                break;
            }
        }
        kept.push(character);
    }
    kept
}

fn open(kind: BadKind, stamp: Stamp<'_>, out: &mut Vec<u8>) {
    put("{\"schema\":\"iglu:com.snowplowanalytics.snowplow.badrows/", out);
    put(kind.name(), out);
    put("/jsonschema/", out);
    put(kind.version(), out);
    put("\",\"data\":{\"processor\":{\"artifact\":", out);
    write_string(&stamp.processor.artifact, out);
    put(",\"version\":", out);
    write_string(&stamp.processor.version, out);
    put("},\"failure\":{\"timestamp\":\"", out);
    time::write_instant(stamp.now_ms, out);
    put("\"", out);
}

fn close_with_event(event: &Event<'_>, raw: &RawEvent<'_>, out: &mut Vec<u8>) {
    put("},\"payload\":{\"enriched\":", out);
    write_event(event, out);
    put(",\"raw\":", out);
    write_raw_event(raw, out);
    put("}}}", out);
}

/// One reason, as the lists of messages hold it.
pub fn write_reason(reason: &Reason, out: &mut Vec<u8>) {
    match reason {
        Reason::Simple { error } => {
            put("{\"error\":", out);
            write_string(&error.text(), out);
        }
        Reason::Input { field, value, expectation } => {
            put("{\"field\":", out);
            write_string(&field.text(), out);
            put(",\"value\":", out);
            write_optional(value.as_deref(), out);
            put(",\"expectation\":", out);
            write_string(&expectation.text(), out);
        }
        Reason::NotJson { field, value, error } => {
            put("{\"field\":", out);
            write_string(&field.text(), out);
            put(",\"value\":", out);
            write_optional(value.as_deref(), out);
            put(",\"error\":", out);
            write_string(&error.text(), out);
        }
        Reason::NotIglu { json, error } => {
            put("{\"json\":", out);
            put(json, out);
            put(",\"error\":", out);
            write_string(&error.to_string(), out);
        }
        Reason::CriterionMismatch { schema_key, criterion } => {
            put("{\"schemaKey\":", out);
            write_string(schema_key, out);
            put(",\"schemaCriterion\":", out);
            write_string(&criterion.to_string(), out);
        }
        Reason::Iglu { schema_key, error } => {
            put("{\"schemaKey\":", out);
            write_string(schema_key, out);
            put(",\"error\":", out);
            write_client_error(error, out);
        }
        Reason::SchemaMapping { actual, expected, expectation } => {
            put("{\"actual\":", out);
            write_optional(actual.as_deref(), out);
            put(",\"expectedMapping\":{", out);
            for (index, (kind, uri)) in expected.iter().enumerate() {
                separate(index, out);
                write_string(kind, out);
                put(":", out);
                write_string(uri, out);
            }
            put("},\"expectation\":", out);
            write_string(&expectation.text(), out);
        }
    }
    put("}", out);
}

fn write_failure(failure: &Failure, out: &mut Vec<u8>) {
    put("{\"enrichment\":", out);
    match &failure.enrichment {
        None => put("null", out),
        Some(id) => {
            put("{\"schemaKey\":", out);
            write_string(&id.schema_key, out);
            put(",\"identifier\":", out);
            write_string(id.identifier, out);
            put("}", out);
        }
    }
    put(",\"message\":", out);
    write_reason(&failure.reason, out);
    put("}", out);
}

fn write_client_error(error: &ClientError, out: &mut Vec<u8>) {
    let superseded = |version: &Option<SchemaVer>, out: &mut Vec<u8>| {
        if let Some(version) = version {
            put("\"supersededBy\":", out);
            write_string(&version.to_string(), out);
            put(",", out);
        }
    };
    put("{", out);
    match error {
        ClientError::Resolution { history } => {
            put("\"error\":\"ResolutionError\",\"lookupHistory\":", out);
            write_list(history, write_history, out);
        }
        ClientError::Invalid { superseded_by, violations } => {
            superseded(superseded_by, out);
            put("\"error\":\"ValidationError\",\"dataReports\":", out);
            let write = |violation: &crate::reason::Violation, out: &mut Vec<u8>| {
                put("{\"message\":", out);
                write_string(&violation.message, out);
                put(",\"path\":", out);
                write_optional(violation.path.as_deref(), out);
                put(",\"keyword\":", out);
                write_optional(violation.keyword.as_deref(), out);
                put(",\"targets\":", out);
                write_list(&violation.targets, |target, out| write_string(target, out), out);
                put("}", out);
            };
            write_list(violations, write, out);
        }
        ClientError::BadSchema { superseded_by, issues } => {
            superseded(superseded_by, out);
            put("\"error\":\"ValidationError\",\"schemaIssues\":", out);
            let write = |issue: &crate::reason::SchemaIssue, out: &mut Vec<u8>| {
                put("{\"path\":", out);
                write_string(&issue.path, out);
                put(",\"message\":", out);
                write_string(&issue.message, out);
                put("}", out);
            };
            write_list(issues, write, out);
        }
    }
    put("}", out);
}

fn write_history(history: &RegistryHistory, out: &mut Vec<u8>) {
    put("{\"repository\":", out);
    write_string(&history.repository, out);
    put(",\"errors\":", out);
    let write = |error: &RegistryError, out: &mut Vec<u8>| {
        let (kind, message) = match error {
            RegistryError::NotFound => ("NotFound", None),
            RegistryError::RepoFailure(message) => ("RepoFailure", Some(message)),
            RegistryError::ClientFailure(message) => ("ClientFailure", Some(message)),
        };
        put("{\"error\":", out);
        write_string(kind, out);
        if let Some(message) = message {
            put(",\"message\":", out);
            write_string(message, out);
        }
        put("}", out);
    };
    write_list(&history.errors, write, out);
    put(",\"attempts\":", out);
    put(&history.attempts.to_string(), out);
    put(",\"lastAttempt\":\"", out);
    time::write_instant(history.last_attempt_ms, out);
    put("\"}", out);
}

fn write_payload(payload: &CollectorPayload<'_>, out: &mut Vec<u8>) {
    member("{\"vendor\":", Some(payload.vendor), out);
    member(",\"version\":", Some(payload.version), out);
    put(",\"querystring\":", out);
    write_list(payload.querystring, write_parameter, out);
    member(",\"contentType\":", payload.content_type, out);
    member(",\"body\":", payload.body, out);
    member(",\"collector\":", payload.collector, out);
    member(",\"encoding\":", Some(payload.encoding), out);
    member(",\"hostname\":", payload.hostname, out);
    write_origin(payload, out);
    member(",\"networkUserId\":", payload.network_userid, out);
    put("}", out);
}

fn write_raw_event(raw: &RawEvent<'_>, out: &mut Vec<u8>) {
    let payload = raw.payload;
    member("{\"vendor\":", Some(payload.vendor), out);
    member(",\"version\":", Some(payload.version), out);
    put(",\"parameters\":", out);
    write_list(raw.parameters, write_parameter, out);
    member(",\"contentType\":", payload.content_type, out);
    member(",\"loaderName\":", payload.collector, out);
    member(",\"encoding\":", Some(payload.encoding), out);
    member(",\"hostname\":", payload.hostname, out);
    write_origin(payload, out);
    member(",\"userId\":", payload.network_userid, out);
    put("}", out);
}

/// The members that payload and raw event have alike: when and from where.
fn write_origin(payload: &CollectorPayload<'_>, out: &mut Vec<u8>) {
    put(",\"timestamp\":\"", out);
    time::write_instant_millis(payload.timestamp, out);
    put("\"", out);
    member(",\"ipAddress\":", payload.ip_address, out);
    member(",\"useragent\":", payload.useragent, out);
    member(",\"refererUri\":", payload.referer_uri, out);
    put(",\"headers\":", out);
    write_list(payload.headers, |header, out| write_string(header, out), out);
}

fn write_parameter(parameter: &Parameter<'_>, out: &mut Vec<u8>) {
    member("{\"name\":", Some(parameter.0), out);
    member(",\"value\":", parameter.1, out);
    put("}", out);
}

/// The event as far as it got, typed as the published schema has it.
fn write_event(event: &Event<'_>, out: &mut Vec<u8>) {
    put("{", out);
    for (field, value) in event.iter() {
        separate(field as usize, out);
        write_string(field.name(), out);
        put(":", out);
        let number = matches!(field.kind(), Kind::Int | Kind::Bool | Kind::Float);
        match value {
            None => put("null", out),
            // A transaction's id is an integer column that this schema types as a string.
            Some(text) if number && field != Field::TxnId => put(text, out),
            Some(text) => write_string(text, out),
        }
    }
    put("}", out);
}

fn member(key: &str, value: Option<&str>, out: &mut Vec<u8>) {
    put(key, out);
    write_optional(value, out);
}

fn write_list<T>(items: &[T], write: impl Fn(&T, &mut Vec<u8>), out: &mut Vec<u8>) {
    put("[", out);
    for (index, item) in items.iter().enumerate() {
        separate(index, out);
        write(item, out);
    }
    put("]", out);
}

fn separate(index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
}

fn put(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
}
