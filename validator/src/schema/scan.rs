//! Walks the bytes of a compact JSON text and says whether it follows a schema.
//!
//! One pass, no tree, and no allocation for data that is accepted (arrays whose items must be
//! unique and lists of objects in `enum` excepted). It has three answers: accepted, rejected and
//! unsure. Only "accepted" is final, so whatever this walk does not understand (white space
//! between tokens, too much depth, a fault in the schema) costs time, not truth; but inside `not`
//! and its kin a rejection counts for as much as an acceptance, and there being unsure is passed
//! up. The text must be JSON; anything else is unsure.

use std::cell::RefCell;

use crate::document::{self, Value};
use crate::number::Literal;
use crate::schema::table::{
    ArrayRules, Enumeration, InPlace, Items, Needs, Node, NodeId, ObjectRules, Rest, StringRules,
    Table, Types,
};

/// Whether a text surely follows a schema and has no more levels than allowed.
pub(crate) fn accepts(table: &Table, json: &str, depth: u32) -> bool {
    Scan { table, text: json }.value(0, 0, depth) == Ok(json.len())
}

/// Where the value that a text begins with ends, if it surely follows a schema and has no more
/// levels than allowed.
pub(crate) fn accepts_start(table: &Table, json: &str, depth: u32) -> Option<usize> {
    Scan { table, text: json }.value(0, 0, depth).ok()
}

/// Why a value was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum No {
    /// It breaks a rule.
    Rejected,
    /// This walk cannot tell.
    Unsure,
}

/// Where the value ends.
type End = Result<usize, No>;

struct Scan<'a> {
    table: &'a Table,
    text: &'a str,
}

/// The inside of a string.
#[derive(Clone, Copy)]
struct Inside<'a> {
    raw: &'a str,
    escaped: bool,
    /// Where the string ends, after its quote.
    end: usize,
}

impl<'a> Scan<'a> {
    /// The value that starts at a byte, against a node; `depth` levels are left, its own included.
    fn value(&self, id: NodeId, at: usize, depth: u32) -> End {
        let node = self.table.node(id);
        if node.trivial {
            return self.skip(at, depth);
        }
        if depth == 0 || node.fault.is_some() {
            return Err(No::Unsure);
        }
        let end = match self.byte(at)? {
            b'"' => self.string_value(node, at)?,
            b'{' => self.object(node, at, depth)?,
            b'[' => self.array(node, at, depth)?,
            b'-' | b'0'..=b'9' => self.number_value(node, at)?,
            b'n' => self.word(node, at, "null", Types::NULL, Value::Null)?,
            b't' => self.word(node, at, "true", Types::BOOLEAN, Value::Bool(true))?,
            b'f' => self.word(node, at, "false", Types::BOOLEAN, Value::Bool(false))?,
            _ => return Err(No::Unsure),
        };
        if !node.in_place.is_empty() {
            self.in_place(node, at, depth)?;
        }
        Ok(end)
    }

    fn string_value(&self, node: &Node, at: usize) -> End {
        require(node.types.has(Types::STRING))?;
        let inside = self.string(at)?;
        if let Some(rules) = node.string.as_deref() {
            require(accepts_string(rules, inside)?)?;
        }
        if let Some(listed) = node.enumeration.as_deref() {
            require(with_text(inside, |text| listed.has_string(text))?)?;
        }
        Ok(inside.end)
    }

    fn number_value(&self, node: &Node, at: usize) -> End {
        let literal = Literal::at_start_of(&self.text[at..]);
        require(node.types.has(if literal.integer { Types::INTEGER } else { Types::FRACTION }))?;
        require(node.number.as_deref().is_none_or(|rules| rules.accepts(&literal)))?;
        let listed = node.enumeration.as_deref();
        require(listed.is_none_or(|listed| listed.has_number(literal.text)))?;
        Ok(at + literal.text.len())
    }

    fn word(&self, node: &Node, at: usize, word: &str, kind: Types, value: Value<'_>) -> End {
        if !self.text[at..].starts_with(word) {
            return Err(No::Unsure);
        }
        require(node.types.has(kind))?;
        require(node.enumeration.as_deref().is_none_or(|listed| listed.has(&value)))?;
        Ok(at + word.len())
    }

    fn object(&self, node: &Node, at: usize, depth: u32) -> End {
        require(node.types.has(Types::OBJECT))?;
        let end = match node.object.as_deref() {
            Some(rules) => self.members(rules, at, depth)?,
            None => self.skip(at, depth)?,
        };
        self.listed(node.enumeration.as_deref(), at, end, depth)?;
        Ok(end)
    }

    fn members(&self, rules: &ObjectRules, at: usize, depth: u32) -> End {
        if rules.wide {
            return Err(No::Unsure);
        }
        let mut seen = Seen::default();
        let mut next = at + 1;
        if self.byte(next)? == b'}' {
            next += 1;
        } else {
            loop {
                let name = self.string(next)?;
                self.expect(name.end, b':')?;
                next = self.member(rules, name, name.end + 1, depth - 1, &mut seen)?;
                seen.count += 1;
                match self.byte(next)? {
                    b',' => next += 1,
                    b'}' => break next += 1,
                    _ => return Err(No::Unsure),
                }
            }
        }
        require(rules.accepts_length(seen.count) && !rules.read_only)?;
        require(seen.bits & rules.required == rules.required)?;
        if !rules.dependencies.is_empty() {
            self.dependencies(rules, seen.bits, at, depth)?;
        }
        Ok(next)
    }

    /// A member's value, against every rule that its name brings in.
    fn member(
        &self,
        rules: &ObjectRules,
        name: Inside<'a>,
        at: usize,
        depth: u32,
        seen: &mut Seen,
    ) -> End {
        if name.escaped {
            let mut text = String::with_capacity(name.raw.len());
            document::unescape(name.raw, &mut text).ok_or(No::Unsure)?;
            return self.named_member(rules, &text, at, depth, seen);
        }
        self.named_member(rules, name.raw, at, depth, seen)
    }

    fn named_member(
        &self,
        rules: &ObjectRules,
        name: &str,
        at: usize,
        depth: u32,
        seen: &mut Seen,
    ) -> End {
        let mut end = None;
        if let Some(index) = rules.names.find_near(name.as_bytes(), seen.next) {
            let entry = &rules.entries[index];
            seen.next = index + 1;
            seen.bits |= entry.bit;
            require(!entry.not_allowed)?;
            if let Some(id) = entry.node {
                end = Some(self.value(id, at, depth)?);
            }
        }
        for (pattern, id) in &rules.patterns {
            if pattern.is_match(name) {
                end = Some(self.value(*id, at, depth)?);
            }
        }
        match (end, rules.additional) {
            (Some(end), _) => Ok(end),
            (None, Rest::Any) => self.skip(at, depth),
            (None, _) if ObjectRules::is_exempt(name) => self.skip(at, depth),
            (None, Rest::None) => Err(No::Rejected),
            (None, Rest::Node(id)) => self.value(id, at, depth),
        }
    }

    fn dependencies(
        &self,
        rules: &ObjectRules,
        seen: u64,
        at: usize,
        depth: u32,
    ) -> Result<(), No> {
        let has = |index: usize| seen & rules.entries[index].bit != 0;
        for dependency in rules.dependencies.iter().filter(|dependency| has(dependency.entry)) {
            match &dependency.needs {
                Needs::Entries(needed) => require(needed.iter().all(|index| has(*index)))?,
                Needs::Node(id) => self.value(*id, at, depth).map(|_| ())?,
            }
        }
        Ok(())
    }

    fn array(&self, node: &Node, at: usize, depth: u32) -> End {
        require(node.types.has(Types::ARRAY))?;
        let end = match node.array.as_deref() {
            Some(rules) => self.items(rules, at, depth)?,
            None => self.skip(at, depth)?,
        };
        self.listed(node.enumeration.as_deref(), at, end, depth)?;
        Ok(end)
    }

    fn items(&self, rules: &ArrayRules, at: usize, depth: u32) -> End {
        let mut next = at + 1;
        let mut count = 0;
        if self.byte(next)? == b']' {
            next += 1;
        } else {
            loop {
                let rest = match rules.items {
                    Items::All(id) => Rest::Node(id),
                    _ => rules.rest_at(count),
                };
                next = match rest {
                    Rest::Node(id) => self.value(id, next, depth - 1)?,
                    Rest::Any => self.skip(next, depth - 1)?,
                    Rest::None => return Err(No::Rejected),
                };
                count += 1;
                match self.byte(next)? {
                    b',' => next += 1,
                    b']' => break next += 1,
                    _ => return Err(No::Unsure),
                }
            }
        }
        require(rules.accepts_length(count as u64))?;
        if rules.unique && count > 1 {
            let Ok(Value::Array(items)) = document::parse(&self.text[at..next], depth) else {
                return Err(No::Unsure);
            };
            require(rules.accepts_repeats(items.iter()))?;
        }
        Ok(next)
    }

    /// Whether a container is in an `enum`; most enums list none, and need no look at it.
    fn listed(
        &self,
        listed: Option<&Enumeration>,
        at: usize,
        end: usize,
        depth: u32,
    ) -> Result<(), No> {
        let Some(listed) = listed else { return Ok(()) };
        let container = |value: &Value<'_>| matches!(value, Value::Array(_) | Value::Object(_));
        require(listed.others.iter().any(container))?;
        let value = document::parse(&self.text[at..end], depth).map_err(|_| No::Unsure)?;
        require(listed.has(&value))
    }

    fn in_place(&self, node: &Node, at: usize, depth: u32) -> Result<(), No> {
        for rule in &node.in_place {
            match rule {
                InPlace::Reference(id) => self.value(*id, at, depth).map(|_| ())?,
                InPlace::All(ids) => {
                    ids.iter().try_for_each(|id| self.value(*id, at, depth).map(|_| ()))?;
                }
                InPlace::Any(ids) => self.any(ids, at, depth)?,
                InPlace::One(branches) => {
                    let mut accepted = 0;
                    for (id, _) in branches {
                        accepted += u32::from(self.branch(*id, at, depth)?);
                    }
                    require(accepted == 1)?;
                }
                InPlace::Not(id, _) => require(!self.branch(*id, at, depth)?)?,
            }
        }
        Ok(())
    }

    fn any(&self, ids: &[NodeId], at: usize, depth: u32) -> Result<(), No> {
        for id in ids {
            if self.branch(*id, at, depth)? {
                return Ok(());
            }
        }
        Err(No::Rejected)
    }

    /// Whether one branch accepts. A walk over a tree might meet a fault where this one has
    /// stopped at a rejection, so with faults about, a rejection is not sure.
    fn branch(&self, id: NodeId, at: usize, depth: u32) -> Result<bool, No> {
        match self.value(id, at, depth) {
            Ok(_) => Ok(true),
            Err(No::Rejected) if !self.table.faulty => Ok(false),
            Err(_) => Err(No::Unsure),
        }
    }

    /// Any value at all, only its depth being checked.
    fn skip(&self, at: usize, depth: u32) -> End {
        let mut next = at;
        let mut open = 0;
        loop {
            let byte = self.byte(next)?;
            match byte {
                b',' | b':' => {
                    next += 1;
                    continue;
                }
                b'}' | b']' => {
                    open = u32::checked_sub(open, 1).ok_or(No::Unsure)?;
                    next += 1;
                }
                _ if open >= depth => return Err(No::Unsure),
                b'"' => next = self.string(next)?.end,
                b'{' | b'[' => {
                    open += 1;
                    next += 1;
                }
                b'-' | b'0'..=b'9' | b'a'..=b'z' => next = self.scalar_end(next),
                _ => return Err(No::Unsure),
            }
            if open == 0 {
                return Ok(next);
            }
        }
    }

    /// The string that starts at a quote.
    fn string(&self, at: usize) -> Result<Inside<'a>, No> {
        self.expect(at, b'"')?;
        let start = at + 1;
        let mut next = start;
        let mut escaped = false;
        loop {
            next = quote_or_backslash(self.text.as_bytes(), next).ok_or(No::Unsure)?;
            if self.text.as_bytes()[next] == b'"' {
                let raw = &self.text[start..next];
                return Ok(Inside { raw, escaped, end: next + 1 });
            }
            escaped = true;
            next += 2;
        }
    }

    /// Where the number or word that starts at a byte ends.
    fn scalar_end(&self, at: usize) -> usize {
        let rest = &self.text.as_bytes()[at..];
        let inner =
            |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'a'..=b'z' | b'E');
        at + rest.iter().position(|byte| !inner(byte)).unwrap_or(rest.len())
    }

    fn byte(&self, at: usize) -> Result<u8, No> {
        self.text.as_bytes().get(at).copied().ok_or(No::Unsure)
    }

    fn expect(&self, at: usize, byte: u8) -> Result<(), No> {
        if self.byte(at)? == byte { Ok(()) } else { Err(No::Unsure) }
    }
}

/// What is known of an object's members so far.
#[derive(Default)]
struct Seen {
    /// The bits of the names seen.
    bits: u64,
    count: u64,
    /// The entry after the last one found: a guess at the next.
    next: usize,
}

/// Goes on if a rule is kept.
fn require(kept: bool) -> Result<(), No> {
    if kept { Ok(()) } else { Err(No::Rejected) }
}

fn accepts_string(rules: &StringRules, inside: Inside<'_>) -> Result<bool, No> {
    if inside.escaped && rules.pattern.is_none() && rules.format.is_none() {
        // Unescaping shortens a text, but never to nothing.
        let bytes = inside.raw.len() as u64;
        if rules.min <= 1 && bytes <= rules.max.unwrap_or(u64::MAX) {
            return Ok(true);
        }
    }
    with_text(inside, |text| rules.accepts(text))
}

/// Does something with the text of a string, unescaped.
fn with_text<T>(inside: Inside<'_>, look: impl FnOnce(&str) -> T) -> Result<T, No> {
    thread_local! {
        /// Unescaped texts, one after the other.
        static SCRATCH: RefCell<String> = const { RefCell::new(String::new()) };
    }
    if !inside.escaped {
        return Ok(look(inside.raw));
    }
    SCRATCH.with_borrow_mut(|text| {
        text.clear();
        document::unescape(inside.raw, text).ok_or(No::Unsure)?;
        Ok(look(text))
    })
}

/// The first quote or backslash from an index on.
fn quote_or_backslash(bytes: &[u8], from: usize) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    // Marks the lowest byte that equals `byte`, and perhaps others above it.
    let marks = |word: u64, byte: u8| {
        let difference = word ^ (ONES * u64::from(byte));
        difference.wrapping_sub(ONES) & !difference & (ONES << 7)
    };
    let mut at = from;
    while let Some(Ok(chunk)) = bytes.get(at..at + 8).map(<[u8; 8]>::try_from) {
        let word = u64::from_le_bytes(chunk);
        let found = marks(word, b'"') | marks(word, b'\\');
        if found != 0 {
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).map(|found| at + found)
}
