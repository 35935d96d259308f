//! Vero: what became of a message or of a user.

use super::Adapted;
use super::tree::{Change, Json, Lists};
use super::webhook::{ContentType, Empty, Request, required, tidied};
use crate::schema_check::Stop;

pub(super) fn events<'a>(request: &Request<'_, 'a>) -> Result<Adapted<'a>, Stop> {
    let arena = request.arena;
    let body = request.body(ContentType::Any, Empty::IsABody)?;
    let json = Json::of(request.compact("body", body)?, arena);
    let kind = required(&json, "type", arena)?;
    let uri = request.schema(Some(kind), None)?;
    let times = [&*format!("{kind}_at"), "triggered_at"];
    let data = tidied(json, Some(("type", kind)), &times, arena);
    let data = data.map(Lists::Kept, arena, &|key, value| match key {
        "_tags" => Change::Made("tags", value),
        _ => Change::Inside(value),
    });
    Ok(request.one(request.event(uri, &data)))
}
