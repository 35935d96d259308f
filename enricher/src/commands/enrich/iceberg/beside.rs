//! What is no row of a table: events that wait, and texts that were too large, whole.
//!
//! Each part of an input between two commits has files of its own, named by where it begins. They
//! are written before the commit; if that is never made, the part is read again and its files are
//! replaced.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use lakehouse::Shard;
use pipeline::{Output, Route};

use super::TABLES;
use crate::commands::enrich::unfinished::unfinished;

/// Lines beside the tables.
pub(super) struct Beside {
    folder: PathBuf,
    /// By input, with the first record since the last commit.
    begun: BTreeMap<Shard, u64>,
    lines: BTreeMap<(Route, Shard), Vec<u8>>,
}

impl Beside {
    /// None yet.
    pub(super) fn new(folder: PathBuf) -> Beside {
        Beside { folder, begun: BTreeMap::new(), lines: BTreeMap::new() }
    }

    /// Adds what of an output belongs here.
    pub(super) fn add(&mut self, shard: &Shard, first: u64, output: &Output) {
        self.begun.entry(shard.clone()).or_insert(first);
        for route in Route::ALL {
            let lines = output.lines(route).as_bytes();
            if !lines.is_empty() && TABLES.iter().all(|(of, _)| *of != route) {
                self.lines.entry((route, shard.clone())).or_default().extend_from_slice(lines);
            }
        }
    }

    /// Writes all of it, so that it outlives the machine's death.
    pub(super) fn write(&mut self) -> anyhow::Result<()> {
        let begun = std::mem::take(&mut self.begun);
        for ((route, shard), lines) in std::mem::take(&mut self.lines) {
            let folder = self.folder.join(route.name());
            let end = if route.is_of_events() { "tsv" } else { "jsonl" };
            let path = folder.join(format!("{shard}-{}.{end}", begun[&shard]));
            let write = || {
                std::fs::create_dir_all(&folder)?;
                let mut file = File::create(unfinished(&path))?;
                file.write_all(&lines)?;
                file.sync_all()?;
                std::fs::rename(unfinished(&path), &path)?;
                File::open(&folder)?.sync_all()
            };
            write().with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}
