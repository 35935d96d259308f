//! From records to lines: pure, synchronous, the same output for the same input.
//!
//! [`Pipeline::process`] takes every record of a batch through [`load`] (bytes to payload),
//! [`adapt`] (payload to raw events), [`transform`] (parameters to fields), [`entities`] (its
//! self-describing JSON validated), the enrichments, and [`output`] (the event to a line). What
//! fails on the way becomes a bad row and stops nothing else: a panic in one event costs that
//! event alone. An event whose schemas cannot be had has no verdict yet: it is [`parked`].
//! [`verdicts`] writes what an event became.
//!
//! Schemas come as a snapshot. A batch that mentions schemas which nobody has asked for yet is
//! answered with their keys; the caller resolves them and processes the batch again. That is rare,
//! and it keeps this code free of waiting. An event whose look-ups have no answer yet is
//! [`Suspended`] alone: the caller gets the answers and has it resumed.

pub mod adapt;
pub mod archive;
mod batch;
mod cause;
mod companions;
mod compressed;
pub mod divide;
pub mod entities;
mod envelopes;
mod failed;
mod group;
mod identity;
mod known;
pub mod load;
pub mod original;
pub mod output;
pub mod parameters;
pub mod parked;
pub mod protection;
pub mod proven;
pub mod replay;
mod resume;
pub mod road;
pub mod schema_check;
mod suspended;
pub mod transform;
mod verdicts;
mod writer;

use std::cell::RefCell;
use std::sync::Arc;

use enrichments::limits::Limits;
use enrichments::{Caches, Enrichments};
use event::bad_row::Processor;
use event::fields::FIELDS;
use event::{Bump, Event, Field, SchemaKey};
use validator::Schemas;

use adapt::Adapters;
pub use batch::{Batch, Origin, Record, home};
pub use cause::Cause;
use group::Pass;
pub use known::Known;
use load::RecordEncoding;
pub use output::{Lines, Output, Route, Verdict};
use protection::Personal;
use proven::Proven;
use replay::{About, Replay};
use suspended::Filling;
pub use suspended::Suspended;
use transform::Start;
use writer::Writer;

/// Turns batches into output. Shared by all threads of a worker.
pub struct Pipeline {
    settings: Settings,
    enrichments: Arc<Enrichments>,
}

/// How a pipeline works, besides its enrichments.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Stands in every bad row, and joined by a hyphen in `v_etl`.
    pub processor: Processor,
    /// The name of the input stream: one of the origins of derived event ids.
    pub stream: String,
    /// How records may be encoded.
    pub record_encoding: RecordEncoding,
    /// What becomes of an event with a field that is too long.
    pub lengths: Lengths,
    /// How long each field may be.
    pub limits: Limits,
    /// What becomes of webhooks.
    pub adapters: Arc<Adapters>,
    /// How much of the schemas is enforced.
    pub validation: Validation,
    /// What becomes of an event with a schema that cannot be had.
    pub unavailable: Unavailable,
    /// In what form enriched events are written.
    pub format: Format,
    /// The routes of events whose lines are written a second time, as flat JSON. An event that has
    /// no such form is then a bad row.
    pub json: Vec<Route>,
    /// The largest line, in bytes: larger ones become size violations.
    pub line_bytes_max: usize,
    /// What bad rows tell of people.
    pub personal: Personal,
    /// Whether events about what was pseudonymised are written, if they are configured.
    pub pii_events: bool,
    /// Whether failed events are written a second time, in the shape of enriched ones.
    pub incomplete: bool,
    /// What `etl_tags` says of every event.
    pub tag: Option<String>,
}

/// What becomes of an event with a field longer than the atomic schema allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lengths {
    /// It is an enrichment failure.
    #[default]
    Enforced,
    /// It is enriched all the same.
    Accepted,
}

/// How much of the schemas is enforced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validation {
    /// All self-describing JSON must be valid.
    #[default]
    Full,
    /// It must be JSON and self-describing. For measuring what validation costs.
    Syntax,
}

/// What becomes of an event when the registries that may have one of its schemas cannot be asked,
/// and of a record that waits for other reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unavailable {
    /// It is parked, to be replayed when they can.
    #[default]
    Park,
    /// It is a bad row, as if the schema did not exist.
    Bad,
}

/// The form of enriched lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// 131 columns, joined by tabs.
    #[default]
    Tsv,
    /// One flat JSON object, as the analytics SDKs make it.
    Json,
}

impl Settings {
    /// The largest record a Kinesis stream takes.
    pub const LINE_BYTES_MAX: usize = 1_048_576;

    /// The settings that are a running peer's defaults, for this program.
    pub fn new(processor: Processor) -> Settings {
        Settings {
            processor,
            stream: String::new(),
            record_encoding: RecordEncoding::default(),
            lengths: Lengths::default(),
            limits: Limits::default(),
            adapters: Arc::default(),
            validation: Validation::default(),
            unavailable: Unavailable::default(),
            format: Format::default(),
            json: Vec::new(),
            line_bytes_max: Settings::LINE_BYTES_MAX,
            personal: Personal::default(),
            pii_events: true,
            incomplete: false,
            tag: None,
        }
    }
}

/// What became of a batch.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one for a batch, nearly always Done")]
pub enum Outcome {
    /// Every event has its verdict.
    Done(Output),
    /// Schemas that nobody has asked for yet. Resolve them and process the batch again.
    Need(Vec<SchemaKey>),
    /// Some events wait. Get what they ask for, or some of it, and resume.
    Waits(Suspended),
}

impl Pipeline {
    /// A pipeline of these parts.
    pub fn new(settings: Settings, enrichments: Arc<Enrichments>) -> Pipeline {
        Pipeline { settings, enrichments }
    }

    /// How it works.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What it adds to events.
    pub fn enrichments(&self) -> &Enrichments {
        &self.enrichments
    }

    /// Processes a batch. `now_ms` is stamped on every event and bad row of it.
    pub fn process<'k>(
        &self,
        batch: &Batch<'_>,
        known: impl Into<Known<'k>>,
        now_ms: i64,
    ) -> Outcome {
        self.begin(self.work(batch, None), known.into(), now_ms)
    }

    /// Processes records once more: of each of them only the events that are meant, under the ids
    /// they had or would have had. A record none of whose events is meant has no verdict.
    pub fn replay<'k>(
        &self,
        replay: &Replay,
        batch: &Batch<'_>,
        known: impl Into<Known<'k>>,
        now_ms: i64,
    ) -> Outcome {
        self.begin(self.work(batch, Some(replay)), known.into(), now_ms)
    }

    /// Goes on with a batch of which some events waited: begins these alone anew, with more that
    /// is known. The batch, what it replays and the time are those of the beginning.
    pub fn resume<'k>(
        &self,
        suspended: Suspended,
        (batch, replay): (&Batch<'_>, Option<&Replay>),
        known: impl Into<Known<'k>>,
        now_ms: i64,
    ) -> Outcome {
        let work = self.work(batch, replay);
        let filling = self.pass(work, known.into(), now_ms, |pass, bench| {
            let begins = pass.resume(&suspended.gaps, bench);
            let (output, gaps) =
                (std::mem::take(&mut pass.writer.output), std::mem::take(&mut pass.gaps));
            let schemas = std::mem::take(&mut pass.check.needs);
            Filling { begins, suspended: Suspended { output, gaps, schemas } }
        });
        suspended.fill(filling).outcome()
    }

    fn work<'r>(&'r self, batch: &'r Batch<'r>, replay: Option<&'r Replay>) -> Work<'r> {
        let stream = replay.map_or(&self.settings.stream, |replay| &replay.stream);
        let (stream, shard) = batch::home(stream, batch.shard);
        Work { batch, stream, shard, replay }
    }

    fn begin(&self, work: Work<'_>, known: Known<'_>, now_ms: i64) -> Outcome {
        self.pass(work, known, now_ms, |pass, bench| {
            pass.writer.reserve();
            let mut next = 0;
            while next < work.batch.records.len() {
                next = pass.group(next, bench);
            }
            let schemas = std::mem::take(&mut pass.check.needs);
            if !schemas.is_empty() {
                return Outcome::Need(schemas);
            }
            let (output, gaps) =
                (std::mem::take(&mut pass.writer.output), std::mem::take(&mut pass.gaps));
            Suspended { output, gaps, schemas }.outcome()
        })
    }

    /// One pass over a batch, or over a part of it.
    fn pass<T>(
        &self,
        work: Work<'_>,
        known: Known<'_>,
        now_ms: i64,
        over: impl FnOnce(&mut Pass<'_>, &mut Bench) -> T,
    ) -> T {
        let texts = Bump::new();
        let start = Start::new(&self.settings, now_ms, &texts);
        BENCH.with_borrow_mut(|bench| {
            let mut pass = Pass::new(self, work, known, start, now_ms);
            pass.check.proven = std::mem::take(&mut bench.proven);
            let result = over(&mut pass, bench);
            bench.proven = std::mem::take(&mut pass.check.proven);
            result
        })
    }

    /// Writes down once more an event that became a size violation, of which nothing but its line
    /// was kept: on a route of events, marked, otherwise as it was, and as large. `None` if it is
    /// no such line, or the event is not about what was asked for.
    pub fn rewrite(&self, route: Route, line: &str, about: &About, now_ms: i64) -> Option<Output> {
        let columns = event::tsv::columns(line)?;
        let text = |field: Field| Some(columns[field as usize]).filter(|text| !text.is_empty());
        let mut event = Event::new();
        for field in FIELDS {
            event.set(field, text(field));
        }
        if !about.takes_event(&event) {
            return None;
        }
        if let Some(tag) = &self.settings.tag {
            event.set(Field::EtlTags, Some(tag));
        }
        let (batch, schemas) = (Batch { shard: "", records: Vec::new() }, Schemas::default());
        let mut writer = Writer::new(self, self.work(&batch, None), &schemas, now_ms);
        writer.again(route, &event).ok()?;
        Some(writer.output)
    }

    /// Parks the records of a batch whole: workers died on them, so many in a row. Where nothing is
    /// to be parked they are bad rows, with the record in them.
    pub fn park(&self, batch: &Batch<'_>, deaths: u32, now_ms: i64) -> Output {
        let work = self.work(batch, None);
        let schemas = Schemas::default();
        let mut writer = Writer::new(self, work, &schemas, now_ms);
        for (index, record) in (0..).zip(&batch.records) {
            match self.settings.unavailable {
                Unavailable::Park => {
                    writer.park(index, record, parked::Reason::KilledWorkers(deaths), None);
                }
                Unavailable::Bad => {
                    let words = format!("{deaths} workers died on this record");
                    writer.panicked(index, record, &words);
                }
            }
        }
        writer.output
    }
}

/// What is to be processed.
#[derive(Clone, Copy)]
struct Work<'r> {
    batch: &'r Batch<'r>,
    /// The stream that the records were read from.
    stream: &'r str,
    /// What that stream calls it.
    shard: &'r str,
    /// Where they are processed once more.
    replay: Option<&'r Replay>,
}

impl<'r> Work<'r> {
    fn origin(&self, record: &Record<'r>) -> Origin<'r> {
        let Record { sequence, sub_sequence, .. } = *record;
        Origin { stream: self.stream, shard: self.shard, sequence, sub_sequence }
    }
}

/// What a thread keeps from one event to the next.
#[derive(Default)]
struct Bench {
    arena: Bump,
    caches: Caches,
    proven: Proven,
}

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::default();
}

#[cfg(test)]
mod tests;
