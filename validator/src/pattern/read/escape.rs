//! Reads what begins with a backslash.

use super::class::Member;
use super::{Reader, Refusal, family_named, malformed};
use crate::pattern::family;
use crate::pattern::fold;
use crate::pattern::set::Set;
use crate::pattern::syntax::{Greed, Node, Place};

impl Reader {
    /// An escape outside of classes.
    pub(super) fn escape(&mut self) -> Result<Node, Refusal> {
        let Some(letter) = self.units.get(self.at + 1).map(|unit| unit.character) else {
            return malformed("a backslash with nothing behind it");
        };
        let place = match letter {
            'A' | 'G' => Place::Start,
            'z' => Place::End,
            'Z' => Place::LastLineEnd(self.flags.line_ends()),
            'B' => Place::NoWordEdge(self.flags.words()),
            'b' => {
                self.at += 2;
                return self.word_or_cluster_edge();
            }
            'R' => {
                self.at += 2;
                return self.line_end();
            }
            'X' => {
                self.at += 2;
                return self.cluster();
            }
            'k' => {
                self.at += 2;
                return self.named_reference();
            }
            '1'..='9' => {
                self.at += 1;
                return Ok(self.reference());
            }
            _ => {
                let set = match self.class_escape()? {
                    Member::Point(point) => fold::single(point, self.flags.case()),
                    Member::Set(set) => set,
                };
                return self.class_node(set);
            }
        };
        self.at += 2;
        Ok(Node::Place(place))
    }

    /// An escape that stands for characters.
    pub(super) fn class_escape(&mut self) -> Result<Member, Refusal> {
        self.at += 1;
        let Some(letter) = self.raw().map(|unit| unit.character) else {
            return malformed("a backslash with nothing behind it");
        };
        self.at += 1;
        let unicode = self.flags.unicode;
        let set = match letter {
            'd' => family::digit(unicode),
            'D' => family::digit(unicode).negated(),
            'w' => family::word(unicode),
            'W' => family::word(unicode).negated(),
            's' => family::space(unicode),
            'S' => family::space(unicode).negated(),
            'h' => family::horizontal(),
            'H' => family::horizontal().negated(),
            // As the first end of a range it is one character.
            'v' if self.raw().is_some_and(|unit| unit.character == '-') => {
                return Ok(Member::Point(0xB));
            }
            'v' => family::vertical(),
            'V' => family::vertical().negated(),
            'p' => self.family()?,
            'P' => self.family()?.negated(),
            _ => return self.point(letter).map(Member::Point),
        };
        Ok(Member::Set(set))
    }

    /// The code point of an escape whose letter was read.
    fn point(&mut self, letter: char) -> Result<u32, Refusal> {
        Ok(match letter {
            '0' => return self.octal(),
            'x' => return self.hexadecimal(),
            'u' => return self.utf16(),
            'a' => 7,
            'e' => 0x1B,
            'f' => 0xC,
            'n' => 0xA,
            'r' => 0xD,
            't' => 9,
            'c' => {
                let Some(unit) = self.raw() else {
                    return malformed("a control character without its letter");
                };
                self.at += 1;
                u32::from(unit.character) ^ 64
            }
            'N' => return malformed("a character by its name"),
            letter if letter.is_ascii_alphanumeric() => return malformed("an unknown escape"),
            other => other.into(),
        })
    }

    /// So many digits at most, as a number.
    fn digits(&mut self, base: u32, most: usize) -> Option<(u32, usize)> {
        let rest = self.units[self.at..].iter().take(most);
        let digits: Vec<u32> = rest.map_while(|unit| unit.character.to_digit(base)).collect();
        self.at += digits.len();
        let number = digits.iter().try_fold(0_u32, |number, digit| {
            number.checked_mul(base).and_then(|number| number.checked_add(*digit))
        });
        Some((number?, digits.len()))
    }

    fn octal(&mut self) -> Result<u32, Refusal> {
        let first = self.raw().map(|unit| unit.character);
        let most = if matches!(first, Some('0'..='3')) { 3 } else { 2 };
        match self.digits(8, most) {
            Some((point, 1..)) => Ok(point),
            _ => malformed("a character by number without octal digits"),
        }
    }

    fn hexadecimal(&mut self) -> Result<u32, Refusal> {
        if !self.eat_raw('{') {
            return match self.digits(16, 2) {
                Some((point, 2)) => Ok(point),
                _ => malformed("a character by number without two hexadecimal digits"),
            };
        }
        match self.digits(16, usize::MAX) {
            Some((point, 1..)) if point <= 0x10_FFFF && self.eat_raw('}') => Ok(point),
            _ => malformed("a character by a number in braces that is none"),
        }
    }

    fn utf16(&mut self) -> Result<u32, Refusal> {
        let Some((unit, 4)) = self.digits(16, 4) else {
            return malformed("a character by number without four hexadecimal digits");
        };
        let after = self.at;
        if (0xD800..0xDC00).contains(&unit)
            && self.eat_raw('\\')
            && self.eat_raw('u')
            && let Some((low @ 0xDC00..0xE000, 4)) = self.digits(16, 4)
        {
            return Ok(0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
        }
        self.at = after;
        Ok(unit)
    }

    /// The family behind `\p`.
    fn family(&mut self) -> Result<Set, Refusal> {
        self.peek();
        if !self.eat_raw('{') {
            let Some(unit) = self.peek() else { return malformed("a family without a name") };
            self.at += 1;
            return family_named(unit.character.encode_utf8(&mut [0; 4]), self.flags);
        }
        let rest = &self.units[self.at..];
        let Some(length) = rest.iter().position(|unit| unit.character == '}') else {
            return malformed("a family without a closing brace");
        };
        let comments = self.flags.comments;
        let name = rest[..length].iter().map(|unit| unit.character);
        let name: String = name.filter(|c| !comments || !c.is_ascii_whitespace()).collect();
        self.at += length + 1;
        family_named(&name, self.flags)
    }

    fn word_or_cluster_edge(&mut self) -> Result<Node, Refusal> {
        let rest = self.units[self.at..].iter().take(3).map(|unit| unit.character);
        if rest.eq("{g}".chars()) {
            self.at += 3;
            return Ok(Node::Place(Place::ClusterEdge));
        }
        Ok(Node::Place(Place::WordEdge(self.flags.words())))
    }

    /// `\R`: both characters of a Windows line's end, or one of any. With a quantifier behind it
    /// the two are never taken apart.
    fn line_end(&mut self) -> Result<Node, Refusal> {
        let feed = self.classes.of(Set::chars("\n"));
        let first = self.class_node(Set::chars("\r"))?;
        let others =
            self.class_node(family::vertical().intersection(Set::chars("\r").negated()))?;
        let pair = Node::Chain(vec![first.clone(), Node::Class(feed)]);
        let repeated = self
            .peek()
            .is_some_and(|unit| !unit.quoted && matches!(unit.character, '?' | '*' | '+' | '{'));
        let alone = if repeated {
            Node::Chain(vec![first, Node::Place(Place::NotBefore(feed))])
        } else {
            first
        };
        Ok(Node::Either(vec![pair, alone, others]))
    }

    /// `\X`: a character and all that hang together with it.
    fn cluster(&mut self) -> Result<Node, Refusal> {
        let any = self.class_node(Set::all())?;
        let more = Node::Chain(vec![Node::Place(Place::NoClusterEdge), any.clone()]);
        let more = Node::repeat(more, 0, None, Greed::Greedy);
        Ok(Node::Chain(vec![any, more, Node::Place(Place::ClusterEdge)]))
    }

    /// `\1`: as many digits as make the number of a group.
    fn reference(&mut self) -> Node {
        let digit =
            |reader: &mut Reader| reader.peek().and_then(|unit| unit.character.to_digit(10));
        let mut group = digit(self).unwrap_or_default();
        self.at += 1;
        while let Some(next) = digit(self) {
            match group.checked_mul(10).and_then(|group| group.checked_add(next)) {
                Some(longer) if longer <= self.groups => group = longer,
                _ => break,
            }
            self.at += 1;
        }
        Node::Again(group, self.flags.fold())
    }

    fn named_reference(&mut self) -> Result<Node, Refusal> {
        if !self.eat_raw('<') {
            return malformed("a reference without the name of a group");
        }
        let name = self.name()?;
        match self.names.iter().find(|(known, _)| *known == name) {
            Some((_, group)) => Ok(Node::Again(*group, self.flags.fold())),
            None => malformed("a reference to a name of no group"),
        }
    }
}
