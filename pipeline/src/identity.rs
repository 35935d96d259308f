//! The ids of events that bring none, derived from where the event stands.
//!
//! A replay reads the same records at the same places, so it repeats these ids, and duplicates
//! can be found by them.

use md5::{Digest, Md5};

use super::batch::Origin;

/// A UUID (version 4 in shape) for the event with that index in a record.
pub(super) fn event_id(origin: Origin<'_>, index: u32) -> String {
    id(origin, index, "")
}

/// As above, for the event that tells what was pseudonymised in that one.
pub(super) fn pii_event_id(origin: Origin<'_>, index: u32) -> String {
    id(origin, index, "pii")
}

fn id(origin: Origin<'_>, index: u32, kind: &str) -> String {
    let mut hash = Md5::new();
    for part in [origin.stream, origin.shard, origin.sequence] {
        hash.update(part);
        hash.update([0]);
    }
    hash.update(origin.sub_sequence.to_be_bytes());
    hash.update(u64::from(index).to_be_bytes());
    hash.update(kind);
    let mut bytes: [u8; 16] = hash.finalize().into();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = u128::from_be_bytes(bytes);
    let text = format!("{digits:032x}");
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}
