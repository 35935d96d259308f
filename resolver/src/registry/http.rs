//! A registry over HTTP: a static one (a bucket, a web server) or an Iglu Server.
//!
//! Both are asked for `<uri>/schemas/<vendor>/<name>/<format>/<version>`. A key, if there is one,
//! goes along in a header, and never to another host than the configured one.

use std::time::Duration;

use event::SchemaKey;
use event::reason::RegistryError;
use reqwest::header::{ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};

use crate::registry::{Answer, Asking, Listing, Registry, SCHEMA_LIMIT, Unlisted};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a whole answer may take. A schema is small; a registry that is slower than this is in
/// trouble.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest list of schemas read, bytes.
const LIST_LIMIT: usize = 16 << 20;

/// The longest tag that is kept, bytes; servers send some forty.
const TAG_LIMIT: usize = 256;

/// How many redirects are followed.
const REDIRECTS: usize = 5;

/// How much of an unexpected body goes into a bad row, characters; its schema allows 256.
const QUOTE: usize = 200;

/// A registry over HTTP.
pub(crate) struct Http {
    client: Client,
    schemas: String,
}

/// Why a registry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// The key cannot be a header's value.
    #[error("a key of printable ASCII characters")]
    Key,
    /// The client could not be made.
    #[error(transparent)]
    Client(#[from] reqwest::Error),
}

impl Http {
    /// The registry at a URI, without `/schemas`.
    pub(crate) fn new(uri: &str, key: Option<&str>) -> Result<Http, HttpError> {
        // Whoever installs a provider first wins; it is the same one everywhere.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let mut value = HeaderValue::from_str(key).map_err(|_| HttpError::Key)?;
            value.set_sensitive(true);
            headers.insert("apikey", value);
        }
        let client = Client::builder()
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .user_agent(concat!("snowmelt/", env!("CARGO_PKG_VERSION")))
            .redirect(redirects(key.is_some()))
            .build()?;
        let uri = uri.strip_suffix('/').unwrap_or(uri);
        Ok(Http { client, schemas: format!("{uri}/schemas") })
    }

    async fn ask(&self, key: &SchemaKey, known: Option<&str>) -> Answer {
        let mut request = self.client.get(format!("{}/{}", self.schemas, key.path()));
        if let Some(tag) = known {
            request = request.header(IF_NONE_MATCH, tag);
        }
        match request.send().await {
            Ok(response) if known.is_some() && response.status() == StatusCode::NOT_MODIFIED => {
                Answer::Unchanged
            }
            Ok(response) => answer(response).await,
            // Nothing was sent: it is the name that no address can hold.
            Err(why) if why.is_builder() => {
                Answer::Refused(RegistryError::ClientFailure(describe(&why)))
            }
            Err(why) => unreachable(RegistryError::ClientFailure(describe(&why))),
        }
    }

    /// What an Iglu Server lists; a static registry has no such document.
    async fn all(&self) -> Result<Vec<SchemaKey>, Unlisted> {
        let request = self.client.get(format!("{}?repr=uri", self.schemas));
        let response = request.send().await.map_err(|why| Unlisted::Failed(describe(&why)))?;
        let status = response.status();
        if status.is_server_error() {
            return Err(Unlisted::Failed(format!("Unexpected response code: {}", status.as_u16())));
        }
        if !status.is_success() {
            return Err(Unlisted::Unable);
        }
        let body = body(response, LIST_LIMIT).await;
        let body = body.map_err(|_| Unlisted::Failed("the list broke off".to_owned()))?;
        let listed: Vec<serde_json::Value> =
            serde_json::from_slice(&body).map_err(|_| Unlisted::Unable)?;
        Ok(listed.iter().filter_map(listed_key).collect())
    }
}

/// An entry of an Iglu Server's list: an Iglu URI, or something with a `self`.
fn listed_key(entry: &serde_json::Value) -> Option<SchemaKey> {
    if let Some(uri) = entry.as_str() {
        return SchemaKey::parse(uri).ok();
    }
    let part = |name: &str| entry["self"][name].as_str();
    let (vendor, name) = (part("vendor")?, part("name")?);
    let (format, version) = (part("format")?, part("version")?);
    SchemaKey::parse(&format!("iglu:{vendor}/{name}/{format}/{version}")).ok()
}

impl Registry for Http {
    fn get<'a>(&'a self, key: &'a SchemaKey, known: Option<&'a str>) -> Asking<'a> {
        Box::pin(self.ask(key, known))
    }

    fn list(&self) -> Listing<'_> {
        Box::pin(self.all())
    }
}

/// Follows a few redirects; with a key, only those to the same scheme, host and port.
fn redirects(keyed: bool) -> Policy {
    Policy::custom(move |attempt| {
        let origin = attempt.previous().first().map(reqwest::Url::origin);
        let elsewhere = origin.is_some_and(|origin| origin != attempt.url().origin());
        if attempt.previous().len() > REDIRECTS {
            attempt.error("too many redirects")
        } else if keyed && elsewhere {
            attempt.stop()
        } else {
            attempt.follow()
        }
    })
}

async fn answer(response: Response) -> Answer {
    let status = response.status();
    let retry_after = retry_after(response.headers());
    let tag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
    let tag = tag.filter(|tag| tag.len() <= TAG_LIMIT).map(Into::into);
    if status == StatusCode::NOT_FOUND {
        return Answer::NotFound;
    }
    let body = match body(response, SCHEMA_LIMIT).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let text = String::from_utf8_lossy(&body);
    let quote: String = text.chars().take(QUOTE).collect();
    let code = status.as_u16();
    match code {
        200..=299 => match String::from_utf8(body).map(|text| Answer::read(text, tag)) {
            Ok(found @ Answer::Found { .. }) => found,
            // Half a page of an overloaded proxy looks like this, so it is no verdict.
            _ => unreachable(RegistryError::ClientFailure(format!(
                "Could not decode server response. {quote}"
            ))),
        },
        408 | 425 | 429 => Answer::Unreachable {
            error: RegistryError::ClientFailure(format!("Unexpected response code: {code}")),
            retry_after,
        },
        400..=499 => {
            let message = format!("Unexpected response code: {code}");
            Answer::Refused(RegistryError::ClientFailure(message))
        }
        500..=599 => Answer::Unreachable {
            error: RegistryError::RepoFailure(format!("Unexpected server response: {quote}")),
            retry_after,
        },
        _ => unreachable(RegistryError::ClientFailure(format!("Unexpected response: {quote}"))),
    }
}

/// The body, unpacked, read only as far as it may go.
async fn body(mut response: Response, limit: usize) -> Result<Vec<u8>, Answer> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(why) => return Err(unreachable(RegistryError::ClientFailure(describe(&why)))),
        }
        if body.len() > limit {
            let message = format!("the schema is larger than {limit} bytes");
            return Err(Answer::Refused(RegistryError::ClientFailure(message)));
        }
    }
}

/// The seconds of a `Retry-After`; its other form, a date, is not used by registries.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn unreachable(error: RegistryError) -> Answer {
    Answer::Unreachable { error, retry_after: None }
}

/// An error with its causes, without the URL, which may hold a secret.
fn describe(error: &reqwest::Error) -> String {
    let mut text = match error {
        error if error.is_timeout() => "timed out".to_owned(),
        error if error.is_connect() => "cannot connect".to_owned(),
        error if error.is_redirect() => "too many redirects".to_owned(),
        error if error.is_body() || error.is_decode() => "the answer broke off".to_owned(),
        _ => "the request failed".to_owned(),
    };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        source = cause.source();
        if source.is_none() {
            text.push_str(": ");
            text.push_str(&cause.to_string());
        }
    }
    text.chars().take(QUOTE).collect()
}
