//! The API that look-ups were recorded against: fixed answers by the first part of a path, and
//! counts of how often a path was asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// How often each path was asked.
type Counts = Arc<Mutex<HashMap<String, u64>>>;

/// What is known of `/user/NAME`.
const USER: &str = concat!(
    r#""name":"Jörg 日本","age":42,"score":1.50,"big":9007199254740993,"tags":["a","b"],"#,
    r#""none":null,"ok":true,"address":{"city":"Köln","geo":{"lat":50.9}},"#,
    r#""list":[{"k":1},{"k":2}],"empty":[],"emptyObject":{},"a-b":"dash","record":[1]}"#,
);

/// Starts it on a port of its own, as a task of the present runtime.
pub async fn start() -> std::io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let app = Router::new().fallback(answer).with_state(Counts::default());
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

async fn answer(
    State(counts): State<Counts>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let parts: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    let part = parts.get(1).copied().unwrap_or_default();
    let count = || {
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(path.to_owned()).or_default();
        *count += 1;
        *count
    };
    let failing = |failing: u64| {
        let count = count();
        let status = if count == failing { 500 } else { 200 };
        text(status, &format!(r#"{{"calls":{count}}}"#))
    };
    match parts[0] {
        "echo" => text(200, &echo(&method, path, &headers, &body).to_string()),
        "user" => text(200, &format!(r#"{{"id":{},{USER}"#, json!(part))),
        "status" => {
            let code = part.parse().expect("a status");
            let mut response = text(code, &format!(r#"{{"status":{code}}}"#));
            if code / 100 == 3 {
                let to = "/user/redirected".parse().expect("a header");
                response.headers_mut().insert("location", to);
            }
            response
        }
        "badjson" => text(200, r#"{"a": nope}"#),
        "html" => with_type("text/html", "<html>hi</html>"),
        "emptybody" => text(200, ""),
        "text-json" => with_type("text/plain", r#"{"v":"as text"}"#),
        "latin1" => {
            with_type("application/json; charset=ISO-8859-1", b"{\"v\":\"caf\xe9\"}".as_slice())
        }
        "scalar" => text(200, "5"),
        "string" => text(200, "\"txt\""),
        "null" => text(200, "null"),
        "array" => text(200, r#"[{"v":1},{"v":2}]"#),
        "dupkeys" => text(200, r#"{"v":1,"v":2}"#),
        "numbers" => {
            text(200, r#"{"a":1.0,"b":1e3,"c":-0,"d":0.10,"f":1E-7,"g":9223372036854775807}"#)
        }
        "toobig" => text(200, r#"{"e":9223372036854775808}"#),
        "slow" => {
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            text(200, r#"{"v":"late"}"#)
        }
        "count" => text(200, &format!(r#"{{"calls":{}}}"#, count())),
        "failfirst" => failing(1),
        "failsecond" => failing(2),
        _ => text(404, r#"{"error":"no such thing"}"#),
    }
}

fn echo(method: &Method, path: &str, headers: &HeaderMap, body: &Bytes) -> Value {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let body = (!body.is_empty()).then(|| String::from_utf8_lossy(body).into_owned());
    let parsed = body.as_ref().map(|body| serde_json::from_str::<Value>(body).expect("JSON"));
    json!({
        "method": method.as_str(),
        "path": path,
        "body": body,
        "bodyJson": parsed,
        "authorization": header(AUTHORIZATION),
        "contentType": header(CONTENT_TYPE),
        "accept": header(ACCEPT),
    })
}

fn text(status: u16, body: &str) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let body = if status == StatusCode::NO_CONTENT { String::new() } else { body.to_owned() };
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

fn with_type(content_type: &'static str, body: impl Into<Bytes>) -> Response {
    ([(CONTENT_TYPE, content_type)], body.into()).into_response()
}
