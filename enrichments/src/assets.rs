//! The files that enrichments read beside their configuration: databases, rules, lists.
//!
//! This module opens them from a folder, by the database name that a configuration gives. Fetching
//! them into that folder is left to others, who must rename a new version into place and never
//! write into a file that may be open here: databases are mapped into memory.

use std::path::{Path, PathBuf};

use crate::database;
use crate::mistake::ConfigError;

/// A file that a configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Its name in the folder of assets.
    pub database: String,
    /// The folder it is published in.
    pub uri: String,
    /// The configuration that names it.
    pub file: PathBuf,
    /// Where in the configuration.
    pub pointer: String,
}

impl Asset {
    /// Where the file is published: the URI, a slash unless there is one, and the name.
    pub fn source(&self) -> String {
        let slash = if self.uri.ends_with('/') { "" } else { "/" };
        format!("{}{slash}{}", self.uri, self.database)
    }

    /// The file in which what was read of an asset may be kept beside it. It says itself which
    /// edition it is of, so one that is missing or old costs time alone.
    pub fn compiled(database: &str) -> String {
        format!(".{database}.compiled")
    }

    /// Reads a whole file and says if it is a broken copy of this asset. Opening notices most of
    /// that, but of a database it reads only the end.
    pub fn verify(&self, file: &Path) -> Result<(), ConfigError> {
        if !self.database.ends_with(".mmdb") {
            return Ok(());
        }
        let what = "a whole database in the MaxMind format";
        database::verify(file).map_err(|error| self.error(what, error))
    }

    /// An error about this asset.
    pub(crate) fn error(&self, expected: &str, found: impl ToString) -> ConfigError {
        ConfigError {
            file: self.file.clone(),
            pointer: self.pointer.clone(),
            expected: expected.to_owned(),
            found: found.to_string(),
        }
    }
}

/// The folder that assets are opened from, with every failure so far.
pub(crate) struct Folder<'f> {
    path: Option<&'f Path>,
    /// What could not be opened.
    pub(crate) errors: Vec<ConfigError>,
}

impl<'f> Folder<'f> {
    pub(crate) fn new(path: Option<&'f Path>) -> Folder<'f> {
        Folder { path, errors: Vec::new() }
    }

    /// Opens an asset; a failure is noted.
    pub(crate) fn open<T, E: ToString>(
        &mut self,
        asset: &Asset,
        what: &str,
        read: impl FnOnce(&Path) -> Result<T, E>,
    ) -> Option<T> {
        let Some(folder) = self.path else {
            let found = format!("no folder of assets to open {} from", asset.database);
            self.errors.push(asset.error(what, found));
            return None;
        };
        let path = folder.join(&asset.database);
        read(&path)
            .map_err(|error| {
                let found = format!("{}: {}", path.display(), error.to_string());
                self.errors.push(asset.error(what, found));
            })
            .ok()
    }

    /// Reads a whole file as text; bytes that are no UTF-8 are read as Latin-1 when `latin1`.
    pub(crate) fn read(&mut self, asset: &Asset, what: &str) -> Option<Vec<u8>> {
        self.open(asset, what, |path| std::fs::read(path))
    }
}
