//! [`Gate`]: in front of a catalog of the REST protocol, gives tokens to one client, and lets each
//! token pass a few times only.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Requests that a token is good for.
const PASSES: u64 = 7;

pub(super) const CLIENT: (&str, &str) = ("snowmelt", "a secret &=%");

pub(super) struct Gate {
    pub(super) url: String,
    tokens: Arc<Mutex<Vec<u64>>>,
    _server: JoinSet<()>,
}

#[derive(Clone)]
struct Behind {
    url: String,
    http: reqwest::Client,
    /// How often each token has passed.
    tokens: Arc<Mutex<Vec<u64>>>,
}

impl Gate {
    pub(super) async fn before(url: String, http: reqwest::Client) -> Result<Gate> {
        let tokens: Arc<Mutex<Vec<u64>>> = Arc::default();
        let behind = Behind { url, http, tokens: Arc::clone(&tokens) };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let service = Router::new().fallback(pass).with_state(behind);
        let mut server = JoinSet::new();
        server.spawn(async move {
            axum::serve(listener, service).await.expect("a listening socket accepts");
        });
        Ok(Gate { url, tokens, _server: server })
    }

    /// How many tokens were given.
    pub(super) fn given(&self) -> usize {
        self.tokens.lock().expect("nothing panics while it holds this").len()
    }
}

async fn pass(State(behind): State<Behind>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 64 << 20).await.expect("it is small");
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    if path == "/v1/oauth/tokens" {
        return token(&behind, &String::from_utf8_lossy(&body));
    }
    let authorization = parts.headers.get(header::AUTHORIZATION);
    let authorization = authorization.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = authorization.strip_prefix("Bearer t").and_then(|token| token.parse().ok());
    if !token.is_some_and(|token| passes(&behind, token)) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let request = behind.http.request(parts.method, format!("{}{path}", behind.url));
    let answer = request.header(header::CONTENT_TYPE, "application/json").body(body).send();
    let answer = answer.await.expect("the catalog answers");
    let status = answer.status();
    let body = answer.bytes().await.expect("the catalog answers");
    (status, Body::from(body)).into_response()
}

fn passes(behind: &Behind, token: usize) -> bool {
    let mut tokens = behind.tokens.lock().expect("nothing panics while it holds this");
    let Some(passed) = tokens.get_mut(token) else { return false };
    *passed += 1;
    *passed <= PASSES
}

fn token(behind: &Behind, form: &str) -> Response {
    let wanted = "grant_type=client_credentials&client_id=snowmelt&client_secret=\
                  a+secret+%26%3D%25&scope=catalog";
    if form != wanted {
        let error = serde_json::json!({ "error": { "message": "unknown client", "type": "X" } });
        return (StatusCode::UNAUTHORIZED, error.to_string()).into_response();
    }
    let mut tokens = behind.tokens.lock().expect("nothing panics while it holds this");
    tokens.push(0);
    let token = serde_json::json!({
        "access_token": format!("t{}", tokens.len() - 1),
        "token_type": "bearer",
        "expires_in": 3600,
    });
    token.to_string().into_response()
}
