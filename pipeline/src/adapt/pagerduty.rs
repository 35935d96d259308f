//! PagerDuty: a batch of messages about incidents.

use event::json;
use event::reason::Reason;

use super::Adapted;
use super::tree::{Change, Json, Lists};
use super::webhook::{ContentType, Empty, JSON, Request, array};
use crate::schema_check::Stop;

pub(super) fn events<'a>(request: &Request<'_, 'a>) -> Result<Adapted<'a>, Stop> {
    let body = request.body(ContentType::Exactly(JSON), Empty::IsABody)?;
    let json = request.compact("body", body)?;
    let messages = json::member(json, "messages").filter(|found| found.starts_with('['));
    let Some(messages) = messages else {
        let expectation = "field `messages` is not an array";
        return Err(Reason::input("messages", Some(body), expectation).into());
    };
    let body = |refused: &[&str]| format!("{{\"messages\":{}}}", array(refused));
    request.elements(messages, "type", |message, _| tidied(message, request), body)
}

/// `null` for the text "null", the kind of an incident alone, dates with a plus sign before their
/// offset, which PagerDuty loses.
fn tidied<'a>(message: Json<'a>, request: &Request<'_, 'a>) -> Json<'a> {
    let arena = request.arena;
    message.map(Lists::Kept, arena, &|key, value| {
        let text = value.text(arena);
        let made = match (key, text) {
            (_, Some("null")) => Json::NULL,
            ("type", Some(kind)) => Json::string(&kind.replace("incident.", ""), arena),
            ("created_on" | "last_status_change_on", Some(date)) => {
                match date.strip_suffix(" 00:00") {
                    Some(date) => Json::string(&format!("{date}+00:00"), arena),
                    None => value,
                }
            }
            _ => return Change::Inside(value),
        };
        Change::Made(key, made)
    })
}
