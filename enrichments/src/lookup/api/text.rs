//! The texts that values of entities become as inputs of an API.
//!
//! Texts stand as they are, numbers as a peer's platform prints them, an object as JSON, and a
//! list as its elements with commas between them.

use event::Bump;
use event::convert::float64_text;
use event::json::{Elements, Members, unescape, write_string};

/// Deeper than entities can be; what would be deeper is left out.
const DEPTH: usize = 64;

/// The text of what a path found: of one value that value's, of others a list's.
pub(super) fn of(values: &[&str], arena: &Bump) -> String {
    let texts: Vec<String> = values.iter().map(|value| text(value, 0, arena)).collect();
    texts.join(",")
}

fn text(value: &str, depth: usize, arena: &Bump) -> String {
    if depth > DEPTH {
        return String::new();
    }
    if let Some(elements) = Elements::of(value) {
        let texts: Vec<String> = elements.map(|it| text(it, depth + 1, arena)).collect();
        return texts.join(",");
    }
    if value.starts_with('{') {
        let mut out = Vec::new();
        object(value, depth, &mut out);
        return String::from_utf8(out).expect("made of texts");
    }
    if value.starts_with('"') {
        return unescape(value, arena).unwrap_or_default().to_owned();
    }
    number(value).map_or_else(|| value.to_owned(), |(text, _)| text)
}

/// The text of a number, and whether it is a whole one of 64 bits.
fn number(value: &str) -> Option<(String, bool)> {
    value.starts_with(|c: char| c == '-' || c.is_ascii_digit()).then(|| {
        if let Ok(whole) = value.parse::<i64>() {
            return (whole.to_string(), true);
        }
        let fraction = value.contains(['.', 'e', 'E']);
        let float = value.parse::<f64>().ok().filter(|float| fraction && float.is_finite());
        (float.map_or_else(|| value.to_owned(), float64_text), false)
    })
}

/// An object anew; numbers that are no whole ones of 64 bits become texts, as with a peer.
fn object(value: &str, depth: usize, out: &mut Vec<u8>) {
    if depth > DEPTH {
        return out.extend_from_slice(b"null");
    }
    if let Some(members) = Members::of(value) {
        out.push(b'{');
        for (at, (key, value)) in members.enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(key.as_bytes());
            out.push(b':');
            object(value, depth + 1, out);
        }
        out.push(b'}');
    } else if let Some(elements) = Elements::of(value) {
        out.push(b'[');
        for (at, element) in elements.enumerate() {
            if at > 0 {
                out.push(b',');
            }
            object(element, depth + 1, out);
        }
        out.push(b']');
    } else {
        match number(value) {
            Some((text, true)) => out.extend_from_slice(text.as_bytes()),
            Some((text, false)) => write_string(&text, out),
            None => out.extend_from_slice(value.as_bytes()),
        }
    }
}

/// The body that inputs become.
pub(super) fn body(inputs: &[(&str, String)]) -> String {
    let mut out = vec![b'{'];
    for (at, (name, value)) in inputs.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_string(name, &mut out);
        out.push(b':');
        write_string(value, &mut out);
    }
    out.push(b'}');
    String::from_utf8(out).expect("made of texts")
}
