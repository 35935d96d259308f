//! HTTP header extractor: headers whose whole name matches a pattern become entities.
//!
//! Configured by `http_header_extractor_config`. The pattern has the syntax of the JVM as far as
//! it is shared: look-around and back-references included. Never fails, but a value over the
//! schema's length makes the entity invalid. A pattern that takes too many steps on a name does
//! not match it.

use bumpalo::collections::Vec as BumpVec;
use event::{Bump, Entity, json};
use fancy_regex::{Regex, RegexBuilder};

use crate::cache::written;
use crate::reader::Node;

const URI: &str = "iglu:org.ietf/http_header/jsonschema/1-0-0";

/// The most steps that a pattern with look-around may take on one name.
const STEPS: usize = 100_000;

/// Which headers are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Headers {
    pattern: Regex,
}

impl Headers {
    /// Reads the parameters of a configuration.
    pub(crate) fn read(parameters: &Node<'_>) -> Option<Headers> {
        parameters.only(&["headersPattern"])?;
        let node = parameters.field("headersPattern");
        Headers::matching(&node.text()?)
            .map_err(|error| node.wrong_because("a regular expression", error.to_string()))
            .ok()
    }

    fn matching(pattern: &str) -> Result<Headers, Box<fancy_regex::Error>> {
        let whole = format!("\\A(?:{pattern})\\z");
        let pattern = RegexBuilder::new(&whole).backtrack_limit(STEPS).build()?;
        Ok(Headers { pattern })
    }

    /// The headers wanted, in their order.
    pub(crate) fn run<'a>(
        &self,
        headers: &[&'a str],
        scratch: &mut Vec<u8>,
        arena: &'a Bump,
    ) -> BumpVec<'a, Entity<'a>> {
        let mut entities = BumpVec::new_in(arena);
        for (name, value) in headers.iter().filter_map(|header| header.split_once(':')) {
            if !self.pattern.is_match(name).unwrap_or(false) {
                continue;
            }
            let data = named(trim(name), Some(trim(value)), scratch, arena);
            entities.push(Entity::new(URI, data));
        }
        entities
    }
}

/// The data of an entity that is a name and a value, as those of headers and of cookies are.
pub(crate) fn named<'a>(
    name: &str,
    value: Option<&str>,
    scratch: &mut Vec<u8>,
    arena: &'a Bump,
) -> &'a str {
    written(scratch, arena, |out| {
        out.extend_from_slice(b"{\"name\":");
        json::write_string(name, out);
        out.extend_from_slice(b",\"value\":");
        json::write_optional(value, out);
        out.push(b'}');
    })
}

/// Trims as the JVM does: everything up to the space character.
fn trim(text: &str) -> &str {
    text.trim_matches(|character| character <= ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_name_must_match() {
        let headers =
            ["X-Acme: one", "x-acme: two", "XX-Acme: three", "X-Acme-Id :  a:b  ", "X-Acme"];
        for (pattern, expected) in [
            ("X-Acme", &["one"][..]),
            ("X-.*", &["one", "a:b"]),
            ("(?i)x-acme", &["one", "two"]),
            ("X-(?!Acme$).*", &["a:b"]),
            ("a|X-Acme", &["one"]),
        ] {
            let extractor = Headers::matching(pattern).expect("a pattern");
            let arena = Bump::new();
            let entities = extractor.run(&headers, &mut Vec::new(), &arena);
            let values = entities.iter().filter_map(|entity| json::member(entity.data, "value"));
            assert!(
                values.map(|value| value.trim_matches('"')).eq(expected.iter().copied()),
                "{pattern}"
            );
        }
    }
}
