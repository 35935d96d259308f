//! What an API is asked about an event, and what the event gets.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use event::{Entity, Event, Field};
use serde_json::{Value as Json, json};

use super::*;
use crate::mistake::ConfigError;
use crate::reader::Node;

const PERSON: &str = r#"{"email":"e@x","age":42,"score":1.50,"exp":1e3,"none":null,"ok":true,"name":{"first":"J","score":2.0},"tags":["a","b"],"mixed":[1,true,"foo",null,{"k":1},[2]],"empty":[]}"#;

fn read(parameters: &Json, strict: bool) -> Result<Api, Vec<ConfigError>> {
    let (errors, variables) = (RefCell::default(), BTreeMap::new());
    let node = Node::root(parameters, Path::new("api.json"), &variables, &errors);
    let api =
        Api::read(&node, ("api_request_enrichment_config", "iglu:x/y/jsonschema/1-0-2"), strict);
    let errors = errors.into_inner();
    if errors.is_empty() { Ok(api.expect("what is read or refused")) } else { Err(errors) }
}

fn parameters(method: &str, uri: &str, inputs: Json, path: &str) -> Json {
    json!({
        "inputs": inputs,
        "api": {"http": {"method": method, "uri": uri, "timeout": 500, "authentication": {}}},
        "outputs": [{"schema": "iglu:com.acme/user/jsonschema/1-0-0", "json": {"jsonPath": path}}],
        "cache": {"size": 10, "ttl": 60},
    })
}

fn column(key: &str, field: &str) -> Json {
    json!({"key": key, "pojo": {"field": field}})
}

fn value(key: &str, path: &str) -> Json {
    let criterion = "iglu:com.acme/person/jsonschema/1-*-*";
    json!({"key": key, "json": {"field": "contexts", "schemaCriterion": criterion, "jsonPath": path}})
}

fn asked(api: &Api) -> Result<Option<Key>, Vec<Words>> {
    let arena = Bump::new();
    let mut event = Event::new();
    event.set(Field::UserId, Some("a b/c?d&e=f#g%h+ü{x}*~"));
    event.set(Field::AppId, Some("shop"));
    let contexts = [Entity::new("iglu:com.acme/person/jsonschema/1-0-3", PERSON)];
    let place = Place { event: &event, contexts: &contexts, unstruct: None, derived: &[] };
    api.key(&place, &arena)
}

#[test]
fn values_are_escaped_in_a_url() {
    for (uri, expected) in [
        ("http://h/{{user}}", Some("http://h/a+b%2Fc%3Fd%26e%3Df%23g%25h%2B%C3%BC%7Bx%7D*%7E")),
        ("http://h/{{ app }}/{{  app}}?x={{app }}", Some("http://h/shop/shop?x=shop")),
        ("http://h/plain", Some("http://h/plain")),
        ("http://h/{{other}}", None),
        ("http://h/{app}", None),
        ("http://h/{{{app}}}", None),
        ("http://h/{{app", None),
    ] {
        let inputs = json!([column("user", "user_id"), column("app", "app_id")]);
        let api = read(&parameters("GET", uri, inputs, "$"), true).expect("it is sound");
        let key = asked(&api).expect("nothing is wrong");
        let found = key.as_ref().map(|key| Api::request(key));
        assert_eq!(found, expected.map(|url| (url, None)), "{uri}");
        assert_eq!(api.never_asks().is_some(), expected.is_none(), "{uri}");
    }
}

#[test]
fn values_become_texts_in_a_body() {
    for (path, expected) in [
        ("$.email", r#"{"v":"e@x"}"#),
        ("$.age", r#"{"v":"42"}"#),
        ("$.score", r#"{"v":"1.5"}"#),
        ("$.exp", r#"{"v":"1000.0"}"#),
        ("$.none", r#"{"v":"null"}"#),
        ("$.ok", r#"{"v":"true"}"#),
        ("$.name", r#"{"v":"{\"first\":\"J\",\"score\":\"2.0\"}"}"#),
        ("$.tags", r#"{"v":"a,b"}"#),
        ("$.tags[*]", r#"{"v":"a,b"}"#),
        ("$.tags[-1]", r#"{"v":"b"}"#),
        ("$.mixed", r#"{"v":"1,true,foo,null,{\"k\":1},2"}"#),
        ("$.empty", r#"{"v":""}"#),
        ("$.nothing", r#"{"v":""}"#),
    ] {
        let api = read(&parameters("POST", "http://h/", json!([value("v", path)]), "$"), true);
        let key = asked(&api.expect("it is sound")).expect("nothing is wrong");
        let key = key.expect("it asks");
        assert_eq!(Api::request(&key), ("http://h/", Some(expected)), "{path}");
    }
}

#[test]
fn an_input_that_is_missing_asks_nothing_and_the_last_of_one_name_counts() {
    let ask = |inputs| {
        let api = read(&parameters("PUT", "http://h/", inputs, "$"), true).expect("it is sound");
        let key = asked(&api).expect("nothing is wrong");
        key.map(|key| Api::request(&key).1.unwrap_or_default().to_owned())
    };
    assert_eq!(ask(json!([column("a", "user_id"), column("b", "page_url")])), None);
    assert_eq!(ask(json!([column("a", "page_url"), column("a", "app_id")])), None);
    let twice = json!([column("a", "user_id"), column("b", "app_id"), column("a", "app_id")]);
    assert_eq!(ask(twice).as_deref(), Some(r#"{"a":"shop","b":"shop"}"#));
    assert_eq!(ask(json!([])).as_deref(), Some("{}"));
}

#[test]
fn mistakes_are_refused_or_fail_each_event() {
    let inputs = json!([column("a", "no_such"), value("b", "$.[["), value("c", "$.x.length()")]);
    let parameters = parameters("GET", "http://h/a b", inputs, "$.[[");
    let errors = read(&parameters, true).expect_err("three mistakes and a path");
    let pointers: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
    let expected = [
        "/inputs/0/pojo/field",
        "/inputs/1/json/jsonPath",
        "/inputs/2/json/jsonPath",
        "/outputs/0/json/jsonPath",
    ];
    assert_eq!(pointers, expected);
    let api = read(&parameters, false).expect("a peer would start");
    assert_eq!(asked(&api).expect_err("every input fails").len(), 3);
    let Ok(Answer::Failed(words)) = api.answer("{}") else { panic!("its path cannot be followed") };
    assert!(words[0].text().starts_with("API Request enrichment:JSONPath error "));
}

#[test]
fn outputs_take_what_their_paths_find() {
    let data = |body: &str, path: &str| {
        let api = read(&parameters("GET", "http://h/", json!([]), path), true).expect("sound");
        match api.answer(body) {
            Ok(Answer::Found(found)) => found[0].data().to_owned(),
            Ok(Answer::Failed(words)) => words[0].text().into_owned(),
            Ok(Answer::Unavailable(_)) => unreachable!("there is a body"),
            Err(words) => words.text().into_owned(),
        }
    };
    let body = r#"{ "a": {"b": 1.50}, "list": [{"k":1},{"k":2}], "empty": [], "none": null }"#;
    assert_eq!(
        data(body, "$"),
        r#"{"a":{"b":1.5},"list":[{"k":1},{"k":2}],"empty":[],"none":null}"#
    );
    assert_eq!(data(body, "$.a"), r#"{"b":1.5}"#);
    assert_eq!(data(body, "$.list[*].k"), "[1,2]");
    assert_eq!(data(body, "$.list[?(@.k==2)]"), r#"{"k":2}"#);
    assert_eq!(data(body, "$.none"), "null");
    assert_eq!(data("5", "$"), "5");
    for (body, path, begins) in [
        (body, "$.empty", "API Request enrichment:Value not found Error: no values were found by"),
        (body, "$.nope", "API Request enrichment:Value not found Error: no values were found by"),
        ("", "$", "No content to map due to end-of-input"),
        ("<html>", "$", "not JSON: expected a JSON value"),
        (r#"{"e":9223372036854775808}"#, "$", "Numeric value (9223372036854775808) out of range"),
    ] {
        let said = data(body, path);
        assert!(said.starts_with(begins), "{said}");
        assert!(said.chars().count() <= 511);
    }
    let long = format!(r#"{{"a":"{}"}}"#, "é".repeat(5_000));
    assert_eq!(data(&long, "$.nope").chars().count(), 511);
}

#[test]
fn secrets_are_not_printed() {
    let mut parameters = parameters("GET", "http://h/?key=s3cret", json!([]), "$");
    parameters["api"]["http"]["authentication"] =
        json!({"httpBasic": {"username": "u", "password": "s3cret"}});
    let shown = format!("{:?}", read(&parameters, true).expect("it is sound"));
    assert!(!shown.contains("s3cret"), "{shown}");
}
