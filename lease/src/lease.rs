//! The lease of one shard: what an item of the lease table says, and every change that may be
//! made to it.
//!
//! [`Lease::apply`] is the whole protocol as a function: given the item and a [`Write`], either
//! the item that results, or the news that the write no longer fits. The memory and SQLite stores
//! call it; the DynamoDB store says the same in condition expressions, and one conformance test
//! holds all three to it.

use std::fmt;
use std::sync::Arc;

use crate::position::{Position, ShardId};

/// The name of a lease in the table: the shard's name. With one stream per table that is the name
/// that the stream gives it; with several it begins with the stream, `account:stream:created:`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseKey(ShardId);

impl LeaseKey {
    /// The key of a shard's lease.
    pub fn of(shard: &ShardId) -> LeaseKey {
        LeaseKey(shard.clone())
    }

    /// The shard that a lease of this key is for.
    pub fn shard(&self) -> &ShardId {
        &self.0
    }

    /// The key as it is stored.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The stream that it begins with, where the table has several.
    pub fn stream(&self) -> Option<&str> {
        self.0.of_several().map(|(stream, _)| stream)
    }
}

impl fmt::Display for LeaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of one run of one worker process. A restarted process needs a new one: two processes
/// that share a name would each take the other's leases for their own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(Arc<str>);

/// The longest worker id: it is repeated in every item, and items are billed by size.
const MAX_WORKER_ID: usize = 256;

impl WorkerId {
    /// Reads a worker id: not empty, not longer than 256 bytes, and none of the names that other
    /// programs give to items of a lease table.
    pub fn parse(text: &str) -> Option<WorkerId> {
        let reserved = matches!(text, "Leader" | "Migration3.0" | "TableMigration3.5");
        let fits = !text.is_empty() && text.len() <= MAX_WORKER_ID;
        let plain = !text.chars().any(char::is_control) && !text.starts_with("shardId-");
        (fits && plain && !reserved).then(|| WorkerId(text.into()))
    }

    /// An owner as somebody else's item names it: any text at all.
    pub(crate) fn stored(text: &str) -> WorkerId {
        WorkerId(text.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What moves when a lease is written. A write says which value it expects and stores the next
/// one, so of two writers that saw the same value one is refused. The value stored by a take is
/// the ownership's epoch: it never repeats while the item lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Counter(pub u64);

impl Counter {
    /// The value after this one.
    pub fn next(self) -> Counter {
        Counter(self.0 + 1)
    }
}

/// The name of one write, stored with it: a worker whose reply was lost recognises its own write
/// by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WriteId(pub u64);

/// Consecutive records of a shard of which one may be what kills workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// The first record.
    pub first: Position,
    /// The last one.
    pub last: Position,
    /// How many owners in a row have begun to work on just these, whoever says so included.
    pub tries: u32,
}

impl Suspect {
    /// A range of records, by the positions after them, that is tried for the first time.
    pub fn new(first: Position, last: Position) -> Suspect {
        Suspect { first, last, tries: 1 }
    }

    /// Whether it is one record.
    pub fn is_single(&self) -> bool {
        self.first == self.last
    }

    /// Whether the records are the same, however often they have been tried.
    pub fn is_same_as(&self, other: &Suspect) -> bool {
        (&self.first, &self.last) == (&other.first, &other.last)
    }

    /// Whether a record is among them.
    pub fn contains(&self, record: &Position) -> bool {
        (&self.first..=&self.last).contains(&record)
    }

    /// Reads what [`Display`](fmt::Display) writes.
    pub(crate) fn parse(text: &str) -> Option<Suspect> {
        let record = |text: &str| {
            let (sequence, sub_sequence) = text.split_once('/')?;
            Position::from_checkpoint(sequence, sub_sequence.parse().ok()?)
        };
        let (records, tries) = text.split_once('*').unwrap_or((text, "1"));
        let (first, last) = records.split_once('-').unwrap_or((records, records));
        Some(Suspect { first: record(first)?, last: record(last)?, tries: tries.parse().ok()? })
    }
}

impl fmt::Display for Suspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sequence, sub_sequence) = self.first.to_checkpoint();
        write!(f, "{sequence}/{sub_sequence}")?;
        if !self.is_single() {
            let (sequence, sub_sequence) = self.last.to_checkpoint();
            write!(f, "-{sequence}/{sub_sequence}")?;
        }
        if self.tries > 1 {
            write!(f, "*{}", self.tries)?;
        }
        Ok(())
    }
}

/// The stream that a shard is of, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// Its name or its ARN. Two streams have shards of the same names.
    pub name: Option<Arc<str>>,
    /// When it was created, in seconds since 1970: a stream that was deleted and created anew has
    /// the same name, and shards of the same names.
    pub created: Option<u64>,
    /// In place of both, where several streams share a table: how the names of their shards begin,
    /// `account:stream:created`.
    pub several: Arc<[String]>,
}

impl Stream {
    /// Whether the two are known not to be the same.
    pub fn differs(&self, other: &Stream) -> bool {
        let names = self.name.as_deref().zip(other.name.as_deref());
        let times = self.created.zip(other.created);
        names.is_some_and(|(ours, theirs)| !is_same_stream(ours, theirs))
            || times.is_some_and(|(ours, theirs)| ours != theirs)
    }

    /// What is known of it together with what was known before.
    pub(crate) fn or(&self, before: &Stream) -> Stream {
        Stream {
            name: self.name.clone().or(before.name.clone()),
            created: self.created.or(before.created),
            several: if self.several.is_empty() { &before.several } else { &self.several }.clone(),
        }
    }
}

/// Whether two names or ARNs may be of one stream. A name stands for the stream of that name
/// wherever it is.
fn is_same_stream(one: &str, other: &str) -> bool {
    let is_arn = |text: &str| text.starts_with("arn:");
    let name = |text: &str| text.rsplit('/').next().unwrap_or_default().to_owned();
    one == other || (!(is_arn(one) && is_arn(other)) && name(one) == name(other))
}

/// A lease as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Lease {
    /// Its name.
    pub key: LeaseKey,
    /// Who works the shard; nobody, if none.
    pub owner: Option<WorkerId>,
    /// How often it was written.
    pub counter: Counter,
    /// How far the shard has been worked.
    pub checkpoint: Position,
    /// How often the owner changed since the checkpoint last moved.
    pub owner_switches: u64,
    /// The shards this one was split or merged from, sorted.
    pub parents: Vec<ShardId>,
    /// The shards it was split or merged into, sorted, once it has ended and they are known.
    pub children: Vec<ShardId>,
    /// The first and last hash key of the shard, in decimal.
    pub hash_range: Option<(String, String)>,
    /// The worker that is to have the lease next. On an owned lease, it has asked for it or was
    /// chosen by the owner; on a free one, the owner left it for that worker.
    pub next: Option<WorkerId>,
    /// The last write of ours: the counter it stored and its name.
    pub written: Option<(Counter, WriteId)>,
    /// The counter stored by the take that made the owner the owner.
    pub taken: Counter,
    /// The shard's load as its owner measured it, in bytes per second.
    pub weight: u64,
    /// How far its owner was behind the shard's tip when it last wrote, in milliseconds.
    pub lag_ms: Option<u64>,
    /// The size of the owner relative to its peers.
    pub capacity: u32,
    /// The records that the owner is about to work on by themselves, because owners keep dying. If
    /// the owner dies now, it was one of these.
    pub suspect: Option<Suspect>,
    /// The stream that the shard is of.
    pub stream: Stream,
    /// The lease duration that the owner goes by, in milliseconds; absent if the owner did not say.
    pub duration_ms: Option<u64>,
    /// How often in a row the shard was given back because it could not be worked, whoever tried.
    pub failures: u32,
}

impl Lease {
    /// A lease that nobody has owned yet.
    pub fn new(shard: &ShardId, checkpoint: Position) -> Lease {
        Lease {
            key: LeaseKey::of(shard),
            owner: None,
            counter: Counter(0),
            checkpoint,
            owner_switches: 0,
            parents: Vec::new(),
            children: Vec::new(),
            hash_range: None,
            next: None,
            written: None,
            taken: Counter(0),
            weight: 0,
            lag_ms: None,
            capacity: 1,
            suspect: None,
            stream: Stream::default(),
            duration_ms: None,
            failures: 0,
        }
    }

    /// Whether the lease is known to be of another stream than this one.
    pub fn is_foreign_to(&self, stream: &Stream) -> bool {
        match self.key.stream() {
            Some(of) => !stream.several.iter().any(|known| known == of),
            None => !stream.several.is_empty() || self.stream.differs(stream),
        }
    }

    /// Whether the shard is worked to its end, so that there is nothing left to own.
    pub fn ended(&self) -> bool {
        self.checkpoint == Position::ShardEnd
    }

    /// Whether no record of the shard has been done yet, so far as is stored.
    pub fn is_untouched(&self) -> bool {
        self.checkpoint.is_start()
    }

    /// Whether the last write was this one.
    pub fn is_written_by(&self, write: &Write) -> bool {
        self.written == Some((write.expected.next(), write.id))
    }

    /// The lease after a write, if the write still fits.
    pub fn apply(&self, write: &Write) -> Option<Lease> {
        if self.counter != write.expected {
            return None;
        }
        let mut lease = self.clone();
        match &write.change {
            Change::Ask { next } => {
                lease.next = Some(next.clone());
                return Some(lease);
            }
            Change::Note { children } => {
                lease.children.clone_from(children);
                return Some(lease);
            }
            Change::Take { .. } | Change::Renew { .. } | Change::Release { .. } => {}
        }
        lease.counter = self.counter.next();
        lease.written = Some((lease.counter, write.id));
        match &write.change {
            Change::Ask { .. } | Change::Note { .. } => {}
            Change::Take { owner, switched, capacity, duration_ms, stream, start } => {
                lease.owner = Some(owner.clone());
                lease.owner_switches += u64::from(*switched);
                lease.capacity = *capacity;
                lease.duration_ms = Some(*duration_ms);
                lease.taken = lease.counter;
                lease.stream = stream.or(&lease.stream);
                lease.next = None;
                if let Some(start) = start {
                    lease.checkpoint = start.clone();
                }
            }
            Change::Renew { checkpoint, weight, lag_ms, offer, suspect } => {
                lease.advance(checkpoint);
                lease.suspect.clone_from(suspect);
                lease.weight = *weight;
                lease.lag_ms = *lag_ms;
                lease.next = offer.clone().or(lease.next);
            }
            Change::Release { checkpoint, next, suspect, failed } => {
                lease.advance(checkpoint);
                lease.failures = if *failed { lease.failures.saturating_add(1) } else { 0 };
                lease.suspect.clone_from(suspect);
                lease.owner = None;
                lease.next = next.clone();
            }
        }
        Some(lease)
    }

    fn advance(&mut self, checkpoint: &Option<Position>) {
        if let Some(to) = checkpoint {
            self.checkpoint = to.clone();
            self.owner_switches = 0;
            self.failures = 0;
        }
    }
}

/// One conditional write of one lease.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The lease.
    pub key: LeaseKey,
    /// The counter it must still have.
    pub expected: Counter,
    /// This write's name.
    pub id: WriteId,
    /// What changes.
    pub change: Change,
}

/// What a write changes. All but [`Ask`](Change::Ask) and [`Note`](Change::Note) store the next
/// counter.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Somebody who is not the owner becomes it: the lease is free, left for us, or expired.
    Take {
        /// The new owner.
        owner: WorkerId,
        /// Whether it is taken from another worker that stopped renewing.
        switched: bool,
        /// The new owner's size.
        capacity: u32,
        /// The lease duration that the new owner goes by, in milliseconds.
        duration_ms: u64,
        /// The stream, as far as the new owner knows it.
        stream: Stream,
        /// Where the shard starts, if the lease does not say it in a way that means the same to
        /// every later owner.
        start: Option<Position>,
    },
    /// The owner is alive, and so far. Heartbeat and checkpoint are this one write.
    Renew {
        /// The new checkpoint; `None` if it has not moved.
        checkpoint: Option<Position>,
        /// The measured load.
        weight: u64,
        /// The measured lag, where the owner knows it.
        lag_ms: Option<u64>,
        /// The worker the owner has chosen to have the lease next.
        offer: Option<WorkerId>,
        /// The records under suspicion from now on.
        suspect: Option<Suspect>,
    },
    /// The owner has stopped, and this far it came.
    Release {
        /// The new checkpoint; `None` if it has not moved.
        checkpoint: Option<Position>,
        /// The worker the lease is left for.
        next: Option<WorkerId>,
        /// The records that are still under suspicion.
        suspect: Option<Suspect>,
        /// Whether the shard is given back because it could not be worked. Nobody takes it for a
        /// while then.
        failed: bool,
    },
    /// Another worker would like to have the lease. Leaves the counter alone: the owner's next
    /// write must not fail for it.
    Ask {
        /// That worker.
        next: WorkerId,
    },
    /// The shard has ended and these are its children. Leaves the counter alone; whoever knows may
    /// say so.
    Note {
        /// The children, sorted.
        children: Vec<ShardId>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(name: &str, created: u64) -> Stream {
        let name = (!name.is_empty()).then(|| name.into());
        Stream { name, created: (created > 0).then_some(created), ..Stream::default() }
    }

    #[test]
    fn streams_differ_where_both_say_so() {
        let arn = "arn:aws:kinesis:eu-west-1:1:stream/raw";
        let elsewhere = "arn:aws:kinesis:eu-west-2:1:stream/raw";
        for (one, other, differ) in [
            (stream("raw", 1), stream("raw", 1), false),
            (stream("raw", 1), stream("raw", 2), true),
            (stream("raw", 1), stream("other", 1), true),
            (stream("raw", 0), stream("other", 0), true),
            // What is not known is not another one.
            (stream("", 0), stream("raw", 2), false),
            (stream("raw", 0), stream("", 2), false),
            (stream("raw", 0), stream("raw", 2), false),
            // A name is that of any ARN which ends so.
            (stream(arn, 1), stream("raw", 1), false),
            (stream(arn, 1), stream("raw-too", 1), true),
            (stream(arn, 1), stream(elsewhere, 1), true),
            (stream(arn, 1), stream(arn, 1), false),
        ] {
            assert_eq!(one.differs(&other), differ, "{one:?} {other:?}");
            assert_eq!(other.differs(&one), differ, "{other:?} {one:?}");
        }
    }

    fn write(expected: Counter, change: Change) -> Write {
        let key = LeaseKey::of(&ShardId::new("a"));
        Write { key, expected, id: WriteId(1), change }
    }

    /// Failures in a row are counted over all owners, and nothing but a failure makes them more.
    #[test]
    fn failures_are_counted_until_the_shard_is_worked() {
        let mut lease = Lease::new(&ShardId::new("a"), Position::TrimHorizon);
        let ended = Some(Position::ShardEnd);
        for (checkpoint, failed, failures) in [
            (None, true, 1),
            (None, true, 2),
            (ended.clone(), true, 1),
            (None, true, 2),
            (None, false, 0),
            (ended, false, 0),
        ] {
            let release = Change::Release { checkpoint, next: None, suspect: None, failed };
            lease = lease.apply(&write(lease.counter, release)).expect("the counter fits");
            assert_eq!(lease.failures, failures);
        }
    }

    /// What a take stores is where the shard starts, and no progress.
    #[test]
    fn a_take_may_say_where_the_shard_starts() {
        let mut lease = Lease::new(&ShardId::new("a"), Position::Latest);
        lease.owner_switches = 3;
        lease.stream = stream("raw", 0);
        let take = |start, stream| Change::Take {
            owner: WorkerId::stored("me"),
            switched: false,
            capacity: 1,
            duration_ms: 10_000,
            stream,
            start,
        };
        let start = Position::AtTimestamp(Some(5));
        let taken = take(Some(start.clone()), stream("", 7));
        let lease = lease.apply(&write(lease.counter, taken)).expect("the counter fits");
        assert_eq!((&lease.checkpoint, lease.owner_switches), (&start, 3));
        assert_eq!((&lease.stream, lease.duration_ms), (&stream("raw", 7), Some(10_000)));
        let again = take(None, stream("", 0));
        let lease = lease.apply(&write(lease.counter, again)).expect("the counter fits");
        assert_eq!((lease.checkpoint, lease.stream), (start, stream("raw", 7)));
    }

    #[test]
    fn of_several_streams_those_that_are_read_count() {
        let lease = |name: &str| Lease::new(&ShardId::new(name), Position::TrimHorizon);
        let several = ["1:a:7".to_owned(), "1:b:8".to_owned()];
        let several = Stream { several: several.into(), ..Stream::default() };
        for (name, of_several, of_one) in [
            ("1:a:7:shardId-000000000000", false, true),
            ("1:b:8:shardId-000000000000", false, true),
            ("1:a:9:shardId-000000000000", true, true),
            ("1:c:7:shardId-000000000000", true, true),
            ("shardId-000000000000", true, false),
        ] {
            assert_eq!(lease(name).is_foreign_to(&several), of_several, "{name}");
            assert_eq!(lease(name).is_foreign_to(&Stream::default()), of_one, "{name}");
        }
    }
}
