//! Patterns that are a chain of runs, `^[0-9.]+x[0-9.]+$`: matched without an engine.
//!
//! Nearly every pattern of a real schema has this shape. Each run takes as many characters as it
//! may and never gives one back, so it can miss a match that an engine would find, but what it
//! accepts, any engine accepts. A miss goes to the engine.

/// ASCII characters, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Class(u128);

/// So many characters of a class.
#[derive(Debug)]
struct Run {
    class: Class,
    least: usize,
    most: usize,
}

/// An anchored chain of runs.
#[derive(Debug)]
pub(super) struct Runs(Vec<Run>);

impl Runs {
    /// The runs of a Java pattern; `None` if it has any other shape.
    pub(super) fn new(java: &str) -> Option<Runs> {
        if !java.is_ascii() {
            return None;
        }
        let mut rest = java.strip_prefix('^')?.strip_suffix('$')?;
        let mut runs = Vec::new();
        while !rest.is_empty() {
            let (class, after) = class(rest)?;
            let (least, most, after) = quantifier(after)?;
            runs.push(Run { class, least, most });
            rest = after;
        }
        Some(Runs(runs))
    }

    /// Whether the whole text surely matches.
    pub(super) fn accept(&self, text: &str) -> bool {
        let mut rest = text.as_bytes();
        for run in &self.0 {
            let limit = &rest[..rest.len().min(run.most)];
            let length = limit.iter().position(|byte| !run.class.has(*byte)).unwrap_or(limit.len());
            if length < run.least {
                return false;
            }
            rest = &rest[length..];
        }
        rest.is_empty()
    }
}

impl Class {
    const fn of(byte: u8) -> Class {
        Class(1 << byte)
    }

    fn range(first: u8, last: u8) -> Class {
        (first..=last).fold(Class(0), |class, byte| class.with(Class::of(byte)))
    }

    const fn with(self, other: Class) -> Class {
        Class(self.0 | other.0)
    }

    const fn has(self, byte: u8) -> bool {
        byte < 128 && self.0 >> byte & 1 == 1
    }
}

/// The class at the start of the text, and what follows it.
fn class(text: &str) -> Option<(Class, &str)> {
    let byte = *text.as_bytes().first()?;
    let after = &text[1..];
    match byte {
        b'[' => bracketed(after),
        b'\\' => escape(after),
        b'.' | b'(' | b')' | b'|' | b'*' | b'+' | b'?' | b'{' | b'}' | b']' | b'^' | b'$' => None,
        other => Some((Class::of(other), after)),
    }
}

/// An escape whose backslash was read.
fn escape(text: &str) -> Option<(Class, &str)> {
    let byte = *text.as_bytes().first()?;
    let class = match byte {
        b'd' => Class::range(b'0', b'9'),
        b'w' => word(),
        other if other.is_ascii_punctuation() => Class::of(other),
        _ => return None,
    };
    Some((class, &text[1..]))
}

fn word() -> Class {
    let letters = Class::range(b'a', b'z').with(Class::range(b'A', b'Z'));
    letters.with(Class::range(b'0', b'9')).with(Class::of(b'_'))
}

/// A bracketed class without negation or nesting, whose bracket was read.
fn bracketed(text: &str) -> Option<(Class, &str)> {
    if text.starts_with(['^', ']']) || text.contains("&&") {
        return None;
    }
    let mut class = Class(0);
    let mut rest = text;
    loop {
        let byte = *rest.as_bytes().first()?;
        rest = &rest[1..];
        match byte {
            b']' => return Some((class, rest)),
            b'[' => return None,
            b'\\' => {
                let (escaped, after) = escape(rest)?;
                class = class.with(escaped);
                rest = after;
            }
            first => {
                let range = rest.as_bytes();
                match (range.first(), range.get(1)) {
                    (Some(b'-'), Some(last)) if *last != b']' => {
                        if *last == b'\\' || *last == b'[' || *last < first {
                            return None;
                        }
                        class = class.with(Class::range(first, *last));
                        rest = &rest[2..];
                    }
                    _ => class = class.with(Class::of(first)),
                }
            }
        }
    }
}

/// How often the class before may stand, and what follows.
fn quantifier(text: &str) -> Option<(usize, usize, &str)> {
    let (least, most, after) = match text.as_bytes().first() {
        Some(b'+') => (1, usize::MAX, &text[1..]),
        Some(b'*') => (0, usize::MAX, &text[1..]),
        Some(b'?') => (0, 1, &text[1..]),
        Some(b'{') => {
            let (inner, after) = text[1..].split_once('}')?;
            let (least, most) = match inner.split_once(',') {
                None => (inner.parse().ok()?, inner.parse().ok()?),
                Some((least, "")) => (least.parse().ok()?, usize::MAX),
                Some((least, most)) => (least.parse().ok()?, most.parse().ok()?),
            };
            (least, most, after)
        }
        _ => return Some((1, 1, text)),
    };
    // Lazy and possessive forms are for the engine.
    (!after.starts_with(['?', '+', '*', '{'])).then_some((least, most, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Engine;
    use proptest::prelude::*;

    #[test]
    fn patterns_of_real_schemas_are_runs() {
        for (pattern, text) in [
            ("^[a-zA-Z0-9-_.]+$", "a-b_c.d"),
            ("^[0-9.]+x[0-9.]+$", "1920x969"),
            ("^iglu:[a-zA-Z0-9-_.]+/[a-zA-Z0-9-_]+/[0-9]+-[0-9]+$", "iglu:com.acme/x/1-0"),
            (r"^\d{4}-\d{2}$", "2024-05"),
            ("^s3://$", "s3://"),
        ] {
            assert!(Runs::new(pattern).expect("it is runs").accept(text), "{pattern}");
        }
        for pattern in ["abc", "^a|b$", "^(a)$", "^[^a]$", "^.$", "^a+?$", r"^\s$", "^é$", "^a"] {
            assert!(Runs::new(pattern).is_none(), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn what_runs_accept_the_engine_accepts(
            class in r"[ab.-]|\[[ab-]{1,4}\]|\\[dw.]|\[a-b-c\]",
            quantifier in r"[+*?]|\{[01]\}|\{1,2\}|",
            text in "[ab.c-]{0,6}",
        ) {
            let pattern = format!("^{class}{quantifier}a?$");
            if let (Some(runs), Some(engine)) = (Runs::new(&pattern), Engine::new(&pattern)) {
                prop_assert!(!runs.accept(&text) || engine.is_match(&text), "{} {}", pattern, text);
            }
        }
    }
}
