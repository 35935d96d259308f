//! Flattened events against what the Apache-2.0 analytics SDK made of the same enriched events.
//!
//! Reads the recorded cases from `../shared/vectors` beside the repository; where they are absent
//! it says so and passes. Compared are the keys, and values by their text; in the recordings keys
//! with null are left out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use event::{Bump, Event, Field, flat, json};
use serde_json::Value;

#[test]
fn flattened_events_agree_with_the_sdk() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let Some(enriched) = enriched_events(&folder) else { return };
    let mut wrong = Vec::new();
    let mut checked = 0;
    for line in lines(&folder.join("json")).expect("the cases have them") {
        let arena = Bump::new();
        let line = json::compact(&line, &arena).expect("JSON");
        let name = json::unescape(json::member(line, "name").expect("a name"), &arena);
        let name = name.expect("a string");
        checked += 1;
        let ours = flatten(&enriched[name]);
        let agree = match (&ours, json::member(line, "json")) {
            (Ok(ours), Some(theirs)) => {
                let ours = json::compact(ours, &arena).expect("JSON");
                members(ours, &arena)
                    .into_iter()
                    .filter(|(_, value)| *value != "null")
                    .eq(members(theirs, &arena))
            }
            (Err(_), None) => json::member(line, "error").is_some(),
            _ => false,
        };
        if !agree {
            wrong.push(format!("{name}:\n  ours   {ours:?}\n  theirs {line}"));
        }
    }
    assert!(checked > 1000, "only {checked} cases");
    assert!(wrong.is_empty(), "{} of {checked} differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn flatten(columns: &Value) -> Result<String, flat::FlatError> {
    let mut event = Event::new();
    event.set(Field::EtlTstamp, Some("2024-05-01 10:11:12.340"));
    event.set(Field::VEtl, Some("oracle-1.0.0"));
    for (column, text) in columns.as_object().expect("columns") {
        let field = Field::from_name(column).expect("a column");
        event.set(field, text.as_str());
    }
    let mut out = Vec::new();
    flat::write(&event, &mut out)?;
    Ok(String::from_utf8(out).expect("UTF-8"))
}

/// Keys with the raw text of their values, sorted.
fn members<'a>(text: &'a str, arena: &'a Bump) -> BTreeMap<&'a str, &'a str> {
    let members = json::Members::of(text).expect("an object");
    members.map(|(key, value)| (json::unescape(key, arena).expect("a key"), value)).collect()
}

/// The columns of the one enriched event of each case that has one.
fn enriched_events(folder: &std::path::Path) -> Option<BTreeMap<String, Value>> {
    let cases = lines(&folder.join("cases"))?;
    let events = cases.into_iter().filter_map(|line| {
        let case: Value = serde_json::from_str(&line).expect("JSON");
        let outcomes = case["out"].as_array().expect("outcomes");
        let enriched = outcomes.iter().find_map(|outcome| outcome.get("enriched"))?;
        Some((case["name"].as_str().expect("a name").to_owned(), enriched.clone()))
    });
    Some(events.collect())
}

/// The lines of all files in a folder, if it is there.
#[allow(clippy::print_stderr, reason = "a skipped test must say so")]
fn lines(folder: &std::path::Path) -> Option<Vec<String>> {
    let Ok(files) = std::fs::read_dir(folder) else {
        eprintln!("skipped: no recorded cases at {}", folder.display());
        return None;
    };
    let mut lines = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file.expect("an entry").path()).expect("a text file");
        lines.extend(text.split_terminator('\n').map(str::to_owned));
    }
    Some(lines)
}
