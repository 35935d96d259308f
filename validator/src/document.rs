//! A JSON document as a tree, numbers as their text.
//!
//! Schemas are compiled from it, and data that a schema refused is read into it to be reported.
//! Duplicate keys keep the first position and the last value. Depth is bounded by the caller,
//! because every walk over a tree recurses.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::number;

/// One JSON value.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// The literal as it stands.
    Number(Cow<'a, str>),
    /// The text, unescaped.
    String(Cow<'a, str>),
    /// In order.
    Array(Vec<Value<'a>>),
    /// In order, keys unique.
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

/// Where a byte of a text is, for people: both counted from 1, columns in characters.
pub(crate) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let bytes = &text.as_bytes()[..at.min(text.len())];
    let start = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let line = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    // A byte that goes on with a character begins none.
    let begins = |byte: &&u8| **byte & 0xC0 != 0x80;
    (line, bytes[start..].iter().filter(begins).count() + 1)
}

/// Whether objects of as many members have the same ones, whatever their order.
fn same_members(a: &[Member<'_>], b: &[Member<'_>]) -> bool {
    let same = |((name, a), (other, b)): (&Member<'_>, &Member<'_>)| name == other && a.same(b);
    // Nearly always they are in one order.
    if a.iter().zip(b).all(|(a, b)| a.0 == b.0) {
        return a.iter().zip(b).all(same);
    }
    let (mut a, mut b): (Vec<_>, Vec<_>) = (a.iter().collect(), b.iter().collect());
    a.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    b.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    a.into_iter().zip(b).all(same)
}

/// A name and a value.
type Member<'a> = (Cow<'a, str>, Value<'a>);

/// Why a text is not a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParseError {
    /// It is not JSON, as seen at this byte.
    Syntax(usize),
    /// It is deeper than allowed.
    TooDeep,
}

/// Reads a document of at most `depth` levels, the root being the first; scalars count.
pub(crate) fn parse(text: &str, depth: u32) -> Result<Value<'_>, ParseError> {
    let mut parser = Parser { text, at: 0 };
    parser.space();
    let value = parser.value(depth)?;
    parser.space();
    if parser.at == text.len() { Ok(value) } else { Err(ParseError::Syntax(parser.at)) }
}

impl Value<'_> {
    /// The member of an object.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Value::Object(members) => {
                members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The text of a string.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// A copy that borrows from nothing.
    pub(crate) fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Bool(value) => Value::Bool(value),
            Value::Number(text) => Value::Number(Cow::Owned(text.into_owned())),
            Value::String(text) => Value::String(Cow::Owned(text.into_owned())),
            Value::Array(items) => Value::Array(items.into_iter().map(Value::into_owned).collect()),
            Value::Object(members) => Value::Object(
                members
                    .into_iter()
                    .map(|(key, value)| (Cow::Owned(key.into_owned()), value.into_owned()))
                    .collect(),
            ),
        }
    }

    /// Whether two values are the same, as the peer compares them: the order of members does not
    /// matter, and a number written as an integer differs from one that is not.
    pub(crate) fn same(&self, other: &Value<'_>) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Number(a), Value::Number(b)) => {
                number::is_integer(a) == number::is_integer(b)
                    && number::compare(a, b) == Ordering::Equal
            }
            (Value::String(a), Value::String(b)) => a == b,
            (Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Value::Object(a), Value::Object(b)) => a.len() == b.len() && same_members(a, b),
            _ => false,
        }
    }

    /// Appends the value as compact JSON.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Number(text) => out.extend_from_slice(text.as_bytes()),
            Value::String(text) => event::json::write_string(text, out),
            Value::Array(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Value::Object(members) => {
                out.push(b'{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    event::json::write_string(key, out);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }

    /// The value as compact JSON.
    pub(crate) fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// From this many members on, duplicate keys are looked for by sorting.
const LINEAR_DUPLICATES: usize = 16;

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn value(&mut self, depth: u32) -> Result<Value<'a>, ParseError> {
        let depth = depth.checked_sub(1).ok_or(ParseError::TooDeep)?;
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: u32) -> Result<Value<'a>, ParseError> {
        let mut members = Vec::new();
        self.at += 1;
        self.space();
        if self.eat(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            let key = self.string()?;
            self.space();
            self.expect(b':')?;
            self.space();
            members.push((key, self.value(depth)?));
            self.space();
            if self.eat(b'}') {
                return Ok(Value::Object(without_duplicates(members)));
            }
            self.expect(b',')?;
            self.space();
        }
    }

    fn array(&mut self, depth: u32) -> Result<Value<'a>, ParseError> {
        let mut items = Vec::new();
        self.at += 1;
        self.space();
        if self.eat(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.space();
            if self.eat(b']') {
                return Ok(Value::Array(items));
            }
            self.expect(b',')?;
            self.space();
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, ParseError> {
        self.expect(b'"')?;
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut escaped = false;
        loop {
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                Some(byte) if *byte >= 0x20 => self.at += 1,
                _ => return Err(ParseError::Syntax(self.at.min(bytes.len()))),
            }
        }
        let raw = &self.text[start..self.at];
        self.at += 1;
        if !escaped {
            return Ok(Cow::Borrowed(raw));
        }
        let mut out = String::with_capacity(raw.len());
        unescape(raw, &mut out).ok_or(ParseError::Syntax(start))?;
        Ok(Cow::Owned(out))
    }

    fn number(&mut self) -> Result<Value<'a>, ParseError> {
        let start = self.at;
        self.eat(b'-');
        let integer = self.at;
        if self.digits() == 0 || (self.at - integer > 1 && self.text[integer..].starts_with('0')) {
            return Err(ParseError::Syntax(start));
        }
        if self.eat(b'.') && self.digits() == 0 {
            return Err(ParseError::Syntax(self.at));
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _ = self.eat(b'+') || self.eat(b'-');
            if self.digits() == 0 {
                return Err(ParseError::Syntax(self.at));
            }
        }
        Ok(Value::Number(Cow::Borrowed(&self.text[start..self.at])))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, ParseError> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(ParseError::Syntax(self.at));
        }
        self.at += word.len();
        Ok(value)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), ParseError> {
        if self.eat(byte) { Ok(()) } else { Err(ParseError::Syntax(self.at)) }
    }
}

/// Appends the characters that the inside of a JSON string stands for. A lone surrogate becomes
/// U+FFFD. `None` if an escape is malformed.
pub(crate) fn unescape(raw: &str, out: &mut String) -> Option<()> {
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = *rest.as_bytes().get(at + 1)?;
        rest = rest.get(at + 2..)?;
        match escape {
            b'"' | b'\\' | b'/' => out.push(char::from(escape)),
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            b'u' => {
                let first = hex(rest)?;
                rest = &rest[4..];
                let second = rest.strip_prefix("\\u").and_then(hex);
                let pair = second.and_then(|low| pair(first, low));
                if pair.is_some() {
                    rest = &rest[6..];
                }
                let character = pair.or_else(|| char::from_u32(first));
                out.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            _ => return None,
        }
    }
    out.push_str(rest);
    Some(())
}

fn hex(text: &str) -> Option<u32> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

/// The character of two surrogates.
fn pair(high: u32, low: u32) -> Option<char> {
    let surrogates = (0xD800..0xDC00).contains(&high) && (0xDC00..0xE000).contains(&low);
    if !surrogates {
        return None;
    }
    char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
}

/// Keeps the first position and the last value of every key.
fn without_duplicates<'a>(
    members: Vec<(Cow<'a, str>, Value<'a>)>,
) -> Vec<(Cow<'a, str>, Value<'a>)> {
    if !has_duplicates(&members) {
        return members;
    }
    let mut kept: Vec<(Cow<'a, str>, Value<'a>)> = Vec::with_capacity(members.len());
    let mut index =
        hashbrown::HashMap::<Cow<'a, str>, usize, foldhash::fast::RandomState>::default();
    for (key, value) in members {
        if let Some(&at) = index.get(&key) {
            kept[at].1 = value;
        } else {
            index.insert(key.clone(), kept.len());
            kept.push((key, value));
        }
    }
    kept
}

fn has_duplicates(members: &[(Cow<'_, str>, Value<'_>)]) -> bool {
    if members.len() <= LINEAR_DUPLICATES {
        let earlier = |(at, (key, _)): (usize, &(Cow<'_, str>, _))| {
            members[..at].iter().any(|(other, _)| other == key)
        };
        return members.iter().enumerate().any(earlier);
    }
    let mut keys: Vec<&str> = members.iter().map(|(key, _)| key.as_ref()).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_round_trip_in_compact_form() {
        for text in
            [r#"{"a":[1,-0,1.50,1e5,"x\"\\\n",null,true,false,{}],"b":[]}"#, r#""é\u0001""#, "0"]
        {
            let value = parse(text, 9).expect("the text is JSON");
            assert_eq!(value.to_json(), text);
        }
        let value =
            parse(" { \"a\" : 1 , \"b\" : 2 , \"a\" : \"\\u00e9\\ud83d\\ude00\\ud83d\" } ", 9);
        let json = value.expect("the text is JSON").to_json();
        assert_eq!(json, "{\"a\":\"é😀\u{fffd}\",\"b\":2}");
    }

    #[test]
    fn texts_that_are_not_json_are_refused() {
        for text in [
            "",
            " ",
            "{",
            "[1,]",
            "{\"a\"}",
            "{\"a\":1,}",
            "01",
            "1.",
            "1e",
            "-",
            "tru",
            "\"a",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\n\"",
            "1 2",
            "\"\\",
            "[1",
            "{\"a\":1",
            "nul",
            "+1",
            "\"\\\"",
        ] {
            assert!(matches!(parse(text, 9), Err(ParseError::Syntax(_))), "{text}");
        }
        assert!(matches!(parse("[[1]]", 2), Err(ParseError::TooDeep)));
        assert!(parse("[[1]]", 3).is_ok());
    }

    #[test]
    fn equality_ignores_the_order_of_members_but_not_the_kind_of_number() {
        let same = |a, b| {
            let parse = |text| parse(text, 9).expect("the text is JSON");
            parse(a).same(&parse(b))
        };
        assert!(same(r#"{"a":1,"b":[2.50]}"#, r#"{"b":[2.5],"a":1}"#));
        assert!(!same("1", "1.0"));
        assert!(!same(r#"{"a":1}"#, r#"{"a":1,"b":1}"#));
        assert!(!same("[1,2]", "[2,1]"));
    }
}
