//! Records on their way together: loaded and adapted one after the other, then hashed side by
//! side, then processed event by event, in their order.
//!
//! Only the fingerprints gain from company. They need nothing but an event's parameters, so all of
//! a group are made in one go before the first event goes on. Whatever happens to one record of a
//! group happens to none of the others.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use enrichments::Caches;
use enrichments::lookup::{Answers, Question};
use event::raw_event::Parameter;
use event::reason::Reason;
use event::{Bump, CollectorPayload, Field, RawEvent};

use super::adapt::{self, Adapted, Refused};
use super::failed::Failed;
use super::known::Known;
use super::parked::{self, Missing, Parking, Waiting};
use super::replay::Replay;
use super::road::{End, Passage, Tools};
use super::schema_check::{SchemaCheck, Stop};
use super::suspended::{Gap, What};
use super::transform::Start;
use super::writer::Writer;
use super::{Bench, Pipeline, Record, Unavailable, Work, compressed, load};

/// Events of a group, all but the last record's: enough to keep the lanes of a hash filled, few
/// enough that what was read of them is still in the core's cache when they are processed.
const EVENTS: usize = 32;

/// Bytes of a group's records, all but the last's, for the same reason.
const BYTES: usize = 128 << 10;

/// One pass over one batch.
pub(super) struct Pass<'r> {
    pub(super) pipeline: &'r Pipeline,
    pub(super) work: Work<'r>,
    /// What every event starts with.
    start: Start<'r>,
    pub(super) check: SchemaCheck<'r>,
    /// The answers to look-ups that are there.
    answers: Option<&'r dyn Answers>,
    /// The events of the present record that are to be parked.
    pub(super) parking: Parking,
    /// What waits, in the order of the output.
    pub(super) gaps: Vec<Gap>,
    pub(super) writer: Writer<'r>,
}

/// What became of a record before its events are looked at.
pub(super) enum Loaded<'a> {
    Events(Adapted<'a>),
    Unreadable(Vec<Reason>),
    /// Unreadable since it is compressed in this format.
    Compressed(&'static str),
    Refused(&'a CollectorPayload<'a>, Vec<Reason>),
    /// Schemas that cannot be had, by their Iglu URIs; none while some must be asked for first.
    Undecided(Option<Vec<String>>),
    Panicked(Box<dyn Any + Send>),
}

impl<'r> Pass<'r> {
    pub(super) fn new(
        pipeline: &'r Pipeline,
        work: Work<'r>,
        known: Known<'r>,
        start: Start<'r>,
        now_ms: i64,
    ) -> Pass<'r> {
        let Known { schemas, answers } = known;
        let check = SchemaCheck::new(schemas, &pipeline.settings);
        let writer = Writer::new(pipeline, work, schemas, now_ms);
        let (parking, gaps) = (Parking::default(), Vec::new());
        Pass { pipeline, work, start, check, answers, parking, gaps, writer }
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
        self.writer.output.cut_offs += caches.take_cut_offs();
        next
    }

    /// A record taken apart, confined: a panic costs this record alone.
    pub(super) fn loaded<'a>(&mut self, record: &Record<'a>, arena: &'a Bump) -> Loaded<'a> {
        let whole = AssertUnwindSafe(|| self.load(record, arena));
        catch_unwind(whole).unwrap_or_else(|panic| {
            self.check.take_missing();
            Loaded::Panicked(panic)
        })
    }

    fn load<'a>(&mut self, record: &Record<'a>, arena: &'a Bump) -> Loaded<'a> {
        let encoding = self.pipeline.settings.record_encoding;
        let payload = match load::payload(record.data, encoding, arena) {
            Ok(payload) => &*arena.alloc(payload),
            Err(reasons) => return self.unreadable(record.data, reasons),
        };
        let adapters = &self.pipeline.settings.adapters;
        let adapted = adapt::events(payload, adapters, &mut self.check, arena);
        let missing = self.check.take_missing();
        match adapted {
            Ok(adapted) => Loaded::Events(adapted),
            Err(Stop::Refused(reasons)) => Loaded::Refused(payload, reasons),
            Err(Stop::Pending) => Loaded::Undecided(missing),
        }
    }

    /// What becomes of a record that cannot be read.
    fn unreadable<'a>(&mut self, record: &[u8], reasons: Vec<Reason>) -> Loaded<'a> {
        match (compressed::format(record), self.pipeline.settings.unavailable) {
            (Some(format), Unavailable::Park) => Loaded::Compressed(format),
            _ => Loaded::Unreadable(reasons),
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
    pub(super) fn record<'a>(
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
        let replay = self.work.replay;
        // What has no events is about nothing that could have been asked for.
        let about_all = replay.is_none_or(|replay| replay.about.is_everything());
        self.confined(index, caches, |pass, caches| match loaded {
            Loaded::Events(Adapted { events, refused }) => {
                pass.events((index, record), &events, fingerprints, caches, arena);
                // Where single events are meant, what was refused has its row.
                let all = replay.is_none_or(Replay::means_all);
                if let Some(refused) = refused.filter(|_| all) {
                    pass.writer.refused(index, &refused, arena);
                }
            }
            Loaded::Unreadable(_) | Loaded::Refused(..) if !about_all => {}
            Loaded::Unreadable(reasons) => pass.writer.unreadable(index, record, &reasons),
            Loaded::Compressed(format) => {
                pass.writer.output.compressed += 1;
                pass.writer.park(
                    index,
                    record,
                    parked::Reason::Compressed(format.to_owned()),
                    None,
                );
            }
            Loaded::Refused(payload, reasons) => {
                pass.writer.refused(index, &Refused { payload, reasons }, arena);
            }
            Loaded::Undecided(Some(schemas)) => {
                let reason = parked::Reason::SchemasUnavailable(schemas);
                let events = replay.and_then(|replay| replay.events.clone());
                pass.writer.park(index, record, reason, events);
            }
            // The whole batch comes again once these schemas were asked for.
            Loaded::Undecided(None) => {}
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
        let (origin, gaps) = (self.work.origin(record), self.gaps.len());
        for (place, raw) in (0..).zip(events) {
            let fingerprint = fingerprints.next();
            if self.work.replay.is_some_and(|replay| !replay.means(place, raw)) {
                continue;
            }
            self.confined(index, caches, |pass, caches| {
                let mut passage = Passage::new(raw.clone(), origin, place, fingerprint, arena);
                passage.known_id = pass.work.replay.and_then(|replay| replay.id(place));
                pass.event(index, passage, caches, arena);
            });
        }
        self.park_events(index, gaps);
    }

    /// Parks the events of a record that are to be, at once unless others of it wait still: those
    /// have left a gap behind the first so many.
    pub(super) fn park_events(&mut self, index: u32, gaps: usize) {
        let parking = std::mem::take(&mut self.parking);
        if self.gaps.len() > gaps {
            self.gap(index, What::Parking(parking));
        } else if let Some((reason, events)) = parking.line() {
            let record = &self.work.batch.records[index as usize];
            self.writer.park(index, record, reason, Some(events));
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
            answers: self.answers,
            caches,
            start: self.start,
            arena,
        };
        let travelled = passage.travel(&mut tools);
        let missing = self.check.take_missing();
        match travelled {
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
            Err(End::Asks(questions)) => self.wait(index, passage.index, questions),
            Err(End::Unanswered(lookups)) => self.park(&passage, Missing::Lookups(lookups)),
            Err(End::Waits) => match missing {
                Some(schemas) => self.park(&passage, Missing::Schemas(schemas)),
                None => self.wait(index, passage.index, Vec::new()),
            },
        }
    }

    fn wait(&mut self, record: u32, index: u32, questions: Vec<Question>) {
        self.gap(record, What::Event { index, questions });
    }

    pub(super) fn gap(&mut self, record: u32, what: What) {
        self.gaps.push(Gap { record, what, at: self.writer.output.mark() });
    }

    fn park(&mut self, passage: &Passage<'_>, missing: Missing) {
        let event_id = passage.event.get(Field::EventId).unwrap_or_default().to_owned();
        self.parking.add(Waiting { index: passage.index, event_id }, missing);
    }

    /// Work on a record, or on one event of it: a panic costs that alone, and it becomes a bad
    /// row. False if there was one.
    pub(super) fn confined(
        &mut self,
        index: u32,
        caches: &mut Caches,
        work: impl FnOnce(&mut Self, &mut Caches),
    ) -> bool {
        let mark = self.writer.output.mark();
        let (parking, gaps) = (self.parking.len(), self.gaps.len());
        let whole = AssertUnwindSafe(|| work(self, caches));
        if let Err(panic) = catch_unwind(whole) {
            self.writer.output.rewind(mark);
            self.parking.truncate(parking);
            self.gaps.truncate(gaps);
            self.check.take_missing();
            let record = &self.work.batch.records[index as usize];
            self.writer.panicked(index, record, &*panic);
            *caches = Caches::default();
            return false;
        }
        true
    }
}
