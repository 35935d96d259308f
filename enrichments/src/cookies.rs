//! Cookie extractor: listed cookies of the request become entities.
//!
//! Configured by `cookie_extractor_config`. Names of cookies are matched exactly; the header's
//! name in any case, because HTTP/2 sends it in lower case. A comma is part of a value, as browsers
//! mean it, and so is a quote unless the whole value stands in quotes. Never fails, but a value
//! over the schema's length makes the entity invalid.

use std::borrow::Cow;

use bumpalo::collections::Vec as BumpVec;
use event::{Bump, Entity};

use crate::headers::named;
use crate::reader::Node;

const URI: &str = "iglu:org.ietf/http_cookie/jsonschema/1-0-0";

/// The names of the cookies wanted.
#[derive(Clone, Debug)]
pub(crate) struct Cookies {
    names: Vec<String>,
}

impl Cookies {
    /// Reads the parameters of a configuration.
    pub(crate) fn read(parameters: &Node<'_>) -> Option<Cookies> {
        parameters.only(&["cookies"])?;
        Some(Cookies { names: parameters.field("cookies").texts()? })
    }

    /// The cookies wanted, in the order of the headers.
    pub(crate) fn run<'a>(
        &self,
        headers: &[&'a str],
        scratch: &mut Vec<u8>,
        arena: &'a Bump,
    ) -> BumpVec<'a, Entity<'a>> {
        let mut entities = BumpVec::new_in(arena);
        let cookies = headers.iter().filter_map(|header| header.split_once(':'));
        for (_, text) in cookies.filter(|(name, _)| name.eq_ignore_ascii_case("cookie")) {
            let wanted = |(name, _): &(Cow<'_, str>, _)| self.names.iter().any(|n| n == name);
            for (name, value) in (Pairs { rest: text.trim_start_matches(is_space) }).filter(wanted)
            {
                let data = named(&name, value.as_deref(), scratch, arena);
                entities.push(Entity::new(URI, data));
            }
        }
        entities
    }
}

/// The pairs of a cookie header: the names and values between semicolons, empty ones too.
struct Pairs<'h> {
    rest: &'h str,
}

impl<'h> Iterator for Pairs<'h> {
    type Item = (Cow<'h, str>, Option<Cow<'h, str>>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.find(['=', ';']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        let (value, rest) = match rest.strip_prefix('=').map(value) {
            Some((value, rest)) => (Some(value), rest),
            None => (None, rest),
        };
        self.rest = rest.strip_prefix(';').unwrap_or(rest);
        Some((spaced(name), value))
    }
}

/// The value that a text begins with, and what follows it.
///
/// A quote counts only where the whole value stands in quotes. Any other is a character like the
/// rest, as in a cookie of JSON or of inches, and must not swallow the cookies behind it; the value
/// then stays as it was sent.
fn value(text: &str) -> (Cow<'_, str>, &str) {
    let start = text.trim_start_matches(is_space);
    if let Some((value, rest)) = start.strip_prefix('"').and_then(quoted) {
        return (value.into(), rest);
    }
    let (value, rest) = text.split_at(text.find(';').unwrap_or(text.len()));
    match value.contains('"') {
        true => (value.trim_matches(is_space).into(), rest),
        false => (spaced(value), rest),
    }
}

/// A text without white space around it and with one space for any inside.
fn spaced(text: &str) -> Cow<'_, str> {
    let text = text.trim_matches(is_space);
    if !text.contains("  ") && !text.contains(['\t', '\r', '\n']) {
        return text.into();
    }
    let words = text.split(is_space).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").into()
}

/// What stands in quotes, of which the first was read, and what follows; none if they are not
/// closed at the end of the value. A backslash escapes quotes and backslashes. A semicolon may
/// stand in quotes, but not one that begins another cookie as browsers write it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                let rest = characters.as_str().trim_start_matches(is_space);
                return (rest.is_empty() || rest.starts_with(';')).then_some((value, rest));
            }
            '\\' => match characters.next()? {
                escaped @ ('"' | '\\') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            ';' if begins_cookie(characters.as_str()) => return None,
            '\r' | '\n' => {}
            other => value.push(other),
        }
    }
    None
}

/// Whether a space, a name and an equals sign come next.
fn begins_cookie(text: &str) -> bool {
    let Some(text) = text.strip_prefix(' ') else { return false };
    let end = text.find(['=', ';', '"', ' ']);
    end.is_some_and(|end| end > 0 && text[end..].starts_with('='))
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(names: &[&str], headers: &[&str]) -> Vec<String> {
        let cookies = Cookies { names: names.iter().map(|name| (*name).to_owned()).collect() };
        let arena = Bump::new();
        let headers: Vec<&str> = headers.iter().map(|header| &*arena.alloc_str(header)).collect();
        let entities = cookies.run(&headers, &mut Vec::new(), &arena);
        entities.iter().map(|entity| entity.data.to_owned()).collect()
    }

    #[test]
    fn reads_pairs_as_a_peer_does() {
        for (header, expected) in [
            ("Cookie: sp=1", &[r#"{"name":"sp","value":"1"}"#][..]),
            ("Cookie: other=1", &[]),
            ("Cookie: sp", &[r#"{"name":"sp","value":null}"#]),
            ("Cookie: sp=", &[r#"{"name":"sp","value":""}"#]),
            ("Cookie: ; sp=1;;", &[r#"{"name":"sp","value":"1"}"#]),
            ("Cookie:sp=1", &[r#"{"name":"sp","value":"1"}"#]),
            ("Cookie: sp=a=b", &[r#"{"name":"sp","value":"a=b"}"#]),
            ("Cookie: sp=\"quoted value\"", &[r#"{"name":"sp","value":"quoted value"}"#]),
            (r#"Cookie: sp="a\"b\\""#, &[r#"{"name":"sp","value":"a\"b\\"}"#]),
            (
                "Cookie: sp=\"a;b\"; ck=1",
                &[r#"{"name":"sp","value":"a;b"}"#, r#"{"name":"ck","value":"1"}"#],
            ),
            ("Cookie: sp=a%20b%3B", &[r#"{"name":"sp","value":"a%20b%3B"}"#]),
            ("Cookie: =x; sp=1", &[r#"{"name":"sp","value":"1"}"#]),
            (
                "Cookie: sp=a  b\n c \t; ck=1,",
                &[r#"{"name":"sp","value":"a b c"}"#, r#"{"name":"ck","value":"1,"}"#],
            ),
            (r#"Cookie: sp="a\d"  "#, &[r#"{"name":"sp","value":"a\\d"}"#]),
            ("Cookie: \"sp\"=1; \"a;sp=2", &[r#"{"name":"sp","value":"2"}"#]),
            ("Cookie: ", &[]),
            ("NoColon", &[]),
        ] {
            assert_eq!(run(&["sp", "ck"], &[header]), expected, "{header}");
        }
        assert_eq!(run(&[""], &["Cookie: =x"]), [r#"{"name":"","value":"x"}"#]);
        let nothing = r#"{"name":"","value":null}"#;
        assert_eq!(run(&[""], &["Cookie: ; sp=1;; "]), [nothing, nothing, nothing]);
        assert_eq!(run(&["a", "b"], &["Cookie: b=1", "Host: x", "Cookie: a=2"]).len(), 2);
    }

    #[test]
    fn keeps_what_a_peer_loses() {
        let ck = r#"{"name":"ck","value":"1"}"#;
        for (value, kept) in [
            ("a,b", "a,b"),
            (r#"{\"k\":"v"}"#, r#"{\\\"k\\\":\"v\"}"#),
            (r#"{"a  b":"c"}"#, r#"{\"a  b\":\"c\"}"#),
            (r#"["a","b"]"#, r#"[\"a\",\"b\"]"#),
            (r#"5" tall"#, r#"5\" tall"#),
            (r#"""#, r#"\""#),
            (r#""a"#, r#"\"a"#),
            (r#" "a "#, r#"\"a"#),
            (r#""a"b "c  d""#, r#"\"a\"b \"c  d\""#),
            (r#"{"k":"v"}""#, r#"{\"k\":\"v\"}\""#),
            (r#""{"k":"v"}""#, r#"\"{\"k\":\"v\"}\""#),
            (r#""C:\"#, r#"\"C:\\"#),
            (r#""C:\""#, r#"\"C:\\\""#),
        ] {
            let sp = format!(r#"{{"name":"sp","value":"{kept}"}}"#);
            let header = format!("Cookie: sp={value}; ck=1");
            assert_eq!(run(&["sp", "ck"], &[&header]), [&sp, ck], "{header}");
            let header = format!("Cookie: sp={value}; x=2; ck=1; y=\"3\"");
            assert_eq!(run(&["sp", "ck"], &[&header]), [&sp, ck], "{header}");
        }
        assert_eq!(run(&["ck"], &["Cookie: sp=\"a;b; ck=1; y=\""]), [ck]);
        assert_eq!(run(&["ck"], &["Cookie: sp={\"a;b\":1}; ck=1"]), [ck]);
        assert_eq!(run(&["sp"], &["cookie: sp=1"]), [r#"{"name":"sp","value":"1"}"#]);
    }
}
