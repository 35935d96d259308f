//! [`Memory`]: a lease table in memory, for tests and for a fleet within one process.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Mutex, MutexGuard};

use super::{LeaseStore, Outcome, Pending, Scan};
use crate::lease::{Counter, Lease, LeaseKey, Write};

/// A lease table in memory.
#[derive(Debug, Default)]
pub struct Memory {
    leases: Mutex<BTreeMap<LeaseKey, Lease>>,
}

impl Memory {
    /// An empty table.
    pub fn new() -> Memory {
        Memory::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<LeaseKey, Lease>> {
        self.leases.lock().expect("nothing panics while it holds this lock")
    }
}

impl LeaseStore for Memory {
    fn open(&self) -> Pending<'_, ()> {
        Box::pin(ready(Ok(())))
    }

    fn scan(&self) -> Pending<'_, Scan> {
        let leases = self.lock().values().cloned().collect();
        Box::pin(ready(Ok(Scan { leases, unreadable: 0 })))
    }

    fn get(&self, key: &LeaseKey) -> Pending<'_, Option<Lease>> {
        Box::pin(ready(Ok(self.lock().get(key).cloned())))
    }

    fn create(&self, lease: Lease) -> Pending<'_, bool> {
        let mut leases = self.lock();
        let free = !leases.contains_key(&lease.key);
        if free {
            leases.insert(lease.key.clone(), lease);
        }
        Box::pin(ready(Ok(free)))
    }

    fn write(&self, write: Write) -> Pending<'_, Outcome> {
        let mut leases = self.lock();
        let current = leases.get(&write.key).cloned();
        let outcome = match current.as_ref().and_then(|lease| lease.apply(&write)) {
            Some(lease) => {
                leases.insert(write.key, lease.clone());
                Outcome::Applied(lease)
            }
            None => Outcome::Refused(current),
        };
        Box::pin(ready(Ok(outcome)))
    }

    fn delete(&self, key: &LeaseKey, counter: Counter) -> Pending<'_, bool> {
        let mut leases = self.lock();
        let fits = leases.get(key).is_some_and(|l| l.counter == counter && l.ended());
        if fits {
            leases.remove(key);
        }
        Box::pin(ready(Ok(fits)))
    }
}
