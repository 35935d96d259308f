//! [`Gauge`]: how much load a shard is, from what its task reads.
//!
//! Pure; the time is an argument.

use std::time::Duration;

/// The part of a new sample in the average: about the last ten renewals count.
const FRESHNESS: f64 = 0.2;

/// A shard so far behind weighs twice its rate: it will read as fast as it can for a while.
const LONG_LAG: Duration = Duration::from_secs(60);

/// The weight of one shard.
#[derive(Debug)]
pub(crate) struct Gauge {
    bytes_per_second: Option<f64>,
    since: Duration,
}

impl Gauge {
    /// A shard that nothing has been read from yet.
    pub(crate) fn new(now: Duration) -> Gauge {
        Gauge { bytes_per_second: None, since: now }
    }

    /// Takes in the bytes read since the last call.
    pub(crate) fn measure(&mut self, bytes: u64, now: Duration) {
        let elapsed = now.saturating_sub(self.since).as_secs_f64();
        if elapsed > 0.0 {
            let sample = bytes as f64 / elapsed;
            let average = self.bytes_per_second.unwrap_or(sample);
            self.bytes_per_second = Some(average + (sample - average) * FRESHNESS);
            self.since = now;
        }
    }

    /// How long the shard has not been measured.
    pub(crate) fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.since)
    }

    /// The weight: the rate, more if the shard lags.
    pub(crate) fn weight(&self, lag: Option<Duration>) -> Option<u64> {
        let lag = lag.unwrap_or_default().as_secs_f64() / LONG_LAG.as_secs_f64();
        self.bytes_per_second.map(|rate| (rate * (1.0 + lag.min(1.0))) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_follows_the_rate_and_doubles_with_the_lag() {
        let mut gauge = Gauge::new(Duration::ZERO);
        assert_eq!(gauge.weight(None), None, "a shard just taken has its last owner's weight");
        gauge.measure(3_000, Duration::from_secs(3));
        assert_eq!(gauge.weight(None), Some(1_000));
        gauge.measure(6_000, Duration::from_secs(6));
        assert_eq!(gauge.weight(None), Some(1_200));
        assert_eq!(gauge.weight(Some(Duration::from_secs(30))), Some(1_800));
        assert_eq!(gauge.weight(Some(Duration::from_secs(3_600))), Some(2_400));
    }
}
