//! The time inside a sequence number. AWS documents no layout; the numbers that it has given for
//! years carry the second in which a record came, and end with the number of their layout. What is
//! in another layout has no time here, and nothing depends on there being one.

use lease::SequenceNumber;

/// Hexadecimal digits of a number in the layout that is known, and which of them are the seconds.
const DIGITS: usize = 47;
const SECONDS: std::ops::Range<usize> = 29..38;
const LAYOUT: u8 = 2;

/// When a record came, in milliseconds since 1970 and to the second, if its number says so.
pub(super) fn millis(number: &SequenceNumber) -> Option<i64> {
    second(number).and_then(|second| i64::try_from(second * 1000).ok())
}

/// The same in seconds.
fn second(number: &SequenceNumber) -> Option<u64> {
    let digits = hexadecimal(number.as_str())?;
    if digits[DIGITS - 1] != LAYOUT {
        return None;
    }
    let seconds = digits[SECONDS].iter().fold(0, |all, digit| all << 4 | u64::from(*digit));
    Some(seconds)
}

/// The number's hexadecimal digits, padded with zeros; `None` if it has more.
fn hexadecimal(decimal: &str) -> Option<[u8; DIGITS]> {
    let mut digits = [0_u8; DIGITS];
    for byte in decimal.bytes() {
        let mut carry = u32::from(byte.checked_sub(b'0')?);
        for digit in digits.iter_mut().rev() {
            carry += u32::from(*digit) * 10;
            *digit = (carry & 15) as u8;
            carry >>= 4;
        }
        if carry > 0 {
            return None;
        }
    }
    Some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(number: &str, expected: Option<u64>) {
        let number = SequenceNumber::parse(number).expect("a number");
        assert_eq!(second(&number), expected, "{number}");
    }

    #[test]
    fn numbers_of_aws_carry_a_second() {
        // From AWS's documentation, where the record's time of arrival is 1545084650.987.
        check("49590338271490256608559692538361571095921575989136588898", Some(1_545_084_650));
    }

    #[test]
    fn other_numbers_have_no_time() {
        for number in ["0", "1", "42", &"9".repeat(56), &"9".repeat(100)] {
            check(number, None);
        }
    }
}
