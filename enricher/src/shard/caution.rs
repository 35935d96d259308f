//! Finding the record that kills workers.
//!
//! When owners of a shard die one after the other without advancing it, the next one reads with
//! caution: before it processes a batch, it stores in the lease which records these are, and that
//! they did no harm when they have passed. If it dies, its successor takes those records one by
//! one. If that one dies too, the record is tried once more, since an owner may have been paused or
//! killed while it worked on a harmless one; and if two have gone at it alone, it is parked, and
//! the shard goes on.
//!
//! One shard of a worker at a time has records under suspicion, so that it is clear of which of
//! them the worker died. Writing stays as it is, side by side: what is written kills nobody.

use std::sync::Arc;

use lease::{Held, Position, Suspect};

use super::ownership::Ownership;
use super::{Error, finish, process};
use crate::batch::{Batch, Record};
use crate::clock;
use crate::in_order::InOrder;
use crate::worker::Worker;
use pipeline::Output;

/// So many owners died without advancing the shard: one may have been unlucky.
const FRUITLESS: u64 = 2;

/// So many owners in a row went while they worked on one record and nothing else: what is a
/// coincidence once is none when it happens again at the very same record.
const TRIES: u32 = 2;

/// Caution that a shard is read with.
pub(super) struct Caution {
    /// Where to look for the killer.
    suspect: Option<Suspect>,
    /// The bytes to read before all is well again: what an owner may have had in flight.
    left: usize,
    /// How many owners died.
    deaths: u64,
    ownership: Arc<Ownership>,
}

type InFlight = InOrder<Result<Position, Error>>;

impl Caution {
    /// As much as a lease calls for.
    pub(super) fn of(held: &Held, worker: &Worker, ownership: &Arc<Ownership>) -> Caution {
        let suspect = held.suspected().cloned();
        let deaths = held.fruitless_owners();
        let called_for = suspect.is_some() || deaths >= FRUITLESS;
        if called_for {
            let shard = held.shard();
            tracing::warn!(%shard, deaths, "its owners keep dying; it is read with caution");
        }
        let left = if called_for { worker.budget.limit() } else { 0 };
        Caution { suspect, left, deaths, ownership: Arc::clone(ownership) }
    }

    /// Whether the shard may be read as usual.
    pub(super) fn is_over(&self) -> bool {
        self.left == 0
    }

    /// Works a batch piece by piece. Stops between two pieces if the lease is wanted elsewhere.
    pub(super) async fn work(
        &mut self,
        worker: &Arc<Worker>,
        held: &Arc<Held>,
        batch: Batch,
        in_flight: &mut InFlight,
    ) -> Result<(), Error> {
        self.left = self.left.saturating_sub(batch.bytes().max(1));
        let asked_back = held.asked_back();
        let _turn = worker.caution.lock().await;
        for piece in self.pieces(batch) {
            if asked_back.is_cancelled() {
                break;
            }
            settle(worker, in_flight, held).await?;
            self.piece(worker, held, piece, in_flight).await?;
        }
        held.announce(None).await;
        Ok(())
    }

    async fn piece(
        &self,
        worker: &Arc<Worker>,
        held: &Arc<Held>,
        piece: Batch,
        in_flight: &mut InFlight,
    ) -> Result<(), Error> {
        worker.metrics.batch_read(&piece);
        held.worked(piece.bytes() as u64, piece.lag);
        let now_ms = clock::now_ms();
        let mut permit = worker.budget.take(piece.cost()).await;
        let end = piece.end.clone();
        let origin = self.ownership.origin(&piece, held, now_ms);
        let records = records(&piece).map(|records| self.once_more(records));
        let killer = records.as_ref().is_some_and(|records| records.tries > TRIES);
        let output = match records {
            Some(records) if killer => {
                tracing::error!(shard = %held.shard(), record = %records.first,
                    "workers died on this record; it is parked");
                worker.pipeline.borrow().park(&piece.view(), self.deaths.max(1) as u32, now_ms)
            }
            Some(records) => {
                held.announce(Some(records)).await;
                process(worker, &piece, now_ms).await?
            }
            None => Output::default(),
        };
        let (carrier, ownership) = (Arc::clone(worker), Arc::clone(&self.ownership));
        in_flight.push(async move {
            match origin {
                Some(origin) => finish(&carrier, &ownership, piece, output, origin, &mut permit)
                    .await
                    .map(|()| end),
                None => Ok(end),
            }
        });
        // The next announcement takes the place of what is known of this record: the shard has to
        // be past it by then.
        while killer && let Some(done) = worker.hurry.until(in_flight.next()).await {
            held.advance(done?);
        }
        Ok(())
    }

    /// Records that are about to be tried, perhaps again. A range is not tried again as a whole.
    fn once_more(&self, records: Suspect) -> Suspect {
        match self.suspect.as_ref().filter(|suspect| suspect.is_same_as(&records)) {
            Some(suspect) if records.is_single() => {
                Suspect { tries: suspect.tries.saturating_add(1), ..records }
            }
            _ => records,
        }
    }

    /// Cuts a batch: the records that are known to be suspect are each a piece of their own.
    fn pieces(&self, batch: Batch) -> Vec<Batch> {
        let suspect = |record: &Record| {
            let known = self.suspect.as_ref();
            known.is_some_and(|suspect| suspect.contains(&place(record)))
        };
        let Batch { shard, records, lag, end } = batch;
        let mut pieces: Vec<Batch> = Vec::new();
        let mut alone = true;
        for record in records {
            let end = place(&record);
            let is_suspect = suspect(&record);
            match pieces.last_mut() {
                Some(piece) if !alone && !is_suspect => {
                    piece.records.push(record);
                    piece.end = end;
                }
                _ => {
                    let shard = shard.clone();
                    pieces.push(Batch { shard, records: vec![record], lag, end });
                }
            }
            alone = is_suspect;
        }
        match pieces.last_mut() {
            Some(piece) => piece.end = end,
            None => pieces.push(Batch { shard, records: Vec::new(), lag, end }),
        }
        pieces
    }
}

/// Takes note of what is durable by now, and makes room for more.
async fn settle(worker: &Worker, in_flight: &mut InFlight, held: &Held) -> Result<(), Error> {
    while !in_flight.has_room()
        && let Some(done) = worker.hurry.until(in_flight.next()).await
    {
        held.advance(done?);
    }
    loop {
        tokio::select! {
            biased;
            Some(done) = in_flight.next() => held.advance(done?),
            () = std::future::ready(()) => return Ok(()),
        }
    }
}

/// The records of a batch, by the positions after them.
fn records(batch: &Batch) -> Option<Suspect> {
    Some(Suspect::new(place(batch.records.first()?), place(batch.records.last()?)))
}

fn place(record: &Record) -> Position {
    Position::After { sequence: record.sequence.clone(), sub_sequence: record.sub_sequence }
}
