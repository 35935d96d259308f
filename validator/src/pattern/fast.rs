//! Matches ASCII texts by the `regex-automata` crate, where that says the same.
//!
//! Most texts are ASCII. Over them classes are small, so what is compiled is small, too, and words
//! are words in every sense.

use regex_automata::meta::Regex;
use regex_automata::meta::{Builder, Config};
use regex_syntax::hir::{Class as HirClass, ClassBytes, ClassBytesRange, Hir, Look, Repetition};

use super::set::Class;
use super::syntax::{Greed, Node, Place, Syntax};

/// How large what is compiled may be, bytes.
const SIZE_LIMIT: usize = 256 << 10;

/// How much a thread may remember of what it has seen of one pattern, bytes.
pub(super) const CACHE: usize = 64 << 10;

/// A pattern for ASCII texts.
#[derive(Debug)]
pub(super) struct Fast {
    regex: Regex,
    /// Whether it takes the end of the text for the only end of a line.
    one_line: bool,
}

impl Fast {
    /// A pattern, if it is one that the crate knows and compiles to little.
    pub(super) fn new(syntax: &Syntax) -> Option<Fast> {
        let mut translation = Translation { classes: &syntax.classes, one_line: false };
        let hir = translation.hir(&syntax.root)?;
        let config = Config::new()
            .nfa_size_limit(Some(SIZE_LIMIT))
            .onepass_size_limit(Some(CACHE))
            .hybrid_cache_capacity(CACHE);
        let regex = Builder::new().configure(config).build_from_hir(&hir).ok()?;
        Some(Fast { regex, one_line: translation.one_line })
    }

    /// The memory that it holds, and what one thread may add to it, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.regex.memory_usage() + CACHE
    }

    /// Whether the pattern is found in a text; `None` if this one is for others to say.
    pub(super) fn find(&self, text: &str) -> Option<bool> {
        let ends_line = self.one_line && text.ends_with(['\n', '\r']);
        (text.is_ascii() && !ends_line).then(|| self.regex.is_match(text))
    }
}

struct Translation<'s> {
    classes: &'s [Class],
    one_line: bool,
}

impl Translation<'_> {
    fn hir(&mut self, node: &Node) -> Option<Hir> {
        Some(match node {
            Node::Empty => Hir::empty(),
            Node::Class(class) => {
                let ranges = self.classes[*class as usize].ascii_ranges().into_iter();
                let ranges = ranges.map(|(first, last)| ClassBytesRange::new(first, last));
                Hir::class(HirClass::Bytes(ClassBytes::new(ranges)))
            }
            Node::Chain(nodes) => Hir::concat(self.all(nodes)?),
            Node::Either(nodes) => Hir::alternation(self.all(nodes)?),
            Node::Repeat(repeat) if repeat.greed != Greed::Possessive => {
                Hir::repetition(Repetition {
                    min: repeat.least,
                    max: repeat.most,
                    greedy: repeat.greed == Greed::Greedy,
                    sub: Box::new(self.hir(&repeat.body)?),
                })
            }
            Node::Group(_, node) => self.hir(node)?,
            Node::Place(place) => Hir::look(self.look(*place)?),
            Node::Repeat(_) | Node::Look(_) | Node::Atomic(_) | Node::Again(..) => return None,
        })
    }

    fn all(&mut self, nodes: &[Node]) -> Option<Vec<Hir>> {
        nodes.iter().map(|node| self.hir(node)).collect()
    }

    fn look(&mut self, place: Place) -> Option<Look> {
        Some(match place {
            Place::Start => Look::Start,
            Place::End => Look::End,
            Place::LastLineEnd(_) => {
                self.one_line = true;
                Look::End
            }
            Place::WordEdge(_) => Look::WordAscii,
            Place::NoWordEdge(_) => Look::WordAsciiNegate,
            _ => return None,
        })
    }
}
