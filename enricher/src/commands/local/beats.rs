//! Once a second: how the run stands, told to whoever watches.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use lease::LeaseStore;
use serde::Serialize;
use tokio::sync::watch;

use super::fleet;
use super::pulse::{Pulse, Second, ShardBeats};
use super::store::{Store, Totals};
use crate::clock;
use crate::metrics::Metrics;
use crate::source::local::Local;

/// So many seconds of a shard are told at a time: the page remembers what it was told.
const NEWEST: usize = 1;

/// How a run stands.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Beat {
    pub(super) second: Second,
    pub(super) totals: Totals,
    /// The number of the newest event.
    pub(super) newest: u64,
    /// How many events are kept.
    pub(super) kept: usize,
    pub(super) shards: Vec<Shard>,
    pub(super) workers: Vec<Worker>,
}

/// How a shard stands.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Shard {
    pub(super) id: String,
    /// Who holds its lease.
    pub(super) owner: Option<String>,
    /// Who is to have it next.
    pub(super) next: Option<String>,
    /// Where a new owner would begin.
    pub(super) checkpoint: String,
    /// How many of its records no checkpoint has passed.
    pub(super) waiting: u64,
    #[serde(flatten)]
    pub(super) beats: ShardBeats,
}

/// How a worker stands.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Worker {
    pub(super) name: String,
    pub(super) held: u64,
    pub(super) enriched: u64,
    pub(super) bad: u64,
    pub(super) parked: u64,
    pub(super) objects: u64,
}

/// What is looked at.
pub(super) struct Beating<'r> {
    pub(super) pulse: &'r Pulse,
    pub(super) store: &'r Store,
    pub(super) stream: &'r Local,
    pub(super) leases: &'r dyn LeaseStore,
    pub(super) workers: &'r [(String, Arc<Metrics>)],
}

impl Beating<'_> {
    /// Looks once a second, for ever. The stream and the lease table are asked only while somebody
    /// watches.
    pub(super) async fn run(&self, beats: &watch::Sender<Beat>) -> anyhow::Result<Infallible> {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let shards = match beats.receiver_count() {
                0 => Vec::new(),
                _ => self.shards().await?,
            };
            let waiting = shards.iter().map(|shard| shard.waiting).sum();
            let second = self.pulse.beat(clock::now_ms(), waiting);
            let newest = *self.store.newest().borrow();
            beats.send_replace(Beat {
                second,
                totals: self.store.totals(),
                newest,
                kept: self.store.len(),
                shards,
                workers: self.workers.iter().map(worker).collect(),
            });
        }
    }

    async fn shards(&self) -> anyhow::Result<Vec<Shard>> {
        let scan = self.leases.scan().await?;
        let mut shards = Vec::new();
        for (id, from) in fleet::positions(self.stream, &scan).await? {
            let lease = scan.leases.iter().find(|lease| lease.key.shard() == &id);
            let name = |worker: &lease::WorkerId| worker.to_string();
            shards.push(Shard {
                owner: lease.and_then(|lease| lease.owner.as_ref().map(name)),
                next: lease.and_then(|lease| lease.next.as_ref().map(name)),
                checkpoint: from.to_string(),
                waiting: self.stream.left(&id, &from).await?,
                beats: self.pulse.shard(id.as_str(), NEWEST),
                id: id.to_string(),
            });
        }
        Ok(shards)
    }
}

fn worker((name, metrics): &(String, Arc<Metrics>)) -> Worker {
    let counts = metrics.counts();
    Worker {
        name: name.clone(),
        held: counts.held,
        enriched: counts.enriched,
        bad: counts.bad,
        parked: counts.parked,
        objects: counts.objects,
    }
}
