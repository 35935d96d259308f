//! Lines that become data files of a table.
//!
//! Files are made one at a time in a worker. While one is made it takes, beside the lines, its own
//! bytes, the rows of one row group ([`warehouse::GROUP_BYTES`]), and one column's encoder. Who has
//! to wait for a catalog begins anew after that, and leaves the others their turns.
//!
//! A table gets a column before there are rows that have it. Where a schema asks for another type
//! than the table's column has, which happens when what was published is changed, there is no
//! column for it, and values stand in `_misfits`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::columns::{Field, Kind};
use bytes::Bytes;
use lakehouse::{Complete, Error as LakeError, Growing, Lake, Table};
use tokio::time::{Instant, timeout};
use warehouse::{Batch, Need, Shape, Shapes, file};

use super::Iceberg;
use super::run::Frame;
use crate::sink::object::frame;
use crate::sink::{Error, Route};
use crate::tables::{AnyRows, ZSTD_LEVEL};

/// Lines that are read before is looked how much memory their rows take.
const SLICE: usize = 256;

const DAY_MS: i64 = 86_400_000;

/// A catalog that does not answer sooner is not waited for while others wait for their turn.
const AT_ONCE: Duration = Duration::from_secs(3);

/// How long what a catalog said last will do when it did not answer.
const SILENCE: Duration = Duration::from_secs(60);

/// How often files are begun anew for more columns.
const ATTEMPTS: u32 = 8;

/// What is known of a table.
#[derive(Default)]
pub(super) struct Known {
    /// As it was last read.
    table: Mutex<Option<Table>>,
    /// The columns of schemas that it has.
    shapes: Mutex<Shapes>,
    fields: Mutex<BTreeMap<String, Field>>,
    /// Until when a catalog is not asked again that did not answer.
    silent: Mutex<Option<Instant>>,
}

/// Why lines do not become rows yet.
enum Stop {
    /// Columns have to be found out.
    Need(Need),
    /// The table lacked some of these columns when it was read.
    Narrow(Vec<String>),
    /// They cannot be encoded.
    Failed(LakeError),
}

/// What has to be waited for before files can be made.
enum Away {
    Need(Need),
    Narrow(Vec<String>),
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
        let mut by_table: BTreeMap<usize, Vec<(Bytes, i64)>> = BTreeMap::new();
        for Frame { table, packed, now_ms, .. } in frames {
            by_table.entry(table).or_default().push((packed, now_ms));
        }
        let mut made = Vec::new();
        for (table, frames) in by_table {
            made.push((table, self.files_of(table, &frames).await?));
        }
        Ok(made)
    }

    /// Makes files again and again until the table has all columns that they need.
    async fn files_of(
        &self,
        table: usize,
        frames: &[(Bytes, i64)],
    ) -> Result<Vec<Complete>, Error> {
        let (route, name, _) = self.settings.tables[table];
        for _ in 0..ATTEMPTS {
            // Nobody waits for a catalog while others wait for their turn.
            let newest = self.newest(table).await?;
            let filling = Filling::new(route, newest, self.known[table].shapes());
            match self.attempt(table, filling, frames).await? {
                Ok((files, misfits)) => {
                    self.metrics.misfits(route, misfits);
                    return Ok(files);
                }
                Err(Away::Need(need)) => drop(self.find(table, &need).await?),
                Err(Away::Narrow(columns)) => self.widen(table, &columns).await?,
            }
        }
        let why = "its columns change faster than files can be made";
        Err(Error::failed(format!("making files of {name}"), why))
    }

    /// Makes files, one turn after the other; ends early where something has to be waited for.
    async fn attempt(
        &self,
        table: usize,
        mut filling: Filling,
        frames: &[(Bytes, i64)],
    ) -> Result<Result<(Vec<Complete>, u64), Away>, Error> {
        let _turn = self.making.turn.lock().await;
        let mut frames = frames.iter().cloned();
        let mut frame = frames.next();
        let mut narrow = 0;
        loop {
            let last = frame.is_none() && filling.is_idle();
            let taken = frame.take();
            let adding = self.making.pool.run(move || {
                let added = match last {
                    true => filling.end(),
                    false => filling.add(taken),
                };
                (filling, added)
            });
            let added;
            (filling, added) = adding.await.map_err(|e| Error::failed("making rows", e))?;
            match added {
                Ok(()) if last => {
                    let misfits = filling.misfits + filling.rows.misfits();
                    return Ok(Ok((filling.complete, misfits)));
                }
                Ok(()) => frame = frames.next(),
                Err(Stop::Need(need)) => match timeout(AT_ONCE, self.find(table, &need)).await {
                    Ok(found) => filling.shapes = Some(found?),
                    Err(_) => return Ok(Err(Away::Need(need))),
                },
                Err(Stop::Narrow(columns)) => {
                    narrow += 1;
                    let more = async {
                        if narrow > 1 {
                            self.widen(table, &columns).await?;
                        }
                        self.read(table).await
                    };
                    match timeout(AT_ONCE, more).await {
                        Ok(newest) if narrow < ATTEMPTS => filling.table = newest?,
                        _ => return Ok(Err(Away::Narrow(columns))),
                    }
                }
                Err(Stop::Failed(error)) => return Err(Error::failed("encoding rows", error)),
            }
        }
    }

    /// The table as it is, or as it was lately where nobody answers.
    async fn newest(&self, table: usize) -> Result<Table, Error> {
        let known = &self.known[table];
        let Some(kept) = known.table() else { return self.read(table).await };
        let now = Instant::now();
        if known.silent_until().is_some_and(|until| now < until) {
            return Ok(kept);
        }
        if let Ok(newest) = timeout(AT_ONCE, self.read(table)).await {
            return newest;
        }
        *known.silent.lock().unwrap_or_else(PoisonError::into_inner) = Some(now + SILENCE);
        Ok(kept)
    }

    /// Reads the table, however long that takes.
    async fn read(&self, table: usize) -> Result<Table, Error> {
        let read = || async { self.lake(table).await?.table().await };
        let newest = self.try_until(read).await?;
        let known = &self.known[table];
        *known.table.lock().unwrap_or_else(PoisonError::into_inner) = Some(newest.clone());
        Ok(newest)
    }

    /// Sees to it that the table has these columns, which it once had.
    async fn widen(&self, table: usize, columns: &[String]) -> Result<(), Error> {
        let (route, ..) = self.settings.tables[table];
        let always = crate::tables::columns(route).into_iter();
        let mut all: BTreeMap<String, Field> =
            always.map(|field| (field.name.clone(), field)).collect();
        all.extend(self.known[table].fields());
        let wanted: Vec<Field> = columns.iter().filter_map(|name| all.get(name).cloned()).collect();
        self.try_until(|| async { self.lake(table).await?.evolve(&wanted).await }).await
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
            self.known[table].note(&fits);
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
            // What a registry could not tell now it may tell later.
            let lasting = self.making.shaping.shapes();
            let (lasting, passing): (Vec<_>, Vec<_>) = shapes
                .into_iter()
                .map(|(uri, shape)| (uri.clone(), shape))
                .partition(|(uri, _)| lasting.get(uri).is_some());
            let mut known = self.known[table].shapes.lock().unwrap_or_else(PoisonError::into_inner);
            *known = known.with(lasting);
            known.with(passing)
        })
    }
}

impl Known {
    fn silent_until(&self) -> Option<Instant> {
        *self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fields(&self) -> BTreeMap<String, Field> {
        self.fields.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, fields: &[Field]) {
        let mut known = self.fields.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(fields.iter().map(|field| (field.name.clone(), field.clone())));
    }

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
    /// Lines that come next, and when they were made.
    next: Option<(Bytes, i64)>,
    /// The lines that are being added, and how many of their bytes were.
    text: String,
    added: usize,
    now_ms: i64,
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
            next: None,
            text: String::new(),
            added: 0,
            now_ms: 0,
        }
    }

    /// Whether all lines that it was given are added.
    fn is_idle(&self) -> bool {
        self.wider.is_none() && self.shapes.is_none() && self.next.is_none() && self.text.is_empty()
    }

    /// Adds lines, or goes on with those that were being added.
    fn add(&mut self, frame: Option<(Bytes, i64)>) -> Result<(), Stop> {
        self.next = frame.or(self.next.take());
        self.go_on()?;
        if let Some(shapes) = self.shapes.take() {
            let taken = self.take_out();
            self.misfits += self.rows.misfits();
            self.rows = AnyRows::with(self.route, shapes);
            taken?;
        }
        if let Some((_, now_ms)) = &self.next {
            let day = i32::try_from(now_ms.div_euclid(DAY_MS)).unwrap_or_default();
            if day != self.day {
                self.take_out()?;
                self.complete_file()?;
                self.day = day;
            }
        }
        if let Some((packed, now_ms)) = self.next.take() {
            (self.text, self.added, self.now_ms) = (frame::unpack(&packed), 0, now_ms);
        }
        while self.added < self.text.len() {
            let rest = &self.text[self.added..];
            let end = memchr::memchr_iter(b'\n', rest.as_bytes()).take(SLICE).last();
            let slice = &rest[..end.map_or(rest.len(), |end| end + 1)];
            self.rows.extend(slice.split_terminator('\n'), self.now_ms).map_err(Stop::Need)?;
            self.added += slice.len();
            if self.rows.is_full() {
                self.take_out()?;
            }
        }
        (self.text, self.added) = (String::new(), 0);
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
        let schema = batch.schema();
        if !growing.knows(&schema) {
            let columns = schema.fields().iter().map(|field| field.name().clone()).collect();
            self.wider = Some(batch);
            return Err(Stop::Narrow(columns));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogs;

    const DAY: i64 = 20_000 * DAY_MS;

    fn frame(line: &str, now_ms: i64) -> (Bytes, i64) {
        (frame::pack(format!("{line}\n").as_bytes()).into(), now_ms)
    }

    /// The lines of both days are there, though the table gets columns as the day turns.
    #[tokio::test]
    async fn a_new_day_and_new_columns_leave_no_line_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let catalog = (catalogs::in_folder(folder.path()).open)().expect("it can be made");
        let all = warehouse::bad::fields();
        let some: Vec<Field> = all[..2].to_vec();
        let lake = Lake::open(catalog, "snowmelt", "bad", &some).await.expect("it can be made");
        let table = lake.table().await.expect("it is there");
        let mut filling = Filling::new(Route::Bad, table, Shapes::default());
        let line = r#"{"schema":"iglu:x/y/jsonschema/1-0-0","data":{}}"#;
        assert!(filling.add(Some(frame(line, DAY + DAY_MS - 1))).is_ok());
        assert!(matches!(filling.add(Some(frame(line, DAY + DAY_MS))), Err(Stop::Narrow(_))));
        assert!(!filling.is_idle(), "the lines of the new day are not added");
        lake.evolve(&all).await.expect("done");
        filling.table = lake.table().await.expect("it is there");
        assert!(filling.add(None).is_ok() && filling.is_idle());
        assert!(filling.end().is_ok());
        let rows: Vec<i64> = filling.complete.iter().map(Complete::rows).collect();
        assert_eq!(rows, [1, 1], "a file of each day");
    }
}
