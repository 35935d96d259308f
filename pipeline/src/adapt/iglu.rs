//! The Iglu webhook: any self-describing data, named in the query string or in the body.
//!
//! The data is not validated here; that happens as for any self-describing event.

use bumpalo::collections::Vec as BumpVec;
use event::json::{Elements, write_optional, write_string};
use event::raw_event::Parameter;
use event::reason::{Reason, Words};
use event::schema_key::Parts;
use event::{Bump, CollectorPayload, query};

use super::{Events, find, map, webhook};
use crate::schema_check::{SelfDescribing, Stop};
use event::map_order::in_map_order;

const VERSION: &str = "com.snowplowanalytics.iglu-v1";
const JSON: [&str; 2] = ["application/json", "application/json; charset=utf-8"];
const FORM: &str = "application/x-www-form-urlencoded";

/// The events of a request.
pub(super) fn events<'a>(
    payload: &CollectorPayload<'a>,
    arena: &'a Bump,
) -> Result<Events<'a>, Stop> {
    let query = map(payload.querystring, arena);
    let schema = find(query, "schema").flatten();
    let (body, content_type) = (payload.body, payload.content_type);
    if body.is_some() && content_type.is_none() {
        let expectation = Words::own(format!("expected one of {}, {FORM}", JSON.join(", ")));
        return Err(Reason::input("contentType", None, expectation).into());
    }
    let content_type = content_type.unwrap_or_default();
    match (schema, body) {
        (None, Some(body)) if JSON.contains(&content_type) => self_describing(body, query, arena),
        (None, Some(_)) => {
            let expectation = Words::own(format!("expected one of {}", JSON.join(", ")));
            Err(Reason::input("contentType", Some(content_type), expectation).into())
        }
        (None, None) => Err(Stop::Refused(vec![
            Reason::input("schema", None, "empty `schema` field"),
            Reason::input("body", None, "empty body"),
        ])),
        (Some(uri), body) => {
            if let Err(error) = Parts::parse(uri) {
                let expectation = Words::own(error.to_string());
                return Err(Reason::input("schema", Some(uri), expectation).into());
            }
            match body {
                None => Ok(event(uri, &query_data(query), "app", query, arena)),
                Some(body) if JSON.contains(&content_type) => json_body(uri, body, query, arena),
                Some(body) if content_type == FORM => form_body(uri, body, query, arena),
                Some(_) => {
                    let expectation =
                        Words::own(format!("expected one of {}, {FORM}", JSON.join(", ")));
                    Err(Reason::input("contentType", Some(content_type), expectation).into())
                }
            }
        }
    }
}

fn self_describing<'a>(
    body: &'a str,
    query: &'a [Parameter<'a>],
    arena: &'a Bump,
) -> Result<Events<'a>, Stop> {
    let json = parse(body, arena)?;
    let found = SelfDescribing::parse(json, arena)
        .map_err(|error| Reason::NotIglu { json: json.to_owned(), error })?;
    Ok(event(found.uri, found.data, "app", query, arena))
}

fn json_body<'a>(
    uri: &str,
    body: &'a str,
    query: &'a [Parameter<'a>],
    arena: &'a Bump,
) -> Result<Events<'a>, Stop> {
    let json = parse(body, arena)?;
    let refused =
        |expectation: &'static str| Err(Reason::input("body", Some(body), expectation).into());
    if let Some(elements) = Elements::of(json) {
        let mut events = BumpVec::new_in(arena);
        for element in elements {
            events.push(parameters(uri, element, "app", query, arena));
        }
        return if events.is_empty() { refused("empty array of events") } else { Ok(events) };
    }
    match json.starts_with('{') && json != "{}" {
        true => Ok(event(uri, json, "app", query, arena)),
        false => refused("has no key-value pairs"),
    }
}

fn form_body<'a>(
    uri: &str,
    body: &'a str,
    query: &'a [Parameter<'a>],
    arena: &'a Bump,
) -> Result<Events<'a>, Stop> {
    let pairs = query::parse(body, "UTF-8", arena)
        .map_err(|error| Reason::input("body", Some(body), error))?;
    let data = object(in_map_order(map(pairs, arena)).into_iter());
    Ok(event(uri, &data, "srv", query, arena))
}

fn parse<'a>(body: &'a str, arena: &'a Bump) -> Result<&'a str, Reason> {
    webhook::compact("body", body, arena)
}

/// The query string as data, without the parameters that belong to the event; empty is null.
fn query_data(query: &[Parameter<'_>]) -> String {
    const OF_THE_EVENT: [&str; 5] = ["schema", "nuid", "aid", "cv", "p"];
    let query = in_map_order(query).into_iter();
    let data = query.filter(|(name, _)| !OF_THE_EVENT.contains(name));
    object(data.map(|(name, value)| (name, value.filter(|text| !text.is_empty()))))
}

fn object<'p>(members: impl Iterator<Item = Parameter<'p>>) -> String {
    let mut out = b"{".to_vec();
    for (name, value) in members {
        if out.len() > 1 {
            out.push(b',');
        }
        write_string(name, &mut out);
        out.push(b':');
        write_optional(value, &mut out);
    }
    out.push(b'}');
    String::from_utf8(out).expect("texts written are UTF-8")
}

fn event<'a>(
    uri: &str,
    data: &str,
    platform: &'a str,
    query: &'a [Parameter<'a>],
    arena: &'a Bump,
) -> Events<'a> {
    super::one(parameters(uri, data, platform, query, arena), arena)
}

fn parameters<'a>(
    uri: &str,
    data: &str,
    platform: &'a str,
    query: &'a [Parameter<'a>],
    arena: &'a Bump,
) -> &'a [Parameter<'a>] {
    webhook::parameters(VERSION, uri, data, platform, query, arena)
}
