//! Which columns the schemas of events and entities have: a snapshot, as the pipeline has one of
//! the schemas themselves.
//!
//! A batch that mentions schemas of which nothing is known yet is answered with their URIs; whoever
//! can reads the schemas, makes columns of them, and hands the lines over once more. A schema that
//! cannot be had is known to have no column, and its events and entities are kept as text.

use std::collections::HashMap;
use std::sync::Arc;

use columns::{Field, Kind};

/// What is known of columns at one moment: immutable and cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Shapes {
    known: Arc<HashMap<String, Option<Arc<Shape>>>>,
}

/// The columns of one version of a schema: that of its events, and that of its entities. A schema
/// that cannot say anything may have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    event: Option<Field>,
    entity: Option<Field>,
}

impl Shape {
    /// The shape of what these two columns hold.
    pub fn new(event: Option<Field>, entity: Option<Field>) -> Shape {
        Shape { event, entity }
    }

    /// The column of events, or of entities.
    pub fn column(&self, kind: Kind) -> Option<&Field> {
        match kind {
            Kind::Event => self.event.as_ref(),
            Kind::Entity => self.entity.as_ref(),
        }
    }
}

impl Shapes {
    /// The columns of a schema by its URI as it stands in data; `None` when that was never asked
    /// for, and `Some(None)` when there are none.
    pub fn get(&self, uri: &str) -> Option<Option<&Arc<Shape>>> {
        self.known.get(uri).map(Option::as_ref)
    }

    /// How many schemas are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether the other is this very snapshot.
    pub fn is(&self, other: &Shapes) -> bool {
        Arc::ptr_eq(&self.known, &other.known)
    }

    /// What is known with some more, which replaces what was known of the same URIs.
    pub fn with(&self, more: impl IntoIterator<Item = (String, Option<Arc<Shape>>)>) -> Shapes {
        let mut known = (*self.known).clone();
        known.extend(more);
        Shapes { known: Arc::new(known) }
    }
}
