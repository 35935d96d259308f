//! Entities of parameters whose names have numbers inside, as `pr1id` and `il1pi2nm`.
//!
//! A parameter belongs to the entity of its numbers. A peer puts values together by the order in
//! which they come instead, and mixes entities up as soon as one has a member that another lacks.

use bumpalo::collections::Vec as BumpVec;
use event::reason::{Reason, Words};

use super::fields::{COMPOSITE, Composite, Kind};
use super::{convert, schema_hash};
use crate::adapt::tree::{Json, quoted};
use crate::adapt::webhook::Request;
use event::map_order;

const PATTERN: &str = r"(pr|promo|il|cd|cm|cg)(\d+)([a-zA-Z]*)(\d*)([a-zA-Z]*)(\d*)$";

/// A parameter's name taken apart.
struct Name<'a> {
    words: String,
    /// The words from each that has a number behind it to the last of these, with the number.
    numbers: Vec<(String, &'a str)>,
}

/// An entity under construction.
struct Row<'a> {
    numbers: Vec<&'a str>,
    members: Vec<(&'static str, &'a str, Kind)>,
}

/// The entities of all such parameters, with the Iglu URIs of their schemas.
pub(super) fn entities<'r, 'a>(
    parameters: &[(&'a str, &'a str)],
    request: &'r Request<'_, 'a>,
) -> Result<Vec<(&'r str, Json<'a>)>, Reason> {
    let numbered = |(name, _): &&(&str, &str)| name.contains(char::is_numeric);
    let mut sorted: Vec<_> = parameters.iter().filter(numbered).copied().collect();
    if sorted.is_empty() {
        return Ok(Vec::new());
    }
    sorted.sort_unstable();
    let mut names = Vec::with_capacity(sorted.len());
    for (name, value) in sorted {
        names.push((Name::of(name)?, value));
    }
    let known = known(&names);
    let currency = parameters.iter().find(|(name, _)| *name == "cu").map(|(_, value)| *value);
    let mut entities = Vec::new();
    for entity in mentioned(&known, request) {
        let rows = rows(entity, &names);
        let members = members(entity, &known);
        // Of all that is wrong the first is told, column by column.
        for member in &members {
            for row in &rows {
                row.value(entity, member, request).transpose()?;
            }
        }
        for row in rows {
            let mut data = BumpVec::with_capacity_in(members.len() + 1, request.arena);
            let currency = currency.filter(|_| entity.currency);
            data.extend(
                currency.map(|code| ("currencyCode", Json::Scalar(quoted(code, request.arena)))),
            );
            for member in &members {
                if let Some(value) = row.value(entity, member, request) {
                    data.push((*member, value?));
                }
            }
            map_order::sort(&mut data, |(key, _)| map_order::text_hash(key));
            entities.push((request.schema_of(entity.setting), Json::Object(data)));
        }
    }
    Ok(entities)
}

/// The entities of a kind that have more members than their numbers.
fn rows<'a>(entity: &Composite, names: &[(Name<'a>, &'a str)]) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = Vec::new();
    for (name, value) in names {
        let field = entity.fields.iter().find(|(field, ..)| *field == name.words);
        let Some((_, member, kind)) = field else { continue };
        let same = name.numbers.len() == entity.numbers.len()
            && name.numbers.iter().zip(entity.numbers).all(|((a, _), (b, _))| a == b);
        if !same {
            continue;
        }
        let numbers: Vec<&str> = name.numbers.iter().map(|(_, number)| *number).collect();
        // Names are sorted, so those with equal numbers follow one another.
        match rows.last_mut().filter(|row| row.numbers == numbers) {
            Some(row) => row.members.push((member, value, *kind)),
            None => rows.push(Row { numbers, members: vec![(member, value, *kind)] }),
        }
    }
    rows
}

impl<'a> Row<'a> {
    fn value(
        &self,
        entity: &Composite,
        member: &str,
        request: &Request<'_, 'a>,
    ) -> Option<Result<Json<'a>, Reason>> {
        let number = entity.numbers.iter().position(|(_, known)| *known == member);
        if let Some(place) = number {
            return Some(convert(Kind::Int, member, self.numbers[place], request.arena));
        }
        let (_, value, kind) = self.members.iter().find(|(known, ..)| *known == member)?;
        Some(convert(*kind, member, value, request.arena))
    }
}

/// All words that the names come to, those before numbers marked, in the order in which a peer goes
/// through them.
fn known(names: &[(Name<'_>, &str)]) -> Vec<String> {
    let of_name = |name: &Name<'_>| {
        let numbers = name.numbers.iter().map(|(words, _)| format!("{NUMBER}{words}"));
        numbers.chain([name.words.clone()]).collect::<Vec<_>>()
    };
    // Values come before numbers.
    let mut all: Vec<String> = names.iter().map(|(name, _)| name.words.clone()).collect();
    all.extend(names.iter().flat_map(|(name, _)| of_name(name)));
    let mut seen = std::collections::HashSet::new();
    all.retain(|word| seen.insert(word.clone()));
    map_order::sort_grouped(&mut all, |word| map_order::text_hash(word));
    all
}

/// What a peer puts before words that have a number behind them.
const NUMBER: &str = "IF";

/// The kinds of entity that have such a word, in a peer's order.
fn mentioned(known: &[String], request: &Request<'_, '_>) -> Vec<&'static Composite> {
    let mut mentioned: Vec<&Composite> = Vec::new();
    for word in known {
        for entity in &COMPOSITE {
            let is_new = !mentioned.iter().any(|known| known.setting == entity.setting);
            if is_new && member(entity, word).is_some() {
                mentioned.push(entity);
            }
        }
    }
    map_order::sort(&mut mentioned, |entity| schema_hash(request.schema_of(entity.setting)));
    mentioned
}

/// The members that such words become, in a peer's order.
fn members(entity: &Composite, known: &[String]) -> Vec<&'static str> {
    let mut members: Vec<_> = known.iter().filter_map(|word| member(entity, word)).collect();
    map_order::sort(&mut members, |member| map_order::text_hash(member));
    members
}

fn member(entity: &Composite, word: &str) -> Option<&'static str> {
    match word.strip_prefix(NUMBER) {
        Some(word) => entity.numbers.iter().find(|(known, _)| *known == word).map(|found| found.1),
        None => entity.fields.iter().find(|(known, ..)| *known == word).map(|found| found.1),
    }
}

impl<'a> Name<'a> {
    fn of(name: &'a str) -> Result<Name<'a>, Reason> {
        Name::parts(name).ok_or_else(|| {
            let expectation = format!("composite field name has to conform to regex {PATTERN}");
            Reason::input(name.to_owned(), None, Words::own(expectation))
        })
    }

    fn parts(name: &'a str) -> Option<Name<'a>> {
        /// The first word is one of a few; two more may follow, each with a number or not.
        const WORDS: usize = 3;
        let mut rest = name;
        let (mut words, mut numbers) = (Vec::new(), Vec::new());
        for index in 0..WORDS {
            let word = run(&mut rest, |byte| byte.is_ascii_alphabetic());
            let number = run(&mut rest, |byte| byte.is_ascii_digit());
            match index {
                0 if !matches!(word, "pr" | "promo" | "il" | "cd" | "cm" | "cg") => return None,
                0 if number.is_empty() => return None,
                _ => {}
            }
            words.extend(Some(word).filter(|word| !word.is_empty()));
            numbers.extend(Some(number).filter(|number| !number.is_empty()));
        }
        if !rest.is_empty() {
            return None;
        }
        let counted = &words[..numbers.len()];
        let from = |index: usize| counted[index..].concat();
        let numbers = numbers.iter().enumerate().map(|(index, number)| (from(index), *number));
        Some(Name { numbers: numbers.collect(), words: words.concat() })
    }
}

/// Takes the longest run of such bytes from the beginning.
fn run<'a>(rest: &mut &'a str, is: impl Fn(u8) -> bool) -> &'a str {
    let end = rest.bytes().position(|byte| !is(byte)).unwrap_or(rest.len());
    let (run, after) = rest.split_at(end);
    *rest = after;
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fall_apart_at_their_numbers() {
        let parts = |name| {
            let name = Name::parts(name)?;
            Some((name.words, name.numbers))
        };
        let number = |words: &str, number| (words.to_owned(), number);
        for (name, words, numbers) in [
            ("pr12", "pr", vec![number("pr", "12")]),
            ("pr12id", "prid", vec![number("pr", "12")]),
            ("promo1nm", "promonm", vec![number("promo", "1")]),
            ("pr12cd3", "prcd", vec![number("prcd", "12"), number("cd", "3")]),
            ("il1pi2id", "ilpiid", vec![number("ilpi", "1"), number("pi", "2")]),
            (
                "il1pi2cd3",
                "ilpicd",
                vec![number("ilpicd", "1"), number("picd", "2"), number("cd", "3")],
            ),
        ] {
            assert_eq!(parts(name), Some((words.to_owned(), numbers)), "{name}");
        }
        for name in ["", "x1", "pr", "1", "pr1-", "il1pi2cd3x", "promotion1"] {
            assert_eq!(parts(name), None, "{name}");
        }
    }
}
