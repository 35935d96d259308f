//! The lease table as operators look at it: when it was last read and written, and what it said
//! when it was not. Passes everything on as it is.

use std::sync::Arc;

use lease::store::{Outcome, Pending, Scan};
use lease::{Counter, Error, Lease, LeaseKey, LeaseStore, Write};

use crate::health::{Check, Failure, Health, Need};

/// A lease store that tells of its answers.
#[derive(Debug)]
pub struct Watched {
    inner: Arc<dyn LeaseStore>,
    reads: Arc<Check>,
    writes: Arc<Check>,
}

impl Watched {
    /// Watches a store under the name of its table.
    pub fn new(inner: Arc<dyn LeaseStore>, table: &str, health: &Health) -> Watched {
        let reads = health.check(format!("table {table}, reading"), Need::Always);
        let writes = health.check(format!("table {table}, writing"), Need::WhenUsed);
        Watched { inner, reads, writes }
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
        watch(&self.reads, "Scan", self.inner.scan())
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
