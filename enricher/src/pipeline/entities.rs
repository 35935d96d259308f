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
    let mut entities = BumpVec::new_in(arena);
    let Some(json) = event.get(Field::Contexts) else { return Ok(entities) };
    if let Some(entities) = check.envelopes.contexts(json, &CONTEXTS, arena) {
        return Ok(entities);
    }
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
    if let Some(entity) = check.envelopes.unstruct_event(json, &UNSTRUCT_EVENT) {
        return Ok(Some(entity));
    }
    let data = open(json, &UNSTRUCT_EVENT, check, arena)?;
    entity(data, check, arena).map(Some)
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
            Ok(Entity { uri: found.uri, superseded_by, data: found.data })
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
