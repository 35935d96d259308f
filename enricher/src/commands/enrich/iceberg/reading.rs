//! Inputs one after the other, each from where the tables have it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use lakehouse::Shard;
use lease::ShardId;

use super::known::{Digesting, Found, Known, Part};
use crate::commands::enrich::chunk::{Chunk, chunk_of};
use crate::commands::enrich::input::places::Place;
use crate::commands::enrich::input::{Input, Progress};
use crate::terminal;

/// Records of one input that are processed together.
pub(super) struct Work {
    /// The records.
    pub(super) chunk: Chunk,
    /// What their input is called in the tables.
    pub(super) shard: Shard,
    /// The input up to and with them.
    pub(super) part: Part,
}

impl AsRef<Chunk> for Work {
    fn as_ref(&self) -> &Chunk {
        &self.chunk
    }
}

/// Inputs, read one after the other.
pub(super) struct Reading {
    places: std::vec::IntoIter<Place>,
    known: Known,
    halt: Arc<AtomicBool>,
    /// Where inputs are kept that can be read once only.
    kept: Kept,
    total_bytes: Option<u64>,
    read_bytes: Arc<AtomicU64>,
    /// Records that come together at most.
    most: u64,
    current: Option<Current>,
}

/// The input that is read.
struct Current {
    input: Input,
    first: Part,
    found: Found,
    digesting: Digesting,
}

/// Files that hold inputs for as long as a run lasts.
struct Kept {
    folder: PathBuf,
    files: Vec<PathBuf>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        for file in &self.files {
            // One that stays is in nobody's way.
            let _ = std::fs::remove_file(file);
        }
    }
}

impl Reading {
    /// Will read these, of which the tables know so much, and give so many records at once at most.
    pub(super) fn new(
        places: Vec<Place>,
        known: Known,
        folder: &Path,
        most: u64,
        halt: Arc<AtomicBool>,
    ) -> Reading {
        Reading {
            total_bytes: places.iter().map(Place::bytes).sum(),
            places: places.into_iter(),
            known,
            halt,
            kept: Kept { folder: folder.to_owned(), files: Vec::new() },
            read_bytes: Arc::default(),
            most,
            current: None,
        }
    }

    /// The progress of reading, to be followed from elsewhere.
    pub(super) fn progress(&self) -> Progress {
        Progress { total: self.total_bytes, read: Arc::clone(&self.read_bytes) }
    }

    /// The next records; `None` after the last.
    pub(super) fn next_work(&mut self) -> anyhow::Result<Option<Work>> {
        loop {
            let Some(current) = &mut self.current else {
                let Some(place) = self.places.next() else { return Ok(None) };
                self.current = self.open(place)?;
                continue;
            };
            if let Some(work) = current.next_work(self.most)? {
                return Ok(Some(work));
            }
            let Current { first, found, digesting, .. } =
                self.current.take().expect("it was there");
            self.known.note(&first, &found.shard, &digesting.part());
        }
    }

    /// Opens an input at the first record that some table does not have.
    fn open(&mut self, place: Place) -> anyhow::Result<Option<Current>> {
        let place = match place.bytes() {
            Some(_) => place,
            None => self.keep(&place)?,
        };
        let Some((first, found)) = self.find(&place)? else { return Ok(None) };
        let read = Arc::clone(&self.read_bytes);
        let mut input = Input::of(place.clone(), read).until(Arc::clone(&self.halt));
        let start = found.has.first().copied().unwrap_or_default();
        let mut digesting = Digesting::default();
        while input.records() < start {
            let Some(entry) = input.next_record()? else { break };
            digesting.add(&entry);
        }
        if start > 0 {
            let text = format!("snowmelt: {place}: the tables have {start} records of it already");
            terminal::note(&text);
        }
        Ok(Some(Current { input, first, found, digesting }))
    }

    /// Finds an input in the tables; `None` if it has no record.
    fn find(&self, place: &Place) -> anyhow::Result<Option<(Part, Found)>> {
        let mut input = Input::of(place.clone(), Arc::default()).until(Arc::clone(&self.halt));
        let mut digesting = Digesting::default();
        let Some(entry) = input.next_record()? else { return Ok(None) };
        digesting.add(&entry);
        let first = digesting.part();
        let candidates = self.known.candidates(&first);
        let mut parts = BTreeSet::from([first.clone()]);
        let last = candidates.last().copied().unwrap_or_default();
        while input.records() < last {
            // What breaks off is said where it is read to be processed.
            let Ok(Some(entry)) = input.next_record() else { break };
            digesting.add(&entry);
            if candidates.contains(&input.records()) {
                parts.insert(digesting.part());
            }
        }
        let found = self.known.find(&first, &parts);
        Ok(Some((first, found)))
    }

    /// Keeps an input in a file that can be read more than once.
    fn keep(&mut self, place: &Place) -> anyhow::Result<Place> {
        let name = format!(".input-{}-{}", std::process::id(), self.kept.files.len());
        let file = self.kept.folder.join(name);
        self.kept.files.push(file.clone());
        place.keep(&file, &self.halt)
    }
}

impl Current {
    fn next_work(&mut self, most: u64) -> anyhow::Result<Option<Work>> {
        // A table has a whole number of chunks, so that it takes a chunk or leaves it out.
        let at = self.input.records();
        let next = self.found.has.iter().find(|has| **has > at);
        let most = next.map_or(most, |next| most.min(next - at));
        let shard = ShardId::new(self.found.shard.as_str());
        let digesting = &mut self.digesting;
        let chunk = chunk_of(&mut self.input, &shard, most, |entry| digesting.add(entry))?;
        let Some(chunk) = chunk else { return Ok(None) };
        let (shard, part) = (self.found.shard.clone(), self.digesting.part());
        Ok(Some(Work { chunk, shard, part }))
    }
}
