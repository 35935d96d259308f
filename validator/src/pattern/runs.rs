//! Patterns that are a chain of runs, `^[0-9.]+x[0-9.]+$`: matched without an engine.
//!
//! Nearly every pattern of a real schema has this shape. Each run takes as many characters as it
//! may and never gives one back, so it can miss a match that an engine would find. What it accepts
//! any engine accepts; what it misses is not there if no run could have left anything to another.

use super::set::Class;
use super::syntax::{ClassId, Greed, Node, Place, Syntax};

/// So many characters of a class.
#[derive(Debug)]
struct Run {
    class: ClassId,
    least: usize,
    most: usize,
}

/// An anchored chain of runs.
#[derive(Debug)]
pub(super) struct Runs {
    runs: Vec<Run>,
    classes: Vec<Class>,
    /// Whether no run could take what another needs.
    exact: bool,
    /// Whether a line's end may follow what is matched.
    may_end_line: bool,
}

impl Runs {
    /// The runs of a pattern; `None` if it has any other shape.
    pub(super) fn new(syntax: &Syntax) -> Option<Runs> {
        let Node::Chain(nodes) = &syntax.root else { return None };
        let [Node::Place(Place::Start), inner @ .., Node::Place(end)] = nodes.as_slice() else {
            return None;
        };
        if !matches!(end, Place::End | Place::LastLineEnd(_)) {
            return None;
        }
        let runs = inner.iter().map(run).collect::<Option<Vec<_>>>()?;
        let exact = is_exact(&runs, &syntax.classes);
        let may_end_line = *end != Place::End;
        Some(Runs { runs, classes: syntax.classes.clone(), exact, may_end_line })
    }

    /// The memory that they hold, bytes.
    pub(super) fn bytes(&self) -> usize {
        let classes = self.classes.iter().map(Class::bytes).sum::<usize>();
        classes + self.runs.len() * size_of::<Run>()
    }

    /// Whether every text is decided here but those that end with a line's end.
    pub(super) fn are_exact(&self) -> bool {
        self.exact
    }

    /// Whether the pattern is found in a text; `None` if an engine has to say.
    pub(super) fn find(&self, text: &str) -> Option<bool> {
        if self.accept(text) {
            return Some(true);
        }
        let ends_line = || text.ends_with(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']);
        (self.exact && !(self.may_end_line && ends_line())).then_some(false)
    }

    fn accept(&self, text: &str) -> bool {
        let mut rest = text;
        for run in &self.runs {
            let class = &self.classes[run.class as usize];
            let limit = rest.len().min(run.most);
            let inside = |byte: &u8| class.has_ascii(*byte);
            let ascii = &rest.as_bytes()[..limit];
            let mut taken = ascii.iter().position(|byte| !inside(byte)).unwrap_or(limit);
            let mut length = taken;
            // Where ASCII ends, characters have several bytes.
            if rest.as_bytes().get(length).is_some_and(|byte| !byte.is_ascii()) {
                for character in rest[length..].chars() {
                    if taken == run.most || !class.has(character) {
                        break;
                    }
                    length += character.len_utf8();
                    taken += 1;
                }
            }
            if taken < run.least {
                return false;
            }
            rest = &rest[length..];
        }
        rest.is_empty()
    }
}

fn run(node: &Node) -> Option<Run> {
    let (class, least, most) = match node {
        Node::Repeat(repeat) if repeat.greed != Greed::Possessive => {
            (repeat.body.as_class()?, repeat.least, repeat.most)
        }
        node => (node.as_class()?, 1, Some(1)),
    };
    let most = most.map_or(usize::MAX, |most| most as usize);
    Some(Run { class, least: least as usize, most })
}

/// Whether no run that may take more or fewer is followed by one that takes the same characters,
/// others that may take none being between.
fn is_exact(runs: &[Run], classes: &[Class]) -> bool {
    let class = |run: &Run| &classes[run.class as usize];
    runs.iter().enumerate().filter(|(_, run)| run.least != run.most).all(|(index, run)| {
        let after = &runs[index + 1..];
        let needed = after.iter().position(|next| next.least > 0).map_or(after.len(), |at| at + 1);
        after[..needed].iter().all(|next| class(run).is_apart_from(class(next)))
    })
}
