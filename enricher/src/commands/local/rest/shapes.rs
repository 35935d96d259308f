//! The JSON of good and bad events, in the shapes of Micro's public documentation.

use std::sync::Arc;

use event::{Bump, CollectorPayload, Field, RawEvent, flat, time, tsv};
use pipeline::load::{self, RecordEncoding};
use pipeline::schema_check::SchemaCheck;
use pipeline::{Settings, adapt};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use validator::Schemas;

use super::super::store::Kept;
use super::{ANSWER_BYTES, Rest};

/// What an event says of itself besides its columns.
pub(super) struct About<'a> {
    /// The column `event`: `page_view`, `unstruct`, …
    pub(super) event: &'a str,
    /// The event's schema.
    pub(super) schema: Option<String>,
    /// The schemas of the entities that were sent with it.
    pub(super) contexts: Vec<String>,
}

impl About<'_> {
    /// Reads an enriched line.
    pub(super) fn of(line: &str) -> Option<About<'_>> {
        let columns = tsv::columns(line)?;
        let column = |field: Field| columns[field as usize];
        let schema =
            [Field::EventVendor, Field::EventName, Field::EventFormat, Field::EventVersion]
                .map(column);
        let schema = schema.iter().all(|part| !part.is_empty()).then(|| {
            let parts = schema.join("/");
            format!("iglu:{parts}")
        });
        let contexts: Value = serde_json::from_str(column(Field::Contexts)).unwrap_or_default();
        let contexts = contexts["data"].as_array().into_iter().flatten();
        let contexts = contexts.filter_map(|entity| entity["schema"].as_str().map(str::to_owned));
        Some(About { event: column(Field::Event), schema, contexts: contexts.collect() })
    }
}

/// Reads records back into what trackers sent.
pub(super) struct Reader {
    settings: Settings,
    schemas: Schemas,
}

impl Reader {
    pub(super) fn new(rest: &Rest) -> Reader {
        let (settings, schemas) = (rest.inner.settings.clone(), rest.inner.resolver.schemas());
        Reader { settings, schemas }
    }

    /// A list of the events for which `write` writes something, and how many of them had no room.
    pub(super) fn list(
        &self,
        kept: &[Arc<Kept>],
        limit: Option<usize>,
        write: impl Fn(
            &Kept,
            Option<&CollectorPayload<'_>>,
            Option<&RawEvent<'_>>,
            &mut Vec<u8>,
        ) -> Option<()>,
    ) -> (Vec<u8>, usize) {
        let (mut out, mut written, mut left_out) = (vec![b'['], 0, 0);
        let most = limit.unwrap_or(usize::MAX);
        // Events of one record stand beside each other: it is read once for all of them.
        for of_one in kept.chunk_by(|a, b| a.shard == b.shard && a.sequence == b.sequence) {
            if written == most {
                break;
            }
            let arena = Bump::new();
            let payload = load::payload(of_one[0].record(), RecordEncoding::Plain, &arena).ok();
            let payload: Option<&CollectorPayload<'_>> =
                payload.map(|payload| &*arena.alloc(payload));
            let mut check = SchemaCheck::new(&self.schemas, &self.settings);
            let adapted = payload.and_then(|payload| {
                adapt::events(payload, &self.settings.adapters, &mut check, &arena).ok()
            });
            for event in of_one.iter().take(most - written) {
                let raw = adapted.as_ref().and_then(|all| all.events.get(event.index as usize));
                let before = out.len();
                if before > 1 {
                    out.push(b',');
                }
                let done = write(event, payload, raw, &mut out).is_some();
                let fits = out.len() <= ANSWER_BYTES;
                match (done, fits && left_out == 0) {
                    (true, true) => written += 1,
                    (done, _) => {
                        out.truncate(before);
                        left_out += usize::from(done);
                    }
                }
            }
        }
        out.push(b']');
        (out, left_out)
    }
}

/// Appends a good event.
pub(super) fn good(
    line: &str,
    about: &About<'_>,
    payload: Option<&CollectorPayload<'_>>,
    raw: Option<&RawEvent<'_>>,
    out: &mut Vec<u8>,
) -> Option<()> {
    let good = json!({
        "rawEvent": raw.map(raw_event).or_else(|| payload.map(without_parameters)),
        "eventType": about.event,
        "schema": about.schema,
        "contexts": about.contexts,
    });
    let start = out.len();
    serde_json::to_writer(&mut *out, &good).expect("memory takes it");
    out.pop();
    out.extend(b",\"event\":");
    let event = out.len();
    flat::write_columns(line, out).ok()?;
    // What a script put into a column of JSON may be none.
    if serde_json::from_slice::<&RawValue>(&out[event..]).is_err() {
        out.truncate(start);
        return None;
    }
    out.push(b'}');
    Some(())
}

/// Appends a bad event.
pub(super) fn bad(
    row: &[u8],
    payload: Option<&CollectorPayload<'_>>,
    raw: Option<&RawEvent<'_>>,
    out: &mut Vec<u8>,
) {
    let what = match (payload, raw) {
        (Some(_), Some(_)) => "Error while validating the event",
        (Some(_), None) => "Error while extracting events from the payload",
        (None, _) => "Error while reading the payload",
    };
    let bad = json!({
        "collectorPayload": payload.map(collector_payload),
        "rawEvent": raw.map(raw_event),
        "errors": [what, String::from_utf8_lossy(row)],
    });
    serde_json::to_writer(out, &bad).expect("memory takes it");
}

fn collector_payload(payload: &CollectorPayload<'_>) -> Value {
    let parameter = |(name, value): &(&str, Option<&str>)| json!({"name": name, "value": value});
    json!({
        "api": {"vendor": payload.vendor, "version": payload.version},
        "querystring": payload.querystring.iter().map(parameter).collect::<Vec<_>>(),
        "contentType": payload.content_type,
        "body": payload.body,
        "source": source(payload),
        "context": context(payload),
    })
}

fn raw_event(raw: &RawEvent<'_>) -> Value {
    let mut event = without_parameters(raw.payload);
    event["parameters"] = serde_json::to_value(Parameters(raw)).expect("names are texts");
    event
}

fn without_parameters(payload: &CollectorPayload<'_>) -> Value {
    json!({
        "api": {"vendor": payload.vendor, "version": payload.version},
        "parameters": {},
        "contentType": payload.content_type,
        "source": source(payload),
        "context": context(payload),
    })
}

struct Parameters<'r, 'a>(&'r RawEvent<'a>);

impl Serialize for Parameters<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.parameters.len()))?;
        for (name, value) in self.0.parameters {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn source(payload: &CollectorPayload<'_>) -> Value {
    json!({"name": payload.collector, "encoding": payload.encoding, "hostname": payload.hostname})
}

fn context(payload: &CollectorPayload<'_>) -> Value {
    json!({
        "timestamp": instant(payload.timestamp),
        "ipAddress": payload.ip_address,
        "useragent": payload.useragent,
        "refererUri": payload.referer_uri,
        "headers": payload.headers,
        "userId": payload.network_userid,
    })
}

/// As in `2021-08-29T12:01:05.787Z`.
pub(super) fn instant(ms: i64) -> String {
    let mut text = Vec::new();
    time::write_instant_millis(ms, &mut text);
    String::from_utf8(text).expect("it is ASCII")
}
