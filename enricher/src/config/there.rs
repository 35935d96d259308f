//! Whether the files, folders and names that a configuration gives are there and are what they
//! should be.

use std::path::Path;

use super::Config;
use crate::places;

/// What is wrong, and with which setting.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The names of its tables and its own; in lists, numbers.
    pub at: Vec<String>,
    /// What was expected and what was found, or in which way settings exclude each other.
    pub what: String,
}

impl Wrong {
    fn new(at: &[&str], what: String) -> Wrong {
        Wrong { at: at.iter().map(|name| (*name).to_owned()).collect(), what }
    }

    /// What is wrong with the setting that it begins with: `[table.table] setting: what`.
    pub(super) fn said(what: String) -> Wrong {
        let (tables, rest) =
            what.strip_prefix('[').and_then(|rest| rest.split_once(']')).unwrap_or_default();
        let setting = rest.split([' ', ':']).find(|word| !word.is_empty());
        let at = tables.split('.').chain(setting).map(str::to_owned).collect();
        Wrong { at, what }
    }
}

impl Config {
    /// Checks that what it names on this machine is there and is what it should be. Paths are those
    /// of the machine, no longer those of the file.
    pub(super) fn check_places(&self) -> Vec<Wrong> {
        let mut all_wrong = Vec::new();
        let (schemas, enrichments) = (&self.schemas, &self.enrichments);
        type Check = fn(&Path) -> Result<(), String>;
        let all: [(&str, &str, _, Check); 6] = [
            ("schemas", "resolver", &schemas.resolver, places::file),
            ("schemas", "folder", &schemas.folder, places::registry),
            ("schemas", "bundle", &schemas.bundle, places::file),
            ("enrichments", "folder", &enrichments.folder, places::configurations),
            ("enrichments", "assets", &enrichments.assets, places::folder),
            ("lookups.database", "authorities", &self.lookups.database.authorities, places::file),
        ];
        for (table, name, path, check) in all {
            let Some(path) = path else { continue };
            let named = |why| format!("{}: {why}", path.display());
            let checked = check(path).map_err(|why| Wrong::new(&[table, name], named(why)));
            all_wrong.extend(checked.err());
        }
        for (index, name) in enrichments.allow_unsupported.iter().enumerate() {
            let at = ["enrichments", "allow_unsupported", &index.to_string()];
            let checked = enrichments::check_allowed(name, enrichments.folder.as_deref());
            all_wrong.extend(checked.err().map(|why| Wrong::new(&at, why)));
        }
        all_wrong
    }
}
