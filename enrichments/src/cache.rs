//! A cache of finished outputs, by the input that decided them.
//!
//! An output is kept as the texts that go into the event, not as what they were made from, so a
//! hit costs one look-up and one copy into the arena. A cache is bounded by bytes and forgets by
//! generations: when the young half is full it becomes the old half and the old half is dropped;
//! whatever is asked for in the old half moves to the young one.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use bumpalo::Bump;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// What an entry costs beside its texts: two boxes, the bounds of the parts, its number, its share
/// of the table.
const ENTRY_BYTES: usize = 104;

/// Writes an entity's data with the scratch room and moves it into the arena.
pub(crate) fn written<'a>(
    scratch: &mut Vec<u8>,
    arena: &'a Bump,
    write: impl FnOnce(&mut Vec<u8>),
) -> &'a str {
    scratch.clear();
    write(scratch);
    arena.alloc_str(std::str::from_utf8(scratch).expect("entities are made of texts"))
}

/// Outputs by one kind of input.
#[derive(Debug)]
pub(crate) struct Cache {
    young: HashMap<Box<str>, (Packed, NonZeroU64), FixedState>,
    old: HashMap<Box<str>, (Packed, NonZeroU64), FixedState>,
    young_bytes: usize,
    half: usize,
}

impl Cache {
    /// A cache of at most so many bytes.
    pub(crate) fn new(bytes: usize) -> Cache {
        Cache {
            young: HashMap::with_hasher(FixedState::default()),
            old: HashMap::with_hasher(FixedState::default()),
            young_bytes: 0,
            half: bytes / 2,
        }
    }

    /// The output for an input, copied into the arena, and the number of its making, which no
    /// other output of the process has; made and kept if it is not there.
    pub(crate) fn get<'a, const N: usize>(
        &mut self,
        key: &str,
        arena: &'a Bump,
        make: impl FnOnce() -> Packed,
    ) -> ([Option<&'a str>; N], NonZeroU64) {
        if let Some((packed, number)) = self.young.get(key) {
            return (packed.unpack(arena), *number);
        }
        let (key, made) = self.old.remove_entry(key).unwrap_or_else(|| (key.into(), made(make())));
        let output = (made.0.unpack(arena), made.1);
        self.keep(key, made);
        output
    }

    fn keep(&mut self, key: Box<str>, made: (Packed, NonZeroU64)) {
        let bytes = key.len() + made.0.text.len() + ENTRY_BYTES;
        if bytes > self.half {
            return;
        }
        if self.young_bytes + bytes > self.half {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
            self.young_bytes = 0;
        }
        self.young_bytes += bytes;
        self.young.insert(key, made);
    }
}

fn made(packed: Packed) -> (Packed, NonZeroU64) {
    (packed, number())
}

/// A number that no other output of the process has.
pub(crate) fn number() -> NonZeroU64 {
    static MADE: AtomicU64 = AtomicU64::new(0);
    NonZeroU64::MIN.saturating_add(MADE.fetch_add(1, Ordering::Relaxed))
}

/// Some texts, each present or not, in one allocation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packed {
    text: Box<str>,
    /// For each text one more than its length; 0 where it is absent.
    lengths: Box<[u32]>,
}

impl Packed {
    /// Packs texts whose sum stays below 4 GiB, as anything read from one record does.
    pub(crate) fn new(parts: &[Option<&str>]) -> Packed {
        let text: String = parts.iter().flatten().copied().collect();
        let length = |part: &Option<&str>| {
            part.map_or(0, |text| u32::try_from(text.len() + 1).expect("texts come from a record"))
        };
        Packed { text: text.into(), lengths: parts.iter().map(length).collect() }
    }

    pub(crate) fn unpack<'a, const N: usize>(&self, arena: &'a Bump) -> [Option<&'a str>; N] {
        let mut rest: &'a str = if self.text.is_empty() { "" } else { arena.alloc_str(&self.text) };
        let mut parts = [None; N];
        for (part, length) in parts.iter_mut().zip(&self.lengths) {
            if let Some(length) = length.checked_sub(1) {
                let (head, tail) = rest.split_at(length as usize);
                *part = Some(head);
                rest = tail;
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_survive_packing_with_empty_and_absent_told_apart() {
        let arena = Bump::new();
        let parts = [Some("Ä"), None, Some(""), Some("xyz")];
        assert_eq!(Packed::new(&parts).unpack::<4>(&arena), parts);
        assert_eq!(Packed::default().unpack::<2>(&arena), [None, None]);
    }

    #[test]
    fn what_is_asked_for_again_is_not_made_again() {
        let (arena, mut cache) = (Bump::new(), Cache::new(4096));
        let (mut made, mut numbers) = (0, Vec::new());
        for _ in 0..3 {
            let ([text], number) = cache.get("key", &arena, || {
                made += 1;
                Packed::new(&[Some("value")])
            });
            assert_eq!(text, Some("value"));
            numbers.push(number);
        }
        assert_eq!(made, 1);
        assert_eq!(numbers, [numbers[0]; 3]);
        let other =
            |cache: &mut Cache| cache.get::<1>("other", &arena, || Packed::new(&[Some("value")])).1;
        let more = [other(&mut cache), other(&mut Cache::new(4096))];
        assert!(more[0] != more[1] && !more.contains(&numbers[0]), "a number of its own each");
    }

    #[test]
    fn the_bytes_kept_stay_below_the_bound_and_the_used_stay_in() {
        let (arena, mut cache) = (Bump::new(), Cache::new(64 * 1024));
        let mut often = 0;
        for index in 0..10_000 {
            let packed = || Packed::new(&[Some("0123456789")]);
            let ([_], _) = cache.get(&format!("key {index}"), &arena, packed);
            let ([_], _) = cache.get("often", &arena, || {
                often += 1;
                packed()
            });
            let entries = cache.young.len() + cache.old.len();
            assert!(entries * (ENTRY_BYTES + 10) <= 64 * 1024, "{entries} entries at {index}");
        }
        assert_eq!(often, 1, "what every event asks for is never forgotten");
        let ([huge], _): ([Option<&str>; 1], _) =
            cache.get("huge", &arena, || Packed::new(&[Some(&"x".repeat(40_000))]));
        assert_eq!(huge.map(str::len), Some(40_000));
        assert!(!cache.young.contains_key("huge"), "larger than the half: not kept");
    }
}
