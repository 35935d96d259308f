//! One file, opened wherever it is and unpacked, to be read by lines or by pieces that say how long
//! they are. A file that breaks off is named, with the place.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Context;
use bytes::Bytes;

use super::blocks::Blocks;
use super::places::Place;
use super::standard::{Standard, unwanted};
use crate::terminal;

/// A file that is not what was expected, or breaks off: what stands before was read whole.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {what}")]
pub struct Broken {
    place: String,
    what: String,
}

/// One file.
pub(in crate::commands) struct Unpacked {
    name: String,
    reader: Box<dyn BufRead + Send>,
    blocks: Blocks,
    packed: Option<Packing>,
    /// How many lines were read, or how many bytes of whole records.
    pub(in crate::commands) place: u64,
}

/// No collector writes records larger than a stream takes; more is a mistake about the file.
pub(super) const RECORD_BYTES_MAX: usize = (1 << 24) - 1;

/// Base64 takes four bytes for three; what a parked record has besides is short.
const LINE_BYTES_MAX: usize = RECORD_BYTES_MAX / 3 * 4 + (1 << 20);

impl Unpacked {
    /// Opens a file. Its bytes are counted in `read`; reading fails soon after `unwanted` is set.
    pub(in crate::commands) fn open(
        file: Place,
        read: &Arc<AtomicU64>,
        unwanted: &Arc<AtomicBool>,
    ) -> anyhow::Result<Unpacked> {
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
        Ok(Unpacked { name, reader, blocks: Blocks::default(), packed, place: 0 })
    }

    /// What it is called, for people.
    pub(in crate::commands) fn name(&self) -> &str {
        &self.name
    }

    /// Its first byte, before any is read; `None` if it is empty.
    pub(in crate::commands) fn first(&mut self) -> anyhow::Result<Option<u8>> {
        loop {
            match self.reader.fill_buf() {
                Ok(bytes) => return Ok(bytes.first().copied()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken_off("at its beginning", error)),
            }
        }
    }

    /// How much of the next so many bytes is there: less only where the file ends.
    pub(in crate::commands) fn fill(&mut self, bytes: usize) -> anyhow::Result<&[u8]> {
        // Twice, since an error has to name the file.
        if let Err(error) = self.blocks.fill(bytes, &mut self.reader) {
            return Err(self.broken_off(&format!("at byte {}", self.place), error));
        }
        let there = self.blocks.fill(bytes, &mut self.reader);
        there.context("what was just there is there still")
    }

    /// Cuts off bytes that are there.
    pub(in crate::commands) fn take(&mut self, bytes: usize) -> Bytes {
        self.blocks.take(bytes)
    }

    /// Passes over bytes that are there.
    pub(in crate::commands) fn skip(&mut self, bytes: usize) {
        self.blocks.skip(bytes);
    }

    /// The next line that is not empty, without the spaces around it.
    pub(in crate::commands) fn line(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let line = self.whole_line()?;
        Ok(line.map(|line| line.trim_ascii().to_vec()))
    }

    /// The next line that has more than spaces, with all but its end.
    pub(in crate::commands) fn whole_line(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        loop {
            self.place += 1;
            line.clear();
            let bounded = self.reader.by_ref().take(LINE_BYTES_MAX as u64);
            let read = { bounded }.read_until(b'\n', &mut line);
            let place = format!("in line {}", self.place);
            let read = read.map_err(|error| self.broken_off(&place, error))?;
            if read == 0 {
                return Ok(None);
            }
            if read == LINE_BYTES_MAX {
                return Err(self.broken_line(format!(
                    "expected a record, found a line of more than {LINE_BYTES_MAX} bytes; all \
                     before it was read"
                )));
            }
            if !line.trim_ascii().is_empty() {
                let end = line.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
                line.truncate(end.map_or(0, |end| end + 1));
                return Ok(Some(line));
            }
        }
    }

    /// The file is not as it should be.
    pub(in crate::commands) fn broken(&self, what: String) -> anyhow::Error {
        Broken { place: self.name.clone(), what }.into()
    }

    /// The newest line is not as it should be.
    pub(in crate::commands) fn broken_line(&self, what: String) -> anyhow::Error {
        Broken { place: format!("{}:{}", self.name, self.place), what }.into()
    }

    /// What a failure to read means: a packed file that breaks off is broken, anything else is the
    /// disk's or the network's.
    fn broken_off(&self, place: &str, error: io::Error) -> anyhow::Error {
        let of_the_file = matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::InvalidData
                | io::ErrorKind::Other
        );
        match self.packed.filter(|_| of_the_file && error.raw_os_error().is_none()) {
            Some(packed) => self.broken(format!(
                "{place} (unpacked): the {packed:?} data ends early or is damaged ({error}); all \
                 before it was read"
            )),
            None => {
                anyhow::Error::from(error).context(format!("cannot read {}, {place}", self.name))
            }
        }
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
            return Err(unwanted());
        }
        let read = self.source.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
