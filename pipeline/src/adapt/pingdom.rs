//! Pingdom: a message about an incident, as JSON in a query string.

use event::reason::Reason;

use super::tree::Json;
use super::webhook::Request;
use super::{Adapted, find};
use crate::schema_check::Stop;
use event::map_order::in_map_order;

pub(super) fn events<'a>(request: &Request<'_, 'a>) -> Result<Adapted<'a>, Stop> {
    let pairs = request.payload.querystring;
    if pairs.is_empty() {
        let expectation = "empty querystring: no events to process";
        return Err(Reason::input("querystring", None, expectation).into());
    }
    let wrapped = pairs.iter().filter_map(|(name, value)| Some((*name, inside((*value)?)?)));
    let expectation = r"should not pass regex \(u'(.+)',\)";
    let reasons: Vec<_> = wrapped
        .map(|(name, inside)| Reason::input(name.to_owned(), Some(inside), expectation))
        .collect();
    if !reasons.is_empty() {
        return Err(Stop::Refused(reasons));
    }
    let Some(Some(message)) = find(request.query, "message") else {
        let pair =
            |(name, value): &(&str, Option<&str>)| format!("{name}={}", value.unwrap_or("null"));
        let query: Vec<_> = in_map_order(request.query).iter().map(pair).collect();
        let expectation = "no `message` parameter provided";
        return Err(Reason::input("querystring", Some(&query.join("&")), expectation).into());
    };
    let json = Json::of(request.compact("message", message)?, request.arena);
    let kind = json.get("action").and_then(|action| action.text(request.arena));
    let uri = request.schema(kind, None)?;
    Ok(request.one(request.event(uri, &json.without("action"))))
}

/// What a text holds that Python printed as a tuple, which some collectors pass on.
fn inside(value: &str) -> Option<&str> {
    let inside = value.strip_prefix("(u'")?.strip_suffix("',)")?;
    let breaks = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
    (!inside.is_empty() && !inside.contains(breaks)).then_some(inside)
}
