//! Connections to one database: so many at most, idle ones kept.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::Outage;

/// Opens connections.
pub(crate) trait Dial: Send + Sync {
    /// What questions are asked over, one after the other.
    type Connection: Send;

    /// Opens one.
    fn dial(&self) -> impl Future<Output = Result<Self::Connection, Outage>> + Send;

    /// Whether an idle one is known to be closed.
    fn is_closed(connection: &Self::Connection) -> bool;
}

pub(crate) struct Pool<D: Dial> {
    pub(crate) dial: D,
    permits: Semaphore,
    idle: Mutex<Vec<D::Connection>>,
}

/// A connection in use. Dropped, it is closed; what is worth keeping is given back.
pub(crate) struct Taken<'p, D: Dial> {
    pub(crate) connection: D::Connection,
    /// Whether it was opened just for this.
    pub(crate) fresh: bool,
    idle: &'p Mutex<Vec<D::Connection>>,
}

impl<D: Dial> Pool<D> {
    pub(crate) fn new(dial: D, connections: usize) -> Pool<D> {
        Pool { dial, permits: Semaphore::new(connections), idle: Mutex::default() }
    }

    /// The right to take a connection. Waiting for it has no bound of its own: who is before has
    /// one.
    pub(crate) async fn room(&self) -> SemaphorePermit<'_> {
        self.permits.acquire().await.expect("the semaphore is never closed")
    }

    /// A connection, for one who has the right.
    pub(crate) async fn take(&self, _room: &SemaphorePermit<'_>) -> Result<Taken<'_, D>, Outage> {
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|connection| !D::is_closed(connection));
            idle.pop()
        };
        let (connection, fresh) = match idle {
            Some(connection) => (connection, false),
            None => (self.dial.dial().await?, true),
        };
        Ok(Taken { connection, fresh, idle: &self.idle })
    }
}

impl<D: Dial> Taken<'_, D> {
    /// Keeps the connection for others.
    pub(crate) fn give_back(self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.connection);
    }
}
