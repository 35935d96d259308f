//! Olark: a conversation or a message left, as JSON in a field of a form.

use event::reason::Reason;

use super::tree::Json;
use super::webhook::{ContentType, Empty, FORM, Request, camelised};
use super::{Adapted, dates, find};
use crate::schema_check::Stop;

pub(super) fn events<'a>(request: &Request<'_, 'a>) -> Result<Adapted<'a>, Stop> {
    let arena = request.arena;
    let body = request.body(ContentType::Exactly(FORM), Empty::IsNone).map_err(|reason| {
        // The peer does not tell the content type that is wrong.
        match reason {
            Reason::Input { field, expectation, .. } => Reason::input(field, None, expectation),
            other => other,
        }
    })?;
    let form = request.form(body).map_err(|error| {
        Reason::input(body.to_owned(), Some(body), error.after("could not parse body: "))
    })?;
    let Some(data) = find(form, "data").flatten().filter(|data| !data.is_empty()) else {
        return Err(Reason::input("data", None, "missing 'data' field").into());
    };
    let mut json = Json::of(request.compact("data", data)?, arena);
    let kind = match json.get("operators") {
        Some(_) => "transcript",
        None => "offline_message",
    };
    let uri = request.schema(Some(kind), None)?;
    if let Json::Object(members) = &mut json
        && let Some((_, items)) = members.iter_mut().find(|(key, _)| *key == "items")
    {
        match items {
            Json::List(items) => items.iter_mut().try_for_each(|item| date(item, request))?,
            Json::Object(items) => {
                items.iter_mut().try_for_each(|(_, item)| date(item, request))?
            }
            Json::Scalar(_) => {}
        }
    }
    Ok(request.one(request.event(uri, &camelised(json, arena))))
}

/// Makes a date of an item's timestamp, seconds since 1970 with a fraction, if it is a text.
fn date<'a>(item: &mut Json<'a>, request: &Request<'_, 'a>) -> Result<(), Reason> {
    let Json::Object(members) = item else { return Ok(()) };
    let timestamp = members.iter_mut().find(|(key, _)| *key == "timestamp");
    let Some((_, timestamp)) = timestamp else { return Ok(()) };
    let Some(text) = timestamp.text(request.arena) else { return Ok(()) };
    let whole = text.trim_end_matches('.');
    let ms = match whole.split_once('.') {
        None if !whole.is_empty() || text.is_empty() => format!("{whole}000"),
        Some((seconds, fraction)) if !fraction.contains('.') => {
            let fraction: String = fraction.chars().take(3).collect();
            format!("{seconds}{fraction:0<3}")
        }
        _ => {
            let expectation = "unexpected timestamp format";
            return Err(Reason::input("timestamp", Some(text), expectation));
        }
    };
    let number = event::convert::int64(&ms)
        .ok_or_else(|| Reason::input("timestamp", Some(&ms), "cannot be converted to Double"))?;
    *timestamp = dates::json(number, request.arena);
    Ok(())
}
