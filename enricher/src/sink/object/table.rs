//! Lines that become a table: one file of Parquet for an object, each of its row groups of one
//! ownership of one shard.
//!
//! Lines wait as text, compressed, and become columns when their object closes: what waits costs
//! the same whatever columns there are, and lines of a lost lease are left out like those of any
//! other object. Files are made one at a time in a worker, on its threads, a part at a time. While
//! one is made it takes, beside what the budget counts, the rows of one row group
//! ([`warehouse::GROUP_BYTES`]), some rows on their way there, and one column's encoder, however
//! many schemas there are.

use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use resolver::Resolver;
use warehouse::{Group, Need, Shapes, file};

use super::{Frame, frame};
use crate::metrics::Metrics;
use crate::pool::{Panicked, Pool};
use crate::shaping::Shaping;
use crate::sink::{Error, Route};
use crate::tables::{AnyRows, ZSTD_LEVEL};

/// Lines that are read before is looked how much memory their rows take.
const SLICE: usize = 256;

/// Makes files of lines.
pub struct Tables {
    pub(in crate::sink) shaping: Shaping,
    pub(in crate::sink) pool: Arc<Pool>,
    pub(in crate::sink) metrics: Arc<Metrics>,
    /// Of the one file that is made at a time.
    pub(in crate::sink) turn: tokio::sync::Mutex<()>,
}

/// Lines of one frame.
struct Piece {
    packed: Bytes,
    now_ms: i64,
    /// Whether they are the first ones of an ownership.
    first: bool,
}

/// Why lines do not become rows yet.
enum Stop {
    /// Columns have to be found out.
    Need(Need),
    /// What was found out meanwhile gives a column another type than it has in earlier rows.
    Changed,
    /// They cannot be encoded.
    Failed(ParquetError),
}

impl Tables {
    /// With the columns of the schemas that a resolver finds.
    pub fn new(resolver: Resolver, pool: Arc<Pool>, metrics: Arc<Metrics>) -> Tables {
        let shaping = Shaping::new(resolver);
        Tables { shaping, pool, metrics, turn: tokio::sync::Mutex::default() }
    }

    /// The file of an object that has these frames.
    pub(super) async fn file(
        &self,
        route: Route,
        frames: &[Frame],
        packed: &Bytes,
    ) -> Result<Bytes, Error> {
        let _turn = self.turn.lock().await;
        let pieces = pieces(frames, packed);
        let mut shapes = self.shaping.shapes();
        loop {
            let growing = Growing::new(route, shapes.clone());
            match self.attempt(growing, pieces.clone(), &mut shapes).await {
                Ok((file, misfits)) => {
                    self.metrics.misfits(route, misfits);
                    return Ok(file);
                }
                // Every attempt knows more schemas than the one before.
                Err(Stop::Changed | Stop::Need(_)) => {}
                Err(Stop::Failed(error)) => return Err(Error::failed("encoding rows", error)),
            }
        }
    }

    async fn attempt(
        &self,
        mut growing: Growing,
        pieces: Vec<Arc<Piece>>,
        shapes: &mut Shapes,
    ) -> Result<(Bytes, u64), Stop> {
        for piece in pieces {
            loop {
                let piece = Arc::clone(&piece);
                let adding = self.pool.run(move || {
                    let added = growing.add(&piece);
                    (growing, added)
                });
                let added;
                (growing, added) = adding.await?;
                match added {
                    Ok(()) => break,
                    Err(Stop::Need(need)) => {
                        *shapes = self.shaping.find(&need).await;
                        growing.set_shapes(shapes)?;
                    }
                    Err(stop) => return Err(stop),
                }
            }
        }
        self.pool.run(move || growing.file()).await?
    }
}

impl From<Panicked> for Stop {
    fn from(panicked: Panicked) -> Stop {
        Stop::Failed(ParquetError::External(panicked.into()))
    }
}

/// The frames one ownership after the other, each in the order in which they came.
fn pieces(frames: &[Frame], packed: &Bytes) -> Vec<Arc<Piece>> {
    let mut start = 0;
    let mut all: Vec<(&Frame, Bytes)> = Vec::with_capacity(frames.len());
    for frame in frames {
        all.push((frame, packed.slice(start..start + frame.bytes)));
        start += frame.bytes;
    }
    let ownership = |frame: &Frame| (frame.origin.shard.clone(), frame.origin.epoch);
    all.sort_by_cached_key(|(frame, _)| ownership(frame));
    let mut last = None;
    let pieces = all.into_iter().map(|(frame, packed)| {
        let this = ownership(frame);
        let first = last.as_ref() != Some(&this);
        last = Some(this);
        Arc::new(Piece { packed, now_ms: frame.origin.now_ms, first })
    });
    pieces.collect()
}

/// A file that grows.
struct Growing {
    route: Route,
    rows: AnyRows,
    group: Group,
    file: file::File,
    properties: parquet::file::properties::WriterPropertiesPtr,
    misfits: u64,
    /// Of the lines that are being added, and how many of them were.
    text: String,
    added: usize,
}

impl Growing {
    fn new(route: Route, shapes: Shapes) -> Growing {
        Growing {
            route,
            rows: AnyRows::with(route, shapes),
            group: Group::default(),
            file: file::File::default(),
            properties: file::properties(ZSTD_LEVEL),
            misfits: 0,
            text: String::new(),
            added: 0,
        }
    }

    /// Adds the lines of a piece, or goes on with them.
    fn add(&mut self, piece: &Piece) -> Result<(), Stop> {
        if self.text.is_empty() {
            if piece.first {
                self.end_group()?;
            }
            self.text = frame::unpack(&piece.packed);
        }
        while self.added < self.text.len() {
            let rest = &self.text[self.added..];
            let end = memchr::memchr_iter(b'\n', rest.as_bytes()).take(SLICE).last();
            let slice = &rest[..end.map_or(rest.len(), |end| end + 1)];
            let lines = slice.split_terminator('\n');
            self.rows.extend(lines, piece.now_ms).map_err(Stop::Need)?;
            self.added += slice.len();
            if self.rows.is_full() {
                self.take_out()?;
            }
        }
        (self.text, self.added) = (String::new(), 0);
        Ok(())
    }

    fn set_shapes(&mut self, shapes: &Shapes) -> Result<(), Stop> {
        self.take_out()?;
        self.misfits += self.rows.misfits();
        self.rows = AnyRows::with(self.route, shapes.clone());
        Ok(())
    }

    fn take_out(&mut self) -> Result<(), Stop> {
        let Some(batch) = self.rows.finish() else { return Ok(()) };
        if !self.group.takes(&batch) {
            return Err(Stop::Changed);
        }
        self.group.add(&batch);
        if self.group.is_full() { self.encode() } else { Ok(()) }
    }

    fn encode(&mut self) -> Result<(), Stop> {
        if self.group.rows() == 0 {
            return Ok(());
        }
        let encoded = std::mem::take(&mut self.group).encode(&self.properties);
        let encoded = encoded.map_err(Stop::Failed)?;
        if !self.file.takes(encoded.columns()) {
            return Err(Stop::Changed);
        }
        self.file.add(encoded);
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), Stop> {
        self.take_out()?;
        self.encode()
    }

    /// The whole file, and how many values fit no column of it.
    fn file(mut self) -> Result<(Bytes, u64), Stop> {
        self.end_group()?;
        let mut bytes = Vec::with_capacity(self.file.bytes());
        self.file.write(&mut bytes, &self.properties).map_err(Stop::Failed)?;
        Ok((Bytes::from(bytes), self.misfits + self.rows.misfits()))
    }
}
