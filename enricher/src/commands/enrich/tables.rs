//! The `parquet` form: tables in folders, `events/load_date=2024-05-01/part-00001.parquet`.
//!
//! Rows gather per table and folder; so many make a row group, and row groups of some tens of
//! megabytes a file. What waits in memory is bounded whatever the number of folders: where it is
//! too much, the largest row group is encoded early, and the largest file closed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use event::{Field, time, tsv};
use parquet::file::properties::WriterPropertiesPtr;
use pipeline::divide::{Folder, Want};
use pipeline::{Lines, Output, Route};
use warehouse::{Encoded, Group, Need, Shapes, file};

use super::unfinished::unfinished;
use crate::clock;
use crate::tables::{AnyRows, ROWS, ROWS_BYTES, TABLES, ZSTD_LEVEL};

/// Bytes of a file: what queries like to read, in memory that a laptop has.
const FILE_BYTES: usize = 64 << 20;

/// Bytes of rows that grow, in all folders together.
const GROWING_BYTES: usize = 32 << 20;

/// Bytes of rows that wait to be encoded, in all folders together.
const WAITING_BYTES: usize = 128 << 20;

/// Bytes of row groups that wait for their files, in all folders together.
const ENCODED_BYTES: usize = 128 << 20;

/// Folders in which files grow at once; lines of others go to one more.
const FOLDERS: usize = 64;

/// Where columns are found out.
pub(super) type FindShapes = Box<dyn Fn(&Need) -> Shapes>;

/// The tables of a run.
pub(super) struct Tables {
    root: PathBuf,
    wants: BTreeMap<Route, Want>,
    find: FindShapes,
    properties: WriterPropertiesPtr,
    growing: BTreeMap<(Route, String), Growing>,
    /// How many files there are of each folder.
    numbers: BTreeMap<(Route, String), u32>,
    written: Vec<PathBuf>,
    misfits: u64,
}

/// What grows in one folder.
struct Growing {
    rows: AnyRows,
    group: Group,
    file: file::File,
}

/// The folders of a table, below the one with its name.
pub(super) fn folders(template: &str) -> Result<BTreeMap<Route, Folder>, String> {
    let folder = |(route, _)| {
        let folder = Folder::parse(template, route).map_err(|mistake| mistake.to_string())?;
        Ok((route, folder))
    };
    TABLES.into_iter().map(folder).collect()
}

/// All files of tables that are in a folder.
pub(super) fn earlier(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left: Vec<PathBuf> = TABLES.iter().map(|(_, table)| root.join(table)).collect();
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => left.push(entry.path()),
                _ if entry.path().extension().is_some_and(|end| end == "parquet") => {
                    found.push(entry.path());
                }
                _ => {}
            }
        }
    }
    found.sort();
    found
}

impl Tables {
    /// Tables below a folder.
    pub(super) fn new(root: PathBuf, folders: BTreeMap<Route, Folder>, find: FindShapes) -> Tables {
        let want = |(route, folder)| (route, Want { folder: Some(folder), ..Want::default() });
        Tables {
            root,
            wants: folders.into_iter().map(want).collect(),
            find,
            properties: file::properties(ZSTD_LEVEL),
            growing: BTreeMap::new(),
            numbers: BTreeMap::new(),
            written: Vec::new(),
            misfits: 0,
        }
    }

    /// Adds what became of a batch.
    pub(super) fn write(&mut self, output: &Output) -> anyhow::Result<()> {
        let now_ms = stamped(output).unwrap_or_else(clock::now_ms);
        for (route, _) in TABLES {
            let lines = output.lines(route);
            for (folder, lines) in self.divided(route, lines, now_ms)? {
                self.add(route, folder, &lines, now_ms)?;
            }
        }
        self.keep_bounds()
    }

    /// How many values fit no column.
    pub(super) fn misfits(&self) -> u64 {
        self.misfits
    }

    /// Writes what is still in memory. Returns the files' names to be.
    pub(super) fn close(mut self) -> anyhow::Result<Vec<PathBuf>> {
        while let Some((place, _)) = self.growing.first_key_value() {
            let place = place.clone();
            self.close_file(&place)?;
            self.growing.remove(&place);
        }
        Ok(self.written)
    }

    /// Lines by folder.
    fn divided<'l>(
        &self,
        route: Route,
        lines: &'l Lines,
        now_ms: i64,
    ) -> anyhow::Result<BTreeMap<String, Vec<&'l str>>> {
        let want = &self.wants[&route];
        let folder = want.folder.as_ref().expect("every table has its folders");
        let whole = folder.rest(now_ms);
        let mut divided: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for line in lines.iter() {
            let text = std::str::from_utf8(line).context("a line that is no UTF-8")?;
            if !folder.has_columns() {
                match divided.get_mut(&whole) {
                    Some(lines) => lines.push(text),
                    None => _ = divided.insert(whole.clone(), vec![text]),
                }
                continue;
            }
            let own = want.folder_of(route, line, now_ms);
            let is_known = self.growing.contains_key(&(route, own.clone()));
            let open = self.growing.len() + divided.len();
            let own = if is_known || divided.contains_key(&own) || open < FOLDERS {
                own
            } else {
                whole.clone()
            };
            divided.entry(own).or_default().push(text);
        }
        Ok(divided)
    }

    fn add(
        &mut self,
        route: Route,
        folder: String,
        lines: &[&str],
        now_ms: i64,
    ) -> anyhow::Result<()> {
        let place = (route, folder);
        let growing = self.growing.entry(place.clone()).or_insert_with(|| Growing::new(route));
        let lines = || lines.iter().copied();
        let full = match &mut growing.rows {
            AnyRows::Bad(rows) => {
                rows.extend(lines(), now_ms);
                rows.len() >= ROWS || rows.bytes() >= ROWS_BYTES
            }
            AnyRows::Events(rows) => {
                let before = rows.misfits();
                if let Err(need) = rows.extend(lines(), now_ms) {
                    let shapes = (self.find)(&need);
                    self.take_out(&place)?;
                    let growing = self.growing.get_mut(&place).expect("it is there");
                    let AnyRows::Events(rows) = &mut growing.rows else {
                        unreachable!("of events")
                    };
                    rows.set_shapes(&shapes);
                    let known = rows.extend(lines(), now_ms);
                    known.context("columns that are found out stay unknown")?;
                    self.misfits += rows.misfits();
                    return Ok(());
                }
                self.misfits += rows.misfits() - before;
                rows.len() >= ROWS || rows.bytes() >= ROWS_BYTES
            }
        };
        if full { self.take_out(&place) } else { Ok(()) }
    }

    /// Takes the rows of a place out of their buffers.
    fn take_out(&mut self, place: &(Route, String)) -> anyhow::Result<()> {
        let growing = self.growing.get_mut(place).expect("it is there");
        let Some(batch) = growing.rows.finish() else { return Ok(()) };
        if !growing.group.takes(&batch) {
            self.encode(place)?;
        }
        let growing = self.growing.get_mut(place).expect("it is there");
        growing.group.add(&batch);
        if growing.group.is_full() {
            self.encode(place)?;
        }
        Ok(())
    }

    /// Makes a row group of the batches of a place.
    fn encode(&mut self, place: &(Route, String)) -> anyhow::Result<()> {
        let growing = self.growing.get_mut(place).expect("it is there");
        if growing.group.rows() == 0 {
            return Ok(());
        }
        let encoded = std::mem::take(&mut growing.group).encode(&self.properties);
        let encoded: Encoded = encoded.context("cannot encode rows")?;
        if !growing.file.takes(encoded.columns()) {
            self.write_file(place)?;
        }
        let growing = self.growing.get_mut(place).expect("it is there");
        growing.file.add(encoded);
        if growing.file.bytes() >= FILE_BYTES {
            self.write_file(place)?;
        }
        Ok(())
    }

    fn close_file(&mut self, place: &(Route, String)) -> anyhow::Result<()> {
        self.take_out(place)?;
        self.encode(place)?;
        self.write_file(place)
    }

    fn write_file(&mut self, place: &(Route, String)) -> anyhow::Result<()> {
        let growing = self.growing.get_mut(place).expect("it is there");
        let file = std::mem::take(&mut growing.file);
        if file.is_empty() {
            return Ok(());
        }
        let number = self.numbers.entry(place.clone()).or_default();
        *number += 1;
        let (route, folder) = place;
        let table = TABLES.iter().find(|(of, _)| of == route).expect("it has a table").1;
        let path = self.root.join(table).join(folder).join(format!("part-{number:05}.parquet"));
        let failed = || format!("cannot write {}", path.display());
        std::fs::create_dir_all(path.parent().expect("it has a folder")).with_context(failed)?;
        let out = File::create(unfinished(&path)).with_context(failed)?;
        let mut out = BufWriter::with_capacity(1 << 18, out);
        file.write(&mut out, &self.properties).with_context(failed)?;
        out.flush().with_context(failed)?;
        self.written.push(path);
        Ok(())
    }

    /// Encodes and writes what is largest until what waits is within its bounds.
    fn keep_bounds(&mut self) -> anyhow::Result<()> {
        let sum = |tables: &Tables, of: fn(&Growing) -> usize| {
            tables.growing.values().map(of).sum::<usize>()
        };
        let largest = |tables: &Tables, of: fn(&Growing) -> usize| {
            let growing = tables.growing.iter().max_by_key(|(_, growing)| of(growing));
            growing.expect("something is too large").0.clone()
        };
        while sum(self, |growing| growing.rows.bytes()) > GROWING_BYTES {
            self.take_out(&largest(self, |growing| growing.rows.bytes()))?;
        }
        while sum(self, |growing| growing.group.bytes()) > WAITING_BYTES {
            self.encode(&largest(self, |growing| growing.group.bytes()))?;
        }
        while sum(self, |growing| growing.file.bytes()) > ENCODED_BYTES {
            self.write_file(&largest(self, |growing| growing.file.bytes()))?;
        }
        Ok(())
    }
}

impl Growing {
    fn new(route: Route) -> Growing {
        Growing { rows: AnyRows::new(route), group: Group::default(), file: file::File::default() }
    }
}

/// The time that was stamped on what a batch became: every line of it has the same.
pub(super) fn stamped(output: &Output) -> Option<i64> {
    let events = [Route::Enriched, Route::Incomplete, Route::Pii].into_iter();
    let event = events.filter_map(|route| output.lines(route).iter().next()).find_map(|line| {
        let columns = tsv::columns(std::str::from_utf8(line).ok()?)?;
        time::parse_ms(columns[Field::EtlTstamp as usize])
    });
    event.or_else(|| {
        let row = std::str::from_utf8(output.bad.iter().next()?).ok()?;
        warehouse::bad::failed_ms(row)
    })
}
