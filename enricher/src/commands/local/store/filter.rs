//! Which events somebody wants to see.

use super::Kept;
use pipeline::Route;

/// What an event must have; what is `None` may be anything. In patterns `*` stands for any text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// What became of it.
    pub(crate) routes: Option<Vec<Route>>,
    /// A pattern of its application.
    pub(crate) app: Option<String>,
    /// A pattern of its name, `page_view`.
    pub(crate) event: Option<String>,
    /// A pattern of a schema's Iglu URI: its own, of one of its entities, or one that it failed.
    pub(crate) schema: Option<String>,
    /// A text that is anywhere in its line, letters in either case.
    pub(crate) text: Option<String>,
}

impl Filter {
    /// Whether an event has everything.
    pub(crate) fn lets(&self, kept: &Kept) -> bool {
        let fits = |wanted: &Option<String>, is: &str| {
            wanted.as_ref().is_none_or(|pattern| matches(pattern, is))
        };
        self.routes.as_ref().is_none_or(|routes| routes.contains(&kept.route))
            && fits(&self.app, &kept.app)
            && fits(&self.event, &kept.event)
            && self
                .schema
                .as_ref()
                .is_none_or(|pattern| kept.schemas.iter().any(|schema| matches(pattern, schema)))
            && self.text.as_ref().is_none_or(|text| contains(kept.line(), text.as_bytes()))
    }
}

/// Whether a text is what a pattern says, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().expect("a split has a part");
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether a line has a text in it, ASCII letters in either case.
fn contains(line: &[u8], text: &[u8]) -> bool {
    let by_rarity = text.iter().enumerate().min_by_key(|(_, byte)| frequency(**byte));
    let Some((offset, rare)) = by_rarity else { return true };
    let (low, high) = (rare.to_ascii_lowercase(), rare.to_ascii_uppercase());
    let Some(last) = line.len().checked_sub(text.len()) else { return false };
    memchr::memchr2_iter(low, high, &line[offset..=last + offset])
        .any(|at| line[at..at + text.len()].eq_ignore_ascii_case(text))
}

/// How often a byte is in lines, from seldom to often: looking for the rarest one of a text first
/// is what makes a search of everything quick.
fn frequency(byte: u8) -> usize {
    const OFTEN: &[u8] = b"zqjkxvbfyw9876543ghum2l10pdc-_:/\"nsroiate \t";
    let byte = byte.to_ascii_lowercase();
    OFTEN.iter().position(|known| *known == byte).map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, expected) in [
            ("shop", "shop", true),
            ("shop", "shop2", false),
            ("", "", true),
            ("", "shop", false),
            ("*", "", true),
            ("s*p", "shop", true),
            ("s*p", "shopp", true),
            ("s*p", "sp", true),
            ("sh*hop", "shop", false),
            ("iglu:*/cart/*/1-*", "iglu:com.acme/cart/jsonschema/1-0-2", true),
            ("iglu:*/cart/*/1-*", "iglu:com.acme/cart/jsonschema/2-0-0", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn texts_are_found_in_either_case() {
        for (text, expected) in [
            ("", true),
            ("SHOP", true),
            ("op\tX", true),
            ("é", true),
            ("shopx", false),
            ("pp", false),
        ] {
            assert_eq!(contains("a shop\tx é".as_bytes(), text.as_bytes()), expected, "{text}");
        }
        assert!(!contains(b"", b"x"));
        assert!(!contains(b"x", b"xx"));
    }
}
