//! A disk that is full, as `/dev/full` plays it: every command says what it could not write, and
//! ends as one that failed.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};

const FULL: &str = "/dev/full";

fn snowmelt(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snowmelt"));
    command.args(args);
    command
}

fn check(output: &Output, what: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("cannot write {what}: No space left on device")), "{said}");
}

#[test]
fn what_could_not_be_written_is_said() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let payloads = path("p.bin");
    let made = snowmelt(&["generate", "--events", "200", "--output", &payloads]).output();
    assert!(made.expect("the binary runs").status.success());

    for args in [
        &["enrich", "--input", &payloads][..],
        &["explain", "--input", &payloads],
        &["generate", "--events", "10", "--output", "-"],
        &["schemas", "list"],
        &["schemas", "list", "--json"],
    ] {
        let full = File::options().write(true).open(FULL).expect("it is there");
        let output = snowmelt(args).stdout(full).output().expect("the binary runs");
        let what = if args[0] == "generate" { "-" } else { "standard output" };
        check(&output, what);
    }

    let full = |name: &str| {
        let path = path(name);
        symlink(FULL, &path).expect("a link");
        path
    };
    for name in ["full.bin", "full.bin.zst", "full.txt"] {
        let file = full(name);
        let made = snowmelt(&["generate", "--events", "200", "--output", &file]).output();
        check(&made.expect("the binary runs"), &file);
    }
    std::fs::create_dir(path("out")).expect("a folder");
    full("out/enriched.tsv.unfinished");
    let lines = path("out/enriched.tsv");
    let output = snowmelt(&["enrich", "--input", &payloads, "--output", &path("out")]).output();
    check(&output.expect("the binary runs"), &lines);

    let unfinished = full("bundle.unfinished");
    let output = snowmelt(&["schemas", "pull", "--all", "--output", &path("bundle")]).output();
    let output = output.expect("the binary runs");
    check(&output, &path("bundle"));
    assert!(output.stdout.is_empty(), "nothing was written, and nothing is claimed");
    assert!(!dir.path().join("bundle").exists());
    assert!(std::fs::symlink_metadata(unfinished).is_err(), "what is left over is deleted");
}
