//! What a person may do to a lease table: look at it, ask for a lease's release, set a checkpoint.
//!
//! These write leases besides the keepers, by the same conditional writes. A release is a request
//! that a living owner grants when its work in flight is done. A reset takes the lease away from
//! its owner at once; the owner finds out with its next renewal, and until then both it and the
//! next owner may write output, so what is read again may be interleaved with what was being
//! written.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::lease::{Change, Lease, LeaseKey, WorkerId, Write, WriteId};
use crate::position::Position;
use crate::store::{LeaseStore, Outcome};

/// How often a write is tried again because the owner renewed the lease in between.
const TRIES: usize = 10;

/// A lease, and whether it is alive.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The lease as it was at the end.
    pub lease: Lease,
    /// How long its counter has not moved; at least so long, if it never did while we looked.
    pub age: Duration,
    /// Whether its counter moved while we looked.
    pub moved: bool,
}

/// How often the table is read while it is watched: a lease moves every few seconds.
const GLANCE: Duration = Duration::from_secs(1);

/// Every lease, watched for a while: an owned lease that does not move for the lease duration is
/// expired. With no time to watch, none moves.
pub async fn list(store: &dyn LeaseStore, watch: Duration) -> Result<Vec<Row>> {
    let begun = Instant::now();
    let mut rows: BTreeMap<LeaseKey, Row> = BTreeMap::new();
    let mut moved: BTreeMap<LeaseKey, Instant> = BTreeMap::new();
    loop {
        let now = Instant::now();
        let leases = store.scan().await?.leases;
        let mut seen = BTreeMap::new();
        for lease in leases {
            let old = rows.get(&lease.key);
            if old.is_some_and(|old| old.lease.counter != lease.counter) {
                moved.insert(lease.key.clone(), now);
            }
            let since = moved.get(&lease.key);
            let age = now.duration_since(*since.unwrap_or(&begun));
            seen.insert(lease.key.clone(), Row { lease, age, moved: since.is_some() });
        }
        rows = seen;
        let left = watch.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Ok(rows.into_values().collect());
        }
        tokio::time::sleep(left.min(GLANCE)).await;
    }
}

/// Asks the owner of a lease to release it. Whoever has less to do takes it then, perhaps the same
/// worker again. Returns the lease with the request in it; `None` if there is no such lease, or
/// nobody owns it.
pub async fn release(
    store: &dyn LeaseStore,
    key: &LeaseKey,
    operator: &WorkerId,
) -> Result<Option<Lease>> {
    change(store, key, |lease| {
        lease.owner.is_some().then(|| Change::Ask { next: operator.clone() })
    })
    .await
}

/// Sets the checkpoint of a lease and removes its owner. Returns the lease as it is then; `None` if
/// there is no such lease.
pub async fn reset(
    store: &dyn LeaseStore,
    key: &LeaseKey,
    checkpoint: &Position,
) -> Result<Option<Lease>> {
    let to = checkpoint.clone();
    change(store, key, |_| {
        Some(Change::Release {
            checkpoint: Some(to.clone()),
            next: None,
            suspect: None,
            failed: false,
        })
    })
    .await
}

async fn change(
    store: &dyn LeaseStore,
    key: &LeaseKey,
    what: impl Fn(&Lease) -> Option<Change>,
) -> Result<Option<Lease>> {
    let mut current = store.get(key).await?;
    for _ in 0..TRIES {
        let Some(lease) = &current else { return Ok(None) };
        let Some(change) = what(lease) else { return Ok(None) };
        let id = WriteId(fastrand::u64(..));
        let write = Write { key: key.clone(), expected: lease.counter, id, change };
        match store.write(write.clone()).await? {
            Outcome::Applied(lease) => return Ok(Some(lease)),
            Outcome::Refused(Some(lease)) if lease.is_written_by(&write) => {
                return Ok(Some(lease));
            }
            Outcome::Refused(lease) => current = lease,
        }
    }
    Err(Error::Unavailable(format!("lease {key} is written all the time").into()))
}
