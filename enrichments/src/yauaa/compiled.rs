//! What was read of an asset, in a form that is quick to read again.
//!
//! Numbers are little-endian; texts and lists say their length first. The file begins with a mark
//! for this form and the hash of the asset; one that does not fit, or breaks off, is as good as
//! none.

use super::lexer::{Lexer, Table};
use super::rules::{Line, Matcher, Rules};

/// The hash of an asset.
pub(super) type Hash = [u8; 32];

/// Changes with this form, and with whatever changes what is read of the same asset.
const MARK: &[u8; 16] = b"snowmelt yauaa 1";

/// Writes rules and the table of tokens.
pub(super) fn write(rules: &Rules, lexer: &Lexer, hash: &Hash) -> Vec<u8> {
    let mut out = Writer { bytes: Vec::with_capacity(4 << 20) };
    out.bytes.extend_from_slice(MARK);
    out.bytes.extend_from_slice(hash);
    out.number(u32::from(rules.version));
    out.list(&rules.files, |out, file| out.text(file));
    out.list(&rules.matchers, |out, matcher| {
        out.number(u32::from(matcher.file));
        out.number(matcher.line);
        out.list(&matcher.lines, Writer::line);
    });
    out.list(&rules.lookups, |out, (name, entries)| {
        out.text(name);
        out.list(entries, |out, (key, value)| {
            out.text(key);
            out.text(value);
        });
    });
    out.list(&rules.sets, |out, (name, members)| {
        out.text(name);
        out.list(members, |out, member| out.text(member));
    });
    out.text(&rules.suffixes);
    let table = lexer.table();
    out.list(&table.classes, |out, class| out.number(u32::from(*class)));
    out.list(&table.next, |out, next| out.bytes.extend_from_slice(&next.to_le_bytes()));
    out.list(&table.accepts, |out, rule| out.bytes.push(rule.map_or(u8::MAX, |rule| rule)));
    out.bytes
}

/// Reads them, if they are of this asset.
pub(super) fn read(bytes: &[u8], hash: &Hash) -> Option<(Rules, Lexer)> {
    let rest = bytes.strip_prefix(MARK)?.strip_prefix(hash)?;
    let mut input = Input { rest };
    let rules = Rules {
        version: u16::try_from(input.number()?).ok()?,
        files: input.list(Input::text)?,
        matchers: input.list(|input| {
            Some(Matcher {
                file: u16::try_from(input.number()?).ok()?,
                line: input.number()?,
                lines: input.list(Input::line)?,
            })
        })?,
        lookups: input.list(|input| {
            let name = input.text()?;
            Some((name, input.list(|input| Some((input.text()?, input.text()?)))?))
        })?,
        sets: input.list(|input| Some((input.text()?, input.list(Input::text)?)))?,
        suffixes: input.text()?,
    };
    let files = rules.files.len();
    if rules.matchers.iter().any(|matcher| usize::from(matcher.file) >= files) {
        return None;
    }
    let table = Table {
        classes: input.list(|input| u8::try_from(input.number()?).ok())?,
        next: input.list(|input| input.take().map(u16::from_le_bytes))?,
        accepts: input.list(|input| {
            let [rule] = input.take()?;
            Some((rule != u8::MAX).then_some(rule))
        })?,
    };
    let lexer = Lexer::of_table(table)?;
    input.rest.is_empty().then_some((rules, lexer))
}

struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn number(&mut self, number: u32) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(u32::try_from(text.len()).expect("files are smaller"));
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn list<T>(&mut self, list: &[T], mut write: impl FnMut(&mut Writer, &T)) {
        self.number(u32::try_from(list.len()).expect("files are smaller"));
        list.iter().for_each(|entry| write(self, entry));
    }

    fn line(&mut self, line: &Line) {
        match line {
            Line::Variable { name, expression } => {
                self.bytes.push(0);
                self.text(name);
                self.text(expression);
            }
            Line::Require(expression) => {
                self.bytes.push(1);
                self.text(expression);
            }
            Line::FailIfFound(expression) => {
                self.bytes.push(2);
                self.text(expression);
            }
            Line::Extract { field, weight, expression } => {
                self.bytes.push(3);
                self.text(field);
                self.bytes.extend_from_slice(&weight.to_le_bytes());
                self.text(expression);
            }
        }
    }
}

struct Input<'b> {
    rest: &'b [u8],
}

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    fn number(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = self.number()? as usize;
        let (text, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(std::str::from_utf8(text).ok()?.to_owned())
    }

    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let length = self.number()? as usize;
        // A broken length must not ask for more than the bytes that are left could hold.
        let mut list = Vec::with_capacity(length.min(self.rest.len()));
        for _ in 0..length {
            list.push(read(self)?);
        }
        Some(list)
    }

    fn line(&mut self) -> Option<Line> {
        let [kind] = self.take()?;
        Some(match kind {
            0 => Line::Variable { name: self.text()?, expression: self.text()? },
            1 => Line::Require(self.text()?),
            2 => Line::FailIfFound(self.text()?),
            3 => {
                let (field, weight) = (self.text()?, i64::from_le_bytes(self.take()?));
                Line::Extract { field, weight, expression: self.text()? }
            }
            _ => return None,
        })
    }
}
