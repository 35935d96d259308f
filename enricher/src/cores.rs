//! One batch on many cores: cut into chunks of whole records, processed side by side, rejoined in
//! order, so that the result is the same for any number of threads.

use std::sync::Arc;

use event::SchemaKey;

use crate::batch::Batch;
use crate::pool::{Panicked, Pool};
use crate::resolving::Attempt;
use pipeline::output::Verdict;
use pipeline::{Outcome, Output, Pipeline, Suspended};

/// A chunk has at least so many payload bytes: below, handing it over costs more than it saves.
const CHUNK: usize = 64 * 1024;

/// Processes a batch on the pool's threads. What some of its events waited for concerns few of
/// them, so going on with those takes one thread.
pub async fn process(
    pool: &Pool,
    pipeline: &Arc<Pipeline>,
    batch: &Batch,
    attempt: Attempt,
    now_ms: i64,
) -> Result<Outcome, Panicked> {
    let outcome = match attempt.suspended {
        None => afresh(pool, pipeline, batch, attempt, now_ms).await?,
        Some(_) => {
            let (pipeline, batch) = (Arc::clone(pipeline), batch.clone());
            pool.run(move || attempt.run(&pipeline, &batch.view(), None, now_ms)).await?
        }
    };
    if let Outcome::Done(output) = &outcome {
        assert_balanced(output, batch.records.len());
    }
    Ok(outcome)
}

async fn afresh(
    pool: &Pool,
    pipeline: &Arc<Pipeline>,
    batch: &Batch,
    attempt: Attempt,
    now_ms: i64,
) -> Result<Outcome, Panicked> {
    let chunks = cut(batch, pool.threads());
    let starts: Vec<usize> = chunks
        .iter()
        .scan(0, |next, chunk| Some(std::mem::replace(next, *next + chunk.records.len())))
        .collect();
    let jobs = chunks.into_iter().map(|chunk| {
        let pipeline = Arc::clone(pipeline);
        let (schemas, told) = (attempt.schemas.clone(), attempt.told.clone());
        let attempt = Attempt { schemas, told, suspended: None };
        move || attempt.run(&pipeline, &chunk.view(), None, now_ms)
    });
    let outcomes = pool.run_all(jobs.collect()).await?;
    Ok(rejoin(outcomes.into_iter().zip(starts)))
}

/// Every record has a verdict and every verdict its line: what is not accounted for would be
/// checkpointed and so lost.
fn assert_balanced(output: &Output, records: usize) {
    let mut next = 0;
    for (record, _) in &output.verdicts {
        assert!(*record == next || *record + 1 == next, "record {next} has no verdict");
        next = record + 1;
    }
    assert_eq!(next as usize, records, "the last records have no verdict");
    let (mut enriched, mut bad, mut parked, mut last) = (0, 0, 0, None);
    for (record, verdict) in &output.verdicts {
        match verdict {
            Verdict::Enriched => enriched += 1,
            Verdict::Bad(_) => bad += 1,
            Verdict::Dropped => {}
            // One line stands for all events of a record that wait; they come together, last.
            Verdict::Parked => parked += usize::from(last.replace(record) != Some(record)),
        }
    }
    assert_eq!(output.enriched.len(), enriched, "events without a line");
    assert_eq!(output.bad.len(), bad, "bad rows without a line");
    assert_eq!(output.parked.len(), parked, "parked records without a line");
}

/// Cuts a batch into about as many chunks of about the same size as there are threads.
fn cut(batch: &Batch, threads: usize) -> Vec<Batch> {
    let target = batch.bytes().div_ceil(threads.max(1)).max(CHUNK);
    let empty = || Batch {
        shard: batch.shard.clone(),
        records: Vec::new(),
        lag: batch.lag,
        end: batch.end.clone(),
    };
    let mut chunks = vec![empty()];
    let mut bytes = 0;
    for record in &batch.records {
        if bytes >= target {
            chunks.push(empty());
            bytes = 0;
        }
        bytes += record.data.len();
        chunks.last_mut().expect("it starts with one").records.push(record.clone());
    }
    chunks
}

/// Appends outputs in order, or collects what they need. Each comes with the index that its first
/// record has in the whole batch.
fn rejoin(outcomes: impl Iterator<Item = (Outcome, usize)>) -> Outcome {
    let mut whole = Suspended::default();
    let mut needed: Vec<SchemaKey> = Vec::new();
    for (outcome, start) in outcomes {
        match outcome {
            Outcome::Done(part) => whole.append(part.into(), start as u32),
            Outcome::Waits(part) => whole.append(part, start as u32),
            Outcome::Need(keys) => needed.extend(keys),
        }
    }
    if needed.is_empty() {
        return whole.outcome();
    }
    needed.sort();
    needed.dedup();
    Outcome::Need(needed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Arrival, Record};
    use bytes::Bytes;
    use lease::{Position, SequenceNumber, ShardId};

    fn batch(sizes: &[usize]) -> Batch {
        let record = |(n, size): (usize, &usize)| Record {
            sequence: SequenceNumber::parse(&n.to_string()).expect("a number"),
            sub_sequence: 0,
            arrival: Arrival::default(),
            data: Bytes::from(vec![0; *size]),
        };
        let records = sizes.iter().enumerate().map(record).collect();
        Batch { shard: ShardId::new("s"), records, lag: None, end: Position::ShardEnd }
    }

    #[test]
    fn chunks_are_whole_records_in_order() {
        for (sizes, threads, expected) in [
            (vec![], 4, vec![0]),
            (vec![10; 100], 4, vec![100]),
            (vec![CHUNK; 4], 4, vec![1, 1, 1, 1]),
            (vec![CHUNK; 5], 2, vec![3, 2]),
            (vec![CHUNK * 9, 1, 1], 2, vec![1, 2]),
        ] {
            let chunks = cut(&batch(&sizes), threads);
            let counts: Vec<usize> = chunks.iter().map(|chunk| chunk.records.len()).collect();
            assert_eq!(counts, expected, "{threads} threads, {} records", sizes.len());
            let joined = chunks.iter().flat_map(|chunk| &chunk.records);
            assert!(joined.zip(&batch(&sizes).records).all(|(a, b)| a.sequence == b.sequence));
        }
    }

    #[test]
    fn verdicts_count_records_of_the_whole_batch() {
        let part = |lines: &[&str]| {
            let mut output = Output::default();
            for (n, line) in lines.iter().enumerate() {
                output.enriched.push_with(|out| out.extend_from_slice(line.as_bytes()));
                output.verdicts.push((n as u32, Verdict::Enriched));
            }
            Outcome::Done(output)
        };
        let parts = [(part(&["a", "b"]), 0), (part(&["c"]), 2)];
        let Outcome::Done(whole) = rejoin(parts.into_iter()) else { panic!("nothing is needed") };
        assert_eq!(whole.enriched.as_bytes(), b"a\nb\nc\n");
        let records: Vec<u32> = whole.verdicts.iter().map(|(record, _)| *record).collect();
        assert_eq!(records, [0, 1, 2]);
    }
}
