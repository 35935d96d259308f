//! The snapshot: what is known of the schemas at one moment.
//!
//! Immutable and cheap to clone. Keyed by the Iglu URI as it stands in the data, so that no event
//! pays for taking a URI apart.

use std::sync::Arc;

use event::reason::RegistryHistory;
use hashbrown::HashMap;

use crate::schema::Schema;

/// What is known of the schemas at one moment: immutable, cheap to clone, read without a lock.
#[derive(Clone, Default)]
pub struct Schemas {
    lookups: Arc<HashMap<Box<str>, Lookup, foldhash::fast::RandomState>>,
}

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

impl Schemas {
    /// The answer for an Iglu URI; `None` when it was never asked for.
    pub fn get(&self, uri: &str) -> Option<&Lookup> {
        self.lookups.get(uri)
    }
}

impl FromIterator<(String, Lookup)> for Schemas {
    /// A snapshot of the given answers, by Iglu URI.
    fn from_iter<I: IntoIterator<Item = (String, Lookup)>>(answers: I) -> Schemas {
        let lookups = answers.into_iter().map(|(uri, lookup)| (uri.into_boxed_str(), lookup));
        Schemas { lookups: Arc::new(lookups.collect()) }
    }
}
