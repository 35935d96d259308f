//! The lease table of a simulated world: the real [`Lease::apply`], with a memory of every version
//! so that scans can be stale.

use std::collections::BTreeMap;

use super::bugs::Bug;
use super::invariants::{self, Violation};
use super::stream::Stream;
use crate::lease::{Change, Counter, Lease, LeaseKey, Write};
use crate::position::Position;
use crate::store::{Outcome, Scan};

/// A worker of the world, by number. A restarted process is another worker.
pub(super) type WorkerNumber = usize;

#[derive(Debug, Default)]
pub(super) struct Table {
    leases: BTreeMap<LeaseKey, History>,
    /// Conditional writes that were stored.
    pub(super) stored: u64,
}

#[derive(Debug, Default)]
struct History {
    /// Every version with the time it was stored; `None` where the item was deleted.
    versions: Vec<(u64, Option<Lease>)>,
    /// Who moved the counter last.
    writer: Option<WorkerNumber>,
    /// The counter stored by the last take.
    epoch: Option<Counter>,
}

impl Table {
    pub(super) fn get(&self, key: &LeaseKey) -> Option<&Lease> {
        self.leases.get(key)?.versions.last()?.1.as_ref()
    }

    pub(super) fn writer(&self, key: &LeaseKey) -> Option<WorkerNumber> {
        self.leases.get(key)?.writer
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Lease> {
        self.leases.values().filter_map(|history| history.versions.last()?.1.as_ref())
    }

    /// What a scan shows; each item as it was at some moment not before `stale`.
    pub(super) fn scan(&self, mut stale: impl FnMut() -> u64) -> Scan {
        let shown = self.leases.values().filter_map(|history| {
            let moment = stale();
            let version = history.versions.iter().rev().find(|(at, _)| *at <= moment);
            version.and_then(|(_, lease)| lease.clone())
        });
        Scan { leases: shown.collect(), unreadable: 0 }
    }

    pub(super) fn create(&mut self, lease: Lease, now: u64) -> bool {
        if self.get(&lease.key).is_some() {
            return false;
        }
        self.store(lease.key.clone(), Some(lease), now);
        true
    }

    pub(super) fn delete(
        &mut self,
        key: &LeaseKey,
        counter: Counter,
        stream: &Stream,
        now: u64,
    ) -> Result<bool, Violation> {
        let fits = self.get(key).is_some_and(|l| l.counter == counter && l.ended());
        if fits {
            invariants::invariant_deleted_shards_are_done(key, stream)?;
            self.store(key.clone(), None, now);
            self.leases.get_mut(key).expect("just stored").epoch = None;
        }
        Ok(fits)
    }

    pub(super) fn write(
        &mut self,
        mut write: Write,
        by: WorkerNumber,
        stream: &Stream,
        now: u64,
        bug: Option<Bug>,
    ) -> Result<Outcome, Violation> {
        let Some(old) = self.get(&write.key).cloned() else { return Ok(Outcome::Refused(None)) };
        if let Some(bug) = bug {
            bug.before_store(&old, &mut write);
        }
        let Some(mut new) = old.apply(&write) else { return Ok(Outcome::Refused(Some(old))) };
        if let Some(bug) = bug {
            bug.after_store(&write, &mut new);
        }
        let asked = matches!(write.change, Change::Ask { .. } | Change::Note { .. });
        invariants::invariant_counters_step_by_one(&old, &new, asked)?;
        invariants::invariant_checkpoints_never_go_back(&old, &new)?;
        invariants::invariant_checkpoints_cover_durable_records_only(&new, stream)?;
        if matches!(write.change, Change::Take { .. }) {
            let history = self.leases.get_mut(&write.key).expect("it was just read");
            invariants::invariant_epochs_grow(&write.key, history.epoch, new.counter)?;
            history.epoch = Some(new.counter);
        }
        self.stored += 1;
        self.store(write.key, Some(new.clone()), now);
        if !asked {
            self.leases.get_mut(&new.key).expect("just stored").writer = Some(by);
        }
        Ok(Outcome::Applied(new))
    }

    fn store(&mut self, key: LeaseKey, lease: Option<Lease>, now: u64) {
        let history = self.leases.entry(key).or_default();
        history.versions.push((now, lease));
        // Scans are never staler than a few seconds.
        if history.versions.len() > 200 {
            history.versions.drain(..100);
        }
    }

    /// How many leases still have work, and of those, how many nobody owns.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = &Lease> {
        self.all().filter(|lease| lease.checkpoint != Position::ShardEnd)
    }
}
