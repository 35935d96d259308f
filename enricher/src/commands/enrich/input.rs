//! Payload records from files or standard input.
//!
//! What a file holds is seen from its first bytes: zstd is unpacked; a first byte of zero begins
//! the length of a record (none is 16 MiB or longer), a brace begins lines of parked records,
//! anything else is lines of Base64.

mod blocks;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;

use blocks::Blocks;
use pipeline::parked::Parked;

/// All records of all files.
pub struct Input {
    files: std::vec::IntoIter<PathBuf>,
    current: Option<Stream>,
    put_back: Option<Entry>,
    records: u64,
    total_bytes: Option<u64>,
    read_bytes: Arc<AtomicU64>,
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
    name: String,
    reader: Box<dyn BufRead + Send>,
    blocks: Blocks,
    kind: Kind,
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
    /// Will read these files in order; `-` is standard input.
    pub fn open(files: Vec<PathBuf>) -> Input {
        let size = |file: &PathBuf| std::fs::metadata(file).ok().map(|data| data.len());
        let total_bytes = files.iter().map(size).sum();
        Input {
            files: files.into_iter(),
            current: None,
            put_back: None,
            records: 0,
            total_bytes,
            read_bytes: Arc::default(),
        }
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
        loop {
            let Some(stream) = &mut self.current else {
                let Some(file) = self.files.next() else { return Ok(None) };
                self.current = Some(Stream::open(&file, &self.read_bytes)?);
                continue;
            };
            if let Some(record) = stream.next_record()? {
                self.records += 1;
                return Ok(Some(record));
            }
            self.current = None;
        }
    }

    /// Gives the newest record back, to be the next one again.
    pub fn put_back(&mut self, entry: Entry) {
        self.records -= 1;
        self.put_back = Some(entry);
    }
}

/// No collector writes records larger than a stream takes; more is a mistake about the file.
const RECORD_BYTES_MAX: usize = (1 << 24) - 1;

impl Stream {
    fn open(file: &Path, read: &Arc<AtomicU64>) -> anyhow::Result<Stream> {
        let name = file.display().to_string();
        let source: Box<dyn Read + Send> = match name.as_str() {
            "-" => Box::new(io::stdin()),
            _ => Box::new(File::open(file).with_context(|| format!("cannot open {name}"))?),
        };
        let counted = Counted { source, read: Arc::clone(read) };
        let mut reader: Box<dyn BufRead + Send> =
            Box::new(BufReader::with_capacity(1 << 18, counted));
        if starts_with_zstd(reader.fill_buf()?) {
            let unpacked = zstd::Decoder::with_buffer(reader)?;
            reader = Box::new(BufReader::with_capacity(1 << 18, unpacked));
        }
        let kind = match reader.fill_buf()?.first() {
            Some(0) => Kind::LengthPrefixed,
            Some(b'{') => Kind::ParkedLines,
            _ => Kind::Base64Lines,
        };
        Ok(Stream { name, reader, blocks: Blocks::default(), kind, place: 0 })
    }

    fn next_record(&mut self) -> anyhow::Result<Option<Entry>> {
        let plain = |data: Option<Bytes>| data.map(|data| Entry { data, parked: None });
        match self.kind {
            Kind::LengthPrefixed => self.length_prefixed().map(plain),
            Kind::Base64Lines => self.base64_line().map(plain),
            Kind::ParkedLines => self.parked_line(),
        }
    }

    fn length_prefixed(&mut self) -> anyhow::Result<Option<Bytes>> {
        const LENGTH: usize = size_of::<u32>();
        let (name, place) = (&self.name, self.place);
        let early = || format!("{name}: the file ends inside the record at byte {place}");
        let length = self.blocks.fill(LENGTH, &mut self.reader)?;
        if length.is_empty() {
            return Ok(None);
        }
        let length = length.first_chunk().with_context(early)?;
        let length = u32::from_be_bytes(*length) as usize;
        ensure!(
            length <= RECORD_BYTES_MAX,
            "{name}: at byte {place}: expected the length of a record, at most {RECORD_BYTES_MAX}, \
             found {length}"
        );
        let whole = LENGTH + length;
        ensure!(self.blocks.fill(whole, &mut self.reader)?.len() == whole, early());
        self.blocks.skip(LENGTH);
        self.place += whole as u64;
        Ok(Some(self.blocks.take(length)))
    }

    fn base64_line(&mut self) -> anyhow::Result<Option<Bytes>> {
        let Some(text) = self.line()? else { return Ok(None) };
        let Ok(record) = base64_simd::forgiving_decode_to_vec(&text) else {
            bail!("{}:{}: expected a record in Base64, found another text", self.name, self.place)
        };
        Ok(Some(record.into()))
    }

    fn parked_line(&mut self) -> anyhow::Result<Option<Entry>> {
        let Some(text) = self.line()? else { return Ok(None) };
        let place = || format!("{}:{}: expected a parked record", self.name, self.place);
        let parked = Parked::parse(&text).with_context(place)?;
        let data = base64_simd::forgiving_decode_to_vec(parked.record.as_bytes());
        let data = data.ok().with_context(|| format!("{}, its `record` in Base64", place()))?;
        Ok(Some(Entry { data: data.into(), parked: Some(Box::new(parked)) }))
    }

    /// The next line that is not empty.
    fn line(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        loop {
            self.place += 1;
            line.clear();
            // Base64 takes four bytes for three; what a parked record has besides is short.
            let bound = (RECORD_BYTES_MAX / 3 * 4 + (1 << 20)) as u64;
            if self.reader.by_ref().take(bound).read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line.trim_ascii().to_vec()));
            }
        }
    }
}

fn starts_with_zstd(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
}

struct Counted {
    source: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
