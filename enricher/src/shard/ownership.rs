//! What one ownership of a shard has beside its lease: the number of batches that were read in it,
//! what is durable of them, and its part in tables that are told of every batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lease::{Held, Position};

use super::Error;
use crate::batch::Batch;
use crate::budget::Permit;
use crate::sink::Origin;
use crate::sink::iceberg::Run;
use crate::sink::tally::Tally;
use crate::worker::Worker;

/// One ownership of a shard.
pub(super) struct Ownership {
    tally: Arc<Tally>,
    /// How many batches there were.
    batches: AtomicU64,
    runs: Vec<Run>,
    /// Up to where some tables have the shard already, in their order.
    places: Vec<Position>,
}

impl Ownership {
    /// Takes the shard's part in all tables.
    pub(super) async fn begin(
        worker: &Worker,
        held: &Arc<Held>,
        tally: &Arc<Tally>,
    ) -> Result<Ownership, Error> {
        let mut runs = Vec::new();
        for tables in worker.sinks.tables() {
            runs.push(tables.begin(held).await?);
        }
        let mut places: Vec<Position> = runs.iter().filter_map(Run::place).cloned().collect();
        places.sort();
        Ok(Ownership { tally: Arc::clone(tally), batches: AtomicU64::new(0), runs, places })
    }

    /// Its part in each of the tables that are filled together.
    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// A batch so cut that all tables need either all of a piece or nothing.
    pub(super) fn pieces(&self, batch: Batch) -> Vec<Batch> {
        batch.cut(&self.places)
    }

    /// The same pieces, each with its part of a permit.
    pub(super) fn parts(&self, batch: Batch, mut permit: Permit) -> Vec<(Batch, Permit)> {
        let mut pieces = self.pieces(batch);
        let last = pieces.pop().expect("there is always one");
        let part = |piece: Batch| {
            let own = permit.part(piece.cost());
            (piece, own)
        };
        let mut parts: Vec<_> = pieces.into_iter().map(part).collect();
        parts.push((last, permit));
        parts
    }

    /// Where lines of the next batch come from; nowhere, if it has no records. Batches are to be
    /// asked for in the order in which they were read.
    pub(super) fn origin(&self, batch: &Batch, held: &Arc<Held>, now_ms: i64) -> Option<Origin> {
        let origin = Origin::of(batch, held, now_ms)?;
        let number = self.batches.fetch_add(1, Ordering::Relaxed);
        Some(origin.counted(number, &self.tally))
    }
}
