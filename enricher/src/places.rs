//! Whether the folders that somebody named are what they should be, and which one was probably
//! meant: one level up or down, or spelt otherwise. A folder that is empty because it is the wrong
//! one must not pass for one that has nothing to say.

use std::path::{Path, PathBuf};

/// Words that are nearer than a third of their letters are slips of one another.
pub fn nearest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let near = known.into_iter().map(|name| (distance(word, name), name)).min();
    near.filter(|(distance, _)| *distance <= word.len().max(3) / 3).map(|(_, name)| name)
}

/// Checks that a folder is a static registry: `schemas/` inside, and a schema in that.
pub fn registry(dir: &Path) -> Result<(), String> {
    if is_registry(dir) {
        return Ok(());
    }
    let found = match dir.join("schemas").is_dir() {
        true => "schemas/ without any vendor/name/format/version in it",
        false => what_is_at(dir, "a folder without schemas/"),
    };
    Err(with_nearest("a folder with schemas/ inside", found, near(dir, is_registry)))
}

/// Checks that a folder is there and holds configurations of enrichments, or holds nothing and does
/// not lie beside the one that does.
pub fn configurations(dir: &Path) -> Result<(), String> {
    if has_json(dir) {
        return Ok(());
    }
    let beside = || respelt(dir).filter(|path| path.is_dir() && !dir.exists());
    let near = near(dir, has_configuration).or_else(beside);
    if dir.is_dir() && near.is_none() {
        return Ok(());
    }
    let found = what_is_at(dir, "a folder without any");
    Err(with_nearest("a folder of enrichment configurations, *.json", found, near))
}

/// Checks that there is a folder.
pub fn folder(dir: &Path) -> Result<(), String> {
    if dir.is_dir() {
        return Ok(());
    }
    Err(with_nearest("a folder", what_is_at(dir, "a folder"), near(dir, Path::is_dir)))
}

/// Checks that there is a file.
pub fn file(path: &Path) -> Result<(), String> {
    if path.exists() && !path.is_dir() {
        return Ok(());
    }
    let near = respelt(path).filter(|path| path.is_file());
    Err(with_nearest("a file", what_is_at(path, "a folder"), near))
}

fn what_is_at<'a>(path: &Path, if_folder: &'a str) -> &'a str {
    match std::fs::metadata(path) {
        Ok(data) if data.is_dir() => if_folder,
        Ok(_) => "a file",
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            "what may not be looked at"
        }
        Err(_) => "nothing of that name",
    }
}

fn with_nearest(expected: &str, found: &str, near: Option<PathBuf>) -> String {
    let meant = near.map_or(String::new(), |near| format!("; did you mean `{}`?", near.display()));
    format!("expected {expected}, found {found}{meant}")
}

/// Looks up, down and beside.
fn near(dir: &Path, fits: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    above(dir).into_iter().chain(below(dir)).chain(respelt(dir)).find(|path| fits(path))
}

/// How far up and down somebody may have been off: from `schemas/com.acme/click` to what is around
/// `schemas`, and from a repository's root to a registry in it.
const LEVELS: usize = 3;

fn above(dir: &Path) -> Vec<PathBuf> {
    let shown = |path: &Path| match path.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => path.to_owned(),
    };
    let mut paths: Vec<PathBuf> = dir.ancestors().skip(1).take(LEVELS).map(shown).collect();
    if let Ok(whole) = dir.canonicalize() {
        paths.extend(whole.ancestors().skip(1).take(LEVELS).map(Path::to_owned));
    }
    // What is nowhere near the top of a disk is not meant by accident.
    paths.retain(|path| path.parent().is_some());
    paths
}

/// More folders than these are no slip of one level.
const FOLDERS: usize = 1_000;

fn below(dir: &Path) -> Vec<PathBuf> {
    let mut paths = folders_in(dir);
    let mut at = 0;
    while at < paths.len() && paths.len() < FOLDERS {
        let depth = paths[at].components().count() - dir.components().count();
        if depth + 1 < LEVELS {
            paths.extend(folders_in(&paths[at]));
        }
        at += 1;
    }
    paths
}

fn folders_in(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.is_dir());
    paths.sort();
    paths
}

/// What lies beside it under nearly the same name.
fn respelt(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let parent = path.parent()?;
    let listed = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let entries = std::fs::read_dir(listed).ok()?.flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let names: Vec<String> = names.filter(|other| other != name).collect();
    nearest(name, names.iter().map(String::as_str)).map(|name| parent.join(name))
}

/// Whether a schema lies where one may.
fn is_registry(dir: &Path) -> bool {
    // Vendor, name, format.
    let mut folders = vec![(dir.join("schemas"), 0)];
    while let Some((folder, level)) = folders.pop() {
        if level < 3 {
            folders.extend(folders_in(&folder).into_iter().map(|folder| (folder, level + 1)));
        } else if files_in(&folder).any(|file| key_at(&file).is_some()) {
            return true;
        }
    }
    false
}

fn key_at(file: &Path) -> Option<event::SchemaKey> {
    let parts: Vec<_> = file.iter().rev().take(4).map(|part| part.to_string_lossy()).collect();
    let [version, format, name, vendor] = parts.as_slice() else { return None };
    resolver::key_at(&format!("{vendor}/{name}/{format}/{version}"))
}

fn has_json(dir: &Path) -> bool {
    files_in(dir).any(|file| file.extension().is_some_and(|it| it == "json"))
}

/// Whether one of the files is self-describing: JSON of all kinds lies about.
fn has_configuration(dir: &Path) -> bool {
    let json = |file: &PathBuf| file.extension().is_some_and(|it| it == "json");
    files_in(dir).filter(json).any(|file| {
        let json = std::fs::read(file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        json.is_some_and(|json: serde_json::Value| {
            json["schema"].as_str().is_some_and(|schema| schema.starts_with("iglu:"))
        })
    })
}

fn files_in(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| !path.is_dir())
}

/// How many letters have to be put in, left out or replaced to get from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_that_is_off_is_refused_and_the_right_one_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |path: &str| dir.path().join(path);
        let format = at("iglu/schemas/com.acme/click/jsonschema");
        std::fs::create_dir_all(&format).expect("a folder");
        std::fs::write(format.join("1-0-0"), "{}").expect("a file");
        std::fs::create_dir_all(at("empty/schemas/com.acme")).expect("a folder");
        assert_eq!(registry(&at("iglu")), Ok(()));
        for (given, found) in [
            ("iglu/schemas", "a folder without schemas/"),
            ("iglu/schemas/com.acme/click", "a folder without schemas/"),
            ("", "a folder without schemas/"),
            ("igl", "nothing of that name"),
            ("iglu/shemas", "nothing of that name"),
        ] {
            let (given, meant) = (at(given), at("iglu"));
            let wanted = format!(
                "expected a folder with schemas/ inside, found {found}; did you mean `{}`?",
                meant.display()
            );
            assert_eq!(registry(&given), Err(wanted), "{}", given.display());
        }
        let why = registry(&at("empty")).expect_err("it has no schema");
        assert!(why.contains("schemas/ without any vendor/name/format/version"), "{why}");
        let why = registry(&format.join("1-0-0")).expect_err("it is a file");
        assert!(why.contains("found a file"), "{why}");
    }

    #[test]
    fn configurations_that_are_off_are_refused_and_empty_ones_are_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir_all(at("w/enrichments/old")).expect("a folder");
        std::fs::create_dir_all(at("apart/from/all/others/none")).expect("a folder");
        let woothee = r#"{"schema": "iglu:snowmelt/woothee_config/jsonschema/1-0-0"}"#;
        std::fs::write(at("w/enrichments/a.json"), woothee).expect("a file");
        std::fs::write(at("apart/from/all/package.json"), "{}").expect("a file");
        assert_eq!(configurations(&at("w/enrichments")), Ok(()));
        assert_eq!(configurations(&at("apart/from/all/others/none")), Ok(()));
        for given in ["w", "w/enrichments/old", "w/enrichment", "w/enrichments/a.json"] {
            let why = configurations(&at(given)).expect_err("it is off");
            let meant = format!("; did you mean `{}`?", at("w/enrichments").display());
            assert!(why.ends_with(&meant), "{given}: {why}");
        }
    }
}
