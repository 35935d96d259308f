//! Event fingerprint: a hash over the tracker's parameters, to find the same event sent twice.
//!
//! Configured by `event_fingerprint_config`. The hash covers names and values of all parameters
//! that have a value, as the tracker sent them and before anything was cleaned, sorted by name,
//! each followed by the separator U+001F. Fails never.
//!
//! The fingerprint needs nothing but the parameters, so it can be made for many events at a time,
//! before any of them is enriched; MD5, the usual hash, then takes a fraction of the time.

mod lanes;

use bumpalo::collections::Vec as BumpVec;
use event::Bump;
use event::raw_event::Parameter;

use crate::pii::hash::{Hash, hex};
use crate::reader::Node;

/// Which parameters count and how they are hashed.
#[derive(Clone, Debug)]
pub(crate) struct Fingerprint {
    hash: Hash,
    /// Names of parameters that do not count, each after its [`word`].
    excluded: Vec<(u64, String)>,
}

impl Fingerprint {
    /// Reads the parameters of a configuration.
    pub(crate) fn read(parameters: &Node<'_>) -> Option<Fingerprint> {
        parameters.only(&["hashAlgorithm", "excludeParameters"])?;
        let hash = parameters.field("hashAlgorithm").choice(&[
            ("MD5", Hash::Md5),
            ("SHA1", Hash::Sha1),
            ("SHA256", Hash::Sha256),
            ("SHA384", Hash::Sha384),
            ("SHA512", Hash::Sha512),
        ]);
        let excluded = parameters.field("excludeParameters").texts();
        Some(Fingerprint::new(hash?, excluded?))
    }

    fn new(hash: Hash, excluded: Vec<String>) -> Fingerprint {
        Fingerprint { hash, excluded: excluded.into_iter().map(|n| (word(&n), n)).collect() }
    }

    /// The fingerprint of an event.
    pub(crate) fn of<'a>(&self, parameters: &[Parameter<'_>], arena: &'a Bump) -> &'a str {
        self.hash.hex(&[self.text(parameters, arena)], arena)
    }

    /// The fingerprints of some events.
    pub(crate) fn of_all<'a>(
        &self,
        events: &[&[Parameter<'_>]],
        arena: &'a Bump,
    ) -> BumpVec<'a, &'a str> {
        if self.hash != Hash::Md5 {
            return BumpVec::from_iter_in(events.iter().map(|event| self.of(event, arena)), arena);
        }
        let texts = events.iter().map(|event| self.text(event, arena));
        let texts: &[&[u8]] = BumpVec::from_iter_in(texts, arena).into_bump_slice();
        let mut fingerprints = bumpalo::vec![in arena; ""; events.len()];
        lanes::md5(texts, |event, digest| fingerprints[event] = hex(&digest, arena));
        fingerprints
    }

    /// What is hashed.
    fn text<'a>(&self, parameters: &[Parameter<'_>], arena: &'a Bump) -> &'a [u8] {
        /// Unit separator: no parameter holds it by accident.
        const SEPARATOR: u8 = 0x1f;
        let mut pairs = BumpVec::with_capacity_in(parameters.len(), arena);
        for &(name, value) in parameters {
            let Some(value) = value else { continue };
            let word = word(name);
            if !self.excluded.iter().any(|(other, excluded)| *other == word && excluded == name) {
                pairs.push((word, name, value));
            }
        }
        let size = pairs.iter().map(|(_, name, value)| name.len() + value.len() + 2).sum();
        let mut text = BumpVec::with_capacity_in(size, arena);
        for place in sorted(&pairs, arena) {
            let (_, name, value) = pairs[place];
            text.extend_from_slice_copy(name.as_bytes());
            text.push(SEPARATOR);
            text.extend_from_slice_copy(value.as_bytes());
            text.push(SEPARATOR);
        }
        text.into_bump_slice()
    }
}

/// A parameter after the [`word`] of its name.
type Pair<'p> = (u64, &'p str, &'p str);

/// The places of parameters in the order of their names.
fn sorted<'a>(pairs: &[Pair<'_>], arena: &'a Bump) -> impl Iterator<Item = usize> + use<'a> {
    let quick = quickly_sorted(pairs, arena);
    let slow = quick.is_none().then(|| {
        let mut places = BumpVec::from_iter_in(0..pairs.len(), arena);
        // As the peer's texts do, by UTF-16.
        places.sort_by(|left, right| {
            let [left, right] = [left, right].map(|place| pairs[*place].1.encode_utf16());
            left.cmp(right)
        });
        places
    });
    let quick = quick.into_iter().flatten().map(|key| usize::from(key as u8));
    quick.chain(slow.into_iter().flatten())
}

/// The places, each in the low byte of a number that sorts as the names do, where all names are
/// short, ASCII and different, as those of trackers are.
fn quickly_sorted<'a>(pairs: &[Pair<'_>], arena: &'a Bump) -> Option<BumpVec<'a, u64>> {
    let keys = pairs.iter().zip(0_u64..).map(|((word, ..), place)| word | place);
    let mut keys = BumpVec::from_iter_in(keys, arena);
    // A name of eight bytes has one where the place stands.
    let short = pairs.iter().all(|(word, ..)| word & 0x8080_8080_8080_80ff == 0);
    keys.sort_unstable();
    let different = keys.windows(2).all(|two| two[0] >> 8 != two[1] >> 8);
    (short && different && pairs.len() <= 256).then_some(keys)
}

/// The first eight bytes of a name as a number that sorts as they do; most names have no more.
fn word(name: &str) -> u64 {
    let bytes = name.as_bytes();
    if let Some(first) = bytes.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let [first, last] = [first, last].map(|four| u64::from(u32::from_be_bytes(*four)));
        return first << 32 | last << (8 * (8 - bytes.len()));
    }
    bytes.iter().zip([56, 48, 40]).fold(0, |word, (byte, shift)| word | u64::from(*byte) << shift)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(hash: Hash, excluded: &[&str], parameters: &[Parameter<'_>]) -> String {
        let excluded = excluded.iter().map(|name| (*name).to_owned()).collect();
        let (arena, fingerprint) = (Bump::new(), Fingerprint::new(hash, excluded));
        let alone = fingerprint.of(parameters, &arena);
        // Many at a time are hashed another way.
        for count in [1, 5] {
            let all = fingerprint.of_all(&vec![parameters; count], &arena);
            assert_eq!(*all, vec![alone; count]);
        }
        alone.to_owned()
    }

    #[test]
    fn names_and_values_are_hashed_in_the_order_of_names() {
        let parameters = [
            ("se_ac", Some("buy")),
            ("stm", Some("1000000000000")),
            ("e", Some("se")),
            ("aid", None),
            ("eid", Some("c6ef3124-b53a-4b13-a233-0088f79dcbcb")),
        ];
        for (hash, expected) in [
            (Hash::Md5, "6829c2021516783f1ef03a9e9736ac77"),
            (Hash::Sha1, "00b058442f1f3a552fa1550b99ce5b8810a0ea75"),
            (Hash::Sha256, "6698caf728ab1bf3ab9d1da032fc15608b78ac3368b398f0fb3f68969134a605"),
        ] {
            assert_eq!(run(hash, &["eid", "nuid", "stm", "cv"], &parameters), expected);
        }
    }

    proptest! {
        #[test]
        fn names_of_any_kind_are_sorted(
            names in prop::collection::hash_set("[ab\u{0}_é\u{ffee}😀]{0,9}", 0..300),
            short in prop::collection::hash_set("[a-d_]{0,7}", 0..300),
            nearly_equal in prop::collection::hash_set("a{0,2}b?\\PC?\u{0}{0,5}", 0..9),
            few in prop::collection::hash_set("[a\u{ffee}😀]{0,2}", 0..9),
            long in prop::collection::hash_set("abcdef[a-d]{0,3}", 0..9),
        ) {
            for names in [names, short, nearly_equal, few, long] {
                let parameters: Vec<_> =
                    names.iter().map(|name| (name.as_str(), Some("value"))).collect();
                let mut sorted: Vec<&String> = names.iter().collect();
                sorted.sort_by_key(|name| name.encode_utf16().collect::<Vec<_>>());
                let expected: String =
                    sorted.iter().map(|name| format!("{name}\u{1f}value\u{1f}")).collect();
                let fingerprint = Fingerprint::new(Hash::Md5, Vec::new());
                let arena = Bump::new();
                prop_assert_eq!(fingerprint.text(&parameters, &arena), expected.as_bytes());
            }
        }
    }

    #[test]
    fn words_sort_as_the_names_they_begin() {
        let names = ["", "a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "abcdefgh"];
        for two in names.windows(2) {
            assert!(word(two[0]) < word(two[1]), "{two:?}");
        }
        assert_eq!(word("abcdefgh"), word("abcdefghi"));
        assert_eq!(word("abcdef").to_be_bytes(), *b"abcdef\0\0");
    }

    #[test]
    fn names_beyond_the_basic_plane_come_before_the_last_of_it() {
        let parameters = [("\u{ffee}", Some("1")), ("\u{1f600}", Some("2"))];
        let swapped = [parameters[1], parameters[0]];
        let sorted = "\u{1f600}\u{1f}2\u{1f}\u{ffee}\u{1f}1\u{1f}";
        let expected = Hash::Md5.hex(&[sorted.as_bytes()], &Bump::new()).to_owned();
        assert_eq!(run(Hash::Md5, &[], &parameters), expected);
        assert_eq!(run(Hash::Md5, &[], &swapped), expected);
    }
}
