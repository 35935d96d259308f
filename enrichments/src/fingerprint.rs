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
#[derive(Debug)]
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
        pairs.sort_unstable_by(|(left, _), (right, _)| by_code_units(left, right));
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

/// The order of UTF-16 texts, which differs from that of bytes only above U+FFFF.
fn by_code_units(left: &str, right: &str) -> std::cmp::Ordering {
    if left.is_ascii() && right.is_ascii() {
        return left.cmp(right);
    }
    left.encode_utf16().cmp(right.encode_utf16())
}
