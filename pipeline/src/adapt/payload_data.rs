//! The body that trackers POST, read in one pass when it is as it should be.
//!
//! [`events`] accepts exactly the bodies that the `payload_data` schemas 1-0-0 to 1-0-4 allow and
//! that name no key twice; for any other it gives up, and the caller reads the body step by step
//! to say what is wrong. A test holds the two readings together.

use bumpalo::collections::{String as BumpString, Vec as BumpVec};
use event::Bump;
use event::raw_event::Parameter;

use super::Events;
use crate::parameters::Parameter as Known;

/// The events of a valid body; `None` for every other body.
pub(super) fn events<'a>(body: &'a str, arena: &'a Bump) -> Option<Events<'a>> {
    let mut reader = Reader { text: body, at: 0, arena };
    reader.token(b'{')?;
    reader.member("schema")?;
    let uri = reader.string()?;
    let addition = match uri.strip_prefix(SCHEMA)?.as_bytes() {
        [digit @ b'0'..=b'4'] => digit - b'0',
        _ => return None,
    };
    reader.token(b',')?;
    reader.member("data")?;
    reader.token(b'[')?;
    let mut events = BumpVec::new_in(arena);
    loop {
        events.push(reader.event(addition)?);
        if reader.next_or_end(b']')? {
            break;
        }
    }
    reader.token(b'}')?;
    reader.end().then_some(events)
}

const SCHEMA: &str = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-";

struct Reader<'a> {
    text: &'a str,
    at: usize,
    arena: &'a Bump,
}

impl<'a> Reader<'a> {
    /// One object of known keys and string values that has the three required keys.
    fn event(&mut self, addition: u8) -> Option<&'a [Parameter<'a>]> {
        /// Most events have some twenty parameters.
        const USUAL: usize = 32;
        let mut parameters = BumpVec::with_capacity_in(USUAL, self.arena);
        let mut seen = 0_u128;
        self.token(b'{')?;
        loop {
            let key = self.string()?;
            let known = Known::of(key)?;
            if known.since? > addition || seen >> known.index & 1 == 1 {
                return None;
            }
            seen |= 1 << known.index;
            self.token(b':')?;
            self.space();
            parameters.push((key, Some(self.string()?)));
            if self.next_or_end(b'}')? {
                break;
            }
        }
        let required = ["tv", "p", "e"]
            .iter()
            .all(|name| Known::of(name).is_some_and(|known| seen >> known.index & 1 == 1));
        required.then(|| parameters.into_bump_slice())
    }

    /// A key of the envelope with its colon.
    fn member(&mut self, key: &str) -> Option<()> {
        if self.string()? != key {
            return None;
        }
        self.token(b':')?;
        self.space();
        Some(())
    }

    /// After an element: false at a comma, true at the closing bracket.
    fn next_or_end(&mut self, close: u8) -> Option<bool> {
        self.space();
        match self.peek()? {
            b',' => self.at += 1,
            byte if byte == close => {
                self.at += 1;
                return Some(true);
            }
            _ => return None,
        }
        self.space();
        Some(false)
    }

    /// A punctuation mark, white space around it.
    fn token(&mut self, mark: u8) -> Option<()> {
        self.space();
        if self.peek()? != mark {
            return None;
        }
        self.at += 1;
        self.space();
        Some(())
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn end(&mut self) -> bool {
        self.space();
        self.at == self.text.len()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// A string, unescaped.
    fn string(&mut self) -> Option<&'a str> {
        if self.peek()? != b'"' {
            return None;
        }
        let start = self.at + 1;
        let end = event::json::string_run(self.text.as_bytes(), start)?;
        if self.text.as_bytes()[end] == b'"' {
            self.at = end + 1;
            return Some(&self.text[start..end]);
        }
        self.escaped_string(start, end)
    }

    /// The string from `start`, of which everything before `at` needs no unescaping.
    fn escaped_string(&mut self, start: usize, mut at: usize) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        let mut out = BumpString::with_capacity_in(at - start + 256, self.arena);
        let mut plain = start;
        loop {
            out.push_str(&self.text[plain..at]);
            if bytes[at] == b'"' {
                self.at = at + 1;
                return Some(out.into_bump_str());
            }
            let (character, length) = event::json::escape(&bytes[at..])?;
            out.push(character);
            plain = at + length;
            at = event::json::string_run(bytes, plain)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: Option<&[&[(&str, &str)]]>) {
        let arena = Bump::new();
        let found = events(body, &arena);
        let found = found.map(|events| {
            let texts = |(name, value): &Parameter<'_>| {
                ((*name).to_owned(), value.unwrap_or("none").to_owned())
            };
            events.iter().map(|e| e.iter().map(texts).collect()).collect::<Vec<Vec<_>>>()
        });
        let expected = expected.map(|events| {
            let texts = |pair: &(&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
            events.iter().map(|e| e.iter().map(texts).collect()).collect::<Vec<Vec<_>>>()
        });
        assert_eq!(found, expected, "{body}");
    }

    fn body(version: &str, data: &str) -> String {
        format!(
            r#"{{"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/{version}","data":{data}}}"#
        )
    }

    #[test]
    fn valid_bodies_are_read_whatever_their_white_space_and_escapes() {
        let event: &[(&str, &str)] = &[("e", "pv"), ("p", "web"), ("tv", "x")];
        check(&body("1-0-4", r#"[{"e":"pv","p":"web","tv":"x"}]"#), Some(&[event]));
        let spaced = body("1-0-0", " [ { \"e\" : \"pv\" , \"p\":\"web\",\"tv\":\"\\u0078\" } ] ");
        check(&format!("\n{spaced} "), Some(&[event]));
        let escaped: &[(&str, &str)] = &[("e", "a\"\n😀/é"), ("p", ""), ("tv", "\\")];
        let text =
            r#"[{"e":"a\"\n\ud83d\ude00\/é","p":"","tv":"\\"},{"e":"pv","p":"web","tv":"x"}]"#;
        check(&body("1-0-4", text), Some(&[escaped, event]));
    }

    #[test]
    fn any_other_body_is_left_to_the_long_way() {
        for data in [
            "[]",
            "{}",
            "[{}]",
            r#"[{"e":"pv","p":"web"}]"#,
            r#"[{"e":"pv","p":"web","tv":1}]"#,
            r#"[{"e":"pv","p":"web","tv":"x","e":"pp"}]"#,
            r#"[{"e":"pv","p":"web","tv":"x","u":"1"}]"#,
            r#"[{"e":"pv","p":"web","tv":"x"},]"#,
            "[{\"e\":\"p\nv\",\"p\":\"web\",\"tv\":\"x\"}]",
            r#"[{"e":"\x","p":"web","tv":"x"}]"#,
            r#"[{"e":"pv","p":"web","tv":"x"}"#,
        ] {
            check(&body("1-0-4", data), None);
        }
        let good = r#"[{"e":"pv","p":"web","tv":"x"}]"#;
        check(&body("1-0-5", good), None);
        check(&body("1-0-00", good), None);
        check(&(body("1-0-4", good) + "x"), None);
        let young = r#"[{"e":"pv","p":"web","tv":"x","ttm":"1"}]"#;
        check(&body("1-0-3", young), None);
    }
}
