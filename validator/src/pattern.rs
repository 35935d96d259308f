//! Regular expressions as schemas write them: Java syntax, found anywhere in the text.
//!
//! A pattern is translated to the `regex` crate's syntax, which runs in linear time; one that
//! looks around or refers back goes to a backtracking engine with a bounded number of steps.
//! Where Java and Rust give one notation two meanings the translation spells out Java's: `\d`,
//! `\w`, `\s` and `\b` are ASCII, `.` stops at every line terminator, `$` matches before a last
//! one.

mod runs;

use runs::Runs;

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Pattern {
    runs: Option<Runs>,
    engine: Engine,
}

/// What decides.
#[derive(Debug)]
enum Engine {
    /// Linear time.
    Linear(regex::Regex),
    /// Looks around or refers back.
    Backtracking(Box<fancy_regex::Regex>),
}

/// How many steps a backtracking pattern may take on one text; past it, it does not match.
const BACKTRACK_LIMIT: usize = 100_000;

/// How large a compiled pattern may be, bytes.
const SIZE_LIMIT: usize = 4 << 20;

impl Pattern {
    /// Compiles a pattern; `None` if it is malformed.
    pub(crate) fn new(java: &str) -> Option<Pattern> {
        Some(Pattern { engine: Engine::new(java)?, runs: Runs::new(java) })
    }

    /// Whether the pattern is found anywhere in the text.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.runs.as_ref().is_some_and(|runs| runs.accept(text)) || self.engine.is_match(text)
    }
}

impl Engine {
    fn new(java: &str) -> Option<Engine> {
        let pattern = translate(java);
        let linear = regex::RegexBuilder::new(&pattern).size_limit(SIZE_LIMIT).build();
        if let Ok(regex) = linear {
            return Some(Engine::Linear(regex));
        }
        let mut builder = fancy_regex::RegexBuilder::new(&pattern);
        builder.backtrack_limit(BACKTRACK_LIMIT).delegate_size_limit(SIZE_LIMIT);
        builder.build().ok().map(|regex| Engine::Backtracking(Box::new(regex)))
    }

    fn is_match(&self, text: &str) -> bool {
        match self {
            Engine::Linear(regex) => regex.is_match(text),
            Engine::Backtracking(regex) => regex.is_match(text).unwrap_or(false),
        }
    }
}

const DIGIT: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";
const SPACE: &str = r" \t\n\x0B\f\r";
const HORIZONTAL: &str = r" \t\xA0\u{1680}\u{180e}\u{2000}-\u{200a}\u{202f}\u{205f}\u{3000}";
const TERMINATORS: &str = r"\n\r\u{85}\u{2028}\u{2029}";

/// Rewrites a Java pattern.
fn translate(java: &str) -> String {
    let mut out = String::with_capacity(java.len() + 16);
    let mut rest = java;
    // How many character classes are open.
    let mut classes = 0_u32;
    while let Some(character) = rest.chars().next() {
        let after = &rest[character.len_utf8()..];
        rest = match character {
            '\\' => escape(after, classes > 0, &mut out),
            '[' => {
                classes += 1;
                class_start(after, &mut out)
            }
            ']' if classes > 0 => {
                classes -= 1;
                out.push(']');
                after
            }
            '.' if classes == 0 => {
                out.push_str("[^");
                out.push_str(TERMINATORS);
                out.push(']');
                after
            }
            '$' if classes == 0 => {
                out.push_str(r"(?:\r\n|[");
                out.push_str(TERMINATORS);
                out.push_str(r"])?\z");
                after
            }
            '-' if classes > 0 && is_literal_hyphen(after, &out) => {
                out.push_str(r"\-");
                after
            }
            // The end of a range; `--` would be a difference.
            '-' if classes > 0 && after.starts_with('-') => {
                out.push_str(r"-\-");
                &after[1..]
            }
            '~' if classes > 0 => {
                out.push_str(r"\~");
                after
            }
            other => {
                out.push(other);
                after
            }
        };
    }
    out
}

/// Writes `[`, with a negation, and a `]` that stands first, which Java takes for itself.
fn class_start<'a>(rest: &'a str, out: &mut String) -> &'a str {
    out.push('[');
    let (rest, negated) = rest.strip_prefix('^').map_or((rest, false), |rest| (rest, true));
    if negated {
        out.push('^');
    }
    match rest.strip_prefix(']') {
        Some(rest) => {
            out.push_str(r"\]");
            rest
        }
        None => rest,
    }
}

/// Whether a hyphen inside a class cannot be a range: at the start, after a class escape
/// (`[\w-.]`), after a range (`[0-9-_]`), or before the end.
fn is_literal_hyphen(after: &str, out: &str) -> bool {
    let open = out.strip_suffix('^').unwrap_or(out);
    if open.ends_with('[') && !open.ends_with("\\[") {
        return true;
    }
    let after_class = out.ends_with(DIGIT) || out.ends_with(WORD) || out.ends_with(SPACE);
    after.starts_with(']') || after_class || ends_with_range(out)
}

/// Whether the text ends with `x-y`, an unescaped range of single characters.
fn ends_with_range(out: &str) -> bool {
    let mut last = out.chars().rev();
    let (end, hyphen, start, before) = (last.next(), last.next(), last.next(), last.next());
    let plain = |c: Option<char>| c.is_some_and(|c| !matches!(c, '[' | ']' | '\\' | '^' | '-'));
    plain(end) && hyphen == Some('-') && plain(start) && before != Some('\\')
}

/// Writes the escape whose backslash was read; gives back what follows it.
fn escape<'a>(rest: &'a str, in_class: bool, out: &mut String) -> &'a str {
    let Some(character) = rest.chars().next() else {
        out.push('\\');
        return rest;
    };
    let after = &rest[character.len_utf8()..];
    let negated = |set: &str| format!("[^{set}]");
    let positive = |set: &str| if in_class { set.to_owned() } else { format!("[{set}]") };
    let written = match character {
        'd' => positive(DIGIT),
        'w' => positive(WORD),
        's' => positive(SPACE),
        'h' => positive(HORIZONTAL),
        'D' => negated(DIGIT),
        'W' => negated(WORD),
        'S' => negated(SPACE),
        'H' => negated(HORIZONTAL),
        'b' if !in_class => r"(?-u:\b)".to_owned(),
        'B' if !in_class => r"(?-u:\B)".to_owned(),
        'R' => format!(r"(?:\r\n|[{TERMINATORS}])"),
        'Z' => format!(r"(?:\r\n|[{TERMINATORS}])?\z"),
        'e' => r"\x1B".to_owned(),
        'c' => return control(after, out),
        'Q' => return quoted(after, out),
        'p' | 'P' => return property(character, after, out),
        '<' | '>' => character.to_string(),
        other => format!("\\{other}"),
    };
    out.push_str(&written);
    after
}

/// Writes `\cX`.
fn control<'a>(rest: &'a str, out: &mut String) -> &'a str {
    let Some(letter) = rest.chars().next().filter(char::is_ascii) else {
        // Makes the pattern malformed, as it is in Java.
        out.push_str("\\c");
        return rest;
    };
    out.push_str(&format!("\\x{{{:x}}}", u32::from(letter) ^ 64));
    &rest[1..]
}

/// Writes `\Q…\E`.
fn quoted<'a>(rest: &'a str, out: &mut String) -> &'a str {
    let (literal, after) = rest.split_once("\\E").unwrap_or((rest, ""));
    out.push_str(&regex::escape(literal));
    after
}

/// Writes `\p{…}`: Java's POSIX names are ASCII, `Is` and `In` prefixes are dropped.
fn property<'a>(kind: char, rest: &'a str, out: &mut String) -> &'a str {
    let named = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
    let Some((name, after)) = named else {
        out.push('\\');
        out.push(kind);
        return rest;
    };
    let posix = match name {
        "Lower" | "Upper" | "Alpha" | "Digit" | "Alnum" | "Punct" | "Graph" | "Print" | "Cntrl" => {
            name.to_ascii_lowercase()
        }
        "Blank" | "Space" | "ASCII" => name.to_ascii_lowercase(),
        "XDigit" => "xdigit".to_owned(),
        _ => {
            let name = name.strip_prefix("Is").unwrap_or(name);
            out.push_str(&format!("\\{kind}{{{name}}}"));
            return after;
        }
    };
    let negation = if kind == 'P' { "^" } else { "" };
    out.push_str(&format!("[[:{negation}{posix}:]]"));
    after
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern).expect("the pattern is well-formed").is_match(text)
    }

    #[test]
    fn notations_have_the_meaning_they_have_in_java() {
        for (pattern, text) in [
            ("b+c", "abbcd"),
            ("^a$", "a\n"),
            ("^a$", "a\u{2028}"),
            (r"^\w+\d\s$", "a_1\t"),
            (r"^a\/b$", "a/b"),
            ("^[a-zA-Z0-9-_.]+$", "a-b_c.d"),
            (r"^[\w-.]+$", "a-b.c"),
            ("^[]a]+$", "]a"),
            (r"^\p{L}+$", "äöü"),
            (r"^\p{IsAlphabetic}\p{Alpha}$", "éa"),
            (r"^\p{XDigit}{2}[\p{Digit}x]$", "fFx"),
            (r"^(?!foo)\w+$", "fobar"),
            (r"^(a)\1$", "aa"),
            (r"^\Qa.b\E$", "a.b"),
            ("(?i)^abc$", "ABC"),
            (r"\<b\>", "a <b>"),
            ("^[~~]$", "~"),
            (r"^\u0041$", "A"),
            (r"^\$.*$", "$.a"),
            (r"^\cC$", "\u{3}"),
            ("^[--b]$", "a"),
            ("^[+--]$", ","),
            ("^[^-a]$", "b"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text:?}");
        }
        for (pattern, text) in [
            (r"^\d$", "٣"),
            (r"^\w$", "é"),
            ("^.$", "\r"),
            ("^a$", "a\nb"),
            (r"^\S$", " "),
            (r"^[^\d]$", "5"),
            (r"^(?!foo)\w+$", "foobar"),
            (r"^\p{Alpha}$", "é"),
            (r"\bb", "ab"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text:?}");
        }
        for malformed in ["(unclosed", "[a", "*", r"\"] {
            assert!(Pattern::new(malformed).is_none(), "{malformed}");
        }
    }

    #[test]
    fn a_pattern_that_explodes_gives_up() {
        assert!(!matches(r"^(?=(a+)+$)(a+)+\2b", &"a".repeat(200)));
    }
}
