//! `snowmelt schemas …` on files and on a real HTTP server, as a user runs it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use serde_json::{Value, json};

/// What a run of the command came to.
#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn run(args: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_snowmelt")).args(args).output();
    let output = output.expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran {
        code: output.status.code().expect("it ended by itself"),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

fn json_of(args: &[&str]) -> (i32, Value) {
    let ran = run(&[&["schemas"], args, &["--json"]].concat());
    let document = serde_json::from_str(&ran.out);
    (ran.code, document.unwrap_or_else(|why| panic!("{why}: {ran:?}")))
}

/// A static registry of these schemas of `com.acme/click`, by version.
struct Registry {
    dir: tempfile::TempDir,
}

impl Registry {
    fn new(versions: &[(&str, Value)]) -> Registry {
        let dir = tempfile::tempdir().expect("a folder");
        let below = dir.path().join("schemas/com.acme/click/jsonschema");
        std::fs::create_dir_all(&below).expect("a folder");
        for (version, rules) in versions {
            std::fs::write(below.join(version), schema(version, rules)).expect("written");
        }
        Registry { dir }
    }

    fn root(&self) -> String {
        self.dir.path().display().to_string()
    }

    fn file(&self, version: &str) -> String {
        let path = self.dir.path().join("schemas/com.acme/click/jsonschema").join(version);
        path.display().to_string()
    }
}

fn schema(version: &str, rules: &Value) -> String {
    let mut schema = json!({
        "$schema": "http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#",
        "self": {"vendor": "com.acme", "name": "click", "format": "jsonschema", "version": version},
        "type": "object",
        "additionalProperties": false,
    });
    for (keyword, rule) in rules.as_object().expect("rules are an object") {
        schema[keyword] = rule.clone();
    }
    schema.to_string()
}

/// A text of at most so many characters, which may be null.
fn text(most: u32) -> Value {
    json!({"type": ["string", "null"], "maxLength": most, "description": "d"})
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

const URI: &str = "iglu:com.acme/click/jsonschema/1-0-0";

#[test]
fn data_is_checked_and_the_version_that_would_take_it_is_named() {
    let registry = Registry::new(&[
        ("1-0-0", json!({"properties": {"a": text(3)}})),
        ("1-0-1", json!({"properties": {"a": text(5)}})),
        ("1-0-2", json!({"properties": {"a": text(9)}})),
    ]);
    let data = write(registry.dir.path(), "data.json", r#"{"a":"xyzzy"}"#);
    let root = registry.root();
    for schema in [URI, &registry.file("1-0-0")] {
        let (code, document) = json_of(&["check", schema, &data, "--schemas", &root]);
        assert_eq!(code, 65, "{document}");
        assert_eq!(document["nearestVersion"], URI.replace("1-0-0", "1-0-1"));
        let violation = &document["violations"][0];
        assert_eq!(violation["pointer"], "/a");
        assert_eq!(violation["keyword"], "maxLength");
        assert_eq!(violation["expected"], "at most 3 characters");
        assert_eq!(violation["found"], "string of 5 characters \"xyzzy\"");
    }
    let ran = run(&["schemas", "check", URI, &data, "--schemas", &root]);
    assert!(ran.out.contains("/a  maxLength  at most 3 characters"), "{ran:?}");
    assert!(ran.out.contains("1-0-1 would accept it"), "{ran:?}");

    let described = format!(r#"{{"schema":"{URI}","data":{{"a":"x"}}}}"#);
    let described = write(registry.dir.path(), "described.json", &described);
    let (code, document) = json_of(&["check", URI, &described, "--schemas", &root]);
    assert_eq!((code, &document["valid"]), (0, &json!(true)));
    let missing = run(&["schemas", "check", URI, &data]);
    assert_eq!(missing.code, 65, "{missing:?}");
    assert!(missing.err.contains("no registry has"), "{missing:?}");
    assert_eq!(run(&["schemas", "check", "iglu:x", &data]).code, 64);
}

#[test]
fn a_step_between_versions_is_judged() {
    let registry = Registry::new(&[
        ("1-0-0", json!({"properties": {"a": text(3)}})),
        ("1-0-1", json!({"properties": {"a": text(5)}})),
        ("1-0-2", json!({"properties": {"a": text(4)}})),
        ("1-0-3", json!({"properties": {"a": {"type": "integer"}}})),
    ]);
    let step = |from: &str, to: &str| json_of(&["diff", &registry.file(from), &registry.file(to)]);
    let (code, document) = step("1-0-0", "1-0-1");
    assert_eq!(
        (code, &document["level"], &document["columns"]),
        (0, &json!("ADDITION"), &json!("widened"))
    );
    assert_eq!(document["changes"][0]["pointer"], "/properties/a/maxLength");
    let (code, document) = step("1-0-1", "1-0-2");
    assert_eq!((code, &document["needed"]), (65, &json!("REVISION")));
    let (code, document) = step("1-0-2", "1-0-3");
    assert_eq!(
        (code, &document["needed"], &document["columns"]),
        (65, &json!("MODEL"), &json!("breaks"))
    );
    let ran = run(&["schemas", "diff", &registry.file("1-0-1"), &registry.file("1-0-2")]);
    assert!(ran.out.contains("fault: the version says ADDITION, but the change is a REVISION"));
}

#[test]
fn lint_sees_schemas_and_their_sequence() {
    let good = Registry::new(&[
        ("1-0-0", json!({"properties": {"a": text(3)}})),
        ("1-0-1", json!({"properties": {"a": text(5)}})),
        ("2-0-0", json!({"properties": {"b": text(5)}})),
    ]);
    let (code, document) = json_of(&["lint", &good.root()]);
    assert_eq!((code, &document["schemas"], &document["remarks"]), (0, &json!(3), &json!([])));

    let bad = Registry::new(&[
        ("1-0-0", json!({"properties": {"a": text(3)}})),
        ("1-0-2", json!({"properties": {"a": text(2)}})),
        ("1-1-0", json!({"properties": {"a": {"type": "string", "minLength": 5, "maxLength": 4}}})),
    ]);
    let (code, document) = json_of(&["lint", &bad.root()]);
    let remarks = document["remarks"].as_array().expect("a list");
    let remark = |check: &str, part: &str| {
        let of_it = remarks.iter().filter(|remark| remark["check"] == check);
        of_it.filter(|remark| remark["message"].as_str().is_some_and(|m| m.contains(part))).count()
    };
    assert_eq!(code, 65);
    assert_eq!(remark("contradiction", "minLength 5 is larger than maxLength 4"), 1, "{document}");
    assert_eq!(remark("version", "a version between is missing"), 1, "{document}");
    assert_eq!(remark("version", "the change is a REVISION"), 1, "{document}");
    assert_eq!(remark("optionalNull", ""), 1, "{document}");

    let advice = Registry::new(&[("1-0-0", json!({"properties": {"a": {"type": "string"}}}))]);
    assert_eq!(json_of(&["lint", &advice.root()]).0, 0);
    assert_eq!(json_of(&["lint", "--strict", &advice.root()]).0, 65);
    let skip = ["lint", "--strict", "--skip", "stringLength,optionalNull,description"];
    assert_eq!(json_of(&[&skip[..], &[&advice.root()]].concat()).0, 0);
    assert_eq!(run(&["schemas", "lint", "--skip", "x", &advice.root()]).code, 64);
}

#[test]
fn lint_looks_at_schemas_and_passes_other_files_over() {
    let registry = Registry::new(&[("1-0-0", json!({"properties": {"a": text(3)}}))]);
    let below = registry.dir.path().join("schemas/com.acme");
    for (name, bytes) in [
        (".DS_Store", &b"\0\0\0\x01Bud1\xff"[..]),
        ("README", b"# Our schemas"),
        ("README.md", b"1-0-0 is the first one"),
        ("package.json", b"{\"name\": \"schemas\"}"),
        ("click_1.json", b"{\"jsonpaths\": [\"$.a\"]}"),
    ] {
        std::fs::write(below.join(name), bytes).expect("written");
    }
    let (code, document) = json_of(&["lint", &registry.root()]);
    assert_eq!((code, &document["schemas"]), (0, &json!(1)), "{document}");

    // What is named is looked at, and what is named as a version is meant to be a schema.
    let readme = below.join("README.md").display().to_string();
    assert_eq!(json_of(&["lint", &readme]).0, 65);
    std::fs::write(registry.file("1-0-1"), "{\n  \"a\": 1,\n  b\n}").expect("written");
    let (code, document) = json_of(&["lint", &registry.root()]);
    let message = document["remarks"][0]["message"].as_str().unwrap_or_default();
    assert_eq!((code, &document["schemas"]), (65, &json!(2)), "{document}");
    assert!(message.contains("line 3 column 3"), "{document}");
    let ran = run(&["schemas", "diff", &registry.file("1-0-0"), &registry.file("1-0-1")]);
    assert!(ran.code == 64 && ran.err.contains("1-0-1"), "{ran:?}");
    assert!(ran.err.contains("line 3 column 3"), "{ran:?}");

    // Nothing to look at is a mistake of whoever asks.
    let empty = tempfile::tempdir().expect("a folder");
    for path in [empty.path().display().to_string(), registry.file("9-9-9")] {
        let ran = run(&["schemas", "lint", &path]);
        assert!(ran.code == 64 && ran.err.contains(&path), "{ran:?}");
    }
}

#[test]
fn lint_sees_what_supersedes_nothing() {
    let properties = json!({"a": text(3)});
    let superseded = |by: &str| json!({"properties": properties, "$supersededBy": by});
    for by in ["1.0.1", "1-0-0", "1-0-5"] {
        let registry = Registry::new(&[("1-0-0", superseded(by))]);
        for path in [registry.root(), registry.file("1-0-0")] {
            let (code, document) = json_of(&["lint", &path]);
            assert_eq!(code, 65, "{by}: {document}");
            assert_eq!(document["remarks"][0]["check"], "supersededBy", "{document}");
            assert_eq!(document["remarks"][0]["pointer"], "/$supersededBy", "{document}");
        }
    }
    let good = Registry::new(&[
        ("1-0-0", superseded("1-0-1")),
        ("1-0-1", json!({"properties": properties})),
    ]);
    assert_eq!(json_of(&["lint", &good.root()]).0, 0);
    assert_eq!(json_of(&["lint", &good.file("1-0-0")]).0, 0);
}

#[test]
fn lint_can_leave_advice_out() {
    let text = json!({"type": "string", "maxLength": 3, "enum": ["abcdef"]});
    let registry = Registry::new(&[("1-0-0", json!({"properties": {"a": text}}))]);
    let (_, all) = json_of(&["lint", &registry.root()]);
    let (code, faults) = json_of(&["lint", "--only-faults", &registry.root()]);
    let kinds = |document: &Value| {
        let remarks = document["remarks"].as_array().expect("a list");
        let kind = |kind| remarks.iter().filter(|remark| remark["kind"] == kind).count();
        (kind("fault"), kind("advice"))
    };
    assert_eq!((code, kinds(&faults)), (65, (1, 0)), "{faults}");
    assert!(kinds(&all).1 > 0, "{all}");
    assert_eq!(run(&["schemas", "lint", "--only-faults", "--strict", "x"]).code, 64);
}

/// Serves schemas by path, and a list of them, until dropped.
struct Server {
    uri: String,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    fn start(schemas: BTreeMap<String, String>) -> Server {
        let uris: Vec<String> = schemas.keys().map(|path| format!("iglu:{path}")).collect();
        Server::with(schemas, Some(serde_json::to_string(&uris).expect("a list of texts")))
    }

    fn without_a_list(schemas: BTreeMap<String, String>) -> Server {
        Server::with(schemas, None)
    }

    fn with(schemas: BTreeMap<String, String>, list: Option<String>) -> Server {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.enable_all().worker_threads(1).build().expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a free port");
        let uri = format!("http://{}", listener.local_addr().expect("it is bound"));
        let answer = move |request: Request| {
            let path = request.uri().path().trim_start_matches("/schemas").trim_matches('/');
            let found = match path {
                "" => list.clone(),
                "com.acme/down/jsonschema/1-0-0" => None,
                path => schemas.get(path).cloned(),
            };
            let status = match (path, &found) {
                (_, Some(_)) => StatusCode::OK,
                ("com.acme/down/jsonschema/1-0-0", None) => StatusCode::SERVICE_UNAVAILABLE,
                (_, None) => StatusCode::NOT_FOUND,
            };
            std::future::ready((status, found.unwrap_or_default()))
        };
        let app = Router::new().fallback(answer);
        runtime.handle().spawn(async move { axum::serve(listener, app).await });
        Server { uri, _runtime: runtime }
    }

    fn resolver(&self, dir: &Path) -> String {
        let config = json!({
            "schema": "iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-3",
            "data": {"cacheSize": 500, "cacheTtl": 600, "repositories": [{
                "name": "Acme", "priority": 0, "vendorPrefixes": ["com.acme"],
                "connection": {"http": {"uri": self.uri}}}]}
        });
        write(dir, "resolver.json", &config.to_string())
    }
}

#[test]
fn a_server_is_listed_shown_and_pulled() {
    let path = "com.acme/click/jsonschema/1-0-0";
    let text = schema("1-0-0", &json!({"properties": {"a": text(3)}}));
    let server = Server::start([(path.to_owned(), text)].into());
    let dir = tempfile::tempdir().expect("a folder");
    let resolver = server.resolver(dir.path());
    let ran = run(&["schemas", "list", "--vendor", "com.acme", "--resolver", &resolver]);
    assert_eq!((ran.code, ran.out.lines().count()), (0, 2), "{ran:?}");
    assert!(ran.out.contains(&format!("{URI}  Acme")), "{ran:?}");
    let (code, document) = json_of(&["show", URI, "--resolver", &resolver]);
    assert_eq!((code, &document["registry"]), (0, &json!("Acme")));

    let bundle = dir.path().join("all.bundle").display().to_string();
    let pull = ["schemas", "pull", "--all", "--output", &bundle, "--resolver", &resolver];
    let ran = run(&pull);
    assert_eq!(ran.code, 0, "{ran:?}");
    drop(server);
    let (code, document) = json_of(&["show", URI, "--bundle", &bundle]);
    assert_eq!((code, &document["registry"]), (0, &json!("Schemas Bundle")));
    // Embedded schemas are in it, too: a worker needs nothing else.
    let lines = std::fs::read_to_string(&bundle).expect("it was written");
    assert!(lines.contains("iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0"));
}

#[test]
fn a_bundle_with_holes_is_not_written() {
    let server = Server::start(BTreeMap::new());
    let dir = tempfile::tempdir().expect("a folder");
    let resolver = server.resolver(dir.path());
    let bundle = dir.path().join("b").display().to_string();
    let missing = ["schemas", "pull", URI, "--output", &bundle, "--resolver", &resolver];
    let ran = run(&missing);
    assert_eq!(ran.code, 65, "{ran:?}");
    assert!(ran.err.contains("Acme: it does not have it"), "{ran:?}");
    std::fs::remove_file(&bundle).expect("it is there, though without that schema");
    let down = "iglu:com.acme/down/jsonschema/1-0-0";
    let pull = ["schemas", "pull", down, "--output", &bundle, "--resolver", &resolver];
    let ran = run(&[&pull[..], &["--patience", "0"]].concat());
    assert_eq!(ran.code, 69, "{ran:?}");
    assert!(!PathBuf::from(&bundle).exists());
    assert_eq!(run(&["schemas", "pull", "--output", &bundle]).code, 64);
    let list = write(dir.path(), "list", "# ours\n\niglu:nonsense\n");
    let ran = run(&["schemas", "pull", "--list", &list, "--output", &bundle]);
    assert_eq!(ran.code, 64);
    assert!(ran.err.contains("list:3: INVALID_IGLUURI"), "{ran:?}");
}

/// A registry that is a web server knows each of its schemas, and not which it has.
#[test]
fn a_registry_without_a_list_is_not_pulled_whole() {
    let path = "com.acme/click/jsonschema/1-0-0";
    let text = schema("1-0-0", &json!({"properties": {"a": text(3)}}));
    let server = Server::without_a_list([(path.to_owned(), text)].into());
    let dir = tempfile::tempdir().expect("a folder");
    let resolver = server.resolver(dir.path());
    let bundle = dir.path().join("b").display().to_string();
    let pull = ["schemas", "pull", "--output", &bundle, "--resolver", &resolver];
    let ran = run(&[&pull[..], &["--all"]].concat());
    assert_eq!(ran.code, 69, "{ran:?}");
    assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    assert!(ran.err.starts_with("snowmelt: Acme: it gives no list of its schemas: "), "{ran:?}");
    assert!(ran.err.contains("--sample"), "what to do instead: {ran:?}");
    assert!(!PathBuf::from(&bundle).exists());
    assert_eq!(run(&[&pull[..], &[URI]].concat()).code, 0);
}

#[test]
fn what_a_sample_needs_is_pulled_and_enriches_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (sample, bundle, out) = (path("p.bin"), path("p.bundle"), path("out"));
    let made = run(&["generate", "--events", "50", "--seed", "1", "--output", &sample]);
    assert_eq!(made.code, 0, "{made:?}");
    let ran = run(&["schemas", "pull", "--sample", &sample, "--output", &bundle]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines = std::fs::read_to_string(&bundle).expect("it was written").lines().count();
    assert!(lines > 3 && ran.out.starts_with(&format!("{lines} schemas")), "{ran:?}");
    let enriched = run(&["enrich", "--input", &sample, "--output", &out, "--bundle", &bundle]);
    assert_eq!(enriched.code, 0, "{enriched:?}");
    let broken = write(dir.path(), "broken", "{\n");
    let ran = run(&["enrich", "--input", &sample, "--bundle", &broken]);
    assert_eq!(ran.code, 64);
    assert!(ran.err.contains("broken: line 1"), "{ran:?}");
}

#[test]
fn tables_have_the_columns_of_the_schemas_that_registries_list() {
    let rules = json!({"properties": {"x": {"type": "integer", "description": "Where."}}});
    let registry = Registry::new(&[("1-0-0", rules)]);
    let root = registry.root();
    let events = ["--schemas", &root, "--events", "com.acme/*", "--entities", "*/failure"];
    let with = |args: &[&str]| run(&[args, &events].concat());

    let made = with(&["ddl", "--for", "spark", "--tables", "parquet", "--location", "s3://b/"]);
    assert_eq!(made.code, 0, "{made:?}");
    for table in ["events", "failed", "bad"] {
        let statement = format!("CREATE TABLE IF NOT EXISTS `snowmelt`.`{table}` (");
        assert!(made.out.contains(&statement), "{table}: {}", made.out);
        assert!(made.out.contains(&format!("LOCATION 's3://b/{table}'")), "{table}");
    }
    let click = "`unstruct_event_com_acme_click_1` STRUCT<`x`: BIGINT>";
    let failure = "`contexts_com_snowplowanalytics_snowplow_failure_1` ARRAY<";
    // What failed says why, besides.
    assert_eq!((made.out.matches(click).count(), made.out.matches(failure).count()), (2, 1));

    let one = ["ddl", "--for", "athena", "--tables", "tsv", "--table", "failed", "--name", "a.b"];
    let made = with(&one);
    assert!(made.out.starts_with("CREATE EXTERNAL TABLE IF NOT EXISTS `a`.`b` ("), "{made:?}");
    assert_eq!(made.out.matches(" COMMENT ").count(), 131);

    let told = with(&["dictionary", "--format", "json"]);
    let told: Value = serde_json::from_str(&told.out).expect("JSON");
    let column = told.as_array().expect("a list").last().expect("a column");
    assert_eq!(column["path"], "unstruct_event_com_acme_click_1");
    assert_eq!(column["schemas"], json!(["iglu:com.acme/click/jsonschema/1-0-0"]));
    assert_eq!(column["fields"][0]["description"], "Where.");

    for (args, why) in [
        (["--events", "com.acme"], "is no vendor and name"),
        (["--partitions", "a b"], "is no name of a column"),
    ] {
        let ran = run(&[&["ddl", "--for", "glue", "--tables", "json"][..], &args].concat());
        assert_eq!(ran.code, 64, "{ran:?}");
        assert!(ran.err.contains(why), "{ran:?}");
    }
}
