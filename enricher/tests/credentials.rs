//! Nobody has told who is asking, or where: one line says so and what to do, and no page of what
//! was tried. Commands end; a worker waits, since the role of its machine may be late.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

/// The binary in an environment that has neither region nor credentials.
fn snowmelt(home: &Path, region: Option<&str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snowmelt"));
    command
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(region.map(|region| ("AWS_REGION", region)));
    command
}

const WORKER: &str = "[source]\nstream = \"raw\"\n[leases]\ntable = \"leases\"\n\
                      [enriched.kinesis]\nstream = \"enriched\"\n[bad.s3]\nbucket = \"bucket\"\n\
                      [admin]\nlisten = \"127.0.0.1:0\"\n";

#[test]
fn commands_end_with_a_line_that_says_what_to_do() {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::write(home.path().join("w.toml"), WORKER).expect("ours");
    for (args, region, hint) in [
        (&["enrich", "--input", "s3://acme/x", "--output", "out"][..], None, "AWS_REGION"),
        (&["enrich", "--input", "s3://acme/x"], Some("eu-west-1"), "AWS_PROFILE"),
        (&["generate", "--events", "5", "--to", "kinesis", "--stream", "raw"], None, "AWS_REGION"),
        (
            &["generate", "--to", "kinesis", "--stream", "raw", "--region", "eu-west-1"],
            None,
            "AWS_PROFILE",
        ),
        (&["leases", "list", "--table", "leases"], None, "AWS_REGION"),
        (&["leases", "list", "--table", "leases"], Some("eu-west-1"), "AWS_PROFILE"),
        (&["leases", "list", "--config", "w.toml"], Some("eu-west-1"), "AWS_PROFILE"),
        (&["worker", "--config", "w.toml", "--check"], None, "AWS_REGION"),
    ] {
        let output = snowmelt(home.path(), region).args(args).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        let said: Vec<&str> = said.lines().filter(|line| !line.starts_with('{')).collect();
        assert_eq!(output.status.code(), Some(64), "{args:?}: {said:?}");
        // What was made before it could be delivered is counted in a line of its own.
        let said: Vec<&&str> = said.iter().filter(|line| line.starts_with("snowmelt: ")).collect();
        assert_eq!(said.len(), 1, "{args:?}: {said:?}");
        assert!(said[0].contains(hint) && said[0].len() < 200, "{args:?}: {said:?}");
    }
    assert!(!home.path().join("out").exists());
}

/// What is asked of a worker's admin port.
fn get(address: &str, path: &str) -> Option<String> {
    let mut connection = TcpStream::connect(address).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// A worker in an environment without credentials: what it waits for is in `/ready`, and its log
/// has one line about it, and one of the keeper of its leases.
fn waits(mut command: Command) {
    let mut worker = command.stderr(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(worker.stderr.take().expect("it is piped")).lines();
    let mut log = Vec::new();
    let address = loop {
        let line = lines.next().expect("it starts").expect("it is text");
        let field = line.split_once("\"admin\":\"").and_then(|(_, rest)| rest.split_once('"'));
        let address = field.map(|(address, _)| address.to_owned());
        log.push(line);
        if let Some(address) = address {
            break address;
        }
    };
    let all = ["stream raw, listing", "table leases, reading"];
    let waiting = (0..600).any(|_| {
        let answer = get(&address, "/ready").unwrap_or_default();
        let reason = |what: &&str| {
            answer.lines().any(|line| line.contains(what) && line.contains("no AWS credentials"))
        };
        let told = answer.starts_with("HTTP/1.1 503") && all.iter().all(reason);
        if !told {
            std::thread::park_timeout(std::time::Duration::from_millis(100));
        }
        told
    });
    assert!(waiting, "{:?}", get(&address, "/ready"));
    assert!(worker.try_wait().expect("it is ours").is_none(), "it goes on");
    worker.kill().expect("it runs");
    worker.wait().expect("it is ours");
    log.extend(lines.map(|line| line.expect("it is text")));
    assert!(log.iter().all(|line| line.len() < 500 && !line.contains("Attempted")), "{log:#?}");
    let about: Vec<&String> = log.iter().filter(|line| line.contains("AWS credentials")).collect();
    assert!((1..=2).contains(&about.len()), "{about:#?}");
    assert!(about[0].contains("\"what\":\"AWS credentials\""), "{about:#?}");
    assert!(about[0].contains("set AWS_PROFILE"), "it says what to do: {about:#?}");
}

#[test]
fn a_worker_waits_and_says_so_in_one_line() {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::write(home.path().join("w.toml"), WORKER).expect("ours");
    let mut worker = snowmelt(home.path(), Some("eu-west-1"));
    worker.args(["worker", "--config", "w.toml"]);
    waits(worker);
}

#[test]
fn a_metadata_service_that_does_not_answer_is_no_credentials() {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::write(home.path().join("w.toml"), WORKER).expect("ours");
    // Connections are made, and nobody reads what comes.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = format!("http://{}", listener.local_addr().expect("it is bound"));
    let mut worker = snowmelt(home.path(), Some("eu-west-1"));
    worker.args(["worker", "--config", "w.toml"]);
    worker.env_remove("AWS_EC2_METADATA_DISABLED");
    worker.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", silent);
    waits(worker);
}
