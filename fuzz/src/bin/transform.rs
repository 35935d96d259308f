//! Any bytes as a record, from bytes to lines: it gets a verdict, each verdict has its line, and no
//! panic becomes one.
#![no_main]

use std::sync::{Arc, LazyLock};

use event::bad_row::{BadKind, Processor};
use libfuzzer_sys::fuzz_target;
use pipeline::{Batch, Outcome, Pipeline, Record, Settings, Verdict};
use validator::Schemas;

static PIPELINE: LazyLock<Pipeline> = LazyLock::new(|| {
    let processor = Processor { artifact: "fuzz".to_owned(), version: "1".to_owned() };
    Pipeline::new(Settings::new(processor), Arc::default())
});

static SCHEMAS: LazyLock<Schemas> = LazyLock::new(validator::embedded::snapshot);

fuzz_target!(|data: &[u8]| {
    let record = Record { sequence: "1", sub_sequence: 0, data };
    let batch = Batch { shard: "shard", records: vec![record] };
    // Schemas that are not embedded would be asked for: there is nobody to ask.
    let outcome = PIPELINE.process(&batch, &*SCHEMAS, 1_714_558_272_345);
    let Outcome::Done(output) = outcome else { return };
    let of = |wanted: fn(&Verdict) -> bool| {
        output.verdicts.iter().filter(|(_, verdict)| wanted(verdict)).count()
    };
    assert!(!output.verdicts.is_empty());
    assert_eq!(of(|verdict| *verdict == Verdict::Enriched), output.enriched.len());
    assert_eq!(of(|verdict| matches!(verdict, Verdict::Bad(_))), output.bad.len());
    assert_eq!(of(|verdict| *verdict == Verdict::Bad(BadKind::GenericError)), 0);
    for line in output.enriched.iter() {
        assert_eq!(line.iter().filter(|byte| **byte == b'\t').count(), 130);
    }
});
