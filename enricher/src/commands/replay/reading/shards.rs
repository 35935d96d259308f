//! Shards of a Kinesis stream as objects of a replay: each from a time on, up to another or to what
//! there was when it was reached.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use lease::{Position, SequenceNumber, ShardId};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::entry::{Entry, Met, Origin, What};
use crate::aws::{self, Aws};
use crate::batch::Record;
use crate::budget::{Budget, Hurry};
use crate::exit::Usage;
use crate::source::kinesis::{Expired, Kinesis, Settings};
use crate::source::{Batches, Source};

/// How names of streams begin among what is replayed.
pub(in crate::commands::replay) const KINESIS: &str = "kinesis://";

/// What is read ahead of a shard, at most.
const AHEAD: usize = 32 << 20;

/// As often as a shard may be asked, with room for a worker beside this.
const POLL: Duration = Duration::from_millis(400);

/// Records of a shard are in the order in which they came, by clocks that differ by this at most.
const CLOCKS_MS: i64 = 60_000;

/// A stream, with what its requests run on.
pub(in crate::commands::replay) struct Stream {
    name: Arc<str>,
    source: Kinesis,
    runtime: Arc<Runtime>,
}

/// One shard that is being read.
pub(super) struct Shard {
    name: Arc<str>,
    stream: Arc<str>,
    runtime: Arc<Runtime>,
    batches: Batches,
    tip: watch::Receiver<bool>,
    ready: VecDeque<Record>,
    until_ms: i64,
    ended: bool,
}

impl Stream {
    /// A stream, by name.
    pub(in crate::commands::replay) fn open(
        name: &str,
        aws: &aws::Settings,
    ) -> anyhow::Result<Stream> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let aws = runtime.block_on(async { Aws::load(aws.clone()).await.check().await })?;
        let settings = Settings {
            stream: name.to_owned(),
            arn: None,
            poll_interval: POLL,
            idle_poll_interval: POLL,
            batch_bytes: 2 << 20,
            // A batch is handed over with its page, so that the tip is reached behind it.
            batch_age: Duration::ZERO,
            // What expired meanwhile is no part of what was asked for: say so.
            expired: Expired::Stop,
        };
        let source = Kinesis::new(aws.kinesis(), settings, Arc::default());
        Ok(Stream { name: name.into(), source, runtime: Arc::new(runtime) })
    }

    /// Its shards by name, parents before their children.
    pub(in crate::commands::replay) fn shards(&self) -> anyhow::Result<Vec<String>> {
        let listed = self.runtime.block_on(self.source.shards());
        let mut rest = listed.with_context(|| format!("{KINESIS}{}", self.name))?;
        if rest.is_empty() {
            return Err(Usage(format!("{KINESIS}{}: it has no shards", self.name)).into());
        }
        let mut order = Vec::new();
        while !rest.is_empty() {
            let there: BTreeSet<ShardId> = rest.iter().map(|shard| shard.id.clone()).collect();
            let waits = |parents: &[ShardId]| parents.iter().any(|parent| there.contains(parent));
            let (later, now): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|shard| waits(&shard.parents));
            assert!(!now.is_empty(), "no shard is its own ancestor");
            order.extend(now.into_iter().map(|shard| shard.id.as_str().to_owned()));
            rest = later;
        }
        Ok(order)
    }

    /// Begins to read a shard behind a record, or else from a time on.
    pub(super) fn shard(
        &self,
        name: &str,
        after: Option<&str>,
        (since_ms, until_ms): (Option<i64>, i64),
    ) -> anyhow::Result<Shard> {
        let from = match after {
            Some(text) => {
                position(text).with_context(|| format!("{text} is no position in a shard"))?
            }
            None => since_ms.map_or(Position::TrimHorizon, |ms| Position::AtTimestamp(Some(ms))),
        };
        let budget = Arc::new(Budget::new(AHEAD, Hurry::default()));
        let entered = self.runtime.enter();
        let batches = Batches::open(&self.source, &ShardId::new(name), from, &budget);
        drop(entered);
        let tip = batches.tip();
        Ok(Shard {
            name: name.into(),
            stream: Arc::clone(&self.name),
            runtime: Arc::clone(&self.runtime),
            batches,
            tip,
            ready: VecDeque::new(),
            until_ms,
            ended: false,
        })
    }
}

impl Shard {
    /// The next record; `None` at the end of the shard, at the time, or at the tip.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Met>> {
        while self.ready.is_empty() && !self.ended {
            self.read()?;
        }
        let Some(record) = self.ready.pop_front() else { return Ok(None) };
        let Record { sequence, sub_sequence, arrival, data } = record;
        let (stream, shard) = (Arc::clone(&self.stream), Arc::clone(&self.name));
        let origin = Origin { stream, shard, sequence, sub_sequence };
        let (what, reasons) = (What::Record { data }, Vec::new());
        Ok(Some(Met::Entry(Entry { origin, came_ms: arrival.at_ms, what, reasons, events: 0 })))
    }

    fn read(&mut self) -> anyhow::Result<()> {
        let (batches, tip) = (&mut self.batches, &mut self.tip);
        let next = self.runtime.block_on(async {
            tokio::select! {
                // What was handed over before the tip was reached comes first.
                biased;
                next = batches.next() => next.map(Some),
                _ = tip.wait_for(|reached| *reached) => Ok(None),
            }
        });
        let what = || format!("{KINESIS}{}, {}", self.stream, self.name);
        match next.with_context(what)? {
            Some(Some((batch, _permit))) => {
                let came = |record: &Record| record.arrival.at_ms.unwrap_or(i64::MIN);
                self.ended = batch.records.iter().any(|it| came(it) > self.until_ms + CLOCKS_MS);
                let until_ms = self.until_ms;
                self.ready = batch.records.into_iter().filter(|it| came(it) < until_ms).collect();
            }
            Some(None) | None => self.ended = true,
        }
        Ok(())
    }
}

/// A record's place in its shard, as [`after`] writes it.
fn position(text: &str) -> Option<Position> {
    let (sequence, sub_sequence) = text.split_once('/').unwrap_or((text, "0"));
    let (sequence, sub_sequence) = (SequenceNumber::parse(sequence)?, sub_sequence.parse().ok()?);
    Some(Position::After { sequence, sub_sequence })
}

/// A record's place in its shard.
pub(super) fn after(sequence: &SequenceNumber, sub_sequence: u64) -> String {
    Position::After { sequence: sequence.clone(), sub_sequence }.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        for (sequence, sub_sequence) in [("0", 0), ("495903382714902566085596925", 0), ("7", 12)] {
            let number = SequenceNumber::parse(sequence).expect("a number");
            let place = Position::After { sequence: number.clone(), sub_sequence };
            assert_eq!(position(&after(&number, sub_sequence)), Some(place));
        }
        assert_eq!(position("SHARD_END"), None);
    }
}
