//! What tests ask of a run: which events came, and what became of them.
//!
//! `/micro/…` answers as Snowplow Micro's public documentation describes it, so that clients that
//! were written for it run unchanged. `/events` is our own: it waits until there are as many events
//! of a kind as were asked for.
//!
//! An event that was sent, and answered, before a question is in its answer: the question waits for
//! the workers to come that far. These paths have no CORS headers: others' pages cannot read them.

mod events;
mod micro;
mod search;
mod shapes;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use lease::SequenceNumber;
use resolver::Resolver;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::settings::Settings;
use super::store::{Filter, Kept, Page, Store};
use crate::source::local::Local;
use pipeline::Route;

/// How long a question waits for the workers to have worked what came before it. An unknown schema
/// of a registry that is down keeps a worker longer; then the answer is what there is.
const SETTLING: Duration = Duration::from_secs(10);

/// The largest question.
const QUESTION_BYTES: usize = 64 << 10;

/// The largest answer: the newest events go in first, and a header says how many were left out.
const ANSWER_BYTES: usize = 64 << 20;

/// Says how many events had no room in an answer.
const LEFT_OUT: &str = "snowmelt-left-out";

/// All that questions are answered from.
#[derive(Clone)]
pub(super) struct Rest {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    stream: Local,
    resolver: Resolver,
    settings: pipeline::Settings,
    stop: CancellationToken,
}

impl Rest {
    /// Answers from a run's parts, until it is asked to stop.
    pub(super) fn new(
        store: Store,
        stream: &Local,
        resolver: &Resolver,
        settings: &Settings,
        stop: &CancellationToken,
    ) -> Rest {
        let (stream, resolver, stop) = (stream.clone(), resolver.clone(), stop.clone());
        let settings = settings.pipeline.clone();
        Rest { inner: Arc::new(Inner { store, stream, resolver, settings, stop }) }
    }

    /// The paths.
    pub(super) fn routes(self) -> Router {
        Router::new()
            .route("/events", get(events::events))
            // Where those who know it look for a page.
            .route("/micro/ui", get(|| async { Redirect::to("/") }))
            .route("/micro/all", get(micro::all).post(micro::all))
            .route("/micro/good", get(micro::good).post(micro::good))
            .route("/micro/bad", get(micro::bad).post(micro::bad))
            .route("/micro/reset", get(micro::reset).post(micro::reset))
            .route("/micro/iglu/{vendor}/{name}/{format}/{version}", get(micro::iglu))
            .route("/micro/events", post(search::events))
            .route("/micro/timeline", post(search::timeline))
            .layer(middleware::from_fn(own_pages))
            .with_state(self)
    }

    /// Waits until all that came so far is worked, or for long enough.
    async fn settle(&self) -> Result<(), Response> {
        let newest = self.inner.stream.newest().await.map_err(|error| {
            tracing::error!(error = crate::causes::chain(&error), "the local stream");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        })?;
        let reached = tokio::time::timeout(SETTLING, self.inner.store.reached().wait(newest));
        tokio::select! {
            _ = reached => {}
            () = self.inner.stop.cancelled() => {}
        }
        Ok(())
    }

    /// The events of these routes, newest first, after all that came so far is worked.
    async fn settled(&self, routes: &[Route]) -> Result<Vec<Arc<Kept>>, Response> {
        self.settle().await?;
        let filter = Filter { routes: Some(routes.to_vec()), ..Filter::default() };
        Ok(self.find(filter, Page::default()).await)
    }

    /// Newest first in the order in which they came, whatever shards they went by.
    async fn find(&self, filter: Filter, page: Page) -> Vec<Arc<Kept>> {
        let store = self.inner.store.clone();
        working(move || {
            let mut found = store.find(&filter, page);
            found.sort_by(|a, b| came(b).cmp(&came(a)));
            found
        })
        .await
    }
}

/// The place of an event among all that came: numbers of the local stream go over all its shards.
fn came(kept: &Kept) -> (&SequenceNumber, u32) {
    (&kept.sequence, kept.index)
}

/// Computes something that takes a while.
async fn working<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("answering does not panic")
}

/// Turns away what a page of another origin sends: it could not read the answer, but a reset would
/// be a reset. Programs that are no browsers do not say where they are.
pub(super) async fn own_pages(request: Request, next: Next) -> Response {
    let site = request.headers().get("sec-fetch-site").and_then(|site| site.to_str().ok());
    if site.is_none_or(|site| matches!(site, "same-origin" | "none")) {
        return next.run(request).await;
    }
    let why = "pages of other origins may send events, not ask for them: let the test ask\n";
    (StatusCode::FORBIDDEN, why).into_response()
}

/// What a request says in its body, which may be nothing.
async fn question<T: DeserializeOwned + Default>(request: Request) -> Result<T, Response> {
    let bytes = body(request).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(T::default());
    }
    serde_json::from_slice(&bytes).map_err(|error| refused(&error.to_string()))
}

async fn body(request: Request) -> Result<Bytes, Response> {
    to_bytes(request.into_body(), QUESTION_BYTES).await.map_err(|_| {
        let why = format!("a question has at most {QUESTION_BYTES} bytes\n");
        (StatusCode::PAYLOAD_TOO_LARGE, why).into_response()
    })
}

/// A question that cannot be answered.
fn refused(why: &str) -> Response {
    let body = serde_json::json!({ "error": why }).to_string();
    (StatusCode::BAD_REQUEST, json_type(), body).into_response()
}

fn json_type() -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))])
}

/// An answer of JSON.
fn answered(body: impl Into<Bytes>, left_out: usize) -> Response {
    let mut headers = json_type();
    if left_out > 0 {
        headers.insert(LEFT_OUT, left_out.into());
    }
    (headers, body.into()).into_response()
}

type Asked = State<Rest>;
