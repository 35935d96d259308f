//! The flattened JSON form of an enriched event: one flat object with typed values, the form that
//! the analytics SDKs make of an enriched line.
//!
//! In this order: the 128 fields that are not JSON, unset ones as `null`; one array
//! `contexts_<vendor>_<name>_<model>` for each kind of entity, each entity's data led by the
//! version of its schema as `_schema_version`; the self-describing event's data as
//! `unstruct_event_…`; and `geo_location`, where both coordinates are set. Derived entities take
//! the place of a tracker's of the same kind.
//!
//! An SDK refuses lines whose fields do not have their types, which only scripts can bring about;
//! so does [`write`], and what it appended by then is for the caller to drop.

use std::cell::RefCell;
use std::io::Write;
use std::sync::LazyLock;

use bumpalo::Bump;
use bumpalo::collections::{String as ArenaString, Vec as ArenaVec};

use crate::convert::{self, digits};
use crate::event::Event;
use crate::fields::{COUNT, Field, Kind};
use crate::json::{self, Elements};
use crate::schema_key::{Criterion, Parts};
use crate::{time, tsv};

/// Why an event has no flattened form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlatError {
    /// A field that every event has is unset.
    #[error("Field {} cannot be empty", .0.name())]
    Empty(Field),
    /// A field's text does not have the field's type.
    #[error("Cannot parse key {} into {}", .0.name(), type_name(*.0))]
    Unreadable(Field),
    /// A line does not have 131 columns.
    #[error("Line does not match 131 columns")]
    Columns,
}

thread_local! {
    /// What is needed while an event is written, and for no longer.
    static ARENA: RefCell<Bump> = RefCell::new(Bump::new());
}

/// Appends the event as one JSON object.
pub fn write(event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), FlatError> {
    for field in [Field::CollectorTstamp, Field::EventId, Field::VCollector, Field::VEtl] {
        if event.get(field).is_none_or(str::is_empty) {
            return Err(FlatError::Empty(field));
        }
    }
    ARENA.with_borrow_mut(|arena| {
        arena.reset();
        write_within(event, arena, out)
    })
}

fn write_within(event: &Event<'_>, arena: &Bump, out: &mut Vec<u8>) -> Result<(), FlatError> {
    let start = out.len();
    write_fields(event, arena, out)?;
    // An object begins where its members are parted by commas.
    out[start] = b'{';
    for group in groups(event, arena)? {
        out.push(b',');
        group.write(arena, out);
    }
    write_unstruct_event(event, arena, out)?;
    write_geo_location(event, out);
    out.push(b'}');
    Ok(())
}

/// Appends the fields that are not JSON, each with a comma before it.
fn write_fields(event: &Event<'_>, arena: &Bump, out: &mut Vec<u8>) -> Result<(), FlatError> {
    let unset = &*UNSET;
    let mut written = 0;
    for (field, text) in event.iter() {
        let Some(text) = text.filter(|text| !text.is_empty() && field.kind() != Kind::Json) else {
            continue;
        };
        out.extend_from_slice(unset.between(written, field as usize));
        written = field as usize + 1;
        out.extend_from_slice(field.member().as_bytes());
        write_value(field, Some(text), arena, out).ok_or(FlatError::Unreadable(field))?;
    }
    out.extend_from_slice(unset.between(written, COUNT));
    Ok(())
}

static UNSET: LazyLock<Unset> = LazyLock::new(Unset::new);

/// The fields that are not JSON as `null`, each with a comma before it, in one text: most events
/// leave most fields unset, and those that follow one another are copied at once.
struct Unset {
    text: String,
    /// Where each field begins, and where the last one ends.
    starts: [usize; COUNT + 1],
}

impl Unset {
    fn new() -> Unset {
        let mut unset = Unset { text: String::new(), starts: [0; COUNT + 1] };
        for field in crate::fields::FIELDS {
            if field.kind() != Kind::Json {
                unset.text.push_str(field.member());
                unset.text.push_str("null");
            }
            unset.starts[field as usize + 1] = unset.text.len();
        }
        unset
    }

    /// The fields from one up to the next, by their indexes.
    fn between(&self, from: usize, to: usize) -> &[u8] {
        &self.text.as_bytes()[self.starts[from]..self.starts[to]]
    }
}

/// Appends an enriched line as one JSON object.
pub fn write_line(line: &str, out: &mut Vec<u8>) -> Result<(), FlatError> {
    write(&read_line(line)?, out)
}

fn read_line(line: &str) -> Result<Event<'_>, FlatError> {
    let columns = tsv::columns(line).ok_or(FlatError::Columns)?;
    let mut event = Event::new();
    for (field, text) in crate::fields::FIELDS.into_iter().zip(columns) {
        event.set(field, Some(text).filter(|text| !text.is_empty()));
    }
    Ok(event)
}

/// Appends an enriched line as one JSON object of its 131 columns: values have their types, JSON
/// stands as it is, and lists of entities that are not there are empty objects.
pub fn write_columns(line: &str, out: &mut Vec<u8>) -> Result<(), FlatError> {
    let event = read_line(line)?;
    let arena = Bump::new();
    let start = out.len();
    for (field, text) in event.iter() {
        out.extend_from_slice(field.member().as_bytes());
        match (field.kind(), field, text) {
            (Kind::Json, _, Some(json)) => out.extend_from_slice(json.as_bytes()),
            (Kind::Json, Field::Contexts | Field::DerivedContexts, None) => out.extend(b"{}"),
            (Kind::Json, _, None) => out.extend(b"null"),
            (_, field, text) => {
                write_value(field, text, &arena, out).ok_or(FlatError::Unreadable(field))?;
            }
        }
    }
    out[start] = b'{';
    out.push(b'}');
    Ok(())
}

const fn type_name(field: Field) -> &'static str {
    match field.kind() {
        Kind::Text if matches!(field, Field::EventId) => "UUID",
        Kind::Text => "text without tabs",
        Kind::Timestamp => "datetime",
        Kind::Int => "integer",
        Kind::Bool => "boolean",
        Kind::Float | Kind::Decimal => "double",
        Kind::Json => "self-describing JSON",
    }
}

fn write_key(name: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Appends a field's value; `None` if its text is none of the field's type.
fn write_value(field: Field, text: Option<&str>, arena: &Bump, out: &mut Vec<u8>) -> Option<()> {
    let Some(text) = text else {
        out.extend_from_slice(b"null");
        return Some(());
    };
    match field.kind() {
        Kind::Text if field == Field::EventId => {
            json::write_string(convert::uuid_lenient(text, arena)?, out);
        }
        // A tab would have split the column in the line that an SDK reads.
        Kind::Text if text.contains('\t') => return None,
        Kind::Text => json::write_string(text, out),
        Kind::Timestamp => write_timestamp(text, out)?,
        Kind::Int => {
            let number = i32::try_from(digits::parse_i64(text)?).ok()?;
            write!(out, "{number}").expect("memory takes it");
        }
        Kind::Bool => out.extend_from_slice(match text {
            "0" => b"false",
            "1" => b"true",
            _ => return None,
        }),
        Kind::Float | Kind::Decimal => match double(text)? {
            number if number.is_finite() => {
                out.extend_from_slice(convert::float64_text(number).as_bytes());
            }
            _ => out.extend_from_slice(b"null"),
        },
        Kind::Json => unreachable!("JSON fields are written as entities"),
    }
    Some(())
}

fn double(text: &str) -> Option<f64> {
    let number = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
    text.bytes().all(number).then(|| text.parse().ok())?
}

/// Appends the instant of `yyyy-MM-dd HH:mm:ss`, with any fraction of a second or none.
fn write_timestamp(text: &str, out: &mut Vec<u8>) -> Option<()> {
    const DATE: usize = "yyyy-MM-dd".len();
    const SECONDS: usize = "yyyy-MM-dd HH:mm:ss".len();
    out.push(b'"');
    match time::parse_ms(text) {
        // As `time::write_instant` prints it.
        Some(_) => {
            let (seconds, fraction) = text.split_at(SECONDS);
            let (date, time) = seconds.split_at(DATE);
            let fraction = if fraction == ".000" { "" } else { fraction };
            for part in [date, "T", &time[1..], fraction, "Z"] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        None => {
            let (seconds, fraction) = text.split_at_checked(SECONDS)?;
            let seconds = format!("{}.000", seconds.replace('T', " "));
            let start = out.len();
            time::write_instant(time::parse_ms(&seconds)?, out);
            let zone = out.pop();
            debug_assert_eq!((out.len() - start, zone), (SECONDS, Some(b'Z')));
            write_fraction(fraction, out)?;
            out.push(b'Z');
        }
    }
    out.push(b'"');
    Some(())
}

/// Appends a fraction of a second of up to nine digits with as many triples of them as it needs.
fn write_fraction(text: &str, out: &mut Vec<u8>) -> Option<()> {
    if text.is_empty() {
        return Some(());
    }
    let digits = text.strip_prefix('.')?;
    if digits.len() > 9 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let needed = digits.trim_end_matches('0').len().next_multiple_of(3);
    if needed > 0 {
        out.push(b'.');
        out.extend(digits.bytes().chain(std::iter::repeat(b'0')).take(needed));
    }
    Some(())
}

/// The entities of one kind.
struct Group<'a> {
    key: &'a str,
    /// Version and data of each, as they stand in the event.
    entities: ArenaVec<'a, (&'a str, &'a str)>,
}

impl Group<'_> {
    fn write(&self, arena: &Bump, out: &mut Vec<u8>) {
        write_key(self.key, out);
        let mut separator = b'[';
        for (version, data) in &self.entities {
            out.push(separator);
            write_versioned(version, data, arena, out);
            separator = b',';
        }
        out.push(b']');
    }
}

/// All entities by kind: the tracker's that no derived ones replace, then the derived ones.
fn groups<'a>(event: &Event<'a>, arena: &'a Bump) -> Result<ArenaVec<'a, Group<'a>>, FlatError> {
    let mut groups = grouped(event, Field::Contexts, arena)?;
    let derived = grouped(event, Field::DerivedContexts, arena)?;
    groups.retain(|group| derived.iter().all(|other| other.key != group.key));
    groups.extend(derived);
    Ok(groups)
}

fn grouped<'a>(
    event: &Event<'a>,
    field: Field,
    arena: &'a Bump,
) -> Result<ArenaVec<'a, Group<'a>>, FlatError> {
    const CONTEXTS: Criterion = Criterion::one_zero("com.snowplowanalytics.snowplow", "contexts");
    let mut groups: ArenaVec<'a, Group<'a>> = ArenaVec::new_in(arena);
    let Some(list) = envelope(event, field, &CONTEXTS, arena)? else { return Ok(groups) };
    for entity in Elements::of(list).ok_or(FlatError::Unreadable(field))? {
        let (schema, data) = described(entity, arena).ok_or(FlatError::Unreadable(field))?;
        let key = key("contexts_", schema, arena);
        let group = match groups.iter().position(|group| group.key == key) {
            Some(index) => &mut groups[index],
            None => {
                groups.push(Group { key, entities: ArenaVec::new_in(arena) });
                groups.last_mut().expect("just pushed")
            }
        };
        group.entities.push((schema.version_text, data));
    }
    Ok(groups)
}

fn write_unstruct_event(
    event: &Event<'_>,
    arena: &Bump,
    out: &mut Vec<u8>,
) -> Result<(), FlatError> {
    const UNSTRUCT: Criterion =
        Criterion::one_zero("com.snowplowanalytics.snowplow", "unstruct_event");
    const FIELD: Field = Field::UnstructEvent;
    if let Some(inner) = envelope(event, FIELD, &UNSTRUCT, arena)? {
        let (schema, data) = described(inner, arena).ok_or(FlatError::Unreadable(FIELD))?;
        out.push(b',');
        write_key(key("unstruct_event_", schema, arena), out);
        out.extend_from_slice(data.as_bytes());
    }
    Ok(())
}

/// Appends latitude and longitude as one text.
fn write_geo_location(event: &Event<'_>, out: &mut Vec<u8>) {
    let coordinate = |field| event.get(field).and_then(double).map(convert::float64_text);
    if let (Some(latitude), Some(longitude)) =
        (coordinate(Field::GeoLatitude), coordinate(Field::GeoLongitude))
    {
        out.push(b',');
        write_key("geo_location", out);
        out.extend_from_slice(format!("\"{latitude},{longitude}\"").as_bytes());
    }
}

/// What the envelope in a JSON field holds.
fn envelope<'a>(
    event: &Event<'a>,
    field: Field,
    criterion: &Criterion,
    arena: &'a Bump,
) -> Result<Option<&'a str>, FlatError> {
    let Some(text) = event.get(field).filter(|text| !text.is_empty()) else { return Ok(None) };
    let text = json::compact(text, arena).map_err(|_| FlatError::Unreadable(field))?;
    let content = described(text, arena).filter(|(schema, _)| criterion.matches(*schema));
    content.map(|(_, data)| Some(data)).ok_or(FlatError::Unreadable(field))
}

/// Schema and data of a self-describing JSON.
fn described<'a>(text: &'a str, arena: &'a Bump) -> Option<(Parts<'a>, &'a str)> {
    let schema = json::unescape(json::member(text, "schema")?, arena)?;
    Some((Parts::parse(schema).ok()?, json::member(text, "data")?))
}

/// Appends an entity's data with the version before it. Data that is no object, for which there is
/// no place, gives way to the version.
fn write_versioned(version: &str, data: &str, arena: &Bump, out: &mut Vec<u8>) {
    const NAME: &str = "_schema_version";
    out.push(b'{');
    write_key(NAME, out);
    json::write_string(version, out);
    let Some(members) = json::Members::of(data) else { return out.push(b'}') };
    if memchr::memmem::find(data.as_bytes(), NAME.as_bytes()).is_none() {
        if data.len() > 2 {
            out.push(b',');
        }
        return out.extend_from_slice(&data.as_bytes()[1..]);
    }
    for (key, value) in members.filter(|(key, _)| json::unescape(key, arena) != Some(NAME)) {
        out.push(b',');
        out.extend_from_slice(key.as_bytes());
        out.push(b':');
        out.extend_from_slice(value.as_bytes());
    }
    out.push(b'}');
}

fn key<'a>(prefix: &str, schema: Parts<'_>, arena: &'a Bump) -> &'a str {
    let mut key = ArenaString::new_in(arena);
    push_key(prefix, schema.vendor, schema.name, schema.version.model, &mut key);
    key.into_bump_str()
}

/// Appends the key of a schema, `<prefix><vendor>_<name>_<model>` in snake case: also the name of
/// its column in a warehouse.
pub fn push_key(
    prefix: &str,
    vendor: &str,
    name: &str,
    model: u32,
    out: &mut impl std::fmt::Write,
) {
    const WRITTEN: &str = "text grows in memory";
    let plain = |c: char| if matches!(c, '.' | '-') { '_' } else { c.to_ascii_lowercase() };
    let mut push = |c: char| out.write_char(c).expect(WRITTEN);
    prefix.chars().chain(vendor.chars().map(plain)).for_each(&mut push);
    push('_');
    let mut previous = '_';
    for c in name.chars() {
        let inner = !previous.is_ascii_uppercase() && !matches!(previous, '_' | '-' | '.');
        if c.is_ascii_uppercase() && inner {
            push('_');
        }
        push(plain(c));
        previous = c;
    }
    write!(out, "_{model}").expect(WRITTEN);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn columns_stand_in_their_order_with_their_types() {
        let entities = r#"{"schema":"iglu:a/contexts/jsonschema/1-0-0","data":[]}"#;
        let fields = [
            (Field::Contexts, entities),
            (Field::BrCookies, "1"),
            (Field::PageUrlport, "8000"),
            (Field::DvceCreatedTstamp, "2024-05-01 10:11:11.748"),
        ];
        let mut line = Vec::new();
        tsv::write(&event(&fields), &mut line);
        let line = String::from_utf8(line).expect("text");
        let mut out = Vec::new();
        write_columns(&line, &mut out).expect("it is an event");
        let json: serde_json::Map<String, Value> = serde_json::from_slice(&out).expect("JSON");
        let names: Vec<_> = json.keys().map(String::as_str).collect();
        assert_eq!(names, crate::fields::FIELDS.map(Field::name));
        let expected = json!({
            "contexts": {"schema": "iglu:a/contexts/jsonschema/1-0-0", "data": []},
            "derived_contexts": {}, "unstruct_event": null, "br_cookies": true,
            "page_urlport": 8000, "dvce_created_tstamp": "2024-05-01T10:11:11.748Z",
            "app_id": null,
        });
        for (name, value) in expected.as_object().expect("an object") {
            assert_eq!(&json[name], value, "{name}");
        }
        let not_a_number = line.replacen("8000", "eighty", 1);
        let error = write_columns(&not_a_number, &mut Vec::new());
        assert_eq!(error, Err(FlatError::Unreadable(Field::PageUrlport)));
    }

    const ENVELOPE: &str = "iglu:com.snowplowanalytics.snowplow";

    /// An event with what every event has, and some more.
    fn event<'a>(fields: &[(Field, &'a str)]) -> Event<'a> {
        let mut event = Event::new();
        event.set(Field::CollectorTstamp, Some("2024-05-01 10:11:11.000"));
        event.set(Field::EventId, Some("c6ef3124-b53a-4b13-a233-0088f79dcbcb"));
        event.set(Field::VCollector, Some("c-1"));
        event.set(Field::VEtl, Some("e-1"));
        for (field, text) in fields {
            event.set(*field, Some(text));
        }
        event
    }

    fn text(event: &Event<'_>) -> Result<String, FlatError> {
        let mut out = Vec::new();
        write(event, &mut out)?;
        Ok(String::from_utf8(out).expect("UTF-8"))
    }

    /// The part of the text from a key on, up to the next comma, bracket or brace of its level.
    fn value(event: &Event<'_>, key: &str) -> String {
        let text = text(event).expect("a flat event");
        json::member(&text, key).unwrap_or("absent").to_owned()
    }

    #[test]
    fn fields_come_first_in_their_order_and_unset_ones_too() {
        let text = text(&event(&[])).expect("a flat event");
        assert!(text.starts_with("{\"app_id\":null,\"platform\":null,\"etl_tstamp\":null,"));
        assert!(text.ends_with(",\"event_fingerprint\":null,\"true_tstamp\":null}"));
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value.as_object().map(|object| object.len()), Some(128));
    }

    #[test]
    fn values_have_the_types_of_their_fields() {
        use Field::*;
        for (field, written, expected) in [
            (AppId, "a\"b\u{85}é", "\"a\\\"b\\u0085é\""),
            (EventId, "1-2-3-4-5", "\"00000001-0002-0003-0004-000000000005\""),
            (TxnId, "42", "42"),
            (DomainSessionidx, "+007", "7"),
            (SeValue, "1.50", "1.5"),
            (TrTotal, "100", "100.0"),
            (TiPrice, "1E-7", "1.0E-7"),
            (SeValue, "12345678.9", "1.23456789E7"),
            (SeValue, "1e999", "null"),
            (GeoLatitude, "1.0E-5", "1.0E-5"),
            (BrCookies, "0", "false"),
            (DvceIsmobile, "1", "true"),
            (TrueTstamp, "2024-05-01 10:11:12.340", "\"2024-05-01T10:11:12.340Z\""),
            (TrueTstamp, "2024-05-01 10:11:12.000", "\"2024-05-01T10:11:12Z\""),
            (TrueTstamp, "2024-05-01 10:11:12", "\"2024-05-01T10:11:12Z\""),
            (TrueTstamp, "2024-05-01T10:11:12.5", "\"2024-05-01T10:11:12.500Z\""),
            (TrueTstamp, "2024-05-01 10:11:12.00010", "\"2024-05-01T10:11:12.000100Z\""),
        ] {
            assert_eq!(value(&event(&[(field, written)]), field.name()), expected, "{written}");
        }
    }

    #[test]
    fn an_event_with_unfit_texts_is_refused() {
        use Field::*;
        for (field, unfit) in [
            (EventId, "not-a-uuid"),
            (CollectorTstamp, "whenever"),
            (TrueTstamp, "2024-05-01 10:11:12x"),
            (TxnId, "1.0"),
            (TxnId, "2147483648"),
            (SeValue, "NaN"),
            (BrCookies, "true"),
            (AppId, "a\tb"),
            (Contexts, "{"),
            (Contexts, "{\"schema\":\"iglu:a/b/jsonschema/1-0-0\",\"data\":[]}"),
            (UnstructEvent, "[]"),
        ] {
            assert_eq!(
                text(&event(&[(field, unfit)])),
                Err(FlatError::Unreadable(field)),
                "{unfit}"
            );
        }
        assert_eq!(text(&event(&[(VEtl, "")])), Err(FlatError::Empty(VEtl)));
        assert_eq!(write_line("a\tb", &mut Vec::new()), Err(FlatError::Columns));
        let error = FlatError::Unreadable(EventId).to_string();
        assert_eq!(error, "Cannot parse key event_id into UUID");
    }

    #[test]
    fn entities_are_grouped_by_kind_and_derived_ones_win() {
        let contexts = |entities: &[(&str, &str)]| {
            let entities: Vec<_> = entities
                .iter()
                .map(|(uri, data)| format!("{{\"schema\":\"iglu:{uri}\",\"data\":{data}}}"))
                .collect();
            let list = entities.join(",");
            format!("{{\"schema\":\"{ENVELOPE}/contexts/jsonschema/1-0-1\",\"data\":[{list}]}}")
        };
        let sent = contexts(&[
            ("com.acme-x/AdClick/jsonschema/1-0-2", "{\"a\":1.50}"),
            ("com.acme/b/jsonschema/2-0-0", "{\"b\":1}"),
            ("com.acme-x/AdClick/jsonschema/1-1-0", "{}"),
            ("com.acme-x/AdClick/jsonschema/1-1-0", "[1]"),
            ("com.acme/c/jsonschema/1-0-0", "{\"x\":[1],\"_schema_version\":2,\"y\":{}}"),
        ]);
        let derived = contexts(&[("com.acme/b/jsonschema/2-1-0", "{\"d\":2}")]);
        let event = event(&[(Field::Contexts, &sent), (Field::DerivedContexts, &derived)]);
        for (key, expected) in [
            (
                "contexts_com_acme_x_ad_click_1",
                "[{\"_schema_version\":\"1-0-2\",\"a\":1.50},{\"_schema_version\":\"1-1-0\"},\
                 {\"_schema_version\":\"1-1-0\"}]",
            ),
            ("contexts_com_acme_b_2", "[{\"_schema_version\":\"2-1-0\",\"d\":2}]"),
            ("contexts_com_acme_c_1", "[{\"_schema_version\":\"1-0-0\",\"x\":[1],\"y\":{}}]"),
        ] {
            assert_eq!(value(&event, key), expected);
        }
        let text = text(&event).expect("a flat event");
        assert_eq!(text.matches("contexts_com_acme_b_2").count(), 1);
    }

    #[test]
    fn the_event_itself_and_the_place_come_last() {
        let unstruct = format!(
            "{{\"schema\":\"{ENVELOPE}/unstruct_event/jsonschema/1-0-0\",\"data\":\
             {{\"schema\":\"iglu:com.acme/URLSeen_Big/jsonschema/3-0-0\",\"data\":{{\"v\":5}}}}}}"
        );
        let event = event(&[
            (Field::UnstructEvent, &unstruct),
            (Field::GeoLatitude, "51.50"),
            (Field::GeoLongitude, "-7"),
        ]);
        let text = text(&event).expect("a flat event");
        let end = ",\"unstruct_event_com_acme_urlseen_big_3\":{\"v\":5},\
                   \"geo_location\":\"51.5,-7.0\"}";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn keys_are_in_snake_case() {
        let arena = Bump::new();
        for (uri, expected) in [
            ("iglu:com.acme/ad/jsonschema/1-0-0", "c_com_acme_ad_1"),
            ("iglu:Com-A.b/adClick2Go/jsonschema/12-0-0", "c_com_a_b_ad_click2_go_12"),
            ("iglu:a/AB-CD_Ef/jsonschema/1-0-0", "c_a_ab_cd_ef_1"),
        ] {
            let schema = Parts::parse(uri).expect("an Iglu URI");
            assert_eq!(key("c_", schema, &arena), expected);
        }
    }

    proptest! {
        #[test]
        fn a_timestamp_is_an_instant(ms in -62_167_219_200_000_i64..253_402_300_800_000) {
            let arena = Bump::new();
            for ms in [ms, ms - ms.rem_euclid(1000)] {
                let (mut out, mut expected) = (Vec::new(), vec![b'"']);
                write_timestamp(time::format_ms(ms, &arena), &mut out).expect("a timestamp");
                time::write_instant(ms, &mut expected);
                expected.push(b'"');
                prop_assert_eq!(String::from_utf8(out), String::from_utf8(expected));
            }
        }

        #[test]
        fn any_line_flattens_to_json_or_not(
            column in 0..crate::fields::COUNT,
            text in "[^\\t]*|[-0-9 :.eET+]{0,24}|[\\[\\]{}\",:a0]*",
        ) {
            let field = crate::fields::FIELDS[column];
            let mut out = Vec::new();
            if write(&event(&[(field, &text)]), &mut out).is_ok() {
                let value: Value = serde_json::from_slice(&out)?;
                if field.kind() == Kind::Text && field != Field::EventId && !text.is_empty() {
                    prop_assert_eq!(&value[field.name()], &json!(text));
                }
            }
        }
    }
}
