//! A webhook that configuration describes: where its events are in a request, what says their type,
//! and what is changed in them on the way.
//!
//! Everything is bounded by the request: a description has no loops and no references, so whatever
//! it says, an event costs a few passes over its JSON.

mod pointer;

use bumpalo::collections::Vec as BumpVec;
use event::json::Elements;
use event::raw_event::Parameter;
use event::reason::{Reason, Words};
use event::{Bump, CollectorPayload, RawEvent, SchemaKey};

use super::tree::{self, Json};
use super::webhook::{self, ContentType, Empty, OF_THE_EVENT, Request};
use super::{Adapted, dates, find, percent_encoded};
use crate::schema_check::Stop;
pub use pointer::{NoPointer, Place, Pointer};

/// A webhook, as configuration describes it.
#[derive(Clone, Debug)]
pub struct Custom {
    /// The two parts of its path.
    pub endpoint: (String, String),
    /// Content types it may have; any, and none, where there are none here.
    pub content_types: Vec<String>,
    /// How its data is written.
    pub format: Format,
    /// The field of a form or query string that holds the data as JSON.
    pub field: Option<String>,
    /// Where the events are in the data: an array, or one. The data itself where there is nothing.
    pub events: Option<Pointer>,
    /// What says the type of an event.
    pub kind: Option<Place>,
    /// The schema of each type.
    pub schemas: Vec<(String, SchemaKey)>,
    /// The schema of all other types, and of events without one.
    pub schema: Option<SchemaKey>,
    /// What an event must have.
    pub required: Vec<Pointer>,
    /// What is converted.
    pub convert: Vec<(Pointer, Conversion)>,
    /// What is dropped.
    pub drop: Vec<Pointer>,
    /// What gets another name.
    pub rename: Vec<(Pointer, String)>,
    /// What becomes of all keys.
    pub keys: Keys,
    /// Parameters of the tracker protocol, and where their values are.
    pub parameters: Vec<(String, Place)>,
    /// The platform, where the query string names none.
    pub platform: String,
}

/// How a webhook's data is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A body of JSON.
    #[default]
    Json,
    /// A body of lines, each JSON.
    JsonLines,
    /// A form in the body.
    Form,
    /// The query string.
    Query,
}

/// What becomes of a value. A value that cannot be converted stays: its schema judges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// Seconds since 1970, with a fraction or without, become a date.
    EpochSeconds,
    /// Milliseconds since 1970 become a date.
    EpochMillis,
    /// `yyyy-MM-dd HH:mm:ss`, UTC, becomes a date.
    Date,
    /// Text of a number becomes the number.
    Number,
    /// `true` and `1` become true, `false` and `0` false.
    Boolean,
    /// A number or a truth value becomes text.
    Text,
    /// Text of JSON becomes what it says; text that is no JSON is a reason to refuse the event.
    Json,
    /// Empty text becomes null.
    EmptyToNull,
}

/// What becomes of all keys of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// They stay.
    #[default]
    Kept,
    /// `some_key` and `Some-Key` become `someKey`.
    Camel,
}

impl Custom {
    /// Makes events of a request.
    pub(super) fn run<'a>(
        &self,
        payload: &'a CollectorPayload<'a>,
        arena: &'a Bump,
    ) -> Result<Adapted<'a>, Stop> {
        let (vendor, version) = &self.endpoint;
        let tracker = arena.alloc_str(&format!("{vendor}-{version}"));
        let request = Request::custom(payload, tracker, arena);
        match self.format {
            Format::Query => {
                if request.query.is_empty() {
                    return Err(Reason::input("querystring", None, "empty querystring").into());
                }
                let of_the_data = |(name, _): &&Parameter<'_>| !OF_THE_EVENT.contains(name);
                let pairs: Vec<_> = request.query.iter().filter(of_the_data).copied().collect();
                self.one(self.fields(&pairs, &request)?, &request)
            }
            Format::Form => {
                let body = self.body(&request)?;
                let form =
                    request.form(body).map_err(|error| Reason::input("body", Some(body), error))?;
                match &self.field {
                    None => self.one(self.fields(form, &request)?, &request),
                    Some(field) => {
                        let text = self.field_text(field, form, "body", body)?;
                        let prefix = format!("{}=", percent_encoded(field));
                        self.many(field, text, &request, |json| prefix + &percent_encoded(&json))
                    }
                }
            }
            Format::Json => self.many("body", self.body(&request)?, &request, |json| json),
            Format::JsonLines => {
                let lines = self.body(&request)?.lines().filter(|line| !line.trim().is_empty());
                let event = |line: &'a str| {
                    let made = request
                        .compact("body", line)
                        .map_err(|reason| vec![reason])
                        .and_then(|json| self.event(Json::of(json, arena), &request));
                    (line, made)
                };
                request.batch(lines.map(event), |lines| lines.join("\n"))
            }
        }
    }

    fn body<'a>(&self, request: &Request<'_, 'a>) -> Result<&'a str, Reason> {
        let body = request.body(ContentType::Any, Empty::IsNone)?;
        let found = request.payload.content_type;
        let known = |expected: &String| found.is_some_and(|found| same_type(found, expected));
        if self.content_types.is_empty() || self.content_types.iter().any(known) {
            return Ok(body);
        }
        let expectation = format!("expected one of {}", self.content_types.join(", "));
        let expectation = Words::own(expectation);
        Err(Reason::input("contentType", found, expectation))
    }

    /// The events of a text of JSON; `body` makes a body again of the JSON of those refused.
    fn many<'a>(
        &self,
        field: &str,
        text: &'a str,
        request: &Request<'_, 'a>,
        body: impl FnOnce(String) -> String,
    ) -> Result<Adapted<'a>, Stop> {
        let json = request.compact(own(field), text)?;
        let whole;
        let found = match &self.events {
            None => json,
            Some(pointer) => {
                whole = Json::of(json, request.arena);
                let found = pointer.find(&whole).filter(|found| !matches!(found, Json::Scalar(_)));
                let Some(found) = found else {
                    let expectation = own(&format!("expected events at `{pointer}`"));
                    return Err(Reason::input(own(field), Some(text), expectation).into());
                };
                &*request.arena.alloc_str(&found.to_string())
            }
        };
        let Some(elements) = Elements::of(found) else {
            return self.one(Json::of(found, request.arena), request);
        };
        let event =
            |element: &'a str| (element, self.event(Json::of(element, request.arena), request));
        request.batch(elements.map(event), |refused| {
            let array = webhook::array(refused);
            body(match &self.events {
                Some(pointer) => pointer.around(array),
                None => array,
            })
        })
    }

    fn one<'a>(&self, json: Json<'a>, request: &Request<'_, 'a>) -> Result<Adapted<'a>, Stop> {
        self.event(json, request).map(|event| request.one(event)).map_err(Stop::Refused)
    }

    /// The fields of a form or query string as an object, or the JSON in one of them.
    fn fields<'a>(
        &self,
        pairs: &[Parameter<'a>],
        request: &Request<'_, 'a>,
    ) -> Result<Json<'a>, Reason> {
        let arena = request.arena;
        if let Some(field) = &self.field {
            let text = self.field_text(field, pairs, "querystring", "")?;
            return Ok(Json::of(request.compact(own(field), text)?, arena));
        }
        let member = |(name, value): &Parameter<'a>| {
            (tree::escaped(name, arena), Json::optional(*value, arena))
        };
        Ok(Json::Object(BumpVec::from_iter_in(pairs.iter().map(member), arena)))
    }

    fn field_text<'a>(
        &self,
        field: &str,
        pairs: &[Parameter<'a>],
        of: &'static str,
        whole: &str,
    ) -> Result<&'a str, Reason> {
        find(pairs, field).flatten().filter(|text| !text.is_empty()).ok_or_else(|| {
            let whole = Some(whole).filter(|whole| !whole.is_empty());
            Reason::input(of, whole, own(&format!("expected a field `{field}`")))
        })
    }

    fn event<'a>(
        &self,
        mut json: Json<'a>,
        request: &Request<'_, 'a>,
    ) -> Result<RawEvent<'a>, Vec<Reason>> {
        let arena = request.arena;
        if !matches!(json, Json::Object(_)) {
            let shown = json.to_string();
            return Err(vec![Reason::input("event", Some(&shown), "expected a JSON object")]);
        }
        let mut reasons = Vec::new();
        for pointer in &self.required {
            if pointer.find(&json).is_none_or(|value| *value == Json::NULL) {
                let expectation = own(&format!("expected a value at `{pointer}`"));
                reasons.push(Reason::input(own(&pointer.to_string()), None, expectation));
            }
        }
        let kind = self.kind.as_ref().and_then(|place| value(place, &json, request));
        let uri = self.schema_of(kind).map_err(|reason| reasons.push(reason));
        let own = self.parameters.iter().filter_map(|(name, place)| {
            let value = value(place, &json, request)?;
            Some((&*arena.alloc_str(name), Some(value)))
        });
        let own: Vec<Parameter<'a>> = own.collect();
        for (pointer, conversion) in &self.convert {
            let mut change = |value: &mut Json<'a>| conversion.apply(pointer, value, arena);
            if let Err(reason) = pointer.change(&mut json, &mut change) {
                reasons.push(reason);
            }
        }
        let Some(uri) = uri.ok().filter(|_| reasons.is_empty()) else { return Err(reasons) };
        self.drop.iter().for_each(|pointer| pointer.remove(&mut json));
        for (pointer, name) in &self.rename {
            pointer.rename(&mut json, tree::escaped(name, arena));
        }
        if self.keys == Keys::Camel {
            json = webhook::camelised(json, arena);
        }
        let data = arena.alloc_str(&json.to_string());
        let platform = arena.alloc_str(&self.platform);
        let (tracker, query) = (request.tracker, request.query);
        let parameters = webhook::parameters(tracker, &uri, data, platform, query, arena);
        let parameters = super::overlay(parameters, &own, arena);
        Ok(RawEvent { payload: request.payload, parameters })
    }

    /// The Iglu URI for a type.
    fn schema_of(&self, kind: Option<&str>) -> Result<String, Reason> {
        let of_type = self.schemas.iter().find(|(known, _)| Some(known.as_str()) == kind);
        if let Some(key) = of_type.map(|(_, key)| key).or(self.schema.as_ref()) {
            return Ok(key.to_string());
        }
        let expectation = match kind {
            None => "cannot determine event type: type parameter not provided",
            Some("") => "cannot determine event type: type parameter empty",
            Some(_) => "no schema associated with the provided type parameter",
        };
        let expected = self.schemas.iter().map(|(kind, key)| (kind.clone(), key.to_string()));
        Err(Reason::SchemaMapping {
            actual: kind.map(str::to_owned),
            expected: expected.collect(),
            expectation: expectation.into(),
        })
    }
}

/// Words of the configuration, which are this program's.
fn own(text: &str) -> Words {
    Words::own(text.to_owned())
}

/// Whether a content type is that one, whatever its parameters.
fn same_type(found: &str, expected: &str) -> bool {
    let kind = |text: &str| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind(found) == kind(expected)
}

fn value<'a>(place: &Place, json: &Json<'a>, request: &Request<'_, 'a>) -> Option<&'a str> {
    match place {
        Place::Event(pointer) => pointer.find(json)?.scalar_text(request.arena),
        Place::Header(name) => request.header(name),
        Place::Query(name) => find(request.query, name).flatten(),
    }
}

impl Conversion {
    fn apply<'a>(
        self,
        pointer: &Pointer,
        value: &mut Json<'a>,
        arena: &'a Bump,
    ) -> Result<(), Reason> {
        let Json::Scalar(raw) = *value else { return Ok(()) };
        let text = value.text(arena);
        let made = match self {
            Conversion::EpochSeconds => {
                millis(text.unwrap_or(raw), 1000).map(|ms| dates::json(ms, arena))
            }
            Conversion::EpochMillis => {
                millis(text.unwrap_or(raw), 1).map(|ms| dates::json(ms, arena))
            }
            Conversion::Date => text.map(|text| Json::string(&dates::reformatted(text), arena)),
            Conversion::Number => text.filter(|text| is_number(text)).map(Json::Scalar),
            Conversion::Boolean => match text.unwrap_or(raw) {
                "true" | "1" => Some(Json::Scalar("true")),
                "false" | "0" => Some(Json::Scalar("false")),
                _ => None,
            },
            Conversion::Text => match text {
                None if raw != "null" => Some(Json::string(raw, arena)),
                _ => None,
            },
            Conversion::Json => match text {
                Some(text) => {
                    let json = webhook::compact(own(&pointer.to_string()), text, arena)?;
                    Some(Json::of(json, arena))
                }
                None => None,
            },
            Conversion::EmptyToNull => text.filter(|text| text.is_empty()).map(|_| Json::NULL),
        };
        if let Some(made) = made {
            *value = made;
        }
        Ok(())
    }
}

/// Milliseconds of a decimal number of some unit, within the years of events.
fn millis(text: &str, unit_ms: i64) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = format!("{fraction:0<3}");
    let thousandths: i64 = digits.get(..3)?.parse().ok()?;
    let part = thousandths * unit_ms / 1000;
    let ms = whole.checked_mul(unit_ms)?.checked_add(if text.starts_with('-') {
        -part
    } else {
        part
    })?;
    event::time::is_redshift_compatible(ms).then_some(ms)
}

fn is_number(text: &str) -> bool {
    let arena = Bump::new();
    let starts = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    starts && event::json::compact(text, &arena).is_ok_and(|compact| compact.len() == text.len())
}
