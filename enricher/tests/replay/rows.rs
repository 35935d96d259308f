//! Bad rows, parked records and texts that were too large, replayed once the reason is gone.

use event::{Field, base64, tsv};
use serde_json::{Value, json};
use traffic::requests;

use crate::place::Place;

const THING: &str = "iglu:com.acme/thing/jsonschema/1-0-0";

/// An event with an entity of [`THING`]; it brings an id if it is given one.
fn thing(id: Option<&str>) -> String {
    let data = json!({"schema": THING, "data": {"n": 1}});
    let envelope = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0";
    let unstruct = json!({"schema": envelope, "data": data}).to_string();
    let mut event = json!({"e": "ue", "p": "web", "tv": "t", "aid": "shop", "ue_pr": unstruct});
    if let Some(id) = id {
        event["eid"] = json!(id);
    }
    event.to_string()
}

fn page(app: &str) -> String {
    json!({"e": "pv", "p": "web", "tv": "t", "aid": app, "url": "http://a.example/"}).to_string()
}

fn lines(records: &[Vec<u8>]) -> String {
    records.iter().map(|record| base64::encode(record) + "\n").collect()
}

fn post(events: &[String]) -> Vec<u8> {
    requests::record(&requests::post(&requests::body(&events.join(","))))
}

/// A registry that has [`THING`].
fn publish(place: &Place) {
    let schema = json!({
        "$schema": "http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#",
        "self": {"vendor": "com.acme", "name": "thing", "format": "jsonschema", "version": "1-0-0"},
        "type": "object", "properties": {"n": {"type": "integer"}},
    });
    place.write("iglu/schemas/com.acme/thing/jsonschema/1-0-0", schema.to_string());
}

/// The id and the application of each event, sorted.
fn events(place: &Place, file: &str) -> Vec<[String; 2]> {
    let text = place.text(file);
    let mut events: Vec<_> = text
        .lines()
        .map(|line| {
            let columns = tsv::columns(line).expect("131 columns");
            [Field::EventId, Field::AppId].map(|field| columns[field as usize].to_owned())
        })
        .collect();
    events.sort();
    events
}

const ID: &str = "11111111-1111-4111-8111-111111111111";

#[test]
fn rows_become_events_once_their_schema_is_there() {
    let place = Place::new();
    let records = [
        post(&[page("shop"), thing(Some(ID)), thing(None)]),
        post(&[page("blog")]),
        requests::record(&requests::get("/com.unknown/v1", "a=b")),
        b"no record".to_vec(),
    ];
    place.write("records.txt", lines(&records));
    place.check(&["enrich", "--input", "records.txt", "--output", "before", "--now", "5"], 0);
    assert_eq!(place.text("before/bad.jsonl").lines().count(), 4);
    publish(&place);
    place.check(
        &[
            "enrich",
            "--input",
            "records.txt",
            "--output",
            "wanted",
            "--now",
            "5",
            "--schemas",
            "iglu",
        ],
        0,
    );
    let said = place.check(
        &["replay", "before/bad.jsonl", "--output", "again", "--now", "5", "--schemas", "iglu"],
        0,
    );
    // What was enriched at first and what is enriched now are what would have been at once; the
    // event without an id has the one that its row tells.
    let both = [events(&place, "before/enriched.tsv"), events(&place, "again/enriched.tsv")];
    let mut both = both.concat();
    both.sort();
    assert_eq!(both, events(&place, "wanted/enriched.tsv"));
    let wanted = place.text("wanted/enriched.tsv");
    let mut found = place.text("again/enriched.tsv");
    found = found.replace("\treplay\t", "\t\t");
    for line in found.lines() {
        assert!(wanted.lines().any(|wanted| unmarked(wanted) == unmarked(line)), "{line}");
    }
    // What is still wrong is a bad row again.
    let kinds: Vec<String> = place
        .text("again/bad.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["schema"].to_string())
        .collect();
    assert_eq!(kinds.len(), 2, "{kinds:?}");
    for label in [
        "bad: schema_violations, ResolutionError, iglu:com.acme/thing/jsonschema/1-0-0            2            0",
        "enriched                                                                                 0            2",
    ] {
        assert!(said.contains(label), "{said}");
    }
}

/// A line without the mark.
fn unmarked(line: &str) -> Vec<&str> {
    let mut columns = tsv::columns(line).expect("131 columns").to_vec();
    columns[Field::EtlTags as usize] = "";
    columns
}

#[test]
fn rows_are_chosen_by_reason_application_and_time() {
    let place = Place::new();
    let records = [
        post(&[thing(None), thing(None)]),
        requests::record(&requests::get("/com.unknown/v1", "a=b")),
        requests::record(&requests::get("/i", "e=pv&p=web&tv=t&aid=blog&tr_tt=x&url=http://a")),
        b"no record".to_vec(),
    ];
    place.write("records.txt", lines(&records));
    place.check(&["enrich", "--input", "records.txt", "--output", "before", "--now", "5"], 0);
    let count = |args: &[&str]| -> usize {
        let all =
            [&["replay", "before/bad.jsonl", "--output", "out", "--force"][..], args].concat();
        place.check(&all, 0);
        place.text("out/bad.jsonl").lines().count()
    };
    assert_eq!(count(&[]), 5);
    for (reason, rows) in [
        ("schema_violations", 2),
        ("ResolutionError", 2),
        (THING, 2),
        ("adapter_failures", 1),
        ("com.unknown/v1", 1),
        ("enrichment_failures", 1),
        ("tr_tt", 1),
        ("collector_payload_format_violation", 1),
        ("schemas_unavailable", 0),
    ] {
        assert_eq!(count(&["--reason", reason]), rows, "{reason}");
    }
    assert_eq!(count(&["--reason", "tr_tt", "--reason", "adapter_failures"]), 2);
    assert_eq!(count(&["--app", "shop"]), 2);
    assert_eq!(count(&["--app", "blog"]), 1);
    assert_eq!(count(&["--schema", "iglu:com.acme/thing"]), 2);
    assert_eq!(count(&["--schema", "iglu:com.snowplowanalytics.snowplow/page_view"]), 1);
    // Requests came in 2024; what is no record has the time of its row, which is 1970.
    assert_eq!(count(&["--since", "2024-01-01T00:00:00Z"]), 4);
    assert_eq!(count(&["--until", "2024-01-01T00:00:00Z"]), 1);
    place.archive(&records, 10);
    let said = place.check(&["replay", "raw", "--output", "o", "--reason", "tr_tt"], 64);
    assert!(said.contains("--reason is about bad rows and parked records"), "{said}");
}

#[test]
fn what_rows_do_not_hold_is_left_out_with_the_reason() {
    let place = Place::new();
    let row = |kind: &str, version: &str, artifact: &str, failure: Value, payload: Value| {
        let row = json!({
            "schema": format!("iglu:com.snowplowanalytics.snowplow.badrows/{kind}/jsonschema/{version}"),
            "data": {
                "processor": {"artifact": artifact, "version": "1"},
                "failure": failure,
                "payload": payload,
            },
        });
        row.to_string() + "\n"
    };
    let at = "2024-05-01T10:11:12.345Z";
    let one = base64::encode(&post(&[page("one")]));
    let two = base64::encode(&post(&[page("a"), page("b")]));
    let generic = |artifact: &str, error: &str, record: &str| {
        let failure = json!({"timestamp": at, "errors": [error]});
        row("generic_error", "1-0-0", artifact, failure, json!(record))
    };
    let format = |field: &str| {
        let failure = json!({"timestamp": at, "loader": "thrift", "message": {
            "payloadField": field, "value": "x", "expectation": "y"}});
        row("collector_payload_format_violation", "1-0-0", "peer", failure, json!(one))
    };
    let failure = json!({"timestamp": at});
    let rows = [
        generic("snowmelt", "boom", &one),
        generic("snowmelt", "boom", &two),
        generic("snowmelt", "3 workers died on this record", &two),
        generic("peer", "java.lang.RuntimeException: boom", &two),
        format("path"),
        format("networkUserId"),
        row("size_violation", "1-0-0", "peer", failure.clone(), json!("web\tweb")),
        row("loader_parsing_error", "2-0-0", "peer", failure.clone(), json!("x")),
        row("generic_error", "1-0-0", "snowmelt", failure.clone(), json!("SHA-256 ab, 3 bytes")),
        "{\"schema\":\"iglu:com.acme/x/jsonschema/1-0-0\",\"data\":{}}\n".to_owned(),
        "no JSON\n".to_owned(),
    ];
    place.write("rows.jsonl", rows.concat());
    let said = place.check(&["replay", "rows.jsonl", "--output", "out"], 0);
    let mut apps: Vec<String> =
        events(&place, "out/enriched.tsv").into_iter().map(|[_, app]| app).collect();
    apps.sort();
    assert_eq!(apps, ["a", "a", "b", "b", "one", "one"], "{said}");
    for why in [
        "1, generic_error: one event of several failed, and the row does not say which",
        "1, collector_payload_format_violation: another row of a record that is replayed already",
        "1, size_violation: its text was cut off",
        "1, loader_parsing_error: rows of this kind hold no request",
        "1, generic_error: personal data in it was pseudonymised or left out",
        "2, lines that are none of what is replayed",
        "rows.jsonl:10: ",
        "rows.jsonl:11: ",
    ] {
        assert!(said.contains(why), "{why}: {said}");
    }
    place.write("events.jsonl", "{\"event_id\":\"x\"}\n");
    let said = place.check(&["replay", "events.jsonl", "--output", "other"], 65);
    assert!(said.contains("events.jsonl:1: expected records of an archive, parked"), "{said}");
}

#[test]
fn what_was_hidden_of_people_is_not_made_up() {
    let place = Place::new();
    let mut wire = requests::get("/i", "e=pv&p=web&tv=t&aid=shop&tr_tt=x&uid=ada");
    let headers: Vec<&[u8]> = vec![b"Host: acme.example", b"Cookie: sp=x"];
    wire.headers = &headers;
    wire.hostname = Some(b"acme.example");
    place.write("records.txt", lines(&[requests::record(&wire)]));
    place.write(
        "enrichments/pii.json",
        json!({
            "schema": "iglu:com.snowplowanalytics.snowplow.enrichments/pii_enrichment_config/jsonschema/2-0-0",
            "data": {
                "vendor": "com.snowplowanalytics.snowplow.enrichments",
                "name": "pii_enrichment_config", "emitEvent": false, "enabled": true,
                "parameters": {
                    "pii": [{"pojo": {"field": "user_id"}}],
                    "strategy": {"pseudonymize": {"hashFunction": "SHA-256", "salt": "s"}},
                },
            },
        })
        .to_string(),
    );
    for (pii, left) in [("keep", false), ("pseudonymise", true), ("withhold", true)] {
        let args = ["enrich", "--input", "records.txt", "--output", pii, "--bad-row-pii", pii];
        place.check(&[&args[..], &["--enrichments", "enrichments"]].concat(), 0);
        let (from, to) = (format!("{pii}/bad.jsonl"), format!("{pii}-again"));
        let args = ["replay", from.as_str(), "--output", to.as_str()];
        let said = place.check(&[&args[..], &["--enrichments", "enrichments"]].concat(), 0);
        let hidden = said.contains("enrichment_failures: personal data in it was pseudonymised");
        assert_eq!(hidden, left, "{pii}: {said}");
    }
}

#[test]
fn what_was_too_large_is_there_whole() {
    let place = Place::new();
    let large = "x".repeat(1_200_000);
    let pixel = format!("e=pv&p=web&tv=t&aid=shop&eid={ID}&page={large}");
    let bad = format!("e=pv&p=web&tv=t&aid=shop&tr_tt=x&page={large}");
    let records = [&pixel, &bad].map(|query| requests::record(&requests::get("/i", query)));
    place.write("records.txt", lines(&records));
    let accept = ["--accept-invalid", "--now", "5"];
    let args = ["enrich", "--input", "records.txt", "--output", "before"];
    place.check(&[&args[..], &accept].concat(), 0);
    assert_eq!(place.text("before/oversized.jsonl").lines().count(), 2);
    assert_eq!(place.text("before/enriched.tsv").lines().count(), 0);
    let args = ["replay", "before/oversized.jsonl", "--output", "again"];
    let said = place.check(&[&args[..], &accept].concat(), 0);
    let enriched = place.text("again/enriched.tsv");
    let columns = tsv::columns(enriched.trim_end_matches('\n')).expect("one line");
    assert_eq!(columns[Field::EventId as usize], ID);
    assert_eq!(columns[Field::PageTitle as usize].len(), large.len());
    assert_eq!(columns[Field::EtlTags as usize], "replay");
    // The row that was too large is again: it is about the same event.
    assert_eq!(place.text("again/oversized.jsonl").lines().count(), 1, "{said}");
    place.check(&[&args[..], &accept, &["--force", "--app", "blog"]].concat(), 0);
    assert_eq!(place.text("again/enriched.tsv"), "");
}
