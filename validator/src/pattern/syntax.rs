//! What a pattern says, whatever its notation.

use hashbrown::HashMap;

use super::set::{Class, Set};

/// Index of a class.
pub(super) type ClassId = u32;

/// A pattern that was read.
#[derive(Debug)]
pub(super) struct Syntax {
    pub(super) root: Node,
    pub(super) classes: Vec<Class>,
    /// Groups that catch, the whole match not counted.
    pub(super) groups: u32,
}

/// A part of a pattern.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// Nothing, which is found everywhere.
    Empty,
    /// One character of a class.
    Class(ClassId),
    /// One after the other.
    Chain(Vec<Node>),
    /// One of these, the first that leads on.
    Either(Vec<Node>),
    /// So many times.
    Repeat(Box<Repeat>),
    /// A group that can be referred to.
    Group(u32, Box<Node>),
    /// What stands before or behind.
    Look(Box<Look>),
    /// Once found, it is not tried in another way.
    Atomic(Box<Node>),
    /// A condition on a place between two characters.
    Place(Place),
    /// What a group caught, once more.
    Again(u32, Fold),
}

/// A repetition.
#[derive(Clone, Debug)]
pub(super) struct Repeat {
    pub(super) body: Node,
    pub(super) least: u32,
    /// Without, there is no bound.
    pub(super) most: Option<u32>,
    pub(super) greed: Greed,
}

/// How many a repetition would rather take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Greed {
    /// Many.
    Greedy,
    /// Few.
    Lazy,
    /// Many, and it gives none back.
    Possessive,
}

/// A look-around.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) body: Node,
    pub(super) behind: bool,
    pub(super) negative: bool,
}

/// Which texts are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    /// Equal ones.
    None,
    /// Those that differ in the case of ASCII letters.
    Ascii,
    /// Those that differ in the case of letters.
    Unicode,
}

/// A place between characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `\A`, `\G`, `^`
    Start,
    /// `\z`
    End,
    /// `\Z`, `$`: the end, or before a line's end that ends the text.
    LastLineEnd(Lines),
    /// `(?m)^`
    LineStart(Lines),
    /// `(?m)$`
    LineEnd(Lines),
    /// `\b`
    WordEdge(Words),
    /// `\B`
    NoWordEdge(Words),
    /// `\b{g}`
    ClusterEdge,
    /// Within a cluster.
    NoClusterEdge,
    /// Where no character of a class follows.
    NotBefore(ClassId),
}

/// What ends a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// Everything that Unicode calls a line's end.
    Any,
    /// `(?d)`: the line feed alone.
    Unix,
}

/// What a word is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Words {
    /// Letters, digits and `_`.
    Letters,
    /// `(?U)`: what Unicode calls a word.
    Unicode,
}

/// Classes by their contents.
#[derive(Default)]
pub(super) struct Classes {
    pub(super) list: Vec<Class>,
    known: HashMap<Class, ClassId, foldhash::fast::RandomState>,
    /// The memory that they hold.
    pub(super) bytes: usize,
}

impl Classes {
    /// The class of a set.
    pub(super) fn of(&mut self, set: Set) -> ClassId {
        let class = Class::new(set);
        if let Some(id) = self.known.get(&class) {
            return *id;
        }
        let id = ClassId::try_from(self.list.len()).expect("a pattern is far shorter");
        self.bytes += class.bytes();
        self.known.insert(class.clone(), id);
        self.list.push(class);
        id
    }
}

impl Node {
    /// One after the other.
    pub(super) fn chain(mut nodes: Vec<Node>) -> Node {
        match nodes.len() {
            0 => Node::Empty,
            1 => nodes.remove(0),
            _ => Node::Chain(nodes),
        }
    }

    /// A repetition.
    pub(super) fn repeat(body: Node, least: u32, most: Option<u32>, greed: Greed) -> Node {
        Node::Repeat(Box::new(Repeat { body, least, most, greed }))
    }

    /// How many characters it takes at least and at most.
    pub(super) fn lengths(&self) -> (u32, u32) {
        match self {
            Node::Empty | Node::Place(_) | Node::Look(_) => (0, 0),
            Node::Class(_) => (1, 1),
            Node::Chain(nodes) => nodes.iter().map(Node::lengths).fold((0, 0), |sum, next| {
                (sum.0.saturating_add(next.0), sum.1.saturating_add(next.1))
            }),
            Node::Either(nodes) => {
                let lengths = nodes.iter().map(Node::lengths);
                lengths.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or_default()
            }
            Node::Repeat(repeat) => {
                let (least, most) = repeat.body.lengths();
                let turns = repeat.most.unwrap_or(u32::MAX);
                (least.saturating_mul(repeat.least), most.saturating_mul(turns))
            }
            Node::Group(_, node) | Node::Atomic(node) => node.lengths(),
            Node::Again(..) => (0, u32::MAX),
        }
    }

    /// The parts directly within.
    pub(super) fn parts(&self) -> &[Node] {
        match self {
            Node::Chain(nodes) | Node::Either(nodes) => nodes,
            Node::Repeat(repeat) => std::slice::from_ref(&repeat.body),
            Node::Look(look) => std::slice::from_ref(&look.body),
            Node::Group(_, node) | Node::Atomic(node) => std::slice::from_ref(node),
            Node::Empty | Node::Class(_) | Node::Place(_) | Node::Again(..) => &[],
        }
    }

    /// Whether it, or a part of it, is like that.
    pub(super) fn any(&self, is: &impl Fn(&Node) -> bool) -> bool {
        is(self) || self.parts().iter().any(|part| part.any(is))
    }
}
