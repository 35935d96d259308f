//! Mailgun: what became of one message.

use event::json;
use event::reason::{Reason, Words};

use super::Adapted;
use super::tree::{self, Json};
use super::webhook::{ContentType, Empty, JSON, Request, camelised, tidied};
use crate::schema_check::Stop;

pub(super) fn events<'a>(request: &Request<'_, 'a>) -> Result<Adapted<'a>, Stop> {
    let arena = request.arena;
    let body = request.body(ContentType::Exactly(JSON), Empty::IsNone)?;
    let json = json::compact(body, arena).map_err(|error| {
        let expectation = Words::own(format!("could not parse body: {error}"));
        Reason::input("body", Some(body), expectation)
    })?;
    let json = Json::of(json, arena);
    let Some(kind) = json.get("event-data").and_then(|data| data.get("event")) else {
        let expectation = "no `event` parameter provided: cannot determine event type";
        return Err(Reason::input("body", Some(body), expectation).into());
    };
    let kind = kind.text(arena);
    let uri = request.schema(kind, None)?;
    let data = camelised(signed(&json)?, arena);
    let data =
        tidied(counted(data, request), kind.map(|kind| ("event", kind)), &["timestamp"], arena);
    Ok(request.one(request.event(uri, &data)))
}

/// What happened, with the members of the signature beneath it and at its time.
fn signed<'a>(json: &Json<'a>) -> Result<Json<'a>, Reason> {
    let signature = json.get("signature").unwrap_or(&Json::NULL);
    let missing =
        |name: &'static str| Reason::input(name, None, Words::own(format!("missing '{name}'")));
    for name in ["timestamp", "token", "signature"] {
        signature.get(name).ok_or_else(|| missing(name))?;
    }
    let mut happened = json.get("event-data").cloned().unwrap_or(Json::NULL);
    let time = match &mut happened {
        Json::Object(members) => members.iter_mut().find(|(key, _)| *key == "timestamp"),
        _ => None,
    };
    let (_, time) = time.ok_or_else(|| missing("event-data"))?;
    *time = signature.get("timestamp").cloned().unwrap_or(Json::NULL);
    Ok(tree::merged(signature.clone(), happened))
}

/// Without the text of the message, and with the number of its attachments only if it is one.
fn counted<'a>(data: Json<'a>, request: &Request<'_, 'a>) -> Json<'a> {
    let count = data.get("attachmentCount").and_then(Json::whole_number);
    let count = count.filter(|count| i32::try_from(*count).is_ok());
    let mut data = data.without("bodyPlain").without("attachmentCount");
    if let (Json::Object(members), Some(count)) = (&mut data, count) {
        members
            .push(("attachmentCount", Json::Scalar(request.arena.alloc_str(&count.to_string()))));
    }
    data
}
