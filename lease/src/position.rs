//! Places in a stream: [`ShardId`], [`SequenceNumber`] and [`Position`].

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The name of a shard, `shardId-000000000007`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(Arc<str>);

impl ShardId {
    /// A shard's name as the stream gives it.
    pub fn new(id: &str) -> ShardId {
        ShardId(id.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A record's place in its shard: a decimal number of any length, ordered as a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SequenceNumber(Arc<str>);

impl SequenceNumber {
    /// Reads a decimal number without sign or leading zeros.
    pub fn parse(text: &str) -> Option<SequenceNumber> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let canonical = text == "0" || !text.starts_with('0');
        (digits && canonical).then(|| SequenceNumber(text.into()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        // Without leading zeros the longer number is the larger one.
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a shard has been worked, and so where its next owner starts. Ordered as the variants
/// stand here, which is the KCL's order of checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Position {
    /// Start at the first record written at this time or later, in milliseconds since 1970. A
    /// lease written by the KCL has no time; every worker has it configured then.
    AtTimestamp(Option<i64>),
    /// Start at the oldest record.
    TrimHorizon,
    /// Start at the records written from now on.
    Latest,
    /// Everything up to and including this record (and, of an aggregated record, this
    /// sub-record) is done.
    After {
        /// The record.
        sequence: SequenceNumber,
        /// The sub-record's index; 0 for a record that is not aggregated.
        sub_sequence: u64,
    },
    /// The shard is closed and everything in it is done.
    ShardEnd,
}

impl Position {
    /// Whether this is where work begins, and says nothing of how far it came.
    pub fn is_start(&self) -> bool {
        *self <= Position::Latest
    }

    /// The position as a lease table stores it: a number or a name, and the sub-record's index.
    /// The time of [`AtTimestamp`](Position::AtTimestamp) is stored beside it.
    pub fn to_checkpoint(&self) -> (&str, u64) {
        match self {
            Position::AtTimestamp(_) => ("AT_TIMESTAMP", 0),
            Position::TrimHorizon => ("TRIM_HORIZON", 0),
            Position::Latest => ("LATEST", 0),
            Position::After { sequence, sub_sequence } => (sequence.as_str(), *sub_sequence),
            Position::ShardEnd => ("SHARD_END", 0),
        }
    }

    /// The position that a lease table stores so.
    pub fn from_checkpoint(checkpoint: &str, sub_sequence: u64) -> Option<Position> {
        match checkpoint {
            "AT_TIMESTAMP" => Some(Position::AtTimestamp(None)),
            "TRIM_HORIZON" => Some(Position::TrimHorizon),
            "LATEST" => Some(Position::Latest),
            "SHARD_END" => Some(Position::ShardEnd),
            number => {
                let sequence = SequenceNumber::parse(number)?;
                Some(Position::After { sequence, sub_sequence })
            }
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Position::AtTimestamp(None) => f.write_str("AT_TIMESTAMP"),
            Position::AtTimestamp(Some(ms)) => write!(f, "AT_TIMESTAMP/{ms}"),
            Position::TrimHorizon => f.write_str("TRIM_HORIZON"),
            Position::Latest => f.write_str("LATEST"),
            Position::After { sequence, sub_sequence: 0 } => write!(f, "{sequence}"),
            Position::After { sequence, sub_sequence } => write!(f, "{sequence}/{sub_sequence}"),
            Position::ShardEnd => f.write_str("SHARD_END"),
        }
    }
}
