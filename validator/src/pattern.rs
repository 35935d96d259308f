//! Regular expressions as schemas write them: Java syntax, found anywhere in the text.
//!
//! [`read`] makes of Java's notation what it says: classes, repetitions, places, looks. What it
//! says is then matched by the first of these that can: [`runs`], for the shape that nearly every
//! real pattern has; [`fast`], for ASCII texts; [`automaton`], for everything that remembers
//! nothing, in linear time; and [`backtrack`], for what refers back, by so many steps for each
//! byte of the text as [`steps_allowed`] says. What is not found by then counts as not found.
//!
//! Compiled patterns may be large, but not all of them: a [`Room`] bounds those of a schema, and
//! [`PROCESS_BYTES`] those of the process.

mod automaton;
mod backtrack;
mod family;
mod fast;
mod fold;
mod places;
mod read;
mod runs;
mod set;
mod syntax;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering};

use automaton::Automaton;
use backtrack::Backtracker;
use fast::Fast;
pub(crate) use read::Refusal;
use runs::Runs;
use syntax::{Node, Place, Syntax};

/// How much memory the patterns of one schema may take, bytes: some fifty of the largest.
const SCHEMA_BYTES: usize = 16 << 20;

/// How much memory the patterns of a process may take, bytes: those of sixteen such schemas. A
/// schema of a public registry takes a few thousand.
const PROCESS_BYTES: usize = 256 << 20;

/// The memory that patterns take now.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// How many steps a text may take: those that a pattern without exponents needs, with room.
fn steps_allowed(text: &str) -> usize {
    10_000 + 1_000 * text.len()
}

/// What an engine says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Yes,
    No,
    /// It would take too many steps.
    GaveUp,
}

/// What is left for the patterns of one schema.
#[derive(Debug)]
pub(crate) struct Room(usize);

impl Default for Room {
    fn default() -> Room {
        Room(SCHEMA_BYTES)
    }
}

impl Room {
    /// Takes so many bytes; `None` if they are more than is left, here or in the process.
    fn take(&mut self, bytes: usize) -> Option<Share> {
        let left = self.0.checked_sub(bytes)?;
        let fits = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= PROCESS_BYTES);
        TAKEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        self.0 = left;
        Some(Share(bytes))
    }
}

/// Memory that counts as taken until it is dropped.
#[derive(Debug)]
struct Share(usize);

impl Drop for Share {
    fn drop(&mut self) {
        TAKEN.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Pattern {
    runs: Option<Runs>,
    fast: Option<(Fast, Share)>,
    engine: Engine,
    _share: Share,
}

/// What decides where nothing quicker does.
#[derive(Debug)]
enum Engine {
    Automaton(Automaton),
    Backtracker(Backtracker),
}

impl Pattern {
    /// Compiles a pattern.
    pub(crate) fn new(java: &str, room: &mut Room) -> Result<Pattern, Refusal> {
        let syntax = read::read(java)?;
        let engine = Engine::new(&syntax).ok_or(Refusal::TooLarge)?;
        let runs = Runs::new(&syntax);
        let bytes = size_of::<Pattern>() + engine.bytes() + runs.as_ref().map_or(0, Runs::bytes);
        let share = room.take(bytes).ok_or(Refusal::TooLarge)?;
        let fast = match &runs {
            Some(runs) if runs.are_exact() => None,
            _ => Fast::new(&syntax),
        };
        // What does not fit is done without: the engine says the same.
        let fast = fast.and_then(|fast| {
            let share = room.take(fast.bytes())?;
            Some((fast, share))
        });
        Ok(Pattern { runs, fast, engine, _share: share })
    }

    /// How many characters a text has at least and at most in which a pattern is found, as far as
    /// that is plain from it; `None` if it is malformed.
    pub(crate) fn lengths(java: &str) -> Option<(u64, u64)> {
        let root = read::read(java).ok()?.root;
        let (least, most) = root.lengths();
        let most = match &root {
            Node::Chain(nodes) if most < u32::MAX => match (nodes.first(), nodes.last()) {
                (Some(Node::Place(Place::Start)), Some(Node::Place(Place::End))) => most.into(),
                // A line's end of two characters may follow.
                (Some(Node::Place(Place::Start)), Some(Node::Place(Place::LastLineEnd(_)))) => {
                    u64::from(most) + 2
                }
                _ => u64::MAX,
            },
            _ => u64::MAX,
        };
        Some((least.into(), most))
    }

    /// Whether the pattern is found anywhere in the text.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        let runs = self.runs.as_ref().and_then(|runs| runs.find(text));
        let quick = runs.or_else(|| self.fast.as_ref().and_then(|(fast, _)| fast.find(text)));
        quick.unwrap_or_else(|| self.engine.find(text) == Found::Yes)
    }
}

impl Engine {
    fn new(syntax: &Syntax) -> Option<Engine> {
        match Automaton::new(syntax) {
            Some(automaton) => Some(Engine::Automaton(automaton)),
            None => Backtracker::new(syntax).map(Engine::Backtracker),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Engine::Automaton(automaton) => automaton.bytes(),
            Engine::Backtracker(backtracker) => backtracker.bytes(),
        }
    }

    fn find(&self, text: &str) -> Found {
        match self {
            Engine::Automaton(automaton) => automaton.find(text),
            Engine::Backtracker(backtracker) => backtracker.find(text),
        }
    }
}
