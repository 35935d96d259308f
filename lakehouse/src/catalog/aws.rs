//! [`Aws`]: requests to services of AWS of which a few operations are needed. The SDK's clients of
//! them have hundreds, which would be compiled for these.

use std::time::SystemTime;

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use iceberg::{Error, ErrorKind, Result};
use reqwest::Method;
use serde_json::Value;

/// The most bytes of an answer.
const MOST: usize = 16 << 20;

/// Where AWS is, and as whom it is asked.
#[derive(Clone, Debug)]
pub struct Aws {
    /// Makes the requests.
    pub http: reqwest::Client,
    /// As whom.
    pub credentials: SharedCredentialsProvider,
    /// The region, where an address does not say it.
    pub region: String,
    /// Replaces the address of every service.
    pub endpoint: Option<String>,
}

/// A request that is to be signed.
pub(super) struct Request<'a> {
    pub(super) service: &'static str,
    pub(super) region: &'a str,
    pub(super) method: Method,
    /// After the service's address; begins with a slash.
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
}

/// What a service answered.
pub(super) struct Answer {
    pub(super) status: u16,
    /// What is wrong, in a word, if something is.
    pub(super) code: String,
    pub(super) body: Value,
}

impl Aws {
    fn address(&self, service: &str, region: &str) -> String {
        let domain = if region.starts_with("cn-") { ".cn" } else { "" };
        let own = || format!("https://{service}.{region}.amazonaws.com{domain}");
        self.endpoint.as_ref().map_or_else(own, |url| url.trim_end_matches('/').to_owned())
    }

    /// Asks once: whoever asks knows what may be repeated.
    pub(super) async fn ask(&self, asked: Request<'_>) -> Result<Answer> {
        let service = asked.service;
        let url = format!("{}{}", self.address(service, asked.region), asked.path);
        let body = asked.body.as_ref().map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let signature = self.signature(&asked, &url, &body).await?;
        let mut request = self.http.request(asked.method, &url).body(body);
        for (name, value) in asked.headers.into_iter().chain(signature) {
            request = request.header(name, value);
        }
        let failed = |error: reqwest::Error| {
            let why = format!("{service} does not answer");
            Error::new(ErrorKind::Unexpected, why).with_source(error.without_url())
        };
        let mut response = request.send().await.map_err(failed)?;
        let kind = response.headers().get("x-amzn-errortype");
        let kind = kind.and_then(|kind| kind.to_str().ok()).map(str::to_owned);
        let (status, mut body) = (response.status().as_u16(), Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MOST {
                let why = format!("an answer of {service} has more than {MOST} bytes");
                return Err(Error::new(ErrorKind::Unexpected, why));
            }
            body.extend_from_slice(&chunk);
        }
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = kind.or_else(|| body["__type"].as_str().map(str::to_owned));
        // It may stand behind a namespace, and before an address.
        let code = code.as_deref().unwrap_or_default();
        let code = code.split(':').next().and_then(|code| code.rsplit('#').next());
        Ok(Answer { status, code: code.unwrap_or_default().to_owned(), body })
    }

    async fn signature(
        &self,
        asked: &Request<'_>,
        url: &str,
        body: &[u8],
    ) -> Result<Vec<(&'static str, String)>> {
        let credentials = self.credentials.provide_credentials().await.map_err(|error| {
            Error::new(ErrorKind::Unexpected, "AWS credentials cannot be had").with_source(error)
        })?;
        let identity = credentials.into();
        #[allow(clippy::disallowed_methods, reason = "a signature holds for minutes from now")]
        let now = SystemTime::now();
        let unsigned = |error: &dyn std::error::Error| {
            Error::new(ErrorKind::DataInvalid, format!("a request cannot be signed: {error}"))
        };
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(asked.region)
            .name(asked.service)
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsigned(&error))?
            .into();
        let names = asked.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let bytes = SignableBody::Bytes(body);
        let request = SignableRequest::new(asked.method.as_str(), url, names, bytes);
        let request = request.map_err(|error| unsigned(&error))?;
        let (signed, _) = sign(request, &params).map_err(|error| unsigned(&error))?.into_parts();
        let headers = signed.headers().map(|(name, value)| (name, value.to_owned()));
        // The names live as long as the signature; these are all that it has.
        let known = |name: &str| KNOWN.into_iter().find(|known| *known == name);
        Ok(headers.filter_map(|(name, value)| Some((known(name)?, value))).collect())
    }
}

/// The headers of a signature.
const KNOWN: [&str; 4] =
    ["authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"];

impl Answer {
    pub(super) fn is_done(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The answer's body, if it is not that something is wrong.
    pub(super) fn or_error(self, doing: &str) -> Result<Value> {
        if self.is_done() {
            return Ok(self.body);
        }
        let message = self.body["message"].as_str().or_else(|| self.body["Message"].as_str());
        let message = message.unwrap_or_default();
        let why = format!("{doing}: {} {}: {message}", self.status, self.code);
        // What is said of the request is so the next time, too; but rights may be given, and
        // limits pass.
        let lasting = ["InvalidInputException", "ValidationException", "BadRequestException"];
        let lasting = lasting.contains(&self.code.as_str());
        let kind = if lasting { ErrorKind::DataInvalid } else { ErrorKind::Unexpected };
        Err(Error::new(kind, why))
    }
}
