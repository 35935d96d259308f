//! The node table: a schema after compilation, and the rules that both walkers share.
//!
//! A node holds everything that a schema object says about one value, sorted by the type of value
//! it applies to. Nodes name one another by index, so recursion through `$ref` costs nothing.
//! [`super::scan`] walks it over bytes, [`super::report`] over a tree; what a leaf rule means is
//! written once, here, and both ask.

use std::cmp::Ordering;

use crate::document::Value;
use crate::format::Format;
use crate::number::{self, Literal};
use crate::pattern::Pattern;
use crate::schema::distinct::are_distinct;
use crate::schema::names::Names;

/// Index of a node.
pub(crate) type NodeId = u32;

/// A compiled schema. The root is node 0.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) nodes: Vec<Node>,
    /// Whether some node has a fault.
    pub(crate) faulty: bool,
}

/// A set of types, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Types(pub(crate) u8);

impl Types {
    pub(crate) const NULL: Types = Types(1);
    pub(crate) const BOOLEAN: Types = Types(2);
    /// A number written as an integer.
    pub(crate) const INTEGER: Types = Types(4);
    /// Any other number.
    pub(crate) const FRACTION: Types = Types(8);
    pub(crate) const STRING: Types = Types(16);
    pub(crate) const ARRAY: Types = Types(32);
    pub(crate) const OBJECT: Types = Types(64);
    pub(crate) const ALL: Types = Types(127);

    /// The values that a type name of a schema stands for.
    pub(crate) fn named(name: &str) -> Types {
        match name {
            "null" => Types::NULL,
            "boolean" => Types::BOOLEAN,
            "integer" => Types::INTEGER,
            "number" => Types(Types::INTEGER.0 | Types::FRACTION.0),
            "string" => Types::STRING,
            "array" => Types::ARRAY,
            "object" => Types::OBJECT,
            _ => Types(0),
        }
    }

    /// The type of a value, as a set of one.
    pub(crate) fn of(value: &Value<'_>) -> Types {
        match value {
            Value::Null => Types::NULL,
            Value::Bool(_) => Types::BOOLEAN,
            Value::Number(literal) if number::is_integer(literal) => Types::INTEGER,
            Value::Number(_) => Types::FRACTION,
            Value::String(_) => Types::STRING,
            Value::Array(_) => Types::ARRAY,
            Value::Object(_) => Types::OBJECT,
        }
    }

    /// The values that the `type` of a schema allows; all without one.
    pub(crate) fn allowed_by(schema: &Value<'_>) -> Types {
        let named = match schema.get("type") {
            Some(Value::String(name)) => Types::named(name),
            Some(Value::Array(names)) => {
                let names = names.iter().filter_map(Value::as_str);
                names.fold(Types(0), |types, name| types.with(Types::named(name)))
            }
            _ => return Types::ALL,
        };
        let nullable = matches!(schema.get("nullable"), Some(Value::Bool(true)));
        if nullable { named.with(Types::NULL) } else { named }
    }

    /// Whether the sets have something in common.
    pub(crate) fn has(self, other: Types) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets together.
    pub(crate) fn with(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }
}

/// What one schema object says about a value.
#[derive(Debug)]
pub(crate) struct Node {
    /// The types accepted; all when there is no `type`.
    pub(crate) types: Types,
    /// Whether any value is accepted, so that nobody needs to look inside.
    pub(crate) trivial: bool,
    /// Why nothing can be checked against this node.
    pub(crate) fault: Option<Box<str>>,
    pub(crate) enumeration: Option<Box<Enumeration>>,
    pub(crate) string: Option<Box<StringRules>>,
    pub(crate) number: Option<Box<NumberRules>>,
    pub(crate) array: Option<Box<ArrayRules>>,
    pub(crate) object: Option<Box<ObjectRules>>,
    /// Other nodes that the same value is held against.
    pub(crate) in_place: Vec<InPlace>,
    /// What only reports need.
    pub(crate) texts: Texts,
}

/// Texts for reports.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    /// `type` as messages print it, and whether it is a list.
    pub(crate) types: Option<(Box<str>, bool)>,
    /// Messages that the schema puts in place of the usual ones, by keyword.
    pub(crate) messages: Vec<(Box<str>, Box<str>)>,
}

/// A rule that holds the same value against other nodes.
#[derive(Debug)]
pub(crate) enum InPlace {
    /// `$ref`
    Reference(NodeId),
    /// `allOf`
    All(Vec<NodeId>),
    /// `anyOf`
    Any(Vec<NodeId>),
    /// `oneOf`, with the text of each branch.
    One(Vec<(NodeId, Box<str>)>),
    /// `not`, with its text.
    Not(NodeId, Box<str>),
}

/// `enum`
#[derive(Debug)]
pub(crate) struct Enumeration {
    /// Texts that rules name, each once.
    pub(crate) strings: Names,
    /// Everything else.
    pub(crate) others: Vec<Value<'static>>,
    /// `[a, b]`
    pub(crate) text: Box<str>,
}

/// Rules for strings.
#[derive(Debug, Default)]
pub(crate) struct StringRules {
    /// Unicode code points.
    pub(crate) min: u64,
    /// Unicode code points.
    pub(crate) max: Option<u64>,
    pub(crate) pattern: Option<(Box<str>, Pattern)>,
    pub(crate) format: Option<(Box<str>, Format)>,
}

/// Rules for numbers.
#[derive(Debug, Default)]
pub(crate) struct NumberRules {
    pub(crate) min: Option<Bound>,
    pub(crate) max: Option<Bound>,
    pub(crate) multiple_of: Option<f64>,
}

/// `minimum` or `maximum`.
#[derive(Debug)]
pub(crate) struct Bound {
    /// As the schema writes it.
    pub(crate) literal: Box<str>,
    /// The same, where it is a short integer.
    value: Option<i64>,
    pub(crate) exclusive: bool,
}

/// Rules for arrays.
#[derive(Debug, Default)]
pub(crate) struct ArrayRules {
    pub(crate) items: Items,
    pub(crate) min: u64,
    pub(crate) max: Option<u64>,
    pub(crate) unique: bool,
}

/// `items` and `additionalItems`.
#[derive(Debug, Default)]
pub(crate) enum Items {
    /// Anything.
    #[default]
    Any,
    /// Each follows one schema.
    All(NodeId),
    /// Each follows the schema at its index, the others `rest`.
    Tuple(Vec<NodeId>, Rest),
}

/// What may stand where no schema is named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Anything.
    #[default]
    Any,
    /// Nothing.
    None,
    /// What follows this schema.
    Node(NodeId),
}

/// Rules for objects.
#[derive(Debug, Default)]
pub(crate) struct ObjectRules {
    /// Every name that some rule mentions; indexes into `entries`.
    pub(crate) names: Names,
    pub(crate) entries: Vec<Entry>,
    /// Names with a bit that must be there.
    pub(crate) required: u64,
    /// Indexes of required entries that found no bit: then only a tree can be checked.
    pub(crate) wide: bool,
    pub(crate) additional: Rest,
    pub(crate) patterns: Vec<(Pattern, NodeId)>,
    pub(crate) min: u64,
    pub(crate) max: Option<u64>,
    pub(crate) dependencies: Vec<Dependency>,
    /// `{a=[b, c]}`
    pub(crate) dependencies_text: Box<str>,
    pub(crate) not_allowed: Vec<Box<str>>,
    /// `readOnly` as a list, which no data satisfies.
    pub(crate) read_only: bool,
}

/// A name that some rule of an object mentions.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: Box<str>,
    /// Its schema, if it is under `properties`.
    pub(crate) node: Option<NodeId>,
    pub(crate) required: bool,
    /// Its bit in the set of names seen; 0 if nobody asks.
    pub(crate) bit: u64,
    /// Whether it must not be there at all.
    pub(crate) not_allowed: bool,
}

/// A member of `dependencies`.
#[derive(Debug)]
pub(crate) struct Dependency {
    /// When this entry is present …
    pub(crate) entry: usize,
    pub(crate) needs: Needs,
}

/// What a dependency asks for.
#[derive(Debug)]
pub(crate) enum Needs {
    /// … these must be.
    Entries(Vec<usize>),
    /// … the object must follow this schema.
    Node(NodeId),
}

impl Table {
    /// Whether a rule mentions a member of that name.
    pub(crate) fn mentions(&self, name: &str) -> bool {
        let mut rules = self.nodes.iter().filter_map(|node| node.object.as_deref());
        rules.any(|rules| rules.names.find(name.as_bytes()).is_some())
    }

    /// The node of that index.
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    /// Whether a node's verdict on an object with some members does not depend on the value of
    /// the one of that name.
    pub(crate) fn ignores(&self, name: &str, id: NodeId) -> bool {
        let node = self.node(id);
        let Some(rules) = node.object.as_deref().filter(|_| node.is_plain()) else { return false };
        let entry = rules.names.find(name.as_bytes()).map(|index| &rules.entries[index]);
        let value = entry.filter(|entry| !entry.not_allowed).and_then(|entry| entry.node);
        let others = !rules.patterns.is_empty() || !rules.dependencies.is_empty();
        !others && value.is_some_and(|value| self.node(value).trivial)
    }

    /// The node that each item of a list follows by itself, where the root asks nothing more of
    /// lists than that they are not empty.
    pub(crate) fn only_item(&self) -> Option<NodeId> {
        let root = self.node(0);
        let rules = root.array.as_deref().filter(|_| root.is_plain())?;
        match rules.items {
            Items::All(item) if rules.min <= 1 && rules.max.is_none() && !rules.unique => {
                Some(item)
            }
            _ => None,
        }
    }
}

impl Node {
    /// A node that accepts everything.
    pub(crate) fn anything() -> Node {
        Node {
            types: Types::ALL,
            trivial: true,
            fault: None,
            enumeration: None,
            string: None,
            number: None,
            array: None,
            object: None,
            in_place: Vec::new(),
            texts: Texts::default(),
        }
    }
}

impl Node {
    /// Whether all its rules are those of the types of value.
    fn is_plain(&self) -> bool {
        self.fault.is_none() && self.enumeration.is_none() && self.in_place.is_empty()
    }
}

impl Enumeration {
    /// Whether a string is listed.
    pub(crate) fn has_string(&self, text: &str) -> bool {
        self.strings.find(text.as_bytes()).is_some()
    }

    /// Whether a number is listed; here `1.0` is `1`.
    pub(crate) fn has_number(&self, literal: &str) -> bool {
        self.others.iter().any(|value| match value {
            Value::Number(listed) => number::compare(listed, literal) == Ordering::Equal,
            _ => false,
        })
    }

    /// Whether a value is listed.
    pub(crate) fn has(&self, value: &Value<'_>) -> bool {
        match value {
            Value::String(text) => self.has_string(text),
            Value::Number(literal) => self.has_number(literal),
            value => self.others.iter().any(|listed| listed.same(value)),
        }
    }
}

impl StringRules {
    /// Whether length, pattern and format accept a text.
    pub(crate) fn accepts(&self, text: &str) -> bool {
        self.accepts_length(text)
            && self.pattern.as_ref().is_none_or(|(_, pattern)| pattern.is_match(text))
            && self.format.as_ref().is_none_or(|(_, format)| format.accepts(text))
    }

    /// Whether the length is accepted, counting characters only where bytes leave it open.
    pub(crate) fn accepts_length(&self, text: &str) -> bool {
        let bytes = text.len() as u64;
        let max = self.max.unwrap_or(u64::MAX);
        if bytes < self.min {
            return false;
        }
        // A character has at most four bytes.
        if bytes <= max && bytes / 4 >= self.min {
            return true;
        }
        let length = text.chars().count() as u64;
        (self.min..=max).contains(&length)
    }
}

impl NumberRules {
    /// Whether all rules accept a literal.
    pub(crate) fn accepts(&self, literal: &Literal<'_>) -> bool {
        self.accepts_bounds(literal) && self.accepts_multiple(literal.text)
    }

    fn accepts_bounds(&self, literal: &Literal<'_>) -> bool {
        self.min.as_ref().is_none_or(|min| min.accepts(literal, Ordering::Greater))
            && self.max.as_ref().is_none_or(|max| max.accepts(literal, Ordering::Less))
    }

    /// Whether `multipleOf` accepts a literal.
    pub(crate) fn accepts_multiple(&self, literal: &str) -> bool {
        self.multiple_of.is_none_or(|divisor| number::is_multiple(literal, divisor))
    }
}

impl Bound {
    /// Whether a literal is on the side `inside` of this bound, or on it unless that is excluded.
    pub(crate) fn accepts(&self, literal: &Literal<'_>, inside: Ordering) -> bool {
        let order = match (literal.value(), self.value) {
            (Some(value), Some(bound)) => value.cmp(&bound),
            _ => number::compare(literal.text, &self.literal),
        };
        order == inside || (order == Ordering::Equal && !self.exclusive)
    }

    /// A bound from its literal.
    pub(crate) fn new(literal: &str, exclusive: bool) -> Bound {
        let value = Literal::at_start_of(literal).value();
        Bound { literal: literal.into(), value, exclusive }
    }
}

impl ArrayRules {
    /// Whether the number of items is accepted.
    pub(crate) fn accepts_length(&self, length: u64) -> bool {
        (self.min..=self.max.unwrap_or(u64::MAX)).contains(&length)
    }

    /// Whether no two of the items are the same, where that is asked for.
    pub(crate) fn accepts_repeats<'v, 'd: 'v>(
        &self,
        items: impl Iterator<Item = &'v Value<'d>>,
    ) -> bool {
        !self.unique || are_distinct(items, &mut 0)
    }

    /// What the item at an index must follow.
    pub(crate) fn rest_at(&self, index: usize) -> Rest {
        match &self.items {
            Items::Any => Rest::Any,
            Items::All(node) => Rest::Node(*node),
            Items::Tuple(nodes, rest) => nodes.get(index).map_or(*rest, |node| Rest::Node(*node)),
        }
    }
}

impl ObjectRules {
    /// Whether the number of members is accepted.
    pub(crate) fn accepts_length(&self, length: u64) -> bool {
        (self.min..=self.max.unwrap_or(u64::MAX)).contains(&length)
    }

    /// Whether a name that nothing mentions is exempt from `additionalProperties`.
    pub(crate) fn is_exempt(name: &str) -> bool {
        name.starts_with('#')
    }
}
