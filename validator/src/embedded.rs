//! The schemas in the binary: the folder `schemas` of this repository, a static registry.

use std::sync::Arc;

use event::SchemaKey;

use crate::schema::Schema;
use crate::schemas::{Lookup, Schemas};

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The text of a schema.
pub fn text(key: &SchemaKey) -> Option<&'static str> {
    let path = key.path();
    let index = SCHEMAS.binary_search_by(|(known, _)| (*known).cmp(path.as_str())).ok()?;
    Some(SCHEMAS[index].1)
}

/// The keys of all schemas.
pub fn keys() -> impl Iterator<Item = SchemaKey> {
    let uris = SCHEMAS.iter().map(|(path, _)| format!("iglu:{path}"));
    uris.map(|uri| SchemaKey::parse(&uri).expect("a test reads the key of every schema"))
}

/// All schemas, compiled: for whoever has no registry to ask.
pub fn snapshot() -> Schemas {
    let found = |(path, text): &(&str, &str)| {
        (format!("iglu:{path}"), Lookup::Found(Arc::new(Schema::compile(text))))
    };
    SCHEMAS.iter().map(found).collect()
}
