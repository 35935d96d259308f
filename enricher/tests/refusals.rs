//! Arguments that cannot be meant: every command refuses them with 64, says what was found and what
//! was probably meant, and does nothing.

use std::path::Path;
use std::process::{Command, Output};

fn snowmelt(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snowmelt"));
    command.current_dir(dir).args(args).output().expect("the binary runs")
}

/// Runs a command that is refused, and gives back what it says.
fn refused(dir: &Path, args: &[&str]) -> String {
    let output = snowmelt(dir, args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{args:?}: {said}");
    assert!(output.stdout.is_empty(), "{args:?} printed a result");
    said
}

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |path: &str| dir.path().join(path);
    let woothee = r#"{"schema": "iglu:snowmelt/woothee_config/jsonschema/1-0-0",
        "data": {"enabled": true}}"#;
    for (path, text) in [
        ("iglu/schemas/com.acme/click/jsonschema/1-0-0", "{}"),
        ("conf/enrichments/woothee.json", woothee),
        ("p.txt", ""),
    ] {
        std::fs::create_dir_all(at(path).parent().expect("a folder")).expect("it is ours");
        std::fs::write(at(path), text).expect("it is ours");
    }
    dir
}

#[test]
fn folders_names_and_numbers_that_are_off_are_refused() {
    let dir = folder();
    for (more, said) in [
        (&["--threads", "0"][..], "0 is not in 1..=1024"),
        (&["--threads", "100000"], "100000 is not in 1..=1024"),
        (
            &["--schemas", "iglu/schemas"],
            "--schemas iglu/schemas: expected a folder with schemas/ inside, found a folder without schemas/; did you mean `iglu`?",
        ),
        (&["--schemas", "."], "did you mean `./iglu`?"),
        (
            &["--schemas", "igloo"],
            "--schemas igloo: expected a folder with schemas/ inside, found nothing of that name",
        ),
        (&["--enrichments", "conf"], "did you mean `conf/enrichments`?"),
        (&["--enrichments", "conf/enrichment"], "did you mean `conf/enrichments`?"),
        (
            &["--enrichments", "conf/enrichments", "--assets", "none"],
            "--assets none: expected a folder, found nothing of that name",
        ),
        (
            &["--enrichments", "conf/enrichments", "--allow-unsupported", "wether"],
            "did you mean `weather`?",
        ),
        (&["--bundle", "none"], "none: "),
        (&["--resolver", "none"], "none"),
    ] {
        let args = [&["enrich", "--input", "p.txt"][..], more].concat();
        let text = refused(dir.path(), &args);
        assert!(text.contains(said), "{args:?}: {text}");
        assert_eq!(
            text.lines().filter(|line| line.starts_with("snowmelt: ")).count(),
            usize::from(!text.contains("error: ")),
            "{text}"
        );
    }
}

#[test]
fn what_is_right_is_taken() {
    let dir = folder();
    for more in [
        &["--schemas", "iglu", "--enrichments", "conf/enrichments"][..],
        &[
            "--schemas",
            "iglu/",
            "--enrichments",
            "conf/enrichments",
            "--allow-unsupported",
            "weather",
        ],
        &["--enrichments", "conf/enrichments", "--allow-unsupported", "javascript,yauaa"],
        &["--threads", "3"],
    ] {
        let args = [&["enrich", "--input", "p.txt"][..], more].concat();
        let output = snowmelt(dir.path(), &args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {text}");
        for name in ["javascript", "yauaa"].iter().filter(|_| more.contains(&"javascript,yauaa")) {
            assert!(text.contains(&format!("`{name}` runs here")), "{text}");
        }
    }
}

#[test]
fn tables_are_files_of_a_folder() {
    let dir = folder();
    for (more, said) in [
        (&[][..], "--format: tables are files; name a folder with --output"),
        (&["--output", "o", "--compress", "zstd"], "--compress: files of Parquet are compressed"),
        (&["--output", "o", "--key", "{app}"], "--key: column 2: unknown column `app`"),
        (&["--output", "o", "--key", "{app_id"], "expected a closing brace"),
    ] {
        let args = [&["enrich", "--input", "p.txt", "--format", "parquet"][..], more].concat();
        let text = refused(dir.path(), &args);
        assert!(text.contains(said), "{more:?}: {text}");
    }
}

#[test]
fn a_worker_names_file_line_and_column() {
    let dir = folder();
    let least = "[source]\nstream = \"raw\"\n[leases]\ntable = \"leases\"\n[enriched.kinesis]\n\
                 stream = \"enriched\"\n[bad.s3]\nbucket = \"bucket\"\n";
    for (more, said) in [
        ("[worker]\nthreads = 0", "w.toml:10:11: expected a number from 1 to 1024, found `0`"),
        ("[worker]\nthreads = 100000", "w.toml:10:11: expected a number from 1 to 1024"),
        (
            "[schemas]\nfolder = \"iglu/schemas\"",
            "w.toml:10:10: iglu/schemas: expected a folder with schemas/ inside, found a folder without schemas/; did you mean `iglu`?",
        ),
        ("[enrichments]\nfolder = \"conf\"", "w.toml:10:10: conf: "),
        (
            "[enrichments]\nfolder = \"conf/enrichments\"\nallow_unsupported = [\"wether\"]",
            "w.toml:11:22: unknown enrichment `wether`",
        ),
    ] {
        std::fs::write(dir.path().join("w.toml"), format!("{least}{more}\n")).expect("ours");
        let text = refused(dir.path(), &["worker", "--config", "w.toml", "--check"]);
        assert!(text.contains(said), "{text}");
    }
}
