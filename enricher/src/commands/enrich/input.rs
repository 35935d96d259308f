//! Payload records from files, folders, buckets or standard input.
//!
//! What a file holds is seen from its first bytes: zstd and gzip are unpacked; a first byte of zero
//! begins the length of a record (none is 16 MiB or longer), a brace begins lines of parked
//! records, anything else is lines of Base64. A line that is no record is handed on as it stands,
//! to become a bad row; a file that breaks off ends the input, with its name and the place.

mod blocks;
mod bucket;
mod places;
mod standard;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Context;
use bytes::Bytes;
use pipeline::parked::Parked;

use crate::terminal;
use blocks::Blocks;
use places::Place;
use standard::Standard;

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

/// A file that is not what `enrich` reads, or breaks off: what stands before was read whole.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {what}")]
pub struct Broken {
    place: String,
    what: String,
}

struct Stream {
    name: String,
    reader: Box<dyn BufRead + Send>,
    blocks: Blocks,
    kind: Kind,
    packed: Option<Packing>,
    /// Bytes of the record length and records read, or lines.
    place: u64,
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
        let places = places::all(files)?;
        Ok(Input {
            total_bytes: places.iter().map(Place::bytes).sum(),
            files: places.into_iter(),
            current: None,
            put_back: None,
            records: 0,
            read_bytes: Arc::default(),
            broken_lines: 0,
            failed: None,
            unwanted: Arc::default(),
        })
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

/// No collector writes records larger than a stream takes; more is a mistake about the file.
const RECORD_BYTES_MAX: usize = (1 << 24) - 1;

/// Base64 takes four bytes for three; what a parked record has besides is short.
const LINE_BYTES_MAX: usize = RECORD_BYTES_MAX / 3 * 4 + (1 << 20);

/// So many broken lines are named one by one.
const BROKEN_LINES_NAMED: u64 = 5;

impl Stream {
    fn open(
        file: Place,
        read: &Arc<AtomicU64>,
        unwanted: &Arc<AtomicBool>,
    ) -> anyhow::Result<Stream> {
        let name = file.to_string();
        terminal::detail(&format!("snowmelt: reading {name}"));
        let source: Box<dyn Read + Send> = match file {
            Place::Standard => Box::new(Standard::new(Arc::clone(unwanted))),
            Place::File { path, .. } => {
                Box::new(File::open(path).with_context(|| format!("cannot open {name}"))?)
            }
            Place::Object(object) => Box::new(object.open()?),
        };
        let (read, unwanted) = (Arc::clone(read), Arc::clone(unwanted));
        let counted = Counted { source, read, unwanted };
        let mut reader: Box<dyn BufRead + Send> =
            Box::new(BufReader::with_capacity(1 << 18, counted));
        let first = reader.fill_buf().with_context(|| format!("cannot read {name}"))?;
        let packed = packing(first);
        reader = match packed {
            Some(Packing::Zstd) => unpacking(zstd::Decoder::with_buffer(reader)?),
            Some(Packing::Gzip) => unpacking(flate2::bufread::MultiGzDecoder::new(reader)),
            None => reader,
        };
        Stream::of(name, reader, packed)
    }

    fn of(
        name: String,
        mut reader: Box<dyn BufRead + Send>,
        packed: Option<Packing>,
    ) -> anyhow::Result<Stream> {
        let first = loop {
            match reader.fill_buf() {
                Ok(bytes) => break bytes.first().copied(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broken_off(&name, packed, "at its beginning", error)),
            }
        };
        let kind = match first {
            Some(0) => Kind::LengthPrefixed,
            Some(b'{') => Kind::ParkedLines,
            _ => Kind::Base64Lines,
        };
        Ok(Stream { name, reader, blocks: Blocks::default(), kind, packed, place: 0 })
    }

    fn next_record(&mut self, broken: &mut u64) -> anyhow::Result<Option<Entry>> {
        if self.kind == Kind::LengthPrefixed {
            let data = self.length_prefixed()?;
            return Ok(data.map(|data| Entry { data, parked: None }));
        }
        let Some(text) = self.line()? else { return Ok(None) };
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
        let (name, place) = (&self.name, self.place);
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
        let place = format!("at byte {}", self.place);
        let early = || Broken {
            place: self.name.clone(),
            what: format!("it ends inside the record {place}; all before it was read"),
        };
        let failed = |error| broken_off(&self.name, self.packed, &place, error);
        let length = self.blocks.fill(LENGTH, &mut self.reader).map_err(failed)?;
        if length.is_empty() {
            return Ok(None);
        }
        let length = *length.first_chunk().ok_or_else(early)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > RECORD_BYTES_MAX {
            let what = format!(
                "{place}: expected the length of a record, at most {RECORD_BYTES_MAX}, found \
                 {length}; all before it was read"
            );
            return Err(Broken { place: self.name.clone(), what }.into());
        }
        let whole = LENGTH + length;
        let failed = |error| broken_off(&self.name, self.packed, &place, error);
        if self.blocks.fill(whole, &mut self.reader).map_err(failed)?.len() < whole {
            return Err(early().into());
        }
        self.blocks.skip(LENGTH);
        self.place += whole as u64;
        Ok(Some(self.blocks.take(length)))
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
                if self.place == 1
                    && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok() =>
            {
                let what = format!(
                    "expected payload records or lines of parked ones, found other JSON ({why}); \
                     bad rows and events are results and no input"
                );
                Err(Broken { place: format!("{}:1", self.name), what }.into())
            }
            Err(_) => Ok(None),
        }
    }

    /// The next line that is not empty.
    fn line(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        loop {
            self.place += 1;
            line.clear();
            let bounded = self.reader.by_ref().take(LINE_BYTES_MAX as u64);
            let read = { bounded }.read_until(b'\n', &mut line);
            let place = format!("in line {}", self.place);
            let read = read.map_err(|error| broken_off(&self.name, self.packed, &place, error))?;
            if read == 0 {
                return Ok(None);
            }
            if read == LINE_BYTES_MAX {
                let what = format!(
                    "expected a record, found a line of more than {LINE_BYTES_MAX} bytes; all \
                     before it was read"
                );
                return Err(Broken { place: format!("{}:{}", self.name, self.place), what }.into());
            }
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line.trim_ascii().to_vec()));
            }
        }
    }
}

fn decoded(text: &[u8]) -> Option<Bytes> {
    base64_simd::forgiving_decode_to_vec(text).ok().map(Bytes::from)
}

/// What a failure to read means: a packed file that breaks off is broken, anything else is the
/// disk's or the network's.
fn broken_off(name: &str, packed: Option<Packing>, place: &str, error: io::Error) -> anyhow::Error {
    let of_the_file = matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidData
            | io::ErrorKind::Other
    );
    match packed.filter(|_| of_the_file && error.raw_os_error().is_none()) {
        Some(packed) => Broken {
            place: name.to_owned(),
            what: format!(
                "{place} (unpacked): the {packed:?} data ends early or is damaged ({error}); all \
                 before it was read"
            ),
        }
        .into(),
        None => anyhow::Error::from(error).context(format!("cannot read {name}, {place}")),
    }
}

fn unpacking(unpacked: impl Read + Send + 'static) -> Box<dyn BufRead + Send> {
    Box::new(BufReader::with_capacity(1 << 18, unpacked))
}

/// How a file is packed.
#[derive(Clone, Copy, Debug)]
enum Packing {
    Zstd,
    Gzip,
}

fn packing(bytes: &[u8]) -> Option<Packing> {
    match bytes {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Packing::Zstd),
        [0x1f, 0x8b, ..] => Some(Packing::Gzip),
        _ => None,
    }
}

struct Counted {
    source: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
    unwanted: Arc<AtomicBool>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Here and not only between records: an input may be long without having any.
        if self.unwanted.load(Ordering::Relaxed) {
            return Err(standard::unwanted());
        }
        let read = self.source.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
