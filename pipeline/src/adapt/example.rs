//! A request that a description of a webhook brings along, and what it must become: the
//! description's own test.

use event::reason::Reason;
use event::{Bump, CollectorPayload, RawEvent, query};
use serde_json::Value;

use super::custom::{Custom, Format};
use crate::schema_check::Stop;

/// A request and what becomes of it.
#[derive(Clone, Debug)]
pub struct Example {
    /// What the request carries.
    pub body: Option<String>,
    /// What it says that is.
    pub content_type: Option<String>,
    /// Its query string.
    pub query: String,
    /// Its headers, each `Name: value`.
    pub headers: Vec<String>,
    /// What becomes of it.
    pub expected: Expected,
}

/// What becomes of an example.
#[derive(Clone, Debug)]
pub enum Expected {
    /// Events of this schema, with this data: an object for one, an array for as many.
    Events {
        /// The Iglu URI.
        schema: String,
        /// What stands beside it.
        data: Value,
    },
    /// It is refused, for a reason that says this.
    Refused(String),
}

impl Custom {
    /// Makes events of an example, and says how they differ from what is expected. Signatures are
    /// not looked at.
    pub fn check(&self, example: &Example) -> Result<(), String> {
        let arena = Bump::new();
        let querystring =
            query::parse(&example.query, "UTF-8", &arena).map_err(|error| error.to_string())?;
        let headers: Vec<&str> = example.headers.iter().map(String::as_str).collect();
        let usual = match self.format {
            Format::Form => "application/x-www-form-urlencoded",
            _ => "application/json",
        };
        let usual = Some(self.content_types.first().map_or(usual, String::as_str));
        let payload = CollectorPayload {
            vendor: &self.endpoint.0,
            version: &self.endpoint.1,
            querystring,
            content_type: example.content_type.as_deref().or(usual),
            body: example.body.as_deref(),
            encoding: "UTF-8",
            headers: &headers,
            ..CollectorPayload::default()
        };
        let made = self.run(&payload, &arena);
        let refused = match &made {
            Ok(adapted) => adapted.refused.as_ref().map(|refused| said(&refused.reasons)),
            Err(Stop::Refused(reasons)) => Some(said(reasons)),
            Err(Stop::Pending) => None,
        };
        match (&example.expected, made) {
            (Expected::Refused(text), _) => match refused {
                Some(refused) if refused.contains(text.as_str()) => Ok(()),
                Some(refused) => Err(format!("expected `{text}` in the reasons, found {refused}")),
                None => Err("expected it to be refused, found events".to_owned()),
            },
            (Expected::Events { schema, data }, Ok(adapted)) if refused.is_none() => {
                same(schema, data, &adapted.events)
            }
            _ => Err(format!("expected events, found {}", refused.unwrap_or_default())),
        }
    }
}

fn same(schema: &str, data: &Value, events: &[RawEvent<'_>]) -> Result<(), String> {
    let wanted = match data {
        Value::Array(all) => all.as_slice(),
        one => std::slice::from_ref(one),
    };
    if wanted.len() != events.len() {
        return Err(format!("expected {} events, found {}", wanted.len(), events.len()));
    }
    for (wanted, event) in wanted.iter().zip(events) {
        let envelope = event.get("ue_pr").and_then(|text| serde_json::from_str::<Value>(text).ok());
        let found = &envelope.unwrap_or_default()["data"];
        if found["schema"] != schema {
            return Err(format!("expected the schema {schema}, found {}", found["schema"]));
        }
        if found["data"] != *wanted {
            return Err(format!("expected the data {wanted}, found {}", found["data"]));
        }
    }
    Ok(())
}

/// Reasons as bad rows have them.
fn said(reasons: &[Reason]) -> String {
    let mut out = Vec::new();
    for reason in reasons {
        event::bad_row::write_reason(reason, &mut out);
    }
    String::from_utf8_lossy(&out).into_owned()
}
