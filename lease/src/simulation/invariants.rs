//! What must hold in a simulated world, whatever fails.

use std::collections::BTreeMap;

use super::stream::{Output, ShardState, Stream, records_before};
use super::table::{Table, WorkerNumber};
use crate::lease::{Counter, Lease, LeaseKey};
use crate::position::{Position, ShardId};

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
    let owner = (output.epoch, output.worker);
    let other = state.open.iter().find(|open| (open.epoch, open.worker) != owner);
    ensure(other.is_none(), || format!("gate: {shard}: {output:?} while {other:?}"))?;
    ensure(state.last_epoch.is_none_or(|last| last <= owner), || {
        format!("gate: {shard}: {output:?} after {:?}", state.last_epoch)
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

/// A write moves the counter by one; a request for a lease leaves it alone.
pub(super) fn invariant_counters_step_by_one(old: &Lease, new: &Lease, asked: bool) -> Verdict {
    let step = u64::from(!asked);
    ensure(new.counter.0 == old.counter.0 + step, || format!("counter: {old:?} to {new:?}"))
}

/// A stored checkpoint never moves backwards.
pub(super) fn invariant_checkpoints_never_go_back(old: &Lease, new: &Lease) -> Verdict {
    ensure(new.checkpoint >= old.checkpoint, || format!("back: {old:?} to {new:?}"))
}

/// A stored checkpoint never passes a record that is not durable.
pub(super) fn invariant_checkpoints_cover_durable_records_only(
    lease: &Lease,
    stream: &Stream,
) -> Verdict {
    let state = stream.get(lease.key.shard());
    let covered = match lease.checkpoint {
        Position::ShardEnd => state.is_done(),
        Position::Latest => true,
        ref position => records_before(position, state, 0) <= state.durable_until,
    };
    ensure(covered, || format!("durable: {lease:?} passes {}", state.durable_until))
}

/// A lease is deleted only when all its shard's records are written out.
pub(super) fn invariant_deleted_shards_are_done(key: &LeaseKey, stream: &Stream) -> Verdict {
    ensure(stream.get(key.shard()).is_done(), || format!("deleted: {key}"))
}

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

/// In calm, every record of every shard has been written out, but for the newest.
pub(super) fn invariant_every_record_is_written_out(
    stream: &Stream,
    now: u64,
    slack: u64,
) -> Verdict {
    for (shard, state) in stream.all().filter(|(shard, _)| !stream.is_root(shard)) {
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
