//! Records in memory as a stream, read a few times over.

use bytes::Bytes;
use lease::{Position, SequenceNumber, Shard, ShardId};

use crate::batch::{Arrival, Batch, Record};
use crate::seam::Pending;
use crate::source::{Error, Outlet, Reading, Source};

/// The bytes of a batch, as a page of Kinesis is cut by default.
const BATCH: usize = 1 << 20;

/// A stream whose shards have these records, so many times.
pub(super) struct Corpus {
    shards: Vec<Vec<Bytes>>,
    passes: usize,
}

impl Corpus {
    /// Spreads the records over so many shards.
    pub(super) fn new(records: Vec<Bytes>, passes: usize, shards: usize) -> Corpus {
        let mut spread = vec![Vec::new(); shards];
        for (n, record) in records.into_iter().enumerate() {
            spread[n % shards].push(record);
        }
        Corpus { shards: spread, passes }
    }

    fn names(&self) -> impl Iterator<Item = ShardId> {
        (0..self.shards.len()).map(|n| ShardId::new(&format!("shardId-{n:012}")))
    }
}

impl Source for Corpus {
    fn shards(&self) -> Pending<'_, Result<Vec<Shard>, Error>> {
        let shard = |id| Shard { id, parents: Vec::new(), hash_range: None, closed: true };
        let shards = self.names().map(shard).collect();
        Box::pin(std::future::ready(Ok(shards)))
    }

    fn read(&self, shard: ShardId, _from: Position, outlet: Outlet) -> Reading {
        let at = self.names().position(|name| name == shard);
        let records = at.map(|at| self.shards[at].clone()).unwrap_or_default();
        Box::pin(run(shard, records, self.passes, outlet))
    }
}

async fn run(
    shard: ShardId,
    records: Vec<Bytes>,
    passes: usize,
    outlet: Outlet,
) -> Result<(), Error> {
    let all = (0..passes).flat_map(|_| &records).enumerate();
    let empty =
        || Batch { shard: shard.clone(), records: Vec::new(), lag: None, end: Position::ShardEnd };
    let (mut batch, mut bytes) = (empty(), 0);
    for (n, data) in all {
        let sequence = SequenceNumber::parse(&n.to_string()).expect("it is a number");
        if bytes + data.len() > BATCH && bytes > 0 {
            let mut full = std::mem::replace(&mut batch, empty());
            full.end = match full.records.last() {
                Some(last) => Position::After { sequence: last.sequence.clone(), sub_sequence: 0 },
                None => Position::TrimHorizon,
            };
            if outlet.send(full).await.is_err() {
                return Ok(());
            }
            bytes = 0;
        }
        bytes += data.len();
        let arrival = Arrival::default();
        batch.records.push(Record { sequence, sub_sequence: 0, arrival, data: data.clone() });
    }
    let _ = outlet.send(batch).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::budget::{Budget, Hurry};
    use crate::source::Batches;

    #[tokio::test]
    async fn every_record_comes_in_each_pass_in_its_place() {
        let records: Vec<Bytes> = (0..7_u8).map(|n| Bytes::from(vec![n; BATCH / 2])).collect();
        let corpus = Corpus::new(records, 3, 2);
        let budget = Arc::new(Budget::new(BATCH * 64, Hurry::default()));
        let mut read = Vec::new();
        for shard in corpus.names() {
            let mut batches = Batches::open(&corpus, &shard, Position::TrimHorizon, &budget);
            let mut next = 0;
            while let Some((batch, _permit)) = batches.next().await.expect("memory does not fail") {
                assert!(batch.bytes() <= BATCH, "{} bytes", batch.bytes());
                for record in &batch.records {
                    assert_eq!(record.sequence.as_str(), next.to_string());
                    next += 1;
                    read.push(record.data[0]);
                }
                let last = batch.end == Position::ShardEnd;
                let of_shard = if shard.as_str().ends_with('0') { 4 } else { 3 };
                assert_eq!(last, next == of_shard * 3);
            }
        }
        read.sort_unstable();
        let wanted: Vec<u8> = (0..7).flat_map(|n| [n; 3]).collect();
        assert_eq!(read, wanted);
    }
}
