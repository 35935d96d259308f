//! Opening the library's jar, or its folder of rules.
//!
//! Reading the YAML takes most of a second, so what was read is kept beside the asset, in a file
//! that names the asset's hash: [`compiled`]. Without such a file, or where it is of another
//! edition, the asset itself is read and the file written anew; a folder that cannot be written
//! to only costs the time again.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::compiled::{self, Hash};
use super::engine::Engine;
use super::lexer::Lexer;
use super::rules::{Reader, Rules};
use crate::assets::Asset;

/// The folder of rules in the jar.
const FOLDER: &str = "UserAgents/";
/// The list of public suffixes in the jar, and beside the folder of rules.
const SUFFIXES: &str = "mozilla-public-suffix-list.txt";
/// The most that files may hold together: several times what they do.
const MOST_BYTES: u64 = 128 << 20;

/// The files of an edition: names and contents, the rules in their order, and the suffixes.
struct Files {
    rules: Vec<(String, String)>,
    suffixes: String,
}

/// Opens the asset of a path, or where there is none the newest jar or the folder of rules beside
/// it.
pub(super) fn open(path: &Path) -> Result<Engine, String> {
    let path = find(path);
    let here = |error: String| format!("{}: {error}", path.display());
    if path.is_dir() {
        let files = Files::of_folder(&path).map_err(here)?;
        let hash = files.hash();
        return engine(&path, hash, || Ok(files)).map_err(here);
    }
    let bytes = fs::read(&path).map_err(|error| here(error.to_string()))?;
    let hash = Sha256::digest(&bytes).into();
    engine(&path, hash, || Files::of_jar(bytes)).map_err(here)
}

/// The jar that a folder of assets holds under another version's name, or the folder of rules.
fn find(path: &Path) -> PathBuf {
    let folder = path.parent().unwrap_or(Path::new("."));
    if path.exists() {
        return path.to_owned();
    }
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    let jars = names.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let version = name.strip_prefix("yauaa-")?.strip_suffix(".jar")?;
        let parts: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
        Some((parts?, entry.path()))
    });
    let rules = folder.join(FOLDER.trim_end_matches('/'));
    match jars.max() {
        Some((_, jar)) => jar,
        None if rules.is_dir() => rules,
        None => path.to_owned(),
    }
}

fn engine(
    path: &Path,
    hash: Hash,
    files: impl FnOnce() -> Result<Files, String>,
) -> Result<Engine, String> {
    let beside = compiled_path(path);
    let kept = beside.as_ref().and_then(|path| fs::read(path).ok());
    if let Some((rules, lexer)) = kept.and_then(|bytes| compiled::read(&bytes, &hash)) {
        return Engine::new(rules, lexer);
    }
    let (rules, lexer) = (files()?.read()?, Lexer::new());
    let bytes = compiled::write(&rules, &lexer, &hash);
    let engine = Engine::new(rules, lexer)?;
    if let Some(beside) = beside {
        keep(&beside, &bytes);
    }
    Ok(engine)
}

/// Where what was read of an asset is kept.
fn compiled_path(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    Some(path.with_file_name(Asset::compiled(name)))
}

/// Writes a file by renaming, so that nobody reads half of it. To fail costs only time; so does a
/// draft that another process has begun, or left behind.
fn keep(path: &Path, bytes: &[u8]) {
    let draft = path.with_extension("draft");
    let new = fs::OpenOptions::new().write(true).create_new(true).open(&draft);
    let written = new.and_then(|mut file| file.write_all(bytes));
    if written.and_then(|()| fs::rename(&draft, path)).is_err() {
        let _ = fs::remove_file(&draft);
    }
}

impl Files {
    fn of_jar(bytes: Vec<u8>) -> Result<Files, String> {
        let mut jar = ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
        let mut files = Files { rules: Vec::new(), suffixes: String::new() };
        let mut left = MOST_BYTES;
        for index in 0..jar.len() {
            let mut entry = jar.by_index(index).map_err(|error| error.to_string())?;
            let name = entry.name().map_err(|error| error.to_string())?.into_owned();
            let rules = name.strip_prefix(FOLDER).filter(|name| holds_rules(name));
            if rules.is_none() && name != SUFFIXES {
                continue;
            }
            let mut text = String::new();
            let read = entry.by_ref().take(left + 1).read_to_string(&mut text);
            read.map_err(|error| format!("{name}: {error}"))?;
            left = left.checked_sub(text.len() as u64).ok_or("the rules are too large")?;
            match rules {
                Some(rules) => files.rules.push((rules.to_owned(), text)),
                None => files.suffixes = text,
            }
        }
        files.check()
    }

    fn of_folder(folder: &Path) -> Result<Files, String> {
        let mut files = Files { rules: Vec::new(), suffixes: String::new() };
        let mut left = MOST_BYTES;
        let mut text = |path: &Path| {
            let text = fs::read_to_string(path);
            let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
            left = left.checked_sub(text.len() as u64).ok_or("the rules are too large")?;
            Ok::<String, String>(text)
        };
        for entry in fs::read_dir(folder).map_err(|error| error.to_string())? {
            let entry = entry.map_err(|error| error.to_string())?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if holds_rules(&name) {
                files.rules.push((name, text(&entry.path())?));
            }
        }
        let inside = folder.join(SUFFIXES);
        let beside = folder.with_file_name(SUFFIXES);
        files.suffixes = text(if inside.exists() { &inside } else { &beside })?;
        files.check()
    }

    /// In the order in which they count, if they are what they should be.
    fn check(mut self) -> Result<Files, String> {
        self.rules.sort();
        if self.rules.is_empty() {
            return Err(format!("no file {FOLDER}*.yaml in it"));
        }
        if self.suffixes.is_empty() {
            return Err(format!("no file {SUFFIXES} in it"));
        }
        Ok(self)
    }

    fn hash(&self) -> Hash {
        let mut hash = Sha256::new();
        let suffixes = (SUFFIXES, &self.suffixes);
        let rules = self.rules.iter().map(|(name, text)| (name.as_str(), text));
        for (name, text) in rules.chain([suffixes]) {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        hash.finalize().into()
    }

    fn read(self) -> Result<Rules, String> {
        let mut reader = Reader::default();
        for (name, text) in &self.rules {
            reader.add(name, &without_tests(text))?;
        }
        reader.finish(self.suffixes)
    }
}

/// Whether a file holds rules; some only hold tests.
fn holds_rules(name: &str) -> bool {
    let tests = name.contains("-tests") || name.contains("-Tests");
    name.ends_with(".yaml") && !name.contains('/') && !tests
}

/// A file of rules with its tests, which are most of it, made empty lines.
pub(super) fn without_tests(text: &str) -> String {
    let mut out = String::with_capacity(text.len() / 2);
    let mut inside: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        let blank = content.trim_end().is_empty() || content.starts_with('#');
        if inside.is_some_and(|test| !blank && indent <= test) {
            inside = None;
        }
        let item = content.strip_prefix('-').map(str::trim_start);
        if inside.is_none() && item.is_some_and(|item| item.starts_with("test:")) {
            inside = Some(indent);
        }
        match inside {
            Some(_) => out.push('\n'),
            None => out.push_str(line),
        }
    }
    out
}
