//! What this worker has seen of the table, and since when: the only clock of the protocol.
//!
//! No item holds a time. A worker knows of a lease only how long its counter has not moved before
//! the worker's own eyes, and that is what expiry is decided on. Pure; time is an argument and
//! counts from any start.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::lease::{Lease, LeaseKey};

/// One lease as this worker sees it now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    /// The newest version known.
    pub(crate) lease: &'a Lease,
    /// How long its counter has not moved.
    pub(crate) unchanged: Duration,
    /// How long the same worker has been named as the next owner.
    pub(crate) asked: Duration,
    /// How long it has not been [untouched](Lease::is_untouched).
    pub(crate) begun: Option<Duration>,
    /// We hold it or are about to.
    pub(crate) mine: bool,
    /// We must not take it now: our last attempt at the shard failed a moment ago, or its task is
    /// still winding up.
    pub(crate) barred: bool,
}

/// The newest version of every lease, with the time of its first sight.
#[derive(Debug)]
pub(crate) struct Sightings {
    leases: BTreeMap<LeaseKey, Sighting>,
    /// Longer than what a scan shows can be out of date.
    stale_for: Duration,
}

#[derive(Debug)]
struct Sighting {
    lease: Lease,
    since: Duration,
    next_since: Duration,
    begun: Option<Duration>,
    /// When this version was last shown.
    shown: Duration,
}

impl Sightings {
    /// Nothing seen yet. No scan is so long out of date.
    pub(crate) fn new(stale_for: Duration) -> Sightings {
        Sightings { leases: BTreeMap::new(), stale_for }
    }

    /// Takes in a whole scan. What it does not show is gone, except for the leases in `kept`.
    pub(crate) fn scanned(&mut self, scan: Vec<Lease>, now: Duration, kept: &BTreeSet<LeaseKey>) {
        let shown: BTreeSet<LeaseKey> = scan.iter().map(|lease| lease.key.clone()).collect();
        self.leases.retain(|key, _| shown.contains(key) || kept.contains(key));
        for lease in scan {
            self.saw(lease, now);
        }
    }

    /// Takes in one lease, unless a newer version of it is known: reads may be stale. But a lower
    /// counter that is shown for longer than that is of a lease deleted and created anew.
    pub(crate) fn saw(&mut self, lease: Lease, now: Duration) {
        let fresh = now.checked_sub(self.stale_for);
        match self.leases.get_mut(&lease.key) {
            Some(known)
                if lease.counter < known.lease.counter
                    && fresh.is_none_or(|fresh| fresh <= known.shown) => {}
            Some(known) => known.replace(lease, now),
            None => {
                let begun = (!lease.is_untouched()).then_some(now);
                let key = lease.key.clone();
                let (since, next_since, shown) = (now, now, now);
                self.leases.insert(key, Sighting { lease, since, next_since, begun, shown });
            }
        }
    }

    /// Takes in what a refused write showed, which is not stale: the lease may have been deleted
    /// and created anew, with a smaller counter.
    pub(crate) fn refused(&mut self, key: &LeaseKey, current: Option<Lease>, now: Duration) {
        match (self.leases.get_mut(key), current) {
            (_, None) => drop(self.leases.remove(key)),
            (Some(known), Some(lease)) => known.replace(lease, now),
            (None, Some(lease)) => self.saw(lease, now),
        }
    }

    /// The newest version of a lease.
    pub(crate) fn get(&self, key: &LeaseKey) -> Option<&Lease> {
        self.leases.get(key).map(|sighting| &sighting.lease)
    }

    /// Everything known, in the order of the keys.
    pub(crate) fn view<'a>(
        &'a self,
        now: Duration,
        mine: impl Fn(&LeaseKey) -> bool + 'a,
        barred: impl Fn(&LeaseKey) -> bool + 'a,
    ) -> Vec<Seen<'a>> {
        let seen = self.leases.values().map(|sighting| Seen {
            lease: &sighting.lease,
            unchanged: now.saturating_sub(sighting.since),
            asked: now.saturating_sub(sighting.next_since),
            begun: sighting.begun.map(|begun| now.saturating_sub(begun)),
            mine: mine(&sighting.lease.key),
            barred: barred(&sighting.lease.key),
        });
        seen.collect()
    }
}

impl Sighting {
    fn replace(&mut self, lease: Lease, now: Duration) {
        if lease.counter != self.lease.counter {
            self.since = now;
        }
        if lease.next != self.lease.next {
            self.next_since = now;
        }
        self.shown = now;
        self.begun = self.begun.or(Some(now)).filter(|_| !lease.is_untouched());
        self.lease = lease;
    }
}
