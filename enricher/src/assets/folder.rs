//! The folder in which a worker keeps the last good edition of each asset, with a note beside each
//! file on what it is. Files appear by renaming, so a reader sees a whole one or none, and what is
//! mapped into memory is never written into.

use std::io;
use std::path::{Path, PathBuf};

use enrichments::Asset;
use serde::{Deserialize, Serialize};

use super::source::Edition;

/// The folder. It belongs to one worker.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Which edition it is.
    pub edition: Edition,
    /// The MD5 of the URI it came from, which may hold a key.
    pub source: String,
    /// When it was fetched, in milliseconds since the epoch.
    pub fetched_ms: i64,
    /// When its source last said that it is the newest.
    pub confirmed_ms: i64,
}

impl Folder {
    /// A folder that is made if need be.
    pub fn open(path: &Path) -> io::Result<Folder> {
        std::fs::create_dir_all(path).map_err(|error| at(path, error))?;
        Ok(Folder { path: path.to_owned() })
    }

    /// Where the files are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The note on a file that is there and is what the note says.
    pub fn note(&self, name: &str, source: &str) -> Option<Note> {
        let note: Note = serde_json::from_slice(&std::fs::read(self.beside(name)).ok()?).ok()?;
        let bytes = std::fs::metadata(self.path.join(name)).ok()?.len();
        (note.source == source && note.edition.bytes == bytes).then_some(note)
    }

    /// Writes the note on a file.
    pub fn write(&self, name: &str, note: &Note) -> io::Result<()> {
        let draft = self.path.join(format!(".{name}.draft"));
        let written = std::fs::write(&draft, serde_json::to_vec(note)?);
        written.map_err(|error| at(&draft, error))?;
        std::fs::rename(&draft, self.beside(name)).map_err(|error| at(&draft, error))
    }

    /// Deletes a file, what was made of it, and its note, the note last: a file without one is
    /// fetched anew.
    pub fn delete(&self, name: &str) -> io::Result<()> {
        let compiled = self.path.join(Asset::compiled(name));
        for path in [self.path.join(name), compiled, self.beside(name)] {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(at(&path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// An empty folder inside for what is not known to be good yet.
    pub fn stage(&self) -> io::Result<Stage> {
        let path = self.path.join(".stage");
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&path, error)),
            _ => {}
        }
        std::fs::create_dir(&path).map_err(|error| at(&path, error))?;
        Ok(Stage { path, folder: self.path.clone() })
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.path.join(format!(".{name}.json"))
    }
}

/// An error that says where.
fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// A folder that is deleted in the end, whatever is still in it.
pub struct Stage {
    path: PathBuf,
    folder: PathBuf,
}

impl Stage {
    /// Where a file is, or will be.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where the files are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the good edition of a file here, too, in place of another.
    pub fn borrow(&self, name: &str) -> io::Result<()> {
        self.discard(name)?;
        let linked = std::fs::hard_link(self.folder.join(name), self.file(name));
        linked.map_err(|error| at(&self.file(name), error))?;
        // Without it the file is read anew, which only takes longer.
        let compiled = Asset::compiled(name);
        let _ = std::fs::hard_link(self.folder.join(&compiled), self.file(&compiled));
        Ok(())
    }

    /// Deletes a file from here, with what was made of it.
    pub fn discard(&self, name: &str) -> io::Result<()> {
        for path in [self.file(name), self.file(&Asset::compiled(name))] {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(at(&path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes a file the good edition, with what was made of it on opening, if anything was.
    pub fn promote(&self, name: &str) -> io::Result<()> {
        let target = self.folder.join(name);
        std::fs::rename(self.file(name), &target).map_err(|error| at(&target, error))?;
        let compiled = Asset::compiled(name);
        let target = self.folder.join(&compiled);
        match std::fs::rename(self.file(&compiled), &target) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&target, error)),
            _ => Ok(()),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What stays is deleted before the folder is used again.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in a folder but for those of folders.
    fn files(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).expect("a folder").flatten();
        let files = entries.filter(|entry| entry.path().is_file());
        let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut files: Vec<String> = files.map(name).collect();
        files.sort();
        files
    }

    #[test]
    fn what_was_made_of_a_file_comes_and_goes_with_it() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(&place.path().join("kept")).expect("a folder");
        let stage = folder.stage().expect("a folder");
        for name in ["rules.jar", ".rules.jar.compiled", "list.json"] {
            std::fs::write(stage.file(name), name).expect("a file");
        }
        for name in ["rules.jar", "list.json"] {
            stage.promote(name).expect("it is there");
        }
        assert_eq!(files(folder.path()), [".rules.jar.compiled", "list.json", "rules.jar"]);
        assert_eq!(files(stage.path()), [""; 0]);

        for _ in 0..2 {
            stage.borrow("rules.jar").expect("it is there");
            assert_eq!(files(stage.path()), [".rules.jar.compiled", "rules.jar"]);
        }
        folder.delete("rules.jar").expect("it is there");
        assert_eq!(files(folder.path()), ["list.json"]);
    }

    #[test]
    fn errors_name_the_place() {
        let place = tempfile::NamedTempFile::new().expect("a file");
        let error = Folder::open(&place.path().join("inside")).expect_err("it is no folder");
        assert!(error.to_string().contains(&place.path().display().to_string()), "{error}");
    }
}
