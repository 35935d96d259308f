//! [`Status`]: what a keeper has done and sees, for metrics.

/// What a keeper has done and sees. Down to `workers` it is the present state, the rest are totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Leases held, with the right to work them: taken, and renewed in time.
    pub held: u64,
    /// Leases in the table that still have records to read.
    pub known: u64,
    /// Items of the table that call themselves leases and cannot be read.
    pub unreadable: u64,
    /// Leases of another stream than ours, or of one of the same name that is no more.
    pub foreign: u64,
    /// Leases that nobody works since they were given back after a failure a short while ago.
    pub paused: u64,
    /// Leases that have ended and whose children have none: the shards are to be listed.
    pub unfollowed: u64,
    /// Shards whose leases are still to be created, as soon as shards are listed and leases read.
    pub missing: Option<u64>,
    /// Of the known ones, those that nobody works and that could be taken.
    pub free: u64,
    /// Workers seen alive in the table, this one included.
    pub workers: u64,
    /// Conditional writes sent to the store, repetitions included.
    pub writes: u64,
    /// Writes whose outcome was unknown or that were throttled.
    pub write_errors: u64,
    /// Scans of the table.
    pub scans: u64,
    /// Leases that the scans read.
    pub items: u64,
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
    /// Of these, those that were given back because the shard could not be worked.
    pub failed: u64,
    /// Leases lost to another worker.
    pub lost: u64,
    /// Leases asked of another worker.
    pub asked: u64,
    /// Leases created for new shards.
    pub created: u64,
    /// Leases deleted for finished shards.
    pub deleted: u64,
}
