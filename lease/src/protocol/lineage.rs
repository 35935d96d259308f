//! Creating and deleting leases as the stream's shards come and go.

use std::time::Duration;

use super::{Command, Protocol};
use crate::lease::{self, Counter, Lease, LeaseKey, Write, WriteId};
use crate::shards::{self, Lineage};
use crate::store::Outcome;

/// The most leases created or deleted at a time.
const LINEAGE: usize = 16;

/// How many lease durations an ended lease is kept for.
const WITNESS: u32 = 12;

/// A change of a lease that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    InFlight,
    Over,
}

impl Protocol {
    pub(super) fn lineage(&self, now: Duration) -> Lineage {
        let Some(listing) = &self.listing else { return Lineage::default() };
        let witness = self.config.lease_duration * WITNESS;
        let initial = self.config.initial();
        let (view, gone) = (self.view(now), &self.gone);
        let mut lineage = shards::lineage(listing, &view, gone, &initial, &self.stream, witness);
        for change in &mut lineage.changes {
            if let shards::Change::Create(lease) = change {
                lease.stream = self.stream.clone();
            }
        }
        lineage
    }

    pub(super) fn change_lineage(&mut self, change: shards::Change, out: &mut Vec<Command>) {
        let key = match &change {
            shards::Change::Create(lease) => &lease.key,
            shards::Change::Delete(key, _) | shards::Change::Note(key, ..) => key,
        };
        if self.attempts.len() >= LINEAGE || self.attempts.contains_key(key) {
            return;
        }
        self.attempts.insert(key.clone(), Attempt::InFlight);
        out.push(match change {
            shards::Change::Create(mut lease) => {
                lease.counter = self.first_counter();
                Command::Create(lease)
            }
            shards::Change::Delete(key, counter) => Command::Delete(key, counter),
            shards::Change::Note(key, expected, children) => {
                self.status.writes += 1;
                let id = WriteId(self.next_write);
                self.next_write = self.next_write.wrapping_add(1);
                let change = lease::Change::Note { children };
                Command::Write(Write { key, expected, id, change })
            }
        });
    }

    /// Where the counter of a new lease begins: somewhere. A lease that is deleted and created anew
    /// must not have the counters of the old one, or who knows that one would take it for expired,
    /// and writes meant for the old one would fit the new.
    fn first_counter(&mut self) -> Counter {
        self.next_write = self.next_write.wrapping_add(1);
        // Spreads numbers that follow one another over all that fit (2^64 by the golden ratio).
        Counter(self.next_write.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32)
    }

    pub(super) fn created(
        &mut self,
        lease: Lease,
        done: Option<bool>,
        now: Duration,
        out: &mut Vec<Command>,
    ) {
        self.attempts.insert(lease.key.clone(), Attempt::Over);
        if done == Some(true) {
            self.status.created += 1;
            self.attempts.remove(&lease.key);
            self.sightings.saw(lease, now);
        }
        if self.attempts.values().all(|attempt| *attempt == Attempt::Over) {
            self.replan(now, out);
        }
    }

    pub(super) fn deleted(&mut self, key: LeaseKey, done: Option<bool>) {
        self.attempts.insert(key, Attempt::Over);
        self.status.deleted += u64::from(done == Some(true));
    }

    /// A finished lease has been told its children, or somebody was faster. If the reply was lost,
    /// the next scan shows which.
    pub(super) fn noted(&mut self, write: &Write, outcome: Option<Outcome>, now: Duration) {
        self.attempts.insert(write.key.clone(), Attempt::Over);
        match outcome {
            Some(Outcome::Applied(lease)) => self.sightings.saw(lease, now),
            Some(Outcome::Refused(lease)) => self.sightings.refused(&write.key, lease, now),
            None => {}
        }
    }
}
