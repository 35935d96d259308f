//! From records to lines: pure, synchronous, the same output for the same input.
//!
//! [`Pipeline::process`] takes every record of a batch through [`load`] (bytes to payload),
//! [`adapt`] (payload to raw events), [`transform`] (parameters to fields), [`entities`] (its
//! self-describing JSON validated), the enrichments, and [`output`] (the event to a line). What
//! fails on the way becomes a bad row and stops nothing else: a panic in one event costs that
//! event alone.
//!
//! Schemas come as a snapshot. A batch that mentions schemas which nobody has asked for yet is
//! answered with their keys; the caller resolves them and processes the batch again. That is rare,
//! and it keeps this code free of waiting.

pub mod adapt;
pub mod entities;
mod identity;
pub mod load;
pub mod output;
pub mod parameters;
pub mod schema_check;
pub mod transform;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use enrichments::{Caches, Enrichments, Input, limits};
use event::bad_row::{self, BadKind, Processor, Stamp};
use event::reason::{EnrichmentId, Failure, Reason};
use event::{Bump, Entity, Event, Field, RawEvent, SchemaKey, base64, time};
use validator::Schemas;

use crate::source::{Batch, Record};
use entities::Entities;
use load::RecordEncoding;
pub use output::{Lines, Output, Verdict};
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
    /// How much of the schemas is enforced.
    pub validation: Validation,
    /// In what form enriched events are written.
    pub format: Format,
    /// The largest line, in bytes: larger ones become size violations.
    pub line_bytes_max: usize,
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
            validation: Validation::default(),
            format: Format::default(),
            line_bytes_max: Settings::LINE_BYTES_MAX,
        }
    }
}

/// What became of a batch.
#[derive(Debug)]
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
    pub fn process(&self, batch: &Batch, schemas: &Schemas, now_ms: i64) -> Outcome {
        BENCH.with_borrow_mut(|bench| {
            let processor = &self.settings.processor;
            let mut run = Run {
                pipeline: self,
                batch,
                stamp: Stamp { processor, now_ms },
                v_etl: format!("{}-{}", processor.artifact, processor.version),
                etl_tstamp: time::format_ms(now_ms, &Bump::new()).to_owned(),
                check: SchemaCheck::new(schemas, self.settings.validation),
                output: Output::default(),
            };
            // An event's line is about as long as its share of the payload.
            run.output.enriched.reserve(batch.bytes() + batch.bytes() / 8);
            for (index, record) in batch.records.iter().enumerate() {
                bench.arena.reset();
                run.record(index as u32, record, bench);
            }
            match run.check.needs.is_empty() {
                true => Outcome::Done(run.output),
                false => Outcome::Need(run.check.needs),
            }
        })
    }
}

/// What a thread keeps from one event to the next.
#[derive(Default)]
struct Bench {
    arena: Bump,
    caches: Caches,
}

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::default();
}

/// One pass over one batch.
struct Run<'r> {
    pipeline: &'r Pipeline,
    batch: &'r Batch,
    stamp: Stamp<'r>,
    v_etl: String,
    etl_tstamp: String,
    check: SchemaCheck<'r>,
    output: Output,
}

/// Which lines a text was for.
#[derive(Clone, Copy)]
enum Route {
    Enriched,
    Bad,
}

/// Where an event stands in its batch.
#[derive(Clone, Copy)]
struct Place<'r> {
    /// The record's index in the batch.
    index: u32,
    record: &'r Record,
    /// The event's index in the record.
    place: usize,
}

/// A schema must be resolved before there is a verdict.
struct Pending;

impl Run<'_> {
    fn record(&mut self, index: u32, record: &Record, bench: &mut Bench) {
        let Bench { arena, caches } = bench;
        let mark = self.output.mark();
        let whole = AssertUnwindSafe(|| self.payload(index, record, caches, arena));
        if let Err(panic) = catch_unwind(whole) {
            self.output.rewind(mark);
            self.panicked(index, record, &*panic);
            *bench = Bench::default();
        }
    }

    fn payload(&mut self, index: u32, record: &Record, caches: &mut Caches, arena: &Bump) {
        let encoding = self.pipeline.settings.record_encoding;
        let payload = match load::payload(&record.data, encoding, arena) {
            Ok(payload) => arena.alloc(payload),
            Err(reasons) => {
                for reason in reasons {
                    self.bad(index, BadKind::CollectorPayloadFormatViolation, |stamp, out| {
                        bad_row::format_violation(stamp, &reason, &record.data, out);
                    });
                }
                return;
            }
        };
        match adapt::events(payload, &mut self.check, arena) {
            Err(Stop::Pending) => {}
            Err(Stop::Refused(reasons)) => {
                let kind = adapt::refusal_kind(payload);
                self.bad(index, kind, |stamp, out| {
                    bad_row::adapter_failures(kind, stamp, &reasons, payload, out);
                });
            }
            Ok(events) => {
                for (place, parameters) in events.iter().enumerate() {
                    let raw = RawEvent { payload, parameters };
                    let at = Place { index, record, place };
                    self.caught_event(at, &raw, caches, arena);
                }
            }
        }
    }

    /// One event, confined: a panic costs this event alone.
    fn caught_event<'a>(
        &mut self,
        at: Place<'_>,
        raw: &RawEvent<'a>,
        caches: &mut Caches,
        arena: &'a Bump,
    ) {
        let mark = self.output.mark();
        let whole = AssertUnwindSafe(|| self.event(at, raw, caches, arena));
        if let Err(panic) = catch_unwind(whole) {
            self.output.rewind(mark);
            self.panicked(at.index, at.record, &*panic);
            *caches = Caches::default();
        }
    }

    /// The main road of one event.
    fn event<'a>(
        &mut self,
        at: Place<'_>,
        raw: &RawEvent<'a>,
        caches: &mut Caches,
        arena: &'a Bump,
    ) {
        let index = at.index;
        let start = Start {
            v_etl: arena.alloc_str(&self.v_etl),
            etl_tstamp: arena.alloc_str(&self.etl_tstamp),
        };
        let Transformed { mut event, times, failures } = transform::event(raw, start, arena);
        if event.get(Field::EventId).is_none() {
            let id = identity::event_id(&self.pipeline.settings.stream, self.batch, at);
            event.set(Field::EventId, Some(arena.alloc_str(&id)));
        }
        if !failures.is_empty() {
            return self.failed(index, &failures, &event, raw);
        }
        let found = match entities::extract(&mut event, &mut self.check, arena) {
            Ok(found) => found,
            Err(Stop::Pending) => return,
            Err(Stop::Refused(reasons)) => {
                return self.bad(index, BadKind::SchemaViolations, |stamp, out| {
                    bad_row::schema_violations(stamp, &reasons, &event, raw, out);
                });
            }
        };
        let input = Input { raw, times, unstruct: found.unstruct.as_ref() };
        let derived = self.pipeline.enrichments.run(&mut event, &input, caches, arena);
        if !derived.failures.is_empty() {
            return self.failed(index, &derived.failures, &event, raw);
        }
        match self.derived_contexts(&mut event, &derived.entities, &found, arena) {
            Err(Pending) => return,
            Ok(failures) if !failures.is_empty() => {
                return self.failed(index, &failures, &event, raw);
            }
            Ok(_) => {}
        }
        self.pipeline.enrichments.anonymise(&mut event, raw.payload.headers, arena);
        if self.pipeline.settings.lengths == Lengths::Enforced {
            let too_long = limits::too_long(&event);
            if !too_long.is_empty() {
                return self.failed(index, &limits::failures(&too_long), &event, raw);
            }
        }
        self.enriched(index, &event);
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
            let error = match self.check.check(entity.uri, entity.data) {
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

    fn enriched(&mut self, index: u32, event: &Event<'_>) {
        let settings = &self.pipeline.settings;
        let written = self.output.enriched.push_with(|out| match settings.format {
            Format::Tsv => {
                event::tsv::write(event, out);
                Ok(())
            }
            Format::Json => event::flat::write(event, out),
        });
        if let Err(error) = written {
            self.output.enriched.pop();
            let mut line = Vec::new();
            event::tsv::write(event, &mut line);
            let payload = base64::encode(&line);
            return self.bad(index, BadKind::GenericError, |stamp, out| {
                bad_row::generic_error(stamp, &[&error.to_string()], &payload, out);
            });
        }
        let bytes = self.output.enriched.last().len();
        if bytes > settings.line_bytes_max {
            return self.oversized(index);
        }
        self.output.verdicts.push((index, Verdict::Enriched));
    }

    /// Replaces the newest enriched line by a bad row with the beginning of it.
    fn oversized(&mut self, index: u32) {
        let max_bytes = self.pipeline.settings.line_bytes_max;
        let line = self.set_aside(Route::Enriched);
        let expectation = format!(
            "event passed enrichment but then exceeded the maximum allowed size {max_bytes} bytes"
        );
        self.bad(index, BadKind::SizeViolation, |stamp, out| {
            let oversize = bad_row::Oversize {
                max_bytes,
                actual_bytes: line.len(),
                expectation: &expectation,
                line: &line,
                keep: max_bytes * 8 / 10,
            };
            bad_row::size_violation(stamp, oversize, out);
        });
    }

    /// Moves the newest line of a route to the oversized ones, and returns it.
    fn set_aside(&mut self, route: Route) -> String {
        let (lines, begin): (_, &[u8]) = match route {
            Route::Enriched => (&mut self.output.enriched, b"{\"route\":\"enriched\",\"line\":"),
            Route::Bad => (&mut self.output.bad, b"{\"route\":\"bad\",\"line\":"),
        };
        let line = String::from_utf8_lossy(lines.last()).into_owned();
        lines.pop();
        self.output.oversized.push_with(|out| {
            out.extend_from_slice(begin);
            event::json::write_string(&line, out);
            out.push(b'}');
        });
        line
    }

    fn failed(&mut self, index: u32, failures: &[Failure], event: &Event<'_>, raw: &RawEvent<'_>) {
        self.bad(index, BadKind::EnrichmentFailures, |stamp, out| {
            bad_row::enrichment_failures(stamp, failures, event, raw, out);
        });
    }

    fn panicked(&mut self, index: u32, record: &Record, panic: &(dyn std::any::Any + Send)) {
        let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
        let message = message.unwrap_or_else(|| "unexpected failure".to_owned());
        let payload = base64::encode(&record.data);
        self.bad(index, BadKind::GenericError, |stamp, out| {
            bad_row::generic_error(stamp, &[&message], &payload, out);
        });
    }

    fn bad(&mut self, index: u32, kind: BadKind, write: impl FnOnce(Stamp<'_>, &mut Vec<u8>)) {
        let max_bytes = self.pipeline.settings.line_bytes_max;
        let stamp = self.stamp;
        self.output.bad.push_with(|out| write(stamp, out));
        if self.output.bad.last().len() <= max_bytes {
            self.output.verdicts.push((index, Verdict::Bad(kind)));
            return;
        }
        let line = self.set_aside(Route::Bad);
        if kind == BadKind::SizeViolation {
            // The text it is about was set aside whole already.
            self.output.oversized.pop();
        }
        let expectation = format!(
            "event failed enrichment, but resulting bad row exceeds allowed size {max_bytes}"
        );
        self.output.bad.push_with(|out| {
            let oversize = bad_row::Oversize {
                max_bytes,
                actual_bytes: line.len(),
                expectation: &expectation,
                line: &line,
                keep: max_bytes / 10,
            };
            bad_row::size_violation(stamp, oversize, out);
        });
        self.output.verdicts.push((index, Verdict::Bad(BadKind::SizeViolation)));
    }
}
