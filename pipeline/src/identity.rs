//! The ids of events that bring none, derived from where the event stands.
//!
//! A replay reads the same records at the same places, so it repeats these ids, and duplicates
//! can be found by them.

use super::Place;
use md5::{Digest, Md5};

/// A UUID (version 4 in shape) for the event at that place of a shard of a stream.
pub(super) fn event_id(stream: &str, shard: &str, at: Place<'_>) -> String {
    id(stream, shard, at, "")
}

/// As above, for the event that tells what was pseudonymised in that one.
pub(super) fn pii_event_id(stream: &str, shard: &str, at: Place<'_>) -> String {
    id(stream, shard, at, "pii")
}

fn id(stream: &str, shard: &str, at: Place<'_>, kind: &str) -> String {
    let mut hash = Md5::new();
    for part in [stream, shard, at.record.sequence] {
        hash.update(part);
        hash.update([0]);
    }
    hash.update(at.record.sub_sequence.to_be_bytes());
    hash.update((at.place as u64).to_be_bytes());
    hash.update(kind);
    let mut bytes: [u8; 16] = hash.finalize().into();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = u128::from_be_bytes(bytes);
    let text = format!("{digits:032x}");
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}
