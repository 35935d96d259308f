//! What must hold in a simulated world, whatever fails.

use std::collections::BTreeMap;

use super::stream::{Output, ShardState, Stream, records_before};
use super::table::{Table, WorkerNumber};
use super::task::Task;
use super::world::{LEASE, SECOND};
use crate::lease::{Counter, Lease, LeaseKey, Suspect};
use crate::position::{Position, ShardId};
use crate::shards::Shard;

/// A broken invariant, in words.
pub(super) type Violation = String;

type Verdict = Result<(), Violation>;

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// At no instant may two owners of a shard have output requests under way, and no earlier owner
/// starts one after a later owner has.
pub(super) fn invariant_one_owner_passes_the_gate(
    shard: &ShardId,
    state: &ShardState,
    output: &Output,
) -> Verdict {
    let owner = (output.ownership, output.worker);
    let other = state.open.iter().find(|open| (open.ownership, open.worker) != owner);
    ensure(other.is_none(), || format!("gate: {shard}: {output:?} while {other:?}"))?;
    ensure(state.last_owner.is_none_or(|last| last <= owner), || {
        format!("gate: {shard}: {output:?} after {:?}", state.last_owner)
    })
}

/// A child's records are written out after all of its parents'.
pub(super) fn invariant_children_after_parents(shard: &ShardId, stream: &Stream) -> Verdict {
    let skipped = |parent: &ShardId| stream.is_root(parent) && !stream.get(parent).leased;
    for parent in stream.get(shard).parents.iter().filter(|parent| !skipped(parent)) {
        ensure(stream.get(parent).is_done(), || format!("lineage: {shard} before {parent}"))?;
    }
    Ok(())
}

/// A lease that says it is of this stream is of a shard of it.
pub(super) fn invariant_leases_are_of_the_stream_they_name(
    lease: &Lease,
    stream: &Stream,
) -> Verdict {
    let foreign = lease.is_foreign_to(&stream.identity());
    ensure(foreign || stream.has(lease.key.shard()), || format!("stream: {lease:?}"))
}

/// A write moves the counter by one; a request for a lease leaves it alone.
pub(super) fn invariant_counters_step_by_one(old: &Lease, new: &Lease, asked: bool) -> Verdict {
    let step = u64::from(!asked);
    ensure(new.counter.0 == old.counter.0 + step, || format!("counter: {old:?} to {new:?}"))
}

/// A stored checkpoint never moves backwards. Where the shard starts may be said more exactly.
pub(super) fn invariant_checkpoints_never_go_back(old: &Lease, new: &Lease) -> Verdict {
    let start = old.checkpoint.is_start() && new.checkpoint.is_start();
    ensure(start || new.checkpoint >= old.checkpoint, || format!("back: {old:?} to {new:?}"))
}

/// A task starts where its lease says, in a way that means the same to every later owner.
pub(super) fn invariant_starts_are_stored(stored: &Lease, start: &Position) -> Verdict {
    let same = stored.checkpoint == *start && *start != Position::Latest;
    ensure(same, || format!("start: at {start}, and {stored:?}"))
}

/// A shard that could not be worked is not tried again, by anybody, before its pause is over.
pub(super) fn invariant_failed_shards_rest(old: &Lease, since: u64, now: u64) -> Verdict {
    let left = old.owner.is_none() && old.next.is_none() && old.failures > 0;
    let pause = LEASE << (old.failures.max(1) - 1).min(4);
    // Clocks go wrong by a tenth.
    let rested = now.saturating_sub(since) >= pause / 11 * 10;
    ensure(!left || rested, || format!("rest: {old:?} after {} s", (now - since) / SECOND))
}

/// A stored checkpoint never passes a record that is not durable. What a lease says of a stream
/// that is no more says nothing of this one.
pub(super) fn invariant_checkpoints_cover_durable_records_only(
    lease: &Lease,
    stream: &Stream,
) -> Verdict {
    if lease.is_foreign_to(&stream.identity()) {
        return Ok(());
    }
    let state = stream.get(lease.key.shard());
    let covered = match lease.checkpoint {
        Position::ShardEnd => state.is_done(),
        ref start if start.is_start() => true,
        ref position => records_before(position, state, 0) <= state.durable_until,
    };
    ensure(covered, || format!("durable: {lease:?} passes {}", state.durable_until))
}

/// A lease is deleted only when all its shard's records are written out. Of a stream that is no
/// more, none is deleted but by the operator.
pub(super) fn invariant_deleted_shards_are_done(lease: &Lease, stream: &Stream) -> Verdict {
    let ours = !lease.is_foreign_to(&stream.identity());
    ensure(ours && stream.get(lease.key.shard()).is_done(), || format!("deleted: {lease:?}"))
}

/// No lease is created anew for a shard that is done: its lease was the witness of that.
pub(super) fn invariant_done_shards_are_not_begun_again(lease: &Lease, stream: &Stream) -> Verdict {
    let state = stream.get(lease.key.shard());
    let again = state.leased && state.is_done();
    ensure(!again, || format!("again: {lease:?} is created though it is done"))
}

/// What a lease names as its shard's children are its children, all of them, and it has ended.
pub(super) fn invariant_children_are_named_as_they_are(lease: &Lease, stream: &Stream) -> Verdict {
    let ours = !lease.is_foreign_to(&stream.identity()) && !lease.children.is_empty();
    let children = || stream.children(lease.key.shard());
    ensure(!ours || lease.children == children(), || format!("children: {lease:?}"))
}

/// In calm, every lease of a shard that has ended names its children, as long as the shard is
/// listed.
pub(super) fn invariant_ended_parents_name_their_children(
    table: &Table,
    stream: &Stream,
    listed: &[Shard],
) -> Verdict {
    let is_listed = |lease: &&Lease| listed.iter().any(|shard| shard.id == *lease.key.shard());
    for lease in table.all().filter(|lease| lease.ended()).filter(is_listed) {
        let children = stream.children(lease.key.shard());
        ensure(lease.children == children, || format!("children: {lease:?} has {children:?}"))?;
    }
    Ok(())
}

/// A task goes on with the records it has announced only when its lease says which they are; or,
/// when it has announced that it works on none in particular, only when its lease says so, or
/// still says what the task has inherited.
pub(super) fn invariant_announcements_are_stored(table: &Table, task: &Task) -> Verdict {
    // If the lease is no longer this owner's, it may say anything.
    let ours = |key| table.ownership(key) == Some(task.ownership);
    let Some(lease) = table.get(&task.key).filter(|lease| ours(&lease.key)) else { return Ok(()) };
    let (stored, announced) = (lease.suspect.as_ref(), task.caution.announced());
    let inherited = announced.is_none() && stored == task.caution.inherited();
    ensure(inherited || stored == announced, || format!("announced: {announced:?} and {lease:?}"))
}

/// Who takes a lease from an owner that died of a record learns which records it was at.
pub(super) fn invariant_suspicion_outlives_its_owner(
    key: &LeaseKey,
    last_words: &Suspect,
    told: Option<&Suspect>,
) -> Verdict {
    ensure(told == Some(last_words), || format!("last words: {key}: {last_words:?}, {told:?}"))
}

/// A record is parked only if two ownerships have ended while it was worked on alone.
pub(super) fn invariant_parked_records_were_tried(
    key: &LeaseKey,
    record: u64,
    tried: usize,
) -> Verdict {
    ensure(tried >= 2, || format!("parked: {key}: record {record} after {tried}"))
}

/// In fair weather a record kills five. Every crash and every loss beside it may cost one more.
pub(super) fn invariant_no_record_kills_for_ever(
    shard: &ShardId,
    record: u64,
    kills: u32,
) -> Verdict {
    ensure(kills <= MOST_KILLS, || format!("kills: {shard}: record {record}: {kills}"))
}

/// More than any record has killed in many thousand worlds.
const MOST_KILLS: u32 = 20;

/// A later ownership has a larger epoch, as long as the lease exists.
pub(super) fn invariant_epochs_grow(
    key: &LeaseKey,
    last: Option<Counter>,
    epoch: Counter,
) -> Verdict {
    ensure(last.is_none_or(|last| last < epoch), || format!("epoch: {key}: {last:?}, {epoch:?}"))
}

/// Nobody loses a lease that only he has written: a lost reply is found out.
pub(super) fn invariant_lost_to_others_only(
    key: &LeaseKey,
    table: &Table,
    worker: WorkerNumber,
) -> Verdict {
    ensure(table.get(key).is_none() || table.writer(key) != Some(worker), || {
        format!("lost: {key}: worker {worker} gave up a lease that it wrote last")
    })
}

/// In calm, every lease with work left is owned by a living worker.
pub(super) fn invariant_everything_is_owned(
    table: &Table,
    owned: &BTreeMap<LeaseKey, Vec<WorkerNumber>>,
) -> Verdict {
    for lease in table.unfinished() {
        let blocked = lease
            .parents
            .iter()
            .any(|parent| table.get(&LeaseKey::of(parent)).is_some_and(|parent| !parent.ended()));
        let owners = owned.get(&lease.key).map_or(0, Vec::len);
        ensure(owners == 1 || blocked, || format!("owned: {lease:?} has {owners} owners"))?;
    }
    Ok(())
}

/// In calm, every record of every shard that was asked for has been written out, but for the
/// newest.
pub(super) fn invariant_every_record_is_written_out(
    stream: &Stream,
    now: u64,
    slack: u64,
) -> Verdict {
    let asked_for = |shard: &ShardId| !stream.is_root(shard) || stream.get(shard).leased;
    for (shard, state) in stream.all().filter(|(shard, _)| asked_for(shard)) {
        let expected = state.records(now.saturating_sub(slack));
        ensure(state.durable_until >= expected, || {
            format!("records: {shard}: {} of {expected}", state.durable_until)
        })?;
    }
    Ok(())
}

/// In calm, loads are as even as single moves make them, within a fifth: that is twice the margin
/// at which a worker asks, since loads are in the eye of the beholder.
pub(super) fn invariant_load_is_in_the_band(held: &[Vec<u64>]) -> Verdict {
    let load = |weights: &Vec<u64>| weights.iter().sum::<u64>() as f64;
    for donor in held {
        for receiver in held {
            let difference = load(donor) - load(receiver);
            let pays = |weight: &&u64| (**weight as f64) < difference * 0.8;
            let better = donor.iter().find(pays).filter(|_| difference > load(donor) * 0.2);
            ensure(better.is_none(), || format!("band: {better:?} of {donor:?} to {receiver:?}"))?;
        }
        let idle = held.iter().any(Vec::is_empty);
        ensure(!idle || donor.len() < 2, || format!("band: nothing held beside {donor:?}"))?;
    }
    Ok(())
}

/// In calm, leases stay where they are.
pub(super) fn invariant_nothing_moves(moves: u64) -> Verdict {
    ensure(moves == 0, || format!("moves: {moves} in calm"))
}
