//! The pipeline on hostile input: whatever the bytes are, every record gets a verdict, nothing
//! panics, and nothing is lost.

use std::sync::Arc;

use bytes::Bytes;
use enricher::batch::{Arrival, Batch, Record};
use event::bad_row::{BadKind, Processor};
use event::{json, thrift};
use lease::{Position, SequenceNumber, ShardId};
use pipeline::{Outcome, Output, Pipeline, Settings, Verdict};
use resolver::Resolver;
use traffic::Generator;
use traffic::requests::{self, body};

/// How many broken records are tried; each takes well under a millisecond.
const MUTATIONS: usize = 4_000;

#[test]
#[allow(clippy::disallowed_methods, reason = "a failing seed is given again by the environment")]
fn broken_records_get_a_verdict_and_never_panic() {
    let seed = std::env::var("SNOWMELT_MUTATION_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut generator = Generator::new(seed, 0.1, 1_714_558_272_345);
    let records = (0..MUTATIONS).map(|_| {
        let mut bytes = generator.payload().bytes;
        for _ in 0..random.usize(1..6) {
            mutate(&mut bytes, &mut random);
        }
        bytes
    });
    every_record_has_a_verdict(&process(records.collect()), MUTATIONS, seed);
}

/// As above with what real trackers sent and what the rules are tested with, broken inside the
/// fields as well, where Thrift's lengths do not give it away.
#[test]
#[allow(clippy::disallowed_methods, reason = "a failing seed is given again by the environment")]
fn broken_captures_get_a_verdict_and_never_panic() {
    let seed = std::env::var("SNOWMELT_MUTATION_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    let mut random = fastrand::Rng::with_seed(seed);
    let corpus = captured();
    let records = (0..MUTATIONS).map(|_| {
        let mut bytes = random.choice(&corpus).expect("the corpus is not empty").clone();
        match random.bool() {
            true => mutate(&mut bytes, &mut random),
            false => bytes = mutate_field(&bytes, &mut random),
        }
        bytes
    });
    let records: Vec<Vec<u8>> = records.collect();
    for format in [pipeline::Format::Tsv, pipeline::Format::Json] {
        let settings = Settings { format, ..settings() };
        every_record_has_a_verdict(&process_with(settings, records.clone()), MUTATIONS, seed);
    }
}

/// Every record in order, and none that panicked. That an event cannot be made JSON is no panic:
/// then the bad row holds its columns, not its record.
fn every_record_has_a_verdict(output: &Output, records: usize, seed: u64) {
    let mut next = 0;
    let mut bad = output.bad.iter();
    for (record, verdict) in &output.verdicts {
        assert!(
            *record == next || *record + 1 == next,
            "seed {seed}: record {next} has no verdict"
        );
        next = record + 1;
        let Verdict::Bad(kind) = verdict else { continue };
        let row = std::str::from_utf8(bad.next().expect("a bad row")).expect("UTF-8");
        let panicked = *kind == BadKind::GenericError && !row.contains("annot ");
        assert!(!panicked, "seed {seed}: record {record} panicked: {row}");
    }
    assert_eq!(next as usize, records, "seed {seed}");
}

/// The records of the conformance cases: captures of real trackers, and one for each rule.
fn captured() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/cases");
    let mut records = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the cases are there") {
        let path = entry.expect("the cases can be listed").path();
        let text = std::fs::read_to_string(&path).expect("the cases can be read");
        for part in text.split("\"thrift_b64\": \"").skip(1) {
            let encoded = part.split('"').next().expect("a part has a beginning");
            let arena = event::Bump::new();
            records.push(event::base64::decode_bytes(encoded.as_bytes(), &arena).to_vec());
        }
    }
    assert!(records.len() > 1_000, "only {} records", records.len());
    records
}

/// Breaks the body, the query string or a header, and puts the record together again.
fn mutate_field(record: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    let arena = event::Bump::new();
    let Ok(mut wire) = thrift::read(record, &arena) else { return record.to_vec() };
    let mut fields = [wire.body, wire.querystring, wire.referer_uri, wire.user_agent];
    let given: Vec<usize> = (0..fields.len()).filter(|index| fields[*index].is_some()).collect();
    let chosen = random.choice(given).unwrap_or_default();
    let mut text = fields[chosen].unwrap_or_default().to_vec();
    for _ in 0..random.usize(1..6) {
        mutate(&mut text, random);
    }
    fields[chosen] = Some(&text);
    [wire.body, wire.querystring, wire.referer_uri, wire.user_agent] = fields;
    let mut written = Vec::new();
    thrift::write(&wire, &mut written);
    written
}

/// Breaks a record as transport, bots and bugs do.
fn mutate(bytes: &mut Vec<u8>, random: &mut fastrand::Rng) {
    if bytes.is_empty() {
        return;
    }
    let at = random.usize(..bytes.len());
    match random.u8(..6) {
        0 => bytes[at] ^= 1 << random.u8(..8),
        1 => bytes[at] = random.u8(..),
        2 => bytes.truncate(at),
        3 => drop(bytes.remove(at)),
        4 => bytes.insert(at, *random.choice(b"\"\\{}[]:,%\0\xff\xc2&=").expect("some bytes")),
        _ => {
            let end = (at + random.usize(1..64)).min(bytes.len());
            let copy = bytes[at..end].to_vec();
            let to = random.usize(..bytes.len());
            bytes.splice(to..to, copy);
        }
    }
}

#[test]
fn large_and_deep_bodies_get_verdicts() {
    let event = r#"{"e":"pv","p":"web","tv":"x"}"#;
    let many = body(&vec![event; 2_000].join(","));
    let long = body(&event.replace("\"x\"", &format!("\"{}\"", "x".repeat(10_000_000))));
    let context = "[".repeat(50_000) + &"]".repeat(50_000);
    let deep = body(&event.replace("\"x\"", &format!("\"x\",\"co\":\"{context}\"")));
    let nested = "{\"schema\":".repeat(20_000);
    for (body, verdicts, kind) in [
        (many, 2_000, Verdict::Enriched),
        (long, 1, Verdict::Bad(BadKind::SizeViolation)),
        (deep, 1, Verdict::Bad(BadKind::SchemaViolations)),
        (nested, 1, Verdict::Bad(BadKind::TrackerProtocolViolations)),
    ] {
        let output = process(vec![post(&body)]);
        assert_eq!(output.verdicts.len(), verdicts);
        assert!(output.verdicts.iter().all(|(_, verdict)| *verdict == kind), "{kind:?}");
    }
}

#[test]
fn what_is_too_large_for_a_line_is_kept_whole() {
    let title = "t".repeat(2_000);
    let payload = post(&body(&format!(
        r#"{{"e":"pv","p":"web","tv":"x","page":"{title}"}},{{"e":"xx","p":"web","tv":"{title}"}}"#
    )));
    let mut settings = settings();
    settings.line_bytes_max = 1_500;
    let output = process_with(settings, vec![payload]);
    let kinds: Vec<Verdict> = output.verdicts.iter().map(|(_, verdict)| *verdict).collect();
    assert_eq!(kinds, [Verdict::Bad(BadKind::SizeViolation); 2]);
    assert!(output.enriched.is_empty());
    let kept: Vec<&str> =
        output.oversized.iter().map(|line| std::str::from_utf8(line).expect("UTF-8")).collect();
    assert_eq!(kept.len(), 2);
    for (line, route) in kept.iter().zip(["\"enriched\"", "\"bad\""]) {
        assert_eq!(json::member(line, "route"), Some(route));
        assert!(json::member(line, "line").is_some_and(|text| text.contains(&title)));
    }
    let row = std::str::from_utf8(output.bad.iter().next().expect("a bad row")).expect("UTF-8");
    let failure =
        json::member(json::member(row, "data").expect("data"), "failure").expect("failure");
    assert_eq!(json::member(failure, "maximumAllowedSizeBytes"), Some("1500"));
}

/// Rule of `Run::oversized`: of JSON the columns are kept in Base64, whole, and make a size
/// violation in turn when that is too large as well.
#[test]
fn json_too_large_for_a_line_leaves_its_columns_in_base64() {
    let title = "t".repeat(300);
    let payload = post(&body(&format!(r#"{{"e":"pv","p":"web","tv":"x","page":"{title}"}}"#)));
    for (line_bytes_max, whole) in [(2_000, true), (900, false)] {
        let mut settings = settings();
        settings.format = pipeline::Format::Json;
        settings.line_bytes_max = line_bytes_max;
        let output = process_with(settings, vec![payload.clone()]);
        let row = std::str::from_utf8(output.bad.iter().next().expect("a bad row")).expect("UTF-8");
        let data = json::member(row, "data").expect("data");
        let arena = event::Bump::new();
        let kept = json::unescape(json::member(data, "payload").expect("a payload"), &arena);
        let kept = kept.expect("a string");
        let columns = event::base64::decode(kept, &arena);
        assert_eq!(event::tsv::columns(columns).is_some(), whole, "{row}");
        assert_eq!(kept.len() == line_bytes_max / 10, !whole, "{row}");
        assert_eq!(output.oversized.len(), 1);
    }
}

/// Rule of `Parameter::of`: from five parameters on, those without a value and unknown ones
/// included, the order of hashes decides which of two parameters fills a field; where the winner
/// fails, the other one does.
#[test]
fn of_two_parameters_for_one_field_the_peers_one_wins() {
    let quote = |text: &str| text.replace('"', "%22").replace('{', "%7B").replace('}', "%7D");
    let (co, encoded) = (quote(r#"{"schema":"x"}"#), event::base64::encode(b"[1]"));
    let bad = format!("e=zz&ti_na=a&se_va=1&p=web&co={co}&cx=%7B&se_ca=s&ev_ca=e");
    for (query, expected) in [
        ("e=zz&se_la=s&ev_la=e".to_owned(), r#""se_label":"e""#),
        ("e=zz&ev_la=e&se_la=s".to_owned(), r#""se_label":"s""#),
        ("e=zz&ev_la=e&se_la=s&a&b".to_owned(), r#""se_label":"e""#),
        ("e=zz&se_ca=s&ev_ca=e&a&b".to_owned(), r#""se_category":"s""#),
        (bad, r#""contexts":"{\"schema\""#),
        (format!("e=zz&a&b&cx=%7B&co={co}"), r#""contexts":"{\"schema\""#),
        (format!("e=zz&a&b&cx={encoded}&co={co}"), r#""contexts":"[1]""#),
        ("e=zz&a&b&ev_va=1&se_va=2".to_owned(), r#""se_value":"1""#),
        ("e=zz&a&b&ev_va=x&se_va=2".to_owned(), r#""se_value":"2""#),
    ] {
        let output = process(vec![get("/i", &query)]);
        let row = std::str::from_utf8(output.bad.iter().next().expect("a bad row")).expect("UTF-8");
        assert!(row.contains(expected), "{query}: {row}");
    }
}

#[test]
fn the_same_batch_gives_the_same_output() {
    let mut generator = Generator::new(7, 0.2, 1_714_558_272_345);
    let records: Vec<Vec<u8>> = (0..200).map(|_| generator.payload().bytes).collect();
    let (first, second) = (process(records.clone()), process(records));
    assert_eq!(first.enriched.as_bytes(), second.enriched.as_bytes());
    assert_eq!(first.bad.as_bytes(), second.bad.as_bytes());
}

fn post(body: &str) -> Vec<u8> {
    requests::record(&requests::post(body))
}

fn get(path: &str, query: &str) -> Vec<u8> {
    requests::record(&requests::get(path, query))
}

fn settings() -> Settings {
    Settings::new(Processor { artifact: "test".to_owned(), version: "1".to_owned() })
}

fn process(records: Vec<Vec<u8>>) -> Output {
    process_with(settings(), records)
}

fn process_with(settings: Settings, records: Vec<Vec<u8>>) -> Output {
    let record = |(index, data): (usize, Vec<u8>)| Record {
        sequence: SequenceNumber::parse(&index.to_string()).expect("a number"),
        sub_sequence: 0,
        arrival: Arrival::default(),
        data: Bytes::from(data),
    };
    let records: Vec<Record> = records.into_iter().enumerate().map(record).collect();
    let sequence = records.last().expect("a record").sequence.clone();
    let end = Position::After { sequence, sub_sequence: 0 };
    let batch = Batch { shard: ShardId::new("s"), records, lag: None, end };
    let pipeline = Pipeline::new(settings, Arc::default());
    let resolver = Resolver::embedded();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime starts");
    let mut schemas = resolver.schemas();
    loop {
        match pipeline.process(&batch.view(), &schemas, 1_714_558_272_345) {
            Outcome::Done(output) => return output,
            Outcome::Need(keys) => schemas = runtime.block_on(resolver.resolve(&keys)),
            Outcome::Waits(_) => unreachable!("there are no look-ups"),
        }
    }
}
