//! Unbounce: a form that was sent from a page, in a form with JSON in it.

use bumpalo::collections::Vec as BumpVec;
use event::reason::{Reason, Words};

use super::tree::{self, Json};
use super::webhook::{ContentType, Empty, FORM, Request, camelised};
use super::{Adapted, find};
use crate::schema_check::Stop;
use event::map_order::in_map_order;

const REQUIRED: [&str; 5] = ["page_id", "page_name", "variant", "page_url", "data.json"];

pub(super) fn events<'a>(request: &Request<'_, 'a>) -> Result<Adapted<'a>, Stop> {
    let arena = request.arena;
    let body = request.body(ContentType::Exactly(FORM), Empty::IsNone)?;
    let form = request.form(body).map_err(|error| {
        Reason::input(body.to_owned(), Some(body), error.after("could not parse body: "))
    })?;
    for name in REQUIRED {
        if find(form, name).flatten().is_none() {
            let expectation = Words::own(format!("missing '{name}' field in body"));
            return Err(Reason::input(name, None, expectation).into());
        }
    }
    let text = find(form, "data.json").flatten().unwrap_or_default();
    if text.is_empty() {
        let expectation = "empty 'data.json' field in body";
        return Err(Reason::input("data.json", None, expectation).into());
    }
    let json = Json::of(request.compact("data.json", text)?, arena);
    let others = in_map_order(form).into_iter().filter_map(|(name, value)| {
        let value = value.filter(|_| !matches!(name, "data.json" | "data.xml"))?;
        Some((tree::escaped(name, arena), Json::string(value, arena)))
    });
    let members = std::iter::once(("data.json", json)).chain(others);
    let data = Json::Object(BumpVec::from_iter_in(members, arena));
    Ok(request.one(request.event(request.schema_of("form_post"), &camelised(data, arena))))
}
