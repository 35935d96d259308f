//! What EC2 tells a machine of itself. The client is the SDK's, which keeps the token that version
//! 2 wants, and takes `AWS_EC2_METADATA_SERVICE_ENDPOINT` for its address.

use std::time::Duration;

use aws_config::imds::client::Client;
use aws_config::imds::client::error::ImdsError;
use aws_config::provider_config::ProviderConfig;

use crate::aws;
use crate::causes::chain;

/// The service is on the machine's own host: what takes longer is not there.
const SOON: Duration = Duration::from_secs(1);

/// The metadata service of this machine.
#[derive(Debug)]
pub struct Metadata(Client);

impl Metadata {
    /// The one that the environment names, or EC2's. Never by a proxy.
    pub fn here() -> Metadata {
        let config = ProviderConfig::default().with_http_client(aws::http_without_proxy());
        let client = Client::builder().configure(&config).max_attempts(1);
        Metadata(client.connect_timeout(SOON).read_timeout(SOON).build())
    }

    /// What stands there; nothing where nothing does; or why it cannot be told.
    pub async fn get(&self, path: &str) -> Result<Option<String>, String> {
        match self.0.get(format!("/latest/meta-data/{path}")).await {
            Ok(said) => Ok(Some(said.into())),
            Err(ImdsError::ErrorResponse(answer)) => match answer.response().status().as_u16() {
                404 => Ok(None),
                status => Err(format!("{path}: status {status}")),
            },
            Err(error) => Err(chain(&error)),
        }
    }
}
