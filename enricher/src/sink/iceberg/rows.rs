//! Lines that become data files of a table.
//!
//! All lines of a link are of one ownership of one shard, so what waits is given up as soon as it
//! is encoded: while files are made they take what lines took, the rows of one row group
//! ([`warehouse::GROUP_BYTES`]), and one column's encoder. They are made one at a time in a worker.
//!
//! A table gets a column before there are rows that have it. Where a schema asks for another type
//! than the table's column has, which happens when what was published is changed, there is no
//! column for it, and values stand in `_misfits`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::columns::{Field, Kind};
use lakehouse::{Complete, Error as LakeError, Growing, Lake, Table};
use tokio::time::timeout;
use warehouse::{Batch, Need, Shape, Shapes, file};

use super::Iceberg;
use super::run::Frame;
use crate::sink::object::frame;
use crate::sink::{Error, Route};
use crate::tables::{AnyRows, ZSTD_LEVEL};

/// Lines that are read before is looked how much memory their rows take.
const SLICE: usize = 256;

const DAY_MS: i64 = 86_400_000;

/// A catalog that does not answer sooner is not waited for, where what it said last will do.
const SOON: Duration = Duration::from_secs(10);

/// What is known of a table.
#[derive(Default)]
pub(super) struct Known {
    /// As it was last read.
    table: Mutex<Option<Table>>,
    /// The columns that it has.
    shapes: Mutex<Shapes>,
}

/// Why lines do not become rows yet.
enum Stop {
    /// Columns have to be found out.
    Need(Need),
    /// The table has columns that it did not have when the file was begun.
    Narrow,
    /// They cannot be encoded.
    Failed(LakeError),
}

impl From<LakeError> for Stop {
    fn from(error: LakeError) -> Stop {
        Stop::Failed(error)
    }
}

impl Iceberg {
    /// The files of frames, by table.
    pub(super) async fn files(
        &self,
        frames: Vec<Frame>,
    ) -> Result<Vec<(usize, Vec<Complete>)>, Error> {
        let _turn = self.making.turn.lock().await;
        let mut by_table: BTreeMap<usize, Vec<Frame>> = BTreeMap::new();
        for frame in frames {
            by_table.entry(frame.table).or_default().push(frame);
        }
        let mut made = Vec::new();
        for (table, frames) in by_table {
            made.push((table, self.files_of(table, frames).await?));
        }
        Ok(made)
    }

    async fn files_of(&self, table: usize, frames: Vec<Frame>) -> Result<Vec<Complete>, Error> {
        let (route, ..) = self.settings.tables[table];
        let known = &self.known[table];
        let kept = known.table();
        let newest = self.newest(table, kept).await?;
        let mut filling = Filling::new(route, newest, known.shapes());
        for frame in frames {
            let Frame { packed, now_ms, .. } = frame;
            let mut text = Some(packed);
            loop {
                let adding = self.making.pool.run(move || {
                    let added = filling.add(text.take(), now_ms);
                    (filling, added)
                });
                let added;
                (filling, added) = adding.await.map_err(|e| Error::failed("making rows", e))?;
                text = None;
                match added {
                    Ok(()) => break,
                    Err(Stop::Need(need)) => filling.shapes = Some(self.find(table, &need).await?),
                    Err(Stop::Narrow) => filling.table = self.newest(table, None).await?,
                    Err(Stop::Failed(error)) => return Err(Error::failed("encoding rows", error)),
                }
            }
        }
        loop {
            let ending = self.making.pool.run(move || {
                let ended = filling.end();
                (filling, ended)
            });
            let ended;
            (filling, ended) = ending.await.map_err(|e| Error::failed("making rows", e))?;
            match ended {
                Ok(()) => break,
                Err(Stop::Narrow) => filling.table = self.newest(table, None).await?,
                Err(Stop::Need(need)) => {
                    return Err(Error::failed("encoding rows", format!("{need:?} after the last")));
                }
                Err(Stop::Failed(error)) => return Err(Error::failed("encoding rows", error)),
            }
        }
        self.metrics.misfits(route, filling.misfits + filling.rows.misfits());
        Ok(filling.complete)
    }

    /// The table as it is, or as it was where that will do and nobody answers.
    async fn newest(&self, table: usize, kept: Option<Table>) -> Result<Table, Error> {
        let read = || async { self.lake(table).await?.table().await };
        let newest = match kept {
            Some(kept) => match timeout(SOON, read()).await {
                Ok(Ok(newest)) => newest,
                _ => kept,
            },
            None => self.try_until(read).await?,
        };
        *self.known[table].table.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(newest.clone());
        Ok(newest)
    }

    async fn lake(&self, table: usize) -> Result<&Lake, LakeError> {
        let (_, name, _) = self.settings.tables[table];
        Ok(self.lakes().await?.table(name).expect("it is one of them"))
    }

    /// Finds out columns, and sees to it that the table has them.
    async fn find(&self, table: usize, need: &Need) -> Result<Shapes, Error> {
        let found = self.making.shaping.find(need).await;
        let mut shapes: BTreeMap<&String, Option<Arc<Shape>>> =
            need.0.iter().map(|uri| (uri, found.get(uri).flatten().cloned())).collect();
        self.try_until(|| async {
            let lake = self.lake(table).await?;
            let fields: Vec<Field> = shapes.values().flatten().flat_map(|s| fields(s)).collect();
            let conflicts = lake.conflicts(&fields).await?;
            let fits: Vec<Field> =
                fields.into_iter().filter(|field| !conflicts.contains_key(&field.name)).collect();
            lake.evolve(&fits).await?;
            Ok(conflicts)
        })
        .await
        .map(|conflicts| {
            for (column, why) in &conflicts {
                let (_, table, _) = self.settings.tables[table];
                tracing::warn!(table, column, why, "values of a schema stand in _misfits");
            }
            let names: BTreeSet<&str> = conflicts.keys().map(String::as_str).collect();
            for shape in shapes.values_mut() {
                *shape = shape.take().and_then(|shape| without(&shape, &names));
            }
            let mut known = self.known[table].shapes.lock().unwrap_or_else(PoisonError::into_inner);
            let more = shapes.into_iter().map(|(uri, shape)| (uri.clone(), shape));
            *known = known.with(more);
            known.clone()
        })
    }
}

impl Known {
    fn table(&self) -> Option<Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn shapes(&self) -> Shapes {
        self.shapes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The columns that data of a schema has.
fn fields(shape: &Shape) -> impl Iterator<Item = Field> {
    [Kind::Event, Kind::Entity].into_iter().filter_map(|kind| shape.column(kind).cloned())
}

/// The same without columns of these names; nothing where none is left.
fn without(shape: &Arc<Shape>, names: &BTreeSet<&str>) -> Option<Arc<Shape>> {
    if fields(shape).all(|field| !names.contains(field.name.as_str())) {
        return Some(Arc::clone(shape));
    }
    let left = |kind| {
        let column = shape.column(kind).filter(|field| !names.contains(field.name.as_str()));
        column.cloned()
    };
    let (event, entity) = (left(Kind::Event), left(Kind::Entity));
    (event.is_some() || entity.is_some()).then(|| Arc::new(Shape::new(event, entity)))
}

/// Files of one table while they grow.
struct Filling {
    route: Route,
    rows: AnyRows,
    /// What lines need, found out since it was missed.
    shapes: Option<Shapes>,
    /// As it was last read.
    table: Table,
    growing: Option<Growing>,
    /// Rows that the file had no columns for.
    wider: Option<Batch>,
    day: i32,
    complete: Vec<Complete>,
    misfits: u64,
    /// The lines that are being added, and how many of their bytes were.
    text: String,
    added: usize,
}

impl Filling {
    fn new(route: Route, table: Table, shapes: Shapes) -> Filling {
        Filling {
            route,
            rows: AnyRows::with(route, shapes),
            shapes: None,
            table,
            growing: None,
            wider: None,
            day: 0,
            complete: Vec::new(),
            misfits: 0,
            text: String::new(),
            added: 0,
        }
    }

    /// Adds lines, or goes on with those that were being added.
    fn add(&mut self, packed: Option<bytes::Bytes>, now_ms: i64) -> Result<(), Stop> {
        self.go_on()?;
        if let Some(shapes) = self.shapes.take() {
            let taken = self.take_out();
            self.misfits += self.rows.misfits();
            self.rows = AnyRows::with(self.route, shapes);
            taken?;
        }
        if let Some(packed) = packed {
            let day = i32::try_from(now_ms.div_euclid(DAY_MS)).unwrap_or_default();
            if day != self.day {
                self.take_out()?;
                self.complete_file()?;
                self.day = day;
            }
            self.text = frame::unpack(&packed);
            self.added = 0;
        }
        while self.added < self.text.len() {
            let rest = &self.text[self.added..];
            let end = memchr::memchr_iter(b'\n', rest.as_bytes()).take(SLICE).last();
            let slice = &rest[..end.map_or(rest.len(), |end| end + 1)];
            self.rows.extend(slice.split_terminator('\n'), now_ms).map_err(Stop::Need)?;
            self.added += slice.len();
            if self.rows.is_full() {
                self.take_out()?;
            }
        }
        Ok(())
    }

    fn take_out(&mut self) -> Result<(), Stop> {
        match self.rows.finish() {
            Some(batch) => self.put(batch),
            None => Ok(()),
        }
    }

    /// Puts rows into the file, which is begun if there is none.
    fn put(&mut self, batch: Batch) -> Result<(), Stop> {
        let growing = match &mut self.growing {
            Some(growing) => growing,
            none => {
                let (_, name) = crate::tables::TABLES
                    .iter()
                    .find(|(route, _)| *route == self.route)
                    .expect("a route of this sink has a table");
                let properties = file::properties(ZSTD_LEVEL);
                none.insert(Growing::begin(&self.table, properties, self.day, name)?)
            }
        };
        if !growing.knows(&batch.schema()) {
            self.wider = Some(batch);
            return Err(Stop::Narrow);
        }
        Ok(growing.add(&batch)?)
    }

    fn complete_file(&mut self) -> Result<(), Stop> {
        if let Some(growing) = self.growing.take().filter(|growing| growing.rows() > 0) {
            self.complete.push(growing.complete()?);
        }
        Ok(())
    }

    /// Puts rows into another file that the last one had no columns for.
    fn go_on(&mut self) -> Result<(), Stop> {
        let Some(batch) = self.wider.take() else { return Ok(()) };
        self.complete_file()?;
        self.put(batch)
    }

    /// Completes the last file.
    fn end(&mut self) -> Result<(), Stop> {
        self.go_on()?;
        self.take_out()?;
        self.complete_file()
    }
}
