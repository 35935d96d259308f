//! Records that are compressed, by their first bytes.
//!
//! Newer collectors can compress what they write, and how the pieces are framed is not published.
//! Such a record is sound, so it is no bad row: it waits, whole, for a version that reads it. Only
//! records that cannot be read are looked at; none of these beginnings is one of a payload.

/// How formats of compression begin.
const BEGINNINGS: [(&[u8], &str); 6] = [
    (b"\x1f\x8b\x08", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\xff\x06\x00\x00sNaPpY", "snappy"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
];

/// What a record is compressed by, if it looks so.
pub(super) fn format(record: &[u8]) -> Option<&'static str> {
    let known = BEGINNINGS.iter().find(|(beginning, _)| record.starts_with(beginning));
    known.map(|(_, name)| *name).or_else(|| is_zlib(record).then_some("zlib"))
}

/// The window of 32 KiB that everybody writes, no dictionary, one of the four levels, as RFC 1950
/// has them: of what is garbage, one record in 16,384 begins so, where any window and dictionary
/// would be one in a thousand.
fn is_zlib(record: &[u8]) -> bool {
    matches!(record, [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_how_they_begin() {
        for (record, expected) in [
            (&b"\x1f\x8b\x08"[..], Some("gzip")),
            (b"\x28\xb5\x2f\xfd\x00", Some("zstd")),
            (b"\x78\x9c\x4b", Some("zlib")),
            (b"\x78\x01", Some("zlib")),
            (b"\x78\x9d", None),
            (b"\x58\x85", None),
            (b"\x1f\x8b\x07", None),
            (b"BZh9", Some("bzip2")),
            (b"\xff\x06\x00\x00sNaPpY\x00", Some("snappy")),
            (b"\x04\x22\x4d\x18\x64", Some("lz4")),
            (b"\xfd7zXZ\x00\x00", Some("xz")),
            (b"\x0c\x79\x18", None),
            (b"\x0b\x00\x64", None),
            (b"x", None),
            (b"", None),
        ] {
            assert_eq!(format(record), expected, "{record:02x?}");
        }
    }
}
