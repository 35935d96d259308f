//! The verdicts held against the `jsonschema` crate, over generated schemas and over every public
//! schema, each with generated and mutated data.
//!
//! The generators keep to where the two agree by design. Where they do not: an integer must be
//! written as one here, `format` has the peer's rules, a pattern is Java's, members named `#…`
//! are exempt from `additionalProperties`, in containers `1` and `1.0` differ, `uniqueItems` is
//! asked of an object's members too, and `nullable` lets null into an `enum`.

#![allow(clippy::print_stderr, reason = "whoever runs the tests should know")]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::strategy::Union;
use serde_json::{Map, Value, json};

use crate::schema::Schema;
use crate::schema::tests::{accepts, accepts_fast};

/// The other implementation, draft 4, without formats.
fn oracle(schema: &Value) -> jsonschema::Validator {
    let options = jsonschema::draft4::options().should_validate_formats(false);
    options.build(schema).expect("the schema is valid")
}

/// Data with few names and few values, so that rules are met.
fn data() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..6).prop_map(Value::from),
        prop::sample::select(vec![0.5, 2.5, 4.75]).prop_map(Value::from),
        "[abé\"\\\\\n]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c\"", "de", "é"]).prop_map(str::to_owned)
}

/// Schemas of every keyword, referring to themselves and to a definition.
fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({})),
        Just(json!({"$ref": "#/definitions/d"})),
        // Recursion must go through a member, or it never ends.
        Just(json!({"properties": {"a": {"$ref": "#"}}})),
        keyword_of_leaf(),
    ];
    let node = leaf.prop_recursive(3, 24, 4, |inner| {
        let list = || prop::collection::vec(inner.clone(), 1..3).prop_map(Value::from);
        let members = || {
            prop::collection::hash_map(name(), inner.clone(), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect()))
        };
        let closed = || prop_oneof![any::<bool>().prop_map(Value::from), inner.clone()];
        let keyword = Union::new([
            keyword_of_leaf().boxed(),
            inner.clone().prop_map(|s| json!({"items": s})).boxed(),
            (list(), closed()).prop_map(|(l, c)| json!({"items": l, "additionalItems": c})).boxed(),
            (members(), closed())
                .prop_map(|(m, c)| json!({"properties": m, "additionalProperties": c}))
                .boxed(),
            (members(), closed(), inner.clone())
                .prop_map(|(m, c, s)| {
                    let patterns = json!({"^[ad]": s});
                    json!({
                        "properties": m, "patternProperties": patterns, "additionalProperties": c
                    })
                })
                .boxed(),
            (name(), inner.clone()).prop_map(|(n, s)| json!({"dependencies": {n: s}})).boxed(),
            list().prop_map(|l| json!({"allOf": l})).boxed(),
            list().prop_map(|l| json!({"anyOf": l})).boxed(),
            list().prop_map(|l| json!({"oneOf": l})).boxed(),
            inner.clone().prop_map(|s| json!({"not": s})).boxed(),
        ]);
        prop::collection::vec(keyword, 1..4).prop_map(|parts| {
            let mut whole = Map::new();
            for part in parts {
                whole.extend(part.as_object().cloned().expect("every part is an object"));
            }
            Value::Object(whole)
        })
    });
    (node, keyword_of_leaf()).prop_map(|(mut root, definition)| {
        root["definitions"] = json!({"d": definition});
        root
    })
}

fn keyword_of_leaf() -> impl Strategy<Value = Value> {
    let types = ["null", "boolean", "integer", "number", "string", "array", "object"];
    prop_oneof![
        prop::sample::select(types.to_vec()).prop_map(|t| json!({"type": t})),
        prop::sample::subsequence(types.to_vec(), 1..4).prop_map(|t| json!({"type": t})),
        prop::collection::hash_set("[ab\"]{0,2}", 1..3).prop_map(|e| json!({"enum": e})),
        Just(json!({"enum": ["a", 1, null, 2.5, {"a": "b"}, ["a", null]]})),
        (0..4).prop_map(|n| json!({"minLength": n})),
        (0..4).prop_map(|n| json!({"maxLength": n})),
        // Java lets `$` match before a last line feed, so it is not used here.
        Just(json!({"pattern": "^a|b."})),
        (-2..5, any::<bool>()).prop_map(|(n, e)| json!({"minimum": n, "exclusiveMinimum": e})),
        (-2..5, any::<bool>()).prop_map(|(n, e)| json!({"maximum": n, "exclusiveMaximum": e})),
        prop::sample::select(vec![0.5, 2.0, 3.0]).prop_map(|n| json!({"multipleOf": n})),
        (0..3).prop_map(|n| json!({"minItems": n})),
        (0..3).prop_map(|n| json!({"maxItems": n})),
        // Of objects it asks something of its own here.
        Just(json!({"allOf": [{"type": ["array", "string", "number"], "uniqueItems": true}]})),
        prop::collection::hash_set(name(), 1..3).prop_map(|r| json!({"required": r})),
        (0..3).prop_map(|n| json!({"minProperties": n})),
        (0..3).prop_map(|n| json!({"maxProperties": n})),
        (name(), name()).prop_map(|(a, b)| json!({"dependencies": {a: [b]}})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn generated_schemas_mean_the_same_to_both(
        schema in schema(),
        data in prop::collection::vec(data(), 8),
    ) {
        let ours = Schema::compile(&schema.to_string());
        prop_assert_eq!(ours.issues(), []);
        let theirs = oracle(&schema);
        for data in data {
            let verdict = accepts_fast(&ours, &data.to_string());
            prop_assert_eq!(verdict, theirs.is_valid(&data), "{} {}", schema, data);
        }
    }
}

#[test]
fn public_schemas_mean_the_same_to_both() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/iglu-central/schemas");
    let root = if root.is_dir() {
        root
    } else {
        eprintln!("no public schemas at {}: only the embedded ones are used", root.display());
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/schemas")
    };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut checked, mut accepted) = (0, 0);
    for path in
        files(&root).into_iter().filter(|path| path.display().to_string().contains("/jsonschema/"))
    {
        let text = std::fs::read_to_string(&path).expect("a schema can be read");
        let ours = Schema::compile(&text);
        assert_eq!(ours.issues(), [], "{}", path.display());
        let mut schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
        let refers = text.contains("\"$ref\": \"http") || text.contains("\"$ref\":\"http");
        for name in ["$schema", "self"] {
            schema.as_object_mut().expect("a schema is an object").shift_remove(name);
        }
        if refers {
            continue;
        }
        let theirs = oracle(&schema);
        for _ in 0..12 {
            let mut data = sample(&schema, &schema, &mut runner, 0);
            mutate(&mut data, &mut runner);
            let json = data.to_string();
            // Formats are ours alone: what they refuse the other accepts.
            let verdict = accepts(&ours, &json);
            checked += 1;
            accepted += usize::from(verdict);
            let formats = text.contains("\"format\"");
            if verdict || !formats {
                assert_eq!(verdict, theirs.is_valid(&data), "{} {json}", path.display());
            }
            if verdict {
                assert!(ours.check_bytes(&json), "only a tree accepts {json}: {}", path.display());
            }
        }
    }
    assert!(checked > 2_000 && accepted * 10 > checked, "{accepted} of {checked} accepted");
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).expect("a folder can be read") {
            let path = entry.expect("a folder can be read").path();
            if path.is_dir() { dirs.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

fn pick(runner: &mut proptest::test_runner::TestRunner, below: u32) -> u32 {
    runner.rng().next_u32() % below.max(1)
}

/// Data that mostly follows a schema.
fn sample(
    schema: &Value,
    root: &Value,
    runner: &mut proptest::test_runner::TestRunner,
    depth: u32,
) -> Value {
    if let Some(pointer) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'))
    {
        return match root.pointer(pointer) {
            Some(target) if depth < 8 => sample(target, root, runner, depth + 1),
            _ => Value::Null,
        };
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(branches) = schema[keyword].as_array() {
            let branch = &branches[pick(runner, branches.len() as u32) as usize];
            return sample(branch, root, runner, depth + 1);
        }
    }
    if let Some(values) = schema["enum"].as_array() {
        return values[pick(runner, values.len() as u32) as usize].clone();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds[pick(runner, kinds.len() as u32) as usize].as_str(),
        kind => kind.as_str(),
    };
    match kind {
        Some("string") => {
            let format = schema["format"].as_str();
            let text = match format {
                Some("date-time") => "2024-05-01T10:11:12.345Z",
                Some("uuid") => "b8ba9cbb-7a6d-4a5e-9b1e-0f1a2b3c4d5e",
                Some("uri") => "https://a.test/b?c=d",
                Some("ipv4") => "1.2.3.4",
                Some("date") => "2024-05-01",
                Some("email") => "a@b.com",
                _ => "",
            };
            let least = schema["minLength"].as_u64().unwrap_or(1).max(1) as usize;
            Value::from(if text.is_empty() { "1".repeat(least) } else { text.to_owned() })
        }
        Some("integer") => Value::from(schema["minimum"].as_i64().unwrap_or(3)),
        Some("number") => schema.get("minimum").cloned().unwrap_or(json!(1.5)),
        Some("boolean") => Value::from(pick(runner, 2) == 0),
        Some("null") => Value::Null,
        Some("array") => {
            let count = schema["minItems"].as_u64().unwrap_or(1) + u64::from(pick(runner, 2));
            (0..count).map(|_| sample(&schema["items"], root, runner, depth + 1)).collect()
        }
        _ => {
            let mut members = Map::new();
            for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
                let required = depth < 6 && pick(runner, 8) > 0;
                if required {
                    members.insert(name.clone(), sample(schema, root, runner, depth + 1));
                }
            }
            Value::Object(members)
        }
    }
}

/// Breaks something, or not.
fn mutate(data: &mut Value, runner: &mut proptest::test_runner::TestRunner) {
    let inner = match data {
        Value::Object(members) => members.values_mut().collect(),
        Value::Array(items) => items.iter_mut().collect(),
        _ => Vec::new(),
    };
    if !inner.is_empty() && pick(runner, 3) > 0 {
        let index = pick(runner, inner.len() as u32) as usize;
        return mutate(inner.into_iter().nth(index).expect("the index is within"), runner);
    }
    let junk = [
        json!(null),
        json!("x".repeat(300)),
        json!(-7),
        json!(1e300),
        json!([]),
        json!({}),
        json!(true),
    ];
    match (data, pick(runner, 6)) {
        (Value::Object(members), 0) => {
            members.insert("zz".to_owned(), json!(1));
        }
        (Value::Object(members), 1) => {
            let first = members.keys().next().cloned();
            first.map(|name| members.shift_remove(&name));
        }
        (data, 2) => *data = junk[pick(runner, junk.len() as u32) as usize].clone(),
        _ => {}
    }
}
