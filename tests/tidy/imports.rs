//! What files import of one another: no two need each other, and what is pure imports nothing that
//! is not.

use std::collections::{BTreeMap, BTreeSet};

use super::{none, production, repository, without_tests};

/// Crates that do no I/O, read no clock and draw no chance: they are built without whatever does.
/// Those marked `false` may read files, as assets are opened where they are used.
const PURE_CRATES: [(&str, bool); 6] = [
    ("columns", true),
    ("event", true),
    ("validator", true),
    ("pipeline", true),
    ("traffic", true),
    ("enrichments", false),
];

/// Modules of a crate that is not pure as a whole. All they import of their crate is on the list.
const PURE_MODULES: [&str; 11] = [
    "lease/src/config",
    "lease/src/error",
    "lease/src/gauge",
    "lease/src/lease",
    "lease/src/plan",
    "lease/src/position",
    "lease/src/protocol",
    "lease/src/shards",
    "lease/src/sightings",
    "lease/src/status",
    // The seam to stores: a trait, and what it is asked and answers. The stores lie below it.
    "lease/src/store.rs",
];

/// Parts of the standard library that reach outside, or differ from run to run.
const OUTSIDE: [&str; 10] = [
    "std::env",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::time::UNIX_EPOCH",
];

/// Crates that wait or ask: who is built with one of them is not pure. What only seeds its hash
/// maps with chance is none of them: no order of such a map is ever written.
const IMPURE_CRATES: [&str; 8] =
    ["tokio", "mio", "socket2", "hyper", "reqwest", "rustls", "rusqlite", "aws-config"];

/// The simulation is one model in several files, see DESIGN.md.
const ONE_MODEL: &str = "lease/src/simulation/";

#[test]
fn files_import_in_one_direction() {
    let imports = Imports::read();
    let circles = imports.circles().into_iter();
    let circles = circles.filter(|circle| !circle.iter().all(|file| file.starts_with(ONE_MODEL)));
    none(circles.map(|circle| format!("these need each other: {}", circle.join(", "))));
}

/// A worker is no command, and what measures or feeds one is nothing that it could need.
#[test]
fn nothing_imports_the_command_line() {
    const COMMANDS: &str = "enricher/src/commands";
    const APART: [&str; 2] = ["enricher/src/commands/bench", "enricher/src/commands/generate"];
    let imports = Imports::read();
    let known = |module: &str| imports.files.keys().any(|path| is_in(path, module));
    assert!(APART.iter().all(|module| known(module)), "they are elsewhere");
    none(imports.files.iter().flat_map(|(path, file)| {
        let main = path == "enricher/src/main.rs" || path == "enricher/src/lib.rs";
        let apart = |other: &String| APART.iter().find(|module| is_in(other, module));
        let wrong = file.imports.iter().filter(|other| match apart(other) {
            Some(module) => !is_in(path, module) && path != "enricher/src/commands.rs",
            None => is_in(other, COMMANDS) && !is_in(path, COMMANDS) && !main,
        });
        wrong.map(|other| format!("{path} imports {other}")).collect::<Vec<_>>()
    }));
}

#[test]
fn pure_modules_stay_pure() {
    let imports = Imports::read();
    none(imports.files.iter().flat_map(|(path, file)| {
        let pure_crate = PURE_CRATES.iter().find(|(name, _)| file.of == *name);
        let pure_module = PURE_MODULES.iter().any(|module| is_in(path, module));
        if pure_crate.is_none() && !pure_module {
            return Vec::new();
        }
        let mut outside = OUTSIDE.to_vec();
        outside.extend(pure_crate.is_none_or(|(_, files_too)| *files_too).then_some("std::fs"));
        let std = file.paths.iter().filter(|path| outside.iter().any(|out| begins(path, out)));
        let mut faults: Vec<_> = std.map(|what| format!("{path} uses {what}")).collect();
        if pure_module {
            let others = file.external.iter().filter(|name| impure(name));
            faults.extend(others.map(|name| format!("{path} uses the crate {name}")));
            let pure = |other: &&String| PURE_MODULES.iter().any(|module| is_in(other, module));
            let impure = file.imports.iter().filter(|other| !pure(other));
            faults.extend(impure.map(|other| format!("{path} imports {other}")));
        }
        faults
    }));
}

#[test]
fn pure_crates_are_built_without_what_is_not() {
    let lock = std::fs::read_to_string(repository::root().join("Cargo.lock")).expect("a lock file");
    let lock: toml::Table = toml::from_str(&lock).expect("Cargo wrote it");
    let packages = lock["package"].as_array().expect("a list of packages");
    none(PURE_CRATES.iter().flat_map(|(name, _)| {
        let (mut todo, mut seen) = (direct(name), BTreeSet::new());
        while let Some(next) = todo.pop() {
            if !seen.insert(next.clone()) {
                continue;
            }
            if PURE_CRATES.iter().any(|(pure, _)| *pure == next) {
                todo.extend(direct(&next));
                continue;
            }
            let named = packages.iter().filter(|package| package["name"].as_str() == Some(&next));
            let lists = named.filter_map(|package| package.get("dependencies")?.as_array());
            let names = lists.flatten().filter_map(|entry| entry.as_str()?.split(' ').next());
            todo.extend(names.map(str::to_owned));
        }
        let impure = seen.into_iter().filter(|other| impure(other));
        impure.map(|other| format!("{name} is built with {other}")).collect::<Vec<_>>()
    }));
}

#[test]
fn imports_are_seen() {
    let text = "use std::{fs, io::{self, Read as _}};\npub(crate) use a::B;\nfn f() {\n    \
                crate::x::y();\n    super::z::W::new();\n}\n// crate::no\n";
    let expected =
        ["a::B", "crate::x::y", "std::fs", "std::io", "std::io::Read", "super::z::W::new"];
    assert_eq!(paths(text).into_iter().collect::<Vec<_>>(), expected);
    let two = |a: &str, b: &str| (a.to_owned(), Source::of_imports(&[b]));
    let imports = Imports { files: [two("a", "b"), two("b", "c"), two("c", "b")].into() };
    assert_eq!(imports.circles(), [["b", "c"]]);
    assert!(begins("std::fs::read", "std::fs") && !begins("std::fsync", "std::fs"));
    assert!(is_in("lease/src/plan/loads.rs", "lease/src/plan"));
    assert!(!is_in("lease/src/planner.rs", "lease/src/plan"));
}

/// The direct dependencies of a crate of ours, those of its tests left out.
fn direct(name: &str) -> Vec<String> {
    let manifest = repository::root().join(name).join("Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).expect("every crate has a manifest");
    let manifest: toml::Table = toml::from_str(&manifest).expect("Cargo reads it, too");
    let used = manifest.get("dependencies").and_then(|table| table.as_table());
    used.into_iter().flat_map(|table| table.keys().cloned()).collect()
}

fn impure(name: &str) -> bool {
    let name = name.replace('_', "-");
    IMPURE_CRATES.contains(&&*name) || name.starts_with("aws-")
}

/// Whether a file is a module or below it.
fn is_in(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/']))
}

fn begins(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The files of our crates, and what they import.
struct Imports {
    files: BTreeMap<String, Source>,
}

#[derive(Default)]
struct Source {
    /// The crate.
    of: String,
    /// Everything named by a path, in its own words.
    paths: BTreeSet<String>,
    /// First parts of paths that are no module of ours.
    external: BTreeSet<String>,
    /// Files of the same crate, but for those that it is a part of: a file and the folder of its
    /// name are one thing, and know each other.
    imports: BTreeSet<String>,
}

impl Source {
    fn of_imports(imports: &[&str]) -> Source {
        let imports = imports.iter().map(|name| (*name).to_owned()).collect();
        Source { imports, ..Source::default() }
    }
}

impl Imports {
    fn read() -> Imports {
        let mut modules = BTreeMap::new();
        let mut texts = Vec::new();
        for (file, text) in production() {
            let Some((of, rest)) = file.path.split_once("/src/") else { continue };
            let Some(rest) = rest.strip_suffix(".rs").filter(|_| !of.contains('/')) else {
                continue;
            };
            let module: Vec<String> = match rest {
                "lib" => Vec::new(),
                _ => rest.split('/').map(str::to_owned).collect(),
            };
            modules.insert((of.to_owned(), module.clone()), file.path.clone());
            texts.push((of.to_owned(), module, file.path, without_tests(&text).to_owned()));
        }
        let files = texts.into_iter().map(|(of, module, path, text)| {
            let mut source = Source { paths: paths(&text), of, ..Source::default() };
            for path in &source.paths {
                match resolve(&modules, &source.of, &module, path) {
                    Some(target) if module.starts_with(&target) => {}
                    Some(target) => {
                        let file = &modules[&(source.of.clone(), target)];
                        source.imports.insert(file.clone());
                    }
                    None => {
                        source.external.extend(path.split("::").next().map(str::to_owned));
                    }
                }
            }
            (path, source)
        });
        Imports { files: files.collect() }
    }

    /// Groups of files each of which reaches all others of its group.
    fn circles(&self) -> Vec<Vec<&str>> {
        let reach: BTreeMap<&str, BTreeSet<&str>> =
            self.files.keys().map(|file| (&**file, self.reach(file))).collect();
        let mut circles: Vec<Vec<&str>> = Vec::new();
        for (file, reached) in &reach {
            let others = reached.iter().filter(|other| {
                reach.get(**other).is_some_and(|back| back.contains(file)) && other != &file
            });
            let mut circle: Vec<&str> = others.copied().chain([*file]).collect();
            circle.sort_unstable();
            if circle.len() > 1 && !circles.contains(&circle) {
                circles.push(circle);
            }
        }
        circles
    }

    fn reach<'a>(&'a self, from: &'a str) -> BTreeSet<&'a str> {
        let (mut todo, mut seen) = (vec![from], BTreeSet::new());
        while let Some(file) = todo.pop() {
            let imports = self.files.get(file).map(|source| &source.imports);
            todo.extend(
                imports.into_iter().flatten().map(String::as_str).filter(|f| seen.insert(*f)),
            );
        }
        seen
    }
}

/// The module that a path leads to, of those in a crate; `None` where it leads out of it.
fn resolve(
    modules: &BTreeMap<(String, Vec<String>), String>,
    of: &str,
    from: &[String],
    path: &str,
) -> Option<Vec<String>> {
    let is_module = |module: &[String]| modules.contains_key(&(of.to_owned(), module.to_vec()));
    let mut parts = path.split("::").peekable();
    let mut at = match *parts.peek()? {
        "crate" => Vec::new(),
        "self" | "super" => from.to_vec(),
        child => {
            let below: Vec<String> = from.iter().cloned().chain([child.to_owned()]).collect();
            return is_module(&below).then_some(below);
        }
    };
    for part in parts {
        match part {
            "crate" | "self" => {}
            "super" => {
                at.pop();
            }
            name => {
                at.push(name.to_owned());
                if !is_module(&at) {
                    at.pop();
                    break;
                }
            }
        }
    }
    Some(at)
}

/// Everything that a text names by a path of two parts or more: in `use`, with groups written out,
/// and elsewhere. Comments do not count.
fn paths(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = lines.flat_map(|line| [line, "\n"]).collect();
    let mut found = BTreeSet::new();
    let mut rest = &*code;
    while let Some(line) = rest.split_inclusive('\n').next() {
        let words = line.trim_start().trim_start_matches("pub(crate) ");
        let words = words.trim_start_matches("pub(super) ").trim_start_matches("pub ");
        if words.starts_with("use ") {
            let end = rest.find(';').unwrap_or(rest.len());
            let tree = &rest[rest.find("use ").map_or(0, |at| at + 4)..end];
            expand("", &tree.split_whitespace().collect::<Vec<_>>().join(" "), &mut found);
            rest = rest.get(end + 1..).unwrap_or("");
            continue;
        }
        let part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let named = line.split(|c| !part(c)).filter(|word| word.contains("::"));
        let named = named.map(|word| word.trim_matches(':').to_owned());
        found.extend(named.filter(|word| word.contains("::")));
        rest = &rest[line.len()..];
    }
    found
}

fn expand(prefix: &str, tree: &str, found: &mut BTreeSet<String>) {
    let tree = tree.trim();
    if let Some((head, group)) = tree.split_once('{') {
        let (mut depth, mut start) = (0, 0);
        let group = group.trim_end().strip_suffix('}').unwrap_or(group);
        for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    expand(&format!("{prefix}{head}"), &group[start..at], found);
                    start = at + 1;
                }
                _ => {}
            }
        }
    } else if !tree.is_empty() {
        let name = tree.split(" as ").next().unwrap_or(tree).trim();
        let path = format!("{prefix}{name}");
        found.insert(path.trim_end_matches("::self").trim_end_matches("::*").to_owned());
    }
}
