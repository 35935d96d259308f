//! The loop: what happens to a shard from the moment its lease is held.
//!
//! Batches are worked on side by side, as many as fit into the budget of bytes, and joined in the
//! order in which they were read, so a shard's progress is the end of the last one joined. Losing
//! the lease ends this loop and nothing else.

mod caution;
mod ownership;

use std::sync::Arc;

use lease::{Held, Position};
use tokio::time::Instant;

use crate::batch::Batch;
use crate::budget::Permit;
use crate::in_order::InOrder;
use crate::metrics::{self, Metrics, Repeat, Step};
use crate::resolving::{Attempt, Sources, resolving};
use crate::sink::tally::Tally;
use crate::sink::{self, Origin};
use crate::source::{self, Batches};
use crate::worker::{IN_FLIGHT, Worker};
use crate::{clock, cores, pool};
use caution::Caution;
use ownership::Ownership;
use pipeline::Output;

/// How the work on a shard came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The shard is closed and all of it is durable.
    ShardEnd,
    /// The lease was wanted elsewhere; everything read is durable.
    HandedOver,
    /// The lease is gone; its next owner repeats what was in flight.
    Lost,
}

/// Why the work on a shard cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The shard cannot be read.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// Output cannot be written.
    #[error(transparent)]
    Sink(#[from] sink::Error),
    /// A batch cannot be processed.
    #[error(transparent)]
    Pool(#[from] pool::Panicked),
}

/// Works one shard until it ends, is asked back, or its lease is lost.
pub async fn run(worker: &Arc<Worker>, held: Held) -> Result<End, Error> {
    let held = Arc::new(held);
    let lost = held.lost();
    let mut repeats = Repeats::of(worker, &held);
    let end = tokio::select! {
        biased;
        () = lost.cancelled() => Ok(End::Lost),
        end = work(worker, &held, &repeats.tally) => match end {
            Err(Error::Sink(sink::Error::Lost)) => Ok(End::Lost),
            end => end,
        },
    };
    repeats.why = match end {
        Ok(End::Lost) => Repeat::LeaseLost,
        Ok(End::ShardEnd | End::HandedOver) => Repeat::Stopped,
        Err(_) => Repeat::Failed,
    };
    end
}

/// Tells, when the work on a shard ends however it does, what its next owner writes again.
struct Repeats {
    metrics: Arc<Metrics>,
    held: Arc<Held>,
    tally: Arc<Tally>,
    why: Repeat,
}

impl Repeats {
    fn of(worker: &Worker, held: &Arc<Held>) -> Repeats {
        let (metrics, held) = (Arc::clone(&worker.metrics), Arc::clone(held));
        Repeats { metrics, held, tally: Arc::default(), why: Repeat::Stopped }
    }
}

impl Drop for Repeats {
    fn drop(&mut self) {
        // A lease that is given back is given back at the last position.
        let start = match self.why {
            Repeat::LeaseLost => self.held.checkpoint(),
            _ => self.held.position(),
        };
        self.metrics.repeats(self.why, self.tally.beyond(&start));
    }
}

async fn work(worker: &Arc<Worker>, held: &Arc<Held>, tally: &Arc<Tally>) -> Result<End, Error> {
    let asked_back = held.asked_back();
    let ownership = tokio::select! {
        biased;
        begun = Ownership::begin(worker, held, tally) => Arc::new(begun?),
        () = asked_back.cancelled() => return Ok(End::HandedOver),
    };
    let mut batches = Batches::open(&*worker.source, held.shard(), held.position(), &worker.budget);
    let mut lag = batches.lag();
    let mut in_flight = InOrder::new(IN_FLIGHT);
    let mut caution = Caution::of(held, worker, &ownership);
    let end = loop {
        tokio::select! {
            biased;
            () = asked_back.cancelled() => break End::HandedOver,
            Some(done) = in_flight.next() => {
                held.advance(done?);
                tally.settle(&held.checkpoint());
            }
            lag = lag.next() => held.worked(0, Some(lag)),
            next = batches.next(), if in_flight.has_room() => match next? {
                Some((batch, permit)) if !caution.is_over() => {
                    // Its pieces take permits of their own.
                    drop(permit);
                    for piece in ownership.pieces(batch) {
                        caution.work(worker, held, piece, &mut in_flight).await?;
                    }
                }
                Some((batch, permit)) => {
                    for (piece, permit) in ownership.parts(batch, permit) {
                        while !in_flight.has_room()
                            && let Some(done) = worker.hurry.until(in_flight.next()).await
                        {
                            held.advance(done?);
                        }
                        let origin = ownership.origin(&piece, held, clock::now_ms());
                        let (worker, held) = (Arc::clone(worker), Arc::clone(held));
                        let ownership = Arc::clone(&ownership);
                        in_flight.push(carry(worker, held, ownership, piece, origin, permit));
                    }
                }
                None => break End::ShardEnd,
            },
        }
    };
    drop(batches);
    while let Some(done) = worker.hurry.until(in_flight.next()).await {
        held.advance(done?);
    }
    Ok(end)
}

/// Carries one batch from records to durable output; returns where the shard then stands.
async fn carry(
    worker: Arc<Worker>,
    held: Arc<Held>,
    ownership: Arc<Ownership>,
    batch: Batch,
    origin: Option<Origin>,
    mut permit: Permit,
) -> Result<Position, Error> {
    worker.metrics.batch_read(&batch);
    held.worked(batch.bytes() as u64, batch.lag);
    let Some(origin) = origin else { return Ok(batch.end) };
    let now_ms = origin.now_ms;
    if let Some((oldest_ms, _)) = origin.arrived_ms {
        worker.metrics.begun(oldest_ms, now_ms);
    }

    let output = process(&worker, &batch, now_ms).await?;
    let end = batch.end.clone();
    finish(&worker, &ownership, batch, output, origin, &mut permit).await.map(|()| end)
}

/// What becomes of a batch.
async fn process(worker: &Worker, batch: &Batch, now_ms: i64) -> Result<Output, Error> {
    let started = Instant::now();
    let pipeline = Arc::clone(&worker.pipeline.borrow());
    let (pool, pipeline) = (&worker.pool, &pipeline);
    let attempt = |attempt: Attempt| async move {
        cores::process(pool, pipeline, batch, attempt, now_ms).await
    };
    let sources = Sources { resolver: &worker.resolver, lookups: &worker.lookups };
    let output = resolving(sources, attempt).await?;
    worker.metrics.processed(&output, started.elapsed());
    Ok(output)
}

/// Makes it durable.
async fn finish(
    worker: &Worker,
    ownership: &Ownership,
    batch: Batch,
    mut output: Output,
    origin: Origin,
    permit: &mut Permit,
) -> Result<(), Error> {
    let started = Instant::now();
    if let Some(witness) = &worker.witness {
        witness.tell(&batch, &output, origin.now_ms).await;
    }
    if worker.sinks.archives() {
        let stream = worker.pipeline.borrow().settings().stream.clone();
        output.raw = worker.pool.run(move || batch.archived(&stream)).await?;
    } else {
        drop(batch);
    }
    let (arrived_ms, collected_ms) = (origin.arrived_ms, metrics::collected_ms(&output));
    worker.sinks.write(output, origin, ownership.runs(), permit).await?;
    if let Some((oldest_ms, _)) = arrived_ms {
        worker.metrics.durable(oldest_ms, clock::now_ms());
    }
    if let Some(collected_ms) = collected_ms {
        worker.metrics.collected(collected_ms, clock::now_ms());
    }
    worker.metrics.took(Step::Write, started.elapsed());
    Ok(())
}
