//! Urban Airship Connect: one event of an app.
//!
//! The event says when it happened and when Urban Airship had it, which is when it counts as
//! collected, and brings its id.

use event::reason::Reason;
use event::{CollectorPayload, RawEvent};

use super::tree::Json;
use super::webhook::{ContentType, Empty, Request, required};
use super::{Adapted, dates, overlay};
use crate::schema_check::Stop;

pub(super) fn events<'a>(request: &Request<'_, 'a>) -> Result<Adapted<'a>, Stop> {
    let arena = request.arena;
    let body = request.body(ContentType::Any, Empty::IsABody)?;
    if let Some(found) = request.payload.content_type {
        return Err(Reason::input("contentType", Some(found), "expected no content type").into());
    }
    let json = Json::of(request.compact("body", body)?, arena);
    let kind = json.get("type").and_then(|kind| kind.text(arena));
    let mut reasons = Vec::new();
    let mut noted = |found: Result<&'a str, Reason>| {
        found.map_err(|reason| reasons.push(reason)).unwrap_or_default()
    };
    let occurred = noted(required(&json, "occurred", arena));
    let id = noted(required(&json, "id", arena));
    let processed = noted(required(&json, "processed", arena));
    let uri = request.schema(kind, None).map_err(|reason| reasons.push(reason)).unwrap_or_default();
    if !reasons.is_empty() {
        return Err(Stop::Refused(reasons));
    }
    let moment = |name: &'static str, date: &str| {
        let expectation = "expected a date and time in the form of ISO 8601";
        dates::iso(date).ok_or_else(|| vec![Reason::input(name, Some(date), expectation)])
    };
    let (occurred, processed) = match (moment("occurred", occurred), moment("processed", processed))
    {
        (Ok(occurred), Ok(processed)) => (occurred, processed),
        (occurred, processed) => {
            let wrong = [occurred.err(), processed.err()].into_iter().flatten().flatten();
            return Err(Stop::Refused(wrong.collect()));
        }
    };
    let own = [("ttm", Some(&*arena.alloc_str(&occurred.to_string()))), ("eid", Some(id))];
    let event = request.event_with(uri, &json, overlay(request.query, &own, arena));
    let payload = arena.alloc(CollectorPayload { timestamp: processed, ..request.payload.clone() });
    Ok(request.one(RawEvent { payload, ..event }))
}
