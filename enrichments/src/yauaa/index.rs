//! Who wants to hear of which part of a tree.
//!
//! A part has a path from the top, `agent.(1)product.(2)comments.(3)entry`: its [`Shape`] is the
//! names, its [`Numbers`] stand beside. Listeners are found by shape, and by value where they want
//! one; each then says which numbers it wants. So a listener is kept once although it may want any
//! of ten products with any of twenty entries.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::expression::{Expression, Range, Walk};

/// A shape's place in [`Index::shapes`].
pub(super) type ShapeId = u16;

/// A shape that nobody wants to hear of, nor of anything below it.
pub(super) const DEAD: ShapeId = ShapeId::MAX;

/// The numbers along a path, one byte each, the first lowest; what is beyond 254 is 255.
pub(super) type Numbers = u128;

/// How many numbers a path may have.
const MOST_NUMBERS: usize = 16;

/// The names that parts of a tree have.
#[allow(clippy::enum_variant_names, reason = "a product's name is called name")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Name {
    Product,
    Name,
    Version,
    Comments,
    Entry,
    Text,
    Url,
    Email,
    Base64,
    Uuid,
    KeyValue,
    Key,
    Value,
}

/// How many names there are.
const NAMES: usize = 13;

impl Name {
    /// The name as expressions write it.
    pub(super) fn read(name: &str) -> Result<Name, String> {
        Ok(match name {
            "product" => Name::Product,
            "name" => Name::Name,
            "version" => Name::Version,
            "comments" => Name::Comments,
            "entry" => Name::Entry,
            "text" => Name::Text,
            "url" => Name::Url,
            "email" => Name::Email,
            "base64" => Name::Base64,
            "uuid" => Name::Uuid,
            "keyvalue" => Name::KeyValue,
            "key" => Name::Key,
            "value" => Name::Value,
            _ => return Err(format!("expected the name of a part, found {name}")),
        })
    }

    /// The name as expressions write it.
    pub(super) fn text(self) -> &'static str {
        const TEXTS: [&str; NAMES] = [
            "product", "name", "version", "comments", "entry", "text", "url", "email", "base64",
            "uuid", "keyvalue", "key", "value",
        ];
        TEXTS[self as usize]
    }
}

/// The numbers wanted: of each a first and a last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Span {
    first: Numbers,
    last: Numbers,
    count: u8,
}

impl Span {
    /// Whether it includes some numbers.
    pub(super) fn includes(&self, numbers: Numbers) -> bool {
        (0..self.count).all(|at| {
            let byte = |numbers: Numbers| (numbers >> (8 * at)) as u8;
            (byte(self.first)..=byte(self.last)).contains(&byte(numbers))
        })
    }
}

/// An action that wants to hear of parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listener {
    pub(super) action: u32,
    pub(super) span: Span,
}

type ByValue = HashMap<Box<str>, Vec<Listener>, FixedState>;

/// What is wanted of the parts of one shape.
#[derive(Debug)]
pub(super) struct Shape {
    children: [ShapeId; NAMES],
    /// Ranges of words wanted of such parts, with the shape of each.
    pub(super) ranges: Vec<(Span, Range, ShapeId)>,
    /// Who wants any value.
    pub(super) any: Vec<Listener>,
    /// Who wants a value, in lower case.
    pub(super) equal: ByValue,
    /// Who wants values that start with some characters, in lower case.
    pub(super) prefixed: ByValue,
    /// How many characters those are.
    pub(super) prefixes: Vec<(Span, u8)>,
}

/// The shapes: the first is that of the whole, the second that of the mark for broken texts.
pub(super) struct Index {
    pub(super) shapes: Vec<Shape>,
}

pub(super) const WHOLE: ShapeId = 0;
pub(super) const BROKEN: ShapeId = 1;

/// How many characters of a prefix are looked up; the rest is compared.
pub(super) const MOST_PREFIX: usize = 3;

impl Index {
    pub(super) fn new() -> Index {
        Index { shapes: vec![Shape::new(), Shape::new()] }
    }

    /// The shape of a part below another.
    pub(super) fn child(&self, shape: ShapeId, name: Name) -> ShapeId {
        self.shapes[usize::from(shape)].children[name as usize]
    }

    /// Notes what an action's expression wants to hear of; whether it is anything.
    pub(super) fn listen(&mut self, action: u32, expression: &Expression) -> Result<bool, String> {
        match expression {
            Expression::Fixed(_) | Expression::Variable(..) => Ok(false),
            Expression::Then(inner, _) => self.listen(action, inner),
            Expression::Broken(value) => {
                let listener = Listener { action, span: Span { first: 0, last: 0, count: 0 } };
                let equal = &mut self.shapes[usize::from(BROKEN)].equal;
                equal.entry(value.as_str().into()).or_default().push(listener);
                Ok(true)
            }
            Expression::Agent(path) => self.listen_to_path(action, path).map(|()| true),
        }
    }

    fn listen_to_path(&mut self, action: u32, path: &[Walk]) -> Result<(), String> {
        let mut shape = WHOLE;
        let mut span = Span { first: 0, last: 0, count: 0 };
        for walk in path {
            match walk {
                Walk::Down(first, last, name) => {
                    if usize::from(span.count) == MOST_NUMBERS {
                        return Err("expected a shorter path".to_owned());
                    }
                    let shift = 8 * span.count;
                    span.first |= Numbers::from(*first) << shift;
                    span.last |= Numbers::from((*last).min(254)) << shift;
                    span.count += 1;
                    shape = self.make_child(shape, Name::read(name)?);
                }
                Walk::Words(range) => shape = self.make_range(shape, span, *range),
                Walk::Equals(value) => {
                    let equal = &mut self.shapes[usize::from(shape)].equal;
                    let listeners = equal.entry(value.to_lowercase().into()).or_default();
                    listeners.push(Listener { action, span });
                    return Ok(());
                }
                Walk::StartsWith(value) => {
                    let prefix: String = value.chars().take(MOST_PREFIX).collect();
                    let shape = &mut self.shapes[usize::from(shape)];
                    let length = (span, prefix.chars().count() as u8);
                    if !shape.prefixes.contains(&length) {
                        shape.prefixes.push(length);
                    }
                    let prefixed = &mut shape.prefixed;
                    let listeners = prefixed.entry(prefix.to_lowercase().into()).or_default();
                    listeners.push(Listener { action, span });
                    return Ok(());
                }
                _ => break,
            }
        }
        self.shapes[usize::from(shape)].any.push(Listener { action, span });
        Ok(())
    }

    fn make_child(&mut self, shape: ShapeId, name: Name) -> ShapeId {
        let known = self.child(shape, name);
        if known != DEAD {
            return known;
        }
        let made = self.make();
        self.shapes[usize::from(shape)].children[name as usize] = made;
        made
    }

    fn make_range(&mut self, shape: ShapeId, span: Span, range: Range) -> ShapeId {
        let ranges = &self.shapes[usize::from(shape)].ranges;
        let known = ranges.iter().find(|(_, other, _)| *other == range);
        let made = known.map(|(_, _, shape)| *shape);
        let made = made.unwrap_or_else(|| self.make());
        let ranges = &mut self.shapes[usize::from(shape)].ranges;
        if !ranges.contains(&(span, range, made)) {
            ranges.push((span, range, made));
        }
        made
    }

    fn make(&mut self) -> ShapeId {
        self.shapes.push(Shape::new());
        ShapeId::try_from(self.shapes.len() - 1).expect("paths are few")
    }
}

impl Shape {
    fn new() -> Shape {
        Shape {
            children: [DEAD; NAMES],
            ranges: Vec::new(),
            any: Vec::new(),
            equal: HashMap::default(),
            prefixed: HashMap::default(),
            prefixes: Vec::new(),
        }
    }
}
