//! AWS, found and allowed in as workers find it: region, credentials, endpoint, one TLS.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_http_client::{Builder, Connector, proxy, tls};

use crate::fault::Fault;

/// A connection that takes longer is tried again sooner than it would be established.
const CONNECT: Duration = Duration::from_secs(3);

/// The beginning of an answer takes milliseconds to a few seconds.
const SOON: Duration = Duration::from_secs(20);

/// How what is on the network is found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// The region; that of the environment, a profile or an instance when absent.
    pub(crate) region: Option<String>,
    /// Replaces the endpoint, whose buckets are then addressed by path, as most but Amazon want.
    pub(crate) endpoint: Option<String>,
    /// What a catalog of the REST protocol knows the warehouse by.
    pub(crate) warehouse: Option<String>,
}

impl Access {
    /// Credentials and region, as all programs for AWS find them. There may be none of either.
    pub(crate) async fn config(&self) -> SdkConfig {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(SOON);
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http())
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts.build());
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &self.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        loader.load().await
    }

    /// A client of S3.
    pub(crate) fn s3(&self, config: &SdkConfig) -> Result<Client, Fault> {
        if config.region().is_none() {
            let none = "no AWS region: neither --region nor the environment (AWS_REGION, a \
                        profile, an instance) name one";
            return Err(Fault::mistake(none));
        }
        let config = aws_sdk_s3::config::Builder::from(config);
        let config = config.force_path_style(self.endpoint.is_some()).build();
        Ok(Client::from_conf(config))
    }
}

/// Connections by the proxies that the environment names, with the TLS that all programs here have.
fn http() -> SharedHttpClient {
    let proxy = proxy::ProxyConfig::from_env();
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
