//! How much each worker has to do.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Rules, Standing, is_moving};
use crate::lease::{Lease, WorkerId};
use crate::sightings::Seen;

/// What an idle lease weighs, in bytes per second: so much that differences between idle shards
/// move nothing, so little (a thirtieth of what a shard can carry) that real load outweighs it.
const IDLE_WEIGHT: u64 = 32 * 1024;

/// The load of every live worker, relative to its capacity, once the moves under way are done.
#[derive(Debug)]
pub(super) struct Loads {
    workers: BTreeMap<WorkerId, Load>,
}

#[derive(Debug, Default)]
struct Load {
    bytes: f64,
    count: usize,
    capacity: u32,
    /// How long ago the worker was last seen to write.
    silent: Duration,
}

impl Loads {
    pub(super) fn of(standings: &[(&Seen, Standing)], rules: &Rules) -> Loads {
        let mut loads = Loads { workers: BTreeMap::new() };
        let me = Load { capacity: rules.capacity, ..Load::default() };
        loads.workers.insert(rules.me.clone(), me);
        for (seen, standing) in standings {
            if let Standing::Live(owner) = *standing {
                let first = Load { silent: seen.unchanged, ..Load::default() };
                let load = loads.workers.entry(owner.clone()).or_insert(first);
                load.capacity = load.capacity.max(seen.lease.capacity);
                load.silent = load.silent.min(seen.unchanged);
            }
        }
        for (seen, standing) in standings {
            match *standing {
                Standing::Live(owner) => {
                    let next = seen.lease.next.as_ref().filter(|_| is_moving(seen, rules));
                    loads.add(next.unwrap_or(owner), seen.lease);
                }
                Standing::Reserved(next) => loads.add(next, seen.lease),
                Standing::Foreign
                | Standing::Ended
                | Standing::Blocked
                | Standing::Paused
                | Standing::Open(_) => {}
            }
        }
        loads
    }

    pub(super) fn add(&mut self, worker: &WorkerId, lease: &Lease) {
        let load = self.workers.entry(worker.clone()).or_default();
        load.bytes += weight(lease);
        load.count += 1;
    }

    pub(super) fn shift(&mut self, lease: &Lease, donor: &WorkerId, rules: &Rules) {
        self.add(&rules.me, lease);
        if let Some(load) = self.workers.get_mut(donor) {
            load.bytes -= weight(lease);
            load.count -= 1;
        }
    }

    pub(super) fn count(&self, worker: &WorkerId) -> usize {
        self.workers.get(worker).map_or(0, |load| load.count)
    }

    pub(super) fn of_worker(&self, worker: &WorkerId) -> f64 {
        self.workers.get(worker).map_or(0.0, Load::relative)
    }

    /// Our part of all work, by capacity.
    pub(super) fn share(&self, standings: &[(&Seen, Standing)]) -> f64 {
        let open = standings.iter().filter(|(_, s)| matches!(s, Standing::Open(_)));
        let open: f64 = open.map(|(seen, _)| weight(seen.lease)).sum();
        let busy: f64 = self.workers.values().map(|load| load.bytes).sum();
        let capacity: u32 = self.workers.values().map(|load| load.capacity.max(1)).sum();
        (open + busy) / f64::from(capacity)
    }

    /// The load of everybody, if it were the same for all.
    pub(super) fn mean(&self) -> f64 {
        let bytes: f64 = self.workers.values().map(|load| load.bytes).sum();
        let capacity: u32 = self.workers.values().map(|load| load.capacity.max(1)).sum();
        bytes / f64::from(capacity)
    }

    /// A worker's load if it had that lease besides.
    pub(super) fn with(&self, lease: &Lease, worker: &WorkerId) -> f64 {
        let load = self.workers.get(worker);
        let (bytes, capacity) = load.map_or((0.0, 1), |load| (load.bytes, load.capacity));
        (bytes + weight(lease)) / f64::from(capacity.max(1))
    }

    pub(super) fn busiest_first(&self, me: &WorkerId) -> Vec<&WorkerId> {
        let mut others: Vec<_> = self.workers.iter().filter(|(worker, _)| *worker != me).collect();
        others.sort_by(|(_, a), (_, b)| b.relative().total_cmp(&a.relative()));
        others.into_iter().map(|(worker, _)| worker).collect()
    }

    /// The worker with the least to do but `me`. One whose leases are all on the move is leaving,
    /// and one that has been silent for half a lease duration may be dead.
    pub(super) fn successor(&self, rules: &Rules) -> Option<WorkerId> {
        let staying = |(worker, load): &(&WorkerId, &Load)| {
            **worker != rules.me && load.count > 0 && load.silent < rules.lease_duration / 2
        };
        let others = self.workers.iter().filter(staying);
        others
            .min_by(|(_, a), (_, b)| a.relative().total_cmp(&b.relative()))
            .map(|(w, _)| w.clone())
    }

    /// Whether nobody has less to do than `me`, by the worker's name where two have the same.
    pub(super) fn is_lightest(&self, me: &WorkerId) -> bool {
        let mine = self.of_worker(me);
        self.workers.iter().all(|(worker, load)| {
            let order = mine.total_cmp(&load.relative()).then_with(|| me.cmp(worker));
            order.is_le()
        })
    }

    /// The heavier of the two loads if the lease moved from `donor` to us.
    pub(super) fn after_move(&self, lease: &Lease, donor: &WorkerId, rules: &Rules) -> f64 {
        let relative = |worker: &WorkerId, change: f64| {
            let load = self.workers.get(worker);
            let (bytes, capacity) = load.map_or((0.0, 1), |load| (load.bytes, load.capacity));
            (bytes + change) / f64::from(capacity.max(1))
        };
        relative(donor, -weight(lease)).max(relative(&rules.me, weight(lease)))
    }
}

impl Load {
    fn relative(&self) -> f64 {
        self.bytes / f64::from(self.capacity.max(1))
    }
}

/// What a lease adds to its owner's load.
pub(super) fn weight(lease: &Lease) -> f64 {
    (lease.weight + IDLE_WEIGHT) as f64
}
