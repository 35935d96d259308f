//! The shards of this worker: one task per held lease, started, joined, and replaced by nothing
//! when it ends. A shard that cannot be worked is given back with its lease, which nobody takes for
//! a while then; the others go on.
//!
//! Also keeps the keeper informed of the stream's shards: at the start, soon after a shard ended,
//! when its children want their leases, and once in a while.

use std::sync::Arc;
use std::time::Duration;

use lease::{Keeper, Leases};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::causes::chain;
use crate::shard::{self, End};
use crate::worker::Worker;

/// Between two listings of shards that nothing calls for. A reshard announces itself by a shard's
/// end to the worker that read it, and to the others by a lease that has ended and has no children.
const LISTING: Duration = Duration::from_secs(60);

/// How often the leases are looked at for that, and the most that listings are made.
const LOOKING: Duration = Duration::from_secs(5);

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

    /// Works the leases that come, until the keeper ends and every shard is done, or until a shard
    /// fails and no other is at work: then nothing here works.
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
                        Ok(Ok(End::ShardEnd)) => relist.notify_one(),
                        Ok(Ok(End::HandedOver | End::Lost)) => {}
                        Ok(Err(error)) if shards.is_empty() => return Err(error),
                        // It is told where it failed.
                        Ok(Err(_)) => {}
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

    /// Ends all shards where they stand. Their leases are given back at the last position reached.
    pub async fn stop(&mut self) {
        self.shards.shutdown().await;
        // What came and was not begun.
        while let Some(held) = self.leases.waiting() {
            drop(held);
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
            Err(error) => tracing::error!(
                %shard, epoch, error = chain(error),
                "the shard cannot be worked and is given back; nobody tries it for a while, longer \
                 each time"
            ),
        }
        end
    });
}

/// Lists shards for ever.
async fn list(worker: &Worker, keeper: &Keeper, relist: &Notify) {
    let mut known = false;
    loop {
        if !known {
            keeper.observe_stream(worker.source.stream().await);
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
                // The source tells operators of it, once a minute.
                tracing::debug!(error = chain(&error), "shards cannot be listed");
                // Perhaps it is being deleted, and made anew.
                known = false;
                LISTING_AGAIN
            }
        };
        tokio::select! {
            () = relist.notified() => {}
            () = tokio::time::sleep(pause) => {}
            () = unfollowed(keeper), if known => {}
        }
    }
}

/// Waits until a lease has ended of which nobody has created the children.
async fn unfollowed(keeper: &Keeper) {
    loop {
        tokio::time::sleep(LOOKING).await;
        if keeper.status().unfollowed > 0 {
            return;
        }
    }
}
