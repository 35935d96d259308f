//! A cursor over JSON text in compact form: what is read goes straight into columns.
//!
//! Every step checks what it reads, so that no text makes it panic; what is no JSON in compact form
//! is refused where it stops being that.

/// Deeper values are no values: nothing here recurses deeper, nor reads for ever.
const DEPTH: usize = 512;

/// A place in a JSON text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<'a> {
    text: &'a str,
    at: usize,
}

/// The inside of a JSON string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    /// As it stands between the quotes.
    pub(crate) raw: &'a str,
    /// Whether there are escapes in it.
    pub(crate) escaped: bool,
}

/// The text is not JSON in compact form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

impl<'a> Json<'a> {
    pub(crate) fn new(text: &'a str) -> Json<'a> {
        Json { text, at: 0 }
    }

    /// The byte that comes next.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes a byte if it comes next.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Takes a text if it comes next.
    pub(crate) fn eat_text(&mut self, text: &[u8]) -> bool {
        let there = self.text.as_bytes()[self.at..].starts_with(text);
        self.at += if there { text.len() } else { 0 };
        there
    }

    /// Takes a byte that has to come next.
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Broken> {
        if self.eat(byte) { Ok(()) } else { Err(Broken) }
    }

    /// Whether everything has been read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    /// Takes a string.
    pub(crate) fn string(&mut self) -> Result<Text<'a>, Broken> {
        self.expect(b'"')?;
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut at = event::json::string_run(bytes, start).ok_or(Broken)?;
        let escaped = bytes[at] == b'\\';
        while bytes[at] == b'\\' {
            let (_, length) = event::json::escape(&bytes[at..]).ok_or(Broken)?;
            at = event::json::string_run(bytes, at + length).ok_or(Broken)?;
        }
        self.at = at + 1;
        Ok(Text { raw: self.text.get(start..at).ok_or(Broken)?, escaped })
    }

    /// Takes a number, as it stands.
    pub(crate) fn number(&mut self) -> Result<&'a str, Broken> {
        let rest = &self.text.as_bytes()[self.at..];
        let of_number =
            |b: &u8| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.iter().position(|b| !of_number(b)).unwrap_or(rest.len());
        if length == 0 {
            return Err(Broken);
        }
        let number = &self.text[self.at..self.at + length];
        self.at += length;
        Ok(number)
    }

    /// Takes any value, as it stands.
    pub(crate) fn value(&mut self) -> Result<&'a str, Broken> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek().ok_or(Broken)? {
                b'{' | b'[' => {
                    depth += 1;
                    if depth > DEPTH {
                        return Err(Broken);
                    }
                    self.at += 1;
                    if !matches!(self.peek(), Some(b'}' | b']')) {
                        continue;
                    }
                }
                b'"' => {
                    self.string()?;
                }
                b't' | b'f' | b'n' => self.word()?,
                _ => {
                    self.number()?;
                }
            }
            while depth > 0 && matches!(self.peek(), Some(b'}' | b']')) {
                depth -= 1;
                self.at += 1;
            }
            if depth == 0 {
                return Ok(&self.text[start..self.at]);
            }
            if !self.eat(b',') {
                self.expect(b':')?;
            }
        }
    }

    fn word(&mut self) -> Result<(), Broken> {
        let words: [&[u8]; 3] = [b"true", b"false", b"null"];
        if words.into_iter().any(|word| self.eat_text(word)) { Ok(()) } else { Err(Broken) }
    }
}

impl Text<'_> {
    /// Appends what it stands for. An escape that stands for no character stands for `?`, as in
    /// every other form of an event.
    pub(crate) fn append_to(self, out: &mut Vec<u8>) {
        let mut rest = self.raw;
        if self.escaped {
            while let Some(at) = rest.find('\\') {
                out.extend_from_slice(&rest.as_bytes()[..at]);
                let (character, length) =
                    event::json::escape(&rest.as_bytes()[at..]).unwrap_or(('?', 2));
                let mut utf8 = [0; 4];
                out.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
                rest = rest.get(at + length..).unwrap_or_default();
            }
        }
        out.extend_from_slice(rest.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_is_taken_whole() {
        for value in [
            "1",
            "-1.5e3",
            "true",
            "null",
            "\"a\\\"b,]\"",
            "[]",
            "{}",
            "[1,[2,{}],\"]\"]",
            "{\"a\":{\"b\":[1,2]},\"c\":null}",
            "[[],{}]",
        ] {
            let text = format!("{value},rest");
            let mut json = Json::new(&text);
            assert_eq!(json.value(), Ok(value));
            assert_eq!(json.peek(), Some(b','));
        }
        for broken in ["", "x", "[1", "\"a", "{\"a\"", "[1 2]", "\"\u{1}\""] {
            assert_eq!(Json::new(broken).value(), Err(Broken), "{broken}");
        }
        assert_eq!(Json::new(&"[".repeat(100_000)).value(), Err(Broken));
    }

    #[test]
    fn strings_lose_their_escapes() {
        for (text, expected) in [
            (r#""plain é""#, "plain é"),
            (r#""a\"\\\/\n\u00e9\ud83d\ude00z""#, "a\"\\/\né😀z"),
            (r#""half \ud83d""#, "half ?"),
        ] {
            let mut out = Vec::new();
            Json::new(text).string().expect("a string").append_to(&mut out);
            assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
        }
    }
}
