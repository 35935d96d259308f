//! The dictionary beside a run's tables, in which the page reads what columns hold. It is of the
//! schemas that are at hand: those in the binary and those of the run's own folder or bundle. Of a
//! configuration of registries, whoever runs this writes it: that asks them for all they have.

use std::path::{Path, PathBuf};

use columns::dictionary;

use super::super::super::known::Known;
use crate::rules::Rules;

/// What `snowmelt-query` looks for beside tables.
const FILE: &str = "dictionary.json";

/// What is said of columns.
pub(super) struct Described {
    /// The schemas at hand, if they are all there are.
    known: Option<Known>,
    file: PathBuf,
    writing: std::sync::Mutex<()>,
}

impl Described {
    /// By a run's rules, beside its tables.
    pub(super) fn new(rules: &Rules, dir: &Path, tables: &Path) -> Described {
        let folder = rules.schemas.clone().unwrap_or_else(|| dir.to_owned());
        let known = rules.resolver.is_none().then(|| Known::at_hand(folder, rules.bundle.clone()));
        Described { known, file: tables.join(FILE), writing: std::sync::Mutex::default() }
    }

    /// Writes it if it is another than it was. Waits for files.
    pub(super) fn renew(&self) -> anyhow::Result<()> {
        let Some(known) = &self.known else { return Ok(()) };
        let _alone = self.writing.lock().expect("nothing panics with it");
        // The reasons have been told.
        let Ok(tables) = known.tables()? else { return Ok(()) };
        let text = dictionary::json(&dictionary::columns(&tables.failed)).to_string();
        if std::fs::read(&self.file).is_ok_and(|there| there == text.as_bytes()) {
            return Ok(());
        }
        let part = self.file.with_extension("part");
        std::fs::create_dir_all(self.file.parent().expect("a folder of tables"))?;
        std::fs::write(&part, text)?;
        Ok(std::fs::rename(&part, &self.file)?)
    }
}
