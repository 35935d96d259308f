//! Where batches come from.

use std::time::Duration;

use bytes::Bytes;
use lease::{Position, SequenceNumber, ShardId};

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
