//! Reads patterns in Java's notation.
//!
//! What a notation means is what `java.util.regex` of Java 17 was seen to make of it. Whatever it
//! refuses is refused here, but for look-behinds "without an obvious maximum length", which
//! nothing here needs; `\N{…}` is refused, for want of a table of names.

mod class;
mod escape;

use super::family::{self, Sense};
use super::fold::{self, Case};
use super::set::Set;
use super::syntax::{Classes, Fold, Greed, Lines, Look, Node, Place, Syntax, Words};

/// Why a pattern is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is no regular expression.
    Malformed(&'static str),
    /// It takes more memory than patterns may.
    TooLarge,
}

/// How deep groups and classes may be within one another; every walk over what was read recurses.
const DEPTH_LIMIT: u32 = 200;

/// How much memory the classes of one pattern may take, bytes.
const CLASS_BYTES: usize = 4 << 20;

/// Reads a pattern.
pub(super) fn read(java: &str) -> Result<Syntax, Refusal> {
    let mut reader = Reader {
        units: units(java),
        at: 0,
        flags: Flags::default(),
        groups: 0,
        names: Vec::new(),
        classes: Classes::default(),
        depth: 0,
    };
    let root = reader.alternatives()?;
    if reader.at < reader.units.len() {
        return malformed("a closing parenthesis without an opening one");
    }
    Ok(Syntax { root, classes: reader.classes.list, groups: reader.groups })
}

fn malformed<T>(why: &'static str) -> Result<T, Refusal> {
    Err(Refusal::Malformed(why))
}

/// A character of a pattern, and whether it stands for itself because it is quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unit {
    character: char,
    quoted: bool,
}

/// The characters of a pattern without the `\Q` and `\E` about what is quoted.
fn units(java: &str) -> Vec<Unit> {
    let mut units = Vec::with_capacity(java.len());
    let mut characters = java.chars().peekable();
    let mut quoted = false;
    while let Some(character) = characters.next() {
        let next = characters.peek().copied();
        match (character, next) {
            ('\\', Some('E')) if quoted => quoted = false,
            ('\\', Some('Q')) if !quoted => quoted = true,
            ('\\', Some(escaped)) if !quoted => {
                units.push(Unit { character, quoted });
                units.push(Unit { character: escaped, quoted });
            }
            _ => {
                units.push(Unit { character, quoted });
                continue;
            }
        }
        characters.next();
    }
    units
}

/// The flags that hold at a place.
#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    any_case: bool,
    unicode_case: bool,
    lines: bool,
    dot_all: bool,
    unix_lines: bool,
    comments: bool,
    unicode: bool,
}

impl Flags {
    fn case(self) -> Case {
        match (self.any_case, self.unicode_case) {
            (false, _) => Case::Strict,
            (true, false) => Case::Ascii,
            (true, true) => Case::Unicode,
        }
    }

    fn fold(self) -> Fold {
        match self.case() {
            Case::Strict => Fold::None,
            Case::Ascii => Fold::Ascii,
            Case::Unicode => Fold::Unicode,
        }
    }

    fn line_ends(self) -> Lines {
        if self.unix_lines { Lines::Unix } else { Lines::Any }
    }

    fn words(self) -> Words {
        if self.unicode { Words::Unicode } else { Words::Letters }
    }

    fn sense(self) -> Sense {
        Sense { unicode: self.unicode, any_case: self.any_case }
    }

    /// Sets or clears the flag of a letter; `None` if there is none.
    fn set(&mut self, letter: char, on: bool) -> Option<()> {
        match letter {
            'i' => self.any_case = on,
            'm' => self.lines = on,
            's' => self.dot_all = on,
            'd' => self.unix_lines = on,
            'u' => self.unicode_case = on,
            'x' => self.comments = on,
            'U' => (self.unicode, self.unicode_case) = (on, on),
            // Canonical equivalence, which Java knows as a flag and does not carry out here.
            'c' => {}
            _ => return None,
        }
        Some(())
    }
}

struct Reader {
    units: Vec<Unit>,
    at: usize,
    flags: Flags,
    groups: u32,
    names: Vec<(String, u32)>,
    classes: Classes,
    depth: u32,
}

impl Reader {
    /// The unit here, comments and white space left out where they do not count.
    fn peek(&mut self) -> Option<Unit> {
        if self.flags.comments {
            self.pass_comments();
        }
        self.raw()
    }

    /// The unit here, whatever it is.
    fn raw(&self) -> Option<Unit> {
        self.units.get(self.at).copied()
    }

    fn pass_comments(&mut self) {
        let line_ends = self.flags.line_ends();
        while let Some(Unit { character, quoted: false }) = self.raw() {
            match character {
                ' ' | '\t'..='\r' => self.at += 1,
                '#' => {
                    let rest = &self.units[self.at..];
                    let ends = |unit: &Unit| is_line_end(unit.character, line_ends);
                    self.at += rest.iter().position(ends).unwrap_or(rest.len());
                    // Another sign of the line's end is no white space: it is a character.
                    if self.raw().is_some_and(|unit| !matches!(unit.character, '\t'..='\r')) {
                        return;
                    }
                }
                _ => return,
            }
        }
    }

    /// Whether a sign is here.
    fn is(&mut self, sign: char) -> bool {
        self.peek() == Some(Unit { character: sign, quoted: false })
    }

    /// Passes a sign, if it is here.
    fn eat(&mut self, sign: char) -> bool {
        let found = self.is(sign);
        self.at += usize::from(found);
        found
    }

    /// Passes a sign that is the very next unit.
    fn eat_raw(&mut self, sign: char) -> bool {
        let found = self.raw() == Some(Unit { character: sign, quoted: false });
        self.at += usize::from(found);
        found
    }

    /// A part that stands for a set.
    fn class_node(&mut self, set: Set) -> Result<Node, Refusal> {
        let id = self.classes.of(set);
        if self.classes.bytes > CLASS_BYTES { Err(Refusal::TooLarge) } else { Ok(Node::Class(id)) }
    }

    fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Reader) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        if self.depth == DEPTH_LIMIT {
            return Err(Refusal::TooLarge);
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn alternatives(&mut self) -> Result<Node, Refusal> {
        let mut branches = vec![self.chain()?];
        while self.eat('|') {
            branches.push(self.chain()?);
        }
        Ok(if branches.len() == 1 { branches.remove(0) } else { Node::Either(branches) })
    }

    fn chain(&mut self) -> Result<Node, Refusal> {
        let mut nodes = Vec::new();
        while let Some(unit) = self.peek() {
            let node = match unit.character {
                character if unit.quoted => self.literal(character)?,
                '|' | ')' => break,
                '*' | '+' | '?' => return malformed("a quantifier with nothing before it"),
                // Java takes it for a repetition of nothing.
                '{' => Node::Empty,
                '(' => match self.group()? {
                    Some(node) => node,
                    None => continue,
                },
                '[' => {
                    self.at += 1;
                    let set = self.deeper(|reader| reader.class(true))?;
                    self.class_node(set)?
                }
                '\\' => self.escape()?,
                '^' | '$' | '.' => self.sign(unit.character)?,
                character => self.literal(character)?,
            };
            nodes.push(self.quantified(node)?);
        }
        Ok(Node::chain(nodes))
    }

    fn literal(&mut self, character: char) -> Result<Node, Refusal> {
        self.at += 1;
        self.class_node(fold::single(character.into(), self.flags.case()))
    }

    fn sign(&mut self, sign: char) -> Result<Node, Refusal> {
        self.at += 1;
        let line_ends = self.flags.line_ends();
        Ok(match (sign, self.flags.lines) {
            ('^', false) => Node::Place(Place::Start),
            ('^', true) => Node::Place(Place::LineStart(line_ends)),
            ('$', false) => Node::Place(Place::LastLineEnd(line_ends)),
            ('$', true) => Node::Place(Place::LineEnd(line_ends)),
            _ if self.flags.dot_all => self.class_node(Set::all())?,
            _ => self.class_node(line_end_set(line_ends).negated())?,
        })
    }

    /// A part with the quantifier behind it, if there is one.
    fn quantified(&mut self, node: Node) -> Result<Node, Refusal> {
        let Some(Unit { character, quoted: false }) = self.peek() else { return Ok(node) };
        let (least, most) = match character {
            '?' => (0, Some(1)),
            '*' => (0, None),
            '+' => (1, None),
            '{' => {
                self.at += 1;
                self.counts()?
            }
            _ => return Ok(node),
        };
        if character != '{' {
            self.at += 1;
        }
        let greed = if self.eat('?') {
            Greed::Lazy
        } else if self.eat('+') {
            Greed::Possessive
        } else {
            Greed::Greedy
        };
        Ok(Node::repeat(node, least, most, greed))
    }

    /// The counts of a repetition whose brace was read.
    fn counts(&mut self) -> Result<(u32, Option<u32>), Refusal> {
        if !self.raw().is_some_and(|unit| unit.character.is_ascii_digit()) {
            return malformed("a brace that opens no repetition");
        }
        let least = self.count()?;
        let mut most = Some(least);
        if self.eat(',') {
            most = if self.is('}') { None } else { Some(self.count()?) };
        }
        if !self.eat('}') {
            return malformed("a repetition without a closing brace");
        }
        if most.is_some_and(|most| most < least) {
            return malformed("a repetition of at most fewer than at least");
        }
        Ok((least, most))
    }

    fn count(&mut self) -> Result<u32, Refusal> {
        let mut count = 0_u32;
        while let Some(digit) = self.peek().and_then(|unit| unit.character.to_digit(10)) {
            let next = count.checked_mul(10).and_then(|count| count.checked_add(digit));
            // Java counts with a sign.
            let Some(next) = next.filter(|next| *next <= i32::MAX as u32) else {
                return malformed("a repetition of too many");
            };
            count = next;
            self.at += 1;
        }
        Ok(count)
    }

    /// A group; `None` if it only sets flags.
    fn group(&mut self) -> Result<Option<Node>, Refusal> {
        self.at += 1;
        let flags = self.flags;
        if !self.eat('?') {
            self.groups += 1;
            let group = self.groups;
            return self.rest_of_group(flags, |body| Node::Group(group, Box::new(body))).map(Some);
        }
        let look =
            |behind, negative| move |body| Node::Look(Box::new(Look { body, behind, negative }));
        let kind = self.raw().map_or('\0', |unit| unit.character);
        self.at += 1;
        match kind {
            ':' => self.rest_of_group(flags, |body| body),
            '=' => self.rest_of_group(flags, look(false, false)),
            '!' => self.rest_of_group(flags, look(false, true)),
            '>' => self.rest_of_group(flags, |body| Node::Atomic(Box::new(body))),
            '<' if self.eat_raw('=') => self.rest_of_group(flags, look(true, false)),
            '<' if self.eat_raw('!') => self.rest_of_group(flags, look(true, true)),
            '<' => {
                let name = self.name()?;
                if self.names.iter().any(|(known, _)| *known == name) {
                    return malformed("a name of two groups");
                }
                self.groups += 1;
                let group = self.groups;
                self.names.push((name, group));
                self.rest_of_group(flags, |body| Node::Group(group, Box::new(body)))
            }
            _ => {
                self.at -= 1;
                self.set_flags();
                if self.eat(')') {
                    return Ok(None);
                }
                if !self.eat(':') {
                    return malformed("an unknown kind of group or flag");
                }
                self.rest_of_group(flags, |body| body)
            }
        }
        .map(Some)
    }

    /// The inside of a group, up to its end; the flags are then what they were before.
    fn rest_of_group(
        &mut self,
        flags: Flags,
        make: impl FnOnce(Node) -> Node,
    ) -> Result<Node, Refusal> {
        let body = self.deeper(Reader::alternatives)?;
        if !self.eat(')') {
            return malformed("a group without a closing parenthesis");
        }
        self.flags = flags;
        Ok(make(body))
    }

    /// The name of a group, up to its closing sign.
    fn name(&mut self) -> Result<String, Refusal> {
        let mut name = String::new();
        while let Some(unit) = self.raw().filter(|unit| unit.character.is_ascii_alphanumeric()) {
            name.push(unit.character);
            self.at += 1;
        }
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !self.eat_raw('>') {
            return malformed("a group whose name is not one of letters and digits");
        }
        Ok(name)
    }

    fn set_flags(&mut self) {
        let mut on = true;
        while let Some(unit) = self.peek() {
            if unit.character == '-' && on {
                on = false;
            } else if self.flags.set(unit.character, on).is_none() {
                return;
            }
            self.at += 1;
        }
    }
}

/// What ends a line.
pub(super) fn is_line_end(character: char, lines: Lines) -> bool {
    match lines {
        Lines::Unix => character == '\n',
        Lines::Any => matches!(character, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}'),
    }
}

fn line_end_set(lines: Lines) -> Set {
    match lines {
        Lines::Unix => Set::chars("\n"),
        Lines::Any => Set::chars("\n\r\u{85}\u{2028}\u{2029}"),
    }
}

/// A family by its name.
fn family_named(name: &str, flags: Flags) -> Result<Set, Refusal> {
    family::named(name, flags.sense()).ok_or(Refusal::Malformed("an unknown family of characters"))
}
