//! Lineage: which leases a stream's shards need.
//!
//! From a listing of the stream and the leases seen, [`changes`] says which leases to create and
//! which to delete. It is run after every scan, by every worker, and comes to the same result
//! wherever it left off; nothing about a reshard is remembered anywhere else. A child's lease may
//! exist long before it may be taken: that it waits for its parents is the plan's business.
//!
//! Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::lease::{Counter, Lease, LeaseKey};
use crate::position::{Position, ShardId};
use crate::sightings::Seen;

/// A shard as the stream lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its name.
    pub id: ShardId,
    /// The shards it was split or merged from: none, one or two.
    pub parents: Vec<ShardId>,
    /// The first and last hash key it takes records for, in decimal.
    pub hash_range: Option<(String, String)>,
    /// No more records are written to it: it has an ending sequence number.
    pub closed: bool,
}

/// What the table lacks or no longer needs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    Create(Lease),
    Delete(LeaseKey, Counter),
}

/// The leases to create and to delete now. More may follow once these are done: a child's lease is
/// created when its parents' are there, so that no worker ever sees a child whose parent seems
/// to have been deleted long ago, and starts on it.
pub(crate) fn changes(
    listing: &[Shard],
    view: &[Seen],
    initial: &Position,
    patience: Duration,
) -> Vec<Change> {
    let family = Family::of(listing, view);
    let missing = listing.iter().filter_map(|shard| family.missing(shard, initial));
    let finished = view.iter().filter(|seen| seen.unchanged > patience);
    let finished = finished.filter(|seen| family.is_finished(seen.lease)).map(|seen| {
        let Lease { key, counter, .. } = seen.lease;
        Change::Delete(key.clone(), *counter)
    });
    missing.map(Change::Create).chain(finished).collect()
}

/// Who descends from whom, by the listing and by the leases.
struct Family<'a> {
    listed: BTreeMap<&'a ShardId, &'a Shard>,
    leases: BTreeMap<&'a ShardId, &'a Lease>,
    children: BTreeMap<&'a ShardId, BTreeSet<&'a ShardId>>,
}

impl<'a> Family<'a> {
    fn of(listing: &'a [Shard], view: &[Seen<'a>]) -> Family<'a> {
        let mut children: BTreeMap<&ShardId, BTreeSet<&ShardId>> = BTreeMap::new();
        let listed = listing.iter().flat_map(|s| s.parents.iter().map(|p| (p, &s.id)));
        let leased = view.iter().map(|seen| seen.lease);
        let leased = leased.flat_map(|l| l.parents.iter().map(|p| (p, l.key.shard())));
        for (parent, child) in listed.chain(leased) {
            children.entry(parent).or_default().insert(child);
        }
        Family {
            listed: listing.iter().map(|shard| (&shard.id, shard)).collect(),
            leases: view.iter().map(|seen| (seen.lease.key.shard(), seen.lease)).collect(),
            children,
        }
    }

    /// The lease that a shard lacks, if it lacks one and its parents lack none.
    fn missing(&self, shard: &Shard, initial: &Position) -> Option<Lease> {
        let position = self.start(shard, initial)?;
        let parents = shard.parents.iter().filter_map(|parent| self.listed.get(parent));
        if parents.into_iter().any(|parent| self.start(parent, initial).is_some()) {
            return None;
        }
        let mut lease = Lease::new(&shard.id, position);
        lease.parents.clone_from(&shard.parents);
        lease.parents.sort();
        lease.hash_range.clone_from(&shard.hash_range);
        Some(lease)
    }

    /// Where a shard without a lease starts; `None` if it needs none. A descendant of a shard with
    /// a lease starts at its beginning whatever is configured, or records would be skipped.
    fn start(&self, shard: &Shard, initial: &Position) -> Option<Position> {
        if self.leases.contains_key(&shard.id) || self.has_leased_descendant(&shard.id) {
            return None;
        }
        match initial {
            Position::AtTimestamp => Some(Position::AtTimestamp),
            Position::Latest if self.has_leased_ancestor(shard) => Some(Position::TrimHorizon),
            Position::Latest if shard.closed => None,
            other => Some(other.clone()),
        }
    }

    fn has_leased_descendant(&self, shard: &ShardId) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![shard];
        while let Some(id) = open.pop() {
            for child in self.children.get(id).into_iter().flatten() {
                if self.leases.contains_key(child) {
                    return true;
                }
                if seen.insert(*child) {
                    open.push(child);
                }
            }
        }
        false
    }

    fn has_leased_ancestor(&self, shard: &Shard) -> bool {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&ShardId> = shard.parents.iter().collect();
        while let Some(id) = open.pop() {
            if self.leases.contains_key(id) {
                return true;
            }
            if let Some(parent) = self.listed.get(id)
                && seen.insert(id)
            {
                open.extend(&parent.parents);
            }
        }
        false
    }

    /// Whether a lease has served: its shard is worked to the end, every child has a lease and has
    /// come further than its start, and no parent's lease is left. Until then the lease is the
    /// only witness that its records are done.
    fn is_finished(&self, lease: &Lease) -> bool {
        let shard = lease.key.shard();
        let parents_gone = lease.parents.iter().all(|parent| !self.leases.contains_key(parent));
        let children = self.children.get(shard).into_iter().flatten();
        let mut known = 0;
        let started = children.inspect(|_| known += 1).all(|child| {
            self.leases.get(child).is_some_and(|lease| lease.checkpoint > Position::Latest)
        });
        let followed = known > 0 || !self.listed.contains_key(shard);
        lease.ended() && parents_gone && started && followed
    }
}
