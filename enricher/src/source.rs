//! Where batches come from: the [`Source`] seam, and [`Batches`], what a shard's loop reads.
//!
//! A source promises records in order, from the position it was asked to start at, none left out,
//! and a last batch that ends at [`Position::ShardEnd`] when the shard is closed and read to its
//! end. It may repeat records. It retries what passes by itself; what it reports does not.

pub mod kinesis;
pub mod local;
pub mod memory;

use std::sync::Arc;
use std::time::Duration;

use lease::{Position, Shard, ShardId, Stream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::batch::Batch;
use crate::budget::{Budget, Permit};
use crate::health::Unfit;
use crate::metrics::InFlight;
use crate::seam::Pending;

/// A stream cut into shards.
pub trait Source: Send + Sync {
    /// All shards the stream has now, closed ones included while it still knows them.
    fn shards(&self) -> Pending<'_, Result<Vec<Shard>, Error>>;

    /// Which stream it is, as far as that can be told. Others have shards of the same names.
    fn stream(&self) -> Pending<'_, Stream> {
        Box::pin(std::future::ready(Stream::default()))
    }

    /// Whether it could be read.
    fn look(&self) -> Pending<'_, Result<(), Unfit>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Reads one shard into an outlet until the shard ends or nobody takes batches any more.
    fn read(&self, shard: ShardId, from: Position, outlet: Outlet) -> Reading;
}

/// The work of reading one shard.
pub type Reading = Pending<'static, Result<(), Error>>;

/// Why a source cannot go on: retries are spent, or trying again would not help.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct Error {
    /// What was tried.
    pub doing: String,
    /// What came back.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// The batches of one shard, read ahead by one. Dropping it stops the reader.
#[derive(Debug)]
pub struct Batches {
    batches: mpsc::Receiver<(Batch, Permit)>,
    lag: watch::Receiver<Option<Duration>>,
    tip: watch::Receiver<bool>,
    reader: JoinHandle<Result<(), Error>>,
}

/// Where a reader puts its batches. Each waits for room in the budget first.
#[derive(Debug)]
pub struct Outlet {
    batches: mpsc::Sender<(Batch, Permit)>,
    lag: watch::Sender<Option<Duration>>,
    tip: watch::Sender<bool>,
    budget: Arc<Budget>,
}

/// Nobody reads this shard any more.
#[derive(Clone, Copy, Debug)]
pub struct Closed;

impl Batches {
    /// Opens a shard at a position.
    #[allow(clippy::disallowed_methods, reason = "this value owns the reader and aborts it")]
    pub fn open(
        source: &dyn Source,
        shard: &ShardId,
        from: Position,
        budget: &Arc<Budget>,
    ) -> Self {
        let (sender, batches) = mpsc::channel(1);
        let (told, lag) = watch::channel(None);
        let (reached, tip) = watch::channel(false);
        let budget = Arc::clone(budget);
        let outlet = Outlet { batches: sender, lag: told, tip: reached, budget };
        let reader = tokio::spawn(source.read(shard.clone(), from, outlet));
        Batches { batches, lag, tip, reader }
    }

    /// How far behind its tip the shard is read.
    pub fn lag(&self) -> Lag {
        Lag(self.lag.clone())
    }

    /// Whether all that the shard had when it was last asked has been handed over. A stream tells;
    /// what is handed over stands before it.
    pub fn tip(&self) -> watch::Receiver<bool> {
        self.tip.clone()
    }

    /// The next batch; `None` after the one that ends the shard. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<(Batch, Permit)>, Error> {
        if let Some(next) = self.batches.recv().await {
            return Ok(Some(next));
        }
        // Joined once: callers stop at `None` and at an error.
        match (&mut self.reader).await {
            Ok(result) => result.map(|()| None),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// How far behind its tip a shard is read.
#[derive(Debug)]
pub struct Lag(watch::Receiver<Option<Duration>>);

impl Lag {
    /// Waits until the stream says something new of it, with records or without. Cancel-safe.
    pub async fn next(&mut self) -> Duration {
        loop {
            if self.0.changed().await.is_err() {
                // The reader has ended, and says why by another way.
                std::future::pending::<()>().await;
            }
            if let Some(lag) = *self.0.borrow_and_update() {
                return lag;
            }
        }
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Outlet {
    /// Hands a batch over once the budget has room for it.
    pub async fn send(&self, batch: Batch) -> Result<(), Closed> {
        self.send_with(batch, None).await
    }

    /// Hands a batch over with what tells how long its records wait.
    pub async fn send_with(&self, batch: Batch, records: Option<InFlight>) -> Result<(), Closed> {
        let permit = self.budget.take(batch.cost()).await;
        let permit = match records {
            Some(records) => permit.with(records),
            None => permit,
        };
        self.batches.send((batch, permit)).await.map_err(|_| Closed)
    }

    /// Waits until the budget has room for a page.
    pub fn room(&self, bytes: usize) -> impl Future<Output = Permit> + use<> {
        let budget = Arc::clone(&self.budget);
        async move { budget.take_page(bytes).await }
    }

    /// Says whether all that the shard had is handed over.
    pub fn at_tip(&self, reached: bool) {
        self.tip.send_if_modified(|last| std::mem::replace(last, reached) != reached);
    }

    /// Says how far behind its tip the shard is read.
    pub fn behind(&self, lag: Duration) {
        self.lag.send_if_modified(|last| last.replace(lag) != Some(lag));
    }
}
