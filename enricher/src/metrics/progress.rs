//! How far behind a shard's tip its reader is, and how old the oldest record is that is not
//! durable.
//!
//! With the time for which the stream keeps records that is how long the shard has before it loses
//! some. All are told for the moment of the question. What the stream said last holds until its
//! next answer is overdue; then they grow with the time since that answer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// An answer is overdue after so many times the time between two, and never sooner than after
/// [`SOONEST`]: a busy machine is no lag.
const OVERDUE: u32 = 3;

/// See [`OVERDUE`].
const SOONEST: Duration = Duration::from_secs(5);

/// The shards that are read.
#[derive(Debug, Default)]
pub(super) struct Progress {
    shards: Mutex<BTreeMap<String, Arc<Mutex<Shard>>>>,
}

/// For how long a stream keeps records, as far as that is known.
#[derive(Debug, Default)]
pub struct Retention(AtomicU64);

impl Retention {
    /// The stream has said so.
    pub fn set(&self, time: Duration) {
        self.0.store(time.as_secs(), Ordering::Relaxed);
    }

    /// What it said.
    pub fn get(&self) -> Option<Duration> {
        let seconds = self.0.load(Ordering::Relaxed);
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }
}

/// A shard at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Age {
    /// Which it is.
    pub shard: String,
    /// How far behind its tip it is read.
    pub lag: Duration,
    /// The age of its oldest record that is not durable.
    pub undurable: Duration,
    /// How long its stream keeps records, where that is known.
    pub retention: Option<Duration>,
    /// Batches that are on their way.
    pub in_flight: usize,
}

#[derive(Debug)]
struct Shard {
    retention: Arc<Retention>,
    lag: Duration,
    answered: Instant,
    every: Duration,
    /// When the oldest record of each batch that is not durable came, in milliseconds since 1970.
    in_flight: BTreeMap<u64, i64>,
    batches: u64,
}

/// The reading of one shard, which tells how it goes.
#[derive(Clone, Debug)]
pub struct Reading(Arc<Mutex<Shard>>);

/// Records on their way from a stream to where they are durable. Dropped when they are.
#[derive(Debug)]
pub struct InFlight {
    shard: Arc<Mutex<Shard>>,
    batch: u64,
}

impl Progress {
    pub(super) fn reading(
        &self,
        shard: &str,
        every: Duration,
        retention: &Arc<Retention>,
    ) -> Reading {
        let reading = Arc::new(Mutex::new(Shard {
            retention: Arc::clone(retention),
            lag: Duration::ZERO,
            answered: Instant::now(),
            every,
            in_flight: BTreeMap::new(),
            batches: 0,
        }));
        self.lock().insert(shard.to_owned(), Arc::clone(&reading));
        Reading(reading)
    }

    pub(super) fn forget(&self, shard: &str) {
        self.lock().remove(shard);
    }

    /// How old things are, of each shard.
    pub(super) fn now(&self, now_ms: i64) -> Vec<Age> {
        let shards = self.lock();
        let shards = shards.iter().map(|(name, shard)| {
            let shard = lock(shard);
            let lag = shard.lag();
            let oldest = shard.in_flight.values().min().map(|came_ms| now_ms - came_ms);
            let oldest = u64::try_from(oldest.unwrap_or_default()).unwrap_or_default();
            let undurable = lag.max(Duration::from_millis(oldest));
            let (retention, in_flight) = (shard.retention.get(), shard.in_flight.len());
            Age { shard: name.clone(), lag, undurable, retention, in_flight }
        });
        shards.collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Mutex<Shard>>>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn lag(&self) -> Duration {
        let silent = self.answered.elapsed();
        let overdue = silent > (self.every * OVERDUE).max(SOONEST);
        if overdue { self.lag + silent } else { self.lag }
    }
}

impl Reading {
    /// The stream has answered, with or without records, and said how far behind they are.
    pub fn answered(&self, lag: Duration) {
        let mut shard = lock(&self.0);
        (shard.lag, shard.answered) = (lag, Instant::now());
    }

    /// Records were read, the oldest of which came then, in milliseconds since 1970.
    pub fn in_flight(&self, came_ms: i64) -> InFlight {
        let mut shard = lock(&self.0);
        shard.batches += 1;
        let batch = shard.batches;
        shard.in_flight.insert(batch, came_ms);
        InFlight { shard: Arc::clone(&self.0), batch }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        lock(&self.shard).in_flight.remove(&self.batch);
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(progress: &Progress, now_ms: i64) -> (u64, u64) {
        let now = progress.now(now_ms);
        let [age] = now.as_slice() else { panic!("{now:?}") };
        (age.lag.as_secs(), age.undurable.as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn lag_grows_once_an_answer_is_overdue() {
        let progress = Progress::default();
        let reading = progress.reading("a", Duration::from_millis(500), &Arc::default());
        reading.answered(Duration::from_secs(3600));
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(seconds(&progress, 0), (3600, 3600));
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(seconds(&progress, 0), (3608, 3608));
        reading.answered(Duration::ZERO);
        assert_eq!(seconds(&progress, 0), (0, 0));
        progress.forget("a");
        assert!(progress.now(0).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_record_counts_until_it_is_durable() {
        let progress = Progress::default();
        let reading = progress.reading("a", Duration::from_secs(60), &Arc::default());
        reading.answered(Duration::ZERO);
        let (first, second) = (reading.in_flight(10_000), reading.in_flight(30_000));
        assert_eq!(seconds(&progress, 70_000), (0, 60));
        // Batches become durable in any order.
        drop(first);
        assert_eq!(seconds(&progress, 70_000), (0, 40));
        drop(second);
        assert_eq!(seconds(&progress, 70_000), (0, 0));
        let _early = reading.in_flight(90_000);
        assert_eq!(seconds(&progress, 70_000), (0, 0), "clocks differ");
    }
}
