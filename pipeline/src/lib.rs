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
//! and it keeps this code free of waiting.

pub mod adapt;
mod batch;
mod companions;
pub mod entities;
mod envelopes;
mod failed;
mod group;
mod identity;
pub mod load;
pub mod output;
pub mod parameters;
pub mod parked;
pub mod protection;
pub mod proven;
pub mod schema_check;
pub mod transform;
mod verdicts;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use enrichments::limits::Limits;
use enrichments::{Caches, Enrichments, Input};
use event::bad_row::{Processor, Stamp};
use event::reason::{EnrichmentId, Failure, Reason};
use event::{Bump, Entity, Event, Field, RawEvent, SchemaKey, time};
use validator::Schemas;

use adapt::Adapters;
pub use batch::{Batch, Record};
use entities::Entities;
use failed::Failed;
use load::RecordEncoding;
pub use output::{Lines, Output, Route, Verdict};
use parked::{Parked, Waiting};
use protection::{JSON, Masked, Personal};
use proven::Proven;
use schema_check::{SchemaCheck, Stop};
use transform::{Start, Transformed};

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
    /// The largest line, in bytes: larger ones become size violations.
    pub line_bytes_max: usize,
    /// What bad rows tell of people.
    pub personal: Personal,
    /// Whether events about what was pseudonymised are written, if they are configured.
    pub pii_events: bool,
    /// Whether failed events are written a second time, in the shape of enriched ones.
    pub incomplete: bool,
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

/// What becomes of an event when the registries that may have one of its schemas cannot be asked.
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
            line_bytes_max: Settings::LINE_BYTES_MAX,
            personal: Personal::default(),
            pii_events: true,
            incomplete: false,
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
}

impl Pipeline {
    /// A pipeline of these parts.
    pub fn new(settings: Settings, enrichments: Arc<Enrichments>) -> Pipeline {
        Pipeline { settings, enrichments }
    }

    /// Processes a batch. `now_ms` is stamped on every event and bad row of it.
    pub fn process(&self, batch: &Batch<'_>, schemas: &Schemas, now_ms: i64) -> Outcome {
        self.run(Work { batch, stream: &self.settings.stream, only: None }, schemas, now_ms)
    }

    /// Processes what a parked record stands for: a batch of that one record, of which only the
    /// events named there are looked at, under the ids they would have had.
    pub fn replay(
        &self,
        parked: &Parked,
        batch: &Batch<'_>,
        schemas: &Schemas,
        now: i64,
    ) -> Outcome {
        self.run(Work { batch, stream: &parked.stream, only: Some(parked) }, schemas, now)
    }

    fn run(&self, work: Work<'_>, schemas: &Schemas, now_ms: i64) -> Outcome {
        let batch = work.batch;
        BENCH.with_borrow_mut(|bench| {
            let mut run = Run::new(self, work, schemas, now_ms);
            run.check.proven = std::mem::take(&mut bench.proven);
            // An event's line is about as long as its share of the payload.
            run.output.enriched.reserve(batch.bytes() + batch.bytes() / 8);
            let mut next = 0;
            while next < batch.records.len() {
                next = run.group(next, bench);
            }
            bench.proven = std::mem::take(&mut run.check.proven);
            match run.check.needs.is_empty() {
                true => Outcome::Done(run.output),
                false => Outcome::Need(run.check.needs),
            }
        })
    }
}

/// What is to be processed.
#[derive(Clone, Copy)]
struct Work<'r> {
    batch: &'r Batch<'r>,
    /// The stream that the records were read from.
    stream: &'r str,
    /// Where only some events of the records are meant.
    only: Option<&'r Parked>,
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

/// One pass over one batch.
struct Run<'r> {
    pipeline: &'r Pipeline,
    work: Work<'r>,
    stamp: Stamp<'r>,
    v_etl: String,
    etl_tstamp: String,
    check: SchemaCheck<'r>,
    /// The events of the present record that are to be parked.
    waiting: Vec<Waiting>,
    output: Output,
}

/// Where an event stands in its batch.
#[derive(Clone, Copy)]
struct Place<'r> {
    /// The record's index in the batch.
    index: u32,
    record: &'r Record<'r>,
    /// The event's index in the record.
    place: usize,
}

/// A schema is not there, so there is no verdict.
struct Pending;

impl<'r> Run<'r> {
    fn new(pipeline: &'r Pipeline, work: Work<'r>, schemas: &'r Schemas, now_ms: i64) -> Run<'r> {
        let processor = &pipeline.settings.processor;
        let v_etl = format!("{}-{}", processor.artifact, processor.version);
        let arena = Bump::new();
        let v_etl = event::convert::tsv_safe(&v_etl, &arena).unwrap_or_default().to_owned();
        Run {
            pipeline,
            work,
            stamp: Stamp { processor, now_ms },
            v_etl,
            etl_tstamp: time::format_ms(now_ms, &arena).to_owned(),
            check: SchemaCheck::new(schemas, &pipeline.settings),
            waiting: Vec::new(),
            output: Output::default(),
        }
    }
}

impl Run<'_> {
    /// The work on one event, confined: a panic costs this event alone.
    fn confined(
        &mut self,
        at: Place<'_>,
        caches: &mut Caches,
        work: impl FnOnce(&mut Self, &mut Caches),
    ) {
        let (mark, waiting) = (self.output.mark(), self.waiting.len());
        let whole = AssertUnwindSafe(|| work(self, caches));
        if let Err(panic) = catch_unwind(whole) {
            self.output.rewind(mark);
            self.waiting.truncate(waiting);
            self.panicked(at.index, at.record, &*panic);
            *caches = Caches::default();
        }
    }

    /// The main road of one event.
    fn event<'a>(
        &mut self,
        at: Place<'_>,
        raw: &RawEvent<'a>,
        fingerprint: Option<&'a str>,
        caches: &mut Caches,
        arena: &'a Bump,
    ) {
        let index = at.index;
        let start = Start {
            v_etl: arena.alloc_str(&self.v_etl),
            etl_tstamp: arena.alloc_str(&self.etl_tstamp),
        };
        // An event is large, so it stays where it is.
        let mut done = transform::event(raw, start, arena);
        let Transformed { event, times, failures } = &mut done;
        let times = *times;
        if event.get(Field::EventId).is_none() {
            let id = identity::event_id(self.work.stream, self.work.batch.shard, at);
            event.set(Field::EventId, Some(arena.alloc_str(&id)));
        }
        if !failures.is_empty() {
            let failed = Failed { unproven: &JSON, ..Failed::new(failures, event, raw) };
            return self.failed(index, failed, arena);
        }
        let found = match entities::extract(event, &mut self.check, arena) {
            Ok(found) => found,
            Err(Stop::Pending) => return self.undecided(at, event),
            Err(Stop::Refused(reasons)) => {
                return self.violated(index, &reasons, event, raw, arena);
            }
        };
        let input = Input { raw, times, unstruct: found.unstruct.as_ref(), fingerprint };
        let derived = self.pipeline.enrichments.run(event, &input, caches, arena);
        if !derived.failures.is_empty() {
            return self.failed(index, Failed::new(&derived.failures, event, raw), arena);
        }
        match self.derived_contexts(event, &derived.entities, &found, arena) {
            Err(Pending) => return self.undecided(at, event),
            Ok(failures) if !failures.is_empty() => {
                let valid = valid(&derived.entities, &failures);
                let failed = Failed::new(&failures, event, raw);
                let unproven = &[Field::DerivedContexts];
                let failed = Failed { derived: &valid, unproven, ..failed };
                return self.failed(index, failed, arena);
            }
            Ok(_) => {}
        }
        let headers = raw.payload.headers;
        let changes = self.pipeline.enrichments.anonymise(event, headers, arena);
        if self.pipeline.settings.lengths == Lengths::Enforced {
            let limits = &self.pipeline.settings.limits;
            let too_long = limits.too_long(event);
            if !too_long.is_empty() {
                let failures = limits.failures(&too_long);
                let failed = Failed::new(&failures, event, raw);
                let failed = Failed { masked: Masked::Yes, invalid: &too_long, ..failed };
                return self.failed(index, failed, arena);
            }
        }
        self.enriched(index, event);
        if self.output.verdicts.last() == Some(&(index, Verdict::Enriched)) {
            self.pii(at, event, &changes, arena);
        }
    }

    /// Writes the column of derived entities and validates them.
    fn derived_contexts<'a>(
        &mut self,
        event: &mut Event<'a>,
        derived: &[Entity<'a>],
        found: &Entities<'a>,
        arena: &'a Bump,
    ) -> Result<Vec<Failure>, Pending> {
        let mut all = derived.to_vec();
        for entity in found.contexts.iter().chain(&found.unstruct) {
            let Some(version) = entity.superseded_by else { continue };
            let info = entities::validation_info(entity.uri, version, arena);
            if !all[derived.len()..].contains(&info) {
                all.push(info);
            }
        }
        if all.is_empty() {
            return Ok(Vec::new());
        }
        event.set(Field::DerivedContexts, Some(event::entity::envelope(&all, arena)));
        let mut failures = Vec::new();
        for entity in derived {
            let error = match self.check.check_derived(entity) {
                schema_check::Verdict::Valid(_) => continue,
                schema_check::Verdict::Pending => return Err(Pending),
                schema_check::Verdict::Invalid(error) => *error,
            };
            let enrichment = EnrichmentId {
                schema_key: entity.uri.to_owned(),
                identifier: "enrichments-contexts-validation",
            };
            let reason = Reason::Iglu { schema_key: entity.uri.to_owned(), error };
            failures.push(Failure { enrichment: Some(enrichment), reason });
        }
        Ok(failures)
    }
}

/// The entities that none of these failures is about.
fn valid<'a>(derived: &[Entity<'a>], failures: &[Failure]) -> Vec<Entity<'a>> {
    let fails = |entity: &Entity<'_>, failure: &Failure| match &failure.reason {
        Reason::Iglu { schema_key, .. } => schema_key == entity.uri,
        _ => false,
    };
    let valid = |entity: &&Entity<'_>| !failures.iter().any(|failure| fails(entity, failure));
    derived.iter().filter(valid).copied().collect()
}

#[cfg(test)]
mod tests;
