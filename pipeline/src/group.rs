//! Records on their way together: loaded and adapted one after the other, then hashed side by
//! side, then processed event by event, in their order.
//!
//! Only the fingerprints gain from company. They need nothing but an event's parameters, so all of
//! a group are made in one go before the first event goes on. Whatever happens to one record of a
//! group happens to none of the others.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use enrichments::Caches;
use event::bad_row::{self, BadKind};
use event::raw_event::Parameter;
use event::reason::Reason;
use event::{Bump, CollectorPayload, RawEvent, base64};

use super::adapt::{self, Adapted, Refused};
use super::schema_check::Stop;
use super::{Bench, Place, Run, load};
use crate::Record;

/// Events of a group, all but the last record's: enough to keep the lanes of a hash filled, few
/// enough that what was read of them is still in the core's cache when they are processed.
const EVENTS: usize = 32;

/// Bytes of a group's records, all but the last's, for the same reason.
const BYTES: usize = 128 << 10;

/// What became of a record before its events are looked at.
enum Loaded<'a> {
    Events(Adapted<'a>),
    Unreadable(Vec<Reason>),
    Refused(&'a CollectorPayload<'a>, Vec<Reason>),
    /// Schemas that cannot be had, by their Iglu URIs; none where they must be asked for first.
    Undecided(Vec<String>),
    Panicked(Box<dyn Any + Send>),
}

impl Run<'_> {
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
    ) {
        let record = &self.work.batch.records[index as usize];
        let mark = self.output.mark();
        let whole = AssertUnwindSafe(|| match loaded {
            Loaded::Events(adapted) => {
                self.events((index, record), &adapted.events, fingerprints, caches, arena);
                // Of a parked record only events wait; what was refused has its row.
                if let Some(refused) = adapted.refused.filter(|_| self.work.only.is_none()) {
                    self.refused(index, &refused, arena);
                }
            }
            Loaded::Unreadable(reasons) => {
                let shown = self.shown().text(record.data, base64::encode);
                for reason in self.shown().reasons_of_nobody(&reasons) {
                    self.bad(index, BadKind::CollectorPayloadFormatViolation, |stamp, out| {
                        bad_row::format_violation(stamp, &reason, &shown, out);
                    });
                }
            }
            Loaded::Refused(payload, reasons) => {
                self.refused(index, &Refused { payload, reasons }, arena);
            }
            Loaded::Undecided(unavailable) => {
                self.check.unavailable = unavailable;
                self.park(index, record, None);
            }
            Loaded::Panicked(panic) => self.panicked(index, record, &*panic),
        });
        if let Err(panic) = catch_unwind(whole) {
            self.output.rewind(mark);
            self.waiting.clear();
            self.check.unavailable.clear();
            self.panicked(index, record, &*panic);
            *caches = Caches::default();
        }
    }

    /// What an adapter refuses becomes a bad row.
    fn refused<'a>(&mut self, index: u32, refused: &Refused<'a>, arena: &'a Bump) {
        let payload = refused.payload;
        let kind = adapt::refusal_kind(payload);
        let reasons = self.shown().reasons(&refused.reasons, payload.headers);
        let shown = self.shown().refused_payload(payload, &refused.reasons, arena);
        self.bad(index, kind, |stamp, out| {
            bad_row::adapter_failures(kind, stamp, &reasons, shown, out);
        });
    }

    fn events<'a>(
        &mut self,
        (index, record): (u32, &Record<'_>),
        events: &[RawEvent<'a>],
        mut fingerprints: impl Iterator<Item = &'a str>,
        caches: &mut Caches,
        arena: &'a Bump,
    ) {
        for (place, raw) in events.iter().enumerate() {
            let fingerprint = fingerprints.next();
            if self.work.only.is_some_and(|parked| !parked.names(place as u32)) {
                continue;
            }
            let at = Place { index, record, place };
            self.confined(at, caches, |run, caches| {
                run.event(at, raw, fingerprint, caches, arena);
            });
        }
        if !self.waiting.is_empty() {
            let waiting = std::mem::take(&mut self.waiting);
            self.park(index, record, Some(waiting));
        }
    }
}
