//! The lease table as operators look at it: when it was last read and written, and what it said
//! when it was not. Passes everything on as it is.

use std::sync::{Arc, Mutex, PoisonError};

use lease::store::{Outcome, Pending, Scan};
use lease::{Counter, Error, Lease, LeaseKey, LeaseStore, Write};

use crate::health::{Check, Failure, Health, Need};

/// A lease store that tells of its answers.
#[derive(Debug)]
pub struct Watched {
    inner: Arc<dyn LeaseStore>,
    reads: Arc<Check>,
    writes: Arc<Check>,
    seen: Arc<Owners>,
}

/// The leases as the table was last read.
#[derive(Debug, Default)]
pub struct Owners(Mutex<Vec<Owned>>);

/// Who works a shard, as the table says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The lease's name.
    pub shard: String,
    /// The worker, if somebody has it.
    pub owner: Option<String>,
    /// How far it was worked.
    pub checkpoint: String,
    /// How far its owner was behind when it last wrote, in milliseconds.
    pub lag_ms: Option<u64>,
    /// Its load, in bytes per second.
    pub bytes_per_second: u64,
    /// How often in a row it was given back because it could not be worked.
    pub failures: u32,
}

impl Owners {
    /// All leases, by name.
    pub fn now(&self) -> Vec<Owned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, leases: &[Lease]) {
        let owned = leases.iter().map(|lease| Owned {
            shard: lease.key.to_string(),
            owner: lease.owner.as_ref().map(|owner| owner.to_string()),
            checkpoint: lease.checkpoint.to_string(),
            lag_ms: lease.lag_ms,
            bytes_per_second: lease.weight,
            failures: lease.failures,
        });
        let mut owned: Vec<Owned> = owned.collect();
        owned.sort_by(|a, b| a.shard.cmp(&b.shard));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = owned;
    }
}

impl Watched {
    /// Watches a store under the name of its table.
    pub fn new(inner: Arc<dyn LeaseStore>, table: &str, health: &Health) -> Watched {
        let reads = health.check(format!("table {table}, reading"), Need::Always);
        let writes = health.check(format!("table {table}, writing"), Need::WhenUsed);
        Watched { inner, reads, writes, seen: Arc::default() }
    }

    /// Who works which shard, as the table was last read.
    pub fn owners(&self) -> Arc<Owners> {
        Arc::clone(&self.seen)
    }
}

/// An answer that is waited for. One that nobody waits for any more has failed, unless it came.
struct Waiting {
    check: Arc<Check>,
    action: &'static str,
    answered: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.answered {
            self.check.failed(&failure(self.action, "no answer in time".to_owned(), true));
        }
    }
}

fn failure(action: &'static str, message: String, passing: bool) -> Failure {
    Failure { action, status: None, code: None, message, passing }
}

fn watch<'a, T: Send + 'a>(
    check: &Arc<Check>,
    action: &'static str,
    answer: Pending<'a, T>,
) -> Pending<'a, T> {
    let mut waiting = Waiting { check: Arc::clone(check), action, answered: false };
    Box::pin(async move {
        let answer = answer.await;
        waiting.answered = true;
        match &answer {
            Ok(_) => waiting.check.succeeded(),
            Err(error) => {
                let passing = !matches!(error, Error::Unusable(_));
                waiting.check.failed(&failure(waiting.action, error.to_string(), passing));
            }
        }
        answer
    })
}

impl LeaseStore for Watched {
    fn open(&self) -> Pending<'_, ()> {
        watch(&self.reads, "DescribeTable", self.inner.open())
    }

    fn scan(&self) -> Pending<'_, Scan> {
        let scan = watch(&self.reads, "Scan", self.inner.scan());
        Box::pin(async move { scan.await.inspect(|scan| self.seen.note(&scan.leases)) })
    }

    fn get(&self, key: &LeaseKey) -> Pending<'_, Option<Lease>> {
        watch(&self.reads, "GetItem", self.inner.get(key))
    }

    fn create(&self, lease: Lease) -> Pending<'_, bool> {
        watch(&self.writes, "PutItem", self.inner.create(lease))
    }

    fn write(&self, write: Write) -> Pending<'_, Outcome> {
        watch(&self.writes, "UpdateItem", self.inner.write(write))
    }

    fn delete(&self, key: &LeaseKey, counter: Counter) -> Pending<'_, bool> {
        watch(&self.writes, "DeleteItem", self.inner.delete(key, counter))
    }
}
