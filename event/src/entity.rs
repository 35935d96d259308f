//! Self-describing JSON: the name of a schema and data that claims to follow it.

use std::num::NonZeroU64;

use bumpalo::collections::String;

use crate::schema_key::SchemaVer;

/// A self-describing JSON that stands in an event: a tracker's context, the self-describing event
/// itself, or what an enrichment derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entity<'a> {
    /// The Iglu URI; checked by [`crate::schema_key::Parts::parse`] before an entity is made.
    pub uri: &'a str,
    /// The version that replaces the URI's when the entity is written: that of the schema which
    /// superseded it.
    pub superseded_by: Option<SchemaVer>,
    /// The data, as compact JSON in the form of [`crate::json`].
    pub data: &'a str,
    /// Set where the same data is given out for many events: in one process equal numbers mean
    /// equal data, so what is once found out of it need not be found out again.
    pub origin: Option<NonZeroU64>,
}

impl<'a> Entity<'a> {
    /// An entity whose schema nothing superseded.
    pub const fn new(uri: &'a str, data: &'a str) -> Entity<'a> {
        Entity { uri, superseded_by: None, data, origin: None }
    }

    /// Appends `{"schema":…,"data":…}`.
    pub fn write(&self, out: &mut String<'_>) {
        out.push_str("{\"schema\":\"");
        match self.superseded_by {
            Some(version) => {
                out.push_str(self.uri.rfind('/').map_or("", |slash| &self.uri[..=slash]));
                out.push_str(&version.to_string());
            }
            None => out.push_str(self.uri),
        }
        out.push_str("\",\"data\":");
        out.push_str(self.data);
        out.push('}');
    }
}

/// The envelope schema under which entities are written, whatever version they came in.
pub const CONTEXTS_URI: &str = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1";

/// The envelope schema of a self-describing event.
pub const UNSTRUCT_EVENT_URI: &str =
    "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0";

/// The column that holds entities: their envelope, under its newest version.
pub fn envelope<'a>(entities: &[Entity<'_>], arena: &'a bumpalo::Bump) -> &'a str {
    let size = |entity: &Entity<'_>| entity.uri.len() + entity.data.len() + 32;
    let size: usize = entities.iter().map(size).sum();
    let mut out = String::with_capacity_in(size + 128, arena);
    open_envelope(CONTEXTS_URI, &mut out);
    out.push('[');
    for (index, entity) in entities.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        entity.write(&mut out);
    }
    out.push_str("]}");
    out.into_bump_str()
}

/// Appends an envelope up to its data, which the caller writes and closes.
pub fn open_envelope(uri: &str, out: &mut String<'_>) {
    out.push_str("{\"schema\":\"");
    out.push_str(uri);
    out.push_str("\",\"data\":");
}
