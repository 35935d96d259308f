//! The low-latency sink: each line a record of a stream, written by PutRecords.
//!
//! A request holds up to 500 records and 5 MiB. Every entry of an answer is looked at; the refused
//! ones, and only those, are sent again until they are taken or the lease is gone. The order of
//! records is not kept: consumers order events by their timestamps.

use std::sync::Arc;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, PutRecordsResultEntry};
use md5::{Digest, Md5};
use pipeline::divide::Form;
use tokio::sync::Semaphore;

use crate::backoff::Backoff;
use crate::circuit::{Circuit, Then};
use crate::health::{Check, Failure, Need, Unfit};
use crate::metrics::{Metrics, Retry};
use crate::seam::Pending;
use crate::seam::join;
use crate::sink::{Error, Part, Route, Sink, Written, called, guard};

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
    settings: Settings,
    fallback: Fallback,
    requests: Semaphore,
    check: Arc<Check>,
    circuit: Circuit,
    metrics: Arc<Metrics>,
}

/// What is written, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The stream's name.
    pub stream: String,
    /// Whose lines are written.
    pub route: Route,
    /// What the destination is called, where it has a name.
    pub name: Option<String>,
    /// How records are spread.
    pub key: Key,
    /// What its lines are.
    pub form: Form,
}

/// How records are spread over the shards of the stream they are written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// Evenly.
    Random,
    /// By one column of an enriched event: equal values go to the same shard.
    Column(event::Field),
    /// By a hash of several columns: where all are equal, events go to the same shard.
    Columns(Vec<event::Field>),
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
        settings: Settings,
        fallback: Fallback,
        metrics: Arc<Metrics>,
    ) -> Kinesis {
        let requests = Semaphore::new(REQUESTS);
        let called = called(settings.route, settings.name.as_deref());
        let what = format!("stream {} for {called}", settings.stream);
        let check = metrics.health().check(what, Need::WhenUsed);
        let circuit = Circuit::new(Arc::clone(&check));
        Kinesis { client, settings, fallback, requests, check, circuit, metrics }
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
                            self.metrics.wrote(self.settings.route, self.label(), 1, line.len());
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

    /// The destination's name in metrics.
    fn label(&self) -> &str {
        self.settings.name.as_deref().unwrap_or("kinesis")
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
        self.metrics.write_failed(self.settings.route, self.label());
        match turn.failed(&failure) {
            Then::Again => Ok(None),
            Then::GiveUp => {
                Err(Error::failed(format!("writing to {}", self.check.what()), failure))
            }
        }
    }

    /// One request; of each entry why it was refused, if it was.
    async fn put_records(&self, lines: &[&[u8]]) -> Result<Vec<Option<Failure>>, Failure> {
        let entries = lines.iter().map(|line| {
            PutRecordsRequestEntry::builder()
                .data(Blob::new(*line))
                .partition_key(self.settings.key.of(line, self.settings.form))
                .build()
                .expect("data and key are given")
        });
        let put = self.client.put_records().stream_name(&self.settings.stream);
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
        let put = self.client.put_records().stream_name(&self.settings.stream);
        if let Err(error) = put.set_records(Some(Vec::new())).send().await {
            let failure = Failure::of(PUT_RECORDS, &error);
            if failure.is_refusal() || failure.passing {
                return Err(unfit(failure));
            }
        }
        let describe = self.client.describe_stream_summary().stream_name(&self.settings.stream);
        if let Err(error) = describe.send().await {
            let failure = Failure::of("DescribeStreamSummary", &error);
            if failure.code.as_deref() == Some("ResourceNotFoundException") {
                // By the name of what is going to fail.
                return Err(unfit(Failure { action: PUT_RECORDS, ..failure }));
            }
            let (stream, why) = (&self.settings.stream, failure.to_string());
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
        self.metrics.fell_back(self.settings.route, large.len());
        match &self.fallback {
            Fallback::Elsewhere => Ok(Written::Durable),
            Fallback::Sink(sink) => {
                let mut lines = pipeline::Lines::default();
                for line in large {
                    lines.push_with(|out| out.extend_from_slice(line));
                }
                let (origin, folder) = (part.origin.clone(), None);
                sink.write(Arc::new(Part { lines, origin, folder })).await
            }
            Fallback::None => {
                let doing = format!("writing to {}", self.check.what());
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
    fn of(&self, line: &[u8], form: Form) -> String {
        let value = match self {
            Key::Random => None,
            Key::Column(field) => column(*field, line, form),
            Key::Columns(fields) => return hash(fields, line, form),
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

/// A column of an event, in the form that it has.
fn column(field: event::Field, line: &[u8], form: Form) -> Option<&[u8]> {
    match form {
        Form::Own => line.split(|byte| *byte == b'\t').nth(field as usize),
        Form::Json => {
            let value = event::json::member(std::str::from_utf8(line).ok()?, field.name())?;
            let text = value.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
            Some(text.unwrap_or(value)).filter(|text| *text != "null").map(str::as_bytes)
        }
    }
}

/// The same text for the same columns; another each time where none is set.
fn hash(fields: &[event::Field], line: &[u8], form: Form) -> String {
    let mut hash = Md5::new();
    let mut any = false;
    for field in fields {
        let value = column(*field, line, form).unwrap_or_default();
        any |= !value.is_empty();
        // What ends one value cannot be part of it.
        hash.update(value);
        hash.update(b"\t");
    }
    if !any {
        return format!("{:016x}", fastrand::u64(..));
    }
    let digest: [u8; 16] = hash.finalize().into();
    format!("{:032x}", u128::from_be_bytes(digest))
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
        let of = |line: &[u8]| key.of(line, Form::Own);
        assert_eq!(of(b"app\tweb\tx"), "web");
        assert_ne!(of(b"app\t\tx"), of(b"app\t\tx"));
        assert_eq!(of("app\té".repeat(300).as_bytes()).chars().count(), 4);
        assert_eq!(Key::Random.of(b"a\tb", Form::Own).len(), 16);
        let json = br#"{"app_id":"app","platform":"web","etl_tstamp":null}"#;
        assert_eq!(key.of(json, Form::Json), "web");
    }

    #[test]
    fn several_columns_share_a_key_when_all_are_equal() {
        let key = Key::Columns(vec![event::Field::AppId, event::Field::Platform]);
        let of = |line: &[u8]| key.of(line, Form::Own);
        assert_eq!(of(b"app\tweb\tx"), of(b"app\tweb\ty"));
        assert_ne!(of(b"app\tweb\tx"), of(b"appw\teb\tx"));
        assert_ne!(of(b"\tweb\tx"), of(b"web\t\tx"));
        assert_ne!(of(b"\t\tx"), of(b"\t\tx"), "what has none is spread");
        let json = br#"{"app_id":"app","platform":"web"}"#;
        assert_eq!(key.of(json, Form::Json), of(b"app\tweb\tx"), "both forms go together");
    }
}
