//! `snowmelt compare` on what `snowmelt enrich` wrote.

use std::path::Path;
use std::process::{Command, Output};

fn snowmelt(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snowmelt"));
    command.current_dir(dir).args(args).output().expect("the binary runs")
}

fn enriched(dir: &Path, output: &str, more: &[&str]) {
    let enrich = ["-q", "enrich", "--input", "p.bin", "--output", output];
    let done = snowmelt(dir, &[&enrich[..], more].concat());
    assert!(done.status.success(), "{done:?}");
}

fn compared(dir: &Path, args: &[&str]) -> (Option<i32>, serde_json::Value) {
    let output = snowmelt(dir, &[&["compare", "--format", "json"], args].concat());
    let report = serde_json::from_slice(&output.stdout);
    (output.status.code(), report.unwrap_or_else(|_| panic!("{output:?}")))
}

#[test]
fn folders_are_compared_whole_or_in_parts() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let made = ["-q", "generate", "--events", "300", "--bad", "0.2", "--output", "p.bin"];
    assert!(snowmelt(dir, &made).status.success());
    enriched(dir, "a", &["--now", "1"]);
    enriched(dir, "b", &["--now", "2000", "--compress", "zstd"]);
    std::fs::write(dir.join("rows.tsv"), "").expect("a file");

    let (code, whole) = compared(dir, &["a", "b"]);
    assert_eq!((code, &whole["same"]), (Some(0), &true.into()), "{whole}");
    assert!(whole["both"].as_u64() > Some(200) && whole["a"]["bad"].as_u64() > Some(10), "{whole}");
    let (code, parts) = compared(dir, &["a", "b", "--parts", "7"]);
    assert_eq!((code, &parts), (Some(0), &whole));

    let (code, stamped) = compared(dir, &["a", "b", "--ignore", "etl_tags"]);
    let differ = &stamped["columns"];
    assert_eq!((code, differ.as_object().map(|it| it.len())), (Some(65), Some(1)), "{stamped}");
    assert_eq!(differ["etl_tstamp"]["other"], stamped["a"]["enriched"]);

    let lines = std::fs::read_to_string(dir.join("a/enriched.tsv")).expect("a file");
    let half: Vec<&str> = lines.lines().take(100).collect();
    std::fs::write(dir.join("half.tsv"), half.join("\n")).expect("a file");
    let (code, less) = compared(dir, &["a/enriched.tsv", "half.tsv", "--parts", "3"]);
    let all = lines.lines().count();
    assert_eq!((code, &less["equal"]), (Some(65), &100.into()), "{less}");
    assert_eq!(less["a"]["only"], all - 100);
}

#[test]
fn what_is_no_set_of_events_is_refused_by_its_place() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    std::fs::write(dir.join("x.tsv"), "a\tb\n").expect("a file");
    let said = |args: &[&str]| {
        let output = snowmelt(dir, &[&["compare"], args].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, text) = said(&["x.tsv", "x.tsv"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("x.tsv:1: expected an enriched event of 131 columns"), "{text}");
    assert_eq!(said(&["none", "x.tsv"]).0, Some(64));
    let (code, text) = said(&["-", "x.tsv", "--parts", "2"]);
    assert_eq!(code, Some(64), "{text}");
    let (code, text) = said(&["x.tsv", "x.tsv", "--ignore", "app"]);
    assert!(code == Some(64) && text.contains("app_id"), "{text}");
}
