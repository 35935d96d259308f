//! What a placeholder is bound to, and what a text of a JSON stands for.
//!
//! Columns have types of their own. Of JSON, numbers and truth values stand for themselves, and a
//! peer takes a text that reads as a number or as a truth value for one. [`Meaning`] says what it
//! would take it for; whether that is what the statement wants is for the one who asks to find out.

use event::{Bump, Field, Kind, json};

use crate::lookup::Value;

/// What a peer takes a text of a JSON for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Meaning {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Nothing but a text.
    Text,
}

impl Meaning {
    /// What a text means.
    pub fn of(text: &str) -> Meaning {
        if let Ok(number) = text.parse::<i64>() {
            return Meaning::Integer(number);
        }
        match (java_double(text), text.eq_ignore_ascii_case("true")) {
            (Some(number), _) => Meaning::Float(number),
            (None, true) => Meaning::Boolean(true),
            (None, false) if text.eq_ignore_ascii_case("false") => Meaning::Boolean(false),
            (None, false) => Meaning::Text,
        }
    }
}

/// A decimal number as Java's `Double.parseDouble` takes one: with blanks around it, with an
/// ending that names its type.
fn java_double(text: &str) -> Option<f64> {
    let text = text.trim_matches(|character| character <= ' ');
    let (sign, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (-1.0, &text[1..]),
        Some(b'+') => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    match unsigned {
        "NaN" => return Some(f64::NAN),
        "Infinity" => return Some(sign * f64::INFINITY),
        _ => {}
    }
    let digits = unsigned.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(unsigned);
    let begins = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let number = digits.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
    (begins && number).then(|| digits.parse::<f64>().ok().map(|n| sign * n)).flatten()
}

/// The value of a column.
pub(super) fn of_column(field: Field, text: &str) -> Value {
    let number = match field.kind() {
        Kind::Int | Kind::Bool => text.parse().ok().map(Value::Integer),
        Kind::Float => text.parse::<f32>().ok().map(|number| Value::Single(number.to_bits())),
        Kind::Decimal => text.parse::<f64>().ok().map(|number| Value::Float(number.to_bits())),
        Kind::Text | Kind::Timestamp | Kind::Json => None,
    };
    number.unwrap_or_else(|| Value::Text(text.into()))
}

/// The value of a compact JSON; none of null, lists and objects.
pub(super) fn of_json(text: &str, arena: &Bump) -> Option<Value> {
    match text.as_bytes().first()? {
        b't' => Some(Value::Boolean(true)),
        b'f' => Some(Value::Boolean(false)),
        b'"' => json::unescape(text, arena).map(|text| Value::Spelled(text.into())),
        b'n' | b'[' | b'{' => None,
        _ => number(text),
    }
}

/// A number of a JSON: a whole one if it is one, however it is written.
fn number(text: &str) -> Option<Value> {
    /// The least float that is no `i64`.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if let Ok(whole) = text.parse() {
        return Some(Value::Integer(whole));
    }
    let float: f64 = text.parse().ok()?;
    let whole = float.fract() == 0.0 && (-BEYOND..BEYOND).contains(&float);
    Some(if whole { Value::Integer(float as i64) } else { Value::Float(float.to_bits()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_mean_what_a_jvm_takes_them_for() {
        let check = |text: &str, meaning: Meaning| {
            let found = Meaning::of(text);
            assert_eq!(format!("{found:?}"), format!("{meaning:?}"), "{text:?}");
        };
        check("00123", Meaning::Integer(123));
        check("+5", Meaning::Integer(5));
        check("-0", Meaning::Integer(0));
        check("12345678901", Meaning::Integer(12_345_678_901));
        check("9223372036854775808", Meaning::Float(9_223_372_036_854_775_808.0));
        check("1.50", Meaning::Float(1.5));
        check("1e3", Meaning::Float(1000.0));
        check(".5", Meaning::Float(0.5));
        check(" 5 ", Meaning::Float(5.0));
        check("5d", Meaning::Float(5.0));
        check("-2.F", Meaning::Float(-2.0));
        check("NaN", Meaning::Float(f64::NAN));
        check("-Infinity", Meaning::Float(f64::NEG_INFINITY));
        check("TRUE", Meaning::Boolean(true));
        check("false", Meaning::Boolean(false));
        for text in
            ["", " ", "u1", "e5", "d", "inf", "nan", "Infinityd", "1_000", "--1", "truE ", "0x1p3"]
        {
            check(text, Meaning::Text);
        }
    }

    #[test]
    fn values_have_the_types_of_their_origin() {
        let arena = Bump::new();
        let check = |text: &str, value: Option<Value>| {
            assert_eq!(of_json(text, &arena), value, "{text}");
        };
        check("true", Some(Value::Boolean(true)));
        check("5", Some(Value::Integer(5)));
        check("5.0", Some(Value::Integer(5)));
        check("1e3", Some(Value::Integer(1000)));
        check("1.5", Some(Value::Float(1.5_f64.to_bits())));
        check("1e300", Some(Value::Float(1e300_f64.to_bits())));
        check(r#""0\u00e9""#, Some(Value::Spelled("0é".into())));
        for text in ["null", "[1]", "{}"] {
            check(text, None);
        }
        assert_eq!(of_column(Field::TiQuantity, "3"), Value::Integer(3));
        assert_eq!(of_column(Field::BrCookies, "1"), Value::Integer(1));
        assert_eq!(of_column(Field::GeoLatitude, "51.5"), Value::Single(51.5_f32.to_bits()));
        assert_eq!(of_column(Field::TrTotal, "1.50"), Value::Float(1.5_f64.to_bits()));
        assert_eq!(of_column(Field::UserId, "00123"), Value::Text("00123".into()));
    }
}
