//! StatusGator: a service's change of status, in a form.

use bumpalo::collections::Vec as BumpVec;
use event::reason::Reason;

use super::Adapted;
use super::tree::{self, Json};
use super::webhook::{ContentType, Empty, FORM, Request, camelised};
use crate::schema_check::Stop;
use event::map_order::in_map_order;

pub(super) fn events<'a>(request: &Request<'_, 'a>) -> Result<Adapted<'a>, Stop> {
    let arena = request.arena;
    let body = request.body(ContentType::Exactly(FORM), Empty::IsNone)?;
    let form = request.form(body).map_err(|error| {
        Reason::input("body", Some(body), error.after("could not parse body: "))
    })?;
    let members = in_map_order(form)
        .into_iter()
        .map(|(name, value)| (tree::escaped(name, arena), Json::optional(value, arena)));
    let data = Json::Object(BumpVec::from_iter_in(members, arena));
    let uri = request.schema_of("status_change");
    Ok(request.one(request.event(uri, &camelised(data, arena))))
}
