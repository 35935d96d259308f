//! The page on which everybody can ask, and what it asks: JSON below `/query/api`.
//!
//! On loopback whoever is on this machine may ask, by this machine's own names. Elsewhere whoever
//! asks knows a word, or comes through a proxy that says who it is.

mod access;
mod api;
mod pages;
mod saved;
mod sent;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{Redirect, Response};
use axum::routing::get;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::arguments::Arguments;
use crate::engine::{Engine, Limits};
use crate::fault::Fault;
use crate::said::say;
use access::Access;
use saved::Shelf;

/// How long a query of the page may take unless something else is said, in seconds.
pub(crate) const SECONDS: u64 = 60;

/// How many rows it answers with unless something else is said: more cannot be looked at.
const ROWS: usize = 10_000;

/// A download has so many times as many rows.
const DOWNLOAD: usize = 100;

/// So many queries run at a time, the others wait for their turn. They share the memory.
const AT_ONCE: usize = 2;

/// So many may wait; more are turned away.
const WAITING: usize = 32;

/// What answers.
pub(crate) struct Parts {
    engine: Engine,
    limits: Limits,
    rows: usize,
    /// Whether it is a part of another page's address.
    beside: bool,
    shelf: Shelf,
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

/// Serves until asked to stop; queries that run then end.
pub(crate) async fn serve(
    engine: Engine,
    limits: Limits,
    folder: Option<PathBuf>,
    arguments: &Arguments,
) -> anyhow::Result<()> {
    let access = Access::new(arguments)?;
    let listen = arguments.listen;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| Fault::mistake(format!("cannot listen on {listen}: {error}")))?;
    let address = listener.local_addr()?;
    let parts = Arc::new(Parts {
        engine,
        limits,
        rows: arguments.rows.map_or(ROWS, |rows| rows as usize),
        beside: arguments.with_parent,
        shelf: Shelf::new(folder),
        running: Arc::new(Semaphore::new(AT_ONCE)),
        waiting: Arc::new(Semaphore::new(WAITING)),
    });
    let routes = routes(parts, access);
    say(&format!("the page is at http://{}/query/", reached(address)));
    tokio::select! {
        served = async { axum::serve(listener, routes).await } => Ok(served?),
        asked = stop() => Ok(asked?),
        () = closed(), if arguments.with_parent => Ok(()),
    }
}

fn routes(parts: Arc<Parts>, access: Access) -> Router {
    let api = api::routes(parts);
    let api = api.layer(from_fn_with_state(access.clone(), access::checked));
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/query/") }))
        .route("/query", get(|| async { Redirect::temporary("/query/") }))
        .merge(pages::routes())
        .nest("/query/api", api)
        .layer(from_fn_with_state(access, access::known_hosts))
        .layer(map_response(async |answer: Response| pages::guarded(answer)))
}

/// An address that a browser can open.
fn reached(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}

#[cfg(unix)]
async fn stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminated.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn stop() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

/// Waits until the process that has the other end of standard input is gone.
async fn closed() {
    let (mut input, mut read) = (tokio::io::stdin(), [0; 64]);
    while input.read(&mut read).await.is_ok_and(|read| read > 0) {}
}
