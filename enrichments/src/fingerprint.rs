//! Event fingerprint: a hash over the tracker's parameters, to find the same event sent twice.
//!
//! Configured by `event_fingerprint_config`. The hash covers names and values of all parameters
//! that have a value, as the tracker sent them and before anything was cleaned, sorted by name,
//! each followed by the separator U+001F. Fails never.

use bumpalo::collections::Vec as BumpVec;
use event::raw_event::Parameter;
use event::{Bump, Event, Field};

use crate::config::Node;
use crate::pii::hash::Hash;

/// Which parameters count and how they are hashed.
#[derive(Clone, Debug)]
pub(crate) struct Fingerprint {
    hash: Hash,
    excluded: Vec<String>,
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
        Some(Fingerprint { hash: hash?, excluded: excluded? })
    }

    /// Sets `event_fingerprint`.
    pub(crate) fn run<'a>(
        &self,
        event: &mut Event<'a>,
        parameters: &[Parameter<'a>],
        arena: &'a Bump,
    ) {
        /// Unit separator: no parameter holds it by accident.
        const SEPARATOR: u8 = 0x1f;
        let counts = |name: &str| !self.excluded.iter().any(|excluded| excluded == name);
        let mut pairs = BumpVec::with_capacity_in(parameters.len(), arena);
        pairs.extend(
            parameters
                .iter()
                .filter(|(name, _)| counts(name))
                .filter_map(|(n, v)| Some((*n, (*v)?))),
        );
        // Parameters are nearly always ASCII, where bytes sort as the peer's UTF-16 does.
        if pairs.iter().all(|(name, _)| name.is_ascii()) {
            pairs.sort_unstable_by_key(|(name, _)| *name);
        } else {
            pairs.sort_unstable_by(|left, right| left.0.encode_utf16().cmp(right.0.encode_utf16()));
        }
        let size = pairs.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        let mut text = BumpVec::with_capacity_in(size, arena);
        for (name, value) in pairs {
            text.extend_from_slice(name.as_bytes());
            text.push(SEPARATOR);
            text.extend_from_slice(value.as_bytes());
            text.push(SEPARATOR);
        }
        event.set(Field::EventFingerprint, Some(self.hash.hex(&[&text], arena)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(hash: Hash, excluded: &[&str], parameters: &[Parameter<'_>]) -> String {
        let excluded = excluded.iter().map(|name| (*name).to_owned()).collect();
        let (arena, mut event) = (Bump::new(), Event::new());
        Fingerprint { hash, excluded }.run(&mut event, parameters, &arena);
        event.get(Field::EventFingerprint).unwrap_or_default().to_owned()
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
