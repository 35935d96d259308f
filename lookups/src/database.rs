//! What look-ups of PostgreSQL and of MySQL share: settings, what can go wrong, and a small pool.
//!
//! A question takes a connection out of the pool, which opens one where none is idle and no more
//! than so many are open. A connection that broke while it was idle or in mid-query is forgotten
//! and the question asked again over another, until a fresh one breaks too: a restart of the
//! database costs no question. A statement may therefore run more than once. Nothing here is
//! patient: an answer that takes too long, or is too large, is given up.

pub(crate) mod pool;
pub(crate) mod tls;

use std::path::PathBuf;
use std::time::Duration;

use enrichments::lookup::sql::{self, Bounds, Sql, TooMuch};
use enrichments::lookup::{Answer, Value};
use event::reason::Words;
use tokio::sync::SemaphorePermit;

use pool::{Dial, Pool};
pub use tls::AuthoritiesError;

/// How databases are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether a server has to prove who it is, where TLS is a must.
    pub tls: Tls,
    /// Authorities that are trusted besides those of the system, in a PEM file.
    pub authorities: Option<PathBuf>,
    /// Connections to each database.
    pub connections: usize,
    /// How statements are sent to PostgreSQL.
    pub statements: Statements,
    /// How long an answer may take, opening a connection included.
    pub timeout: Duration,
    /// How much of a result is taken.
    pub bounds: Bounds,
}

/// What is asked of a server's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// It is of that host and of an authority that is trusted.
    #[default]
    Verified,
    /// Nothing, as with a peer: whoever is between can read and change everything.
    Unverified,
}

/// How statements are sent to PostgreSQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Statements {
    /// Prepared once a connection.
    #[default]
    Prepared,
    /// Unnamed, all of it in one trip: for poolers that give each transaction another connection.
    Unnamed,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            tls: Tls::default(),
            authorities: None,
            // Enough to hide the latency of one query behind another; a fleet of workers multiplies
            // it, and databases have few connections to give.
            connections: 4,
            statements: Statements::default(),
            timeout: Duration::from_secs(5),
            // Far more than an event can carry: a result that is larger is a mistaken statement.
            bounds: Bounds { rows: 1_000, bytes: 1 << 20 },
        }
    }
}

/// Nobody could be asked, and why; no secret in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outage(pub(crate) String);

impl From<Outage> for crate::Trouble {
    fn from(outage: Outage) -> crate::Trouble {
        crate::Trouble::Outage(sql::reasons(Words::own(outage.0)).into())
    }
}

/// What went wrong with one question.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The database refuses it; the connection is as good as before.
    Refused(Words),
    /// The same, because of the types of the values.
    Mistyped(Words),
    /// The answer is more than is taken; the rest of it is on the connection.
    Surplus(Words),
    /// The connection, or the database.
    Lost(Outage),
}

impl From<TooMuch> for Trouble {
    fn from(error: TooMuch) -> Trouble {
        Trouble::Surplus(Words::own(error.to_string()))
    }
}

/// The refusal of a question.
fn refused(words: Words) -> crate::Trouble {
    crate::Trouble::Refused(sql::reasons(words).into())
}

/// What the rows of a result come to.
fn outcome(sql: &Sql, rows: Vec<Box<str>>) -> Result<Answer, crate::Trouble> {
    match sql.answer(rows) {
        Answer::Failed(words) => Err(crate::Trouble::Refused(words.to_vec())),
        answer => Ok(answer),
    }
}

/// A database that one look-up asks.
pub(crate) trait Server: Sync {
    /// How it is connected to.
    type Dial: Dial;

    /// What is asked.
    fn sql(&self) -> &Sql;

    /// The connections.
    fn pool(&self) -> &Pool<Self::Dial>;

    /// Asks once, over one connection.
    fn question(
        &self,
        connection: &mut <Self::Dial as Dial>::Connection,
        values: &[Value],
    ) -> impl Future<Output = Result<Found, Trouble>> + Send;
}

/// What was taken of a result, and whether that is all there was: the rest stays on the connection.
pub(crate) struct Found {
    pub(crate) rows: Vec<Box<str>>,
    pub(crate) whole: bool,
}

/// Asks, within a time that begins when there is a connection to be had.
pub(crate) async fn ask(
    server: &impl Server,
    patience: Duration,
    values: &[Value],
) -> Result<Answer, crate::Trouble> {
    let room = server.pool().room().await;
    let late = || Outage(format!("the database gave no answer within {patience:?}")).into();
    let asking = tokio::time::timeout(patience, attempts(server, &room, values));
    asking.await.unwrap_or_else(|_| Err(late()))
}

/// Asks over one connection after the other, until one that was not idle before breaks.
async fn attempts(
    server: &impl Server,
    room: &SemaphorePermit<'_>,
    values: &[Value],
) -> Result<Answer, crate::Trouble> {
    loop {
        let mut taken = server.pool().take(room).await?;
        match server.question(&mut taken.connection, values).await {
            Ok(Found { rows, whole }) => {
                if whole {
                    taken.give_back();
                }
                return outcome(server.sql(), rows);
            }
            Err(Trouble::Refused(words) | Trouble::Mistyped(words)) => {
                taken.give_back();
                return Err(refused(words));
            }
            Err(Trouble::Surplus(words)) => return Err(refused(words)),
            Err(Trouble::Lost(outage)) if taken.fresh => return Err(outage.into()),
            Err(Trouble::Lost(_)) => {}
        }
    }
}

/// Sees, within a time, whether there is a connection.
pub(crate) async fn reach<D: Dial>(
    patience: Duration,
    pool: &Pool<D>,
) -> Result<(), crate::Trouble> {
    let room = pool.room().await;
    let taking = tokio::time::timeout(patience, pool.take(&room));
    let late = |_| Err(Outage(format!("the database gave no connection within {patience:?}")));
    let taken = taking.await.unwrap_or_else(late)?;
    taken.give_back();
    Ok(())
}
