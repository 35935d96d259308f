//! Cookie extractor: listed cookies of the request become entities.
//!
//! Configured by `cookie_extractor_config`. Names of cookies are matched exactly; the header's
//! name in any case, because HTTP/2 sends it in lower case. A comma is part of a value, as browsers
//! mean it. Never fails, but a value over the schema's length makes the entity invalid.

use std::borrow::Cow;

use bumpalo::collections::Vec as BumpVec;
use event::{Bump, Entity};

use crate::config::Node;
use crate::headers::named;

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
        let (name, rest) = token(self.rest, &['=', ';'], false);
        let (value, rest) = match rest.strip_prefix('=') {
            Some(rest) => {
                let (value, rest) = token(rest, &[';'], true);
                (Some(value), rest)
            }
            None => (None, rest),
        };
        self.rest = rest.strip_prefix(';').unwrap_or(rest);
        Some((name, value))
    }
}

/// The text up to one of some ends, without white space around it and with one space for any
/// inside, and what follows. Quotes may be read, too: what they hold stays as it is.
fn token<'h>(text: &'h str, ends: &[char], quotes: bool) -> (Cow<'h, str>, &'h str) {
    let is_special = |c: char| ends.contains(&c) || (quotes && c == '"');
    let end = text.find(is_special).unwrap_or(text.len());
    let plain = text[..end].trim_matches(is_space);
    let stays = !plain.contains("  ") && !plain.contains(['\t', '\r', '\n']);
    if stays && !text[end..].starts_with('"') {
        return (plain.into(), &text[end..]);
    }
    let (mut token, mut gap) = (String::new(), false);
    let mut characters = text.chars();
    loop {
        let rest = characters.as_str();
        match characters.next() {
            Some(end) if ends.contains(&end) => return (token.into(), rest),
            None => return (token.into(), rest),
            Some(space) if is_space(space) => gap = true,
            Some(character) => {
                if std::mem::take(&mut gap) && !token.is_empty() {
                    token.push(' ');
                }
                if quotes && character == '"' {
                    quoted(&mut characters, &mut token);
                } else {
                    token.push(character);
                }
            }
        }
    }
}

/// Reads up to the closing quote, or the end. A backslash escapes quotes and backslashes.
fn quoted(characters: &mut std::str::Chars<'_>, token: &mut String) {
    while let Some(character) = characters.next() {
        match character {
            '"' => return,
            '\\' => match characters.next() {
                Some(escaped @ ('"' | '\\')) => token.push(escaped),
                Some(other) => token.extend(['\\', other]),
                None => {}
            },
            '\r' | '\n' => {}
            other => token.push(other),
        }
    }
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
            ("Cookie: sp=\"a\"b \"c  d\"", &[r#"{"name":"sp","value":"ab c  d"}"#]),
            ("Cookie: sp=\"a; ck=1 ", &[r#"{"name":"sp","value":"a; ck=1 "}"#]),
            (r#"Cookie: sp="a\d\"#, &[r#"{"name":"sp","value":"a\\d"}"#]),
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
        let both = [r#"{"name":"sp","value":"a,b"}"#, r#"{"name":"ck","value":"1"}"#];
        assert_eq!(run(&["sp", "ck"], &["Cookie: sp=a,b; ck=1"]), both);
        assert_eq!(run(&["sp"], &["cookie: sp=1"]), [r#"{"name":"sp","value":"1"}"#]);
    }
}
