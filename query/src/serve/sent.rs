//! An answer as it is sent: lines of JSON as rows come, or CSV. When whoever asked is gone, it is
//! dropped, and the query ends.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::Parts;
use crate::engine::Answer;
use crate::fault::{Fault, Kind};
use crate::output::{csv_line, csv_rows};
use crate::schema;
use crate::values::{self, Large};

/// How far it has come.
enum Stage {
    /// Others run; it is said once.
    Queued {
        said: bool,
    },
    Running {
        answer: Box<Answer>,
        _permit: OwnedSemaphorePermit,
    },
    Ended,
}

struct Asked {
    parts: Arc<Parts>,
    sql: String,
    rows: usize,
    stage: Stage,
    /// A place among those who wait.
    _place: OwnedSemaphorePermit,
}

/// The lines of an answer: `queued` if others run, `columns`, any number of `rows`, and `done` or
/// `error`.
pub(super) fn lines(
    parts: Arc<Parts>,
    sql: String,
    rows: usize,
    place: OwnedSemaphorePermit,
) -> Body {
    let stage = Stage::Queued { said: false };
    let asked = Asked { parts, sql, rows, stage, _place: place };
    Body::from_stream(stream::unfold(asked, |mut asked| async move {
        let line = asked.next().await?;
        Some((Ok::<_, std::convert::Infallible>(line), asked))
    }))
}

impl Asked {
    async fn next(&mut self) -> Option<Bytes> {
        match &mut self.stage {
            Stage::Ended => None,
            Stage::Queued { said } => {
                let running = &self.parts.running;
                let free = Arc::clone(running).try_acquire_owned().ok();
                let permit = match free {
                    Some(permit) => permit,
                    None if !*said => {
                        *said = true;
                        return Some(line(&json!({"queued": true})));
                    }
                    None => Arc::clone(running).acquire_owned().await.expect("it is open"),
                };
                match self.parts.engine.run(&self.sql, Some(self.rows)).await {
                    Err(fault) => Some(self.failed(&fault)),
                    Ok(answer) => {
                        let columns = line(&json!({"columns": columns(&answer.schema())}));
                        let answer = Box::new(answer);
                        self.stage = Stage::Running { answer, _permit: permit };
                        Some(columns)
                    }
                }
            }
            Stage::Running { answer, .. } => match answer.next().await {
                Some(Ok(batch)) => Some(rows(&batch)),
                Some(Err(fault)) => Some(self.failed(&fault)),
                None => {
                    let done = line(&json!({"done": account(answer)}));
                    self.stage = Stage::Ended;
                    Some(done)
                }
            },
        }
    }

    fn failed(&mut self, fault: &Fault) -> Bytes {
        self.stage = Stage::Ended;
        line(&json!({"error": told(fault)}))
    }
}

fn line(value: &Value) -> Bytes {
    format!("{value}\n").into()
}

fn account(answer: &Answer) -> Value {
    let account = answer.account();
    json!({
        "rows": account.rows,
        "cut": account.cut,
        "files": account.files,
        "bytes": account.bytes,
        "ms": account.took.as_millis() as u64,
    })
}

/// What is wrong, in words and by its place.
pub(super) fn told(fault: &Fault) -> Value {
    let kind = match fault.kind {
        Kind::Mistake => "mistake",
        Kind::Limit => "limit",
        Kind::Failure => "failure",
    };
    json!({
        "kind": kind,
        "message": fault.message,
        "line": fault.place.map(|place| place.line),
        "column": fault.place.map(|place| place.column),
        "hint": fault.hint,
    })
}

fn columns(schema: &SchemaRef) -> Vec<Value> {
    let each = schema.fields().iter().map(|field| {
        let ty = field.data_type();
        json!({"name": field.name(), "type": schema::spelled(ty), "kind": kind(ty)})
    });
    each.collect()
}

/// What a chart can do with a column.
fn kind(ty: &DataType) -> &'static str {
    match ty {
        ty if ty.is_numeric() => "number",
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => "time",
        ty if ty.is_nested() => "nested",
        _ => "text",
    }
}

fn rows(batch: &RecordBatch) -> Bytes {
    let mut out = String::from("{\"rows\":[");
    for row in 0..batch.num_rows() {
        out.push_str(if row > 0 { ",[" } else { "[" });
        for (at, column) in batch.columns().iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            values::json(column.as_ref(), row, Large::Texts, &mut out);
        }
        out.push(']');
    }
    out.push_str("]}\n");
    out.into()
}

/// An answer as CSV. If it breaks off, so does what is sent.
pub(super) fn csv(answer: Answer, permits: [OwnedSemaphorePermit; 2]) -> Body {
    let mut names = String::new();
    let schema = answer.schema();
    csv_line(schema.fields().iter().map(|field| Some(field.name().as_str())), &mut names);
    let began = (answer, permits, Some(names));
    Body::from_stream(stream::unfold(began, |(mut answer, permits, names)| async move {
        if let Some(names) = names {
            return Some((Ok(Bytes::from(names)), (answer, permits, None)));
        }
        let batch = match answer.next().await? {
            Ok(batch) => batch,
            Err(fault) => return Some((Err(fault), (answer, permits, None))),
        };
        let mut lines = String::new();
        csv_rows(&batch, &mut lines);
        Some((Ok(Bytes::from(lines)), (answer, permits, None)))
    }))
}
