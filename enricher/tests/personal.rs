//! What bad rows and companions tell of people.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use enricher::batch::{Arrival, Batch, Record};
use enrichments::{Enrichments, Options};
use event::bad_row::{BadKind, Processor};
use event::{Field, thrift, tsv};
use lease::{Position, SequenceNumber, ShardId};
use pipeline::protection::Personal;
use pipeline::{Outcome, Output, Pipeline, Settings, Verdict};
use resolver::Resolver;
use traffic::requests;

const USER: &str = "jane@acme.example";
const ADDRESS: &str = "198.51.100.23";
const COOKIE: &str = "6de9024e-17b9-4026-bd4d-efec50ae84cb";
const SECRET: &str = "pepper of this test";

#[test]
fn pseudonyms_in_bad_rows_are_those_of_events() {
    let output = process(|settings| settings.personal = Personal::Pseudonymise);
    let hash = column(output.enriched.as_bytes(), Field::UserId);
    assert_ne!(hash, USER);
    let rows = String::from_utf8(output.bad.as_bytes().to_vec()).expect("rows are UTF-8");
    for personal in [USER, ADDRESS, COOKIE, SECRET] {
        assert!(!rows.contains(personal), "{personal} stands in {rows}");
    }
    let failed = output.bad.iter().next().expect("a row");
    let failed = String::from_utf8_lossy(failed).into_owned();
    // In the column, in the parameter, and nowhere twice hashed.
    assert_eq!(failed.matches(&*hash).count(), 2, "{failed}");
    assert!(failed.contains("198.51.x.x"), "{failed}");
    assert!(failed.contains(r#"{"name":"e","value":"tr"}"#), "{failed}");
}

#[test]
fn withheld_rows_still_tell_what_failed() {
    let output = process(|settings| settings.personal = Personal::Withhold);
    let rows = String::from_utf8(output.bad.as_bytes().to_vec()).expect("rows are UTF-8");
    for personal in [USER, ADDRESS, COOKIE, SECRET, "Mozilla"] {
        assert!(!rows.contains(personal), "{personal} stands in {rows}");
    }
    assert!(rows.contains(r#""field":"tr_tt""#), "{rows}");
    assert!(rows.contains(r#"{"name":"uid","value":null}"#), "{rows}");
}

#[test]
fn rows_are_whole_unless_told_otherwise() {
    let output = process(|_| {});
    let rows = String::from_utf8(output.bad.as_bytes().to_vec()).expect("rows are UTF-8");
    for personal in [USER, ADDRESS, COOKIE, "Mozilla"] {
        assert!(rows.contains(personal), "{personal} does not stand in {rows}");
    }
}

#[test]
fn a_failed_event_has_an_incomplete_companion_without_what_is_invalid() {
    assert!(process(|_| {}).incomplete.is_empty(), "nobody asked for it");
    let output = process(|settings| settings.incomplete = true);
    let lines: Vec<&[u8]> = output.incomplete.iter().collect();
    assert_eq!(lines.len(), 2, "of two failed events");
    for line in &lines {
        let entity = column(line, Field::DerivedContexts);
        assert!(entity.contains("com.snowplowanalytics.snowplow/failure/jsonschema/1-0-0"));
        assert!(!entity.contains(USER), "{entity}");
        assert_eq!(column(line, Field::UserId), column(output.enriched.as_bytes(), Field::UserId));
        assert_eq!(column(line, Field::UserIpaddress), "198.51.x.x");
    }
    assert_eq!(column(lines[0], Field::TrTotal), "");
    assert_eq!(column(lines[1], Field::Contexts), "");
    assert!(column(lines[1], Field::DerivedContexts).contains("ValidationError"));
}

#[test]
fn an_event_tells_what_was_pseudonymised() {
    let output = process(|_| {});
    let told = output.pii.last();
    assert_eq!(output.pii.len(), 1, "of one enriched event");
    assert!(column(told, Field::UnstructEvent).contains(USER));
    let parent = column(output.enriched.as_bytes(), Field::EventId);
    assert!(column(told, Field::Contexts).contains(&parent));
    assert_ne!(column(told, Field::EventId), parent);
    let again = process(|_| {});
    assert_eq!(again.pii.as_bytes(), told_line(&output), "a replay repeats its id");
    assert!(process(|settings| settings.pii_events = false).pii.is_empty());
}

fn told_line(output: &Output) -> &[u8] {
    output.pii.as_bytes()
}

fn column(line: &[u8], field: Field) -> String {
    let line = std::str::from_utf8(line).expect("lines are UTF-8").trim_end_matches('\n');
    tsv::columns(line).expect("131 columns")[field as usize].to_owned()
}

/// One enriched event; one whose total is no number, one with an entity that is not valid, a
/// payload nobody reads, and bytes that are none.
fn process(change: impl FnOnce(&mut Settings)) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    configure(folder.path());
    let enrichments = Enrichments::load(folder.path(), None, &Options::default());
    let processor = Processor { artifact: "test".to_owned(), version: "1".to_owned() };
    let mut settings = Settings::new(processor);
    change(&mut settings);
    let pipeline = Pipeline::new(settings, Arc::new(enrichments.expect("it is right")));
    let resolver = Resolver::embedded();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime starts");
    let mut schemas = resolver.schemas();
    let output = loop {
        match pipeline.process(&batch().view(), &schemas, 1) {
            Outcome::Done(output) => break output,
            Outcome::Need(keys) => schemas = runtime.block_on(resolver.resolve(&keys)),
            Outcome::Waits(_) => unreachable!("there are no look-ups"),
        }
    };
    let verdicts: Vec<Verdict> = output.verdicts.iter().map(|(_, verdict)| *verdict).collect();
    let expected = [
        Verdict::Enriched,
        Verdict::Bad(BadKind::EnrichmentFailures),
        Verdict::Bad(BadKind::SchemaViolations),
        Verdict::Bad(BadKind::AdapterFailures),
        Verdict::Bad(BadKind::CollectorPayloadFormatViolation),
    ];
    assert_eq!(verdicts, expected);
    output
}

fn configure(folder: &Path) {
    let pii = format!(
        r#"{{"schema":"iglu:com.snowplowanalytics.snowplow.enrichments/pii_enrichment_config/jsonschema/2-0-0",
            "data":{{"enabled":true,"emitEvent":true,"parameters":{{
              "pii":[{{"pojo":{{"field":"user_id"}}}}, {{"pojo":{{"field":"network_userid"}}}},
                     {{"json":{{"field":"contexts","jsonPath":"$.id",
                       "schemaCriterion":"iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-*-*"}}}}],
              "strategy":{{"pseudonymize":{{"hashFunction":"SHA-1","salt":"{SECRET}"}}}}}}}}}}"#
    );
    let anon = r#"{"schema":"iglu:com.snowplowanalytics.snowplow/anon_ip/jsonschema/1-0-0",
        "data":{"enabled":true,"parameters":{"anonOctets":2}}}"#;
    std::fs::write(folder.join("pii.json"), pii).expect("a file");
    std::fs::write(folder.join("anon_ip.json"), anon).expect("a file");
}

fn batch() -> Batch {
    let contexts = r#"{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0","data":[{"schema":"iglu:com.snowplowanalytics.snowplow/geolocation_context/jsonschema/1-0-0","data":{"jane":"jane@acme.example"}}]}"#;
    let contexts: String = contexts.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let tp1 = "/com.snowplowanalytics.snowplow/tp1";
    let base = "p=web&tv=t&uid=jane@acme.example";
    let payloads = [
        payload(tp1, &format!("e=pv&{base}")),
        payload(tp1, &format!("e=tr&tr_id=1&tr_tt=much&{base}")),
        payload(tp1, &format!("e=pv&{base}&co={contexts}")),
        payload("/nobody/reads", &format!("e=pv&{base}")),
        b"\x0b\xffjane@acme.example".to_vec(),
    ];
    let sequence = SequenceNumber::parse("7").expect("a number");
    let end = Position::After { sequence: sequence.clone(), sub_sequence: 4 };
    let record = |(n, data): (usize, Vec<u8>)| Record {
        sequence: sequence.clone(),
        sub_sequence: n as u64,
        arrival: Arrival::default(),
        data: Bytes::from(data),
    };
    let records = payloads.into_iter().enumerate().map(record).collect();
    Batch { shard: ShardId::new("shard-1"), records, lag: None, end }
}

fn payload(path: &str, query: &str) -> Vec<u8> {
    let cookie = format!("Cookie: sp={COOKIE}");
    let forwarded = format!("X-Forwarded-For: {ADDRESS}");
    let headers: [&[u8]; 2] = [cookie.as_bytes(), forwarded.as_bytes()];
    requests::record(&thrift::Wire {
        ip_address: Some(ADDRESS.as_bytes()),
        user_agent: Some(b"Mozilla/5.0"),
        network_userid: Some(COOKIE.as_bytes()),
        headers: &headers,
        ..requests::get(path, query)
    })
}
