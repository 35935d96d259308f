//! Clients of AWS: one TLS, endpoints that can be replaced, no retries of their own.
//!
//! Retries stand in the source and the sinks, which know what may be repeated; a retry inside a
//! retry would multiply delays and hide throttling.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kinesis::config::SharedHttpClient;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::{Builder, Connector, proxy, tls};

use crate::causes::chain;
use crate::exit::Usage;
use crate::health::Failure;

/// A connection that takes longer is tried again sooner than it would be established.
const CONNECT: Duration = Duration::from_secs(3);

/// Answers take milliseconds to a few seconds; a 10 MB page or a large object over a slow line
/// takes longer. Beyond this the connection is presumed dead.
const ATTEMPT: Duration = Duration::from_secs(60);

/// Answers to small questions take milliseconds to seconds. What asks again and again, and would
/// otherwise stand still, is not left hanging longer.
const SOON: Duration = Duration::from_secs(5);

/// A page of 10 MB over a slow line.
const PAGE: Duration = Duration::from_secs(30);

/// What an upload is given beside [`ATTEMPT`]: one second for each so many bytes.
const SLOWEST_UPLOAD: u64 = 1 << 20;

/// The timeouts of requests for records: the answer begins soon, or the request is made again. Each
/// time that one has taken too long, the next is given twice as long: the answer may be slow.
pub fn page_timeouts(too_long: u32) -> TimeoutConfig {
    let soon = SOON.saturating_mul(1 << too_long.min(8)).min(PAGE);
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(soon)
        .operation_attempt_timeout(PAGE)
        .build()
}

/// Whether a request was given up because it took too long.
pub fn took_too_long<E>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::TimeoutError(_) => true,
        SdkError::DispatchFailure(failure) => failure.is_timeout(),
        _ => false,
    }
}

/// The timeouts of an upload of so many bytes.
pub fn upload_timeouts(bytes: usize) -> TimeoutConfig {
    let time = ATTEMPT + Duration::from_secs(bytes as u64 / SLOWEST_UPLOAD);
    TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(time).build()
}

/// What sessions of roles are called in logs of AWS.
const SESSION: &str = "snowmelt";

/// Where AWS is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The region; the environment's when absent.
    pub region: Option<String>,
    /// Replaces every service's endpoint.
    pub endpoint: Option<String>,
    /// Replaces the endpoint of Kinesis.
    pub kinesis_endpoint: Option<String>,
    /// Replaces the endpoint of DynamoDB.
    pub dynamodb_endpoint: Option<String>,
    /// Replaces the endpoint of S3.
    pub s3_endpoint: Option<String>,
    /// Replaces the endpoint of the autoscaling service.
    pub autoscaling_endpoint: Option<String>,
    /// Addresses buckets by path, which most emulators want.
    pub s3_path_style: bool,
}

/// The autoscaling service, which is asked without a client of the SDK.
#[derive(Clone, Debug)]
pub struct Autoscaling {
    /// Where it answers.
    pub endpoint: String,
    /// For which requests are signed.
    pub region: Region,
    /// As whom.
    pub credentials: SharedCredentialsProvider,
}

/// Makes clients.
#[derive(Clone, Debug)]
pub struct Aws {
    config: SdkConfig,
    settings: Settings,
}

impl Aws {
    /// Reads credentials and region as all AWS programs do.
    pub async fn load(settings: Settings) -> Aws {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(ATTEMPT)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        if let Some(region) = &settings.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &settings.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        Aws { config: loader.load().await, settings }
    }

    /// The same elsewhere: in another region, or with the rights of a role, which its own
    /// credentials may take.
    pub async fn elsewhere(&self, region: Option<&str>, role: Option<&str>) -> Aws {
        let mut config = self.config.to_builder();
        if let Some(region) = region {
            config = config.region(Region::new(region.to_owned()));
        }
        if let Some(role) = role {
            let provider = AssumeRoleProvider::builder(role).session_name(SESSION);
            let provider = provider.configure(&self.config).build().await;
            config = config.credentials_provider(SharedCredentialsProvider::new(provider));
        }
        Aws { config: config.build(), settings: self.settings.clone() }
    }

    /// Whether a region was found, without which no request can be made.
    pub fn has_region(&self) -> bool {
        self.config.region().is_some()
    }

    /// Whether there are a region and credentials, for commands that somebody waits for: a worker
    /// waits itself, since a machine's role may be late.
    pub async fn check(self) -> Result<Aws, Usage> {
        if !self.has_region() {
            let none = "no AWS region: neither the arguments nor the environment (AWS_REGION, a \
                        profile, an instance) name one";
            return Err(Usage(none.to_owned()));
        }
        let provider = self.config.credentials_provider();
        match provider.as_ref().map(AsRef::as_ref) {
            None => Err(Usage(NO_CREDENTIALS.to_owned())),
            Some(provider) => match provider.provide_credentials().await {
                Ok(_) => Ok(self),
                Err(error) => Err(Usage(without_credentials(&error))),
            },
        }
    }

    /// What a request to the autoscaling service is made with.
    pub fn autoscaling(&self) -> Result<Autoscaling, &'static str> {
        let region = self.config.region().cloned().ok_or("no AWS region")?;
        let credentials = self.config.credentials_provider().ok_or(NO_CREDENTIALS)?;
        let domain = if region.as_ref().starts_with("cn-") { ".cn" } else { "" };
        let own = || format!("https://autoscaling.{region}.amazonaws.com{domain}/");
        let Settings { endpoint, autoscaling_endpoint, .. } = &self.settings;
        let endpoint = autoscaling_endpoint.as_ref().or(endpoint.as_ref());
        let endpoint = endpoint.cloned().unwrap_or_else(own);
        Ok(Autoscaling { endpoint, region, credentials })
    }

    /// What catalogs of tables are asked with; nothing without a region or credentials.
    pub fn of_catalogs(&self, http: reqwest::Client) -> Option<lakehouse::Aws> {
        let region = self.config.region()?.to_string();
        let credentials = self.config.credentials_provider()?;
        let endpoint = self.config.endpoint_url().map(str::to_owned);
        Some(lakehouse::Aws { http, credentials, region, endpoint })
    }

    /// A client of Kinesis.
    pub fn kinesis(&self) -> aws_sdk_kinesis::Client {
        let mut config = aws_sdk_kinesis::config::Builder::from(&self.config);
        if let Some(endpoint) = &self.settings.kinesis_endpoint {
            config = config.endpoint_url(endpoint);
        }
        aws_sdk_kinesis::Client::from_conf(config.build())
    }

    /// A client of Kinesis whose connections are used by nobody else.
    pub fn kinesis_apart(&self) -> aws_sdk_kinesis::Client {
        let config = self.config.to_builder().http_client(http()).build();
        Aws { config, settings: self.settings.clone() }.kinesis()
    }

    /// A client of DynamoDB.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let mut config = aws_sdk_dynamodb::config::Builder::from(&self.config);
        if let Some(endpoint) = &self.settings.dynamodb_endpoint {
            config = config.endpoint_url(endpoint);
        }
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    /// A client of S3.
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let mut config = aws_sdk_s3::config::Builder::from(&self.config);
        if let Some(endpoint) = &self.settings.s3_endpoint {
            config = config.endpoint_url(endpoint);
        }
        let config = config.force_path_style(self.settings.s3_path_style);
        aws_sdk_s3::Client::from_conf(config.build())
    }
}

/// A pool of connections of its own, by the proxies that the environment names (`HTTPS_PROXY`,
/// `NO_PROXY`).
fn http() -> SharedHttpClient {
    http_by(proxy::ProxyConfig::from_env())
}

/// The same for what answers on this machine's own network.
pub fn http_without_proxy() -> SharedHttpClient {
    http_by(proxy::ProxyConfig::disabled())
}

fn http_by(proxy: proxy::ProxyConfig) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        let mut connector = Connector::builder().proxy_config(proxy.clone());
        if let Some(settings) = settings {
            connector = connector.connector_settings(settings.clone());
        }
        if let Some(sleep) = components.and_then(|components| components.sleep_impl()) {
            connector = connector.sleep_impl(sleep);
        }
        connector.tls_provider(ring).build()
    })
}

impl Failure {
    /// What an answer of AWS, or its absence, says.
    pub fn of<E>(action: &'static str, error: &SdkError<E>) -> Failure
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let message = match error.message() {
            Some(message) => message.to_owned(),
            None => error.code().map_or_else(|| causes(error), |_| String::new()),
        };
        Failure {
            action,
            status: status(error),
            code: error.code().map(str::to_owned),
            message,
            passing: passes(error),
        }
    }
}

/// Whether the same request may succeed later with nobody doing anything: a limit, a fault of the
/// service or of what lies between, no answer, credentials that are being renewed. The status
/// counts before the code: what lies between has codes of its own, or none.
pub fn passes<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        // The request cannot even be made.
        SdkError::ConstructionFailure(_) => return false,
        SdkError::ServiceError(_) => {}
        _ => return true,
    }
    let passing_status =
        status(error).is_some_and(|status| status >= 500 || PASSING.contains(&status));
    passing_status || throttled(error) || renewed(error)
}

/// A request that took too long, and one too many.
const PASSING: [u16; 2] = [408, 429];

/// Whether a limit was hit.
pub fn throttled<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    matches!(
        error.code(),
        Some(
            "ProvisionedThroughputExceededException"
                | "LimitExceededException"
                | "KMSThrottlingException"
                | "ThrottlingException"
                | "Throttling"
                | "TooManyRequestsException"
                | "RequestLimitExceeded"
                | "RequestThrottled"
                | "SlowDown"
                | "ConditionalRequestConflict"
        )
    )
}

/// Whether the credentials have expired, or the request was too long under way: the next one is
/// signed anew.
fn renewed<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    matches!(
        error.code(),
        Some(
            "ExpiredToken"
                | "ExpiredTokenException"
                | "RequestExpired"
                | "RequestTimeout"
                | "RequestTimeoutException"
                | "RequestTimeTooSkewed"
                | "InternalFailure"
        )
    )
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// What an SDK error says, with its causes and the code of the service.
pub fn words<E: ProvideErrorMetadata + std::error::Error + 'static>(error: &SdkError<E>) -> String {
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => causes(error),
    }
}

/// What failed on the way, in one line. Of credentials that are not there the SDK lists everything
/// that it tried, a page each time.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<CredentialsError>() {
            return without_credentials(error);
        }
        cause = error.source();
    }
    chain(error).split_whitespace().collect::<Vec<_>>().join(" ")
}

const NO_CREDENTIALS: &str = "no AWS credentials were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID \
                              and AWS_SECRET_ACCESS_KEY, or run where a role gives them";

fn without_credentials(error: &CredentialsError) -> String {
    if matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
        return NO_CREDENTIALS.to_owned();
    }
    let why = chain(error).split_whitespace().collect::<Vec<_>>().join(" ");
    format!("AWS credentials cannot be had: {why}")
}
