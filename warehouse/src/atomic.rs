//! The columns that every event has, as texts of a line become their values.

use columns::cast;
use event::{Field, fields::FIELDS, time};

use crate::buffer::{Buffer, Values};

/// The columns that every table of events has, in order.
pub fn fields() -> Vec<columns::Field> {
    columns::always()
}

/// A buffer for each column of a line that is no JSON, by the line's columns.
pub(crate) fn buffers() -> Vec<Option<Buffer>> {
    let types: std::collections::HashMap<_, _> =
        columns::always().into_iter().map(|field| (field.name, field.ty)).collect();
    let buffer = |field: Field| types.get(field.name()).map(Buffer::new);
    FIELDS.into_iter().map(buffer).collect()
}

/// Adds a text of a line to its column. The error says what was expected.
pub(crate) fn push(buffer: &mut Buffer, text: &str) -> Result<(), &'static str> {
    match &mut buffer.values {
        Values::Text(texts) => texts.push_with(|out| out.extend_from_slice(text.as_bytes())),
        Values::Int(values) => {
            values.push(cast::int(text).ok_or("a whole number of 32 bits")?);
        }
        Values::Boolean(values) => values.append(match text {
            "0" => false,
            "1" => true,
            _ => return Err("0 or 1"),
        }),
        Values::Double(values) => values.push(cast::double(text).ok_or("a number")?),
        Values::Decimal { units, precision, scale } => {
            let number = cast::decimal(text, *precision, *scale);
            units.push(number.ok_or("a number of up to 16 digits and two behind the point")?);
        }
        Values::Timestamp(values) => {
            let ms = time::parse_ms(text).ok_or("a time, yyyy-MM-dd HH:mm:ss.SSS")?;
            values.push(ms.checked_mul(1000).ok_or("a time of the years up to 9999")?);
        }
        Values::Json(_)
        | Values::Long(_)
        | Values::Date(_)
        | Values::Struct(_)
        | Values::List(_) => unreachable!("no column of a line has that type"),
    }
    buffer.added();
    Ok(())
}
