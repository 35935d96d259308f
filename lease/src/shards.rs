//! Lineage: which leases a stream's shards need.
//!
//! From a listing of the stream and the leases seen, [`lineage`] says which leases to create and
//! which to delete. It is run after every scan, by every worker, and comes to the same result
//! wherever it left off; nothing about a reshard is remembered anywhere else. A child's lease may
//! exist long before it may be taken: that it waits for its parents is the plan's business.
//!
//! Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::lease::{Counter, Lease, LeaseKey, Stream};
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
    Create(Box<Lease>),
    Delete(LeaseKey, Counter),
    /// A finished lease is to name its children, as the KCL has it.
    Note(LeaseKey, Counter, Vec<ShardId>),
}

/// What to do about a stream's lineage.
#[derive(Debug, Default)]
pub(crate) struct Lineage {
    pub(crate) changes: Vec<Change>,
    /// Leases that are to be created, now or when their parents' are there.
    pub(crate) missing: BTreeSet<LeaseKey>,
    /// Leases to read before more can be said.
    pub(crate) doubts: BTreeSet<LeaseKey>,
}

/// The leases to create and to delete now. More may follow once these are done: a child's lease is
/// created when its parents' are there, so that no worker ever sees a child whose parent seems
/// to have been deleted long ago, and starts on it.
///
/// The view may be stale; `gone` are leases that a read that is never stale has just shown not to
/// exist. An ended lease stays for the time `witness` as what tells that its shard is done: longer
/// than any view is stale, and than any request to create it could still be on its way.
///
/// Leases of another stream than this one say nothing of its shards, but for one thing: a shard
/// whose name is taken has to wait for its lease, and its descendants wait with it.
pub(crate) fn lineage(
    listing: &[Shard],
    view: &[Seen],
    gone: &BTreeSet<LeaseKey>,
    initial: &Initial,
    stream: &Stream,
    witness: Duration,
) -> Lineage {
    let (foreign, view): (Vec<Seen>, Vec<Seen>) =
        view.iter().partition(|seen| seen.lease.is_foreign_to(stream));
    let taken: BTreeSet<&ShardId> = foreign.iter().map(|seen| seen.lease.key.shard()).collect();
    let family = Family::of(listing, &view);
    let mut lineage = Lineage::default();
    for shard in listing {
        let Some(position) = family.start(shard, initial) else { continue };
        lineage.missing.insert(LeaseKey::of(&shard.id));
        let lease = family.creatable(shard, position, initial);
        let Some(lease) = lease.filter(|_| !taken.contains(&shard.id)) else { continue };
        let doubts = match (&initial.position, &lease.checkpoint) {
            // If an ancestor has a lease, the shard must not start here.
            (Position::Latest, Position::AtTimestamp(_)) => family.unseen_ancestors(shard, gone),
            _ => BTreeSet::new(),
        };
        match doubts.is_empty() {
            true => lineage.changes.push(Change::Create(Box::new(lease))),
            false => lineage.doubts.extend(doubts),
        }
    }
    for Seen { lease, .. } in &view {
        let children = family.listed_children(lease);
        if lease.ended() && lease.children.is_empty() && !children.is_empty() {
            lineage.changes.push(Change::Note(lease.key.clone(), lease.counter, children));
        }
    }
    for Seen { lease, unchanged, .. } in &view {
        if *unchanged > witness && family.is_finished(lease, witness) {
            lineage.changes.push(Change::Delete(lease.key.clone(), lease.counter));
        }
    }
    lineage
}

/// Where a shard starts that descends from none we know.
#[derive(Clone, Debug)]
pub(crate) struct Initial {
    pub(crate) position: Position,
    /// What "latest" means: the same records to everybody, whenever he reads.
    pub(crate) latest_ms: i64,
}

impl Initial {
    fn latest(&self) -> Position {
        Position::AtTimestamp(Some(self.latest_ms))
    }
}

/// What a lease has to say of its start before it is worked, if that is something else than it
/// says: a start that means the same to all owners to come. The newest records are those since a
/// time. A child that was created at the newest records while its parent was being created
/// elsewhere has to start at its beginning; whatever somebody has written since was meant. A lease
/// of the KCL that starts at a time does not say at which: every worker has it configured.
pub(crate) fn start(lease: &Lease, has_parent: bool, initial: &Initial) -> Option<Position> {
    let created_at_latest = lease.written.is_none() && initial.position == Position::Latest;
    match &lease.checkpoint {
        Position::AtTimestamp(None) => match initial.position {
            Position::AtTimestamp(Some(_)) => Some(initial.position.clone()),
            _ => None,
        },
        Position::Latest if has_parent => Some(Position::TrimHorizon),
        Position::Latest => Some(initial.latest()),
        Position::AtTimestamp(_) if has_parent && created_at_latest => Some(Position::TrimHorizon),
        _ => None,
    }
}

/// Who descends from whom, by the listing and by the leases.
struct Family<'a> {
    listed: BTreeMap<&'a ShardId, &'a Shard>,
    leases: BTreeMap<&'a ShardId, &'a Seen<'a>>,
    children: BTreeMap<&'a ShardId, BTreeSet<&'a ShardId>>,
}

impl<'a> Family<'a> {
    fn of(listing: &'a [Shard], view: &'a [Seen<'a>]) -> Family<'a> {
        let mut children: BTreeMap<&ShardId, BTreeSet<&ShardId>> = BTreeMap::new();
        let listed = listing.iter().flat_map(|s| s.parents.iter().map(|p| (p, &s.id)));
        let leased = view.iter().map(|seen| seen.lease);
        let leased = leased.flat_map(|l| l.parents.iter().map(|p| (p, l.key.shard())));
        for (parent, child) in listed.chain(leased) {
            children.entry(parent).or_default().insert(child);
        }
        Family {
            listed: listing.iter().map(|shard| (&shard.id, shard)).collect(),
            leases: view.iter().map(|seen| (seen.lease.key.shard(), seen)).collect(),
            children,
        }
    }

    /// The lease that a shard lacks, if its parents lack none.
    fn creatable(&self, shard: &'a Shard, position: Position, initial: &Initial) -> Option<Lease> {
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
    fn start(&self, shard: &'a Shard, initial: &Initial) -> Option<Position> {
        let begun = |seen: &Seen| !seen.lease.is_untouched();
        if self.leases.contains_key(&shard.id) || self.has_descendant(&shard.id, begun) {
            return None;
        }
        let follows = self.has_leased_ancestor(shard);
        // Leases are deleted from the oldest on: one that is missing below another was skipped.
        if !follows && self.has_descendant(&shard.id, |_| true) {
            return None;
        }
        match &initial.position {
            Position::Latest if follows => Some(Position::TrimHorizon),
            Position::Latest if shard.closed => None,
            Position::Latest => Some(initial.latest()),
            other => Some(other.clone()),
        }
    }

    fn has_descendant(&self, shard: &ShardId, which: impl Fn(&Seen) -> bool) -> bool {
        let mut met = BTreeSet::new();
        let mut open = vec![shard];
        while let Some(id) = open.pop() {
            for child in self.children.get(id).into_iter().flatten() {
                if self.leases.get(child).is_some_and(|seen| which(seen)) {
                    return true;
                }
                if met.insert(*child) {
                    open.push(child);
                }
            }
        }
        false
    }

    /// The children of a shard by the listing, sorted. As long as a shard is listed, all of its
    /// children are.
    fn listed_children(&self, lease: &Lease) -> Vec<ShardId> {
        let shard = lease.key.shard();
        let listed = self.children.get(shard).filter(|_| self.listed.contains_key(shard));
        listed
            .into_iter()
            .flatten()
            .filter(|child| self.listed.contains_key(*child))
            .map(|c| (*c).clone())
            .collect()
    }

    fn has_leased_ancestor(&self, shard: &'a Shard) -> bool {
        self.ancestors(shard).iter().any(|ancestor| self.leases.contains_key(ancestor))
    }

    /// The listed ancestors of which we do not know whether they have a lease.
    fn unseen_ancestors(&self, shard: &'a Shard, gone: &BTreeSet<LeaseKey>) -> BTreeSet<LeaseKey> {
        let listed = self.ancestors(shard).into_iter().filter(|id| self.listed.contains_key(id));
        listed.map(LeaseKey::of).filter(|key| !gone.contains(key)).collect()
    }

    fn ancestors(&self, shard: &'a Shard) -> BTreeSet<&'a ShardId> {
        let mut ancestors = BTreeSet::new();
        let mut open: Vec<&ShardId> = shard.parents.iter().collect();
        while let Some(id) = open.pop() {
            if ancestors.insert(id) {
                let parents = self.listed.get(id).map(|shard| &shard.parents);
                open.extend(parents.into_iter().flatten());
            }
        }
        ancestors
    }

    /// Whether a lease has served: its shard is worked to the end, every child has a lease and has
    /// long come further than its start, and no parent's lease is left. Until then the lease is the
    /// only witness that its records are done.
    fn is_finished(&self, lease: &Lease, witness: Duration) -> bool {
        let shard = lease.key.shard();
        let parents_gone = lease.parents.iter().all(|parent| !self.leases.contains_key(parent));
        let children = self.children.get(shard).into_iter().flatten();
        let mut known = 0;
        let started = children.inspect(|_| known += 1).all(|child| {
            let begun = self.leases.get(child).and_then(|seen| seen.begun);
            begun.is_some_and(|begun| begun > witness)
        });
        let followed = known > 0 || !self.listed.contains_key(shard);
        lease.ended() && parents_gone && started && followed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::SequenceNumber;

    fn id(text: &str) -> ShardId {
        ShardId::new(text)
    }

    /// `a b!<a c<a+b`: shards with their parents, `!` for a closed one.
    fn family_of(text: &str) -> Vec<(ShardId, bool, Vec<ShardId>)> {
        let member = |word: &str| {
            let (name, parents) = word.split_once('<').unwrap_or((word, ""));
            let parents = parents.split('+').filter(|name| !name.is_empty()).map(id).collect();
            (id(name.trim_end_matches('!')), name.ends_with('!'), parents)
        };
        text.split_whitespace().map(member).collect()
    }

    fn position(text: &str) -> Position {
        match text {
            "trim" => Position::TrimHorizon,
            "latest" => Position::Latest,
            "end" | "untold" => Position::ShardEnd,
            number => Position::After {
                sequence: SequenceNumber::parse(number).expect("a number"),
                sub_sequence: 0,
            },
        }
    }

    fn stream(created: u64) -> Stream {
        Stream { created: Some(created), ..Stream::default() }
    }

    fn from(position: Position) -> Initial {
        Initial { position, latest_ms: 9 }
    }

    /// What is to be done for a listing and leases (`b<a@trim`) that have long been as they are. A
    /// lease of another stream has a `~`.
    fn check(initial: &str, listing: &str, leases: &str, gone: &str, expected: &str) {
        let listing: Vec<Shard> = family_of(listing)
            .into_iter()
            .map(|(id, closed, parents)| Shard { id, parents, hash_range: None, closed })
            .collect();
        let leases: Vec<Lease> = leases
            .split_whitespace()
            .map(|word| {
                let (member, checkpoint) = word.split_once('@').expect("a checkpoint");
                let (shard, _, parents) = family_of(member.trim_start_matches('~')).remove(0);
                let stream = stream(if member.starts_with('~') { 1 } else { 2 });
                let told = checkpoint == "end";
                let children = if told { vec![id("child")] } else { Vec::new() };
                Lease { parents, children, stream, ..Lease::new(&shard, position(checkpoint)) }
            })
            .collect();
        let long = Duration::from_secs(1_000);
        let view: Vec<Seen> = leases
            .iter()
            .map(|lease| Seen {
                lease,
                unchanged: long,
                asked: long,
                begun: (!lease.is_untouched()).then_some(long),
                mine: false,
                barred: false,
            })
            .collect();
        let gone = gone.split_whitespace().map(|name| LeaseKey::of(&id(name))).collect();
        let witness = Duration::from_secs(120);
        let initial = &from(position(initial));
        let lineage = lineage(&listing, &view, &gone, initial, &stream(2), witness);
        let said = lineage.changes.iter().map(|change| match change {
            Change::Create(lease) => format!("+{}@{}", lease.key, lease.checkpoint),
            Change::Delete(key, _) => format!("-{key}"),
            Change::Note(key, _, children) => format!("{key}:{}", children.len()),
        });
        let doubts = lineage.doubts.iter().map(|key| format!("?{key}"));
        let said: Vec<String> = said.chain(doubts).collect();
        assert_eq!(said.join(" "), expected);
    }

    #[test]
    fn an_empty_table_gets_the_oldest_shards_first() {
        check("trim", "a! b<a c<a d", "", "", "+a@TRIM_HORIZON +d@TRIM_HORIZON");
        check("trim", "a! b<a c<a", "a@trim", "", "+b@TRIM_HORIZON +c@TRIM_HORIZON");
        check("trim", "a! b! c<a+b", "a@trim", "", "+b@TRIM_HORIZON");
        check("trim", "b<a c", "", "", "+b@TRIM_HORIZON +c@TRIM_HORIZON");
    }

    #[test]
    fn the_newest_records_are_those_of_open_shards() {
        check("latest", "a b", "", "", "+a@AT_TIMESTAMP/9 +b@AT_TIMESTAMP/9");
        check("latest", "a! b<a c<a", "", "", "?a");
        check("latest", "a! b<a c<a", "", "a", "+b@AT_TIMESTAMP/9 +c@AT_TIMESTAMP/9");
    }

    #[test]
    fn a_descendant_of_a_known_shard_starts_at_its_beginning() {
        check("latest", "a! b<a c<a", "a@5", "", "+b@TRIM_HORIZON +c@TRIM_HORIZON");
        check("latest", "a! b!<a c<b", "a@5", "", "+b@TRIM_HORIZON");
        check("latest", "a! b!<a c<b", "a@end b<a@trim", "", "+c@TRIM_HORIZON");
    }

    /// Whoever takes a lease stores where the shard starts, if that could mean one thing now and
    /// another thing later.
    #[test]
    fn a_start_means_the_same_to_every_owner() {
        let at = |ms| Position::AtTimestamp(ms);
        let (latest, trim) = (Position::Latest, Position::TrimHorizon);
        let check = |stored: &Position, has_parent, initial: &Position, expected| {
            let lease = Lease::new(&id("a"), stored.clone());
            let start = start(&lease, has_parent, &from(initial.clone()));
            assert_eq!(start, expected, "{stored}, {has_parent}, {initial}");
        };
        // An earlier version, or the KCL, has stored no time.
        check(&latest, false, &latest, Some(at(Some(9))));
        check(&latest, false, &trim, Some(at(Some(9))));
        check(&latest, true, &latest, Some(trim.clone()));
        check(&at(None), false, &at(Some(5)), Some(at(Some(5))));
        check(&at(None), false, &latest, None);
        // What says it stays.
        check(&at(Some(3)), false, &at(Some(5)), None);
        check(&at(Some(3)), true, &at(Some(5)), None);
        check(&at(Some(3)), false, &latest, None);
        check(&trim, true, &latest, None);
        check(&position("7"), true, &latest, None);
        // A child that was created while its parent was not seen.
        check(&at(Some(9)), true, &latest, Some(trim));
    }

    /// A lease that was written since it was created says what somebody meant.
    #[test]
    fn a_start_that_was_set_stays() {
        let mut lease = Lease::new(&id("a"), Position::AtTimestamp(Some(9)));
        lease.written = Some((Counter(4), crate::lease::WriteId(1)));
        assert_eq!(start(&lease, true, &from(Position::Latest)), None);
    }

    #[test]
    fn a_finished_shard_is_told_its_children() {
        check("trim", "a! b<a c<a", "a@untold b<a@trim c<a@trim", "", "a:2");
        check("trim", "a! b<a c<a", "a@5 b<a@trim c<a@trim", "", "");
        check("trim", "a!", "a@untold", "", "");
        // Of the children of a shard that is no longer listed, some may be gone as well.
        check("trim", "c<a", "a@untold b<a@end c<a@trim", "", "");
    }

    #[test]
    fn a_shard_that_is_done_is_not_begun_again() {
        check("trim", "a! b<a c<a", "b<a@5 c<a@7", "", "");
        check("trim", "a! b!<a c<b", "c<b@5", "", "");
        check("trim", "a! b!<a c<b", "c<b@trim", "", "");
        // But one that was skipped is made up for.
        check("trim", "a! b!<a c<b", "a@5 c<b@trim", "", "+b@TRIM_HORIZON");
    }

    #[test]
    fn a_shard_waits_for_its_name() {
        check("trim", "a b", "~a@5", "", "+b@TRIM_HORIZON");
        check("trim", "a! b<a c", "~a@end", "", "+c@TRIM_HORIZON");
        check("trim", "a", "~b<a@5", "", "+a@TRIM_HORIZON");
        check("trim", "a! b<a", "a@untold b<a@trim ~c<a@5", "", "a:1");
        check("trim", "d", "~a@end d@5", "", "");
    }

    #[test]
    fn a_lease_is_deleted_when_its_children_are_under_way() {
        check("trim", "a! b<a c<a", "a@5 b<a@5 c<a@7", "", "");
        check("trim", "a! b<a c<a", "a@end b<a@5 c<a@trim", "", "");
        check("trim", "a! b<a c<a", "a@end b<a@5 c<a@7", "", "-a");
        check("trim", "a! b!<a c<b", "a@end b<a@end c<b@7", "", "-a");
        check("trim", "a! b!<a c<b", "b<a@end c<b@7", "", "-b");
        check("trim", "a! b!<a c<b", "a@end b<a@end c<b@trim", "", "-a");
    }

    #[test]
    fn the_last_lease_of_a_family_stays_while_its_shard_is_listed() {
        check("trim", "a!", "a@end", "", "");
        check("trim", "d", "a@end d@trim", "", "-a");
    }
}
