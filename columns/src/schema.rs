//! What of a JSON Schema counts for columns, as it stands in its text.
//!
//! Reading is lenient: a keyword whose value is not what the keyword wants is as good as absent,
//! which ends in a column of JSON at worst. Whether a schema is right is the validator's matter.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::value::RawValue;

use crate::number::Number;

/// What is deeper than this is read as "anything": no sensible schema is.
const MAX_DEPTH: usize = 48;

/// One schema, or one part of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Schema {
    pub(crate) types: Option<Types>,
    pub(crate) format: Option<String>,
    pub(crate) multiple_of: Option<Number>,
    pub(crate) minimum: Option<Number>,
    pub(crate) maximum: Option<Number>,
    /// `enum`.
    pub(crate) literals: Option<Vec<Literal>>,
    pub(crate) items: Option<Items>,
    pub(crate) additional_items: Option<Extra>,
    pub(crate) properties: Option<BTreeMap<String, Schema>>,
    pub(crate) additional_properties: Option<Extra>,
    pub(crate) required: Option<BTreeSet<String>>,
    pub(crate) one_of: Option<Vec<Schema>>,
    pub(crate) any_of: Option<Vec<Schema>>,
    pub(crate) description: Option<String>,
    /// Values that stand for what it may hold, as JSON, for people: `examples`, or else the `enum`.
    pub(crate) examples: Vec<String>,
}

/// A set of the seven types, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Types(pub(crate) u8);

/// A value of an `enum`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Null,
    Number(Number),
    String(String),
    /// Anything else.
    Other(serde_json::Value),
}

/// `items`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Items {
    /// What each is.
    Each(Box<Schema>),
    /// What the first, the second and so on are.
    Tuple(Vec<Schema>),
}

/// `additionalItems` and `additionalProperties`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Extra {
    Allowed(bool),
    Each(Box<Schema>),
}

impl Types {
    pub(crate) const NULL: Types = Types(1);
    pub(crate) const BOOLEAN: Types = Types(1 << 1);
    pub(crate) const STRING: Types = Types(1 << 2);
    pub(crate) const INTEGER: Types = Types(1 << 3);
    pub(crate) const NUMBER: Types = Types(1 << 4);
    pub(crate) const ARRAY: Types = Types(1 << 5);
    pub(crate) const OBJECT: Types = Types(1 << 6);

    /// Both sets.
    pub(crate) const fn or(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }

    /// Whether the sets share a type.
    pub(crate) const fn meets(self, other: Types) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether it is exactly this set, but that `null` may be in it too.
    pub(crate) const fn is(self, other: Types) -> bool {
        self.0 & !Types::NULL.0 == other.0
    }

    pub(crate) const fn nullable(self) -> bool {
        self.meets(Types::NULL)
    }

    fn named(name: &str) -> Option<Types> {
        Some(match name {
            "null" => Types::NULL,
            "boolean" => Types::BOOLEAN,
            "string" => Types::STRING,
            "integer" => Types::INTEGER,
            "number" => Types::NUMBER,
            "array" => Types::ARRAY,
            "object" => Types::OBJECT,
            _ => return None,
        })
    }

    fn read(text: &str) -> Option<Types> {
        if let Ok(name) = serde_json::from_str::<String>(text) {
            return Types::named(&name);
        }
        let names: Vec<String> = serde_json::from_str(text).ok()?;
        names.iter().try_fold(Types(0), |types, name| Some(types.or(Types::named(name)?)))
    }
}

impl Schema {
    /// Reads a schema's text; one that is no JSON object allows anything.
    pub(crate) fn read(text: &str) -> Schema {
        Schema::read_at(text, 0)
    }

    fn read_at(text: &str, depth: usize) -> Schema {
        let Ok(members) = serde_json::from_str::<HashMap<String, &RawValue>>(text) else {
            return Schema::default();
        };
        if depth >= MAX_DEPTH {
            return Schema::default();
        }
        let text = |keyword: &str| members.get(keyword).map(|value| value.get());
        let number = |keyword| text(keyword).and_then(Number::parse);
        let list = |keyword| text(keyword).and_then(|list| read_list(list, depth + 1));
        let extra = |keyword| text(keyword).and_then(|extra| Extra::read(extra, depth + 1));
        Schema {
            types: text("type").and_then(Types::read),
            format: text("format").and_then(read),
            multiple_of: number("multipleOf"),
            minimum: number("minimum"),
            maximum: number("maximum"),
            literals: text("enum").and_then(read_literals),
            items: text("items").and_then(|items| Items::read(items, depth + 1)),
            additional_items: extra("additionalItems"),
            properties: text("properties").and_then(|map| read_map(map, depth + 1)),
            additional_properties: extra("additionalProperties"),
            required: text("required").and_then(read),
            one_of: list("oneOf"),
            any_of: list("anyOf"),
            description: text("description").and_then(read),
            examples: text("examples")
                .or_else(|| text("enum"))
                .map(read_examples)
                .unwrap_or_default(),
        }
    }

    /// What `oneOf` and `anyOf` offer.
    pub(crate) fn alternatives(&self) -> impl Iterator<Item = &Schema> {
        self.one_of.iter().flatten().chain(self.any_of.iter().flatten())
    }
}

impl Items {
    fn read(text: &str, depth: usize) -> Option<Items> {
        match text.as_bytes().first()? {
            b'[' => read_list(text, depth).map(Items::Tuple),
            b'{' => Some(Items::Each(Box::new(Schema::read_at(text, depth)))),
            _ => None,
        }
    }
}

impl Extra {
    fn read(text: &str, depth: usize) -> Option<Extra> {
        match text {
            "true" => Some(Extra::Allowed(true)),
            "false" => Some(Extra::Allowed(false)),
            text if text.starts_with('{') => {
                Some(Extra::Each(Box::new(Schema::read_at(text, depth))))
            }
            _ => None,
        }
    }
}

fn read<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Option<T> {
    serde_json::from_str(text).ok()
}

fn read_list(text: &str, depth: usize) -> Option<Vec<Schema>> {
    let parts: Vec<&RawValue> = read(text)?;
    Some(parts.iter().map(|part| Schema::read_at(part.get(), depth)).collect())
}

fn read_map(text: &str, depth: usize) -> Option<BTreeMap<String, Schema>> {
    let parts: HashMap<String, &RawValue> = read(text)?;
    Some(
        parts.iter().map(|(key, part)| (key.clone(), Schema::read_at(part.get(), depth))).collect(),
    )
}

fn read_literals(text: &str) -> Option<Vec<Literal>> {
    let values: Vec<&RawValue> = read(text)?;
    let values = values.iter().map(|value| match value.get() {
        "null" => Some(Literal::Null),
        text => match Number::parse(text) {
            Some(number) => Some(Literal::Number(number)),
            None if text.starts_with('"') => read(text).map(Literal::String),
            None => read(text).map(Literal::Other),
        },
    });
    values.collect()
}

fn read_examples(text: &str) -> Vec<String> {
    let values: Vec<&RawValue> = read(text).unwrap_or_default();
    values.iter().map(|value| value.get().to_owned()).collect()
}
