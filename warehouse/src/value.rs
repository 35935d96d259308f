//! Texts as values of columns: whole numbers, decimals, days and instants, or that they are none.
//!
//! A number fits where its value does, however it is written: `1.0` and `1e0` are whole.

use event::calendar::of_civil;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// The most digits of a decimal.
const DIGITS: usize = 38;

/// A whole number of 64 bits.
pub(crate) fn long(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.len() <= 18 && digits.bytes().all(|b| b.is_ascii_digit()) {
        let magnitude = digits.bytes().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        return Some(if digits.len() < text.len() { -magnitude } else { magnitude });
    }
    i64::try_from(decimal(text, 38, 0)?).ok()
}

/// A whole number of 32 bits.
pub(crate) fn int(text: &str) -> Option<i32> {
    i32::try_from(long(text)?).ok()
}

/// A floating-point number; what is too large for one is none.
pub(crate) fn double(text: &str) -> Option<f64> {
    let of_number = |b: u8| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E');
    let number: f64 = text.bytes().all(of_number).then(|| text.parse().ok())??;
    number.is_finite().then_some(number)
}

/// A decimal number as so many units of its scale, if it is one exactly.
pub(crate) fn decimal(text: &str, precision: u8, scale: u8) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // Zeros at either end change nothing but the exponent.
    let digits = || whole.bytes().chain(fraction.bytes());
    if !digits().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let length = whole.len() + fraction.len();
    let zeros = digits().rev().take_while(|b| *b == b'0').count();
    let leading = digits().take_while(|b| *b == b'0').count();
    if zeros == length {
        return Some(0);
    }
    let significant = length - zeros - leading;
    // The value is the significant digits times ten to this.
    let power = exponent.checked_add(zeros as i64)?.checked_sub(fraction.len() as i64)?;
    let shift = usize::try_from(power.checked_add(i64::from(scale))?).ok()?;
    if significant > DIGITS || shift > DIGITS || significant + shift > usize::from(precision) {
        return None;
    }
    let mut units = 0_i128;
    for digit in digits().skip(leading).take(significant) {
        units = units * 10 + i128::from(digit - b'0');
    }
    units *= 10_i128.pow(shift as u32);
    Some(if negative { -units } else { units })
}

/// The days from 1970 to a day, `2024-05-01`.
pub(crate) fn date(text: &str) -> Option<i32> {
    let ms = of_civil(day(text.as_bytes().try_into().ok()?)?, [0; 3])?;
    i32::try_from(ms.div_euclid(DAY_MS)).ok()
}

fn day(text: &[u8; 10]) -> Option<[i64; 3]> {
    if text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    Some([number(&text[..4])?, number(&text[5..7])?, number(&text[8..])?])
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0'))
    })
}

/// The microseconds from 1970 to an instant, `2024-05-01T10:11:12.345+02:00`; digits behind the
/// microseconds are cut off. A local time, which has no offset, is no instant.
pub(crate) fn instant(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let day = day(bytes.get(..10)?.try_into().ok()?)?;
    let time = bytes.get(10..19)?;
    if !matches!(time[0], b'T' | b't' | b' ') || time[3] != b':' || time[6] != b':' {
        return None;
    }
    let time = [number(&time[1..3])?, number(&time[4..6])?, number(&time[7..])?];
    let seconds = of_civil(day, time)? / 1000;
    let rest = &bytes[19..];
    let (micros, rest) = match rest.split_first() {
        Some((b'.' | b',', digits)) => {
            let length = digits.iter().take_while(|b| b.is_ascii_digit()).count();
            let kept = &digits[..length.min(6)];
            let micros = number(kept)? * 10_i64.pow(6 - kept.len() as u32);
            (if length == 0 { return None } else { micros }, &digits[length..])
        }
        _ => (0, rest),
    };
    let offset = match rest {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = (hours * 60 + minutes) * 60;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    seconds.checked_sub(offset)?.checked_mul(1_000_000)?.checked_add(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_by_their_value() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("-12", Some(-12)),
            ("1.0", Some(1)),
            ("12e2", Some(1200)),
            ("1200e-2", Some(12)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("1.5", None),
            ("1e-1", None),
            ("1e999999999999", None),
            ("0e999999999999", Some(0)),
            ("1e9999999999999999999", None),
            ("", None),
            ("-", None),
            (".", None),
            ("x", None),
        ] {
            assert_eq!(long(text), expected, "{text}");
        }
        assert_eq!((int("2147483647"), int("2147483648")), (Some(i32::MAX), None));
        assert_eq!((double("1.5e3"), double("1e400"), double("inf")), (Some(1500.0), None, None));
    }

    #[test]
    fn decimals_fit_exactly_or_not() {
        for (text, (precision, scale), expected) in [
            ("12.50", (18, 2), Some(1250)),
            ("12.5", (18, 2), Some(1250)),
            ("-3.20", (9, 2), Some(-320)),
            ("12.505", (18, 2), None),
            ("12.5000", (18, 2), Some(1250)),
            ("1E-7", (18, 2), None),
            ("1E+3", (18, 2), Some(100_000)),
            ("9999999.99", (9, 2), Some(999_999_999)),
            ("10000000.00", (9, 2), None),
            ("0E-7", (9, 2), Some(0)),
            ("+1", (9, 2), None),
            ("1_0", (9, 2), None),
        ] {
            assert_eq!(decimal(text, precision, scale), expected, "{text}");
        }
        let nines = "9".repeat(38);
        assert_eq!(decimal(&nines, 38, 0), Some(10_i128.pow(38) - 1));
        assert_eq!(decimal(&format!("{nines}9"), 38, 0), None);
    }

    #[test]
    fn days_and_instants_are_iso() {
        for (text, expected) in [
            ("1970-01-01", Some(0)),
            ("2024-02-29", Some(19_782)),
            ("2023-02-29", None),
            ("2024-5-01", None),
            ("1969-12-31", Some(-1)),
        ] {
            assert_eq!(date(text), expected, "{text}");
        }
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T00:00:00.5Z", Some(500_000)),
            ("1970-01-01T00:00:00.1234567Z", Some(123_456)),
            ("1970-01-01t01:00:00+01:00", Some(0)),
            ("1969-12-31T23:59:59.999-00:00", Some(-1_000)),
            ("1970-01-01T00:00:00", None),
            ("1970-01-01T00:00:00.Z", None),
            ("1970-01-01T24:00:00Z", None),
            ("1970-01-01T00:00:00+1:00", None),
            ("1970-01-01", None),
            ("é970-01-01T00:00:00Z", None),
        ] {
            assert_eq!(instant(text), expected, "{text}");
        }
    }
}
