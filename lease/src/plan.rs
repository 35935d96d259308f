//! What a worker does about the leases it sees: take those that nobody works, and ask a busier
//! worker for one of its own.
//!
//! Every worker plans for itself from its own view of the table. Two plans may contradict each
//! other; the counter lets one write through, and the other worker plans again. So a plan needs to
//! be good, not agreed upon. Pure: ages are arguments, and the same view gives the same plan.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::lease::{Counter, Lease, LeaseKey, WorkerId};
use crate::sightings::Seen;

/// What an idle lease weighs, in bytes per second: so much that differences between idle shards
/// move nothing, so little (a thirtieth of what a shard can carry) that real load outweighs it.
const IDLE_WEIGHT: u64 = 32 * 1024;

/// A move must lower the heavier of the two loads by a tenth, so that noise moves nothing.
const MARGIN: f64 = 0.1;

/// The settings that bear on a plan.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) me: WorkerId,
    /// Parents whose leases are not there, as a read that is never stale has just shown.
    pub(crate) gone: BTreeSet<LeaseKey>,
    /// An owned lease whose counter has not moved for so long is expired.
    pub(crate) lease_duration: Duration,
    /// How long a lease is left to the worker it is meant for before anybody takes it.
    pub(crate) patience: Duration,
    /// How long a request for a lease counts before it is forgotten.
    pub(crate) hand_over_limit: Duration,
    /// How often a lease is renewed before anybody asks for it.
    pub(crate) residence: u64,
    pub(crate) capacity: u32,
    pub(crate) max_held: usize,
    /// The most leases to take in one go, before looking again.
    pub(crate) takes: usize,
    /// The most leases to ask for now.
    pub(crate) asks: usize,
}

/// What to do about one lease, if its counter is still this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Take { key: LeaseKey, counter: Counter, why: Why },
    Ask { key: LeaseKey, counter: Counter },
}

/// Why a lease may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Free,
    Expired,
    HandedOver,
}

/// How a lease stands, as one worker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing<'a> {
    /// Nothing is left to read.
    Ended,
    /// It waits for a parent's end.
    Blocked,
    /// Somebody works it, or we do.
    Live(&'a WorkerId),
    /// Nobody owns it, but it is left for another worker for a moment.
    Reserved(&'a WorkerId),
    /// It may be taken.
    Open(Why),
}

/// The leases to take and to ask for.
pub(crate) fn plan(view: &[Seen], rules: &Rules) -> Vec<Action> {
    let standings = standings(view, rules);
    let takes = takes(&standings, rules);
    let settled = !standings.iter().any(|(_, standing)| matches!(standing, Standing::Open(_)));
    if takes.is_empty() && settled { asks(&standings, rules) } else { takes }
}

/// How every lease stands.
pub(crate) fn standings<'a>(
    view: &'a [Seen<'a>],
    rules: &'a Rules,
) -> Vec<(&'a Seen<'a>, Standing<'a>)> {
    let leases = by_key(view);
    let blocked = |lease: &Lease| {
        let mut parents = lease.parents.iter().map(LeaseKey::of);
        parents.any(|parent| match leases.get(&parent) {
            Some(parent) => !parent.ended(),
            None => lease.is_untouched() && !rules.gone.contains(&parent),
        })
    };
    view.iter().map(|seen| (seen, standing(seen, blocked(seen.lease), rules))).collect()
}

/// How long the plan stays as it is if nothing is written: until the next lease expires, or has
/// waited long enough for others.
pub(crate) fn good_for(view: &[Seen], rules: &Rules) -> Option<Duration> {
    let standings = standings(view, rules);
    let moments = standings.iter().filter_map(|(seen, standing)| {
        let moment = match standing {
            Standing::Live(_) if !seen.mine => rules.lease_duration,
            Standing::Open(Why::Expired) => rules.lease_duration + rules.patience,
            Standing::Open(_) | Standing::Reserved(_) => rules.patience,
            Standing::Live(_) | Standing::Ended | Standing::Blocked => return None,
        };
        // A lease is no longer alive, and no longer left to others, when the moment has passed.
        (seen.unchanged <= moment).then(|| moment - seen.unchanged + PASSED)
    });
    moments.min()
}

const PASSED: Duration = Duration::from_millis(1);

/// The parents to read before their children may be taken. A parent's lease that a scan does not
/// show may have been deleted when its shard was done; or the scan is stale, and shows the child
/// but not yet the parent, which was created first.
pub(crate) fn doubts(view: &[Seen], rules: &Rules) -> Vec<LeaseKey> {
    let leases = by_key(view);
    let untouched = view.iter().filter(|seen| {
        let open = matches!(standing(seen, false, rules), Standing::Open(_));
        open && seen.lease.is_untouched()
    });
    let parents = untouched.flat_map(|seen| seen.lease.parents.iter().map(LeaseKey::of));
    parents.filter(|key| !leases.contains_key(key) && !rules.gone.contains(key)).collect()
}

fn by_key<'a>(view: &[Seen<'a>]) -> BTreeMap<&'a LeaseKey, &'a Lease> {
    view.iter().map(|seen| (&seen.lease.key, seen.lease)).collect()
}

fn standing<'a>(seen: &Seen<'a>, blocked: bool, rules: &'a Rules) -> Standing<'a> {
    let Seen { lease, unchanged, mine, .. } = *seen;
    match (&lease.owner, &lease.next) {
        _ if mine => Standing::Live(&rules.me),
        _ if lease.ended() => Standing::Ended,
        (Some(owner), _) if unchanged <= rules.lease_duration => Standing::Live(owner),
        _ if blocked => Standing::Blocked,
        (Some(_), _) => Standing::Open(Why::Expired),
        (None, Some(next)) if *next == rules.me => Standing::Open(Why::HandedOver),
        (None, Some(next)) if unchanged <= rules.patience => Standing::Reserved(next),
        (None, _) => Standing::Open(Why::Free),
    }
}

/// Takes what is handed to us, and of the rest our share. The shares of all workers add up to the
/// whole, so some worker is always below its own; should that one be about to be found dead, the
/// others wait a moment and then take regardless of shares.
fn takes(standings: &[(&Seen, Standing)], rules: &Rules) -> Vec<Action> {
    let loads = Loads::of(standings, rules);
    let mut load = loads.of_worker(&rules.me);
    let share = loads.share(standings);
    let mut held = standings.iter().filter(|(seen, _)| seen.mine).count();

    let mut open: Vec<(&Seen, Why)> = Vec::new();
    for (seen, standing) in standings {
        if let Standing::Open(why) = standing
            && !seen.barred
        {
            open.push((seen, *why));
        }
    }
    // Each worker goes through them in an order of its own, so that they rarely collide.
    open.sort_by_key(|(seen, why)| (*why != Why::HandedOver, spread(&rules.me, &seen.lease.key)));

    let mut takes = Vec::new();
    for (seen, why) in open {
        let waited = match why {
            Why::Expired => seen.unchanged.saturating_sub(rules.lease_duration),
            Why::Free | Why::HandedOver => seen.unchanged,
        };
        let due = why == Why::HandedOver || load < share || waited > rules.patience;
        if due && held < rules.max_held && takes.len() < rules.takes {
            let Lease { key, counter, .. } = seen.lease;
            takes.push(Action::Take { key: key.clone(), counter: *counter, why });
            load += weight(seen.lease) / f64::from(rules.capacity);
            held += 1;
        }
    }
    takes
}

/// Asks busier workers for leases, if no worker has less to do than we. A worker with nothing gets
/// one from anybody with two or more; beyond that a move must pay.
fn asks(standings: &[(&Seen, Standing)], rules: &Rules) -> Vec<Action> {
    let mut loads = Loads::of(standings, rules);
    let mut asked: BTreeSet<&LeaseKey> = BTreeSet::new();
    let mut asks = Vec::new();
    while asks.len() < rules.asks && loads.count(&rules.me) < rules.max_held {
        let free = |seen: &Seen| !asked.contains(&seen.lease.key);
        let Some((lease, donor)) = best_move(standings, &loads, free, rules) else { break };
        asks.push(Action::Ask { key: lease.key.clone(), counter: lease.counter });
        asked.insert(&lease.key);
        loads.shift(lease, &donor, rules);
    }
    asks
}

/// The move to us that leaves the two workers most even, from the busiest worker that has one.
fn best_move<'a>(
    standings: &[(&'a Seen<'a>, Standing)],
    loads: &Loads,
    free: impl Fn(&Seen) -> bool,
    rules: &Rules,
) -> Option<(&'a Lease, WorkerId)> {
    let empty = loads.count(&rules.me) == 0;
    if !empty && !loads.is_lightest(&rules.me) {
        return None;
    }
    for donor in loads.busiest_first(&rules.me) {
        let limit = match empty {
            true if loads.count(donor) < 2 => continue,
            true => f64::INFINITY,
            false => loads.of_worker(donor) * (1.0 - MARGIN),
        };
        let theirs = standings.iter().filter(|(_, standing)| *standing == Standing::Live(donor));
        let movable = theirs.filter(|(seen, _)| {
            let settled = empty || settled_in(seen.lease, rules);
            !seen.mine && settled && free(seen) && !is_moving(seen, rules)
        });
        let best = movable
            .map(|(seen, _)| (loads.after_move(seen.lease, donor, rules), seen.lease))
            .filter(|(after, _)| *after <= limit)
            .min_by(|(a, _), (b, _)| a.total_cmp(b));
        if let Some((_, lease)) = best {
            return Some((lease, donor.clone()));
        }
    }
    None
}

/// Which of the other workers each of our leases should go to when we leave: always the one with
/// the least to do.
pub(crate) fn offers(view: &[Seen], rules: &Rules) -> Vec<(LeaseKey, WorkerId)> {
    let standings = standings(view, rules);
    let mut loads = Loads::of(&standings, rules);
    let mut offers = Vec::new();
    for (seen, _) in standings.iter().filter(|(seen, _)| seen.mine && !is_moving(seen, rules)) {
        let Some(peer) = loads.successor(rules) else { break };
        loads.add(&peer, seen.lease);
        offers.push((seen.lease.key.clone(), peer));
    }
    offers
}

/// Whether another worker has asked for the lease and may still get it.
fn is_moving(seen: &Seen, rules: &Rules) -> bool {
    seen.lease.next.is_some() && seen.asked <= rules.hand_over_limit
}

/// Whether the lease has been with its owner long enough to move again. Counted in renewals, so
/// that a worker that has just started can tell.
fn settled_in(lease: &Lease, rules: &Rules) -> bool {
    lease.counter.0.saturating_sub(lease.taken.0) >= rules.residence
}

fn weight(lease: &Lease) -> f64 {
    (lease.weight + IDLE_WEIGHT) as f64
}

/// A number that looks random and is the same for the same worker and lease (FNV-1a).
fn spread(me: &WorkerId, key: &LeaseKey) -> u64 {
    let bytes = me.as_str().bytes().chain([0]).chain(key.as_str().bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The load of every live worker, relative to its capacity, once the moves under way are done.
#[derive(Debug)]
struct Loads {
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
    fn of(standings: &[(&Seen, Standing)], rules: &Rules) -> Loads {
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
                Standing::Ended | Standing::Blocked | Standing::Open(_) => {}
            }
        }
        loads
    }

    fn add(&mut self, worker: &WorkerId, lease: &Lease) {
        let load = self.workers.entry(worker.clone()).or_default();
        load.bytes += weight(lease);
        load.count += 1;
    }

    fn shift(&mut self, lease: &Lease, donor: &WorkerId, rules: &Rules) {
        self.add(&rules.me, lease);
        if let Some(load) = self.workers.get_mut(donor) {
            load.bytes -= weight(lease);
            load.count -= 1;
        }
    }

    fn count(&self, worker: &WorkerId) -> usize {
        self.workers.get(worker).map_or(0, |load| load.count)
    }

    fn of_worker(&self, worker: &WorkerId) -> f64 {
        self.workers.get(worker).map_or(0.0, Load::relative)
    }

    /// Our part of all work, by capacity.
    fn share(&self, standings: &[(&Seen, Standing)]) -> f64 {
        let open = standings.iter().filter(|(_, s)| matches!(s, Standing::Open(_)));
        let open: f64 = open.map(|(seen, _)| weight(seen.lease)).sum();
        let busy: f64 = self.workers.values().map(|load| load.bytes).sum();
        let capacity: u32 = self.workers.values().map(|load| load.capacity.max(1)).sum();
        (open + busy) / f64::from(capacity)
    }

    fn busiest_first(&self, me: &WorkerId) -> Vec<&WorkerId> {
        let mut others: Vec<_> = self.workers.iter().filter(|(worker, _)| *worker != me).collect();
        others.sort_by(|(_, a), (_, b)| b.relative().total_cmp(&a.relative()));
        others.into_iter().map(|(worker, _)| worker).collect()
    }

    /// The worker with the least to do but `me`. One whose leases are all on the move is leaving,
    /// and one that has been silent for half a lease duration may be dead.
    fn successor(&self, rules: &Rules) -> Option<WorkerId> {
        let staying = |(worker, load): &(&WorkerId, &Load)| {
            **worker != rules.me && load.count > 0 && load.silent < rules.lease_duration / 2
        };
        let others = self.workers.iter().filter(staying);
        others
            .min_by(|(_, a), (_, b)| a.relative().total_cmp(&b.relative()))
            .map(|(w, _)| w.clone())
    }

    /// Whether nobody has less to do than `me`, by the worker's name where two have the same.
    fn is_lightest(&self, me: &WorkerId) -> bool {
        let mine = self.of_worker(me);
        self.workers.iter().all(|(worker, load)| {
            let order = mine.total_cmp(&load.relative()).then_with(|| me.cmp(worker));
            order.is_le()
        })
    }

    /// The heavier of the two loads if the lease moved from `donor` to us.
    fn after_move(&self, lease: &Lease, donor: &WorkerId, rules: &Rules) -> f64 {
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
