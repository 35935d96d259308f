//! The `iceberg` form: the tables `events`, `failed` and `bad`, to which every event is appended
//! once, however often a run is killed and begun again.
//!
//! How far each input is stands in the tables, with the digest of what was read of it ([`known`]).
//! [`reading`] finds each input there by what it holds, so that it may be renamed or grow, and goes
//! on where the tables stand. [`table`] fills files; all tables are told in turn of what was read
//! since the last time, and where a run dies in between, the next one reads that part once more and
//! leaves out what a table has already.

mod beside;
mod known;
mod place;
mod reading;
mod table;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use pipeline::{Output, Route};

use super::account::Account;
use super::input::places;
use super::tables::FindShapes;
use super::transform::Transform;
use super::{Args, input};
use crate::aws;
use crate::causes::chain;
use crate::clock;
use crate::exit::{EXIT_FAULTS, EXIT_GRACE};
use crate::terminal;
use beside::Beside;
use known::{Known, Part};
use reading::{Reading, Work};
use table::{Columns, Table};

/// The tables, by the routes whose lines they hold.
const TABLES: [(Route, &str); 3] =
    [(Route::Enriched, "events"), (Route::Incomplete, "failed"), (Route::Bad, "bad")];

/// Records after which the tables are told: at some ten thousand a second that is a commit a
/// minute, with files of a size that queries like.
const COMMIT_EVERY: u64 = 500_000;

/// Bytes of encoded rows after which they are, however few records they are of.
const COMMIT_BYTES: usize = 256 << 20;

/// The tables of a folder while a run appends to them.
struct Lakes {
    /// What the tables' catalog works on.
    _runtime: tokio::runtime::Runtime,
    tables: Vec<Table>,
    columns: Columns,
    beside: Beside,
    /// How far each input was read since the tables were told.
    read: BTreeMap<lakehouse::Shard, Part>,
    records: u64,
    every: u64,
    /// Whether the tables' old snapshots are ours to forget.
    expires: bool,
}

/// Runs `snowmelt enrich --format iceberg`.
pub(super) fn run(
    args: &Args,
    transform: &Transform,
    halt: &Arc<AtomicBool>,
) -> anyhow::Result<ExitCode> {
    let folder = &args.output;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let places = places::all(&args.input, &aws::Settings::default())?;
    let every = args.commit_every.map_or(COMMIT_EVERY, |every| every.get().into());
    let mut lakes = Lakes::open(args, transform.find_shapes(), every)?;
    let mut account = Account::start();
    let mut reading = Reading::new(places, lakes.known()?, folder, every, Arc::clone(halt));
    account.follow(reading.progress());
    let mut unwritten = false;
    let processed = transform.all(
        || reading.next_work(),
        args.threads.into(),
        halt,
        |work: Work, output| {
            account.add(&work.chunk, &output);
            let added = lakes.add(&work, &output);
            unwritten = added.is_err();
            added
        },
    );
    transform.tell_asked();
    account.misfits(lakes.misfits());
    if unwritten {
        return processed.map(|()| ExitCode::FAILURE);
    }
    lakes.commit()?;
    lakes.expire();
    let interrupted = halt.load(Ordering::Relaxed);
    terminal::tell(&account.finish());
    let complete = "the tables hold everything of what was read: run this again to go on";
    match processed {
        Ok(()) if !interrupted => Ok(ExitCode::SUCCESS),
        Err(error) if !interrupted => {
            terminal::note(&format!("snowmelt: {}\nsnowmelt: {complete}", chain(error.as_ref())));
            let broken = error.chain().any(|cause| cause.is::<input::Broken>());
            Ok(if broken { ExitCode::from(EXIT_FAULTS) } else { ExitCode::FAILURE })
        }
        _ => {
            terminal::note(&format!("snowmelt: interrupted: {complete}"));
            Ok(ExitCode::from(EXIT_GRACE))
        }
    }
}

impl Lakes {
    fn open(args: &Args, find: FindShapes, every: u64) -> anyhow::Result<Lakes> {
        let folder = &args.output;
        let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (tables, expires) = runtime.block_on(async {
            let (remote, warehouse) = (args.catalog.as_ref(), args.warehouse.clone());
            let (catalog, expires) = place::open(remote, warehouse, &folder).await?;
            let mut tables = Vec::new();
            for (route, name) in TABLES {
                let catalog = Arc::clone(&catalog);
                tables.push(Table::open(catalog, place::NAMESPACE, name, route).await?);
            }
            anyhow::Ok((tables, expires))
        })?;
        Ok(Lakes {
            _runtime: runtime,
            tables,
            columns: Columns::new(find),
            beside: Beside::new(folder),
            read: BTreeMap::new(),
            records: 0,
            every,
            expires,
        })
    }

    /// How far the tables say that inputs are.
    fn known(&self) -> anyhow::Result<Known> {
        Known::of(self.tables.iter().map(Table::marks))
    }

    fn misfits(&self) -> u64 {
        self.tables.iter().map(Table::misfits).sum()
    }

    /// Adds what became of records, and tells the tables if it is time.
    fn add(&mut self, work: &Work, output: &Output) -> anyhow::Result<()> {
        let now_ms = super::tables::stamped(output).unwrap_or_else(clock::now_ms);
        for table in &mut self.tables {
            if !table.has(&work.shard, work.part.records)? {
                table.add(output, now_ms, &mut self.columns)?;
            }
        }
        self.beside.add(&work.shard, work.chunk.first, output);
        self.read.insert(work.shard.clone(), work.part.clone());
        self.records += work.chunk.batch.records.len() as u64;
        let bytes: usize = self.tables.iter().map(Table::bytes).sum();
        if self.records >= self.every || bytes >= COMMIT_BYTES { self.commit() } else { Ok(()) }
    }

    /// Tells all tables how far what was read brings them. What stands beside them is kept first:
    /// what the tables say was read is not read again.
    fn commit(&mut self) -> anyhow::Result<()> {
        self.beside.write()?;
        let read = std::mem::take(&mut self.read);
        for table in &mut self.tables {
            table.commit(&read, &self.columns)?;
        }
        self.records = 0;
        Ok(())
    }

    /// Forgets old snapshots. Nothing is lost where that fails, and the next run tries again.
    fn expire(&self) {
        for table in self.tables.iter().filter(|_| self.expires) {
            if let Err(error) = table.expire(clock::now_ms()) {
                terminal::note(&format!("snowmelt: {error}"));
            }
        }
    }
}
