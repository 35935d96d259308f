//! Who owns which shard.
//!
//! A fleet of workers shares the shards of a stream through one table. For every shard the table
//! has one item, its **lease**: who owns it, how far the shard has been worked (the checkpoint),
//! and a **counter**. Every write of a lease says which counter it expects and stores the next
//! one. So of two workers that saw the same item one is refused, and everything else follows from
//! who may write when. There is no leader, no clock but one's own, and no connection between
//! workers.
//!
//! # The life of a lease
//!
//! *Created* by any worker that knows a listing of the stream and misses the lease
//! ([`Keeper::observe_shards`]). Creating it twice is harmless. Where it starts is stored so that
//! it means the same to every owner: "the newest records" are those since a time. A lease that does
//! not say it so, of an earlier version or of the KCL, is told by the write that takes it.
//!
//! *Taken* by a worker that finds it free, left for it, or expired: one write sets the owner. The
//! counter it stores is the ownership's **epoch**. Taking is the only way to become an owner; the
//! worker's shard task gets a [`Held`] then.
//!
//! *Renewed* by its owner, three times in a lease duration, by one write that is heartbeat and
//! checkpoint: it carries the position that the task has reached by [`Held::advance`]. Nobody else
//! moves the counter of a lease that is alive.
//!
//! *Expired* if its counter has not moved for the lease duration before the eyes of another
//! worker, by that worker's own monotonic clock. A lease says what duration its owner goes by; of
//! two that differ, as while a fleet is changed from one to the other, the longer one counts. The
//! owner in turn starts no output that could
//! outlast [`Held::deadline`]: the lease duration, less a fifth, from the moment its last
//! acknowledged renewal was **sent**. The observer's time began later than that, and a fifth is
//! more than two clocks differ that go wrong by 10 % in opposite directions. So the old owner has
//! stopped when the new one begins, though neither knows of the other.
//!
//! *Released* by its owner when the task drops the `Held` or calls [`Held::release`]: one write
//! stores the last checkpoint and removes the owner.
//!
//! *Deleted* when its shard is worked to the end and all its children have long been begun.
//!
//! # Hand-over
//!
//! A worker with less to do than others writes its own name into a lease of a busier one, as the
//! **next** owner. This request leaves the counter alone, so the owner's renewals do not fail for
//! it; the reply to the next of them shows the request. The owner asks its task back, the task
//! finishes what is in flight and releases; the lease stays reserved for the next owner, who has
//! been reading that one item several times a second and takes it. The shard stands still for a
//! fraction of a second. If the next owner has died, the reservation ends after one scan interval
//! and anybody takes the lease.
//!
//! A worker that is told to stop ([`Keeper::drain`]) does the same from the other side: it names a
//! next owner for each of its leases in a renewal, works on for one scan interval so that they
//! notice, and then asks its tasks back.
//!
//! # What can go wrong
//!
//! *A reply is lost.* A lease has at most one write whose outcome is unknown. It is repeated
//! unchanged until the store answers, and every write stores a name of its own, so a worker that
//! is refused looks whether the write that was faster is its own. A lease is never given up
//! because of a lost reply, and if it is not known which attempt was stored, the deadline counts
//! from the first.
//!
//! *The store refuses* what cannot pass by itself (no permission, a table of another shape): the
//! keeper gives its leases back as far as that can be stored, and ends with that error. A table
//! that is gone is made again, and its leases are created as at the start. Everything else is
//! waited for.
//!
//! *A process stands still* for longer than the lease duration. When it goes on, its deadline has
//! passed, so it starts no output; its next renewal is refused, and the shard's task is told by
//! [`Held::lost`]. Losing a lease ends one shard's task and nothing else. A process that cannot
//! reach the store but is not refused either keeps its lease: if nobody took it, nothing happened.
//!
//! *A scan is stale.* What it shows of a counter may be old; a write based on it is refused and
//! shows the present. What it does not show at all may exist: a parent that seems to be missing is
//! read by itself before a child of it is begun.
//!
//! *A shard is split or merged.* A child's lease names its parents, is created after theirs, and
//! may be taken when they are at their shard's end. All that is a function of the listing and the
//! table, computed anew after every scan.
//!
//! *A task fails* and drops its `Held`. The lease is released, and says how often in a row that has
//! happened, whoever had it. Nobody takes it for a lease duration, twice that the next time, and so
//! on up to sixteen: a shard that cannot be worked ends neither one worker after another nor all.
//!
//! *A record kills its worker*, and the next one: [`Held::fruitless_owners`] counts how many owners
//! died since the checkpoint last moved. A task that is warned by it says by [`Held::announce`]
//! which records it is about to process, and goes on when that is stored. If it dies, its successor
//! finds them in [`Held::suspected`]: a range to look through one by one, or one record, and how
//! many owners have gone at it. What is under suspicion stays so, whoever has the lease, until the
//! checkpoint has passed it.
//!
//! *Two streams in one table*, or a stream that is deleted and created anew: the shards of both
//! have the same names. A lease says of which stream it is and when that was created; a worker of
//! another one leaves it alone ([`Keeper::observe_stream`]), and what descends from its shard waits
//! for the name to be free. When the old lease has been deleted and a new one created, the new
//! counter begins somewhere else: nothing that was seen of the old one, or is still on its way to
//! it, fits the new one.
//!
//! # Fairness
//!
//! A lease weighs what its owner reads from the shard, in bytes per second, up to twice that if it
//! lags, plus a little that makes idle leases count. Free leases are taken up to one's share of
//! all weight, by capacity; what nobody's share covers for one scan interval is taken by anybody.
//! A worker that has less to do than the mean, or than anybody else, asks a busier one for a lease
//! that has stayed there for a while, if their loads differ by a tenth and the move does not turn
//! the difference around; a worker with nothing gets a lease from any that has two. Asking is
//! bounded in number and by the minute.
//!
//! # Cost
//!
//! A held lease costs a write for each renewal, three in a lease duration, however often its
//! checkpoint moves. A scan reads the whole table, some 400 bytes to a lease: four times in a lease
//! duration by each of two workers, once by each of many, and once by one that is alone. Ended
//! leases are not renewed. [`Keeper::status`] counts both; docs/leases.md compares them with the
//! KCL's.
//!
//! # The parts
//!
//! `lease` is the item and [`Lease::apply`] every change to it. `sightings` says since when a
//! counter has not moved, `plan` what to take and ask for, `shards` what to create and delete;
//! `protocol` puts them together: an event and the time in, commands out. All of these are pure,
//! and `simulation` runs fleets of them under faults. The keeper performs the commands
//! against a [`LeaseStore`], of which there are three in [`store`]: DynamoDB in the layout of the
//! Kinesis Client Library, SQLite for the processes of one machine, and memory.
//! [`operator`] is for people.

mod config;
mod error;
mod gauge;
mod health;
mod held;
mod keeper;
mod lease;
pub mod operator;
mod plan;
pub mod position;
mod protocol;
mod shards;
mod sightings;
#[cfg(test)]
mod simulation;
mod status;
pub mod store;

pub use config::Config;
pub use error::{Error, Result};
pub use health::{Health, StoreHealth};
pub use held::Held;
pub use keeper::{Keeper, Leases};
pub use lease::{Change, Counter, Lease, LeaseKey, Stream, Suspect, WorkerId, Write, WriteId};
pub use position::{Position, SequenceNumber, ShardId};
pub use shards::Shard;
pub use status::Status;
pub use store::{LeaseStore, Outcome, Scan};
