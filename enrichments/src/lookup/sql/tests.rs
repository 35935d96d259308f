//! What a database is asked about an event, and what the event gets.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use event::{Entity, Event, Field};
use serde_json::{Value as Json, json};

use super::*;
use crate::mistake::ConfigError;
use crate::reader::Node;

const PERSON: &str = r#"{"code":"00123","n":5,"whole":5.0,"dec":1.5,"ok":true,"none":null,"tags":["a","b"],"one":["a"]}"#;

fn read(parameters: &Json, strict: bool) -> Result<Sql, Vec<ConfigError>> {
    let errors = RefCell::default();
    let variables = BTreeMap::from([("PASSWORD".to_owned(), "hush".to_owned())]);
    let node = Node::root(parameters, Path::new("sql.json"), &variables, &errors);
    let sql = Sql::read(&node, "iglu:x/y/jsonschema/1-0-1", strict);
    let errors = errors.into_inner();
    if errors.is_empty() { Ok(sql.expect("what is read or refused")) } else { Err(errors) }
}

fn parameters(sql: &str, inputs: Json) -> Json {
    json!({
        "inputs": inputs,
        "database": {"postgresql": {
            "host": "db", "port": 5432, "sslMode": true, "username": "u",
            "password": "${PASSWORD}", "database": "d",
        }},
        "query": {"sql": sql},
        "output": {"expectedRows": "AT_MOST_ONE", "json": {
            "schema": "iglu:com.acme/user/jsonschema/1-0-0", "describes": "ALL_ROWS",
            "propertyNames": "AS_IS",
        }},
        "cache": {"size": 10, "ttl": 60},
    })
}

fn column(placeholder: u64, field: &str) -> Json {
    json!({"placeholder": placeholder, "pojo": {"field": field}})
}

fn value(placeholder: u64, path: &str) -> Json {
    let criterion = "iglu:com.acme/person/jsonschema/1-*-*";
    let json = json!({"field": "contexts", "schemaCriterion": criterion, "jsonPath": path});
    json!({"placeholder": placeholder, "json": json})
}

fn asked(sql: &Sql) -> Result<Option<Key>, Vec<Words>> {
    let arena = Bump::new();
    let mut event = Event::new();
    event.set(Field::UserId, Some("u"));
    event.set(Field::AppId, Some("app"));
    event.set(Field::TrTotal, Some("1.50"));
    let contexts = [Entity::new("iglu:com.acme/person/jsonschema/1-0-3", PERSON)];
    let place = Place { event: &event, contexts: &contexts, unstruct: None, derived: &[] };
    sql.key(&place, &arena)
}

#[test]
fn placeholders_are_filled_in_their_order_or_nothing_is_asked() {
    let check = |sql: &str, inputs: Json, expected: Option<&[Value]>| {
        let sql = read(&parameters(sql, inputs), true).expect("it is sound");
        let key = asked(&sql).expect("nothing is wrong");
        assert_eq!(key.as_ref().map(|key| &*key.0), expected, "{}", sql.statement.text);
    };
    let text = |text: &str| Value::Text(text.into());
    check("SELECT 1", json!([]), Some(&[]));
    let turned = json!([column(2, "app_id"), column(1, "user_id")]);
    check("SELECT ?, ?", turned, Some(&[text("u"), text("app")]));
    let twice = json!([column(1, "app_id"), column(1, "user_id")]);
    check("SELECT ?", twice, Some(&[text("u")]));
    // A later input that is absent leaves an earlier one.
    let other = json!([column(1, "app_id"), column(1, "page_url"), value(1, "$.none")]);
    check("SELECT ?", other, Some(&[text("app")]));
    check("SELECT ?, ?", json!([column(1, "app_id"), column(3, "user_id")]), None);
    check("SELECT ?", json!([column(1, "app_id"), column(2, "user_id")]), None);
    check("SELECT ?", json!([column(1, "page_url")]), None);
    check("SELECT '?'", json!([column(1, "app_id")]), None);
    let float = |number: f64| Value::Float(number.to_bits());
    check("?", json!([column(1, "tr_total")]), Some(&[float(1.5)]));
    check("?", json!([value(1, "$.code")]), Some(&[Value::Spelled("00123".into())]));
    check("?", json!([value(1, "$.n")]), Some(&[Value::Integer(5)]));
    check("?", json!([value(1, "$.whole")]), Some(&[Value::Integer(5)]));
    check("?", json!([value(1, "$.dec")]), Some(&[float(1.5)]));
    check("?", json!([value(1, "$.ok")]), Some(&[Value::Boolean(true)]));
    check("?", json!([value(1, "$.one[0]")]), Some(&[Value::Spelled("a".into())]));
    for absent in ["$.none", "$.tags", "$.tags[*]", "$.nothing", "$"] {
        check("?", json!([value(1, absent)]), None);
    }
}

#[test]
fn mistakes_are_noted_when_they_are_read_or_fail_every_event() {
    let inputs = json!([column(1, "no_such"), value(2, "$.[[")]);
    let errors = read(&parameters("SELECT ?, ?", inputs.clone()), true).expect_err("it is strict");
    let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(pointers, ["/inputs/0/pojo/field", "/inputs/1/json/jsonPath"]);
    let sql = read(&parameters("SELECT ?, ?", inputs), false).expect("a peer takes it");
    let words = asked(&sql).expect_err("no event is enriched");
    let said: Vec<_> = words.iter().map(|words| words.text().into_owned()).collect();
    assert_eq!(said[0], "Error while building the map of placeholders");
    let wrong = "SQL Query enrichment: SQL Query Enrichment: Wrong POJO input field was specified";
    assert!(said[1].starts_with(&format!("NonEmptyList({wrong}, ")), "{said:?}");

    let refused = |change: &dyn Fn(&mut Json), pointer: &str| {
        let mut parameters = parameters("SELECT 1", json!([]));
        change(&mut parameters);
        let errors = read(&parameters, true).expect_err(pointer);
        assert_eq!(errors[0].pointer, pointer);
        assert!(!format!("{errors:?}").contains("hush"), "{errors:?}");
    };
    refused(&|p| p["output"]["expectedRows"] = json!("ONE"), "/output/expectedRows");
    refused(&|p| p["database"]["postgresql"]["port"] = json!(0), "/database/postgresql/port");
    refused(
        &|p| p["database"]["postgresql"]["sslmode"] = json!(true),
        "/database/postgresql/sslmode",
    );
    refused(&|p| p["database"]["mysql"] = json!({}), "/database");
    refused(&|p| p["database"] = json!({}), "/database");
    refused(&|p| p["cache"]["ttl"] = json!(86_401), "/cache/ttl");
    refused(&|p| p["query"] = json!({}), "/query/sql");
    refused(&|p| p["inputs"] = json!([column(0, "app_id")]), "/inputs/0/placeholder");
}

#[test]
fn what_is_never_asked_is_said() {
    let warned = |sql: &str, inputs: Json| {
        read(&parameters(sql, inputs), true).expect("it is sound").warnings().join("; ")
    };
    assert_eq!(warned("SELECT ?", json!([column(1, "app_id")])), "");
    assert!(warned("SELECT ?, ?", json!([column(1, "app_id")])).contains("placeholder 2"));
    let beyond = warned("SELECT ?", json!([column(1, "app_id"), column(2, "user_id")]));
    assert!(beyond.contains("an input for placeholder 2"), "{beyond}");
    assert!(warned("SELECT '", json!([])).contains("never closed"));
}

#[test]
fn secrets_come_by_reference_and_are_not_shown() {
    let sql = read(&parameters("SELECT 1", json!([])), true).expect("it is sound");
    assert_eq!(sql.database.password, Secret("hush".to_owned()));
    assert!(!format!("{sql:?}").contains("hush"));
}

#[test]
fn rows_become_as_many_entities_as_are_asked_for() {
    let check =
        |expected: &str, describes: &str, rows: &[&str], entities: Result<&[&str], &str>| {
            let mut parameters = parameters("SELECT 1", json!([]));
            parameters["output"]["expectedRows"] = json!(expected);
            parameters["output"]["json"]["describes"] = json!(describes);
            let sql = read(&parameters, true).expect("it is sound");
            let rows = rows.iter().map(|row| Box::from(*row)).collect();
            match (sql.answer(rows), entities) {
                (Answer::Found(found), Ok(entities)) => {
                    let found: Vec<_> = found.iter().map(Found::data).collect();
                    assert_eq!(found, entities, "{expected} {describes}");
                }
                (Answer::Failed(words), Err(part)) => {
                    assert!(words[1].text().contains(part), "{words:?}");
                }
                (answer, _) => panic!("{expected} {describes}: {answer:?}"),
            }
        };
    let (one, two) = (["{\"a\":1}"], ["{\"a\":1}", "{\"a\":2}"]);
    for describes in ["ALL_ROWS", "EVERY_ROW"] {
        check("EXACTLY_ONE", describes, &[], Err("exactly one row was expected"));
        check("EXACTLY_ONE", describes, &one, Ok(&one));
        check("EXACTLY_ONE", describes, &two, Err("exactly one row was expected"));
        check("AT_MOST_ONE", describes, &[], Ok(&[]));
        check("AT_MOST_ONE", describes, &one, Ok(&one));
        check("AT_MOST_ONE", describes, &two, Err("at most one row was expected"));
        check("AT_LEAST_ONE", describes, &[], Err("at least one row was expected. 0 given"));
    }
    check("AT_LEAST_ZERO", "ALL_ROWS", &[], Ok(&["[]"]));
    check("AT_LEAST_ZERO", "EVERY_ROW", &[], Ok(&[]));
    check("AT_LEAST_ONE", "ALL_ROWS", &two, Ok(&["[{\"a\":1},{\"a\":2}]"]));
    check("AT_LEAST_ONE", "EVERY_ROW", &two, Ok(&two));
}
