//! What a running peer said of schemas and data, held against this crate at the level of
//! [`validator::Schema::check`].
//!
//! The recordings are not part of this repository; without them the tests say so and pass.

#![allow(clippy::print_stderr, reason = "whoever runs the tests should know")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use event::SchemaKey;
use event::reason::{ClientError, RegistryError, RegistryHistory, SchemaIssue, Violation};
use resolver::Resolver;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use validator::{Lookup, Schemas};

/// The recordings, or `None` with a word to whoever runs the tests.
fn recordings() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    if dir.is_dir() {
        return Some(dir);
    }
    eprintln!("no recordings at {}: nothing compared", dir.display());
    None
}

#[tokio::test]
async fn schema_messages_are_those_of_the_peer() {
    let Some(dir) = recordings() else { return };
    let resolver =
        Resolver::from_file(&dir.join("resolver.json"), None).expect("a good configuration");
    let mut failures = Vec::new();
    let mut compared = 0;
    for group in [
        "core-jsonschema",
        "core-sdj",
        "core-iglu-central-1",
        "core-iglu-central-2",
        "core-badrows",
    ] {
        let path = dir.join("cases").join(format!("{group}.jsonl"));
        let text = std::fs::read_to_string(path).expect("the cases can be read");
        for line in text.split('\n').filter(|line| !line.is_empty()) {
            let case: Value = serde_json::from_str(line).expect("a case is JSON");
            let Some(expected) = expected(&case) else { continue };
            let found = found(&case, &resolver).await;
            compared += 1;
            if found != expected {
                let missing: Vec<_> = expected.difference(&found).collect();
                let surplus: Vec<_> = found.difference(&expected).collect();
                failures.push(format!(
                    "{}\n  missing {missing:#?}\n  surplus {surplus:#?}",
                    case["name"]
                ));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {compared} cases differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(compared > 300, "only {compared} cases were compared");
}

/// The messages about schemas and data in the bad rows of a case; `None` if the case is about
/// something else or did not come in a body.
fn expected(case: &Value) -> Option<BTreeSet<String>> {
    let note = case["note"].as_str().unwrap_or_default();
    if case["profile"] != "bare"
        || !case["payload"]["body"].is_string()
        || note.contains("generic_error")
        || note.contains("hash order decides")
    {
        return None;
    }
    let mut messages = BTreeSet::new();
    for out in case["out"].as_array()? {
        let failure = &out["bad"]["data"]["failure"];
        for message in failure["messages"].as_array().into_iter().flatten() {
            let message = message.get("message").unwrap_or(message);
            if message["error"].is_object() {
                messages.insert(comparable(message["schemaKey"].as_str()?, &message["error"]));
            } else {
                return None;
            }
        }
    }
    Some(messages)
}

/// A message without what the rules of comparison leave out.
fn comparable(key: &str, error: &Value) -> String {
    let mut parts = BTreeSet::new();
    for list in ["dataReports", "schemaIssues", "lookupHistory"] {
        for report in error[list].as_array().into_iter().flatten() {
            let kinds = report["errors"].as_array().into_iter().flatten();
            let kinds: Vec<_> = kinds.map(|kind| &kind["error"]).collect();
            let kept = [&report["path"], &report["keyword"], &report["repository"]];
            parts.insert(format!("{list} {kept:?} {kinds:?}"));
        }
    }
    format!("{key} {:?} {:?} {parts:?}", error["error"], error["supersededBy"])
}

/// A self-describing JSON whose data keeps its text.
#[derive(serde::Deserialize)]
struct SelfDescribing {
    schema: String,
    data: Box<RawValue>,
}

/// What this crate says of the self-describing JSON in a case.
async fn found(case: &Value, resolver: &Resolver) -> BTreeSet<String> {
    let mut messages = BTreeSet::new();
    let Some(body) = case["payload"]["body"].as_str() else { return messages };
    if !check(body, resolver, &mut messages).await {
        return messages;
    }
    let Ok(body) = serde_json::from_str::<Value>(body) else { return messages };
    for event in body["data"].as_array().into_iter().flatten() {
        for (plain, encoded) in [("ue_pr", "ue_px"), ("co", "cx")] {
            let json = event[plain].as_str().map(str::to_owned);
            let Some(json) = json.or_else(|| Some(decoded(event[encoded].as_str()?))) else {
                continue;
            };
            if check(&json, resolver, &mut messages).await {
                let envelope: SelfDescribing = serde_json::from_str(&json).expect("it was checked");
                let one = std::slice::from_ref(&envelope.data);
                let many = serde_json::from_str::<Vec<Box<RawValue>>>(envelope.data.get());
                for entity in many.as_deref().unwrap_or(one) {
                    check(entity.get(), resolver, &mut messages).await;
                }
            }
        }
    }
    messages
}

fn decoded(base64: &str) -> String {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'-' | b'+' => Some(62),
        b'_' | b'/' => Some(63),
        _ => None,
    };
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for digit in base64.bytes().filter_map(digit) {
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 255) as u8);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Checks one self-describing JSON and adds the message, if any.
async fn check(json: &str, resolver: &Resolver, messages: &mut BTreeSet<String>) -> bool {
    let Ok(SelfDescribing { schema: uri, data }) = serde_json::from_str(json) else { return false };
    let Ok(key) = SchemaKey::parse(&uri) else { return false };
    let schemas: Schemas = resolver.resolve(&[key]).await;
    let error = match schemas.get(&uri).expect("the key was resolved") {
        Lookup::Found(schema) => schema.check(data.get()).err(),
        Lookup::Missing(history) => {
            Some(Box::new(ClientError::Resolution { history: history.to_vec() }))
        }
        Lookup::Unavailable(_) => panic!("folders are always there"),
    };
    if let Some(error) = &error {
        messages.insert(comparable(&uri, &printed(error)));
    }
    error.is_none()
}

/// A client error as bad rows print it.
fn printed(error: &ClientError) -> Value {
    let superseded =
        |version: &Option<event::SchemaVer>| version.map(|version| version.to_string());
    let mut printed = match error {
        ClientError::Resolution { history } => {
            let history: Vec<Value> = history.iter().map(printed_history).collect();
            json!({"error": "ResolutionError", "lookupHistory": history})
        }
        ClientError::Invalid { superseded_by, violations } => {
            let report = |v: &Violation| json!({"path": v.path, "keyword": v.keyword});
            let reports: Vec<Value> = violations.iter().map(report).collect();
            let version = superseded(superseded_by);
            json!({"supersededBy": version, "error": "ValidationError", "dataReports": reports})
        }
        ClientError::BadSchema { superseded_by, issues } => {
            let issue = |i: &SchemaIssue| json!({"path": i.path});
            let issues: Vec<Value> = issues.iter().map(issue).collect();
            let version = superseded(superseded_by);
            json!({"supersededBy": version, "error": "ValidationError", "schemaIssues": issues})
        }
    };
    if printed["supersededBy"].is_null() {
        printed.as_object_mut().expect("made above").remove("supersededBy");
    }
    printed
}

fn printed_history(history: &RegistryHistory) -> Value {
    let errors: Vec<Value> = history
        .errors
        .iter()
        .map(|error| match error {
            RegistryError::NotFound => json!({"error": "NotFound"}),
            RegistryError::RepoFailure(_) => json!({"error": "RepoFailure"}),
            RegistryError::ClientFailure(_) => json!({"error": "ClientFailure"}),
        })
        .collect();
    json!({"repository": history.repository, "errors": errors})
}
