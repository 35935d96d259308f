//! Answers that are kept: how long each counts, and what counts when there is no new one.
//!
//! As with a peer an answer counts for `ttl` seconds and a failure for a tenth of that. When the
//! time of an answer is over the question is asked again, and if that fails the old answer goes on
//! to count, for as long as a failure would. What was never answered fails.

use std::time::Duration;

use enrichments::lookup::{Answer, Cache as Terms, Key};
use foldhash::fast::RandomState;
use moka::Expiry;
use moka::sync::Cache;
use tokio::time::Instant;

/// How much longer than it counts an answer is kept, for the case that there will be no new one.
const STALE: Duration = Duration::from_secs(3_600);

/// The answers of one look-up.
#[derive(Debug)]
pub(crate) struct Kept {
    /// None where nothing is kept.
    entries: Option<Cache<Key, Entry, RandomState>>,
    ttl: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    answer: Answer,
    since: Instant,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It was the answer.
    Answered,
    /// It was, before a newer question failed.
    Stale,
    /// There never was one.
    Failed,
}

impl Kept {
    /// Nothing yet. So many answers of so many bytes altogether: each counts as its bytes, or as
    /// the share that it has of all bytes when they are as many as may be.
    pub(crate) fn new(terms: Terms, bytes: u64) -> Kept {
        let least = u32::try_from(bytes / terms.size.max(1)).unwrap_or(u32::MAX).max(1);
        let weigh = move |key: &Key, entry: &Entry| {
            /// What an entry costs besides.
            const ENTRY: usize = 256;
            let bytes = key.bytes() + entry.answer.bytes() + ENTRY;
            u32::try_from(bytes).unwrap_or(u32::MAX).max(least)
        };
        let entries = (terms.size > 0).then(|| {
            Cache::builder()
                .max_capacity(bytes)
                .weigher(weigh)
                .expire_after(Life { ttl: terms.ttl_secs })
                .build_with_hasher(RandomState::default())
        });
        Kept { entries, ttl: terms.ttl_secs }
    }

    /// The answer that counts at present.
    pub(crate) fn get(&self, key: &Key) -> Option<Answer> {
        let entry = self.entries.as_ref()?.get(key)?;
        let counts = if entry.kind == Kind::Answered { self.ttl } else { self.ttl / 10 };
        (entry.since.elapsed().as_secs() <= counts).then_some(entry.answer)
    }

    /// Whether there is an answer, though it may count no more.
    pub(crate) fn has(&self, key: &Key) -> bool {
        let entry = self.entries.as_ref().and_then(|entries| entries.get(key));
        entry.is_some_and(|entry| entry.kind != Kind::Failed)
    }

    /// Keeps a new answer.
    pub(crate) fn answered(&self, key: &Key, answer: &Answer) {
        self.insert(key, answer.clone(), Kind::Answered);
    }

    /// The answer that goes on to count for want of a new one.
    pub(crate) fn stale(&self, key: &Key) -> Option<Answer> {
        let old = self.entries.as_ref()?.get(key)?;
        if old.kind == Kind::Failed {
            return None;
        }
        self.insert(key, old.answer.clone(), Kind::Stale);
        Some(old.answer)
    }

    /// Keeps a failure.
    pub(crate) fn failed(&self, key: &Key, failure: &Answer) {
        self.insert(key, failure.clone(), Kind::Failed);
    }

    #[cfg(test)]
    pub(crate) fn settle(&self) {
        if let Some(entries) = &self.entries {
            entries.run_pending_tasks();
        }
    }

    fn insert(&self, key: &Key, answer: Answer, kind: Kind) {
        if let Some(entries) = &self.entries {
            entries.insert(key.clone(), Entry { answer, since: Instant::now(), kind });
        }
    }
}

/// How long an entry is kept.
#[derive(Debug)]
struct Life {
    ttl: u64,
}

impl Life {
    fn of(&self, entry: &Entry) -> Duration {
        match entry.kind {
            Kind::Failed => Duration::from_secs(self.ttl / 10 + 1),
            Kind::Answered | Kind::Stale => Duration::from_secs(self.ttl) + STALE,
        }
    }
}

impl Expiry<Key, Entry> for Life {
    fn expire_after_create(
        &self,
        _: &Key,
        entry: &Entry,
        _: std::time::Instant,
    ) -> Option<Duration> {
        Some(self.of(entry))
    }

    fn expire_after_update(
        &self,
        _: &Key,
        entry: &Entry,
        _: std::time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(self.of(entry))
    }
}
