//! A set of names that is asked once per key of every object.
//!
//! Open addressing over a hash of the length and the first and last eight bytes, which is enough
//! to tell apart the property names of any real schema; whatever it does not tell apart, the
//! comparison does. Most objects name their keys in the order of the schema, so the caller may
//! pass a guess, which is compared first.

/// Names by index.
#[derive(Debug, Default)]
pub(crate) struct Names {
    names: Vec<Box<str>>,
    /// Index + 1, or 0 for an empty slot. The length is a power of two, more than twice the names.
    slots: Vec<u32>,
}

impl Names {
    /// A set of names. Of equal names only the first can be found.
    pub(crate) fn new(names: Vec<Box<str>>) -> Names {
        let mut slots = vec![0_u32; (names.len() * 2 + 1).next_power_of_two()];
        let mask = slots.len() - 1;
        for (index, name) in names.iter().enumerate() {
            let mut slot = hash(name.as_bytes()) & mask;
            while slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            slots[slot] = u32::try_from(index + 1).expect("a schema has fewer than 2^32 names");
        }
        Names { names, slots }
    }

    /// The index of a name.
    pub(crate) fn find(&self, name: &[u8]) -> Option<usize> {
        if self.names.is_empty() {
            return None;
        }
        let mask = self.slots.len() - 1;
        let mut slot = hash(name) & mask;
        loop {
            let index = (*self.slots.get(slot)? as usize).checked_sub(1)?;
            if self.names[index].as_bytes() == name {
                return Some(index);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// As [`Names::find`], looking at `guess` first.
    pub(crate) fn find_near(&self, name: &[u8], guess: usize) -> Option<usize> {
        match self.names.get(guess) {
            Some(guessed) if guessed.as_bytes() == name => Some(guess),
            _ => self.find(name),
        }
    }
}

fn hash(name: &[u8]) -> usize {
    // An odd constant with bits all over: 2^64 divided by the golden ratio.
    const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
    let (first, last) = ends(name);
    let mixed = (first ^ (name.len() as u64).rotate_left(56)).wrapping_mul(MIX) ^ last;
    (mixed.wrapping_mul(MIX) >> 32) as usize
}

/// The first and the last eight bytes; of a shorter name, all of it and its end.
fn ends(name: &[u8]) -> (u64, u64) {
    let word = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
    match name.len() {
        8.. => (word(&name[..8]), word(&name[name.len() - 8..])),
        4..8 => {
            let half = |bytes: &[u8]| bytes.try_into().map_or(0, u32::from_le_bytes);
            (u64::from(half(&name[..4])), u64::from(half(&name[name.len() - 4..])))
        }
        _ => (name.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_name_is_found_and_no_other(
            names in proptest::collection::hash_set("[a-c]{0,12}|[a-z_]{1,20}", 0..40),
            other in "[a-c]{0,12}",
            guess in 0_usize..50,
        ) {
            let list: Vec<Box<str>> = names.iter().map(|name| name.as_str().into()).collect();
            let set = Names::new(list.clone());
            for (index, name) in list.iter().enumerate() {
                prop_assert_eq!(set.find(name.as_bytes()), Some(index));
                prop_assert_eq!(set.find_near(name.as_bytes(), guess), Some(index));
            }
            prop_assert_eq!(set.find(other.as_bytes()).is_some(), names.contains(&other));
        }
    }
}
