//! Lineage: which leases a stream's shards need.

use crate::position::ShardId;

/// A shard as the stream lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its name.
    pub id: ShardId,
    /// The shards it was split or merged from: none, one or two.
    pub parents: Vec<ShardId>,
    /// The first and last hash key it takes records for, in decimal.
    pub hash_range: Option<(String, String)>,
    /// No more records are written to it: it has an ending sequence number.
    pub closed: bool,
}
