//! The worker: reads batches of records, makes enriched events and bad rows of them, writes them,
//! and only then advances.

pub mod commands;
pub mod pipeline;
pub mod source;
pub mod terminal;
