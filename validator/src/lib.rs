//! Validates self-describing JSON against schemas from Iglu registries.

use std::sync::Arc;

use event::reason::{ClientError, RegistryHistory};
use event::{SchemaKey, SchemaVer};

/// What is known of the schemas at one moment: immutable, cheap to clone, read without a lock.
#[derive(Clone, Default)]
pub struct Schemas {}

/// The answer of all registries together to one key.
#[derive(Clone)]
pub enum Lookup {
    /// The schema, compiled.
    Found(Arc<Schema>),
    /// Every eligible registry said that it does not have it.
    Missing(Arc<Vec<RegistryHistory>>),
    /// A registry that might have it could not be asked: no verdict on the data.
    Unavailable(Arc<Vec<RegistryHistory>>),
}

/// A compiled schema.
pub struct Schema {}

impl Schemas {
    /// The answer for an Iglu URI; `None` when it was never asked for.
    pub fn get(&self, _uri: &str) -> Option<&Lookup> {
        todo!()
    }
}

impl Schema {
    /// The version that superseded the one asked for; this schema is then that version's.
    pub fn superseded_by(&self) -> Option<SchemaVer> {
        todo!()
    }

    /// Validates compact JSON text.
    pub fn check(&self, _json: &str) -> Result<(), Box<ClientError>> {
        todo!()
    }
}

/// Registries in order, with a cache.
pub struct Resolver {}

impl Resolver {
    /// What is known now.
    pub fn schemas(&self) -> Schemas {
        todo!()
    }

    /// Asks the registries for the keys not known yet, and returns what is known then.
    pub async fn resolve(&self, _keys: &[SchemaKey]) -> Schemas {
        todo!()
    }
}
