//! Google Analytics: hits of the measurement protocol, one a line, each encoded as a form.
//!
//! A hit becomes an event of its type, entities of what else it tells, and the tracker's parameters
//! that mean the same. The query string plays no part.

mod composite;
mod fields;

use bumpalo::collections::Vec as BumpVec;
use event::convert::float64_text;
use event::entity::envelope;
use event::raw_event::Parameter;
use event::reason::{Reason, Words};
use event::schema_key::Parts;
use event::{Bump, Entity, RawEvent};

use super::tree::Json;
use super::webhook::Request;
use super::{Adapted, unstruct};
use crate::schema_check::Stop;
use event::map_order::{self, in_map_order, record_hash, text_hash};
use fields::{EVENTS, FLAT, Field, Kind};

pub(super) fn events<'a>(request: &Request<'_, 'a>) -> Result<Adapted<'a>, Stop> {
    let Some(body) = request.payload.body.filter(|body| !body.is_empty()) else {
        return Err(Reason::input("body", None, "empty body").into());
    };
    request.batch(lines(body).map(|line| (line, hit(line, request))), |lines| lines.join("\n"))
}

/// The lines of a text; a form feed ends one too.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(['\n', '\u{c}']).map(|line| match line.strip_suffix('\n') {
        Some(line) => line.strip_suffix('\r').unwrap_or(line),
        None => line.strip_suffix('\u{c}').unwrap_or(line),
    })
}

fn hit<'a>(line: &'a str, request: &Request<'_, 'a>) -> Result<RawEvent<'a>, Vec<Reason>> {
    let refused = |expectation: Words| vec![Reason::input("body", Some(line), expectation)];
    let all = in_map_order(request.form(line).map_err(refused)?);
    let given: Vec<(&str, &str)> =
        all.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect();
    let Some((_, kind)) = given.iter().find(|(name, _)| *name == "t") else {
        return Err(refused("no t parameter provided: cannot determine hit type".into()));
    };
    let mut reasons = Vec::new();
    let table = EVENTS.iter().find(|(known, _)| known == kind).map(|(_, fields)| *fields);
    if table.is_none() {
        reasons.push(Reason::input("t", Some(kind), "no matching hit type"));
    }
    let uri = request.schema(Some(kind), None).map_err(|reason| reasons.push(reason)).ok();
    let mut entities = flat(&given, request, &mut reasons);
    match composite::entities(&given, request) {
        Ok(composite) => entities.extend(composite),
        Err(reason) => reasons.push(reason),
    }
    let (Some(table), Some(uri), true) = (table, uri, reasons.is_empty()) else {
        return Err(reasons);
    };
    let own = request.schema_of("page_view");
    entities.retain(|(uri, _)| *kind != "pageview" || *uri != own);
    let data = members(table, &given, request.arena).map_err(|reason| vec![reason])?;
    Ok(RawEvent {
        payload: request.payload,
        parameters: parameters(kind, &all, uri, &data, &entities, request),
    })
}

fn parameters<'a>(
    kind: &str,
    all: &[Parameter<'a>],
    uri: &str,
    data: &Json<'a>,
    entities: &[(&str, Json<'a>)],
    request: &Request<'_, 'a>,
) -> &'a [Parameter<'a>] {
    let arena = request.arena;
    let text = |json: &Json<'a>| &*arena.alloc_str(&json.to_string());
    let mut parameters = BumpVec::with_capacity_in(all.len() + 5, arena);
    if !entities.is_empty() {
        let entities: Vec<(&str, &str)> =
            entities.iter().map(|(uri, data)| (*uri, text(data))).collect();
        let entities: Vec<_> = entities.iter().map(|(uri, data)| Entity::new(uri, data)).collect();
        parameters.push(("co", Some(envelope(&entities, arena))));
    }
    parameters.extend(
        all.iter()
            .filter_map(|(name, value)| Some((fields::tracker_parameter(name, kind)?, *value))),
    );
    parameters.push(("e", Some("ue")));
    parameters.push(("ue_pr", Some(unstruct(uri, text(data), arena))));
    parameters.push(("tv", Some(request.tracker)));
    parameters.push(("p", Some("srv")));
    parameters.into_bump_slice()
}

/// The entities of parameters with fixed names, in a peer's order.
fn flat<'r, 'a>(
    given: &[(&'a str, &'a str)],
    request: &'r Request<'_, 'a>,
    reasons: &mut Vec<Reason>,
) -> Vec<(&'r str, Json<'a>)> {
    let mut entities: Vec<(&str, super::tree::Members<'a>)> = Vec::new();
    for (name, value) in given {
        let has = |flat: &&fields::Flat| flat.fields.iter().any(|(known, ..)| known == name);
        let Some(flat) = FLAT.iter().find(has) else { continue };
        let (_, member, kind) =
            flat.fields.iter().find(|(known, ..)| known == name).expect("it was there just now");
        let value = match convert(*kind, member, value, request.arena) {
            Ok(value) => value,
            Err(reason) => {
                reasons.push(reason);
                continue;
            }
        };
        let uri = request.schema_of(flat.setting);
        match entities.iter_mut().find(|(known, _)| *known == uri) {
            Some((_, members)) => members.push((member, value)),
            None => {
                entities.push((uri, BumpVec::from_iter_in([(*member, value)], request.arena)));
            }
        }
    }
    map_order::sort(&mut entities, |(uri, _)| schema_hash(uri));
    let ordered = |(uri, mut members): (_, super::tree::Members<'a>)| {
        map_order::sort(&mut members, |(key, _)| text_hash(key));
        (uri, Json::Object(members))
    };
    entities.into_iter().map(ordered).collect()
}

/// The members of an event, or what is wrong with the first that is.
fn members<'a>(
    table: &[Field],
    given: &[(&'a str, &'a str)],
    arena: &'a Bump,
) -> Result<Json<'a>, Reason> {
    let mut found: Vec<(&'static str, Kind, &'a str)> = Vec::new();
    for (name, value) in given {
        let field = table.iter().find(|(known, ..)| known == name);
        found.extend(field.map(|(_, member, kind)| (*member, *kind, *value)));
    }
    map_order::sort(&mut found, |(member, ..)| text_hash(member));
    let mut members = BumpVec::with_capacity_in(found.len(), arena);
    for (member, kind, value) in found {
        members.push((member, convert(kind, member, value, arena)?));
    }
    Ok(Json::Object(members))
}

/// A value as its kind has it.
fn convert<'a>(
    kind: Kind,
    member: &str,
    value: &'a str,
    arena: &'a Bump,
) -> Result<Json<'a>, Reason> {
    let wrong =
        |expectation: &'static str| Reason::input(member.to_owned(), Some(value), expectation);
    let float = |number: Option<f64>| match number {
        None => Err(wrong("cannot be converted to Double")),
        Some(number) if number.is_finite() => {
            Ok(Json::Scalar(arena.alloc_str(&float64_text(number))))
        }
        Some(_) => Ok(Json::NULL),
    };
    match kind {
        Kind::Text => Ok(Json::string(value, arena)),
        Kind::Int => match event::convert::int32(value, arena) {
            Ok(Some(number)) => Ok(Json::Scalar(number)),
            _ => Err(wrong("cannot be converted to java.lang.Integer")),
        },
        Kind::Amount => float(amount(value)),
        Kind::Double => float(number(value)),
        Kind::Flag => match value {
            "1" => Ok(Json::Scalar("true")),
            "0" => Ok(Json::Scalar("false")),
            _ => Err(wrong("cannot be converted to boolean, only 1 or 0 are supported")),
        },
    }
}

/// A decimal number taken apart: its sign, its digits, and by how many of them it is divided.
fn decimal(text: &str) -> Option<(bool, String, i64)> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, i64::from(exponent.parse::<i32>().ok()?)),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| (text.starts_with('-'), digits, fraction.len() as i64 - exponent))
}

fn number(text: &str) -> Option<f64> {
    let (negative, digits, scale) = decimal(text)?;
    float(negative, &digits, scale)
}

/// A number rounded to two decimals, half to even.
fn amount(text: &str) -> Option<f64> {
    let (negative, digits, scale) = decimal(text)?;
    let cut = scale - 2;
    if cut <= 0 {
        return float(negative, &digits, scale);
    }
    let length = digits.len() as i64;
    if cut > length {
        return Some(0.0);
    }
    let (kept, rest) = digits.split_at((length - cut) as usize);
    let half = format!("5{}", "0".repeat(rest.len() - 1));
    let odd = kept.bytes().last().is_some_and(|digit| digit % 2 == 1);
    let up = rest > half.as_str() || (rest == half && odd);
    let mut kept: Vec<u8> = [b"0", kept.as_bytes()].concat();
    if up {
        for digit in kept.iter_mut().rev() {
            *digit = if *digit == b'9' { b'0' } else { *digit + 1 };
            if *digit != b'0' {
                break;
            }
        }
    }
    float(negative, std::str::from_utf8(&kept).expect("digits are ASCII"), 2)
}

fn float(negative: bool, digits: &str, scale: i64) -> Option<f64> {
    let number: f64 = format!("{digits}e{}", -scale).parse().ok()?;
    // Decimal numbers have one zero only.
    Some(if negative && number != 0.0 { -number } else { number })
}

/// The hash of a schema key on the JVM.
fn schema_hash(uri: &str) -> u32 {
    let key = Parts::parse(uri).expect("configured schemas have been parsed");
    let version = [key.version.model, key.version.revision, key.version.addition];
    let texts = [key.vendor, key.name, key.format].map(text_hash);
    record_hash(&[texts[0], texts[1], texts[2], record_hash(&version)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_half_to_even() {
        for (text, expected) in [
            ("1.005", Some(1.0)),
            ("1.015", Some(1.02)),
            ("1.0051", Some(1.01)),
            ("9.995", Some(10.0)),
            ("-0.005", Some(0.0)),
            ("-1.239", Some(-1.24)),
            ("29.201", Some(29.2)),
            ("2", Some(2.0)),
            ("1e3", Some(1000.0)),
            ("1e-9", Some(0.0)),
            (".5", Some(0.5)),
            ("1e400", Some(f64::INFINITY)),
            ("", None),
            (".", None),
            ("1,5", None),
            ("NaN", None),
            ("1e99999999999", None),
        ] {
            assert_eq!(amount(text), expected, "{text}");
        }
    }

    #[test]
    fn lines_end_in_three_ways() {
        assert_eq!(lines("a\r\nb\nc\u{c}d\r\n").collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert_eq!(lines("a\n\nb").collect::<Vec<_>>(), ["a", "", "b"]);
    }
}
