//! A table of events: the columns that every event has, and those of the schemas that are known.

use std::collections::BTreeMap;

use event::SchemaKey;

use crate::atomic;
use crate::family::Family;
use crate::field::{Field, Type};
use crate::names::{self, Kind};
use crate::uses::Uses;

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

    /// The columns of flat JSON, by its keys: one for all versions of a schema, whatever they are.
    pub fn flat(&self) -> Vec<Field> {
        let families = self.families().map(|family| Field {
            name: family.name().to_owned(),
            ty: Type::Json,
            nullable: true,
            keys: vec![family.name().to_owned()],
            description: family.column.as_ref().and_then(|column| column.description.clone()),
        });
        let plain = atomic::plain().chain(families);
        plain.chain([atomic::geo_location()]).collect()
    }
}
