//! From text to what stands in it: assignments in their order, nothing merged, nothing substituted.

use super::Mistake;

/// What stands at the right of one key.
#[derive(Debug)]
pub(super) struct Raw {
    pub line: usize,
    pub parts: Vec<Part>,
    /// Given by `+=`.
    pub added: bool,
}

/// Values side by side are one.
#[derive(Debug)]
pub(super) enum Part {
    Text { text: String, quoted: bool },
    Object(Vec<(String, Raw)>),
    List(Vec<Raw>),
    Substitution { path: Vec<String>, optional: bool },
}

/// How deep objects and lists may nest: the reader calls itself for each.
const DEPTH: usize = 64;

/// How long a text may be.
const BYTES: usize = 4 << 20;

/// Reads a text, whose outermost braces may be left out.
pub(super) fn parse(text: &str) -> Result<Raw, Mistake> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > BYTES {
        return Err(Mistake::new(1, format!("expected at most {BYTES} bytes")));
    }
    let mut reader = Reader { rest: text, line: 1, depth: 0 };
    reader.blank();
    let fields = match reader.take("{") {
        true => reader.fields(Some('}'))?,
        false => reader.fields(None)?,
    };
    reader.blank();
    match reader.peek() {
        None => Ok(Raw { line: 1, parts: vec![Part::Object(fields)], added: false }),
        Some(found) => Err(reader.wrong(&format!("expected the end, found `{found}`"))),
    }
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    depth: usize,
}

/// What no text without quotes contains.
const RESERVED: &str = "$\"{}[]:=,+#`^?!@*&\\";

impl Reader<'_> {
    fn wrong(&self, what: &str) -> Mistake {
        Mistake::new(self.line, what)
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.rest = &self.rest[next.len_utf8()..];
        self.line += usize::from(next == '\n');
        Some(next)
    }

    /// Takes a text without line ends if it is next.
    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn is_comment(&self) -> bool {
        self.rest.starts_with('#') || self.rest.starts_with("//")
    }

    /// Passes over spaces within a line, and a comment up to its end.
    fn spaces(&mut self) -> String {
        let mut spaces = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_whitespace() && *c != '\n') {
            spaces.push(c);
            self.next();
        }
        if self.is_comment() {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.rest = &self.rest[end..];
        }
        spaces
    }

    /// Passes over spaces, ends of lines and comments. Whether there was an end of a line.
    fn blank(&mut self) -> bool {
        let line = self.line;
        loop {
            self.spaces();
            if self.peek() != Some('\n') {
                return self.line > line;
            }
            self.next();
        }
    }

    /// Between two elements: a comma, the end of a line, or what ends the whole.
    fn between(&mut self, end: Option<char>) -> Result<(), Mistake> {
        let line_ended = self.blank();
        if self.take(",") {
            self.blank();
            return Ok(());
        }
        match self.peek() {
            found if line_ended || found == end => Ok(()),
            Some(found) => {
                Err(self.wrong(&format!("expected a comma or another line, found `{found}`")))
            }
            None => Ok(()),
        }
    }

    /// Fields up to what ends them.
    fn fields(&mut self, end: Option<char>) -> Result<Vec<(String, Raw)>, Mistake> {
        self.deeper()?;
        let mut fields = Vec::new();
        loop {
            self.blank();
            match self.peek() {
                found if found == end => break,
                None => return Err(self.wrong("expected `}`, found the end")),
                Some(_) => {}
            }
            fields.push(self.field()?);
            self.between(end)?;
        }
        self.next();
        self.depth -= 1;
        Ok(fields)
    }

    fn deeper(&mut self) -> Result<(), Mistake> {
        self.depth += 1;
        match self.depth > DEPTH {
            true => Err(self.wrong(&format!("expected at most {DEPTH} levels"))),
            false => Ok(()),
        }
    }

    fn field(&mut self) -> Result<(String, Raw), Mistake> {
        self.refuse_include()?;
        let line = self.line;
        let mut path = self.path()?;
        self.blank();
        let added = self.take("+=");
        if !added && !self.take("=") && !self.take(":") && self.peek() != Some('{') {
            return Err(
                self.wrong(&format!("expected `=`, `:` or `{{` after `{}`", path.join(".")))
            );
        }
        self.blank();
        let mut raw = self.value()?;
        raw.added = added;
        let last = path.pop().ok_or_else(|| Mistake::new(line, "expected a key"))?;
        let mut field = (last, raw);
        while let Some(key) = path.pop() {
            let parts = vec![Part::Object(vec![field])];
            field = (key, Raw { line, parts, added: false });
        }
        Ok(field)
    }

    /// `include` is a key only where something is assigned to it.
    fn refuse_include(&self) -> Result<(), Mistake> {
        let Some(rest) = self.rest.strip_prefix("include") else { return Ok(()) };
        let what = rest.trim_start();
        let kinds = ["\"", "file(", "url(", "classpath(", "required("];
        match kinds.iter().any(|kind| what.starts_with(kind)) {
            true => Err(self.wrong(&format!(
                "`include {}` is not followed: put the text in its place",
                what.lines().next().unwrap_or_default().trim_end()
            ))),
            false => Ok(()),
        }
    }

    /// A key, or several with dots between.
    fn path(&mut self) -> Result<Vec<String>, Mistake> {
        let mut path = vec![String::new()];
        loop {
            let last = path.last_mut().expect("it begins with one");
            match self.peek() {
                Some('"') => last.push_str(&self.quoted()?),
                Some('.') => {
                    self.next();
                    path.push(String::new());
                }
                Some(c) if !RESERVED.contains(c) && c != '\n' && !self.is_comment() => {
                    last.push(c);
                    self.next();
                }
                _ => break,
            }
        }
        path.iter_mut().for_each(|key| *key = key.trim().to_owned());
        match path.iter().any(String::is_empty) {
            true => Err(self.wrong("expected a key")),
            false => Ok(path),
        }
    }

    /// Values side by side, up to the end of the line or of the element.
    fn value(&mut self) -> Result<Raw, Mistake> {
        let line = self.line;
        let mut parts: Vec<Part> = Vec::new();
        loop {
            let spaces = self.spaces();
            let Some(next) = self.peek().filter(|c| !"\n,}]".contains(*c)) else { break };
            if !spaces.is_empty() && !parts.is_empty() {
                parts.push(Part::Text { text: spaces, quoted: false });
            }
            parts.push(self.part(next)?);
        }
        match parts.is_empty() {
            true => Err(Mistake::new(line, "expected a value")),
            false => Ok(Raw { line, parts, added: false }),
        }
    }

    fn part(&mut self, next: char) -> Result<Part, Mistake> {
        match next {
            '{' => {
                self.next();
                Ok(Part::Object(self.fields(Some('}'))?))
            }
            '[' => self.list(),
            '"' => Ok(Part::Text { text: self.quoted()?, quoted: true }),
            '$' => self.substitution(),
            _ => {
                let mut text = String::new();
                while let Some(c) = self.peek() {
                    if RESERVED.contains(c) || c.is_whitespace() || self.is_comment() {
                        break;
                    }
                    text.push(c);
                    self.next();
                }
                match text.is_empty() {
                    true => Err(self.wrong(&format!("`{next}` has to stand in quotes"))),
                    false => Ok(Part::Text { text, quoted: false }),
                }
            }
        }
    }

    fn list(&mut self) -> Result<Part, Mistake> {
        self.deeper()?;
        self.next();
        let mut items = Vec::new();
        loop {
            self.blank();
            match self.peek() {
                Some(']') => break,
                None => return Err(self.wrong("expected `]`, found the end")),
                Some(_) => items.push(self.value()?),
            }
            self.between(Some(']'))?;
        }
        self.next();
        self.depth -= 1;
        Ok(Part::List(items))
    }

    fn substitution(&mut self) -> Result<Part, Mistake> {
        if !self.take("${") {
            return Err(self.wrong("`$` has to stand in quotes, or to begin `${`"));
        }
        let optional = self.take("?");
        let path = self.path()?;
        match self.take("}") {
            true => Ok(Part::Substitution { path, optional }),
            false => Err(self.wrong("expected `}` after the name in `${`")),
        }
    }

    fn quoted(&mut self) -> Result<String, Mistake> {
        let line = self.line;
        if self.take("\"\"\"") {
            let open = || Mistake::new(line, "this `\"\"\"` has no end");
            let end = self.rest.find("\"\"\"").ok_or_else(open)?;
            // Quotes that stand before the last three belong to the text.
            let more = self.rest[end + 3..].chars().take_while(|c| *c == '"').count();
            let text = self.rest[..end + more].to_owned();
            self.line += text.matches('\n').count();
            self.rest = &self.rest[end + more + 3..];
            return Ok(text);
        }
        let mut escaped = false;
        let inside = |(_, c): &(usize, char)| {
            let ends = !escaped && *c == '"';
            escaped = !escaped && *c == '\\';
            ends || *c == '\n'
        };
        let end = self.rest.char_indices().skip(1).find(inside);
        let Some((end, '"')) = end else {
            return Err(self.wrong("this `\"` has no end on its line"));
        };
        let text = serde_json::from_str(&self.rest[..=end]);
        let text = text.map_err(|error| self.wrong(&format!("a text that is no JSON: {error}")))?;
        self.rest = &self.rest[end + 1..];
        Ok(text)
    }
}
