//! The house rules that a machine can check, on the repository's own files. Every test lists all
//! the places that break its rule, not the first one.

#[path = "tidy/comments.rs"]
mod comments;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/scripts.rs"]
mod scripts;
#[path = "tidy/ways_out.rs"]
mod ways_out;

use std::collections::BTreeSet;
use std::path::Path;

use tests::repository::{self, File};

const LINES_IN_FILE: usize = 500;
const LINES_IN_FUNCTION: usize = 70;
const COLUMNS: usize = 100;
const BYTES_IN_FILE: u64 = 500_000;

// Names that say nothing about what is inside.
const MODULES_NOT_USED: [&str; 8] =
    ["common", "core", "helper", "helpers", "mod", "types", "util", "utils"];
const WORDS_NOT_USED: [&str; 7] =
    ["Base", "Common", "Helper", "Helpers", "Manager", "Util", "Utils"];
/// As a name's last word these say nothing; before another they may (a `DataUrl` is one).
const ENDINGS_NOT_USED: [&str; 4] = ["Data", "Impl", "Info", "Service"];

/// The drawing in ARCHITECTURE.md: each crate and the siblings it may use.
const CRATES: [(&str, &[&str]); 13] = [
    ("event", &[]),
    ("lease", &[]),
    ("validator", &["event"]),
    ("enrichments", &["event"]),
    ("pipeline", &["event", "validator", "enrichments", "traffic"]),
    ("resolver", &["event", "validator"]),
    ("lookups", &["event", "enrichments"]),
    ("traffic", &["event"]),
    ("columns", &["event"]),
    ("warehouse", &["columns", "event"]),
    ("lakehouse", &["columns", "warehouse"]),
    ("query", &["columns", "warehouse", "lakehouse"]),
    (
        "enricher",
        &[
            "columns",
            "warehouse",
            "lakehouse",
            "event",
            "validator",
            "enrichments",
            "lookups",
            "pipeline",
            "resolver",
            "lease",
            "traffic",
        ],
    ),
];

#[test]
fn modules_open_with_what_they_are() {
    // A file of unit tests belongs to the module that names it.
    let modules = sources().filter(|(file, _)| !file.path.ends_with("/tests.rs"));
    none(modules.filter_map(|(file, text)| {
        (!text.starts_with("//!")).then(|| format!("{} does not open with //!", file.path))
    }));
}

#[test]
fn lines_fit_beside_each_other() {
    let test_modules = test_modules();
    none(sources().flat_map(|(file, text)| {
        let code =
            if is_test(&file, &test_modules) { 0 } else { without_tests(&text).lines().count() };
        let long = text.lines().enumerate().filter(|(_, line)| line.chars().count() > COLUMNS);
        // In a table of cases a text that stays in one piece is easier to read than one that fits.
        let long = long.filter(|(at, line)| *at < code || !line.contains('"'));
        long.map(|(at, _)| format!("{}:{} is too long", file.path, at + 1)).collect::<Vec<_>>()
    }));
}

#[test]
fn files_fit_in_a_head() {
    none(production().filter_map(|(file, text)| {
        let lines = without_tests(&text).lines().count();
        (lines > LINES_IN_FILE).then(|| format!("{}: {lines} lines", file.path))
    }));
}

#[test]
fn functions_fit_on_a_screen() {
    none(sources().flat_map(|(file, text)| {
        let lines: Vec<&str> = text.lines().collect();
        let long = (0..lines.len()).filter_map(|start| {
            let length = function_length(&lines[start..])?;
            (length > LINES_IN_FUNCTION)
                .then(|| format!("{}:{} has {length} lines", file.path, start + 1))
        });
        long.collect::<Vec<_>>()
    }));
}

#[test]
fn names_say_something() {
    none(sources().flat_map(|(file, text)| {
        let stem = Path::new(&file.path).file_stem().and_then(|stem| stem.to_str());
        let module = stem.filter(|stem| MODULES_NOT_USED.contains(stem));
        let mut faults: Vec<_> = module.map(|_| file.path.clone()).into_iter().collect();
        let types = text.lines().filter_map(declared_type);
        let types = types.filter(|name| {
            let empty = words(name).any(|word| WORDS_NOT_USED.contains(&word));
            empty || words(name).last().is_some_and(|word| ENDINGS_NOT_USED.contains(&word))
        });
        faults.extend(types.map(|name| format!("{}: {name}", file.path)));
        faults
    }));
}

/// The part of the keeper that asks the store.
const KEEPER: &str = "lease/src/keeper/requests.rs";

#[test]
fn only_the_keeper_writes_leases() {
    let writes = ["store.create(", "store.write(", "store.delete("];
    // The operator's commands write too: on an explicit order, while no worker holds the lease.
    let writers = [KEEPER, "lease/src/operator.rs"];
    let others = production().filter(|(file, _)| !writers.contains(&file.path.as_str()));
    none(others.flat_map(|(file, text)| {
        let code = without_tests(&text).lines().enumerate();
        let faults = code.filter(|(_, line)| writes.iter().any(|write| line.contains(write)));
        faults.map(|(at, _)| format!("{}:{}", file.path, at + 1)).collect::<Vec<_>>()
    }));
    let keeper = repository::root().join(KEEPER);
    let keeper = std::fs::read_to_string(keeper).expect("the keeper is there");
    assert!(writes.iter().all(|write| keeper.contains(write)), "the keeper writes otherwise now");
}

#[test]
fn crates_depend_as_drawn() {
    let names: Vec<&str> = CRATES.iter().map(|(name, _)| *name).collect();
    none(CRATES.iter().filter_map(|(name, drawn)| {
        let manifest = repository::root().join(name).join("Cargo.toml");
        let manifest = std::fs::read_to_string(manifest).expect("every crate has a manifest");
        let manifest: toml::Table = toml::from_str(&manifest).expect("Cargo reads it, too");
        let used = ["dependencies", "build-dependencies", "dev-dependencies"].iter();
        let used = used.filter_map(|table| manifest.get(*table)?.as_table());
        let used: BTreeSet<&str> =
            used.flat_map(|table| table.keys()).map(String::as_str).collect();
        let undrawn = used.iter().filter(|other| {
            **other == "tests" || (names.contains(other) && !drawn.contains(other))
        });
        let undrawn: Vec<_> = undrawn.collect();
        (!undrawn.is_empty()).then(|| format!("{name} uses {undrawn:?}"))
    }));
}

#[test]
fn schemas_lie_where_they_say() {
    let schemas = files().filter(|file| {
        file.path.starts_with("schemas/") && Path::new(&file.path).extension().is_none()
            || file.path.starts_with("schemas/") && file.path.contains("/jsonschema/")
    });
    none(schemas.filter_map(|file| {
        let own = self_path(&file.text()?);
        match own {
            Some(own) if file.path.ends_with(&format!("/{own}")) => None,
            own => Some(format!("{} says {own:?}", file.path)),
        }
    }));
}

#[test]
fn no_path_of_one_machine() {
    // Put together here, or this file would be the first to break the rule.
    let places = ["work", "root", "tmp/t"].map(|name| format!("/{name}/"));
    // Recorded cases have paths of their own.
    let files =
        files().filter(|file| !file.path.starts_with("tests/vectors/") && file.path != ".git");
    none(files.flat_map(|file| {
        let text = file.text().unwrap_or_default();
        let faults = text.lines().enumerate().filter_map(|(at, line)| {
            let place = places.iter().find(|place| mentions(line, place))?;
            Some(format!("{}:{} mentions {place}", file.path, at + 1))
        });
        faults.collect::<Vec<_>>()
    }));
}

#[test]
fn files_are_small() {
    // Recorded cases are data that nobody edits.
    none(files().filter(|file| !file.path.starts_with("tests/vectors/")).filter_map(|file| {
        let bytes = std::fs::metadata(&file.place).expect("it was listed just now").len();
        (bytes > BYTES_IN_FILE).then(|| format!("{}: {bytes} bytes", file.path))
    }));
}

#[test]
fn links_lead_somewhere() {
    let documents = files().filter(|file| file.path.ends_with(".md"));
    none(documents.flat_map(|file| {
        let text = file.text().unwrap_or_default();
        let folder = file.place.parent().expect("a file lies in a folder");
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let links = links.filter(|link| !link.contains("://") && !link.starts_with('#'));
        let links = links.map(|link| link.split('#').next().unwrap_or(link));
        let broken = links.filter(|link| !folder.join(link).exists());
        broken.map(|link| format!("{} links to {link}", file.path)).collect::<Vec<_>>()
    }));
}

/// What is in a fenced block of a document: commands that tests run, configurations that they read,
/// and what is only to be looked at.
const BLOCKS: [&str; 6] = ["sh", "json", "toml", "js", "json data", "text"];

#[test]
fn blocks_say_what_they_are() {
    let documents = files().filter(|file| file.path.ends_with(".md"));
    none(documents.flat_map(|file| {
        let text = file.text().unwrap_or_default();
        let fences = text.lines().enumerate().filter(|(_, line)| line.starts_with("```"));
        let wrong = fences.step_by(2).filter(|(_, line)| !BLOCKS.contains(&&line[3..]));
        let told = wrong.map(|(at, line)| {
            format!("{}:{}: expected one of {BLOCKS:?} after the fence: {line}", file.path, at + 1)
        });
        told.collect::<Vec<_>>()
    }));
}

#[test]
fn invariants_have_their_tests() {
    let document = repository::root().join("ARCHITECTURE.md");
    let document = std::fs::read_to_string(document).expect("ARCHITECTURE.md is there");
    let table = document.split("## Invariants").nth(1).expect("a chapter of that name");
    let rows = table.lines().skip_while(|line| !line.starts_with("| 1 |"));
    let rows: Vec<&str> = rows.take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 10, "ten invariants");
    let code: Vec<String> = sources().map(|(_, text)| text).collect();
    none(rows.iter().flat_map(|row| {
        let last = row.trim_end_matches([' ', '|']).rsplit('|').next().unwrap_or("");
        let names: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        let missing = names
            .iter()
            .filter(|name| !code.iter().any(|text| text.contains(&format!("fn {name}("))));
        let missing: Vec<_> = missing.map(|name| format!("no test {name}")).collect();
        if names.is_empty() { vec![format!("no test named in {row}")] } else { missing }
    }));
}

#[test]
fn the_rules_see_what_breaks_them() {
    let long = format!("    pub async fn long(\n    ) {{\n{}    }}", "        x();\n".repeat(70));
    assert_eq!(function_length(&long.lines().collect::<Vec<_>>()), Some(73));
    assert_eq!(function_length(&["fn short() {}"]), None);
    assert_eq!(function_length(&["fn declared(", ") -> u8;", "}"]), None);
    assert_eq!(without_tests("a\n#[cfg(test)]\nmod tests {\n"), "a\n");
    assert_eq!(declared_type("pub(crate) struct LeaseManager<T> {"), Some("LeaseManager"));
    assert_eq!(words("LeaseManager").collect::<Vec<_>>(), ["Lease", "Manager"]);
    assert!(words("Base64Text").all(|word| !WORDS_NOT_USED.contains(&word)));
    assert!(mentions("use tokio::time;", "tokio") && !mentions("a_tokio()", "tokio"));
}

fn none(faults: impl Iterator<Item = String>) {
    let faults: Vec<String> = faults.collect();
    assert!(faults.is_empty(), "{} places:\n  {}", faults.len(), faults.join("\n  "));
}

fn files() -> impl Iterator<Item = File> {
    repository::files().into_iter()
}

/// Every Rust file with its text.
fn sources() -> impl Iterator<Item = (File, String)> {
    let rust = files().filter(|file| file.path.ends_with(".rs"));
    rust.filter_map(|file| file.text().map(|text| (file, text)))
}

/// The Rust files that are not tests as a whole.
fn production() -> impl Iterator<Item = (File, String)> {
    let test_modules = test_modules();
    sources().filter(move |(file, _)| !is_test(file, &test_modules))
}

fn is_test(file: &File, test_modules: &[String]) -> bool {
    let path = &file.path;
    let of_the_system = path.starts_with("tests/") && !path.starts_with("tests/src/");
    let under = |module: &String| {
        path.strip_prefix(module).is_some_and(|rest| rest.starts_with(['.', '/']))
    };
    of_the_system || path.contains("/tests/") || test_modules.iter().any(under)
}

/// Modules in files of their own that are compiled for tests only, as paths without an ending.
fn test_modules() -> Vec<String> {
    let declared = sources().flat_map(|(file, text)| {
        let parent = file.path.trim_end_matches(".rs");
        let folder = match parent.rsplit_once('/') {
            Some((folder, "lib" | "main")) => folder.to_owned(),
            _ => parent.to_owned(),
        };
        let names = text.split("#[cfg(test)]\nmod ").skip(1);
        let names = names.filter_map(|rest| rest.lines().next()?.strip_suffix(';'));
        names.map(|name| format!("{folder}/{name}")).collect::<Vec<_>>()
    });
    declared.collect()
}

/// Tests come last in a file: what is before them.
fn without_tests(text: &str) -> &str {
    let start = text.find("\n#[cfg(test)]\nmod ");
    start.map_or(text, |start| &text[..=start])
}

/// How many lines the function has that starts in the first of these lines; `None` where none
/// starts, or it has no body of its own lines. Relies on the formatter: the closing brace is
/// indented like the `fn`.
fn function_length(lines: &[&str]) -> Option<usize> {
    let first = lines.first()?;
    let code = first.trim_start();
    let indent = &first[..first.len() - code.len()];
    let keywords = code.split_whitespace();
    let mut keywords = keywords.skip_while(|word| {
        matches!(*word, "const" | "async" | "unsafe" | "extern" | "\"C\"")
            || word.starts_with("pub")
    });
    if keywords.next() != Some("fn") {
        return None;
    }
    let close = format!("{indent}}}");
    let own = |line: &&&str| line.starts_with(indent) && !line[indent.len()..].starts_with(' ');
    let header = lines.iter().filter(own).find(|line| line.ends_with(['{', ';', '}']))?;
    if !header.ends_with('{') {
        return None;
    }
    lines.iter().position(|line| *line == close).map(|end| end + 1)
}

fn declared_type(line: &str) -> Option<&str> {
    let mut parts = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
    if !matches!(parts.next()?, "struct" | "enum" | "trait" | "type" | "union") {
        return None;
    }
    parts.next()?.split(|c: char| !c.is_alphanumeric()).next()
}

/// The words of a name in camel case.
fn words(name: &str) -> impl Iterator<Item = &str> {
    let starts = name.char_indices().filter(|(_, letter)| letter.is_uppercase());
    let mut starts: Vec<usize> = starts.map(|(at, _)| at).collect();
    starts.push(name.len());
    (1..starts.len()).map(move |at| &name[starts[at - 1]..starts[at]])
}

/// Whether the text has this word, and not as the tail of a longer one.
fn mentions(line: &str, what: &str) -> bool {
    line.match_indices(what).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// Where the schema says that it belongs: vendor, name, format and version.
fn self_path(text: &str) -> Option<String> {
    let schema: serde_json::Value = serde_json::from_str(text).ok()?;
    let parts = ["vendor", "name", "format", "version"];
    let parts = parts.map(|part| schema["self"][part].as_str());
    Some(parts.into_iter().collect::<Option<Vec<_>>>()?.join("/"))
}
