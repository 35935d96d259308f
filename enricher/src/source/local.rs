//! The embedded stream: an ordered log per shard in a SQLite file, for the processes of one
//! machine. What was put is there after the death of any process.
//!
//! Whoever puts a record says what should become of it, so that a run can be checked against it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use lease::{Position, SequenceNumber, Shard, ShardId};
use rusqlite::{Connection, TransactionBehavior, params};

use crate::batch::{Arrival, Batch, Record};
use crate::clock;
use crate::seam::Pending;
use crate::source::{Error, Outlet, Reading, Source};

/// How often a reader at the tip looks for more: often enough not to be felt, and a few
/// microseconds of work each time.
const POLL: Duration = Duration::from_millis(50);

/// The most records of one batch.
const BATCH_RECORDS: usize = 1000;

/// How long to wait for another process's transaction, which takes milliseconds.
const BUSY: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS shards (id TEXT PRIMARY KEY NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS records (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  shard TEXT NOT NULL,
  at INTEGER NOT NULL,
  good INTEGER NOT NULL,
  bad INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS by_shard ON records (shard, sequence);";

/// A stream in a SQLite file.
#[derive(Clone, Debug)]
pub struct Local {
    connection: Arc<Mutex<Connection>>,
}

/// A record to put.
#[derive(Clone, Debug)]
pub struct Put {
    /// The shard that it goes into.
    pub shard: ShardId,
    /// The collector payload.
    pub data: Vec<u8>,
    /// How many events of it should be enriched.
    pub good: usize,
    /// How many bad rows should be made of it.
    pub bad: usize,
}

/// What was put so far, and what should become of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many records there are.
    pub records: u64,
    /// Events that should be enriched.
    pub good: u64,
    /// Bad rows that should be made.
    pub bad: u64,
}

type Row = (i64, i64, Vec<u8>);

impl Local {
    /// Opens a stream; makes one of so many shards if there is none. An existing one keeps its.
    pub fn open(file: &Path, shards: usize) -> rusqlite::Result<Local> {
        let mut connection = Connection::open(file)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        let setup = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        setup.execute_batch(SCHEMA)?;
        let known: usize = setup.query_row("SELECT count(*) FROM shards", [], |row| row.get(0))?;
        for n in 0..if known == 0 { shards } else { 0 } {
            let id = format!("shardId-{n:012}");
            setup.execute("INSERT INTO shards (id) VALUES (?)", [id])?;
        }
        setup.commit()?;
        Ok(Local { connection: Arc::new(Mutex::new(connection)) })
    }

    /// Appends records, all or none.
    pub async fn put(&self, records: Vec<Put>) -> Result<(), Error> {
        self.run("putting records", move |connection| {
            let now_ms = clock::now_ms();
            let all = connection.transaction()?;
            for put in records {
                all.prepare_cached(
                    "INSERT INTO records (shard, at, good, bad, data) VALUES (?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    put.shard.as_str(),
                    now_ms,
                    put.good,
                    put.bad,
                    put.data
                ])?;
            }
            all.commit()
        })
        .await
    }

    /// The shards that the stream was made with.
    pub async fn shard_ids(&self) -> Result<Vec<ShardId>, Error> {
        self.run("listing shards", |connection| {
            let mut ids = connection.prepare_cached("SELECT id FROM shards ORDER BY id")?;
            ids.query_map([], |row| row.get::<_, String>(0).map(|id| ShardId::new(&id)))?.collect()
        })
        .await
    }

    /// What was put so far.
    pub async fn sum(&self) -> Result<Sum, Error> {
        self.run("counting records", |connection| {
            let counts = "SELECT count(*), total(good), total(bad) FROM records";
            connection.query_row(counts, [], |row| {
                let total = |n| row.get::<_, f64>(n).map(|total| total as u64);
                Ok(Sum { records: row.get(0)?, good: total(1)?, bad: total(2)? })
            })
        })
        .await
    }

    /// How many records of a shard come after a position.
    pub async fn left(&self, shard: &ShardId, from: &Position) -> Result<u64, Error> {
        let (shard, from) = (shard.clone(), from.clone());
        self.run("counting records", move |connection| {
            let after = last_done(connection, &shard, &from)?;
            let count = "SELECT count(*) FROM records WHERE shard = ? AND sequence > ?";
            connection.query_row(count, params![shard.as_str(), after], |row| row.get(0))
        })
        .await
    }

    async fn read_on(self, shard: ShardId, from: Position, outlet: Outlet) -> Result<(), Error> {
        let of = shard.clone();
        let mut next = self.run("reading records", move |c| last_done(c, &of, &from)).await?;
        loop {
            let (from, of) = (next, shard.clone());
            let rows = self.run("reading records", move |c| rows(c, &of, from)).await?;
            let Some((last, at, _)) = rows.last() else {
                tokio::time::sleep(POLL).await;
                continue;
            };
            next = *last;
            let behind = (clock::now_ms() - at).max(0).unsigned_abs();
            let lag = if rows.len() < BATCH_RECORDS { 0 } else { behind };
            let records: Vec<Record> = rows
                .into_iter()
                .map(|(n, at, data)| Record {
                    sequence: sequence(n),
                    sub_sequence: 0,
                    arrival: Arrival { at_ms: Some(at), ..Arrival::default() },
                    data: Bytes::from(data),
                })
                .collect();
            let end = Position::After { sequence: sequence(next), sub_sequence: 0 };
            let lag = Some(Duration::from_millis(lag));
            let batch = Batch { shard: shard.clone(), records, lag, end };
            if outlet.send(batch).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Runs one piece of work on a thread that may block.
    async fn run<T: Send + 'static>(
        &self,
        doing: &str,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let connection = Arc::clone(&self.connection);
        let done = tokio::task::spawn_blocking(move || {
            work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner))
        });
        let fail = |source| Error { doing: doing.to_owned(), source };
        match done.await {
            Ok(done) => done.map_err(|error| fail(Box::new(error))),
            Err(error) => Err(fail(Box::new(error))),
        }
    }
}

fn rows(connection: &Connection, shard: &ShardId, from: i64) -> rusqlite::Result<Vec<Row>> {
    let rows = "SELECT sequence, at, data FROM records WHERE shard = ? AND sequence > ?
                ORDER BY sequence LIMIT ?";
    let mut rows = connection.prepare_cached(rows)?;
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    rows.query_map(params![shard.as_str(), from, BATCH_RECORDS], row)?.collect()
}

/// The number of the last record that is done or not asked for; numbers start at 1.
fn last_done(connection: &Connection, shard: &ShardId, at: &Position) -> rusqlite::Result<i64> {
    let before = match at {
        Position::After { sequence, .. } => {
            let number = sequence.as_str().parse::<i64>();
            return number.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()));
        }
        Position::ShardEnd => return Ok(i64::MAX),
        Position::TrimHorizon | Position::AtTimestamp(None) => return Ok(0),
        Position::AtTimestamp(Some(ms)) => *ms,
        Position::Latest => i64::MAX,
    };
    let last = "SELECT coalesce(max(sequence), 0) FROM records WHERE shard = ? AND at < ?";
    connection.query_row(last, params![shard.as_str(), before], |row| row.get(0))
}

fn sequence(n: i64) -> SequenceNumber {
    SequenceNumber::parse(&n.to_string()).expect("row numbers are positive")
}

impl Source for Local {
    fn shards(&self) -> Pending<'_, Result<Vec<Shard>, Error>> {
        Box::pin(async {
            let shard = |id| Shard { id, parents: Vec::new(), hash_range: None, closed: false };
            Ok(self.shard_ids().await?.into_iter().map(shard).collect())
        })
    }

    fn read(&self, shard: ShardId, from: Position, outlet: Outlet) -> Reading {
        Box::pin(self.clone().read_on(shard, from, outlet))
    }
}
