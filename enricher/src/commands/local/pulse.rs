//! How a run goes: what each of the last minutes' seconds brought, and each shard's.
//!
//! Lag is the time from a record's arrival in the stream to its being processed, the longest of a
//! second; what waits are records that no stored position has passed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::witness::Seen;
use pipeline::Verdict;

/// So many seconds are remembered.
const SECONDS: usize = 300;

/// Counts what workers tell.
#[derive(Clone, Default)]
pub(super) struct Pulse(Arc<Mutex<Beats>>);

#[derive(Default)]
struct Beats {
    seconds: VecDeque<Second>,
    open: Second,
    shards: BTreeMap<String, Shard>,
}

/// What a second brought.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Second {
    /// Its end, in milliseconds since the epoch.
    pub(super) at_ms: i64,
    pub(super) enriched: u64,
    pub(super) bad: u64,
    pub(super) incomplete: u64,
    pub(super) parked: u64,
    pub(super) dropped: u64,
    pub(super) lag_ms: u64,
    pub(super) waiting: u64,
}

/// What a second brought of one shard.
#[derive(Default)]
struct Shard {
    events: VecDeque<u64>,
    open: u64,
    lag_ms: u64,
    open_lag_ms: u64,
}

/// A shard's last seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct ShardBeats {
    /// Events of each second, the newest last.
    pub(super) events: Vec<u64>,
    /// The lag in the newest second.
    pub(super) lag_ms: u64,
}

impl Pulse {
    /// Counts a batch.
    pub(super) fn saw(&self, seen: &Seen) {
        let mut beats = self.beats();
        let lags = seen.batch.records.iter().filter_map(|record| record.arrival.at_ms);
        let lag_ms = lags.map(|at| seen.now_ms.saturating_sub(at)).max().unwrap_or(0);
        let lag_ms = u64::try_from(lag_ms).unwrap_or(0);
        let open = &mut beats.open;
        for (_, verdict) in &seen.output.verdicts {
            let count = match verdict {
                Verdict::Enriched => &mut open.enriched,
                Verdict::Bad(_) => &mut open.bad,
                Verdict::Parked => &mut open.parked,
                Verdict::Dropped => &mut open.dropped,
            };
            *count += 1;
        }
        open.incomplete += seen.output.incomplete.len() as u64;
        open.lag_ms = open.lag_ms.max(lag_ms);
        let shard = beats.shards.entry(seen.batch.shard.to_string()).or_default();
        shard.open += seen.output.verdicts.len() as u64;
        shard.open_lag_ms = shard.open_lag_ms.max(lag_ms);
    }

    /// Ends a second, in which so many records wait.
    pub(super) fn beat(&self, now_ms: i64, waiting: u64) -> Second {
        let mut beats = self.beats();
        let second = Second { at_ms: now_ms, waiting, ..std::mem::take(&mut beats.open) };
        beats.seconds.push_back(second.clone());
        if beats.seconds.len() > SECONDS {
            beats.seconds.pop_front();
        }
        for shard in beats.shards.values_mut() {
            shard.events.push_back(std::mem::take(&mut shard.open));
            shard.lag_ms = std::mem::take(&mut shard.open_lag_ms);
            if shard.events.len() > SECONDS {
                shard.events.pop_front();
            }
        }
        second
    }

    /// The seconds so far, the newest last.
    pub(super) fn seconds(&self) -> Vec<Second> {
        self.beats().seconds.iter().cloned().collect()
    }

    /// Every shard that was seen, with its last seconds.
    pub(super) fn shards(&self, most: usize) -> BTreeMap<String, ShardBeats> {
        let names: Vec<String> = self.beats().shards.keys().cloned().collect();
        names.into_iter().map(|name| (name.clone(), self.shard(&name, most))).collect()
    }

    /// The last `most` seconds of a shard; fewer where it has not been seen for so long.
    pub(super) fn shard(&self, id: &str, most: usize) -> ShardBeats {
        let beats = self.beats();
        let Some(shard) = beats.shards.get(id) else { return ShardBeats::default() };
        let from = shard.events.len().saturating_sub(most);
        ShardBeats { events: shard.events.range(from..).copied().collect(), lag_ms: shard.lag_ms }
    }

    fn beats(&self) -> MutexGuard<'_, Beats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Arrival, Batch, Record};
    use bytes::Bytes;
    use lease::{Position, SequenceNumber, ShardId};
    use pipeline::Output;

    fn seen(shard: &str, arrived_ms: i64, verdicts: &[Verdict]) -> Seen {
        let record = Record {
            sequence: SequenceNumber::parse("1").expect("a number"),
            sub_sequence: 0,
            arrival: Arrival { at_ms: Some(arrived_ms), ..Arrival::default() },
            data: Bytes::new(),
        };
        let (shard, end) = (ShardId::new(shard), Position::ShardEnd);
        let batch = Batch { shard, records: vec![record], lag: None, end };
        let verdicts = verdicts.iter().map(|verdict| (0, *verdict)).collect();
        let output = Output { verdicts, ..Output::default() };
        Seen { worker: "w".into(), batch, output, now_ms: 1_000 }
    }

    #[test]
    fn seconds_add_up_and_old_ones_go() {
        let pulse = Pulse::default();
        pulse.saw(&seen("a", 400, &[Verdict::Enriched, Verdict::Parked]));
        pulse.saw(&seen("b", 900, &[Verdict::Enriched, Verdict::Dropped]));
        // Clocks may be set back between arrival and work.
        pulse.saw(&seen("b", 5_000, &[]));
        let second = pulse.beat(2_000, 7);
        let expected = Second {
            at_ms: 2_000,
            enriched: 2,
            parked: 1,
            dropped: 1,
            lag_ms: 600,
            waiting: 7,
            ..Second::default()
        };
        assert_eq!(second, expected);
        let next = pulse.beat(3_000, 0);
        assert_eq!(next, Second { at_ms: 3_000, ..Second::default() });
        assert_eq!(pulse.shard("b", 9), ShardBeats { events: vec![2, 0], lag_ms: 0 });
        assert_eq!(pulse.shard("c", 9), ShardBeats::default());
        for n in 0..400 {
            pulse.beat(n, 0);
        }
        assert_eq!((pulse.seconds().len(), pulse.shard("a", 500).events.len()), (SECONDS, SECONDS));
    }
}
