//! Whether a worker could lately do what it is for: list, read, lease, write.
//!
//! Everything it asks of others has a [`Check`] here, which takes note of each success and each
//! failure. A failure is told in the log once a minute and kind, however many there are. What has
//! failed for a set time, or has never succeeded, is a reason not to be ready.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock;

/// Between two lines about one problem.
const LINE_EVERY: Duration = Duration::from_secs(60);

/// Kinds of problems told apart for one check. Codes of services are a handful; what is beyond
/// takes the place of the oldest.
const KINDS: usize = 8;

/// A request that did not do what it was to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was asked: `PutRecords`.
    pub action: &'static str,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// The service's code: `AccessDeniedException`.
    pub code: Option<String>,
    /// Its words, or those of whatever came between.
    pub message: String,
    /// Whether the same request may succeed later, with nobody doing anything.
    pub passing: bool,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.action)?;
        if let Some(status) = self.status {
            write!(f, " {status}")?;
        }
        if let Some(code) = &self.code {
            write!(f, " {code}:")?;
        }
        write!(f, " {}", self.message)
    }
}

/// Something that the worker needs is refused, or is not there.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what} cannot be used: {failure}")]
pub struct Unfit {
    /// What it is: `bucket events for bad`.
    pub what: String,
    /// What it said.
    pub failure: Failure,
}

/// Something was not done for want of credentials. Tells so, unless the last minute has a line
/// about them.
pub fn tell_of_credentials(failure: &Failure) {
    let Some(times) = due_of_credentials(Instant::now()) else { return };
    let Failure { action, status, code, message, .. } = failure;
    tracing::warn!(what = "AWS credentials", action, status, code, message, times, "failed");
}

impl Failure {
    /// Whether there were no credentials for it, or they have expired: whatever else is asked fails
    /// for that reason, too.
    pub fn is_of_credentials(&self) -> bool {
        let expired = |text: &str| text.contains("ExpiredToken");
        let told = expired(&self.message) || self.message.contains("AWS credentials");
        told || self.code.as_deref().is_some_and(expired)
    }

    /// Whether it may have been done all the same.
    pub fn is_unclear(&self) -> bool {
        self.status.is_none_or(|status| status >= 500)
    }

    /// Whether somebody has to do something: grant a permission, make what is missing.
    pub fn is_refusal(&self) -> bool {
        let Some(code) = self.code.as_deref() else { return self.status == Some(403) };
        self.status == Some(403) || REFUSALS.iter().any(|refusal| code.contains(refusal))
    }
}

/// What is in the codes that say so.
const REFUSALS: [&str; 10] = [
    "AccessDenied",
    "NotAuthorized",
    "UnrecognizedClient",
    "InvalidClientTokenId",
    "InvalidSignature",
    "SignatureDoesNotMatch",
    "MissingAuthenticationToken",
    "ResourceNotFound",
    "NoSuchBucket",
    "KMSDisabled",
];

/// When a check that has never succeeded keeps a worker from being ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// From the start: nothing goes without it.
    Always,
    /// Once it has failed: perhaps it is not used at all.
    WhenUsed,
}

/// All checks of a worker.
#[derive(Debug)]
pub struct Health {
    checks: Mutex<Vec<Arc<Check>>>,
    /// For so long may what has once succeeded fail.
    patience: Mutex<Duration>,
}

/// One thing that a worker asks of others.
#[derive(Debug)]
pub struct Check {
    what: String,
    need: Need,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    succeeded: bool,
    /// When it last was, in milliseconds since 1970.
    succeeded_ms: Option<i64>,
    /// When it last was not, and the words.
    failed_ms: Option<(i64, String)>,
    failing: Option<Failing>,
    told: Vec<Told>,
}

/// What is known of a check at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What is asked.
    pub what: String,
    /// When it last succeeded, in milliseconds since 1970.
    pub succeeded_ms: Option<i64>,
    /// When it last failed, and what was said.
    pub failed_ms: Option<(i64, String)>,
    /// For how long nothing has succeeded, while it fails.
    pub failing: Option<Duration>,
}

/// The line about credentials, which are the process's: whatever is asked fails for want of them,
/// and for one reason.
static CREDENTIALS: Mutex<Option<Told>> = Mutex::new(None);

/// How many failures for want of credentials a line stands for, if one is due.
fn due_of_credentials(now: Instant) -> Option<u64> {
    let mut told = CREDENTIALS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(told) = told.as_mut().filter(|told| now.duration_since(told.at) < LINE_EVERY) {
        told.times += 1;
        return None;
    }
    let times = told.take().map_or(0, |told| told.times) + 1;
    *told = Some(Told { kind: ("", None, None), at: now, times: 0 });
    Some(times)
}

/// Failures since the last success.
#[derive(Debug)]
struct Failing {
    since: Instant,
    last: String,
    /// Whether a line says so.
    told: bool,
}

/// A problem that a line was written about.
#[derive(Debug)]
struct Told {
    kind: (&'static str, Option<u16>, Option<String>),
    at: Instant,
    /// How often it came up since.
    times: u64,
}

impl Health {
    /// No checks yet.
    pub fn new(patience: Duration) -> Health {
        Health { checks: Mutex::default(), patience: Mutex::new(patience) }
    }

    /// Sets for how long what has once succeeded may fail.
    pub fn set_patience(&self, patience: Duration) {
        *self.patience.lock().unwrap_or_else(PoisonError::into_inner) = patience;
    }

    /// Adds a check; what is asked is named as operators name it: `stream payloads`.
    pub fn check(&self, what: impl Into<String>, need: Need) -> Arc<Check> {
        let check = Arc::new(Check { what: what.into(), need, state: Mutex::default() });
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&check));
        check
    }

    /// All checks as they stand, in the order in which they were made.
    pub fn seen(&self) -> Vec<Seen> {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        checks.iter().map(|check| check.seen()).collect()
    }

    /// Why the worker is not ready; empty when it is.
    pub fn reasons(&self) -> Vec<String> {
        let patience = *self.patience.lock().unwrap_or_else(PoisonError::into_inner);
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        checks.iter().filter_map(|check| check.reason(patience)).collect()
    }
}

/// Long enough for a table to scale, a partition to move, a role to be repaired.
const PATIENCE: Duration = Duration::from_secs(30);

impl Default for Health {
    fn default() -> Health {
        Health::new(PATIENCE)
    }
}

impl Check {
    /// A check that no worker is asked about: commands and tests.
    pub fn alone(what: impl Into<String>) -> Arc<Check> {
        Health::new(Duration::MAX).check(what, Need::WhenUsed)
    }

    /// What is asked.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// It was done.
    pub fn succeeded(&self) {
        let failing = {
            let mut state = self.lock();
            state.succeeded = true;
            state.succeeded_ms = Some(clock::now_ms());
            state.failing.take()
        };
        if let Some(failing) = failing.filter(|failing| failing.told) {
            let seconds = failing.since.elapsed().as_secs();
            tracing::info!(what = self.what, seconds, "works again");
        }
    }

    /// It was not done. Tells so, unless the last minute has a line about it.
    pub fn failed(&self, failure: &Failure) {
        let due = self.note(failure);
        if failure.is_of_credentials() {
            return tell_of_credentials(failure);
        }
        let Some(times) = due else { return };
        let Failure { action, status, code, message, .. } = failure;
        tracing::warn!(what = self.what, action, status, code, message, times, "failed");
    }

    /// It was done, but for a part that was refused.
    pub fn refused_in_part(&self, failure: &Failure) {
        self.failed(failure);
        self.lock().failing = None;
    }

    /// Takes note of a failure; returns how many of its kind the line stands for, if one is due.
    fn note(&self, failure: &Failure) -> Option<u64> {
        let now = Instant::now();
        let state = &mut *self.lock();
        let last = failure.to_string();
        state.failed_ms = Some((clock::now_ms(), last.clone()));
        let failing =
            state.failing.get_or_insert(Failing { since: now, last: String::new(), told: false });
        failing.last = last;
        if failure.is_of_credentials() {
            return None;
        }
        let kind = (failure.action, failure.status, failure.code.clone());
        if let Some(told) = state.told.iter_mut().find(|told| told.kind == kind) {
            told.times += 1;
            if now.duration_since(told.at) < LINE_EVERY {
                return None;
            }
            failing.told = true;
            told.at = now;
            return Some(std::mem::take(&mut told.times));
        }
        failing.told = true;
        if state.told.len() == KINDS {
            state.told.remove(0);
        }
        state.told.push(Told { kind, at: now, times: 0 });
        Some(1)
    }

    fn seen(&self) -> Seen {
        let state = self.lock();
        Seen {
            what: self.what.clone(),
            succeeded_ms: state.succeeded_ms,
            failed_ms: state.failed_ms.clone(),
            failing: state.failing.as_ref().map(|failing| failing.since.elapsed()),
        }
    }

    fn reason(&self, patience: Duration) -> Option<String> {
        let state = self.lock();
        match &state.failing {
            None if state.succeeded || self.need == Need::WhenUsed => None,
            None => Some(format!("{}: not done yet", self.what)),
            Some(failing) => {
                let time = failing.since.elapsed();
                let waited_for = state.succeeded && time < patience;
                let (what, last, seconds) = (&self.what, &failing.last, time.as_secs());
                (!waited_for).then(|| format!("{what}: failing for {seconds} s: {last}"))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16) -> Failure {
        Failure {
            action: "PutRecords",
            status: Some(status),
            code: Some("InternalFailure".to_owned()),
            message: "injected".to_owned(),
            passing: true,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_for_a_set_time_is_a_reason() {
        let health = Health::new(Duration::from_secs(30));
        let check = health.check("stream good", Need::WhenUsed);
        assert!(health.reasons().is_empty());
        check.succeeded();
        check.failed(&failure(500));
        tokio::time::advance(Duration::from_secs(29)).await;
        check.failed(&failure(503));
        assert!(health.reasons().is_empty());
        tokio::time::advance(Duration::from_secs(1)).await;
        let reason = "stream good: failing for 30 s: PutRecords: 503 InternalFailure: injected";
        assert_eq!(health.reasons(), [reason]);
        check.succeeded();
        assert!(health.reasons().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_never_succeeded_is_a_reason_at_once() {
        let health = Health::new(Duration::from_secs(30));
        let scan = health.check("table leases", Need::Always);
        assert_eq!(health.reasons(), ["table leases: not done yet"]);
        scan.succeeded();
        health.check("bucket events", Need::WhenUsed).failed(&failure(403));
        assert_eq!(health.reasons().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_problem_is_told_once_a_minute_with_a_count() {
        let check = Check::alone("stream good");
        assert_eq!(check.note(&failure(500)), Some(1));
        let other = check.note(&failure(503));
        assert_eq!(other, Some(1), "another problem has a line of its own");
        for _ in 0..59 {
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(check.note(&failure(500)), None);
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(check.note(&failure(500)), Some(60));
        // A success between two failures does not make the second one news.
        check.succeeded();
        assert_eq!(check.note(&failure(500)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_are_one_problem_whatever_is_asked() {
        let health = Health::new(Duration::from_secs(30));
        let expired = |action, code: &str| Failure {
            action,
            status: Some(400),
            code: Some(code.to_owned()),
            message: "The security token included in the request is expired".to_owned(),
            passing: true,
        };
        let (read, write) = (health.check("a", Need::Always), health.check("b", Need::Always));
        let failures =
            [expired("GetRecords", "ExpiredTokenException"), expired("Put", "ExpiredToken")];
        let none = Failure {
            code: None,
            message: "no AWS credentials were found".to_owned(),
            ..failure(0)
        };
        assert!(failures.iter().chain([&none]).all(Failure::is_of_credentials));
        assert!(!failure(403).is_of_credentials());
        read.failed(&failures[0]);
        assert_eq!(due_of_credentials(Instant::now()), None, "that was told");
        write.failed(&failures[1]);
        assert_eq!(health.reasons().len(), 2, "each is a reason all the same");
        tokio::time::advance(LINE_EVERY).await;
        assert_eq!(due_of_credentials(Instant::now()), Some(3));
        assert_eq!(due_of_credentials(Instant::now()), None);
    }

    #[test]
    fn kinds_are_bounded() {
        let check = Check::alone("stream good");
        for status in 0..1000 {
            check.note(&failure(status));
        }
        assert_eq!(check.lock().told.len(), KINDS);
    }
}
