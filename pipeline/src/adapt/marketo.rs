//! Marketo: whatever a campaign was told to send, as one object.

use event::reason::Reason;

use super::tree::{Change, Json, Lists};
use super::webhook::{ContentType, Empty, Request};
use super::{Adapted, dates};
use crate::schema_check::Stop;

const DATES: [&str; 8] = [
    "acquisition_date",
    "created_at",
    "email_suspended_at",
    "last_referred_enrollment",
    "last_referred_visit",
    "updated_at",
    "datetime",
    "last_interesting_moment_date",
];

pub(super) fn events<'a>(request: &Request<'_, 'a>) -> Result<Adapted<'a>, Stop> {
    let arena = request.arena;
    let body = request.body(ContentType::Any, Empty::IsABody)?;
    let json = request.compact("body", body)?;
    if !json.starts_with('{') {
        return Err(Reason::input("body", Some(body), "not a json object").into());
    }
    let data = Json::of(json, arena).map(Lists::Kept, arena, &|key, value| {
        if !DATES.contains(&key) {
            return Change::Inside(value);
        }
        let date = value.text(arena).map(dates::reformatted);
        Change::Made(key, date.map_or(value, |date| Json::string(&date, arena)))
    });
    Ok(request.one(request.event(request.schema_of("event"), &data)))
}
