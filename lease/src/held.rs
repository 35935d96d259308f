//! [`Held`]: the only right to advance a shard.
//!
//! A `Held` comes from the keeper alone and lives with one shard's task. It says where to start,
//! takes note of how far the work is, and says until when output may be written. It writes
//! nothing itself; the keeper looks here for the position that the next renewal carries.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::lease::{Counter, LeaseKey, Suspect};
use crate::position::{Position, ShardId};
use crate::protocol::{Announcement, Grant};

/// The right to read one shard, write its output and advance its position. There is one at a time
/// for a shard; dropping it gives the lease back at the last position reached.
#[derive(Debug)]
pub struct Held {
    shared: Arc<Shared>,
}

impl Held {
    pub(crate) fn new(shared: Arc<Shared>) -> Held {
        Held { shared }
    }

    /// The shard that may be worked.
    pub fn shard(&self) -> &ShardId {
        self.shared.key.shard()
    }

    /// The lease's key.
    pub fn key(&self) -> &LeaseKey {
        &self.shared.key
    }

    /// The number of this ownership. A later owner of the shard has a larger one.
    pub fn epoch(&self) -> u64 {
        self.shared.epoch.0
    }

    /// How many owners in a row went without advancing the shard, this one not counted. Two or
    /// more mean that a record may be killing its workers.
    pub fn fruitless_owners(&self) -> u64 {
        self.shared.fruitless_owners
    }

    /// The records that the last owner was working on by themselves, as it had said by
    /// [`announce`](Held::announce), when it died or was cut off.
    pub fn suspected(&self) -> Option<&Suspect> {
        self.shared.suspected.as_ref()
    }

    /// Says that the task will now work on these records and nothing else, or that no record is
    /// under suspicion any more. Resolves when that is stored, with all that was advanced before.
    /// If the process dies of a record, the next owner knows where to look. Never resolves if the
    /// lease is lost meanwhile.
    pub async fn announce(&self, suspect: Option<Suspect>) {
        let mut stored = self.shared.on_record.subscribe();
        let number = {
            let mut state = self.shared.lock();
            state.announcement = Announcement { number: state.announcement.number + 1, suspect };
            state.announcement.number
        };
        self.shared.keeper.notify_one();
        // The sender is ours.
        let _ = stored.wait_for(|on_record| *on_record >= number).await;
    }

    /// How far the shard has been worked: where to start, and later the last position advanced to.
    pub fn position(&self) -> Position {
        self.shared.lock().position.clone()
    }

    /// Everything up to `to` is durable on every route. The next renewal stores it.
    ///
    /// # Panics
    /// If `to` is before the present position: a checkpoint that goes back loses the account of
    /// what was written.
    pub fn advance(&self, to: Position) {
        let mut state = self.shared.lock();
        let present = state.position.clone();
        if to >= present {
            state.position = to;
            return;
        }
        // The keeper needs the lock in good order.
        drop(state);
        panic!("{} went back from {present} to {to}", self.shared.key);
    }

    /// The position that is stored: where the next owner starts if this one dies.
    pub fn checkpoint(&self) -> Position {
        self.shared.lock().checkpoint.clone()
    }

    /// Takes note of work read from the shard, from which its weight is computed: so many bytes,
    /// the last of them so far behind the tip.
    pub fn worked(&self, bytes: u64, lag: Option<Duration>) {
        let mut state = self.shared.lock();
        state.bytes += bytes;
        state.lag = lag.or(state.lag);
    }

    /// No output request may start whose timeout reaches past this instant. It moves ahead with
    /// every acknowledged renewal.
    pub fn deadline(&self) -> Instant {
        self.shared.lock().deadline
    }

    /// Cancelled when the lease is no longer ours. Stop; nothing can be stored any more.
    pub fn lost(&self) -> CancellationToken {
        self.shared.lost.clone()
    }

    /// Cancelled when the lease is wanted elsewhere: stop reading, finish what is in flight, then
    /// [`release`](Held::release).
    pub fn asked_back(&self) -> CancellationToken {
        self.shared.asked_back.clone()
    }

    /// Gives the lease back: the final checkpoint and the owner's removal in one write. Resolves
    /// when that is stored, or when the lease turns out to be lost.
    pub async fn release(self) {
        let shared = self.shared.clone();
        drop(self);
        shared.gone.cancelled().await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.lock().dropped = true;
        self.shared.keeper.notify_one();
    }
}

/// What a `Held` and the keeper know of one another.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) key: LeaseKey,
    pub(crate) epoch: Counter,
    pub(crate) fruitless_owners: u64,
    pub(crate) suspected: Option<Suspect>,
    /// The number of the last announcement that is stored.
    pub(crate) on_record: watch::Sender<u64>,
    pub(crate) lost: CancellationToken,
    pub(crate) asked_back: CancellationToken,
    /// Cancelled by the keeper when the lease is released or lost.
    pub(crate) gone: CancellationToken,
    /// Wakes the keeper.
    pub(crate) keeper: Arc<Notify>,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) position: Position,
    /// The position that is known to be stored.
    checkpoint: Position,
    pub(crate) deadline: Instant,
    pub(crate) bytes: u64,
    pub(crate) lag: Option<Duration>,
    /// What the task is about to work on by itself.
    pub(crate) announcement: Announcement,
    pub(crate) dropped: bool,
}

impl Shared {
    pub(crate) fn new(grant: &Grant, deadline: Instant, keeper: Arc<Notify>) -> Shared {
        let state = State {
            position: grant.position.clone(),
            checkpoint: grant.position.clone(),
            deadline,
            bytes: 0,
            lag: None,
            announcement: Announcement::default(),
            dropped: false,
        };
        Shared {
            key: grant.key.clone(),
            epoch: grant.epoch,
            fruitless_owners: grant.fruitless_owners,
            suspected: grant.suspect.clone(),
            on_record: watch::Sender::default(),
            lost: CancellationToken::new(),
            asked_back: CancellationToken::new(),
            gone: CancellationToken::new(),
            keeper,
            state: Mutex::new(state),
        }
    }

    /// A renewal is acknowledged.
    pub(crate) fn stored(&self, deadline: Instant, checkpoint: Position) {
        let mut state = self.lock();
        (state.deadline, state.checkpoint) = (deadline, checkpoint);
    }

    pub(crate) fn lose(&self) {
        self.lost.cancel();
        self.gone.cancel();
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }
}
