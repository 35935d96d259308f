//! SendGrid: a batch of what became of messages.
//!
//! SendGrid sends an event more than once, with one id; of those in a batch the last counts.

use std::collections::HashMap;

use event::json::Elements;
use event::reason::Reason;

use super::Adapted;
use super::tree::Json;
use super::webhook::{ContentType, Empty, JSON, Request, array, tidied};
use crate::schema_check::Stop;
use event::map_order;

pub(super) fn events<'a>(request: &Request<'_, 'a>) -> Result<Adapted<'a>, Stop> {
    let arena = request.arena;
    let body = request.body(ContentType::Containing(JSON), Empty::IsABody)?;
    let json = request.compact("body", body)?;
    let Some(elements) = Elements::of(json) else {
        return Err(Reason::input("body", Some(body), "body is not a json array").into());
    };
    let mut places = HashMap::new();
    let mut items: Vec<(Option<&str>, usize, &str, Json<'a>)> = Vec::new();
    for (index, text) in elements.enumerate() {
        let element = Json::of(text, arena);
        let id = element.get("sg_event_id").and_then(|id| id.text(arena));
        match id.and_then(|id| places.insert(id, items.len())) {
            Some(place) => {
                places.extend(id.map(|id| (id, place)));
                items[place] = (id, index, text, element);
            }
            None => items.push((id, index, text, element)),
        }
    }
    map_order::sort(&mut items, |(id, ..)| match id {
        Some(id) => map_order::record_hash(&[map_order::text_hash(id)]),
        None => map_order::text_hash("None"),
    });
    let events = items.into_iter().map(|(_, index, text, element)| {
        let kind = element.get("event").and_then(|kind| kind.text(arena));
        let event = request.schema(kind, Some(index)).map(|uri| {
            let kind = kind.map(|kind| ("event", kind));
            request.event(uri, &tidied(element, kind, &["timestamp"], arena))
        });
        (text, event.map_err(|reason| vec![reason]))
    });
    request.batch(events, array)
}
