//! A look at everything that a worker needs, before it takes a lease: can the stream be read, can
//! every destination be written, is the lease table one.
//!
//! What somebody has to do something about (no permission, no such stream, bucket or table) ends
//! the worker here, where nothing was read and nothing is repeated. What passes by itself does not:
//! a worker that starts during an outage waits for its end.

use std::sync::Arc;
use std::time::Duration;

use lease::{Keeper, LeaseStore};

use crate::health::{self, Failure, Unfit};
use crate::sink::Sinks;
use crate::source::Source;

/// Looks at everything; the first thing that cannot be used is the answer.
pub async fn look(
    source: &dyn Source,
    store: &dyn LeaseStore,
    table: &str,
    sinks: &Sinks,
) -> Result<(), Unfit> {
    settle(source.look().await)?;
    for sink in sinks.all() {
        settle(sink.look().await)?;
    }
    for tables in sinks.tables() {
        settle(tables.look().await)?;
    }
    settle(look_at_table(store, table).await)
}

/// Looks at everything; all that cannot be used, in the order in which a worker would ask.
pub async fn look_at_all(
    source: &dyn Source,
    store: &dyn LeaseStore,
    table: &str,
    sinks: &Sinks,
) -> Vec<Unfit> {
    let mut unfit = Vec::new();
    unfit.extend(source.look().await.err());
    for sink in sinks.all() {
        unfit.extend(sink.look().await.err());
    }
    for tables in sinks.tables() {
        unfit.extend(tables.look().await.err());
    }
    unfit.extend(look_at_table(store, table).await.err());
    unfit
}

/// The most time that is spent on [`pin`], by a worker that is about to end.
const PINNING: Duration = Duration::from_secs(5);

/// Between two looks at whether every shard has its lease.
const GLANCE: Duration = Duration::from_millis(50);

/// Creates the leases that are missing and takes none. A worker that begins at the newest records
/// was asked for everything from its start on, fit or not: with that time in the leases, the one
/// that is fit goes on from there. If it cannot be written, that comes to light elsewhere.
pub async fn pin(source: &dyn Source, store: Arc<dyn LeaseStore>, mut leases: lease::Config) {
    leases.max_held = 0;
    let (keeper, _none) = Keeper::start(store, leases);
    let pinned = async {
        keeper.observe_stream(source.stream().await);
        let Ok(shards) = source.shards().await else { return };
        keeper.observe_shards(shards);
        let unusable = keeper.unusable();
        while keeper.status().missing != Some(0) && !unusable.is_cancelled() {
            tokio::time::sleep(GLANCE).await;
        }
    };
    if tokio::time::timeout(PINNING, pinned).await.is_err() {
        tracing::warn!("where the newest records begin could not be written to the lease table");
    }
}

/// What passes is left to those who use it: they tell of it and try again.
fn settle(looked: Result<(), Unfit>) -> Result<(), Unfit> {
    match looked {
        Err(unfit) if unfit.failure.is_of_credentials() && unfit.failure.passing => {
            health::tell_of_credentials(&unfit.failure);
            Ok(())
        }
        Err(unfit) if unfit.failure.passing => {
            let why = unfit.to_string();
            tracing::warn!(why, "starting all the same, since it may pass");
            Ok(())
        }
        looked => looked,
    }
}

async fn look_at_table(store: &dyn LeaseStore, table: &str) -> Result<(), Unfit> {
    let unfit = |action: &'static str, error: lease::Error| Unfit {
        what: format!("table {table}"),
        failure: Failure {
            action,
            status: None,
            code: None,
            passing: !matches!(error, lease::Error::Unusable(_)),
            message: error.to_string(),
        },
    };
    match store.open().await {
        Ok(()) => store.scan().await.map(drop).map_err(|error| unfit("Scan", error)),
        Err(error) => Err(unfit("DescribeTable", error)),
    }
}
