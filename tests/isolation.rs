//! One bad record harms no other, whatever is in it: batches in which broken records stand
//! between good ones, from a seed that a failure prints.

use std::sync::Arc;

use bytes::Bytes;
use enricher::batch::{Arrival, Batch, Record};
use event::bad_row::Processor;
use lease::{Position, SequenceNumber, ShardId};
use pipeline::{Outcome, Output, Pipeline, Settings, Verdict};
use resolver::Resolver;
use traffic::Generator;

const NOW_MS: i64 = 1_767_225_600_000;
const ROUNDS: u64 = 200;
const GOOD: usize = 8;
const LONG: usize = 20_000;
// What a record breaks into most often: the types of Thrift, the signs of JSON and query strings.
const LIKELY: &[u8] = b"\x00\x01\x02\x08\x0a\x0b\x0c\x0f\xff{}[]\":,%&=+\\eE.-0";

#[test]
fn one_bad_record_harms_no_other() {
    let parts = Parts::new();
    let mut spoiled = 0;
    for seed in 0..ROUNDS {
        let mut generator = Generator::new(seed, 0.1, NOW_MS);
        let good: Vec<_> = (0..GOOD).map(|_| generator.payload()).collect();
        let alone: Vec<Vec<u8>> = good.iter().map(|payload| payload.bytes.clone()).collect();
        let mut chance = Chance(seed + 1);
        let mixed: Vec<Vec<u8>> =
            alone.iter().flat_map(|bytes| [bytes.clone(), chance.broken(bytes)]).collect();

        // At the same sequence numbers both times, since ids are derived from them.
        let expected = by_record(&parts.process(&alone, 2), GOOD);
        let found = by_record(&parts.process(&mixed, 1), 2 * GOOD);
        for (place, payload) in good.iter().enumerate() {
            let lines = &expected[place];
            let enriched = lines.iter().filter(|(verdict, _)| *verdict == Verdict::Enriched);
            assert_eq!(enriched.count(), payload.good.len(), "seed {seed}, record {place}");
            assert_eq!(&found[2 * place], lines, "seed {seed}, record {place}");
            let broken = &found[2 * place + 1];
            assert!(!broken.is_empty(), "seed {seed}: a broken record has no verdict");
            spoiled += usize::from(broken.iter().any(|(verdict, _)| *verdict != Verdict::Enriched));
        }
    }
    assert!(spoiled > GOOD * ROUNDS as usize / 10, "only {spoiled} broken records were bad");
}

struct Parts {
    pipeline: Pipeline,
    resolver: Resolver,
    runtime: tokio::runtime::Runtime,
}

impl Parts {
    fn new() -> Parts {
        let processor = Processor { artifact: "tests".to_owned(), version: "1.0.0".to_owned() };
        Parts {
            pipeline: Pipeline::new(Settings::new(processor), Arc::default()),
            resolver: Resolver::embedded(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime starts"),
        }
    }

    fn process(&self, payloads: &[Vec<u8>], step: usize) -> Output {
        let numbers = (1..).step_by(step);
        let records: Vec<Record> = numbers.zip(payloads).map(record).collect();
        let sequence = records.last().expect("batches of ours have records").sequence.clone();
        let end = Position::After { sequence, sub_sequence: 0 };
        let batch = Batch { shard: ShardId::new("s"), records, lag: None, end };
        let mut schemas = self.resolver.schemas();
        loop {
            match self.pipeline.process(&batch.view(), &schemas, NOW_MS) {
                Outcome::Done(output) => return output,
                Outcome::Need(keys) => {
                    schemas = self.runtime.block_on(self.resolver.resolve(&keys));
                }
                Outcome::Waits(_) => unreachable!("there are no look-ups"),
            }
        }
    }
}

fn record((number, payload): (usize, &Vec<u8>)) -> Record {
    let sequence = SequenceNumber::parse(&number.to_string()).expect("digits");
    Record {
        sequence,
        sub_sequence: 0,
        arrival: Arrival::default(),
        data: Bytes::from(payload.clone()),
    }
}

/// The verdicts of each record with their lines. Panics where the output is not balanced: a
/// verdict without a line, a line without a verdict.
fn by_record(output: &Output, records: usize) -> Vec<Vec<(Verdict, Vec<u8>)>> {
    let (mut enriched, mut bad) = (output.enriched.iter(), output.bad.iter());
    let mut lines = vec![Vec::new(); records];
    for (record, verdict) in &output.verdicts {
        let line = match verdict {
            Verdict::Enriched => enriched.next(),
            Verdict::Bad(_) => bad.next(),
            Verdict::Parked => panic!("no registry can be down"),
            Verdict::Dropped => panic!("no script is configured"),
        };
        lines[*record as usize].push((*verdict, line.expect("a line for each verdict").to_vec()));
    }
    assert!(enriched.next().is_none() && bad.next().is_none(), "a verdict for each line");
    lines
}

/// Numbers from a seed (xorshift), so that a failure can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).expect("64 bits") % bound
    }

    /// A record with one to eight things wrong in it.
    fn broken(&mut self, record: &[u8]) -> Vec<u8> {
        let mut broken = record.to_vec();
        for _ in 0..=self.below(8) {
            let at = self.below(broken.len().max(1)).min(broken.len().saturating_sub(1));
            let byte = LIKELY[self.below(LIKELY.len())];
            match self.below(5) {
                _ if broken.is_empty() => broken.push(byte),
                0 => broken.truncate(at),
                1 => broken.insert(at, byte),
                2 => drop(broken.remove(at)),
                3 => broken[at] = byte,
                // Twice as long eight times over would be all that the test does.
                _ if broken.len() > LONG => broken[at] = byte,
                _ => {
                    let piece = broken[at..].to_vec();
                    broken.extend_from_slice(&piece);
                }
            }
        }
        broken
    }
}
