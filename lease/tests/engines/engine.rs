//! DynamoDB on the loopback address, and clients of it.

use std::net::SocketAddr;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Names the address of another emulator that the stores are tested on.
const OTHER: &str = "SNOWMELT_LEASE_TEST_ENGINE";

/// The emulator, within this process. It ends when it is dropped.
pub(crate) struct Engine {
    pub(crate) address: SocketAddr,
    _server: JoinSet<()>,
}

impl Engine {
    pub(crate) async fn start() -> Engine {
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("the port is bound");
        let database = dynoxide::Database::memory().expect("memory");
        let mut server = JoinSet::new();
        server.spawn(dynoxide::server::serve_on(socket, database));
        Engine { address, _server: server }
    }
}

impl Engine {
    /// The emulator that `tests/run` has started for a second opinion, or else our own.
    pub(crate) async fn named() -> Engine {
        #[allow(clippy::disallowed_methods, reason = "a test's own setting, not the program's")]
        match std::env::var(OTHER) {
            Ok(address) => {
                Engine { address: address.parse().expect("an address"), _server: JoinSet::new() }
            }
            Err(_) => Engine::start().await,
        }
    }
}

/// A client that tries nothing twice: that is the keeper's business.
pub(crate) fn client(address: SocketAddr) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .endpoint_url(format!("http://{address}"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}
