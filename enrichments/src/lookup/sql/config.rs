//! Reading the configuration of a look-up of a database.

use super::{Database, Describes, Dialect, Expected, Names, Secret, Sql, Statement};
use crate::inputs::Input;
use crate::lookup::Cache;
use crate::reader::Node;

/// The most inputs, as the published schema has it.
const MOST_PLACEHOLDERS: u64 = 64;

impl Sql {
    /// Reads the parameters of a configuration with that Iglu URI. What a peer lets pass to fail
    /// every event is noted as a mistake if `strict`.
    pub(crate) fn read(parameters: &Node<'_>, uri: &str, strict: bool) -> Option<Sql> {
        let known = ["inputs", "database", "query", "output", "cache", "ignoreOnError"];
        parameters.only(&known)?;
        let inputs = read_inputs(&parameters.field("inputs"), strict);
        let database = Database::read(&parameters.field("database"));
        let query = parameters.field("query");
        query.only(&["sql"]);
        let sql = query.field("sql").text();
        let output = parameters.field("output");
        output.only(&["expectedRows", "json"]);
        let json = output.field("json");
        json.only(&["schema", "describes", "propertyNames"]);
        let schema = json.field("schema").text();
        let expected = output.field("expectedRows").choice(&[
            ("EXACTLY_ONE", Expected::ExactlyOne),
            ("AT_MOST_ONE", Expected::AtMostOne),
            ("AT_LEAST_ZERO", Expected::AtLeastZero),
            ("AT_LEAST_ONE", Expected::AtLeastOne),
        ]);
        let describes = json
            .field("describes")
            .choice(&[("ALL_ROWS", Describes::AllRows), ("EVERY_ROW", Describes::EveryRow)]);
        let names = json.field("propertyNames").choice(&Names::CHOICES);
        let cache = Cache::read(&parameters.field("cache"));
        let ignore_errors = parameters.field("ignoreOnError").present();
        let ignore_errors = ignore_errors.map_or(Some(false), |flag| flag.flag());
        let database = database?;
        Some(Sql {
            uri: uri.to_owned(),
            inputs: inputs?,
            statement: Statement::read(&sql?, database.dialect),
            database,
            schema: schema?.into(),
            expected: expected?,
            describes: describes?,
            names: names?,
            cache: cache?,
            ignore_errors: ignore_errors?,
        })
    }
}

/// The inputs with their placeholders, in the order in which they are written.
fn read_inputs(node: &Node<'_>, strict: bool) -> Option<Vec<(usize, Input)>> {
    let read = |node: &Node<'_>| {
        node.only(&["placeholder", "pojo", "json"])?;
        let placeholder = node.field("placeholder").number(1, MOST_PLACEHOLDERS)?;
        let input = Input::read(node, placeholder.to_string(), strict)?;
        Some((placeholder as usize, input))
    };
    node.elements()?.iter().map(read).collect()
}

impl Database {
    fn read(node: &Node<'_>) -> Option<Database> {
        node.only(&["postgresql", "mysql"])?;
        let (postgres, mysql) = (node.field("postgresql"), node.field("mysql"));
        let (dialect, node) = match (postgres.is_present(), mysql.is_present()) {
            (true, false) => (Dialect::Postgres, postgres),
            (false, true) => (Dialect::MySql, mysql),
            (both, _) => {
                let found = if both { "both" } else { "neither" };
                node.wrong_because("either postgresql or mysql", found.to_owned());
                return None;
            }
        };
        node.only(&["host", "port", "sslMode", "username", "password", "database"])?;
        let host = node.field("host").text();
        let port = node.field("port").number(1, u64::from(u16::MAX));
        let tls = node.field("sslMode").flag();
        let username = node.field("username").text();
        let password = node.field("password").secret();
        let name = node.field("database").text();
        Some(Database {
            dialect,
            host: host?,
            port: port? as u16,
            tls: tls?,
            username: username?,
            password: Secret(password?),
            name: name?,
        })
    }
}
