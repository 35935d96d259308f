//! Sets of characters, while a pattern is read and while it is matched.
//!
//! A pattern may name surrogates, which no text of ours holds. A [`Set`] knows them, since ranges
//! may begin or end there; a [`Class`] does not.

/// Code points, as ranges that need not be in order until somebody asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Set(Vec<(u32, u32)>);

/// The last code point.
const LAST: u32 = 0x10_FFFF;

impl Set {
    /// The code points from one to another, both included.
    pub(super) fn range(first: u32, last: u32) -> Set {
        Set(vec![(first, last)])
    }

    /// One code point.
    pub(super) fn one(point: u32) -> Set {
        Set::range(point, point)
    }

    /// Every code point.
    pub(super) fn all() -> Set {
        Set::range(0, LAST)
    }

    /// Some ranges.
    pub(super) fn ranges(ranges: &[(u32, u32)]) -> Set {
        Set(ranges.to_vec())
    }

    /// Some characters.
    pub(super) fn chars(chars: &str) -> Set {
        Set(chars.chars().map(|c| (u32::from(c), u32::from(c))).collect())
    }

    /// Adds a code point.
    pub(super) fn add(&mut self, point: u32) {
        self.0.push((point, point));
    }

    /// What is in one of the two.
    pub(super) fn union(mut self, other: &Set) -> Set {
        self.0.extend_from_slice(&other.0);
        self
    }

    /// The same set, its ranges in order and apart.
    pub(super) fn normal(mut self) -> Set {
        self.0.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(self.0.len());
        for (first, last) in self.0 {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(last);
                }
                _ => merged.push((first, last)),
            }
        }
        Set(merged)
    }

    /// What is not in it.
    pub(super) fn negated(self) -> Set {
        let mut gaps = Vec::new();
        let mut next = 0;
        for (first, last) in self.normal().0 {
            if first > next {
                gaps.push((next, first - 1));
            }
            next = last + 1;
        }
        if next <= LAST {
            gaps.push((next, LAST));
        }
        Set(gaps)
    }

    /// What is in both.
    pub(super) fn intersection(self, other: Set) -> Set {
        self.negated().union(&other.negated()).negated()
    }

    /// The characters in it, as ranges in order.
    pub(super) fn char_ranges(self) -> Vec<(char, char)> {
        let surrogates = Set::range(0xD800, 0xDFFF);
        let chars = self.intersection(surrogates.negated()).0;
        let char = |point| char::from_u32(point).expect("surrogates are taken out");
        chars.into_iter().map(|(first, last)| (char(first), char(last))).collect()
    }
}

/// A set of characters, ready to be asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Class {
    /// ASCII, one bit each.
    ascii: u128,
    /// The others, in order.
    others: Box<[(char, char)]>,
}

impl Class {
    /// The characters of a set.
    pub(super) fn new(set: Set) -> Class {
        let ranges = set.char_ranges();
        let ascii = ranges.iter().filter(|(first, _)| first.is_ascii()).fold(0, |bits, range| {
            (range.0..=range.1.min('\x7F')).fold(bits, |bits, c| bits | 1 << u32::from(c))
        });
        let others = ranges.iter().filter(|(_, last)| !last.is_ascii());
        let others = others.map(|(first, last)| ((*first).max('\u{80}'), *last)).collect();
        Class { ascii, others }
    }

    /// Whether a character is in it.
    pub(super) fn has(&self, character: char) -> bool {
        if character.is_ascii() {
            return self.ascii >> u32::from(character) & 1 == 1;
        }
        let after = self.others.partition_point(|(first, _)| *first <= character);
        after > 0 && self.others[after - 1].1 >= character
    }

    /// Whether an ASCII byte is in it.
    pub(super) fn has_ascii(&self, byte: u8) -> bool {
        byte < 128 && self.ascii >> byte & 1 == 1
    }

    /// Whether no character is in both.
    pub(super) fn is_apart_from(&self, other: &Class) -> bool {
        let (mut ours, mut theirs) = (self.others.iter(), other.others.iter());
        let (mut our, mut their) = (ours.next(), theirs.next());
        while let (Some(a), Some(b)) = (our, their) {
            if a.1 < b.0 {
                our = ours.next();
            } else if b.1 < a.0 {
                their = theirs.next();
            } else {
                return false;
            }
        }
        self.ascii & other.ascii == 0
    }

    /// Its ASCII characters, as ranges of bytes.
    pub(super) fn ascii_ranges(&self) -> Vec<(u8, u8)> {
        let mut ranges: Vec<(u8, u8)> = Vec::new();
        for byte in (0..128).filter(|byte| self.has_ascii(*byte)) {
            match ranges.last_mut() {
                Some(range) if range.1 + 1 == byte => range.1 = byte,
                _ => ranges.push((byte, byte)),
            }
        }
        ranges
    }

    /// The memory that it holds, bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Class>() + size_of_val(&*self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sets() -> impl Strategy<Value = Set> {
        let range = (0_u32..300, 0_u32..40).prop_map(|(first, more)| (first, first + more));
        proptest::collection::vec(range, 0..5).prop_map(Set)
    }

    proptest! {
        #[test]
        fn sets_and_classes_agree_on_every_code_point(a in sets(), b in sets()) {
            let has = |set: &Set, point| {
                set.0.iter().any(|(first, last)| (*first..=*last).contains(&point))
            };
            let (normal, not, both) =
                (a.clone().normal(), a.clone().negated(), a.clone().intersection(b.clone()));
            let (class, other) = (Class::new(a.clone()), Class::new(b.clone()));
            for point in 0..400 {
                let expected = has(&a, point);
                prop_assert_eq!(has(&normal, point), expected);
                prop_assert_eq!(has(&not, point), !expected);
                prop_assert_eq!(has(&both, point), expected && has(&b, point));
                prop_assert_eq!(class.has(char::from_u32(point).expect("small")), expected);
            }
            let apart = !(0..400).any(|point| has(&a, point) && has(&b, point));
            prop_assert_eq!(class.is_apart_from(&other), apart);
        }
    }
}
