//! What an operator asks a worker over HTTP: `/metrics`, `/live`, `/ready`, `/status`, and the
//! same as a page at `/`. On loopback unless configured otherwise: it tells the fleet's inside to
//! whoever asks.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::pages;
use crate::status::Observed;

/// Binds the address, so that a port in use is noticed at the start.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers until dropped. Live while it turns; ready while it could lately do what it is for, and
/// is not asked to drain. Why it is not stands in the answer, a reason a line.
pub async fn serve(listener: TcpListener, observed: Arc<Observed>) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/metrics", get(scrape))
        .route("/live", get(live))
        .route("/ready", get(ready))
        .route("/status", get(status))
        .merge(pages::routes("status/page.html"))
        .with_state(observed);
    axum::serve(listener, routes).await
}

async fn scrape(State(observed): State<Arc<Observed>>) -> impl IntoResponse {
    ([("content-type", "text/plain; version=0.0.4")], observed.metrics().text())
}

async fn live(State(observed): State<Arc<Observed>>) -> (StatusCode, String) {
    unless(&observed.stopped(), "live\n")
}

async fn ready(State(observed): State<Arc<Observed>>) -> (StatusCode, String) {
    unless(&observed.reasons(), "ready\n")
}

fn unless(reasons: &[String], good: &str) -> (StatusCode, String) {
    match reasons {
        [] => (StatusCode::OK, good.to_owned()),
        reasons => (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n"),
    }
}

/// JSON; who would rather have a page is sent to it.
async fn status(State(observed): State<Arc<Observed>>, headers: HeaderMap) -> Response {
    let accepts = headers.get("accept").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/html") {
        return Redirect::to("/").into_response();
    }
    match serde_json::to_string(&observed.now()) {
        Ok(json) => {
            let about = [("content-type", "application/json"), ("vary", "accept")];
            pages::guarded((about, json).into_response())
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
