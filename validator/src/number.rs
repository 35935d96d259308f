//! JSON numbers by their text: exact comparison, divisibility, printing.
//!
//! Nothing here allocates or depends on the size of an exponent, so `1e999999999` costs no more
//! than `1`.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// Whether a literal counts as an integer. `1.0`, `1e2` and `-0` do not.
pub(crate) fn is_integer(literal: &str) -> bool {
    literal.bytes().all(|byte| !matches!(byte, b'.' | b'e' | b'E')) && literal != "-0"
}

/// A literal as the rules look at it: read once, compared often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Literal<'a> {
    /// As it stands.
    pub(crate) text: &'a str,
    /// Whether it counts as an integer. `1.0`, `1e2` and `-0` do not.
    pub(crate) integer: bool,
    /// Its value, if it is written without fraction and exponent, and fits.
    value: Option<i64>,
}

/// So many digits surely fit an `i64`.
const SHORT: usize = 18;

impl<'a> Literal<'a> {
    /// The literal at the start of a text that goes on with no part of a number.
    pub(crate) fn at_start_of(text: &'a str) -> Literal<'a> {
        let bytes = text.as_bytes();
        let start = usize::from(bytes.first() == Some(&b'-'));
        let (mut end, mut value) = (start, 0_i64);
        while let Some(digit) = bytes.get(end).map(|byte| byte.wrapping_sub(b'0'))
            && digit < 10
        {
            value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
            end += 1;
        }
        if matches!(bytes.get(end), Some(b'.' | b'e' | b'E')) {
            let inner = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
            end += bytes[end..].iter().position(|byte| !inner(byte)).unwrap_or(text.len() - end);
            return Literal { text: &text[..end], integer: false, value: None };
        }
        let value = match end - start {
            ..=SHORT => Some(if start == 0 { value } else { -value }),
            // Bounds are often the largest value of the type.
            _ => text[..end].parse().ok(),
        };
        Literal { text: &text[..end], integer: start == 0 || value != Some(0), value }
    }

    /// Its value, if it is written without fraction and exponent, and fits.
    pub(crate) fn value(&self) -> Option<i64> {
        self.value
    }
}

/// Orders two literals by value, exactly.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (Decimal::new(a), Decimal::new(b));
    match (a.sign(), b.sign()) {
        (a, b) if a != b => a.cmp(&b),
        (0, _) => Ordering::Equal,
        (1, _) => a.magnitude(&b),
        _ => b.magnitude(&a),
    }
}

/// Feeds a hasher what two literals have in common if they are of one kind and value.
pub(crate) fn hash(literal: &str, hasher: &mut impl Hasher) {
    is_integer(literal).hash(hasher);
    let decimal = Decimal::new(literal);
    decimal.sign().hash(hasher);
    if decimal.sign() != 0 {
        decimal.point.hash(hasher);
        let (mut zeros, mut digits) = (0, 0_usize);
        for digit in decimal.digits() {
            if digit == b'0' {
                zeros += 1;
                continue;
            }
            // Zeros count if something follows them.
            (0..std::mem::take(&mut zeros)).for_each(|_| hasher.write_u8(b'0'));
            hasher.write_u8(digit);
            digits += 1;
        }
        digits.hash(hasher);
    }
}

/// A literal taken apart: 0.d₁d₂d₃… × 10^point with d₁ ≠ 0, or zero.
struct Decimal<'a> {
    negative: bool,
    integer: &'a [u8],
    fraction: &'a [u8],
    point: i64,
}

impl<'a> Decimal<'a> {
    fn new(literal: &'a str) -> Decimal<'a> {
        let negative = literal.starts_with('-');
        let text = literal.trim_start_matches('-');
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], exponent(&text[at + 1..])),
            None => (text, 0),
        };
        let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let integer = integer.trim_start_matches('0').as_bytes();
        let (fraction, point) = if integer.is_empty() {
            let digits = fraction.trim_start_matches('0');
            (digits.as_bytes(), -length(fraction.len() - digits.len()))
        } else {
            (fraction.as_bytes(), length(integer.len()))
        };
        Decimal { negative, integer, fraction, point: point.saturating_add(exponent) }
    }

    fn digits(&self) -> impl Iterator<Item = u8> + '_ {
        self.integer.iter().chain(self.fraction).copied()
    }

    fn sign(&self) -> i8 {
        match (self.integer.is_empty() && self.fraction.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    fn magnitude(&self, other: &Decimal<'_>) -> Ordering {
        let (mut a, mut b) = (self.digits(), other.digits());
        let digits = || loop {
            match (a.next(), b.next()) {
                (None, None) => return Ordering::Equal,
                (a, b) => match a.unwrap_or(b'0').cmp(&b.unwrap_or(b'0')) {
                    Ordering::Equal => {}
                    unequal => return unequal,
                },
            }
        };
        self.point.cmp(&other.point).then_with(digits)
    }
}

fn length(digits: usize) -> i64 {
    i64::try_from(digits).unwrap_or(i64::MAX)
}

/// An exponent, cut off where no two literals that fit into memory could tell the difference.
fn exponent(text: &str) -> i64 {
    const LIMIT: i64 = i64::MAX / 4;
    let magnitude = text.bytes().filter(u8::is_ascii_digit).fold(0_i64, |sum, digit| {
        sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')).min(LIMIT)
    });
    if text.starts_with('-') { -magnitude } else { magnitude }
}

/// Whether a literal is a multiple of a divisor, both taken as the shortest decimal text of their
/// 64-bit floating point value, as the peer does (so that 1.23 is a multiple of 0.01).
pub(crate) fn is_multiple(literal: &str, divisor: f64) -> bool {
    let Ok(value) = literal.parse::<f64>() else { return false };
    if divisor == 0.0 || value == 0.0 {
        return true;
    }
    if !value.is_finite() || !divisor.is_finite() {
        return false;
    }
    let (dividend, divisor) = (Shortest::new(value), Shortest::new(divisor));
    let shift = dividend.exponent - divisor.exponent;
    if shift >= 0 {
        let power = power_of_ten(shift, divisor.digits);
        (u128::from(dividend.digits) * u128::from(power)) % u128::from(divisor.digits) == 0
    } else {
        let scale = u32::try_from(-shift).ok().and_then(|shift| 10_u128.checked_pow(shift));
        let scaled = scale.and_then(|scale| scale.checked_mul(u128::from(divisor.digits)));
        scaled.is_some_and(|divisor| u128::from(dividend.digits) % divisor == 0)
    }
}

/// 10^power modulo `modulus`.
fn power_of_ten(power: i32, modulus: u64) -> u64 {
    let modulus = u128::from(modulus);
    let power = (0..power).fold(1 % modulus, |product, _| product * 10 % modulus);
    u64::try_from(power).expect("a remainder is smaller than its modulus")
}

/// digits × 10^exponent.
struct Shortest {
    digits: u64,
    exponent: i32,
}

impl Shortest {
    /// The shortest decimal that reads back as this finite value, its sign dropped.
    fn new(value: f64) -> Shortest {
        let text = format_short(value);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let digits = mantissa.bytes().filter(u8::is_ascii_digit);
        Shortest {
            digits: digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')),
            exponent: exponent.parse::<i32>().unwrap_or(0)
                - i32::try_from(fraction).expect("a double has at most 17 digits"),
        }
    }
}

/// Scientific notation on the stack.
fn format_short(value: f64) -> Short {
    let mut short = Short { bytes: [0; 32], length: 0 };
    let written = std::fmt::Write::write_fmt(&mut short, format_args!("{:e}", value.abs()));
    written.expect("a double in scientific notation has at most 24 characters");
    short
}

struct Short {
    bytes: [u8; 32],
    length: usize,
}

impl std::fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        self.bytes
            .get_mut(self.length..end)
            .ok_or(std::fmt::Error)?
            .copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

impl std::ops::Deref for Short {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).expect("only whole texts are written")
    }
}

/// A double as the peer's messages print it: `5.0`, `0.01`, `1.0E10`.
pub(crate) fn print_double(value: f64) -> String {
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if mantissa.contains('.') { "" } else { ".0" };
    format!("{mantissa}{point}E{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn literals_are_ordered_by_value() {
        let ascending = [
            "-1e999999999999999999999",
            "-10",
            "-9.5",
            "-0.1",
            "0",
            "1e-400",
            "0.3",
            "0.30000000000000001",
            "1",
            "1.5",
            "9",
            "10",
            "9223372036854775807",
            "9223372036854775808",
            "1e19",
            "1e400",
            "1e999999999999999999999",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a} {b}");
            }
        }
        for (a, b) in
            [("1", "1.0"), ("100", "1e2"), ("0", "-0.0e5"), ("2.50", "2.5"), ("0.01e2", "1E+0")]
        {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn literals_are_read_to_their_end() {
        for (text, literal, integer, value) in [
            ("12,", "12", true, Some(12)),
            ("-7}", "-7", true, Some(-7)),
            ("0", "0", true, Some(0)),
            ("-0]", "-0", false, Some(0)),
            ("1.5e+3,", "1.5e+3", false, None),
            ("1E5", "1E5", false, None),
            ("123456789012345678,", "123456789012345678", true, Some(123_456_789_012_345_678)),
            ("9223372036854775807,", "9223372036854775807", true, Some(i64::MAX)),
            ("-9223372036854775808,", "-9223372036854775808", true, Some(i64::MIN)),
            ("9223372036854775808,", "9223372036854775808", true, None),
        ] {
            let read = Literal::at_start_of(text);
            assert_eq!((read.text, read.integer, read.value), (literal, integer, value));
            assert_eq!(is_integer(literal), integer);
        }
    }

    #[test]
    fn multiples_are_decimal() {
        for (value, divisor) in [
            ("1.23", 0.01),
            ("1e-2", 0.01),
            ("0", 0.01),
            ("15", 5.0),
            ("1e300", 1e-300),
            ("4.5", 1.5),
        ] {
            assert!(is_multiple(value, divisor), "{value} {divisor}");
        }
        for (value, divisor) in [("1.234", 0.01), ("16", 5.0), ("1e-300", 1e300), ("1e999", 1.0)] {
            assert!(!is_multiple(value, divisor), "{value} {divisor}");
        }
    }

    #[test]
    fn doubles_print_as_in_the_peers_messages() {
        for (value, text) in [(5.0, "5.0"), (0.01, "0.01"), (1e10, "1.0E10"), (1.5e-7, "1.5E-7")] {
            assert_eq!(print_double(value), text);
        }
    }

    proptest! {
        #[test]
        fn integers_and_floats_compare_as_the_language_does(a: i64, b: i64, x: f64, y: f64) {
            prop_assert_eq!(compare(&a.to_string(), &b.to_string()), a.cmp(&b));
            let text = a.to_string();
            let value = Literal::at_start_of(&text).value();
            prop_assert_eq!(value, Some(a));
            let (c, d) = (a as i32, b as i32);
            let half = |n: i32| format!("{}", f64::from(n) / 2.0);
            prop_assert_eq!(compare(&half(c), &half(d)), c.cmp(&d));
            if x.is_finite() && y.is_finite() {
                let by_text = compare(&format!("{x:e}"), &format!("{y:e}"));
                prop_assert_eq!(Some(by_text), x.partial_cmp(&y));
            }
        }

        #[test]
        fn multiples_of_integers_are_arithmetics(a in -1_000_000_i64..1_000_000, b in 1_i64..1000) {
            prop_assert_eq!(is_multiple(&a.to_string(), b as f64), a % b == 0);
        }
    }
}
