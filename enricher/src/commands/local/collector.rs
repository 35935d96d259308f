//! The development collector: what trackers and webhooks send becomes records of a stream.
//!
//! A request is answered once its record is durable. Hosts that are no address and no name of this
//! machine are refused: a page of a stranger must not reach what listens here by a name of its own.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request as Incoming, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_TYPE, HOST,
    LOCATION, ORIGIN, SET_COOKIE, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::intake::Intake;
use super::request::{COOKIE_NAME, Request, User, takes_events, without_port};
use super::spelling::{Peer, Spelled};
use crate::clock;

/// The largest body: four times what a stream's record may have, and far more than trackers send.
const BODY_BYTES: usize = 4 << 20;

/// So many bodies are in memory at a time; others wait.
const BODIES: usize = 32;

/// How long a browser keeps the network user id.
const YEAR_SECONDS: u32 = 365 * 24 * 60 * 60;

/// A transparent pixel.
const PIXEL: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\
\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01D\x00;";

/// Takes events.
#[derive(Clone)]
pub(super) struct Collector {
    inner: Arc<Inner>,
}

struct Inner {
    intake: Intake,
    /// Names that requests may call this machine, besides its own.
    hosts: Vec<String>,
    /// What it calls itself in its records.
    name: String,
    bodies: Semaphore,
}

impl Collector {
    /// Passes records on to an intake. Its name ends with what they go to.
    pub(super) fn new(intake: Intake, hosts: Vec<String>, to: &'static str) -> Collector {
        let bodies = Semaphore::new(BODIES);
        let program = crate::process::this_program();
        let name = format!("{}-{}-{to}", program.artifact, program.version);
        Collector { inner: Arc::new(Inner { intake, hosts, name, bodies }) }
    }

    /// Answers until asked to stop, and finishes what it has begun; other paths, too.
    pub(super) async fn serve(
        self,
        others: Router,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> std::io::Result<()> {
        let routes = Router::new()
            .route("/health", get(|| async { "ok" }))
            .route("/robots.txt", get(|| async { "User-agent: *\nDisallow: /\n" }))
            .fallback(collect)
            .with_state(self.clone())
            .merge(others)
            .layer(middleware::from_fn_with_state(self, known_host))
            .into_make_service_with_connect_info::<Peer>();
        let stopped = async move { stop.cancelled().await };
        axum::serve(Spelled(listener), routes).with_graceful_shutdown(stopped).await
    }
}

/// Turns away who calls this machine by a name that is not its own.
async fn known_host(State(collector): State<Collector>, request: Incoming, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().host()).map(without_port).unwrap_or_default();
    if is_ours(host, &collector.inner.hosts) {
        return next.run(request).await;
    }
    let why = "this host name is not known here; `--host NAME` makes it known\n";
    (StatusCode::MISDIRECTED_REQUEST, why).into_response()
}

/// Addresses cannot be made to point elsewhere; names can, but for this machine's own.
fn is_ours(host: &str, names: &[String]) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let same = |name: &str| name.eq_ignore_ascii_case(host);
    bare.parse::<IpAddr>().is_ok()
        || same("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || names.iter().any(|name| same(name))
}

async fn collect(
    State(collector): State<Collector>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Incoming,
) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if !takes_events(path) {
        return (StatusCode::NOT_FOUND, "nothing is here\n").into_response();
    }
    let origin = head.headers.get(ORIGIN).cloned();
    let mut answer = match head.method {
        Method::OPTIONS => preflight(),
        Method::GET | Method::HEAD | Method::POST => {
            let method = &head.method;
            match collector.take(method, &head.uri, &head.headers, body, peer).await {
                Ok(answer) | Err(answer) => answer,
            }
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    };
    allow(answer.headers_mut(), origin);
    answer
}

impl Collector {
    async fn take(
        &self,
        method: &Method,
        uri: &axum::http::Uri,
        headers: &HeaderMap,
        body: Body,
        peer: Peer,
    ) -> Result<Response, Response> {
        let names = peer.names();
        let _room = self.inner.bodies.acquire().await.expect("it is never closed");
        let body = to_bytes(body, BODY_BYTES).await.map_err(|_| {
            let why = format!("a body has at most {BODY_BYTES} bytes\n");
            (StatusCode::PAYLOAD_TOO_LARGE, why).into_response()
        })?;
        let (names, peer, now_ms) = (&names, peer.address.ip(), clock::now_ms());
        let request = Request { method, uri, headers, body: &body, names, peer, now_ms };
        let target = match uri.path().starts_with("/r/") {
            true => Some(target(&request).ok_or_else(|| {
                let why = "a redirect needs a parameter u with an http or https address\n";
                (StatusCode::BAD_REQUEST, why).into_response()
            })?),
            false => None,
        };
        let user = request.user(fresh_id);
        let record = request.record(&user, &self.inner.name);
        self.inner.intake.put(record).await.map_err(|why| {
            tracing::error!(why, "a request could not be kept");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        })?;
        let mut answer = match target {
            Some(target) => (StatusCode::FOUND, [(LOCATION, target)]).into_response(),
            None if method == Method::POST => "ok".into_response(),
            None => pixel(),
        };
        if user.keep {
            answer.headers_mut().extend(cookie(&user).map(|cookie| (SET_COOKIE, cookie)));
        }
        Ok(answer)
    }
}

/// Where a redirect leads: only to where a link of a page could.
fn target(request: &Request<'_>) -> Option<HeaderValue> {
    let target = request.parameter("u")?;
    let link = target.starts_with("https://") || target.starts_with("http://");
    link.then(|| HeaderValue::from_str(&target).ok()).flatten()
}

fn pixel() -> Response {
    let headers =
        [(CONTENT_TYPE, "image/gif"), (CACHE_CONTROL, "no-cache, no-store, must-revalidate")];
    (headers, PIXEL).into_response()
}

fn preflight() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type, SP-Anonymous"),
        (ACCESS_CONTROL_ALLOW_METHODS, "POST, GET, OPTIONS"),
        (ACCESS_CONTROL_MAX_AGE, "3600"),
    ];
    (headers, ()).into_response()
}

/// Lets pages of any origin send events, with their cookies.
fn allow(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    let any = HeaderValue::from_static("*");
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.unwrap_or(any));
    headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(VARY, HeaderValue::from_static("Origin"));
}

/// Browsers take it from a page of another site only as a secure one, and count this machine as
/// secure without TLS. An id that a header cannot hold is not kept.
fn cookie(user: &User) -> Option<HeaderValue> {
    let id = &user.id;
    let harmless = id.bytes().all(|byte| byte.is_ascii_graphic() && !b";,\"\\".contains(&byte));
    let cookie = format!(
        "{COOKIE_NAME}={id}; Max-Age={YEAR_SECONDS}; Path=/; SameSite=None; Secure; HttpOnly"
    );
    harmless.then(|| HeaderValue::from_str(&cookie).ok()).flatten()
}

/// A random UUID.
fn fresh_id() -> String {
    let bits = fastrand::u128(..);
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_answered() {
        let names = ["collector.test".to_owned()];
        for host in
            ["localhost", "LOCALHOST", "shop.localhost", "127.0.0.1", "[::1]", "collector.test"]
        {
            assert!(is_ours(host, &names), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "x.test"]
        {
            assert!(!is_ours(host, &names), "{host}");
        }
    }

    #[test]
    fn fresh_ids_are_uuids_of_version_four() {
        for _ in 0..100 {
            let id = fresh_id();
            let right = is_version_four(&id);
            assert!(right, "{id}");
        }
    }

    fn is_version_four(id: &str) -> bool {
        let parts: Vec<usize> = id.split('-').map(str::len).collect();
        parts == [8, 4, 4, 4, 12]
            && id.as_bytes()[14] == b'4'
            && b"89ab".contains(&id.as_bytes()[19])
    }

    #[test]
    fn what_a_header_could_not_hold_is_no_cookie() {
        let user = |id: &str| User { id: id.to_owned(), keep: true };
        assert!(cookie(&user("1-1-1-1-1")).is_some());
        for id in ["a;b", "a\r\nSet-Cookie: x=y", "a b", "\u{e9}"] {
            assert!(cookie(&user(id)).is_none(), "{id:?}");
        }
    }
}
