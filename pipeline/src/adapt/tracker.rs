//! The tracker protocol: one event in a query string (tp1, or tp2 by GET), or many in a body (tp2
//! by POST).

use bumpalo::collections::Vec as BumpVec;
use event::json::{self, Elements, Members};
use event::raw_event::Parameter;
use event::reason::{Reason, Words};
use event::{Bump, CollectorPayload, Criterion};

use super::{Events, map, one, overlay, payload_data};
use crate::schema_check::{SchemaCheck, SelfDescribing, Stop};

const PAYLOAD_DATA: Criterion =
    Criterion::one_zero("com.snowplowanalytics.snowplow", "payload_data");

const CONTENT_TYPES: [&str; 3] =
    ["application/json", "application/json; charset=utf-8", "application/json; charset=UTF-8"];

/// One event from the query string; a body is ignored.
pub(super) fn tp1<'a>(payload: &CollectorPayload<'a>, arena: &'a Bump) -> Result<Events<'a>, Stop> {
    if payload.querystring.is_empty() {
        let expectation = "empty querystring: not a valid URI redirect";
        return Err(Reason::input("querystring", None, expectation).into());
    }
    Ok(one(map(payload.querystring, arena), arena))
}

/// One event from the query string, or those of the body, each overlaid by the query string.
pub(super) fn tp2<'a>(
    payload: &CollectorPayload<'a>,
    check: &mut SchemaCheck<'_>,
    arena: &'a Bump,
) -> Result<Events<'a>, Stop> {
    let query = map(payload.querystring, arena);
    let allowed = |content_type: &str| CONTENT_TYPES.contains(&content_type);
    let expected = || Words::own(format!("expected one of {}", CONTENT_TYPES.join(", ")));
    match (payload.body, payload.content_type) {
        (None, _) if query.is_empty() => Err(Stop::Refused(vec![
            Reason::input("body", None, "empty body: not a valid tracker protocol event"),
            Reason::input(
                "querystring",
                None,
                "empty querystring: not a valid tracker protocol event",
            ),
        ])),
        (_, Some(other)) if !allowed(other) => {
            Err(Reason::input("contentType", Some(other), expected()).into())
        }
        (Some(_), None) => Err(Reason::input("contentType", None, expected()).into()),
        (None, Some(_)) => {
            let expectation = "empty body: not a valid track protocol event";
            Err(Reason::input("body", None, expectation).into())
        }
        (None, None) => Ok(one(query, arena)),
        (Some(body), Some(_)) => {
            let events = match payload_data::events(body, arena) {
                Some(events) => events,
                None => body_events(body, check, arena)?,
            };
            if query.is_empty() {
                return Ok(events);
            }
            let overlaid = events.iter().map(|event| overlay(event, query, arena));
            Ok(BumpVec::from_iter_in(overlaid, arena))
        }
    }
}

/// The events of any body, with the reasons where it is not as it should be.
fn body_events<'a>(
    body: &'a str,
    check: &mut SchemaCheck<'_>,
    arena: &'a Bump,
) -> Result<Events<'a>, Stop> {
    let json = json::compact(body, arena).map_err(|error| Reason::not_json("body", body, error))?;
    let found = SelfDescribing::parse(json, arena)
        .map_err(|error| Reason::NotIglu { json: json.to_owned(), error })?;
    check.require(found)?;
    if !found.satisfies(&PAYLOAD_DATA) {
        let schema_key = found.uri.to_owned();
        return Err(Reason::CriterionMismatch { schema_key, criterion: PAYLOAD_DATA }.into());
    }
    let not_events = |expectation| Reason::input("body", Some(found.data), expectation);
    let elements = Elements::of(found.data).ok_or_else(|| not_events("json is not an array"))?;
    let mut reasons = Vec::new();
    let mut events = BumpVec::new_in(arena);
    for element in elements {
        events.push(parameters(element, &mut reasons, arena));
    }
    match (events.is_empty(), reasons.is_empty()) {
        (true, _) => Err(not_events("empty list of events").into()),
        (false, true) => Ok(events),
        (false, false) => Err(Stop::Refused(reasons)),
    }
}

fn parameters<'a>(
    element: &'a str,
    reasons: &mut Vec<Reason>,
    arena: &'a Bump,
) -> &'a [Parameter<'a>] {
    let mut parameters = BumpVec::new_in(arena);
    for (key, value) in Members::of(element).into_iter().flatten() {
        let key = json::unescape(key, arena).expect("a key is a string");
        match json::unescape(value, arena) {
            Some(text) if value.starts_with('"') => parameters.push((key, Some(text))),
            _ if value == "null" => {
                reasons.push(Reason::input(key.to_owned(), None, "value cannot be null"));
            }
            _ => reasons.push(Reason::input(key.to_owned(), Some(value), "value is not a string")),
        }
    }
    parameters.into_bump_slice()
}
