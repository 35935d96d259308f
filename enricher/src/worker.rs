//! What the loops of a worker's shards have in common.
//!
//! A [`plan`] says what it is going to be, [`build`] makes it, [`crate::life`] runs it.

pub mod build;
pub mod destinations;
pub mod enriching;
pub mod examples;
pub mod plan;
pub mod watched;

use std::sync::Arc;

use lookups::Lookups;
use resolver::Resolver;

use crate::budget::{Budget, Hurry};
use crate::metrics::Metrics;
use crate::pool::Pool;
use crate::pulse::Pulse;
use crate::sink::Sinks;
use crate::source::Source;
use crate::witness::Witness;

/// The most batches of one shard that are worked on or wait in an object. Bytes are what bounds
/// them in practice; this keeps a shard of tiny batches from making tasks without end.
pub const IN_FLIGHT: usize = 1024;

/// Everything a shard's loop uses, shared by all of them.
pub struct Worker {
    /// Where batches come from.
    pub source: Arc<dyn Source>,
    /// What makes output of them.
    pub pipeline: enriching::Newest,
    /// Where schemas come from.
    pub resolver: Resolver,
    /// Who answers look-ups.
    pub lookups: Arc<Lookups>,
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
    /// Whether it still turns.
    pub pulse: Pulse,
    /// Who is told what becomes of batches.
    pub witness: Option<Witness>,
}

/// What the sinks use, too.
#[derive(Clone)]
pub struct Shared {
    /// The threads that compute.
    pub pool: Arc<Pool>,
    /// The bytes in flight.
    pub budget: Arc<Budget>,
    /// The call to close what is open.
    pub hurry: Hurry,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl Shared {
    /// With a budget of so many bytes, and nothing counted yet.
    pub fn new(pool: Arc<Pool>, bytes_in_flight: usize) -> Shared {
        let hurry = Hurry::default();
        let budget = Arc::new(Budget::new(bytes_in_flight, hurry.clone()));
        Shared { pool, budget, hurry, metrics: Arc::new(Metrics::new()) }
    }
}

impl Worker {
    /// A worker of these parts, with no look-ups.
    pub fn new(
        source: Arc<dyn Source>,
        pipeline: enriching::Newest,
        resolver: Resolver,
        sinks: Sinks,
        shared: Shared,
    ) -> Worker {
        let Shared { pool, budget, hurry, metrics } = shared;
        let (caution, lookups) = (tokio::sync::Mutex::default(), Arc::default());
        Worker {
            source,
            pipeline,
            resolver,
            lookups,
            pool,
            sinks,
            budget,
            caution,
            hurry,
            metrics,
            pulse: Pulse::default(),
            witness: None,
        }
    }

    /// The same with those who answer its pipeline's look-ups.
    #[must_use]
    pub fn with_lookups(self, lookups: Arc<Lookups>) -> Worker {
        Worker { lookups, ..self }
    }

    /// The same, and somebody is told what becomes of batches.
    #[must_use]
    pub fn with_witness(self, witness: Witness) -> Worker {
        Worker { witness: Some(witness), ..self }
    }
}
