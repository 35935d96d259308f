//! What the protocol is told, and what it has done.

use std::time::Duration;

use crate::lease::{Counter, Lease, LeaseKey, Stream, Suspect, Write};
use crate::position::Position;
use crate::shards::Shard;
use crate::store::{Outcome, Scan};

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The answer to [`Command::Scan`]; `None` for a failure.
    Scanned(Option<Scan>),
    /// The answer to [`Command::Get`]; the outer `None` for a failure.
    Got(LeaseKey, Option<Option<Lease>>),
    /// The answer to [`Command::Write`]; `None` if the outcome is unknown.
    Wrote(Write, Option<Outcome>),
    /// The answer to [`Command::Create`]: whether the lease was created.
    Created(Box<Lease>, Option<bool>),
    /// The answer to [`Command::Delete`].
    Deleted(LeaseKey, Option<bool>),
    /// How far the shards' tasks have come. To be given when the protocol is
    /// [due](super::Protocol::due).
    Worked(Vec<Progress>),
    /// A shard's task has ended at this position.
    Dropped(LeaseKey, Position),
    /// A shard's task has come so far and goes on with these records by themselves, or with none
    /// in particular any more, once [`Command::Announced`] says that this is stored.
    Announced(Progress, Announcement),
    /// The stream's shards.
    Listed(Vec<Shard>),
    /// Which stream it is.
    Stream(Stream),
    /// The worker is to stop.
    Drain,
    /// The worker is to stop, and the store refuses what it would need for a drain: give back what
    /// can be given back.
    Abandon,
}

/// What a task says it works on by itself, and which of its announcements that is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Announcement {
    pub(crate) number: u64,
    pub(crate) suspect: Option<Suspect>,
}

/// How far a shard's task has come.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub(crate) key: LeaseKey,
    pub(crate) position: Position,
    /// In bytes per second.
    pub(crate) weight: u64,
    pub(crate) lag: Option<Duration>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    Scan,
    Get(LeaseKey),
    Create(Box<Lease>),
    Delete(LeaseKey, Counter),
    Write(Write),
    /// A lease became ours: start the shard's task.
    Grant(Grant),
    /// Output may be written until then, and this is where the shard stands in the store.
    Extend(LeaseKey, Duration, Position),
    /// The announcement of this number is stored.
    Announced(LeaseKey, u64),
    /// Ask the shard's task to finish.
    AskBack(LeaseKey),
    /// The lease is no longer ours.
    Lose(LeaseKey),
    /// The lease is released; or, while leaving, it has expired since the store does not answer.
    Release(LeaseKey),
    /// A drain has come to its end.
    Drained,
}

/// A lease that became ours.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grant {
    pub(crate) key: LeaseKey,
    pub(crate) epoch: Counter,
    pub(crate) position: Position,
    pub(crate) fruitless_owners: u64,
    /// The records that the last owner worked on by themselves when it died.
    pub(crate) suspect: Option<Suspect>,
    pub(crate) weight: u64,
    pub(crate) deadline: Duration,
}
