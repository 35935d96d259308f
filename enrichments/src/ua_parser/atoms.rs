//! Which pieces of text a pattern needs: every text that matches contains at least one of them.
//!
//! Pieces are in lower case and are to be looked for in any case, which is right for patterns of
//! either kind. Letters that only Unicode's rules of case relate to ASCII (the Kelvin sign to `k`)
//! count as the ASCII letter: no pattern means them.

use std::collections::BTreeSet;

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

type Texts = BTreeSet<String>;

/// More texts than this are not enumerated: a list of years, not every version.
const MOST: usize = 24;

/// Pieces shorter than this stand in nearly every user agent.
const SHORTEST: usize = 2;

/// The pieces that a pattern needs; `None` where nothing is known. The error says why the pattern
/// is none.
pub(super) fn needed(pattern: &str, ignore_case: bool) -> Result<Option<Texts>, String> {
    let mut parser = ParserBuilder::new().case_insensitive(ignore_case).build();
    let pattern = parser.parse(pattern).map_err(|error| error.to_string())?;
    Ok(Needs::of(&pattern).best())
}

/// What is known of a part of a pattern.
#[derive(Default)]
struct Needs {
    /// Every text it can match, if they are few.
    exact: Option<Texts>,
    /// Pieces of which every match contains one.
    pieces: Option<Texts>,
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
                        Needs { exact: optional, pieces: None }
                    }
                    (0, _) => Needs::default(),
                    _ => Needs { exact: None, pieces: once.best() },
                }
            }
            HirKind::Concat(parts) => Needs::of_all(parts),
            HirKind::Alternation(parts) => Needs::of_one(parts.iter().map(Needs::of).collect()),
        }
    }

    fn exactly(texts: Texts) -> Needs {
        Needs { exact: Some(texts), pieces: None }
    }

    /// Parts that follow each other: the texts of neighbours are joined as long as they are few,
    /// and the best piece of any of them is a piece of all.
    fn of_all(parts: &[Hir]) -> Needs {
        let mut joined: Texts = [String::new()].into();
        let (mut whole, mut pieces) = (true, None);
        for part in parts.iter().map(Needs::of) {
            let product = part.exact.as_ref().and_then(|texts| product(&joined, texts));
            if let Some(product) = product {
                joined = product;
                continue;
            }
            whole = false;
            pieces = better(pieces, Some(std::mem::take(&mut joined)));
            joined = match part.exact {
                Some(texts) => texts,
                None => {
                    pieces = better(pieces, part.pieces);
                    [String::new()].into()
                }
            };
        }
        if whole {
            return Needs::exactly(joined);
        }
        Needs { exact: None, pieces: better(pieces, Some(joined)) }
    }

    /// Parts of which one matches.
    fn of_one(parts: Vec<Needs>) -> Needs {
        let all: Option<Vec<&Texts>> = parts.iter().map(|part| part.exact.as_ref()).collect();
        let texts: Option<Texts> = all.map(|all| all.into_iter().flatten().cloned().collect());
        if let Some(texts) = texts.filter(|texts| texts.len() <= MOST) {
            return Needs::exactly(texts);
        }
        let pieces: Option<Vec<Texts>> = parts.into_iter().map(Needs::best).collect();
        Needs { exact: None, pieces: pieces.map(|all| all.into_iter().flatten().collect()) }
    }

    /// The pieces to look for.
    fn best(self) -> Option<Texts> {
        better(self.pieces, self.exact)
    }
}

/// The choice that fewer user agents contain: the one whose shortest piece is longest. A choice
/// with a piece that is too short is none.
fn better(left: Option<Texts>, right: Option<Texts>) -> Option<Texts> {
    let shortest = |texts: &Option<Texts>| {
        texts.as_ref().and_then(|texts| texts.iter().map(String::len).min()).unwrap_or_default()
    };
    let best = if shortest(&right) > shortest(&left) { right } else { left };
    if shortest(&best) < SHORTEST { None } else { best }
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
    let Class::Unicode(class) = class else { return None };
    let mut texts = Texts::new();
    for range in class.ranges() {
        for character in range.start()..=range.end() {
            let character = match character {
                '\u{212a}' => 'k',
                '\u{17f}' => 's',
                other => other.to_ascii_lowercase(),
            };
            texts.insert(character.to_string());
            if texts.len() > MOST / 2 || !character.is_ascii() {
                return None;
            }
        }
    }
    (!texts.is_empty()).then_some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_needs_the_most_telling_of_its_pieces() {
        for (pattern, ignore_case, expected) in [
            ("(GeoEvent Server) (\\d+)", false, &["geoevent server "][..]),
            ("a+(?:Chrome|CrMo)/(\\d+)", false, &["chrome/", "crmo/"]),
            ("(Acme)?Browser", false, &["acmebrowser", "browser"]),
            ("[Ll]inux[ _]x", false, &["linux x", "linux_x"]),
            ("skype", true, &["skype"]),
            ("(x{3,}|.*Opera) Mini", false, &[" mini"]),
            ("; *(HTC.*)", false, &["htc"]),
            ("^(foo|)bar$", false, &["bar", "foobar"]),
        ] {
            let needed = needed(pattern, ignore_case).expect("a pattern").expect("pieces");
            assert!(needed.iter().eq(expected.iter()), "{pattern}: {needed:?}");
        }
        for pattern in [".*", "(a|.*)", "x*", "[0-9]+", "a", "(?:ab)?"] {
            assert_eq!(needed(pattern, false), Ok(None), "{pattern}");
        }
        assert!(needed("(", false).is_err());
    }
}
