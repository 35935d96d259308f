//! The embedded stream: an ordered log per shard in a SQLite file, for the processes of one
//! machine. What was put is there after the death of any process, until what is done is dropped.
//!
//! Whoever puts a record says what should become of it where that is known, so that a run can be
//! checked against it.

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
CREATE INDEX IF NOT EXISTS by_shard ON records (shard, sequence);
CREATE TABLE IF NOT EXISTS dropped (
  records INTEGER NOT NULL,
  unforetold INTEGER NOT NULL,
  good INTEGER NOT NULL,
  bad INTEGER NOT NULL
) STRICT;
INSERT INTO dropped SELECT 0, 0, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM dropped);";

/// The most records that one transaction drops: readers and writers wait for it, for milliseconds.
const DROPPED_AT_ONCE: usize = 2000;

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
    /// How many bad rows should be made of it. Neither of both: nobody knows.
    pub bad: usize,
}

/// What was put so far, and what should become of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many records there were.
    pub records: u64,
    /// How many of them nobody foretold anything of.
    pub unforetold: u64,
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
        // Counts for a file that is new: what is dropped makes the file smaller.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
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

    /// The number of the newest record there ever was; numbers follow one another without gaps.
    pub async fn newest(&self) -> Result<u64, Error> {
        self.run("looking for the newest record", |connection| {
            let newest = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'records'";
            connection.query_row(newest, [], |row| row.get(0))
        })
        .await
    }

    /// What was put so far, dropped records included.
    pub async fn sum(&self) -> Result<Sum, Error> {
        self.run("counting records", |connection| {
            let counts = "SELECT d.records + r.n, d.unforetold + r.unforetold, d.good + r.good,
                d.bad + r.bad FROM dropped d, (SELECT count(*) n,
                coalesce(sum(good + bad = 0), 0) unforetold,
                coalesce(sum(good), 0) good, coalesce(sum(bad), 0) bad FROM records) r";
            connection.query_row(counts, [], |row| {
                let [records, unforetold, good, bad] =
                    [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
                Ok(Sum { records, unforetold, good, bad })
            })
        })
        .await
    }

    /// Drops records of a shard that a position has passed and that came before a time. They stay
    /// in the sum. Answers with how many are gone; there may be more.
    pub async fn drop_done(
        &self,
        shard: &ShardId,
        done: &Position,
        before_ms: i64,
    ) -> Result<usize, Error> {
        // No other position says that something is done.
        let done = match done {
            Position::After { .. } => done.clone(),
            _ => Position::TrimHorizon,
        };
        let shard = shard.clone();
        self.run("dropping records", move |connection| {
            let last = last_done(connection, &shard, &done)?;
            let all = connection.transaction()?;
            let those = "(SELECT sequence FROM records WHERE shard = ?1 AND sequence <= ?2
                         AND at < ?3 ORDER BY sequence LIMIT ?4)";
            let of = params![shard.as_str(), last, before_ms, DROPPED_AT_ONCE];
            let count = format!(
                "UPDATE dropped SET (records, unforetold, good, bad) = (SELECT
                 dropped.records + count(*),
                 dropped.unforetold + coalesce(sum(r.good + r.bad = 0), 0),
                 dropped.good + coalesce(sum(r.good), 0), dropped.bad + coalesce(sum(r.bad), 0)
                 FROM records r WHERE r.sequence IN {those})"
            );
            all.execute(&count, of)?;
            let gone =
                all.execute(&format!("DELETE FROM records WHERE sequence IN {those}"), of)?;
            all.commit()?;
            if gone > 0 {
                // Each row of its answer is a page that went.
                let mut vacuum = connection.prepare("PRAGMA incremental_vacuum")?;
                let mut pages = vacuum.query([])?;
                while pages.next()?.is_some() {}
            }
            Ok(gone)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_done_is_dropped_and_stays_in_the_sum() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("stream.db");
        let stream = Local::open(&file, 2).expect("it opens");
        let [one, other] =
            <[ShardId; 2]>::try_from(stream.shard_ids().await.expect("they are there"))
                .expect("there are two");
        let put = |shard: &ShardId, good, bad| Put {
            shard: shard.clone(),
            data: vec![7; 10_000],
            good,
            bad,
        };
        for n in 0..DROPPED_AT_ONCE {
            let shard = if n % 2 == 0 { &one } else { &other };
            stream.put(vec![put(shard, n % 3, 0)]).await.expect("it is written");
        }
        let before = stream.sum().await.expect("it is read");
        let large = std::fs::metadata(&file).expect("it is there").len();
        let after = |n| Position::After { sequence: sequence(n), sub_sequence: 0 };
        let half = DROPPED_AT_ONCE as i64 / 2;
        // What came later than asked for stays, and so does what is not done.
        assert_eq!(stream.drop_done(&one, &after(half), 0).await.expect("it is read"), 0);
        for position in [Position::TrimHorizon, Position::Latest, Position::ShardEnd] {
            assert_eq!(stream.drop_done(&one, &position, i64::MAX).await.expect("it is read"), 0);
        }
        let gone = stream.drop_done(&one, &after(half), i64::MAX).await.expect("it is written");
        assert_eq!(gone as i64, half / 2);
        assert_eq!(stream.sum().await.expect("it is read"), before);
        let left = stream.left(&one, &Position::TrimHorizon).await.expect("it is read");
        assert_eq!(left as i64, half / 2);
        let all = after(2 * half);
        stream.drop_done(&one, &all, i64::MAX).await.expect("it is written");
        stream.drop_done(&other, &all, i64::MAX).await.expect("it is written");
        assert_eq!(stream.sum().await.expect("it is read"), before);
        drop(stream);
        let small = std::fs::metadata(&file).expect("it is there").len();
        assert!(small * 10 < large.max(1_000_000), "{large} bytes became {small}");
        // Numbers go on: no position is ever given twice.
        let stream = Local::open(&file, 2).expect("it opens");
        stream.put(vec![put(&one, 1, 0)]).await.expect("it is written");
        assert_eq!(stream.left(&one, &all).await.expect("it is read"), 1);
    }
}
