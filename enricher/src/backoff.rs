//! The one retry policy: delays that double, bounded, with full jitter, so that workers that fail
//! together do not come back together.
//!
//! Retries live in exactly one layer, the source or the sink that knows which errors pass; the
//! SDK's own are switched off.

use std::time::Duration;

/// The first delay is drawn below this: about the time a throttled shard needs to refill a tenth.
const FIRST: Duration = Duration::from_millis(100);
/// No delay is longer: waiting more would not help a shard, only delay what recovered.
const LONGEST: Duration = Duration::from_secs(5);

/// The delays of one operation that keeps failing.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How often it failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Forgets the failures: the operation succeeded or made headway.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Counts a failure and waits.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.delay()).await;
    }

    /// Counts a failure and says how long to wait.
    pub fn delay(&mut self) -> Duration {
        self.next(fastrand::f64())
    }

    /// The next delay, for a number drawn from 0 to 1. Half of it is fixed: no draw hammers.
    fn next(&mut self, draw: f64) -> Duration {
        let longest = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        longest.div_f64(2.0) + longest.mul_f64(draw / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_bound() {
        let mut backoff = Backoff::default();
        let millis: Vec<u128> = (0..8).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(millis, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        backoff.reset();
        assert_eq!(backoff.next(0.0), FIRST / 2);
    }

    #[test]
    fn a_long_outage_does_not_overflow() {
        let mut backoff = Backoff { failures: u32::MAX };
        assert_eq!(backoff.next(1.0), LONGEST);
        assert_eq!(backoff.failures(), u32::MAX);
    }
}
