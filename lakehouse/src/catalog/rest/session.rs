//! [`Session`]: requests to a server of the REST protocol, each as whom it is to be made.

use iceberg::{Error, ErrorKind, Result};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::{Duration, Instant};

use super::{Auth, RestConfig, Secret, segment, unread};

/// The most bytes of an answer. A table's metadata of a thousand columns and a day of snapshots is
/// a few megabytes.
const MOST: usize = 256 << 20;

/// Answers that say that a token is not, or no longer, good. The second is the protocol's own.
const STALE: [u16; 2] = [401, 419];

pub(super) struct Session {
    config: RestConfig,
    http: reqwest::Client,
    /// The address before a path, as the server wants it.
    base: OnceCell<String>,
    token: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    value: String,
    /// When it is renewed, though it may be good a while longer.
    renew: Option<Instant>,
}

/// What a server answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    body: Vec<u8>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.config.fmt(f)
    }
}

impl Session {
    pub(super) fn new(config: RestConfig, http: reqwest::Client) -> Session {
        Session { config, http, base: OnceCell::new(), token: Mutex::default() }
    }

    /// Asks for a path below the address that the server gave.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let base = self.base.get_or_try_init(|| self.begin()).await?;
        self.send(method, &format!("{base}/{path}"), body).await
    }

    fn root(&self) -> String {
        format!("{}/v1", self.config.uri.trim_end_matches('/'))
    }

    /// Asks the server how it wants to be asked.
    async fn begin(&self) -> Result<String> {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Wanted {
            defaults: serde_json::Map<String, Value>,
            overrides: serde_json::Map<String, Value>,
        }
        let query = self.config.warehouse.as_ref();
        let query = query.map(|name| format!("?warehouse={}", segment(name)));
        let url = format!("{}/config{}", self.root(), query.unwrap_or_default());
        let wanted: Wanted = self.send(Method::GET, &url, None).await?.or_error()?.read()?;
        let text = |key: &str| {
            let found = wanted.overrides.get(key).or_else(|| wanted.defaults.get(key));
            found.and_then(Value::as_str)
        };
        let root = text("uri").map(|uri| format!("{}/v1", uri.trim_end_matches('/')));
        let root = root.unwrap_or_else(|| self.root());
        Ok(match text("prefix") {
            Some(prefix) => format!("{root}/{}", prefix.trim_matches('/')),
            None => root,
        })
    }

    async fn send(&self, method: Method, url: &str, body: Option<&Value>) -> Result<Answer> {
        let url: Url = url.parse().map_err(|error| {
            let why = format!("{url:?} is no address of a catalog: {error}");
            Error::new(ErrorKind::DataInvalid, why)
        })?;
        let token = self.token().await?;
        let answer = self.once(method.clone(), &url, body, token.as_ref()).await?;
        let stale = STALE.contains(&answer.status.as_u16());
        if !(stale && matches!(self.config.auth, Auth::Client { .. })) {
            return Ok(answer);
        }
        // What was refused for its token was not done.
        self.forget(token.as_ref()).await;
        let token = self.token().await?;
        self.once(method, &url, body, token.as_ref()).await
    }

    async fn once(
        &self,
        method: Method,
        url: &Url,
        body: Option<&Value>,
        token: Option<&Token>,
    ) -> Result<Answer> {
        let mut request = self.http.request(method, url.clone()).header("accept", JSON);
        if let Some(token) = token {
            request = request.bearer_auth(&token.value);
        }
        if let Some(body) = body {
            let body = serde_json::to_vec(body).expect("a tree of JSON has a text");
            request = request.header("content-type", JSON).body(body);
        }
        answer(request).await
    }

    async fn token(&self) -> Result<Option<Token>> {
        let mut kept = self.token.lock().await;
        match &self.config.auth {
            Auth::None => return Ok(None),
            Auth::Token(Secret(token)) => {
                return Ok(Some(Token { value: token.clone(), renew: None }));
            }
            Auth::Client { .. } => {}
        }
        let due = |token: &Token| token.renew.is_some_and(|renew| Instant::now() >= renew);
        if kept.as_ref().is_none_or(due) {
            *kept = Some(self.new_token().await?);
        }
        Ok(kept.clone())
    }

    /// Throws a token away, unless somebody else has done so.
    async fn forget(&self, token: Option<&Token>) {
        let mut kept = self.token.lock().await;
        if kept.as_ref().map(|kept| &kept.value) == token.map(|token| &token.value) {
            *kept = None;
        }
    }

    async fn new_token(&self) -> Result<Token> {
        #[derive(Deserialize)]
        struct Given {
            access_token: String,
            expires_in: Option<u64>,
        }
        let Auth::Client { server, id, secret, scope, audience } = &self.config.auth else {
            unreachable!("only clients have tokens made")
        };
        let own = || format!("{}/oauth/tokens", self.root());
        let address = server.clone().unwrap_or_else(own);
        let mut form: Url = address.parse().map_err(|error| {
            let why = format!("{address:?} is no address for tokens: {error}");
            Error::new(ErrorKind::DataInvalid, why)
        })?;
        let url = form.clone();
        form.query_pairs_mut()
            .clear()
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", id)
            .append_pair("client_secret", &secret.0)
            .append_pair("scope", scope.as_deref().unwrap_or("catalog"))
            .extend_pairs(audience.iter().map(|audience| ("audience", audience)));
        let form = form.query().unwrap_or_default().to_owned();
        let form_type = "application/x-www-form-urlencoded";
        let request = self.http.post(url).header("content-type", form_type).body(form);
        let answer = answer(request).await?;
        if !answer.status.is_success() {
            let why = format!("no token is given: {}", answer.words());
            return Err(Error::new(ErrorKind::Unexpected, why));
        }
        // The answer holds a secret: what is wrong with it is not told by its text.
        let given: Given = serde_json::from_slice(&answer.body).map_err(|_| {
            Error::new(ErrorKind::Unexpected, "the answer to a request for a token holds none")
        })?;
        let most = given.expires_in.map(|seconds| Duration::from_secs(seconds).mul_f64(0.75));
        Ok(Token { value: given.access_token, renew: most.map(|most| Instant::now() + most) })
    }
}

const JSON: &str = "application/json";

async fn answer(request: RequestBuilder) -> Result<Answer> {
    let failed = |error: reqwest::Error| {
        let why = "the catalog does not answer";
        Error::new(ErrorKind::Unexpected, why).with_source(error.without_url())
    };
    let mut response = request.send().await.map_err(failed)?;
    let (status, mut body) = (response.status(), Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > MOST {
            let why = format!("an answer of the catalog has more than {MOST} bytes");
            return Err(Error::new(ErrorKind::Unexpected, why));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body })
}

impl Answer {
    /// What the server says is wrong.
    pub(super) fn words(&self) -> String {
        #[derive(Deserialize)]
        struct Wrong {
            error: What,
        }
        #[derive(Deserialize)]
        struct What {
            message: Option<String>,
            r#type: Option<String>,
        }
        let status = self.status.as_u16();
        match serde_json::from_slice::<Wrong>(&self.body) {
            Ok(Wrong { error: What { message, r#type } }) => {
                let kind = r#type.unwrap_or_default();
                format!("{status} {kind}: {}", message.unwrap_or_default())
            }
            Err(_) => status.to_string(),
        }
    }

    /// The answer, if it is not that something is wrong.
    pub(super) fn or_error(self) -> Result<Answer> {
        if self.status.is_success() {
            return Ok(self);
        }
        let why = format!("the catalog answers {}", self.words());
        // What is said of the request is so the next time, too; but rights may be given.
        let lasting = [400, 406, 422].contains(&self.status.as_u16());
        let kind = if lasting { ErrorKind::DataInvalid } else { ErrorKind::Unexpected };
        Err(Error::new(kind, why))
    }

    /// The same, where 404 says that something is not there.
    pub(super) fn or_missing(self, kind: ErrorKind) -> Result<Answer> {
        if self.status == StatusCode::NOT_FOUND {
            return Err(Error::new(kind, self.words()));
        }
        self.or_error()
    }

    pub(super) fn read<T: for<'a> Deserialize<'a>>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(unread)
    }
}
