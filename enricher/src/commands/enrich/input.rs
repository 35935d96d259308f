//! Payload records from files, folders, buckets or standard input.
//!
//! What a file holds is seen from its first bytes: zstd and gzip are unpacked; a first byte of zero
//! begins the length of a record (none is 16 MiB or longer), a brace begins lines of parked
//! records, anything else is lines of Base64. A line that is no record is handed on as it stands,
//! to become a bad row; a file that breaks off ends the input, with its name and the place.

mod blocks;
pub(in crate::commands) mod bucket;
pub(in crate::commands) mod places;
mod standard;
pub(in crate::commands) mod unpacked;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use bytes::Bytes;
use pipeline::parked::Parked;

use crate::aws;
use crate::terminal;
use places::Place;
pub use unpacked::Broken;
use unpacked::{RECORD_BYTES_MAX, Unpacked};

/// All records of all files.
pub struct Input {
    files: std::vec::IntoIter<Place>,
    current: Option<Stream>,
    put_back: Option<Entry>,
    records: u64,
    total_bytes: Option<u64>,
    read_bytes: Arc<AtomicU64>,
    broken_lines: u64,
    /// What the next attempt to read ends with.
    failed: Option<anyhow::Error>,
    /// Whether nobody wants any more of it.
    unwanted: Arc<AtomicBool>,
}

/// One record of the input.
#[derive(Debug)]
pub struct Entry {
    /// The payload record.
    pub data: Bytes,
    /// What a parked line says of it.
    pub parked: Option<Box<Parked>>,
}

/// How far the input has been read.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The size of all files, where it is known.
    pub total: Option<u64>,
    /// How much of them has been read so far.
    pub read: Arc<AtomicU64>,
}

struct Stream {
    file: Unpacked,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    LengthPrefixed,
    Base64Lines,
    ParkedLines,
}

impl Input {
    /// Will read these files in order; `-` is standard input, a folder stands for the files in it,
    /// `s3://BUCKET/NAME` for an object or all objects below it. What is not there is said before
    /// anything is read.
    pub fn open(files: &[PathBuf]) -> anyhow::Result<Input> {
        let places = places::all(files, &aws::Settings::default())?;
        Ok(Input::of_all(places, Arc::default()))
    }

    /// Will read one file, whose bytes are counted in `read`.
    pub(super) fn of(place: Place, read: Arc<AtomicU64>) -> Input {
        Input::of_all(vec![place], read)
    }

    fn of_all(places: Vec<Place>, read: Arc<AtomicU64>) -> Input {
        Input {
            total_bytes: places.iter().map(Place::bytes).sum(),
            files: places.into_iter(),
            current: None,
            put_back: None,
            records: 0,
            read_bytes: read,
            broken_lines: 0,
            failed: None,
            unwanted: Arc::default(),
        }
    }

    /// The same, until `unwanted` is set: then reading fails soon, even while nothing comes.
    pub fn until(self, unwanted: Arc<AtomicBool>) -> Input {
        Input { unwanted, ..self }
    }

    /// How many records have been read so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The progress of reading, to be followed from elsewhere.
    pub fn bytes(&self) -> Progress {
        Progress { total: self.total_bytes, read: Arc::clone(&self.read_bytes) }
    }

    /// The next record; `None` after the last.
    pub fn next_record(&mut self) -> anyhow::Result<Option<Entry>> {
        if let Some(entry) = self.put_back.take() {
            self.records += 1;
            return Ok(Some(entry));
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        loop {
            let Some(stream) = &mut self.current else {
                let Some(file) = self.files.next() else { return Ok(None) };
                self.current = Some(Stream::open(file, &self.read_bytes, &self.unwanted)?);
                continue;
            };
            if let Some(record) = stream.next_record(&mut self.broken_lines)? {
                self.records += 1;
                return Ok(Some(record));
            }
            self.current = None;
        }
    }

    /// Gives back why there is no further record, for whoever asks after those before it are done.
    pub fn put_back_error(&mut self, error: anyhow::Error) {
        self.failed = Some(error);
    }

    /// Gives the newest record back, to be the next one again.
    pub fn put_back(&mut self, entry: Entry) {
        self.records -= 1;
        self.put_back = Some(entry);
    }
}

/// So many broken lines are named one by one.
const BROKEN_LINES_NAMED: u64 = 5;

impl Stream {
    fn open(
        file: Place,
        read: &Arc<AtomicU64>,
        unwanted: &Arc<AtomicBool>,
    ) -> anyhow::Result<Stream> {
        let mut file = Unpacked::open(file, read, unwanted)?;
        let kind = match file.first()? {
            Some(0) => Kind::LengthPrefixed,
            Some(b'{') => Kind::ParkedLines,
            _ => Kind::Base64Lines,
        };
        Ok(Stream { file, kind })
    }

    fn next_record(&mut self, broken: &mut u64) -> anyhow::Result<Option<Entry>> {
        if self.kind == Kind::LengthPrefixed {
            let data = self.length_prefixed()?;
            return Ok(data.map(|data| Entry { data, parked: None }));
        }
        let Some(text) = self.file.line()? else { return Ok(None) };
        let read = match self.kind {
            Kind::ParkedLines => self.parked(&text)?,
            _ => decoded(&text).map(|data| Entry { data, parked: None }),
        };
        Ok(Some(read.unwrap_or_else(|| {
            *broken += 1;
            self.tell_broken(*broken);
            Entry { data: text.into(), parked: None }
        })))
    }

    fn tell_broken(&self, count: u64) {
        let (name, place) = (self.file.name(), self.file.place);
        let expected = match self.kind {
            Kind::ParkedLines => "a parked record",
            _ => "a record in Base64",
        };
        if count <= BROKEN_LINES_NAMED {
            terminal::note(&format!(
                "snowmelt: {name}:{place}: expected {expected}, found another text: it is handled \
                 as a record and becomes a bad row"
            ));
        } else if count == BROKEN_LINES_NAMED + 1 {
            terminal::note("snowmelt: more such lines are not named");
        }
    }

    fn length_prefixed(&mut self) -> anyhow::Result<Option<Bytes>> {
        const LENGTH: usize = size_of::<u32>();
        let place = self.file.place;
        let early = || format!("it ends inside the record at byte {place}; all before it was read");
        let length = self.file.fill(LENGTH)?;
        if length.is_empty() {
            return Ok(None);
        }
        let Some(length) = length.first_chunk() else { return Err(self.file.broken(early())) };
        let length = u32::from_be_bytes(*length) as usize;
        if length > RECORD_BYTES_MAX {
            return Err(self.file.broken(format!(
                "at byte {place}: expected the length of a record, at most {RECORD_BYTES_MAX}, \
                 found {length}; all before it was read"
            )));
        }
        let whole = LENGTH + length;
        if self.file.fill(whole)?.len() < whole {
            return Err(self.file.broken(early()));
        }
        self.file.skip(LENGTH);
        self.file.place += whole as u64;
        Ok(Some(self.file.take(length)))
    }

    /// A parked record; `None` if the line is none. A file whose first line is JSON of another kind
    /// is another file than was meant.
    fn parked(&self, text: &[u8]) -> anyhow::Result<Option<Entry>> {
        let read = Parked::parse(text);
        match read {
            Ok(parked) => {
                let data = decoded(parked.record.as_bytes());
                let usable = lease::SequenceNumber::parse(&parked.sequence).is_some();
                let data = data.filter(|_| usable);
                Ok(data.map(|data| Entry { data, parked: Some(Box::new(parked)) }))
            }
            Err(why)
                if self.file.place == 1
                    && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok() =>
            {
                Err(self.file.broken_line(format!(
                    "expected payload records or lines of parked ones, found other JSON ({why}); \
                     events are results and no input, and bad rows are read by snowmelt replay"
                )))
            }
            Err(_) => Ok(None),
        }
    }
}

fn decoded(text: &[u8]) -> Option<Bytes> {
    base64_simd::forgiving_decode_to_vec(text).ok().map(Bytes::from)
}
