//! One back-off for everybody who asks the same of the same: a stream, a bucket, a registry.
//!
//! While all is well the circuit is closed and everybody asks at will. The first failure opens it:
//! then one request at a time goes out, a probe, after delays that double up to a bound, and all
//! others wait for its success. So requests and lines do not grow with what piles up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::health::{Check, Failure};

/// Failures in a row that do not pass by themselves (no permission, no such bucket) before it is
/// given up. Some do pass: a permission just granted takes a while to be seen everywhere.
const LASTING_FAILURES: u32 = 8;

/// What is asked, and whether it answers.
#[derive(Debug)]
pub struct Circuit {
    check: Arc<Check>,
    state: Mutex<State>,
    /// Open or closed, for those who wait.
    open: watch::Sender<bool>,
    probe: Semaphore,
}

#[derive(Debug)]
struct State {
    backoff: Backoff,
    /// Failures in a row that did not pass by themselves.
    lasting: u32,
    /// Counts the failures that opened it: what began before the last one says nothing about it.
    openings: u64,
    /// When the next probe may go out.
    next: Instant,
}

/// The right to ask once. Dropped without a word, it leaves things as they are.
#[derive(Debug)]
pub struct Turn<'a> {
    circuit: &'a Circuit,
    openings: u64,
    probe: Option<SemaphorePermit<'a>>,
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Ask for another turn.
    Again,
    /// It has failed in the same lasting way too often.
    GiveUp,
}

impl Circuit {
    /// Closed, as all is well.
    pub fn new(check: Arc<Check>) -> Circuit {
        let state =
            State { backoff: Backoff::default(), lasting: 0, openings: 0, next: Instant::now() };
        let (open, probe) = (watch::Sender::new(false), Semaphore::new(1));
        Circuit { check, state: Mutex::new(state), open, probe }
    }

    /// What is asked.
    pub fn what(&self) -> &str {
        self.check.what()
    }

    /// Whether it fails at the moment.
    pub fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    /// Waits until a request may go out.
    pub async fn turn(&self) -> Turn<'_> {
        let mut open = self.open.subscribe();
        loop {
            let openings = self.lock().openings;
            if !*open.borrow_and_update() {
                return Turn { circuit: self, openings, probe: None };
            }
            let probe = async {
                let probe = self.probe.acquire().await.expect("it is never closed");
                let next = self.lock().next;
                tokio::time::sleep_until(next).await;
                probe
            };
            tokio::select! {
                biased;
                _ = open.wait_for(|open| !open) => {}
                probe = probe => {
                    let openings = self.lock().openings;
                    return Turn { circuit: self, openings, probe: Some(probe) };
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// The request was answered as it should be.
    pub fn succeeded(self) {
        let mut state = self.circuit.lock();
        state.lasting = 0;
        state.backoff.reset();
        self.circuit.open.send_if_modified(std::mem::take);
        drop(state);
        self.circuit.check.succeeded();
    }

    /// The request was not done.
    pub fn failed(self, failure: &Failure) -> Then {
        self.circuit.check.failed(failure);
        let mut state = self.circuit.lock();
        // Requests that were on their way together fail together: that is one failure.
        if self.probe.is_some() || state.openings == self.openings {
            state.openings += 1;
            state.next = Instant::now() + state.backoff.delay();
            state.lasting += u32::from(!failure.passing);
            self.circuit.open.send_replace(true);
        }
        if failure.passing || state.lasting <= LASTING_FAILURES {
            return Then::Again;
        }
        Then::GiveUp
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    fn failure(passing: bool) -> Failure {
        let (action, message) = ("Ask", "injected".to_owned());
        Failure { action, status: None, code: None, message, passing }
    }

    fn circuit() -> Arc<Circuit> {
        Arc::new(Circuit::new(Check::alone("it")))
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_at_a_time_until_it_answers() {
        let circuit = circuit();
        let (asked, under_way) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let healthy = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let mut crowd = tokio::task::JoinSet::new();
        for _ in 0..1000 {
            let (circuit, asked, under_way) = (circuit.clone(), asked.clone(), under_way.clone());
            let healthy = healthy.clone();
            crowd.spawn(async move {
                loop {
                    let turn = circuit.turn().await;
                    let count = asked.fetch_add(1, Ordering::SeqCst);
                    under_way.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    let together = under_way.fetch_sub(1, Ordering::SeqCst);
                    if healthy.load(Ordering::SeqCst) {
                        return turn.succeeded();
                    }
                    assert!(count < 1000 || together == 1, "{together} probes at once");
                    assert_eq!(turn.failed(&failure(true)), Then::Again);
                }
            });
        }
        tokio::time::sleep(Duration::from_secs(600)).await;
        let probes = asked.load(Ordering::SeqCst) - 1000;
        // 2.5 to 5 seconds lie between two of them.
        assert!((115..=250).contains(&probes), "{probes} probes in ten minutes");
        healthy.store(true, Ordering::SeqCst);
        crowd.join_all().await;
        assert_eq!(asked.load(Ordering::SeqCst), 1000 + probes + 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_that_pass_are_never_given_up_and_a_success_forgets_the_others() {
        let circuit = circuit();
        for _ in 0..100 {
            assert_eq!(circuit.turn().await.failed(&failure(true)), Then::Again);
        }
        for _ in 0..LASTING_FAILURES {
            assert_eq!(circuit.turn().await.failed(&failure(false)), Then::Again);
        }
        circuit.turn().await.succeeded();
        for _ in 0..LASTING_FAILURES {
            assert_eq!(circuit.turn().await.failed(&failure(false)), Then::Again);
            assert_eq!(circuit.turn().await.failed(&failure(true)), Then::Again);
        }
        assert_eq!(circuit.turn().await.failed(&failure(false)), Then::GiveUp);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_fail_together_are_one_failure() {
        let circuit = circuit();
        let mut turns = Vec::new();
        for _ in 0..100 {
            turns.push(circuit.turn().await);
        }
        for turn in turns {
            assert_eq!(turn.failed(&failure(false)), Then::Again);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_given_up_lets_the_next_one_go() {
        let circuit = circuit();
        circuit.turn().await.failed(&failure(true));
        drop(circuit.turn().await);
        circuit.turn().await.succeeded();
        assert!(circuit.turn().await.probe.is_none());
    }
}
