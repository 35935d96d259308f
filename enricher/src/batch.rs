//! Consecutive records of one shard, as a worker reads, works and passes them.

use std::time::Duration;

use bytes::Bytes;
use lease::{Position, SequenceNumber, ShardId};

/// What a batch occupies while it is worked on, per byte of its payloads: the records themselves
/// and the lines made of them, which are about twice as long.
const COST: usize = 3;

/// Consecutive records of one shard: the unit of reading, work, writing and progress.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The shard the records are from.
    pub shard: ShardId,
    /// The records, oldest first. Never splits a record of the stream.
    pub records: Vec<Record>,
    /// How far behind the tip of the shard the last record is, where the source knows.
    pub lag: Option<Duration>,
    /// Where the shard stands once this batch is done: after its last record, or at its end.
    pub end: Position,
}

/// One record of a stream.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its place in the shard.
    pub sequence: SequenceNumber,
    /// The index inside an aggregated record; 0 for any other.
    pub sub_sequence: u64,
    /// The collector payload.
    pub data: Bytes,
}

impl Batch {
    /// The payload bytes of all records.
    pub fn bytes(&self) -> usize {
        self.records.iter().map(|record| record.data.len()).sum()
    }

    /// What it occupies in the budget while it is worked on.
    pub fn cost(&self) -> usize {
        self.bytes().saturating_mul(COST)
    }

    /// What the pipeline looks at.
    pub fn view(&self) -> pipeline::Batch<'_> {
        let records = self.records.iter().map(Record::view).collect();
        pipeline::Batch { shard: self.shard.as_str(), records }
    }
}

impl Record {
    fn view(&self) -> pipeline::Record<'_> {
        let Record { sequence, sub_sequence, data } = self;
        pipeline::Record { sequence: sequence.as_str(), sub_sequence: *sub_sequence, data }
    }
}
