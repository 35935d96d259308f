//! CallRail: a finished call, in a query string.

use bumpalo::collections::Vec as BumpVec;
use event::reason::Reason;

use super::tree::{self, Json};
use super::webhook::{OF_THE_EVENT, Request};
use super::{Adapted, dates};
use crate::schema_check::Stop;
use event::map_order::in_map_order;

pub(super) fn events<'a>(request: &Request<'_, 'a>) -> Result<Adapted<'a>, Stop> {
    if request.query.is_empty() {
        return Err(Reason::input("querystring", None, "empty querystring").into());
    }
    let arena = request.arena;
    let query = in_map_order(request.query).into_iter();
    let data = query.filter(|(name, _)| !OF_THE_EVENT.contains(name));
    let member = |(name, value): (&'a str, Option<&'a str>)| {
        let value = match (name, value.filter(|value| !value.is_empty())) {
            (_, None) => Json::NULL,
            ("first_call" | "answered", Some(flag @ ("true" | "false"))) => Json::Scalar(flag),
            ("duration", Some(text)) => whole(text).map_or_else(
                || Json::string(text, arena),
                |number| Json::Scalar(arena.alloc_str(&number)),
            ),
            ("datetime", Some(text)) => Json::string(&dates::reformatted(text), arena),
            (_, Some(text)) => Json::string(text, arena),
        };
        (tree::escaped(name, arena), value)
    };
    let data = Json::Object(BumpVec::from_iter_in(data.map(member), arena));
    Ok(request.one(request.event(request.schema_of("call_complete"), &data)))
}

/// The canonical text of a whole number of any size.
fn whole(text: &str) -> Option<String> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    let sign = if text.starts_with('-') && !digits.is_empty() { "-" } else { "" };
    Some(format!("{sign}{}", if digits.is_empty() { "0" } else { digits }))
}
