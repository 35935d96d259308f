//! A stream in memory, for tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use lease::{Position, SequenceNumber, Shard, ShardId};
use tokio::sync::watch;

use crate::batch::{Arrival, Batch, Record};
use crate::seam::Pending;
use crate::source::{Error, Outlet, Reading, Source};

/// The most records of one batch: small, so that a test has many batches.
const BATCH: usize = 10;

/// Shards of records, shared by all who read and write them.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    shards: Arc<Mutex<BTreeMap<ShardId, Log>>>,
    changes: Arc<watch::Sender<u64>>,
}

#[derive(Clone, Debug, Default)]
struct Log {
    parents: Vec<ShardId>,
    records: Vec<Bytes>,
    closed: bool,
}

impl Memory {
    /// Adds a shard.
    pub fn add(&self, shard: &ShardId, parents: &[&ShardId]) {
        let parents = parents.iter().map(|parent| (*parent).clone()).collect();
        self.change(|shards| {
            shards.insert(shard.clone(), Log { parents, ..Log::default() });
        });
    }

    /// Appends a record to a shard.
    pub fn put(&self, shard: &ShardId, data: Bytes) {
        self.change(|shards| {
            let log = shards.get_mut(shard).expect("the shard was added");
            assert!(!log.closed, "a closed shard takes no records");
            log.records.push(data);
        });
    }

    /// Closes a shard: it ends after its last record.
    pub fn close(&self, shard: &ShardId) {
        self.change(|shards| shards.get_mut(shard).expect("the shard was added").closed = true);
    }

    /// All records of a shard.
    pub fn records(&self, shard: &ShardId) -> Vec<Bytes> {
        self.get(shard).map(|log| log.records).unwrap_or_default()
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<ShardId, Log>)) {
        change(&mut self.shards.lock().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn get(&self, shard: &ShardId) -> Option<Log> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner).get(shard).cloned()
    }

    async fn run(self, shard: ShardId, from: Position, outlet: Outlet) -> Result<(), Error> {
        let mut changes = self.changes.subscribe();
        let mut next = match from {
            Position::After { sequence, .. } => {
                sequence.as_str().parse::<usize>().expect("positions are from this stream") + 1
            }
            _ => 0,
        };
        loop {
            changes.mark_unchanged();
            let Some(log) = self.get(&shard) else { return Ok(()) };
            while next < log.records.len() {
                let end = log.records.len().min(next + BATCH);
                let last = log.closed && end == log.records.len();
                if outlet.send(batch(&shard, &log, next..end, last)).await.is_err() || last {
                    return Ok(());
                }
                next = end;
            }
            if log.closed {
                let _ = outlet.send(batch(&shard, &log, next..next, true)).await;
                return Ok(());
            }
            let _ = changes.changed().await;
        }
    }
}

fn batch(shard: &ShardId, log: &Log, range: std::ops::Range<usize>, last: bool) -> Batch {
    let sequence = |n: usize| SequenceNumber::parse(&n.to_string()).expect("it is a number");
    let records: Vec<Record> = range
        .map(|n| Record {
            sequence: sequence(n),
            sub_sequence: 0,
            arrival: Arrival::default(),
            data: log.records[n].clone(),
        })
        .collect();
    let end = match records.last() {
        Some(record) if !last => {
            Position::After { sequence: record.sequence.clone(), sub_sequence: 0 }
        }
        _ => Position::ShardEnd,
    };
    Batch { shard: shard.clone(), records, lag: None, end }
}

impl Source for Memory {
    fn shards(&self) -> Pending<'_, Result<Vec<Shard>, Error>> {
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let list = shards.iter().map(|(id, log)| Shard {
            id: id.clone(),
            parents: log.parents.clone(),
            hash_range: None,
            closed: log.closed,
        });
        let list = list.collect();
        Box::pin(async { Ok(list) })
    }

    fn read(&self, shard: ShardId, from: Position, outlet: Outlet) -> Reading {
        Box::pin(self.clone().run(shard, from, outlet))
    }
}
