//! The life of a worker: ready, draining, ended.

use std::sync::Arc;
use std::time::Duration;

use lease::LeaseStore;

use crate::causes::chain;
use crate::fleet::Fleet;
use crate::shard;
use crate::signal::Stop;
use crate::worker::Worker;

/// How a worker came to its end.
#[derive(Debug)]
pub enum End {
    /// Everything read is durable and every lease released.
    Drained,
    /// The grace ran out, or a second signal came: what was in flight is read again by others.
    CutOff,
    /// A shard could not be worked on; the others were drained.
    Failed(shard::Error),
    /// The lease table cannot be used.
    Leaseless(lease::Error),
}

/// How often the keeper's counts are copied into the metrics.
const STATUS: Duration = Duration::from_secs(1);

/// Runs a worker until it is asked to stop or cannot go on.
pub async fn run(
    worker: Arc<Worker>,
    store: Arc<dyn LeaseStore>,
    leases: lease::Config,
    grace: Duration,
    stop: Stop,
) -> End {
    let (keeper, leases) = lease::Keeper::start(store, leases);
    let mut fleet = Fleet::new(Arc::clone(&worker), keeper.clone(), leases);
    let counting = async {
        let mut told = lease::Status::default();
        loop {
            let status = keeper.status();
            worker.metrics.leases(&status);
            tell(&told, &status);
            told = status;
            worker.metrics.in_flight(worker.budget.taken(), worker.budget.limit());
            worker.metrics.schemas(&worker.resolver.figures());
            tokio::time::sleep(STATUS).await;
        }
    };
    let life = async {
        let failed = tokio::select! {
            end = fleet.run() => end.err(),
            () = stop.drain.cancelled() => None,
        };
        stop.drain.cancel();
        match tokio::time::timeout(grace, drain(&keeper, &mut fleet)).await {
            Ok(also) => match failed.or(also) {
                Some(error) => End::Failed(error),
                None => fleet.join().await.map_or_else(End::Leaseless, |()| End::Drained),
            },
            Err(_) => {
                tracing::error!(seconds = grace.as_secs(), "gave up draining");
                End::CutOff
            }
        }
    };
    let end = tokio::select! {
        end = life => end,
        () = stop.now.cancelled() => End::CutOff,
        never = counting => never,
        () = worker.resolver.keep_fresh() => unreachable!("it asks for ever"),
    };
    worker.metrics.leases(&keeper.status());
    log(&end);
    end
}

/// Says what an operator has to do something about, when it comes up.
fn tell(before: &lease::Status, now: &lease::Status) {
    if now.foreign > before.foreign {
        tracing::error!(
            leases = now.foreign,
            "the lease table is of another stream of this name, created at another time; nothing \
             of it is worked on. If the stream was created anew, delete the table, or name a new \
             one in [leases] table"
        );
    }
    if now.unreadable > before.unreadable {
        let items = now.unreadable;
        tracing::error!(items, "leases that cannot be read are left alone, and their shards too");
    }
}

/// Gives every lease back once its shard has nothing in flight. Answers with the first failure.
async fn drain(keeper: &lease::Keeper, fleet: &mut Fleet) -> Option<shard::Error> {
    let joined = async {
        let mut first = None;
        while let Err(error) = fleet.run().await {
            first.get_or_insert(error);
        }
        first
    };
    let (first, ()) = tokio::join!(joined, keeper.drain());
    first
}

fn log(end: &End) {
    match end {
        End::Drained => tracing::info!("drained"),
        End::CutOff => tracing::error!("ended with batches in flight; they will be read again"),
        End::Failed(error) => tracing::error!(error = chain(error), "a shard failed"),
        End::Leaseless(error) => tracing::error!(error = chain(error), "leases failed"),
    }
}
