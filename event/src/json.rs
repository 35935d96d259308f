//! JSON as text: checking it, bringing it into its one compact form, and cutting it into parts.
//!
//! The compact form is the one a running peer prints: no white space outside strings, object keys
//! in their first order, the last of duplicate keys, numbers as they stand, non-ASCII characters
//! raw, and inside strings only the escapes `\"`, `\\`, `\b`, `\f`, `\n`, `\r`, `\t` and
//! `\u00xx` (lower case) for the other control characters up to U+009F. [`compact`] borrows a
//! text that is in that form already, which is what trackers mostly send; no tree is built.
//!
//! [`Members`] and [`Elements`] walk one level of a text in compact form. Nothing here recurses,
//! so depth costs memory (one byte a level), never stack.

mod compact;
mod scan;

use bumpalo::Bump;

pub use compact::compact;

/// Why a text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} (line {line}, column {column})")]
pub struct SyntaxError {
    /// What should stand there.
    pub expected: &'static str,
    /// Line of the offending byte, from 1.
    pub line: usize,
    /// Column of the offending byte, from 1.
    pub column: usize,
}

/// Appends a JSON string, quoted and escaped as the compact form has it.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    write_escaped(text, out);
    out.push(b'"');
}

/// Appends a string or `null`.
pub fn write_optional(text: Option<&str>, out: &mut Vec<u8>) {
    match text {
        Some(text) => write_string(text, out),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends the inside of a JSON string.
fn write_escaped(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    let mut at = 0;
    while let Some(next) = scan::next_special(bytes, at) {
        at = next;
        let Some(control) = scan::control_at(bytes, at) else {
            let escape = match bytes[at] {
                b'"' => Some(b"\\\""),
                b'\\' => Some(b"\\\\"),
                _ => None,
            };
            if let Some(escape) = escape {
                out.extend_from_slice(&bytes[copied..at]);
                out.extend_from_slice(escape);
                copied = at + 1;
            }
            at += 1;
            continue;
        };
        out.extend_from_slice(&bytes[copied..at]);
        write_control(control, out);
        at += if control < 0x80 { 1 } else { 2 };
        copied = at;
    }
    out.extend_from_slice(&bytes[copied..]);
}

fn write_control(control: u8, out: &mut Vec<u8>) {
    let short = match control {
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            let digits = [HEX[usize::from(control >> 4)], HEX[usize::from(control & 15)]];
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&digits);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// The text of a JSON string in compact form, quotes included, with its escapes resolved.
/// `None` when `raw` is not a string.
pub fn unescape<'a>(raw: &'a str, arena: &'a Bump) -> Option<&'a str> {
    let inside = raw.strip_prefix('"')?.strip_suffix('"')?;
    Some(scan::unescape(inside, arena))
}

/// The index of the quote or backslash that ends a run of plain string content from `from`;
/// `None` where the string holds a bare control character or does not end.
pub fn string_run(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at = scan::next_special(bytes, at)?;
        match bytes[at] {
            b'"' | b'\\' => return Some(at),
            0..0x20 => return None,
            _ => at += 1,
        }
    }
}

/// The character that the escape sequence at the start of `bytes` stands for, and its length;
/// `None` where there is no valid one.
pub fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    let valid = match bytes.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => true,
        b'u' => bytes.get(2..6)?.iter().all(u8::is_ascii_hexdigit),
        _ => false,
    };
    valid.then(|| scan::escaped(bytes))
}

/// The length of the value that a text in compact form begins with.
pub fn value_length(text: &str) -> usize {
    scan::value_end(text.as_bytes())
}

/// Walks the members of an object in compact form: raw key (quotes included), raw value.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    rest: &'a str,
}

impl<'a> Members<'a> {
    /// `None` when the text is not an object.
    pub fn of(text: &'a str) -> Option<Members<'a>> {
        let rest = text.strip_prefix('{')?.strip_suffix('}')?;
        Some(Members { rest })
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        let rest = self.rest.strip_prefix(',').unwrap_or(self.rest);
        if rest.is_empty() {
            return None;
        }
        let (key, rest) = rest.split_at(scan::value_end(rest.as_bytes()));
        let rest = rest.strip_prefix(':').expect("compact form has a colon after a key");
        let (value, rest) = rest.split_at(scan::value_end(rest.as_bytes()));
        self.rest = rest;
        Some((key, value))
    }
}

/// Walks the raw elements of an array in compact form.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a str,
}

impl<'a> Elements<'a> {
    /// `None` when the text is not an array.
    pub fn of(text: &'a str) -> Option<Elements<'a>> {
        let rest = text.strip_prefix('[')?.strip_suffix(']')?;
        Some(Elements { rest })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest.strip_prefix(',').unwrap_or(self.rest);
        if rest.is_empty() {
            return None;
        }
        let (value, rest) = rest.split_at(scan::value_end(rest.as_bytes()));
        self.rest = rest;
        Some(value)
    }
}

/// The value of a member, raw, by its unescaped key (which must need no escaping).
pub fn member<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    Members::of(object)?
        .find(|(raw, _)| raw.len() == key.len() + 2 && &raw[1..raw.len() - 1] == key)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests;
