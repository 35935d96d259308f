//! The published rules: which patterns there are, which of them a user agent may match at all, and
//! the first that does.
//!
//! There are more than a thousand patterns. Compiling them all takes a third of a second and tens
//! of megabytes, and a day's traffic needs a tenth of them. So reading the rules only finds which
//! pieces of text each pattern needs ([`atoms`]); a pattern is compiled when a user agent first
//! contains its pieces. One that cannot be compiled then matches nothing.

use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use ua_parser::{device, os, user_agent};

use super::atoms;

/// The three lists of rules.
pub(super) struct Rules {
    pub(super) browsers: List<user_agent::Extractor<'static>>,
    pub(super) systems: List<os::Extractor<'static>>,
    pub(super) devices: List<device::Extractor<'static>>,
}

/// Rules of one kind in their order; the first that matches counts.
pub(super) struct List<E> {
    rules: Vec<Rule<E>>,
    /// Finds the pieces that patterns need.
    automaton: AhoCorasick,
    /// The rules that need each piece.
    by_atom: Vec<Vec<usize>>,
    /// The rules of which nothing is known.
    always: Vec<usize>,
}

struct Rule<E> {
    text: Text,
    extractor: OnceLock<Option<E>>,
    build: fn(&Text) -> Option<E>,
}

/// A rule as the file has it: the pattern, whether its letters' case counts, and what replaces
/// which part of the answer.
struct Text {
    regex: String,
    ignore_case: bool,
    replacements: [Option<String>; 5],
}

impl Rules {
    /// Reads the rules from YAML.
    pub(super) fn read(text: &str) -> Result<Rules, String> {
        let documents = Yaml::load_from_str(text).map_err(|error| error.to_string())?;
        let document = documents.first().ok_or("an empty file")?;
        Ok(Rules {
            browsers: List::read(
                document,
                "user_agent_parsers",
                ["family_replacement", "v1_replacement", "v2_replacement", "v3_replacement", ""],
                browser,
            )?,
            systems: List::read(
                document,
                "os_parsers",
                [
                    "os_replacement",
                    "os_v1_replacement",
                    "os_v2_replacement",
                    "os_v3_replacement",
                    "os_v4_replacement",
                ],
                system,
            )?,
            devices: List::read(
                document,
                "device_parsers",
                ["device_replacement", "", "", "", ""],
                device,
            )?,
        })
    }
}

impl<E> List<E> {
    fn read(
        document: &Yaml<'_>,
        name: &str,
        replacements: [&str; 5],
        build: fn(&Text) -> Option<E>,
    ) -> Result<List<E>, String> {
        let rules = document.as_mapping_get(name).and_then(Yaml::as_vec);
        let rules = rules.ok_or_else(|| format!("no list {name}"))?;
        let rules = rules.iter().map(|rule| Rule::read(rule, replacements, build));
        List::new(rules.collect::<Result<_, _>>()?)
    }

    fn new(rules: Vec<Rule<E>>) -> Result<List<E>, String> {
        let mut pieces: Vec<(String, usize)> = Vec::new();
        let mut always = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            let Text { regex, ignore_case, .. } = &rule.text;
            let needed = atoms::needed(regex, *ignore_case);
            match needed.map_err(|error| format!("{regex}: {error}"))? {
                Some(needed) => pieces.extend(needed.into_iter().map(|piece| (piece, index))),
                None => always.push(index),
            }
        }
        pieces.sort_unstable();
        let (mut atoms, mut by_atom) = (Vec::new(), Vec::<Vec<usize>>::new());
        for (piece, index) in pieces {
            if atoms.last() != Some(&piece) {
                atoms.push(piece);
                by_atom.push(Vec::new());
            }
            by_atom.last_mut().expect("an atom was just added").push(index);
        }
        let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(atoms);
        let automaton = automaton.map_err(|error| error.to_string())?;
        Ok(List { rules, automaton, by_atom, always })
    }

    /// What the first rule that matches makes of a user agent.
    pub(super) fn first<'e, T>(
        &'e self,
        useragent: &str,
        extract: impl Fn(&'e E) -> Option<T>,
    ) -> Option<T> {
        let mut candidates = self.always.clone();
        for found in self.automaton.find_overlapping_iter(useragent) {
            candidates.extend_from_slice(&self.by_atom[found.pattern().as_usize()]);
        }
        candidates.sort_unstable();
        candidates.dedup();
        candidates.into_iter().find_map(|index| extract(self.rules[index].extractor()?))
    }
}

impl<E> Rule<E> {
    fn read(
        rule: &Yaml<'_>,
        replacements: [&str; 5],
        build: fn(&Text) -> Option<E>,
    ) -> Result<Rule<E>, String> {
        let mut texts = [const { None }; 5];
        for (text, name) in texts.iter_mut().zip(replacements) {
            *text = member(rule, name)?;
        }
        let text = Text {
            regex: member(rule, "regex")?.ok_or("a rule without regex")?,
            ignore_case: member(rule, "regex_flag")?.is_some_and(|flag| flag == "i"),
            replacements: texts,
        };
        Ok(Rule { text, extractor: OnceLock::new(), build })
    }

    fn extractor(&self) -> Option<&E> {
        self.extractor.get_or_init(|| (self.build)(&self.text)).as_ref()
    }
}

fn member(rule: &Yaml<'_>, name: &str) -> Result<Option<String>, String> {
    match rule.as_mapping_get(name) {
        None | Some(Yaml::Value(Scalar::Null)) => Ok(None),
        Some(Yaml::Value(Scalar::String(text))) => Ok(Some(text.to_string())),
        Some(Yaml::Value(Scalar::Integer(number))) => Ok(Some(number.to_string())),
        Some(_) => Err(format!("a rule whose {name} is no text")),
    }
}

fn browser(text: &Text) -> Option<user_agent::Extractor<'static>> {
    let [family, v1, v2, v3, _] = text.replacements.clone().map(|text| text.map(Into::into));
    let rule = user_agent::Parser {
        regex: text.regex.clone().into(),
        family_replacement: family,
        v1_replacement: v1,
        v2_replacement: v2,
        v3_replacement: v3,
        v4_replacement: None,
    };
    user_agent::Builder::new().push(rule).ok()?.build().ok()
}

fn system(text: &Text) -> Option<os::Extractor<'static>> {
    let [family, v1, v2, v3, v4] = text.replacements.clone().map(|text| text.map(Into::into));
    let rule = os::Parser {
        regex: text.regex.clone().into(),
        os_replacement: family,
        os_v1_replacement: v1,
        os_v2_replacement: v2,
        os_v3_replacement: v3,
        os_v4_replacement: v4,
    };
    os::Builder::new().push(rule).ok()?.build().ok()
}

fn device(text: &Text) -> Option<device::Extractor<'static>> {
    let rule = device::Parser {
        regex: text.regex.clone().into(),
        regex_flag: text.ignore_case.then_some(device::Flag::IgnoreCase),
        device_replacement: text.replacements[0].clone().map(Into::into),
        ..device::Parser::default()
    };
    device::Builder::new().push(rule).ok()?.build().ok()
}
