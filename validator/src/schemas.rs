//! The snapshot: what is known of the schemas at one moment.
//!
//! Immutable and cheap to clone. Keyed by the Iglu URI as it stands in the data, so that no event
//! pays for taking a URI apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use event::reason::RegistryHistory;
use hashbrown::HashMap;

use crate::schema::Schema;

/// What is known of the schemas at one moment: immutable, cheap to clone, read without a lock.
#[derive(Clone, Default)]
pub struct Schemas {
    known: Arc<HashMap<Arc<str>, Arc<Known>, foldhash::fast::RandomState>>,
}

/// The answer of all registries together to one key.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// The schema, compiled.
    Found(Arc<Schema>),
    /// Every eligible registry said that it does not have it, or has something unusable.
    Missing(Arc<Vec<RegistryHistory>>),
    /// A registry that might have it could not be asked: no verdict on the data.
    Unavailable(Arc<Vec<RegistryHistory>>),
}

impl Schemas {
    /// The answer for an Iglu URI; `None` when it was never asked for.
    pub fn get(&self, uri: &str) -> Option<&Lookup> {
        let known = self.known.get(uri)?;
        known.mark_used();
        Some(&known.lookup)
    }

    /// How many answers there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is no answer.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

/// An answer, and whether anybody wanted it of late.
#[derive(Debug)]
pub struct Known {
    lookup: Lookup,
    used: AtomicBool,
}

impl Known {
    /// An answer that nobody has read yet.
    pub fn new(lookup: Lookup) -> Known {
        Known { lookup, used: AtomicBool::new(false) }
    }

    /// The answer.
    pub fn lookup(&self) -> &Lookup {
        &self.lookup
    }

    /// Written only when it changes, so that readers on many cores share the cache line.
    fn mark_used(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was used since this was last asked.
    pub fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }
}

impl FromIterator<(String, Lookup)> for Schemas {
    /// A snapshot of the given answers, by Iglu URI.
    fn from_iter<I: IntoIterator<Item = (String, Lookup)>>(answers: I) -> Schemas {
        let known = |(uri, lookup): (String, Lookup)| (uri.into(), Arc::new(Known::new(lookup)));
        answers.into_iter().map(known).collect()
    }
}

impl FromIterator<(Arc<str>, Arc<Known>)> for Schemas {
    /// A snapshot of answers that whoever keeps them shares with it, by Iglu URI.
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Arc<Known>)>>(known: I) -> Schemas {
        Schemas { known: Arc::new(known.into_iter().collect()) }
    }
}
