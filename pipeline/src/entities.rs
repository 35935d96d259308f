//! The self-describing JSON that trackers send along: contexts and the self-describing event.
//!
//! The envelopes are checked first, then what is in them; everything wrong is collected. What is
//! valid comes back as entities, and the event's columns are written anew from them, under the
//! envelopes' newest versions.

use bumpalo::collections::{String as BumpString, Vec as BumpVec};
use event::entity::{self, Entity, UNSTRUCT_EVENT_URI, envelope};
use event::json::Elements;
use event::reason::Reason;
use event::{Bump, Criterion, Event, Field, SchemaVer};

use super::schema_check::{SchemaCheck, SelfDescribing, Stop, Verdict};

const CONTEXTS: Criterion = Criterion::one_zero("com.snowplowanalytics.snowplow", "contexts");
const UNSTRUCT_EVENT: Criterion =
    Criterion::one_zero("com.snowplowanalytics.snowplow", "unstruct_event");

/// The valid self-describing JSON of an event.
#[derive(Debug)]
pub struct Entities<'a> {
    /// The contexts, in the order they came.
    pub contexts: BumpVec<'a, Entity<'a>>,
    /// The self-describing event.
    pub unstruct: Option<Entity<'a>>,
}

/// Validates both columns of an event and writes them anew.
pub fn extract<'a>(
    event: &mut Event<'a>,
    check: &mut SchemaCheck<'_>,
    arena: &'a Bump,
) -> Result<Entities<'a>, Stop> {
    let mut reasons = Vec::new();
    let mut pending = false;
    let mut collect = |stop| match stop {
        Stop::Refused(more) => reasons.extend(more),
        Stop::Pending => pending = true,
    };
    let contexts = contexts(event, check, arena).map_err(&mut collect);
    let unstruct = unstruct_event(event, check, arena).map_err(&mut collect);
    if pending {
        return Err(Stop::Pending);
    }
    let (Ok(contexts), Ok(unstruct)) = (contexts, unstruct) else {
        return Err(Stop::Refused(reasons));
    };
    if !contexts.is_empty() {
        event.set(Field::Contexts, Some(envelope(&contexts, arena)));
    }
    if let Some(entity) = &unstruct {
        let mut out = BumpString::with_capacity_in(entity.data.len() + 256, arena);
        entity::open_envelope(UNSTRUCT_EVENT_URI, &mut out);
        entity.write(&mut out);
        out.push('}');
        event.set(Field::UnstructEvent, Some(out.into_bump_str()));
    }
    Ok(Entities { contexts, unstruct })
}

/// The entity that tells which schema superseded an entity's own.
pub fn validation_info<'a>(uri: &str, version: SchemaVer, arena: &'a Bump) -> Entity<'a> {
    let data = format!(r#"{{"originalSchema":"{uri}","validatedWith":"{version}"}}"#);
    let uri = "iglu:com.snowplowanalytics.iglu/validation_info/jsonschema/1-0-0";
    Entity::new(uri, arena.alloc_str(&data))
}

fn contexts<'a>(
    event: &Event<'a>,
    check: &mut SchemaCheck<'_>,
    arena: &'a Bump,
) -> Result<BumpVec<'a, Entity<'a>>, Stop> {
    let Some(json) = event.get(Field::Contexts) else { return Ok(BumpVec::new_in(arena)) };
    match check.envelopes.contexts(json, &CONTEXTS, arena) {
        Some(entities) => Ok(entities),
        None => contexts_at_length(json, check, arena),
    }
}

fn contexts_at_length<'a>(
    json: &'a str,
    check: &mut SchemaCheck<'_>,
    arena: &'a Bump,
) -> Result<BumpVec<'a, Entity<'a>>, Stop> {
    let mut entities = BumpVec::new_in(arena);
    let data = open(json, &CONTEXTS, check, arena)?;
    let mut reasons = Vec::new();
    let mut pending = false;
    for element in Elements::of(data).into_iter().flatten() {
        match entity(element, check, arena) {
            Ok(entity) => entities.push(entity),
            Err(Stop::Refused(more)) => reasons.extend(more),
            Err(Stop::Pending) => pending = true,
        }
    }
    match (pending, reasons.is_empty()) {
        (true, _) => Err(Stop::Pending),
        (false, true) => Ok(entities),
        (false, false) => Err(Stop::Refused(reasons)),
    }
}

fn unstruct_event<'a>(
    event: &Event<'a>,
    check: &mut SchemaCheck<'_>,
    arena: &'a Bump,
) -> Result<Option<Entity<'a>>, Stop> {
    let Some(json) = event.get(Field::UnstructEvent) else { return Ok(None) };
    match check.envelopes.unstruct_event(json, &UNSTRUCT_EVENT) {
        Some(entity) => Ok(Some(entity)),
        None => unstruct_event_at_length(json, check, arena).map(Some),
    }
}

fn unstruct_event_at_length<'a>(
    json: &'a str,
    check: &mut SchemaCheck<'_>,
    arena: &'a Bump,
) -> Result<Entity<'a>, Stop> {
    let data = open(json, &UNSTRUCT_EVENT, check, arena)?;
    entity(data, check, arena)
}

/// Checks an envelope and returns what is in it.
fn open<'a>(
    json: &'a str,
    criterion: &Criterion,
    check: &mut SchemaCheck<'_>,
    arena: &'a Bump,
) -> Result<&'a str, Stop> {
    let envelope = self_describing(json, arena)?;
    if !envelope.satisfies(criterion) {
        let schema_key = envelope.uri.to_owned();
        return Err(Reason::CriterionMismatch { schema_key, criterion: criterion.clone() }.into());
    }
    check.require(envelope)?;
    Ok(envelope.data)
}

fn entity<'a>(
    json: &'a str,
    check: &mut SchemaCheck<'_>,
    arena: &'a Bump,
) -> Result<Entity<'a>, Stop> {
    let found = self_describing(json, arena)?;
    match check.check(found.uri, found.data) {
        Verdict::Valid(superseded_by) => {
            Ok(Entity { superseded_by, ..Entity::new(found.uri, found.data) })
        }
        Verdict::Invalid(error) => {
            Err(Reason::Iglu { schema_key: found.uri.to_owned(), error: *error }.into())
        }
        Verdict::Pending => Err(Stop::Pending),
    }
}

fn self_describing<'a>(json: &'a str, arena: &'a Bump) -> Result<SelfDescribing<'a>, Stop> {
    SelfDescribing::parse(json, arena)
        .map_err(|error| Reason::NotIglu { json: json.to_owned(), error }.into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use event::bad_row::Processor;
    use event::json;
    use proptest::prelude::*;
    use validator::{Lookup, Schema, Schemas};

    use super::*;
    use crate::Settings;

    const CARRIER: &str = r#"{"type":"object","properties":{"schema":{"type":"string",
        "pattern":"^iglu:[a-zA-Z0-9-_.]+/[a-zA-Z0-9-_]+/[a-zA-Z0-9-_]+/[0-9]+-[0-9]+-[0-9]+$"},
        "data":{}},"required":["schema","data"],"additionalProperties":false}"#;

    /// Two versions of each envelope, one of which looks into the data, and two data schemas.
    fn schemas() -> Schemas {
        let many = |rest: &str| format!(r#"{{"type":"array","items":{CARRIER}{rest}}}"#);
        let strict = CARRIER.replace(r#""data":{}"#, r#""data":{"type":"object"}"#);
        [
            ("com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0", many(r#","minItems":1"#)),
            ("com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1", many(r#","maxItems":1"#)),
            ("com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0", CARRIER.to_owned()),
            ("com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-1", strict),
            ("a/number/jsonschema/1-0-0", r#"{"type":"integer"}"#.to_owned()),
            ("a/any/jsonschema/1-0-0", "{}".to_owned()),
        ]
        .into_iter()
        .map(|(uri, text)| {
            let schema = Schema::compile(&text);
            assert_eq!(schema.issues(), []);
            (format!("iglu:{uri}"), Lookup::Found(Arc::new(schema)))
        })
        .collect()
    }

    /// Both ways to read an envelope; the quick one must not say more than the long one, and says
    /// as much where `usual` is set.
    fn check(text: &str, usual: bool) {
        let (arena, schemas) = (Bump::new(), schemas());
        let settings =
            Settings::new(Processor { artifact: "a".to_owned(), version: "1".to_owned() });
        let mut check = SchemaCheck::new(&schemas, &settings);
        let json = json::compact(text, &arena).expect("the text is JSON");
        let quick = check.envelopes.contexts(json, &CONTEXTS, &arena);
        let long = contexts_at_length(json, &mut check, &arena);
        assert!(!usual || quick.is_some() || long.is_err(), "{text}");
        if let Some(quick) = quick {
            assert_eq!(quick, long.expect(text), "{text}");
        }
        let quick = check.envelopes.unstruct_event(json, &UNSTRUCT_EVENT);
        let long = unstruct_event_at_length(json, &mut check, &arena);
        if let Some(quick) = quick {
            assert_eq!(quick, long.expect(text), "{text}");
        }
    }

    fn entity_text((uri, data, shape): (&str, &str, u8)) -> String {
        match shape {
            0..6 => format!(r#"{{"schema":"iglu:{uri}","data":{data}}}"#),
            6 => format!(r#"{{"data":{data},"schema":"iglu:{uri}"}}"#),
            7 => format!(r#"{{"schema":"iglu:{uri}","data":{data},"more":1}}"#),
            8 => format!(r#"{{"schema":"iglu:{uri}"}}"#),
            _ => format!(r#"{{"schema":"igl\u0075:{uri}","data":{data}}}"#),
        }
    }

    #[test]
    fn what_trackers_send_goes_the_quick_way() {
        let number = |data: &str| entity_text(("a/number/jsonschema/1-0-0", data, 0));
        let contexts = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0";
        let text = |list: &str| format!(r#"{{"schema":"{contexts}","data":[{list}]}}"#);
        check(&text(&number("1")), true);
        check(&text(&format!("{},{}", number("1"), number("2"))), true);
        check(&text(&format!("{},{}", number("1"), number("true"))), true);
        check(&text(""), false);
    }

    #[test]
    fn depth_is_counted_from_the_envelope() {
        let contexts = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0";
        for levels in 30..45 {
            let data = "[".repeat(levels) + &"]".repeat(levels);
            let entity = entity_text(("a/any/jsonschema/1-0-0", &data, 0));
            check(&format!(r#"{{"schema":"{contexts}","data":[{entity}]}}"#), true);
            let unstruct = UNSTRUCT_EVENT_URI;
            check(&format!(r#"{{"schema":"{unstruct}","data":{entity}}}"#), false);
        }
    }

    proptest! {
        #[test]
        fn the_quick_way_says_what_the_long_way_says(
            envelope in prop::sample::select(vec![
                "contexts/jsonschema/1-0-0", "contexts/jsonschema/1-0-1",
                "contexts/jsonschema/2-0-0", "unstruct_event/jsonschema/1-0-0",
                "unstruct_event/jsonschema/1-0-1",
            ]),
            entities in prop::collection::vec((
                prop::sample::select(vec![
                    "a/number/jsonschema/1-0-0", "a/any/jsonschema/1-0-0",
                    "a/unknown/jsonschema/1-0-0", "a/number/jsonschema/1-0", "a b/c/d/1-0-0",
                ]),
                prop::sample::select(vec!["1", "-0.5", "null", "{}", "[1,{\"a\":\"]\"}]", "\"\\\"}\""]),
                0_u8..10,
            ), 0..4),
            wrapped in any::<bool>(),
        ) {
            let texts: Vec<String> = entities.into_iter().map(entity_text).collect();
            let list = texts.join(",");
            let data = match texts.as_slice() {
                [one] if !wrapped => one.clone(),
                _ => format!("[{list}]"),
            };
            let vendor = "iglu:com.snowplowanalytics.snowplow";
            check(&format!(r#"{{"schema":"{vendor}/{envelope}","data":{data}}}"#), false);
        }
    }
}
