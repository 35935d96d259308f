//! Nobody has told who is asking, or where: one line says so and what to do, and no page of what
//! was tried. Commands end; a worker waits, since the role of its machine may be late.

use std::io::{BufRead, BufReader};
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

#[test]
fn a_worker_waits_and_says_so_in_short_lines() {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::write(home.path().join("w.toml"), WORKER).expect("ours");
    let mut worker = snowmelt(home.path(), Some("eu-west-1"));
    let worker = worker.args(["worker", "--config", "w.toml"]).stderr(Stdio::piped()).spawn();
    let mut worker = worker.expect("it runs");
    let lines = BufReader::new(worker.stderr.take().expect("it is piped")).lines();
    let (mut waited_for, mut seen) = (vec!["stream raw, listing", "table leases, reading"], 0);
    for line in lines {
        let line = line.expect("it is text");
        assert!(line.len() < 500 && !line.contains("Attempted"), "{line}");
        seen += usize::from(line.contains("no AWS credentials were found"));
        waited_for.retain(|what| !(line.contains(what) && line.contains("no AWS credentials")));
        if waited_for.is_empty() {
            break;
        }
    }
    assert!(waited_for.is_empty() && seen > 2, "{waited_for:?}, {seen}");
    assert!(worker.try_wait().expect("it is ours").is_none(), "it goes on");
    worker.kill().expect("it runs");
    worker.wait().expect("it is ours");
}
