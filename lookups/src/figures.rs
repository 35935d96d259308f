//! What is counted of a look-up.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What was counted of a look-up, from its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// The name of its configuration.
    pub name: &'static str,
    /// Events whose answer was kept.
    pub kept: u64,
    /// Questions that were answered.
    pub answered: u64,
    /// Questions that were refused.
    pub refused: u64,
    /// Questions that nobody answered.
    pub outages: u64,
    /// Questions that were not sent since it is left alone.
    pub unsent: u64,
    /// Times that an older answer was given out for want of a new one.
    pub stale: u64,
    /// How long all questions took that were sent.
    pub took: Duration,
    /// Whether it is left alone at present.
    pub open: bool,
}

/// The counters behind them.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) kept: AtomicU64,
    pub(crate) answered: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) outages: AtomicU64,
    pub(crate) unsent: AtomicU64,
    pub(crate) stale: AtomicU64,
    pub(crate) micros: AtomicU64,
    pub(crate) open: AtomicBool,
}

impl Counters {
    /// One more.
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A question that was sent took so long.
    pub(crate) fn took(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// What they come to.
    pub(crate) fn figures(&self, name: &'static str) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            name,
            kept: read(&self.kept),
            answered: read(&self.answered),
            refused: read(&self.refused),
            outages: read(&self.outages),
            unsent: read(&self.unsent),
            stale: read(&self.stale),
            took: Duration::from_micros(read(&self.micros)),
            open: self.open.load(Ordering::Relaxed),
        }
    }
}
