//! Kinesis, DynamoDB and S3 on the loopback address: the first two served by this process, S3 by
//! a child. They end when [`Emulators`] is dropped. What they cannot do, no test may rely on: no
//! read limits, no `MillisBehindLatest`, no `ChildShards`, no filters of `ListShards`.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_s3::types::CreateBucketConfiguration;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{self, Next};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::{admin, repository, wait};

/// The region that every client and worker of the tests names.
pub const REGION: &str = "eu-west-1";

// PutRecords takes 5 MiB of records; in Base64 and JSON they are a third longer, and some more.
const REQUEST_BYTES: usize = 8 * 1024 * 1024;

// A Python process on a busy machine.
const S3_STARTS_WITHIN: Duration = Duration::from_secs(60);

/// The three services, and clients of them.
pub struct Emulators {
    /// Where Kinesis answers.
    pub kinesis_url: String,
    /// Where DynamoDB answers.
    pub dynamodb_url: String,
    /// Where S3 answers, path style.
    pub s3_url: String,
    /// A client of the emulated Kinesis.
    pub kinesis: aws_sdk_kinesis::Client,
    /// A client of the emulated DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// A client of the emulated S3.
    pub s3: aws_sdk_s3::Client,
    _servers: JoinSet<()>,
    _s3_process: S3Process,
}

impl Emulators {
    /// Starts all three; `scratch` takes the files of the child.
    pub async fn start(scratch: &Path) -> Result<Emulators> {
        let mut servers = JoinSet::new();
        let kinesis_url = serve_kinesis(&mut servers).await?;
        let dynamodb_url = serve_dynamodb(&mut servers).await?;
        let s3_process = S3Process::start(scratch).await?;
        let s3_url = s3_process.url.clone();
        let aws = sdk_config().await;
        let kinesis = aws_sdk_kinesis::config::Builder::from(&aws).endpoint_url(&kinesis_url);
        let dynamodb = aws_sdk_dynamodb::config::Builder::from(&aws).endpoint_url(&dynamodb_url);
        Ok(Emulators {
            kinesis: aws_sdk_kinesis::Client::from_conf(kinesis.build()),
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
            s3: s3_at(&s3_url).await,
            kinesis_url,
            dynamodb_url,
            s3_url,
            _servers: servers,
            _s3_process: s3_process,
        })
    }

    /// Makes a stream and waits until it can be written.
    pub async fn create_stream(&self, name: &str, shards: i32) -> Result<()> {
        create_stream(&self.kinesis, name, shards).await
    }

    /// Makes a bucket in the region.
    pub async fn create_bucket(&self, name: &str) -> Result<()> {
        let place = CreateBucketConfiguration::builder().location_constraint(REGION.into());
        let request = self.s3.create_bucket().bucket(name);
        request.create_bucket_configuration(place.build()).send().await?;
        Ok(())
    }
}

/// Kinesis alone.
pub struct Streams {
    /// Where it answers.
    pub kinesis_url: String,
    /// A client of it.
    pub kinesis: aws_sdk_kinesis::Client,
    _servers: JoinSet<()>,
}

impl Streams {
    /// Serves it from this process.
    pub async fn start() -> Result<Streams> {
        let mut servers = JoinSet::new();
        let kinesis_url = serve_kinesis(&mut servers).await?;
        let kinesis = kinesis_at(&kinesis_url).await;
        Ok(Streams { kinesis_url, kinesis, _servers: servers })
    }
}

/// A client of S3, path style.
pub async fn s3_at(url: &str) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(&sdk_config().await).endpoint_url(url);
    aws_sdk_s3::Client::from_conf(config.force_path_style(true).build())
}

/// A client of Kinesis with connections of its own.
pub async fn kinesis_at(url: &str) -> aws_sdk_kinesis::Client {
    let config = aws_sdk_kinesis::config::Builder::from(&sdk_config().await).endpoint_url(url);
    aws_sdk_kinesis::Client::from_conf(config.build())
}

/// Makes a stream and waits until it can be written.
pub async fn create_stream(
    kinesis: &aws_sdk_kinesis::Client,
    name: &str,
    shards: i32,
) -> Result<()> {
    kinesis.create_stream().stream_name(name).shard_count(shards).send().await?;
    wait::until(&format!("stream {name}"), Duration::from_secs(10), async || {
        let stream = kinesis.describe_stream_summary().stream_name(name).send().await?;
        let summary = stream.stream_description_summary().context("no description")?;
        Ok((summary.stream_status().as_str() == "ACTIVE").then_some(()))
    })
    .await
}

// Five minutes with AWS. Many come to their end in a test.
const SUBSCRIPTION_MS: u64 = 2_000;

async fn serve_kinesis(servers: &mut JoinSet<()>) -> Result<String> {
    let options = ferrokinesis::store::StoreOptions {
        create_stream_ms: 0,
        delete_stream_ms: 0,
        update_stream_ms: 0,
        // Every stream of a test counts against one limit, and a reshard adds to it.
        shard_limit: 1000,
        subscribe_to_shard_session_ms: SUBSCRIPTION_MS,
        ..Default::default()
    };
    let (service, _store) = ferrokinesis::create_app(options);
    // One request at a time: two that write at once can lock each other out for ever, and can
    // store a record behind one that a reader has passed.
    let turn = Arc::new(Mutex::new(()));
    let one_by_one = middleware::from_fn(move |request: Request, next: Next| {
        let turn = Arc::clone(&turn);
        async move {
            let _turn = turn.lock().await;
            next.run(request).await
        }
    });
    let service = service.layer(one_by_one).layer(DefaultBodyLimit::max(REQUEST_BYTES));
    let (listener, url) = listen().await?;
    servers.spawn(async move {
        axum::serve(listener, service).await.expect("a listening socket accepts");
    });
    Ok(url)
}

async fn serve_dynamodb(servers: &mut JoinSet<()>) -> Result<String> {
    let database = dynoxide::Database::memory().context("an empty database in memory")?;
    let (listener, url) = listen().await?;
    servers.spawn(dynoxide::server::serve_on(listener, database));
    Ok(url)
}

async fn listen() -> Result<(tokio::net::TcpListener, String)> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}

async fn sdk_config() -> aws_config::SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .load()
        .await
}

/// A port that nobody listens on now. Another process could take it before its user does; the
/// user then fails to start, and says so.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

struct S3Process {
    child: Child,
    url: String,
}

impl S3Process {
    async fn start(scratch: &Path) -> Result<S3Process> {
        let program = repository::target().join("tools/python/bin/ministack");
        ensure!(program.exists(), "{} is missing: tests/run installs it", program.display());
        let address = free_address()?;
        let log = std::fs::File::create(scratch.join("s3.log"))?;
        let child = Command::new(&program)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", address.port().to_string())
            .env("SERVICES", "s3,autoscaling,glue")
            .env("TMPDIR", scratch)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let process = S3Process { child, url: format!("http://{address}") };
        wait::until("the S3 emulator", S3_STARTS_WITHIN, async || {
            let answer = admin::get(address, "/_localstack/health").await?;
            Ok((answer.status == 200).then_some(()))
        })
        .await?;
        Ok(process)
    }
}

impl Drop for S3Process {
    fn drop(&mut self) {
        // It may have ended by itself; either way it must not outlive the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
