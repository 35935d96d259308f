//! What an object has, one by one.

use std::sync::Arc;

use bytes::Bytes;
use lease::SequenceNumber;
use pipeline::Route;
use pipeline::replay::Replay;

/// What an object has.
pub(super) enum Met {
    /// Something that can be replayed.
    Entry(Entry),
    /// Something that cannot, and why.
    Left(String),
}

/// What can be replayed.
pub(super) struct Entry {
    /// Where it comes from.
    pub(super) origin: Origin,
    /// When it came, in milliseconds since 1970, where that is known.
    pub(super) came_ms: Option<i64>,
    /// What there is of it.
    pub(super) what: What,
    /// Why its events are where they are, in words; none where that is not known.
    pub(super) reasons: Vec<String>,
    /// How many events are known to be meant.
    pub(super) events: u64,
}

/// What there is to be replayed.
pub(super) enum What {
    /// A record, all of which is meant.
    Record {
        /// The record.
        data: Bytes,
    },
    /// A record that is processed by itself.
    Alone {
        /// The record.
        data: Bytes,
        /// What of it is meant.
        replay: Replay,
        /// Whether it is meant only if it has no more than one event.
        only_of_one: bool,
    },
    /// The line of an event.
    Line {
        /// The route that it was for.
        route: Route,
        /// All columns, as they were.
        line: String,
    },
}

/// Where a record comes from.
pub(super) struct Origin {
    /// The stream, by name.
    pub(super) stream: Arc<str>,
    /// Its shard.
    pub(super) shard: Arc<str>,
    /// Its sequence number.
    pub(super) sequence: SequenceNumber,
    /// Its index inside an aggregated record.
    pub(super) sub_sequence: u64,
}

impl Origin {
    /// Whether two records may be in one batch.
    pub(super) fn is_beside(&self, other: &Origin) -> bool {
        self.stream == other.stream && self.shard == other.shard
    }

    /// Of what no id is derived.
    pub(super) fn nowhere() -> Origin {
        let sequence = SequenceNumber::parse("0").expect("it is a number");
        Origin { stream: "".into(), shard: "".into(), sequence, sub_sequence: 0 }
    }
}
