//! What all webhooks have in common: how a body is asked for, how a type finds its schema, what an
//! event carries, and what becomes of a batch of which parts are bad.

use bumpalo::collections::{String as BumpString, Vec as BumpVec};
use event::json::{self, Elements};
use event::raw_event::Parameter;
use event::reason::{Reason, Words};
use event::{Bump, CollectorPayload, RawEvent, query};

use super::tree::{Change, Json, Lists};
use super::{Adapted, Refused, dates, find, header, map, tree, unstruct};
use crate::schema_check::Stop;

pub(super) const JSON: &str = "application/json";
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

const NO_BODY: &str = "empty body: no events to process";

/// What the adapters of one service have in common.
pub(super) struct Webhook {
    /// Its name in configurations.
    pub(super) name: &'static str,
    /// The two parts of its path.
    pub(super) endpoint: (&'static str, &'static str),
    /// What its events say is their tracker.
    pub(super) tracker: &'static str,
    /// Where its schemas are, but for those that say otherwise.
    pub(super) vendor: &'static str,
    /// The types of its events.
    pub(super) types: &'static [Type],
    /// Makes events of a request.
    pub(super) events: for<'c, 'a> fn(&Request<'c, 'a>) -> Result<Adapted<'a>, Stop>,
}

/// A type of event.
pub(super) struct Type {
    /// Its name in configurations; types of one name have one schema.
    pub(super) setting: &'static str,
    /// Its name as the sender writes it. Schemas that are no types of events have none.
    pub(super) name: Option<&'static str>,
    /// Name and version of its schema, with the vendor before them where it is another.
    pub(super) schema: &'static str,
}

/// A webhook's request, and what its adapter needs to know.
pub(super) struct Request<'c, 'a> {
    pub(super) payload: &'a CollectorPayload<'a>,
    /// The query string, names unique.
    pub(super) query: &'a [Parameter<'a>],
    /// What its events say is their tracker.
    pub(super) tracker: &'a str,
    /// The types of its events.
    types: &'static [Type],
    /// The Iglu URIs of these, in their order.
    schemas: &'c [String],
    pub(super) arena: &'a Bump,
}

/// Which content types a webhook takes.
#[derive(Clone, Copy)]
pub(super) enum ContentType {
    Exactly(&'static str),
    /// All that have this in them.
    Containing(&'static str),
    /// Any, and none.
    Any,
}

/// Whether an empty body counts as one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Empty {
    /// It does, and its parser will say what it thinks of it.
    IsABody,
    /// It does not.
    IsNone,
}

impl<'a> Request<'_, 'a> {
    /// A request of a webhook that is built in.
    pub(super) fn new<'c>(
        payload: &'a CollectorPayload<'a>,
        webhook: &'static Webhook,
        schemas: &'c [String],
        arena: &'a Bump,
    ) -> Request<'c, 'a> {
        let Webhook { tracker, types, .. } = webhook;
        let query = map(payload.querystring, arena);
        Request { payload, query, tracker, types, schemas, arena }
    }

    /// A request of a webhook that is not.
    pub(super) fn custom(
        payload: &'a CollectorPayload<'a>,
        tracker: &'a str,
        arena: &'a Bump,
    ) -> Request<'static, 'a> {
        let query = map(payload.querystring, arena);
        Request { payload, query, tracker, types: &[], schemas: &[], arena }
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        header(self.payload, name)
    }

    /// The body, if it is there and of the right type.
    pub(super) fn body(&self, wanted: ContentType, empty: Empty) -> Result<&'a str, Reason> {
        let none = |body: &&str| body.is_empty() && empty == Empty::IsNone;
        let Some(body) = self.payload.body.filter(|body| !none(body)) else {
            return Err(Reason::input("body", None, NO_BODY));
        };
        let expected = match wanted {
            ContentType::Any => return Ok(body),
            ContentType::Exactly(expected) | ContentType::Containing(expected) => expected,
        };
        match self.payload.content_type {
            None => {
                let expectation = Words::own(format!("no content type: expected {expected}"));
                Err(Reason::input("contentType", None, expectation))
            }
            Some(found) => match wanted {
                ContentType::Exactly(_) if found == expected => Ok(body),
                ContentType::Containing(_) if found.contains(expected) => Ok(body),
                _ => {
                    let expectation = Words::own(format!("expected {expected}"));
                    Err(Reason::input("contentType", Some(found), expectation))
                }
            },
        }
    }

    /// The Iglu URI of a type; `place` tells the event's place in its batch, if it has one.
    pub(super) fn schema(&self, kind: Option<&str>, place: Option<usize>) -> Result<&str, Reason> {
        let types = || self.types.iter().zip(self.schemas);
        if let Some((_, uri)) = types().find(|(known, _)| kind.is_some() && known.name == kind) {
            return Ok(uri);
        }
        let problem = match kind {
            None => "cannot determine event type: type parameter not provided",
            Some("") => "cannot determine event type: type parameter empty",
            Some(_) => "no schema associated with the provided type parameter",
        };
        let place = place.map_or_else(String::new, |index| format!(" at index {index}"));
        let expected =
            types().filter_map(|(known, uri)| Some((known.name?.to_owned(), uri.clone())));
        Err(Reason::SchemaMapping {
            actual: kind.map(str::to_owned),
            expected: expected.collect(),
            expectation: Words::own(format!("{problem}{place}")),
        })
    }

    /// The Iglu URI of what configurations call so.
    pub(super) fn schema_of(&self, setting: &str) -> &str {
        let place = self.types.iter().position(|known| known.setting == setting);
        &self.schemas[place.expect("the webhook has this type")]
    }

    /// The event of self-describing data, with what it takes from the query string.
    pub(super) fn event(&self, uri: &str, data: &Json<'a>) -> RawEvent<'a> {
        self.event_with(uri, data, self.query)
    }

    /// The same with other parameters in place of the query string's.
    pub(super) fn event_with(
        &self,
        uri: &str,
        data: &Json<'a>,
        query: &[Parameter<'a>],
    ) -> RawEvent<'a> {
        let mut text = BumpString::with_capacity_in(512, self.arena);
        data.write(&mut text);
        let tracker = self.tracker;
        let parameters = parameters(tracker, uri, &text, "srv", query, self.arena);
        RawEvent { payload: self.payload, parameters }
    }

    /// That one event.
    pub(super) fn one(&self, event: RawEvent<'a>) -> Adapted<'a> {
        Adapted { events: BumpVec::from_iter_in([event], self.arena), refused: None }
    }

    /// The events of a batch. Where some are refused, the others go on without them; where all are,
    /// the whole payload is refused. `body` makes a body of those that are refused.
    pub(super) fn batch(
        &self,
        parts: impl Iterator<Item = (&'a str, Result<RawEvent<'a>, Vec<Reason>>)>,
        body: impl FnOnce(&[&str]) -> String,
    ) -> Result<Adapted<'a>, Stop> {
        let mut events = BumpVec::new_in(self.arena);
        let (mut refused, mut reasons) = (Vec::new(), Vec::new());
        for (text, event) in parts {
            match event {
                Ok(event) => events.push(event),
                Err(why) => {
                    refused.push(text);
                    reasons.extend(why);
                }
            }
        }
        match (events.is_empty(), reasons.is_empty()) {
            (true, true) => Err(Reason::input("", None, "empty list of events").into()),
            (true, false) => Err(Stop::Refused(reasons)),
            (false, true) => Ok(Adapted { events, refused: None }),
            (false, false) => {
                let body = Some(&*self.arena.alloc_str(&body(&refused)));
                let payload = self.arena.alloc(CollectorPayload { body, ..self.payload.clone() });
                Ok(Adapted { events, refused: Some(Refused { payload, reasons }) })
            }
        }
    }

    /// The events of a JSON array, each of a type that one of its members names; `change` makes the
    /// event's data of an element and its type.
    pub(super) fn elements(
        &self,
        array: &'a str,
        type_key: &str,
        change: impl Fn(Json<'a>, &'a str) -> Json<'a>,
        body: impl FnOnce(&[&str]) -> String,
    ) -> Result<Adapted<'a>, Stop> {
        let elements = Elements::of(array).into_iter().flatten().enumerate();
        let event = |(index, text): (usize, &'a str)| {
            let element = Json::of(text, self.arena);
            let kind = element.get(type_key).and_then(|kind| kind.text(self.arena));
            let event = self
                .schema(kind, Some(index))
                .map(|uri| self.event(uri, &change(element, kind.unwrap_or_default())));
            (text, event.map_err(|reason| vec![reason]))
        };
        self.batch(elements.map(event), body)
    }

    /// A form body as a map; its error names the whole body.
    pub(super) fn form(&self, body: &'a str) -> Result<&'a [Parameter<'a>], Words> {
        Ok(map(query::parse(body, "UTF-8", self.arena)?, self.arena))
    }

    /// Text as JSON in compact form.
    pub(super) fn compact(
        &self,
        field: impl Into<Words>,
        text: &'a str,
    ) -> Result<&'a str, Reason> {
        compact(field, text, self.arena)
    }
}

/// Text as JSON in compact form; `field` names it in the reason where it is none.
pub(super) fn compact<'a>(
    field: impl Into<Words>,
    text: &'a str,
    arena: &'a Bump,
) -> Result<&'a str, Reason> {
    json::compact(text, arena).map_err(|error| Reason::not_json(field, text, error))
}

/// An event's parameters: what every webhook sets, and what it takes from the query string.
pub(super) fn parameters<'a>(
    tracker: &'a str,
    uri: &str,
    data: &str,
    platform: &'a str,
    query: &[Parameter<'a>],
    arena: &'a Bump,
) -> &'a [Parameter<'a>] {
    const FROM_QUERY: [&str; 6] = ["nuid", "aid", "cv", "eid", "ttm", "url"];
    let mut parameters = BumpVec::with_capacity_in(10, arena);
    parameters.push(("tv", Some(tracker)));
    parameters.push(("e", Some("ue")));
    parameters.push(("p", find(query, "p").unwrap_or(Some(platform))));
    parameters.push(("ue_pr", Some(unstruct(uri, data, arena))));
    parameters.extend(query.iter().filter(|(name, _)| FROM_QUERY.contains(name)));
    parameters.into_bump_slice()
}

/// The parameters that are the event's, and so no part of data that is made of parameters.
pub(super) const OF_THE_EVENT: [&str; 4] = ["nuid", "aid", "cv", "p"];

/// A JSON array of these elements.
pub(super) fn array(elements: &[&str]) -> String {
    format!("[{}]", elements.join(","))
}

/// The text of a member that must be a string, or what is wrong with it.
pub(super) fn required<'a>(
    json: &Json<'a>,
    key: &'static str,
    arena: &'a Bump,
) -> Result<&'a str, Reason> {
    let found = json.get(key);
    if let Some(text) = found.and_then(|value| value.text(arena)) {
        return Ok(text);
    }
    let problem = match found {
        None => "Missing required field".to_owned(),
        // What is inside a container is nobody's business here.
        Some(Json::Object(_)) => "Got value '{…}' with wrong type, expecting string".to_owned(),
        Some(Json::List(_)) => "Got value '[…]' with wrong type, expecting string".to_owned(),
        Some(value) => format!("Got value '{value}' with wrong type, expecting string"),
    };
    let expectation = format!("could not extract '{key}': {problem}: DownField({key})");
    Err(Reason::input(key, None, expectation))
}

/// Data without the members that repeat its type, at any depth, and with times in seconds since
/// 1970 as dates.
pub(super) fn tidied<'a>(
    json: Json<'a>,
    kind: Option<(&str, &str)>,
    times: &[&str],
    arena: &'a Bump,
) -> Json<'a> {
    let kind = kind.map(|(key, kind)| (key, tree::quoted(kind, arena)));
    json.map(Lists::Inside, arena, &|key, value| {
        if times.contains(&key) {
            return Change::Made(key, date(value, 1000, arena));
        }
        match (&value, kind) {
            (Json::Scalar(raw), Some((known, kind))) if key == known && *raw == kind => {
                Change::Dropped
            }
            _ => Change::Inside(value),
        }
    })
}

/// A number of some milliseconds since 1970 as a date; what is no such number stays.
fn date<'a>(value: Json<'a>, unit_ms: i64, arena: &'a Bump) -> Json<'a> {
    let number = match value.text(arena) {
        Some(text) => event::convert::int64(text),
        None => value.whole_number(),
    };
    match number {
        Some(number) => dates::json(number.wrapping_mul(unit_ms), arena),
        None => value,
    }
}

/// JSON with all keys in camel case.
pub(super) fn camelised<'a>(json: Json<'a>, arena: &'a Bump) -> Json<'a> {
    match json {
        Json::Object(members) => {
            let members = members
                .into_iter()
                .map(|(key, value)| (camel_case(key, arena), camelised(value, arena)));
            Json::Object(tree::unique(BumpVec::from_iter_in(members, arena), arena))
        }
        Json::List(elements) => {
            let elements = elements.into_iter().map(|element| camelised(element, arena));
            Json::List(BumpVec::from_iter_in(elements, arena))
        }
        scalar => scalar,
    }
}

/// `some_key` and `Some-Key` as `someKey`.
fn camel_case<'a>(key: &'a str, arena: &'a Bump) -> &'a str {
    let lower = |c: char| c.to_lowercase().next().unwrap_or(c);
    let Some(first) = key.chars().next() else { return key };
    if lower(first) == first && !key.contains(['_', '-']) {
        return key;
    }
    let mut out = BumpString::with_capacity_in(key.len(), arena);
    out.push(lower(first));
    let mut rest = key[first.len_utf8()..].chars().peekable();
    // A first character that joins words is one as well, unless lower case has made it another.
    if matches!(first, '_' | '-') {
        out.clear();
        rest = key.chars().peekable();
    }
    while let Some(c) = rest.next() {
        let joined = matches!(c, '_' | '-')
            .then(|| rest.next_if(|next| next.is_ascii_alphanumeric() || *next == '_'));
        out.push(joined.flatten().map_or(c, |next| next.to_ascii_uppercase()));
    }
    out.into_bump_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_camel_case() {
        let arena = Bump::new();
        for (key, expected) in [
            ("", ""),
            ("a", "a"),
            ("page_id", "pageId"),
            ("X-Mailgun-Sid", "xMailgunSid"),
            ("data.json", "data.json"),
            ("_a", "A"),
            ("__a", "_a"),
            ("a_", "a_"),
            ("a_é", "a_é"),
            ("a-1", "a1"),
            ("Éa", "éa"),
            ("a_\\n", "a_\\n"),
        ] {
            assert_eq!(camel_case(key, &arena), expected, "{key}");
        }
    }
}
