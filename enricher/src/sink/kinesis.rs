//! The low-latency sink: each line a record of a stream, written by PutRecords.
//!
//! A request holds up to 500 records and 5 MiB. Every entry of an answer is looked at; the refused
//! ones, and only those, are sent again until they are taken or the lease is gone, and fewer
//! requests go out at once while a stream throttles. A record is a line, or several that are
//! packed. The order of records is not kept: consumers order events by their timestamps.

mod parcel;
mod window;

use std::sync::Arc;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, PutRecordsResultEntry};
use md5::{Digest, Md5};
use pipeline::divide::Form;

use crate::backoff::Backoff;
use crate::circuit::{Circuit, Then};
use crate::health::{Check, Failure, Need, Unfit};
use crate::metrics::{Metrics, Repeat, Retry};
use crate::pool::Pool;
use crate::seam::Pending;
use crate::seam::join;
use crate::sink::{Error, Part, Route, Sink, Written, called, guard};
pub use parcel::Packing;
use parcel::Parcel;
use window::Window;

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
    /// The threads that pack, where records are packed.
    pool: Option<Arc<Pool>>,
    window: Window,
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
    /// How they become records.
    pub packing: Packing,
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
        let window = Window::new(REQUESTS);
        let called = called(settings.route, settings.name.as_deref());
        let what = format!("stream {} for {called}", settings.stream);
        let check = metrics.health().check(what, Need::WhenUsed);
        let circuit = Circuit::new(Arc::clone(&check));
        Kinesis { client, settings, fallback, pool: None, window, check, circuit, metrics }
    }

    /// The same with the threads that pack.
    #[must_use]
    pub fn with_pool(self, pool: Arc<Pool>) -> Kinesis {
        Kinesis { pool: Some(pool), ..self }
    }

    async fn put(&self, part: Arc<Part>) -> Result<Written, Error> {
        let fits = |line: &&[u8]| line.len() + KEY_BYTES <= RECORD_BYTES;
        let large: Vec<&[u8]> = part.lines.iter().filter(|line| !fits(line)).collect();
        let packing = self.settings.packing;
        let requests = if packing.packs() {
            cut(self.packed(&part).await?)
        } else {
            cut(part.lines.iter().filter(fits).map(Parcel::line).collect())
        };
        let writes = requests.into_iter().map(|parcels| -> Pending<'_, Result<(), Error>> {
            Box::pin(self.request(&part, parcels))
        });
        for written in join(writes.collect()).await {
            written?;
        }
        self.fall_back(&part, large).await
    }

    /// The lines that fit, packed.
    async fn packed(&self, part: &Arc<Part>) -> Result<Vec<Parcel<'static>>, Error> {
        let (part, settings) = (Arc::clone(part), self.settings.clone());
        let pack = move || {
            let fits = |line: &&[u8]| line.len() + KEY_BYTES <= RECORD_BYTES;
            let lines: Vec<&[u8]> = part.lines.iter().filter(fits).collect();
            let Settings { packing, key, form, .. } = settings;
            parcel::pack(&lines, packing, |line| key.stable(line, form))
        };
        match &self.pool {
            Some(pool) => {
                let failed = |error| Error::failed("packing records".to_owned(), error);
                pool.run(pack).await.map_err(failed)
            }
            None => Ok(pack()),
        }
    }

    /// Sends records until all are taken.
    async fn request(&self, part: &Part, mut parcels: Vec<Parcel<'_>>) -> Result<(), Error> {
        let mut backoff = Backoff::default();
        while !parcels.is_empty() {
            let sent = parcels.len();
            // First the window: who waits for the stream to answer is one of few.
            let turn = self.window.turn().await;
            let answer = guard(std::iter::once(&part.origin), self.send(&parcels)).await;
            let lost = || self.metrics.lost(parcels.iter().map(|parcel| parcel.lines).sum());
            let Answered { refused, throttled } = answer.inspect_err(|_| lost())??;
            self.window.answered(turn, throttled);
            match refused {
                None => self.metrics.retried(Retry::Stream),
                Some(refused) => {
                    let mut refused = refused.into_iter();
                    let taken = |parcel: &Parcel<'_>| {
                        let refused = refused.next().unwrap_or(true);
                        if !refused {
                            let (route, label) = (self.settings.route, self.label());
                            self.metrics.wrote(route, label, parcel.lines, parcel.bytes);
                            part.origin.wrote(parcel.lines);
                        }
                        refused
                    };
                    parcels.retain(taken);
                    if parcels.is_empty() {
                        break;
                    }
                    self.metrics.retried(Retry::Entries);
                    if parcels.len() < sent {
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

    /// One request, when it is its turn.
    async fn send(&self, parcels: &[Parcel<'_>]) -> Result<Answered, Error> {
        let turn = self.circuit.turn().await;
        let failure = match self.put_records(parcels).await {
            Ok(answers) => match answers.iter().find_map(Option::as_ref) {
                Some(failure) if answers.iter().all(Option::is_some) => failure.clone(),
                refused => {
                    turn.succeeded();
                    if let Some(failure) = refused {
                        self.check.refused_in_part(failure);
                    }
                    let throttled = answers.iter().flatten().any(is_throttle);
                    let refused = Some(answers.iter().map(Option::is_some).collect());
                    return Ok(Answered { refused, throttled });
                }
            },
            Err(failure) => failure,
        };
        self.metrics.write_failed(self.settings.route, self.label());
        if failure.is_unclear() {
            let lines = parcels.iter().map(|parcel| parcel.lines).sum::<usize>() as u64;
            self.metrics.repeats(Repeat::AnswerLost, lines);
        }
        match turn.failed(&failure) {
            Then::Again => Ok(Answered { refused: None, throttled: is_throttle(&failure) }),
            Then::GiveUp => {
                Err(Error::failed(format!("writing to {}", self.check.what()), failure))
            }
        }
    }

    /// One request; of each entry why it was refused, if it was.
    async fn put_records(&self, parcels: &[Parcel<'_>]) -> Result<Vec<Option<Failure>>, Failure> {
        let Settings { key, form, .. } = &self.settings;
        let entries = parcels.iter().map(|parcel| {
            let key = parcel.key.clone().unwrap_or_else(|| key.of(&parcel.data, *form));
            PutRecordsRequestEntry::builder()
                .data(Blob::new(parcel.data.as_ref()))
                .partition_key(key)
                .build()
                .expect("data and key are given")
        });
        let put = self.client.put_records().stream_name(&self.settings.stream);
        let answer = put.set_records(Some(entries.collect())).send().await;
        let answer = answer.map_err(|error| Failure::of(PUT_RECORDS, &error))?;
        let records = answer.records();
        if records.len() != parcels.len() {
            let message = format!("{} answers for {} records", records.len(), parcels.len());
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

/// What a request came to.
struct Answered {
    /// Of each record whether it was refused; absent where none was taken, and it is worth trying
    /// again.
    refused: Option<Vec<bool>>,
    throttled: bool,
}

/// Cuts records into requests.
fn cut(parcels: Vec<Parcel<'_>>) -> Vec<Vec<Parcel<'_>>> {
    let mut requests: Vec<Vec<Parcel<'_>>> = Vec::new();
    let mut bytes = 0;
    for parcel in parcels {
        let size = parcel.size();
        match requests.last_mut() {
            Some(last) if last.len() < REQUEST_RECORDS && bytes + size <= REQUEST_BYTES => {
                bytes += size;
                last.push(parcel);
            }
            _ => {
                bytes = size;
                requests.push(vec![parcel]);
            }
        }
    }
    requests
}

/// Whether a limit was hit.
fn is_throttle(failure: &Failure) -> bool {
    let signs = ["Throughput", "Throttl", "LimitExceeded"];
    failure.code.as_deref().is_some_and(|code| signs.iter().any(|sign| code.contains(sign)))
}

const PUT_RECORDS: &str = "PutRecords";

/// What may pass: a limit of a shard, or a fault inside the service.
fn refusal(code: Option<&str>, message: String) -> Failure {
    let code = code.map(str::to_owned);
    Failure { action: PUT_RECORDS, status: Some(200), code, message, passing: true }
}

impl Key {
    fn of(&self, line: &[u8], form: Form) -> String {
        self.stable(line, form).unwrap_or_else(|| format!("{:016x}", fastrand::u64(..)))
    }

    /// The key that a line has every time, where it has one.
    fn stable(&self, line: &[u8], form: Form) -> Option<String> {
        let value = match self {
            Key::Random => None,
            Key::Column(field) => column(*field, line, form),
            Key::Columns(fields) => return hash(fields, line, form),
        };
        let text = String::from_utf8_lossy(value.unwrap_or_default());
        match text.char_indices().nth(KEY_BYTES / 4) {
            // Four bytes are the most a character takes; longer values share their beginning.
            Some((end, _)) => Some(text[..end].to_owned()),
            None if text.is_empty() => None,
            None => Some(text.into_owned()),
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

/// The same text for the same columns; none where none is set.
fn hash(fields: &[event::Field], line: &[u8], form: Form) -> Option<String> {
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
        return None;
    }
    let digest: [u8; 16] = hash.finalize().into();
    Some(format!("{:032x}", u128::from_be_bytes(digest)))
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
