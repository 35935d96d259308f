//! From records to lines: pure, synchronous, the same output for the same input.

pub mod output;

use event::SchemaKey;
use validator::Schemas;

use crate::source::Batch;
pub use output::{Lines, Output};

/// Turns batches into output. Shared by all threads of a worker.
pub struct Pipeline {}

/// What became of a batch.
pub enum Outcome {
    /// Every event has its verdict.
    Done(Output),
    /// Schemas that nobody has asked for yet. Resolve them and process the batch again.
    Need(Vec<SchemaKey>),
}

impl Pipeline {
    /// Processes a batch. `now_ms` is stamped on every event and bad row of it.
    pub fn process(&self, _batch: &Batch, _schemas: &Schemas, _now_ms: i64) -> Outcome {
        todo!()
    }
}
