//! The documents hold: every command in them runs, every configuration in them can be read, and
//! what they show of an output is what comes out.
//!
//! A block of `sh` holds commands; a `text` that follows it directly is what the last of them
//! prints. A block that cannot run here says why, in a comment before it. `json` and `toml` are
//! configurations, `json data` is what it says.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use enricher::rules::Rules;
use lease::store::{dynamo::Dynamo, sqlite::Sqlite};
use lease::{Lease, LeaseStore, Position, ShardId};
use pipeline::archive::Archived;
use serde_json::json;

/// A fenced block of a document.
struct Block {
    /// The document and the line of its fence.
    place: String,
    language: String,
    text: String,
    /// Why it does not run.
    not_run: Option<String>,
    /// Whether it follows another directly.
    follows: bool,
}

const NOT_RUN: &str = "<!-- not run by the tests: ";

/// The least that a worker must be told.
const LEAST: &str = "[source]\nstream = \"raw\"\n[leases]\ntable = \"snowmelt\"\n\
                     [enriched.kinesis]\nstream = \"enriched\"\n[bad.s3]\nbucket = \"bucket\"\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned()
}

/// Every document of the repository, by its path.
fn documents() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("it can be read") {
            let path = entry.expect("it can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if name.ends_with(".md") {
                let short = path.strip_prefix(root()).expect("it is in it").display().to_string();
                found.push((short, std::fs::read_to_string(&path).expect("it is text")));
            }
        }
    }
    found.sort();
    assert!(found.len() > 20, "{} documents", found.len());
    found
}

fn blocks() -> Vec<Block> {
    documents().iter().flat_map(|(path, text)| fenced(path, text)).collect()
}

fn fenced(path: &str, text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut open, mut ended, mut not_run) = (false, 0, None);
    for (number, line) in (1..).zip(text.lines()) {
        match (open, line.strip_prefix("```")) {
            (false, Some(language)) => blocks.push(Block {
                place: format!("{path}:{number}"),
                language: language.to_owned(),
                text: String::new(),
                not_run: not_run.take(),
                follows: ended > 0 && number == ended + 2,
            }),
            (true, None) => {
                let block = blocks.last_mut().expect("one is open");
                block.text.push_str(line);
                block.text.push('\n');
            }
            (true, Some(_)) => ended = number,
            (false, None) => {
                let reason = line.strip_prefix(NOT_RUN).and_then(|rest| rest.strip_suffix(" -->"));
                not_run = reason.map(str::to_owned);
            }
        }
        open ^= line.starts_with("```");
    }
    assert!(!open, "{path}: a fence is not closed");
    blocks
}

/// The commands of a block, each in one line, without comments.
fn commands(block: &Block) -> Vec<String> {
    let lines = block.text.replace("\\\n", " ");
    let lines = lines.lines().map(|line| line.split(" #").next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// A folder with all that the commands of the documents name.
struct Stage {
    folder: tempfile::TempDir,
    table: String,
    _server: tokio::task::JoinSet<()>,
}

impl Stage {
    async fn new() -> Stage {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let table = format!("http://{}", socket.local_addr().expect("it is bound"));
        let database = dynoxide::Database::memory().expect("memory");
        let mut server = tokio::task::JoinSet::new();
        server.spawn(async move { dynoxide::server::serve_on(socket, database).await });
        let folder = tempfile::tempdir().expect("a folder");
        let stage = Stage { folder, table, _server: server };
        stage.fill_leases().await;
        for setting in [
            "snowmelt init .",
            "snowmelt generate --events 40 --seed 1 --output payloads.bin",
            "snowmelt generate --events 40 --seed 1 --output payloads.bin.zst",
            "snowmelt enrich --input payloads.bin --output before",
        ] {
            let output = stage.run(setting).await;
            assert!(output.status.success(), "{setting}: {}", said(&output));
        }
        stage.write_files();
        stage.write_archive();
        stage
    }

    /// The payloads as a raw archive.
    fn write_archive(&self) {
        let payloads = std::fs::read(self.folder.path().join("payloads.bin")).expect("it is there");
        let (mut rest, mut archive, mut number) = (payloads.as_slice(), Vec::new(), 0);
        while let Some((length, after)) = rest.split_first_chunk() {
            let (data, after) = after.split_at(u32::from_be_bytes(*length) as usize);
            let sequence = number.to_string();
            let record = Archived {
                stream: "raw",
                shard: "shardId-000000000007",
                sequence: &sequence,
                sub_sequence: 0,
                arrived_ms: Some(1_714_558_272_345 + number),
                partition_key: "",
                data,
            };
            record.write(&mut archive);
            (rest, number) = (after, number + 1);
        }
        let folder = self.folder.path().join("raw/date=2024-05-01/hour=10");
        std::fs::create_dir_all(&folder).expect("ours");
        let packed = zstd::encode_all(&*archive, 1).expect("into memory");
        std::fs::write(folder.join("x.records.zst"), packed).expect("ours");
    }

    async fn fill_leases(&self) {
        let place = self.folder.path().join("snowmelt-local");
        std::fs::create_dir(&place).expect("ours");
        let file = Sqlite::open(&place.join("leases.db")).expect("a file");
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
            .region(aws_sdk_dynamodb::config::Region::new("eu-central-1"))
            .credentials_provider(aws_sdk_dynamodb::config::Credentials::new(
                "id", "secret", None, None, "test",
            ))
            .endpoint_url(&self.table)
            .http_client(aws_smithy_http_client::Builder::new().build_http());
        let client = aws_sdk_dynamodb::Client::from_conf(config.build());
        let table = Dynamo::new(client, "snowmelt");
        for store in [&file as &dyn LeaseStore, &table] {
            store.open().await.expect("it opens");
            let shard = ShardId::new("shardId-000000000007");
            let made = store.create(Lease::new(&shard, Position::TrimHorizon)).await;
            assert!(made.expect("an answer"));
        }
    }

    fn write_files(&self) {
        let write = |name: &str, text: &str| {
            let path = self.folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("ours");
            std::fs::write(path, text).expect("ours");
        };
        let adapter = "[[adapter]]\npath = \"com.acme/v1\"\nschema = \"iglu:com.acme/click/jsonschema/1-0-0\"\n";
        write("worker.toml", &format!("{LEAST}[aws]\nregion = \"eu-central-1\"\n{adapter}"));
        write("order.json", r#"{"clicks": ["abc"]}"#);
        write("click.json", r#"{"clicks": ["xyzzy"]}"#);
        write("own.js", "function process(event, params) { print(params.test); }");
        write("uris.txt", "iglu:com.acme/click/jsonschema/1-0-1\n");
        let resolver = json!({
            "schema": "iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-3",
            "data": {"cacheSize": 500, "repositories": [{
                "name": "On disk", "priority": 0, "vendorPrefixes": [],
                "connection": {"folder": {"path": "iglu"}}}]},
        });
        write("resolver.json", &resolver.to_string());
        for (version, most) in [("1-0-0", 3), ("1-0-1", 5)] {
            let schema = json!({
                "$schema": "http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#",
                "self": {"vendor": "com.acme", "name": "click", "format": "jsonschema", "version": version},
                "type": "object",
                "properties": {"clicks": {"type": "array", "items": {"type": "string", "maxLength": most}}},
            });
            write(
                &format!("iglu/schemas/com.acme/click/jsonschema/{version}"),
                &schema.to_string(),
            );
        }
    }

    /// Runs a command as a person does, `snowmelt` being on the path.
    async fn run(&self, line: &str) -> Output {
        let binary = Path::new(env!("CARGO_BIN_EXE_snowmelt")).parent().expect("a folder");
        let mut path = vec![binary.to_owned()];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let mut command = Command::new("sh");
        command
            .args(["-c", line])
            .current_dir(self.folder.path())
            .env("PATH", std::env::join_paths(path).expect("no colon in it"))
            .env("AWS_ENDPOINT_URL_DYNAMODB", &self.table)
            .envs([("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")]);
        let ran = tokio::task::spawn_blocking(move || command.output().expect("there is a shell"));
        ran.await.expect("it does not panic")
    }
}

fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_runs() {
    let stage = Stage::new().await;
    let (mut ran, mut wrong, blocks) = (0, Vec::new(), blocks());
    for (block, next) in blocks.iter().zip(blocks.iter().skip(1).map(Some).chain([None])) {
        if block.language != "sh" || block.not_run.is_some() {
            continue;
        }
        let shown = next.filter(|next| next.language == "text" && next.follows);
        let commands = commands(block);
        for (index, line) in commands.iter().enumerate() {
            if !line.starts_with("snowmelt ") {
                wrong.push(format!("{}: neither ours nor marked: {line}", block.place));
                continue;
            }
            let shown = shown.filter(|_| index + 1 == commands.len());
            // Results of an earlier command would not be written over.
            let output = stage.run(&format!("rm -rf out; {line}")).await;
            ran += 1;
            // Data that is shown to be bad is what that command is for.
            let good = match output.status.code() {
                Some(0) => true,
                code => code == Some(65) && shown.is_some(),
            };
            if !good || shown.is_some_and(|shown| shown.text.as_bytes() != output.stdout) {
                wrong.push(format!("{}: {line}: {}", block.place, said(&output)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(ran >= 12, "{ran} commands");
}

#[test]
fn every_configuration_can_be_read() {
    let mut read = 0;
    for block in blocks() {
        let place = &block.place;
        // Those of enrichments are read by their crate's tests.
        if block.language == "json" && !place.starts_with("docs/enrichments/") {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("resolver.json");
            std::fs::create_dir_all(folder.path().join("iglu/schemas")).expect("ours");
            std::fs::write(&file, &block.text).expect("ours");
            let rules = Rules { resolver: Some(file), ..Rules::default() };
            let opened = rules.resolver(&enricher::aws::Settings::default());
            opened.map(|_| ()).unwrap_or_else(|error| panic!("{place}: {error}"));
            read += 1;
        }
        // Those of webhooks are held to their examples by tests of their own.
        if block.language == "toml" && !place.starts_with("docs/webhooks.md") {
            let text = format!("{LEAST}{}", block.text);
            enricher::config::parse(&text, "w.toml")
                .unwrap_or_else(|error| panic!("{place}: {error}"));
            read += 1;
        }
    }
    assert!(read >= 2, "{read} configurations");
}

#[test]
fn arguments_that_are_named_are_there() {
    let mut wrong = Vec::new();
    let mut helps = std::collections::BTreeMap::new();
    for (path, text) in documents() {
        let text = text.replace('\n', " ");
        let spans = text.split('`').filter_map(|span| span.strip_prefix("snowmelt "));
        for span in spans {
            let words: Vec<&str> = span.split_whitespace().collect();
            let command: Vec<&str> = words
                .iter()
                .copied()
                .take_while(|word| word.bytes().all(|b| b.is_ascii_lowercase()))
                .collect();
            let help = helps.entry(command.join(" ")).or_insert_with(|| help(&command));
            let flags = words.iter().filter(|word| word.trim_start_matches('[').starts_with("--"));
            for flag in flags {
                let flag = flag
                    .trim_matches(['[', ']'])
                    .split(['=', '\\', '|'])
                    .next()
                    .unwrap_or_default();
                if !help.contains(flag) {
                    wrong.push(format!("{path}: `snowmelt {span}`: {flag}"));
                }
            }
        }
    }
    assert!(helps.len() > 8, "{:?}", helps.keys());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// One table of exit codes, and it is the help's and the program's.
#[test]
fn exit_codes_are_told_once_and_all() {
    let (mut told, mut tables) = (Vec::new(), Vec::new());
    for (path, text) in documents() {
        let section =
            text.split("## Exit codes").nth(1).and_then(|rest| rest.split("\n## ").next());
        let rows = section.into_iter().flat_map(str::lines).filter(|line| line.starts_with("| "));
        told.extend(rows.filter_map(|row| row.split('|').nth(1)?.trim().parse::<u8>().ok()));
        tables.extend(text.to_lowercase().contains("| exit code |").then_some(path.clone()));
        tables.extend(section.map(|_| path));
    }
    assert_eq!(tables, ["docs/operations.md"]);
    assert_eq!(told, enricher::exit::CODES.map(|(code, _)| code));
    let help = help(&[]);
    for (code, means) in enricher::exit::CODES {
        assert!(help.contains(&format!("{code:>3}  {means}")), "{help}");
    }
}

fn help(command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_snowmelt")).args(command).arg("--help").output();
    String::from_utf8_lossy(&output.expect("the binary runs").stdout).into_owned()
}
