//! The quick way through envelopes: contexts and self-describing events in the very form that
//! trackers write, taken apart and validated in one walk over their text.
//!
//! Whatever this way accepts the long way in [`super::entities`] accepts with the same result;
//! for anything else it gives up, and the long way finds the verdict and its reasons. What makes
//! it quick: what is known of an Iglu URI is found out once for a batch, and where the schema of
//! an envelope does not look into the data, nobody else than the data's own schema has to.

use std::collections::HashMap;

use bumpalo::collections::Vec as BumpVec;
use event::schema_key::Parts;
use event::{Bump, Criterion, Entity, json};
use foldhash::fast::FixedState;
use validator::{Lookup, Schema, Schemas};

use super::Validation;

/// Envelopes that one batch may name; each kind has two or three versions.
const ENVELOPES: usize = 8;

/// Iglu URIs remembered for an envelope, so that no batch of invented ones grows the memory.
const URIS: usize = 4_096;

/// What is known of envelopes and of the Iglu URIs in them, by one snapshot of the schemas.
pub(super) struct Envelopes<'s> {
    schemas: &'s Schemas,
    validation: Validation,
    known: Vec<Envelope<'s>>,
}

/// An envelope's Iglu URI and what is known of those that stand in it.
struct Envelope<'s> {
    uri: String,
    /// The levels of JSON between the envelope's data and an entity's.
    levels: u32,
    /// Absent unless the schema accepts whatever an entity's data is.
    schema: Option<&'s Schema>,
    contents: HashMap<Box<str>, Content<'s>, FixedState>,
}

/// What is known of an Iglu URI in an envelope.
#[derive(Clone, Copy)]
enum Content<'s> {
    /// The data must follow this schema.
    Follows(&'s Schema),
    /// Any data will do, since schemas are not enforced.
    Anything,
    /// There is more to be said than this way says.
    Unclear,
}

impl<'s> Envelopes<'s> {
    /// With nothing known yet.
    pub(super) fn new(schemas: &'s Schemas, validation: Validation) -> Envelopes<'s> {
        Envelopes { schemas, validation, known: Vec::new() }
    }

    /// The valid entities of contexts in compact form.
    pub(super) fn contexts<'a>(
        &mut self,
        text: &'a str,
        criterion: &Criterion,
        arena: &'a Bump,
    ) -> Option<BumpVec<'a, Entity<'a>>> {
        let (uri, rest) = opened(text)?;
        let mut rest = rest.strip_prefix('[')?;
        let envelope = self.envelope(uri, criterion, 2)?;
        let mut entities = BumpVec::new_in(arena);
        loop {
            let (entity, after) = self.entity(envelope, rest)?;
            entities.push(entity);
            if after == "]}" {
                return Some(entities);
            }
            rest = after.strip_prefix(',')?;
        }
    }

    /// The valid entity of a self-describing event in compact form.
    pub(super) fn unstruct_event<'a>(
        &mut self,
        text: &'a str,
        criterion: &Criterion,
    ) -> Option<Entity<'a>> {
        let (uri, rest) = opened(text)?;
        let envelope = self.envelope(uri, criterion, 1)?;
        let (entity, after) = self.entity(envelope, rest)?;
        (after == "}").then_some(entity)
    }

    /// The entity that a text begins with, and what follows it.
    fn entity<'a>(&mut self, envelope: usize, text: &'a str) -> Option<(Entity<'a>, &'a str)> {
        let (uri, rest) = opened(text)?;
        let levels = self.known[envelope].levels;
        let (end, superseded_by) = match self.content(envelope, uri) {
            Content::Follows(schema) => {
                (schema.accepts_start(rest, levels)?, schema.superseded_by())
            }
            Content::Anything => (json::value_length(rest), None),
            Content::Unclear => return None,
        };
        let (data, after) = rest.split_at(end);
        Some((Entity { superseded_by, ..Entity::new(uri, data) }, after.strip_prefix('}')?))
    }

    /// The index of an envelope that satisfies the criterion and does not look into data.
    fn envelope(&mut self, uri: &str, criterion: &Criterion, levels: u32) -> Option<usize> {
        let same = |known: &Envelope<'_>| known.levels == levels && known.uri == uri;
        let index = self.known.iter().position(same).or_else(|| {
            let fits = Parts::parse(uri).is_ok_and(|parts| criterion.matches(parts));
            if !fits || self.known.len() == ENVELOPES {
                return None;
            }
            let schema = self.found(uri).filter(|schema| match levels {
                1 => schema.is_envelope_of_one(),
                _ => schema.is_envelope_of_many(),
            });
            let contents = HashMap::default();
            self.known.push(Envelope { uri: uri.to_owned(), levels, schema, contents });
            Some(self.known.len() - 1)
        })?;
        let enforced = self.validation == Validation::Full;
        (self.known[index].schema.is_some() || !enforced).then_some(index)
    }

    fn content(&mut self, envelope: usize, uri: &str) -> Content<'s> {
        if let Some(content) = self.known[envelope].contents.get(uri) {
            return *content;
        }
        let content = self.find_out(&self.known[envelope], uri);
        let contents = &mut self.known[envelope].contents;
        if contents.len() < URIS {
            contents.insert(uri.into(), content);
        }
        content
    }

    fn find_out(&self, envelope: &Envelope<'_>, uri: &str) -> Content<'s> {
        if Parts::parse(uri).is_err() {
            return Content::Unclear;
        }
        if self.validation == Validation::Syntax {
            return Content::Anything;
        }
        let entity = format!(r#"{{"schema":"{uri}","data":{{}}}}"#);
        let data = if envelope.levels == 1 { entity } else { format!("[{entity}]") };
        let fits = envelope.schema.is_some_and(|schema| schema.check(&data).is_ok());
        self.found(uri).filter(|_| fits).map_or(Content::Unclear, Content::Follows)
    }

    fn found(&self, uri: &str) -> Option<&'s Schema> {
        match self.schemas.get(uri) {
            Some(Lookup::Found(schema)) => Some(schema),
            _ => None,
        }
    }
}

/// The Iglu URI of `{"schema":"…","data":…`, and what follows the last colon.
fn opened(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("{\"schema\":\"")?;
    let (uri, rest) = rest.split_at(memchr::memchr(b'"', rest.as_bytes())?);
    // A backslash before the quote is no part of a URI, so it is found out to be unclear.
    Some((uri, rest.strip_prefix("\",\"data\":")?))
}
