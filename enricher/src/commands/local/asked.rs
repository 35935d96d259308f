//! `/query`: the page on which the run's tables are asked in SQL. It is that of `snowmelt-query`, a
//! [program](program) of its own, so that nothing here carries an engine; what comes is passed on
//! to it, and its answers are passed back as they come.
//!
//! Who may ask is who may see the run's other pages. Of a request goes on what the page needs, and
//! nothing that is meant for this address, such as cookies.

mod described;
mod program;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, CONNECTION, CONTENT_TYPE, HOST, IF_NONE_MATCH, TRANSFER_ENCODING,
};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::pages;
use crate::rules::Rules;
use crate::worker::destinations::LOCAL_TABLES;
use described::Described;
use program::{Program, Unasked};

/// The largest body: that of the program itself.
const BODY_BYTES: usize = 1 << 20;

/// So many requests are under way at a time, more than the program lets wait; others are refused.
const UNDER_WAY: usize = 64;

/// What is passed on of a request, besides its method, address and body.
const PASSED: [HeaderName; 4] =
    [ACCEPT, CONTENT_TYPE, IF_NONE_MATCH, HeaderName::from_static("sec-fetch-site")];

/// What is about a connection, and not passed back.
const OF_CONNECTIONS: [HeaderName; 3] =
    [CONNECTION, TRANSFER_ENCODING, HeaderName::from_static("keep-alive")];

/// What the page asks first: what there is.
const FIRST: &str = "/query/api/tables";

struct Door {
    program: Program,
    described: Described,
    room: Arc<Semaphore>,
}

/// The page, over the tables of a run's folder, described by the schemas of its rules.
pub(super) fn routes(dir: &Path, rules: &Rules) -> Router {
    let tables = dir.join(LOCAL_TABLES);
    let described = Described::new(rules, dir, &tables);
    let (program, room) = (Program::over(tables), Arc::new(Semaphore::new(UNDER_WAY)));
    Router::new()
        .route("/query", any(passed))
        .route("/query/", any(passed))
        .route("/query/{*rest}", any(passed))
        .with_state(Arc::new(Door { program, described, room }))
}

async fn passed(State(door): State<Arc<Door>>, request: Request) -> Response {
    let uri = request.uri().clone();
    if uri.path() == FIRST {
        describe(&door).await;
    }
    match pass(&door, request).await {
        Ok(answer) => answer,
        Err(why) => why.told(&uri),
    }
}

/// Has the dictionary written anew. The tables can be asked without it.
async fn describe(door: &Arc<Door>) {
    let described = Arc::clone(door);
    let written = tokio::task::spawn_blocking(move || described.described.renew()).await;
    let wrong = match written {
        Ok(Ok(())) => return,
        Ok(Err(error)) => format!("{error:#}"),
        Err(panic) => panic.to_string(),
    };
    tracing::warn!(error = wrong, "the dictionary of the tables cannot be written");
}

/// What a request is answered with where the program does not answer.
struct Refused {
    status: StatusCode,
    why: String,
}

impl Refused {
    fn new(status: StatusCode, why: impl Into<String>) -> Refused {
        Refused { status, why: why.into() }
    }

    /// As JSON to the page, as a page to people.
    fn told(self, uri: &Uri) -> Response {
        let Refused { status, why } = self;
        let (kind, text) = match uri.path().starts_with("/query/api/") {
            true => {
                let error = json!({"error": {"kind": "failure", "message": why}});
                ("application/json", error.to_string())
            }
            false => ("text/html; charset=utf-8", page(&why)),
        };
        pages::guarded((status, [(CONTENT_TYPE, kind)], text).into_response())
    }
}

/// A page that says one thing.
fn page(why: &str) -> String {
    let shown = why.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <title>Snowmelt query</title>\n<link rel=\"stylesheet\" href=\"/ui/base.css\">\n\
         <link rel=\"stylesheet\" href=\"/ui/local.css\">\n</head>\n<body>\n\
         <main>\n<h1>There is no page for queries here</h1>\n\
         <p id=\"why\">{shown}</p>\n<p><a href=\"/\">Back to the events</a></p>\n</main>\n\
         </body>\n</html>\n"
    )
}

async fn pass(door: &Door, request: Request) -> Result<Response, Refused> {
    let room = Arc::clone(&door.room).try_acquire_owned().map_err(|_| {
        Refused::new(StatusCode::TOO_MANY_REQUESTS, "too many ask at a time: ask again later")
    })?;
    let (head, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES).await.map_err(|_| {
        let why = format!("a body has at most {BODY_BYTES} bytes");
        Refused::new(StatusCode::PAYLOAD_TOO_LARGE, why)
    })?;
    let address = door.program.address().await.map_err(|unasked| match unasked {
        Unasked::Absent(why) => Refused::new(StatusCode::SERVICE_UNAVAILABLE, why),
        Unasked::Ended(why) => Refused::new(StatusCode::BAD_GATEWAY, why),
    })?;
    let mut asked = Request::builder().method(head.method).uri(path(&head.uri));
    let host = HeaderValue::try_from(address.to_string()).expect("addresses are plain");
    asked = asked.header(HOST, host);
    for name in PASSED {
        if let Some(value) = head.headers.get(&name) {
            asked = asked.header(name, value);
        }
    }
    let asked = asked.body(Body::from(body)).expect("its parts are of a request");
    let (mut head, body, connection) = answered(address, asked).await.map_err(|error| {
        let why = format!("snowmelt-query did not answer ({error}): asking again starts it again");
        Refused::new(StatusCode::BAD_GATEWAY, why)
    })?;
    OF_CONNECTIONS.iter().for_each(|name| drop(head.headers.remove(name)));
    // Whoever gives up the answer closes the connection, which ends the query.
    let body = body.map_frame(move |frame| {
        let _held = (&connection, &room);
        frame
    });
    Ok(Response::from_parts(head, Body::new(body)))
}

/// The path and what is asked of it.
fn path(uri: &Uri) -> String {
    uri.path_and_query().map_or("/query/", |all| all.as_str()).to_owned()
}

/// An answer, and its connection, which is closed when that is dropped.
type Answered = (axum::http::response::Parts, hyper::body::Incoming, JoinSet<hyper::Result<()>>);

/// A connection for one request: what is asked is a person's, not a machine's.
async fn answered(address: SocketAddr, asked: Request<Body>) -> anyhow::Result<Answered> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut carried = JoinSet::new();
    carried.spawn(connection);
    let (head, body) = sender.send_request(asked).await?.into_parts();
    Ok((head, body, carried))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_text() {
        assert!(page("a <b> & c").contains("<p id=\"why\">a &lt;b&gt; &amp; c</p>"));
    }
}
