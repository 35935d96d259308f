//! Reads classes in brackets.

use super::{Reader, Refusal, Unit, malformed};
use crate::pattern::fold;
use crate::pattern::set::Set;

/// One member of a class.
pub(super) enum Member {
    /// A code point.
    Point(u32),
    /// A class of its own.
    Set(Set),
}

impl Reader {
    /// A class whose bracket was read. The right side of `&&` is one, too: it leaves the closing
    /// bracket where it is.
    pub(super) fn class(&mut self, closes: bool) -> Result<Set, Refusal> {
        // What was read, the last of it that has a bracket or a name, and single characters.
        let (mut whole, mut last, mut singles) = (None::<Set>, None::<Set>, None::<Set>);
        // Java looks no further than one character back, and an escaped bracket is one, too.
        self.peek();
        let negated = self.units[..self.at].last().is_some_and(|unit| unit.character == '[')
            && self.eat_raw('^');
        loop {
            let Some(Unit { character, quoted }) = self.peek() else {
                return malformed("a class without a closing bracket");
            };
            match character {
                '[' if !quoted => {
                    self.at += 1;
                    let inner = self.deeper(|reader| reader.class(true))?;
                    whole = Some(joined(whole, &inner));
                    last = Some(inner);
                    continue;
                }
                '&' if !quoted && self.is_intersection() => {
                    self.at += 2;
                    let right = self.right_side()?;
                    if let Some(singles) = singles.take() {
                        if whole.is_none() {
                            last = Some(singles.clone());
                        }
                        whole = Some(joined(whole, &singles));
                    }
                    let chosen = right.clone().or(last.clone());
                    whole = Some(match (whole, chosen) {
                        (Some(whole), Some(right)) => whole.intersection(right),
                        (None, Some(right)) if last.is_none() => right,
                        _ => return malformed("an intersection of nothing"),
                    });
                    last = right.or(last);
                    continue;
                }
                ']' if !quoted && (whole.is_some() || singles.is_some()) => break,
                _ => {}
            }
            match self.member()? {
                Member::Point(point) if !self.is_range() => {
                    let one = fold::single(point, self.flags.case());
                    singles = Some(joined(singles, &one));
                }
                Member::Point(point) => {
                    let range = self.range_from(point)?;
                    whole = Some(joined(whole, &range));
                    last = Some(range);
                }
                Member::Set(set) => {
                    whole = Some(joined(whole, &set));
                    last = Some(set);
                }
            }
        }
        self.at += usize::from(closes);
        let set = singles.into_iter().fold(whole.unwrap_or_default(), |set, more| set.union(&more));
        Ok(if negated { set.negated() } else { set })
    }

    fn is_intersection(&mut self) -> bool {
        let at = self.at;
        self.at += 1;
        let found = self.is('&');
        if !found {
            self.at = at;
        } else {
            self.at -= 1;
        }
        found
    }

    /// What follows `&&`, up to the next or to the end of the class.
    fn right_side(&mut self) -> Result<Option<Set>, Refusal> {
        let mut right = None;
        loop {
            let part = match self.peek() {
                None => return malformed("a class without a closing bracket"),
                Some(Unit { character: ']' | '&', quoted: false }) => return Ok(right),
                Some(Unit { character: '[', quoted: false }) => {
                    self.at += 1;
                    self.deeper(|reader| reader.class(true))?
                }
                Some(_) => self.deeper(|reader| reader.class(false))?,
            };
            right = Some(joined(right, &part));
        }
    }

    /// Whether a range begins here, its first end being read.
    fn is_range(&mut self) -> bool {
        if !self.is('-') {
            return false;
        }
        let next = self.units.get(self.at + 1);
        next.is_some_and(|next| next.quoted || !matches!(next.character, '[' | ']'))
    }

    fn range_from(&mut self, first: u32) -> Result<Set, Refusal> {
        self.at += 1;
        let last = match self.peek() {
            // `\v` is a class elsewhere, and one character here.
            Some(Unit { character: '\\', quoted: false }) if self.is_escaped('v') => {
                self.at += 2;
                Member::Point(0xB)
            }
            _ => self.member()?,
        };
        match last {
            Member::Point(last) if last >= first => Ok(fold::range(first, last, self.flags.case())),
            _ => malformed("a range that ends before it begins"),
        }
    }

    fn is_escaped(&self, letter: char) -> bool {
        self.units.get(self.at + 1).is_some_and(|unit| unit.character == letter)
    }

    fn member(&mut self) -> Result<Member, Refusal> {
        match self.peek() {
            None => malformed("a class without a closing bracket"),
            Some(Unit { character: '\\', quoted: false }) => self.class_escape(),
            Some(unit) => {
                self.at += 1;
                Ok(Member::Point(unit.character.into()))
            }
        }
    }
}

fn joined(set: Option<Set>, other: &Set) -> Set {
    match set {
        Some(set) => set.union(other),
        None => other.clone(),
    }
}
