//! A table of events: the columns that every event has, and those of the schemas that are known.

use std::collections::BTreeMap;

use event::SchemaKey;

use crate::atomic;
use crate::family::Family;
use crate::field::Field;
use crate::names::{self, Kind};

/// What a schema is used for. The schema itself does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uses {
    /// Self-describing events.
    pub event: bool,
    /// Entities.
    pub entity: bool,
}

/// The columns of a table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    families: BTreeMap<String, Family>,
}

impl Table {
    /// A table for events and entities of these schemas, each with its text: every version that is
    /// known of a major, in any order.
    pub fn of<'a>(schemas: impl IntoIterator<Item = (SchemaKey, &'a str, Uses)>) -> Table {
        let mut members: BTreeMap<(String, Kind), Vec<(SchemaKey, &str)>> = BTreeMap::new();
        for (key, text, uses) in schemas {
            for (kind, used) in [(Kind::Event, uses.event), (Kind::Entity, uses.entity)] {
                if used {
                    let name = names::column(kind, &key.vendor, &key.name, key.version.model);
                    members.entry((name, kind)).or_default().push((key.clone(), text));
                }
            }
        }
        let families = members.into_iter().filter_map(|((name, kind), schemas)| {
            Family::of(kind, &schemas).map(|family| (name, family))
        });
        Table { families: families.collect() }
    }

    /// The families, in the order of their columns' names.
    pub fn families(&self) -> impl Iterator<Item = &Family> {
        self.families.values()
    }

    /// The family whose column has that name.
    pub fn family(&self, column: &str) -> Option<&Family> {
        self.families.get(column)
    }

    /// All columns: those of every event, then those of schemas by name.
    pub fn fields(&self) -> Vec<Field> {
        let typed = self.families().flat_map(Family::fields).cloned();
        atomic::always().into_iter().chain(typed).collect()
    }
}
