//! The settings of a keeper.

use std::time::Duration;

use crate::lease::WorkerId;
use crate::position::Position;
use crate::shards::Initial;

/// The settings of a keeper. All workers of a fleet should agree on them, `worker_id` and
/// `capacity` excepted; a worker with a shorter `lease_duration` than the others would take leases
/// that are still alive.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name of this run of this process.
    pub worker_id: WorkerId,
    /// A lease whose counter has not moved for so long may be taken from its owner.
    pub lease_duration: Duration,
    /// How often a held lease is written.
    pub renew_interval: Duration,
    /// How often the table is read, in a fleet of ordinary size.
    pub scan_interval: Duration,
    /// How often an item is read whose hand-over to us is under way.
    pub poll_interval: Duration,
    /// How long one operation of the store may take before its outcome counts as unknown.
    pub store_timeout: Duration,
    /// Where a shard starts that descends from none we know.
    pub initial_position: Position,
    /// What [`Position::Latest`] means, in milliseconds since 1970: when this run began. A lease
    /// stores this time, so that what is written from then on is read by whoever comes later.
    /// A keeper that is not told takes the time at which it is started.
    pub latest_ms: Option<i64>,
    /// The size of this worker relative to its peers: twice the capacity, twice the load.
    pub capacity: u32,
    /// The most leases this worker holds.
    pub max_held: usize,
    /// A lease stays at least so long with its owner before another worker asks for it.
    pub residence: Duration,
    /// The most leases this worker asks its peers for in a minute.
    pub moves_per_minute: u32,
}

/// Long enough for a slow reply and a pause, short enough not to be missed by an operator.
const LEASE_DURATION: Duration = Duration::from_secs(10);

impl Config {
    /// The defaults, for a lease duration of ten seconds.
    pub fn new(worker_id: WorkerId) -> Config {
        Config::with_lease_duration(worker_id, LEASE_DURATION)
    }

    /// The defaults, scaled to another lease duration.
    pub fn with_lease_duration(worker_id: WorkerId, lease_duration: Duration) -> Config {
        Config {
            worker_id,
            lease_duration,
            // Three renewals fit into a lease, so two may fail.
            renew_interval: lease_duration / 3,
            // A crash is seen two seconds after it counts as one.
            scan_interval: lease_duration / 5,
            // A hand-over should cost less than half a second.
            poll_interval: lease_duration / 40,
            // A write that takes longer than the interval is in the way of the next one.
            store_timeout: lease_duration / 3,
            initial_position: Position::TrimHorizon,
            latest_ms: None,
            capacity: 1,
            max_held: 10_000,
            residence: lease_duration * 3,
            moves_per_minute: 60,
        }
    }

    /// Where a shard starts that descends from none we know, by a time where it is one.
    pub(crate) fn initial(&self) -> Initial {
        Initial { position: self.initial_position.clone(), latest_ms: self.latest_ms.unwrap_or(0) }
    }

    /// What is kept between the end of our right to write output and the moment another worker
    /// may take the lease. Two clocks that drift 10 % in opposite directions need 0.182 of the
    /// lease duration.
    pub fn margin(&self) -> Duration {
        self.lease_duration / 5
    }
}
