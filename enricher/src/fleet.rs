//! The shards of this worker: one task per held lease, started, joined, and replaced by nothing
//! when it ends.
//!
//! Also keeps the keeper informed of the stream's shards: at the start, every so often, and soon
//! after a shard ended, when its children want their leases.

use std::sync::Arc;
use std::time::Duration;

use lease::{Keeper, Leases};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::causes::chain;
use crate::shard::{self, End};
use crate::worker::Worker;

/// Between two listings of shards. A reshard announces itself by a shard's end, but only to the
/// worker that read it, which may be gone; this is how long the children wait then.
const LISTING: Duration = Duration::from_secs(10);

/// Between two failed listings: soon, since without a listing nothing begins.
const LISTING_AGAIN: Duration = Duration::from_secs(1);

/// The tasks of all held shards. Dropping it stops them where they stand.
pub struct Fleet {
    worker: Arc<Worker>,
    keeper: Keeper,
    leases: Leases,
    shards: JoinSet<Result<End, shard::Error>>,
    relist: Notify,
}

impl Fleet {
    /// A fleet that takes its leases from a keeper.
    pub fn new(worker: Arc<Worker>, keeper: Keeper, leases: Leases) -> Fleet {
        Fleet { worker, keeper, leases, shards: JoinSet::new(), relist: Notify::new() }
    }

    /// Works the leases that come, until the keeper ends and every shard is done, or until the
    /// first error. After an error the other shards go on; call again to join them.
    pub async fn run(&mut self) -> Result<(), shard::Error> {
        let Fleet { worker, keeper, leases, shards, relist } = self;
        let mut taking = true;
        let work = async {
            while taking || !shards.is_empty() {
                tokio::select! {
                    held = leases.next(), if taking => match held {
                        Some(held) => start(shards, worker, held),
                        None => taking = false,
                    },
                    Some(end) = shards.join_next() => match end {
                        Ok(end) => if end? == End::ShardEnd { relist.notify_one() },
                        Err(error) => std::panic::resume_unwind(error.into_panic()),
                    },
                }
            }
            Ok(())
        };
        tokio::select! {
            end = work => end,
            () = list(worker, keeper, relist) => Ok(()),
        }
    }

    /// Why the keeper ended, once it has.
    pub async fn join(self) -> lease::Result<()> {
        self.leases.join().await
    }
}

fn start(shards: &mut JoinSet<Result<End, shard::Error>>, worker: &Arc<Worker>, held: lease::Held) {
    let worker = Arc::clone(worker);
    shards.spawn(async move {
        let (shard, epoch) = (held.shard().clone(), held.epoch());
        tracing::info!(%shard, epoch, position = %held.position(), "lease held");
        let end = shard::run(&worker, held).await;
        worker.metrics.shard_left(shard.as_str());
        match &end {
            Ok(end) => tracing::info!(%shard, epoch, ?end, "shard left"),
            Err(error) => tracing::error!(%shard, epoch, error = chain(error), "shard failed"),
        }
        end
    });
}

/// Lists shards for ever.
async fn list(worker: &Worker, keeper: &Keeper, relist: &Notify) {
    let mut known = false;
    loop {
        if !known && let Some(created) = worker.source.created().await {
            keeper.observe_stream(created);
        }
        known = true;
        let listing = worker.source.shards().await;
        worker.metrics.listed(listing.as_ref().map(drop).map_err(drop));
        let pause = match listing {
            Ok(shards) => {
                keeper.observe_shards(shards);
                LISTING
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "shards cannot be listed");
                // Perhaps it is being deleted, and made anew.
                known = false;
                LISTING_AGAIN
            }
        };
        let _ = tokio::time::timeout(pause, relist.notified()).await;
    }
}
