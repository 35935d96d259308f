//! Numbers as JSON writes them, with every digit: bounds of schemas and values of decimal columns
//! may not fit the floating-point numbers that JSON libraries make of them.

use std::cmp::Ordering;

/// The most digits a decimal column has.
pub(crate) const MAX_DIGITS: i64 = 38;

/// A decimal number: its digits, shifted by a power of ten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    negative: bool,
    /// `0` to `9`, neither led nor ended by a zero; none is zero.
    digits: Vec<u8>,
    /// The power of ten of the last digit.
    exponent: i64,
}

impl Number {
    /// Reads a number of JSON.
    pub(crate) fn parse(text: &str) -> Option<Number> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = || whole.bytes().chain(fraction.bytes());
        if whole.is_empty() || !digits().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let exponent = exponent.saturating_sub(i64::try_from(fraction.len()).ok()?);
        let digits: Vec<u8> = digits().skip_while(|&digit| digit == b'0').collect();
        Some(Number { negative, digits, exponent }.trimmed())
    }

    fn trimmed(mut self) -> Number {
        while self.digits.last() == Some(&b'0') {
            self.digits.pop();
            self.exponent = self.exponent.saturating_add(1);
        }
        if self.digits.is_empty() {
            return Number { negative: false, digits: Vec::new(), exponent: 0 };
        }
        self
    }

    /// Whether it has no fraction.
    pub(crate) fn is_whole(&self) -> bool {
        self.exponent >= 0
    }

    /// How many digits it has behind the point.
    pub(crate) fn scale(&self) -> i64 {
        self.exponent.saturating_neg().max(0)
    }

    /// How many digits it has before the point: less than none where zeros follow the point, and
    /// one for zero.
    pub(crate) fn whole_digits(&self) -> i64 {
        match self.digits.len() {
            0 => 1,
            digits => self.exponent.saturating_add(i64::try_from(digits).unwrap_or(i64::MAX)),
        }
    }

    /// The number without its sign.
    pub(crate) fn abs(&self) -> Number {
        Number { negative: false, ..self.clone() }
    }

    /// The whole number that this is `scale` digits behind the point, if that is exact and has no
    /// more than `precision` digits.
    pub(crate) fn unscaled(&self, precision: u8, scale: u8) -> Option<i128> {
        let shift = self.exponent.checked_add(i64::from(scale))?;
        if self.digits.is_empty() {
            return Some(0);
        }
        let digits = shift.checked_add(i64::try_from(self.digits.len()).ok()?)?;
        if shift < 0 || digits > i64::from(precision).min(MAX_DIGITS) {
            return None;
        }
        let zeros = std::iter::repeat_n(b'0', usize::try_from(shift).ok()?);
        let value = self.digits.iter().copied().chain(zeros);
        let value = value.fold(0_i128, |value, digit| value * 10 + i128::from(digit - b'0'));
        Some(if self.negative { -value } else { value })
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Number) -> Ordering {
        if self.negative != other.negative {
            return other.negative.cmp(&self.negative);
        }
        let size = match (self.digits.is_empty(), other.digits.is_empty()) {
            (false, false) => {
                let order = self.whole_digits().cmp(&other.whole_digits());
                order.then_with(|| self.digits.cmp(&other.digits))
            }
            (left, right) => right.cmp(&left),
        };
        if self.negative { size.reverse() } else { size }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Number {
        Number::parse(&number.to_string()).expect("a whole number reads as one")
    }
}

/// An exponent, as large as they are counted here: none of its size makes a difference beyond.
fn parse_exponent(text: &str) -> Option<i64> {
    const MOST: i64 = 1 << 40;
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse::<i64>().map_or(MOST, |size| size.min(MOST));
    Some(if negative { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_every_digit() {
        for (text, whole, scale, whole_digits) in [
            ("0", true, 0, 1),
            ("-0.0", true, 0, 1),
            ("500", true, 0, 3),
            ("10.00", true, 0, 2),
            ("0.05", false, 2, -1),
            ("2147483648.9", false, 1, 10),
            ("1e3", true, 0, 4),
            ("12.5E-2", false, 3, 0),
        ] {
            let number = Number::parse(text).expect("a number");
            let found = (number.is_whole(), number.scale(), number.whole_digits());
            assert_eq!(found, (whole, scale, whole_digits), "{text}");
        }
        for text in ["", "-", "a", "1e", "1e+", ".5", "--1", "1.2.3"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_ordered_by_size() {
        let ascending = [
            "-1e400",
            "-9223372036854775809",
            "-9223372036854775808",
            "-1",
            "-0.01",
            "0",
            "0.009",
            "0.01",
            "0.5",
            "1",
            "1.5",
            "9223372036854775807",
            "9223372036854775808",
            "1e400",
        ];
        for pair in ascending.windows(2) {
            let [low, high] = [pair[0], pair[1]].map(|text| Number::parse(text).expect("a number"));
            assert_eq!((low.cmp(&high), high.cmp(&low)), (Ordering::Less, Ordering::Greater));
            assert_eq!(low.cmp(&low), Ordering::Equal);
        }
    }

    #[test]
    fn decimals_are_exact_or_not_at_all() {
        for (text, precision, scale, expected) in [
            ("87.98", 9, 2, Some(8798)),
            ("-87.9", 9, 2, Some(-8790)),
            ("879", 9, 2, Some(87900)),
            ("1e6", 9, 2, Some(100_000_000)),
            ("0", 9, 2, Some(0)),
            ("12.345", 9, 2, None),
            ("12345678", 9, 2, None),
            ("1e999999999999999999", 38, 0, None),
            ("1e-999999999999999999", 38, 18, None),
        ] {
            let number = Number::parse(text).expect("a number");
            assert_eq!(number.unscaled(precision, scale), expected, "{text}");
        }
    }
}
