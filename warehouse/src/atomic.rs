//! The columns that every event has: those of an enriched line that are no JSON, with their types,
//! the time of loading, and what fits no column.

use columns::Type;
use event::{Field, Kind, fields::FIELDS, time};

use crate::buffer::{Buffer, Values};
use crate::value;

/// The column that tells when an event was processed: the same time as `etl_tstamp`, by which
/// tables are divided into days.
pub const LOAD_TSTAMP: &str = "load_tstamp";

/// The column of what fits no other: a JSON array, or null.
pub const MISFITS: &str = "_misfits";

/// The type of a column of an enriched line; `None` of those that hold entities.
pub fn column_type(field: Field) -> Option<Type> {
    Some(match field.kind() {
        Kind::Text => Type::String,
        Kind::Timestamp => Type::Timestamp,
        Kind::Int => Type::Int,
        Kind::Bool => Type::Boolean,
        Kind::Float => Type::Double,
        // A value, not an amount: any number of digits behind the point.
        Kind::Decimal if field == Field::SeValue => Type::Double,
        Kind::Decimal => Type::Decimal { precision: 18, scale: 2 },
        Kind::Json => return None,
    })
}

/// The columns that every table of events has, in order.
pub fn fields() -> Vec<columns::Field> {
    let line = FIELDS.into_iter().filter_map(|field| Some((field.name(), column_type(field)?)));
    let more = [(LOAD_TSTAMP, Type::Timestamp), (MISFITS, Type::Json)];
    line.chain(more)
        .map(|(name, ty)| columns::Field {
            name: name.to_owned(),
            ty,
            nullable: true,
            keys: Vec::new(),
            description: None,
        })
        .collect()
}

/// Adds a text of a line to its column. The error says what was expected.
pub(crate) fn push(buffer: &mut Buffer, text: &str) -> Result<(), &'static str> {
    match &mut buffer.values {
        Values::Text(texts) => texts.push_with(|out| out.extend_from_slice(text.as_bytes())),
        Values::Int(values) => {
            values.push(value::int(text).ok_or("a whole number of 32 bits")?);
        }
        Values::Boolean(values) => values.append(match text {
            "0" => false,
            "1" => true,
            _ => return Err("0 or 1"),
        }),
        Values::Double(values) => values.push(value::double(text).ok_or("a number")?),
        Values::Decimal { units, precision, scale } => {
            let number = value::decimal(text, *precision, *scale);
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
