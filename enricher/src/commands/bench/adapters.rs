//! `snowmelt bench transform --adapter`: what events of webhooks cost beside those of the input.
//!
//! Both are measured in the same runs, in turn, because the machine is not the same from minute to
//! minute. A webhook's batch is one request many times over, as long as the input.

use anyhow::ensure;
use bytes::Bytes;
use lease::{Position, SequenceNumber, ShardId};
use traffic::webhooks::{REQUESTS, Request};

use super::{Measured, TransformBench, measure, median, passes};
use crate::batch::{Arrival, Batch, Record};
use crate::commands::enrich::Transform;
use crate::terminal;

/// The requests of a webhook, and what its turns took.
struct Contender {
    name: &'static str,
    batches: Vec<Batch>,
    /// Events of one turn, and how many of them were enriched.
    events: usize,
    enriched: usize,
    turns: Vec<Measured>,
}

/// Measures and prints a line for each webhook.
pub(super) fn run(
    adapter: &str,
    transform: &Transform,
    input: &[Batch],
    args: &TransformBench,
) -> anyhow::Result<()> {
    let wanted = |request: &&Request| adapter == "all" || request.adapter == adapter;
    let requests: Vec<_> = REQUESTS.iter().filter(wanted).collect();
    let names = REQUESTS.map(|request| request.adapter).join(", ");
    ensure!(!requests.is_empty(), "--adapter: expected all or one of {names}, found {adapter}");
    let of_input = Contender {
        name: "the input",
        batches: input.to_vec(),
        events: 0,
        enriched: 0,
        turns: Vec::new(),
    };
    let mut contenders = vec![of_input];
    let records = input.iter().map(|batch| batch.records.len()).sum::<usize>().max(1);
    contenders.extend(requests.into_iter().map(|request| Contender {
        name: request.adapter,
        batches: vec![batch(request, records)],
        events: 0,
        enriched: 0,
        turns: Vec::new(),
    }));
    for contender in &mut contenders {
        // The first pass finds out what later ones know: schemas, above all.
        let passed = passes(transform, &contender.batches, 1, 1);
        (contender.events, contender.enriched) = (passed.events, passed.enriched);
    }
    for _ in 0..args.runs {
        for contender in &mut contenders {
            let turn = measure(|| passes(transform, &contender.batches, args.passes, 1));
            contender.turns.push(turn);
        }
    }
    let of_input = contenders[0].per_second(args.passes);
    terminal::line(&format!(
        "{:<24} {:>10} {:>22} {:>20}",
        "adapter", "enriched", "events per CPU second", "ratio to the input"
    ));
    for contender in &contenders {
        let rate = contender.per_second(args.passes);
        let enriched = 100.0 * contender.enriched as f64 / contender.events.max(1) as f64;
        terminal::line(&format!(
            "{:<24} {enriched:>9.0}% {rate:>22.0} {:>20.2}",
            contender.name,
            rate / of_input
        ));
    }
    Ok(())
}

impl Contender {
    fn per_second(&self, passes: usize) -> f64 {
        let cpu = median(&self.turns, |turn| turn.cpu);
        (self.events * passes) as f64 / cpu.as_secs_f64()
    }
}

/// A batch of so many records of one request.
fn batch(request: &Request, records: usize) -> Batch {
    let data = Bytes::from(request.record());
    let sequence = |index: usize| {
        let sequence = SequenceNumber::parse(&index.to_string());
        sequence.expect("a number without leading zeros is a sequence number")
    };
    let record = |index| Record {
        sequence: sequence(index),
        sub_sequence: 0,
        arrival: Arrival::default(),
        data: data.clone(),
    };
    let records: Vec<_> = (0..records).map(record).collect();
    let end = Position::After { sequence: sequence(records.len()), sub_sequence: 0 };
    Batch { shard: ShardId::new("bench"), records, lag: None, end }
}
