//! One table: rows that wait for their file, files that wait for their commit, and how far inputs
//! are in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use columns::{Field, Kind};
use lakehouse::{Catalog, DataFile, Error, Growing, Lake, Mark, Move, Piece, Settled, Shard};
use pipeline::{Output, Route};
use tokio::runtime::Handle;
use warehouse::{Batch, Need, Shapes, file};

use super::known::Part;
use crate::commands::enrich::tables::FindShapes;
use crate::process::this_program;
use crate::tables::{AnyRows, ROWS, ROWS_BYTES, ZSTD_LEVEL};

/// How often a commit is tried while the catalog cannot be used, and how long it waits in between:
/// others may hold the file for a moment.
const ATTEMPTS: u32 = 5;
const BETWEEN: Duration = Duration::from_secs(1);

const DAY_MS: i64 = 86_400_000;

/// What is known of columns.
pub(super) struct Columns {
    find: FindShapes,
    /// Of all schemas found out so far, by name.
    fields: BTreeMap<String, Field>,
}

impl Columns {
    /// Those that every table of events has.
    pub(super) fn new(find: FindShapes) -> Columns {
        let always = warehouse::bad::fields().into_iter().chain(columns::always());
        let fields = always.map(|field| (field.name.clone(), field)).collect();
        Columns { find, fields }
    }

    fn find(&mut self, need: &Need) -> Shapes {
        let shapes = (self.find)(need);
        for shape in need.0.iter().filter_map(|uri| shapes.get(uri).flatten()) {
            let columns = [Kind::Event, Kind::Entity].map(|kind| shape.column(kind));
            let columns = columns.into_iter().flatten().cloned();
            self.fields.extend(columns.map(|field| (field.name.clone(), field)));
        }
        shapes
    }

    /// The columns that a batch has.
    fn of(&self, batch: &Batch) -> Vec<Field> {
        let names = batch.columns().iter().map(|column| column.field.name());
        names.map(|name| self.fields[name].clone()).collect()
    }
}

/// One table.
pub(super) struct Table {
    lake: Lake,
    name: String,
    runtime: Handle,
    route: Route,
    rows: AnyRows,
    /// The day that its rows are loaded on.
    day: i32,
    growing: Option<Growing>,
    files: Vec<DataFile>,
    marks: BTreeMap<Shard, Mark>,
    misfits: u64,
}

impl Table {
    /// Opens a table, or makes it.
    pub(super) async fn open(
        catalog: Arc<dyn Catalog>,
        namespace: &str,
        name: &str,
        route: Route,
    ) -> anyhow::Result<Table> {
        let columns = crate::tables::columns(route);
        let lake = Lake::open(catalog, namespace, name, &columns).await?;
        let marks = lake.positions().await?;
        Ok(Table {
            lake,
            name: name.to_owned(),
            runtime: Handle::current(),
            route,
            rows: AnyRows::new(route),
            day: 0,
            growing: None,
            files: Vec::new(),
            marks,
            misfits: 0,
        })
    }

    /// How far inputs are in it.
    pub(super) fn marks(&self) -> &BTreeMap<Shard, Mark> {
        &self.marks
    }

    /// Whether it has so many records of an input already.
    pub(super) fn has(&self, shard: &Shard, records: u64) -> anyhow::Result<bool> {
        let Some(mark) = self.marks.get(shard) else { return Ok(false) };
        let part = Part::of(mark).with_context(|| format!("{shard} is at {mark}"))?;
        Ok(part.records >= records)
    }

    /// How many values fit no column.
    pub(super) fn misfits(&self) -> u64 {
        self.misfits
    }

    /// The bytes of rows that are encoded and wait for their file to be complete.
    pub(super) fn bytes(&self) -> usize {
        self.growing.as_ref().map_or(0, Growing::bytes)
    }

    /// Adds the lines of an output that are its rows.
    pub(super) fn add(
        &mut self,
        output: &Output,
        now_ms: i64,
        columns: &mut Columns,
    ) -> anyhow::Result<()> {
        let lines = output.lines(self.route);
        if lines.is_empty() {
            return Ok(());
        }
        let day = i32::try_from(now_ms.div_euclid(DAY_MS)).context("a time that is no date")?;
        if day != self.day {
            self.close(columns)?;
            self.day = day;
        }
        let texts = lines.iter().map(|line| std::str::from_utf8(line));
        let texts: Vec<&str> =
            texts.collect::<Result<_, _>>().context("a line that is no UTF-8")?;
        let full = match &mut self.rows {
            AnyRows::Bad(rows) => {
                rows.extend(texts, now_ms);
                rows.len() >= ROWS || rows.bytes() >= ROWS_BYTES
            }
            AnyRows::Events(rows) => {
                let before = rows.misfits();
                match rows.extend(texts.iter().copied(), now_ms) {
                    Ok(()) => self.misfits += rows.misfits() - before,
                    Err(need) => self.add_with_more(&need, &texts, now_ms, columns)?,
                }
                let AnyRows::Events(rows) = &self.rows else { unreachable!("of events") };
                rows.len() >= ROWS || rows.bytes() >= ROWS_BYTES
            }
        };
        if full { self.take_out(columns) } else { Ok(()) }
    }

    /// Adds lines after their columns were found out.
    fn add_with_more(
        &mut self,
        need: &Need,
        lines: &[&str],
        now_ms: i64,
        columns: &mut Columns,
    ) -> anyhow::Result<()> {
        let shapes = columns.find(need);
        self.take_out(columns)?;
        let AnyRows::Events(rows) = &mut self.rows else { unreachable!("of events") };
        rows.set_shapes(&shapes);
        let known = rows.extend(lines.iter().copied(), now_ms);
        known.context("columns that are found out stay unknown")?;
        self.misfits += rows.misfits();
        Ok(())
    }

    /// Brings rows from their buffers into the file. Where the table lacks columns of theirs, it
    /// gets them, and another file is begun.
    fn take_out(&mut self, columns: &Columns) -> anyhow::Result<()> {
        let Some(batch) = self.rows.finish() else { return Ok(()) };
        if self.growing.is_none() {
            self.begin()?;
        }
        if !self.growing().knows(&batch.schema()) {
            self.complete()?;
            self.runtime.block_on(self.lake.evolve(&columns.of(&batch)))?;
            self.begin()?;
        }
        self.growing().add(&batch)?;
        Ok(())
    }

    fn growing(&mut self) -> &mut Growing {
        self.growing.as_mut().expect("a file is begun before rows are added")
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        let table = self.runtime.block_on(self.lake.table())?;
        let properties = file::properties(ZSTD_LEVEL);
        self.growing = Some(Growing::begin(&table, properties, self.day, &self.name)?);
        Ok(())
    }

    /// Completes the file that grows.
    fn complete(&mut self) -> anyhow::Result<()> {
        if let Some(growing) = self.growing.take().filter(|growing| growing.rows() > 0) {
            self.files.push(self.runtime.block_on(growing.finish())?);
        }
        Ok(())
    }

    fn close(&mut self, columns: &Columns) -> anyhow::Result<()> {
        self.take_out(columns)?;
        self.complete()
    }

    /// Appends all rows, and tells the table how far inputs are by that.
    pub(super) fn commit(
        &mut self,
        read: &BTreeMap<Shard, Part>,
        columns: &Columns,
    ) -> anyhow::Result<()> {
        self.close(columns)?;
        let mut moves = Vec::new();
        for (shard, part) in read {
            if !self.has(shard, part.records)? {
                let from = self.marks.get(shard).cloned();
                moves.push(Move { shard: shard.clone(), from, to: part.mark() });
            }
        }
        if moves.is_empty() {
            return Ok(());
        }
        let piece = Piece { moves, files: std::mem::take(&mut self.files) };
        self.append(&piece)?;
        let moved = piece.moves.into_iter().map(|moved| (moved.shard, moved.to));
        self.marks.extend(moved);
        Ok(())
    }

    fn append(&self, piece: &Piece) -> anyhow::Result<()> {
        let program = this_program();
        let version = format!("{}-{}", program.artifact, program.version);
        let summary = BTreeMap::from([("snowmelt.version".to_owned(), version)]);
        for attempt in 1.. {
            let append = self.lake.append(std::slice::from_ref(piece), &summary);
            match self.runtime.block_on(append) {
                Ok(settled) => match settled.into_iter().next() {
                    Some(Settled::Lost(error)) => {
                        bail!(
                            "{error}: another run appends the same input at this time; run this \
                             again when it has ended"
                        )
                    }
                    _ => return Ok(()),
                },
                Err(Error::Unavailable { .. }) if attempt < ATTEMPTS => {
                    self.runtime.block_on(tokio::time::sleep(BETWEEN));
                }
                Err(error) => return Err(error.into()),
            }
        }
        unreachable!("attempts are counted")
    }

    /// Forgets old snapshots.
    pub(super) fn expire(&self, now_ms: i64) -> anyhow::Result<()> {
        self.runtime.block_on(self.lake.expire(now_ms))?;
        Ok(())
    }
}
