//! How many requests a stream gets at once: fewer while it throttles, one more again for each so
//! many that it takes whole.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// A stream that throttles does so with all requests that are under way; they count as one.
const ONCE: Duration = Duration::from_millis(250);

/// So many requests that were taken whole make room for one more.
const TAKEN: u32 = 8;

/// The requests that may be under way.
#[derive(Debug)]
pub(super) struct Window {
    requests: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    most: usize,
    allowed: usize,
    taken: u32,
    throttled: Option<Instant>,
}

impl Window {
    /// So many at once, while all is well.
    pub(super) fn new(most: usize) -> Window {
        let state = State { most, allowed: most, taken: 0, throttled: None };
        Window { requests: Semaphore::new(most), state: Mutex::new(state) }
    }

    /// Waits until a request may go out.
    pub(super) async fn turn(&self) -> SemaphorePermit<'_> {
        self.requests.acquire().await.expect("the semaphore is never closed")
    }

    /// What came of a request, whose turn this was.
    pub(super) fn answered(&self, turn: SemaphorePermit<'_>, throttled: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.allowed;
        state.answered(throttled, Instant::now());
        if state.allowed > before {
            self.requests.add_permits(state.allowed - before);
        }
        let mut fewer = before.saturating_sub(state.allowed);
        if fewer > 0 {
            turn.forget();
            fewer -= 1;
            // Those that are under way come back, and are taken away the next time.
            state.allowed += fewer - self.requests.forget_permits(fewer);
        }
    }
}

impl State {
    fn answered(&mut self, throttled: bool, now: Instant) {
        if throttled {
            self.taken = 0;
            let again = self.throttled.is_none_or(|last| now.duration_since(last) >= ONCE);
            if again {
                self.throttled = Some(now);
                self.allowed = (self.allowed / 2).max(1);
            }
            return;
        }
        self.taken += 1;
        if self.taken >= TAKEN && self.allowed < self.most {
            self.taken = 0;
            self.allowed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_throttles_gets_fewer_requests_and_more_again() {
        let window = Window::new(8);
        let allowed = || window.state.lock().expect("nobody panics").allowed;
        for expected in [4, 2, 1, 1] {
            window.answered(window.turn().await, true);
            // Others that were under way say the same.
            if expected > 1 {
                window.answered(window.turn().await, true);
            }
            assert_eq!(allowed(), expected);
            assert_eq!(window.requests.available_permits(), expected);
            tokio::time::advance(ONCE).await;
        }
        for _ in 0..TAKEN * 7 {
            window.answered(window.turn().await, false);
        }
        assert_eq!((allowed(), window.requests.available_permits()), (8, 8));
        for _ in 0..TAKEN * 2 {
            window.answered(window.turn().await, false);
        }
        assert_eq!(window.requests.available_permits(), 8, "never more than the most");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_is_taken_away_when_it_is_back() {
        let window = Window::new(4);
        let mut turns = Vec::new();
        for _ in 0..4 {
            turns.push(window.turn().await);
        }
        window.answered(turns.pop().expect("four"), true);
        tokio::time::advance(ONCE).await;
        window.answered(turns.pop().expect("three"), true);
        tokio::time::advance(ONCE).await;
        drop(turns);
        let allowed = window.state.lock().expect("nobody panics").allowed;
        assert_eq!(window.requests.available_permits(), allowed, "none is lost");
        assert!(allowed <= 2, "{allowed}");
    }
}
