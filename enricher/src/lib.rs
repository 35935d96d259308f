//! The worker: reads batches of records, makes enriched events and bad rows of them, writes them,
//! and only then advances.
//!
//! The path of a batch is [`shard`]; [`fleet`] runs one such loop per held lease, and [`worker`]
//! puts everything together.

pub mod admin;
pub mod allocations;
pub mod assets;
pub mod aws;
pub mod backoff;
pub mod batch;
pub mod bucket_registry;
pub mod budget;
pub mod catalogs;
pub mod causes;
pub mod circuit;
pub mod clock;
pub mod commands;
pub mod config;
pub mod cores;
pub mod exit;
pub mod expiry;
pub mod fleet;
pub mod health;
pub mod hocon;
pub mod iam;
pub mod in_order;
pub mod life;
pub mod log;
pub mod metrics;
pub mod notices;
pub mod packed;
pub mod pages;
pub mod places;
pub mod pool;
pub mod preflight;
pub mod process;
pub mod pulse;
pub mod resolving;
pub mod rules;
pub mod seam;
pub mod shaping;
pub mod shard;
pub mod signal;
pub mod sink;
pub mod source;
pub mod statsd;
pub mod status;
pub mod supervisor;
pub mod tables;
pub mod terminal;
pub mod witness;
pub mod worker;
