//! The repository's own files, as the tests that judge them read them.

use std::path::{Path, PathBuf};

/// A file of the repository.
#[derive(Debug)]
pub struct File {
    /// Relative to the root, with `/` between its parts.
    pub path: String,
    /// Where it is now.
    pub place: PathBuf,
}

/// The root of the repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the crate lies in the workspace").to_owned()
}

/// Where Cargo puts what it builds: beside it lie the release binary and the tools.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// Every file under the root except what belongs to version control or is ignored by it, sorted.
pub fn files() -> Vec<File> {
    let ignored = std::fs::read_to_string(root().join(".gitignore")).unwrap_or_default();
    let mut skipped: Vec<&str> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    skipped.push(".git");
    let mut found = Vec::new();
    walk(&root(), "", &skipped, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(folder: &Path, prefix: &str, skipped: &[&str], found: &mut Vec<File>) {
    let entries = std::fs::read_dir(folder).expect("the repository can be read");
    for entry in entries {
        let entry = entry.expect("the repository can be read");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().expect("the repository can be read");
        if kind.is_dir() {
            if !skipped.contains(&name.as_str()) {
                walk(&entry.path(), &format!("{path}/"), skipped, found);
            }
        } else if kind.is_file() {
            found.push(File { path, place: entry.path() });
        }
    }
}

impl File {
    /// Its text; `None` where it is not text.
    pub fn text(&self) -> Option<String> {
        String::from_utf8(std::fs::read(&self.place).ok()?).ok()
    }
}
