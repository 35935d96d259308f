//! The keeper: the only writer of the lease table.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::config::Config;
use crate::error::Result;
use crate::held::Held;
use crate::shards::Shard;
use crate::store::LeaseStore;

/// A handle on the keeper; cheap to clone.
#[derive(Clone, Debug)]
pub struct Keeper {}

impl Keeper {
    /// Starts the keeper's task on the current runtime.
    pub fn start(_store: Arc<dyn LeaseStore>, _config: Config) -> (Keeper, Leases) {
        unimplemented!("follows")
    }

    /// A complete listing of the stream's shards, from which leases are created and deleted.
    /// The newest one counts. To be called at the start, every few seconds or minutes, and soon
    /// after a shard's end.
    pub fn observe_shards(&self, _shards: Vec<Shard>) {
        unimplemented!("follows")
    }

    /// What the keeper has done and sees.
    pub fn status(&self) -> Status {
        unimplemented!("follows")
    }

    /// Takes no more leases, asks every [`Held`] back, and resolves when all are released or lost.
    /// The stream of [`Leases`] ends then.
    pub async fn drain(&self) {
        unimplemented!("follows")
    }
}

/// The keeper's task and the leases it takes. Dropping it stops the keeper where it stands.
#[derive(Debug)]
pub struct Leases {
    taken: mpsc::Receiver<Held>,
    task: JoinSet<Result<()>>,
}

impl Leases {
    /// The next lease that became ours; `None` when the keeper has ended, because it was drained
    /// or because its store cannot be used.
    pub async fn next(&mut self) -> Option<Held> {
        self.taken.recv().await
    }

    /// Waits for the keeper's end, and says why, if it was not drained.
    pub async fn join(mut self) -> Result<()> {
        drop(self.taken);
        match self.task.join_next().await {
            Some(Ok(end)) => end,
            Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
            None => Ok(()),
        }
    }
}

/// Counts, for metrics. Those of the first group are the present state, the rest totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Leases held.
    pub held: u64,
    /// Leases in the table that still have records to read.
    pub known: u64,
    /// Of those, the ones that nobody owns.
    pub free: u64,
    /// Workers seen alive in the table, this one included.
    pub workers: u64,
    /// Conditional writes sent to the store, repetitions included.
    pub writes: u64,
    /// Writes whose outcome was unknown or that were throttled.
    pub write_errors: u64,
    /// Scans of the table.
    pub scans: u64,
    /// Scans that failed.
    pub scan_errors: u64,
    /// Single items read.
    pub reads: u64,
    /// Leases taken because nobody owned them.
    pub taken_free: u64,
    /// Leases taken because their owner had stopped renewing.
    pub taken_expired: u64,
    /// Leases taken because their owner handed them over.
    pub taken_over: u64,
    /// Leases released.
    pub released: u64,
    /// Leases lost to another worker.
    pub lost: u64,
    /// Leases asked of another worker.
    pub asked: u64,
    /// Leases created for new shards.
    pub created: u64,
    /// Leases deleted for finished shards.
    pub deleted: u64,
}
