//! Finding the names of Java's in a script's text, so that a script which needs more of Java than
//! is here is refused when it is read and not event by event.
//!
//! Comments, texts and regular expressions are passed over. A root that the script declares itself
//! (`var com = …`) is the script's. Names put together at run time are not found; those throw.

/// A name of Java's in a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// The line it stands in, from 1.
    pub(super) line: usize,
    /// The dotted name, `java.nio.file.Files.readAllBytes`.
    pub(super) path: String,
}

const ROOTS: [&str; 4] = ["java", "javax", "org", "com"];

/// What only Nashorn has, and what to write in its place.
const NASHORN: [(&str, &str); 3] =
    [("JavaImporter", "whole names"), ("load", "one script"), ("loadWithNewGlobal", "one script")];

/// Every name of Java's that a script uses, in its order.
pub(super) fn java(source: &str) -> Vec<Name> {
    let words = words(source);
    let mut names = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| words[at].text);
        let next = |by: usize| words.get(at + by).map(|word| word.text);
        if before == Some(".") {
            continue;
        }
        if word.text == "Java" && next(1) == Some(".") {
            let literal = words.get(at + 4).filter(|word| word.kind == Kind::Text);
            match (next(2), next(3), literal) {
                (Some("type"), Some("("), Some(name)) => {
                    let path = name.text.trim_matches(['"', '\'', '`']).replace('$', ".");
                    names.push(Name { line: name.line, path });
                }
                (Some("type" | "from" | "to"), ..) => {}
                (Some(other), ..) => {
                    names.push(Name { line: word.line, path: format!("Java.{other}") });
                }
                (None, ..) => {}
            }
        } else if word.text == "Packages" && next(1) == Some(".") {
            names.extend(chain(&words, at + 2));
        } else if ROOTS.contains(&word.text) && next(1) == Some(".") && !declared(&words, word.text)
        {
            names.extend(chain(&words, at));
        } else if let Some((name, _)) = NASHORN.iter().find(|(name, _)| *name == word.text)
            && next(1) == Some("(")
            && !declared(&words, name)
        {
            names.push(Name { line: word.line, path: (*name).to_owned() });
        }
    }
    names
}

/// The dotted name that begins at a word.
fn chain(words: &[Word<'_>], at: usize) -> Option<Name> {
    let first = words.get(at)?;
    let mut path = first.text.to_owned();
    let mut rest = words[at + 1..].chunks_exact(2);
    while let Some([dot, name]) = rest.next() {
        if dot.text != "." || name.kind != Kind::Name {
            break;
        }
        path = format!("{path}.{}", name.text);
    }
    Some(Name { line: first.line, path })
}

/// Whether the script gives a name a meaning of its own.
fn declared(words: &[Word<'_>], name: &str) -> bool {
    words.windows(3).any(|three| {
        let [before, word, after] = three else { return false };
        let declares = matches!(before.text, "var" | "let" | "const" | "function" | "catch");
        let parameter = matches!(before.text, "(" | ",") && matches!(after.text, "," | ")")
            || after.text == "=>";
        let assigned = after.text == "=" && before.text != ".";
        word.text == name && (declares || parameter || assigned)
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Name,
    Text,
    Sign,
}

#[derive(Clone, Copy, Debug)]
struct Word<'s> {
    text: &'s str,
    kind: Kind,
    line: usize,
}

/// A script's words: names, literals of text, and signs of one character (but `=>`).
fn words(source: &str) -> Vec<Word<'_>> {
    let mut words: Vec<Word<'_>> = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let (length, kind) = match first {
            _ if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), None),
            _ if rest.starts_with("/*") => {
                (rest[2..].find("*/").map_or(rest.len(), |at| at + 4), None)
            }
            '"' | '\'' | '`' => (literal(rest, first), Some(Kind::Text)),
            '/' if begins_value(words.last()) => (pattern(rest), Some(Kind::Text)),
            _ if is_name(first) => {
                (rest.find(|c| !is_name(c)).unwrap_or(rest.len()), Some(Kind::Name))
            }
            _ if rest.starts_with("=>") => (2, Some(Kind::Sign)),
            _ if first.is_whitespace() => (first.len_utf8(), None),
            _ => (first.len_utf8(), Some(Kind::Sign)),
        };
        let (text, after) = rest.split_at(length);
        if let Some(kind) = kind {
            words.push(Word { text, kind, line });
        }
        line += text.matches('\n').count();
        rest = after;
    }
    words
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '$')
}

/// Whether a slash after a word begins a regular expression and does not divide.
fn begins_value(before: Option<&Word<'_>>) -> bool {
    before.is_none_or(|word| match word.kind {
        Kind::Text => false,
        Kind::Name => matches!(word.text, "return" | "typeof" | "case" | "in" | "of" | "delete"),
        Kind::Sign => !matches!(word.text, ")" | "]" | "}"),
    })
}

/// The bytes of a literal up to its closing quote.
fn literal(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The bytes of a regular expression; of a lone slash where the line ends before it does.
fn pattern(rest: &str) -> usize {
    let (mut escaped, mut class) = (false, false);
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            '\n' => return 1,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => class = true,
            ']' => class = false,
            '/' if !class => return at + 1,
            _ => {}
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_where_they_are_meant() {
        for (source, expected) in [
            ("java.lang.Integer.parseInt('1')", &[(1, "java.lang.Integer.parseInt")][..]),
            ("\nvar D = Java.type('a.b.C');", &[(2, "a.b.C")]),
            ("Packages.java.lang.System.exit(1)", &[(1, "java.lang.System.exit")]),
            ("// java.lang.A\n/* java.lang.B\n */ 'java.lang.C'; `java.lang.D`", &[]),
            ("x = /java.lang.A['\"/]/.test(y); new java.util.Date()", &[(1, "java.util.Date")]),
            ("a / java.lang.B.c / 2", &[(1, "java.lang.B.c")]),
            ("event.com.acme; var com = {}; com.acme.x()", &[]),
            ("function f(org) { return org.name.first }", &[]),
            ("JavaImporter(java.util)", &[(1, "JavaImporter"), (1, "java.util")]),
            ("function load(x) {} load(1)", &[]),
            ("Java.extend(Runnable, {})", &[(1, "Java.extend")]),
            ("Java.type(name)", &[]),
        ] {
            let found = java(source);
            let found: Vec<(usize, &str)> =
                found.iter().map(|name| (name.line, &*name.path)).collect();
            assert_eq!(found, expected, "{source}");
        }
    }
}
