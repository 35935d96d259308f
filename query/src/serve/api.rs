//! What the page asks. docs/query.md has the words of it.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::catalog::TableProvider;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::saved::{Refusal, Saved};
use super::{AT_ONCE, DOWNLOAD, Parts, sent};
use crate::dictionary::Dictionary;
use crate::fault::{Fault, Kind};
use crate::schema;

/// The largest body: a statement with all around it.
const BODY_BYTES: usize = 1 << 20;

/// The paths below `/query/api`.
pub(super) fn routes(parts: Arc<Parts>) -> Router {
    Router::new()
        .route("/about", get(about))
        .route("/tables", get(tables))
        .route("/query", post(query))
        .route("/csv", post(csv))
        .route("/saved", get(list))
        .route("/saved/{slug}", get(one).put(put).delete(delete))
        .fallback(async || refused(StatusCode::NOT_FOUND, "nothing is here"))
        .with_state(parts)
}

/// A refusal in words.
pub(super) fn refused(status: StatusCode, why: &str) -> Response {
    answered(status, &json!({"error": {"kind": "refused", "message": why}}))
}

fn answered(status: StatusCode, value: &impl Serialize) -> Response {
    let body = serde_json::to_string(value).expect("JSON can be written");
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

fn told(fault: &Fault) -> Response {
    let status = match fault.kind {
        Kind::Mistake => StatusCode::BAD_REQUEST,
        Kind::Limit | Kind::Failure => StatusCode::INTERNAL_SERVER_ERROR,
    };
    answered(status, &json!({"error": sent::told(fault)}))
}

/// What a query may use here.
async fn about(State(parts): State<Arc<Parts>>) -> Response {
    let Parts { limits, rows, beside, shelf, .. } = parts.as_ref();
    let about = json!({
        "rows": rows,
        "download_rows": rows.saturating_mul(DOWNLOAD),
        "seconds": limits.time.map(|time| time.as_secs()),
        "memory_bytes": limits.memory,
        "at_once": AT_ONCE,
        "saves": shelf.is_there(),
        "beside": beside,
    });
    answered(StatusCode::OK, &about)
}

/// The tables with their columns.
async fn tables(State(parts): State<Arc<Parts>>) -> Response {
    let all = match parts.engine.tables().await {
        Ok(all) => all,
        Err(fault) => return told(&fault),
    };
    let dictionary = parts.engine.dictionary().await;
    let tables = schema::TABLES.iter().filter_map(|name| all.tables.get_key_value(*name));
    let tables = tables.map(|(name, table)| {
        let schema = table.schema();
        let columns = schema.fields().iter().map(|field| {
            let own = all.descriptions.get(&(name.clone(), field.name().clone()));
            let mut column = described_field(field, field.name(), &dictionary);
            if let Some(own) = own {
                column["description"] = json!(own);
            }
            column
        });
        json!({
            "name": name,
            "rows": table.rows(),
            "files": table.files(),
            "bytes": table.bytes(),
            "columns": columns.collect::<Vec<_>>(),
        })
    });
    answered(StatusCode::OK, &json!({"tables": tables.collect::<Vec<_>>()}))
}

/// A column, or a member of one, with its own members. A path is how the dictionary calls it.
fn described_field(field: &Field, path: &str, dictionary: &Dictionary) -> Value {
    let ty = match field.data_type() {
        DataType::List(element) => element.data_type(),
        ty => ty,
    };
    let list = matches!(field.data_type(), DataType::List(_));
    let each = if list { "[]" } else { "" };
    let member = |member: &Arc<Field>| {
        described_field(member, &format!("{path}{each}.{}", member.name()), dictionary)
    };
    let members = match ty {
        DataType::Struct(members) => members.iter().map(member).collect(),
        _ => Vec::new(),
    };
    let spelled = match (members.is_empty(), list) {
        (true, _) => schema::spelled(field.data_type()),
        (false, false) => "struct".to_owned(),
        (false, true) => "struct[]".to_owned(),
    };
    let description = dictionary.get(path);
    json!({
        "name": field.name(),
        "type": spelled,
        "list": list,
        "members": members,
        "description": description,
    })
}

/// What is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    sql: String,
    /// How many rows, where fewer than may be are wanted.
    rows: Option<usize>,
}

async fn query(State(parts): State<Arc<Parts>>, headers: HeaderMap, body: Body) -> Response {
    let question: Question = match read(&headers, body).await {
        Ok(question) => question,
        Err(refusal) => return refusal,
    };
    let Some(place) = place(&parts) else { return full() };
    let rows = question.rows.unwrap_or(parts.rows).min(parts.rows);
    let lines = sent::lines(parts, question.sql, rows, place);
    ([(CONTENT_TYPE, "application/x-ndjson")], lines).into_response()
}

async fn csv(State(parts): State<Arc<Parts>>, headers: HeaderMap, body: Body) -> Response {
    let question: Question = match read(&headers, body).await {
        Ok(question) => question,
        Err(refusal) => return refusal,
    };
    let Some(place) = place(&parts) else { return full() };
    let running = Arc::clone(&parts.running).acquire_owned().await.expect("it is open");
    let most = parts.rows.saturating_mul(DOWNLOAD);
    let rows = question.rows.unwrap_or(most).min(most);
    match parts.engine.run(&question.sql, Some(rows)).await {
        Err(fault) => told(&fault),
        Ok(answer) => {
            let about = [
                (CONTENT_TYPE, "text/csv; charset=utf-8"),
                (CONTENT_DISPOSITION, "attachment; filename=\"answer.csv\""),
            ];
            (about, sent::csv(answer, [running, place])).into_response()
        }
    }
}

/// A place among those that wait, if there is one.
fn place(parts: &Parts) -> Option<OwnedSemaphorePermit> {
    Arc::clone(&parts.waiting).try_acquire_owned().ok()
}

fn full() -> Response {
    refused(StatusCode::TOO_MANY_REQUESTS, "too many queries wait already: ask again later")
}

/// A body of JSON; a browser asks before it sends that from elsewhere.
async fn read<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Response> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if kind.is_none_or(|kind| !kind.starts_with("application/json")) {
        let why = "expected the content type application/json";
        return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
    }
    let bytes = to_bytes(body, BODY_BYTES).await.map_err(|_| {
        let why = format!("a body has at most {BODY_BYTES} bytes");
        refused(StatusCode::PAYLOAD_TOO_LARGE, &why)
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| refused(StatusCode::BAD_REQUEST, &error.to_string()))
}

async fn list(State(parts): State<Arc<Parts>>) -> Response {
    kept(parts.shelf.list().await.map(|saved| json!({"saved": saved})))
}

async fn one(State(parts): State<Arc<Parts>>, Path(slug): Path<String>) -> Response {
    kept(parts.shelf.get(&slug).await.map(|saved| json!(saved)))
}

async fn put(
    State(parts): State<Arc<Parts>>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let saved: Saved = match read(&headers, body).await {
        Ok(saved) => saved,
        Err(refusal) => return refusal,
    };
    kept(parts.shelf.put(&slug, saved).await.map(|saved| json!(saved)))
}

async fn delete(State(parts): State<Arc<Parts>>, Path(slug): Path<String>) -> Response {
    kept(parts.shelf.delete(&slug).await.map(|()| json!({})))
}

fn kept(outcome: Result<Value, Refusal>) -> Response {
    match outcome {
        Ok(value) => answered(StatusCode::OK, &value),
        Err(Refusal::Absent) => refused(StatusCode::NOT_FOUND, "there is no such query"),
        Err(Refusal::Wrong(why)) => refused(StatusCode::BAD_REQUEST, &why),
        Err(Refusal::Changed) => {
            let why =
                "somebody has changed it meanwhile: load it again, or save under another name";
            refused(StatusCode::CONFLICT, why)
        }
        Err(Refusal::Failed(why)) => refused(StatusCode::INTERNAL_SERVER_ERROR, &why),
    }
}
