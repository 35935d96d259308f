//! Bad rows are replayed as the requests they were made of: by the rules that refused a request,
//! its row becomes the same row once more, whoever wrote it, this program or a running peer.
//!
//! The requests are the recorded cases of `vectors` without enrichments.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

use enricher::resolving::{Attempt, Sources, resolving};
use event::bad_row::Processor;
use event::{Bump, base64};
use pipeline::original::{self, Failed, Lost};
use pipeline::parked::Waiting;
use pipeline::replay::Replay;
use pipeline::{Batch, Output, Pipeline, Record, Settings};
use resolver::Resolver;
use serde_json::Value;
use tests::repository;

const NOW_MS: i64 = 1_714_558_272_340;

/// Rows that do not hold their request: one that has neither an address nor a host is taken for one
/// that lost them to the protection of people, and one of the year 292,278,994 has no time.
const LOST: [&str; 2] =
    ["bad-row/adapter-unsupported-null-ip-and-timestamp", "wire/timestamp-max-long"];

/// What a peer refuses is parked here.
const COMPRESSED: &str = "wire/gzip-record";

/// Processes records by the recorded registries.
struct Stage {
    pipeline: Pipeline,
    resolver: Resolver,
    runtime: tokio::runtime::Runtime,
}

impl Stage {
    fn new() -> Stage {
        let processor = Processor { artifact: "oracle".to_owned(), version: "1.0.0".to_owned() };
        let pipeline = Pipeline::new(Settings::new(processor), Arc::default());
        let resolver = repository::root().join("tests/vectors/resolver.json");
        let resolver = Resolver::from_file(&resolver, None).expect("the configuration is valid");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Stage { pipeline, resolver, runtime: runtime.expect("a runtime starts") }
    }

    fn process(&self, record: &[u8], replay: Option<&Replay>) -> Output {
        let records = vec![Record { sequence: "1", sub_sequence: 0, data: record }];
        let batch = Batch { shard: "s", records };
        let sources = Sources { resolver: &self.resolver, lookups: &Arc::default() };
        let attempt = |attempt: Attempt| {
            ready(Ok::<_, Infallible>(attempt.run(&self.pipeline, &batch, replay, NOW_MS)))
        };
        let Ok(output) = self.runtime.block_on(resolving(sources, attempt));
        output
    }

    /// What a bad row becomes; why it cannot become anything.
    fn replay(&self, row: &str) -> Result<Output, Lost> {
        let original = original::read(row.as_bytes()).expect("it is a bad row");
        let request = original.request?;
        let events = match request.failed {
            Failed::Event(id) => id.map(|event_id| vec![Waiting { index: 0, event_id }]),
            Failed::Whole | Failed::OneOfSome => None,
        };
        let replay = Replay { events, ..Replay::default() };
        Ok(self.process(&request.record, Some(&replay)))
    }
}

fn cases() -> Vec<Value> {
    let folder = repository::root().join("tests/vectors/cases");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the cases are there")
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    files.sort();
    let texts = files.iter().map(|file| std::fs::read_to_string(file).expect("it is text"));
    let all: Vec<Value> = texts
        .flat_map(|text| {
            let lines = text.split('\n').filter(|line| !line.is_empty());
            lines.map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<_>>()
        })
        .collect();
    let bare = all.into_iter().filter(|case| case["profile"] == "bare" && case["flags"].is_null());
    bare.collect()
}

/// A row without what a replay changes: where the request came in, which is the pixel's path for
/// single events, and how its query was encoded.
fn comparable(row: &str) -> Value {
    let mut row: Value = serde_json::from_str(row).expect("JSON");
    let data = &mut row["data"];
    // What a batch of a webhook had besides was no failure, and is not in the row.
    if let Some(messages) = data["failure"]["messages"].as_array_mut() {
        for message in messages {
            if let Some(text) =
                message["expectation"].as_str().and_then(|it| it.split_once(" at index "))
            {
                message["expectation"] = text.0.into();
            }
        }
    }
    if let Some(payload) = data["payload"].as_object_mut() {
        payload.remove("encoding");
        if let Some(raw) = payload.get_mut("raw").and_then(Value::as_object_mut) {
            ["vendor", "version", "encoding"].iter().for_each(|member| drop(raw.remove(*member)));
        }
    }
    row
}

#[test]
fn by_the_same_rules_a_row_becomes_itself() {
    let stage = Stage::new();
    let (mut same, mut wrong, mut lost) = (0, Vec::new(), Vec::new());
    for case in cases() {
        let name = case["name"].as_str().expect("cases have names");
        let record = case["thrift_b64"].as_str().expect("a record").as_bytes();
        let output = stage.process(base64::decode_bytes(record, &Bump::new()), None);
        for row in output.bad.iter() {
            let row = std::str::from_utf8(row).expect("lines are UTF-8");
            let again = match stage.replay(row) {
                Ok(again) => again,
                Err(_) if LOST.contains(&name) => continue,
                Err(why) => {
                    lost.push((name.to_owned(), why));
                    continue;
                }
            };
            let rows: Vec<Value> = again
                .bad
                .iter()
                .map(|row| comparable(std::str::from_utf8(row).expect("lines are UTF-8")))
                .collect();
            match rows.contains(&comparable(row)) && again.enriched.is_empty() {
                true => same += 1,
                false => wrong.push(format!("{name}: {row}\n  {rows:?}")),
            }
        }
    }
    let first: Vec<_> =
        wrong.iter().take(5).map(|w| w.chars().take(1500).collect::<String>()).collect();
    assert!(wrong.is_empty(), "{} of {same}:\n{}", wrong.len(), first.join("\n"));
    assert!(lost.is_empty(), "{lost:?}");
    assert!(same > 300, "only {same} rows");
}

#[test]
fn rows_of_a_peer_become_what_they_were() {
    let stage = Stage::new();
    let (mut same, mut wrong) = (0, Vec::new());
    for case in cases() {
        let name = case["name"].as_str().expect("cases have names");
        for row in case["out"].as_array().into_iter().flatten() {
            if row["bad"].is_null() {
                continue;
            }
            let row = row["bad"].to_string().replace("<now>", "2024-05-01T10:11:12.340Z");
            let kind = original::read(row.as_bytes()).expect("it is a bad row").kind;
            let again = match stage.replay(&row) {
                Ok(again) => again,
                Err(_) if LOST.contains(&name) => continue,
                Err(why) => {
                    wrong.push(format!("{name}: {kind}: {why}"));
                    continue;
                }
            };
            let kinds: Vec<String> =
                again.bad.iter().map(|row| original::read(row).expect("a bad row").kind).collect();
            // Where the peer gives up a whole payload it is taken apart here.
            let parked = name == COMPRESSED && again.parked.len() == 1;
            match kinds.contains(&kind) || kind == "generic_error" || parked {
                true => same += 1,
                false => wrong.push(format!("{name}: {kind}, {kinds:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {same}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(same > 300, "only {same} rows");
}
