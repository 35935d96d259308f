//! Base64 as trackers write it and a running peer reads it.
//!
//! Decoding cannot fail: both alphabets are understood, even mixed, whatever belongs to neither is
//! skipped, and the first `=` ends the text. Well-formed texts, padded or not, are decoded with
//! vector instructions; only what these refuse is decoded byte by byte.

use base64_simd::{AsOut, STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;

use crate::convert;

/// Decodes to text; bytes that are no UTF-8 become U+FFFD.
pub fn decode<'a>(text: &str, arena: &'a Bump) -> &'a str {
    convert::utf8(decode_bytes(text.as_bytes(), arena), arena)
}

/// Decodes to bytes.
pub fn decode_bytes<'a>(text: &[u8], arena: &'a Bump) -> &'a [u8] {
    let text = memchr::memchr(b'=', text).map_or(text, |end| &text[..end]);
    // A single character left over holds no whole byte.
    let whole = if text.len() % 4 == 1 { &text[..text.len() - 1] } else { text };
    let url_safe = memchr::memchr2(b'-', b'_', whole).is_some();
    let alphabet = if url_safe { URL_SAFE_NO_PAD } else { STANDARD_NO_PAD };
    let out = arena.alloc_slice_fill_copy(alphabet.estimated_decoded_length(whole.len()), 0_u8);
    match alphabet.decode(whole, out.as_out()) {
        Ok(bytes) => bytes,
        Err(_) => decode_leniently(text, arena),
    }
}

/// Encodes with the standard alphabet and padding.
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode_to_string(bytes)
}

/// Encodes with the URL-safe alphabet, no padding, and a line break after every 76 characters but
/// the last, which is how the redirect adapter re-encodes contexts.
pub fn encode_mime_url(bytes: &[u8]) -> String {
    const BYTES_OF_LINE: usize = 76 / 4 * 3;
    let lines = bytes.chunks(BYTES_OF_LINE);
    let lines: Vec<_> = lines.map(|line| URL_SAFE_NO_PAD.encode_to_string(line)).collect();
    lines.join("\r\n")
}

#[cold]
fn decode_leniently<'a>(text: &[u8], arena: &'a Bump) -> &'a [u8] {
    let mut bytes = ArenaVec::with_capacity_in(text.len() / 4 * 3 + 3, arena);
    let (mut bits, mut count) = (0_u32, 0);
    for value in text.iter().filter_map(|byte| value(*byte)) {
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes.into_bump_slice()
}

/// The six bits that a character of either alphabet stands for.
const fn value(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn anything_decodes() {
        let arena = Bump::new();
        for (text, expected) in [
            ("", ""),
            ("aGVsbG8=", "hello"),
            ("aGVsbG8", "hello"),
            ("aGVsbA==", "hell"),
            ("aGVsbA=", "hell"),
            ("aGVs bG8\r\n", "hello"),
            ("aGVs*bG8é", "hello"),
            ("aGVsbG8=aGVsbG8=", "hello"),
            ("=aGVsbG8", ""),
            ("aGVsb", "hel"),
            ("aGVsbH", "hell"),
            ("a", ""),
            ("w6k_w6k/Pz8-Pj4+", "é?é???>>>>"),
            ("6Q", "\u{fffd}"),
        ] {
            assert_eq!(decode(text, &arena), expected, "{text}");
        }
    }

    #[test]
    fn lines_break_after_76_characters() {
        assert_eq!(encode(b"\xff\xfe\xfd?"), "//79Pw==");
        assert_eq!(encode_mime_url(b"\xff\xfe\xfd?"), "__79Pw");
        assert_eq!(encode_mime_url(b""), "");
        assert_eq!(encode_mime_url(&[0; 57]), "A".repeat(76));
        assert_eq!(encode_mime_url(&[0; 58]), format!("{}\r\nAA", "A".repeat(76)));
    }

    proptest! {
        #[test]
        fn the_fast_way_agrees_with_the_slow_one(text in "[A-Za-z0-9+/_\\-]{0,90}(=.{0,4})?|.*") {
            let arena = Bump::new();
            let end = text.find('=').unwrap_or(text.len());
            let slow = decode_leniently(&text.as_bytes()[..end], &arena);
            prop_assert_eq!(decode_bytes(text.as_bytes(), &arena), slow);
        }

        #[test]
        fn bytes_round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let arena = Bump::new();
            for text in [encode(&bytes), encode_mime_url(&bytes)] {
                prop_assert_eq!(decode_bytes(text.as_bytes(), &arena), bytes.as_slice());
            }
        }
    }
}
