//! Consecutive records of one shard, as a worker reads, works and passes them.

use std::time::Duration;

use bytes::Bytes;
use lease::{Position, SequenceNumber, ShardId};
use pipeline::Lines;
use pipeline::archive::Archived;

/// What a batch occupies while it is worked on, per byte of its payloads: the records themselves
/// and the lines made of them, which are about twice as long.
const COST: usize = 3;

/// What an archive tells of a record, about: names of stream and shard, numbers, a partition key.
const ABOUT: usize = 160;

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
    /// What else the stream tells of it.
    pub arrival: Arrival,
    /// The collector payload.
    pub data: Bytes,
}

/// How a record came to its stream. Nothing is made of it; an archive keeps it.
#[derive(Clone, Debug, Default)]
pub struct Arrival {
    /// When, in milliseconds since 1970, where that is known.
    pub at_ms: Option<i64>,
    /// What spread it over the shards, in UTF-8; empty where that is not known.
    pub partition_key: Bytes,
}

impl Batch {
    /// The payload bytes of all records.
    pub fn bytes(&self) -> usize {
        self.records.iter().map(|record| record.data.len()).sum()
    }

    /// The same records in several batches, none of which goes past one of these positions and goes
    /// on behind it.
    pub fn cut(self, at: &[Position]) -> Vec<Batch> {
        let mut pieces = vec![self];
        for position in at {
            let last = pieces.pop().expect("there is always one");
            let Batch { shard, mut records, lag, end } = last;
            let place = |record: &Record| Position::After {
                sequence: record.sequence.clone(),
                sub_sequence: record.sub_sequence,
            };
            let first = records.partition_point(|record| place(record) <= *position);
            if first > 0 && first < records.len() {
                let rest = records.split_off(first);
                let end = place(records.last().expect("there is one before it"));
                pieces.push(Batch { shard: shard.clone(), records, lag, end });
                records = rest;
            }
            pieces.push(Batch { shard, records, lag, end });
        }
        pieces
    }

    /// What it occupies in the budget while it is worked on.
    pub fn cost(&self) -> usize {
        self.bytes().saturating_mul(COST)
    }

    /// When the earliest and the latest of its records came to the stream, where that is known.
    pub fn arrived_ms(&self) -> Option<(i64, i64)> {
        let mut times = self.records.iter().filter_map(|record| record.arrival.at_ms);
        let first = times.next()?;
        Some(times.fold((first, first), |(least, most), ms| (least.min(ms), most.max(ms))))
    }

    /// Its records as an archive keeps them, read from a stream of that name.
    pub fn archived(&self, stream: &str) -> Lines {
        let (stream, shard) = pipeline::home(stream, self.shard.as_str());
        let mut archive = Lines::default();
        archive.reserve(self.bytes() + self.records.len() * ABOUT);
        for Record { sequence, sub_sequence, arrival, data } in &self.records {
            let record = Archived {
                stream,
                shard,
                sequence: sequence.as_str(),
                sub_sequence: *sub_sequence,
                arrived_ms: arrival.at_ms,
                partition_key: std::str::from_utf8(&arrival.partition_key).unwrap_or_default(),
                data,
            };
            archive.push_record(|out| record.write(out));
        }
        archive
    }

    /// What the pipeline looks at.
    pub fn view(&self) -> pipeline::Batch<'_> {
        let records = self.records.iter().map(Record::view).collect();
        pipeline::Batch { shard: self.shard.as_str(), records }
    }
}

impl Record {
    fn view(&self) -> pipeline::Record<'_> {
        let Record { sequence, sub_sequence, data, .. } = self;
        pipeline::Record { sequence: sequence.as_str(), sub_sequence: *sub_sequence, data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Position {
        let (sequence, sub_sequence) = text.split_once('/').expect("two numbers");
        let sequence = SequenceNumber::parse(sequence).expect("a number");
        Position::After { sequence, sub_sequence: sub_sequence.parse().expect("a number") }
    }

    /// A batch of records at these places, the last of its shard.
    fn batch(places: &[&str]) -> Batch {
        let record = |text: &&str| match place(text) {
            Position::After { sequence, sub_sequence } => Record {
                sequence,
                sub_sequence,
                arrival: Arrival::default(),
                data: Bytes::copy_from_slice(text.as_bytes()),
            },
            other => unreachable!("{other}"),
        };
        let records = places.iter().map(record).collect();
        Batch { shard: ShardId::new("shard-1"), records, lag: None, end: Position::ShardEnd }
    }

    #[test]
    fn a_batch_is_cut_where_positions_lie_inside() {
        let all = ["8/0", "9/0", "10/0", "10/1", "12/0"];
        for (at, expected) in [
            (&[][..], &[&all[..]][..]),
            (&["7/0"], &[&all]),
            (&["12/0"], &[&all]),
            (&["99/0"], &[&all]),
            (&["9/0"], &[&all[..2], &all[2..]]),
            (&["11/0"], &[&all[..4], &all[4..]]),
            (&["10/0"], &[&all[..3], &all[3..]]),
            (&["8/0", "8/0", "10/1"], &[&all[..1], &all[1..4], &all[4..]]),
        ] {
            let at: Vec<Position> = at.iter().map(|text| place(text)).collect();
            let pieces = batch(&all).cut(&at);
            let texts = |piece: &Batch| -> Vec<String> {
                let texts = piece.records.iter().map(|record| record.data.to_vec());
                texts.map(|text| String::from_utf8(text).expect("text")).collect()
            };
            assert_eq!(pieces.iter().map(texts).collect::<Vec<_>>(), expected, "at {at:?}");
            let (last, others) = pieces.split_last().expect("there is always one");
            assert_eq!(last.end, Position::ShardEnd);
            for (piece, texts) in others.iter().zip(expected) {
                assert_eq!(piece.end, place(texts.last().expect("it has some")));
            }
        }
        assert_eq!(batch(&[]).cut(&[place("9/0")]).len(), 1);
    }
}
