//! The low-latency sink: each line a record of a stream, written by PutRecords.
//!
//! A request holds up to 500 records and 5 MiB. Every entry of an answer is looked at; the refused
//! ones, and only those, are sent again until they are taken or the lease is gone. The order of
//! records is not kept: consumers order events by their timestamps.

use std::sync::Arc;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, PutRecordsResultEntry};
use tokio::sync::Semaphore;

use crate::backoff::Backoff;
use crate::circuit::{Circuit, Then};
use crate::health::{Check, Failure, Need, Unfit};
use crate::metrics::{Metrics, Retry};
use crate::seam::Pending;
use crate::seam::join;
use crate::sink::{Error, Part, Route, Sink, Written, guard};

/// The most records of one request.
const REQUEST_RECORDS: usize = 500;
/// The most bytes of one request, partition keys included.
const REQUEST_BYTES: usize = 5 * 1024 * 1024;
/// The most bytes of one record with its partition key.
const RECORD_BYTES: usize = 1024 * 1024;
/// What a partition key may take of a record.
const KEY_BYTES: usize = 256;
/// The longest line that fits into a record with any key.
pub const LINE_BYTES: usize = RECORD_BYTES - KEY_BYTES;

/// Requests on their way at once, for all shards together: enough to hide the network's delay,
/// few enough to keep copies of lines out of the bytes that the budget does not see.
const REQUESTS: usize = 8;

/// A stream to write to.
pub struct Kinesis {
    client: Client,
    stream: String,
    route: Route,
    key: Key,
    fallback: Fallback,
    requests: Semaphore,
    check: Arc<Check>,
    circuit: Circuit,
    metrics: Arc<Metrics>,
}

/// How records are spread over the shards of the stream they are written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Evenly.
    Random,
    /// By one column of an enriched event: equal values go to the same shard.
    Column(event::Field),
}

/// What becomes of a line that is too large for a record.
pub enum Fallback {
    /// The route has another sink that takes lines of any size.
    Elsewhere,
    /// This sink takes it.
    Sink(Arc<dyn Sink>),
    /// The pipeline has been told the limit and makes none.
    None,
}

impl Kinesis {
    /// A stream that exists.
    pub fn new(
        client: Client,
        stream: impl Into<String>,
        route: Route,
        key: Key,
        fallback: Fallback,
        metrics: Arc<Metrics>,
    ) -> Kinesis {
        let (stream, requests) = (stream.into(), Semaphore::new(REQUESTS));
        let what = format!("stream {stream} for {}", route.name());
        let check = metrics.health().check(what, Need::WhenUsed);
        let circuit = Circuit::new(Arc::clone(&check));
        Kinesis { client, stream, route, key, fallback, requests, check, circuit, metrics }
    }

    async fn put(&self, part: Arc<Part>) -> Result<Written, Error> {
        let (requests, large) = self.cut(&part);
        let writes = requests.into_iter().map(|lines| -> Pending<'_, Result<(), Error>> {
            Box::pin(self.request(&part, lines))
        });
        for written in join(writes.collect()).await {
            written?;
        }
        self.fall_back(&part, large).await
    }

    /// Cuts the lines into requests, the ones too large for a record apart.
    fn cut<'a>(&self, part: &'a Part) -> (Vec<Vec<&'a [u8]>>, Vec<&'a [u8]>) {
        let (mut requests, mut large) = (vec![Vec::new()], Vec::new());
        let mut bytes = 0;
        for line in part.lines.iter() {
            let size = line.len() + KEY_BYTES;
            if size > RECORD_BYTES {
                large.push(line);
                continue;
            }
            let last = requests.last_mut().expect("it starts with one");
            if last.len() == REQUEST_RECORDS || bytes + size > REQUEST_BYTES {
                requests.push(vec![line]);
                bytes = size;
            } else {
                last.push(line);
                bytes += size;
            }
        }
        requests.retain(|lines| !lines.is_empty());
        (requests, large)
    }

    /// Sends lines until all are taken.
    async fn request(&self, part: &Part, mut lines: Vec<&[u8]>) -> Result<(), Error> {
        let mut backoff = Backoff::default();
        while !lines.is_empty() {
            let sent = lines.len();
            // First the semaphore: who waits for the stream to answer is one of few.
            let turn = self.requests.acquire().await.expect("the semaphore is never closed");
            let answer = guard(std::iter::once(&part.origin), self.send(&lines)).await;
            drop(turn);
            match answer.inspect_err(|_| self.metrics.lost(sent))?? {
                None => self.metrics.retried(Retry::Stream),
                Some(refused) => {
                    let mut refused = refused.into_iter();
                    let taken = |line: &&[u8]| {
                        let refused = refused.next().unwrap_or(true);
                        if !refused {
                            self.metrics.wrote(self.route, "kinesis", 1, line.len());
                        }
                        refused
                    };
                    lines.retain(taken);
                    if lines.is_empty() {
                        break;
                    }
                    self.metrics.retried(Retry::Entries);
                    if lines.len() < sent {
                        backoff.reset();
                    }
                    backoff.wait().await;
                }
            }
        }
        Ok(())
    }

    /// One request, when it is its turn. Tells of each entry whether it was refused; `None` when
    /// none was taken and it is worth trying again.
    async fn send(&self, lines: &[&[u8]]) -> Result<Option<Vec<bool>>, Error> {
        let turn = self.circuit.turn().await;
        let failure = match self.put_records(lines).await {
            Ok(answers) => match answers.iter().find_map(Option::as_ref) {
                Some(failure) if answers.iter().all(Option::is_some) => failure.clone(),
                refused => {
                    turn.succeeded();
                    if let Some(failure) = refused {
                        self.check.refused_in_part(failure);
                    }
                    return Ok(Some(answers.iter().map(Option::is_some).collect()));
                }
            },
            Err(failure) => failure,
        };
        match turn.failed(&failure) {
            Then::Again => Ok(None),
            Then::GiveUp => {
                Err(Error::failed(format!("writing to stream {}", self.stream), failure))
            }
        }
    }

    /// One request; of each entry why it was refused, if it was.
    async fn put_records(&self, lines: &[&[u8]]) -> Result<Vec<Option<Failure>>, Failure> {
        let entries = lines.iter().map(|line| {
            PutRecordsRequestEntry::builder()
                .data(Blob::new(*line))
                .partition_key(self.key.of(line))
                .build()
                .expect("data and key are given")
        });
        let put = self.client.put_records().stream_name(&self.stream);
        let answer = put.set_records(Some(entries.collect())).send().await;
        let answer = answer.map_err(|error| Failure::of(PUT_RECORDS, &error))?;
        let records = answer.records();
        if records.len() != lines.len() {
            let message = format!("{} answers for {} records", records.len(), lines.len());
            return Err(refusal(None, message));
        }
        let refused = |record: &PutRecordsResultEntry| {
            let refused = record.error_code().is_some() || record.sequence_number().is_none();
            refused.then(|| {
                let message = record.error_message().unwrap_or("a record was refused");
                refusal(record.error_code(), message.to_owned())
            })
        };
        Ok(records.iter().map(refused).collect())
    }

    /// A request without records writes none, and is refused; not so by a service that would refuse
    /// any. Whether the stream exists is asked for besides, where that is permitted.
    async fn look_at_stream(&self) -> Result<(), Unfit> {
        let unfit = |failure| Unfit { what: self.check.what().to_owned(), failure };
        let put = self.client.put_records().stream_name(&self.stream);
        if let Err(error) = put.set_records(Some(Vec::new())).send().await {
            let failure = Failure::of(PUT_RECORDS, &error);
            if failure.is_refusal() || failure.passing {
                return Err(unfit(failure));
            }
        }
        let describe = self.client.describe_stream_summary().stream_name(&self.stream);
        if let Err(error) = describe.send().await {
            let failure = Failure::of("DescribeStreamSummary", &error);
            if failure.code.as_deref() == Some("ResourceNotFoundException") {
                // By the name of what is going to fail.
                return Err(unfit(Failure { action: PUT_RECORDS, ..failure }));
            }
            let (stream, why) = (&self.stream, failure.to_string());
            tracing::info!(stream, why, "whether the stream exists cannot be told");
        }
        match &self.fallback {
            Fallback::Sink(sink) => sink.look().await,
            Fallback::Elsewhere | Fallback::None => Ok(()),
        }
    }

    async fn fall_back(&self, part: &Part, large: Vec<&[u8]>) -> Result<Written, Error> {
        if large.is_empty() {
            return Ok(Written::Durable);
        }
        self.metrics.fell_back(self.route, large.len());
        match &self.fallback {
            Fallback::Elsewhere => Ok(Written::Durable),
            Fallback::Sink(sink) => {
                let mut lines = pipeline::Lines::default();
                for line in large {
                    lines.push_with(|out| out.extend_from_slice(line));
                }
                sink.write(Arc::new(Part { lines, origin: part.origin.clone() })).await
            }
            Fallback::None => {
                let doing = format!("writing to {}", self.stream);
                Err(Error::failed(doing, "a line is too large for a record"))
            }
        }
    }
}

const PUT_RECORDS: &str = "PutRecords";

/// What may pass: a limit of a shard, or a fault inside the service.
fn refusal(code: Option<&str>, message: String) -> Failure {
    let code = code.map(str::to_owned);
    Failure { action: PUT_RECORDS, status: Some(200), code, message, passing: true }
}

impl Key {
    fn of(self, line: &[u8]) -> String {
        let value = match self {
            Key::Random => None,
            Key::Column(field) => line.split(|byte| *byte == b'\t').nth(field as usize),
        };
        let text = String::from_utf8_lossy(value.unwrap_or_default());
        match text.char_indices().nth(KEY_BYTES / 4) {
            // Four bytes are the most a character takes; longer values share their beginning.
            Some((end, _)) => text[..end].to_owned(),
            None if text.is_empty() => format!("{:016x}", fastrand::u64(..)),
            None => text.into_owned(),
        }
    }
}

impl Sink for Kinesis {
    fn write(&self, part: Arc<Part>) -> Pending<'_, Result<Written, Error>> {
        Box::pin(self.put(part))
    }

    fn look(&self) -> Pending<'_, Result<(), Unfit>> {
        Box::pin(self.look_at_stream())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_columns_share_a_key_and_empty_ones_are_spread() {
        let key = Key::Column(event::Field::Platform);
        assert_eq!(key.of(b"app\tweb\tx"), "web");
        assert_ne!(key.of(b"app\t\tx"), key.of(b"app\t\tx"));
        assert_eq!(key.of("app\té".repeat(300).as_bytes()).chars().count(), 4);
        assert_eq!(Key::Random.of(b"a\tb").len(), 16);
    }
}
