//! The hash functions that configurations may name, and their hexadecimal text.

use event::Bump;
use md5::Digest;

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    /// 128 bits; broken, for old configurations.
    Md2,
    /// 128 bits; broken, for old configurations and fingerprints.
    Md5,
    /// 160 bits; broken.
    Sha1,
    /// 256 bits.
    Sha256,
    /// 384 bits.
    Sha384,
    /// 512 bits.
    Sha512,
}

impl Hash {
    /// Hashes some bytes, one run after the other, into lower-case hexadecimal digits.
    pub(crate) fn hex<'a>(self, parts: &[&[u8]], arena: &'a Bump) -> &'a str {
        match self {
            Hash::Md2 => digest::<md2::Md2>(parts, arena),
            Hash::Md5 => digest::<md5::Md5>(parts, arena),
            Hash::Sha1 => digest::<sha1::Sha1>(parts, arena),
            Hash::Sha256 => digest::<sha2::Sha256>(parts, arena),
            Hash::Sha384 => digest::<sha2::Sha384>(parts, arena),
            Hash::Sha512 => digest::<sha2::Sha512>(parts, arena),
        }
    }
}

fn digest<'a, D: Digest>(parts: &[&[u8]], arena: &'a Bump) -> &'a str {
    let mut hash = D::new();
    for part in parts {
        hash.update(part);
    }
    hex(&hash.finalize(), arena)
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex<'a>(bytes: &[u8], arena: &'a Bump) -> &'a str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = arena.alloc_slice_fill_copy(2 * bytes.len(), 0);
    for (two, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        two.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    std::str::from_utf8(digits).expect("hexadecimal digits are ASCII")
}
