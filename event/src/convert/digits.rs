//! Integers as the JVM reads them: an optional sign and digits of any script.
//!
//! The JVM looks at UTF-16 units, so only digits of the basic plane count.

use bumpalo::Bump;

/// The zeros of the basic plane's scripts with decimal digits; the other nine follow each.
const ZEROS: [u16; 37] = [
    0x0030, 0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6,
    0x0d66, 0x0de6, 0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80,
    0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0,
    0xff10,
];

/// The value of a decimal digit.
pub(crate) fn decimal(c: char) -> Option<u8> {
    if c.is_ascii() {
        return c.is_ascii_digit().then(|| c as u8 - b'0');
    }
    let unit = u16::try_from(u32::from(c)).ok()?;
    let script = ZEROS.partition_point(|zero| *zero <= unit).checked_sub(1)?;
    let value = unit - ZEROS[script];
    (value < 10).then_some(value as u8)
}

/// The value of a hexadecimal digit, whose letters may be full-width.
pub(crate) fn hexadecimal(c: char) -> Option<u8> {
    match c {
        '0'..='9' | 'a'..='f' | 'A'..='F' => c.to_digit(16).map(|value| value as u8),
        '\u{ff21}'..='\u{ff26}' => Some((u32::from(c) - 0xff21) as u8 + 10),
        '\u{ff41}'..='\u{ff46}' => Some((u32::from(c) - 0xff41) as u8 + 10),
        _ => decimal(c),
    }
}

/// Whether a text is a positive integer in canonical form that surely fits 32 bits.
pub(crate) fn is_short_canonical(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes, [b'1'..=b'9', ..] | [b'0'])
        && bytes.len() <= 9
        && bytes.iter().all(u8::is_ascii_digit)
}

/// A signed 64-bit integer.
pub(crate) fn parse_i64(text: &str) -> Option<i64> {
    parse(text, 10, decimal)
}

/// A signed 64-bit integer in hexadecimal.
pub(crate) fn parse_hex(text: &str) -> Option<i64> {
    parse(text, 16, hexadecimal)
}

/// The canonical text of an integer.
pub(crate) fn canonical(number: i32, arena: &Bump) -> &str {
    bumpalo::format!(in arena, "{}", number).into_bump_str()
}

fn parse(text: &str, radix: i64, digit: fn(char) -> Option<u8>) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    if digits.is_empty() {
        return None;
    }
    digits.chars().try_fold(0_i64, |number, c| {
        number.checked_mul(radix)?.checked_add(sign * i64::from(digit(c)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digits_of_any_script_count() {
        for (text, expected) in [
            ("42", Some(42)),
            ("+042", Some(42)),
            ("-0", Some(0)),
            ("٤٢", Some(42)),
            ("４２", Some(42)),
            ("९9", Some(99)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("", None),
            ("+", None),
            ("-", None),
            ("+-1", None),
            (" 1", None),
            ("1.0", None),
            ("1e3", None),
            ("𝟒", None),
            ("½", None),
        ] {
            assert_eq!(parse_i64(text), expected, "{text}");
        }
        assert_eq!(parse_hex("+ｆＡ0"), Some(0xfa0));
        assert_eq!(parse_hex("g"), None);
    }

    #[test]
    fn the_scripts_are_in_order() {
        assert!(ZEROS.is_sorted());
        for zero in ZEROS {
            let digits: Vec<_> = (zero..zero + 10)
                .map(|unit| char::from_u32(unit.into()).and_then(decimal))
                .collect();
            assert_eq!(digits, (0..10).map(Some).collect::<Vec<_>>());
        }
    }

    proptest! {
        #[test]
        fn integers_round_trip(number in any::<i64>()) {
            prop_assert_eq!(parse_i64(&number.to_string()), Some(number));
        }

        #[test]
        fn any_text_is_an_integer_or_not(text in ".*") {
            let _ = (parse_i64(&text), parse_hex(&text));
        }
    }
}
