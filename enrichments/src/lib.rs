//! Everything that adds to an event after its parameters were read, in the order in which it runs.

use event::{Bump, Entity, Event, Failure, RawEvent};

/// The configured enrichments with their assets loaded. Immutable; swapped whole.
#[derive(Default)]
pub struct Enrichments {}

/// What one thread keeps between events (finished outputs by user agent, by address, …).
#[derive(Default)]
pub struct Caches {}

/// The moments an event carries, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// `collector_tstamp`.
    pub collector: i64,
    /// `dvce_created_tstamp`.
    pub created: Option<i64>,
    /// `dvce_sent_tstamp`.
    pub sent: Option<i64>,
    /// `true_tstamp`.
    pub true_time: Option<i64>,
}

/// What the enrichments made of an event, besides what they set in it.
#[derive(Default)]
pub struct Enriched<'a> {
    /// Entities derived, in the order in which they are written.
    pub entities: Vec<Entity<'a>>,
    /// What went wrong, in the order in which bad rows list it.
    pub failures: Vec<Failure>,
}

impl Enrichments {
    /// Runs every step on one event. Never stops early: failures are collected.
    pub fn run<'a>(
        &self,
        _event: &mut Event<'a>,
        _raw: &RawEvent<'a>,
        _times: &Times,
        _caches: &mut Caches,
        _arena: &'a Bump,
    ) -> Enriched<'a> {
        todo!()
    }

    /// Masks what must not leave: runs after the derived entities were validated.
    pub fn anonymise<'a>(&self, _event: &mut Event<'a>, _arena: &'a Bump) {
        todo!()
    }
}
