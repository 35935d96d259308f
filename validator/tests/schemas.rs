//! The static registry `schemas/`, and that of the golden cases: everything stands where its `self`
//! says, is a valid schema, and equals what Iglu Central publishes in every keyword but
//! `description`.

#![allow(clippy::print_stderr, reason = "whoever runs the tests should know")]

use std::path::{Path, PathBuf};

use event::SchemaKey;
use serde_json::{Map, Value};
use validator::{Lookup, Schema, embedded};

/// Known from documentation of newer peers only, and written after it.
const UNPUBLISHED: [&str; 1] = ["com.snowplowanalytics.snowplow/utm_referrer/jsonschema/1-0-0"];

fn roots() -> [PathBuf; 2] {
    ["../schemas/schemas", "../tests/vectors/registry/schemas"]
        .map(|root| Path::new(env!("CARGO_MANIFEST_DIR")).join(root))
}

/// Path below its root and text of every schema but those that are made up.
fn schemas() -> Vec<(String, String)> {
    roots().iter().flat_map(|root| below(root)).filter(|(path, _)| !is_made_up(path)).collect()
}

fn is_made_up(path: &str) -> bool {
    path.starts_with("com.acme/")
}

fn below(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).expect("a folder can be read") {
            let path = entry.expect("a folder can be read").path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let name = path.strip_prefix(root).expect("it is below").display().to_string();
            found.push((name, std::fs::read_to_string(&path).expect("a schema is text")));
        }
    }
    found.sort();
    found
}

#[test]
fn every_schema_stands_where_it_says_and_is_valid() {
    let all = schemas();
    assert!(all.len() > 200, "only {} schemas", all.len());
    for (path, text) in all {
        let schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
        let part = |name: &str| schema["self"][name].as_str().unwrap_or_default().to_owned();
        let says = ["vendor", "name", "format", "version"].map(part).join("/");
        assert_eq!(says, path);
        assert_eq!(Schema::compile(&text).issues(), [], "{path}");
    }
}

#[test]
fn schemas_of_others_equal_the_published_ones() {
    let central =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/iglu-central/schemas");
    if !central.is_dir() {
        eprintln!("no published schemas at {}: nothing compared", central.display());
        return;
    }
    let mut compared = 0;
    let ours = |path: &str| path.starts_with("snowmelt/") || UNPUBLISHED.contains(&path);
    for (path, text) in schemas().into_iter().filter(|(path, _)| !ours(path)) {
        let published = std::fs::read_to_string(central.join(&path)).expect("it is published");
        let read = |text: &str| -> Value { serde_json::from_str(text).expect("a schema is JSON") };
        assert_eq!(undescribed(&read(&text)), undescribed(&read(&published)), "{path}");
        compared += 1;
    }
    assert!(compared > 200, "only {compared} schemas compared");
}

/// A schema without the keyword `description`; a property of that name stays.
fn undescribed(schema: &Value) -> Value {
    let members = match schema {
        Value::Object(members) => members,
        Value::Array(schemas) => return schemas.iter().map(undescribed).collect(),
        other => return other.clone(),
    };
    let mut kept = Map::new();
    for (keyword, value) in members {
        let value = match (keyword.as_str(), value) {
            ("description", Value::String(_)) => continue,
            (
                "properties" | "patternProperties" | "definitions" | "dependencies",
                Value::Object(named),
            ) => named.iter().map(|(name, schema)| (name.clone(), undescribed(schema))).collect(),
            ("enum" | "default" | "required" | "self" | "examples", value) => value.clone(),
            (_, value) => undescribed(value),
        };
        kept.insert(keyword.clone(), value);
    }
    Value::Object(kept)
}

#[test]
fn the_binary_needs_no_registry_for_what_every_tracker_uses() {
    let uris = [
        "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
        "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1",
        "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0",
        "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0",
        "iglu:com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-2",
        "iglu:com.snowplowanalytics.snowplow/mobile_context/jsonschema/1-0-3",
        "iglu:com.snowplowanalytics.snowplow/ua_parser_context/jsonschema/1-0-0",
        "iglu:com.snowplowanalytics.iglu/validation_info/jsonschema/1-0-0",
        "iglu:com.snowplowanalytics.snowplow.badrows/schema_violations/jsonschema/2-0-1",
        "iglu:org.w3/PerformanceTiming/jsonschema/1-0-0",
        "iglu:snowmelt/woothee_context/jsonschema/1-0-0",
    ];
    let snapshot = embedded::snapshot();
    for uri in uris {
        assert!(matches!(snapshot.get(uri), Some(Lookup::Found(_))), "{uri}");
        let key = SchemaKey::parse(uri).expect("an Iglu URI");
        assert!(embedded::text(&key).is_some(), "{uri}");
    }
    assert_eq!(embedded::keys().count(), snapshot.len());
}
