//! Reads HOCON, the notation of JVM programs for configurations: objects that merge, dotted keys,
//! substitutions, texts without quotes. Every value keeps its line, so that whoever reads a
//! configuration can say where something stands.
//!
//! A variable of the environment is not looked up: it stays a reference. `include` is refused.
//! Reading the text is [`parse`]'s, merging and substituting [`resolve`]'s.

mod parse;
mod resolve;
mod unit;

pub use unit::duration_ms;

/// What stands somewhere, and the line on which it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Counted from 1.
    pub line: usize,
    /// What stands there.
    pub value: Value,
}

/// What may stand somewhere in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// A text, a number or a boolean: HOCON takes the one for the other.
    Scalar {
        /// What it is put together of.
        pieces: Vec<Piece>,
        /// Whether it stands in quotes, so that it is a text.
        quoted: bool,
    },
    /// A list; one that was given by `+=` is added to what stood there.
    List {
        /// In the order in which they stand.
        items: Vec<Node>,
        /// Whether they are added.
        added: bool,
    },
    /// An object, in the order of its keys.
    Object(Vec<(String, Node)>),
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// It stands in the file.
    Text(String),
    /// A variable of the environment.
    Variable {
        /// How the environment calls it.
        name: String,
        /// The text in its place where it is not set.
        default: Option<String>,
        /// Whether nothing stands there where it is not set.
        optional: bool,
    },
}

/// A text that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Mistake {
    /// Counted from 1.
    pub line: usize,
    /// What was expected and what was found.
    pub what: String,
}

impl Mistake {
    fn new(line: usize, what: impl Into<String>) -> Mistake {
        Mistake { line, what: what.into() }
    }
}

/// Reads a text.
pub fn read(text: &str) -> Result<Node, Mistake> {
    resolve::resolve(&parse::parse(text)?)
}

impl Node {
    /// The value at the end of a path of keys.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| match &node.value {
            Value::Object(fields) => fields.iter().find(|(name, _)| name == key).map(|(_, it)| it),
            _ => None,
        })
    }

    /// A scalar as a text: variables in the form `${NAME}` or `${NAME:-default}`.
    pub fn text(&self) -> Option<String> {
        let Value::Scalar { pieces, .. } = &self.value else { return None };
        let said = pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Variable { name, default: Some(default), .. } => {
                format!("${{{name}:-{default}}}")
            }
            Piece::Variable { name, .. } => format!("${{{name}}}"),
        });
        Some(said.collect())
    }

    /// The text of a scalar without the environment: of variables, what stands in their place.
    pub fn fixed(&self) -> Option<String> {
        let Value::Scalar { pieces, .. } = &self.value else { return None };
        let said = pieces.iter().map(|piece| match piece {
            Piece::Text(text) => Some(text.clone()),
            Piece::Variable { default, .. } => default.clone(),
        });
        said.collect()
    }

    /// The same in JSON.
    pub fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::List { items, .. } => items.iter().map(Node::json).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(key, node)| (key.clone(), node.json())).collect()
            }
            Value::Scalar { quoted, .. } => {
                let text = self.text().unwrap_or_default();
                let bare = (!quoted).then(|| serde_json::from_str(&text).ok()).flatten();
                bare.unwrap_or(serde_json::Value::String(text))
            }
        }
    }
}

#[cfg(test)]
mod tests;
