//! Bad rows as a table of their own: what one asks of them first, and the row itself.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use columns::{Field, Type};
use event::Bump;
use event::json::{self, Elements, member, unescape};

use crate::arrow;
use crate::batch::Batch;
use crate::buffer::{Buffer, Values};

/// The columns, in order.
const COLUMNS: [(&str, Type, &str); 9] = [
    (columns::LOAD_TSTAMP, Type::Timestamp, "When the row was written."),
    ("failure_tstamp", Type::Timestamp, "When the failure was found, as the row tells."),
    ("schema", Type::String, "The URI of the row's schema."),
    ("kind", Type::String, "The name of that schema, as in schema_violations."),
    ("reason", Type::String, "The first of its reasons: a text, or JSON as the row has it."),
    ("app_id", Type::String, "The application, where it is known."),
    ("event_id", Type::String, "The event's id, where there was an event."),
    ("processor", Type::String, "Which program found it, and its version."),
    ("row", Type::Json, "The whole row."),
];

/// The columns of the table of bad rows.
pub fn fields() -> Vec<Field> {
    COLUMNS
        .into_iter()
        .map(|(name, ty, description)| Field {
            name: name.to_owned(),
            ty,
            nullable: true,
            keys: Vec::new(),
            description: Some(description.to_owned()),
        })
        .collect()
}

/// When a bad row tells that its failure was found, in milliseconds since the epoch.
pub fn failed_ms(line: &str) -> Option<i64> {
    Told::of(line, &Bump::new()).failed.map(|micros| micros.div_euclid(1000))
}

/// Bad rows that grow, to be taken out as a batch.
pub struct BadRows {
    schema: SchemaRef,
    columns: Vec<Buffer>,
    rows: usize,
    arena: Bump,
}

impl Default for BadRows {
    fn default() -> BadRows {
        BadRows {
            schema: arrow::schema(&fields()),
            columns: COLUMNS.iter().map(|(_, ty, _)| Buffer::new(ty)).collect(),
            rows: 0,
            arena: Bump::new(),
        }
    }
}

impl BadRows {
    /// Adds lines of bad rows, made at that time in milliseconds since the epoch.
    pub fn extend<'l>(&mut self, lines: impl IntoIterator<Item = &'l str>, now_ms: i64) {
        for line in lines {
            self.push(line, now_ms);
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The bytes of memory that they take, about.
    pub fn bytes(&self) -> usize {
        self.columns.iter().map(Buffer::bytes).sum()
    }

    /// The rows, and there are none any more.
    pub fn finish(&mut self) -> Batch {
        let rows = std::mem::take(&mut self.rows);
        let arrays = self.columns.iter_mut().map(|column| column.finish(rows)).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays);
        batch.expect("every column was filled up to all rows").into()
    }

    fn push(&mut self, line: &str, now_ms: i64) {
        let mut arena = std::mem::take(&mut self.arena);
        arena.reset();
        let told = Told::of(line, &arena);
        let Told { schema, reason, app_id, event_id, .. } = told;
        let kind = schema.and_then(|schema| schema.split('/').nth(1));
        let processor = told.processor.map(|(name, version)| format!("{name}-{version}"));
        let texts = [schema, kind, reason, app_id, event_id, processor.as_deref(), Some(line)];
        let times = [now_ms.checked_mul(1000), told.failed];
        for (column, time) in self.columns.iter_mut().zip(times) {
            column.pad(self.rows);
            if let Some(time) = time {
                column.push_instant(time);
            }
        }
        for (column, text) in self.columns[times.len()..].iter_mut().zip(texts) {
            let Some(text) = text else { continue };
            column.pad(self.rows);
            if let Values::Text(texts) | Values::Json(texts) = &mut column.values {
                texts.push_with(|out| out.extend_from_slice(text.as_bytes()));
            }
            column.added();
        }
        self.rows += 1;
        self.arena = arena;
    }
}

/// What a bad row tells.
#[derive(Default)]
struct Told<'a> {
    schema: Option<&'a str>,
    failed: Option<i64>,
    reason: Option<&'a str>,
    app_id: Option<&'a str>,
    event_id: Option<&'a str>,
    processor: Option<(&'a str, &'a str)>,
}

impl<'a> Told<'a> {
    /// Of a line that is no bad row nothing is known but itself.
    fn of(line: &'a str, arena: &'a Bump) -> Told<'a> {
        let Ok(row) = json::compact(line, arena) else { return Told::default() };
        let text = |object, key| unescape(member(object, key)?, arena);
        let data = member(row, "data").unwrap_or("{}");
        let part = |key| member(data, key).unwrap_or("{}");
        let (failure, payload, processor) = (part("failure"), part("payload"), part("processor"));
        let enriched = member(payload, "enriched").unwrap_or("{}");
        Told {
            schema: text(row, "schema"),
            failed: text(failure, "timestamp").and_then(columns::cast::timestamp),
            reason: reason(failure, arena),
            app_id: text(enriched, "app_id").or_else(|| parameter(payload, "aid", arena)),
            event_id: text(enriched, "event_id").or_else(|| parameter(payload, "eid", arena)),
            processor: text(processor, "artifact").zip(text(processor, "version")),
        }
    }
}

/// The first of a failure's reasons: whichever of these it has.
fn reason<'a>(failure: &'a str, arena: &'a Bump) -> Option<&'a str> {
    let list = |key| Elements::of(member(failure, key)?)?.next();
    let found = list("messages")
        .or_else(|| member(failure, "message"))
        .or_else(|| list("errors"))
        .or_else(|| member(failure, "expectation"))?;
    Some(unescape(found, arena).unwrap_or(found))
}

/// A parameter of the request.
fn parameter<'a>(payload: &'a str, name: &str, arena: &'a Bump) -> Option<&'a str> {
    let raw = member(payload, "raw").unwrap_or(payload);
    let lists = ["parameters", "querystring"].into_iter();
    let mut all = lists.filter_map(|key| Elements::of(member(raw, key)?)).flatten();
    let is_it = |pair: &&str| member(pair, "name").and_then(|it| unescape(it, arena)) == Some(name);
    unescape(member(all.find(is_it)?, "value")?, arena)
}
