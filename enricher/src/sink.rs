//! Where output goes: the [`Sink`] seam, and [`Sinks`], which knows when a batch is durable on
//! every route it needs.
//!
//! A sink promises that what it reports as written stays written, that it starts no request for a
//! shard after that shard's output deadline, and that it never drops a line. It may write a line
//! twice. It retries what passes by itself.

pub mod kinesis;
pub mod local;
pub mod memory;
pub mod object;
pub mod put;
pub mod s3;
pub mod storage;

use std::sync::{Arc, Weak};

use lease::{Held, ShardId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::batch::{Batch, Record};
use crate::budget::Permit;
use crate::health::Unfit;
use crate::seam::{Pending, join};
pub use pipeline::Route;
use pipeline::{Lines, Output};

/// One place that takes the lines of one route.
pub trait Sink: Send + Sync {
    /// Writes the lines, or takes them over: the answer tells which.
    fn write(&self, part: Arc<Part>) -> Pending<'_, Result<Written, Error>>;

    /// Whether it could be written to, as far as that can be told without writing lines.
    fn look(&self) -> Pending<'_, Result<(), Unfit>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Cuts off what it does by itself, beside the futures of [`write`](Sink::write).
    fn stop(&self) {}
}

/// The lines of one batch for one route.
#[derive(Debug)]
pub struct Part {
    /// The lines; at least one.
    pub lines: Lines,
    /// Where they come from.
    pub origin: Origin,
}

/// The batch that lines come from, and the right to write them.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The shard that the batch was read from.
    pub shard: ShardId,
    /// The number of the ownership.
    pub epoch: u64,
    /// The lease. Not kept alive from here: what waits in an object must not keep a shard whose
    /// loop has ended.
    held: Weak<Held>,
    /// The first record: sequence number and sub-sequence.
    pub first: (lease::SequenceNumber, u64),
    /// The last record.
    pub last: (lease::SequenceNumber, u64),
    /// How many records there are.
    pub records: usize,
    /// When the batch was processed, in milliseconds since the epoch.
    pub now_ms: i64,
}

/// How a sink took a part.
#[derive(Debug)]
pub enum Written {
    /// It is durable.
    Durable,
    /// It was copied, and will be durable when the object it is in is.
    Held {
        /// What the copy occupies.
        bytes: usize,
        /// Tells when it is durable. A sink that went away without a word failed.
        done: oneshot::Receiver<Result<(), Error>>,
    },
}

/// Why lines could not be written, by what to do next.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The lease is gone: stop working on the shard. Its next owner reads the batch again.
    #[error("the lease was lost")]
    Lost,
    /// Retries are spent or would not help: stop the worker.
    #[error("{doing}: {why}")]
    Failed {
        /// What was tried.
        doing: String,
        /// What came back.
        why: String,
    },
}

/// All sinks by route.
#[derive(Default)]
pub struct Sinks {
    sinks: Vec<(Route, Arc<dyn Sink>)>,
}

impl Sinks {
    /// Adds a place to a route.
    pub fn with(mut self, route: Route, sink: Arc<dyn Sink>) -> Sinks {
        self.sinks.push((route, sink));
        self
    }

    /// Every place.
    pub fn all(&self) -> impl Iterator<Item = &dyn Sink> {
        self.sinks.iter().map(|(_, sink)| &**sink)
    }

    /// Writes everything a batch became; durable everywhere when this returns. The permit shrinks
    /// to what is held in objects as soon as the lines themselves are no longer needed.
    pub async fn write(
        &self,
        mut output: Output,
        origin: Origin,
        permit: &mut Permit,
    ) -> Result<(), Error> {
        let mut writes = Vec::with_capacity(self.sinks.len());
        for route in Route::ALL {
            let lines = std::mem::take(output.lines_mut(route));
            if lines.is_empty() {
                continue;
            }
            let part = Arc::new(Part { lines, origin: origin.clone() });
            let mut sinks = self.sinks.iter().filter(|(of, _)| *of == route).peekable();
            if sinks.peek().is_none() && route.has_verdicts() {
                // Going on would checkpoint past what is written nowhere.
                let why = "no destination is configured for this route";
                return Err(Error::failed(format!("writing {}", route.name()), why));
            }
            writes.extend(sinks.map(|(_, sink)| sink.write(Arc::clone(&part))));
        }
        let mut waiting = Vec::new();
        let mut held = 0;
        for written in join(writes).await {
            if let Written::Held { bytes, done } = written? {
                held += bytes;
                waiting.push(done);
            }
        }
        permit.rest(held);
        for done in waiting {
            done.await.unwrap_or_else(|_| Err(Error::gone()))?;
        }
        Ok(())
    }
}

impl Sinks {
    /// Cuts off everything that is being written. Nothing is written after that.
    pub fn stop(&self) {
        self.sinks.iter().for_each(|(_, sink)| sink.stop());
    }
}

impl Origin {
    /// Of a batch that has records.
    pub fn of(batch: &Batch, held: &Arc<Held>, now_ms: i64) -> Option<Origin> {
        let place = |record: &Record| (record.sequence.clone(), record.sub_sequence);
        Some(Origin {
            shard: held.shard().clone(),
            epoch: held.epoch(),
            held: Arc::downgrade(held),
            first: place(batch.records.first()?),
            last: place(batch.records.last()?),
            records: batch.records.len(),
            now_ms,
        })
    }

    /// Whether output may still be written: the lease is held and its deadline ahead.
    pub fn may_write(&self) -> bool {
        self.deadline().is_some_and(|deadline| Instant::now() < deadline)
    }

    /// Until when output may be written; `None` once the lease is gone.
    fn deadline(&self) -> Option<Instant> {
        let held = self.held.upgrade()?;
        (!held.lost().is_cancelled()).then(|| held.deadline())
    }
}

/// Runs a request only while every origin may write: it is not started when one may not, and cut
/// off when a deadline passes that no renewal moved. A request as long as a lease is fine as long
/// as the lease is renewed meanwhile.
pub async fn guard<T>(
    origins: impl Iterator<Item = &Origin> + Clone,
    request: impl Future<Output = T>,
) -> Result<T, Error> {
    let mut request = std::pin::pin!(request);
    while origins.clone().all(Origin::may_write) {
        let Some(deadline) = origins.clone().filter_map(Origin::deadline).min() else { break };
        tokio::select! {
            biased;
            result = &mut request => return Ok(result),
            () = tokio::time::sleep_until(deadline) => {}
        }
    }
    Err(Error::Lost)
}

impl Error {
    /// A failure to do something, for a reason that prints with all its causes.
    pub fn failed(doing: impl Into<String>, why: impl std::fmt::Display) -> Error {
        Error::Failed { doing: doing.into(), why: why.to_string() }
    }

    /// The sink's task ended.
    pub(crate) fn gone() -> Error {
        Error::failed("writing", "the sink has stopped")
    }
}
