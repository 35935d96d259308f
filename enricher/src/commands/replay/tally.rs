//! How far an input is read, and what was met on the way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A place in the input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The number of the object in the plan.
    pub(super) object: usize,
    /// How many of its records or lines come before.
    pub(super) entries: u64,
    /// Of a shard: the last record before, by its place there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<String>,
}

impl Place {
    /// The beginning of an object.
    pub(super) fn beginning_of(object: usize) -> Place {
        Place { object, ..Place::default() }
    }
}

/// What a replay has met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    /// Records and lines read.
    pub(super) read: u64,
    /// Those of them that are replayed, wholly or in part.
    pub(super) chosen: u64,
    /// Objects that were not opened, since they hold nothing of the time in question.
    pub(super) passed_over: u64,
    /// What cannot be replayed, by why.
    pub(super) left: BTreeMap<String, u64>,
    /// Objects that are damaged.
    pub(super) damaged: u64,
    /// What is wrong with some of them.
    pub(super) damage: Vec<String>,
}

/// So much damage is remembered by its words, to be said again in the end.
const DAMAGE: usize = 20;

impl Tally {
    /// One more that cannot be replayed.
    pub(super) fn leave(&mut self, why: &str) {
        match self.left.get_mut(why) {
            Some(count) => *count += 1,
            None => drop(self.left.insert(why.to_owned(), 1)),
        }
    }

    /// One more object that is damaged.
    pub(super) fn damage(&mut self, why: String) {
        self.damaged += 1;
        if self.damage.len() < DAMAGE {
            self.damage.push(why);
        }
    }
}
