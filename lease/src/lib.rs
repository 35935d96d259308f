//! Who owns which shard.

pub mod position;

pub use position::{Position, SequenceNumber, ShardId};
