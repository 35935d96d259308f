//! The stream of a simulated world: shards that split and merge, records that are written all the
//! time, and an account of every output. Some records kill whoever processes them. The stream may
//! be deleted and created anew, with shards of the same names.

use std::collections::BTreeMap;

use super::invariants::{self, Violation};
use super::table::WorkerNumber;
use super::weather::Weather;
use crate::lease;
use crate::position::{Position, SequenceNumber, ShardId};
use crate::shards::Shard;

#[derive(Debug, Default)]
pub(super) struct Stream {
    shards: BTreeMap<ShardId, ShardState>,
    next: u32,
    /// Which of the streams that there were it is, and when it was created by the world's clock.
    pub(super) number: u64,
    created_at: u64,
    /// Whether another stream is one of another name that was created in the same second, or one of
    /// the same name.
    pub(super) renamed: bool,
    /// Whether the fleet began at the newest records.
    pub(super) from_latest: bool,
    /// Records written out more than once.
    pub(super) duplicates: u64,
}

#[derive(Debug)]
pub(super) struct ShardState {
    pub(super) parents: Vec<ShardId>,
    opened: u64,
    pub(super) closed: Option<u64>,
    /// Whether there ever was a lease for it.
    pub(super) leased: bool,
    /// Until then nobody can read it.
    pub(super) broken_until: u64,
    /// The time between two records.
    period: u64,
    /// How often each record was written out.
    durable: Vec<u32>,
    /// The first record that is not durable.
    pub(super) durable_until: u64,
    /// Output requests that may still have an effect.
    pub(super) open: Vec<Output>,
    /// The latest ownership that has written output.
    pub(super) last_owner: Option<(u64, WorkerNumber)>,
    pub(super) weight: u64,
    /// The records that kill, and how many workers each has killed.
    pub(super) killers: BTreeMap<u64, u32>,
}

/// One output request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    pub(super) worker: WorkerNumber,
    /// The number of the ownership, in the order in which the lease was taken.
    pub(super) ownership: u64,
    /// The first record.
    pub(super) from: u64,
    /// Until then it may have an effect.
    pub(super) until: u64,
}

impl Stream {
    pub(super) fn new(weather: &Weather) -> Stream {
        let (from_latest, renamed) = (weather.latest, weather.renamed);
        Stream { from_latest, renamed, number: 1, ..Stream::default() }
    }

    /// What its workers know of it.
    pub(super) fn identity(&self) -> lease::Stream {
        let (name, created) = if self.renamed { (self.number, 1) } else { (1, self.number) };
        let name = Some(format!("stream-{name}").into());
        lease::Stream { name, created: Some(created), ..lease::Stream::default() }
    }

    /// The stream is deleted, and another one takes its place. It has no shards yet.
    pub(super) fn recreate(&mut self, now: u64) {
        self.shards.clear();
        self.next = 0;
        self.number += 1;
        self.created_at = now;
    }

    pub(super) fn open(
        &mut self,
        parents: Vec<ShardId>,
        period: u64,
        weight: u64,
        now: u64,
    ) -> ShardId {
        let id = ShardId::new(&format!("shardId-{:012}", self.next));
        self.next += 1;
        let state = ShardState {
            parents,
            opened: now,
            closed: None,
            leased: false,
            broken_until: 0,
            period,
            durable: Vec::new(),
            durable_until: 0,
            open: Vec::new(),
            last_owner: None,
            weight,
            killers: BTreeMap::new(),
        };
        self.shards.insert(id.clone(), state);
        id
    }

    /// A shard's n-th record kills whoever processes it.
    pub(super) fn poison(&mut self, id: &ShardId, record: u64) {
        self.shards.get_mut(id).expect("the shard exists").killers.insert(record, 0);
    }

    /// The first of these records that kills.
    pub(super) fn killer(&self, id: &ShardId, from: u64, to: u64) -> Option<u64> {
        self.get(id).killers.range(from..to).next().map(|(record, _)| *record)
    }

    /// A record has killed a worker, one of so many by now.
    pub(super) fn killed(&mut self, id: &ShardId, record: u64) -> Result<u32, Violation> {
        let state = self.shards.get_mut(id).expect("the shard exists");
        let kills = state.killers.get_mut(&record).expect("it kills");
        *kills += 1;
        invariants::invariant_no_record_kills_for_ever(id, record, *kills)?;
        Ok(*kills)
    }

    /// Nobody can read a shard for a while.
    pub(super) fn break_until(&mut self, id: &ShardId, until: u64) {
        self.shards.get_mut(id).expect("the shard exists").broken_until = until;
    }

    pub(super) fn close(&mut self, id: &ShardId, now: u64) {
        self.shards.get_mut(id).expect("the shard exists").closed = Some(now);
    }

    pub(super) fn leased(&mut self, id: &ShardId) {
        self.shards.get_mut(id).expect("the shard exists").leased = true;
    }

    /// A shard is to be read from a position, and nobody asks for the records before, if no parent
    /// was read.
    pub(super) fn leave_out(&mut self, id: &ShardId, position: &Position, now: u64) {
        if self.is_root(id) {
            let before = records_before(position, self.get(id), now);
            self.written_out(id, 0, before);
        }
    }

    /// Whether the shard's older records are not asked for: a fleet that begins at the newest
    /// records begins with the shards that are open then.
    pub(super) fn is_root(&self, id: &ShardId) -> bool {
        self.from_latest && self.get(id).parents.iter().all(|parent| !self.get(parent).leased)
    }

    pub(super) fn get(&self, id: &ShardId) -> &ShardState {
        &self.shards[id]
    }

    pub(super) fn has(&self, id: &ShardId) -> bool {
        self.shards.contains_key(id)
    }

    /// The load of a shard; of one that is no more, none.
    pub(super) fn weight(&self, id: &ShardId) -> u64 {
        self.shards.get(id).map_or(0, |state| state.weight)
    }

    /// The children of a shard.
    pub(super) fn children(&self, id: &ShardId) -> Vec<ShardId> {
        let children = self.shards.iter().filter(|(_, state)| state.parents.contains(id));
        children.map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&ShardId, &ShardState)> {
        self.shards.iter()
    }

    pub(super) fn open_shards(&self) -> Vec<ShardId> {
        self.shards.iter().filter(|(_, s)| s.closed.is_none()).map(|(id, _)| id.clone()).collect()
    }

    /// What the stream lists at a time: shards that are done and closed long ago are trimmed.
    /// `None` for a time before it was created.
    pub(super) fn listing(&self, at: u64, retention: u64) -> Option<Vec<Shard>> {
        if at < self.created_at {
            return None;
        }
        let listed = self.shards.iter().filter(|(_, state)| {
            let trimmed = state.closed.is_some_and(|closed| closed + retention < at);
            state.opened <= at && !(trimmed && state.is_done())
        });
        let listed = listed.map(|(id, state)| Shard {
            id: id.clone(),
            parents: state.parents.clone(),
            hash_range: None,
            closed: state.closed.is_some_and(|closed| closed <= at),
        });
        Some(listed.collect())
    }

    /// An output request starts.
    pub(super) fn start_output(
        &mut self,
        shard: &ShardId,
        output: Output,
        now: u64,
    ) -> Result<(), Violation> {
        invariants::invariant_children_after_parents(shard, self)?;
        let state = self.shards.get_mut(shard).expect("the shard exists");
        state.open.retain(|open| open.until > now);
        invariants::invariant_one_owner_passes_the_gate(shard, state, &output)?;
        state.open.push(output);
        state.last_owner = Some((output.ownership, output.worker));
        Ok(())
    }

    /// An output request has come to its end.
    pub(super) fn end_output(&mut self, shard: &ShardId, output: (WorkerNumber, u64, u64)) {
        let state = self.shards.get_mut(shard).expect("the shard exists");
        state.open.retain(|open| (open.worker, open.ownership, open.from) != output);
    }

    /// An output request has stored these records.
    pub(super) fn written_out(&mut self, shard: &ShardId, from: u64, to: u64) {
        let state = self.shards.get_mut(shard).expect("the shard exists");
        if state.durable.len() < to as usize {
            state.durable.resize(to as usize, 0);
        }
        for count in &mut state.durable[from as usize..to as usize] {
            self.duplicates += u64::from(*count > 0);
            *count += 1;
        }
        while state.durable.get(state.durable_until as usize).is_some_and(|count| *count > 0) {
            state.durable_until += 1;
        }
    }
}

impl ShardState {
    /// How many records have been written to the shard.
    pub(super) fn records(&self, now: u64) -> u64 {
        self.closed.unwrap_or(now).min(now).saturating_sub(self.opened) / self.period
    }

    /// Whether the shard is closed and every record is written out.
    pub(super) fn is_done(&self) -> bool {
        self.closed.is_some_and(|closed| self.durable_until >= self.records(closed))
    }
}

/// The position after so many records.
pub(super) fn after(records: u64, start: &Position) -> Position {
    match records {
        0 => start.clone(),
        n => Position::After {
            sequence: SequenceNumber::parse(&n.to_string()).expect("a number"),
            sub_sequence: 0,
        },
    }
}

/// How many records are done at a position.
pub(super) fn records_before(position: &Position, state: &ShardState, now: u64) -> u64 {
    match position {
        Position::TrimHorizon | Position::AtTimestamp(None) => 0,
        Position::AtTimestamp(Some(ms)) => state.records(*ms as u64 * 1000),
        Position::Latest => state.records(now),
        Position::After { sequence, .. } => sequence.as_str().parse().expect("a number of ours"),
        Position::ShardEnd => state.records(u64::MAX),
    }
}
