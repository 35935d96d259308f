//! What every test here begins with: emulators behind a layer of faults, the streams and the bucket
//! of a small pipeline, and the configuration of its workers.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_sdk_kinesis::primitives::Blob;
use tests::arrivals;
use tests::emulators::{self, Emulators, REGION};
use tests::faults::Faults;
use tests::traffic::Producer;
use tests::wait;
use tests::workers::{self, Worker};

pub(crate) const PAYLOADS: &str = "payloads";
pub(crate) const ENRICHED: &str = "enriched";
pub(crate) const BAD: &str = "bad";
pub(crate) const BUCKET: &str = "events";
pub(crate) const TABLE: &str = "leases";

/// Generous, since the machine may be busy: what takes longer is stuck.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Draws of a test that asks for chance; one number for all, so that a failure repeats.
const SEED: u64 = 12;

/// What the workers of a test work on.
pub(crate) struct Stage<'a> {
    /// The services as they are.
    pub(crate) aws: Emulators,
    /// The services as workers see them.
    pub(crate) faults: Faults,
    /// Where files go.
    pub(crate) scratch: &'a Path,
}

impl<'a> Stage<'a> {
    /// Streams and a bucket, and nothing in them.
    pub(crate) async fn set(scratch: &'a Path, shards: i32) -> Result<Stage<'a>> {
        let stage = Stage::bare(scratch).await?;
        stage.aws.create_stream(PAYLOADS, shards).await?;
        stage.aws.create_stream(ENRICHED, 1).await?;
        stage.aws.create_stream(BAD, 1).await?;
        stage.aws.create_bucket(BUCKET).await?;
        Ok(stage)
    }

    /// Services in which nothing was made yet.
    pub(crate) async fn bare(scratch: &'a Path) -> Result<Stage<'a>> {
        let aws = Emulators::start(scratch).await?;
        let faults = Faults::before(&aws, SEED).await?;
        Ok(Stage { aws, faults, scratch })
    }

    /// The configuration of a worker: enriched events to a stream and the bucket, bad rows to the
    /// bucket; short leases and young objects, so that things happen soon.
    pub(crate) fn config(&self) -> Config {
        let Faults { kinesis_url, dynamodb_url, s3_url, .. } = &self.faults;
        let text = format!(
            r#"
            [worker]
            threads = 1
            [aws]
            region = "{REGION}"
            kinesis_endpoint_url = "{kinesis_url}"
            dynamodb_endpoint_url = "{dynamodb_url}"
            s3_endpoint_url = "{s3_url}"
            s3_path_style = true
            [source]
            stream = "{PAYLOADS}"
            poll_interval = "250ms"
            batch_age = "250ms"
            [leases]
            table = "{TABLE}"
            duration = "4s"
            [enriched]
            kinesis = {{ stream = "{ENRICHED}" }}
            s3 = {{ bucket = "{BUCKET}", object_age = "1s" }}
            [bad]
            s3 = {{ bucket = "{BUCKET}", object_age = "1s" }}
            [admin]
            "#
        );
        Config(toml::from_str(&text).expect("this text is TOML"))
    }

    /// Starts a worker and waits until it answers.
    pub(crate) async fn start(&self, name: &str, config: &Config) -> Result<Worker> {
        let mut worker = self.spawn(name, config, None)?;
        worker.wait_until_live().await?;
        Ok(worker)
    }

    /// Starts a worker that may end at once.
    pub(crate) fn spawn(&self, name: &str, config: &Config, log: Option<Stdio>) -> Result<Worker> {
        let admin = emulators::free_address()?;
        let text = config.named(name, admin);
        Worker::spawn(name, admin, &text, self.scratch, workers::snowmelt()?, log)
    }

    /// What `snowmelt worker --check` makes of a configuration.
    pub(crate) fn check(&self, config: &Config, mut command: Command) -> Result<Output> {
        let file = self.scratch.join("checked.toml");
        std::fs::write(&file, config.named("checked", emulators::free_address()?))?;
        Ok(command.args(["worker", "--check", "--config"]).arg(file).output()?)
    }

    /// The same with `--online`.
    pub(crate) fn check_online(&self, config: &Config, mut command: Command) -> Result<Output> {
        command.args(["worker", "--online"]);
        let file = self.scratch.join("checked.toml");
        std::fs::write(&file, config.named("checked", emulators::free_address()?))?;
        Ok(command.args(["--check", "--config"]).arg(file).output()?)
    }

    /// A producer of numbered events into the stream.
    pub(crate) fn producer(&self) -> Producer {
        Producer::new(&self.aws.kinesis, PAYLOADS)
    }

    /// Puts one record into the stream.
    pub(crate) async fn put(&self, data: &[u8]) -> Result<()> {
        let put = self.aws.kinesis.put_record().stream_name(PAYLOADS).partition_key("key");
        put.data(Blob::new(data)).send().await?;
        Ok(())
    }

    /// The names of all objects, those of manifests and probes left out.
    pub(crate) async fn objects(&self) -> Result<Vec<String>> {
        let mut names = arrivals::objects(&self.aws.s3, BUCKET).await?;
        names.retain(|name| !arrivals::is_hidden(name));
        Ok(names)
    }

    /// Waits until a worker holds so many leases.
    pub(crate) async fn wait_until_held(&self, worker: &Worker, leases: usize) -> Result<()> {
        let what = format!("{} to hold {leases} leases", worker.name);
        wait::until(&what, SOON, async || {
            let page = worker.get("/metrics").await?.body;
            let held = format!("snowmelt_leases{{state=\"held\"}} {leases}");
            Ok(page.lines().any(|line| line == held).then_some(()))
        })
        .await
        .with_context(|| worker.log().unwrap_or_default())
    }

    /// Waits until everything that was sent is in the bucket.
    pub(crate) async fn wait_until_stored(&self, producer: &Producer) -> Result<()> {
        wait::until("every event in the bucket", SOON, async || {
            let found = arrivals::in_bucket(&self.aws.s3, BUCKET).await?.arrivals;
            let missing = producer.sent.keys();
            let missing = missing
                .filter(|id| !found.enriched.contains_key(*id) && !found.bad.contains_key(*id));
            let missing = missing.count();
            ensure!(missing == 0, "{missing} of {} are missing", producer.sent.len());
            Ok(Some(()))
        })
        .await
    }
}

/// The configuration of a worker, to be changed by tests.
#[derive(Clone, Debug)]
pub(crate) struct Config(toml::Table);

impl Config {
    /// Sets what a path of keys such as `enriched.s3.prefix` names.
    #[must_use]
    pub(crate) fn with(mut self, path: &str, value: impl Into<toml::Value>) -> Config {
        let (tables, key) = path.rsplit_once('.').expect("every setting is in a section");
        let table = tables.split('.').fold(&mut self.0, |table, name| {
            let inner = table.entry(name).or_insert_with(|| toml::Table::new().into());
            inner.as_table_mut().expect("sections are tables")
        });
        table.insert(key.to_owned(), value.into());
        self
    }

    /// Takes away what a path of keys names.
    #[must_use]
    pub(crate) fn without(mut self, path: &str) -> Config {
        let (tables, key) = match path.rsplit_once('.') {
            Some((tables, key)) => (tables.split('.').collect(), key),
            None => (Vec::new(), path),
        };
        let table = tables.into_iter().fold(&mut self.0, |table, name: &str| {
            table[name].as_table_mut().expect("sections are tables")
        });
        table.remove(key);
        self
    }

    /// The text of a worker's file.
    pub(crate) fn named(&self, name: &str, admin: SocketAddr) -> String {
        let named = self.clone().with("worker.name", name);
        named.with("admin.listen", admin.to_string()).0.to_string()
    }
}
