//! What the page asks, as JSON below `/api`. Nothing of it is for a page of another origin: there
//! are no CORS headers, what such a page sends is refused, and what changes something wants a
//! content type that a browser asks about first.

mod live;
mod rules;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use event::fields::FIELDS;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::beats::Beat;
use super::edit::Edit;
use super::inquiry::Inquiry;
use super::intake::Intake;
use super::pulse::Pulse;
use super::rest::own_pages;
use super::store::{Filter, Kept, Page, Store};
use crate::{clock, pages};
use pipeline::Route;

/// The largest body: an edited payload.
const BODY_BYTES: usize = 4 << 20;

/// So many events are listed at a time.
const LISTED: usize = 500;

/// So many applications, events and schemas can be chosen from.
const CHOICES: usize = 200;

/// How long the outcome of what was sent again is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// So many things are looked into at a time: others wait.
const INQUIRIES: usize = 4;

/// So many pages are told at a time how the run stands.
const PAGES: usize = 64;

/// What answers.
#[derive(Clone)]
pub(super) struct Api(Arc<Parts>);

/// What it is made of.
pub(super) struct Parts {
    pub(super) store: Store,
    pub(super) pulse: Pulse,
    pub(super) intake: Intake,
    pub(super) beats: watch::Sender<Beat>,
    /// There as soon as the enrichments are open.
    pub(super) inquiry: OnceLock<Arc<Inquiry>>,
    /// The run's folder.
    pub(super) dir: PathBuf,
    pub(super) stop: CancellationToken,
    pub(super) room: Semaphore,
    /// Places of pages that listen.
    pub(super) listeners: Arc<Semaphore>,
}

impl Parts {
    pub(super) fn new(
        store: Store,
        pulse: Pulse,
        intake: Intake,
        dir: PathBuf,
        stop: CancellationToken,
    ) -> Parts {
        let (beats, inquiry) = (watch::channel(Beat::default()).0, OnceLock::new());
        let (room, listeners) = (Semaphore::new(INQUIRIES), Arc::new(Semaphore::new(PAGES)));
        Parts { store, pulse, intake, beats, inquiry, dir, stop, room, listeners }
    }
}

/// The page and what it asks.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(parts: Arc<Parts>) -> Router<S> {
    let api = Router::new()
        .route("/live", get(live::live))
        .route("/events", get(events))
        .route("/events/{number}", get(event))
        .route("/choices", get(choices))
        .route("/rules", get(rules::rules))
        .route("/schema", get(rules::schema))
        .route("/try", post(attempt))
        .route("/again", post(again))
        .fallback(async || Refused(StatusCode::NOT_FOUND, "nothing is here".to_owned()))
        .layer(middleware::from_fn(own_pages))
        .layer(middleware::map_response(async |answer: Response| pages::guarded(answer)))
        .with_state(Api(parts));
    pages::routes("local.html").nest("/api", api)
}

/// Why something is not answered.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = json!({"error": self.1}).to_string();
        (self.0, [(CONTENT_TYPE, "application/json")], body).into_response()
    }
}

type Answer = Result<Response, Refused>;

fn told(value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).expect("JSON can be written");
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

fn wrong(why: impl Into<String>) -> Refused {
    Refused(StatusCode::BAD_REQUEST, why.into())
}

fn broken(why: impl std::fmt::Display) -> Refused {
    Refused(StatusCode::INTERNAL_SERVER_ERROR, why.to_string())
}

/// Which events are wanted. What is empty may be anything.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    /// Routes, separated by commas.
    routes: String,
    app: String,
    event: String,
    schema: String,
    text: String,
    after: u64,
    before: Option<u64>,
    most: Option<usize>,
}

impl Wanted {
    fn filter(&self) -> Result<Filter, Refused> {
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let route = |name: &str| {
            let named = Route::ALL.into_iter().find(|route| route.name() == name);
            named.ok_or_else(|| wrong(format!("routes: expected names of routes, found {name:?}")))
        };
        let names = self.routes.split(',').filter(|name| !name.is_empty());
        let routes = names.map(route).collect::<Result<Vec<_>, _>>()?;
        Ok(Filter {
            routes: (!routes.is_empty()).then_some(routes),
            app: some(&self.app),
            event: some(&self.event),
            schema: some(&self.schema),
            text: some(&self.text),
        })
    }
}

async fn events(
    State(Api(parts)): State<Api>,
    wanted: Result<Query<Wanted>, axum::extract::rejection::QueryRejection>,
) -> Answer {
    let Query(wanted) = wanted.map_err(|error| wrong(error.body_text()))?;
    let filter = wanted.filter()?;
    let page = Page {
        after: wanted.after,
        before: wanted.before.unwrap_or(u64::MAX),
        most: wanted.most.unwrap_or(LISTED).min(LISTED),
    };
    let store = parts.store.clone();
    let newest = *store.newest().borrow();
    let found = tokio::task::spawn_blocking(move || store.find(&filter, page)).await;
    let found = found.map_err(broken)?;
    let rows: Vec<Value> = found.iter().map(|kept| row(kept)).collect();
    Ok(told(&json!({"newest": newest, "kept": parts.store.len(), "events": rows})))
}

/// An event as a list shows it.
fn row(kept: &Kept) -> Value {
    json!({
        "number": kept.number,
        "route": kept.route.name(),
        "at_ms": kept.at_ms,
        "app": &*kept.app,
        "event": &*kept.event,
        "gist": &*kept.gist,
        "id": &*kept.id,
        "shard": kept.shard.as_str(),
        "worker": &*kept.worker,
    })
}

async fn choices(State(Api(parts)): State<Api>) -> Response {
    let choices = parts.store.choices(CHOICES);
    let list = |names: Vec<(Arc<str>, usize)>| -> Vec<Value> {
        names.into_iter().map(|(name, count)| json!([&*name, count])).collect()
    };
    told(&json!({
        "apps": list(choices.apps),
        "events": list(choices.events),
        "schemas": list(choices.schemas),
    }))
}

impl Parts {
    fn kept(&self, number: u64) -> Result<Arc<Kept>, Refused> {
        let gone = || format!("event {number} is not kept any more; the files have it");
        self.store.get(number).ok_or_else(|| Refused(StatusCode::NOT_FOUND, gone()))
    }

    fn inquiry(&self) -> Result<Arc<Inquiry>, Refused> {
        let early = || "the enrichments are still being opened".to_owned();
        let inquiry = self.inquiry.get().cloned();
        inquiry.ok_or_else(|| Refused(StatusCode::SERVICE_UNAVAILABLE, early()))
    }

    /// Does something that takes a while, on a thread that may wait.
    async fn look_into<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Inquiry) -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T, Refused> {
        let inquiry = self.inquiry()?;
        let _room = self.room.acquire().await.expect("it is never closed");
        let looked = tokio::task::spawn_blocking(move || look(&inquiry)).await;
        looked.map_err(broken)?.map_err(|error| broken(format!("{error:#}")))
    }
}

/// One event with everything that is known of it.
async fn event(State(Api(parts)): State<Api>, Path(number): Path<String>) -> Answer {
    let number = number.parse().map_err(|_| wrong("expected the number of an event"))?;
    let kept = parts.kept(number)?;
    let of = Arc::clone(&kept);
    let looked = parts.look_into(move |inquiry| {
        let became = inquiry.ask(of.record(), (&of.shard, &of.sequence));
        Ok((became, inquiry.why(&of)))
    });
    let (became, why) = looked.await?;
    let line = String::from_utf8_lossy(kept.line()).into_owned();
    let columns = kept.route.is_of_events().then(|| named(&line));
    let bad_row: Option<Value> =
        if columns.is_none() { serde_json::from_str(&line).ok() } else { None };
    let (account, after) = match became {
        Ok(became) => (Some(became.account), now(&became.verdicts, kept.index)),
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "an event cannot be looked into");
            (None, None)
        }
    };
    Ok(told(&json!({
        "event": row(&kept),
        "schemas": kept.schemas.iter().map(|schema| &**schema).collect::<Vec<_>>(),
        "sequence": kept.sequence.as_str(),
        "index": kept.index,
        "columns": columns,
        "row": bad_row,
        "line": line,
        "why": why,
        "account": account,
        "now": after,
        "edit": Edit::of(kept.record(), kept.index).ok(),
    })))
}

/// The columns that have a value, by name.
fn named(line: &str) -> Vec<(&'static str, String)> {
    let Some(columns) = event::tsv::columns(line) else { return Vec::new() };
    let named = FIELDS.iter().map(|field| (field.name(), columns[*field as usize].to_owned()));
    named.filter(|(_, text)| !text.is_empty()).collect()
}

/// The verdict that the event of an index would have by now.
fn now(verdicts: &Value, index: u32) -> Option<String> {
    match verdicts.get(index as usize)? {
        Value::Object(verdict) => verdict.keys().next().cloned(),
        other => other.as_str().map(str::to_owned),
    }
}

/// A payload that is to be tried.
#[derive(Debug, Deserialize)]
struct Edited {
    /// Of which event it is an edition.
    number: u64,
    /// What it is.
    edit: Edit,
}

impl Parts {
    /// The record of an edited payload, and the event that it is an edition of.
    async fn edited(&self, headers: &HeaderMap, body: Body) -> Result<(Arc<Kept>, Bytes), Refused> {
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if kind.is_none_or(|kind| !kind.starts_with("application/json")) {
            let why = "expected the content type application/json".to_owned();
            return Err(Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
        }
        let body = to_bytes(body, BODY_BYTES).await.map_err(|_| {
            let why = format!("a body has at most {BODY_BYTES} bytes");
            Refused(StatusCode::PAYLOAD_TOO_LARGE, why)
        })?;
        let Edited { number, edit } =
            serde_json::from_slice(&body).map_err(|error| wrong(error.to_string()))?;
        let kept = self.kept(number)?;
        let record = edit.record(kept.record(), clock::now_ms());
        let record = record.map_err(|error| wrong(error.to_string()))?;
        Ok((kept, record.into()))
    }
}

/// What would become of an edited payload, which is sent nowhere.
async fn attempt(State(Api(parts)): State<Api>, headers: HeaderMap, body: Body) -> Answer {
    let (kept, record) = parts.edited(&headers, body).await?;
    let looked =
        parts.look_into(move |inquiry| inquiry.ask(&record, (&kept.shard, &kept.sequence)));
    let became = looked.await?;
    let verdicts: Vec<_> = (0..became.why.len() as u32)
        .map(|index| now(&became.verdicts, index).unwrap_or_default())
        .collect();
    Ok(told(&json!({"verdicts": verdicts, "why": became.why})))
}

/// Puts an edited payload into the stream, and answers with what the workers made of it.
async fn again(State(Api(parts)): State<Api>, headers: HeaderMap, body: Body) -> Answer {
    let (_, record) = parts.edited(&headers, body).await?;
    let mut newest = parts.store.newest();
    let before = *newest.borrow_and_update();
    let kept = parts.intake.put(record.to_vec()).await;
    kept.map_err(|why| Refused(StatusCode::SERVICE_UNAVAILABLE, why.to_owned()))?;
    let outcome = async {
        let mut after = before;
        loop {
            let until = *newest.borrow_and_update();
            let page = Page { after, ..Page::default() };
            let mut found = parts.store.find(&Filter::default(), page);
            found.retain(|kept| kept.record() == &record);
            if !found.is_empty() {
                return found;
            }
            after = until.max(after);
            newest.changed().await.expect("the store has the sender");
        }
    };
    let found = tokio::time::timeout(PATIENCE, outcome).await.unwrap_or_default();
    let rows: HashMap<&str, Vec<Value>> =
        HashMap::from([("events", found.iter().rev().map(|kept| row(kept)).collect())]);
    Ok(told(&rows))
}
