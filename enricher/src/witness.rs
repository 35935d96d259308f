//! What became of each batch, told to somebody who looks on. A fleet's workers have nobody who
//! does; those of `snowmelt local` show it to whoever sent the events.
//!
//! It is told when the lines are handed to the sinks, since objects may stay open for a while
//! after that. Whoever looks on and falls behind holds the shards up: nothing is left out.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::batch::Batch;
use pipeline::Output;

/// A batch and what became of it.
#[derive(Debug)]
pub struct Seen {
    /// Who worked it.
    pub worker: Arc<str>,
    /// The records.
    pub batch: Batch,
    /// Their lines and verdicts.
    pub output: Output,
    /// When it was processed, in milliseconds since the epoch.
    pub now_ms: i64,
}

/// One worker's end.
#[derive(Clone, Debug)]
pub struct Witness {
    worker: Arc<str>,
    seen: mpsc::Sender<Seen>,
}

impl Witness {
    /// Tells of a worker by that name.
    pub fn of(worker: &str, seen: mpsc::Sender<Seen>) -> Witness {
        Witness { worker: worker.into(), seen }
    }

    /// Tells of a batch. Who has stopped looking on need not know.
    pub async fn tell(&self, batch: &Batch, output: &Output, now_ms: i64) {
        let (worker, batch, output) = (Arc::clone(&self.worker), batch.clone(), output.clone());
        let _ = self.seen.send(Seen { worker, batch, output, now_ms }).await;
    }
}
