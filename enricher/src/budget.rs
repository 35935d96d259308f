//! The bytes of all batches between reading and durability, bounded for the whole worker, and the
//! call to hurry that goes out when somebody waits for them.
//!
//! A batch takes its bytes before it is worked on and gives them back when it is durable. A batch
//! that waits in an object keeps only what it occupies there. Whoever waits for bytes calls for
//! open objects to be closed, so that the budget and an object can never wait for each other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Permits are counted in units of this many bytes, since a semaphore takes 32-bit numbers.
const UNIT: usize = 1024;

/// How often somebody who waits repeats the call to hurry: objects opened since the last call
/// must close too, but a call should find more than one batch in an object.
const REPEAT: Duration = Duration::from_millis(100);

/// The bound on bytes in flight.
#[derive(Debug)]
pub struct Budget {
    room: Arc<Semaphore>,
    units: usize,
    hurry: Hurry,
}

/// Bytes taken from the budget; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    units: OwnedSemaphorePermit,
}

/// Calls everybody who holds something back to let it go.
#[derive(Clone, Debug)]
pub struct Hurry {
    calls: Arc<watch::Sender<u64>>,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(bytes: usize, hurry: Hurry) -> Budget {
        let units = (bytes / UNIT).clamp(1, u32::MAX as usize);
        Budget { room: Arc::new(Semaphore::new(units)), units, hurry }
    }

    /// Waits until so many bytes are free. What is larger than the whole budget takes all of it.
    pub async fn take(&self, bytes: usize) -> Permit {
        let units = bytes.div_ceil(UNIT).clamp(1, self.units) as u32;
        let taking = Arc::clone(&self.room).acquire_many_owned(units);
        let units = self.hurry.until(taking).await.expect("the semaphore is never closed");
        Permit { units }
    }

    /// The bound.
    pub fn limit(&self) -> usize {
        self.units * UNIT
    }

    /// The bytes taken now.
    pub fn taken(&self) -> usize {
        (self.units - self.room.available_permits()) * UNIT
    }
}

impl Permit {
    /// Gives back all but so many bytes. Never grows.
    pub fn shrink_to(&mut self, bytes: usize) {
        let keep = bytes.div_ceil(UNIT);
        let surplus = self.units.num_permits().saturating_sub(keep);
        drop(self.units.split(surplus));
    }
}

impl Default for Hurry {
    fn default() -> Hurry {
        Hurry { calls: Arc::new(watch::Sender::new(0)) }
    }
}

impl Hurry {
    /// Waits for something, calling again and again for others to hurry if it takes its time.
    pub async fn until<F: Future>(&self, what: F) -> F::Output {
        let mut what = std::pin::pin!(what);
        loop {
            tokio::select! {
                biased;
                result = &mut what => return result,
                () = tokio::time::sleep(REPEAT) => {}
            }
            self.call();
        }
    }

    /// Calls once.
    pub fn call(&self) {
        self.calls.send_modify(|calls| *calls += 1);
    }

    /// What those who hold things back listen to.
    pub fn listen(&self) -> watch::Receiver<u64> {
        self.calls.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_for_bytes_calls_for_hurry() {
        let hurry = Hurry::default();
        let mut calls = hurry.listen();
        let budget = Arc::new(Budget::new(10 * UNIT, hurry));
        let first = budget.take(8 * UNIT).await;
        assert_eq!(budget.taken(), 8 * UNIT);
        assert!(!calls.has_changed().expect("the sender lives"));

        let taker = Arc::clone(&budget);
        let mut waiting = std::pin::pin!(async move { taker.take(4 * UNIT).await });
        tokio::select! {
            _ = &mut waiting => panic!("there is no room for 4 more"),
            changed = calls.changed() => changed.expect("the sender lives"),
        }
        drop(first);
        let second = waiting.await;
        assert_eq!(budget.taken(), 4 * UNIT);
        drop(second);
        assert_eq!(budget.taken(), 0);
    }

    #[tokio::test]
    async fn permits_shrink_and_a_giant_takes_all() {
        let budget = Budget::new(10 * UNIT, Hurry::default());
        let mut giant = budget.take(usize::MAX).await;
        assert_eq!(budget.taken(), 10 * UNIT);
        giant.shrink_to(3 * UNIT + 1);
        assert_eq!(budget.taken(), 4 * UNIT);
        giant.shrink_to(9 * UNIT);
        assert_eq!(budget.taken(), 4 * UNIT);
    }
}
