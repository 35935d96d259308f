//! Showing how the fields of a user agent come about: the parts that matchers can name, the
//! matchers that fired, and the fields.

use std::collections::BTreeMap;

use super::analyse;
use super::engine::Engine;
use super::fields::FieldId;
use super::run::{Room, Witness};

/// How the fields of a user agent came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The version of the rules: 31 of 7.31.
    pub version: u16,
    /// Every part of the tree, by its path, with its text.
    pub parts: Vec<(String, String)>,
    /// The matchers that fired, in the order in which they did.
    pub matchers: Vec<MatcherFired>,
    /// The fields with their values and weights; a negative weight is that of a default.
    pub fields: Vec<(String, String, i64)>,
}

/// A matcher that fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatcherFired {
    /// Its file and line.
    pub place: String,
    /// The fields it set, the values, and the weights that decide between matchers.
    pub set: Vec<(String, String, i64)>,
}

struct Notes<'e> {
    engine: &'e Engine,
    parts: Vec<(String, String)>,
    matchers: Vec<MatcherFired>,
}

impl Witness for Notes<'_> {
    fn part(&mut self, path: &str, value: &str) {
        self.parts.push((path.to_owned(), value.to_owned()));
    }

    fn matched(&mut self, matcher: u32, set: &[(FieldId, &str, i64)]) {
        let rules = &self.engine.rules;
        let source = &rules.matchers[matcher as usize];
        let place = format!("{}:{}", rules.files[usize::from(source.file)], source.line);
        let set = set.iter().map(|(field, value, weight)| {
            (self.engine.names.name(*field).to_owned(), (*value).to_owned(), *weight)
        });
        self.matchers.push(MatcherFired { place, set: set.collect() });
    }
}

/// Finds the fields of a user agent and notes what happens on the way.
pub(super) fn explain(engine: &Engine, useragent: &str, headers: &[(&str, &str)]) -> Explained {
    let mut notes = Notes { engine, parts: Vec::new(), matchers: Vec::new() };
    let headers = headers.iter().copied();
    let mut room = Room::default();
    let useragent = Some(useragent);
    let fields = analyse(engine, useragent, headers, &mut room, Some(&mut notes), |fields| {
        let shown = fields.shown();
        let shown: BTreeMap<&str, (&str, i64)> =
            shown.map(|(name, value, weight)| (name, (value, weight))).collect();
        let owned = shown
            .into_iter()
            .map(|(name, (value, weight))| (name.to_owned(), value.to_owned(), weight));
        owned.collect()
    });
    let Notes { parts, matchers, .. } = notes;
    Explained { version: engine.rules.version, parts, matchers, fields }
}
