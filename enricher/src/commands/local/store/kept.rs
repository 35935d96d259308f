//! One event of the store: its line, the record it is of, and what one may want to find it by.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use event::{Bump, Field};
use lease::{SequenceNumber, ShardId};
use serde_json::Value;

use crate::batch::{Batch, Record};
use crate::witness::Seen;
use pipeline::load::{self, RecordEncoding};
use pipeline::parked::{Parked, Reason};
use pipeline::{Route, Verdict};

/// What an event occupies besides its texts.
const ABOUT: usize = 320;

/// So many characters of what an event is about are shown in a list.
const GIST: usize = 160;

/// Envelopes, which say nothing of what is in them.
const ENVELOPES: [&str; 2] = [
    "iglu:com.snowplowanalytics.snowplow/unstruct_event/",
    "iglu:com.snowplowanalytics.snowplow/contexts/",
];

/// An event, or a payload that failed whole, and what became of it.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Its place among all events of the run.
    pub(crate) number: u64,
    /// What became of it: enriched, bad, incomplete or parked.
    pub(crate) route: Route,
    /// When it was processed, in milliseconds since the epoch.
    pub(crate) at_ms: i64,
    /// Who did.
    pub(crate) worker: Arc<str>,
    /// The shard of its record.
    pub(crate) shard: ShardId,
    /// The number of its record.
    pub(crate) sequence: SequenceNumber,
    /// The event's index in the record.
    pub(crate) index: u32,
    /// Its `event_id`; empty where it has none.
    pub(crate) id: Box<str>,
    /// Its application; empty where it has none.
    pub(crate) app: Arc<str>,
    /// Its name, `page_view`; empty where it has none.
    pub(crate) event: Arc<str>,
    /// The schemas it is about: those it failed, its own, its entities'.
    pub(crate) schemas: Box<[Arc<str>]>,
    /// What it is about, or what is wrong with it, in a few words.
    pub(crate) gist: Box<str>,
    line: Box<[u8]>,
    record: Bytes,
    /// What it counts for of its record's bytes, which all events of the record share.
    share: usize,
}

/// What a line says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct About {
    id: String,
    app: String,
    event: String,
    schemas: Vec<String>,
    gist: String,
}

/// An event that has no number yet.
pub(super) struct New {
    pub(super) route: Route,
    pub(super) app: String,
    pub(super) event: String,
    pub(super) schemas: Vec<String>,
    rest: Rest,
}

struct Rest {
    at_ms: i64,
    worker: Arc<str>,
    shard: ShardId,
    sequence: SequenceNumber,
    index: u32,
    id: String,
    gist: String,
    line: Box<[u8]>,
    record: Bytes,
    share: usize,
}

impl Kept {
    pub(super) fn new(
        number: u64,
        new: New,
        app: Arc<str>,
        event: Arc<str>,
        schemas: Box<[Arc<str>]>,
    ) -> Kept {
        let Rest { at_ms, worker, shard, sequence, index, id, gist, line, record, share } =
            new.rest;
        let (route, id, gist) = (new.route, id.into(), gist.into());
        Kept {
            number,
            route,
            at_ms,
            worker,
            shard,
            sequence,
            index,
            id,
            app,
            event,
            schemas,
            gist,
            line,
            record,
            share,
        }
    }

    /// Its line, as a file has it, without the newline. Events of one parked record share one.
    pub(crate) fn line(&self) -> &[u8] {
        &self.line
    }

    /// The record that it is of, as a collector wrote it.
    pub(crate) fn record(&self) -> &Bytes {
        &self.record
    }

    /// Roughly what it occupies.
    pub(super) fn size(&self) -> usize {
        ABOUT + self.line.len() + self.share + self.id.len() + self.gist.len()
    }
}

/// The events of a batch in order, incomplete ones behind the bad row that they go with.
pub(super) fn of(seen: &Seen) -> Vec<New> {
    let Seen { batch, output, .. } = seen;
    let (mut enriched, mut bad) = (output.enriched.iter(), output.bad.iter());
    let mut parked = output.parked.iter();
    let mut incomplete = incomplete(seen);
    let mut waiting: Option<(u32, &[u8], usize)> = None;
    let mut events = Vec::with_capacity(output.verdicts.len());
    let mut of_record = vec![0; batch.records.len()];
    output.verdicts.iter().for_each(|(record, _)| of_record[*record as usize] += 1);
    let (mut at, mut index) = (0, 0);
    for (record, verdict) in &output.verdicts {
        index = if *record == at { index } else { 0 };
        at = *record;
        let source = (&batch.records[at as usize], of_record[at as usize]);
        let expected = "every verdict has its line";
        match verdict {
            Verdict::Enriched => {
                let line = enriched.next().expect(expected);
                events.push(new(seen, source, index, Route::Enriched, line, of_event(line)));
            }
            Verdict::Bad(kind) => {
                let line = bad.next().expect(expected);
                let about = of_bad_row(line, kind.name());
                let with = incomplete.remove(&about.id);
                let with = with.map(|line| (line, incomplete_of(of_event(line), &about)));
                events.push(new(seen, source, index, Route::Bad, line, about));
                if let Some((line, about)) = with {
                    events.push(new(seen, source, index, Route::Incomplete, line, about));
                }
            }
            Verdict::Parked => {
                // One line stands for all events of the record that wait.
                let (line, nth) = match waiting {
                    Some((of, line, nth)) if of == at => (line, nth + 1),
                    _ => (parked.next().expect(expected), 0),
                };
                waiting = Some((at, line, nth));
                let (index, about) = of_parked(line, nth, &source.0.data, index);
                events.push(new(seen, source, index, Route::Parked, line, about));
            }
            Verdict::Dropped => {}
        }
        index += 1;
    }
    events
}

/// An incomplete event lacks what was wrong, its name, too, if that is where it was.
fn incomplete_of(event: About, bad: &About) -> About {
    About { event: bad.event.clone(), gist: bad.gist.clone(), ..event }
}

/// Incomplete events by their ids.
fn incomplete(seen: &Seen) -> HashMap<String, &[u8]> {
    let lines = seen.output.incomplete.iter();
    lines.map(|line| (of_event(line).id, line)).collect()
}

fn new(
    seen: &Seen,
    (record, events): (&Record, usize),
    index: u32,
    route: Route,
    line: &[u8],
    mut about: About,
) -> New {
    if about.app.is_empty() && about.event.is_empty() && route != Route::Enriched {
        let sent = sent(&record.data, index).unwrap_or_default();
        about = About { app: sent.app, event: sent.event, ..about };
    }
    let Batch { shard, .. } = &seen.batch;
    let About { id, app, event, schemas, gist } = about;
    let rest = Rest {
        at_ms: seen.now_ms,
        worker: Arc::clone(&seen.worker),
        shard: shard.clone(),
        sequence: record.sequence.clone(),
        index,
        id,
        gist: gist.chars().take(GIST).collect(),
        line: line.into(),
        record: record.data.clone(),
        share: record.data.len().div_ceil(events),
    };
    New { route, app, event, schemas, rest }
}

/// What an enriched line says.
fn of_event(line: &[u8]) -> About {
    let line = String::from_utf8_lossy(line);
    let Some(columns) = event::tsv::columns(&line) else { return About::default() };
    let column = |field: Field| columns[field as usize];
    let mut schemas = Vec::new();
    if !column(Field::EventName).is_empty() {
        let parts = [Field::EventVendor, Field::EventName, Field::EventFormat, Field::EventVersion];
        schemas.push(format!("iglu:{}", parts.map(column).join("/")));
    }
    for field in [Field::UnstructEvent, Field::Contexts, Field::DerivedContexts] {
        mentioned(column(field), &mut schemas);
    }
    let event = [Field::EventName, Field::Event].map(column);
    let event = event.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
    About {
        id: column(Field::EventId).to_owned(),
        app: column(Field::AppId).to_owned(),
        event: event.to_owned(),
        schemas,
        gist: gist(column),
    }
}

/// What an event is about.
fn gist<'l>(column: impl Fn(Field) -> &'l str) -> String {
    let joined = |fields: &[Field]| {
        let texts = fields.iter().map(|field| column(*field)).filter(|text| !text.is_empty());
        texts.collect::<Vec<_>>().join(" · ")
    };
    match column(Field::Event) {
        "struct" => joined(&[Field::SeCategory, Field::SeAction, Field::SeLabel, Field::SeValue]),
        "transaction" => joined(&[Field::TrOrderid, Field::TrTotal, Field::TrCurrency]),
        "transaction_item" => joined(&[Field::TiOrderid, Field::TiSku, Field::TiName]),
        "unstruct" => {
            let data = serde_json::from_str::<Value>(column(Field::UnstructEvent)).ok();
            let data = data.as_ref().and_then(|json| json.pointer("/data/data"));
            data.map_or_else(String::new, |data| members(data, 4))
        }
        _ => {
            let url = [Field::PageUrl, Field::PageTitle].map(column);
            url.into_iter().find(|text| !text.is_empty()).unwrap_or_default().to_owned()
        }
    }
}

/// The first members of an object, `sku: A-1, price: 3`.
fn members(data: &Value, most: usize) -> String {
    let Value::Object(members) = data else { return data.to_string() };
    let shown = members.iter().take(most).map(|(name, value)| match value {
        Value::String(text) => format!("{name}: {text}"),
        other => format!("{name}: {other}"),
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// What a bad row says, and why it is one.
fn of_bad_row(line: &[u8], kind: &str) -> About {
    let row: Value = serde_json::from_slice(line).unwrap_or_default();
    let null = Value::Null;
    let failure = row.pointer("/data/failure").unwrap_or(&null);
    let enriched = row.pointer("/data/payload/enriched").unwrap_or(&null);
    let column = |field: Field| enriched.get(field.name()).and_then(Value::as_str).unwrap_or("");
    let mut schemas: Vec<String> = Vec::new();
    let messages = failure.get("messages").and_then(Value::as_array).into_iter().flatten();
    for message in messages {
        let about = message.get("message").filter(|inner| inner.is_object()).unwrap_or(message);
        let failed = about.get("schemaKey").and_then(Value::as_str);
        schemas.extend(failed.map(str::to_owned));
    }
    for field in [Field::UnstructEvent, Field::Contexts, Field::DerivedContexts] {
        mentioned(column(field), &mut schemas);
    }
    let mut distinct = Vec::new();
    for schema in schemas {
        if !distinct.contains(&schema) {
            distinct.push(schema);
        }
    }
    let event = match (column(Field::EventName), column(Field::Event)) {
        ("", "unstruct") => inner_name(column(Field::UnstructEvent)).unwrap_or("unstruct".into()),
        ("", "struct") => "event".to_owned(),
        ("", event) => event.to_owned(),
        (name, _) => name.to_owned(),
    };
    About {
        id: column(Field::EventId).to_owned(),
        app: column(Field::AppId).to_owned(),
        event,
        schemas: distinct,
        gist: format!("{}: {}", kind.replace('_', " "), first_reason(failure)),
    }
}

/// The name of what is in a self-describing event's envelope.
fn inner_name(json: &str) -> Option<String> {
    let json: Value = serde_json::from_str(json).ok()?;
    let uri = json.pointer("/data/schema")?.as_str()?;
    uri.split('/').nth(1).map(str::to_owned)
}

/// The first thing that is wrong, in the row's own words.
fn first_reason(failure: &Value) -> String {
    let first = |name: &str| failure.get(name).and_then(|list| list.get(0));
    let message = first("messages").or(failure.get("message")).or(first("errors"));
    let message = message.unwrap_or(failure);
    let message = message.get("message").filter(|inner| inner.is_object()).unwrap_or(message);
    let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str);
    let reports = ["/error/dataReports/0/message", "/error/schemaIssues/0/message"];
    let name = message.get("schemaKey").and_then(Value::as_str);
    let said = reports.into_iter().find_map(text);
    if let (Some(said), Some(uri)) = (said, name) {
        return format!("{}: {said}", uri.split('/').nth(1).unwrap_or(uri));
    }
    if let (Some("ResolutionError"), Some(uri)) = (text("/error/error"), name) {
        return format!("{uri} is in no registry");
    }
    let field = text("/field").or(text("/payloadField"));
    let said = text("/expectation").or(text("/error")).or(message.as_str());
    match (field, said) {
        (Some(field), Some(said)) => format!("{field}: {said}"),
        (None, Some(said)) => said.to_owned(),
        _ => message.to_string(),
    }
}

/// What a parked line says of the n-th event that waits in it; its index in the record, too.
fn of_parked(line: &[u8], nth: usize, record: &[u8], index: u32) -> (u32, About) {
    let Ok(parked) = Parked::parse(line) else { return (index, About::default()) };
    let waiting = parked.events.as_ref().and_then(|events| events.get(nth));
    let index = waiting.map_or(index, |waiting| waiting.index);
    let (mut schemas, gist) = match parked.reason {
        Reason::SchemasUnavailable(schemas) => {
            let gist = format!("waits for {}", schemas.join(", "));
            (schemas, gist)
        }
        Reason::LookupsUnavailable(lookups) => {
            (Vec::new(), format!("waits for a look-up: {}", lookups.join(", ")))
        }
        Reason::Unavailable { schemas, lookups } => {
            let gist = format!("waits for {}, {}", schemas.join(", "), lookups.join(", "));
            (schemas, gist)
        }
        Reason::KilledWorkers(workers) => {
            (Vec::new(), format!("{workers} workers died on its record"))
        }
        Reason::Compressed(format) => (Vec::new(), format!("its record is compressed: {format}")),
    };
    let id = waiting.map(|waiting| waiting.event_id.clone()).unwrap_or_default();
    let sent = sent(record, index).unwrap_or_default();
    schemas.extend(sent.schemas);
    (index, About { id, app: sent.app, event: sent.event, schemas, gist })
}

/// What a tracker sent as the event of an index, where it can be told.
fn sent(record: &[u8], index: u32) -> Option<About> {
    let arena = Bump::new();
    let payload = load::payload(record, RecordEncoding::Plain, &arena).ok()?;
    let body: Option<Value> = payload.body.and_then(|body| serde_json::from_str(body).ok());
    let body = body.as_ref().and_then(|body| body.get("data")?.get(index as usize));
    let parameter = |name: &str| {
        let mut query = payload.querystring.iter();
        let in_query = || query.find(|(of, _)| *of == name).and_then(|(_, value)| *value);
        let in_body = body.and_then(|body| body.get(name)?.as_str());
        in_body.or_else(in_query).unwrap_or_default().to_owned()
    };
    let event = match parameter("e").as_str() {
        "pv" => "page_view".to_owned(),
        "pp" => "page_ping".to_owned(),
        "se" => "event".to_owned(),
        "tr" => "transaction".to_owned(),
        "ti" => "transaction_item".to_owned(),
        "ue" => inner_name(&parameter("ue_pr")).unwrap_or_else(|| "unstruct".to_owned()),
        other => other.to_owned(),
    };
    Some(About { app: parameter("aid"), event, ..About::default() })
}

/// Adds the schemas that a text of JSON mentions and that are not there yet.
fn mentioned(json: &str, schemas: &mut Vec<String>) {
    const KEY: &str = "\"schema\":\"iglu:";
    for at in memchr::memmem::find_iter(json.as_bytes(), KEY) {
        let uri = &json[at + KEY.len() - "iglu:".len()..];
        let uri = uri.split('"').next().unwrap_or_default();
        let envelope = ENVELOPES.iter().any(|envelope| uri.starts_with(envelope));
        if !envelope && !schemas.iter().any(|known| known == uri) {
            schemas.push(uri.to_owned());
        }
    }
}
