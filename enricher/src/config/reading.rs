//! Settings out of a text, and all that cannot be read of them: where a value is no setting, it is
//! left out and the rest is read again.

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::Config;

/// So many mistakes are told at most.
const MOST: usize = 50;

/// A mistake takes a few rounds: what it leaves a table without, and the table, go after it.
const ROUNDS: usize = MOST * 8;

/// What a text comes to.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The settings; without those left out, if they can be without them.
    pub(super) config: Option<Config>,
    /// What is wrong, and the offset where it stands.
    pub(super) mistakes: Vec<(Option<usize>, String)>,
    /// The tables of which something was left out.
    pub(super) left_out: Vec<String>,
}

impl Reading {
    pub(super) fn of(text: &str) -> Reading {
        let mut reading = Reading::default();
        let (mut document, errors) = DeTable::parse_recoverable(text);
        let words = |error: toml::de::Error| {
            (error.span().map(|span| span.start), error.message().to_owned())
        };
        if !errors.is_empty() {
            // What is no TOML means something else than it seems to.
            reading.mistakes = errors.into_iter().take(MOST).map(words).collect();
            return reading;
        }
        let stand_ins = DeTable::parse(STAND_INS).expect("it is TOML").into_inner();
        let mut taken: Vec<Vec<String>> = Vec::new();
        // Each round takes something out or puts something in that was not there.
        for _ in 0..ROUNDS {
            if reading.mistakes.len() >= MOST {
                break;
            }
            let error = match Config::deserialize(Deserializer::from(document.clone())) {
                Ok(config) => {
                    reading.config = Some(config);
                    break;
                }
                Err(error) => error,
            };
            let missing = missing(&error);
            let ours = missing.and_then(|name| lost(document.get_ref(), &taken, name));
            let whole = missing.filter(|_| ours.is_none()).and_then(|name| {
                let absent = document.get_ref().get(name).is_none();
                stand_ins.get_key_value(name).filter(|_| absent)
            });
            if let Some((key, stand_in)) = whole {
                reading.mistakes.push(words(error));
                reading.left_out.push(key.get_ref().to_string());
                document.get_mut().insert(key.clone(), stand_in.clone());
                continue;
            }
            let path = match ours {
                Some(mut path) => {
                    // What was taken out cannot be missed: its table goes, too, or gets another.
                    let name = path.pop().unwrap_or_default();
                    if path.is_empty() {
                        let Some(stand_in) = stand_ins.get(name.as_str()) else { break };
                        let key = Spanned::new(0..0, name.into());
                        document.get_mut().insert(key, stand_in.clone());
                        continue;
                    }
                    take_out(document.get_mut(), &path);
                    path
                }
                None => {
                    let start = error.span().map(|span| span.start);
                    let found = start.and_then(|start| leave_out(document.get_mut(), start));
                    // What a table misses may be what was taken out of it.
                    let told = found
                        .as_ref()
                        .is_some_and(|table| taken.iter().any(|path| path.starts_with(table)));
                    if !told {
                        reading.mistakes.push(words(error));
                    }
                    let Some(path) = found else { break };
                    path
                }
            };
            reading.left_out.extend(path.first().cloned());
            taken.push(path);
        }
        reading
    }
}

/// The field that a table is said to lack.
fn missing(error: &toml::de::Error) -> Option<&str> {
    error.message().strip_prefix("missing field `")?.strip_suffix('`')
}

/// The way to a setting of that name which was taken out. Of several tables that lost one, a table
/// that is still there lacks it.
fn lost(document: &DeTable<'_>, taken: &[Vec<String>], name: &str) -> Option<Vec<String>> {
    let of_that_name =
        |path: &&Vec<String>| path.last().is_some_and(|last| last == name) && lacks(document, path);
    taken.iter().find(of_that_name).cloned()
}

/// What stands in for tables that nothing goes without, so that the rest can be read.
const STAND_INS: &str = "source = { stream = \"a\" }\nleases = { table = \"abc\" }\n\
                         enriched = { kinesis = { stream = \"b\" } }\n\
                         bad = { kinesis = { stream = \"c\" } }\n";

/// Takes out the innermost entry that the offset is in; returns the names on the way to it. The
/// span of a table with a header is its header alone, so what is below is looked at first.
fn leave_out(table: &mut DeTable<'_>, at: usize) -> Option<Vec<String>> {
    let names: Vec<(String, bool)> = table
        .iter()
        .map(|(key, value)| (key.get_ref().to_string(), is_in(key, at) || is_in(value, at)))
        .collect();
    for (name, _) in &names {
        let deeper = match table.get_mut(name.as_str()).map(Spanned::get_mut) {
            Some(DeValue::Table(inner)) => leave_out(inner, at),
            Some(DeValue::Array(list)) => list.iter_mut().find_map(|value| match value.get_mut() {
                DeValue::Table(inner) => leave_out(inner, at),
                _ => None,
            }),
            _ => None,
        };
        if let Some(deeper) = deeper {
            return Some([vec![name.clone()], deeper].concat());
        }
    }
    let (name, _) = names.into_iter().find(|(_, here)| *here)?;
    table.remove(name.as_str());
    Some(vec![name])
}

/// Takes out the entry that is reached by these names.
fn take_out(table: &mut DeTable<'_>, path: &[String]) {
    let [name, rest @ ..] = path else { return };
    match table.get_mut(name.as_str()).map(Spanned::get_mut) {
        Some(DeValue::Table(inner)) if !rest.is_empty() => take_out(inner, rest),
        _ => drop(table.remove(name.as_str())),
    }
}

/// Whether the table that these names lead to is there, and has no entry of the last name.
fn lacks(table: &DeTable<'_>, path: &[String]) -> bool {
    let Some((name, rest)) = path.split_first() else { return false };
    match table.get(name.as_str()).map(Spanned::get_ref) {
        None => rest.is_empty(),
        Some(_) if rest.is_empty() => false,
        Some(DeValue::Table(inner)) => lacks(inner, rest),
        Some(DeValue::Array(list)) => list.iter().any(|value| match value.get_ref() {
            DeValue::Table(inner) => lacks(inner, rest),
            _ => false,
        }),
        Some(_) => false,
    }
}

fn is_in<T>(part: &Spanned<T>, at: usize) -> bool {
    part.span().contains(&at)
}
