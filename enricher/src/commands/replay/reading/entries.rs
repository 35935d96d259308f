//! The entries of one object: records of an archive, or [`lines`](super::lines).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use event::{Bump, thrift};
use lease::SequenceNumber;
use pipeline::archive::{self, Archived};
use pipeline::replay::About;

use super::entry::{Entry, Met, Origin, What};
use super::lines::Lines;
use crate::commands::enrich::input::places::Place;
use crate::commands::enrich::input::unpacked::Unpacked;
use crate::terminal;

/// An object that is open.
pub(super) struct Entries {
    file: Unpacked,
    kind: Kind,
    lines: Lines,
    arena: Bump,
    /// Lines that are not what was expected.
    broken: u64,
}

/// So many of them are named one by one.
const BROKEN_LINES_NAMED: u64 = 5;

enum Kind {
    Nothing,
    Archive,
    Lines,
}

impl Entries {
    /// Whether it is an archive, which knows nothing of what became of its records.
    pub(super) fn is_archive(&self) -> bool {
        matches!(self.kind, Kind::Archive)
    }

    /// What it is called, for people.
    pub(super) fn name(&self) -> &str {
        self.file.name()
    }

    /// Opens an object, of which events about something are wanted.
    pub(super) fn open(
        object: &Place,
        about: &Arc<About>,
        read: &Arc<AtomicU64>,
        unwanted: &Arc<AtomicBool>,
    ) -> anyhow::Result<Entries> {
        let mut file = Unpacked::open(object.clone(), read, unwanted)?;
        let kind = match file.first()? {
            None => Kind::Nothing,
            // The length of a record, which is none of 16 MiB.
            Some(0) => Kind::Archive,
            Some(b'{') => Kind::Lines,
            Some(_) => {
                return Err(file.broken(format!(
                    "{EXPECTED}, found another text; records that are in no archive are read by \
                     snowmelt enrich"
                )));
            }
        };
        let lines = Lines::new(Arc::clone(about));
        Ok(Entries { file, kind, lines, arena: Bump::new(), broken: 0 })
    }

    /// The next one; `None` at the end.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Met>> {
        match self.kind {
            Kind::Nothing => Ok(None),
            Kind::Archive => self.archived(),
            Kind::Lines => self.line(),
        }
    }

    fn archived(&mut self) -> anyhow::Result<Option<Met>> {
        const LENGTH: usize = size_of::<u32>();
        let place = self.file.place;
        let wrong = |file: &Unpacked, error: archive::Error| {
            let hint = match error {
                archive::Error::Version(_) if place == 0 => {
                    "; records that are in no archive are read by snowmelt enrich"
                }
                _ => "",
            };
            file.broken(format!("at byte {place} (unpacked): {error}{hint}"))
        };
        let head = self.file.fill(LENGTH)?;
        let Some(length) = head.first_chunk() else {
            let cut_off = (!head.is_empty()).then(|| archive::cut_off(head));
            return cut_off.map_or(Ok(None), |error| Err(wrong(&self.file, error)));
        };
        let length = u32::from_be_bytes(*length);
        if length as usize > archive::RECORD_BYTES_MAX {
            return Err(wrong(&self.file, archive::Error::Length(length)));
        }
        let whole = LENGTH + length as usize;
        let there = self.file.fill(whole)?;
        if there.len() < whole {
            let error = archive::cut_off(there);
            return Err(wrong(&self.file, error));
        }
        let bytes = self.file.take(whole);
        let read = match Archived::first(&bytes) {
            Ok(read) => read.expect("all of it is there").0,
            Err(error) => return Err(wrong(&self.file, error)),
        };
        let Some(sequence) = SequenceNumber::parse(read.sequence) else {
            let found = read.sequence;
            return Err(self.file.broken(format!(
                "at byte {place} (unpacked): expected a sequence number, found {found:?}"
            )));
        };
        self.file.place += whole as u64;
        let origin = Origin {
            stream: read.stream.into(),
            shard: read.shard.into(),
            sequence,
            sub_sequence: read.sub_sequence,
        };
        let came_ms = read.arrived_ms.or_else(|| self.collected_ms(read.data));
        let data = bytes.slice_ref(read.data);
        let (what, reasons) = (What::Record { data }, Vec::new());
        Ok(Some(Met::Entry(Entry { origin, came_ms, what, reasons, events: 0 })))
    }

    fn line(&mut self) -> anyhow::Result<Option<Met>> {
        let Some(line) = self.file.line()? else { return Ok(None) };
        match self.lines.read(&line) {
            Ok(met) => Ok(Some(met)),
            // Where the first line is another kind of text, another object was meant.
            Err(why) if self.file.place == 1 => {
                Err(self.file.broken_line(format!("{EXPECTED}, found another line: {why}")))
            }
            Err(why) => {
                self.tell_broken(&why);
                Ok(Some(Met::Left("lines that are none of what is replayed".to_owned())))
            }
        }
    }

    fn tell_broken(&mut self, why: &str) {
        self.broken += 1;
        let (name, place) = (self.file.name(), self.file.place);
        if self.broken <= BROKEN_LINES_NAMED {
            terminal::note(&format!(
                "snowmelt: {name}:{place}: {EXPECTED}, found another text: {why}; it is left out"
            ));
        } else if self.broken == BROKEN_LINES_NAMED + 1 {
            terminal::note(&format!("snowmelt: {name}: more such lines are not named"));
        }
    }

    /// When the collector took a record, if it is one.
    fn collected_ms(&mut self, record: &[u8]) -> Option<i64> {
        self.arena.reset();
        thrift::read(record, &self.arena).ok().map(|wire| wire.timestamp)
    }
}

const EXPECTED: &str =
    "expected records of an archive, parked records, bad rows or oversized lines";
