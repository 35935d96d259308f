//! Memory is bounded by what came in: the peak of everything that is allocated while a hostile
//! payload is processed, counted by this test's own allocator, on one thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use bytes::Bytes;
use enricher::batch::{Arrival, Batch, Record};
use event::bad_row::Processor;
use lease::{Position, SequenceNumber, ShardId};
use pipeline::{Outcome, Pipeline, Settings};
use resolver::Resolver;
use traffic::requests::{self, body};

/// Bytes at the peak for each byte of the record. A payload that fails is in the batch once, in
/// the bad row once or twice (Base64, or JSON in JSON), and whole in the line set aside for its
/// size; vectors grow by doubling.
const FACTOR: usize = 24;

/// Bytes for each event: its parameters' places in the thread's arena, which is emptied from record
/// to record.
const EVENT: usize = 4 << 10;

/// Bytes for each thing that a schema finds wrong, and how many of them a report names.
const VIOLATION: usize = 2 << 10;
const VIOLATIONS: usize = 16_384;

/// What a run needs whatever its input is.
const FLOOR: usize = 4 << 20;

struct Counting;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn grow(bytes: usize) {
    let _ = LIVE.try_with(|live| {
        live.set(live.get().saturating_add(bytes));
        PEAK.with(|peak| peak.set(peak.get().max(live.get())));
    });
}

fn shrink(bytes: usize) {
    let _ = LIVE.try_with(|live| live.set(live.get().saturating_sub(bytes)));
}

// SAFETY: every call is passed on unchanged to an allocator that keeps the contract.
#[allow(unsafe_code, reason = "the trait of allocators is unsafe")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        shrink(layout.size());
        // SAFETY: as the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_payload_costs_a_bounded_multiple_of_its_size() {
    let event = r#"{"e":"pv","p":"web","tv":"x"}"#;
    let many = body(&vec![event; 2_000].join(","));
    let long = body(&event.replace("\"x\"", &format!("\"{}\"", "x".repeat(10_000_000))));
    let escapes = body(&event.replace("\"x\"", &format!("\"{}\"", "\\u0001".repeat(1_500_000))));
    let keys: Vec<String> = (0..500_000).map(|n| format!("\"k{n}\":\"\"")).collect();
    let keys = body(&format!("{{{}}}", keys.join(",")));
    let open = "[".repeat(10_000_000);
    for (name, body, allowed) in [
        ("2,000 events", many, 2_000 * EVENT),
        ("a value of 10 MB", long, 0),
        ("1.5 million escapes", escapes, 0),
        ("500,000 unknown keys", keys, VIOLATIONS * VIOLATION),
        ("10 million open brackets", open, 0),
    ] {
        let record = post(&body);
        let size = record.len();
        let peak = peak(record);
        let bound = FLOOR + allowed + FACTOR * size;
        assert!(peak <= bound, "{name}: {peak} bytes for a record of {size}, more than {bound}");
    }
}

/// The most bytes that were allocated at once while a record was processed.
fn peak(record: Vec<u8>) -> usize {
    let sequence = SequenceNumber::parse("1").expect("a number");
    let end = Position::After { sequence: sequence.clone(), sub_sequence: 0 };
    let records = vec![Record {
        sequence,
        sub_sequence: 0,
        arrival: Arrival::default(),
        data: Bytes::from(record),
    }];
    let batch = Batch { shard: ShardId::new("s"), records, lag: None, end };
    let processor = Processor { artifact: "test".to_owned(), version: "1".to_owned() };
    let pipeline = Pipeline::new(Settings::new(processor), Arc::default());
    let resolver = Resolver::embedded();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime starts");
    let mut schemas = resolver.schemas();
    let before = LIVE.get();
    PEAK.set(before);
    loop {
        match pipeline.process(&batch.view(), &schemas, 1_714_558_272_345) {
            Outcome::Done(output) => {
                assert!(!output.verdicts.is_empty());
                return PEAK.get() - before;
            }
            Outcome::Need(keys) => schemas = runtime.block_on(resolver.resolve(&keys)),
            Outcome::Waits(_) => unreachable!("there are no look-ups"),
        }
    }
}

fn post(body: &str) -> Vec<u8> {
    requests::record(&requests::post(body))
}
