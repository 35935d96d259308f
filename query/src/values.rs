//! One value of an answer as text: JSON, a cell of CSV, a cell to look at.
//!
//! Instants are ISO 8601 in UTC with at least milliseconds; days `YYYY-MM-DD`; binary is
//! hexadecimal; numbers are exact. What is nested is JSON.

use std::fmt::Write;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::arrow::temporal_conversions::date32_to_datetime;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

/// How JSON writes numbers that not every reader holds exactly: whole ones of 64 bits and decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Large {
    /// As numbers, with all their digits.
    Numbers,
    /// As texts, for readers that have doubles only.
    Texts,
}

/// Appends a value as JSON.
pub(crate) fn json(array: &dyn Array, row: usize, large: Large, out: &mut String) {
    if array.is_null(row) {
        return out.push_str("null");
    }
    match array.data_type() {
        DataType::Null => out.push_str("null"),
        DataType::Boolean => put(out, array.as_boolean().value(row)),
        DataType::Int64 | DataType::UInt64 | DataType::Decimal128(..) if large == Large::Texts => {
            out.push('"');
            plain(array, row, out);
            out.push('"');
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let begins = out.len();
            plain(array, row, out);
            // JSON has no word for what is no number.
            if out[begins..].contains(['N', 'i']) {
                out.replace_range(begins.., "null");
            }
        }
        ty if ty.is_numeric() => plain(array, row, out),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            object(fields.iter().map(|field| field.name().as_str()), columns, row, large, out);
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            pairs(entries.column(0), entries.column(1), large, out);
        }
        DataType::List(_) => elements(&array.as_list::<i32>().value(row), large, out),
        DataType::LargeList(_) => elements(&array.as_list::<i64>().value(row), large, out),
        DataType::FixedSizeList(..) => {
            elements(&array.as_fixed_size_list().value(row), large, out);
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let key = dictionary.normalized_keys()[row];
            json(dictionary.values().as_ref(), key, large, out);
        }
        _ => {
            let mut text = String::new();
            plain(array, row, &mut text);
            quoted(&text, out);
        }
    }
}

/// Appends an object of columns, each under its name.
pub(crate) fn object<'a>(
    names: impl Iterator<Item = &'a str>,
    columns: &[ArrayRef],
    row: usize,
    large: Large,
    out: &mut String,
) {
    out.push('{');
    for (at, (name, column)) in names.zip(columns).enumerate() {
        if at > 0 {
            out.push(',');
        }
        quoted(name, out);
        out.push(':');
        json(column.as_ref(), row, large, out);
    }
    out.push('}');
}

fn pairs(keys: &ArrayRef, values: &ArrayRef, large: Large, out: &mut String) {
    out.push('{');
    for row in 0..keys.len() {
        if row > 0 {
            out.push(',');
        }
        let mut key = String::new();
        plain(keys.as_ref(), row, &mut key);
        quoted(&key, out);
        out.push(':');
        json(values.as_ref(), row, large, out);
    }
    out.push('}');
}

fn elements(values: &ArrayRef, large: Large, out: &mut String) {
    out.push('[');
    for row in 0..values.len() {
        if row > 0 {
            out.push(',');
        }
        json(values.as_ref(), row, large, out);
    }
    out.push(']');
}

/// Appends a text as JSON.
pub(crate) fn quoted(text: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(text).expect("a text is JSON"));
}

/// Appends a value as it is read by people and tables: texts as they are, JSON for what is nested,
/// nothing for null.
pub(crate) fn plain(array: &dyn Array, row: usize, out: &mut String) {
    if array.is_null(row) {
        return;
    }
    match array.data_type() {
        DataType::Utf8 => out.push_str(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => out.push_str(array.as_string::<i64>().value(row)),
        DataType::Utf8View => out.push_str(array.as_string_view().value(row)),
        DataType::Int8 => put(out, array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => put(out, array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => put(out, array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => put(out, array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => put(out, array.as_primitive::<UInt8Type>().value(row)),
        DataType::UInt16 => put(out, array.as_primitive::<UInt16Type>().value(row)),
        DataType::UInt32 => put(out, array.as_primitive::<UInt32Type>().value(row)),
        DataType::UInt64 => put(out, array.as_primitive::<UInt64Type>().value(row)),
        DataType::Float32 => {
            let _ = write!(out, "{:?}", array.as_primitive::<Float32Type>().value(row));
        }
        DataType::Float64 => {
            let _ = write!(out, "{:?}", array.as_primitive::<Float64Type>().value(row));
        }
        DataType::Decimal128(..) => {
            out.push_str(&array.as_primitive::<Decimal128Type>().value_as_string(row));
        }
        DataType::Boolean => put(out, array.as_boolean().value(row)),
        DataType::Binary => hexadecimal(array.as_binary::<i32>().value(row), out),
        DataType::LargeBinary => hexadecimal(array.as_binary::<i64>().value(row), out),
        DataType::BinaryView => hexadecimal(array.as_binary_view().value(row), out),
        DataType::FixedSizeBinary(_) => {
            hexadecimal(array.as_fixed_size_binary().value(row), out);
        }
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().value(row);
            match date32_to_datetime(days) {
                Some(day) => put(out, day.date()),
                None => put(out, days),
            }
        }
        DataType::Timestamp(unit, _) => instant(array, row, *unit, out),
        DataType::Struct(_)
        | DataType::Map(..)
        | DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..) => json(array, row, Large::Numbers, out),
        _ => {
            let options = FormatOptions::default();
            match ArrayFormatter::try_new(array, &options) {
                Ok(formatter) => put(out, formatter.value(row)),
                Err(error) => put(out, error),
            }
        }
    }
}

fn put(out: &mut String, value: impl std::fmt::Display) {
    let _ = write!(out, "{value}");
}

fn hexadecimal(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
}

/// Milliseconds, or as many digits as it takes: six, or nine.
fn instant(array: &dyn Array, row: usize, unit: TimeUnit, out: &mut String) {
    let (time, nanos) = match unit {
        TimeUnit::Second => {
            let array = array.as_primitive::<TimestampSecondType>();
            (array.value_as_datetime(row), 0)
        }
        TimeUnit::Millisecond => {
            let array = array.as_primitive::<TimestampMillisecondType>();
            (array.value_as_datetime(row), array.value(row).rem_euclid(1000) * 1_000_000)
        }
        TimeUnit::Microsecond => {
            let array = array.as_primitive::<TimestampMicrosecondType>();
            (array.value_as_datetime(row), array.value(row).rem_euclid(1_000_000) * 1000)
        }
        TimeUnit::Nanosecond => {
            let array = array.as_primitive::<TimestampNanosecondType>();
            (array.value_as_datetime(row), array.value(row).rem_euclid(1_000_000_000))
        }
    };
    let Some(time) = time else { return out.push_str("out of range") };
    put(out, time.format("%Y-%m-%dT%H:%M:%S"));
    let _ = match (nanos % 1_000_000, nanos % 1000) {
        (0, _) => write!(out, ".{:03}Z", nanos / 1_000_000),
        (_, 0) => write!(out, ".{:06}Z", nanos / 1000),
        _ => write!(out, ".{nanos:09}Z"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{
        Decimal128Array, Float64Array, Int64Array, ListArray, StringArray, StructArray,
        TimestampMicrosecondArray,
    };
    use datafusion::arrow::datatypes::Field;
    use std::sync::Arc;

    fn as_json(array: &dyn Array, row: usize) -> String {
        let mut out = String::new();
        json(array, row, Large::Numbers, &mut out);
        out
    }

    #[test]
    fn whole_numbers_keep_their_digits() {
        let array = Int64Array::from(vec![Some(i64::MAX), None, Some(-1)]);
        assert_eq!(as_json(&array, 0), "9223372036854775807");
        assert_eq!(as_json(&array, 1), "null");
        let mut text = String::new();
        json(&array, 0, Large::Texts, &mut text);
        assert_eq!(text, "\"9223372036854775807\"");
        let decimal = Decimal128Array::from(vec![Some(12_345)]).with_precision_and_scale(9, 2);
        assert_eq!(as_json(&decimal.expect("it fits"), 0), "123.45");
    }

    #[test]
    fn what_is_no_number_is_null_in_json() {
        let array = Float64Array::from(vec![f64::NAN, f64::INFINITY, 1.0, 0.1, 1e300]);
        let all: Vec<_> = (0..5).map(|row| as_json(&array, row)).collect();
        assert_eq!(all, ["null", "null", "1.0", "0.1", "1e300"]);
    }

    #[test]
    fn instants_are_iso_in_utc() {
        let micros = vec![1_700_000_000_123_000, 1_700_000_000_000_001, -1, 0];
        let array = TimestampMicrosecondArray::from(micros).with_timezone("Europe/Berlin");
        let all: Vec<_> = (0..4).map(|row| as_json(&array, row)).collect();
        let expected = [
            "\"2023-11-14T22:13:20.123Z\"",
            "\"2023-11-14T22:13:20.000001Z\"",
            "\"1969-12-31T23:59:59.999999Z\"",
            "\"1970-01-01T00:00:00.000Z\"",
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn what_is_nested_is_json_even_in_a_cell() {
        let texts = StringArray::from(vec![Some("a\"b"), None, Some("c\n")]);
        let field = Arc::new(Field::new("t", DataType::Utf8, true));
        let members = StructArray::from(vec![(field, Arc::new(texts) as ArrayRef)]);
        let list = ListArray::new(
            Arc::new(Field::new("element", members.data_type().clone(), true)),
            datafusion::arrow::buffer::OffsetBuffer::from_lengths([2, 1]),
            Arc::new(members),
            None,
        );
        let mut cell = String::new();
        plain(&list, 0, &mut cell);
        assert_eq!(cell, r#"[{"t":"a\"b"},{"t":null}]"#);
        serde_json::from_str::<serde_json::Value>(&as_json(&list, 1)).expect("it is JSON");
    }
}
