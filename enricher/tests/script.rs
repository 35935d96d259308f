//! `snowmelt explain --script`, and what becomes of events whose columns a script changed.

use std::process::{Command, Output};

use tempfile::TempDir;

fn snowmelt(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_snowmelt")).args(args).output().expect("the binary runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder with a script in it.
fn folder(source: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("own.js");
    std::fs::write(&file, source).expect("a file");
    let file = file.to_string_lossy().into_owned();
    (folder, file)
}

fn explained(source: &str, more: &[&str]) -> String {
    let (_folder, file) = folder(source);
    let output = snowmelt(&[&["explain", "--script", &file], more].concat());
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).expect("it is text")
}

#[test]
fn a_script_is_tried_without_a_configuration() {
    let source = "function process(event, params) {
  print('seen', event.getApp_id());
  console.log('escape \\u001b[2J');
  event.setApp_id(params.name);
  return [];
}";
    let text = explained(source, &["--script-params", "{\"name\":\"other\"}"]);
    for line in [
        "      javascript_script_config  (",
        "        app_id: example → other\n",
        "        printed\n          1: seen example\n          2: escape \\u001b[2J\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let json = explained(source, &["--json", "--script-params", "{\"name\":\"x\"}"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let step = &json["events"][0]["enrichments"]["javascript_script_config"];
    assert_eq!(step["printed"][0], "seen example");
    assert!(!json["became"].to_string().contains("seen example"), "{json}");
}

#[test]
fn it_runs_on_a_payload_behind_what_is_configured() {
    let source = "function process(event) { event.setApp_id(event.getApp_id() + '!'); }";
    let text = explained(source, &["--path", "/i", "--query", "e=pv&p=web&tv=t&aid=given"]);
    assert!(text.contains("app_id: given → given!"), "{text}");
}

#[test]
fn failures_say_where_and_what_was_printed_before() {
    let source = "function process(event) {\n  print('here');\n  event.setApp_id('changed');\n  \
                  nothing.there();\n}";
    let text = explained(source, &[]);
    assert!(text.contains("at line number 4 at column number"), "{text}");
    assert!(text.contains("1: here"), "{text}");
    assert!(!text.contains("app_id: example → changed"), "nothing of it stays: {text}");
    let endless = explained("function process() { print('before'); for (;;) {} }", &[]);
    assert!(endless.contains("did not end within 5000000 steps"), "{endless}");
    assert!(endless.contains("1: before"), "{endless}");
}

#[test]
fn mistakes_are_told_before_anything_runs() {
    for (source, more, words) in [
        ("function process(\n event {", &[][..], "own.js: expected a script that can be evaluated"),
        ("function process(\n event {", &[], "at line number 2"),
        ("\nfunction process() { java.io.File.x() }", &[], "java.io.File.x in line 2"),
        ("function process() {}", &["--script-params", "[]"], "expected a JSON object, found []"),
        ("function process() {}", &["--script-params", "{"], "expected a JSON object"),
    ] {
        let (_folder, file) = folder(source);
        let output = snowmelt(&[&["explain", "--script", &file], more].concat());
        assert_eq!(output.status.code(), Some(64), "{source}: {}", said(&output));
        assert!(said(&output).contains(words), "{words} in {}", said(&output));
    }
    let missing = snowmelt(&["explain", "--script", "nowhere.js"]);
    assert!(said(&missing).contains("nowhere.js"), "{}", said(&missing));
    let alone = snowmelt(&["explain", "--script-params", "{}"]);
    assert_eq!(alone.status.code(), Some(64), "{}", said(&alone));
}

/// What becomes of a page view with one entity that a script changes; the bad rows.
fn changed(statement: &str) -> (usize, Vec<serde_json::Value>) {
    let (folder, file) = folder(&format!("function process(event) {{ {statement} }}"));
    let contexts = r#"{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0","data":[{"schema":"iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0","data":{"id":"c6ef3124-b53a-4b13-a233-0088f79dcbcb"}}]}"#;
    let query = format!("e=pv&p=web&tv=t&cx={}", event::base64::encode(contexts.as_bytes()));
    let args = ["explain", "--script", &file, "--path", "/i", "--query", &query, "--json"];
    let output = snowmelt(&args);
    assert!(output.status.success(), "{}", said(&output));
    drop(folder);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let became = json["became"].as_array().expect("a list").clone();
    let enriched = became.iter().filter(|one| one.get("enriched").is_some()).count();
    (enriched, became)
}

#[test]
fn what_a_script_writes_as_an_entity_is_validated() {
    let set = |entity: &str| {
        let envelope = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0";
        format!("event.setContexts(JSON.stringify({{schema: '{envelope}', data: [{entity}]}}));")
    };
    let page = "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0";
    let (enriched, became) = changed(&set(&format!(
        "{{schema: '{page}', data: {{id: '11111111-2222-4333-8444-555555555555'}}}}"
    )));
    assert_eq!(enriched, 1, "{became:?}");
    assert!(became[0].to_string().contains("11111111-2222"), "{became:?}");
    for statement in [
        set(&format!("{{schema: '{page}', data: {{id: 7}}}}")),
        set("{schema: 'iglu:com.acme/missing/jsonschema/1-0-0', data: {}}"),
        "event.setContexts('no JSON');".to_owned(),
        "event.setUnstruct_event('{\"schema\":\"x\",\"data\":{}}');".to_owned(),
    ] {
        let (enriched, became) = changed(&statement);
        assert_eq!(enriched, 0, "{statement}: {became:?}");
        assert!(became[0].get("schema_violations").is_some(), "{statement}: {became:?}");
    }
    let emptied = set("");
    let (enriched, became) = changed(&emptied);
    assert_eq!(enriched, 1, "{became:?}");
    let (enriched, became) = changed(&format!("{emptied} event.setUnstruct_event('{{}}');"));
    assert_eq!(enriched, 0, "{became:?}");
    let (enriched, became) = changed("event.setContexts(null);");
    assert_eq!(enriched, 1, "{became:?}");
    assert!(!became[0].to_string().contains("web_page"), "{became:?}");
}

#[test]
fn the_same_columns_written_again_are_no_change() {
    let same = "event.setContexts(event.getContexts()); event.setApp_id('x');";
    let (enriched, became) = changed(same);
    assert_eq!(enriched, 1, "{became:?}");
}
