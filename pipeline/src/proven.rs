//! What was found valid before: derived entities that are given out for many events.
//!
//! An enrichment that keeps its finished output numbers it ([`Entity::origin`]). Data of one number
//! is checked once against a schema, by each thread; a schema that was replaced is another schema,
//! so nothing stays proven by rules that are no longer in force.

use std::collections::HashSet;
use std::num::NonZeroU64;
use std::sync::Arc;

use event::Entity;
use foldhash::fast::FixedState;
use validator::Schema;

/// Schemas remembered; few enrichments number their output.
const SCHEMAS: usize = 8;

/// Numbers remembered for a schema: more than the outputs an enrichment keeps.
const NUMBERS: usize = 65_536;

/// What one thread found valid.
#[derive(Default)]
pub struct Proven(Vec<(Arc<Schema>, HashSet<NonZeroU64, FixedState>)>);

impl Proven {
    /// Whether this entity was found valid against that very schema before.
    pub fn has(&self, entity: &Entity<'_>, schema: &Arc<Schema>) -> bool {
        let Some(number) = &entity.origin else { return false };
        let found = self.0.iter().find(|(known, _)| Arc::ptr_eq(known, schema));
        found.is_some_and(|(_, numbers)| numbers.contains(number))
    }

    /// Remembers that it was. When there is no room all is forgotten.
    pub fn add(&mut self, entity: &Entity<'_>, schema: &Arc<Schema>) {
        let Some(number) = entity.origin else { return };
        if let Some((_, numbers)) = self.0.iter_mut().find(|(known, _)| Arc::ptr_eq(known, schema))
        {
            if numbers.len() == NUMBERS {
                numbers.clear();
            }
            numbers.insert(number);
            return;
        }
        if self.0.len() == SCHEMAS {
            self.0.clear();
        }
        self.0.push((Arc::clone(schema), HashSet::from_iter([number])));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(number: u64) -> Entity<'static> {
        Entity { origin: NonZeroU64::new(number), ..Entity::new("iglu:a/b/c/1-0-0", "{}") }
    }

    #[test]
    fn only_the_same_data_by_the_same_schema_is_proven() {
        let schema = || Arc::new(Schema::compile("{}"));
        let (first, second, mut proven) = (schema(), schema(), Proven::default());
        for number in [0, 1] {
            assert!(!proven.has(&entity(number), &first));
            proven.add(&entity(number), &first);
        }
        assert!(proven.has(&entity(1), &first));
        assert!(!proven.has(&entity(0), &first), "without a number nothing is known");
        assert!(!proven.has(&entity(1), &second), "an equal schema is another one");
        assert!(!proven.has(&entity(2), &first));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut proven = Proven::default();
        let schemas: Vec<_> = (0..3 * SCHEMAS).map(|_| Arc::new(Schema::compile("{}"))).collect();
        for schema in &schemas {
            for number in 1..4 {
                proven.add(&entity(number), schema);
            }
            assert!(proven.has(&entity(3), schema) && proven.0.len() <= SCHEMAS);
        }
        for number in 1..=NUMBERS as u64 + 5 {
            proven.add(&entity(number), &schemas[0]);
            assert!(proven.has(&entity(number), &schemas[0]));
        }
        assert!(proven.0.iter().all(|(_, numbers)| numbers.len() <= NUMBERS));
    }
}
