//! The reader of one shard: what it gathers, where it stands, and when it changes its way.
//!
//! Records come by [`polling`] or by [`subscription`]; what cannot be subscribed is polled for a
//! while. Either way they are gathered into batches here. Aggregated records are taken apart; a
//! batch ends at the end of a record of the stream, never inside an aggregated one. A position is
//! resumed by asking for its record again and leaving out what was done of it. No record is passed
//! over: one that cannot be used ends the reading with that reason.

mod gap;
mod polling;
mod subscription;

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::Config;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{Record as Sent, ShardIteratorType};
use bytes::Bytes;
use lease::{Position, SequenceNumber, Shard, ShardId};
use tokio::time::Instant;

use super::pace::{Pace, Spells};
use super::{Expired, Kinesis, aggregate, failed, number};
use crate::backoff::Backoff;
use crate::batch::{Arrival, Batch, Record};
use crate::budget::Permit;
use crate::health::Failure;
use crate::metrics::{Reading, Retry};
use crate::source::{Closed, Error, Outlet};
use crate::{aws, clock, packed};
use gap::{Answer, Covered, First};
use subscription::Followed;

/// Failures in a row that do not pass by themselves before the shard is given up.
const LASTING_FAILURES: u32 = 8;

/// A subscription has an event at least so often, with records or without, as AWS does it.
const EVENTS: Duration = Duration::from_secs(5);

/// The reading of one shard.
pub(super) struct Reader {
    stream: Kinesis,
    shard: ShardId,
    /// What the shard is called in this worker.
    called: ShardId,
    /// Everything up to here was gathered, or was done before.
    from: Position,
    outlet: Outlet,
    gathered: Gathered,
    backoff: Backoff,
    /// Failures that do not pass, since the last success.
    lasting: u32,
    pace: Pace,
    /// How long to poll what cannot be subscribed.
    spells: Spells,
    /// A connection of this shard's own, once it is subscribed to.
    line: Option<Client>,
    /// Where the last subscription would go on, which may be further than `from`.
    continuation: Option<String>,
    progress: Reading,
    /// What may have expired before it was read.
    covered: Covered,
}

/// How the reading of a shard comes to its end.
enum Last {
    /// Nobody takes batches any more.
    Unwanted,
    /// The shard is closed, and all of it was gathered.
    Closed,
    /// The stream no longer knows the shard.
    Gone,
}

/// A batch in the making.
#[derive(Default)]
struct Gathered {
    records: Vec<Record>,
    bytes: usize,
    since: Option<Instant>,
    lag: Option<Duration>,
    /// When the oldest record came, in milliseconds since 1970.
    came_ms: Option<i64>,
    /// The room of the pages that these records are from.
    room: Vec<Permit>,
}

/// Why the reading of a page stopped.
enum Stop {
    /// Nobody takes batches any more.
    Closed,
    /// A record cannot be used.
    Unusable(Error),
}

impl From<Closed> for Stop {
    fn from(_: Closed) -> Stop {
        Stop::Closed
    }
}

impl Reader {
    pub(super) fn new(
        stream: Kinesis,
        shard: ShardId,
        called: ShardId,
        from: Position,
        outlet: Outlet,
    ) -> Reader {
        let settings = &stream.settings;
        let pace = Pace::new(settings.poll_interval, settings.idle_poll_interval);
        let spells = stream.fan_out.as_ref().map_or_else(Spells::default, |fan_out| fan_out.spells);
        let covered = match &from {
            Position::After { sequence, .. } => Covered::resumed(number::millis(sequence)),
            _ => Covered::default(),
        };
        let every = if stream.fan_out.is_some() { EVENTS } else { Duration::ZERO };
        let every = pace.slowest().max(every);
        let progress = stream.metrics.reading(called.as_str(), every, &stream.retention);
        Reader {
            stream,
            shard,
            called,
            from,
            outlet,
            gathered: Gathered::default(),
            backoff: Backoff::default(),
            lasting: 0,
            pace,
            spells,
            line: None,
            continuation: None,
            progress,
            covered,
        }
    }

    pub(super) async fn run(mut self) -> Result<(), Error> {
        let last = loop {
            let Some(fan_out) = self.stream.fan_out.clone() else {
                if let Some(last) = self.poll(None).await? {
                    break last;
                }
                continue;
            };
            let poll_for = match self.follow(&fan_out).await? {
                Followed::Last(last) => break last,
                Followed::Refused => self.spells.next(),
            };
            let _polled = self.stream.metrics.reads_by("polling");
            if let Some(last) = self.poll(Some(Instant::now() + poll_for)).await? {
                break last;
            }
        };
        match last {
            Last::Unwanted => Ok(()),
            Last::Closed => self.end().await,
            Last::Gone => self.gone_with_its_records().await,
        }
    }

    /// Where to go on after what was gathered, in the stream's words; `None` at the shard's end.
    fn place(&self) -> Option<(ShardIteratorType, Option<&str>, Option<DateTime>)> {
        Some(match &self.from {
            Position::After { sequence, .. } if !self.covered.is_refused() => {
                (ShardIteratorType::AtSequenceNumber, Some(sequence.as_str()), None)
            }
            Position::Latest => (ShardIteratorType::Latest, None, None),
            Position::AtTimestamp(Some(ms)) => {
                (ShardIteratorType::AtTimestamp, None, Some(DateTime::from_millis(*ms)))
            }
            // Where no time is known, the oldest record leaves nothing out.
            Position::After { .. } | Position::TrimHorizon | Position::AtTimestamp(None) => {
                (ShardIteratorType::TrimHorizon, None, None)
            }
            Position::ShardEnd => return None,
        })
    }

    /// Takes note that the position is no longer in the stream, if that is what a refusal says.
    fn is_trimmed(&mut self, code: Option<&str>) -> bool {
        let trimmed = code == Some("InvalidArgumentException")
            && matches!(self.from, Position::After { .. })
            && !self.covered.is_refused();
        if trimmed {
            self.covered.refused();
        }
        trimmed
    }

    /// Waits for room, and no longer than the batch in the making may wait: its bytes may be what
    /// others wait for.
    async fn room(&mut self, bytes: usize) -> Result<Permit, Closed> {
        let mut room = std::pin::pin!(self.outlet.room(bytes));
        loop {
            let due = self.gathered.due_at(self.stream.settings.batch_age);
            tokio::select! {
                biased;
                room = &mut room => return Ok(room),
                () = at(due) => self.hand_over().await?,
            }
        }
    }

    /// Waits before another attempt, or gives up.
    async fn retry<E>(&mut self, action: &'static str, error: &SdkError<E>) -> Result<(), Error>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.stream.metrics.retried(Retry::Read);
        let mut failure = Failure::of(action, error);
        let expired = failure.code.as_deref() == Some("ExpiredIteratorException");
        failure.passing |= expired;
        if !expired {
            self.stream.reading.failed(&failure);
        }
        self.lasting += u32::from(!failure.passing);
        if !failure.passing && self.lasting > LASTING_FAILURES {
            let doing = format!("reading {} of stream {}", self.shard, self.stream.settings.stream);
            return Err(failed(doing, failure));
        }
        self.backoff.wait().await;
        Ok(())
    }

    /// Takes the records of a page in, and hands batches over as they become complete.
    async fn gather(
        &mut self,
        records: Vec<Sent>,
        millis_behind: Option<i64>,
        mut room: Permit,
    ) -> Result<(), Stop> {
        let lag = millis_behind.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
        self.gathered.lag = lag;
        self.progress.answered(lag.unwrap_or_default());
        self.outlet.behind(lag.unwrap_or_default());
        room.shrink_to(bytes(&records));
        self.look_for_a_gap(records.first(), lag)?;
        for record in records {
            let Some(sequence) = SequenceNumber::parse(&record.sequence_number) else {
                return Err(Stop::Unusable(self.unusable(&record.sequence_number)));
            };
            let came = record.approximate_arrival_timestamp;
            let came_ms = came.and_then(|came| came.to_millis().ok());
            let partition_key = Bytes::from(record.partition_key.unwrap_or_default());
            let arrival = Arrival { at_ms: came_ms, partition_key };
            self.add(sequence, Bytes::from(record.data.into_inner()), &arrival);
            if self.gathered.bytes >= self.stream.settings.batch_bytes {
                self.hand_over().await?;
            }
        }
        room.shrink_to(self.gathered.bytes);
        if self.gathered.bytes > 0 {
            self.gathered.room.push(room);
        }
        Ok(())
    }

    /// The stream has a record that no position can name: going on would leave it out.
    fn unusable(&self, number: &str) -> Error {
        let (stream, shard) = (&self.stream.settings.stream, &self.shard);
        Error {
            doing: format!("reading {shard} of stream {stream}"),
            source: format!("the stream gives sequence numbers that cannot be used: `{number}`")
                .into(),
        }
    }

    /// Tells of records that may have expired before this answer, and stops there if that is asked.
    fn look_for_a_gap(&mut self, first: Option<&Sent>, lag: Option<Duration>) -> Result<(), Stop> {
        let first = first.map(|record| First {
            came_ms: record.approximate_arrival_timestamp.and_then(|came| came.to_millis().ok()),
            known: self.is_done(&record.sequence_number),
        });
        let answer = Answer { now_ms: clock::now_ms(), lag, first };
        let retention = self.stream.retention.get();
        let Some(gap) = self.covered.answered(answer, retention) else { return Ok(()) };
        let (shard, from, seconds) = (&self.called, &self.from, gap.time.map(|gap| gap.as_secs()));
        self.stream.metrics.trimmed(shard.as_str(), gap.time);
        let stream = &self.stream.settings.stream;
        match self.stream.settings.expired {
            Expired::GoOn => tracing::error!(%shard, %from, seconds, stream, "records may have \
                expired before they were read, and are lost; going on with the oldest there is"),
            Expired::Stop => {
                let seconds = seconds.map_or("unknown".to_owned(), |seconds| seconds.to_string());
                return Err(Stop::Unusable(Error {
                    doing: format!("reading {shard} of stream {stream}"),
                    source: format!(
                        "records after {from} may have expired before they were read (seconds \
                         between: {seconds}), and [source] expired says to stop there"
                    )
                    .into(),
                }));
            }
        }
        Ok(())
    }

    /// Whether a record is the last that was done, or one before.
    fn is_done(&self, number: &str) -> bool {
        match (&self.from, SequenceNumber::parse(number)) {
            (Position::After { sequence, .. }, Some(number)) => number <= *sequence,
            _ => false,
        }
    }

    /// Adds one record of the stream with all that is in it, but for what was done before.
    fn add(&mut self, sequence: SequenceNumber, data: Bytes, arrival: &Arrival) {
        let data = packed::unpack(&data).unwrap_or(data);
        let parts = aggregate::split(&data).unwrap_or_else(|| vec![data]);
        let last = parts.len().saturating_sub(1) as u64;
        let whole = Position::After { sequence: sequence.clone(), sub_sequence: last };
        if whole <= self.from {
            return;
        }
        self.gathered.since.get_or_insert_with(Instant::now);
        self.gathered.came_ms = self.gathered.came_ms.or(arrival.at_ms);
        for (sub_sequence, data) in (0..).zip(parts) {
            let place = Position::After { sequence: sequence.clone(), sub_sequence };
            if place > self.from {
                self.gathered.bytes += data.len();
                let (sequence, arrival) = (sequence.clone(), arrival.clone());
                self.gathered.records.push(Record { sequence, sub_sequence, arrival, data });
            }
        }
        self.from = whole;
    }

    async fn hand_over(&mut self) -> Result<(), Closed> {
        let gathered = std::mem::take(&mut self.gathered);
        self.send(gathered, self.from.clone()).await
    }

    async fn send(&self, gathered: Gathered, end: Position) -> Result<(), Closed> {
        let Gathered { records, lag, came_ms, room, .. } = gathered;
        let in_flight = came_ms.map(|came_ms| self.progress.in_flight(came_ms));
        let batch = Batch { shard: self.called.clone(), records, lag, end };
        let sent = self.outlet.send_with(batch, in_flight).await;
        drop(room);
        sent
    }

    /// Hands over the last batch, which may be empty.
    async fn end(mut self) -> Result<(), Error> {
        let gathered = std::mem::take(&mut self.gathered);
        // Nobody takes it any more when the lease is gone.
        let _ = self.send(gathered, Position::ShardEnd).await;
        Ok(())
    }

    /// The stream no longer knows the shard: what was not read of it is lost, if there was any.
    async fn gone_with_its_records(self) -> Result<(), Error> {
        if self.from != Position::ShardEnd {
            let (shard, from) = (&self.called, &self.from);
            tracing::error!(%shard, %from, "the shard is no longer in the stream; what was not \
                 read of it is lost");
            self.stream.metrics.trimmed(shard.as_str(), None);
        }
        self.end().await
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
            Err(_) => {
                self.backoff.wait().await;
                None
            }
        }
    }
}

/// Waits until then; for ever, where there is no such time.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn bytes(records: &[Sent]) -> usize {
    records.iter().map(|record| record.data().as_ref().len()).sum()
}

fn timeouts(too_long: u32) -> aws_sdk_kinesis::config::Builder {
    Config::builder().timeout_config(aws::page_timeouts(too_long))
}

impl Gathered {
    /// Whether the batch should not wait for another page that comes after this interval.
    fn due(&self, interval: Duration, age: Duration) -> bool {
        self.since.is_some_and(|since| since.elapsed() + interval > age)
    }

    /// When it should wait no longer.
    fn due_at(&self, age: Duration) -> Option<Instant> {
        self.since.map(|since| since + age)
    }
}
