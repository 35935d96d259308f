//! A registry with its place in the order and its health.
//!
//! One that fails is left alone for a while, longer each time, so that an outage costs it and us
//! a few requests a minute however many schemas are wanted.

use std::sync::Mutex;
use std::time::Duration;

use event::SchemaKey;
use event::reason::RegistryError;
use tokio::time::Instant;

use crate::registry::{Answer, Registry};

/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause, also for a registry that asks for more.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A registry as the resolver knows it.
pub(super) struct Registered {
    pub(super) name: String,
    class: Class,
    priority: i64,
    vendor_prefixes: Vec<String>,
    registry: Box<dyn Registry>,
    health: Mutex<Option<Trouble>>,
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
    failures: u32,
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
    pub(super) async fn ask(&self, key: &SchemaKey) -> Answer {
        if let Some(trouble) = self.trouble().filter(|trouble| Instant::now() < trouble.until) {
            return Answer::Unreachable { error: trouble.error, retry_after: None };
        }
        let answer = self.registry.get(key).await;
        let mut health = self.health.lock().expect("nothing panics while it is held");
        *health = match &answer {
            Answer::Unreachable { error, retry_after } => {
                Some(Trouble::after(health.as_ref(), error.clone(), *retry_after))
            }
            _ => None,
        };
        answer
    }

    /// How long it has been failing.
    pub(super) fn down_for(&self) -> Option<Duration> {
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

impl Trouble {
    /// The state after one more failure. Failures of requests that ran at the same time count
    /// once: they are one event.
    fn after(
        before: Option<&Trouble>,
        error: RegistryError,
        retry_after: Option<Duration>,
    ) -> Trouble {
        let now = Instant::now();
        let failures = match before {
            Some(trouble) if now < trouble.until => trouble.failures,
            before => before.map_or(0, |trouble| trouble.failures) + 1,
        };
        let pause = FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(10)).min(LONGEST_PAUSE);
        // Half of it is chance, so that a fleet does not come back as one.
        let jittered = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
        let asked_for = retry_after.unwrap_or_default().min(LONGEST_PAUSE);
        Trouble {
            since: before.map_or(now, |trouble| trouble.since),
            failures,
            error,
            until: now + jittered.max(asked_for),
        }
    }
}
