//! What an action does with a part of the tree that it heard of: walk on, compare, transform.

mod walk;

use std::borrow::Cow;
use std::sync::LazyLock;

use bumpalo::Bump;
use regex::Regex;

use super::domains::Domains;
use super::expression::{Expression, Function, Range, Walk};
use super::index::{MOST_PREFIX, Name};
use super::lexer::Token;
use super::normalise;
use super::tables::Tables;
use super::tree::{NONE, NodeId, Tree};
use super::words::Splitter;

/// One thing to do.
#[derive(Debug)]
pub(super) enum Step {
    Down(u8, u8, Name),
    Up,
    Next(u8),
    Previous(u8),
    Equals(String),
    NotEquals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    NotContains(String),
    In(u16),
    NotIn(u16),
    Words(Range),
    Segments(Range),
    BackToFull,
    Concat(String, String),
    NormaliseBrand,
    BrandFromUrl,
    CleanVersion,
    IsValidVersion,
    Replace(String, String),
    LookUp(u16, Option<String>),
    LookUpContains(u16, Option<String>),
    IsInContains(u16),
    IsNotInContains(u16),
    LookUpPrefix(u16, Option<String>),
    IsInPrefix(u16),
    IsNotInPrefix(u16),
    DefaultIfNull(String),
}

impl Step {
    /// Whether it may come to nothing. What cannot is left out at the end of a condition.
    pub(super) fn can_fail(&self) -> bool {
        match self {
            Step::BackToFull
            | Step::Concat(..)
            | Step::NormaliseBrand
            | Step::CleanVersion
            | Step::Replace(..)
            | Step::DefaultIfNull(_) => false,
            Step::LookUp(_, default) | Step::LookUpPrefix(_, default) => default.is_none(),
            Step::Words(range) | Step::Segments(range) => {
                *range != Range { first: 1, last: Some(1) }
            }
            _ => true,
        }
    }

    /// Whether it makes nothing of nothing.
    pub(super) fn needs_input(&self) -> bool {
        match self {
            Step::LookUp(_, default) => default.is_none(),
            Step::DefaultIfNull(_) => false,
            _ => true,
        }
    }
}

/// The steps of an expression behind the place that the index finds.
pub(super) fn compile(expression: &Expression, tables: &Tables) -> Result<Vec<Step>, String> {
    let (mut steps, mut entered) = (Vec::new(), false);
    add(expression, tables, &mut steps, &mut entered)?;
    Ok(steps)
}

fn add(
    expression: &Expression,
    tables: &Tables,
    steps: &mut Vec<Step>,
    entered: &mut bool,
) -> Result<(), String> {
    match expression {
        Expression::Fixed(_) | Expression::Broken(_) => Ok(()),
        Expression::Agent(path) => add_path(path, tables, steps, entered),
        Expression::Variable(_, path) => {
            *entered = true;
            add_path(path, tables, steps, entered)
        }
        Expression::Then(inner, Function::DefaultIfNull(default)) => {
            steps.push(Step::DefaultIfNull(default.clone()));
            add(inner, tables, steps, entered)
        }
        Expression::Then(inner, function) => {
            add(inner, tables, steps, entered)?;
            *entered = true;
            steps.push(function_step(function, tables)?);
            Ok(())
        }
    }
}

fn function_step(function: &Function, tables: &Tables) -> Result<Step, String> {
    let number = |name: &String| tables.number(name);
    Ok(match function {
        Function::Concat(before, behind) => Step::Concat(before.clone(), behind.clone()),
        Function::NormaliseBrand => Step::NormaliseBrand,
        Function::BrandFromUrl => Step::BrandFromUrl,
        Function::CleanVersion => Step::CleanVersion,
        Function::IsValidVersion => Step::IsValidVersion,
        Function::Replace(from, to) => Step::Replace(from.clone(), to.clone()),
        Function::LookUp(table, default) => Step::LookUp(number(table)?, default.clone()),
        Function::IsIn(table) => Step::In(number(table)?),
        Function::LookUpContains(table, default) => {
            Step::LookUpContains(number(table)?, default.clone())
        }
        Function::IsInContains(table) => Step::IsInContains(number(table)?),
        Function::IsNotInContains(table) => Step::IsNotInContains(number(table)?),
        Function::LookUpPrefix(table, default) => {
            Step::LookUpPrefix(number(table)?, default.clone())
        }
        Function::IsInPrefix(table) => Step::IsInPrefix(number(table)?),
        Function::IsNotInPrefix(table) => Step::IsNotInPrefix(number(table)?),
        Function::DefaultIfNull(default) => Step::DefaultIfNull(default.clone()),
        Function::Words(range) => Step::Words(*range),
        Function::Segments(range) => Step::Segments(*range),
    })
}

/// Adds a path from where the index cannot follow it: it finds children, words, and the first
/// comparison.
fn add_path(
    path: &[Walk],
    tables: &Tables,
    steps: &mut Vec<Step>,
    entered: &mut bool,
) -> Result<(), String> {
    for walk in path {
        let before = *entered;
        *entered |= !matches!(walk, Walk::Down(..) | Walk::Words(_) | Walk::BackToFull);
        let step = match walk {
            Walk::Down(first, last, name) => Step::Down(*first, *last, Name::read(name)?),
            Walk::Words(range) => Step::Words(*range),
            Walk::BackToFull => Step::BackToFull,
            Walk::Up => Step::Up,
            Walk::Next(count) => Step::Next(*count),
            Walk::Previous(count) => Step::Previous(*count),
            Walk::Equals(value) => Step::Equals(value.clone()),
            Walk::NotEquals(value) => Step::NotEquals(value.to_lowercase()),
            Walk::StartsWith(value) => {
                if !before && value.encode_utf16().count() <= MOST_PREFIX {
                    continue;
                }
                Step::StartsWith(value.clone())
            }
            Walk::EndsWith(value) => Step::EndsWith(value.clone()),
            Walk::Contains(value) => Step::Contains(value.to_lowercase()),
            Walk::NotContains(value) => Step::NotContains(value.to_lowercase()),
            Walk::In(table) => Step::In(tables.number(table)?),
            Walk::NotIn(table) => Step::NotIn(tables.number(table)?),
        };
        let by_index =
            matches!(walk, Walk::Down(..) | Walk::Words(_) | Walk::BackToFull | Walk::Equals(_));
        if before || !by_index {
            steps.push(step);
        }
    }
    Ok(())
}

/// What was found: a part of the tree, none for a value from nowhere, and the value, none for the
/// text of the whole part.
pub(super) type Found<'a> = (NodeId, Option<&'a str>);

/// The library's own bounds were passed: it calls such a text an attack on itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exploit;

/// A tree with all that is needed to walk it.
#[derive(Clone, Copy)]
pub(super) struct Walker<'a> {
    pub(super) tree: &'a Tree,
    pub(super) tokens: &'a [Token],
    pub(super) text: &'a str,
    pub(super) tables: &'a Tables,
    pub(super) domains: &'a Domains,
    pub(super) version: u16,
    pub(super) arena: &'a Bump,
}

impl<'a> Walker<'a> {
    /// The text of a part.
    pub(super) fn source(&self, node: NodeId) -> Option<&'a str> {
        (node != NONE).then(|| self.tree.text(node, self.text, self.tokens))
    }

    /// Does the steps from a part on.
    pub(super) fn walk(
        &self,
        steps: &'a [Step],
        node: NodeId,
        value: Option<&'a str>,
    ) -> Result<Option<Found<'a>>, Exploit> {
        if steps.is_empty() { Ok(Some((node, value))) } else { self.step(steps, node, value) }
    }

    fn step(
        &self,
        steps: &'a [Step],
        node: NodeId,
        value: Option<&'a str>,
    ) -> Result<Option<Found<'a>>, Exploit> {
        let Some((step, rest)) = steps.split_first() else {
            return Ok(Some((node, value.or_else(|| self.source(node)))));
        };
        match step {
            Step::Down(first, last, name) => self.down(rest, node, (*first, *last, *name)),
            Step::Up => self.on(rest, self.up(node)),
            Step::Next(count) => self.on(rest, self.next(node, *count)),
            Step::Previous(1) => self.on(rest, self.previous(node)),
            Step::Previous(count) => self.on(rest, self.previous_by(node, *count)?),
            Step::BackToFull => self.step(rest, node, None),
            Step::DefaultIfNull(default) => {
                let found = self.step(rest, node, value)?;
                Ok(match found {
                    Some((_, Some(_))) => found,
                    _ => Some((node, Some(default))),
                })
            }
            Step::LookUp(table, default) => {
                let actual = value.or_else(|| self.source(node));
                let table = self.tables.get(*table);
                let result = actual.and_then(|actual| table.value(&lower(actual)));
                match result.or(default.as_deref()) {
                    Some(value) => self.step(rest, node, Some(value)),
                    None => Ok(None),
                }
            }
            _ => match value.or_else(|| self.source(node)) {
                Some(actual) => match self.change(step, node, actual) {
                    Some(value) => self.step(rest, node, Some(value)),
                    None => Ok(None),
                },
                None => Ok(None),
            },
        }
    }

    fn on(&self, rest: &'a [Step], node: Option<NodeId>) -> Result<Option<Found<'a>>, Exploit> {
        node.map_or(Ok(None), |node| self.step(rest, node, None))
    }

    /// What a step makes of a value; the value itself if it only compares.
    fn change(&self, step: &'a Step, node: NodeId, value: &'a str) -> Option<&'a str> {
        let when = |holds: bool| holds.then_some(value);
        let table = |number: &u16| self.tables.get(*number);
        match step {
            Step::Equals(other) => when(equal(value, other)),
            Step::NotEquals(other) => when(!equal(value, other)),
            Step::StartsWith(other) => when(lower(value).starts_with(&*lower(other))),
            Step::EndsWith(other) => when(lower(value).ends_with(&*lower(other))),
            Step::Contains(other) => when(lower(value).contains(other.as_str())),
            Step::NotContains(other) => when(!lower(value).contains(other.as_str())),
            Step::In(set) => when(table(set).value(&lower(value)).is_some()),
            Step::NotIn(set) => when(table(set).value(&lower(value)).is_none()),
            Step::Words(range) => self.splitter(node).range(value, *range),
            Step::Segments(range) => {
                let found = Splitter::Segments.range(value, *range)?;
                Some(found.trim_matches(|c: char| c <= ' '))
            }
            Step::Concat(before, behind) => Some(self.keep(format!("{before}{value}{behind}"))),
            Step::NormaliseBrand => Some(self.keep(normalise::brand(value))),
            Step::BrandFromUrl => {
                let brand = normalise::brand_of_url(value, self.domains, self.version);
                // Where there is none the library goes on with the whole part.
                brand.map(|brand| self.keep(brand)).or_else(|| self.source(node))
            }
            Step::CleanVersion => Some(self.clean_version(value)),
            Step::IsValidVersion => when(is_valid_version(value)),
            Step::Replace(from, to) if from.is_empty() => {
                let _ = to;
                Some(value)
            }
            Step::Replace(from, to) => Some(self.keep(value.replace(from.as_str(), to))),
            Step::LookUpContains(number, default) => {
                table(number).value_of_part(&lower(value)).or(default.as_deref())
            }
            Step::IsInContains(set) => when(table(set).value_of_part(&lower(value)).is_some()),
            Step::IsNotInContains(set) => when(table(set).value_of_part(&lower(value)).is_none()),
            Step::LookUpPrefix(number, default) => {
                table(number).value_of_prefix(&lower(value)).or(default.as_deref())
            }
            Step::IsInPrefix(set) => when(table(set).value_of_prefix(&lower(value)).is_some()),
            Step::IsNotInPrefix(set) => when(table(set).value_of_prefix(&lower(value)).is_none()),
            _ => unreachable!("the other steps walk"),
        }
    }

    fn keep(&self, text: String) -> &'a str {
        self.arena.alloc_str(&text)
    }

    fn clean_version(&self, value: &'a str) -> &'a str {
        let value = value.strip_prefix(['X', 'x']).unwrap_or(value);
        if !value.contains(['_', '/', ',']) {
            return value;
        }
        self.keep(value.replace('_', ".").replace('/', " ").replace(", ", "."))
    }
}

/// A text in lower case.
pub(super) fn lower(text: &str) -> Cow<'_, str> {
    if text.is_ascii() && !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.to_lowercase())
    }
}

fn equal(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || (!a.is_ascii() && a.to_lowercase() == b.to_lowercase())
}

fn is_valid_version(value: &str) -> bool {
    static VALID: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r"^[A-Za-z]?[0-9]+(?:[_.][0-9]+){0,5}(?:[-_.,][A-Za-z0-9._ -]+)?$";
        Regex::new(pattern).expect("written here")
    });
    VALID.is_match(value)
}
