//! How commands speak: quiet, as usual, or telling all; in colours, or not.

use std::path::Path;
use std::process::{Command, Output};

fn snowmelt(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snowmelt"));
    command.current_dir(dir).args(args).env_remove("SNOWMELT_LOG");
    command.output().expect("the binary runs")
}

fn texts(output: Output) -> (String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("it is text");
    (text(output.stdout), text(output.stderr))
}

/// A folder with payloads.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let made = snowmelt(dir.path(), &["-q", "generate", "--events", "9", "--output", "p.bin"]);
    assert!(made.status.success() && made.stderr.is_empty(), "{made:?}");
    dir
}

#[test]
fn quiet_leaves_out_counts_and_no_mistake() {
    let dir = folder();
    let enrich = ["enrich", "--input", "p.bin", "--output"];
    let usual = texts(snowmelt(dir.path(), &[&enrich[..], &["a"]].concat())).1;
    assert!(usual.contains("payloads") && !usual.contains("reading"), "{usual}");
    let quiet = texts(snowmelt(dir.path(), &[&enrich[..], &["b", "-q"]].concat())).1;
    assert_eq!(quiet, "");
    assert!(dir.path().join("b/enriched.tsv").exists());
    let wrong = snowmelt(dir.path(), &["--quiet", "enrich", "--input", "none"]);
    assert_eq!(wrong.status.code(), Some(64));
    assert!(texts(wrong).1.contains("cannot open none"));
    let both = snowmelt(dir.path(), &["schemas", "list", "-q", "-v"]);
    assert_eq!(both.status.code(), Some(64), "{both:?}");
}

#[test]
fn verbose_says_what_is_read_and_asked() {
    let dir = folder();
    snowmelt(dir.path(), &["init", "."]);
    let enrich = ["enrich", "--input", "p.bin", "--enrichments", "enrichments", "--output"];
    let said = texts(snowmelt(dir.path(), &[&enrich[..], &["a", "-v"]].concat())).1;
    for word in [
        "snowmelt: reading p.bin\n",
        "snowmelt: enrichments that run: woothee_config\n",
        "snowmelt: the registry \"Iglu Client Embedded\" was asked ",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!said.contains('{'), "{said}");
}

#[test]
fn a_worker_logs_as_much_as_it_is_told() {
    let dir = folder();
    let config = "[log]\nlevel = \"error\"\n[source]\nstream = \"raw\"\n[leases]\ntable = \"leases\"\n\
                  [enriched.kinesis]\nstream = \"enriched\"\n[bad.s3]\nbucket = \"bucket\"\n\
                  [aws]\nregion = \"eu-west-1\"\n";
    std::fs::write(dir.path().join("w.toml"), config).expect("ours");
    let check = ["worker", "--config", "w.toml", "--check"];
    let levels = |more: &[&str]| {
        let said = texts(snowmelt(dir.path(), &[&check[..], more].concat())).1;
        ["INFO", "DEBUG", "TRACE"].map(|level| said.contains(&format!("\"level\":\"{level}\"")))
    };
    assert_eq!(levels(&[]), [false; 3]);
    assert_eq!(levels(&["-q"]), [false; 3]);
    assert!(levels(&["-v"])[0]);
    assert!(levels(&["-vv"])[0]);
}

#[test]
fn colours_are_ours_alone() {
    let dir = folder();
    let plain = texts(snowmelt(dir.path(), &["schemas", "list"])).0;
    assert!(!plain.contains('\u{1b}'), "{plain}");
    let always = ["--color", "always", "schemas", "list"];
    let colored = texts(snowmelt(dir.path(), &always)).0;
    assert!(colored.starts_with("\u{1b}[1m") && colored.lines().count() > 1, "{colored}");
    assert_eq!(colored.replace("\u{1b}[1m", "").replace("\u{1b}[0m", ""), plain);
    let wrong = ["--color", "always", "enrich", "--input", "\u{1b}[2J"];
    let said = texts(snowmelt(dir.path(), &wrong)).1;
    assert!(said.starts_with("\u{1b}[1;33msnowmelt:\u{1b}[0m "), "{said}");
    assert_eq!(said.matches('\u{1b}').count(), 2, "{said}");
}

#[test]
fn a_record_has_a_number_from_0_on() {
    let dir = folder();
    for number in ["-1", "one", "1.5"] {
        let output = snowmelt(dir.path(), &["explain", "--input", "p.bin", "--record", number]);
        assert_eq!(output.status.code(), Some(64), "{output:?}");
        let said = texts(output).1;
        assert!(said.contains("records are counted from 0 on, the first one is 0"), "{said}");
        assert!(said.contains(&format!("'{number}'")), "{said}");
    }
    let beyond = snowmelt(dir.path(), &["explain", "--input", "p.bin", "--record", "99"]);
    assert_eq!(beyond.status.code(), Some(64));
    assert!(texts(beyond).1.contains("there is no record 99 in the input, which has "));
}
