//! What is under way at the store: each command that is for it, in time, as the event that answers
//! it, with an account of what went well and what did not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::error::{Error, Result};
use crate::health::{Health, StoreHealth};
use crate::lease::Lease;
use crate::protocol::{Command, Event};
use crate::store::{LeaseStore, Pending};

/// Between two lines of the log that say the same.
const LINE_EVERY: Duration = Duration::from_secs(60);

/// The most different failures that are told apart in that time.
const DIFFERENT: usize = 32;

/// The requests of one keeper.
#[derive(Debug)]
pub(super) struct Requests {
    store: Arc<dyn LeaseStore>,
    limit: Duration,
    under_way: JoinSet<Answer>,
    /// Whether the table is being made again.
    opening: bool,
    scan: Health,
    write: Health,
    told: BTreeMap<String, Told>,
}

/// A failure that a line was written about.
#[derive(Debug)]
struct Told {
    at: Instant,
    /// How often it came up since.
    times: u64,
}

/// What a request came to.
#[derive(Debug)]
struct Answer {
    kind: Kind,
    /// The event that answers the command, if it was one.
    event: Option<Event>,
    outcome: std::result::Result<(), Failure>,
}

#[derive(Debug)]
enum Failure {
    Slow,
    Store(Error),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Open,
    Scan,
    Write,
    /// What the leases do not depend on: reading one of them, and clearing away what is done.
    Other,
}

/// What the keeper is told.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) event: Option<Event>,
    /// A failure that does not pass by itself.
    pub(super) fatal: Option<Error>,
}

impl Requests {
    pub(super) fn new(store: Arc<dyn LeaseStore>, limit: Duration) -> Requests {
        Requests {
            store,
            limit,
            under_way: JoinSet::new(),
            opening: false,
            scan: Health::default(),
            write: Health::default(),
            told: BTreeMap::new(),
        }
    }

    /// How scanning and writing went.
    pub(super) fn health(&self) -> StoreHealth {
        StoreHealth { scan: self.scan.clone(), write: self.write.clone() }
    }

    /// Makes the store ready. Takes as long as the making of a table.
    pub(super) async fn open(&mut self) -> Result<()> {
        let opened = self.store.clone().open().await;
        if let Err(error) = &opened {
            self.scan.failed(&error.to_string(), Instant::now());
            self.tell(error.to_string());
        }
        opened
    }

    /// Sends a command that is for the store.
    pub(super) fn send(&mut self, command: Command) {
        let (store, limit) = (self.store.clone(), self.limit);
        self.under_way.spawn(async move {
            match command {
                Command::Scan => {
                    let (scan, outcome) = answer(store.scan(), limit).await;
                    Answer { kind: Kind::Scan, event: Some(Event::Scanned(scan)), outcome }
                }
                Command::Get(key) => {
                    let (lease, outcome) = answer(store.get(&key), limit).await;
                    Answer { kind: Kind::Other, event: Some(Event::Got(key, lease)), outcome }
                }
                Command::Create(lease) => {
                    let (done, outcome) = answer(store.create(Lease::clone(&lease)), limit).await;
                    Answer { kind: Kind::Write, event: Some(Event::Created(lease, done)), outcome }
                }
                Command::Delete(key, counter) => {
                    let (done, outcome) = answer(store.delete(&key, counter), limit).await;
                    Answer { kind: Kind::Other, event: Some(Event::Deleted(key, done)), outcome }
                }
                Command::Write(write) => {
                    let (wrote, outcome) = answer(store.write(write.clone()), limit).await;
                    Answer { kind: Kind::Write, event: Some(Event::Wrote(write, wrote)), outcome }
                }
                other => unreachable!("{other:?} is not for the store"),
            }
        });
    }

    /// The next answer; `None` if nothing is under way. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Reply> {
        let answer = match self.under_way.join_next().await? {
            Ok(answer) => answer,
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        };
        let Answer { kind, event, outcome } = answer;
        if kind == Kind::Open {
            self.opening = false;
        }
        let now = Instant::now();
        let health = match kind {
            Kind::Scan | Kind::Open => Some(&mut self.scan),
            Kind::Write => Some(&mut self.write),
            Kind::Other => None,
        };
        let failure = match (outcome, health) {
            (Ok(()), health) => {
                if let Some(health) = health.filter(|_| kind != Kind::Open) {
                    health.succeeded(now);
                }
                return Some(Reply { event, fatal: None });
            }
            (Err(failure), health) => {
                if let Some(health) = health {
                    health.failed(&failure.to_string(), now);
                }
                failure
            }
        };
        self.tell(failure.to_string());
        let fatal = match failure {
            Failure::Store(error @ Error::Unusable(_)) if event.as_ref().is_none_or(matters) => {
                Some(error)
            }
            Failure::Store(Error::Missing(_)) => {
                self.open_again();
                None
            }
            Failure::Store(_) | Failure::Slow => None,
        };
        Some(Reply { event, fatal })
    }

    /// Makes a table again that is gone. Leases that were held turn out to be lost by their next
    /// renewals.
    fn open_again(&mut self) {
        if std::mem::replace(&mut self.opening, true) {
            return;
        }
        tracing::error!("the lease table is gone; it is made again, and leases begin anew in it");
        let store = self.store.clone();
        self.under_way.spawn(async move {
            let outcome = store.open().await.map_err(Failure::Store);
            Answer { kind: Kind::Open, event: None, outcome }
        });
    }

    /// Writes a line about a failure, once in a while.
    fn tell(&mut self, why: String) {
        let now = Instant::now();
        match self.told.get_mut(&why) {
            Some(told) if now.duration_since(told.at) < LINE_EVERY => told.times += 1,
            known => {
                let repeated = known.map_or(0, |told| told.times);
                tracing::warn!(error = why, repeated, "the lease table did not do what was asked");
                self.told.retain(|_, told| now.duration_since(told.at) < LINE_EVERY);
                if self.told.len() < DIFFERENT {
                    self.told.insert(why, Told { at: now, times: 0 });
                }
            }
        }
    }
}

/// Whether leases cannot be worked without it. What is left behind of shards that are done is in
/// nobody's way.
fn matters(event: &Event) -> bool {
    !matches!(event, Event::Deleted(..))
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Slow => f.write_str("lease store unavailable: no answer in time"),
            Failure::Store(error) => error.fmt(f),
        }
    }
}

/// The store's answer in time; none, if it is unknown, and why.
async fn answer<T>(
    operation: Pending<'_, T>,
    limit: Duration,
) -> (Option<T>, std::result::Result<(), Failure>) {
    match timeout(limit, operation).await {
        Ok(Ok(answer)) => (Some(answer), Ok(())),
        Ok(Err(error)) => (None, Err(Failure::Store(error))),
        Err(_) => (None, Err(Failure::Slow)),
    }
}
