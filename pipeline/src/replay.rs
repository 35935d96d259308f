//! What a replay does of a record: where the record came from, which of its events are meant, and
//! under which ids.
//!
//! Which events are meant is told by what was sent: the application and the schemas that stand in
//! an event's parameters, not by what enrichments make of them. So the choice is the same whatever
//! the configuration, and what fails is chosen like what succeeds.

use std::sync::Arc;

use event::schema_key::Parts;
use event::{Bump, Event, Field, RawEvent, base64};

use crate::parked::{Parked, Waiting};

/// What is done again of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// The stream that the record was read from, by name.
    pub stream: String,
    /// The events that are meant, with their ids; all of the record where absent.
    pub events: Option<Vec<Waiting>>,
    /// What an event has to be about.
    pub about: Arc<About>,
}

/// What events have to be about. Nothing given means all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// One of these applications, as the tracker names it.
    pub apps: Vec<String>,
    /// One of these schemas has to be its own, or that of an entity.
    pub schemas: Vec<Criterion>,
}

/// A schema key with parts left open, as people write it: `iglu:com.acme/checkout/jsonschema/1-*-*`
/// or shorter, `iglu:com.acme/checkout`, `iglu:com.acme`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Criterion {
    vendor: Option<String>,
    name: Option<String>,
    format: Option<String>,
    version: [Option<u32>; 3],
}

impl From<&Parked> for Replay {
    fn from(parked: &Parked) -> Replay {
        let (stream, events) = (parked.stream.clone(), parked.events.clone());
        Replay { stream, events, about: Arc::default() }
    }
}

impl Replay {
    /// Whether an event of the record is meant.
    pub(crate) fn means(&self, index: u32, raw: &RawEvent<'_>) -> bool {
        let named = self.events.as_ref().is_none_or(|_| self.event(index).is_some());
        named && self.about.takes(raw)
    }

    /// Whether what fails before there are events is meant, too: where all of the record is.
    pub(crate) fn means_all(&self) -> bool {
        self.events.is_none() && self.about.is_everything()
    }

    /// The id that an event has that brings none, where that is known.
    pub(crate) fn id(&self, index: u32) -> Option<&str> {
        Some(self.event(index)?.event_id.as_str()).filter(|id| !id.is_empty())
    }

    fn event(&self, index: u32) -> Option<&Waiting> {
        self.events.iter().flatten().find(|event| event.index == index)
    }
}

impl About {
    /// Whether nothing is asked for.
    pub fn is_everything(&self) -> bool {
        self.apps.is_empty() && self.schemas.is_empty()
    }

    /// The same of an event that was enriched.
    pub(crate) fn takes_event(&self, event: &Event<'_>) -> bool {
        let app = event.get(Field::AppId).unwrap_or_default();
        let columns = [Field::UnstructEvent, Field::Contexts].map(|column| event.get(column));
        let mut known = columns.into_iter().flatten().flat_map(uris);
        let own = [Field::EventVendor, Field::EventName, Field::EventFormat, Field::EventVersion];
        let own = own.map(|field| event.get(field).unwrap_or_default()).join("/");
        (self.apps.is_empty() || self.apps.iter().any(|wanted| wanted == app))
            && (self.schemas.is_empty()
                || is_one_of(&self.schemas, &format!("iglu:{own}"))
                || known.any(|uri| is_one_of(&self.schemas, &uri)))
    }

    fn takes(&self, raw: &RawEvent<'_>) -> bool {
        let app = raw.get("aid").unwrap_or_default();
        (self.apps.is_empty() || self.apps.iter().any(|wanted| wanted == app))
            && (self.schemas.is_empty() || mentions(raw, &self.schemas))
    }
}

impl Criterion {
    /// Reads one. The error says what was expected.
    pub fn parse(text: &str) -> Result<Criterion, String> {
        let wrong = || {
            format!(
                "expected a schema such as iglu:com.acme/checkout/jsonschema/1-*-*, found {text}"
            )
        };
        let rest = text.strip_prefix("iglu:").ok_or_else(wrong)?;
        let mut parts = rest.split('/');
        let mut part = || match parts.next() {
            None | Some("*") => Ok(None),
            Some(part) => {
                let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
                let fits = !part.is_empty() && part.bytes().all(known);
                fits.then(|| Some(part.to_owned())).ok_or_else(wrong)
            }
        };
        let (vendor, name, format) = (part()?, part()?, part()?);
        let mut version = [None; 3];
        if let Some(text) = parts.next().filter(|text| *text != "*") {
            let numbers: Vec<&str> = text.split('-').collect();
            let numbers: [&str; 3] = numbers.try_into().map_err(|_| wrong())?;
            for (number, text) in version.iter_mut().zip(numbers) {
                *number = match text {
                    "*" => None,
                    text => Some(text.parse().map_err(|_| wrong())?),
                };
            }
        }
        if parts.next().is_some() {
            return Err(wrong());
        }
        Ok(Criterion { vendor, name, format, version })
    }

    fn matches(&self, key: Parts<'_>) -> bool {
        let is =
            |wanted: &Option<String>, part: &str| wanted.as_deref().is_none_or(|it| it == part);
        let version = [key.version.model, key.version.revision, key.version.addition];
        is(&self.vendor, key.vendor)
            && is(&self.name, key.name)
            && is(&self.format, key.format)
            && self.version.iter().zip(version).all(|(wanted, is)| wanted.is_none_or(|it| it == is))
    }
}

fn is_one_of(schemas: &[Criterion], uri: &str) -> bool {
    Parts::parse(uri).is_ok_and(|key| schemas.iter().any(|schema| schema.matches(key)))
}

/// Whether an event is of one of these schemas or has an entity of one.
fn mentions(raw: &RawEvent<'_>, schemas: &[Criterion]) -> bool {
    let arena = Bump::new();
    let matches = |uri: &str| is_one_of(schemas, uri);
    raw.parameters.iter().filter_map(|(name, value)| Some((*name, (*value)?))).any(
        |(name, value)| match name {
            "e" => own_schema(value).is_some_and(matches),
            "ue_pr" | "co" => uris(value).any(|uri| matches(&uri)),
            "ue_px" | "cx" => uris(base64::decode(value, &arena)).any(|uri| matches(&uri)),
            _ => false,
        },
    )
}

/// The schema of an event that has no self-describing JSON, by its kind.
fn own_schema(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "pv" => "iglu:com.snowplowanalytics.snowplow/page_view/jsonschema/1-0-0",
        "pp" => "iglu:com.snowplowanalytics.snowplow/page_ping/jsonschema/1-0-0",
        "tr" => "iglu:com.snowplowanalytics.snowplow/transaction/jsonschema/1-0-0",
        "ti" => "iglu:com.snowplowanalytics.snowplow/transaction_item/jsonschema/1-0-0",
        "se" | "ev" => "iglu:com.google.analytics/event/jsonschema/1-0-0",
        _ => return None,
    })
}

/// All that looks like the URI of a schema, wherever in a text of JSON it stands. A slash may be
/// escaped there.
fn uris(json: &str) -> impl Iterator<Item = String> {
    json.match_indices("iglu:").map(|(at, _)| {
        let known = |c: char| c.is_ascii_alphanumeric() || "./-_:".contains(c);
        json[at..].chars().filter(|c| *c != '\\').take_while(|c| known(*c)).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::CollectorPayload;

    fn check(about: &About, parameters: &[(&str, &str)], expected: bool) {
        let parameters: Vec<_> = parameters.iter().map(|(n, v)| (*n, Some(*v))).collect();
        let raw = RawEvent { payload: &CollectorPayload::default(), parameters: &parameters };
        assert_eq!(about.takes(&raw), expected, "{about:?} {parameters:?}");
    }

    #[test]
    fn events_are_chosen_by_what_was_sent() {
        let apps = |apps: &[&str]| About {
            apps: apps.iter().map(|app| (*app).to_owned()).collect(),
            ..About::default()
        };
        let schemas = |texts: &[&str]| About {
            schemas: texts.iter().map(|text| Criterion::parse(text).expect("one")).collect(),
            ..About::default()
        };
        check(&About::default(), &[], true);
        check(&apps(&["shop", "blog"]), &[("aid", "blog")], true);
        check(&apps(&["shop"]), &[("aid", "Shop")], false);
        check(&apps(&["shop"]), &[], false);
        check(&apps(&[""]), &[], true);
        let thing = r#"{"data":{"schema":"iglu:com.acme\/thing\/jsonschema\/1-0-2","data":{}}}"#;
        let encoded = base64::encode(thing.as_bytes());
        for (wanted, expected) in [
            ("iglu:com.acme/thing/jsonschema/1-0-2", true),
            ("iglu:com.acme/thing/jsonschema/1-0-1", false),
            ("iglu:com.acme/thing/jsonschema/1-*-*", true),
            ("iglu:com.acme/thing/jsonschema/2-*-*", false),
            ("iglu:com.acme/thing", true),
            ("iglu:com.acme", true),
            ("iglu:*/thing", true),
            ("iglu:com.acm", false),
        ] {
            for name in ["ue_pr", "co"] {
                check(&schemas(&[wanted]), &[("e", "ue"), (name, thing)], expected);
            }
            for name in ["ue_px", "cx"] {
                check(&schemas(&[wanted]), &[("e", "ue"), (name, &encoded)], expected);
            }
            check(&schemas(&[wanted]), &[("e", "ue"), ("page", thing)], false);
        }
        let both = About { apps: vec!["shop".to_owned()], ..schemas(&["iglu:com.acme"]) };
        check(&both, &[("aid", "shop"), ("co", thing)], true);
        check(&both, &[("aid", "blog"), ("co", thing)], false);
        check(&schemas(&["iglu:*/page_view"]), &[("e", "pv")], true);
        check(&schemas(&["iglu:*/page_view"]), &[("e", "pp")], false);
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        for text in [
            "",
            "com.acme",
            "iglu:",
            "iglu:a/b/c/1-0",
            "iglu:a/b/c/1-0-x",
            "iglu:a/b/c/d/e",
            "iglu:a b",
        ] {
            let said = Criterion::parse(text).expect_err(text);
            assert!(said.ends_with(&format!("found {text}")), "{said}");
        }
    }
}
