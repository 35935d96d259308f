//! What look-ups are answered. Answers are shared by many events and threads, so cloning one costs
//! a count.

use std::num::NonZeroU64;
use std::sync::Arc;

use bumpalo::collections::Vec as BumpVec;
use event::reason::Words;
use event::{Bump, Entity};

/// The answer to a question.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The entities that an event gets, perhaps none, in the order in which they are written.
    Found(Arc<[Found]>),
    /// There is none, for these reasons.
    Failed(Arc<[Words]>),
    /// Nobody could be asked.
    Unavailable(Arc<Unavailable>),
}

/// A finished entity.
#[derive(Clone, Debug)]
pub struct Found {
    uri: Arc<str>,
    data: Box<str>,
    number: NonZeroU64,
}

/// Why nobody could be asked, and what becomes of the event.
#[derive(Clone, Debug)]
pub struct Unavailable {
    /// Why, in the words of bad rows.
    pub words: Vec<Words>,
    /// What becomes of the event.
    pub then: Then,
}

/// What becomes of an event whose look-up could not be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// It fails, as with a peer.
    #[default]
    Fail,
    /// It goes on without.
    Skip,
    /// It is parked.
    Park,
}

impl Found {
    /// An entity of that schema; the data is compact JSON in the form of [`event::json`].
    pub fn new(uri: &Arc<str>, data: impl Into<Box<str>>) -> Found {
        Found { uri: Arc::clone(uri), data: data.into(), number: crate::cache::number() }
    }

    /// Compact JSON, without its schema.
    pub fn data(&self) -> &str {
        &self.data
    }
}

impl Answer {
    /// That it failed, for one reason.
    pub fn failed(words: impl Into<Words>) -> Answer {
        Answer::Failed([words.into()].into())
    }

    /// About how many bytes it occupies.
    pub fn bytes(&self) -> usize {
        /// What an entity or a reason costs besides its text.
        const EACH: usize = 64;
        let words = |words: &[Words]| words.iter().map(|words| words.text().len() + EACH).sum();
        match self {
            Answer::Found(found) => found.iter().map(|found| found.data.len() + EACH).sum(),
            Answer::Failed(failed) => words(failed),
            Answer::Unavailable(outage) => words(&outage.words),
        }
    }
}

/// The entities, copied for an event.
pub(super) fn entities<'a>(found: &[Found], arena: &'a Bump) -> BumpVec<'a, Entity<'a>> {
    let entity = |found: &Found| {
        let (uri, data) = (arena.alloc_str(&found.uri), arena.alloc_str(&found.data));
        Entity { origin: Some(found.number), ..Entity::new(uri, data) }
    };
    BumpVec::from_iter_in(found.iter().map(entity), arena)
}
