//! Results of a replay as files of a folder, like those of `snowmelt enrich`, that grow by parts.
//!
//! A part is durable before the position that stands behind it is, and what a file has beyond the
//! position is cut off when the replay goes on: so every part is in the files once.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::commands::enrich::output::{Compression, Destination};
use crate::commands::enrich::unfinished::unfinished;
use crate::sink::object::Compression as Frames;
use pipeline::{Output, Route};

/// The files in the making.
pub(super) struct Folder {
    to: Destination,
    files: BTreeMap<String, Growing>,
}

/// A file in the making.
struct Growing {
    /// The lines of the present part.
    part: Vec<u8>,
    file: Option<File>,
    /// The bytes of all parts before.
    bytes: u64,
}

impl Folder {
    /// Goes on with files of which so many bytes count; others of an attempt before do not count at
    /// all.
    pub(super) fn open(to: Destination, files: &BTreeMap<String, u64>) -> anyhow::Result<Folder> {
        let mut folder = Folder { to, files: BTreeMap::new() };
        for route in Route::ALL {
            let name = name(route, folder.to.compression);
            let path = unfinished(&folder.to.folder.join(&name));
            let growing = match files.get(&name) {
                Some(bytes) => Growing::again(&path, *bytes)?,
                None => {
                    remove(&path)?;
                    Growing { part: Vec::new(), file: None, bytes: 0 }
                }
            };
            folder.files.insert(name, growing);
        }
        Ok(folder)
    }

    /// Adds lines to the present part.
    pub(super) fn take(&mut self, output: &Output) {
        for route in Route::ALL {
            let name = name(route, self.to.compression);
            let growing = self.files.get_mut(&name).expect("there is one for every route");
            growing.part.extend_from_slice(output.lines(route).as_bytes());
        }
    }

    /// Makes the present part durable. Returns how many bytes of each file count from now on.
    pub(super) fn commit(&mut self) -> anyhow::Result<BTreeMap<String, u64>> {
        let frames = match self.to.compression {
            None => Frames::Plain,
            Some(Compression::Zstd) => Frames::Zstd,
            Some(Compression::Gzip) => Frames::Gzip,
        };
        let folder = &self.to.folder;
        for (name, growing) in &mut self.files {
            let path = unfinished(&folder.join(name));
            let written = growing.commit(frames, &path);
            written.with_context(|| format!("cannot write {}", path.display()))?;
        }
        sync(folder)?;
        let begun = self.files.iter().filter(|(_, growing)| growing.file.is_some());
        Ok(begun.map(|(name, growing)| (name.clone(), growing.bytes)).collect())
    }
}

/// Gives files in the making their names, in place of results of an earlier run. May be repeated:
/// of what has its name already nothing is there to be renamed.
pub(super) fn finish(to: &Destination, files: &BTreeMap<String, u64>) -> anyhow::Result<()> {
    let made = |path: &PathBuf| files.keys().any(|name| to.folder.join(name) == *path);
    for earlier in to.earlier().iter().filter(|path| !made(path)) {
        remove(earlier)?;
    }
    for name in files.keys() {
        let path = to.folder.join(name);
        let failed = || format!("cannot write {}", path.display());
        if unfinished(&path).try_exists().with_context(failed)? {
            std::fs::rename(unfinished(&path), &path).with_context(failed)?;
        }
    }
    for route in [Route::Enriched, Route::Bad] {
        let path = to.folder.join(name(route, to.compression));
        if !files.contains_key(&name(route, to.compression)) {
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    sync(&to.folder)
}

fn name(route: Route, compression: Option<Compression>) -> String {
    let end = if route.is_of_events() { "tsv" } else { "jsonl" };
    format!("{}.{end}{}", route.name(), Compression::suffix(compression))
}

impl Growing {
    fn again(path: &Path, bytes: u64) -> anyhow::Result<Growing> {
        let failed = || format!("cannot go on with {}", path.display());
        let mut file = OpenOptions::new().write(true).open(path).with_context(failed)?;
        let there = file.metadata().with_context(failed)?.len();
        if there < bytes {
            bail!(
                "{}: expected at least {bytes} bytes of an earlier part of this replay, found \
                 {there}: begin anew with --force",
                path.display()
            );
        }
        file.set_len(bytes).with_context(failed)?;
        file.seek(SeekFrom::End(0)).with_context(failed)?;
        Ok(Growing { part: Vec::new(), file: Some(file), bytes })
    }

    fn commit(&mut self, frames: Frames, path: &Path) -> io::Result<()> {
        if self.part.is_empty() {
            return Ok(());
        }
        let bytes = frames.frame(&self.part);
        let mut file = match self.file.take() {
            Some(file) => file,
            None => File::create(path)?,
        };
        file.write_all(&bytes)?;
        file.sync_data()?;
        self.file = Some(file);
        self.bytes += bytes.len() as u64;
        self.part.clear();
        Ok(())
    }
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot replace {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Makes the names of files durable.
fn sync(folder: &Path) -> anyhow::Result<()> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.with_context(|| format!("cannot write {}", folder.display()))
}
