//! Values of a result, from PostgreSQL's binary form into the form of a peer.
//!
//! Not every type's binary form is known here; [`is_readable`] tells which are, and of the others
//! the server is asked for the text.

use std::net::IpAddr;

use enrichments::lookup::sql::Cell;
use event::{Bump, Utc};
use tokio_postgres::types::{FromSql, Kind, Type};

/// A value's bytes, of whatever type.
pub(super) struct Raw<'r>(pub(super) &'r [u8]);

impl<'r> FromSql<'r> for Raw<'r> {
    fn from_sql(
        _: &Type,
        raw: &'r [u8],
    ) -> Result<Raw<'r>, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Raw(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Whether values of a type can be read here.
pub(super) fn is_readable(of: &Type) -> bool {
    match of.kind() {
        Kind::Domain(inner) => is_readable(inner),
        Kind::Enum(_) => true,
        _ => matches!(
            *of,
            Type::BOOL
                | Type::INT2
                | Type::INT4
                | Type::INT8
                | Type::OID
                | Type::FLOAT4
                | Type::FLOAT8
                | Type::NUMERIC
                | Type::TEXT
                | Type::VARCHAR
                | Type::BPCHAR
                | Type::NAME
                | Type::CHAR
                | Type::UNKNOWN
                | Type::DATE
                | Type::TIME
                | Type::TIMETZ
                | Type::TIMESTAMP
                | Type::TIMESTAMPTZ
                | Type::UUID
                | Type::JSON
                | Type::JSONB
                | Type::BYTEA
                | Type::INTERVAL
                | Type::INET
                | Type::CIDR
        ),
    }
}

/// Hands a value to a writer; none if the bytes are not of that type.
pub(super) fn write(of: &Type, raw: &[u8], out: &mut dyn FnMut(Cell<'_>)) -> Option<()> {
    match of.kind() {
        Kind::Domain(inner) => return write(inner, raw, out),
        Kind::Enum(_) => return text(raw, out),
        _ => {}
    }
    match *of {
        Type::BOOL => out(Cell::Boolean(raw.first()? != &0)),
        Type::INT2 => out(Cell::Integer(i16::from_be_bytes(raw.try_into().ok()?).into())),
        Type::INT4 => out(Cell::Integer(i32::from_be_bytes(raw.try_into().ok()?).into())),
        Type::INT8 => out(Cell::Integer(i64::from_be_bytes(raw.try_into().ok()?))),
        Type::OID => out(Cell::Integer(u32::from_be_bytes(raw.try_into().ok()?).into())),
        Type::FLOAT4 => out(Cell::Float(f32::from_be_bytes(raw.try_into().ok()?).into())),
        Type::FLOAT8 => out(Cell::Float(f64::from_be_bytes(raw.try_into().ok()?))),
        Type::NUMERIC => out(Cell::Form(&numeric(raw)?)),
        Type::DATE => out(Cell::Text(&date(i32::from_be_bytes(raw.try_into().ok()?)))),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => {
            out(Cell::Form(&timestamp(i64::from_be_bytes(raw.try_into().ok()?))));
        }
        Type::TIME => out(Cell::Form(&time(i64::from_be_bytes(raw.try_into().ok()?), 0))),
        Type::TIMETZ => {
            let (micros, zone) = raw.split_first_chunk()?;
            let west = i32::from_be_bytes(zone.try_into().ok()?);
            out(Cell::Form(&time(i64::from_be_bytes(*micros), west)));
        }
        Type::UUID => out(Cell::Form(&uuid(raw)?)),
        Type::INET | Type::CIDR => out(Cell::Text(&address(raw)?)),
        Type::JSON => out(Cell::Form(std::str::from_utf8(raw).ok()?)),
        Type::JSONB => out(Cell::Form(std::str::from_utf8(raw.strip_prefix(&[1])?).ok()?)),
        Type::INTERVAL => out(Cell::Form(&interval(raw)?)),
        Type::BYTEA => {
            let digits: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
            out(Cell::Text(&format!("\\x{digits}")));
        }
        _ => return text(raw, out),
    }
    Some(())
}

fn text(raw: &[u8], out: &mut dyn FnMut(Cell<'_>)) -> Option<()> {
    out(Cell::Text(std::str::from_utf8(raw).ok()?));
    Some(())
}

/// Seconds from 1970, whence moments are counted here, to 2000, whence the server counts them.
const EPOCH_SECS: i64 = 946_684_800;

const DAY_SECS: i64 = 86_400;

fn date(days: i32) -> String {
    match infinity(days == i32::MAX, days == i32::MIN) {
        Some(infinity) => infinity.to_owned(),
        None => {
            let utc = Utc::from_ms((i64::from(days) * DAY_SECS + EPOCH_SECS) * 1000);
            format!("{:04}-{:02}-{:02}T00:00:00.000Z", utc.year, utc.month, utc.day)
        }
    }
}

fn timestamp(micros: i64) -> String {
    if let Some(infinity) = infinity(micros == i64::MAX, micros == i64::MIN) {
        return infinity.to_owned();
    }
    let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let utc = Utc::from_ms((seconds + EPOCH_SECS) * 1000);
    let Utc { year, month, day, hour, minute, second, .. } = utc;
    let fraction = format!("{fraction:06}");
    let fraction = match fraction.trim_end_matches('0') {
        "" => "0",
        digits => digits,
    };
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{fraction}")
}

fn infinity(positive: bool, negative: bool) -> Option<&'static str> {
    match (positive, negative) {
        (true, _) => Some("infinity"),
        (_, true) => Some("-infinity"),
        _ => None,
    }
}

/// A time of day in UTC, without its fraction.
fn time(micros: i64, west_secs: i32) -> String {
    let seconds = (micros / 1_000_000 + i64::from(west_secs)).rem_euclid(DAY_SECS);
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn uuid(raw: &[u8]) -> Option<String> {
    let number = u128::from_be_bytes(raw.try_into().ok()?);
    let digits = format!("{number:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
    Some(parts.join("-"))
}

/// An address, and the length of its network's prefix where that is not all of it.
fn address(raw: &[u8]) -> Option<String> {
    let [_family, prefix, is_network, _length, bytes @ ..] = raw else { return None };
    let (address, whole) = match bytes.len() {
        4 => (IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?), 32),
        _ => (IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?), 128),
    };
    let is_host = *prefix == whole && *is_network == 0;
    Some(if is_host { address.to_string() } else { format!("{address}/{prefix}") })
}

/// An interval with the units that it has, seconds if it has none.
fn interval(raw: &[u8]) -> Option<String> {
    let (micros, rest) = raw.split_first_chunk()?;
    let (days, months) = rest.split_first_chunk()?;
    let micros = i64::from_be_bytes(*micros);
    let days = i32::from_be_bytes(*days);
    let months = i32::from_be_bytes(months.try_into().ok()?);
    let seconds = micros / 1_000_000;
    let units = [
        (i64::from(months / 12), "years"),
        (i64::from(months % 12), "mons"),
        (i64::from(days), "days"),
        (seconds / 3600, "hours"),
        (seconds / 60 % 60, "mins"),
    ];
    let mut parts: Vec<String> = units
        .iter()
        .filter(|(number, _)| *number != 0)
        .map(|(number, unit)| format!("{number} {unit}"))
        .collect();
    let (whole, fraction) = ((seconds % 60).abs(), (micros % 1_000_000).abs());
    if parts.is_empty() || whole != 0 || fraction != 0 {
        let sign = if micros < 0 && (whole, fraction) != (0, 0) { "-" } else { "" };
        let fraction = format!(".{fraction:06}");
        let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
        parts.push(format!("{sign}{whole}{fraction} secs"));
    }
    Some(parts.join(" "))
}

/// A decimal number in digits: groups of four, the first of a weight, and a scale.
fn numeric(raw: &[u8]) -> Option<String> {
    let mut words = raw.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let (count, weight) = (words.next()?, words.next()? as i16);
    let (sign, scale) = (words.next()?, words.next()? as usize);
    match sign {
        0xC000 => return Some("NaN".to_owned()),
        0xD000 => return Some("Infinity".to_owned()),
        0xF000 => return Some("-Infinity".to_owned()),
        _ => {}
    }
    let groups: Vec<u16> = words.take(count.into()).collect();
    let group =
        |index: i32| usize::try_from(index).ok().and_then(|at| groups.get(at)).unwrap_or(&0);
    let weight = i32::from(weight);
    let mut text = String::new();
    if sign == 0x4000 {
        text.push('-');
    }
    for index in 0..=weight.max(0) {
        let digits = if weight < 0 { 0 } else { *group(index) };
        let text_of = if index == 0 { digits.to_string() } else { format!("{digits:04}") };
        text.push_str(&text_of);
    }
    if scale > 0 {
        let fraction: String = (1..)
            .take(scale.div_ceil(4))
            .map(|place| format!("{:04}", group(weight + place)))
            .collect();
        text.push('.');
        text.push_str(&fraction[..scale]);
    }
    // A peer prints tiny numbers with an exponent.
    let arena = Bump::new();
    Some(event::convert::decimal(&text, &arena).ok().flatten().unwrap_or(&text).to_owned())
}

#[cfg(test)]
mod tests;
