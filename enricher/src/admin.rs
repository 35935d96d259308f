//! What an operator asks a worker over HTTP: `/metrics`, `/live`, `/ready`, and `/status`, which is
//! a page to a browser. On loopback unless configured otherwise: it tells the fleet's inside to
//! whoever asks.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::status::Observed;

/// The page may load what it came with, and ask whom it came from.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Binds the address, so that a port in use is noticed at the start.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers until dropped. Live as long as it answers; ready while it could lately do what
/// it is for, and is not asked to drain. Why it is not stands in the answer, a reason a line.
pub async fn serve(listener: TcpListener, observed: Arc<Observed>) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/", get(|| async { Redirect::to("/status") }))
        .route("/metrics", get(scrape))
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready))
        .route("/status", get(status))
        .route("/status/page.js", get(|| asset("text/javascript", PAGE_JS)))
        .route("/status/page.css", get(|| asset("text/css", PAGE_CSS)))
        .with_state(observed);
    axum::serve(listener, routes).await
}

const PAGE: &str = include_str!("../ui/status/page.html");
const PAGE_JS: &str = include_str!("../ui/status/page.js");
const PAGE_CSS: &str = include_str!("../ui/status/page.css");

async fn scrape(State(observed): State<Arc<Observed>>) -> impl IntoResponse {
    ([("content-type", "text/plain; version=0.0.4")], observed.metrics().text())
}

async fn ready(State(observed): State<Arc<Observed>>) -> (StatusCode, String) {
    let reasons = observed.reasons();
    if reasons.is_empty() {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n")
}

/// JSON, unless who asks would rather have a page.
async fn status(State(observed): State<Arc<Observed>>, headers: HeaderMap) -> Response {
    let accepts = headers.get("accept").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/html") {
        return asset("text/html; charset=utf-8", PAGE).await.into_response();
    }
    match serde_json::to_string(&observed.now()) {
        Ok(json) => asset("application/json", json).await.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn asset(kind: &'static str, text: impl IntoResponse) -> impl IntoResponse {
    let headers = [
        ("content-type", kind),
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("vary", "accept"),
    ];
    (headers, text)
}
