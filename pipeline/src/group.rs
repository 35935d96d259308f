//! Records on their way together: loaded and adapted one after the other, then hashed side by
//! side, then processed event by event, in their order.
//!
//! Only the fingerprints gain from company. They need nothing but an event's parameters, so all of
//! a group are made in one go before the first event goes on. Whatever happens to one record of a
//! group happens to none of the others.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use enrichments::Caches;
use event::raw_event::Parameter;
use event::reason::Reason;
use event::{Bump, CollectorPayload, Field, RawEvent};
use validator::Schemas;

use super::adapt::{self, Adapted, Refused};
use super::failed::Failed;
use super::parked::{self, Waiting};
use super::road::{End, Passage, Tools};
use super::schema_check::{SchemaCheck, Stop};
use super::transform::Start;
use super::writer::Writer;
use super::{Bench, Pipeline, Record, Work, load};

/// Events of a group, all but the last record's: enough to keep the lanes of a hash filled, few
/// enough that what was read of them is still in the core's cache when they are processed.
const EVENTS: usize = 32;

/// Bytes of a group's records, all but the last's, for the same reason.
const BYTES: usize = 128 << 10;

/// One pass over one batch.
pub(super) struct Pass<'r> {
    pub(super) pipeline: &'r Pipeline,
    work: Work<'r>,
    /// What every event starts with.
    start: Start<'r>,
    pub(super) check: SchemaCheck<'r>,
    /// The events of the present record that are to be parked.
    waiting: Vec<Waiting>,
    pub(super) writer: Writer<'r>,
}

/// What became of a record before its events are looked at.
enum Loaded<'a> {
    Events(Adapted<'a>),
    Unreadable(Vec<Reason>),
    Refused(&'a CollectorPayload<'a>, Vec<Reason>),
    /// Schemas that cannot be had, by their Iglu URIs; none where they must be asked for first.
    Undecided(Vec<String>),
    Panicked(Box<dyn Any + Send>),
}

impl<'r> Pass<'r> {
    pub(super) fn new(
        pipeline: &'r Pipeline,
        work: Work<'r>,
        schemas: &'r Schemas,
        start: Start<'r>,
        now_ms: i64,
    ) -> Pass<'r> {
        let check = SchemaCheck::new(schemas, &pipeline.settings);
        let writer = Writer::new(pipeline, work, schemas, now_ms);
        Pass { pipeline, work, start, check, waiting: Vec::new(), writer }
    }

    /// Processes the group that begins with a record; returns the first record of the next.
    pub(super) fn group(&mut self, first: usize, bench: &mut Bench) -> usize {
        let Bench { arena, caches, .. } = bench;
        arena.reset();
        let arena = &*arena;
        let batch = self.work.batch;
        let mut group = Vec::new();
        let (mut events, mut bytes) = (Vec::new(), 0);
        for record in &batch.records[first..] {
            let loaded = self.loaded(record, arena);
            if let Loaded::Events(adapted) = &loaded {
                events.extend(adapted.events.iter().map(|event| event.parameters));
            }
            group.push(loaded);
            bytes += record.data.len();
            if events.len() >= EVENTS || bytes >= BYTES {
                break;
            }
        }
        let fingerprints = self.fingerprints(&events, arena);
        let mut fingerprints = fingerprints.into_iter().flatten();
        let next = first + group.len();
        for (index, loaded) in (first..).zip(group) {
            let count = match &loaded {
                Loaded::Events(adapted) => adapted.events.len(),
                _ => 0,
            };
            let fingerprints = fingerprints.by_ref().take(count);
            self.record(index as u32, loaded, fingerprints, caches, arena);
        }
        next
    }

    /// A record taken apart, confined: a panic costs this record alone.
    fn loaded<'a>(&mut self, record: &Record<'a>, arena: &'a Bump) -> Loaded<'a> {
        let whole = AssertUnwindSafe(|| self.load(record, arena));
        catch_unwind(whole).unwrap_or_else(|panic| {
            self.check.unavailable.clear();
            Loaded::Panicked(panic)
        })
    }

    fn load<'a>(&mut self, record: &Record<'a>, arena: &'a Bump) -> Loaded<'a> {
        let encoding = self.pipeline.settings.record_encoding;
        let payload = match load::payload(record.data, encoding, arena) {
            Ok(payload) => &*arena.alloc(payload),
            Err(reasons) => return Loaded::Unreadable(reasons),
        };
        let adapters = &self.pipeline.settings.adapters;
        match adapt::events(payload, adapters, &mut self.check, arena) {
            Ok(adapted) => Loaded::Events(adapted),
            Err(Stop::Refused(reasons)) => Loaded::Refused(payload, reasons),
            Err(Stop::Pending) => Loaded::Undecided(std::mem::take(&mut self.check.unavailable)),
        }
    }

    /// The fingerprints of a group; none where they are not wanted. Should making them panic, each
    /// event makes its own, and only the one at fault pays.
    fn fingerprints<'a>(
        &self,
        events: &[&[Parameter<'_>]],
        arena: &'a Bump,
    ) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        let enrichments = &self.pipeline.enrichments;
        let made = catch_unwind(AssertUnwindSafe(|| enrichments.fingerprints(events, arena)));
        Some(made.ok()??.into_iter())
    }

    /// One record, confined as far as its events are not.
    fn record<'a>(
        &mut self,
        index: u32,
        loaded: Loaded<'a>,
        fingerprints: impl Iterator<Item = &'a str>,
        caches: &mut Caches,
        arena: &'a Bump,
    ) where
        'r: 'a,
    {
        let record = &self.work.batch.records[index as usize];
        self.confined(index, caches, |pass, caches| match loaded {
            Loaded::Events(Adapted { events, refused }) => {
                pass.events((index, record), &events, fingerprints, caches, arena);
                // Of a parked record only events wait; what was refused has its row.
                if let Some(refused) = refused.filter(|_| pass.work.only.is_none()) {
                    pass.writer.refused(index, &refused, arena);
                }
            }
            Loaded::Unreadable(reasons) => pass.writer.unreadable(index, record, &reasons),
            Loaded::Refused(payload, reasons) => {
                pass.writer.refused(index, &Refused { payload, reasons }, arena);
            }
            Loaded::Undecided(schemas) => pass.park(index, record, schemas, None),
            Loaded::Panicked(panic) => pass.writer.panicked(index, record, &*panic),
        });
    }

    fn events<'a>(
        &mut self,
        (index, record): (u32, &Record<'a>),
        events: &[RawEvent<'a>],
        mut fingerprints: impl Iterator<Item = &'a str>,
        caches: &mut Caches,
        arena: &'a Bump,
    ) where
        'r: 'a,
    {
        let origin = self.work.origin(record);
        for (place, raw) in (0..).zip(events) {
            let fingerprint = fingerprints.next();
            if self.work.only.is_some_and(|parked| !parked.names(place)) {
                continue;
            }
            self.confined(index, caches, |pass, caches| {
                let passage = Passage::new(raw.clone(), origin, place, fingerprint, arena);
                pass.event(index, passage, caches, arena);
            });
        }
        if !self.waiting.is_empty() {
            let waiting = std::mem::take(&mut self.waiting);
            let schemas = std::mem::take(&mut self.check.unavailable);
            self.park(index, record, schemas, Some(waiting));
        }
    }

    /// The road of one event, and what it became written down.
    pub(super) fn event<'a>(
        &mut self,
        index: u32,
        mut passage: Passage<'a>,
        caches: &mut Caches,
        arena: &'a Bump,
    ) where
        'r: 'a,
    {
        let mut tools = Tools {
            settings: &self.pipeline.settings,
            enrichments: &self.pipeline.enrichments,
            check: &mut self.check,
            caches,
            start: self.start,
            arena,
        };
        match passage.travel(&mut tools) {
            Ok(()) => self.writer.enriched(index, &passage, arena),
            Err(End::Failed { failures, derived, invalid, unproven }) => {
                let Passage { event, raw, masked, .. } = &passage;
                let failed = Failed {
                    derived: &derived,
                    invalid: &invalid,
                    unproven,
                    masked: *masked,
                    ..Failed::new(&failures, event, raw)
                };
                self.writer.failed(index, failed, arena);
            }
            Err(End::Refused(reasons)) => {
                self.writer.violated(index, &reasons, &passage.event, &passage.raw, arena);
            }
            Err(End::Dropped) => self.writer.dropped(index),
            // Without one that is unavailable the batch comes again once all were asked for.
            Err(End::Waits) if self.check.unavailable.is_empty() => {}
            Err(End::Waits) => {
                let event_id = passage.event.get(Field::EventId).unwrap_or_default().to_owned();
                self.waiting.push(Waiting { index: passage.index, event_id });
            }
        }
    }

    /// Parks events of a record, or all of it, for schemas that cannot be had; for none it does
    /// nothing, since the batch comes again.
    fn park(
        &mut self,
        index: u32,
        record: &Record<'_>,
        schemas: Vec<String>,
        events: Option<Vec<Waiting>>,
    ) {
        if !schemas.is_empty() {
            let reason = parked::Reason::SchemasUnavailable(schemas);
            self.writer.park(index, record, reason, events);
        }
    }

    /// Work on a record, or on one event of it: a panic costs that alone, and it becomes a bad row.
    pub(super) fn confined(
        &mut self,
        index: u32,
        caches: &mut Caches,
        work: impl FnOnce(&mut Self, &mut Caches),
    ) {
        let (mark, waiting) = (self.writer.output.mark(), self.waiting.len());
        let whole = AssertUnwindSafe(|| work(self, caches));
        if let Err(panic) = catch_unwind(whole) {
            self.writer.output.rewind(mark);
            self.waiting.truncate(waiting);
            if waiting == 0 {
                // Nothing waits for them any more.
                self.check.unavailable.clear();
            }
            let record = &self.work.batch.records[index as usize];
            self.writer.panicked(index, record, &*panic);
            *caches = Caches::default();
        }
    }
}
