//! Mandrill: a batch of what became of messages, as JSON in the one field of a form.

use event::reason::{Reason, Words};

use super::webhook::{ContentType, Empty, FORM, Request, array, tidied};
use super::{Adapted, percent_encoded};
use crate::schema_check::Stop;

const FIELD: &str = "mandrill_events";

pub(super) fn events<'a>(request: &Request<'_, 'a>) -> Result<Adapted<'a>, Stop> {
    let body = request.body(ContentType::Exactly(FORM), Empty::IsABody)?;
    let refused = |expectation: Words| Reason::input("body", Some(body), expectation);
    let told = |expectation: String| refused(Words::own(expectation));
    let form = request.form(body).map_err(refused)?;
    let mut fields = form.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
    let count = fields.clone().count();
    if count != 1 {
        return Err(told(format!("body should have size 1: actual size {count}")).into());
    }
    let events = match fields.next() {
        Some((FIELD, "")) => return Err(told(format!("`{FIELD}` field is empty")).into()),
        Some((FIELD, events)) => events,
        _ => return Err(told(format!("no `{FIELD}` parameter provided")).into()),
    };
    // The peer's spelling.
    let json = request.compact("mandril_events", events)?;
    if !json.starts_with('[') {
        return Err(Reason::input(FIELD, Some(events), "not a json array").into());
    }
    let arena = request.arena;
    let data = |element, kind| tidied(element, Some(("event", kind)), &["ts"], arena);
    let body = |refused: &[&str]| format!("{FIELD}={}", percent_encoded(&array(refused)));
    request.elements(json, "event", data, body)
}
