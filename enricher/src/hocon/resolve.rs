//! From what stands in a text to what it means: later assignments win, objects merge, references
//! are replaced. A reference inside the value that it names means what stood there before.

use super::parse::{Part, Raw};
use super::{Mistake, Node, Piece, Value};

/// How many values may be looked at: references to references double with each.
const STEPS: usize = 200_000;

/// How deep references may lead to references.
const DEPTH: usize = 64;

pub(super) fn resolve(root: &Raw) -> Result<Node, Mistake> {
    let mut resolver = Resolver { root, under_way: Vec::new(), steps: 0 };
    let node = resolver.value(root)?;
    Ok(node.unwrap_or(Node { line: 1, value: Value::Object(Vec::new()) }))
}

struct Resolver<'a> {
    root: &'a Raw,
    /// The values that are being looked at.
    under_way: Vec<&'a Raw>,
    steps: usize,
}

/// What was assigned somewhere.
enum Layer<'a> {
    Raw(&'a Raw),
    Node(Node),
}

impl<'a> Resolver<'a> {
    /// The meaning of what is assigned once; nothing where it refers to what is not there.
    fn value(&mut self, raw: &'a Raw) -> Result<Option<Node>, Mistake> {
        self.steps += 1;
        if self.steps > STEPS || self.under_way.len() > 4 * DEPTH {
            return Err(Mistake::new(raw.line, "references lead too far"));
        }
        self.under_way.push(raw);
        let value = self.parts(raw);
        self.under_way.pop();
        let value = value?;
        Ok(value.map(|value| Node {
            line: raw.line,
            value: match value {
                Value::List { items, .. } if raw.added => Value::List { items, added: true },
                value if raw.added => {
                    let items = vec![Node { line: raw.line, value }];
                    Value::List { items, added: true }
                }
                value => value,
            },
        }))
    }

    fn parts(&mut self, raw: &'a Raw) -> Result<Option<Value>, Mistake> {
        let mut values = Vec::new();
        for part in &raw.parts {
            let value = match part {
                Part::Text { text, quoted } => Some(scalar(text, *quoted)),
                Part::Object(fields) => Some(self.object(fields)?),
                Part::List(items) => Some(self.list(items)?),
                Part::Substitution { path, optional } => {
                    self.substitution(path, *optional, raw.line)?
                }
            };
            values.extend(value.map(|value| (is_space(part), value)));
        }
        let solid = |(_, value): &(bool, Value)| !matches!(value, Value::Scalar { .. });
        if values.iter().any(solid) {
            values.retain(|(space, _)| !space);
        }
        let mut values = values.into_iter().map(|(_, value)| value);
        let Some(first) = values.next() else { return Ok(None) };
        values.try_fold(first, |before, value| beside(before, value, raw.line)).map(Some)
    }

    fn object(&mut self, fields: &'a [(String, Raw)]) -> Result<Value, Mistake> {
        let mut merged: Vec<(String, Node)> = Vec::new();
        for (key, raw) in fields {
            if let Some(node) = self.value(raw)? {
                set(&mut merged, key.clone(), node);
            }
        }
        Ok(Value::Object(merged))
    }

    fn list(&mut self, raw: &'a [Raw]) -> Result<Value, Mistake> {
        let mut items = Vec::new();
        for raw in raw {
            items.extend(self.value(raw)?);
        }
        Ok(Value::List { items, added: false })
    }

    fn substitution(
        &mut self,
        path: &[String],
        optional: bool,
        line: usize,
    ) -> Result<Option<Value>, Mistake> {
        if let Some(node) = self.at(path)? {
            return Ok(Some(node.value));
        }
        let name = path.join(".");
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if path.len() == 1 && name.chars().all(letters) {
            let pieces = vec![Piece::Variable { name, default: None, optional }];
            return Ok(Some(Value::Scalar { pieces, quoted: true }));
        }
        match optional {
            true => Ok(None),
            false => Err(Mistake::new(line, format!("`${{{name}}}` is not in this file"))),
        }
    }

    /// What a path means, as far as it does not depend on what is being looked at.
    fn at(&mut self, path: &[String]) -> Result<Option<Node>, Mistake> {
        let mut layers = vec![Layer::Raw(self.root)];
        for key in path {
            layers = self.below(layers, key)?;
        }
        let mut meaning: Option<Node> = None;
        for layer in layers {
            let node = match layer {
                Layer::Node(node) => Some(node),
                Layer::Raw(raw) if self.under_way.iter().any(|it| std::ptr::eq(*it, raw)) => break,
                Layer::Raw(raw) => self.value(raw)?,
            };
            meaning = match (meaning, node) {
                (Some(before), Some(node)) => Some(merge(before, node)),
                (before, node) => node.or(before),
            };
        }
        Ok(meaning)
    }

    /// What is assigned to a key of what is assigned.
    fn below(&mut self, layers: Vec<Layer<'a>>, key: &str) -> Result<Vec<Layer<'a>>, Mistake> {
        let mut below = Vec::new();
        for layer in layers {
            let raw = match layer {
                Layer::Raw(raw) => raw,
                Layer::Node(node) => {
                    below.extend(node.at(&[key]).cloned().map(Layer::Node));
                    continue;
                }
            };
            for part in &raw.parts {
                match part {
                    Part::Object(fields) => {
                        let named = fields.iter().filter(|(name, _)| name == key);
                        below.extend(named.map(|(_, raw)| Layer::Raw(raw)));
                    }
                    Part::Substitution { path, .. } => {
                        let seen = self.under_way.iter().any(|it| std::ptr::eq(*it, raw));
                        if seen && self.under_way.len() > DEPTH {
                            return Err(Mistake::new(raw.line, "a reference leads to itself"));
                        }
                        self.under_way.push(raw);
                        let node = self.at(path);
                        self.under_way.pop();
                        let found = node?.and_then(|node| node.at(&[key]).cloned());
                        below.extend(found.map(Layer::Node));
                    }
                    Part::Text { .. } | Part::List(_) => below.clear(),
                }
            }
        }
        Ok(below)
    }
}

fn is_space(part: &Part) -> bool {
    matches!(part, Part::Text { text, quoted: false } if text.trim().is_empty())
}

fn scalar(text: &str, quoted: bool) -> Value {
    match (text, quoted) {
        ("null", false) => Value::Null,
        _ => Value::Scalar { pieces: vec![Piece::Text(text.to_owned())], quoted },
    }
}

/// Two values side by side.
fn beside(before: Value, value: Value, line: usize) -> Result<Value, Mistake> {
    match (before, value) {
        (Value::Object(mut all), Value::Object(fields)) => {
            fields.into_iter().for_each(|(key, node)| set(&mut all, key, node));
            Ok(Value::Object(all))
        }
        (Value::List { items: mut all, added }, Value::List { items, .. }) => {
            all.extend(items);
            Ok(Value::List { items: all, added })
        }
        (Value::Scalar { pieces: mut all, .. }, Value::Scalar { pieces, quoted }) => {
            all.extend(pieces);
            let quoted = quoted || all.iter().any(|it| matches!(it, Piece::Variable { .. }));
            Ok(Value::Scalar { pieces: all, quoted })
        }
        _ => Err(Mistake::new(line, "values of different kinds stand side by side")),
    }
}

fn set(fields: &mut Vec<(String, Node)>, key: String, node: Node) {
    match fields.iter().position(|(name, _)| *name == key) {
        None => fields.push((key, node)),
        Some(at) => {
            let before = std::mem::replace(&mut fields[at].1, Node { line: 0, value: Value::Null });
            fields[at].1 = merge(before, node);
        }
    }
}

/// What a later assignment makes of an earlier one.
fn merge(before: Node, node: Node) -> Node {
    let Node { line, value } = node;
    let value = match (before.value, value) {
        (Value::Object(mut all), Value::Object(fields)) => {
            fields.into_iter().for_each(|(key, node)| set(&mut all, key, node));
            return Node { line: before.line, value: Value::Object(all) };
        }
        (Value::List { items: mut all, added }, Value::List { items, added: true }) => {
            all.extend(items);
            return Node { line: before.line, value: Value::List { items: all, added } };
        }
        (before, Value::Scalar { pieces, quoted }) => or_before(before, pieces, quoted),
        (_, value) => value,
    };
    Node { line, value }
}

/// A variable that need not be set leaves what stood there: that becomes its default.
fn or_before(before: Value, mut pieces: Vec<Piece>, quoted: bool) -> Value {
    let [Piece::Variable { default: default @ None, optional: true, .. }] = &mut pieces[..] else {
        return Value::Scalar { pieces, quoted };
    };
    let Value::Scalar { pieces: earlier, quoted: as_text } = before else {
        return Value::Scalar { pieces, quoted };
    };
    // Of two variables one over the other the later stays, over the text below both.
    let texts = earlier.iter().map(|piece| match piece {
        Piece::Text(text) => Some(text.as_str()),
        Piece::Variable { default, .. } => default.as_deref(),
    });
    *default = texts.collect();
    Value::Scalar { pieces, quoted: as_text }
}
