//! A sink that keeps what it is given, for tests: it can be told to fail, and to hold its answers
//! back.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::seam::Pending;
use crate::sink::{Error, Part, Sink, Written, guard};

/// Lines in memory.
#[derive(Debug)]
pub struct Memory {
    lines: Mutex<Vec<Vec<u8>>>,
    failing: Mutex<Option<Error>>,
    open: watch::Sender<bool>,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory {
            lines: Mutex::default(),
            failing: Mutex::default(),
            open: watch::Sender::new(true),
        }
    }
}

impl Memory {
    /// Everything written so far.
    pub fn lines(&self) -> Vec<Vec<u8>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The next write fails like this.
    pub fn fail_once(&self, error: Error) {
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// Writes wait from now on.
    pub fn close(&self) {
        self.open.send_replace(false);
    }

    /// Writes go on.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// How many writes are under way.
    pub fn under_way(&self) -> usize {
        self.open.receiver_count()
    }

    async fn keep(&self, part: Arc<Part>) -> Result<Written, Error> {
        let mut open = self.open.subscribe();
        let opened = open.wait_for(|open| *open);
        guard(std::iter::once(&part.origin), opened).await?.expect("the sender is in self");
        if let Some(error) = self.failing.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.extend(part.lines.iter().map(<[u8]>::to_vec));
        part.origin.wrote(part.lines.len());
        Ok(Written::Durable)
    }
}

impl Sink for Memory {
    fn write(&self, part: Arc<Part>) -> Pending<'_, Result<Written, Error>> {
        Box::pin(self.keep(part))
    }
}
