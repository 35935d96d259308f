//! HubSpot: a batch of changes to contacts, companies and deals.

use event::reason::Reason;

use super::tree::Json;
use super::webhook::{ContentType, Empty, JSON, Request, array};
use super::{Adapted, dates};
use crate::schema_check::Stop;

pub(super) fn events<'a>(request: &Request<'_, 'a>) -> Result<Adapted<'a>, Stop> {
    if request.payload.body.is_none() {
        return Err(Reason::input("body", None, "empty body: not events to process").into());
    }
    let body = request.body(ContentType::Exactly(JSON), Empty::IsABody)?;
    let json = request.compact("body", body)?;
    if !json.starts_with('[') {
        return Err(Reason::input("body", Some(body), "not a json array").into());
    }
    let arena = request.arena;
    let data = |element: Json<'a>, _: &'a str| {
        let mut element = element.without("subscriptionType");
        if let Json::Object(members) = &mut element
            && let Some((_, value)) = members.iter_mut().find(|(key, _)| *key == "occurredAt")
            && let Some(ms) = value.whole_number()
        {
            *value = dates::json(ms, arena);
        }
        element
    };
    request.elements(json, "subscriptionType", data, array)
}
