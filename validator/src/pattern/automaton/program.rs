//! From what a pattern says to the steps of an automaton.

use hashbrown::HashMap;

use crate::pattern::syntax::{ClassId, Greed, Look, Node, Place, Repeat, Syntax};

/// How many steps a pattern may have, with its look-arounds: each is looked at for each character.
const STEP_LIMIT: usize = 20_000;

/// A step of a program.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Reads a character of a class.
    Class(ClassId),
    /// Reads so many characters of a class.
    Count { class: ClassId, least: u32, most: u32 },
    /// Goes on elsewhere.
    Jump(u32),
    /// Goes on at two steps.
    Split(u32, u32),
    /// Goes on at some places.
    Place(Place),
    /// Goes on where a look-around holds.
    Look { look: u32, negative: bool },
    /// The pattern is found. The last step, and only that.
    End,
}

/// A look-around as steps.
#[derive(Debug)]
pub(super) struct Looking {
    pub(super) steps: Vec<Step>,
    pub(super) behind: bool,
}

/// A pattern as steps.
#[derive(Debug, Default)]
pub(super) struct Programs {
    pub(super) main: Vec<Step>,
    /// Inner ones first.
    pub(super) looks: Vec<Looking>,
    /// Whether some step asks for the edges of clusters.
    pub(super) needs_clusters: bool,
}

impl Programs {
    /// The steps of a pattern; `None` if these steps cannot say it, or not in so few.
    pub(super) fn new(syntax: &Syntax) -> Option<Programs> {
        let mut compiler = Compiler::default();
        let main = compiler.program(&syntax.root, false)?;
        let needs_clusters = syntax.root.needs_clusters();
        Some(Programs { main, looks: compiler.looks, needs_clusters })
    }

    /// The memory that they take, bytes.
    pub(super) fn bytes(&self) -> usize {
        let looks = self.looks.iter().map(|look| look.steps.len()).sum::<usize>();
        (self.main.len() + looks) * size_of::<Step>()
    }
}

impl Node {
    /// Whether some place in it is an edge of a cluster or none.
    pub(in crate::pattern) fn needs_clusters(&self) -> bool {
        self.any(&|node| matches!(node, Node::Place(Place::ClusterEdge | Place::NoClusterEdge)))
    }

    /// The class, where it is one character.
    pub(in crate::pattern) fn as_class(&self) -> Option<ClassId> {
        match self {
            Node::Class(class) => Some(*class),
            Node::Group(_, node) => node.as_class(),
            _ => None,
        }
    }

    /// Whether there is but one way to find it at a place.
    fn is_rigid(&self) -> bool {
        match self {
            Node::Empty | Node::Class(_) | Node::Place(_) | Node::Look(_) => true,
            Node::Group(_, node) | Node::Atomic(node) => node.is_rigid(),
            Node::Chain(nodes) => nodes.iter().all(Node::is_rigid),
            Node::Repeat(repeat) => repeat.most == Some(repeat.least) && repeat.body.is_rigid(),
            Node::Either(_) | Node::Again(..) => false,
        }
    }
}

#[derive(Default)]
struct Compiler {
    looks: Vec<Looking>,
    /// The look-arounds compiled so far, by their place in memory: a repetition repeats them.
    known: HashMap<*const Look, u32, foldhash::fast::RandomState>,
    total: usize,
}

/// A program in the making.
struct Steps<'c> {
    compiler: &'c mut Compiler,
    list: Vec<Step>,
    /// Whether characters are read from the end.
    backwards: bool,
}

impl Compiler {
    fn program(&mut self, node: &Node, backwards: bool) -> Option<Vec<Step>> {
        let mut steps = Steps { compiler: self, list: Vec::new(), backwards };
        steps.node(node)?;
        steps.push(Step::End)?;
        Some(steps.list)
    }

    fn look(&mut self, look: &Look) -> Option<u32> {
        if let Some(index) = self.known.get(&std::ptr::from_ref(look)) {
            return Some(*index);
        }
        let steps = self.program(&look.body, !look.behind)?;
        let index = u32::try_from(self.looks.len()).ok()?;
        self.looks.push(Looking { steps, behind: look.behind });
        self.known.insert(std::ptr::from_ref(look), index);
        Some(index)
    }
}

impl Steps<'_> {
    fn push(&mut self, step: Step) -> Option<usize> {
        self.compiler.total += 1;
        self.list.push(step);
        (self.compiler.total <= STEP_LIMIT).then_some(self.list.len() - 1)
    }

    fn here(&self) -> u32 {
        u32::try_from(self.list.len()).expect("steps are few")
    }

    fn node(&mut self, node: &Node) -> Option<()> {
        match node {
            Node::Empty => {}
            Node::Class(class) => {
                self.push(Step::Class(*class))?;
            }
            Node::Place(place) => {
                self.push(Step::Place(*place))?;
            }
            Node::Group(_, node) => self.node(node)?,
            Node::Chain(nodes) if self.backwards => {
                nodes.iter().rev().try_for_each(|node| self.node(node))?;
            }
            Node::Chain(nodes) => nodes.iter().try_for_each(|node| self.node(node))?,
            Node::Either(nodes) => self.either(nodes)?,
            Node::Look(look) => {
                let index = self.compiler.look(look)?;
                self.push(Step::Look { look: index, negative: look.negative })?;
            }
            Node::Atomic(node) if node.is_rigid() => self.node(node)?,
            Node::Atomic(node) => match &**node {
                Node::Repeat(repeat) if repeat.greed == Greed::Greedy => {
                    self.possessive(repeat)?;
                }
                _ => return None,
            },
            Node::Again(..) => return None,
            Node::Repeat(repeat) if repeat.greed == Greed::Possessive => {
                self.possessive(repeat)?;
            }
            Node::Repeat(repeat) => self.repeat(repeat)?,
        }
        Some(())
    }

    fn either(&mut self, nodes: &[Node]) -> Option<()> {
        let mut ends = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            if index + 1 == nodes.len() {
                self.node(node)?;
                break;
            }
            let split = self.push(Step::Split(0, 0))?;
            self.node(node)?;
            ends.push(self.push(Step::Jump(0))?);
            self.list[split] = Step::Split(u32::try_from(split + 1).ok()?, self.here());
        }
        let end = self.here();
        ends.into_iter().for_each(|jump| self.list[jump] = Step::Jump(end));
        Some(())
    }

    fn repeat(&mut self, repeat: &Repeat) -> Option<()> {
        let Repeat { body, least, most, .. } = repeat;
        if let Some(class) = body.as_class() {
            return self.count(class, *least, *most);
        }
        for _ in 0..*least {
            self.node(body)?;
        }
        let mut splits = Vec::new();
        match most {
            None => {
                let start = self.here();
                splits.push(self.push(Step::Split(0, 0))?);
                self.node(body)?;
                self.push(Step::Jump(start))?;
            }
            Some(most) => {
                for _ in *least..*most {
                    splits.push(self.push(Step::Split(0, 0))?);
                    self.node(body)?;
                }
            }
        }
        let end = self.here();
        for split in splits {
            self.list[split] = Step::Split(u32::try_from(split + 1).ok()?, end);
        }
        Some(())
    }

    fn count(&mut self, class: ClassId, least: u32, most: Option<u32>) -> Option<()> {
        let step = match (least, most) {
            (1, Some(1)) => Step::Class(class),
            (_, Some(0)) => return Some(()),
            _ => Step::Count { class, least, most: most.unwrap_or(u32::MAX) },
        };
        self.push(step).map(|_| ())
    }

    /// A repetition that gives nothing back: so many of a class as there are, or as there may be.
    fn possessive(&mut self, repeat: &Repeat) -> Option<()> {
        if repeat.most == Some(repeat.least) && repeat.body.is_rigid() {
            return self.repeat(repeat);
        }
        let class = repeat.body.as_class()?;
        let Some(most) = repeat.most else { return self.all_of(class, repeat.least, None) };
        let split = self.push(Step::Split(0, 0))?;
        self.count(class, most, Some(most))?;
        let jump = self.push(Step::Jump(0))?;
        self.list[split] = Step::Split(u32::try_from(split + 1).ok()?, self.here());
        self.all_of(class, repeat.least, Some(most - 1))?;
        self.list[jump] = Step::Jump(self.here());
        Some(())
    }

    /// So many of a class, and no further one behind them.
    fn all_of(&mut self, class: ClassId, least: u32, most: Option<u32>) -> Option<()> {
        let no_further = Step::Place(Place::NotBefore(class));
        if self.backwards {
            self.push(no_further)?;
            return self.count(class, least, most);
        }
        self.count(class, least, most)?;
        self.push(no_further).map(|_| ())
    }
}
