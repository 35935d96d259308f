//! One user agent: its tree is told to the listeners, and the matchers set fields.

mod tell;

use bumpalo::Bump;

use super::engine::{Engine, Purpose};
use super::fields::{FieldId, Fields, id};
use super::index::{BROKEN, DEAD, Listener, MOST_PREFIX, Name, Numbers, ShapeId};
use super::lexer::Token;
use super::parse::{TooMuch, parse};
use super::predict::Learnt;
use super::repair::repair;
use super::samples;
use super::steps::{Exploit, Found, Walker, lower};
use super::tree::{NONE, NodeId, Tree};

/// What a thread keeps between user agents, besides their results.
pub(crate) struct Room {
    learnt: Learnt,
    tokens: Vec<Token>,
    tree: Tree,
    /// By action the first and the last thing it heard of.
    heads: Vec<(u32, u32)>,
    /// By matcher how many needed actions heard of something, and whether it heard of anything.
    received: Vec<(i32, bool)>,
    pub(super) arena: Bump,
}

impl Default for Room {
    fn default() -> Room {
        Room {
            learnt: samples::taught(),
            tokens: Vec::new(),
            tree: Tree::default(),
            heads: Vec::new(),
            received: Vec::new(),
            arena: Bump::new(),
        }
    }
}

/// What an action heard of.
struct Heard<'a> {
    node: NodeId,
    value: Option<&'a str>,
    next: u32,
}

const NOTHING: u32 = u32::MAX;

/// That a matcher is out of the question.
const OUT: i32 = i32::MIN / 2;

/// The longest user agent that is read, in UTF-16 units; a longer one is an attack.
const MOST_LENGTH: usize = 2048;

/// Hears of everything that happens, to show it.
pub(super) trait Witness {
    /// A part of the tree, by its path.
    fn part(&mut self, path: &str, value: &str);
    /// A matcher that set fields, by its number, and what it set.
    fn matched(&mut self, matcher: u32, set: &[(FieldId, &str, i64)]);
}

/// What a node was told as: its path, and how many children it has so far.
#[derive(Clone, Copy)]
struct Place {
    shape: ShapeId,
    numbers: Numbers,
    depth: u8,
    children: u8,
    versions: u8,
    comments: u8,
}

struct Run<'a, 'w> {
    engine: &'a Engine,
    walker: Walker<'a>,
    heard: Vec<Heard<'a>>,
    heads: &'w mut [(u32, u32)],
    received: &'w mut [(i32, bool)],
    /// Actions and matchers that heard of anything, the latter in their order.
    listeners: Vec<u32>,
    touched: Vec<u32>,
    places: Vec<Option<Place>>,
    /// By node its path, where there is a witness.
    paths: Vec<String>,
    witness: Option<&'w mut dyn Witness>,
}

/// The parts of a [`Room`] but for its arena.
pub(super) struct Parts<'r> {
    learnt: &'r mut Learnt,
    tokens: &'r mut Vec<Token>,
    tree: &'r mut Tree,
    heads: &'r mut Vec<(u32, u32)>,
    received: &'r mut Vec<(i32, bool)>,
}

impl Room {
    /// The parts and the arena, emptied.
    pub(super) fn open(&mut self) -> (Parts<'_>, &Bump) {
        self.arena.reset();
        if self.learnt.is_full() {
            self.learnt = samples::taught();
        }
        let Room { learnt, tokens, tree, heads, received, arena } = self;
        (Parts { learnt, tokens, tree, heads, received }, arena)
    }
}

/// Sets the fields that matchers find in a user agent; whether its text breaks the grammar.
pub(super) fn run<'a>(
    engine: &'a Engine,
    text: Option<&'a str>,
    parts: Parts<'a>,
    fields: &mut Fields<'a>,
    witness: Option<&mut dyn Witness>,
) {
    if text.is_some_and(is_too_long) {
        attack(fields, 100, "Buffer overflow");
        return;
    }
    if attempt(engine, text, parts, fields, witness).is_err() {
        fields.reset();
        attack(fields, 10_000, "Yauaa Exploit");
    }
}

/// Whether a user agent is not even looked at.
pub(super) fn is_too_long(text: &str) -> bool {
    text.len() > MOST_LENGTH && text.encode_utf16().nth(MOST_LENGTH).is_some()
}

fn attempt<'a>(
    engine: &'a Engine,
    text: Option<&'a str>,
    parts: Parts<'a>,
    fields: &mut Fields<'a>,
    witness: Option<&mut dyn Witness>,
) -> Result<(), Exploit> {
    let version = engine.rules.version;
    let repaired = match text {
        None | Some("") => "",
        Some(text) => fields.keep(&repair(text, version).ok_or(Exploit)?),
    };
    let Parts { learnt, tokens, tree, heads, received } = parts;
    engine.lexer.tokens(repaired, &engine.domains, tokens);
    parse(tokens, learnt, tree).map_err(|TooMuch| Exploit)?;
    heads.resize(engine.actions.len(), (NOTHING, NOTHING));
    received.resize(engine.matchers.len(), (0, false));
    let walker = Walker {
        tree,
        tokens,
        text: repaired,
        tables: &engine.tables,
        domains: &engine.domains,
        version,
        arena: fields.arena,
    };
    let mut run = Run {
        engine,
        walker,
        heard: Vec::new(),
        heads,
        received,
        listeners: Vec::new(),
        touched: Vec::new(),
        places: vec![None; tree.nodes.len()],
        paths: Vec::new(),
        witness: witness.map(|witness| -> &mut dyn Witness { witness }),
    };
    let outcome = run.all(text.is_some(), fields);
    run.forget();
    outcome
}

impl<'a> Run<'a, '_> {
    fn all(&mut self, there: bool, fields: &mut Fields<'a>) -> Result<(), Exploit> {
        let broken = !there || self.walker.tree.broken;
        if broken {
            fields.set(id::BROKEN, "true", 1);
        }
        let value = if broken { "true" } else { "false" };
        if there {
            self.inform(BROKEN, 0, value, NONE);
            for node in 0..self.walker.tree.nodes.len() as NodeId {
                self.tell(node)?;
            }
        }
        self.inform(BROKEN, 0, value, NONE);
        let touched = std::mem::take(&mut self.touched);
        for matcher in touched.iter().chain(&self.engine.always) {
            self.decide(*matcher, fields)?;
        }
        self.touched = touched;
        fields.spread_all();
        Ok(())
    }

    /// Leaves the room as it was found.
    fn forget(&mut self) {
        for action in &self.listeners {
            self.heads[*action as usize] = (NOTHING, NOTHING);
            self.received[self.engine.actions[*action as usize].matcher as usize] = (0, false);
        }
    }

    /// Tells whoever listens of a part and its value.
    fn inform(&mut self, shape: ShapeId, numbers: Numbers, value: &'a str, node: NodeId) {
        if shape == DEAD {
            return;
        }
        let engine = self.engine;
        let shape = &engine.index.shapes[usize::from(shape)];
        let mut tell = |listeners: &[Listener]| {
            for listener in listeners.iter().filter(|one| one.span.includes(numbers)) {
                self.hear(listener.action, node, Some(value));
            }
        };
        tell(&shape.any);
        if shape.equal.is_empty() && shape.prefixed.is_empty() {
            return;
        }
        let low = lower(value);
        if let Some(listeners) = shape.equal.get(&*low) {
            tell(listeners);
        }
        let mut seen = [false; MOST_PREFIX + 1];
        for (span, length) in &shape.prefixes {
            let length = usize::from(*length);
            if !seen[length] && span.includes(numbers) {
                seen[length] = true;
                let end = low.char_indices().map(|(at, _)| at).chain([low.len()]).nth(length);
                let listeners = end.and_then(|end| shape.prefixed.get(&low[..end]));
                listeners.into_iter().for_each(|listeners| tell(listeners));
            }
        }
    }

    /// Lets an action hear of something.
    fn hear(&mut self, number: u32, node: NodeId, value: Option<&'a str>) {
        let action = &self.engine.actions[number as usize];
        let (count, touched) = &mut self.received[action.matcher as usize];
        if !*touched {
            *touched = true;
            if self.engine.matchers[action.matcher as usize].needed != 0 {
                self.touched.push(action.matcher);
            }
        }
        let (first, last) = self.heads[number as usize];
        *count += i32::from(action.needed && first == NOTHING);
        if matches!(action.purpose, Purpose::FailIfFound) && action.steps.is_empty() {
            *count = OUT;
        }
        let at = self.heard.len() as u32;
        self.heard.push(Heard { node, value, next: NOTHING });
        if first == NOTHING {
            self.listeners.push(number);
            self.heads[number as usize] = (at, at);
        } else {
            self.heard[last as usize].next = at;
            self.heads[number as usize].1 = at;
        }
    }

    /// Does a matcher's actions, and sets its fields if none comes to nothing.
    fn decide(&mut self, number: u32, fields: &mut Fields<'a>) -> Result<(), Exploit> {
        let engine = self.engine;
        let matcher = &engine.matchers[number as usize];
        if self.received[number as usize].0 != matcher.needed {
            return Ok(());
        }
        let fixed = matcher.fixed.iter();
        let mut set: Vec<(FieldId, &'a str, i64)> = Vec::new();
        let mut put = |field: FieldId, value: &'a str, weight: i64| {
            set.retain(|(other, ..)| *other != field);
            set.push((field, value, weight));
        };
        fixed.for_each(|(field, value, weight)| put(*field, value, *weight));
        for action in matcher.actions.0..matcher.actions.1 {
            let found = self.find(action)?;
            match &engine.actions[action as usize].purpose {
                Purpose::Require if found.is_some() => {}
                Purpose::FailIfFound if found.is_none() => {}
                Purpose::Variable { listeners } => {
                    let Some((node, value)) = found else { return Ok(()) };
                    for listener in listeners {
                        self.hear(*listener, node, value);
                    }
                }
                Purpose::Extract { field, weight } => match found {
                    Some((_, Some(value))) => put(*field, value, *weight),
                    _ => return Ok(()),
                },
                _ => return Ok(()),
            }
        }
        for (field, value, weight) in &set {
            fields.set(*field, value, *weight);
        }
        if let Some(witness) = &mut self.witness {
            witness.matched(number, &set);
        }
        Ok(())
    }

    /// What an action's steps find in the first of the things it heard of that lead anywhere.
    fn find(&self, number: u32) -> Result<Option<Found<'a>>, Exploit> {
        let action = &self.engine.actions[number as usize];
        let (mut at, _) = self.heads[number as usize];
        if at == NOTHING && action.works_without {
            return self.walker.walk(&action.steps, NONE, None);
        }
        while at != NOTHING {
            let heard = &self.heard[at as usize];
            let found = self.walker.walk(&action.steps, heard.node, heard.value)?;
            if found.is_some() {
                return Ok(found);
            }
            at = heard.next;
        }
        Ok(None)
    }
}

impl Place {
    fn new(shape: ShapeId, numbers: Numbers, depth: u8) -> Place {
        Place { shape, numbers, depth, children: 0, versions: 0, comments: 0 }
    }

    fn below(self, engine: &Engine, name: Name, number: u8) -> Place {
        if self.shape == DEAD || self.depth == 16 {
            return Place::new(DEAD, 0, 0);
        }
        let numbers = self.numbers | Numbers::from(number) << (8 * self.depth);
        Place::new(engine.index.child(self.shape, name), numbers, self.depth + 1)
    }
}

/// Says that a user agent is an attack.
pub(super) fn attack<'a>(fields: &mut Fields<'a>, weight: i64, vector: &'a str) {
    use id::*;
    let all = [
        DEVICE_CLASS,
        DEVICE_BRAND,
        DEVICE_NAME,
        DEVICE_VERSION,
        SYSTEM_CLASS,
        SYSTEM_NAME,
        SYSTEM_VERSION,
        ENGINE_CLASS,
        ENGINE_NAME,
        ENGINE_VERSION,
        ENGINE_VERSION_MAJOR,
        AGENT_CLASS,
        AGENT_NAME,
        AGENT_VERSION,
        AGENT_VERSION_MAJOR,
        REMARKABLE,
    ];
    for field in all {
        fields.set(field, "Hacker", weight);
    }
    fields.set(TOOLKIT, "Unknown", weight);
    fields.set(ATTACK_VECTOR, "Unknown", weight);
    if vector != "Unknown" {
        fields.force(ATTACK_VECTOR, vector, weight);
    }
}

impl Room {
    /// The share of the allowed work that the last text took, in thousandths.
    #[cfg(test)]
    pub(super) fn work_done(&self) -> u32 {
        self.learnt.work_done()
    }
}
