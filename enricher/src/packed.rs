//! Records of streams that are compressed by us, and how they are known again.
//!
//! Such a record is a Zstandard stream (RFC 8878) that begins with a skippable frame of ours: every
//! decoder passes over it, and nobody takes the record for one that a collector compressed.

use bytes::Bytes;

/// A skippable frame with four bytes in it.
const MARK: [u8; 12] = *b"\x50\x2a\x4d\x18\x04\0\0\0snow";

/// Small records, many of them: what more than this saves costs more than it is worth.
const LEVEL: i32 = 3;

/// What a record may become. AWS takes up to 1 MiB, and text shrinks to a tenth.
const LARGEST: usize = 32 << 20;

/// The record compressed; none if it would not be smaller.
pub fn pack(record: &[u8]) -> Option<Vec<u8>> {
    let frame = zstd::bulk::compress(record, LEVEL).ok()?;
    let packed = [&MARK, frame.as_slice()].concat();
    (packed.len() < record.len()).then_some(packed)
}

/// What was compressed; none if the record is any other.
pub fn unpack(record: &[u8]) -> Option<Bytes> {
    let frame = record.strip_prefix(&MARK)?;
    let size = zstd::zstd_safe::get_frame_content_size(frame).ok().flatten()?;
    let size = usize::try_from(size).ok().filter(|size| *size <= LARGEST)?;
    zstd::bulk::decompress(frame, size).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_comes_back() {
        let record = b"one two three four ".repeat(100);
        let packed = pack(&record).expect("it shrinks");
        assert!(packed.len() < record.len() / 4, "{}", packed.len());
        assert_eq!(unpack(&packed).as_deref(), Some(record.as_slice()));
        // As a decoder reads it that knows nothing of us.
        let plain = zstd::decode_all(packed.as_slice()).expect("it is Zstandard");
        assert_eq!(plain, record);
    }

    #[test]
    fn others_are_left_as_they_are() {
        assert_eq!(pack(b"short"), None);
        assert_eq!(pack(b""), None);
        let frame = zstd::bulk::compress(&[7; 1000], 1).expect("it is compressed");
        for record in [&b""[..], b"\x0b\x00\x64", &frame, &MARK, &[&MARK[..], b"xyz"].concat()] {
            assert_eq!(unpack(record), None, "{record:?}");
        }
    }

    #[test]
    fn a_frame_that_grows_without_end_is_not_taken() {
        let large = vec![0; LARGEST + 1];
        let frame = zstd::bulk::compress(&large, 1).expect("it is compressed");
        assert_eq!(unpack(&[&MARK[..], &frame].concat()), None);
    }
}
