//! The test cases that uap-core publishes with its rules, against the same version of the rules.
#![allow(clippy::print_stdout, reason = "a test that checks nothing must say so")]

use std::path::Path;

use enrichments::{Caches, Enrichments, Input, Options, Times};
use event::{Bump, CollectorPayload, Event, Field, RawEvent, json};
use saphyr::{LoadableYamlNode, Yaml};

const BROWSER: [(&str, &str); 4] = [
    ("family", "useragentFamily"),
    ("major", "useragentMajor"),
    ("minor", "useragentMinor"),
    ("patch", "useragentPatch"),
];
const SYSTEM: [(&str, &str); 5] = [
    ("family", "osFamily"),
    ("major", "osMajor"),
    ("minor", "osMinor"),
    ("patch", "osPatch"),
    ("patch_minor", "osPatchMinor"),
];
const DEVICE: [(&str, &str); 1] = [("family", "deviceFamily")];

#[test]
fn browsers() {
    check("test_ua.yaml", &BROWSER);
}

#[test]
fn systems() {
    check("test_os.yaml", &SYSTEM);
}

#[test]
fn devices() {
    check("test_device.yaml", &DEVICE);
}

/// Checks the properties that a file of cases names, each by its name there and in the entity.
fn check(file: &str, properties: &[(&str, &str)]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/uap-core");
    let Ok(cases) = std::fs::read_to_string(folder.join("tests").join(file)) else {
        println!("{file}: no published cases beside this repository");
        return;
    };
    let enrichments = load(&folder);
    let documents = Yaml::load_from_str(&cases).expect("cases in YAML");
    let cases = documents[0].as_mapping_get("test_cases").and_then(Yaml::as_vec).expect("cases");
    let (mut wrong, mut arena, mut caches) = (Vec::new(), Bump::new(), Caches::default());
    for case in cases {
        arena.reset();
        let text = |name| case.as_mapping_get(name).and_then(Yaml::as_str);
        let useragent = text("user_agent_string").expect("a case has a user agent");
        let payload = CollectorPayload { encoding: "UTF-8", ..CollectorPayload::default() };
        let raw = RawEvent { payload: &payload, parameters: &[] };
        let times = Times { collector: 0, created: None, sent: None, true_time: None };
        let mut event = Event::new();
        event.set(Field::Useragent, Some(useragent));
        let input = Input::new(&raw, times);
        let done = enrichments.run(&mut event, &input, &mut caches, &arena);
        let data = done.entities[0].data;
        for (name, property) in properties {
            let raw = json::member(data, property).expect("every property is there");
            let found = json::unescape(raw, &arena);
            let expected = text(name).filter(|text| !text.is_empty());
            if found != expected {
                wrong.push(format!("{property} is {found:?}, not {expected:?}: {useragent}"));
            }
        }
    }
    assert!(cases.len() > 400, "{} cases", cases.len());
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(20)].join("\n")
    );
}

fn load(assets: &Path) -> Enrichments {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = r#"{"schema":"iglu:com.snowplowanalytics.snowplow/ua_parser_config/jsonschema/1-0-1",
        "data":{"enabled":true,"parameters":{"database":"regexes.yaml","uri":"file:"}}}"#;
    std::fs::write(folder.path().join("ua_parser.json"), text).expect("a temporary file");
    let loaded = Enrichments::load(folder.path(), Some(assets), &Options::default());
    loaded.map_err(|errors| format!("{errors:?}")).expect("rules")
}
