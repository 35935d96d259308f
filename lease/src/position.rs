//! Places in a stream: [`ShardId`], [`SequenceNumber`] and [`Position`].

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The name of a shard, `shardId-000000000007`. Where several streams are read it begins with the
/// stream, `account:stream:created:shardId-000000000007`, as the KCL writes it.
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

    /// The shard of one of several streams.
    pub fn within(stream: &str, shard: &str) -> ShardId {
        ShardId(format!("{stream}:{shard}").into())
    }

    /// The stream and the name in it, of a shard of one of several streams.
    pub fn of_several(&self) -> Option<(&str, &str)> {
        self.0.rsplit_once(':')
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A record's place in its shard: a decimal number of any length. Some servers pad theirs with
/// zeros and find a record by its padded number only, so the digits stay as they came; what is
/// compared is the number.
#[derive(Clone, Debug)]
pub struct SequenceNumber(Arc<str>);

impl SequenceNumber {
    /// Reads a decimal number without a sign.
    pub fn parse(text: &str) -> Option<SequenceNumber> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| SequenceNumber(text.into()))
    }

    /// The digits, as they came.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits that count: none, for zero.
    fn significant(&self) -> &str {
        self.0.trim_start_matches('0')
    }
}

impl PartialEq for SequenceNumber {
    fn eq(&self, other: &Self) -> bool {
        self.significant() == other.significant()
    }
}

impl Eq for SequenceNumber {}

impl Hash for SequenceNumber {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.significant().hash(state);
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        let (ours, theirs) = (self.significant(), other.significant());
        // Without leading zeros the longer number is the larger one.
        ours.len().cmp(&theirs.len()).then_with(|| ours.cmp(theirs))
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> SequenceNumber {
        SequenceNumber::parse(text).expect("a number")
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-1", "+1", "1e3", "0x1", " 1", "1.0", "LATEST", "\u{663}"] {
            assert_eq!(SequenceNumber::parse(text), None, "{text}");
        }
    }

    /// A stream may pad its numbers: they are compared as numbers, and asked for as they came.
    #[test]
    fn zeros_before_a_number_do_not_count() {
        let padded = number("00000000000000000000000000000000000000000000000000000042");
        assert_eq!(padded, number("42"));
        assert_eq!(padded.as_str().len(), 56);
        assert!(padded < number("043") && padded > number("9"));
        assert_eq!(number("000"), number("0"));
        assert!(number("0") < number("1"));
        assert_eq!(HashSet::from([number("7"), number("007")]).len(), 1);
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_numbers(a: u64, b: u64, zeros in 0_usize..40) {
            let padded = number(&format!("{}{a}", "0".repeat(zeros)));
            prop_assert_eq!(padded.cmp(&number(&b.to_string())), a.cmp(&b));
        }
    }
}
