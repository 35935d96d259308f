//! Who owns which shard.

mod config;
mod error;
mod gauge;
mod held;
mod keeper;
mod lease;
mod plan;
pub mod position;
mod protocol;
mod shards;
mod sightings;
#[cfg(test)]
mod simulation;
pub mod store;

pub use config::Config;
pub use error::{Error, Result};
pub use held::Held;
pub use keeper::{Keeper, Leases, Status};
pub use lease::{Change, Counter, Lease, LeaseKey, WorkerId, Write, WriteId};
pub use position::{Position, SequenceNumber, ShardId};
pub use shards::Shard;
pub use store::{LeaseStore, Outcome, Scan};
