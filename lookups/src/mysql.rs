//! Asking MySQL and MariaDB.
//!
//! The server reads values as it likes and says nothing of the types it wants. So numbers and truth
//! values go as such, and texts as texts, whatever they look like: a peer sends `"00123"` as a
//! number, and the server then compares every row as a number and finds others as well.
//!
//! The server is told to stop at as many rows as are taken, and after as long as is waited.

mod cells;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use enrichments::lookup::sql::{Bounds, Columns, Meaning, Rows, Sql};
use enrichments::lookup::{Key, Value};
use event::reason::Words;
use mysql_async::prelude::Queryable;
use mysql_async::{
    Column, Conn, DriverError, Error, IoError, Opts, OptsBuilder, Params, SslOpts, TlsError,
};
use rustls::pki_types::CertificateDer;

use crate::database::pool::{Dial, Pool};
use crate::database::tls::{self, AuthoritiesError};
use crate::database::{Found, Outage, Server, Settings, Tls, Trouble, ask, reach};
use crate::{Ask, Asking};

/// What the library says of a row that is larger than it was told to take; its type is not public.
const PACKET_TOO_LARGE: &str = "larger than max_allowed_packet";

/// Statements that a connection keeps prepared: a look-up has one.
const STATEMENTS: usize = 2;

/// One look-up of a MySQL or a MariaDB.
pub struct MySql {
    sql: Sql,
    settings: Settings,
    pool: Pool<Dialler>,
}

pub(crate) struct Dialler {
    encrypted: Opts,
    /// For servers without TLS, where it is no must.
    plain: Option<Opts>,
    /// Whether the server was found to have none.
    has_no_tls: AtomicBool,
    session: Session,
}

/// What a session is told.
struct Session {
    rows: usize,
    timeout_ms: u128,
}

/// A connection that is closed without a word, and at once: the library's own way waits until the
/// server has sent the rest of a result, which one that hangs never does.
pub(crate) struct Connection(Option<Conn>);

impl MySql {
    /// Nothing is connected before it is asked.
    pub fn new(sql: &Sql, settings: &Settings) -> Result<MySql, AuthoritiesError> {
        // The library takes the provider of the process. That one is installed says nothing bad.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let database = &sql.database;
        let opts = || {
            OptsBuilder::default()
                .ip_or_hostname(&database.host)
                .tcp_port(database.port)
                .user(Some(&database.username))
                .pass(Some(&database.password.0))
                .db_name(Some(&database.name))
                // A socket file would be asked for another database than the one named.
                .prefer_socket(false)
                .stmt_cache_size(STATEMENTS)
                .max_allowed_packet(Some(settings.bounds.bytes.max(1 << 16)))
        };
        let tls = match (database.tls, settings.tls) {
            (true, Tls::Verified) => verified(&tls::authorities(settings.authorities.as_deref())?),
            _ => SslOpts::default()
                .with_danger_accept_invalid_certs(true)
                .with_danger_skip_domain_validation(true),
        };
        let rows = sql.enough_rows().unwrap_or(usize::MAX).min(settings.bounds.rows);
        let dial = Dialler {
            encrypted: opts().ssl_opts(Some(tls)).into(),
            plain: (!database.tls).then(|| opts().into()),
            has_no_tls: AtomicBool::new(false),
            session: Session { rows: rows + 1, timeout_ms: settings.timeout.as_millis() },
        };
        let pool = Pool::new(dial, settings.connections);
        Ok(MySql { sql: sql.clone(), settings: settings.clone(), pool })
    }

    /// One row more than decides is read, so that its surplus is known.
    fn bounds(&self) -> Bounds {
        let Bounds { rows, bytes } = self.settings.bounds;
        Bounds { rows: self.sql.enough_rows().map_or(rows, |enough| enough.min(rows) + 1), bytes }
    }
}

impl Server for MySql {
    type Dial = Dialler;

    fn sql(&self) -> &Sql {
        &self.sql
    }

    fn pool(&self) -> &Pool<Dialler> {
        &self.pool
    }

    async fn question(
        &self,
        connection: &mut Connection,
        values: &[Value],
    ) -> Result<Found, Trouble> {
        let conn = connection.0.as_mut().expect("it is there until it is dropped");
        let parameters = values.iter().map(parameter).collect();
        let statement = conn.prep(self.sql.statement.text.as_str()).await?;
        if usize::from(statement.num_params()) != values.len() {
            let why = format!("the server finds {} placeholders", statement.num_params());
            return Err(Trouble::Refused(Words::own(why)));
        }
        if statement.columns().is_empty() {
            return Err(Trouble::Refused(Words::own("the statement gives no rows")));
        }
        let mut result = conn.exec_iter(statement, Params::Positional(parameters)).await?;
        let columns: Arc<[Column]> = result.columns().unwrap_or_default();
        let labels: Vec<String> = columns.iter().map(|c| c.name_str().into_owned()).collect();
        let labels = labels.iter().map(String::as_str);
        let mut rows = Rows::new(Columns::new(labels, self.sql.names), self.bounds());
        while let Some(row) = result.next().await? {
            rows.push(|index, write| {
                let value = row.as_ref(index).unwrap_or(&mysql_async::Value::NULL);
                cells::write(&columns[index], value, write);
                Ok::<(), Trouble>(())
            })?;
        }
        Ok(Found { rows: rows.finish(), whole: true })
    }
}

impl Ask for MySql {
    fn ask<'a>(&'a self, key: &'a Key) -> Asking<'a> {
        Box::pin(ask(self, self.settings.timeout, &key.0))
    }

    fn reach(&self) -> Pin<Box<dyn Future<Output = Result<(), crate::Trouble>> + Send + '_>> {
        Box::pin(reach(self.settings.timeout, &self.pool))
    }
}

/// Trusts these authorities and no other.
fn verified(authorities: &[CertificateDer<'static>]) -> SslOpts {
    SslOpts::default()
        .with_disable_built_in_roots(true)
        .with_root_certs(authorities.iter().map(|der| der.to_vec().into()).collect())
}

/// A value as it is sent. A truth value that a JSON writes as a text would mean 0 to the server.
fn parameter(value: &Value) -> mysql_async::Value {
    match value {
        Value::Boolean(value) => i64::from(*value).into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(bits) => f64::from_bits(*bits).into(),
        Value::Single(bits) => f32::from_bits(*bits).into(),
        Value::Text(text) => text.as_bytes().into(),
        Value::Spelled(text) => match Meaning::of(text) {
            Meaning::Boolean(value) => i64::from(value).into(),
            _ => text.as_bytes().into(),
        },
    }
}

impl Dial for Dialler {
    type Connection = Connection;

    async fn dial(&self) -> Result<Connection, Outage> {
        let plain = self.plain.as_ref();
        let known = plain.filter(|_| self.has_no_tls.load(Ordering::Relaxed));
        let opened = match (Conn::new(known.unwrap_or(&self.encrypted).clone()).await, plain) {
            (Err(Error::Driver(DriverError::NoClientSslFlagFromServer)), Some(plain)) => {
                self.has_no_tls.store(true, Ordering::Relaxed);
                Conn::new(plain.clone()).await
            }
            (opened, _) => opened,
        };
        let conn = opened.map_err(|error| Outage(said(&error)))?;
        let mut connection = Connection(Some(conn));
        let conn = connection.0.as_mut().expect("it was just put there");
        self.session.begin(conn).await.map_err(|error| Outage(said(&error)))?;
        Ok(connection)
    }

    fn is_closed(_: &Connection) -> bool {
        false
    }
}

impl Session {
    async fn begin(&self, conn: &mut Conn) -> Result<(), Error> {
        conn.query_drop(format!("SET SESSION sql_select_limit = {}", self.rows)).await?;
        // MySQL and MariaDB each have a setting that the other does not know.
        let millis = self.timeout_ms;
        let (whole, rest) = (millis / 1000, millis % 1000);
        for setting in [
            format!("SET SESSION max_execution_time = {millis}"),
            format!("SET SESSION max_statement_time = {whole}.{rest:03}"),
        ] {
            match conn.query_drop(setting).await {
                Err(Error::Server(_)) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(conn) = self.0.take() else { return };
        // Where it finds a runtime, the library has it wait for the rest. A thread has none.
        std::thread::scope(|scope| {
            scope.spawn(|| drop(conn));
        });
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        let text = said(&error);
        match error {
            Error::Server(error) => match error.code {
                // Full, refused, no such database, shutting down, killed, out of time, locked.
                1040
                | 1044
                | 1045
                | 1049
                | 1053
                | 1129
                | 1130
                | 1152
                | 1158..=1161
                | 1203
                | 1205
                | 1213
                | 1226
                | 1290
                | 1317
                | 1836
                | 1927
                | 1969
                | 3024 => Trouble::Lost(Outage(text)),
                // It quotes values of the event now and then.
                _ => Trouble::Refused(Words::quoting("", text)),
            },
            Error::Io(IoError::Io(_)) if text.contains(PACKET_TOO_LARGE) => {
                let why = "SQL Query Enrichment: a row of the result has more bytes than are taken";
                Trouble::Surplus(Words::own(why))
            }
            _ => Trouble::Lost(Outage(text)),
        }
    }
}

/// What happened, in words without a secret.
fn said(error: &Error) -> String {
    match error {
        Error::Io(IoError::Io(error)) => format!("the connection failed: {error}"),
        Error::Io(IoError::Tls(TlsError::Tls(error))) => format!("TLS failed: {error}"),
        Error::Driver(DriverError::NoClientSslFlagFromServer) => "the server has no TLS".to_owned(),
        Error::Server(error) => error.to_string(),
        error => error.to_string(),
    }
}
