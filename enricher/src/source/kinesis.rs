//! A Kinesis data stream, read by polling or by enhanced fan-out.
//!
//! This module lists the stream's shards; [`reader`] reads one of them, and [`fan_out`] knows the
//! consumer that subscribes to them.

pub mod aggregate;
pub mod fan_out;
mod number;
mod pace;
mod reader;
pub mod several;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::{ShardIteratorType, StreamDescriptionSummary};
use lease::{Position, Shard, ShardId, Stream};

pub use pace::LEAST_INTERVAL;

use crate::health::{Check, Failure, Need, Unfit};
use crate::metrics::{Metrics, Retention};
use crate::seam::Pending;
use crate::source::{Error, Outlet, Reading, Source};
use fan_out::FanOut;
use reader::Reader;

/// A stream to read.
#[derive(Clone)]
pub struct Kinesis {
    client: Client,
    settings: Settings,
    /// How shards are subscribed to; without it they are polled.
    fan_out: Option<Arc<FanOut>>,
    /// How long the stream keeps records.
    retention: Arc<Retention>,
    /// Whether shards can be listed.
    listing: Arc<Check>,
    /// Whether records can be read.
    reading: Arc<Check>,
    /// Whether it can be told how long the stream keeps records and when it was created, which
    /// nothing needs.
    describing: Arc<Check>,
    metrics: Arc<Metrics>,
}

/// How a stream is read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The stream's name.
    pub stream: String,
    /// Its ARN, where it is asked for by that: a stream of another account is.
    pub arn: Option<String>,
    /// Between two requests to a shard that has records, but no more of them.
    pub poll_interval: Duration,
    /// Between two requests to a shard that has had no records for a while.
    pub idle_poll_interval: Duration,
    /// A batch is complete when it has so many bytes.
    pub batch_bytes: usize,
    /// A batch is complete so long after its first record came.
    pub batch_age: Duration,
    /// What becomes of a shard of which records expired before they were read.
    pub expired: Expired,
}

/// What becomes of a shard of which records expired before they were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expired {
    /// It goes on with the oldest record there is.
    #[default]
    GoOn,
    /// It is not worked.
    Stop,
}

impl Kinesis {
    /// A stream that exists.
    pub fn new(client: Client, settings: Settings, metrics: Arc<Metrics>) -> Kinesis {
        let stream = &settings.stream;
        let listing = format!("stream {stream}, listing of its shards");
        let listing = metrics.health().check(listing, Need::Always);
        let reading = metrics.health().check(format!("stream {stream}, reading"), Need::WhenUsed);
        let describing = Check::alone(format!("stream {stream}, its retention and its creation"));
        let retention = metrics.retention(stream);
        let fan_out = None;
        Kinesis { client, settings, fan_out, retention, listing, reading, describing, metrics }
    }

    /// The same, read by subscriptions.
    #[must_use]
    pub fn with_fan_out(self, fan_out: FanOut) -> Kinesis {
        Kinesis { fan_out: Some(Arc::new(fan_out)), ..self }
    }

    /// Reads a shard that is called otherwise in this worker than by its stream.
    fn read_as(&self, shard: ShardId, called: ShardId, from: Position, outlet: Outlet) -> Reading {
        let reader = Reader::new(self.clone(), shard, called, from, outlet);
        Box::pin(reader.run())
    }

    /// The stream's ARN, which consumers are registered by.
    async fn arn(&self) -> Result<String, Failure> {
        self.describe().await.map(|summary| summary.stream_arn)
    }

    async fn describe(&self) -> Result<StreamDescriptionSummary, Failure> {
        let (name, arn) = self.asked();
        let describe = self.client.describe_stream_summary().set_stream_name(name);
        let answer = describe.set_stream_arn(arn).send().await;
        let answer = answer.map_err(|error| Failure::of("DescribeStreamSummary", &error))?;
        let summary = answer.stream_description_summary.ok_or_else(|| Failure {
            action: "DescribeStreamSummary",
            status: None,
            code: None,
            message: "an answer without a summary".to_owned(),
            passing: true,
        })?;
        let hours = u32::try_from(summary.retention_period_hours()).unwrap_or_default();
        self.retention.set(Duration::from_secs(3600) * hours);
        Ok(summary)
    }

    /// How the stream is asked for: by its name, or by its ARN.
    fn asked(&self) -> (Option<String>, Option<String>) {
        let Settings { stream, arn, .. } = &self.settings;
        (arn.is_none().then(|| stream.clone()), arn.clone())
    }

    async fn list(&self) -> Result<Vec<Shard>, Error> {
        let listed = self.pages_of_shards().await;
        match &listed {
            Ok(_) => self.listing.succeeded(),
            Err(failure) => self.listing.failed(failure),
        }
        let stream = &self.settings.stream;
        listed.map_err(|failure| failed(format!("listing the shards of stream {stream}"), failure))
    }

    async fn pages_of_shards(&self) -> Result<Vec<Shard>, Failure> {
        let mut shards = Vec::new();
        let mut next: Option<String> = None;
        loop {
            // A request for a further page must not name the stream again.
            let (name, arn) = if next.is_none() { self.asked() } else { (None, None) };
            let list = self.client.list_shards().set_stream_name(name).set_stream_arn(arn);
            let list = list.set_next_token(next);
            let timeouts = aws_sdk_kinesis::config::Config::builder()
                .timeout_config(crate::aws::page_timeouts(1));
            let page = list.customize().config_override(timeouts).send().await;
            let page = page.map_err(|error| Failure::of("ListShards", &error))?;
            shards.extend(page.shards().iter().map(shard));
            next = page.next_token;
            if next.is_none() {
                return Ok(shards);
            }
        }
    }
}

/// Which stream it is: its ARN and when it was created, or at least its name.
async fn identity(stream: &Kinesis) -> Stream {
    let name = &stream.settings.stream;
    let named = Stream { name: Some(name.as_str().into()), ..Stream::default() };
    match stream.describe().await {
        Ok(summary) => {
            stream.describing.succeeded();
            let arn = Some(summary.stream_arn()).filter(|arn| arn.starts_with("arn:"));
            Stream {
                name: arn.map(Into::into).or(named.name),
                created: u64::try_from(summary.stream_creation_timestamp.secs()).ok(),
                ..Stream::default()
            }
        }
        Err(failure) => {
            stream.describing.failed(&failure);
            named
        }
    }
}

/// So many shards are tried before none is taken to be readable: one alone may be at fault.
const TRIED: usize = 8;

/// Whether shards can be listed, and any of them read.
async fn look(stream: &Kinesis) -> Result<(), Unfit> {
    let what = format!("stream {}", stream.settings.stream);
    let unfit = |failure| Unfit { what: what.clone(), failure };
    let shards = stream.pages_of_shards().await.map_err(unfit)?;
    let mut looked = Ok(());
    for shard in shards.iter().take(TRIED) {
        looked = look_at(stream, shard).await;
        match &looked {
            Err(failure) if failure.is_refusal() => {}
            _ => break,
        }
    }
    match looked {
        Err(failure) if failure.is_refusal() || failure.passing => return Err(unfit(failure)),
        _ => {}
    }
    match &stream.fan_out {
        // Registers it, so that it may subscribe when there are leases. A limit, or one that is not
        // ready, is no reason to wait: shards are polled meanwhile.
        Some(fan_out) => match fan_out.arn(stream).await {
            Err(failure) if failure.is_refusal() => {
                Err(Unfit { what: fan_out.check.what().to_owned(), failure })
            }
            _ => Ok(()),
        },
        None => Ok(()),
    }
}

/// Reads nothing: asks at the tip of a shard.
async fn look_at(stream: &Kinesis, shard: &Shard) -> Result<(), Failure> {
    let (name, arn) = stream.asked();
    let get = stream.client.get_shard_iterator().set_stream_name(name).set_stream_arn(arn.clone());
    let get = get.shard_id(shard.id.as_str()).shard_iterator_type(ShardIteratorType::Latest);
    let answer = get.send().await;
    let answer = answer.map_err(|error| Failure::of("GetShardIterator", &error))?;
    let get = stream.client.get_records().set_shard_iterator(answer.shard_iterator).limit(1);
    get.set_stream_arn(arn)
        .send()
        .await
        .map(drop)
        .map_err(|error| Failure::of("GetRecords", &error))
}

fn shard(shard: &aws_sdk_kinesis::types::Shard) -> Shard {
    let parents = [shard.parent_shard_id(), shard.adjacent_parent_shard_id()];
    let hashes = shard.hash_key_range();
    let numbers = shard.sequence_number_range();
    Shard {
        id: ShardId::new(shard.shard_id()),
        parents: parents.into_iter().flatten().map(ShardId::new).collect(),
        hash_range: hashes.map(|range| {
            (range.starting_hash_key().to_owned(), range.ending_hash_key().to_owned())
        }),
        closed: numbers.is_some_and(|range| range.ending_sequence_number().is_some()),
    }
}

fn failed(doing: String, failure: Failure) -> Error {
    Error { doing, source: failure.to_string().into() }
}

impl Source for Kinesis {
    fn shards(&self) -> Pending<'_, Result<Vec<Shard>, Error>> {
        Box::pin(async {
            let shards = self.list().await?;
            // Somebody may have changed for how long it keeps records. Nothing depends on it.
            match self.describe().await {
                Ok(_) => self.describing.succeeded(),
                Err(failure) => self.describing.failed(&failure),
            }
            Ok(shards)
        })
    }

    fn stream(&self) -> Pending<'_, Stream> {
        Box::pin(identity(self))
    }

    fn look(&self) -> Pending<'_, Result<(), Unfit>> {
        Box::pin(look(self))
    }

    fn read(&self, shard: ShardId, from: Position, outlet: Outlet) -> Reading {
        self.read_as(shard.clone(), shard, from, outlet)
    }
}
