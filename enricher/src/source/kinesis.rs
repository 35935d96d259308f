//! A Kinesis data stream, read by polling.
//!
//! Per shard one reader keeps to what AWS grants all readers of a shard together (five requests a
//! second), gathers pages into batches, and starts over with a new iterator whenever one expires.
//! Aggregated records are taken apart; a batch ends at the end of a record of the stream, never
//! inside an aggregated one. A position is resumed by asking for its record again and leaving out
//! what was done of it.

pub mod aggregate;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::ShardIteratorType;
use bytes::Bytes;
use lease::{Position, SequenceNumber, Shard, ShardId};
use tokio::time::Instant;

use crate::aws;
use crate::backoff::Backoff;
use crate::metrics::{Metrics, Retry};
use crate::source::{Batch, Closed, Error, Outlet, Pending, Reading, Record, Source};

/// Between two requests for records of one shard: five a second are granted, and one second's
/// fifth has to do for a reader that is taking the shard over.
pub const LEAST_INTERVAL: Duration = Duration::from_millis(250);

/// The most records AWS puts into one answer.
const PAGE_RECORDS: i32 = 10_000;

/// Failures in a row that would not pass by themselves before the worker stops.
const LASTING_FAILURES: u32 = 8;

/// A stream to read.
#[derive(Clone)]
pub struct Kinesis {
    client: Client,
    settings: Settings,
    metrics: Arc<Metrics>,
}

/// How a stream is read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The stream's name.
    pub stream: String,
    /// Between two requests to a shard that had nothing more.
    pub poll_interval: Duration,
    /// A batch is complete when it has so many bytes.
    pub batch_bytes: usize,
    /// A batch is complete so long after its first record came.
    pub batch_age: Duration,
}

impl Kinesis {
    /// A stream that exists.
    pub fn new(client: Client, settings: Settings, metrics: Arc<Metrics>) -> Kinesis {
        Kinesis { client, settings, metrics }
    }

    async fn list(&self) -> Result<Vec<Shard>, Error> {
        let mut shards = Vec::new();
        let mut next: Option<String> = None;
        loop {
            // A request for a further page must not name the stream again.
            let name = next.is_none().then(|| self.settings.stream.clone());
            let list = self.client.list_shards().set_stream_name(name).set_next_token(next);
            let page = list.send().await.map_err(|error| {
                failed(&format!("listing the shards of {}", self.settings.stream), &error)
            })?;
            shards.extend(page.shards().iter().map(shard));
            next = page.next_token;
            if next.is_none() {
                return Ok(shards);
            }
        }
    }
}

/// When the stream was created.
async fn created(stream: &Kinesis) -> Option<u64> {
    let name = &stream.settings.stream;
    match stream.client.describe_stream_summary().stream_name(name).send().await {
        Ok(answer) => {
            let summary = answer.stream_description_summary?;
            u64::try_from(summary.stream_creation_timestamp.secs()).ok()
        }
        Err(error) => {
            let why = aws::words(&error);
            tracing::warn!(stream = name, why, "when the stream was created cannot be told");
            None
        }
    }
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

fn failed<E>(doing: &str, error: &aws_sdk_kinesis::error::SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    Error { doing: doing.to_owned(), source: aws::words(error).into() }
}

impl Source for Kinesis {
    fn shards(&self) -> Pending<'_, Result<Vec<Shard>, Error>> {
        Box::pin(self.list())
    }

    fn created(&self) -> Pending<'_, Option<u64>> {
        Box::pin(created(self))
    }

    fn read(&self, shard: ShardId, from: Position, outlet: Outlet) -> Reading {
        let reader = Reader {
            stream: self.clone(),
            shard,
            from,
            outlet,
            gathered: Gathered::default(),
            backoff: Backoff::default(),
            trimmed: false,
        };
        Box::pin(reader.run())
    }
}

/// The reading of one shard.
struct Reader {
    stream: Kinesis,
    shard: ShardId,
    /// Everything up to here was gathered, or was done before.
    from: Position,
    outlet: Outlet,
    gathered: Gathered,
    backoff: Backoff,
    /// The record at `from` is no longer in the stream.
    trimmed: bool,
}

/// A batch in the making.
#[derive(Default)]
struct Gathered {
    records: Vec<Record>,
    bytes: usize,
    since: Option<Instant>,
    lag: Option<Duration>,
}

/// What a request for records came to.
enum Page {
    Records(GetRecordsOutput),
    /// The same request may succeed now.
    Again,
    /// Another iterator is needed.
    Renew,
    /// The shard is no longer in the stream.
    Gone,
}

impl Reader {
    async fn run(mut self) -> Result<(), Error> {
        let mut iterator = None;
        loop {
            let Some(current) = iterator.take() else {
                match self.iterator().await? {
                    Some(fresh) => iterator = Some(fresh),
                    None => return self.end().await,
                }
                continue;
            };
            let asked = Instant::now();
            let mut page = match self.page(&current).await? {
                Page::Records(page) => page,
                Page::Again => {
                    iterator = Some(current);
                    continue;
                }
                Page::Renew => continue,
                Page::Gone => return self.end().await,
            };
            iterator = page.next_shard_iterator.take();
            if self.gather(&page).await.is_err() {
                return Ok(());
            }
            if iterator.is_none() && (!page.child_shards().is_empty() || self.closed().await) {
                return self.end().await;
            }
            let behind = page.millis_behind_latest().unwrap_or(0) > 0;
            let interval = if behind { LEAST_INTERVAL } else { self.stream.settings.poll_interval };
            if self.gathered.due(interval, self.stream.settings.batch_age)
                && self.hand_over().await.is_err()
            {
                return Ok(());
            }
            tokio::time::sleep_until(asked + interval).await;
        }
    }

    /// An iterator that continues after what was gathered; `None` when the shard is gone.
    async fn iterator(&mut self) -> Result<Option<String>, Error> {
        let doing = format!("getting an iterator of {}", self.shard);
        loop {
            let get = self.stream.client.get_shard_iterator();
            let get = get.stream_name(&self.stream.settings.stream).shard_id(self.shard.as_str());
            let get = match &self.from {
                Position::After { .. } if self.trimmed => {
                    get.shard_iterator_type(ShardIteratorType::TrimHorizon)
                }
                Position::After { sequence, .. } => get
                    .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                    .starting_sequence_number(sequence.as_str()),
                Position::Latest => get.shard_iterator_type(ShardIteratorType::Latest),
                Position::ShardEnd => return Ok(None),
                Position::AtTimestamp(Some(ms)) => get
                    .shard_iterator_type(ShardIteratorType::AtTimestamp)
                    .timestamp(DateTime::from_millis(*ms)),
                // Where no time is known, the oldest record leaves nothing out.
                Position::TrimHorizon | Position::AtTimestamp(None) => {
                    get.shard_iterator_type(ShardIteratorType::TrimHorizon)
                }
            };
            let error = match get.send().await {
                Ok(answer) => return Ok(answer.shard_iterator),
                Err(error) => error,
            };
            match error.code() {
                Some("ResourceNotFoundException") if self.gone().await => return Ok(None),
                Some("InvalidArgumentException")
                    if matches!(self.from, Position::After { .. }) && !self.trimmed =>
                {
                    let (shard, from) = (&self.shard, &self.from);
                    tracing::warn!(%shard, %from, "the position is no longer in the stream; \
                         going on with the oldest record, what was between is lost");
                    self.trimmed = true;
                }
                _ => self.retry(&doing, &error).await?,
            }
        }
    }

    async fn page(&mut self, iterator: &str) -> Result<Page, Error> {
        let get = self.stream.client.get_records().shard_iterator(iterator);
        let error = match get.limit(PAGE_RECORDS).send().await {
            Ok(page) => {
                self.backoff.reset();
                return Ok(Page::Records(page));
            }
            Err(error) => error,
        };
        let code = error.code();
        if code == Some("ResourceNotFoundException") && self.gone().await {
            return Ok(Page::Gone);
        }
        self.retry(&format!("reading {}", self.shard), &error).await?;
        Ok(match code {
            Some("ExpiredIteratorException" | "InvalidArgumentException") => Page::Renew,
            _ => Page::Again,
        })
    }

    /// Waits before another attempt, or gives up.
    async fn retry<E>(
        &mut self,
        doing: &str,
        error: &aws_sdk_kinesis::error::SdkError<E>,
    ) -> Result<(), Error>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.stream.metrics.retried(Retry::Read);
        let expired = error.code() == Some("ExpiredIteratorException");
        let passing = expired || aws::passes(error);
        if !passing && self.backoff.failures() >= LASTING_FAILURES {
            return Err(failed(doing, error));
        }
        if !expired && !aws::throttled(error) {
            tracing::warn!(doing, why = aws::words(error), "reading goes on in a moment");
        }
        self.backoff.wait().await;
        Ok(())
    }

    /// Takes the records of a page in, and hands batches over as they become complete.
    async fn gather(&mut self, page: &GetRecordsOutput) -> Result<(), Closed> {
        let lag = page.millis_behind_latest().and_then(|ms| u64::try_from(ms).ok());
        self.gathered.lag = lag.map(Duration::from_millis);
        for record in page.records() {
            let Some(sequence) = SequenceNumber::parse(record.sequence_number()) else {
                let (shard, number) = (&self.shard, record.sequence_number());
                tracing::error!(%shard, number, "a record without a usable sequence number");
                continue;
            };
            let data = Bytes::copy_from_slice(record.data().as_ref());
            self.add(sequence, data);
            if self.gathered.bytes >= self.stream.settings.batch_bytes {
                self.hand_over().await?;
            }
        }
        Ok(())
    }

    /// Adds one record of the stream with all that is in it, but for what was done before.
    fn add(&mut self, sequence: SequenceNumber, data: Bytes) {
        let parts = aggregate::split(&data).unwrap_or_else(|| vec![data]);
        let last = parts.len().saturating_sub(1) as u64;
        let whole = Position::After { sequence: sequence.clone(), sub_sequence: last };
        if whole <= self.from {
            return;
        }
        self.gathered.since.get_or_insert_with(Instant::now);
        for (sub_sequence, data) in (0..).zip(parts) {
            let place = Position::After { sequence: sequence.clone(), sub_sequence };
            if place > self.from {
                self.gathered.bytes += data.len();
                let sequence = sequence.clone();
                self.gathered.records.push(Record { sequence, sub_sequence, data });
            }
        }
        self.from = whole;
    }

    async fn hand_over(&mut self) -> Result<(), Closed> {
        let end = self.from.clone();
        let batch = self.gathered.take(&self.shard, end);
        self.outlet.send(batch).await
    }

    /// Hands over the last batch, which may be empty.
    async fn end(mut self) -> Result<(), Error> {
        let batch = self.gathered.take(&self.shard, Position::ShardEnd);
        // Nobody takes it any more when the lease is gone.
        let _ = self.outlet.send(batch).await;
        Ok(())
    }

    /// Whether the shard takes no more records. An answer without a next iterator says so only
    /// together with the shard's children; alone it is not believed.
    async fn closed(&mut self) -> bool {
        self.listed().await.is_some_and(|shard| shard.is_none_or(|shard| shard.closed))
    }

    /// Whether the stream is there and the shard is not: all its records have expired.
    async fn gone(&mut self) -> bool {
        self.listed().await.is_some_and(|shard| shard.is_none())
    }

    /// The shard as the stream lists it, or its absence; `None` when the stream does not answer.
    async fn listed(&mut self) -> Option<Option<Shard>> {
        match self.stream.list().await {
            Ok(shards) => Some(shards.into_iter().find(|shard| shard.id == self.shard)),
            Err(error) => {
                tracing::warn!(shard = %self.shard, error = crate::fleet::chain(&error),
                    "whether the shard is closed cannot be told");
                self.backoff.wait().await;
                None
            }
        }
    }
}

impl Gathered {
    /// Whether the batch should not wait for another page that comes after this interval.
    fn due(&self, interval: Duration, age: Duration) -> bool {
        self.since.is_some_and(|since| since.elapsed() + interval > age)
    }

    fn take(&mut self, shard: &ShardId, end: Position) -> Batch {
        let gathered = std::mem::take(self);
        Batch { shard: shard.clone(), records: gathered.records, lag: gathered.lag, end }
    }
}
