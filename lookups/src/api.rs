//! Asking an API over HTTP.
//!
//! One request for a question: nothing is tried again and no redirect is followed. Time and size
//! are bounded. No URL, header or body goes into what is said about a failure: they hold values of
//! events, and keys.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use enrichments::lookup::Key;
use enrichments::lookup::api::{Api as Configured, Method};
use event::Bump;
use event::charset::{Charset, of_content_type};
use event::reason::Words;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};

use crate::{Ask, Asking, Settings, Trouble, address};

/// The longest answer read, bytes.
const LONGEST: usize = 1 << 20;

/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(60);

/// An API.
#[derive(Debug)]
pub struct Api {
    configured: Configured,
    client: Client,
    allowed: Arc<[String]>,
}

impl Api {
    /// A client for a look-up.
    pub fn new(configured: Configured, settings: &Settings) -> Result<Api, reqwest::Error> {
        // Whoever installs a provider first wins; it is the same one everywhere.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let allowed: Arc<[String]> = settings.allow_hosts.clone().into();
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(configured.timeout)
            .pool_max_idle_per_host(settings.concurrency)
            .pool_idle_timeout(IDLE)
            .dns_resolver(Arc::new(address::Names { allowed: Arc::clone(&allowed) }))
            // A proxy would connect to what must not be asked.
            .no_proxy()
            .user_agent(concat!("snowmelt/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Api { configured, client, allowed })
    }

    async fn request(&self, key: &Key) -> Result<enrichments::lookup::Answer, Trouble> {
        let (url, body) = Configured::request(key);
        let url = self.url(url)?;
        let mut request = match self.configured.method {
            Method::Get => self.client.get(url),
            Method::Post => self.client.post(url),
            Method::Put => self.client.put(url),
        };
        request = request.header(CONTENT_TYPE, "application/json").header(ACCEPT, "*/*");
        if let Some(who) = &self.configured.credentials {
            request = request.basic_auth(&who.username, Some(&who.password));
        }
        if let Some(body) = body {
            request = request.body(body.to_owned());
        }
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        let status = response.status();
        if !status.is_success() {
            let words = vec![Words::own(format!("Request failed with status {}", status.as_u16()))];
            return Err(if passes(status) {
                Trouble::Outage(words)
            } else {
                Trouble::Refused(words)
            });
        }
        let text = self.text(response).await?;
        self.configured.answer(&text).map_err(|words| Trouble::Refused(vec![words]))
    }

    fn url(&self, url: &str) -> Result<Url, Trouble> {
        let refused = |why: String| Trouble::Refused(vec![Words::quoting("uri ", why)]);
        let parsed = Url::parse(url).ok().filter(|parsed| parsed.has_host());
        let parsed = parsed.filter(|parsed| matches!(parsed.scheme(), "http" | "https"));
        let Some(parsed) = parsed else {
            return Err(refused(format!("[{url}] is not valid: Invalid URI")));
        };
        match address::refused(&parsed, &self.allowed) {
            Some(host) => Err(refused(format!(
                "[{url}] is not asked: {host} is an address of a \
                                               machine's own services"
            ))),
            None => Ok(parsed),
        }
    }

    /// The text of an answer, in whatever charset it is.
    async fn text(&self, mut response: Response) -> Result<String, Trouble> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(&error))? {
            if bytes.len() + chunk.len() > LONGEST {
                let words = format!("the answer has more than {LONGEST} bytes");
                return Err(Trouble::Refused(vec![Words::own(words)]));
            }
            bytes.extend_from_slice(&chunk);
        }
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let charset = content_type.and_then(of_content_type).map(|(charset, _)| charset);
        let charset = charset.or_else(|| Charset::named("UTF-8")).expect("UTF-8 is known");
        Ok(charset.decode(&bytes, &Bump::new()).to_owned())
    }

    /// What a failure of the network is.
    fn failed(&self, error: &reqwest::Error) -> Trouble {
        let said = if error.is_timeout() {
            format!("no answer within {} ms", self.configured.timeout.as_millis())
        } else {
            let mut cause = error.source();
            let mut last = None;
            while let Some(inner) = cause {
                if let Some(error) = inner.downcast_ref::<io::Error>() {
                    match error.kind() {
                        io::ErrorKind::ConnectionRefused => {
                            return Trouble::Outage(vec!["Connection refused".into()]);
                        }
                        io::ErrorKind::PermissionDenied => {
                            return Trouble::Refused(vec![Words::own(error.to_string())]);
                        }
                        _ => {}
                    }
                }
                last = Some(inner.to_string());
                cause = inner.source();
            }
            last.unwrap_or_else(|| "the request failed".to_owned())
        };
        Trouble::Outage(vec![Words::own(said)])
    }
}

impl Ask for Api {
    fn ask<'a>(&'a self, key: &'a Key) -> Asking<'a> {
        Box::pin(self.request(key))
    }

    /// Connects to the host, if no value of an event is part of its name.
    fn reach(&self) -> std::pin::Pin<Box<dyn Future<Output = Result<(), Trouble>> + Send + '_>> {
        Box::pin(async {
            let Some(origin) = self.configured.origin() else { return Ok(()) };
            let url = self.url(&origin)?;
            match self.client.head(url).send().await {
                // Whatever it says of this path: it is there.
                Ok(_) => Ok(()),
                Err(error) => Err(self.failed(&error)),
            }
        })
    }
}

/// Whether a status is of the kind that passes by itself.
fn passes(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}
