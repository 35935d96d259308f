//! The warning that comes before records expire: a line a minute from half of the retention on,
//! which leaves as much time again to raise it.

use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::Age;

/// Between two lines.
const LINE_EVERY: Duration = Duration::from_secs(60);

/// When there was a line last.
#[derive(Debug, Default)]
pub struct Warning(Option<Instant>);

impl Warning {
    /// Says so if records of any shard near their end.
    pub fn tell(&mut self, ages: &[Age]) {
        let Some((age, left, shards)) = self.due(ages) else { return };
        tracing::error!(
            shard = age.shard,
            shards,
            seconds_left = left.as_secs(),
            retention_seconds = age.retention.unwrap_or_default().as_secs(),
            "records expire before they are durable, first those of this shard: raise the \
             retention of the stream, then find what is slow"
        );
    }

    /// The shard that has the least time, how much that is, and how many there are of such; if it
    /// is time for a line.
    fn due<'a>(&mut self, ages: &'a [Age]) -> Option<(&'a Age, Duration, usize)> {
        let near = |age: &'a Age| {
            let retention = age.retention?;
            (age.undurable > retention / 2).then(|| (age, retention.saturating_sub(age.undurable)))
        };
        let near: Vec<_> = ages.iter().filter_map(near).collect();
        let (age, left) = *near.iter().min_by_key(|(_, left)| *left)?;
        if self.0.is_some_and(|last| last.elapsed() < LINE_EVERY) {
            return None;
        }
        self.0 = Some(Instant::now());
        Some((age, left, near.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(shard: &str, undurable: u64, retention: Option<u64>) -> Age {
        let hours = |hours| Duration::from_secs(hours * 3600);
        let (lag, retention) = (Duration::ZERO, retention.map(hours));
        Age { shard: shard.to_owned(), lag, undurable: hours(undurable), retention, in_flight: 0 }
    }

    #[tokio::test(start_paused = true)]
    async fn the_shard_with_the_least_time_is_named_once_a_minute() {
        let mut warning = Warning::default();
        let ages = [
            age("fresh", 1, Some(24)),
            age("old", 13, Some(24)),
            age("oldest", 30, Some(48)),
            age("older", 20, Some(24)),
            age("unknown", 90, None),
        ];
        let due = warning.due(&ages).expect("three are near their end");
        assert_eq!((due.0.shard.as_str(), due.1.as_secs(), due.2), ("older", 4 * 3600, 3));
        tokio::time::advance(LINE_EVERY / 2).await;
        assert!(warning.due(&ages).is_none());
        tokio::time::advance(LINE_EVERY / 2).await;
        assert!(warning.due(&ages).is_some());
        assert!(Warning::default().due(&ages[..1]).is_none(), "there is time");
    }
}
