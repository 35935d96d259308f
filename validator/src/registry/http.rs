//! A registry over HTTP: a static one (a bucket, a web server) or an Iglu Server.
//!
//! Both are asked for `<uri>/schemas/<vendor>/<name>/<format>/<version>`. A key, if there is one,
//! goes along in a header, and never to another host than the configured one.

use std::time::Duration;

use event::SchemaKey;
use event::reason::RegistryError;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};

use crate::registry::{Answer, Asking, Registry, SCHEMA_LIMIT, usable};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a whole answer may take. A schema is small; a registry that is slower than this is in
/// trouble.
const TIMEOUT: Duration = Duration::from_secs(10);

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

    async fn ask(&self, key: &SchemaKey) -> Answer {
        let url = format!("{}/{}", self.schemas, key.path());
        match self.client.get(url).send().await {
            Ok(response) => answer(response).await,
            Err(why) => unreachable(RegistryError::ClientFailure(describe(&why))),
        }
    }
}

impl Registry for Http {
    fn get<'a>(&'a self, key: &'a SchemaKey) -> Asking<'a> {
        Box::pin(self.ask(key))
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
    if status == StatusCode::NOT_FOUND {
        return Answer::NotFound;
    }
    let body = match body(response).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let text = String::from_utf8_lossy(&body);
    let quote: String = text.chars().take(QUOTE).collect();
    let code = status.as_u16();
    match code {
        200..=299 => match String::from_utf8(body).map(usable) {
            Ok(Answer::Found(text)) => Answer::Found(text),
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

/// The body, read only as far as a schema may go.
async fn body(mut response: Response) -> Result<Vec<u8>, Answer> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(why) => return Err(unreachable(RegistryError::ClientFailure(describe(&why)))),
        }
        if body.len() > SCHEMA_LIMIT {
            let message = format!("the schema is larger than {SCHEMA_LIMIT} bytes");
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
