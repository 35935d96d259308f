//! The examples of docs/enrichments are what an operator puts into a folder: complete, and read as
//! they stand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use enrichments::{Configuration, Options};
use event::{Bump, base64};
use serde_json::Value;

fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/enrichments")
}

/// The fenced blocks of a language, by page.
fn blocks(language: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    for entry in std::fs::read_dir(pages()).expect("the documents are there") {
        let path = entry.expect("they can be read").path();
        let text = std::fs::read_to_string(&path).expect("it is text");
        let name = path.file_name().expect("it has one").to_string_lossy().into_owned();
        let fence = format!("```{language}\n");
        let each = text.split(&fence).skip(1).filter_map(|rest| rest.split("\n```").next());
        blocks.extend(each.map(|block| (name.clone(), block.to_owned())));
    }
    blocks
}

/// What an operator sets for the references in examples.
fn options() -> Options {
    let names = ["PII_SALT", "ACME_PASSWORD"];
    let variables = names.map(|name| (name.to_owned(), "secret".to_owned()));
    let variables = BTreeMap::from(variables);
    Options { variables, ..Options::default() }
}

#[test]
fn every_example_is_read_as_it_stands() {
    let examples = blocks("json");
    assert!(examples.len() >= 17, "{} examples", examples.len());
    for (page, block) in &examples {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("example.json"), block).expect("ours");
        let read = Configuration::read(folder.path(), &options());
        let configuration = read.unwrap_or_else(|errors| panic!("{page}: {errors:?}"));
        assert!(configuration.warnings.is_empty(), "{page}: {:?}", configuration.warnings);
        let json: Value = serde_json::from_str(block).expect("it was read");
        assert_eq!(json["data"]["enabled"], true, "{page}: it does nothing");
    }
}

#[test]
fn every_enrichment_that_runs_has_an_example() {
    let uri = |(_, block): &(String, String)| {
        let json: Value = serde_json::from_str(block).expect("it is JSON");
        let uri = json["schema"].as_str().expect("it is complete").to_owned();
        uri.split('/').nth(1).expect("it has a name").to_owned()
    };
    let shown: BTreeSet<String> = blocks("json").iter().map(uri).collect();
    // The table of the order in which they run, but for what no page is of.
    let table = std::fs::read_to_string(pages().join("README.md")).expect("it is there");
    let rows = table.lines().filter(|line| line.starts_with('|') && line.contains(".md)"));
    let names = rows.flat_map(|row| {
        let names = row.split('|').nth(2).expect("a column").split('`');
        names.skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
    });
    let names: Vec<String> = names.collect();
    assert!(names.len() >= 17, "{names:?}");
    let missing: Vec<&String> = names.iter().filter(|name| !shown.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?} have no example");
}

#[test]
fn the_script_shown_is_the_one_configured() {
    let configured = blocks("json").into_iter().find(|(page, _)| page == "javascript.md");
    let json: Value = serde_json::from_str(&configured.expect("a page").1).expect("it is JSON");
    let script = json["data"]["parameters"]["script"].as_str().expect("a script");
    let arena = Bump::new();
    let script = base64::decode(script, &arena);
    let shown = blocks("js").into_iter().find(|(page, _)| page == "javascript.md");
    assert_eq!(script.trim(), shown.expect("a script").1.trim());
}
