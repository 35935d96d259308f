//! Filters of paths: `?(@.a == 1 && !(@.b =~ /x.*/i))`.

use event::{Bump, json};
use fancy_regex::{Regex, RegexBuilder};

use super::{Path, string};
use crate::pii::tree::{Id, Kind, Tree};

/// A condition on a node.
#[derive(Clone, Debug)]
pub(super) enum Filter {
    Either(Box<Filter>, Box<Filter>),
    Both(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Exists(Path),
    Compare(Operand, Operator, Operand),
    Matches(Path, Regex),
}

#[derive(Clone, Debug)]
pub(super) enum Operand {
    Path(Path),
    Value(Value),
}

#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub(super) enum Value {
    Text(String),
    Number(f64),
    /// `true`, `false` or `null`.
    Literal(String),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Two characters before one, so that the longer operator wins.
const OPERATORS: [(&str, Operator); 6] = [
    ("==", Operator::Equal),
    ("!=", Operator::Unequal),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

/// Deeper conditions are refused: reading them uses the stack.
const DEEPEST: usize = 16;

/// The most steps that a pattern may take on one text.
const STEPS: usize = 100_000;

/// What ends a name inside a condition.
const ENDS: &str = " )=!<>&|]~,";

impl Filter {
    /// Reads a condition in parentheses and gives what follows it.
    pub(super) fn parse(text: &str) -> Result<(Filter, &str), String> {
        if !text.starts_with('(') {
            return Err("a filter must stand in parentheses".to_owned());
        }
        primary(text, 0)
    }

    /// Whether the condition holds for a node.
    pub(super) fn holds(&self, id: Id, tree: &Tree<'_>) -> bool {
        match self {
            Filter::Either(left, right) => left.holds(id, tree) || right.holds(id, tree),
            Filter::Both(left, right) => left.holds(id, tree) && right.holds(id, tree),
            Filter::Not(filter) => !filter.holds(id, tree),
            Filter::Exists(path) => !path.from(id, tree).is_empty(),
            Filter::Compare(left, operator, right) => {
                compare(left.value(id, tree), *operator, right.value(id, tree))
            }
            Filter::Matches(path, pattern) => match value(path, id, tree) {
                Some(Value::Text(text)) => pattern.is_match(&text).unwrap_or(false),
                _ => false,
            },
        }
    }
}

fn compare(left: Option<Value>, operator: Operator, right: Option<Value>) -> bool {
    let (Some(left), Some(right)) = (left, right) else {
        return matches!(operator, Operator::Unequal);
    };
    let ordered = std::mem::discriminant(&left) == std::mem::discriminant(&right);
    match operator {
        Operator::Equal => left == right,
        Operator::Unequal => left != right,
        Operator::Less => ordered && left < right,
        Operator::LessOrEqual => ordered && left <= right,
        Operator::Greater => ordered && left > right,
        Operator::GreaterOrEqual => ordered && left >= right,
    }
}

impl Operand {
    fn value(&self, id: Id, tree: &Tree<'_>) -> Option<Value> {
        match self {
            Operand::Path(path) => value(path, id, tree),
            Operand::Value(value) => Some(value.clone()),
        }
    }
}

/// The first value that a path finds from a node; none for objects and arrays.
fn value(path: &Path, id: Id, tree: &Tree<'_>) -> Option<Value> {
    let found = *path.from(id, tree).first()?;
    let raw = tree.raw(found);
    match tree.kind(found) {
        Kind::Text => json::unescape(raw, &Bump::new()).map(|text| Value::Text(text.to_owned())),
        Kind::Number => raw.parse().ok().map(Value::Number),
        Kind::Literal => Some(Value::Literal(raw.to_owned())),
        Kind::Object | Kind::Array => None,
    }
}

fn either(text: &str, depth: usize) -> Result<(Filter, &str), String> {
    let (mut filter, mut rest) = both(text, depth)?;
    while let Some(after) = rest.trim_start().strip_prefix("||") {
        let (right, after) = both(after, depth)?;
        filter = Filter::Either(Box::new(filter), Box::new(right));
        rest = after;
    }
    Ok((filter, rest))
}

fn both(text: &str, depth: usize) -> Result<(Filter, &str), String> {
    let (mut filter, mut rest) = primary(text.trim_start(), depth)?;
    while let Some(after) = rest.trim_start().strip_prefix("&&") {
        let (right, after) = primary(after.trim_start(), depth)?;
        filter = Filter::Both(Box::new(filter), Box::new(right));
        rest = after;
    }
    Ok((filter, rest))
}

fn primary(text: &str, depth: usize) -> Result<(Filter, &str), String> {
    if depth > DEEPEST {
        return Err("a filter is nested too deeply".to_owned());
    }
    if let Some(inside) = text.strip_prefix('(') {
        let (filter, rest) = either(inside, depth + 1)?;
        let rest = rest.trim_start().strip_prefix(')').ok_or("a parenthesis is not closed")?;
        return Ok((filter, rest));
    }
    if let Some(rest) = text.strip_prefix('!') {
        let (filter, rest) = primary(rest.trim_start(), depth + 1)?;
        return Ok((Filter::Not(Box::new(filter)), rest));
    }
    let (left, rest) = operand(text)?;
    let rest = rest.trim_start();
    if let Some(rest) = rest.strip_prefix("=~") {
        let Operand::Path(path) = left else { return Err("a pattern needs a path".to_owned()) };
        let (pattern, rest) = pattern(rest.trim_start())?;
        return Ok((Filter::Matches(path, pattern), rest));
    }
    for (symbol, operator) in OPERATORS {
        if let Some(rest) = rest.strip_prefix(symbol) {
            let (right, rest) = operand(rest.trim_start())?;
            return Ok((Filter::Compare(left, operator, right), rest));
        }
    }
    match left {
        Operand::Path(path) => Ok((Filter::Exists(path), rest)),
        Operand::Value(_) => Err("a value alone is no condition".to_owned()),
    }
}

fn operand(text: &str) -> Result<(Operand, &str), String> {
    if let Some(rest) = text.strip_prefix('@') {
        let (path, rest) = Path::steps(rest, ENDS)?;
        return Ok((Operand::Path(path), rest));
    }
    if text.starts_with(['\'', '"']) {
        let (text, rest) = string(text)?;
        return Ok((Operand::Value(Value::Text(text)), rest));
    }
    let end = text.find(|c| ENDS.contains(c)).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let value = match (word, word.parse()) {
        ("true" | "false" | "null", _) => Value::Literal(word.to_owned()),
        (_, Ok(number)) => Value::Number(number),
        _ => return Err(format!("{word:?} is no value")),
    };
    Ok((Operand::Value(value), rest))
}

/// `/pattern/flags`, which must match a whole text.
fn pattern(text: &str) -> Result<(Regex, &str), String> {
    let inside = text.strip_prefix('/').ok_or("a pattern must stand between slashes")?;
    let end = inside.find('/').ok_or("a pattern must stand between slashes")?;
    let (pattern, rest) = (&inside[..end], &inside[end + 1..]);
    let flags = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (flags, rest) = rest.split_at(flags);
    let flags = if flags.is_empty() { String::new() } else { format!("(?{flags})") };
    let whole = format!("{flags}\\A(?:{pattern})\\z");
    let pattern = RegexBuilder::new(&whole).backtrack_limit(STEPS).build();
    Ok((pattern.map_err(|error| error.to_string())?, rest))
}
