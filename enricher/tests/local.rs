//! The demo as a stranger runs it: the binary, a folder, a kill in the middle.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use arrow_array::StringArray;
use enricher::sink::local::Folder;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

const EVENTS: &str = "9000";

fn demo(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snowmelt"));
    command.args(["local", "--demo", "--shards", "3", "--rate", "3000"]);
    command.arg("--dir").arg(dir);
    command
}

/// Waits until a worker has written a file, which is before all is done.
fn kill_in_the_middle(mut child: Child) {
    let lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    for line in lines {
        let line = line.expect("lines are text");
        let files = line.split("files").nth(1).and_then(|rest| rest.split_whitespace().next());
        if files.is_some_and(|files| files != "0") {
            break;
        }
    }
    assert!(child.try_wait().expect("it is ours").is_none(), "it was not done yet");
    child.kill().expect("it runs");
    child.wait().expect("it is ours");
}

/// The number after a word of the account.
fn number(output: &Output, word: &str) -> u64 {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.trim_start().starts_with(word));
    let number = line.and_then(|line| line.split_whitespace().last()?.parse().ok());
    number.unwrap_or_else(|| panic!("no {word} in:\n{text}"))
}

/// The ids of a table's events: how many there are, each counted once.
fn ids(tables: &Path) -> usize {
    let mut ids = std::collections::HashSet::new();
    for file in Folder::new(tables).objects("events").expect("the folder can be read") {
        let file = std::fs::File::open(file).expect("it is there");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("it is whole");
        for batch in reader.build().expect("it can be read") {
            let batch = batch.expect("rows");
            let column = batch.column_by_name("event_id").expect("a table of events has it");
            let column = column.as_any().downcast_ref::<StringArray>().expect("it is of texts");
            ids.extend(column.iter().flatten().map(str::to_owned));
        }
    }
    ids.len()
}

#[test]
fn a_killed_demo_goes_on_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let child = demo(dir.path())
        .args(["--events", EVENTS])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn();
    kill_in_the_middle(child.expect("the binary runs"));

    let output = demo(dir.path()).args(["--events", EVENTS]).output().expect("the binary runs");
    let account = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{account}{}", String::from_utf8_lossy(&output.stderr));
    assert!(number(&output, "events sent") >= EVENTS.parse().expect("a number"), "{account}");
    assert_eq!(number(&output, "missing"), 0, "{account}");
    assert_eq!(number(&output, "to be enriched"), number(&output, "enriched"), "{account}");

    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("an earlier run was killed: its leases expire 4 s"), "{said}");
    for line in said.lines().chain(account.lines()) {
        let places = line.contains(&*dir.path().to_string_lossy());
        assert!(places || line.chars().count() <= 80, "{line}");
    }
    assert!(account.contains("zstd -dc "), "{account}");

    assert!(account.contains("SQL: snowmelt query --data "), "{account}");
    let in_tables = ids(&dir.path().join("tables"));
    assert_eq!(in_tables as u64, number(&output, "enriched"), "{account}");

    // Nothing is left to do, and nothing is done twice.
    let again = demo(dir.path()).args(["--events", "0"]).output().expect("the binary runs");
    assert!(again.status.success());
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(!said.contains("killed"), "it ended in order: {said}");
    assert_eq!(number(&again, "duplicates"), number(&output, "duplicates"));
    assert_eq!(number(&again, "output files"), number(&output, "output files"));
}

#[test]
fn a_worker_tells_of_a_registry_that_is_down_by_name_and_once() {
    let dir = tempfile::tempdir().expect("a folder");
    // A port that nobody listens on.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    drop(listener);
    let resolver = serde_json::json!({
        "schema": "iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-1",
        "data": {"cacheSize": 500, "repositories": [{
            "name": "Ours", "priority": 0, "vendorPrefixes": ["com.snowplowanalytics"],
            "connection": {"http": {"uri": format!("http://127.0.0.1:{port}/api")}}}]},
    });
    let file = dir.path().join("resolver.json");
    std::fs::write(&file, resolver.to_string()).expect("ours");
    let mut worker = demo(&dir.path().join("demo"));
    worker.args(["--workers", "1", "--events", "600", "--resolver"]).arg(&file);
    let output = worker.output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let told: Vec<&str> =
        said.lines().filter(|line| line.contains("a registry cannot be asked")).collect();
    assert_eq!(told.len(), 1, "{said}");
    let line: serde_json::Value = serde_json::from_str(told[0]).expect("a line of the log");
    assert_eq!((&line["level"], &line["registry"]), (&"WARN".into(), &"Ours".into()), "{line}");
    // Events go on with the schemas that others have.
    assert!(number(&output, "enriched") > 0, "{said}");
}

#[test]
fn mistakes_exit_with_64_and_say_where() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("w.toml");
    std::fs::write(&file, "[source]\nstrem = \"x\"\n").expect("the folder is ours");
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_snowmelt")).args(args).output();
        let output = output.expect("the binary runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run(&["worker", "--config", &file.to_string_lossy()]);
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("w.toml:2:1: unknown field `strem`"), "{said}");
    let (code, said) = run(&["worker", "--config", "/nowhere/w.toml"]);
    assert_eq!(code, Some(64), "{said}");
    let (code, said) = run(&["wroker"]);
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("worker"), "{said}");
}
