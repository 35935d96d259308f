//! What an operator asks a worker over HTTP: `/metrics`, `/live`, `/ready`. On loopback unless
//! configured otherwise: it tells the fleet's inside to whoever asks.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics::Metrics;
use crate::signal::Stop;

#[derive(Clone)]
struct Admin {
    metrics: Arc<Metrics>,
    stop: Stop,
}

/// Binds the address, so that a port in use is noticed at the start.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers until dropped. Live as long as it answers; ready while it could lately do what
/// it is for, and is not asked to drain. Why it is not stands in the answer, a reason a line.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    stop: Stop,
) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/metrics", get(scrape))
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready))
        .with_state(Admin { metrics, stop });
    axum::serve(listener, routes).await
}

async fn scrape(State(admin): State<Admin>) -> ([(&'static str, &'static str); 1], String) {
    ([("content-type", "text/plain; version=0.0.4")], admin.metrics.text())
}

async fn ready(State(admin): State<Admin>) -> (StatusCode, String) {
    let mut reasons = admin.metrics.health().reasons();
    if admin.stop.drain.is_cancelled() {
        reasons.insert(0, "draining".to_owned());
    }
    if reasons.is_empty() {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n")
}
