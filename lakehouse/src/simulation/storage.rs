//! A storage of links as one worker meets it: calls wait, get lost, arrive late.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;

use super::bugs::Bug;
use super::weather::{Gate, Sky};
use super::worker::{Leases, shard};
use crate::files::Files;

/// What is stored, for all workers of a world.
pub(super) type Stored = Arc<Mutex<BTreeMap<String, Bytes>>>;

/// The storage as one worker meets it.
pub(super) struct Storage {
    pub(super) stored: Stored,
    pub(super) sky: Arc<Sky>,
    pub(super) gate: Gate,
    pub(super) leases: Arc<Mutex<Leases>>,
    pub(super) worker: usize,
    pub(super) bug: Option<Bug>,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "storage of worker {}", self.worker)
    }
}

fn silence() -> io::Error {
    io::Error::other("no answer came")
}

/// Puts a file where there is none; what became of it.
pub(super) fn put(stored: &Stored, location: &str, bytes: Bytes, over: bool) -> bool {
    let mut stored = stored.lock().expect("nothing panics while it holds this");
    let free = over || !stored.contains_key(location);
    if free {
        stored.insert(location.to_owned(), bytes);
    }
    free
}

impl Storage {
    /// Whether the worker begins to write for the shard of a link: it stops before another can take
    /// it, but for one request that it was about to begin.
    fn may_write(&self, location: &str) -> bool {
        let mut leases = self.leases.lock().expect("nothing panics while it holds this");
        let mut owners = leases.owners.iter_mut().enumerate();
        let of = |number: usize| location.contains(&format!("/{}/", shard(number)));
        let Some((_, lease)) = owners.find(|(number, _)| of(*number)) else { return false };
        lease.owner == self.worker || lease.paused.take_if(|it| *it == self.worker).is_some()
    }
}

#[async_trait]
impl Files for Storage {
    async fn read(&self, location: &str, _: Option<Range<u64>>) -> io::Result<Bytes> {
        self.gate.pass().await;
        if self.sky.once_in(30) {
            return Err(silence());
        }
        let stored = self.stored.lock().expect("nothing panics while it holds this");
        stored.get(location).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    async fn create(&self, location: &str, bytes: Bytes) -> io::Result<bool> {
        if !self.may_write(location) {
            return Err(silence());
        }
        self.gate.pass().await;
        let (sky, worker) = (&self.sky, self.worker);
        if sky.once_in(16) {
            sky.tell(format!("worker {worker}: a link is lost"));
            return Err(silence());
        }
        if sky.once_in(5) {
            sky.tell(format!("worker {worker}: a link will be late"));
            sky.delay(location, bytes);
            return Err(silence());
        }
        let over = self.bug == Some(Bug::Overwritten);
        let made = put(&self.stored, location, bytes, over);
        self.gate.pass().await;
        if sky.once_in(8) {
            sky.tell(format!("worker {worker}: an answer about a link is lost"));
            return Err(silence());
        }
        Ok(made || self.bug == Some(Bug::AnothersTakenForOurs))
    }

    async fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.gate.pass().await;
        // A list takes its time now and then: whole rounds of others go by.
        if self.sky.once_in(4) {
            for _ in 0..20 {
                self.gate.pass().await;
            }
        }
        let folder = format!("{folder}/");
        let mut found = Vec::new();
        // Pages: what is written behind the first one may be in the second.
        loop {
            {
                let stored = self.stored.lock().expect("nothing panics while it holds this");
                let names = stored.keys().filter(|name| name.starts_with(&folder));
                let next = names.filter(|name| found.last().is_none_or(|last| *name > last));
                let page: Vec<String> = next.take(2).cloned().collect();
                if page.is_empty() {
                    break;
                }
                found.extend(page);
            }
            self.gate.pass().await;
        }
        Ok(found)
    }

    async fn delete(&self, location: &str) -> io::Result<()> {
        self.gate.pass().await;
        if self.sky.once_in(20) {
            return Err(silence());
        }
        self.stored.lock().expect("nothing panics while it holds this").remove(location);
        Ok(())
    }

    async fn size(&self, _: &str) -> io::Result<Option<u64>> {
        unreachable!("nobody asks for it")
    }

    async fn write(&self, _: &str, _: Bytes) -> io::Result<()> {
        unreachable!("links are created")
    }

    async fn replace(&self, _: &str, _: Bytes) -> io::Result<()> {
        unreachable!("nobody claims anything")
    }
}
