//! Asking PostgreSQL.
//!
//! A statement is prepared for the types under which a peer would send the values, so what works
//! there gives the same here. Where the server refuses these types (`operator does not exist: text
//! = integer`), it is prepared again with the types that the server finds for its placeholders,
//! and the values are read under those: more works than with a peer, nothing works differently.
//! Which of the two it is, is found out once for each combination of types.
//!
//! Results come in the server's binary form; columns of types whose form is not known here are
//! asked for again as text.

mod cells;
mod parameter;

use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};

use enrichments::lookup::sql::{Cell, Columns, Rows, Sql};
use enrichments::lookup::{Key, Value};
use event::reason::Words;
use futures_util::TryStreamExt;
use tokio::task::JoinSet;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::{Kind, Type};
use tokio_postgres::{Client, Column, Config, Row, RowStream, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::database::pool::{Dial, Pool};
use crate::database::tls::{self, AuthoritiesError};
use crate::database::{Found, Outage, Server, Settings, Statements, Tls, Trouble, ask, reach};
use crate::{Ask, Asking};
use parameter::Parameter;

/// How many combinations of types are remembered, for all and on each connection. Events choose
/// the combination, so it is bounded; real statements have one or two.
const MOST_SIGNATURES: usize = 16;

/// One look-up of a PostgreSQL.
pub struct Postgres {
    sql: Sql,
    settings: Settings,
    pool: Pool<Dialler>,
    /// What is known of combinations of types.
    plans: Mutex<HashMap<Vec<Type>, Plan>>,
}

/// How a statement is asked with values of some types.
#[derive(Clone, Debug)]
struct Plan {
    text: Arc<str>,
    /// What the server said of the values' own types, where it has to find others.
    untyped: Option<Words>,
}

pub(crate) struct Dialler {
    config: Config,
    tls: MakeRustlsConnect,
    prepares: bool,
    timeout_ms: u128,
}

pub(crate) struct Connection {
    client: Client,
    statements: HashMap<Vec<Type>, Statement>,
    /// What drives the connection; ended with it.
    _driver: JoinSet<()>,
}

impl Postgres {
    /// Nothing is connected before it is asked.
    pub fn new(sql: &Sql, settings: &Settings) -> Result<Postgres, AuthoritiesError> {
        let database = &sql.database;
        let mut config = Config::new();
        config
            .host(&database.host)
            .port(database.port)
            .user(&database.username)
            .password(&database.password.0)
            .dbname(&database.name)
            .application_name("snowmelt")
            .connect_timeout(settings.timeout)
            .ssl_mode(if database.tls { SslMode::Require } else { SslMode::Prefer });
        let verified = database.tls && settings.tls == Tls::Verified;
        let authorities = match verified {
            true => Some(tls::authorities(settings.authorities.as_deref())?),
            false => None,
        };
        let dial = Dialler {
            config,
            tls: MakeRustlsConnect::new(tls::client(authorities.as_deref())),
            prepares: settings.statements == Statements::Prepared,
            timeout_ms: settings.timeout.as_millis(),
        };
        Ok(Postgres {
            sql: sql.clone(),
            settings: settings.clone(),
            pool: Pool::new(dial, settings.connections),
            plans: Mutex::default(),
        })
    }

    async fn prepared(
        &self,
        connection: &mut Connection,
        values: &[Value],
    ) -> Result<Found, Trouble> {
        let signature = parameter::signature(values);
        let statement = match connection.statements.get(&signature) {
            Some(statement) => statement.clone(),
            None => {
                let statement = self.prepare(&connection.client, &signature).await?;
                if connection.statements.len() == MOST_SIGNATURES {
                    connection.statements.clear();
                }
                connection.statements.insert(signature.clone(), statement.clone());
                statement
            }
        };
        let plan = self.plan(&signature);
        let outcome = async {
            let parameters = plan.parameters(values);
            let stream = connection.client.query_raw(&statement, parameters).await?;
            let mut stream = pin!(stream);
            let first = stream.try_next().await?;
            self.rows(stream, first).await
        };
        outcome.await.map_err(|error| plan.explain(error))
    }

    /// Prepares the statement for values of some types, and notes how.
    async fn prepare(&self, client: &Client, signature: &[Type]) -> Result<Statement, Trouble> {
        let mut plan = self.plan(signature);
        loop {
            let types = if plan.untyped.is_some() { &[] } else { signature };
            match client.prepare_typed(&plan.text, types).await.map_err(Trouble::from) {
                Ok(statement) => {
                    let columns = statement.columns();
                    if columns.is_empty() {
                        return Err(Trouble::Refused(no_results()));
                    }
                    let as_it_stands = *plan.text == *self.sql.statement.text;
                    match self.as_text(columns).filter(|_| as_it_stands) {
                        Some(text) => plan.text = text.into(),
                        None => {
                            self.remember(signature, plan);
                            return Ok(statement);
                        }
                    }
                }
                Err(error) => plan.give_way(error)?,
            }
        }
    }

    async fn unnamed(
        &self,
        connection: &mut Connection,
        values: &[Value],
    ) -> Result<Found, Trouble> {
        let signature = parameter::signature(values);
        let mut plan = self.plan(&signature);
        loop {
            let types = signature.iter().cloned().map(|of| match plan.untyped {
                Some(_) => Type::UNKNOWN,
                None => of,
            });
            let parameters = plan.parameters(values).into_iter().zip(types);
            let stream = connection.client.query_typed_raw(&plan.text, parameters).await;
            let begun = async {
                let mut stream = Box::pin(stream?);
                let first = stream.try_next().await?;
                Ok((stream, first))
            };
            match begun.await.map_err(|error: tokio_postgres::Error| Trouble::from(error)) {
                Ok((mut stream, first)) => {
                    let columns = first.as_ref().map_or(&[][..], Row::columns);
                    if *plan.text == *self.sql.statement.text
                        && let Some(text) = self.as_text(columns)
                    {
                        plan.text = text.into();
                        continue;
                    }
                    self.remember(&signature, plan.clone());
                    let rows = self.rows(stream.as_mut(), first).await;
                    return rows.map_err(|error| plan.explain(error));
                }
                Err(error) => plan.give_way(error)?,
            }
        }
    }

    fn plan(&self, signature: &[Type]) -> Plan {
        let plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.get(signature).cloned().unwrap_or_else(|| Plan {
            text: self.sql.statement.text.as_str().into(),
            untyped: None,
        })
    }

    fn remember(&self, signature: &[Type], plan: Plan) {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if plans.len() == MOST_SIGNATURES {
            plans.clear();
        }
        plans.insert(signature.to_vec(), plan);
    }

    /// The statement with the columns that cannot be read here as texts; none if all can be read.
    fn as_text(&self, columns: &[Column]) -> Option<String> {
        if columns.iter().all(|column| cells::is_readable(column.type_())) {
            return None;
        }
        let (mut selected, mut names) = (Vec::new(), Vec::new());
        for (index, column) in columns.iter().enumerate() {
            let label = column.name().replace('"', "\"\"");
            let cast = if cells::is_readable(column.type_()) { "" } else { "::text" };
            selected.push(format!("c{index}{cast} AS \"{label}\""));
            names.push(format!("c{index}"));
        }
        let inner = self.sql.statement.body();
        let (selected, names) = (selected.join(", "), names.join(", "));
        Some(format!("SELECT {selected} FROM ({inner}) AS result({names})"))
    }

    /// Takes the rows of a result, the first of which is there. Those beyond what decides are read
    /// past while they are few, so that the connection can go on.
    async fn rows(
        &self,
        mut stream: Pin<&mut RowStream>,
        first: Option<Row>,
    ) -> Result<Found, Trouble> {
        let labels = first.iter().flat_map(Row::columns).map(Column::name);
        let bounds = self.settings.bounds;
        let mut rows = Rows::new(Columns::new(labels, self.sql.names), bounds);
        let enough = self.sql.enough_rows().unwrap_or(usize::MAX);
        let (mut next, mut seen) = (first, 0);
        while let Some(row) = next {
            seen += 1;
            if rows.len() < enough {
                rows.push(|index, write| cell(&row, index, write))?;
            } else if seen > bounds.rows {
                return Ok(Found { rows: rows.finish(), whole: false });
            }
            next = stream.try_next().await?;
        }
        Ok(Found { rows: rows.finish(), whole: true })
    }
}

fn cell(row: &Row, index: usize, write: &mut dyn FnMut(Cell<'_>)) -> Result<(), Trouble> {
    let column = &row.columns()[index];
    match row.try_get::<_, Option<cells::Raw<'_>>>(index)? {
        None => {
            write(Cell::Null);
            Ok(())
        }
        Some(raw) => cells::write(column.type_(), raw.0, write).ok_or_else(|| unreadable(column)),
    }
}

impl Server for Postgres {
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
        match self.settings.statements {
            Statements::Prepared => self.prepared(connection, values).await,
            Statements::Unnamed => self.unnamed(connection, values).await,
        }
    }
}

impl Ask for Postgres {
    fn ask<'a>(&'a self, key: &'a Key) -> Asking<'a> {
        Box::pin(ask(self, self.settings.timeout, &key.0))
    }

    fn reach(&self) -> Pin<Box<dyn Future<Output = Result<(), crate::Trouble>> + Send + '_>> {
        Box::pin(reach(self.settings.timeout, &self.pool))
    }
}

impl Plan {
    fn parameters(&self, values: &[Value]) -> Vec<Parameter> {
        match self.untyped {
            Some(_) => parameter::untyped(values),
            None => parameter::typed(values),
        }
    }

    /// Has the server find the types, where it refused those of the values.
    fn give_way(&mut self, error: Trouble) -> Result<(), Trouble> {
        match error {
            Trouble::Mistyped(words) if self.untyped.is_none() => {
                self.untyped = Some(words);
                Ok(())
            }
            error => Err(self.explain(error)),
        }
    }

    /// What a peer would say of it: where the values' own types were refused, that.
    fn explain(&self, error: Trouble) -> Trouble {
        match (error, &self.untyped) {
            (Trouble::Refused(_) | Trouble::Mistyped(_), Some(words)) => {
                Trouble::Refused(words.clone())
            }
            (Trouble::Mistyped(words), None) => Trouble::Refused(words),
            (error, _) => error,
        }
    }
}

impl Dial for Dialler {
    type Connection = Connection;

    async fn dial(&self) -> Result<Connection, Outage> {
        let unreachable = |error: &tokio_postgres::Error| Outage(said(error).to_string());
        let opened = self.config.connect(self.tls.clone()).await;
        let (client, connection) = opened.map_err(|error| unreachable(&error))?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // What ends it is told to whoever waits for an answer.
            let _ = connection.await;
        });
        // A peer's sessions are in UTC. A pooler keeps track of this setting, not of others.
        let mut session = "SET TIME ZONE 'UTC'".to_owned();
        if self.prepares {
            session.push_str(&format!("; SET statement_timeout = {}", self.timeout_ms));
        }
        client.batch_execute(&session).await.map_err(|error| unreachable(&error))?;
        Ok(Connection { client, statements: HashMap::new(), _driver: driver })
    }

    fn is_closed(connection: &Connection) -> bool {
        connection.client.is_closed()
    }
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(error: tokio_postgres::Error) -> Trouble {
        let Some(code) = error.code() else {
            return Trouble::Lost(Outage(said(&error).to_string()));
        };
        match code.code() {
            // The types of values: no such function or operator, mismatch, ambiguous, no cast,
            // undetermined.
            "42883" | "42804" | "42725" | "42846" | "42P18" | "42P08" => {
                Trouble::Mistyped(said(&error))
            }
            // A table has changed under a prepared statement; it is prepared anew.
            "0A000" if said(&error).text().contains("cached plan") => {
                Trouble::Lost(Outage(said(&error).to_string()))
            }
            // The server ends the query or the session, is full, or has the rows locked.
            "57014" | "57P01" | "57P02" | "57P03" | "57P05" | "40001" | "40P01" | "55P03"
            | "26000" | "42P05" | "25006" => Trouble::Lost(Outage(said(&error).to_string())),
            // Connections, who may connect, missing databases, resources, the system.
            other => match &other[..2] {
                "08" | "28" | "3D" | "53" | "58" | "XX" => {
                    Trouble::Lost(Outage(said(&error).to_string()))
                }
                _ => Trouble::Refused(said(&error)),
            },
        }
    }
}

/// What the server says in a peer's words, which bad rows are searched for; else what happened.
fn said(error: &tokio_postgres::Error) -> Words {
    let Some(error) = error.as_db_error() else {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        return Words::own(text);
    };
    let mut text = format!("{}: {}", error.severity(), error.message());
    let position = error.position().map(|position| match position {
        tokio_postgres::error::ErrorPosition::Original(at) => at.to_string(),
        tokio_postgres::error::ErrorPosition::Internal { position, .. } => position.to_string(),
    });
    let more = [
        ("Detail", error.detail()),
        ("Hint", error.hint()),
        ("Position", position.as_deref()),
        ("Where", error.where_()),
    ];
    for (name, said) in more {
        if let Some(said) = said {
            text.push_str(&format!("\n  {name}: {said}"));
        }
    }
    // It may quote a value of the event.
    Words::quoting("org.postgresql.util.PSQLException: ", text)
}

fn no_results() -> Words {
    Words::own("org.postgresql.util.PSQLException: No results were returned by the query.")
}

fn unreadable(column: &Column) -> Trouble {
    let (name, of) = (column.name(), column.type_().name());
    let cast = match column.type_().kind() {
        Kind::Simple => "cast it to text",
        _ => "cast its parts to text",
    };
    let why = format!("SQL Query Enrichment: column {name} of type {of} cannot be read; {cast}");
    Trouble::Refused(Words::own(why))
}
