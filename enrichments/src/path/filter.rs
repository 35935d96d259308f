//! Filters of paths: `?(@.a == 1 && !(@.b =~ /x.*/i))`.

use event::{Bump, json};
use fancy_regex::{Regex, RegexBuilder};

use super::{Path, string};
use crate::tree::{Id, Kind, Tree};

/// A condition on a node.
#[derive(Clone, Debug)]
pub(super) enum Filter {
    Either(Box<Filter>, Box<Filter>),
    Both(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Exists(Path),
    Compare(Operand, Operator, Operand),
    Matches(Path, Regex),
    /// Whether a value is one of a list, or is none of it.
    Listed(Operand, Vec<Value>, bool),
    Contains(Operand, Operand),
    /// Characters of a text, or elements of an array.
    Size(Path, usize),
    /// Whether a text, an array or an object is empty, or is not.
    Empty(Path, bool),
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
    /// As equal, and of one type.
    Same,
    NotSame,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Longer ones first, so that they win.
const OPERATORS: [(&str, Operator); 8] = [
    ("===", Operator::Same),
    ("!==", Operator::NotSame),
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
            Filter::Listed(left, list, wanted) => {
                let left = left.value(id, tree);
                let listed = left.is_some_and(|left| list.iter().any(|value| equal(&left, value)));
                listed == *wanted
            }
            Filter::Contains(left, right) => contains(left, right.value(id, tree), id, tree),
            Filter::Size(path, wanted) => size(path, id, tree) == Some(*wanted),
            Filter::Empty(path, wanted) => {
                size(path, id, tree).is_some_and(|n| (n == 0) == *wanted)
            }
        }
    }
}

/// Whether a text has another one in it, or an array an element.
fn contains(left: &Operand, right: Option<Value>, id: Id, tree: &Tree<'_>) -> bool {
    let Some(right) = right else { return false };
    if let (Some(Value::Text(text)), Value::Text(part)) = (left.value(id, tree), &right) {
        return text.contains(part);
    }
    let Operand::Path(path) = left else { return false };
    let array = path.from(id, tree).first().copied().filter(|id| tree.kind(*id) == Kind::Array);
    let mut elements = array.into_iter().flat_map(|id| tree.children(id));
    elements.any(|id| value_of(id, tree).is_some_and(|value| equal(&value, &right)))
}

/// The length of what a path finds, if it has one, in UTF-16 code units where that is a text.
fn size(path: &Path, id: Id, tree: &Tree<'_>) -> Option<usize> {
    let found = *path.from(id, tree).first()?;
    match (tree.kind(found), value_of(found, tree)) {
        (Kind::Array | Kind::Object, _) => Some(tree.children(found).count()),
        (_, Some(Value::Text(text))) => Some(text.encode_utf16().count()),
        _ => None,
    }
}

/// A number equals the text that would be read as it, and the text that it is printed as.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(number), Value::Text(text)) => text.parse() == Ok(*number),
        (Value::Text(text), Value::Number(number)) => *text == number.to_string(),
        _ => left == right,
    }
}

fn compare(left: Option<Value>, operator: Operator, right: Option<Value>) -> bool {
    let (Some(left), Some(right)) = (left, right) else {
        return matches!(operator, Operator::Unequal | Operator::NotSame);
    };
    let ordered = std::mem::discriminant(&left) == std::mem::discriminant(&right);
    match operator {
        Operator::Equal => equal(&left, &right),
        Operator::Unequal => !equal(&left, &right),
        Operator::Same => left == right,
        Operator::NotSame => left != right,
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

/// The first value that a path finds from a node, null if there is none; no value for objects and
/// arrays.
fn value(path: &Path, id: Id, tree: &Tree<'_>) -> Option<Value> {
    match path.from(id, tree).first() {
        Some(found) => value_of(*found, tree),
        None => Some(Value::Literal("null".to_owned())),
    }
}

fn value_of(id: Id, tree: &Tree<'_>) -> Option<Value> {
    let raw = tree.raw(id);
    match tree.kind(id) {
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
    if let Some((word, after)) = rest.split_once(' ')
        && word.starts_with(|c: char| c.is_ascii_alphabetic())
    {
        return worded(left, word, after.trim_start());
    }
    match left {
        Operand::Path(path) => Ok((Filter::Exists(path), rest)),
        Operand::Value(_) => Err("a value alone is no condition".to_owned()),
    }
}

/// What an operator that is a word says of an operand; `text` follows the word.
fn worded<'t>(left: Operand, word: &str, text: &'t str) -> Result<(Filter, &'t str), String> {
    let word = word.to_ascii_lowercase();
    if let "in" | "nin" = word.as_str() {
        let (list, rest) = list(text)?;
        return Ok((Filter::Listed(left, list, word == "in"), rest));
    }
    let (right, rest) = operand(text)?;
    let filter = match (word.as_str(), left, right) {
        ("contains", left, right) => Filter::Contains(left, right),
        ("size", Operand::Path(path), Operand::Value(Value::Number(n))) => {
            // A length below zero is one that nothing has.
            let size = if n < 0.0 { usize::MAX } else { n as usize };
            Filter::Size(path, size)
        }
        ("size", ..) => return Err("size needs a path before it and a number after it".to_owned()),
        ("empty", Operand::Path(path), Operand::Value(Value::Literal(flag))) if flag != "null" => {
            Filter::Empty(path, flag == "true")
        }
        ("empty", ..) => return Err("empty needs a path before it, true or false after it".into()),
        _ => return Err(format!("the operator {word} is not known")),
    };
    Ok((filter, rest))
}

/// Values in brackets, separated by commas.
fn list(text: &str) -> Result<(Vec<Value>, &str), String> {
    let mut rest = text.strip_prefix('[').ok_or("a list in brackets is missing")?.trim_start();
    let mut list = Vec::new();
    loop {
        if let Some(rest) = rest.strip_prefix(']') {
            return Ok((list, rest));
        }
        let (Operand::Value(value), after) = operand(rest)? else {
            return Err("a list holds values, not paths".to_owned());
        };
        list.push(value);
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None if rest.starts_with(']') => {}
            None => return Err("a list is not closed".to_owned()),
        }
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
