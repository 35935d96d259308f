//! What a replay reads: object after object, record after record, from any place on.
//!
//! An object's first bytes say what it holds; [`entries`] takes it apart. What is damaged is named,
//! and the next object is read: of what stands behind the damage nothing can be told.

mod entries;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use bytes::Bytes;
use lease::ShardId;
use pipeline::replay::Replay;

use super::choice::Choice;
use super::progress::{Place, Tally};
use crate::batch::{Arrival, Record};
use crate::causes::chain;
use crate::commands::enrich::Chunk;
use crate::commands::enrich::chunk::{CHUNK_BYTES, RECORD_BYTES, batch};
use crate::commands::enrich::input::{Broken, places};
use crate::terminal;
use entries::{Entries, Entry, Met, Origin};

/// Everything that is replayed.
pub(super) struct Reading {
    objects: Vec<places::Place>,
    choice: Choice,
    current: Option<Entries>,
    put_back: Option<Entry>,
    place: Place,
    tally: Tally,
    records: u64,
    read_bytes: Arc<AtomicU64>,
    unwanted: Arc<AtomicBool>,
}

/// Records that are processed together.
pub(super) struct Piece {
    /// The records.
    chunk: Chunk,
    /// How far the input is read behind them.
    pub(super) place: Place,
    /// What was met up to there.
    pub(super) tally: Tally,
}

impl AsRef<Chunk> for Piece {
    fn as_ref(&self) -> &Chunk {
        &self.chunk
    }
}

impl Reading {
    /// Will read these objects from a place on. Reading fails soon after `unwanted` is set.
    pub(super) fn new(
        objects: Vec<places::Place>,
        choice: Choice,
        (place, tally): (Place, Tally),
        unwanted: Arc<AtomicBool>,
    ) -> Reading {
        Reading {
            objects,
            choice,
            current: None,
            put_back: None,
            place,
            tally,
            records: 0,
            read_bytes: Arc::default(),
            unwanted,
        }
    }

    /// Where everything before is handed out, and what was met up to there.
    pub(super) fn reached(&self) -> (Place, Tally) {
        (self.place, self.tally.clone())
    }

    /// The bytes read so far, to be followed from elsewhere.
    pub(super) fn read_bytes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.read_bytes)
    }

    /// The next records, about a megabyte of one shard; `None` after the last.
    pub(super) fn piece(&mut self) -> anyhow::Result<Option<Piece>> {
        let Some(first) = self.entry()? else { return Ok(None) };
        let Entry { origin, data, replay, .. } = first;
        let alone = replay.is_some();
        let mut records = vec![record(&origin, data)];
        let mut bytes = records[0].data.len();
        while !alone && bytes + records.len() * RECORD_BYTES < CHUNK_BYTES {
            let Some(entry) = self.entry_of_the_object()? else { break };
            if entry.replay.is_some() || !entry.origin.is_beside(&origin) {
                self.put_back(entry);
                break;
            }
            bytes += entry.data.len();
            records.push(record(&entry.origin, entry.data));
        }
        let replay = replay.unwrap_or_else(|| Replay {
            stream: origin.stream.to_string(),
            events: None,
            about: Arc::clone(&self.choice.about),
        });
        let batch = batch(ShardId::new(&origin.shard), records);
        let first = self.records;
        self.records += batch.records.len() as u64;
        let chunk = Chunk { first, batch, replay: Some(Arc::new(replay)), bytes };
        let (place, tally) = self.reached();
        Ok(Some(Piece { chunk, place, tally }))
    }

    /// The next record that is chosen.
    fn entry(&mut self) -> anyhow::Result<Option<Entry>> {
        loop {
            if self.current.is_none() && !self.open()? {
                return Ok(None);
            }
            if let Some(entry) = self.entry_of_the_object()? {
                return Ok(Some(entry));
            }
        }
    }

    /// Gives the newest record back, to be the next one again.
    fn put_back(&mut self, entry: Entry) {
        self.place.entries -= 1;
        self.tally.read -= 1;
        self.tally.chosen -= 1;
        self.put_back = Some(entry);
    }

    /// The next record that is chosen of the object that is open, or `None` at its end, where it
    /// is closed.
    fn entry_of_the_object(&mut self) -> anyhow::Result<Option<Entry>> {
        loop {
            let next = match self.put_back.take() {
                Some(entry) => Ok(Some(Met::Entry(entry))),
                None => self.current.as_mut().map_or(Ok(None), Entries::next),
            };
            let met = match next {
                Ok(Some(met)) => met,
                Ok(None) => {
                    self.close();
                    return Ok(None);
                }
                Err(error) => return self.damaged(error).map(|()| None),
            };
            self.place.entries += 1;
            self.tally.read += 1;
            match met {
                Met::Left(why) => self.tally.leave(why),
                Met::Entry(entry) if self.choice.takes(entry.came_ms) => {
                    self.tally.chosen += 1;
                    return Ok(Some(entry));
                }
                Met::Entry(_) => {}
            }
        }
    }

    /// The next object is the next to be read.
    fn close(&mut self) {
        self.current = None;
        self.place = Place { object: self.place.object + 1, entries: 0 };
    }

    /// Opens the next object and passes over what of it is done; false if there is none.
    fn open(&mut self) -> anyhow::Result<bool> {
        while let Some(object) = self.objects.get(self.place.object) {
            let about = Arc::clone(&self.choice.about);
            let opened = Entries::open(object, about, &self.read_bytes, &self.unwanted);
            let passed = opened.and_then(|mut entries| {
                for _ in 0..self.place.entries {
                    entries.next()?;
                }
                Ok(entries)
            });
            match passed {
                Ok(entries) => {
                    self.current = Some(entries);
                    return Ok(true);
                }
                Err(error) => self.damaged(error)?,
            }
        }
        Ok(false)
    }

    /// Names an object that is damaged; any other error ends the reading.
    fn damaged(&mut self, error: anyhow::Error) -> anyhow::Result<()> {
        if !error.chain().any(|cause| cause.is::<Broken>()) {
            return Err(error);
        }
        let why = chain(error.as_ref());
        terminal::note(&format!("snowmelt: {why}; the rest of it is left out"));
        self.tally.damage(why);
        self.close();
        Ok(())
    }
}

fn record(origin: &Origin, data: Bytes) -> Record {
    let (sequence, sub_sequence) = (origin.sequence.clone(), origin.sub_sequence);
    Record { sequence, sub_sequence, arrival: Arrival::default(), data }
}
