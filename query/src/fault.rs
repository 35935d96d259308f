//! What is wrong with a query or with what it reads, in words: where it stands in the statement,
//! and what was probably meant.

use std::fmt;

use datafusion::common::{DataFusionError, SchemaError};

use crate::schema::TABLES;

/// What whoever asked can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Write the statement, or the arguments, differently.
    Mistake,
    /// Ask for less, or give more memory or time.
    Limit,
    /// Look at the files or the network.
    Failure,
}

/// A place in a statement, counted from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which line.
    pub(crate) line: usize,
    /// Which character of it.
    pub(crate) column: usize,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Fault {
    /// What can be done.
    pub(crate) kind: Kind,
    /// What is wrong.
    pub(crate) message: String,
    /// Where in the statement.
    pub(crate) place: Option<Place>,
    /// What may have been meant, or what would help.
    pub(crate) hint: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { line, column }) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
    }
}

impl Fault {
    /// Something to write differently.
    pub(crate) fn mistake(message: impl Into<String>) -> Fault {
        Fault { kind: Kind::Mistake, message: message.into(), place: None, hint: None }
    }

    /// A bound that was met.
    pub(crate) fn limit(message: impl Into<String>) -> Fault {
        Fault { kind: Kind::Limit, ..Fault::mistake(message) }
    }

    /// Something that broke.
    pub(crate) fn failure(message: impl Into<String>) -> Fault {
        Fault { kind: Kind::Failure, ..Fault::mistake(message) }
    }

    /// The same, with what would help.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Fault {
        self.hint = Some(hint.into());
        self
    }

    /// What the engine says of a statement.
    pub(crate) fn of(error: &DataFusionError, sql: &str) -> Fault {
        let mut fault = words(error, sql);
        if fault.kind == Kind::Mistake && fault.place.is_none() {
            fault.place = span(error);
        }
        fault
    }

    /// The line of a statement that it is about, with a mark below the place.
    pub(crate) fn excerpt(&self, sql: &str) -> Option<String> {
        let Place { line, column } = self.place?;
        let text = sql.lines().nth(line.checked_sub(1)?)?;
        let shown = text.replace('\t', " ");
        Some(format!("  {shown}\n  {}^", " ".repeat(column.saturating_sub(1))))
    }
}

/// The words, without the place where it takes the engine's marks to know it.
fn words(error: &DataFusionError, sql: &str) -> Fault {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            words(inner, sql)
        }
        DataFusionError::Shared(inner) => words(inner, sql),
        DataFusionError::Collection(errors) if !errors.is_empty() => words(&errors[0], sql),
        DataFusionError::SQL(error, _) => syntax(&error.to_string()),
        DataFusionError::SchemaError(error, _) => of_schema(error, sql),
        DataFusionError::Plan(message) => of_plan(message, sql),
        DataFusionError::NotImplemented(message) => Fault::mistake(without_advice(message)),
        DataFusionError::ResourcesExhausted(message) => {
            let first = message.lines().next().unwrap_or_default();
            Fault::limit(format!("the query needs more memory than it may have ({first})"))
                .hint("`--memory` sets how much that is; fewer columns or groups need less")
        }
        DataFusionError::ArrowError(error, _) => Fault::mistake(error.to_string()),
        DataFusionError::Execution(message) => Fault::mistake(without_advice(message)),
        other => match other.find_root() {
            DataFusionError::ResourcesExhausted(message) => {
                words(&DataFusionError::ResourcesExhausted(message.clone()), sql)
            }
            root => Fault::failure(without_advice(&root.strip_backtrace())),
        },
    }
}

/// What the parser says, which puts the place behind its words.
fn syntax(message: &str) -> Fault {
    let message = message.trim_start_matches("sql parser error: ");
    let Some((said, place)) = message.split_once(" at Line: ") else {
        return Fault::mistake(message);
    };
    let mut numbers = place.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    let mut number = || numbers.next().and_then(|digits| digits.parse().ok());
    let place = number().zip(number()).map(|(line, column)| Place { line, column });
    Fault { place, ..Fault::mistake(lower_first(said)) }
}

fn of_schema(error: &SchemaError, sql: &str) -> Fault {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let wanted = field.name();
            let names: Vec<&str> = valid_fields.iter().map(|field| field.name()).collect();
            let fault = Fault {
                place: find(sql, wanted),
                ..Fault::mistake(format!("there is no column {wanted}"))
            };
            match near(wanted, &names) {
                Some(meant) => fault.hint(format!("did you mean {meant}?")),
                None if names.len() <= 12 && !names.is_empty() => {
                    fault.hint(format!("there are {}", names.join(", ")))
                }
                None => fault,
            }
        }
        SchemaError::AmbiguousReference { field } => {
            let name = field.name();
            let fault = Fault::mistake(format!("{name} is a column of more than one table"));
            Fault { place: find(sql, name), ..fault }.hint("put the table's name before it")
        }
        other => Fault::mistake(other.to_string()),
    }
}

fn of_plan(message: &str, sql: &str) -> Fault {
    // The engine calls a table by its catalog and schema, which nobody here has heard of.
    if let Some(name) = between(message, "table 'snowmelt.public.", "' not found") {
        return Fault {
            place: find(sql, name),
            ..Fault::mistake(format!("there is no table {name}"))
        }
        .hint(format!("there are {}", TABLES.join(", ")));
    }
    if let Some(name) = between(message, "Invalid function '", "'") {
        let fault = Fault {
            place: find(sql, name),
            ..Fault::mistake(format!("there is no function {name}"))
        };
        return match between(message, "Did you mean '", "'") {
            Some(meant) => fault.hint(format!("did you mean {meant}?")),
            None => fault,
        };
    }
    let changes = ["DDL not supported", "DML not supported", "Statement not supported"];
    if changes.iter().any(|change| message.contains(change)) {
        return only_reads();
    }
    Fault::mistake(lower_first(without_advice(message)))
}

/// Said of every statement that is no query.
pub(crate) fn only_reads() -> Fault {
    Fault::mistake("only queries are answered: nothing can be made, changed, set or written")
        .hint("begin with SELECT, WITH, EXPLAIN, SHOW or DESCRIBE")
}

fn span(error: &DataFusionError) -> Option<Place> {
    let span = error.diagnostic()?.span?;
    let (line, column) = (span.start.line as usize, span.start.column as usize);
    (line > 0 && column > 0).then_some(Place { line, column })
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(found, _)| found)
}

/// What the engine adds for its own developers is left out.
fn without_advice(message: &str) -> &str {
    let message = message.split("\n\nbacktrace:").next().unwrap_or(message);
    let message = message.split("\nThis issue was likely caused by").next().unwrap_or(message);
    message.trim()
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_lowercase().to_string());
    // `SQL` and the like stay.
    match text.chars().nth(1).is_some_and(char::is_uppercase) {
        true => text.to_owned(),
        false => first.unwrap_or_default() + letters.as_str(),
    }
}

/// Where a name stands as a word by itself, outside of texts and comments if it is there.
fn find(sql: &str, name: &str) -> Option<Place> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let lower = sql.to_ascii_lowercase();
    let name = name.to_ascii_lowercase();
    let alone = lower.match_indices(&name).find(|(at, found)| {
        let before = lower[..*at].chars().next_back();
        let after = lower[at + found.len()..].chars().next();
        let quoted = lower[..*at].matches('\'').count() % 2 == 1;
        !quoted && !before.is_some_and(is_word) && !after.is_some_and(is_word)
    });
    let (at, _) = alone.filter(|_| !name.is_empty())?;
    let line = lower[..at].matches('\n').count() + 1;
    let begins = lower[..at].rfind('\n').map_or(0, |at| at + 1);
    Some(Place { line, column: lower[begins..at].chars().count() + 1 })
}

/// The names that are spelled nearly like one, the nearest first; at most three.
pub(crate) fn near(wanted: &str, names: &[&str]) -> Option<String> {
    let wanted = wanted.to_lowercase();
    let most = (wanted.chars().count() / 3).max(1);
    let mut close: Vec<(usize, &str)> = Vec::new();
    for name in names {
        let lower = name.to_lowercase();
        // A part of a name counts: `country` for `geo_country`.
        let part = wanted.len() >= 4 && lower.split('_').any(|part| distance(part, &wanted) <= 1);
        let far = distance(&lower, &wanted);
        match (far <= most, part || (wanted.len() >= 4 && lower.contains(&wanted))) {
            (true, _) => close.push((far, name)),
            (false, true) => close.push((most + 1, name)),
            (false, false) => {}
        }
    }
    close.sort();
    close.dedup();
    let names: Vec<&str> = close.iter().take(3).map(|(_, name)| *name).collect();
    (!names.is_empty()).then(|| names.join(" or "))
}

/// How many letters must be put in, left out or changed, two that are swapped counting once.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let width = b.len() + 1;
    let mut table = vec![0; (a.len() + 1) * width];
    (0..=b.len()).for_each(|j| table[j] = j);
    for i in 1..=a.len() {
        table[i * width] = i;
        for j in 1..=b.len() {
            let at = |i: usize, j: usize| i * width + j;
            let changed = table[at(i - 1, j - 1)] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(table[at(i - 1, j)] + 1).min(table[at(i, j - 1)] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(table[at(i - 2, j - 2)] + 1);
            }
            table[at(i, j)] = least;
        }
    }
    table[a.len() * width + b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_spelled_alike_are_near() {
        let names = ["app_id", "geo_country", "event_id", "event_name", "collector_tstamp"];
        for (wanted, expected) in [
            ("appid", Some("app_id")),
            ("event_nmae", Some("event_name")),
            ("country", Some("geo_country")),
            ("colector_tstamp", Some("collector_tstamp")),
            ("EVENT_ID", Some("event_id")),
            ("zzzzzz", None),
        ] {
            let found = near(wanted, &names);
            let first = found.as_deref().and_then(|all| all.split(' ').next());
            assert_eq!(first, expected);
        }
    }

    #[test]
    fn distances_are_those_of_damerau() {
        for (a, b, expected) in
            [("", "", 0), ("a", "", 1), ("ab", "ba", 1), ("kitten", "sitting", 3), ("é", "e", 1)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn places_are_of_words_by_themselves() {
        let sql = "SELECT 'ab', xab,\n  ab FROM t";
        assert_eq!(find(sql, "ab"), Some(Place { line: 2, column: 3 }));
        assert_eq!(find(sql, "none"), None);
        let fault = Fault { place: find(sql, "ab"), ..Fault::mistake("no ab") };
        assert_eq!(fault.excerpt(sql).as_deref(), Some("    ab FROM t\n    ^"));
        assert_eq!(fault.to_string(), "line 2, column 3: no ab");
    }

    #[test]
    fn the_parsers_place_is_taken_out_of_its_words() {
        let fault =
            syntax("sql parser error: Expected: end of statement, found: x at Line: 3, Column: 14");
        assert_eq!(fault.place, Some(Place { line: 3, column: 14 }));
        assert_eq!(fault.message, "expected: end of statement, found: x");
    }
}
