//! Which pieces of text a pattern needs, as a list of choices: every text that matches contains at
//! least one piece of each choice.
//!
//! Pieces are in lower case and are to be looked for in any case of ASCII, which is right for
//! patterns of either kind.

use std::collections::BTreeSet;

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

type Texts = BTreeSet<String>;

/// More texts than this are not enumerated: a list of years, not every version.
const MOST: usize = 24;

/// Pieces shorter than this stand in nearly every user agent.
const SHORTEST: usize = 2;

/// More choices than this hardly refuse a pattern that the first ones let through.
const MOST_CHOICES: usize = 4;

/// The choices of pieces that a pattern needs; none where nothing is known. The error says why the
/// pattern is none.
pub(super) fn needed(pattern: &str, ignore_case: bool) -> Result<Vec<Texts>, String> {
    let parse = |unicode| {
        let mut parser = ParserBuilder::new();
        parser.case_insensitive(ignore_case).unicode(unicode).utf8(false);
        parser.build().parse(pattern).map_err(|error| error.to_string())
    };
    let pattern = parse(false).or_else(|_| parse(true))?;
    Ok(Needs::of(&pattern).telling())
}

/// What is known of a part of a pattern.
#[derive(Default)]
struct Needs {
    /// Every text it can match, if they are few.
    exact: Option<Texts>,
    /// Choices of pieces; every match contains one of each.
    choices: Vec<Texts>,
}

impl Needs {
    /// Patterns nest no deeper than their parser allows, so this may recurse.
    fn of(part: &Hir) -> Needs {
        match part.kind() {
            HirKind::Empty | HirKind::Look(_) => Needs::exactly([String::new()].into()),
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) => Needs::exactly([text.to_ascii_lowercase()].into()),
                Err(_) => Needs::default(),
            },
            HirKind::Class(class) => characters(class).map_or_else(Needs::default, Needs::exactly),
            HirKind::Capture(capture) => Needs::of(&capture.sub),
            HirKind::Repetition(repetition) => {
                let once = Needs::of(&repetition.sub);
                match (repetition.min, repetition.max) {
                    (1, Some(1)) => once,
                    (0, Some(1)) => {
                        let optional = once.exact.map(|mut texts| {
                            texts.insert(String::new());
                            texts
                        });
                        Needs { exact: optional, choices: Vec::new() }
                    }
                    (0, _) => Needs::default(),
                    _ => Needs { exact: None, choices: once.choices() },
                }
            }
            HirKind::Concat(parts) => Needs::of_all(parts),
            HirKind::Alternation(parts) => Needs::of_one(parts.iter().map(Needs::of).collect()),
        }
    }

    fn exactly(texts: Texts) -> Needs {
        Needs { exact: Some(texts), choices: Vec::new() }
    }

    /// Parts that follow each other: the texts of neighbours are joined as long as they are few,
    /// and what any of them needs all of them need.
    fn of_all(parts: &[Hir]) -> Needs {
        let mut joined: Texts = [String::new()].into();
        let (mut whole, mut choices) = (true, Vec::new());
        for part in parts.iter().map(Needs::of) {
            let product = part.exact.as_ref().and_then(|texts| product(&joined, texts));
            if let Some(product) = product {
                joined = product;
                continue;
            }
            whole = false;
            choices.push(std::mem::take(&mut joined));
            joined = match part.exact {
                Some(texts) => texts,
                None => {
                    choices.extend(part.choices);
                    [String::new()].into()
                }
            };
        }
        if whole {
            return Needs::exactly(joined);
        }
        choices.push(joined);
        choices.retain(|choice| shortest(choice) >= SHORTEST);
        Needs { exact: None, choices }
    }

    /// Parts of which one matches: one choice of each, joined, is a choice of all.
    fn of_one(parts: Vec<Needs>) -> Needs {
        let all: Option<Vec<&Texts>> = parts.iter().map(|part| part.exact.as_ref()).collect();
        let texts: Option<Texts> = all.map(|all| all.into_iter().flatten().cloned().collect());
        if let Some(texts) = texts.filter(|texts| texts.len() <= MOST) {
            return Needs::exactly(texts);
        }
        let parts: Vec<Vec<Texts>> = parts.into_iter().map(Needs::telling).collect();
        if parts.iter().any(Vec::is_empty) {
            return Needs::default();
        }
        // Any choice of the one with any of the other is one of both: the best with the best, the
        // next with the next, and so on, the last of a part as often as the others have more.
        let most = parts.iter().map(Vec::len).max().unwrap_or_default();
        let nth = |place: usize| {
            let of_each = parts.iter().map(|choices| &choices[place.min(choices.len() - 1)]);
            of_each.flatten().cloned().collect()
        };
        Needs { exact: None, choices: (0..most).map(nth).collect() }
    }

    /// The choices that refuse most, those first.
    fn telling(self) -> Vec<Texts> {
        let mut choices = self.choices();
        choices.sort_by_key(|choice| std::cmp::Reverse(shortest(choice)));
        choices.dedup();
        choices.truncate(MOST_CHOICES);
        choices
    }

    /// The choices to look for.
    fn choices(self) -> Vec<Texts> {
        let mut choices = self.choices;
        choices.extend(self.exact.filter(|texts| shortest(texts) >= SHORTEST));
        choices
    }
}

/// How telling a choice is: the length of its shortest piece.
fn shortest(choice: &Texts) -> usize {
    choice.iter().map(String::len).min().unwrap_or_default()
}

/// Every text of the one followed by every text of the other, if they are few.
fn product(left: &Texts, right: &Texts) -> Option<Texts> {
    if left.len() * right.len() > MOST {
        return None;
    }
    let pairs = left.iter().flat_map(|left| right.iter().map(move |right| (left, right)));
    Some(pairs.map(|(left, right)| format!("{left}{right}")).collect())
}

/// The characters of a class, letters in lower case, if they are few and ASCII.
fn characters(class: &Class) -> Option<Texts> {
    let class = match class {
        Class::Bytes(class) => class.clone(),
        Class::Unicode(class) => class.to_byte_class()?,
    };
    if !class.is_ascii() {
        return None;
    }
    let bytes = class.ranges().iter().flat_map(|range| range.start()..=range.end());
    let texts: Texts =
        bytes.map(|byte| char::from(byte).to_ascii_lowercase().to_string()).collect();
    (!texts.is_empty() && texts.len() <= MOST / 2).then_some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_needs_its_pieces() {
        for (pattern, ignore_case, expected) in [
            ("(GeoEvent Server) (\\d+)", false, &["geoevent server "][..]),
            ("a+(?:Chrome|CrMo)/(\\d+)", false, &["chrome/|crmo/"]),
            ("(Acme)?Browser", false, &["acmebrowser|browser"]),
            ("[Ll]inux[ _]x", false, &["linux x|linux_x"]),
            ("skype", true, &["skype"]),
            ("(x{3,}|.*Opera) Mini.+Version/", false, &["version/", " mini"]),
            ("(?:.*Opera|Safari.*) x", false, &["opera|safari", " x"]),
            ("; *(HTC.*)", false, &["htc"]),
            (
                "(?:(?:Droid|Phone).+(?:bot|crawl)|AdsBot-x)",
                false,
                &["adsbot-x|droid|phone", "adsbot-x|bot|crawl"],
            ),
            ("^(foo|)bar$", false, &["bar|foobar"]),
            (".*", false, &[]),
            ("(a|.*)", false, &[]),
            ("x*", false, &[]),
            ("[0-9]+", false, &[]),
            ("a", false, &[]),
            ("(?:ab)?", false, &[]),
        ] {
            let needed = needed(pattern, ignore_case).expect("a pattern");
            let joined = needed
                .iter()
                .map(|texts| texts.iter().map(String::as_str).collect::<Vec<_>>().join("|"));
            assert_eq!(joined.collect::<Vec<_>>(), expected, "{pattern}");
        }
        assert!(needed("(", false).is_err());
    }
}
