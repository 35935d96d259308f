//! `snowmelt explain --user-agent`, by rules of our own in place of the library's.

use std::process::{Command, Output};

use tempfile::TempDir;

const RULES: &str = r#"
config:
- lookup:
    name: 'Systems'
    map:
      'Acme OS' : 'AcmeOS'
- matcher:
    require:
    - 'agent.product.name="Roam"'
    extract:
    - 'AgentName           : 10 : "Roam"'
    - 'AgentVersion        : 10 : agent.(1)product.(1)version'
    - 'OperatingSystemName :  5 : LookUp[Systems;agent.product.comments.entry.text]'
"#;

const SUFFIXES: &str = "// ===BEGIN ICANN DOMAINS===\ncom\n// ===END ICANN DOMAINS===\n";

/// A folder of assets with these rules.
fn assets() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = folder.path().join("UserAgents");
    std::fs::create_dir(&rules).expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(rules.join(name), text).expect("a file");
    write("__Version__.yaml", "version:\n- project_version: '7.31.0'\n");
    write("Own.yaml", RULES);
    write("mozilla-public-suffix-list.txt", SUFFIXES);
    folder
}

fn explain(args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_snowmelt")).arg("explain").args(args).output();
    output.expect("the binary runs")
}

fn explained(useragent: &str, more: &[&str]) -> String {
    let assets = assets();
    let folder = assets.path().to_string_lossy();
    let output = explain(&[&["--user-agent", useragent, "--assets", &folder], more].concat());
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).expect("it is text")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn parts_matchers_and_fields_are_shown() {
    let text = explained("Roam/1.2 (Acme OS)", &[]);
    let expected = "\
rules of YAUAA 7.31
parts
  agent: Roam/1.2 (Acme OS)
    (1)product: Roam/1.2 (Acme OS)
      (1)name: Roam
      (1)version: 1.2
      (1)comments: (Acme OS)
        (1)entry: Acme OS
          (1)text: Acme OS
matchers that fired, with weights
  Own.yaml:8
    AgentName: Roam  (10)
    AgentVersion: 1.2  (10)
    OperatingSystemName: AcmeOS  (5)
fields
";
    let (shown, fields) = text.split_at(expected.len());
    assert_eq!(shown, expected);
    for line in ["AgentNameVersion: Roam 1.2  (10)", "OperatingSystemName: AcmeOS  (5)"] {
        assert!(fields.contains(&format!("\n  {line}\n")), "{line} in {fields}");
    }
    assert!(!fields.contains("DeviceName"), "it has no value: {fields}");
    assert!(explained("Roam/1.2 (Acme OS)", &["--all"]).contains("\n  DeviceName: Unknown"));
}

#[test]
fn headers_better_the_fields() {
    let headers = ["Sec-CH-UA-Platform: \"Acme\"", "Sec-CH-UA-Mobile: ?1"];
    let headers = ["--header", headers[0], "--header", headers[1], "--json"];
    let json: serde_json::Value =
        serde_json::from_str(&explained("Roam/1 (Acme OS)", &headers)).expect("JSON");
    assert_eq!(json["rules"], "7.31");
    assert_eq!(json["parts"][0], serde_json::json!({"path": "agent", "text": "Roam/1 (Acme OS)"}));
    assert_eq!(json["matchers"][0]["sets"]["AgentVersion"]["value"], "1");
    assert_eq!(json["fields"]["UAClientHintPlatform"]["value"], "Acme");
    assert_eq!(json["fields"]["UAClientHintMobile"]["value"], "true");
}

#[test]
fn nothing_that_a_terminal_obeys_is_shown() {
    let hostile = "Roam/1 (\u{1b}[2J\n\u{202e};\u{9b}31m)\r";
    for more in [&[][..], &["--json"], &["--all"]] {
        let text = explained(hostile, more);
        let obeyed = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(obeyed), "{text:?}");
        assert!(text.contains("\\u001b[2J"), "{text:?}");
    }
    let long = explained(&"Roam/1 ".repeat(10_000), &[]);
    assert!(long.len() < 10_000 && long.contains("Buffer overflow"), "{long}");
}

#[test]
fn without_the_rules_it_says_what_to_do() {
    let plain = explain(&["--user-agent", "Roam/1"]);
    assert_eq!(plain.status.code(), Some(64), "{}", said(&plain));
    for word in ["--assets DIR", "yauaa-7.31.0.jar", "yauaa_enrichment_config"] {
        assert!(said(&plain).contains(word), "{word}: {}", said(&plain));
    }
    let empty = tempfile::tempdir().expect("a folder");
    let missing = explain(&["--user-agent", "Roam/1", "--assets", &empty.path().to_string_lossy()]);
    assert_eq!(missing.status.code(), Some(64), "{}", said(&missing));
    assert!(said(&missing).contains("yauaa-7.31.0.jar"), "{}", said(&missing));

    let assets = assets();
    let folder = assets.path().to_string_lossy();
    let header = ["--user-agent", "Roam/1", "--assets", &folder, "--header", "no colon"];
    let header = explain(&header);
    assert_eq!(header.status.code(), Some(64), "{}", said(&header));
    assert!(said(&header).contains("NAME: VALUE"), "{}", said(&header));
    let both = explain(&["--user-agent", "Roam/1", "--path", "/i", "--assets", &folder]);
    assert_eq!(both.status.code(), Some(64), "{}", said(&both));
}
