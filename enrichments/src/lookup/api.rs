//! Look-ups of an API over HTTP: an event's values go into a URL, parts of the answer come back as
//! entities.
//!
//! Configured by `api_request_enrichment_config`, and a second one by its `extra_` namesake, which
//! runs after it. A look-up whose inputs are not all there asks nothing. Every input becomes a
//! text; in the URL it is escaped as forms are, in a body it stands as it is. The answer is JSON;
//! each output takes what its path finds there. One output that finds nothing fails the look-up.
//!
//! Sending is left to others: they are given the method, the credentials, how long to wait, and
//! the finished URL and body of a [`Key`].

mod answer;
mod config;
mod text;
mod url;

use std::sync::Arc;
use std::time::Duration;

use event::Bump;
use event::reason::Words;

use super::{Answer, Cache, Key, Value};
use crate::inputs::{Given, Input, Place, Wrong};
use crate::path::Path;

/// As bad rows name this enrichment.
pub(super) const IDENTIFIER: &str = "api-request";

/// The longest URL: far beyond what servers take.
const LONGEST_URL: usize = 64 << 10;

/// A look-up of an API.
#[derive(Clone, Debug)]
pub struct Api {
    /// The name of its configuration.
    pub(super) name: &'static str,
    /// The Iglu URI of its configuration.
    pub(super) uri: String,
    inputs: Vec<Input>,
    /// How it asks.
    pub method: Method,
    url: url::Template,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Who asks.
    pub credentials: Option<Credentials>,
    outputs: Vec<Output>,
    pub(super) cache: Cache,
    pub(super) ignore_errors: bool,
}

/// How a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET, without a body.
    Get,
    /// POST, with the inputs as a body.
    Post,
    /// PUT, with the inputs as a body.
    Put,
}

/// A name and a password; printed as stars.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Who asks.
    pub username: String,
    /// What proves it.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// What is taken from an answer.
#[derive(Clone, Debug)]
struct Output {
    schema: Arc<str>,
    path_text: String,
    path: Result<Path, String>,
}

impl Api {
    /// The finished URL and body of a question.
    pub fn request(key: &Key) -> (&str, Option<&str>) {
        let text = |index: usize| match key.0.get(index) {
            Some(Value::Text(text)) => Some(&**text),
            _ => None,
        };
        (text(0).unwrap_or_default(), text(1))
    }

    /// What becomes of a body that came as an answer; the error is about one that is not JSON.
    pub fn answer(&self, body: &str) -> Result<Answer, Words> {
        answer::read(body, &self.outputs)
    }

    /// A request in a form that can be shown.
    pub(super) fn shown(&self, key: &Key) -> String {
        let method = match self.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
        };
        let (url, body) = Api::request(key);
        let url = if self.url.is_secret() { "***" } else { url };
        format!(
            "{method} {url}{}{}",
            if body.is_some() { " " } else { "" },
            body.unwrap_or_default()
        )
    }

    /// Scheme and host of the URL, with a slash behind them, if they are the same for all events.
    pub fn origin(&self) -> Option<String> {
        self.url.origin()
    }

    pub(super) fn key(
        &self,
        place: &Place<'_, '_>,
        arena: &Bump,
    ) -> Result<Option<Key>, Vec<Words>> {
        let mut texts: Vec<(&str, String)> = Vec::with_capacity(self.inputs.len());
        let (mut wrong, mut complete) = (Vec::new(), true);
        for input in &self.inputs {
            let text = match input.given(place) {
                Ok(Given::Absent) => {
                    complete = false;
                    continue;
                }
                Ok(Given::Column(_, text)) => text.to_owned(),
                Ok(Given::Json(values)) => text::of(&values, arena),
                Err(error) => {
                    wrong.push(said(&input.name, &error));
                    continue;
                }
            };
            match texts.iter_mut().find(|(name, _)| *name == input.name) {
                Some((_, earlier)) => *earlier = text,
                None => texts.push((&input.name, text)),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        if !complete {
            return Ok(None);
        }
        let Some(url) = self.url.fill(&texts) else { return Ok(None) };
        if url.len() > LONGEST_URL {
            return Err(vec![Words::own(format!("the URL has more than {LONGEST_URL} bytes"))]);
        }
        if !url::is_valid(&url) {
            return Err(vec![Words::quoting("uri ", format!("[{url}] is not valid: Invalid URI"))]);
        }
        let body = (self.method != Method::Get).then(|| Value::Text(text::body(&texts).into()));
        let key = std::iter::once(Value::Text(url.into())).chain(body).collect();
        Ok(Some(Key(key)))
    }

    pub(super) fn reads_derived(&self) -> bool {
        self.inputs.iter().any(Input::is_derived)
    }
}

fn said(key: &str, wrong: &Wrong<'_>) -> Words {
    match wrong {
        Wrong::Column => {
            Words::own(format!("Error accessing POJO input field [{key}]: [no such field]"))
        }
        Wrong::Path(why) => Words::own(format!("the JSONPath of input [{key}]: {why}")),
    }
}

#[cfg(test)]
mod tests;
