//! The language of matchers: reading an expression.
//!
//! An expression names a place in the tree by a path from the top, may walk on from it, compare
//! values on the way, and transform what it finds.

/// What a rule asks of the tree of a user agent.
#[derive(Debug, PartialEq)]
pub(super) enum Expression {
    /// Always this text.
    Fixed(String),
    /// A path from the top of the tree.
    Agent(Vec<Walk>),
    /// A path from where a variable was found.
    Variable(String, Vec<Walk>),
    /// Whether the text breaks the grammar, `true` or `false`.
    Broken(String),
    /// Something done to what was found.
    Then(Box<Expression>, Function),
}

/// A step along a path.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Walk {
    /// To children of a name, numbered from 1.
    Down(u8, u8, String),
    Up,
    Next(u8),
    Previous(u8),
    Equals(String),
    NotEquals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    NotContains(String),
    In(String),
    NotIn(String),
    Words(Range),
    BackToFull,
}

/// Words from the first to the last, counted from 1; to the end where there is no last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Range {
    pub(super) first: u8,
    pub(super) last: Option<u8>,
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.last {
            Some(last) => write!(f, "[{}-{last}]", self.first),
            None => write!(f, "[{}-]", self.first),
        }
    }
}

/// What is done to a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Function {
    Concat(String, String),
    NormaliseBrand,
    BrandFromUrl,
    CleanVersion,
    IsValidVersion,
    Replace(String, String),
    LookUp(String, Option<String>),
    IsIn(String),
    LookUpContains(String, Option<String>),
    IsInContains(String),
    IsNotInContains(String),
    LookUpPrefix(String, Option<String>),
    IsInPrefix(String),
    IsNotInPrefix(String),
    DefaultIfNull(String),
    Words(Range),
    Segments(Range),
}

impl Expression {
    /// Reads an expression.
    pub(super) fn read(text: &str) -> Result<Expression, String> {
        let mut reader = Reader { text, rest: text };
        if reader.accept("__SyntaxError__") {
            reader.expect("=")?;
            return Ok(Expression::Broken(reader.value()?));
        }
        let expression = reader.expression(0)?;
        reader.skip_space();
        if reader.rest.is_empty() { Ok(expression) } else { Err(reader.wrong("the end")) }
    }
}

struct Reader<'t> {
    text: &'t str,
    rest: &'t str,
}

/// How deep functions may stand in one another.
const MOST_DEPTH: usize = 16;

impl Reader<'_> {
    fn wrong(&self, expected: &str) -> String {
        let at = self.text.len() - self.rest.len();
        format!("expected {expected} at character {} of: {}", at + 1, self.text)
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn accept(&mut self, token: &str) -> bool {
        self.skip_space();
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.accept(token) { Ok(()) } else { Err(self.wrong(token)) }
    }

    fn name(&mut self) -> Result<String, String> {
        self.skip_space();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.rest.len());
        if end == 0 {
            return Err(self.wrong("a name"));
        }
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(name.to_owned())
    }

    fn number(&mut self) -> Result<Option<u8>, String> {
        self.skip_space();
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        if end == 0 {
            return Ok(None);
        }
        let number = self.rest[..end].parse().map_err(|_| self.wrong("a small number"))?;
        self.rest = &self.rest[end..];
        Ok(Some(number))
    }

    /// A text in quotes; a backslash and what it escapes stay as they are.
    fn value(&mut self) -> Result<String, String> {
        self.expect("\"")?;
        let mut escaped = false;
        let end = self.rest.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let end = end.ok_or_else(|| self.wrong("a closing quote"))?;
        let value = self.rest[..end].to_owned();
        self.rest = &self.rest[end + 1..];
        Ok(value)
    }

    fn expression(&mut self, depth: usize) -> Result<Expression, String> {
        if depth > MOST_DEPTH {
            return Err(self.wrong("fewer functions in one another"));
        }
        self.skip_space();
        let mut expression = if self.rest.starts_with('"') {
            Expression::Fixed(self.value()?)
        } else if self.accept("@") {
            let name = self.name()?;
            Expression::Variable(name, self.path()?)
        } else {
            let name = self.name()?;
            if name == "agent" {
                Expression::Agent(self.path()?)
            } else {
                self.expect("[")?;
                self.function(&name, depth)?
            }
        };
        while self.accept("[") {
            let function = if self.accept("[") {
                let range = self.range()?;
                self.expect("]")?;
                Function::Segments(range)
            } else {
                Function::Words(self.range()?)
            };
            expression = Expression::Then(Box::new(expression), function);
        }
        Ok(expression)
    }

    /// A function behind its opening bracket.
    fn function(&mut self, name: &str, depth: usize) -> Result<Expression, String> {
        let table = match name {
            "LookUp"
            | "IsInLookUp"
            | "LookUpContains"
            | "IsInLookUpContains"
            | "IsNotInLookUpContains"
            | "LookUpPrefix"
            | "IsInLookUpPrefix"
            | "IsNotInLookUpPrefix" => {
                let table = self.name()?;
                self.expect(";")?;
                table
            }
            _ => String::new(),
        };
        let mut prefix = None;
        if name == "Concat" {
            let before = self.rest;
            if self.accept("\"") {
                self.rest = before;
                let value = self.value()?;
                // A text alone is what is added to; before a semicolon it may be what is added.
                if self.accept(";") && self.another_follows() {
                    prefix = Some(value);
                } else {
                    self.rest = before;
                }
            }
        }
        let inner = self.expression(depth + 1)?;
        let mut values = Vec::new();
        while self.accept(";") {
            values.push(self.value()?);
        }
        self.expect("]")?;
        let mut values = values.into_iter();
        let (first, second) = (values.next(), values.next());
        let need = |value: Option<String>| value.ok_or_else(|| format!("{name} lacks a text"));
        let function = match name {
            "Concat" => Function::Concat(prefix.unwrap_or_default(), first.unwrap_or_default()),
            "NormalizeBrand" => Function::NormaliseBrand,
            "ExtractBrandFromUrl" => Function::BrandFromUrl,
            "CleanVersion" => Function::CleanVersion,
            "IsValidVersion" => Function::IsValidVersion,
            "ReplaceString" => Function::Replace(need(first)?, need(second)?),
            "LookUp" => Function::LookUp(table, first),
            "IsInLookUp" => Function::IsIn(table),
            "LookUpContains" => Function::LookUpContains(table, first),
            "IsInLookUpContains" => Function::IsInContains(table),
            "IsNotInLookUpContains" => Function::IsNotInContains(table),
            "LookUpPrefix" => Function::LookUpPrefix(table, first),
            "IsInLookUpPrefix" => Function::IsInPrefix(table),
            "IsNotInLookUpPrefix" => Function::IsNotInPrefix(table),
            "DefaultIfNull" => Function::DefaultIfNull(need(first)?),
            _ => return Err(format!("expected a function, found {name} in: {}", self.text)),
        };
        Ok(Expression::Then(Box::new(inner), function))
    }

    /// Whether an expression rather than a text and the end follows.
    fn another_follows(&mut self) -> bool {
        self.skip_space();
        !self.rest.starts_with('"')
    }

    fn path(&mut self) -> Result<Vec<Walk>, String> {
        let mut path = Vec::new();
        loop {
            self.skip_space();
            let before = self.rest;
            let walk = if self.accept(".") {
                self.down()?
            } else if self.accept("^") {
                Walk::Up
            } else if self.accept("!=") {
                Walk::NotEquals(self.value()?)
            } else if self.accept("!~") {
                Walk::NotContains(self.value()?)
            } else if self.accept("!?") {
                Walk::NotIn(self.name()?)
            } else if self.accept("=") {
                Walk::Equals(self.value()?)
            } else if self.accept("~") {
                Walk::Contains(self.value()?)
            } else if self.accept("?") {
                Walk::In(self.name()?)
            } else if self.accept("{") {
                Walk::StartsWith(self.value()?)
            } else if self.accept("}") {
                Walk::EndsWith(self.value()?)
            } else if self.accept("@") {
                Walk::BackToFull
            } else if before.starts_with(['>', '<']) {
                let mark = &before[..1];
                let run = before.len() - before.trim_start_matches(mark).len();
                let run = run.min(4);
                self.rest = &before[run..];
                if mark == ">" { Walk::Next(run as u8) } else { Walk::Previous(run as u8) }
            } else if before.starts_with('[') && !before[1..].trim_start().starts_with('[') {
                self.rest = &before[1..];
                Walk::Words(self.range()?)
            } else {
                return Ok(path);
            };
            path.push(walk);
        }
    }

    fn down(&mut self) -> Result<Walk, String> {
        let mut numbers = (1, None);
        if self.accept("(") {
            if !self.accept("*") {
                let first = self.number()?;
                numbers.0 = first.unwrap_or(1);
                numbers.1 = if self.accept("-") { self.number()? } else { first };
            }
            self.expect(")")?;
        }
        let name = self.name()?;
        // How many of each the library looks at where a rule names no number.
        let most = match name.as_str() {
            "agent" | "name" | "key" => 1,
            "value" | "comments" | "email" | "url" | "uuid" => 2,
            "keyvalue" => 3,
            "version" => 4,
            "text" => 8,
            "entry" => 20,
            _ => 10,
        };
        Ok(Walk::Down(numbers.0, numbers.1.unwrap_or(most), name))
    }

    /// A range of words behind its opening bracket.
    fn range(&mut self) -> Result<Range, String> {
        let first = self.number()?;
        let range = if self.accept("-") {
            Range { first: first.unwrap_or(1), last: self.number()? }
        } else {
            Range { first: first.ok_or_else(|| self.wrong("a number"))?, last: first }
        };
        self.expect("]")?;
        Ok(range)
    }
}
