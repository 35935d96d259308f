//! [`Sqlite`]: a lease table in a SQLite file, for the processes of one machine.
//!
//! Every operation is one transaction on a thread that may block; a write takes SQLite's write
//! lock first, so that what it read cannot change under it. Processes on one machine share the
//! file; a network file system does not do.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{
    Connection, ErrorCode, OptionalExtension, Row, Transaction, TransactionBehavior, params,
};
use tokio::time::Instant;

use super::{LeaseStore, Outcome, Pending, Scan};
use crate::error::{Error, Result};
use crate::lease::{Counter, Lease, LeaseKey, Suspect, WorkerId, Write, WriteId};
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
  lag_ms INTEGER
) STRICT, WITHOUT ROWID";

/// Columns that files of an earlier version lack, in the order of the table.
const LATER: [&str; 5] =
    ["children TEXT", "suspect TEXT", "stream INTEGER", "at INTEGER", "lag_ms INTEGER"];

const COLUMNS: usize = 20;

/// A lease table in a SQLite file.
#[derive(Clone, Debug)]
pub struct Sqlite {
    connection: Arc<Mutex<Connection>>,
}

impl Sqlite {
    /// The table `leases` of a database file. The file is created if need be, the table by
    /// [`LeaseStore::open`].
    ///
    /// Blocks for up to ten seconds while other processes open the same file.
    pub fn open(file: &Path) -> Result<Sqlite> {
        let started = Instant::now();
        loop {
            match connect(file).map_err(classify) {
                // SQLite does not wait where two connections change the journal's mode, since
                // each may hold what the other one needs.
                Err(Error::Unavailable(_)) if started.elapsed() < OPENING => {
                    let pause = Duration::from_millis(fastrand::u64(1..=BETWEEN_ATTEMPTS_MS));
                    #[allow(clippy::disallowed_methods, reason = "SQLite has no word to wait for")]
                    std::thread::sleep(pause);
                }
                connection => {
                    return connection
                        .map(|connection| Sqlite { connection: Arc::new(Mutex::new(connection)) });
                }
            }
        }
    }

    /// Runs one transaction on a thread that may block.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction) -> rusqlite::Result<T> + Send + 'static,
    ) -> Pending<'static, T> {
        let connection = self.connection.clone();
        let work = move || {
            let mut connection = connection.lock().expect("nothing panics while it holds this");
            let behavior = TransactionBehavior::Immediate;
            let transaction = connection.transaction_with_behavior(behavior)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        Box::pin(async move {
            match tokio::task::spawn_blocking(work).await {
                Ok(result) => result.map_err(classify),
                Err(failure) => Err(Error::Unavailable(failure.into())),
            }
        })
    }
}

fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(BUSY)?;
    // Readers do not wait for writers in this mode, and a commit is durable against the death
    // of a process; after the death of the machine a checkpoint may be an older one.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

impl LeaseStore for Sqlite {
    fn open(&self) -> Pending<'_, ()> {
        self.run(|sql| {
            sql.execute(SCHEMA, [])?;
            let query = "SELECT count(*) FROM pragma_table_info('leases')";
            let columns: usize = sql.query_row(query, [], |row| row.get(0))?;
            for column in LATER.iter().skip((columns + LATER.len()).saturating_sub(COLUMNS)) {
                sql.execute(&format!("ALTER TABLE leases ADD COLUMN {column}"), [])?;
            }
            Ok(())
        })
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
        self.run(move |sql| find(sql, &key))
    }

    fn create(&self, lease: Lease) -> Pending<'_, bool> {
        self.run(move |sql| store(sql, "INSERT OR IGNORE", &lease).map(|rows| rows == 1))
    }

    fn write(&self, write: Write) -> Pending<'_, Outcome> {
        self.run(move |sql| {
            let current = find(sql, &write.key)?;
            match current.as_ref().and_then(|lease| lease.apply(&write)) {
                Some(lease) => {
                    store(sql, "REPLACE", &lease)?;
                    Ok(Outcome::Applied(lease))
                }
                None => Ok(Outcome::Refused(current)),
            }
        })
    }

    fn delete(&self, key: &LeaseKey, counter: Counter) -> Pending<'_, bool> {
        let key = key.clone();
        self.run(move |sql| {
            let fits = find(sql, &key)?.is_some_and(|l| l.counter == counter && l.ended());
            if fits {
                sql.execute("DELETE FROM leases WHERE lease_key = ?1", [key.as_str()])?;
            }
            Ok(fits)
        })
    }
}

fn find(sql: &Transaction, key: &LeaseKey) -> rusqlite::Result<Option<Lease>> {
    let mut query = sql.prepare_cached("SELECT * FROM leases WHERE lease_key = ?1")?;
    query.query_row([key.as_str()], read).optional().map(Option::flatten)
}

/// Stores every column; the number of rows changed.
fn store(sql: &Transaction, verb: &str, lease: &Lease) -> rusqlite::Result<usize> {
    let (checkpoint, sub_sequence) = lease.checkpoint.to_checkpoint();
    let hash_range = lease.hash_range.as_ref();
    let at = match lease.checkpoint {
        Position::AtTimestamp(at) => at,
        _ => None,
    };
    let insert = format!("{verb} INTO leases VALUES (?{})", ", ?".repeat(COLUMNS - 1));
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
        lease.stream.map(u64::cast_signed),
        at,
        lease.lag_ms.map(u64::cast_signed),
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
        stream: row.get::<_, Option<i64>>("stream")?.map(i64::cast_unsigned),
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

fn classify(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::OperationInterrupted,
        ) => Error::Unavailable(error.into()),
        _ => Error::Unusable(error.into()),
    }
}
