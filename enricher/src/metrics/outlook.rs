//! What comes next, told from the last minute: when a shard's reader has caught up, and how many
//! workers like this one the stream needs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::{Gauge, GaugeVec};

use super::make::{Maker, level, levels};

/// So far back goes what is told from.
const WINDOW: Duration = Duration::from_secs(60);

/// Nothing is told from less.
const LEAST: Duration = Duration::from_secs(10);

/// Below this a shard is not behind: it is read once in a while.
const BEHIND: Duration = Duration::from_secs(5);

/// A fleet of the size that is told catches up in so long.
const CATCH_UP: Duration = Duration::from_secs(600);

/// The part of its processors that a worker is to use.
const USED: f64 = 0.6;

/// A worker that reads its stream slower than this, compared to how it is written, is not held up
/// by processors alone: from their use nothing follows.
const SLOWEST: f64 = 0.05;

/// What a worker measured of itself and its fleet at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Load {
    /// Time since some fixed moment.
    pub at: Duration,
    /// Processor time of the process since its start.
    pub used: Duration,
    /// How many threads may compute.
    pub cores: usize,
    /// Workers seen alive, this one included.
    pub workers: u64,
    /// Leases that still have records to read.
    pub shards: u64,
    /// Events enriched since the start.
    pub enriched: u64,
    /// Bad rows since the start.
    pub bad: u64,
    /// Of each shard that is read, how far behind its tip.
    pub lags: BTreeMap<String, Duration>,
}

/// How fast the work of the last minute went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// The part of the threads' time that was used, from 0 to 1.
    pub used: f64,
    /// Events enriched in a second.
    pub enriched: f64,
    /// Bad rows made in a second.
    pub bad: f64,
}

/// The last minute.
#[derive(Debug, Default)]
pub(super) struct Outlook {
    loads: VecDeque<Load>,
}

impl Outlook {
    /// Takes note of a moment.
    pub(super) fn note(&mut self, load: Load) {
        while self.loads.front().is_some_and(|first| first.at + WINDOW < load.at) {
            self.loads.pop_front();
        }
        self.loads.push_back(load);
    }

    /// The first and the last moment, if there is time enough between them.
    fn ends(&self) -> Option<(&Load, &Load)> {
        let (first, last) = self.loads.front().zip(self.loads.back())?;
        (last.at.saturating_sub(first.at) >= LEAST).then_some((first, last))
    }

    /// How fast the work went.
    pub(super) fn pace(&self) -> Option<Pace> {
        let (first, last) = self.ends()?;
        let time = (last.at - first.at).as_secs_f64();
        let used = last.used.saturating_sub(first.used).as_secs_f64();
        let rate = |before: u64, after: u64| after.saturating_sub(before) as f64 / time;
        Some(Pace {
            used: used / (time * last.cores.max(1) as f64),
            enriched: rate(first.enriched, last.enriched),
            bad: rate(first.bad, last.bad),
        })
    }

    /// In how many seconds each shard's reader is at its tip if all goes on as in the last minute:
    /// infinite if it falls behind, nothing for shards that are not known for long enough.
    pub(super) fn catch_up(&self) -> Vec<(&str, f64)> {
        let Some((first, last)) = self.ends() else { return Vec::new() };
        let time = (last.at - first.at).as_secs_f64();
        let told = last.lags.iter().filter_map(|(shard, lag)| {
            if *lag < BEHIND {
                return Some((shard.as_str(), 0.0));
            }
            let before = first.lags.get(shard)?;
            let gained = (before.as_secs_f64() - lag.as_secs_f64()) / time;
            let seconds = if gained > 0.0 { lag.as_secs_f64() / gained } else { f64::INFINITY };
            Some((shard.as_str(), seconds))
        });
        told.collect()
    }

    /// How many workers like this one keep up with the stream at [`USED`] of their processors and
    /// catch up in [`CATCH_UP`]: at least one, and never more than there are shards. This one's
    /// part of the work stands for everybody's, since leases are balanced by load.
    pub(super) fn workers(&self) -> Option<u64> {
        let (first, last) = self.ends()?;
        let time = (last.at - first.at).as_secs_f64();
        let used = self.pace()?.used;
        let mut speeds = Vec::new();
        for (shard, lag) in &last.lags {
            let Some(before) = first.lags.get(shard) else { continue };
            speeds.push(1.0 + (before.as_secs_f64() - lag.as_secs_f64()) / time);
        }
        let workers = last.workers.max(1);
        let most = last.shards.max(1);
        let mean = |sum: f64, of: usize| if of == 0 { None } else { Some(sum / of as f64) };
        let speed = mean(speeds.iter().sum(), speeds.len()).unwrap_or(1.0);
        if speed < SLOWEST {
            return Some(workers.min(most));
        }
        let lags = last.lags.values().map(Duration::as_secs_f64).sum();
        let lag = mean(lags, last.lags.len()).unwrap_or_default();
        let lag = if lag < BEHIND.as_secs_f64() { 0.0 } else { lag };
        let wanted = used / speed * (1.0 + lag / CATCH_UP.as_secs_f64()) / USED;
        let needed = (workers as f64 * wanted).ceil();
        Some((needed.max(1.0) as u64).min(most))
    }
}

/// What is told of what comes next.
#[derive(Clone, Debug)]
pub(super) struct OutlookMetrics {
    catch_up: GaugeVec,
    desired: Gauge,
    seen: Arc<Mutex<Outlook>>,
}

impl OutlookMetrics {
    pub(super) fn new(r: &Maker) -> OutlookMetrics {
        let catch_up = "Seconds until a shard's reader is at its tip if all goes on as in the last \
                        minute; +Inf while it falls behind.";
        let desired = "Workers like this one that keep up with the stream at 60 % of their \
                       processors and catch up in ten minutes, at most one for each shard; 0 until \
                       it can be told.";
        OutlookMetrics {
            catch_up: levels(r, "catch_up_seconds", catch_up, &["shard"]),
            desired: level(r, "desired_workers", desired),
            seen: Arc::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Outlook> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self) {
        let seen = self.lock();
        self.catch_up.reset();
        for (shard, seconds) in seen.catch_up() {
            self.catch_up.with_label_values(&[shard]).set(seconds);
        }
        self.desired.set(seen.workers().unwrap_or_default() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A minute of a worker of `workers` that uses so much of its two cores and whose two shards
    /// are so far behind at its beginning and its end.
    fn minute(workers: u64, used: f64, lag: (u64, u64)) -> Outlook {
        let mut outlook = Outlook::default();
        for (at, lag) in [(0, lag.0), (60, lag.1)] {
            let lags = ["a", "b"].map(|shard| (shard.to_owned(), Duration::from_secs(lag)));
            outlook.note(Load {
                at: Duration::from_secs(at),
                used: Duration::from_secs_f64(used * 2.0 * at as f64),
                cores: 2,
                workers,
                shards: 64,
                lags: lags.into(),
                ..Load::default()
            });
        }
        outlook
    }

    #[test]
    fn a_reader_catches_up_at_the_speed_of_the_last_minute() {
        // 3,600 s became 3,300 s in a minute: five seconds are gained in each.
        let outlook = minute(1, 0.5, (3_600, 3_300));
        assert_eq!(outlook.catch_up(), [("a", 660.0), ("b", 660.0)]);
        assert_eq!(minute(1, 0.5, (100, 160)).catch_up()[0].1, f64::INFINITY);
        assert_eq!(minute(1, 0.5, (1, 2)).catch_up()[0].1, 0.0);
        let mut short = Outlook::default();
        short.note(Load::default());
        short.note(Load { at: Duration::from_secs(9), ..Load::default() });
        assert_eq!((short.catch_up().len(), short.workers()), (0, None));
    }

    #[test]
    fn a_fleet_is_as_large_as_its_work() {
        for (workers, used, lag, expected) in [
            // Steady: what is used is what is needed.
            (4, 0.6, (0, 0), 4),
            (4, 0.3, (0, 0), 2),
            (4, 0.9, (0, 0), 6),
            (4, 0.001, (0, 0), 1),
            // At full speed, reading twice as fast as is written, ten minutes behind: half of the
            // processors would do to keep up, and as many again to catch up in ten minutes.
            (3, 1.0, (660, 600), 5),
            // Falls behind by half: everything is used for half of what comes.
            (3, 1.0, (30, 60), 11),
            // Held up by something else than processors.
            (3, 0.1, (3_540, 3_600), 3),
            (100, 1.0, (0, 0), 64),
        ] {
            let told = minute(workers, used, lag).workers();
            assert_eq!(told, Some(expected), "{workers} workers, {used} used, lag {lag:?}");
        }
    }

    #[test]
    fn only_the_last_minute_counts() {
        let mut outlook = Outlook::default();
        for at in 0..1_000 {
            outlook.note(Load { at: Duration::from_secs(at), ..Load::default() });
        }
        assert_eq!(outlook.loads.len(), 61);
    }

    proptest! {
           #[test]
           fn whatever_is_measured_the_answer_is_a_size(
               workers in 0_u64..1_000, shards in 0_u64..1_000, used in 0_u64..10_000,
               cores in 0_usize..100, before in 0_u64..1_000_000, after in 0_u64..1_000_000,
           ) {
               let mut outlook = Outlook::default();
               for (at, used, lag) in [(0, 0, before), (60, used, after)] {
                   outlook.note(Load {
                       at: Duration::from_secs(at), used: Duration::from_secs(used), cores, workers,
                       shards, lags: [("a".to_owned(), Duration::from_secs(lag))].into(),
    ..Load::default()
                   });
               }
               let told = outlook.workers().expect("a minute is enough");
               prop_assert!((1..=shards.max(1)).contains(&told));
               prop_assert!(outlook.catch_up().iter().all(|(_, seconds)| *seconds >= 0.0));
           }
       }
}
