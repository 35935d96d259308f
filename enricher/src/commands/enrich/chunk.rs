//! Records of an input that are processed together.

use std::sync::Arc;

use bytes::Bytes;
use lease::{Position, ShardId};
use pipeline::parked::Parked;
use pipeline::replay::Replay;

use super::input::{Entry, Input};
use crate::batch::{Arrival, Batch, Record};

/// Records that are processed together.
pub struct Chunk {
    /// The number of its first record in the whole input.
    pub first: u64,
    /// The records.
    pub batch: Batch,
    /// Where they are processed once more, what is known of that.
    pub(in crate::commands) replay: Option<Arc<Replay>>,
    /// The size of their data.
    pub(in crate::commands) bytes: usize,
}

impl AsRef<Chunk> for Chunk {
    fn as_ref(&self) -> &Chunk {
        self
    }
}

/// Small enough for a core's cache to hold a good part of it, large enough that handing it from
/// thread to thread costs nothing.
pub(in crate::commands) const CHUNK_BYTES: usize = 1 << 20;

/// What a record takes beside its data. Without it records without data, of which a file of zeros
/// is full, would never fill a chunk.
pub(in crate::commands) const RECORD_BYTES: usize = size_of::<Record>();

/// The next records, about a megabyte of them; `None` after the last. A parked record comes alone.
pub fn next_chunk(input: &mut Input) -> anyhow::Result<Option<Chunk>> {
    chunk_of(input, &ShardId::new("input"), u64::MAX, |_| {})
}

/// The same as records of that shard, so many of them at most; `each` sees every one.
pub(super) fn chunk_of(
    input: &mut Input,
    shard: &ShardId,
    most: u64,
    mut each: impl FnMut(&Entry),
) -> anyhow::Result<Option<Chunk>> {
    let first = input.records();
    let mut records = Vec::new();
    let mut bytes = 0;
    let mut room = CHUNK_BYTES;
    while room > 0 && (records.len() as u64) < most {
        let number = input.records();
        let entry = match input.next_record() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(error) if records.is_empty() => return Err(error),
            // What was read before it is not lost with it.
            Err(error) => {
                input.put_back_error(error);
                break;
            }
        };
        match &entry.parked {
            Some(parked) if records.is_empty() => {
                each(&entry);
                return parked_chunk(first, parked, entry.data.clone()).map(Some);
            }
            Some(_) => {
                input.put_back(entry);
                break;
            }
            None => each(&entry),
        }
        bytes += entry.data.len();
        room = room.saturating_sub(entry.data.len() + RECORD_BYTES);
        let sequence = lease::SequenceNumber::parse(&number.to_string());
        let sequence = sequence.expect("a number without leading zeros is a sequence number");
        records.push(Record {
            sequence,
            sub_sequence: 0,
            arrival: Arrival::default(),
            data: entry.data,
        });
    }
    if records.is_empty() {
        return Ok(None);
    }
    let batch = batch(shard.clone(), records);
    Ok(Some(Chunk { first, batch, replay: None, bytes }))
}

fn parked_chunk(first: u64, parked: &Parked, data: Bytes) -> anyhow::Result<Chunk> {
    let sequence = lease::SequenceNumber::parse(&parked.sequence);
    let sequence = sequence.expect("a line with another one is no parked record");
    let bytes = data.len();
    let record =
        Record { sequence, sub_sequence: parked.sub_sequence, arrival: Arrival::default(), data };
    let batch = batch(ShardId::new(parked.shard.as_str()), vec![record]);
    Ok(Chunk { first, batch, replay: Some(Arc::new(Replay::from(parked))), bytes })
}

/// A batch of records, of which there is one.
fn batch(shard: ShardId, records: Vec<Record>) -> Batch {
    let last = records.last().expect("there is a record");
    let end = Position::After { sequence: last.sequence.clone(), sub_sequence: last.sub_sequence };
    Batch { shard, records, lag: None, end }
}
