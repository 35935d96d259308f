//! The order in which a peer's maps yield their entries: up to four as they came, more by the
//! hashes of their keys, five bits at a time from the lowest. It shows where an adapter makes a
//! text or a list of all entries, and where the first entry that fits decides.

use crate::raw_event::Parameter;

/// So many entries stay in the order in which they came.
const INSERTION_ORDER: usize = 4;

/// Parameters in map order.
pub fn in_map_order<'a>(parameters: &[Parameter<'a>]) -> Vec<Parameter<'a>> {
    let mut ordered = parameters.to_vec();
    sort(&mut ordered, |(name, _)| text_hash(name));
    ordered
}

/// Brings entries of unlike keys into map order, given the hashes of the keys.
pub fn sort<T>(entries: &mut [T], hash: impl Fn(&T) -> u32) {
    sort_of(entries.len(), entries, hash);
}

/// The same for what is left of so many entries.
pub fn sort_of<T>(count: usize, entries: &mut [T], hash: impl Fn(&T) -> u32) {
    if count > INSERTION_ORDER {
        entries.sort_by_cached_key(|entry| place(hash(entry)));
    }
}

/// Brings the keys of grouped entries into map order: of few, that of the table in which they were
/// counted.
pub fn sort_grouped<T>(keys: &mut [T], hash: impl Fn(&T) -> u32) {
    if keys.len() > INSERTION_ORDER {
        return sort(keys, hash);
    }
    // A table of sixteen is gone through from its end.
    let slot = |hash: u32| {
        const FACTOR: u32 = 0x9e37_75cd;
        hash.wrapping_mul(FACTOR).swap_bytes().wrapping_mul(FACTOR).rotate_right(4) >> 28
    };
    keys.reverse();
    keys.sort_by_cached_key(|key| std::cmp::Reverse(slot(hash(key))));
}

/// A text's hash on the JVM.
pub fn text_hash(text: &str) -> u32 {
    let step = |hash: u32, unit: u32| hash.wrapping_mul(31).wrapping_add(unit);
    if text.is_ascii() {
        return text.bytes().fold(0, |hash, byte| step(hash, u32::from(byte)));
    }
    text.encode_utf16().fold(0, |hash, unit| step(hash, u32::from(unit)))
}

/// The hash of an immutable record on the JVM, given those of its fields.
pub fn record_hash(fields: &[u32]) -> u32 {
    const SEED: u32 = 0xcafe_babe;
    let mixed = fields.iter().fold(SEED, |hash, field| {
        let field = field.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
        (hash ^ field).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    let hash = mixed ^ fields.len() as u32;
    let hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

/// Where a hash stands: it is improved first, as Scala's immutable maps do, and its groups of five
/// bits are compared from the lowest.
fn place(hash: u32) -> u64 {
    let hash = hash.wrapping_add(!(hash << 9));
    let hash = hash ^ hash >> 14;
    let hash = hash.wrapping_add(hash << 4);
    let hash = hash ^ hash >> 10;
    (0..7).fold(0, |place, level| place << 5 | u64::from(hash >> (5 * level) & 31))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_parameters_come_in_the_order_of_their_hashes() {
        let names = |parameters: &[&'static str]| {
            let parameters: Vec<_> = parameters.iter().map(|name| (*name, None)).collect();
            in_map_order(&parameters).iter().map(|(name, _)| *name).collect::<Vec<_>>()
        };
        assert_eq!(names(&["url", "u", "e", "a"]), ["url", "u", "e", "a"]);
        assert_eq!(
            names(&["schema", "a", "b", "c", "d", "e", "p", "u", "url"]),
            ["e", "url", "u", "a", "schema", "b", "p", "c", "d"]
        );
    }
}
