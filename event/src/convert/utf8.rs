//! Bytes as text, with the JVM's idea of what one broken character is.

use bumpalo::Bump;
use bumpalo::collections::String as ArenaString;

/// Reads UTF-8; each broken sequence becomes one U+FFFD.
///
/// How long a broken sequence is differs from other decoders in one place: an encoded surrogate
/// (`ED A0..BF xx`) is one sequence, not three.
pub fn utf8<'a>(bytes: &'a [u8], arena: &'a Bump) -> &'a str {
    simdutf8::basic::from_utf8(bytes).unwrap_or_else(|_| lossy(bytes, arena))
}

#[cold]
fn lossy<'a>(mut bytes: &[u8], arena: &'a Bump) -> &'a str {
    let mut text = ArenaString::with_capacity_in(bytes.len() + 16, arena);
    loop {
        let error = match std::str::from_utf8(bytes) {
            Ok(rest) => {
                text.push_str(rest);
                return text.into_bump_str();
            }
            Err(error) => error,
        };
        let (good, bad) = bytes.split_at(error.valid_up_to());
        text.push_str(std::str::from_utf8(good).expect("valid up to here"));
        text.push(char::REPLACEMENT_CHARACTER);
        let length = match bad {
            [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..] => 3,
            [0xed, 0xa0..=0xbf, ..] => 2,
            _ => error.error_len().unwrap_or(bad.len()),
        };
        bytes = &bad[length..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn broken_sequences_become_one_replacement_each() {
        let arena = Bump::new();
        let cases: [(&[u8], &str); 13] = [
            (b"caf\xc3\xa9", "café"),
            (b"caf\xe9", "caf\u{fffd}"),
            (b"\xe9t\xe9", "\u{fffd}t\u{fffd}"),
            (b"\xe6\x97", "\u{fffd}"),
            (b"\xe6\x97a", "\u{fffd}a"),
            (b"\xf0\x9f\x98", "\u{fffd}"),
            (b"\xed\xa0\x80", "\u{fffd}"),
            (b"\xed\xa0a", "\u{fffd}a"),
            (b"\xed\xa0\x80\xed\xb0\x80!", "\u{fffd}\u{fffd}!"),
            (b"\xc0\x80", "\u{fffd}\u{fffd}"),
            (b"\xf4\x90\x80\x80", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            (b"\xff", "\u{fffd}"),
            (b"\xed\xa0", "\u{fffd}"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(utf8(bytes, &arena), expected, "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn only_surrogates_differ_from_the_usual_decoder(bytes in any::<Vec<u8>>()) {
            let arena = Bump::new();
            let text = utf8(&bytes, &arena);
            let surrogate = bytes.windows(2).any(|pair| pair[0] == 0xed && pair[1] >= 0xa0);
            prop_assert!(surrogate || text == String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn text_is_left_alone(text in any::<String>()) {
            let arena = Bump::new();
            prop_assert!(std::ptr::eq(utf8(text.as_bytes(), &arena), text.as_str()));
        }
    }
}
