//! A look at everything that a worker needs, before it takes a lease: can the stream be read, can
//! every destination be written, is the lease table one.
//!
//! What somebody has to do something about (no permission, no such stream, bucket or table) ends
//! the worker here, where nothing was read and nothing is repeated. What passes by itself does not:
//! a worker that starts during an outage waits for its end.

use lease::LeaseStore;

use crate::health::{Failure, Unfit};
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
    look_at_table(store, table).await
}

/// What passes is left to those who use it: they tell of it and try again.
fn settle(looked: Result<(), Unfit>) -> Result<(), Unfit> {
    match looked {
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
        Ok(()) => settle(store.scan().await.map(drop).map_err(|error| unfit("Scan", error))),
        Err(error) => settle(Err(unfit("DescribeTable", error))),
    }
}
