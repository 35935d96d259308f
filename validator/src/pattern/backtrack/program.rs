//! From what a pattern says to steps that are tried one after the other.

use crate::pattern::syntax::{ClassId, Fold, Greed, Look, Node, Place, Repeat, Syntax};

/// How many steps a pattern may have. Repetitions are counted, so they take no more than the text.
const STEP_LIMIT: usize = 1 << 20;

/// A step of a program. Registers hold places, counts and heights.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Reads a character of a class.
    Class(ClassId),
    /// Reads so many characters of a class.
    Run { class: ClassId, least: u32, most: u32, greed: Greed },
    /// Goes on elsewhere.
    Jump(u32),
    /// Goes on at the first step, else at the second.
    Split(u32, u32),
    /// Goes on at some places.
    Place(Place),
    /// Sets a register.
    Set(u32, usize),
    /// Sets a register to the place.
    Here(u32),
    /// A group ends here.
    Caught(u32),
    /// What a group caught, once more.
    Again(u32, Fold),
    /// Once more or on; the register counts, the next one holds where the last turn began.
    Loop { repeat: u32, body: u32, least: u32, most: u32, greed: Greed },
    /// Once more.
    Turn { repeat: u32, body: u32 },
    /// Remembers what is open.
    Mark(u32),
    /// Leaves nothing open since a mark.
    Keep(u32),
    /// As if nothing had been done since a mark; and this leads nowhere.
    Forbid(u32),
    /// Goes so many characters back.
    Back { least: u32, most: u32 },
    /// Goes on at the place of a register.
    Return(u32),
    /// Goes on if the place is that of a register.
    Arrived(u32),
    /// Leads nowhere.
    Never,
    /// The pattern is found.
    End,
}

/// A pattern as steps.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    pub(super) registers: usize,
    /// Whether some step asks for the edges of clusters.
    pub(super) needs_clusters: bool,
}

impl Program {
    /// The steps of a pattern; `None` if there are too many.
    pub(super) fn new(syntax: &Syntax) -> Option<Program> {
        let groups = syntax.groups;
        let mut compiler = Compiler { steps: Vec::new(), registers: 3 * (groups + 1), groups };
        compiler.node(&syntax.root)?;
        compiler.push(Step::End)?;
        Some(Program {
            steps: compiler.steps,
            registers: compiler.registers as usize,
            needs_clusters: syntax.root.needs_clusters(),
        })
    }

    /// The memory that it takes, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.steps.len() * size_of::<Step>()
    }
}

struct Compiler {
    steps: Vec<Step>,
    registers: u32,
    groups: u32,
}

impl Compiler {
    fn push(&mut self, step: Step) -> Option<usize> {
        self.steps.push(step);
        (self.steps.len() <= STEP_LIMIT).then_some(self.steps.len() - 1)
    }

    fn here(&self) -> u32 {
        u32::try_from(self.steps.len()).expect("steps are few")
    }

    fn registers(&mut self, count: u32) -> u32 {
        self.registers += count;
        self.registers - count
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
            Node::Chain(nodes) => nodes.iter().try_for_each(|node| self.node(node))?,
            Node::Either(nodes) => self.either(nodes)?,
            Node::Repeat(repeat) => self.repeat(repeat)?,
            Node::Group(group, node) => {
                self.push(Step::Here(3 * group))?;
                self.node(node)?;
                self.push(Step::Caught(*group))?;
            }
            Node::Look(look) => self.look(look)?,
            Node::Atomic(node) => {
                let mark = self.registers(1);
                self.push(Step::Mark(mark))?;
                self.node(node)?;
                self.push(Step::Keep(mark))?;
            }
            Node::Again(group, fold) => {
                let known = *group <= self.groups;
                self.push(if known { Step::Again(*group, *fold) } else { Step::Never })?;
            }
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
            self.steps[split] = Step::Split(u32::try_from(split + 1).ok()?, self.here());
        }
        let end = self.here();
        ends.into_iter().for_each(|jump| self.steps[jump] = Step::Jump(end));
        Some(())
    }

    fn repeat(&mut self, repeat: &Repeat) -> Option<()> {
        let Repeat { body, least, most, greed } = repeat;
        let most = most.unwrap_or(u32::MAX);
        if let Node::Class(class) = body {
            let run = Step::Run { class: *class, least: *least, most, greed: *greed };
            return self.push(run).map(|_| ());
        }
        if *greed != Greed::Possessive {
            return self.turns(body, *least, most, *greed);
        }
        // Nothing is given back, neither by a turn nor by all of them.
        let turn = Node::Atomic(Box::new(body.clone()));
        let turns = Node::repeat(turn, *least, repeat.most, Greed::Greedy);
        self.node(&Node::Atomic(Box::new(turns)))
    }

    fn turns(&mut self, body: &Node, least: u32, most: u32, greed: Greed) -> Option<()> {
        let repeat = self.registers(2);
        self.push(Step::Set(repeat, 0))?;
        let jump = self.push(Step::Jump(0))?;
        let start = self.here();
        self.node(body)?;
        self.steps[jump] = Step::Jump(self.here());
        self.push(Step::Loop { repeat, body: start, least, most, greed })?;
        if greed == Greed::Lazy {
            let after = self.here() + 2;
            self.push(Step::Jump(after))?;
            self.push(Step::Turn { repeat, body: start })?;
        }
        Some(())
    }

    fn look(&mut self, look: &Look) -> Option<()> {
        let (mark, place) = (self.registers(1), self.registers(1));
        self.push(Step::Mark(mark))?;
        self.push(Step::Here(place))?;
        let split = if look.negative { Some(self.push(Step::Split(0, 0))?) } else { None };
        if look.behind {
            let (least, most) = look.body.lengths();
            self.push(Step::Back { least, most })?;
        }
        self.node(&look.body)?;
        if look.behind {
            self.push(Step::Arrived(place))?;
        }
        match split {
            None => {
                self.push(Step::Keep(mark))?;
                self.push(Step::Return(place))?;
            }
            Some(split) => {
                self.push(Step::Forbid(mark))?;
                self.steps[split] = Step::Split(u32::try_from(split + 1).ok()?, self.here());
            }
        }
        Some(())
    }
}
