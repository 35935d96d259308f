//! An event's payload in a form that a person can change, and the record that it becomes again.
//!
//! Of what trackers send, one event alone is shown, its parameters with the JSON in them unpacked;
//! what comes back is packed as it was. Of anything else the query string and the body are shown.
//! All that a collector adds stays: address, headers, user.

use event::thrift::{self, Wire};
use event::{Bump, base64};
use pipeline::load::{self, RecordEncoding};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Parameters that hold JSON in Base64.
const PACKED: [&str; 2] = ["ue_px", "cx"];

/// Parameters that hold JSON as it is.
const PLAIN: [&str; 2] = ["ue_pr", "co"];

/// A payload as a person sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Edit {
    /// One event of a tracker: a JSON object of its parameters.
    Event {
        /// JSON, laid out for reading.
        text: String,
    },
    /// A whole request.
    Request {
        /// The query string, with its escapes.
        query: String,
        /// What was posted, as text.
        body: String,
    },
}

/// Why an edited payload is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It is not what it should be.
    #[error("{0}")]
    Event(String),
    /// There is no request to begin with.
    #[error("the record is no collector payload, so there is nothing to edit")]
    Record,
}

impl Edit {
    /// The event of an index in a record, or its request.
    pub(super) fn of(record: &[u8], index: u32) -> Result<Edit, Error> {
        let arena = Bump::new();
        let wire = thrift::read(record, &arena).map_err(|_| Error::Record)?;
        let text =
            |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let (query, body) = (text(wire.querystring), text(wire.body));
        let parameters = match (wire.path, element(&body, index)) {
            (Some(b"/i"), _) => in_query(record),
            (_, Some(parameters)) => Some(parameters),
            _ => None,
        };
        let Some(mut parameters) = parameters else { return Ok(Edit::Request { query, body }) };
        for (name, value) in &mut parameters {
            let Some(packed) = value.as_str() else { continue };
            let json = match name.as_str() {
                name if PACKED.contains(&name) => base64::decode(packed, &arena),
                name if PLAIN.contains(&name) => packed,
                _ => continue,
            };
            if let Ok(json @ Value::Object(_)) = serde_json::from_str(json) {
                *value = json;
            }
        }
        let text = serde_json::to_string_pretty(&parameters).expect("JSON can be written");
        Ok(Edit::Event { text })
    }

    /// The record with the edited payload in the place of its own, as if it came at a time.
    pub(super) fn record(&self, record: &[u8], now_ms: i64) -> Result<Vec<u8>, Error> {
        let arena = Bump::new();
        let mut wire = thrift::read(record, &arena).map_err(|_| Error::Record)?;
        wire.timestamp = now_ms;
        let (query, body);
        match self {
            Edit::Request { query: edited, body: text } => {
                wire.querystring = (!edited.is_empty()).then_some(edited.as_bytes());
                wire.body = wire.body.map(|_| text.as_bytes());
            }
            Edit::Event { text } => {
                let parameters = packed(text)?;
                if wire.path == Some(b"/i") {
                    query = as_query(&parameters);
                    wire.querystring = Some(query.as_bytes());
                } else {
                    body = with_element(&wire, parameters)?;
                    wire.body = Some(body.as_bytes());
                }
            }
        }
        let mut record = Vec::with_capacity(record.len());
        thrift::write(&wire, &mut record);
        Ok(record)
    }
}

/// The parameters of an event in a tracker's body.
fn element(body: &str, index: u32) -> Option<Map<String, Value>> {
    let mut body: Value = serde_json::from_str(body).ok()?;
    let schema = body.get("schema")?.as_str()?;
    if !schema.contains("/payload_data/") {
        return None;
    }
    match body.get_mut("data")?.get_mut(index as usize)?.take() {
        Value::Object(parameters) => Some(parameters),
        _ => None,
    }
}

/// The parameters of a query string; none if two of them have one name.
fn in_query(record: &[u8]) -> Option<Map<String, Value>> {
    let arena = Bump::new();
    let payload = load::payload(record, RecordEncoding::Plain, &arena).ok()?;
    let mut parameters = Map::new();
    for (name, value) in payload.querystring {
        let value = Value::from(value.unwrap_or_default());
        if parameters.insert((*name).to_owned(), value).is_some() {
            return None;
        }
    }
    Some(parameters)
}

/// An object of parameters whose values are texts again.
fn packed(text: &str) -> Result<Map<String, Value>, Error> {
    let said = |why: serde_json::Error| Error::Event(format!("this is no JSON: {why}"));
    let Value::Object(parameters) = serde_json::from_str(text).map_err(said)? else {
        let expected = "expected an object of the event's parameters";
        return Err(Error::Event(expected.to_owned()));
    };
    let text = |(name, value): (String, Value)| {
        let text = match value {
            Value::Null => return None,
            Value::String(text) => text,
            json if PACKED.contains(&name.as_str()) => url_safe(&json.to_string()),
            json => json.to_string(),
        };
        Some((name, Value::String(text)))
    };
    Ok(parameters.into_iter().filter_map(text).collect())
}

/// Base64 as trackers write it.
fn url_safe(text: &str) -> String {
    let text = base64::encode(text.as_bytes());
    text.trim_end_matches('=').replace('+', "-").replace('/', "_")
}

/// The body that the parameters are the only event of.
fn with_element(wire: &Wire<'_>, parameters: Map<String, Value>) -> Result<String, Error> {
    let body = wire.body.unwrap_or_default();
    let mut body: Value = serde_json::from_slice(body)
        .map_err(|_| Error::Event("the record's body is not a tracker's".to_owned()))?;
    body["data"] = Value::Array(vec![Value::Object(parameters)]);
    Ok(body.to_string())
}

fn as_query(parameters: &Map<String, Value>) -> String {
    let pair = |(name, value): (&String, &Value)| {
        format!("{}={}", escaped(name), escaped(value.as_str().unwrap_or_default()))
    };
    parameters.iter().map(pair).collect::<Vec<_>>().join("&")
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(byte.into());
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire<'a>(path: &'a str, query: Option<&'a str>, body: Option<&'a str>) -> Wire<'a> {
        Wire {
            schema: Some(b"iglu:com.snowplowanalytics.snowplow/CollectorPayload/thrift/1-0-0"),
            ip_address: Some(b"192.0.2.1"),
            timestamp: 1,
            encoding: Some(b"UTF-8"),
            path: Some(path.as_bytes()),
            querystring: query.map(str::as_bytes),
            body: body.map(str::as_bytes),
            headers: &[b"Host: a.test"],
            ..Wire::default()
        }
    }

    fn record(wire: &Wire<'_>) -> Vec<u8> {
        let mut record = Vec::new();
        thrift::write(wire, &mut record);
        record
    }

    const TP2: &str = "/com.snowplowanalytics.snowplow/tp2";

    #[test]
    fn one_event_of_many_is_edited_and_the_rest_of_the_record_stays() {
        let inner = r#"{"schema":"iglu:a/b/jsonschema/1-0-0","data":{"n":1.0}}"#;
        let body = serde_json::json!({
            "schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
            "data": [{"e": "pv"}, {"e": "ue", "ue_px": url_safe(inner), "co": inner, "dtm": "5"}],
        })
        .to_string();
        let original = wire(TP2, Some("aid=x"), Some(&body));
        let edit = Edit::of(&record(&original), 1).expect("it is a request");
        let Edit::Event { text } = &edit else { panic!("{edit:?}") };
        let shown: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(shown["ue_px"]["data"]["n"].to_string(), "1.0");
        assert_eq!(shown["co"]["schema"], "iglu:a/b/jsonschema/1-0-0");

        let text = text.replacen("1.0", "2", 1).replace("\"5\"", "6");
        let again = Edit::Event { text }.record(&record(&original), 9).expect("it is one");
        let arena = Bump::new();
        let again = thrift::read(&again, &arena).expect("it is one");
        let body: Value = serde_json::from_slice(again.body.expect("a body")).expect("JSON");
        let sent = body["data"].as_array().expect("a list");
        assert_eq!((sent.len(), &sent[0]["dtm"]), (1, &Value::from("6")));
        let packed = sent[0]["ue_px"].as_str().expect("a text");
        assert_eq!(base64::decode(packed, &arena), inner.replace("1.0", "2"));
        assert_eq!(sent[0]["co"], inner, "what was not touched is as it was");
        let expected = Wire { timestamp: 9, body: again.body, ..original.clone() };
        assert_eq!(again, expected);
    }

    #[test]
    fn a_query_string_is_edited_as_parameters() {
        let original =
            record(&wire("/i", Some("e=pv&url=http%3A%2F%2Fa.test%2F%3Fb%3D%C3%A9"), None));
        let edit = Edit::of(&original, 0).expect("it is a request");
        let Edit::Event { text } = &edit else { panic!("{edit:?}") };
        assert!(text.contains("http://a.test/?b=é"), "{text}");
        let again = edit.record(&original, 1).expect("it is one");
        assert_eq!(again, original, "nothing is lost on the way");
    }

    #[test]
    fn anything_else_is_edited_as_it_came() {
        for (path, query, body) in [
            ("/com.acme/v1", Some("a=b"), Some("{\"x\":1}")),
            (TP2, None, Some("{no json")),
            ("/i", Some("e=pv&e=se"), None),
        ] {
            let original = record(&wire(path, query, body));
            let edit = Edit::of(&original, 0).expect("it is a request");
            assert!(matches!(edit, Edit::Request { .. }), "{edit:?}");
            assert_eq!(edit.record(&original, 1).expect("it is one"), original);
        }
        assert!(Edit::of(b"no thrift", 0).is_err());
    }

    #[test]
    fn what_is_no_event_is_refused_in_words() {
        let original = record(&wire("/i", Some("e=pv"), None));
        for (text, said) in [("{", "no JSON"), ("[]", "an object")] {
            let refused = Edit::Event { text: text.to_owned() }.record(&original, 1);
            let refused = refused.expect_err("it is none").to_string();
            assert!(refused.contains(said), "{refused}");
        }
    }
}
