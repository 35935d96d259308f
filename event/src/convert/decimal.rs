//! Decimal numbers as the JVM reads and prints them.
//!
//! A decimal keeps the scale it came with (`1.50` stays so), is never printed with a positive
//! exponent, and with a negative one only where that is shorter than the zeros it saves. The
//! errors are the JVM's texts, since bad rows quote them.

use bumpalo::Bump;
use bumpalo::collections::{String as ArenaString, Vec as ArenaVec};

use super::digits;

/// The longest text that a positive exponent may be written out to. Without a bound twelve bytes
/// of input could fill the memory; real amounts stay far below.
const LONGEST_EXPANSION: usize = 1024;

/// A decimal number in canonical text; `null` in any case is none. The error is the JVM's message.
pub fn decimal<'a>(text: &'a str, arena: &'a Bump) -> Result<Option<&'a str>, String> {
    if is_canonical(text) {
        return Ok(Some(text));
    }
    if text.eq_ignore_ascii_case("null") {
        return Ok(None);
    }
    Number::parse(text, arena)?.text(arena).map(Some)
}

/// A 32-bit float as the JVM prints it, in the fewest digits that tell it from its neighbours.
pub fn float32_text(value: f32) -> String {
    java_float(f64::from(value), &format!("{value:e}"))
}

/// A 64-bit float as the JVM prints it, in the fewest digits that tell it from its neighbours.
pub fn float64_text(value: f64) -> String {
    java_float(value, &format!("{value:e}"))
}

/// The JVM's layout for a float whose shortest digits are given as `d.ddde±n`: plain between
/// 0.001 and 10,000,000, else with an exponent, and always with a fraction.
fn java_float(value: f64, shortest: &str) -> String {
    let Some((mantissa, exponent)) = shortest.split_once('e') else {
        let infinity = if value < 0.0 { "-Infinity" } else { "Infinity" };
        return if value.is_nan() { "NaN" } else { infinity }.to_owned();
    };
    let exponent: i32 = exponent.parse().expect("a formatted float has an integer exponent");
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits = mantissa.replace('.', "");
    match exponent {
        -3..0 => {
            let zeros = "0".repeat((-exponent - 1) as usize);
            format!("{sign}0.{zeros}{digits}")
        }
        0..7 => {
            let whole = exponent as usize + 1;
            let digits = format!("{digits:0<whole$}");
            let fraction = if digits.len() == whole { "0" } else { &digits[whole..] };
            format!("{sign}{}.{fraction}", &digits[..whole])
        }
        _ => {
            let fraction = if digits.len() == 1 { "0" } else { &digits[1..] };
            format!("{sign}{}.{fraction}E{exponent}", &digits[..1])
        }
    }
}

/// Whether a text is a decimal that prints as itself, judged by a pattern that covers nearly all
/// that do: no sign but a minus, no needless zeros in front, digits on both sides of a point, and
/// at most six after a leading zero, which rules out an exponent.
fn is_canonical(text: &str) -> bool {
    const PLAIN_SCALE: usize = 6;
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !all(whole) || !all(fraction) {
        return false;
    }
    let leading_zero = whole.starts_with('0');
    !leading_zero || (whole.len() == 1 && !negative && fraction.len() <= PLAIN_SCALE)
}

/// A decimal number: `coefficient × 10^-scale`.
struct Number<'a> {
    negative: bool,
    /// Without leading zeros; a zero has one digit.
    coefficient: ArenaVec<'a, u8>,
    scale: i64,
}

impl<'a> Number<'a> {
    fn parse(text: &str, arena: &'a Bump) -> Result<Number<'a>, String> {
        /// Up to so many characters the JVM computes in a `long`, and complains differently.
        const COMPACT: usize = 18;
        let unsigned = text.strip_prefix(['-', '+']);
        let negative = text.starts_with('-');
        let rest = unsigned.unwrap_or(text);
        if text.is_empty() {
            return Err("null".to_owned());
        }
        let compact = rest.chars().map(char::len_utf16).sum::<usize>() <= COMPACT;
        let mut coefficient = ArenaVec::with_capacity_in(rest.len(), arena);
        let (mut point, mut any, mut scale, mut exponent) = (false, false, 0_i64, 0_i64);
        for (index, c) in rest.char_indices() {
            match digits::decimal(c) {
                Some(digit) => {
                    any = true;
                    scale += i64::from(point);
                    if digit != 0 || !coefficient.is_empty() {
                        coefficient.push(digit);
                    }
                }
                None if c == '.' && point => return Err(TWO_POINTS.to_owned()),
                None if c == '.' => point = true,
                None if c == 'e' || c == 'E' => {
                    exponent = parse_exponent(&rest[index + 1..])?;
                    break;
                }
                None if compact => return Err(not_a_digit(c)),
                None => return Err(NO_MARK.to_owned()),
            }
        }
        if !any {
            return Err("No digits found.".to_owned());
        }
        let scale = scale - exponent;
        if i32::try_from(scale).is_err() {
            return Err("Scale out of range.".to_owned());
        }
        if coefficient.is_empty() {
            coefficient.push(0);
        }
        Ok(Number { negative, coefficient, scale })
    }

    /// The canonical text.
    fn text(&self, arena: &'a Bump) -> Result<&'a str, String> {
        let zero = *self.coefficient == [0];
        let digits = self.coefficient.iter().map(|digit| char::from(b'0' + digit));
        let count = self.coefficient.len();
        let mut text = ArenaString::with_capacity_in(count + 16, arena);
        if self.negative && !zero {
            text.push('-');
        }
        let Ok(scale) = usize::try_from(self.scale) else {
            let zeros = if zero { 0 } else { self.scale.unsigned_abs() as usize };
            if zeros + count > LONGEST_EXPANSION {
                return Err(format!("longer than {LONGEST_EXPANSION} digits"));
            }
            text.extend(digits);
            text.extend(std::iter::repeat_n('0', zeros));
            return Ok(text.into_bump_str());
        };
        let adjusted = count as i64 - 1 - self.scale;
        if scale == 0 {
            text.extend(digits);
        } else if adjusted < -6 {
            insert_point(&mut text, digits, 1);
            if count == 1 {
                text.pop();
            }
            text.push_str(bumpalo::format!(in arena, "E{}", adjusted).as_str());
        } else if scale < count {
            insert_point(&mut text, digits, count - scale);
        } else {
            text.push_str("0.");
            text.extend(std::iter::repeat_n('0', scale - count));
            text.extend(digits);
        }
        Ok(text.into_bump_str())
    }
}

const TWO_POINTS: &str = "Character array contains more than one decimal point.";
const NO_MARK: &str = "Character array is missing \"e\" notation exponential mark.";

fn insert_point(text: &mut ArenaString<'_>, digits: impl Iterator<Item = char>, at: usize) {
    for (index, digit) in digits.enumerate() {
        text.push(digit);
        if index + 1 == at {
            text.push('.');
        }
    }
}

/// A character outside the basic plane is two to the JVM, of which it prints the first; alone that
/// becomes a question mark.
fn not_a_digit(c: char) -> String {
    let c = if c.len_utf16() == 1 { c } else { '?' };
    format!(
        "Character {c} is neither a decimal digit number, decimal point, nor \
         \"e\" notation exponential mark."
    )
}

/// Reads what follows the exponent's mark.
fn parse_exponent(text: &str) -> Result<i64, String> {
    /// Enough for any scale that an `int` can hold.
    const LONGEST: usize = 10;
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() {
        return Err("null".to_owned());
    }
    let length: usize = digits.chars().map(char::len_utf16).sum();
    let zeros = digits.chars().take_while(|c| digits::decimal(*c) == Some(0)).count();
    if length - zeros.min(length.saturating_sub(LONGEST)) > LONGEST {
        return Err("Too many nonzero exponent digits.".to_owned());
    }
    let mut exponent = 0_i64;
    for c in digits.chars() {
        let digit = digits::decimal(c).ok_or("Not a digit.")?;
        exponent = exponent * 10 + i64::from(digit);
    }
    let exponent = if text.starts_with('-') { -exponent } else { exponent };
    i32::try_from(exponent).map(i64::from).map_err(|_| "Exponent overflow.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_keep_their_scale() {
        let arena = Bump::new();
        for (text, expected) in [
            ("12.50", "12.50"),
            ("5", "5"),
            ("0", "0"),
            ("0.00", "0.00"),
            ("-3.20", "-3.20"),
            ("+1", "1"),
            ("00012", "12"),
            ("00.5", "0.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("-0", "0"),
            ("-0.0", "0.0"),
            ("-0.5", "-0.5"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1E-7"),
            ("1e-7", "1E-7"),
            ("123e-20", "1.23E-18"),
            ("0e-8", "0E-8"),
            ("0.0000000", "0E-7"),
            ("1.23e1", "12.3"),
            ("1.23E+2", "123"),
            ("1e3", "1000"),
            ("1.5e3", "1500"),
            ("0e999999999", "0"),
            ("1e0000000000000002", "100"),
            ("٤.٢", "4.2"),
            (
                "123456789012345678901234567890.123456789",
                "123456789012345678901234567890.123456789",
            ),
        ] {
            assert_eq!(decimal(text, &arena), Ok(Some(expected)), "{text}");
        }
        assert_eq!(decimal("Null", &arena), Ok(None));
    }

    #[test]
    fn what_is_no_decimal_is_explained_as_the_jvm_does() {
        let arena = Bump::new();
        let character = |c| {
            format!(
                "Character {c} is neither a decimal digit number, decimal point, nor \
                 \"e\" notation exponential mark."
            )
        };
        for (text, message) in [
            ("", "null"),
            ("1e", "null"),
            ("1e+", "null"),
            ("-", "No digits found."),
            (".", "No digits found."),
            ("e5", "No digits found."),
            ("1.2.3", "Character array contains more than one decimal point."),
            ("1e1.5", "Not a digit."),
            ("1e99999999999", "Too many nonzero exponent digits."),
            ("1e9999999999", "Exponent overflow."),
            ("0.1e-2147483647", "Scale out of range."),
            ("1e1024", "longer than 1024 digits"),
            ("1e999999999", "longer than 1024 digits"),
            (" 1", &character(' ')),
            ("1,000", &character(',')),
            ("NaN", &character('N')),
            ("1f", &character('f')),
            ("\u{1d7d9}", &character('?')),
            ("1234567890123456789x", "Character array is missing \"e\" notation exponential mark."),
        ] {
            assert_eq!(decimal(text, &arena), Err(message.to_owned()), "{text}");
        }
    }

    #[test]
    fn floats_print_as_on_the_jvm() {
        for (value, expected) in [
            (51.5074, "51.5074"),
            (100.0, "100.0"),
            (-0.127, "-0.127"),
            (0.001, "0.001"),
            (0.00001, "1.0E-5"),
            (1.25e-5, "1.25E-5"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.2345e10, "1.2345E10"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(float64_text(value), expected);
        }
        assert_eq!(float32_text(51.5142), "51.5142");
        assert_eq!(float32_text(-97.822), "-97.822");
        assert_eq!(float32_text(1e-5), "1.0E-5");
    }

    proptest! {
        #[test]
        fn decimals_settle(text in "[-+]?[0-9]{0,12}(\\.[0-9]{0,12})?([eE][-+]?[0-9]{1,2})?") {
            let arena = Bump::new();
            if let Ok(Some(once)) = decimal(&text, &arena) {
                prop_assert_eq!(decimal(once, &arena), Ok(Some(once)));
                let (a, b): (f64, f64) = (text.parse()?, once.parse()?);
                prop_assert!(a == b);
            }
        }

        #[test]
        fn the_short_way_agrees_with_the_long_one(text in "-?[0-9]{1,4}(\\.[0-9]{1,9})?") {
            let arena = Bump::new();
            let number = Number::parse(&text, &arena).expect("a decimal");
            let long = number.text(&arena).expect("short");
            prop_assert_eq!(is_canonical(&text) && long != text, false);
            prop_assert_eq!(decimal(&text, &arena), Ok(Some(long)));
        }

        #[test]
        fn floats_round_trip(value in any::<u64>(), small in any::<u32>()) {
            let (value, small) = (f64::from_bits(value), f32::from_bits(small));
            let again = float64_text(value).parse::<f64>()?;
            prop_assert!(again == value || value.is_nan());
            let again = float32_text(small).parse::<f32>()?;
            prop_assert!(again == small || small.is_nan());
        }
    }
}
