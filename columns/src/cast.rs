//! Values of JSON as columns hold them, and what does not fit.
//!
//! Numbers are given as JSON writes them, since a number that was read as floating point has lost
//! digits. Nothing is rounded and nothing is cut: a value is held exactly, or it does not fit. The
//! one exception is behind the microseconds of an instant, which no table holds.

use std::fmt;

use event::calendar;
use serde_json::Value;

use crate::field::{Element, Field, Type};
use crate::number::Number;

/// Why a value does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is {found}, which is no {ty}", Pointer(.pointer))]
pub struct Unfit {
    /// The JSON pointer of the part that does not fit; empty for the value itself.
    pub pointer: String,
    /// What it should be.
    pub ty: Type,
    /// What it is, as JSON names it.
    pub found: &'static str,
}

struct Pointer<'a>(&'a str);

impl fmt::Display for Pointer<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.0.is_empty() { "the value" } else { self.0 })
    }
}

/// Whether a column of that type holds the value, unknown members of objects aside, which tables
/// leave out.
///
/// `null` fits every type, since every field of a table is optional. Of several keys that one
/// field is read from, one has to fit; only if none is there the field is empty.
pub fn fits(value: &Value, ty: &Type) -> Result<(), Unfit> {
    let held = match (ty, value) {
        (_, Value::Null) | (Type::Json, _) => true,
        (Type::Struct(fields), Value::Object(members)) => {
            return fields.iter().try_for_each(|field| member_fits(field, members));
        }
        (Type::List(element), Value::Array(values)) => return items_fit(element, values),
        (Type::String, Value::String(_)) | (Type::Boolean, Value::Bool(_)) => true,
        (Type::Date, Value::String(text)) => date(text).is_some(),
        (Type::Timestamp, Value::String(text)) => timestamp(text).is_some(),
        (Type::Int, Value::Number(number)) => int(&number.to_string()).is_some(),
        (Type::Long, Value::Number(number)) => long(&number.to_string()).is_some(),
        (Type::Double, Value::Number(number)) => double(&number.to_string()).is_some(),
        (&Type::Decimal { precision, scale }, Value::Number(number)) => {
            decimal(&number.to_string(), precision, scale).is_some()
        }
        _ => false,
    };
    if held {
        return Ok(());
    }
    Err(Unfit { pointer: String::new(), ty: ty.clone(), found: kind(value) })
}

/// The number as 32 bits, if it is whole (`3.0` is) and in range.
pub fn int(number: &str) -> Option<i32> {
    long(number)?.try_into().ok()
}

/// The number as 64 bits, if it is whole and in range.
pub fn long(number: &str) -> Option<i64> {
    // What most are needs no digits of its own.
    if let Ok(number) = number.parse() {
        return Some(number);
    }
    Number::parse(number)?.unscaled(19, 0)?.try_into().ok()
}

/// The nearest number of floating point, if there is a finite one.
pub fn double(number: &str) -> Option<f64> {
    number.parse().ok().filter(|number: &f64| number.is_finite())
}

/// The number, counted in units of its last digit: `12.5` of scale 2 is 1250. None if it has more
/// digits behind the point, or more in all.
pub fn decimal(number: &str, precision: u8, scale: u8) -> Option<i128> {
    Number::parse(number)?.unscaled(precision, scale)
}

/// Days since 1970-01-01 of `2024-02-29`.
pub fn date(text: &str) -> Option<i32> {
    let (date, rest) = split_date(text)?;
    if !rest.is_empty() {
        return None;
    }
    let days = calendar::of_civil(date, [0, 0, 0])?.div_euclid(calendar::DAY);
    days.try_into().ok()
}

/// Microseconds since the epoch of `2024-02-29T12:00:00.123456+01:00`: ISO 8601 with an offset (or
/// `Z`). A time without one is no instant. Seconds may be left out.
pub fn timestamp(text: &str) -> Option<i64> {
    let (date, rest) = split_date(text)?;
    let rest = rest.strip_prefix(['T', 't'])?;
    let (hour, rest) = two_digits(rest)?;
    let (minute, rest) = two_digits(rest.strip_prefix(':')?)?;
    let (second, rest) = match rest.strip_prefix(':') {
        Some(rest) => two_digits(rest)?,
        None => (0, rest),
    };
    let (micros, rest) = match rest.strip_prefix('.') {
        Some(rest) => fraction(rest)?,
        None => (0, rest),
    };
    let local = calendar::of_civil(date, [hour, minute, second])?;
    local.checked_sub(offset(rest)? * 1000)?.checked_mul(1000)?.checked_add(micros)
}

fn member_fits(field: &Field, members: &serde_json::Map<String, Value>) -> Result<(), Unfit> {
    let mut first = None;
    for key in &field.keys {
        match members.get(key) {
            None | Some(Value::Null) => {}
            Some(value) => match fits(value, &field.ty) {
                Ok(()) => return Ok(()),
                Err(why) => _ = first.get_or_insert(under(&escaped(key), why)),
            },
        }
    }
    first.map_or(Ok(()), Err)
}

fn items_fit(element: &Element, values: &[Value]) -> Result<(), Unfit> {
    for (index, value) in values.iter().enumerate() {
        fits(value, &element.ty).map_err(|why| under(&index.to_string(), why))?;
    }
    Ok(())
}

fn under(step: &str, why: Unfit) -> Unfit {
    Unfit { pointer: format!("/{step}{}", why.pointer), ..why }
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Year, month and day, and what follows them.
fn split_date(text: &str) -> Option<([i64; 3], &str)> {
    let (date, rest) = text.split_at_checked("yyyy-MM-dd".len())?;
    let digits = |part: &str| -> Option<i64> {
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let (year, month, day) = (date.get(..4)?, date.get(5..7)?, date.get(8..)?);
    let hyphens = date.as_bytes()[4] == b'-' && date.as_bytes()[7] == b'-';
    let date = [digits(year)?, digits(month)?, digits(day)?];
    hyphens.then_some((date, rest))
}

fn two_digits(text: &str) -> Option<(i64, &str)> {
    let (digits, rest) = text.split_at_checked(2)?;
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?;
    Some((number?, rest))
}

/// The microseconds of one to nine digits behind the point.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=9).contains(&length) {
        return None;
    }
    let (digits, rest) = text.split_at(length);
    let six = digits.bytes().chain(std::iter::repeat(b'0')).take(6);
    Some((six.fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0')), rest))
}

/// The seconds of `Z`, `+01:00` or `-01:00:30`.
fn offset(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, rest) = two_digits(rest)?;
    let (minutes, rest) = two_digits(rest.strip_prefix(':')?)?;
    let seconds = match rest.strip_prefix(':') {
        Some(rest) => two_digits(rest).filter(|(_, rest)| rest.is_empty())?.0,
        None if rest.is_empty() => 0,
        None => return None,
    };
    let size = (hours * 60 + minutes) * 60 + seconds;
    const MOST: i64 = 18 * 3600;
    (minutes < 60 && seconds < 60 && size <= MOST).then_some(sign * size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn instants_have_an_offset() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01t00:00:00.000001z", Some(1)),
            ("1970-01-01T00:00:00.1234567Z", Some(123_456)),
            ("1970-01-01T01:00+01:00", Some(0)),
            ("1969-12-31T23:59:59.5-00:00:30", Some(29_500_000)),
            ("2024-02-29T12:00:00Z", Some(1_709_208_000_000_000)),
            ("2023-02-29T12:00:00Z", None),
            ("2024-02-29T12:00:00", None),
            ("2024-02-29 12:00:00Z", None),
            ("2024-02-29T24:00:00Z", None),
            ("2024-02-29T12:00:60Z", None),
            ("2024-02-29T12:00:00.Z", None),
            ("2024-02-29T12:00:00+1:00", None),
            ("2024-02-29T12:00:00+19:00", None),
            ("2024-02-29T12:00:00Zulu", None),
            ("2024-02-29", None),
            ("täglich-09T12:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(timestamp(text), expected, "{text}");
        }
    }

    #[test]
    fn days_are_days_of_the_calendar() {
        for (text, expected) in [
            ("1970-01-01", Some(0)),
            ("1969-12-31", Some(-1)),
            ("2024-02-29", Some(19_782)),
            ("2023-02-29", None),
            ("2024-2-29", None),
            ("2024-02-29Z", None),
            ("2024/02/29", None),
            ("+024-02-29", None),
        ] {
            assert_eq!(date(text), expected, "{text}");
        }
    }

    #[test]
    fn whole_numbers_may_be_written_with_a_point_or_an_exponent() {
        for (text, as_int, as_long) in [
            ("-43", Some(-43), Some(-43)),
            ("3.0", Some(3), Some(3)),
            ("1e3", Some(1000), Some(1000)),
            ("2147483648", None, Some(2_147_483_648)),
            ("-9223372036854775808", None, Some(i64::MIN)),
            ("9223372036854775808", None, None),
            ("3.4", None, None),
        ] {
            assert_eq!((int(text), long(text)), (as_int, as_long), "{text}");
        }
        assert_eq!((double("1e400"), double("-43")), (None, Some(-43.0)));
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_place() {
        let schema = r#"{"type": "object", "properties": {"a/b": {"type": "array", "items":
            {"type": "object", "properties": {"price": {"type": "integer"}}}}}}"#;
        let ty = crate::field("x", schema).expect("a column").ty;
        let why = fits(&json!({"a/b": [{}, {"price": "12"}]}), &ty).expect_err("no number");
        assert_eq!(why.to_string(), "/a~1b/1/price is a string, which is no long");
        let why = fits(&json!([]), &ty).expect_err("no object").to_string();
        let expected = "the value is an array, which is no struct<a_b:list<struct<price:long>>>";
        assert_eq!(why, expected);
    }
}
