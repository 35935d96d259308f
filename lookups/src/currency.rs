//! Fetching the rates of a day, in the form of Open Exchange Rates.
//!
//! Each day is fetched once and kept in a folder: a day that is over never changes. What was
//! fetched before its day was over holds until then, and is fetched again after. The key stands in
//! the request's URL, as the service wants it, so no error shows a URL.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use enrichments::lookup::currency::Currency;
use enrichments::lookup::{Answer, Key};
use event::reason::Words;
use reqwest::Url;
use reqwest::redirect::Policy;

use crate::{Ask, Asking, Trouble};

/// The largest answer: some 170 currencies need 4 KiB.
const MOST_BYTES: usize = 1 << 20;

const DAY_MS: i64 = 86_400_000;

/// How rates are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the service is, with a slash at its end.
    pub url: String,
    /// Where days are kept; nowhere if there is none.
    pub folder: Option<PathBuf>,
    /// How long an answer may take.
    pub timeout: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            url: "https://openexchangerates.org/api/".to_owned(),
            folder: None,
            timeout: Duration::from_secs(10),
        }
    }
}

/// The look-up of rates.
pub struct Rates {
    currency: Currency,
    settings: Settings,
    client: reqwest::Client,
}

impl Rates {
    /// Nothing is fetched before it is asked for.
    pub fn new(currency: &Currency, settings: &Settings) -> Result<Rates, reqwest::Error> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(settings.timeout)
            .redirect(Policy::none())
            .build()?;
        Ok(Rates { currency: currency.clone(), settings: settings.clone(), client })
    }

    /// The rates of a day, kept or fetched.
    async fn rates(&self, day: &str) -> Result<Answer, Trouble> {
        let kept = self.settings.folder.as_ref().map(|folder| folder.join(self.file_name(day)));
        if let Some(path) = &kept
            && let Some(body) = read(path, day).await
        {
            return self.outcome(&body);
        }
        let body = self.get(&format!("historical/{day}.json")).await?;
        let answer = self.outcome(&body)?;
        if let Some(path) = &kept
            && let Err(error) = write(path, &body).await
        {
            tracing::warn!(path = %path.display(), %error, "the rates of a day cannot be kept");
        }
        Ok(answer)
    }

    fn outcome(&self, body: &str) -> Result<Answer, Trouble> {
        match self.currency.answer(body) {
            Answer::Failed(words) => Err(Trouble::Refused(words.to_vec())),
            answer => Ok(answer),
        }
    }

    async fn get(&self, path: &str) -> Result<String, Trouble> {
        let failed = |error: reqwest::Error| outage(causes(&error.without_url()));
        let mut url = format!("{}{path}", self.settings.url)
            .parse::<Url>()
            .map_err(|error| outage(format!("the service's address: {error}")))?;
        url.query_pairs_mut().append_pair("app_id", &self.currency.api_key.0);
        if self.currency.asks_by_base {
            url.query_pairs_mut().append_pair("base", self.currency.base.code);
        }
        let mut response = self.client.get(url).send().await.map_err(failed)?;
        let status = response.status();
        // What the service says about a request is its answer; what says nothing about it is none.
        if status.is_server_error() || status.is_redirection() || status == 429 {
            return Err(outage(format!("the service of rates answered with status {status}")));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MOST_BYTES {
                return Err(outage(format!("the answer has more than {MOST_BYTES} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        String::from_utf8(body).map_err(|_| outage("the answer is no text".to_owned()))
    }

    fn file_name(&self, day: &str) -> String {
        let by = if self.currency.asks_by_base { self.currency.base.code } else { "USD" };
        format!("{day}-{by}.json")
    }
}

impl Ask for Rates {
    fn ask<'a>(&'a self, key: &'a Key) -> Asking<'a> {
        Box::pin(self.rates(Currency::day(key)))
    }

    fn reach(&self) -> Pin<Box<dyn Future<Output = Result<(), Trouble>> + Send + '_>> {
        Box::pin(async {
            let body = self.get("latest.json").await?;
            self.outcome(&body).map(drop)
        })
    }
}

/// The kept rates of a day; none if there are none, or if they were fetched before its end, which
/// has come since.
async fn read(path: &Path, day: &str) -> Option<String> {
    let end_ms = event::time::parse_ms(&format!("{day} 00:00:00.000"))? + DAY_MS;
    let end = UNIX_EPOCH + Duration::from_millis(u64::try_from(end_ms).ok()?);
    let fetched = tokio::fs::metadata(path).await.ok()?.modified().ok()?;
    if fetched < end && now() >= end {
        return None;
    }
    tokio::fs::read_to_string(path).await.ok()
}

#[allow(clippy::disallowed_methods, reason = "a shell of its own: whether a day is over")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Keeps the rates of a day: under its name once it is whole.
async fn write(path: &Path, body: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    let unfinished = path.with_extension(format!("{}.part", std::process::id()));
    tokio::fs::write(&unfinished, body).await?;
    tokio::fs::rename(&unfinished, path).await
}

fn outage(why: String) -> Trouble {
    Trouble::Outage(vec![Words::own(why)])
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
