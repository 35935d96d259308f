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
            for (name, value) in (Pairs { rest: text }).filter(wanted) {
                let data = named(&name, value.as_deref(), scratch, arena);
                entities.push(Entity::new(URI, data));
            }
        }
        entities
    }
}

/// The pairs of a cookie header. Inside quotes a semicolon separates nothing.
struct Pairs<'h> {
    rest: &'h str,
}

impl<'h> Iterator for Pairs<'h> {
    type Item = (Cow<'h, str>, Option<Cow<'h, str>>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let end = unquoted(self.rest, b';').unwrap_or(self.rest.len());
            let pair = &self.rest[..end];
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            match unquoted(pair, b'=') {
                Some(at) => return Some((unquote(&pair[..at]), Some(unquote(&pair[at + 1..])))),
                None if !pair.trim_ascii().is_empty() => return Some((unquote(pair), None)),
                None => {}
            }
        }
    }
}

/// Where a character first stands outside quotes. A backslash in quotes escapes the next one.
fn unquoted(text: &str, wanted: u8) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    text.bytes().position(|byte| {
        let found = byte == wanted && !quoted;
        if byte == b'"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && byte == b'\\' && !escaped;
        found
    })
}

/// The text without white space around it and without quotes and their escapes.
fn unquote(text: &str) -> Cow<'_, str> {
    let text = text.trim_ascii();
    let Some(inside) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return text.into();
    };
    if !inside.contains('\\') {
        return inside.into();
    }
    let mut characters = inside.chars();
    let mut unescaped = String::with_capacity(inside.len());
    while let Some(character) = characters.next() {
        unescaped.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    unescaped.into()
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
            ("Cookie: ", &[]),
            ("NoColon", &[]),
        ] {
            assert_eq!(run(&["sp", "ck"], &[header]), expected, "{header}");
        }
        assert_eq!(run(&[""], &["Cookie: =x"]), [r#"{"name":"","value":"x"}"#]);
        assert_eq!(run(&["a", "b"], &["Cookie: b=1", "Host: x", "Cookie: a=2"]).len(), 2);
    }

    #[test]
    fn keeps_what_a_peer_loses() {
        let both = [r#"{"name":"sp","value":"a,b"}"#, r#"{"name":"ck","value":"1"}"#];
        assert_eq!(run(&["sp", "ck"], &["Cookie: sp=a,b; ck=1"]), both);
        assert_eq!(run(&["sp"], &["cookie: sp=1"]), [r#"{"name":"sp","value":"1"}"#]);
    }
}
