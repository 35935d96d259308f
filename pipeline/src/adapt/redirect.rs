//! The redirect endpoint `/r/tp2`: a click on a link that goes through the collector.
//!
//! The link's target becomes the self-describing event when the query string brings no event of
//! its own, else a context of that event.

use bumpalo::collections::{String as BumpString, Vec as BumpVec};
use event::entity::{Entity, envelope};
use event::json::{self, Members, write_string};
use event::raw_event::Parameter;
use event::reason::Reason;
use event::{Bump, CollectorPayload, base64};

use super::{Events, find, map, one, overlay, unstruct};
use crate::schema_check::Stop;
use event::map_order::in_map_order;

const URI_REDIRECT: &str = "iglu:com.snowplowanalytics.snowplow/uri_redirect/jsonschema/1-0-0";

/// One event from the query string.
pub(super) fn events<'a>(
    payload: &CollectorPayload<'a>,
    arena: &'a Bump,
) -> Result<Events<'a>, Stop> {
    let query = map(payload.querystring, arena);
    if query.is_empty() {
        let expectation = "empty querystring: not a valid URI redirect";
        return Err(Reason::input("querystring", None, expectation).into());
    }
    let Some(Some(target)) = find(query, "u") else {
        let expectation = "missing `u` parameter: not a valid URI redirect";
        return Err(Reason::input("querystring", Some(&rendered(query)), expectation).into());
    };
    let mut data = b"{\"uri\":".to_vec();
    write_string(target, &mut data);
    data.push(b'}');
    let data = std::str::from_utf8(&data).expect("texts written are UTF-8");

    let mut parameters = BumpVec::with_capacity_in(query.len() + 4, arena);
    parameters.extend(query.iter().filter(|(name, _)| *name != "u"));
    let added = match find(query, "e") {
        None => [("e", Some("ue")), ("ue_pr", Some(unstruct(URI_REDIRECT, data, arena)))].to_vec(),
        Some(_) => vec![context(query, data, arena)?],
    };
    let forced: [Parameter<'_>; 2] =
        [("tv", Some("r-tp2")), ("p", find(query, "p").unwrap_or(Some("web")))];
    let parameters = overlay(&parameters, &added, arena);
    Ok(one(overlay(parameters, &forced, arena), arena))
}

/// The query string as it is shown in a bad row.
fn rendered(query: &[Parameter<'_>]) -> String {
    let pair = |(name, value): &Parameter<'_>| format!("{name}={}", value.unwrap_or("null"));
    in_map_order(query).iter().map(pair).collect::<Vec<_>>().join("&")
}

/// The contexts with the target put before those that the query string brings. An encoded
/// parameter without a value counts as none.
fn context<'a>(
    query: &[Parameter<'a>],
    data: &str,
    arena: &'a Bump,
) -> Result<Parameter<'a>, Stop> {
    if let Some(encoded) = find(query, "cx").flatten() {
        let decoded = base64::decode(encoded, arena);
        let merged = prepend(decoded, data, arena)?;
        return Ok(("cx", Some(arena.alloc_str(&base64::encode_mime_url(merged.as_bytes())))));
    }
    let merged = match find(query, "co").flatten().filter(|text| !text.is_empty()) {
        Some(plain) => prepend(plain, data, arena)?,
        None => envelope(&[Entity::new(URI_REDIRECT, data)], arena),
    };
    Ok(("co", Some(merged)))
}

/// `json` with the redirect put first in its array `data`, if it has one.
fn prepend<'a>(text: &'a str, data: &str, arena: &'a Bump) -> Result<&'a str, Stop> {
    let json =
        json::compact(text, arena).map_err(|error| Reason::not_json("co|cx", text, error))?;
    let Some(members) = Members::of(json) else { return Ok(json) };
    let mut out = BumpString::with_capacity_in(json.len() + data.len() + 160, arena);
    out.push('{');
    for (index, (key, value)) in members.enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(key);
        out.push(':');
        match value.strip_prefix('[').filter(|_| key == "\"data\"") {
            Some(rest) => {
                out.push('[');
                Entity::new(URI_REDIRECT, data).write(&mut out);
                out.push_str(if rest == "]" { "" } else { "," });
                out.push_str(rest);
            }
            None => out.push_str(value),
        }
    }
    out.push('}');
    Ok(out.into_bump_str())
}
