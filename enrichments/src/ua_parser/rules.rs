//! The published rules: which patterns there are, which of them a user agent may match at all, and
//! what the first that does makes of it.
//!
//! There are more than a thousand patterns, and a day's traffic needs a quarter of them. So reading
//! the rules only finds which pieces of text each pattern needs ([`pieces`]); a pattern is compiled
//! when a user agent first contains its pieces.

use std::borrow::Cow;

use aho_corasick::AhoCorasick;
use saphyr::{LoadableYamlNode, Scalar, Yaml};

use super::pattern::{Groups, Pattern, Room};
use super::pieces;

/// The three lists of rules.
pub(super) struct Rules {
    /// Family and three parts of a version.
    pub(super) browsers: List,
    /// Family and four parts of a version.
    pub(super) systems: List,
    /// Family.
    pub(super) devices: List,
}

/// What a rule makes of a user agent: a family and the parts of a version.
pub(super) type Parts<'u> = [Option<Cow<'u, str>>; 5];

/// Rules of one kind in their order; the first that matches counts.
pub(super) struct List {
    rules: Vec<Rule>,
    /// How many parts come from the pattern's groups, in their order.
    groups: usize,
    /// Finds the pieces that patterns need.
    automaton: AhoCorasick,
    /// The choices that each piece serves.
    by_piece: Vec<Vec<usize>>,
    /// The rule that each choice belongs to.
    by_choice: Vec<usize>,
    /// How many choices each rule needs served.
    needed: Vec<u8>,
}

struct Rule {
    pattern: Pattern,
    /// What to write in place of each group.
    replacements: [Option<Replacement>; 5],
}

enum Replacement {
    Text(String),
    /// A text in which `$1` to `$9` stand for groups.
    Template(String),
}

impl Rules {
    /// Reads the rules from YAML.
    pub(super) fn read(text: &str) -> Result<Rules, String> {
        let documents = Yaml::load_from_str(text).map_err(|error| error.to_string())?;
        let document = documents.first().ok_or("an empty file")?;
        let browser = ["family_replacement", "v1_replacement", "v2_replacement", "v3_replacement"];
        let system = [
            "os_replacement",
            "os_v1_replacement",
            "os_v2_replacement",
            "os_v3_replacement",
            "os_v4_replacement",
        ];
        Ok(Rules {
            browsers: List::read(document, "user_agent_parsers", &browser)?,
            systems: List::read(document, "os_parsers", &system)?,
            devices: List::read(document, "device_parsers", &["device_replacement"])?,
        })
    }
}

impl List {
    fn read(document: &Yaml<'_>, name: &str, replacements: &[&str]) -> Result<List, String> {
        let rules = document.as_mapping_get(name).and_then(Yaml::as_vec);
        let rules = rules.ok_or_else(|| format!("no list {name}"))?;
        let rules = rules.iter().map(|rule| Rule::read(rule, replacements));
        List::new(rules.collect::<Result<_, _>>()?, replacements.len())
    }

    fn new(rules: Vec<Rule>, groups: usize) -> Result<List, String> {
        let (mut pieces, mut by_choice, mut needed) = (Vec::new(), Vec::new(), Vec::new());
        for (index, rule) in rules.iter().enumerate() {
            let pattern = &rule.pattern;
            let choices = pieces::needed(pattern.text(), pattern.ignores_case());
            let choices = choices.map_err(|error| format!("{}: {error}", pattern.text()))?;
            needed.push(u8::try_from(choices.len()).expect("choices are few"));
            for choice in choices {
                pieces.extend(choice.into_iter().map(|piece| (piece, by_choice.len())));
                by_choice.push(index);
            }
        }
        pieces.sort_unstable();
        let (mut texts, mut by_piece) = (Vec::new(), Vec::<Vec<usize>>::new());
        for (piece, choice) in pieces {
            if texts.last() != Some(&piece) {
                texts.push(piece);
                by_piece.push(Vec::new());
            }
            by_piece.last_mut().expect("a piece was just added").push(choice);
        }
        let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(texts);
        let automaton = automaton.map_err(|error| error.to_string())?;
        Ok(List { rules, groups, automaton, by_piece, by_choice, needed })
    }

    /// What the first rule that matches makes of a user agent; nothing if none does.
    pub(super) fn first<'u>(&self, useragent: &'u str) -> Parts<'u> {
        let missing = self.missing(useragent);
        let candidates = self.rules.iter().zip(missing).filter(|(_, missing)| *missing == 0);
        let mut room = Room::default();
        let mut found =
            candidates.filter_map(|(rule, _)| rule.parts(useragent, self.groups, &mut room));
        found.next().unwrap_or_default()
    }

    /// How many choices of each rule no piece in the user agent serves.
    fn missing(&self, useragent: &str) -> Vec<u8> {
        let mut missing = self.needed.clone();
        let mut seen = vec![false; self.by_piece.len()];
        let mut served = vec![false; self.by_choice.len()];
        for found in self.automaton.find_overlapping_iter(useragent) {
            let piece = found.pattern().as_usize();
            if std::mem::replace(&mut seen[piece], true) {
                continue;
            }
            for &choice in &self.by_piece[piece] {
                if !std::mem::replace(&mut served[choice], true) {
                    missing[self.by_choice[choice]] -= 1;
                }
            }
        }
        missing
    }
}

impl Rule {
    fn read(rule: &Yaml<'_>, names: &[&str]) -> Result<Rule, String> {
        let mut replacements = [const { None }; 5];
        for (replacement, name) in replacements.iter_mut().zip(names) {
            let text = member(rule, name)?.filter(|text| !text.trim().is_empty());
            *replacement = text.map(Replacement::new);
        }
        let pattern = member(rule, "regex")?.ok_or("a rule without regex")?;
        let ignore_case = member(rule, "regex_flag")?.is_some_and(|flag| flag == "i");
        Ok(Rule { pattern: Pattern::new(pattern, ignore_case), replacements })
    }

    /// What the rule makes of a user agent that matches it.
    fn parts<'u>(&self, useragent: &'u str, groups: usize, room: &mut Room) -> Option<Parts<'u>> {
        let found = self.pattern.find(useragent, room)?;
        let mut parts = [const { None }; 5];
        for (index, part) in parts.iter_mut().enumerate().take(groups) {
            let text = match &self.replacements[index] {
                Some(Replacement::Text(text)) => Cow::Owned(text.clone()),
                Some(Replacement::Template(text)) => filled(text, &found).into(),
                None => found.get(index + 1),
            };
            *part = Some(text).filter(|text| !text.is_empty());
        }
        Some(parts)
    }
}

impl Replacement {
    fn new(text: String) -> Replacement {
        let has_groups = text.as_bytes().windows(2).any(|w| w[0] == b'$' && w[1].is_ascii_digit());
        if has_groups { Replacement::Template(text) } else { Replacement::Text(text) }
    }
}

/// A template with its groups, without white space around it.
fn filled(template: &str, found: &Groups<'_>) -> String {
    let mut pieces = template.split('$');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.chars().next().and_then(|digit| digit.to_digit(10)) {
            Some(digit) => {
                text.push_str(&found.get(digit as usize));
                text.push_str(&piece[1..]);
            }
            None => {
                text.push('$');
                text.push_str(piece);
            }
        }
    }
    text.trim().to_owned()
}

fn member(rule: &Yaml<'_>, name: &str) -> Result<Option<String>, String> {
    match rule.as_mapping_get(name) {
        None | Some(Yaml::Value(Scalar::Null)) => Ok(None),
        Some(Yaml::Value(Scalar::String(text))) => Ok(Some(text.to_string())),
        Some(Yaml::Value(Scalar::Integer(number))) => Ok(Some(number.to_string())),
        Some(_) => Err(format!("a rule whose {name} is no text")),
    }
}
