//! When a look-up that does not answer is asked again.
//!
//! After so many failures in a row it is left alone; then one question at a time goes out, after
//! delays that double up to a bound, until one is answered. A refusal is an answer. Nothing is
//! sent twice by this module: whoever waits here has a question that was not answered yet.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// The delay before the first question that goes out alone.
const FIRST: Duration = Duration::from_millis(250);
/// The longest such delay.
const LONGEST: Duration = Duration::from_secs(30);

/// Whether a look-up answers.
#[derive(Debug)]
pub(crate) struct Circuit {
    /// Failures in a row before it is left alone.
    failures: u32,
    state: Mutex<State>,
    /// Changes with every answer and every failure.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    /// Failures in a row.
    failed: u32,
    /// When the first of them was.
    first: Option<Instant>,
    /// How often the delay has doubled.
    doubled: u32,
    /// When the next question may go out.
    next: Instant,
    /// Whether it is under way.
    probing: bool,
}

/// What to do with a question.
#[derive(Debug)]
pub(crate) enum Turn<'c> {
    /// Send it.
    Go(Going<'c>),
    /// Leave it for now.
    Wait {
        /// Changes when it is worth asking again; or until then.
        until: Instant,
    },
}

/// The right to send a question. Dropped without a word it leaves things as they are.
#[derive(Debug)]
pub(crate) struct Going<'c> {
    circuit: &'c Circuit,
    probe: bool,
}

impl Circuit {
    /// All is well. It is left alone after so many failures in a row.
    pub(crate) fn new(failures: u32) -> Circuit {
        let next = Instant::now();
        let state = State { failed: 0, first: None, doubled: 0, next, probing: false };
        Circuit { failures, state: Mutex::new(state), changes: watch::Sender::new(0) }
    }

    /// Whether a question may be sent.
    pub(crate) fn turn(&self) -> Turn<'_> {
        let mut state = self.lock();
        if state.failed < self.failures {
            return Turn::Go(Going { circuit: self, probe: false });
        }
        let now = Instant::now();
        if state.probing || now < state.next {
            let until = if state.probing { now + LONGEST } else { state.next };
            return Turn::Wait { until };
        }
        state.probing = true;
        Turn::Go(Going { circuit: self, probe: true })
    }

    /// Whether it is left alone.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().failed >= self.failures
    }

    /// When the present failures began.
    pub(crate) fn failing_since(&self) -> Option<Instant> {
        self.lock().first
    }

    /// Tells of every answer and every failure from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }
}

impl Going<'_> {
    /// It was answered.
    pub(crate) fn answered(self) {
        let mut state = self.circuit.lock();
        (state.failed, state.first, state.doubled) = (0, None, 0);
    }

    /// Nobody answered.
    pub(crate) fn failed(self) {
        let mut state = self.circuit.lock();
        let now = Instant::now();
        state.failed = state.failed.saturating_add(1);
        state.first.get_or_insert(now);
        // Questions that were under way together fail together: that is one failure.
        if self.probe || now >= state.next {
            let delay = FIRST.saturating_mul(1 << state.doubled.min(16)).min(LONGEST);
            state.doubled += 1;
            // Workers that lost it together do not come back together.
            state.next = now + delay.mul_f64(0.5 + fastrand::f64() / 2.0);
        }
    }
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        if self.probe {
            self.circuit.lock().probing = false;
        }
        self.circuit.changed();
    }
}
