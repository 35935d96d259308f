//! The lease table of a simulated world: the real [`Lease::apply`], with a memory of every version
//! so that scans can be stale.

use std::collections::{BTreeMap, BTreeSet};

use super::bugs::Bug;
use super::invariants::{self, Violation};
use super::stream::Stream;
use crate::lease::{self, Change, Counter, Lease, LeaseKey, WorkerId, Write};
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

/// Who has a lease, and which records the owners before were at when they went.
#[derive(Debug, Default)]
struct Account {
    /// Counts up with every take.
    ownership: u64,
    /// Whose take with which counter that was.
    ownerships: BTreeMap<(WorkerNumber, Counter), u64>,
    /// The ownerships that ended while just this record was announced.
    alone: BTreeMap<Position, BTreeSet<u64>>,
}

#[derive(Debug, Default)]
struct History {
    /// Every version with the time it was stored; `None` where the item was deleted.
    versions: Vec<(u64, Option<Lease>)>,
    /// Who moved the counter last.
    writer: Option<WorkerNumber>,
    /// The counter stored by the last take.
    epoch: Option<Counter>,
    account: Account,
}

impl Table {
    pub(super) fn get(&self, key: &LeaseKey) -> Option<&Lease> {
        self.leases.get(key)?.versions.last()?.1.as_ref()
    }

    pub(super) fn writer(&self, key: &LeaseKey) -> Option<WorkerNumber> {
        self.leases.get(key)?.writer
    }

    /// The number of the present ownership.
    pub(super) fn ownership(&self, key: &LeaseKey) -> Option<u64> {
        Some(self.leases.get(key)?.account.ownership)
    }

    /// The number of the ownership that a worker's take began.
    pub(super) fn ownership_of(&self, key: &LeaseKey, by: WorkerNumber, epoch: Counter) -> u64 {
        let account = self.leases.get(key).map(|lease| &lease.account);
        let begun = account.and_then(|account| account.ownerships.get(&(by, epoch)));
        begun.copied().unwrap_or_default()
    }

    /// How many ownerships have ended while a record was worked on alone.
    pub(super) fn tried(&self, key: &LeaseKey, record: &Position) -> usize {
        let alone = self.leases.get(key).and_then(|lease| lease.account.alone.get(record));
        alone.map_or(0, BTreeSet::len)
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

    pub(super) fn create(
        &mut self,
        lease: Lease,
        stream: &Stream,
        now: u64,
    ) -> Result<bool, Violation> {
        if self.get(&lease.key).is_some() {
            return Ok(false);
        }
        invariants::invariant_leases_are_of_the_stream_they_name(&lease, stream)?;
        if !lease.is_foreign_to(&stream.identity()) {
            invariants::invariant_done_shards_are_not_begun_again(&lease, stream)?;
        }
        self.store(lease.key.clone(), Some(lease), now);
        Ok(true)
    }

    /// A lease that was there before our time.
    pub(super) fn put(&mut self, lease: Lease, now: u64) {
        self.store(lease.key.clone(), Some(lease), now);
    }

    /// The operator deletes what is left of a stream that is no more.
    pub(super) fn clear_foreign(&mut self, stream: &lease::Stream, now: u64) {
        let foreign = self.all().filter(|lease| lease.is_foreign_to(stream));
        let foreign: Vec<LeaseKey> = foreign.map(|lease| lease.key.clone()).collect();
        for key in foreign {
            self.remove(&key, now);
        }
    }

    fn remove(&mut self, key: &LeaseKey, now: u64) {
        self.store(key.clone(), None, now);
        let history = self.leases.get_mut(key).expect("just stored");
        (history.epoch, history.writer) = (None, None);
        history.account.alone.clear();
    }

    /// Somebody who is no worker of ours, such as a KCL leader, names a worker that is to have a
    /// lease next. That leaves the counter alone.
    pub(super) fn name_next(&mut self, key: &LeaseKey, next: WorkerId, now: u64) {
        let lease = self.get(key).filter(|lease| lease.owner.is_some()).cloned();
        if let Some(lease) = lease {
            self.store(key.clone(), Some(Lease { next: Some(next), ..lease }), now);
        }
    }

    pub(super) fn delete(
        &mut self,
        key: &LeaseKey,
        counter: Counter,
        stream: &Stream,
        now: u64,
    ) -> Result<bool, Violation> {
        let lease = self.get(key).filter(|l| l.counter == counter && l.ended());
        let Some(lease) = lease else { return Ok(false) };
        invariants::invariant_deleted_shards_are_done(lease, stream)?;
        self.remove(key, now);
        Ok(true)
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
        invariants::invariant_leases_are_of_the_stream_they_name(&new, stream)?;
        invariants::invariant_counters_step_by_one(&old, &new, asked)?;
        invariants::invariant_checkpoints_never_go_back(&old, &new)?;
        invariants::invariant_checkpoints_cover_durable_records_only(&new, stream)?;
        invariants::invariant_children_are_named_as_they_are(&new, stream)?;
        if matches!(write.change, Change::Take { .. }) {
            let history = self.leases.get_mut(&write.key).expect("it was just read");
            let since = history.versions.last().map_or(0, |(at, _)| *at);
            invariants::invariant_failed_shards_rest(&old, since, now)?;
            invariants::invariant_epochs_grow(&write.key, history.epoch, new.counter)?;
            history.epoch = Some(new.counter);
        }
        self.stored += 1;
        self.keep_account(&write, &old, &new, by);
        self.store(write.key, Some(new.clone()), now);
        if !asked {
            self.leases.get_mut(&new.key).expect("just stored").writer = Some(by);
        }
        Ok(Outcome::Applied(new))
    }

    fn keep_account(&mut self, write: &Write, old: &Lease, new: &Lease, by: WorkerNumber) {
        let account = &mut self.leases.get_mut(&write.key).expect("it was just read").account;
        match &write.change {
            Change::Take { .. } => {
                account.ownership = self.stored;
                account.ownerships.insert((by, new.counter), self.stored);
            }
            Change::Renew { .. } if new.suspect == old.suspect => {}
            Change::Renew { .. } => {
                let own = account.ownership;
                let single = new.suspect.as_ref().filter(|suspect| suspect.is_single());
                // What the owner lived through was not what killed the others.
                for (record, tried) in &mut account.alone {
                    if single.is_none_or(|single| single.last != *record) {
                        tried.remove(&own);
                    }
                }
                if let Some(record) = single {
                    account.alone.entry(record.last.clone()).or_default().insert(own);
                }
            }
            // Nor was what it let go of in good order.
            Change::Release { .. } => {
                for tried in account.alone.values_mut() {
                    tried.remove(&account.ownership);
                }
            }
            Change::Ask { .. } | Change::Note { .. } => {}
        }
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
