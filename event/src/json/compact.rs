//! Checking a JSON text and bringing it into compact form.
//!
//! One scan checks the syntax and notes whether the text is compact already; only when it is not,
//! a second pass over the checked text prints it anew. Duplicate keys alone need to know objects
//! as a whole; they are removed by a third pass, which real trackers never cause.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use super::{Members, SyntaxError, scan, write_string};

/// Checks that `text` is one JSON value, and returns it in compact form.
pub fn compact<'a>(text: &'a str, arena: &'a Bump) -> Result<&'a str, SyntaxError> {
    let mut scanner = Scanner::new(text, arena);
    scanner.value()?;
    let printed = if scanner.compact { text } else { reprint(text, arena) };
    if scanner.duplicates_possible {
        return Ok(without_duplicates(printed, arena));
    }
    Ok(printed)
}

/// The syntax check. Open containers are on a stack of their own, so depth is no danger.
struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    compact: bool,
    duplicates_possible: bool,
    /// For each open container, `{` or `[`.
    open: BumpVec<'a, u8>,
    /// The keys seen in all open objects, and where each open object's begin.
    keys: BumpVec<'a, &'a [u8]>,
    first_keys: BumpVec<'a, usize>,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str, arena: &'a Bump) -> Scanner<'a> {
        Scanner {
            bytes: text.as_bytes(),
            at: 0,
            compact: true,
            duplicates_possible: false,
            open: BumpVec::new_in(arena),
            keys: BumpVec::new_in(arena),
            first_keys: BumpVec::new_in(arena),
        }
    }

    /// Scans the one value that makes up the text.
    fn value(&mut self) -> Result<(), SyntaxError> {
        self.space();
        loop {
            let opened = match self.peek() {
                Some(b'{') => self.open_object()?,
                Some(b'[') => self.open_array(),
                Some(b'"') => self.string().map(|()| false)?,
                Some(b'-' | b'0'..=b'9') => self.number().map(|()| false)?,
                Some(b't') => self.literal(b"true", "true")?,
                Some(b'f') => self.literal(b"false", "false")?,
                Some(b'n') => self.literal(b"null", "null")?,
                _ => return Err(self.expected("a JSON value")),
            };
            if !opened && self.close()? {
                return Ok(());
            }
        }
    }

    /// After a value: closes every container that ends here. True at the end of the text.
    fn close(&mut self) -> Result<bool, SyntaxError> {
        loop {
            self.space();
            match (self.open.last(), self.peek()) {
                (None, None) => return Ok(true),
                (None, Some(_)) => return Err(self.expected("the end of the text")),
                (Some(b'{'), Some(b',')) => {
                    self.at += 1;
                    self.space();
                    self.key()?;
                    return Ok(false);
                }
                (Some(b'{'), Some(b'}')) => {
                    self.check_keys();
                    self.at += 1;
                    self.open.pop();
                }
                (Some(b'['), Some(b',')) => {
                    self.at += 1;
                    self.space();
                    return Ok(false);
                }
                (Some(b'['), Some(b']')) => {
                    self.at += 1;
                    self.open.pop();
                }
                (Some(b'{'), _) => return Err(self.expected(", or }")),
                _ => return Err(self.expected(", or ]")),
            }
        }
    }

    /// True when the object has members, the first key of which is then behind us.
    fn open_object(&mut self) -> Result<bool, SyntaxError> {
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(false);
        }
        self.open.push(b'{');
        self.first_keys.push(self.keys.len());
        self.key()?;
        Ok(true)
    }

    fn open_array(&mut self) -> bool {
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return false;
        }
        self.open.push(b'[');
        true
    }

    fn key(&mut self) -> Result<(), SyntaxError> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("\""));
        }
        let start = self.at;
        let was_compact = std::mem::replace(&mut self.compact, true);
        self.string()?;
        // Two spellings of one key differ as bytes; the last pass sees them in one spelling.
        self.duplicates_possible |= !self.compact;
        self.compact &= was_compact;
        self.keys.push(&self.bytes[start..self.at]);
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.expected(":"));
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    /// Looks for equal keys in the object that ends here.
    fn check_keys(&mut self) {
        /// Up to here comparing all pairs is cheaper than sorting.
        const PAIRWISE: usize = 24;
        let first = self.first_keys.pop().expect("an open object has its first key");
        let keys = &mut self.keys[first..];
        let duplicate = if keys.len() <= PAIRWISE {
            (1..keys.len()).any(|index| {
                let key = keys[index];
                keys[..index].iter().any(|other| other.len() == key.len() && *other == key)
            })
        } else {
            keys.sort_unstable();
            keys.windows(2).any(|pair| pair[0] == pair[1])
        };
        self.duplicates_possible |= duplicate;
        self.keys.truncate(first);
    }

    fn string(&mut self) -> Result<(), SyntaxError> {
        self.at += 1;
        loop {
            match scan::next_special(self.bytes, self.at) {
                None => {
                    self.at = self.bytes.len();
                    return Err(self.expected("\""));
                }
                Some(at) => self.at = at,
            }
            match self.bytes[self.at] {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => self.escape()?,
                0..0x20 => return Err(self.expected("no control character")),
                _ => {
                    self.compact &= scan::control_at(self.bytes, self.at).is_none();
                    self.at += 1;
                }
            }
        }
    }

    fn escape(&mut self) -> Result<(), SyntaxError> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'/') => {
                self.compact = false;
                self.at += 2;
            }
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 2..self.at + 6);
                let Some(digits) = digits.filter(|d| d.iter().all(u8::is_ascii_hexdigit)) else {
                    return Err(self.expected("four hexadecimal digits"));
                };
                self.compact &= is_compact_escape(digits);
                self.at += 6;
            }
            _ => return Err(self.expected("an escape sequence")),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), SyntaxError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.expected("a digit")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), SyntaxError> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.expected("a digit")) } else { Ok(()) }
    }

    fn literal(&mut self, word: &[u8], name: &'static str) -> Result<bool, SyntaxError> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.expected(name));
        }
        self.at += word.len();
        Ok(false)
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.compact = false;
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn expected(&self, expected: &'static str) -> SyntaxError {
        let before = &self.bytes[..self.at.min(self.bytes.len())];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        SyntaxError { expected, line, column: before.len() - line_start + 1 }
    }
}

/// Whether `\u` and these digits is how the compact form writes that character.
fn is_compact_escape(digits: &[u8]) -> bool {
    let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let [b'0', b'0', high, low] = *digits else { return false };
    let short = matches!((high, low), (b'0', b'8' | b'9' | b'a' | b'c' | b'd'));
    let control = matches!(high, b'0' | b'1' | b'8' | b'9') || (high, low) == (b'7', b'f');
    control && lower(low) && !short
}

/// Prints a checked text without white space and with every string in its one form.
fn reprint<'a>(text: &'a str, arena: &'a Bump) -> &'a str {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b' ' | b'\t' | b'\n' | b'\r' => at += 1,
            b'"' => {
                let end = at + scan::value_end(&bytes[at..]);
                write_string(scan::unescape(&text[at + 1..end - 1], arena), &mut out);
                at = end;
            }
            other => {
                out.push(other);
                at += 1;
            }
        }
    }
    arena.alloc_str(std::str::from_utf8(&out).expect("printing UTF-8 gives UTF-8"))
}

/// Keeps of every set of members with one key the last value, in the place of the first.
fn without_duplicates<'a>(text: &'a str, arena: &'a Bump) -> &'a str {
    let mut out = Vec::with_capacity(text.len());
    write_without_duplicates(text, DEPTH_BOUND, &mut out);
    arena.alloc_str(std::str::from_utf8(&out).expect("whole members of UTF-8 are UTF-8"))
}

/// Deeper duplicates stay: no validator accepts data that deep, and this recurses.
const DEPTH_BOUND: usize = 128;

fn write_without_duplicates(value: &str, depth: usize, out: &mut Vec<u8>) {
    if depth == 0 {
        return out.extend_from_slice(value.as_bytes());
    }
    let first = out.len();
    if let Some(members) = Members::of(value) {
        out.push(b'{');
        for (key, value) in last_of_each(members) {
            separate(first + 1, out);
            out.extend_from_slice(key.as_bytes());
            out.push(b':');
            write_without_duplicates(value, depth - 1, out);
        }
        out.push(b'}');
    } else if let Some(elements) = super::Elements::of(value) {
        out.push(b'[');
        for element in elements {
            separate(first + 1, out);
            write_without_duplicates(element, depth - 1, out);
        }
        out.push(b']');
    } else {
        out.extend_from_slice(value.as_bytes());
    }
}

fn last_of_each<'a>(members: Members<'a>) -> Vec<(&'a str, &'a str)> {
    let mut kept: Vec<(&str, &str)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (key, value) in members {
        match places.get(key) {
            Some(&place) => kept[place as usize].1 = value,
            None => {
                places.insert(key, kept.len() as u32);
                kept.push((key, value));
            }
        }
    }
    kept
}

fn separate(first: usize, out: &mut Vec<u8>) {
    if out.len() > first {
        out.push(b',');
    }
}
