//! The engine with the published rules, where they are: the tests published beside them, and the
//! recorded cases of a running peer.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::yauaa::yaml::{self, Node};
use crate::yauaa::*;

/// A published test.
struct Published {
    place: String,
    headers: Vec<(String, String)>,
    expected: Vec<(String, String)>,
}

#[test]
#[allow(clippy::print_stdout, reason = "a test that checks nothing must say so")]
fn all_published_tests_agree() {
    let Some(jar) = jar("7.31.0") else {
        println!("no jar of the rules is here: the published tests were not run");
        return;
    };
    let engine = asset::open(&jar).expect("the jar is the published one");
    let (tests, mut room, mut wrong) = (published(&jar), Room::default(), Vec::new());
    let mut most = 0;
    for test in &tests {
        let is_text = |name: &str| name.eq_ignore_ascii_case("user-agent");
        let text = test.headers.iter().find(|(name, _)| is_text(name));
        let text = text.map(|(_, value)| value.as_str());
        let hints = test.headers.iter().filter(|(name, _)| !is_text(name));
        let hints = hints.map(|(name, value)| (name.as_str(), value.as_str()));
        analyse(&engine, text, hints, &mut room, None, |fields| {
            let found: BTreeMap<&str, &str> = fields.shown().map(|(n, v, _)| (n, v)).collect();
            for (name, expected) in &test.expected {
                let found = found.get(name.as_str()).copied();
                let found = found.unwrap_or_else(|| fields::default_of(name));
                if found != expected {
                    wrong.push(format!("{}: {name}: {found}, not {expected}", test.place));
                }
            }
        });
        most = most.max(room.work_done());
    }
    println!("{}: {} published tests", jar.display(), tests.len());
    assert!(tests.len() > 5_000, "{} tests", tests.len());
    assert!(most < 500, "a real user agent takes {most} thousandths of the allowed work");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// The recorded cases of a running peer, which has the rules of 7.24.0.
#[test]
#[allow(clippy::print_stdout, reason = "a test that checks nothing must say so")]
fn recorded_cases_agree_to_the_byte() {
    let cases = include_str!("../../../../tests/vectors/cases/enr-yauaa.jsonl");
    let Some(jar) = jar("7.24.0") else {
        println!("no jar of 7.24.0 is here: the recorded cases were not run");
        return;
    };
    let engine = asset::open(&jar).expect("the jar is the published one");
    let output = Output::new(&engine.names);
    let yauaa = Yauaa { engine, output, cached: true };
    let (mut kept, arena, mut checked) = (Kept::new(1 << 20), Bump::new(), 0);
    for line in cases.lines() {
        let case: serde_json::Value = serde_json::from_str(line).expect("a case is JSON");
        let mut event = Event::new();
        event.set(Field::Useragent, case["payload"]["userAgent"].as_str());
        let headers = case["payload"]["headers"].as_array().into_iter().flatten();
        let headers: Vec<&str> = headers.filter_map(serde_json::Value::as_str).collect();
        let derived = yauaa.run(&event, &headers, &mut kept, &arena);
        let enriched = &case["out"][0]["enriched"];
        let expected = enriched["derived_contexts"].as_str().expect("an entity");
        let found = event::entity::envelope(&[derived.entity], &arena);
        assert_eq!(found, expected, "{}", case["name"]);
        checked += 1;
    }
    assert!(checked > 20, "{checked} cases");
}

/// Where a published jar is: named by the environment, fetched by the tests' scripts, or where
/// Maven keeps it.
#[allow(clippy::disallowed_methods, reason = "tests look for what is installed")]
fn jar(version: &str) -> Option<PathBuf> {
    let name = format!("yauaa-{version}.jar");
    let maven = format!(".m2/repository/nl/basjes/parse/useragent/yauaa/{version}");
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::var("CARGO_TARGET_DIR").map_or_else(|_| root.join("target"), Into::into);
    let places = [
        std::env::var("SNOWMELT_YAUAA").map(PathBuf::from).ok(),
        Some(target.join("tools/assets")),
        std::env::var("HOME").ok().map(|home| PathBuf::from(home).join(maven)),
    ];
    places.into_iter().flatten().map(|folder| folder.join(&name)).find(|path| path.is_file())
}

fn published(jar: &std::path::Path) -> Vec<Published> {
    let file = std::fs::File::open(jar).expect("a jar");
    let mut jar = zip::ZipArchive::new(file).expect("a jar");
    let mut tests = Vec::new();
    for index in 0..jar.len() {
        let mut entry = jar.by_index(index).expect("an entry");
        let name = entry.name().expect("a name").into_owned();
        if name.starts_with("UserAgents/") && name.ends_with(".yaml") {
            let text = std::io::read_to_string(&mut entry).expect("a text");
            let document = yaml::read(&text).expect("YAML").expect("a document");
            for (key, value) in document.map().expect("a map") {
                if key == "config" {
                    let entries = value.list().expect("a list").iter();
                    tests.extend(entries.filter_map(|entry| published_test(&name, entry)));
                }
            }
        }
    }
    tests
}

fn published_test(file: &str, entry: &Node) -> Option<Published> {
    let [(kind, value)] = entry.map().ok()? else { return None };
    if kind != "test" {
        return None;
    }
    let pairs = |wanted: &str| {
        let found = value.map().expect("a map").iter().find(|(name, _)| name == wanted);
        let pairs = found.map(|(_, value)| value.map().expect("a map")).unwrap_or_default();
        let pairs = pairs.iter().map(|(name, value)| {
            let name = if name == "user_agent_string" { "User-Agent" } else { name };
            (name.to_owned(), value.text().expect("a text").to_owned())
        });
        pairs.collect::<Vec<_>>()
    };
    let place = format!("{file}:{}", value.line);
    Some(Published { place, headers: pairs("input"), expected: pairs("expected") })
}
