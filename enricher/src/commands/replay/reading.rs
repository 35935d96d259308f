//! What a replay reads: object after object, record after record, from any place on.
//!
//! An object's first bytes say what it holds; [`entries`] takes it apart. What is damaged is named,
//! and the next object is read: of what stands behind the damage nothing can be told.

mod entries;
mod entry;
mod lines;
mod manifest;
pub(super) mod shards;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use bytes::Bytes;
use lease::{Position, ShardId};
use pipeline::Route;
use pipeline::replay::{About, Replay};

use super::choice::Choice;
use super::tally::{Place, Tally};
use crate::batch::{Arrival, Batch, Record};
use crate::causes::chain;
use crate::commands::enrich::Chunk;
use crate::commands::enrich::chunk::{CHUNK_BYTES, RECORD_BYTES};
use crate::commands::enrich::input::{Broken, places};
use crate::terminal;
use entries::Entries;
use entry::{Entry, Met, Origin, What};
pub(super) use lines::waits;
use shards::{Shard, Stream};

/// What is read from its beginning to its end.
pub(super) enum Object {
    /// A file, or an object of a bucket.
    File(places::Place),
    /// A shard of a stream, by name.
    Shard(Arc<Stream>, String),
}

/// An object that is open.
enum Opened {
    File(Box<Entries>),
    Shard(Shard),
}

/// Everything that is replayed.
pub(super) struct Reading {
    objects: Vec<Object>,
    choice: Choice,
    /// Of streams only what came before is read.
    until_ms: i64,
    current: Option<Opened>,
    put_back: Option<Entry>,
    place: Place,
    /// The record before the newest one of a shard.
    before: Option<String>,
    tally: Tally,
    records: u64,
    read_bytes: Arc<AtomicU64>,
    unwanted: Arc<AtomicBool>,
}

/// What is processed together.
pub(super) struct Piece {
    /// Records.
    chunk: Chunk,
    /// In place of records, the line of an event that was too large, and the route it was for.
    pub(super) line: Option<(Route, String)>,
    /// Whether the one record is meant only if it has no more than one event.
    pub(super) only_of_one: bool,
    /// Why its events are where they are, and how many they are, as far as that is known.
    pub(super) before: Option<(Vec<String>, u64)>,
    /// How far the input is read behind it.
    pub(super) place: Place,
    /// What was met up to there.
    pub(super) tally: Tally,
}

impl Opened {
    fn next(&mut self) -> anyhow::Result<Option<Met>> {
        match self {
            Opened::File(entries) => entries.next(),
            Opened::Shard(shard) => shard.next(),
        }
    }
}

impl Piece {
    /// What its events have to be about.
    pub(super) fn about(&self) -> &About {
        &self.chunk.replay.as_ref().expect("every piece has one").about
    }
}

impl AsRef<Chunk> for Piece {
    fn as_ref(&self) -> &Chunk {
        &self.chunk
    }
}

impl Reading {
    /// Will read these objects from a place on. Reading fails soon after `unwanted` is set.
    pub(super) fn new(
        objects: Vec<Object>,
        (choice, begun_ms): (Choice, i64),
        (place, tally): (Place, Tally),
        unwanted: Arc<AtomicBool>,
    ) -> Reading {
        Reading {
            objects,
            until_ms: choice.until_ms().unwrap_or(begun_ms),
            choice,
            current: None,
            put_back: None,
            before: None,
            place,
            tally,
            records: 0,
            read_bytes: Arc::default(),
            unwanted,
        }
    }

    /// Where everything before is handed out, and what was met up to there.
    pub(super) fn reached(&self) -> (Place, Tally) {
        (self.place.clone(), self.tally.clone())
    }

    /// The bytes read so far, to be followed from elsewhere.
    pub(super) fn read_bytes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.read_bytes)
    }

    /// The next records, about a megabyte of one shard; `None` after the last.
    pub(super) fn piece(&mut self) -> anyhow::Result<Option<Piece>> {
        let Some(entry) = self.entry()? else { return Ok(None) };
        let Entry { origin, what, reasons, events, .. } = entry;
        let about = Arc::clone(&self.choice.about);
        let (mut line, mut only_of_one) = (None, false);
        let (records, replay) = match what {
            What::Record { data } => {
                let replay = Replay { stream: origin.stream.to_string(), events: None, about };
                (self.records_beside(&origin, data)?, replay)
            }
            What::Alone { data, replay, only_of_one: only } => {
                only_of_one = only;
                (vec![record(&origin, data)], replay)
            }
            What::Line { route, line: text } => {
                line = Some((route, text));
                (Vec::new(), Replay { about, ..Replay::default() })
            }
        };
        let (first, bytes) = (self.records, records.iter().map(|record| record.data.len()).sum());
        self.records += records.len() as u64;
        let batch = Batch {
            shard: ShardId::new(&origin.shard),
            records,
            lag: None,
            end: Position::ShardEnd,
        };
        let chunk = Chunk { first, batch, replay: Some(Arc::new(replay)), bytes };
        let before = (!reasons.is_empty()).then_some((reasons, events));
        let (place, tally) = self.reached();
        Ok(Some(Piece { chunk, line, only_of_one, before, place, tally }))
    }

    /// A record, and those behind it that may be in one batch with it.
    fn records_beside(&mut self, origin: &Origin, data: Bytes) -> anyhow::Result<Vec<Record>> {
        let mut bytes = data.len();
        let mut records = vec![record(origin, data)];
        while bytes + records.len() * RECORD_BYTES < CHUNK_BYTES {
            match self.entry_of_the_object()? {
                Some(Entry { origin: own, what: What::Record { data }, .. })
                    if own.is_beside(origin) =>
                {
                    bytes += data.len();
                    records.push(record(&own, data));
                }
                Some(other) => {
                    self.put_back(other);
                    break;
                }
                None => break,
            }
        }
        Ok(records)
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
        self.place.after = self.before.take();
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
                None => self.current.as_mut().map_or(Ok(None), Opened::next),
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
            if let (Some(Opened::Shard(_)), Met::Entry(entry)) = (&self.current, &met) {
                let Origin { sequence, sub_sequence, .. } = &entry.origin;
                let after = Some(shards::after(sequence, *sub_sequence));
                self.before = std::mem::replace(&mut self.place.after, after);
            }
            match met {
                Met::Left(why) => self.tally.leave(&why),
                Met::Entry(entry) if self.choice.takes(entry.came_ms, &entry.reasons) => {
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
        self.place = Place::beginning_of(self.place.object + 1);
    }

    /// Opens the next object and passes over what of it is done; false if there is none.
    fn open(&mut self) -> anyhow::Result<bool> {
        while let Some(object) = self.objects.get(self.place.object) {
            let opened = match object {
                Object::File(file) => self.open_file(file),
                Object::Shard(stream, shard) => {
                    let times = (self.choice.since_ms(), self.until_ms);
                    self.choice.check_archive(shard)?;
                    let shard = stream.shard(shard, self.place.after.as_deref(), times)?;
                    Ok(Some(Opened::Shard(shard)))
                }
            };
            match opened {
                Ok(Some(opened)) => {
                    self.current = Some(opened);
                    return Ok(true);
                }
                Ok(None) => {
                    self.tally.passed_over += 1;
                    self.close();
                }
                Err(error) => self.damaged(error)?,
            }
        }
        Ok(false)
    }

    /// Opens a file; `None` if nothing in it came in the time in question.
    fn open_file(&self, file: &places::Place) -> anyhow::Result<Option<Opened>> {
        let by_time = self.choice.is_by_time() && self.place.entries == 0;
        let arrived = by_time.then(|| manifest::arrived(file)).flatten();
        if arrived.is_some_and(|range| self.choice.takes_nothing_of(range)) {
            return Ok(None);
        }
        let about = &self.choice.about;
        let mut entries = Entries::open(file, about, &self.read_bytes, &self.unwanted)?;
        if entries.is_archive() {
            self.choice.check_archive(entries.name())?;
        }
        for _ in 0..self.place.entries {
            entries.next()?;
        }
        Ok(Some(Opened::File(Box::new(entries))))
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
