//! Why a record did not become what was wanted, of use to those who will mend it: for each verdict
//! but the good one the places that are wrong, what was expected there and what was found, and the
//! version of the schema that would take the data.
//!
//! It is read from the bad row, which is what everybody else gets to see. A bad row that withholds
//! values has them in no other form, so then there is only what it says itself.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use validator::Explanation;

/// Self-describing JSON deeper than this is not looked for: no event has any.
const DEEPEST: usize = 32;

/// What became of one event, or of a payload that failed whole, and why.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(in crate::commands) struct Why {
    /// Its verdict: the kind of its bad row, or `parked`.
    pub(in crate::commands) verdict: String,
    /// What is wrong, by what is wrong with it.
    pub(in crate::commands) faults: Vec<Fault>,
}

/// What is wrong with one thing.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(in crate::commands) struct Fault {
    /// The schema that it does not follow.
    pub(in crate::commands) schema: Option<String>,
    /// Where the self-describing JSON stands, or which enrichment failed.
    pub(in crate::commands) within: Option<String>,
    /// What is wrong with it.
    pub(in crate::commands) wrong: Vec<Wrong>,
    /// The version of the schema nearest to its own that accepts it.
    pub(in crate::commands) nearest: Option<String>,
}

/// One place that is wrong.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(in crate::commands) struct Wrong {
    /// A JSON pointer into the data of the self-describing JSON, or the name of a field; none where
    /// it is about the whole.
    pub(in crate::commands) at: Option<String>,
    /// What was expected there.
    pub(in crate::commands) expected: Option<String>,
    /// What is there.
    pub(in crate::commands) found: Option<String>,
    /// What is said of it, where that names no expectation.
    pub(in crate::commands) message: Option<String>,
}

/// What is known of schemas.
pub(in crate::commands) trait Judge {
    /// What is wrong with data of a schema; nothing where the schema is not known.
    fn explain(&self, uri: &str, data: &str) -> Vec<Explanation>;
    /// The version of a schema nearest to this one that accepts the data.
    fn nearest(&self, uri: &str, data: &str) -> Option<String>;
}

/// Why a record became what it did: an entry for each verdict, `None` where all is well.
pub(in crate::commands) fn of(became: &Value, judge: &impl Judge) -> Vec<Option<Why>> {
    let each = became.as_array().into_iter().flatten();
    each.map(|one| {
        let (verdict, line) = one.as_object()?.iter().next()?;
        let faults = match verdict.as_str() {
            "enriched" => return None,
            "parked" => parked(line),
            _ => faults(line, judge),
        };
        Some(Why { verdict: verdict.clone(), faults })
    })
    .collect()
}

fn parked(line: &Value) -> Vec<Fault> {
    let waits = |uri: &Value| Fault {
        schema: Some(text(uri)),
        wrong: vec![Wrong {
            message: Some("no registry that may have it can be asked now".to_owned()),
            ..Wrong::default()
        }],
        ..Fault::default()
    };
    let unasked = |lookup: &Value| Fault {
        wrong: vec![Wrong {
            message: Some(format!("a look-up cannot be asked: {}", text(lookup))),
            ..Wrong::default()
        }],
        ..Fault::default()
    };
    let list = |places: [&str; 2]| {
        let found = places.into_iter().find_map(|place| line.pointer(place)?.as_array());
        found.into_iter().flatten()
    };
    let schemas = list(["/reason/schemas_unavailable", "/reason/unavailable/schemas"]);
    let lookups = list(["/reason/lookups_unavailable", "/reason/unavailable/lookups"]);
    schemas.map(waits).chain(lookups.map(unasked)).collect()
}

fn faults(row: &Value, judge: &impl Judge) -> Vec<Fault> {
    let failure = row.pointer("/data/failure").unwrap_or(&Value::Null);
    let payload = row.pointer("/data/payload").unwrap_or(&Value::Null);
    let mut described = Vec::new();
    // What the raw event has stands in the event, too.
    places(payload.get("enriched").unwrap_or(payload), "payload", 0, &mut described);
    let messages = match (failure.get("messages"), failure.get("message"), failure.get("errors")) {
        (Some(Value::Array(messages)), _, _) | (_, _, Some(Value::Array(messages))) => messages,
        (_, Some(message), _) => std::slice::from_ref(message),
        _ => std::slice::from_ref(failure),
    };
    let mut faults: Vec<Fault> = Vec::new();
    for message in messages {
        for fault in fault(message, &described, judge) {
            // Two entities of one schema are two messages, each of which finds both.
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
    }
    faults
}

fn fault(message: &Value, described: &[Described], judge: &impl Judge) -> Vec<Fault> {
    if let Some(inner) = message.get("message").filter(|inner| inner.is_object()) {
        let by = message.pointer("/enrichment/identifier").map(text);
        let mut inner = fault(inner, described, judge);
        inner.iter_mut().for_each(|fault| fault.within = fault.within.take().or(by.clone()));
        return inner;
    }
    let (Some(uri), Some(error)) = (message.get("schemaKey"), message.get("error")) else {
        return vec![Fault { wrong: vec![plain(message)], ..Fault::default() }];
    };
    let uri = text(uri);
    let of_it = described.iter().filter(|described| described.uri == uri);
    let seen = of_it.filter_map(|Described { within, data, .. }| {
        let wrong: Vec<Wrong> = judge.explain(&uri, data).into_iter().map(explained).collect();
        let nearest = || judge.nearest(&uri, data);
        (!wrong.is_empty()).then(|| Fault {
            nearest: nearest(),
            schema: Some(uri.clone()),
            within: Some(within.clone()),
            wrong,
        })
    });
    let seen: Vec<Fault> = seen.collect();
    if !seen.is_empty() {
        return seen;
    }
    // The data itself is of use where its own version is missing and another is there.
    let data = described.iter().find(|described| described.uri == uri);
    let missing = error.get("lookupHistory").is_some();
    let nearest = data.filter(|_| missing).and_then(|it| judge.nearest(&uri, &it.data));
    let within = data.map(|it| it.within.clone());
    vec![Fault { schema: Some(uri), within, wrong: said(error), nearest }]
}

fn explained(explanation: Explanation) -> Wrong {
    let Explanation { pointer, expected, found, .. } = explanation;
    Wrong { at: Some(pointer), expected: Some(expected), found: Some(found), message: None }
}

/// What a message about a schema says by itself.
fn said(error: &Value) -> Vec<Wrong> {
    let list = |name: &str| error.get(name).and_then(Value::as_array).into_iter().flatten();
    let told = |entry: &Value| Wrong {
        at: entry.get("path").map(text),
        message: entry.get("message").map(text),
        ..Wrong::default()
    };
    let in_schema = list("schemaIssues").map(|issue| {
        let Wrong { at, message, .. } = told(issue);
        let message = message.map(|message| format!("wrong in the schema: {message}"));
        Wrong { at, message, ..Wrong::default() }
    });
    let asked = |registry: &Value| {
        let answers = registry.get("errors").and_then(Value::as_array).into_iter().flatten();
        let none = || "it does not have it".to_owned();
        let answers = answers.map(|answer| answer.get("message").map_or_else(none, text));
        let answers: Vec<String> = answers.collect();
        let at = registry.get("repository").map(text);
        Wrong { at, message: Some(answers.join("; ")), ..Wrong::default() }
    };
    list("dataReports").map(told).chain(in_schema).chain(list("lookupHistory").map(asked)).collect()
}

/// What any other message says.
fn plain(message: &Value) -> Wrong {
    let member = |name: &str| message.get(name).filter(|value| !value.is_null()).map(text);
    let at = member("field").or(member("payloadField"));
    if let (Some(most), Some(size)) = (member("maximumAllowedSizeBytes"), member("actualSizeBytes"))
    {
        let (expected, found) = (format!("at most {most} bytes"), format!("{size} bytes"));
        return Wrong { at, expected: Some(expected), found: Some(found), message: None };
    }
    if let Some(criterion) = member("schemaCriterion") {
        let expected = Some(format!("a schema that matches {criterion}"));
        return Wrong { at, expected, found: member("schemaKey"), message: None };
    }
    let found = member("value").or(member("actual")).or(member("json"));
    // What a bad row calls an expectation is most often a sentence about what is there.
    let said = member("expectation").or(member("error")).unwrap_or_else(|| text(message));
    Wrong { at, expected: None, found, message: Some(said) }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A self-describing JSON.
struct Described {
    uri: String,
    /// The column or part of the payload, and the pointer in it.
    within: String,
    /// As it is written: numbers must not change on the way.
    data: String,
}

/// Finds the self-describing JSON in the texts of a bad row's payload.
fn places(value: &Value, name: &str, depth: usize, found: &mut Vec<Described>) {
    match value {
        Value::String(json) => described(json, (name, ""), depth, found),
        Value::Array(items) => items.iter().for_each(|item| places(item, name, depth + 1, found)),
        Value::Object(members) => {
            for (name, value) in members {
                places(value, name, depth + 1, found);
            }
        }
        _ => {}
    }
}

fn described(json: &str, at: (&str, &str), depth: usize, found: &mut Vec<Described>) {
    if depth > DEEPEST {
        return;
    }
    let (name, pointer) = at;
    let mut inside = |step: &str, value: &RawValue| {
        let step = step.replace('~', "~0").replace('/', "~1");
        described(value.get(), (name, &format!("{pointer}/{step}")), depth + 1, found);
    };
    if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(json) {
        for (index, item) in items.into_iter().enumerate() {
            inside(&index.to_string(), item);
        }
    } else if let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(json) {
        for (step, value) in &members {
            inside(step, value);
        }
        let uri = members.get("schema").and_then(|uri| serde_json::from_str(uri.get()).ok());
        if let (Some(uri), Some(data)) = (uri, members.get("data")) {
            let within = match pointer {
                "" => name.to_owned(),
                pointer => format!("{name} at {pointer}"),
            };
            found.push(Described { uri, within, data: data.get().to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Every price is to be a number, which version 1-0-1 does not mind.
    struct Prices;

    impl Judge for Prices {
        fn explain(&self, uri: &str, data: &str) -> Vec<Explanation> {
            let found = data.contains("\"x\"") && uri.ends_with("1-0-0");
            let explanation = Explanation {
                pointer: "/price".to_owned(),
                keyword: "type".to_owned(),
                expected: "number".to_owned(),
                found: "string \"x\"".to_owned(),
                message: String::new(),
            };
            if found { vec![explanation] } else { Vec::new() }
        }

        fn nearest(&self, uri: &str, _: &str) -> Option<String> {
            Some(uri.replace("1-0-0", "1-0-1"))
        }
    }

    fn row(failure: Value, payload: Value) -> Value {
        json!({"data": {"failure": failure, "payload": payload}})
    }

    /// Each fault as text.
    fn shown(kind: &str, row: Value) -> Vec<String> {
        let mut entry = serde_json::Map::new();
        entry.insert(kind.to_owned(), row);
        let why = of(&json!([entry]), &Prices).remove(0).expect("it is bad");
        let each = why.faults.iter().map(|fault| {
            let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            let wrong = fault.wrong.iter().map(|wrong| {
                let said = wrong.message.as_ref().or(wrong.expected.as_ref());
                format!("{}: {}, {}", or(&wrong.at), or(&said.cloned()), or(&wrong.found))
            });
            let wrong = wrong.collect::<Vec<_>>().join("; ");
            let (schema, within) = (or(&fault.schema), or(&fault.within));
            format!("{schema} | {within} | {wrong} | {}", or(&fault.nearest))
        });
        each.collect()
    }

    #[test]
    fn a_violation_is_found_where_it_is() {
        let entity = |price: &str| {
            format!(r#"{{"schema":"iglu:a/b/jsonschema/1-0-0","data":{{"price":{price}}}}}"#)
        };
        let contexts = format!(
            r#"{{"schema":"iglu:c/contexts/jsonschema/1-0-0","data":[{},{}]}}"#,
            entity("1"),
            entity("\"x\"")
        );
        let message = json!({"schemaKey": "iglu:a/b/jsonschema/1-0-0", "error": {
            "error": "ValidationError",
            "dataReports": [{"message": "$.price: string found", "path": "$.price"}]}});
        let failure = json!({"messages": [message, message]});
        let enriched = json!({"enriched": {"contexts": contexts, "app_id": "x"}, "raw": {"parameters": contexts}});
        assert_eq!(
            shown("schema_violations", row(failure.clone(), enriched)),
            [
                "iglu:a/b/jsonschema/1-0-0 | contexts at /data/1 | /price: number, string \"x\" | iglu:a/b/jsonschema/1-0-1"
            ]
        );
        // What was left out of the row can only be told as the row does.
        assert_eq!(
            shown("schema_violations", row(failure, json!({}))),
            ["iglu:a/b/jsonschema/1-0-0 | - | $.price: $.price: string found, - | -"]
        );
    }

    #[test]
    fn every_kind_of_message_says_something() {
        let missing = json!({"messages": [{"schemaKey": "iglu:a/b/jsonschema/1-0-0", "error": {
            "error": "ResolutionError", "lookupHistory": [
                {"repository": "Ours", "errors": [{"error": "NotFound"}]},
                {"repository": "Theirs", "errors": [{"error": "RepoFailure", "message": "no JSON"}]}]}}]});
        let body = r#"{"schema":"iglu:a/b/jsonschema/1-0-0","data":{}}"#;
        let enrichment = json!({"messages": [{"enrichment": {"identifier": "ua-parser"},
            "message": {"field": "ua", "value": null, "expectation": "an agent"}}]});
        let cases = [
            (
                missing,
                json!({"body": body}),
                "iglu:a/b/jsonschema/1-0-0 | body | Ours: it does not have it, -; Theirs: no JSON, - | iglu:a/b/jsonschema/1-0-1",
            ),
            (enrichment, json!({}), "- | ua-parser | ua: an agent, - | -"),
            (
                json!({"messages": [{"field": "cx", "value": "{", "error": "invalid json"}]}),
                json!({}),
                "- | - | cx: invalid json, { | -",
            ),
            (
                json!({"messages": [{"json": "{}", "error": "INVALID_DATA_PAYLOAD"}]}),
                json!({}),
                "- | - | -: INVALID_DATA_PAYLOAD, {} | -",
            ),
            (
                json!({"messages": [{"schemaKey": "iglu:a", "schemaCriterion": "iglu:b"}]}),
                json!({}),
                "- | - | -: a schema that matches iglu:b, iglu:a | -",
            ),
            (
                json!({"messages": [{"actual": "open", "expectation": "a known event", "expectedMapping": {}}]}),
                json!({}),
                "- | - | -: a known event, open | -",
            ),
            (
                json!({"message": {"payloadField": "body", "value": "x", "expectation": "less"}}),
                json!("x"),
                "- | - | body: less, x | -",
            ),
            (json!({"errors": ["it panicked"]}), json!("x"), "- | - | -: it panicked, - | -"),
            (
                json!({"maximumAllowedSizeBytes": 5, "actualSizeBytes": 9, "expectation": "e"}),
                json!("x"),
                "- | - | -: at most 5 bytes, 9 bytes | -",
            ),
        ];
        for (failure, payload, expected) in cases {
            assert_eq!(shown("bad", row(failure, payload)), [expected]);
        }
        let parked = json!({"reason": {"schemas_unavailable": ["iglu:a/b/jsonschema/1-0-0"]}});
        assert_eq!(shown("parked", parked).len(), 1);
        let lookups = json!(["api_request_enrichment_config: Connection refused"]);
        let parked = json!({"reason": {"lookups_unavailable": lookups}});
        let said = shown("parked", parked);
        assert!(said.len() == 1 && said[0].contains("Connection refused"), "{said:?}");
        let schemas = json!(["iglu:a/b/jsonschema/1-0-0"]);
        let both = json!({"reason": {"unavailable": {"schemas": schemas, "lookups": lookups}}});
        assert_eq!(shown("parked", both).len(), 2);
        assert_eq!(
            of(&json!([{"enriched": "line"}, "dropped by a script"]), &Prices),
            [None, None]
        );
    }

    #[test]
    fn a_deep_text_is_let_be() {
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        let failure = json!({"errors": ["deep"]});
        assert_eq!(shown("bad", row(failure, json!({"body": deep}))), ["- | - | -: deep, - | -"]);
    }
}
