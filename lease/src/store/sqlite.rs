//! [`Sqlite`]: a lease table in a SQLite file, for the processes of one machine.
//!
//! Every operation is one transaction on a thread that may block; a write takes SQLite's write
//! lock first, so that what it read cannot change under it. Processes on one machine share the
//! file; a network file system does not do.
//!
//! The table is the file of that name, whichever it is by now. SQLite itself would go on with a
//! file that was deleted, beside the processes that have opened another one since, and each half
//! of the fleet would have every lease.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior,
    params,
};
use tokio::time::Instant;

use super::{LeaseStore, Outcome, Pending, Scan};
use crate::error::{Error, Result};
use crate::lease::{Counter, Lease, LeaseKey, Stream, Suspect, WorkerId, Write, WriteId};
use crate::position::{Position, ShardId};

/// How long to wait for another process's transaction, which takes milliseconds.
const BUSY: Duration = Duration::from_secs(2);

/// How long opening a file goes on while other processes open it, and how long it waits at most
/// between two attempts.
const OPENING: Duration = Duration::from_secs(10);
const BETWEEN_ATTEMPTS_MS: u64 = 20;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS leases (
  lease_key TEXT PRIMARY KEY NOT NULL,
  lease_owner TEXT,
  lease_counter INTEGER NOT NULL,
  checkpoint TEXT NOT NULL,
  sub_sequence INTEGER NOT NULL,
  owner_switches INTEGER NOT NULL,
  parents TEXT NOT NULL,
  starting_hash_key TEXT,
  ending_hash_key TEXT,
  next_owner TEXT,
  write_counter INTEGER,
  write_id INTEGER,
  taken INTEGER NOT NULL,
  weight INTEGER NOT NULL,
  capacity INTEGER NOT NULL,
  children TEXT,
  suspect TEXT,
  stream INTEGER,
  at INTEGER,
  lag_ms INTEGER,
  stream_name TEXT,
  duration_ms INTEGER,
  failures INTEGER
) STRICT, WITHOUT ROWID";

/// Columns that files of an earlier version lack, in the order of the table.
const LATER: [&str; 8] = [
    "children TEXT",
    "suspect TEXT",
    "stream INTEGER",
    "at INTEGER",
    "lag_ms INTEGER",
    "stream_name TEXT",
    "duration_ms INTEGER",
    "failures INTEGER",
];

const COLUMNS: usize = 23;

/// The columns, in the order of the table. A file may have more, of a later version.
const NAMES: [&str; COLUMNS] = [
    "lease_key",
    "lease_owner",
    "lease_counter",
    "checkpoint",
    "sub_sequence",
    "owner_switches",
    "parents",
    "starting_hash_key",
    "ending_hash_key",
    "next_owner",
    "write_counter",
    "write_id",
    "taken",
    "weight",
    "capacity",
    "children",
    "suspect",
    "stream",
    "at",
    "lag_ms",
    "stream_name",
    "duration_ms",
    "failures",
];

/// A lease table in a SQLite file.
#[derive(Clone, Debug)]
pub struct Sqlite {
    open: Arc<Mutex<Open>>,
}

/// The file that is open.
#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    connection: Connection,
}

/// What tells a file from another one of the same name: device and number.
type File = (u64, u64);

impl Sqlite {
    /// The table `leases` of a database file. The file is created if need be, the table by
    /// [`LeaseStore::open`].
    ///
    /// Blocks for up to ten seconds while other processes open the same file.
    pub fn open(file: &Path) -> Result<Sqlite> {
        let started = Instant::now();
        loop {
            match Open::connect(file, OpenFlags::default()) {
                // SQLite does not wait where two connections change the journal's mode, since
                // each may hold what the other one needs.
                Err(Error::Unavailable(_)) if started.elapsed() < OPENING => {
                    let pause = Duration::from_millis(fastrand::u64(1..=BETWEEN_ATTEMPTS_MS));
                    #[allow(clippy::disallowed_methods, reason = "SQLite has no word to wait for")]
                    std::thread::sleep(pause);
                }
                open => return open.map(|open| Sqlite { open: Arc::new(Mutex::new(open)) }),
            }
        }
    }

    /// Runs one transaction on a thread that may block.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction) -> rusqlite::Result<T> + Send + 'static,
    ) -> Pending<'static, T> {
        let open = self.open.clone();
        let work = move || {
            let mut open = open.lock().expect("nothing panics while it holds this");
            open.follow()?;
            open.transact(work)
        };
        Box::pin(async move {
            match tokio::task::spawn_blocking(work).await {
                Ok(result) => result,
                Err(failure) => Err(Error::Unavailable(failure.into())),
            }
        })
    }
}

impl Open {
    fn connect(path: &Path, flags: OpenFlags) -> Result<Open> {
        let connect = || {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(BUSY)?;
            // Readers do not wait for writers in this mode, and a commit is durable against the
            // death of a process; after the death of the machine a checkpoint may be an older one.
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            Ok(connection)
        };
        let connection = connect().map_err(|error| classify(path, error))?;
        Ok(Open { path: path.to_owned(), file: file(path)?, connection })
    }

    /// Opens the file of our name if it is another one by now. One that is gone is not made anew:
    /// that is for whoever deleted it, who may have done so by mistake.
    fn follow(&mut self) -> Result<()> {
        if file(&self.path)? == self.file {
            return Ok(());
        }
        let flags = OpenFlags::default() & !OpenFlags::SQLITE_OPEN_CREATE;
        let mut other = Open::connect(&self.path, flags)?;
        other.transact(make_table)?;
        *self = other;
        Ok(())
    }

    fn transact<T>(&mut self, work: impl FnOnce(&Transaction) -> rusqlite::Result<T>) -> Result<T> {
        let behavior = TransactionBehavior::Immediate;
        let transacted = self.connection.transaction_with_behavior(behavior).and_then(|sql| {
            let result = work(&sql)?;
            sql.commit().map(|()| result)
        });
        transacted.map_err(|error| classify(&self.path, error))
    }
}

fn file(path: &Path) -> Result<File> {
    match std::fs::metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino())),
        Err(error) => {
            let text = format!("{} is gone: {error}", path.display());
            Err(Error::Unavailable(text.into()))
        }
    }
}

/// Creates the table, or the columns that it lacks.
fn make_table(sql: &Transaction) -> rusqlite::Result<()> {
    sql.execute(SCHEMA, [])?;
    let query = "SELECT count(*) FROM pragma_table_info('leases')";
    let columns: usize = sql.query_row(query, [], |row| row.get(0))?;
    for column in LATER.iter().skip((columns + LATER.len()).saturating_sub(COLUMNS)) {
        sql.execute(&format!("ALTER TABLE leases ADD COLUMN {column}"), [])?;
    }
    Ok(())
}

impl LeaseStore for Sqlite {
    fn open(&self) -> Pending<'_, ()> {
        self.run(make_table)
    }

    fn scan(&self) -> Pending<'_, Scan> {
        self.run(|sql| {
            let mut query = sql.prepare_cached("SELECT * FROM leases ORDER BY lease_key")?;
            let rows = query.query_map([], read)?;
            let mut scan = Scan::default();
            for lease in rows {
                match lease? {
                    Some(lease) => scan.leases.push(lease),
                    None => scan.unreadable += 1,
                }
            }
            Ok(scan)
        })
    }

    fn get(&self, key: &LeaseKey) -> Pending<'_, Option<Lease>> {
        let key = key.clone();
        let unreadable = Error::unreadable(&key);
        let found = self.run(move |sql| find(sql, &key));
        // A lease that says what we do not understand is not one that does not exist.
        Box::pin(async move { found.await?.map(|lease| lease.ok_or(unreadable)).transpose() })
    }

    fn create(&self, lease: Lease) -> Pending<'_, bool> {
        self.run(move |sql| store(sql, "DO NOTHING", &lease).map(|rows| rows == 1))
    }

    fn write(&self, write: Write) -> Pending<'_, Outcome> {
        self.run(move |sql| {
            let current = find(sql, &write.key)?.flatten();
            match current.as_ref().and_then(|lease| lease.apply(&write)) {
                Some(lease) => {
                    store(sql, &update(), &lease)?;
                    Ok(Outcome::Applied(lease))
                }
                None => Ok(Outcome::Refused(current)),
            }
        })
    }

    fn delete(&self, key: &LeaseKey, counter: Counter) -> Pending<'_, bool> {
        let key = key.clone();
        self.run(move |sql| {
            let lease = find(sql, &key)?.flatten();
            let fits = lease.is_some_and(|l| l.counter == counter && l.ended());
            if fits {
                sql.execute("DELETE FROM leases WHERE lease_key = ?1", [key.as_str()])?;
            }
            Ok(fits)
        })
    }
}

/// The row of a key, if there is one; the inner `None` if it cannot be read.
fn find(sql: &Transaction, key: &LeaseKey) -> rusqlite::Result<Option<Option<Lease>>> {
    let mut query = sql.prepare_cached("SELECT * FROM leases WHERE lease_key = ?1")?;
    query.query_row([key.as_str()], read).optional()
}

/// What to do about a row that is there: change every column of ours.
fn update() -> String {
    let columns = NAMES.map(|name| format!("{name} = excluded.{name}"));
    format!("DO UPDATE SET {}", columns.join(", "))
}

/// Stores every column of ours; the number of rows changed.
fn store(sql: &Transaction, if_there: &str, lease: &Lease) -> rusqlite::Result<usize> {
    let (checkpoint, sub_sequence) = lease.checkpoint.to_checkpoint();
    let hash_range = lease.hash_range.as_ref();
    let at = match lease.checkpoint {
        Position::AtTimestamp(at) => at,
        _ => None,
    };
    let insert = format!(
        "INSERT INTO leases ({}) VALUES (?{}) ON CONFLICT (lease_key) {if_there}",
        NAMES.join(", "),
        ", ?".repeat(COLUMNS - 1),
    );
    sql.prepare_cached(&insert)?.execute(params![
        lease.key.as_str(),
        lease.owner.as_ref().map(WorkerId::as_str),
        lease.counter.0.cast_signed(),
        checkpoint,
        sub_sequence.cast_signed(),
        lease.owner_switches.cast_signed(),
        names(&lease.parents),
        hash_range.map(|(start, _)| start),
        hash_range.map(|(_, end)| end),
        lease.next.as_ref().map(WorkerId::as_str),
        lease.written.map(|(counter, _)| counter.0.cast_signed()),
        lease.written.map(|(_, id)| id.0.cast_signed()),
        lease.taken.0.cast_signed(),
        lease.weight.cast_signed(),
        lease.capacity,
        names(&lease.children),
        lease.suspect.as_ref().map(Suspect::to_string),
        lease.stream.created.map(u64::cast_signed),
        at,
        lease.lag_ms.map(u64::cast_signed),
        lease.stream.name.as_deref(),
        lease.duration_ms.map(u64::cast_signed),
        lease.failures,
    ])
}

/// A shard's name has no comma.
fn names(shards: &[ShardId]) -> String {
    shards.iter().map(ShardId::as_str).collect::<Vec<_>>().join(",")
}

fn read_names(text: &str) -> Vec<ShardId> {
    text.split(',').filter(|name| !name.is_empty()).map(ShardId::new).collect()
}

/// A row as a lease; `None` if its checkpoint is not one.
fn read(row: &Row) -> rusqlite::Result<Option<Lease>> {
    let number = |column: &str| row.get::<_, i64>(column).map(i64::cast_unsigned);
    let text = |column: &str| row.get::<_, Option<String>>(column);
    let key: String = row.get("lease_key")?;
    let checkpoint: String = row.get("checkpoint")?;
    let Some(checkpoint) = Position::from_checkpoint(&checkpoint, number("sub_sequence")?) else {
        return Ok(None);
    };
    let checkpoint = match checkpoint {
        Position::AtTimestamp(_) => Position::AtTimestamp(row.get("at")?),
        checkpoint => checkpoint,
    };
    let written = row.get::<_, Option<i64>>("write_counter")?.zip(row.get("write_id")?);
    Ok(Some(Lease {
        owner: text("lease_owner")?.as_deref().map(WorkerId::stored),
        counter: Counter(number("lease_counter")?),
        owner_switches: number("owner_switches")?,
        parents: read_names(&row.get::<_, String>("parents")?),
        children: read_names(&text("children")?.unwrap_or_default()),
        suspect: text("suspect")?.as_deref().and_then(Suspect::parse),
        stream: Stream {
            name: text("stream_name")?.map(Into::into),
            created: row.get::<_, Option<i64>>("stream")?.map(i64::cast_unsigned),
            ..Stream::default()
        },
        duration_ms: row.get::<_, Option<i64>>("duration_ms")?.map(i64::cast_unsigned),
        failures: row.get::<_, Option<u32>>("failures")?.unwrap_or(0),
        hash_range: text("starting_hash_key")?.zip(text("ending_hash_key")?),
        next: text("next_owner")?.as_deref().map(WorkerId::stored),
        written: written.map(|(counter, id): (i64, i64)| {
            (Counter(counter.cast_unsigned()), WriteId(id.cast_unsigned()))
        }),
        taken: Counter(number("taken")?),
        weight: number("weight")?,
        lag_ms: row.get::<_, Option<i64>>("lag_ms")?.map(i64::cast_unsigned),
        capacity: row.get("capacity")?,
        ..Lease::new(&ShardId::new(&key), checkpoint)
    }))
}

fn classify(path: &Path, error: rusqlite::Error) -> Error {
    let text = format!("{}: {error}", path.display());
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::OperationInterrupted,
        ) => Error::Unavailable(text.into()),
        // There is no code of its own for it.
        Some(ErrorCode::Unknown) if text.ends_with(NO_TABLE) => Error::Missing(text.into()),
        _ => Error::Unusable(text.into()),
    }
}

const NO_TABLE: &str = "no such table: leases";
