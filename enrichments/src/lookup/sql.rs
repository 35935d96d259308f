//! Look-ups of a database: an event's values fill the placeholders of a statement, the rows that
//! come back become entities.
//!
//! Configured by `sql_query_enrichment_config`. The placeholders that an event fills must be 1, 2
//! and so on, as many as the statement has; otherwise nothing is asked. How many rows may come, and
//! whether each becomes an entity or all of them one, stands in the configuration.
//!
//! Asking the database is left to others: they are given the [`Statement`], the [`Database`] and
//! the values of a [`Key`], and hand back [`Rows`].

mod config;
mod names;
mod rows;
mod statement;
mod value;

use std::fmt;
use std::sync::Arc;

use event::Bump;
use event::reason::Words;

use super::{Answer, Cache, Found, Key, Value};
use crate::inputs::{Given, Input, Place, Wrong};

pub use names::Names;
pub use rows::{Bounds, Cell, Columns, Rows, TooMuch};
pub use statement::Statement;
pub use value::Meaning;

/// As bad rows name this enrichment.
pub(super) const IDENTIFIER: &str = "sql-query";

/// The name of its configuration.
pub(crate) const NAME: &str = "sql_query_enrichment_config";

/// A look-up of a database.
#[derive(Clone, Debug)]
pub struct Sql {
    /// The Iglu URI of its configuration.
    pub(super) uri: String,
    inputs: Vec<(usize, Input)>,
    /// Whom it asks.
    pub database: Database,
    /// What it asks.
    pub statement: Statement,
    schema: Arc<str>,
    expected: Expected,
    describes: Describes,
    /// How properties are named.
    pub names: Names,
    pub(super) cache: Cache,
    pub(super) ignore_errors: bool,
}

/// Which SQL is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL's.
    Postgres,
    /// That of MySQL and MariaDB.
    MySql,
}

/// A database and who asks it.
#[derive(Clone, Debug)]
pub struct Database {
    /// Which SQL it speaks.
    pub dialect: Dialect,
    /// Its host: a name or an address.
    pub host: String,
    /// Where on the host it listens.
    pub port: u16,
    /// Whether TLS is a must; otherwise it is used where the server has it.
    pub tls: bool,
    /// Who asks.
    pub username: String,
    /// With which password.
    pub password: Secret,
    /// Which of the server's databases.
    pub name: String,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How many rows may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    ExactlyOne,
    AtMostOne,
    AtLeastZero,
    AtLeastOne,
}

/// What becomes an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Describes {
    AllRows,
    EveryRow,
}

impl Sql {
    /// How many rows are worth taking, if not as many as there are: a second one decides where one
    /// is expected.
    pub fn enough_rows(&self) -> Option<usize> {
        matches!(self.expected, Expected::ExactlyOne | Expected::AtMostOne).then_some(2)
    }

    /// What becomes of the rows of a result.
    pub fn answer(&self, rows: Vec<Box<str>>) -> Answer {
        let entities: Vec<Found> = match (self.expected, self.describes, rows.len()) {
            (Expected::ExactlyOne, _, 0 | 2..) => {
                return failed("SQL Query Enrichment: exactly one row was expected".into());
            }
            (Expected::AtMostOne, _, 2..) => {
                return failed("SQL Query Enrichment: at most one row was expected".into());
            }
            (Expected::AtLeastOne, _, 0) => {
                let why = "SQL Query Enrichment: at least one row was expected. 0 given instead";
                return failed(why.into());
            }
            (Expected::AtLeastZero | Expected::AtLeastOne, Describes::AllRows, _) => {
                vec![Found::new(&self.schema, format!("[{}]", rows.join(",")))]
            }
            _ => rows.into_iter().map(|row| Found::new(&self.schema, row)).collect(),
        };
        Answer::Found(entities.into())
    }

    pub(super) fn key(
        &self,
        place: &Place<'_, '_>,
        arena: &Bump,
    ) -> Result<Option<Key>, Vec<Words>> {
        let mut values: Vec<Option<Value>> = vec![None; self.statement.placeholders];
        let (mut wrong, mut beyond) = (Vec::new(), false);
        for (placeholder, input) in &self.inputs {
            let value = match input.given(place) {
                Ok(Given::Absent) => None,
                Ok(Given::Column(field, text)) => Some(value::of_column(field, text)),
                Ok(Given::Json(found)) => match found[..] {
                    [one] => value::of_json(one, arena),
                    _ => None,
                },
                Err(error) => {
                    wrong.push(said(&error));
                    None
                }
            };
            let Some(value) = value else { continue };
            match values.get_mut(placeholder - 1) {
                Some(place) => *place = Some(value),
                None => beyond = true,
            }
        }
        if !wrong.is_empty() {
            let why = format!("NonEmptyList({})", wrong.join(", "));
            let what = Words::own("Error while building the map of placeholders");
            return Err(vec![what, Words::own(why)]);
        }
        let complete: Option<Box<[Value]>> = values.into_iter().collect();
        Ok(complete.filter(|_| !beyond).map(Key))
    }

    /// A question in a form that can be shown.
    pub(super) fn shown(&self, key: &Key) -> String {
        let value = |value: &Value| match value {
            Value::Boolean(value) => value.to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Float(bits) => f64::from_bits(*bits).to_string(),
            Value::Single(bits) => f32::from_bits(*bits).to_string(),
            Value::Text(text) | Value::Spelled(text) => format!("{text:?}"),
        };
        let values: Vec<String> = key.0.iter().map(value).collect();
        format!("{} [{}]", self.statement.text, values.join(", "))
    }

    pub(super) fn reads_derived(&self) -> bool {
        self.inputs.iter().any(|(_, input)| input.is_derived())
    }

    /// What the operator should know: that the statement cannot be asked as it stands.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let placeholders = self.statement.placeholders;
        if let Some(what) = self.statement.unclosed {
            warnings.push(format!("{what} of the statement is never closed"));
        }
        let unfilled = (1..=placeholders).find(|n| self.inputs.iter().all(|(at, _)| at != n));
        if let Some(placeholder) = unfilled {
            warnings.push(format!(
                "the statement has {placeholders} placeholder(s) and no input for placeholder \
                 {placeholder}: it is never asked"
            ));
        } else if let Some((beyond, _)) = self.inputs.iter().find(|(at, _)| *at > placeholders) {
            warnings.push(format!(
                "the statement has {placeholders} placeholder(s): it is not asked for events that \
                 have an input for placeholder {beyond}"
            ));
        }
        warnings
    }
}

/// A failure of asking, in the words of bad rows.
pub fn failed(why: Words) -> Answer {
    Answer::Failed(reasons(why).into())
}

/// The reasons of a failure of asking, in the words of bad rows.
pub fn reasons(why: Words) -> [Words; 2] {
    [Words::own("Error while executing the sql lookup"), why]
}

fn said(wrong: &Wrong<'_>) -> String {
    match wrong {
        Wrong::Column => {
            let why = "SQL Query Enrichment: Wrong POJO input field was specified";
            format!("SQL Query enrichment: {why}")
        }
        Wrong::Path(why) => format!("the JSONPath: {why}"),
    }
}

#[cfg(test)]
mod tests;
