//! Clients of AWS: one TLS, endpoints that can be replaced, no retries of their own.
//!
//! Retries stand in the source and the sinks, which know what may be repeated; a retry inside a
//! retry would multiply delays and hide throttling.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls;

/// A connection that takes longer is tried again sooner than it would be established.
const CONNECT: Duration = Duration::from_secs(3);

/// Answers take milliseconds to a few seconds; a 10 MB page or a large object over a slow line
/// takes longer. Beyond this the connection is presumed dead.
const ATTEMPT: Duration = Duration::from_secs(60);

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
    /// Addresses buckets by path, which most emulators want.
    pub s3_path_style: bool,
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
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(ATTEMPT)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
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

    /// A client of Kinesis.
    pub fn kinesis(&self) -> aws_sdk_kinesis::Client {
        let mut config = aws_sdk_kinesis::config::Builder::from(&self.config);
        if let Some(endpoint) = &self.settings.kinesis_endpoint {
            config = config.endpoint_url(endpoint);
        }
        aws_sdk_kinesis::Client::from_conf(config.build())
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

/// Whether the same request may succeed later: throttling, a fault of the service, no answer.
pub fn passes<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let Some(code) = error.code() else { return !matches!(error, SdkError::ServiceError(_)) };
    throttled(error) || faulty(error) || code == "InternalFailure"
}

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
                | "RequestLimitExceeded"
                | "SlowDown"
                | "ConditionalRequestConflict"
        )
    )
}

fn faulty<E>(error: &SdkError<E>) -> bool {
    error.raw_response().is_some_and(|response| response.status().is_server_error())
}

/// What an SDK error says, with its causes and the code of the service.
pub fn words<E: ProvideErrorMetadata + std::error::Error + 'static>(error: &SdkError<E>) -> String {
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => crate::fleet::chain(error),
    }
}
