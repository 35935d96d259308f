//! Look-ups against a real PostgreSQL and a real MariaDB: what they give, and what becomes of a
//! question when the server is in trouble. Left out where the servers are not installed, which is
//! said; `tests/run` unpacks them.

mod faults;
mod mariadb;
mod postgres;

use std::time::Duration;

use anyhow::Result;
use enrichments::lookup::sql::{Bounds, Sql};
use enrichments::lookup::{Answer, Key, Value};
use event::reason::Words;
use lookups::database::Settings;
use lookups::{Ask, Trouble};
use tests::databases::{Database, Kind};

/// A look-up of either server.
struct Asked(Box<dyn Ask>);

impl Asked {
    fn new(sql: &Sql, settings: &Settings) -> Asked {
        Asked(lookups::client(sql, settings).expect("what it is given can be read"))
    }

    /// The answer in one line: entities, what a bad row says, or the outage.
    async fn text(&self, values: &[Value]) -> String {
        let text = |words: &[Words]| {
            assert_eq!(words[0].text(), "Error while executing the sql lookup");
            words[1..].iter().map(|words| words.text().into_owned()).collect::<Vec<_>>().join(" ")
        };
        match self.0.ask(&Key(values.into())).await {
            Ok(Answer::Found(found)) => {
                found.iter().map(|found| found.data()).collect::<Vec<_>>().join(" ")
            }
            Ok(other) => panic!("{other:?} is for others to give"),
            Err(Trouble::Refused(words)) => format!("failed: {}", text(&words)),
            Err(Trouble::Outage(words)) => format!("outage: {}", text(&words)),
        }
    }
}

/// Settings that do not wait long for what will not come.
fn settings() -> Settings {
    Settings {
        timeout: Duration::from_secs(20),
        bounds: Bounds { rows: 100, bytes: 64 << 10 },
        connections: 2,
        ..Settings::default()
    }
}

/// A server with what the recorded cases ask for, and the user who asks.
async fn started(kind: Kind) -> Result<Option<Database>> {
    let Some(database) = Database::start(kind).await? else { return Ok(None) };
    if kind == Kind::Postgres {
        database.fill(include_str!("../vectors/fixtures/database.sql")).await?;
    }
    Ok(Some(database))
}

fn text(value: &str) -> Value {
    Value::Text(value.into())
}

fn spelled(value: &str) -> Value {
    Value::Spelled(value.into())
}
