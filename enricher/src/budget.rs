//! The bytes of all batches between reading and durability, bounded for the whole worker, and the
//! call to hurry that goes out when somebody waits for them.
//!
//! A batch takes its bytes before it is worked on and gives them back when it is durable. A batch
//! that waits in an object keeps only what it occupies there. Whoever waits for bytes that only
//! open objects can give back calls for these to be closed, so that the budget and an object can
//! never wait for each other. A quarter of all bytes is for pages between a stream's answer and the
//! batches made of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::metrics::InFlight;

/// Permits are counted in units of this many bytes, since a semaphore takes 32-bit numbers.
const UNIT: usize = 1024;

/// How often somebody who waits repeats the call to hurry: objects opened since the last call
/// must close too, but a call should find more than one batch in an object.
const REPEAT: Duration = Duration::from_millis(100);

/// The part of all bytes that pages may take: one of so many. Pages have room of their own, since
/// who holds one waits for room for its batches, and must not wait for itself.
const PAGES: usize = 4;

/// The bound on bytes in flight.
#[derive(Debug)]
pub struct Budget {
    /// For batches.
    room: Arc<Semaphore>,
    units: usize,
    /// For pages in readers' hands.
    pages: Arc<Semaphore>,
    page_units: usize,
    /// Of those taken for batches: what only waits in objects.
    resting: Arc<AtomicUsize>,
    hurry: Hurry,
}

/// Bytes taken from the budget; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    units: OwnedSemaphorePermit,
    /// Where it says what only waits, and how much of this does.
    resting: Option<(Arc<AtomicUsize>, usize)>,
    /// The records that the bytes are of, which are not durable while this is here.
    _records: Option<InFlight>,
}

/// Calls everybody who holds something back to let it go.
#[derive(Clone, Debug)]
pub struct Hurry {
    calls: Arc<watch::Sender<u64>>,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(bytes: usize, hurry: Hurry) -> Budget {
        let all = (bytes / UNIT).clamp(2, u32::MAX as usize);
        let page_units = (all / PAGES).max(1);
        let units = all - page_units;
        Budget {
            room: Arc::new(Semaphore::new(units)),
            units,
            pages: Arc::new(Semaphore::new(page_units)),
            page_units,
            resting: Arc::default(),
            hurry,
        }
    }

    /// Waits until so many bytes are free for a batch. What is larger than there ever is takes all.
    pub async fn take(&self, bytes: usize) -> Permit {
        let units = bytes.div_ceil(UNIT).clamp(1, self.units);
        let mut taking = std::pin::pin!(Arc::clone(&self.room).acquire_many_owned(units as u32));
        let units = loop {
            tokio::select! {
                biased;
                taken = &mut taking => break taken.expect("the semaphore is never closed"),
                () = tokio::time::sleep(REPEAT) => {}
            }
            // What is being worked on makes room by itself. What rests in objects does so only when
            // they close, and is left to grow there as long as the work can go on beside it.
            let resting = self.resting.load(Ordering::Relaxed);
            if resting >= self.units / 2 || resting + units > self.units {
                self.hurry.call();
            }
        };
        Permit { units, resting: Some((Arc::clone(&self.resting), 0)), _records: None }
    }

    /// Waits until so many bytes are free for a page.
    pub async fn take_page(&self, bytes: usize) -> Permit {
        let units = bytes.div_ceil(UNIT).clamp(1, self.page_units) as u32;
        let units = Arc::clone(&self.pages).acquire_many_owned(units).await;
        let units = units.expect("the semaphore is never closed");
        Permit { units, resting: None, _records: None }
    }

    /// The bound.
    pub fn limit(&self) -> usize {
        (self.units + self.page_units) * UNIT
    }

    /// The bytes taken now.
    pub fn taken(&self) -> usize {
        let free = self.room.available_permits() + self.pages.available_permits();
        (self.units + self.page_units - free) * UNIT
    }
}

impl Permit {
    /// Parts so many bytes from it, or all but one unit of them.
    pub fn part(&mut self, bytes: usize) -> Permit {
        let units = bytes.div_ceil(UNIT).min(self.units.num_permits().saturating_sub(1));
        let units = self.units.split(units).expect("there are as many");
        let resting = self.resting.as_ref().map(|(all, _)| (Arc::clone(all), 0));
        Permit { units, resting, _records: None }
    }

    /// Gives back all but so many bytes. Never grows.
    pub fn shrink_to(&mut self, bytes: usize) {
        let keep = bytes.div_ceil(UNIT);
        let surplus = self.units.num_permits().saturating_sub(keep);
        drop(self.units.split(surplus));
    }

    /// Gives back all but what waits in objects.
    pub fn rest(&mut self, bytes: usize) {
        self.shrink_to(bytes);
        if let Some((all, ours)) = &mut self.resting {
            let now = self.units.num_permits();
            all.fetch_add(now, Ordering::Relaxed);
            all.fetch_sub(std::mem::replace(ours, now), Ordering::Relaxed);
        }
    }

    /// Says which records these bytes are of.
    pub fn with(mut self, records: InFlight) -> Permit {
        self._records = Some(records);
        self
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some((all, ours)) = &self.resting {
            all.fetch_sub(*ours, Ordering::Relaxed);
        }
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
        let budget = Arc::new(Budget::new(16 * UNIT, hurry));
        let mut first = budget.take(8 * UNIT).await;
        first.rest(8 * UNIT);
        assert_eq!(budget.taken(), 8 * UNIT);
        assert!(!calls.has_changed().expect("the sender lives"));

        let taker = Arc::clone(&budget);
        let mut waiting = std::pin::pin!(async move { taker.take(6 * UNIT).await });
        tokio::select! {
            _ = &mut waiting => panic!("there is no room for 6 more"),
            changed = calls.changed() => changed.expect("the sender lives"),
        }
        drop(first);
        let second = waiting.await;
        assert_eq!(budget.taken(), 6 * UNIT);
        drop(second);
        assert_eq!(budget.taken(), 0);
    }

    /// Objects are not cut short while what is being worked on makes room by itself.
    #[tokio::test(start_paused = true)]
    async fn work_that_makes_room_calls_for_no_hurry() {
        let hurry = Hurry::default();
        let calls = hurry.listen();
        let budget = Budget::new(16 * UNIT, hurry);
        let mut resting = budget.take(2 * UNIT).await;
        resting.rest(2 * UNIT);
        let working = budget.take(9 * UNIT).await;
        let waiting = tokio::time::timeout(REPEAT * 100, budget.take(8 * UNIT)).await;
        assert!(waiting.is_err(), "there is no room for 8 more");
        assert!(!calls.has_changed().expect("the sender lives"));
        drop(working);
        budget.take(8 * UNIT).await;
        drop(resting);
        assert_eq!(budget.taken(), 0);
    }

    #[tokio::test]
    async fn permits_shrink_and_a_giant_takes_all() {
        let budget = Budget::new(16 * UNIT, Hurry::default());
        let mut giant = budget.take(usize::MAX).await;
        assert_eq!(budget.taken(), 12 * UNIT);
        giant.shrink_to(3 * UNIT + 1);
        assert_eq!(budget.taken(), 4 * UNIT);
        giant.shrink_to(9 * UNIT);
        assert_eq!(budget.taken(), 4 * UNIT);
    }

    #[tokio::test]
    async fn a_page_has_room_though_batches_have_taken_all() {
        let budget = Budget::new(16 * UNIT, Hurry::default());
        let _giant = budget.take(usize::MAX).await;
        let page = budget.take_page(usize::MAX).await;
        assert_eq!(budget.taken(), budget.limit());
        drop(page);
        assert_eq!(budget.taken(), 12 * UNIT);
    }
}
