//! From one command to the next: what `generate` makes, `enrich` enriches, each event as foretold.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use event::thrift::Wire;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Row;
use traffic::requests;

fn run(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_snowmelt")).args(args).output();
    let output = output.expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {said}");
    said
}

fn lines(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("it was written");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn generated_events_are_enriched_and_bad_ones_are_bad() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let (ids, out) = (path("ids"), path("out"));
    for (n, file) in ["p.bin.zst", "p.bin", "p.txt"].iter().enumerate() {
        let file = path(file);
        let seed = n.to_string();
        let generate = ["generate", "--events", "400", "--bad", "0.1", "--seed", &seed];
        let said = run(&[&generate[..], &["--output", &file, "--ids", &ids]].concat());
        run(&["enrich", "--force", "--input", &file, "--output", &out]);

        let foretold: BTreeSet<String> = lines(Path::new(&ids)).into_iter().collect();
        let column = event::Field::EventId as usize;
        let enriched = lines(&dir.path().join("out/enriched.tsv"));
        let id = |line: &String| line.split('\t').nth(column).expect("131 columns").to_owned();
        assert_eq!(enriched.len(), foretold.len(), "{file}");
        assert_eq!(enriched.iter().map(id).collect::<BTreeSet<_>>(), foretold, "{file}");
        let bad = lines(&dir.path().join("out/bad.jsonl")).len();
        assert!(bad > 0 && said.contains(&format!(" {bad} bad rows")), "{bad} of: {said}");
    }
}

#[test]
fn tables_have_a_row_for_each_event_in_the_folder_of_its_columns() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let (file, ids, out) = (path("p.bin"), path("ids"), path("out"));
    let generate = ["generate", "--events", "400", "--bad", "0.1", "--output", &file];
    let said = run(&[&generate[..], &["--ids", &ids]].concat());
    let enrich = ["enrich", "--input", &file, "--format", "parquet", "--output", &out];
    let now = ["--now", "2024-05-01T10:11:12.345Z"];
    run(&[&enrich[..], &now].concat());
    let events = tables(&dir.path().join("out/events"));
    let bad = tables(&dir.path().join("out/bad"));
    let name = |(path, _): &(PathBuf, Vec<String>)| path.to_string_lossy().into_owned();
    assert_eq!(
        events.iter().map(name).collect::<Vec<_>>(),
        ["load_date=2024-05-01/part-00001.parquet"]
    );
    let foretold: BTreeSet<String> = lines(Path::new(&ids)).into_iter().collect();
    assert_eq!(events[0].1.len(), foretold.len());
    assert_eq!(events[0].1.iter().cloned().collect::<BTreeSet<_>>(), foretold);
    let bad: usize = bad.iter().map(|(_, ids)| ids.len()).sum();
    assert!(bad > 0 && said.contains(&format!(" {bad} bad rows")), "{bad} of: {said}");

    let again = Command::new(env!("CARGO_BIN_EXE_snowmelt")).args(enrich).output();
    assert_eq!(again.expect("the binary runs").status.code(), Some(64), "it wrote over tables");
    let key = ["--force", "--key", "event_name={event_name}"];
    run(&[&enrich[..], &now, &key].concat());
    let divided = tables(&dir.path().join("out/events"));
    assert!(divided.len() > 1);
    assert!(divided.iter().map(name).all(|name| name.starts_with("event_name=")), "{divided:?}");
    let all: BTreeSet<String> = divided.into_iter().flat_map(|(_, ids)| ids).collect();
    assert_eq!(all, foretold);
}

/// The files below a folder, each with the ids of its events.
fn tables(folder: &Path) -> Vec<(PathBuf, Vec<String>)> {
    let (mut found, mut left) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(next).expect("it was made") {
            let path = entry.expect("it can be read").path();
            if path.is_dir() {
                left.push(path);
                continue;
            }
            let file = std::fs::File::open(&path).expect("it was written");
            let reader = SerializedFileReader::new(file).expect("a file of Parquet");
            let id = |row: Row| {
                let column = row.get_column_iter().find(|(name, _)| *name == "event_id");
                column.expect("every table has it").1.to_string().trim_matches('"').to_owned()
            };
            let rows = reader.get_row_iter(None).expect("rows");
            let ids = rows.map(|row| id(row.expect("a row"))).collect();
            found.push((path.strip_prefix(folder).expect("it is in it").to_owned(), ids));
        }
    }
    found.sort();
    found
}

#[test]
fn the_same_seed_and_time_make_the_same_bytes() {
    let dir = tempfile::tempdir().expect("a folder");
    let made = |name: &str| {
        let file = dir.path().join(name);
        let args = ["generate", "--events", "50", "--seed", "9", "--now", "1700000000000"];
        run(&[&args[..], &["--output", &file.to_string_lossy()]].concat());
        std::fs::read(file).expect("it was written")
    };
    assert_eq!(made("a.bin"), made("b.bin"));
}

#[test]
fn a_starter_folder_works_and_a_payload_is_explained_with_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let (payloads, configs) = (path("p.txt"), path("start/enrichments"));
    run(&["init", &path("start")]);
    run(&["generate", "--events", "3", "--bad", "0", "--seed", "5", "--output", &payloads]);
    let explained = |more: &[&str]| {
        let args = ["explain", "--input", &payloads, "--enrichments", &configs];
        let output = Command::new(env!("CARGO_BIN_EXE_snowmelt")).args(args).args(more).output();
        let output = output.expect("the binary runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("it is text")
    };
    let json: serde_json::Value = serde_json::from_str(&explained(&["--json"])).expect("JSON");
    let events = json["events"].as_array().expect("a list");
    assert_eq!(json["adapter"]["events"], events.len());
    assert_eq!(json["became"].as_array().expect("a list").len(), events.len());
    let steps = events[0]["enrichments"].as_object().expect("the steps");
    assert_eq!(steps.keys().collect::<Vec<_>>(), ["built in", "woothee_config"]);
    // What a step set is set by no other, and is in the line that came of it.
    let browser = steps["woothee_config"]["br_name"].as_str().expect("a browser");
    let built_in = steps["built in"].as_object().expect("what they set");
    let twice = |name: &&String| *name != "micros" && steps["woothee_config"].get(name).is_some();
    assert!(built_in.contains_key("page_urlhost"));
    assert_eq!(built_in.keys().find(twice), None);
    let line = json["became"][0]["enriched"].as_str().expect("a line");
    let columns = event::tsv::columns(line).expect("131 columns");
    assert_eq!(columns[event::Field::BrName as usize], browser);
    assert_eq!(events[0]["derived"]["iglu:snowmelt/woothee_context/jsonschema/1-0-0"], "valid");
    let tree = explained(&[]);
    assert!(tree.contains(&format!("br_name: {browser}")) && !tree.contains("nothing"), "{tree}");
}

#[test]
fn what_is_refused_is_explained_too() {
    let dir = tempfile::tempdir().expect("a folder");
    let payloads = dir.path().join("p.txt").to_string_lossy().into_owned();
    let unknown = "e=ue&p=web&tv=t&ue_pr=%7B%22schema%22%3A%22iglu%3Acom.snowplowanalytics.snowplow%2Funstruct_event%2Fjsonschema%2F1-0-0%22%2C%22data%22%3A%7B%22schema%22%3A%22iglu%3Acom.acme%2Fnone%2Fjsonschema%2F1-0-0%22%2C%22data%22%3A%7B%7D%7D%7D";
    let records = [
        b"no payload".to_vec(),
        requests::record(&requests::post("no body")),
        requests::record(&requests::get("/i", unknown)),
        requests::record(&requests::get("/i", "e=se&p=web&tv=t&se_va=a+lot")),
    ];
    let records = records.map(|record| event::base64::encode(&record)).join("\n");
    std::fs::write(&payloads, records).expect("a file");
    let explain = |record: &str| {
        let args = ["explain", "--json", "--input", &payloads, "--record", record];
        let output = Command::new(env!("CARGO_BIN_EXE_snowmelt")).args(args).output();
        output.expect("the binary runs")
    };
    let short = |record: &str| {
        let args = ["explain", "--input", &payloads, "--record", record];
        let output = Command::new(env!("CARGO_BIN_EXE_snowmelt")).args(args).output();
        String::from_utf8(output.expect("the binary runs").stdout).expect("it is text")
    };
    let none = "  iglu:com.acme/none/jsonschema/1-0-0 in unstruct_event at /data\n    Iglu Client Embedded: it does not have it\n";
    for (record, refused, kind, said) in [
        ("0", "/payload/refused", "collector_payload_format_violation", "  error deserializing"),
        ("1", "/adapter/refused", "tracker_protocol_violations", "  body: "),
        ("2", "/events/0/schemas/ends", "schema_violations", none),
        ("3", "/events/0/fields/ends", "enrichment_failures", "  se_va: "),
    ] {
        let short = short(record);
        assert!(short.starts_with(&format!("bad, {kind}\n{said}")), "{short}");
        assert!(short.ends_with("every step: --all\n") && short.lines().count() < 6, "{short}");
        let explained = explain(record).stdout;
        let json: serde_json::Value = serde_json::from_slice(&explained).expect("JSON");
        assert!(json.pointer(refused).is_some_and(|why| why[0].is_object()), "{refused}: {json}");
        assert!(json["became"][0].get(kind).is_some(), "{kind}: {json}");
    }
    assert_eq!(explain("4").status.code(), Some(64));
}

#[test]
fn a_failure_is_explained_in_a_few_lines_and_all_of_it_when_asked() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let versions = dir.path().join("iglu/schemas/com.acme/order/jsonschema");
    std::fs::create_dir_all(&versions).expect("a folder");
    for (version, most) in [("1-0-0", 3), ("1-0-1", 9)] {
        let schema = serde_json::json!({
            "$schema": "http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#",
            "self": {"vendor": "com.acme", "name": "order", "format": "jsonschema", "version": version},
            "type": "object", "properties": {"a/b": {"type": "string", "maxLength": most}},
        });
        std::fs::write(versions.join(version), schema.to_string()).expect("a file");
    }
    let entity = |value: &str| serde_json::json!({"schema": "iglu:com.acme/order/jsonschema/1-0-0", "data": {"a/b": value}});
    let contexts = |values: &[&str]| {
        let entities: Vec<_> = values.iter().map(|value| entity(value)).collect();
        serde_json::json!({"schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1", "data": entities}).to_string()
    };
    let event = |values: &[&str]| serde_json::json!({"e": "pv", "p": "web", "tv": "t", "co": contexts(values)});
    let body = serde_json::json!({
        "schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
        "data": [event(&["abc"]), event(&["ab", "abcde"])],
    });
    let record = requests::record(&requests::post(&body.to_string()));
    std::fs::write(path("p.txt"), event::base64::encode(&record)).expect("a file");
    let explained = |more: &[&str]| {
        let args = ["explain", "--input", &path("p.txt"), "--schemas", &path("iglu")];
        let output = Command::new(env!("CARGO_BIN_EXE_snowmelt")).args(args).args(more).output();
        String::from_utf8(output.expect("the binary runs").stdout).expect("it is text")
    };
    assert_eq!(
        explained(&[]),
        "1 of 2: nothing failed\n\
         2 of 2: bad, schema_violations\n  \
           iglu:com.acme/order/jsonschema/1-0-0 in contexts at /data/1\n    \
             /a~1b: expected at most 3 characters, found string of 5 characters \"abcde\"\n    \
             iglu:com.acme/order/jsonschema/1-0-1 would accept it\n\
         every step: --all\n"
    );
    let all = explained(&["--all"]);
    for line in [
        "      e: pv",
        "  useragent: nothing",
        "      collector_tstamp: ",
        "      mkt_term: nothing",
    ] {
        assert!(all.contains(line), "{line}: {all}");
    }
    let json: serde_json::Value = serde_json::from_str(&explained(&["--json"])).expect("JSON");
    assert_eq!(json["why"][1]["faults"][0]["wrong"][0]["at"], "/a~1b");
    assert_eq!(json["events"].as_array().map(Vec::len), Some(2));
}

/// A file of one payload whose texts try to write on the terminal, and to break lines.
fn hostile(dir: &Path) -> String {
    let query = "e=ue&p=web&tv=t&aid=%1B%5B2J&page=%C2%9B31m&uid=%E2%80%AE&ue_pr=%7B%22%1B%22%3A1";
    let wire = Wire {
        collector: Some(b"ssc\t1\n\x1b]0;"),
        user_agent: Some(b"agent\x1b[31m\x07"),
        headers: &[b"X-\x1b[1m: \x1b[2m", b"Cookie: a=\x9b"],
        ..requests::get("/i", query)
    };
    let fine = Wire { user_agent: wire.user_agent, ..requests::get("/i", "e=pv&p=web&tv=t") };
    let named = Wire { collector: wire.collector, ..requests::get("/i", "e=pv&p=web&tv=t") };
    let records = [wire, fine, named, requests::get("/\x1b[5m/v\u{202e}", "e=pv")];
    let records = records.map(|wire| event::base64::encode(&requests::record(&wire)));
    let file = dir.join("hostile.txt");
    std::fs::write(&file, records.join("\n")).expect("a file");
    file.to_string_lossy().into_owned()
}

#[test]
fn what_strangers_sent_never_reaches_a_terminal_raw() {
    let dir = tempfile::tempdir().expect("a folder");
    let payloads = hostile(dir.path());
    let data = dir.path().join("data\u{1b}.json").to_string_lossy().into_owned();
    std::fs::write(&data, "{\"schema\":\"iglu:a\u{1b}/b/jsonschema/1-0-0\"}").expect("a file");
    let mut commands: Vec<Vec<&str>> = vec![
        vec!["schemas", "check", "--schema", &data, &data],
        vec!["schemas", "lint", &data],
        vec!["schemas", "diff", &data, &data],
        vec!["enrich", "--input", &data, "--output", "-"],
        vec!["explain", "--input", &data],
        vec!["leases", "list", "\u{1b}[2J"],
        vec!["local", "--config", "\u{1b}[2J"],
        vec!["worker", "--config", &data],
    ];
    for record in ["0", "1", "2", "3"] {
        for more in [&[][..], &["--json"]] {
            commands.push([&["explain", "--input", &payloads, "--record", record], more].concat());
        }
    }
    for args in commands {
        let output = Command::new(env!("CARGO_BIN_EXE_snowmelt")).args(&args).output();
        let output = output.expect("the binary runs");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).expect("it is text");
        let raw = |c: char| c != '\n' && c != '\t' && (c.is_control() || c == '\u{202e}');
        assert!(!said.contains(raw) && !said.is_empty(), "{args:?}: {said:?}");
    }
}

#[test]
fn a_collectors_name_with_a_tab_breaks_no_outcome() {
    let dir = tempfile::tempdir().expect("a folder");
    let (payloads, out) = (hostile(dir.path()), dir.path().join("out"));
    let place = out.to_string_lossy().into_owned();
    run(&["enrich", "--input", &payloads, "--output", &place, "--format", "outcomes"]);
    let outcomes = lines(&out.join("outcomes.jsonl"));
    let json = |line: &String| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    let outcomes: Vec<_> = outcomes.iter().map(json).collect();
    assert_eq!(outcomes.len(), 4);
    assert_eq!(outcomes[2]["out"][0]["enriched"]["v_collector"], "ssc    1]0;");
}

#[test]
fn an_environment_that_is_no_text_stops_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let (payloads, start) = (hostile(dir.path()), dir.path().join("start"));
    let place = start.to_string_lossy().into_owned();
    run(&["init", &place]);
    let enrichments = start.join("enrichments").to_string_lossy().into_owned();
    let output = Command::new(env!("CARGO_BIN_EXE_snowmelt"))
        .args(["enrich", "--input", &payloads, "--enrichments", &enrichments])
        .env("SNOWMELT_SOMETHING", OsStr::from_bytes(b"\xff\xfe"))
        .env(OsStr::from_bytes(b"N\xffAME"), "value")
        .output();
    let output = output.expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn incomplete_events_have_a_place_or_are_not_asked_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let args = ["enrich", "--input", &hostile(dir.path()), "--incomplete"];
    let output = Command::new(env!("CARGO_BIN_EXE_snowmelt")).args(args).output();
    assert_eq!(output.expect("the binary runs").status.code(), Some(64));
}

#[test]
fn a_folder_that_was_begun_is_not_begun_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let place = dir.path().to_string_lossy().into_owned();
    run(&["init", &place]);
    let files = ["worker.toml", "enrichments/woothee.json", "enrichments/ip_lookups.json"];
    for file in files {
        std::fs::write(dir.path().join(file), "mine").expect("a file");
    }
    let again = Command::new(env!("CARGO_BIN_EXE_snowmelt")).args(["init", &place]).output();
    assert_eq!(again.expect("the binary runs").status.code(), Some(64));
    // Without the worker's file there is something to do, and what is there stays.
    std::fs::remove_file(dir.path().join("worker.toml")).expect("it was there");
    run(&["init", &place]);
    for file in &files[1..] {
        assert_eq!(lines(&dir.path().join(file)), ["mine"], "{file}");
    }
    assert!(lines(&dir.path().join("worker.toml")).len() > 1);
}
