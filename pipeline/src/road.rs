//! The road of one event, from parameters to the event that is written: a line of [`STEPS`].
//!
//! What is known of an event between two steps is a value, a [`Passage`], and each step either
//! takes it further or says why it ends there. [`Passage::travel`] takes all steps; whoever wants
//! to see what each of them does takes them one by one and looks at the passage in between. A step
//! asks nobody and keeps nothing: what it lacks it names ([`End::Waits`], [`End::Asks`]), and the
//! event is taken down the same road again once that is there.

use bumpalo::collections::Vec as BumpVec;
use enrichments::lookup::{Answers, Question};
use enrichments::{Caches, Change, Enrichments, Input, Times};
use event::reason::{EnrichmentId, Failure, Reason};
use event::{Bump, Entity, Event, Field, RawEvent, json};

use super::batch::Origin;
use super::entities::{self, Entities};
use super::protection::{JSON, Masked};
use super::schema_check::{SchemaCheck, Stop, Verdict};
use super::transform::{self, Start};
use super::{Lengths, Settings, identity};

/// An event between two steps.
pub struct Passage<'a> {
    /// The event as the adapter made it.
    pub raw: RawEvent<'a>,
    /// The record it came in.
    pub origin: Origin<'a>,
    /// Its index in the record.
    pub index: u32,
    /// The event as far as it got.
    pub event: Event<'a>,
    /// Its moments.
    pub times: Times,
    /// The id that it is given if it brings none, where one is known.
    pub known_id: Option<&'a str>,
    /// Its fingerprint, where that was made beforehand.
    pub fingerprint: Option<&'a str>,
    /// The valid self-describing JSON that came with it.
    pub found: Entities<'a>,
    /// What the enrichments derived from it.
    pub derived: BumpVec<'a, Entity<'a>>,
    /// Whether it was masked and hashed.
    pub masked: Masked,
    /// What was pseudonymised in it, where there is to be an event about that.
    pub changes: Vec<Change<'a>>,
    /// Whether a field is longer than a row of events holds, and that is accepted.
    pub too_long: bool,
}

/// What the steps work with.
pub struct Tools<'t, 's, 'a> {
    /// How the pipeline works.
    pub settings: &'t Settings,
    /// What is added to events.
    pub enrichments: &'t Enrichments,
    /// What is known of schemas.
    pub check: &'t mut SchemaCheck<'s>,
    /// The answers to look-ups that are there.
    pub answers: Option<&'t dyn Answers>,
    /// What the thread remembers of other events.
    pub caches: &'t mut Caches,
    /// What every event of the batch starts with.
    pub start: Start<'a>,
    /// Where texts live until the events of a group are written.
    pub arena: &'a Bump,
}

/// Why an event goes no further.
#[derive(Debug)]
pub enum End<'a> {
    /// Something about it failed.
    Failed {
        /// What.
        failures: Vec<Failure>,
        /// Entities that were derived and are valid.
        derived: Vec<Entity<'a>>,
        /// Columns that no row of events can hold.
        invalid: Vec<Field>,
        /// Columns of JSON that were not found valid.
        unproven: &'static [Field],
    },
    /// Its self-describing JSON is refused.
    Refused(Vec<Reason>),
    /// A script wants it to vanish.
    Dropped,
    /// A schema is not there; it has been noted as needed or as unavailable.
    Waits,
    /// A look-up has no answer yet: all that its look-ups ask.
    Asks(Vec<Question>),
    /// Look-ups cannot be asked and the event is to be parked: their names, each with why.
    Unanswered(Vec<String>),
}

/// One step of the road.
pub struct Step {
    /// What it is called.
    pub name: &'static str,
    /// Takes a passage one step further.
    pub take: for<'p, 'x, 't, 's, 'a> fn(
        &'p mut Passage<'a>,
        &'x mut Tools<'t, 's, 'a>,
    ) -> Result<(), End<'a>>,
}

/// The road.
pub const STEPS: [Step; 6] = [
    Step { name: "fields", take: fields },
    Step { name: "schemas", take: schemas },
    Step { name: "enrichments", take: enrichments },
    Step { name: "derived", take: derived },
    Step { name: "masked and hashed", take: masked },
    Step { name: "lengths", take: lengths },
];

impl<'a> Passage<'a> {
    /// At the beginning of the road.
    pub fn new(
        raw: RawEvent<'a>,
        origin: Origin<'a>,
        index: u32,
        fingerprint: Option<&'a str>,
        arena: &'a Bump,
    ) -> Passage<'a> {
        let collector = raw.payload.timestamp;
        Passage {
            raw,
            origin,
            index,
            event: Event::new(),
            times: Times { collector, created: None, sent: None, true_time: None },
            known_id: None,
            fingerprint,
            found: Entities { contexts: BumpVec::new_in(arena), unstruct: None },
            derived: BumpVec::new_in(arena),
            masked: Masked::No,
            changes: Vec::new(),
            too_long: false,
        }
    }

    /// Goes the whole road, or as far as it leads.
    pub fn travel(&mut self, tools: &mut Tools<'_, '_, 'a>) -> Result<(), End<'a>> {
        STEPS.iter().try_for_each(|step| (step.take)(self, tools))
    }
}

impl End<'_> {
    fn failed(failures: Vec<Failure>, unproven: &'static [Field]) -> Self {
        End::Failed { failures, derived: Vec::new(), invalid: Vec::new(), unproven }
    }
}

/// Parameters become fields, and who brings no id gets one.
fn fields<'a>(passage: &mut Passage<'a>, tools: &mut Tools<'_, '_, 'a>) -> Result<(), End<'a>> {
    let Passage { raw, event, times, .. } = passage;
    let failures = transform::event(raw, tools.start, (&mut *event, times), tools.arena);
    if event.get(Field::EventId).is_none() {
        let derived =
            || &*tools.arena.alloc_str(&identity::event_id(passage.origin, passage.index));
        event.set(Field::EventId, Some(passage.known_id.unwrap_or_else(derived)));
    }
    if failures.is_empty() { Ok(()) } else { Err(End::failed(failures, &JSON)) }
}

/// What came as self-describing JSON is validated and written anew.
fn schemas<'a>(passage: &mut Passage<'a>, tools: &mut Tools<'_, '_, 'a>) -> Result<(), End<'a>> {
    let extracted = entities::extract(&mut passage.event, tools.check, tools.arena);
    passage.found = extracted.map_err(|stop| match stop {
        Stop::Pending => End::Waits,
        Stop::Refused(reasons) => End::Refused(reasons),
    })?;
    Ok(())
}

/// Everything that is added.
fn enrichments<'a>(
    passage: &mut Passage<'a>,
    tools: &mut Tools<'_, '_, 'a>,
) -> Result<(), End<'a>> {
    let Passage { raw, times, fingerprint, found, event, .. } = passage;
    let unstruct = found.unstruct.as_ref();
    let sent = SENT.map(|field| event.get(field));
    let (fingerprint, now_ms) = (*fingerprint, tools.start.now_ms);
    let (contexts, answers) = (&*found.contexts, tools.answers);
    let input = Input { raw, times: *times, contexts, unstruct, fingerprint, now_ms, answers };
    let enriched = tools.enrichments.run(event, &input, tools.caches, tools.arena);
    if enriched.asked.waits {
        return Err(End::Asks(enriched.asked.questions));
    }
    passage.derived = enriched.entities;
    match enriched.failures.is_empty() {
        true if enriched.dropped => Err(End::Dropped),
        // What is bad already need not wait to be found so.
        true if !enriched.asked.unavailable.is_empty() => {
            Err(End::Unanswered(enriched.asked.unavailable))
        }
        // What a script has written in place of what was sent is as strange as that was.
        true if SENT.map(|field| event.get(field)) != sent => written_by_scripts(passage, tools),
        true => Ok(()),
        false => {
            // What was derived later stands before what was derived earlier.
            let later = passage.derived.len().saturating_sub(enriched.before_scripts);
            let shown = Some(&passage.derived[later..]).filter(|shown| !shown.is_empty());
            let column = shown.map(|shown| event::entity::envelope(shown, tools.arena));
            passage.event.set(Field::DerivedContexts, column);
            // Nobody has looked whether they are valid.
            Err(End::failed(enriched.failures, &[Field::DerivedContexts]))
        }
    }
}

/// The columns of self-describing JSON that came with the event.
const SENT: [Field; 2] = [Field::Contexts, Field::UnstructEvent];
/// How the URI of an envelope of entities begins, whatever its version.
const CONTEXTS: &str = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-";

/// Validates what scripts wrote into these columns. A list of entities that was emptied stays as it
/// is: the envelope's schema wants one, and what is not there cannot be wrong.
fn written_by_scripts<'a>(
    passage: &mut Passage<'a>,
    tools: &mut Tools<'_, '_, 'a>,
) -> Result<(), End<'a>> {
    let contexts = passage.event.get(Field::Contexts);
    let emptied = contexts.filter(|text| {
        let uri = json::member(text, "schema").unwrap_or_default().trim_matches('"');
        uri.starts_with(CONTEXTS) && json::member(text, "data") == Some("[]")
    });
    if emptied.is_none() {
        return schemas(passage, tools);
    }
    passage.event.set(Field::Contexts, None);
    let checked = schemas(passage, tools);
    passage.event.set(Field::Contexts, emptied);
    checked
}

/// What was derived is written and validated.
fn derived<'a>(passage: &mut Passage<'a>, tools: &mut Tools<'_, '_, 'a>) -> Result<(), End<'a>> {
    let Passage { event, found, derived, .. } = passage;
    let mut all = derived.to_vec();
    for entity in found.contexts.iter().chain(&found.unstruct) {
        let Some(version) = entity.superseded_by else { continue };
        let info = entities::validation_info(entity.uri, version, tools.arena);
        if !all[derived.len()..].contains(&info) {
            all.push(info);
        }
    }
    if all.is_empty() {
        return Ok(());
    }
    event.set(Field::DerivedContexts, Some(event::entity::envelope(&all, tools.arena)));
    let (mut failures, mut valid) = (Vec::new(), Vec::new());
    for entity in derived.iter() {
        match tools.check.check_derived(entity) {
            Verdict::Valid(_) => valid.push(*entity),
            Verdict::Pending => return Err(End::Waits),
            Verdict::Invalid(error) => failures.push(not_valid(entity, *error)),
        }
    }
    if failures.is_empty() {
        return Ok(());
    }
    // Of two entities with one schema the valid one is as doubtful as the other.
    valid.retain(|entity| !failures.iter().any(|failure| is_about(failure, entity)));
    let unproven = &[Field::DerivedContexts];
    Err(End::Failed { failures, derived: valid, invalid: Vec::new(), unproven })
}

fn not_valid(entity: &Entity<'_>, error: event::ClientError) -> Failure {
    let enrichment = EnrichmentId {
        schema_key: entity.uri.to_owned(),
        identifier: "enrichments-contexts-validation",
    };
    let reason = Reason::Iglu { schema_key: entity.uri.to_owned(), error };
    Failure { enrichment: Some(enrichment), reason }
}

fn is_about(failure: &Failure, entity: &Entity<'_>) -> bool {
    matches!(&failure.reason, Reason::Iglu { schema_key, .. } if schema_key == entity.uri)
}

/// What must not leave is masked and hashed.
fn masked<'a>(passage: &mut Passage<'a>, tools: &mut Tools<'_, '_, 'a>) -> Result<(), End<'a>> {
    let headers = passage.raw.payload.headers;
    passage.changes = tools.enrichments.anonymise(&mut passage.event, headers, tools.arena);
    passage.masked = Masked::Yes;
    Ok(())
}

/// No field is longer than a row of events holds.
fn lengths<'a>(passage: &mut Passage<'a>, tools: &mut Tools<'_, '_, 'a>) -> Result<(), End<'a>> {
    let Settings { lengths, limits, .. } = tools.settings;
    let invalid = limits.too_long(&passage.event);
    passage.too_long = !invalid.is_empty();
    if invalid.is_empty() || *lengths == Lengths::Accepted {
        return Ok(());
    }
    let failures = limits.failures(&invalid);
    Err(End::Failed { failures, derived: Vec::new(), invalid, unproven: &[] })
}
