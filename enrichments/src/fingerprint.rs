//! Event fingerprint: a hash over the tracker's parameters, to find the same event sent twice.
//!
//! Configured by `event_fingerprint_config`. The hash covers names and values of all parameters
//! that have a value, as the tracker sent them and before anything was cleaned, sorted by name,
//! each followed by the separator U+001F. Fails never.
//!
//! The fingerprint needs nothing but the parameters, so it can be made for many events at a time,
//! before any of them is enriched; MD5, the usual hash, then takes a third of the time.

mod lanes;

use bumpalo::collections::Vec as BumpVec;
use event::Bump;
use event::raw_event::Parameter;

use crate::config::Node;
use crate::pii::hash::{Hash, hex};

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
        // Parameters are nearly always ASCII, where bytes sort as the peer's UTF-16 does.
        if pairs.iter().all(|(_, name, _)| name.is_ascii()) {
            pairs.sort_unstable_by_key(|(word, name, _)| (*word, *name));
        } else {
            pairs.sort_unstable_by(|left, right| left.1.encode_utf16().cmp(right.1.encode_utf16()));
        }
        let size = pairs.iter().map(|(_, name, value)| name.len() + value.len() + 2).sum();
        let mut text = BumpVec::with_capacity_in(size, arena);
        for (_, name, value) in pairs {
            text.extend_from_slice_copy(name.as_bytes());
            text.push(SEPARATOR);
            text.extend_from_slice_copy(value.as_bytes());
            text.push(SEPARATOR);
        }
        text.into_bump_slice()
    }
}

/// The first eight bytes of a name as a number that sorts as they do; most names have no more.
fn word(name: &str) -> u64 {
    let first = name.as_bytes().iter().take(8);
    first.zip((0..8).rev()).fold(0, |word, (byte, at)| word | u64::from(*byte) << (8 * at))
}

#[cfg(test)]
mod tests {
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
