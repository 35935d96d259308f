//! A registry with its place in the order and its health.
//!
//! One that fails again and again is left alone for a while, longer each time, so that an outage
//! costs it and us a few requests a minute however many schemas are wanted. One that fails for
//! some keys and answers for others stays in use.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use event::SchemaKey;
use event::reason::RegistryError;
use tokio::time::Instant;

use crate::registry::{Answer, Listing, Registry};

/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause, also for a registry that asks for more.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Failures for so many different keys in a row make an outage of what might be a key's fault.
const PATIENCE: u32 = 3;

/// A registry without a failure for so long has its troubles behind it.
const COOL_DOWN: Duration = Duration::from_secs(300);

/// A registry as the resolver knows it.
pub(super) struct Registered {
    pub(super) name: String,
    class: Class,
    priority: i64,
    vendor_prefixes: Vec<String>,
    registry: Box<dyn Registry>,
    health: Mutex<Option<Trouble>>,
    counts: Counts,
}

/// Requests by what came back.
#[derive(Default)]
struct Counts {
    found: AtomicU64,
    unchanged: AtomicU64,
    missing: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    spared: AtomicU64,
}

/// How a registry was asked, and what it said, since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryFigures {
    /// Its name in the configuration.
    pub name: String,
    /// Answers with a schema.
    pub found: u64,
    /// Answers that a schema is what it was.
    pub unchanged: u64,
    /// Answers that there is none.
    pub missing: u64,
    /// Refusals, and schemas that cannot be used.
    pub refused: u64,
    /// Requests without a verdict.
    pub failed: u64,
    /// Requests not made, because the registry is left alone for a while.
    pub spared: u64,
}

impl RegistryFigures {
    /// Requests that were made.
    pub fn asked(&self) -> u64 {
        self.found + self.unchanged + self.missing + self.refused + self.failed
    }
}

/// A registry that cannot be asked at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Its name in the configuration.
    pub name: String,
    /// What it failed with last.
    pub why: String,
}

/// The kinds of registry in the order they are asked, other things being equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Given on the command line, before all others.
    Override,
    /// In the binary.
    Embedded,
    /// On disk.
    Folder,
    /// Over the network.
    Http,
}

/// A registry's state since its first failure.
#[derive(Clone)]
struct Trouble {
    since: Instant,
    last: Instant,
    /// In a row, for different keys.
    failures: u32,
    /// The key of the last one.
    key: SchemaKey,
    error: RegistryError,
    /// It is not asked before.
    until: Instant,
}

impl Registered {
    /// A registry without priority and prefixes.
    pub(super) fn new(name: &str, class: Class, registry: Box<dyn Registry>) -> Registered {
        Registered {
            name: name.to_owned(),
            class,
            priority: 0,
            vendor_prefixes: Vec::new(),
            registry,
            health: Mutex::new(None),
            counts: Counts::default(),
        }
    }

    /// The same registry with a priority and with the vendors it is meant for.
    pub(super) fn ranked(self, priority: i64, vendor_prefixes: Vec<String>) -> Registered {
        Registered { priority, vendor_prefixes, ..self }
    }

    /// Its place in the order for a vendor; smaller is earlier.
    pub(super) fn rank(&self, vendor: &str) -> (bool, Class, i64) {
        let matches = self.class == Class::Override
            || self.vendor_prefixes.iter().any(|prefix| vendor.starts_with(prefix.as_str()));
        (!matches, self.class, self.priority)
    }

    /// Asks it, unless it is being left alone.
    pub(super) async fn ask(&self, key: &SchemaKey, known: Option<&str>) -> Answer {
        if let Some(trouble) = self.trouble().filter(|trouble| Instant::now() < trouble.until) {
            self.counts.spared.fetch_add(1, Ordering::Relaxed);
            return Answer::Unreachable { error: trouble.error, retry_after: None };
        }
        let answer = self.registry.get(key, known).await;
        self.counts.count(&answer);
        let mut health = self.health.lock().expect("nothing panics while it is held");
        let before = health.take();
        *health = match &answer {
            Answer::Unreachable { error, retry_after } => {
                Some(Trouble::after(before.as_ref(), key, error.clone(), *retry_after))
            }
            _ => before.and_then(Trouble::relieved),
        };
        answer
    }

    /// Asks for its list; its health has nothing to do with that.
    pub(super) fn list(&self) -> Listing<'_> {
        self.registry.list()
    }

    /// How it was asked since the start.
    pub(super) fn figures(&self) -> RegistryFigures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RegistryFigures {
            name: self.name.clone(),
            found: read(&self.counts.found),
            unchanged: read(&self.counts.unchanged),
            missing: read(&self.counts.missing),
            refused: read(&self.counts.refused),
            failed: read(&self.counts.failed),
            spared: read(&self.counts.spared),
        }
    }

    /// What it failed with last, if that was its last word.
    pub(super) fn failing(&self) -> Option<Failing> {
        let trouble = self.trouble().filter(|trouble| trouble.failures > 0)?;
        let why = match trouble.error {
            RegistryError::NotFound => String::new(),
            RegistryError::RepoFailure(why) | RegistryError::ClientFailure(why) => why,
        };
        Some(Failing { name: self.name.clone(), why })
    }

    /// Whether it has failed for so many keys in a row that none of them can be the reason.
    pub(super) fn is_down(&self) -> bool {
        self.trouble().is_some_and(|trouble| trouble.failures >= PATIENCE)
    }

    /// How long ago it began to fail.
    pub(super) fn troubled_for(&self) -> Option<Duration> {
        self.trouble().map(|trouble| trouble.since.elapsed())
    }

    /// How long it will be left alone from now.
    pub(super) fn pause(&self) -> Duration {
        let until = self.trouble().map(|trouble| trouble.until);
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    fn trouble(&self) -> Option<Trouble> {
        self.health.lock().expect("nothing panics while it is held").clone()
    }
}

impl Counts {
    fn count(&self, answer: &Answer) {
        let counter = match answer {
            Answer::Found { .. } => &self.found,
            Answer::Unchanged => &self.unchanged,
            Answer::NotFound => &self.missing,
            Answer::Refused(_) => &self.refused,
            Answer::Unreachable { .. } => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Trouble {
    /// The state after one more failure.
    fn after(
        before: Option<&Trouble>,
        key: &SchemaKey,
        error: RegistryError,
        retry_after: Option<Duration>,
    ) -> Trouble {
        let now = Instant::now();
        let failures = match before {
            // Failures of requests that ran at the same time are one event.
            Some(trouble) if now < trouble.until => trouble.failures,
            Some(trouble) if trouble.key == *key && trouble.failures < PATIENCE => {
                trouble.failures.max(1)
            }
            before => before.map_or(0, |trouble| trouble.failures).saturating_add(1),
        };
        let pause = match failures.checked_sub(PATIENCE) {
            None => Duration::ZERO,
            Some(more) => FIRST_PAUSE.saturating_mul(1 << more.min(10)).min(LONGEST_PAUSE),
        };
        // Half of it is chance, so that a fleet does not come back as one.
        let jittered = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
        let asked_for = retry_after.unwrap_or_default().min(LONGEST_PAUSE);
        Trouble {
            since: before.map_or(now, |trouble| trouble.since),
            last: now,
            failures,
            key: key.clone(),
            error,
            until: now + jittered.max(asked_for),
        }
    }

    /// The state after an answer. Trouble that was a moment ago is remembered, or a registry that
    /// answers now and then would be waited for each time.
    fn relieved(self) -> Option<Trouble> {
        let recent = self.last.elapsed() < COOL_DOWN;
        recent.then(|| Trouble { failures: 0, until: Instant::now(), ..self })
    }
}
