//! Values of placeholders as PostgreSQL takes them: in text, under a type.
//!
//! A text is read by the server under the type that the placeholder has, so what the statement
//! needs decides, not what the value looks like.

use std::error::Error;
use std::fmt;

use bytes::BytesMut;
use enrichments::lookup::Value;
use enrichments::lookup::sql::Meaning;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

/// A value in text. Never printed: it is of an event.
pub(super) struct Parameter(String);

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl ToSql for Parameter {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// The types under which a peer would send some values: what a statement is prepared for.
pub(super) fn signature(values: &[Value]) -> Vec<Type> {
    values.iter().map(type_of).collect()
}

fn type_of(value: &Value) -> Type {
    let meaning = |meaning: Meaning| match meaning {
        Meaning::Boolean(_) => Type::BOOL,
        Meaning::Integer(number) if i32::try_from(number).is_ok() => Type::INT4,
        Meaning::Integer(_) => Type::INT8,
        Meaning::Float(_) => Type::FLOAT8,
        Meaning::Text => Type::VARCHAR,
    };
    match value {
        Value::Boolean(value) => meaning(Meaning::Boolean(*value)),
        Value::Integer(number) => meaning(Meaning::Integer(*number)),
        Value::Float(_) => Type::FLOAT8,
        Value::Single(_) => Type::FLOAT4,
        Value::Text(_) => Type::VARCHAR,
        Value::Spelled(text) => meaning(Meaning::of(text)),
    }
}

/// The values for a statement that was prepared under their own types.
pub(super) fn typed(values: &[Value]) -> Vec<Parameter> {
    let text = |value: &Value| match value {
        Value::Spelled(text) => match Meaning::of(text) {
            Meaning::Boolean(value) => value.to_string(),
            Meaning::Integer(number) => number.to_string(),
            Meaning::Float(number) => float(number),
            Meaning::Text => text.to_string(),
        },
        other => plain(other),
    };
    values.iter().map(|value| Parameter(text(value))).collect()
}

/// The values for a statement whose placeholders have the types that the server found for them.
pub(super) fn untyped(values: &[Value]) -> Vec<Parameter> {
    values.iter().map(|value| Parameter(plain(value))).collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::Boolean(value) => value.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float(bits) => float(f64::from_bits(*bits)),
        Value::Single(bits) => f32::from_bits(*bits).to_string(),
        Value::Text(text) | Value::Spelled(text) => text.to_string(),
    }
}

fn float(number: f64) -> String {
    // What the server calls infinity, Rust calls inf; it takes both.
    number.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_a_json_is_sent_as_what_it_means_or_as_it_stands() {
        let check = |value: Value, kind: Type, sent: [&str; 2]| {
            let values = [value];
            assert_eq!(signature(&values), [kind]);
            assert_eq!([&typed(&values)[0].0, &untyped(&values)[0].0], sent);
        };
        let spelled = |text: &str| Value::Spelled(text.into());
        check(spelled("00123"), Type::INT4, ["123", "00123"]);
        check(spelled("12345678901"), Type::INT8, ["12345678901", "12345678901"]);
        check(spelled("1.50"), Type::FLOAT8, ["1.5", "1.50"]);
        check(spelled("TRUE"), Type::BOOL, ["true", "TRUE"]);
        check(spelled("u1"), Type::VARCHAR, ["u1", "u1"]);
        check(Value::Text("00123".into()), Type::VARCHAR, ["00123", "00123"]);
        check(Value::Integer(-5), Type::INT4, ["-5", "-5"]);
        check(Value::Single(51.5142_f32.to_bits()), Type::FLOAT4, ["51.5142", "51.5142"]);
        check(Value::Float(f64::NAN.to_bits()), Type::FLOAT8, ["NaN", "NaN"]);
        check(Value::Boolean(true), Type::BOOL, ["true", "true"]);
    }
}
