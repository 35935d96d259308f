//! A static registry on disk: `schemas/<vendor>/<name>/<format>/<version>` below a folder.

use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use event::SchemaKey;
use event::reason::RegistryError;

use crate::registry::{Answer, Asking, Listing, Registry, SCHEMA_LIMIT, Unlisted, key_at};

/// A folder with `schemas/` inside.
pub(crate) struct Folder {
    schemas: PathBuf,
}

impl Folder {
    /// The registry in this folder.
    pub(crate) fn new(dir: &Path) -> Folder {
        Folder { schemas: dir.join("schemas") }
    }

    fn read(&self, key: &SchemaKey) -> Answer {
        match read(&self.schemas.join(key.path())) {
            Ok(Some(text)) => Answer::read(text, None),
            Ok(None) => Answer::Refused(RegistryError::RepoFailure(format!(
                "the schema is larger than {SCHEMA_LIMIT} bytes"
            ))),
            Err(why) if is_absent(&why) => Answer::NotFound,
            Err(why) if why.kind() == ErrorKind::InvalidData => {
                Answer::Refused(RegistryError::RepoFailure(why.to_string()))
            }
            Err(why) => Answer::Unreachable {
                error: RegistryError::RepoFailure(why.to_string()),
                retry_after: None,
            },
        }
    }
}

impl Registry for Folder {
    /// Reads at once: a schema is a small local file.
    fn get<'a>(&'a self, key: &'a SchemaKey, _: Option<&'a str>) -> Asking<'a> {
        Box::pin(async move { self.read(key) })
    }

    fn list(&self) -> Listing<'_> {
        let listed = keys_below(&self.schemas);
        Box::pin(std::future::ready(listed.map_err(|why| Unlisted::Failed(why.to_string()))))
    }
}

/// The keys of all files that lie where a schema may; others are passed over.
fn keys_below(root: &Path) -> io::Result<Vec<SchemaKey>> {
    // Vendor, name, format.
    const LEVELS: usize = 3;
    let mut keys = Vec::new();
    let mut dirs = vec![(root.to_owned(), String::new(), 0)];
    while let Some((dir, path, level)) = dirs.pop() {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let path = format!("{path}{}", entry.file_name().to_string_lossy());
            if level < LEVELS && entry.path().is_dir() {
                dirs.push((entry.path(), format!("{path}/"), level + 1));
            } else if level == LEVELS {
                keys.extend(key_at(&path));
            }
        }
    }
    keys.sort();
    Ok(keys)
}

/// The text of a file; `None` if it is too large.
fn read(path: &Path) -> io::Result<Option<String>> {
    let mut text = String::new();
    let limit = SCHEMA_LIMIT as u64 + 1;
    std::fs::File::open(path)?.take(limit).read_to_string(&mut text)?;
    Ok((text.len() <= SCHEMA_LIMIT).then_some(text))
}

fn is_absent(why: &io::Error) -> bool {
    // A name that the file system cannot hold names no file.
    matches!(
        why.kind(),
        ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::InvalidFilename
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_tells_absent_from_unusable() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("schemas/com.acme/click/jsonschema");
        std::fs::create_dir_all(&path).expect("a folder");
        let folder = Folder::new(dir.path());
        let answer = |name: &str, version: &str| {
            let uri = format!("iglu:com.acme/{name}/jsonschema/{version}");
            folder.read(&SchemaKey::parse(&uri).expect("an Iglu URI"))
        };
        std::fs::write(path.join("1-0-0"), "{}").expect("written");
        std::fs::write(path.join("1-0-1"), "{").expect("written");
        std::fs::write(path.join("1-0-2"), [0xff]).expect("written");
        std::fs::write(path.join("1-0-3"), " ".repeat(SCHEMA_LIMIT + 1)).expect("written");
        std::fs::create_dir(path.join("1-0-4")).expect("a folder");
        assert_eq!(answer("click", "1-0-0"), Answer::found("{}"));
        for version in ["1-0-1", "1-0-2", "1-0-3"] {
            let answer = answer("click", version);
            assert!(matches!(answer, Answer::Refused(RegistryError::RepoFailure(_))), "{answer:?}");
        }
        assert_eq!(answer("click", "1-0-4"), Answer::NotFound);
        assert_eq!(answer("click", "1-0-9"), Answer::NotFound);
        assert_eq!(answer("nope", "1-0-0"), Answer::NotFound);
        assert_eq!(answer(&"x".repeat(300), "1-0-0"), Answer::NotFound);
        assert_eq!(answer(&"x".repeat(70_000), "1-0-0"), Answer::NotFound);
        std::fs::write(path.join("README"), "x").expect("written");
        let listed = keys_below(&folder.schemas).expect("it can be read");
        assert_eq!(listed.len(), 5, "{listed:?}");
        assert_eq!(listed[0].to_string(), "iglu:com.acme/click/jsonschema/1-0-0");
    }
}
