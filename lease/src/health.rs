//! [`Health`]: whether one kind of request to the lease store lately did what it was to do.

use std::sync::Arc;

use tokio::time::Instant;

/// When one kind of request last succeeded, and when and how it last failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// When it last succeeded.
    pub last_success: Option<Instant>,
    /// When it last failed, and what the failure said: one line, with the table and the action.
    pub last_error: Option<(Instant, Arc<str>)>,
    /// When the first failure came since the last success.
    pub failing_since: Option<Instant>,
}

/// The health of what leases depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreHealth {
    /// Scans of the table.
    pub scan: Health,
    /// Writes of leases.
    pub write: Health,
}

impl Health {
    /// Takes note of a success.
    pub(crate) fn succeeded(&mut self, now: Instant) {
        (self.last_success, self.failing_since) = (Some(now), None);
    }

    /// Takes note of a failure.
    pub(crate) fn failed(&mut self, why: &str, now: Instant) {
        self.last_error = Some((now, why.into()));
        self.failing_since.get_or_insert(now);
    }
}
