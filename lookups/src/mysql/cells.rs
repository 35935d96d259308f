//! Values of a result, from MySQL's form into the form of a peer.

use enrichments::lookup::sql::Cell;
use event::Bump;
use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::{Column, Value};

/// The character set of columns that are no text.
const BINARY: u16 = 63;

/// Hands a value to a writer.
pub(super) fn write(column: &Column, value: &Value, out: &mut dyn FnMut(Cell<'_>)) {
    match value {
        Value::NULL => out(Cell::Null),
        Value::Int(number) => integer(column, *number, out),
        Value::UInt(number) => match i64::try_from(*number) {
            Ok(number) => integer(column, number, out),
            Err(_) => out(Cell::Form(&number.to_string())),
        },
        Value::Float(number) => out(Cell::Float((*number).into())),
        Value::Double(number) => out(Cell::Float(*number)),
        Value::Bytes(bytes) => of_bytes(column, bytes, out),
        Value::Date(year, month, day, hour, minute, second, micros) => {
            let [month, day] = [*month, *day].map(u32::from);
            let [hour, minute, second] = [*hour, *minute, *second].map(u32::from);
            let parts = [u32::from(*year), month, day, hour, minute, second];
            date(column, parts, *micros, out);
        }
        Value::Time(negative, days, hours, minutes, seconds, _) => {
            let sign = if *negative { "-" } else { "" };
            let hours = days * 24 + u32::from(*hours);
            out(Cell::Form(&format!("{sign}{hours:02}:{minutes:02}:{seconds:02}")));
        }
    }
}

fn integer(column: &Column, number: i64, out: &mut dyn FnMut(Cell<'_>)) {
    let unsigned = column.flags().contains(ColumnFlags::UNSIGNED_FLAG);
    match column.column_type() {
        // What `BOOLEAN` stands for.
        ColumnType::MYSQL_TYPE_TINY if column.column_length() == 1 && !unsigned => {
            out(Cell::Boolean(number != 0));
        }
        ColumnType::MYSQL_TYPE_YEAR => out(Cell::Text(&format!("{number:04}-01-01T00:00:00.000Z"))),
        _ => out(Cell::Integer(number)),
    }
}

fn of_bytes(column: &Column, bytes: &[u8], out: &mut dyn FnMut(Cell<'_>)) {
    let text = std::str::from_utf8(bytes);
    match (column.column_type(), text) {
        (ColumnType::MYSQL_TYPE_BIT, _) if column.column_length() == 1 => {
            out(Cell::Boolean(bytes != [0]));
        }
        (ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL, Ok(text)) => {
            let arena = Bump::new();
            let number = event::convert::decimal(text, &arena).ok().flatten();
            out(Cell::Form(number.unwrap_or(text)));
        }
        (kind, Ok(text)) if column.character_set() != BINARY || is_readable(kind, text) => {
            out(Cell::Text(text));
        }
        _ => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            out(Cell::Text(&format!("0x{digits}")));
        }
    }
}

/// Whether bytes are to be read: JSON always, others where every character can be seen.
fn is_readable(kind: ColumnType, text: &str) -> bool {
    let binary = matches!(kind, ColumnType::MYSQL_TYPE_BIT | ColumnType::MYSQL_TYPE_GEOMETRY);
    kind == ColumnType::MYSQL_TYPE_JSON || (!binary && !text.contains(char::is_control))
}

/// Dates, and moments with them: each of the three types has a form of its own.
fn date(
    column: &Column,
    [year, month, day, hour, minute, second]: [u32; 6],
    micros: u32,
    out: &mut dyn FnMut(Cell<'_>),
) {
    if month == 0 || day == 0 {
        // No day of the calendar, though the server may keep it.
        return out(Cell::Null);
    }
    let day = format!("{year:04}-{month:02}-{day:02}");
    let fraction = format!("{micros:06}");
    let text = match column.column_type() {
        ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_NEWDATE => {
            return out(Cell::Text(&format!("{day}T00:00:00.000Z")));
        }
        ColumnType::MYSQL_TYPE_TIMESTAMP | ColumnType::MYSQL_TYPE_TIMESTAMP2 => {
            let fraction = match fraction.trim_end_matches('0') {
                "" => "0",
                digits => digits,
            };
            format!("{day} {hour:02}:{minute:02}:{second:02}.{fraction}")
        }
        _ => match (second, micros) {
            (0, 0) => format!("{day}T{hour:02}:{minute:02}"),
            (_, 0) => format!("{day}T{hour:02}:{minute:02}:{second:02}"),
            _ => {
                // Thousandths or millionths, whichever are there.
                let fraction = fraction.strip_suffix("000").unwrap_or(&fraction);
                format!("{day}T{hour:02}:{minute:02}:{second:02}.{fraction}")
            }
        },
    };
    out(Cell::Form(&text));
}

#[cfg(test)]
mod tests;
