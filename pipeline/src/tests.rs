//! That a panic is confined to the event in which it happens.

use event::bad_row::BadKind;
use event::base64;
use traffic::requests;

use super::adapt::Adapters;
use super::road::Passage;
use super::*;

const NOW_MS: i64 = 1_714_558_272_345;

/// A record of three page views, told apart by their application.
fn record() -> Vec<u8> {
    let event = |app: &str| format!(r#"{{"e":"pv","p":"web","tv":"x","aid":"{app}"}}"#);
    let events = ["a", "b", "c"].map(event).join(",");
    requests::record(&requests::post(&requests::body(&events)))
}

#[test]
fn a_panic_in_one_event_makes_that_event_a_bad_row_and_no_other() {
    let processor = Processor { artifact: "test".to_owned(), version: "1".to_owned() };
    let pipeline = Pipeline::new(Settings::new(processor), Arc::default());
    let data = record();
    let record = Record { sequence: "1", sub_sequence: 0, data: &data };
    let batch = Batch { shard: "s", records: vec![record] };
    let schemas = validator::embedded::snapshot();
    let Outcome::Done(sound) = pipeline.process(&batch, &schemas, NOW_MS) else {
        panic!("page views need no schema that is not embedded");
    };
    assert_eq!(sound.verdicts, [(0, Verdict::Enriched); 3]);

    let texts = Bump::new();
    let work = Work { batch: &batch, stream: "", shard: "s", replay: None };
    let start = Start::new(&pipeline.settings, NOW_MS, &texts);
    let mut pass = Pass::new(&pipeline, work, Known::from(&schemas), start, NOW_MS);
    let (arena, mut caches) = (Bump::new(), Caches::default());
    let record = &batch.records[0];
    let payload = load::payload(record.data, RecordEncoding::Plain, &arena).expect("a payload");
    let adapters = Adapters::default();
    let adapted = adapt::events(&payload, &adapters, &mut pass.check, &arena);
    for (place, raw) in (0..).zip(&adapted.expect("three events").events) {
        pass.confined(0, &mut caches, |pass, caches| {
            if place == 1 {
                // It is in the middle of its line, and has written others.
                pass.writer.output.bad.push_with(|out| out.extend_from_slice(b"half done"));
                pass.writer.output.enriched.push_with(|out| {
                    out.extend_from_slice(b"half a li");
                    panic!("something nobody thought of")
                });
            }
            let passage = Passage::new(raw.clone(), work.origin(record), place, None, &arena);
            pass.event(0, passage, caches, &arena);
        });
    }

    let output = pass.writer.output;
    let bad = Verdict::Bad(BadKind::GenericError);
    let verdicts = [(0, Verdict::Enriched), (0, bad), (0, Verdict::Enriched)];
    assert_eq!(output.verdicts, verdicts);
    let lines: Vec<&[u8]> = sound.enriched.iter().collect();
    assert_eq!(output.enriched.iter().collect::<Vec<_>>(), [lines[0], lines[2]]);
    assert_eq!(output.bad.len(), 1);
    let row = std::str::from_utf8(output.bad.last()).expect("UTF-8");
    assert!(row.contains("something nobody thought of"), "{row}");
    assert!(row.contains(&base64::encode(record.data)), "the record is kept: {row}");
}

#[test]
fn a_panic_tells_of_nobody_where_bad_rows_may_not() {
    for (personal, told) in [(Personal::Keep, true), (Personal::Withhold, false)] {
        let processor = Processor { artifact: "test".to_owned(), version: "1".to_owned() };
        let settings = Settings { personal, ..Settings::new(processor) };
        let pipeline = Pipeline::new(settings, Arc::default());
        let data = record();
        let record = Record { sequence: "1", sub_sequence: 0, data: &data };
        let batch = Batch { shard: "s", records: vec![record] };
        let schemas = validator::embedded::snapshot();
        let work = Work { batch: &batch, stream: "", shard: "s", replay: None };
        let texts = Bump::new();
        let start = Start::new(&pipeline.settings, NOW_MS, &texts);
        let mut pass = Pass::new(&pipeline, work, Known::from(&schemas), start, NOW_MS);
        let jane = "jane".to_owned();
        pass.confined(0, &mut Caches::default(), |_, _| panic!("no room for {jane}"));
        let row = String::from_utf8_lossy(pass.writer.output.bad.last()).into_owned();
        assert_eq!(row.contains("jane"), told, "{row}");
        assert_eq!(row.contains(&base64::encode(&data)), told, "{row}");
    }
}
