//! What the loops of a worker's shards have in common.
//!
//! [`parts`] builds it in production from a configuration; [`crate::life`] runs it.

pub mod enriching;
pub mod parts;
pub mod watched;

use std::sync::Arc;

use resolver::Resolver;

use crate::budget::{Budget, Hurry};
use crate::metrics::Metrics;
use crate::pool::Pool;
use crate::sink::Sinks;
use crate::source::Source;

/// Everything a shard's loop uses, shared by all of them.
pub struct Worker {
    /// Where batches come from.
    pub source: Arc<dyn Source>,
    /// What makes output of them.
    pub pipeline: enriching::Newest,
    /// Where schemas come from.
    pub resolver: Resolver,
    /// The threads that compute.
    pub pool: Arc<Pool>,
    /// Where output goes.
    pub sinks: Sinks,
    /// The bytes in flight.
    pub budget: Arc<Budget>,
    /// Whose turn it is to work on records that may kill the worker.
    pub caution: tokio::sync::Mutex<()>,
    /// The call to close what is open.
    pub hurry: Hurry,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}
