//! What stands right of an equals sign: texts that may refer to the environment, durations, sizes.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::Deref;
use std::time::Duration;

use aws_sdk_kinesis::primitives::{DateTime, DateTimeFormat as Format};
use enrichments::limits::Limits;
use pipeline::protection::Personal;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::InitialPosition;
use crate::log::Levels;
use crate::sink::kinesis::Key;
use crate::sink::object::Compression;

/// A text in which `${NAME}` stands for a variable of the environment, so that secrets and what
/// differs between machines stay out of the file. `${NAME:-text}` has a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(String);

/// A secret: a reference to a variable of the environment and nothing else, so that none stands in
/// the file. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(String);

impl Secret {
    /// The secret, for the one place that uses it.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        let text = String::deserialize(deserializer)?;
        let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        if name.is_none_or(|name| name.contains(['$', '{', '}', ':'])) {
            // What stands there may be the secret.
            return Err(D::Error::custom("expected a reference such as `${WEBHOOK_SECRET}`"));
        }
        expand(&text, environment).map(Secret).map_err(D::Error::custom)
    }
}

/// A duration from MIN to MAX milliseconds, written as `250ms`, `10s`, `5m` or `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<const MIN: u64, const MAX: u64>(Duration);

/// A number of bytes from MIN to MAX, written as `512KiB`, `64MiB` or `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes<const MIN: u64, const MAX: u64>(usize);

/// A number from MIN to MAX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count<const MIN: u64, const MAX: u64>(usize);

/// How records are spread over a stream: `random`, or the name of a column, or a list of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionKey(pub Key);

/// How long each column may be: the atomic schema's limits, but for the columns that are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldLimits(pub Limits);

const SPANS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
const SIZES: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];

impl<const MIN: u64, const MAX: u64> Span<MIN, MAX> {
    pub(super) fn new(ms: u64) -> Self {
        assert!((MIN..=MAX).contains(&ms), "a default is within its bounds");
        Span(Duration::from_millis(ms))
    }

    /// The duration.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> Bytes<MIN, MAX> {
    pub(super) fn new(bytes: u64) -> Self {
        assert!((MIN..=MAX).contains(&bytes), "a default is within its bounds");
        Bytes(bytes as usize)
    }

    /// The number.
    pub fn get(self) -> usize {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> Count<MIN, MAX> {
    pub(super) fn new(count: u64) -> Self {
        assert!((MIN..=MAX).contains(&count), "a default is within its bounds");
        Count(count as usize)
    }

    /// The number.
    pub fn get(self) -> usize {
        self.0
    }
}

impl PartitionKey {
    pub(super) fn is_column(&self) -> bool {
        self.0 != Key::Random
    }
}

impl Default for PartitionKey {
    fn default() -> PartitionKey {
        PartitionKey(Key::Random)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        let text = String::deserialize(deserializer)?;
        expand(&text, environment).map(Text).map_err(D::Error::custom)
    }
}

/// What a variable of the environment holds.
#[allow(clippy::disallowed_methods, reason = "configuration reads the environment here")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Replaces every reference; what a variable holds is not looked at again.
fn expand(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, from)) = rest.split_once("${") {
        let (reference, after) =
            from.split_once('}').ok_or("expected a closing brace after `${`")?;
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default.to_owned())),
            None => (reference, None),
        };
        out.push_str(before);
        let value = variable(name).filter(|value| !value.is_empty()).or(default);
        out.push_str(&value.ok_or_else(|| format!("the variable `{name}` is not set"))?);
        rest = after;
    }
    out.push_str(rest);
    if out.is_empty() { Err("expected a text that is not empty".to_owned()) } else { Ok(out) }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Span<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        quantity::<MIN, MAX>(&text, "a duration", &SPANS)
            .map(|ms| Span(Duration::from_millis(ms)))
            .map_err(D::Error::custom)
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Bytes<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        quantity::<MIN, MAX>(&text, "a size", &SIZES)
            .map(|bytes| Bytes(bytes as usize))
            .map_err(D::Error::custom)
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Count<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        let count = u64::try_from(number).ok().filter(|count| (MIN..=MAX).contains(count));
        let wrong =
            || D::Error::custom(format!("expected a number from {MIN} to {MAX}, found `{number}`"));
        count.map(|count| Count(count as usize)).ok_or_else(wrong)
    }
}

fn quantity<const MIN: u64, const MAX: u64>(
    text: &str,
    what: &str,
    units: &[(&str, u64)],
) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = units.iter().find(|(name, _)| *name == unit.trim()).map(|(_, factor)| *factor);
    let value = number.parse::<u64>().ok().zip(factor).and_then(|(n, f)| n.checked_mul(f));
    match value {
        Some(value) if (MIN..=MAX).contains(&value) => Ok(value),
        Some(_) => {
            let (least, most) = (Quantity(MIN, units), Quantity(MAX, units));
            Err(format!("expected {what} from {least} to {most}, found `{text}`"))
        }
        None => {
            let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
            let units = names.join(", ");
            Err(format!("expected {what} (a whole number and one of {units}), found `{text}`"))
        }
    }
}

/// A number in the largest unit that divides it.
struct Quantity<'a>(u64, &'a [(&'a str, u64)]);

impl fmt::Display for Quantity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, factor): &&(&str, u64)| self.0.is_multiple_of(*factor);
        let unit = self.1.iter().filter(whole).max_by_key(|(_, factor)| *factor);
        let (name, factor) = unit.filter(|_| self.0 > 0).unwrap_or(&self.1[0]);
        write!(f, "{}{name}", self.0 / factor)
    }
}

impl<'de> Deserialize<'de> for PartitionKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadPartitionKey)
    }
}

struct ReadPartitionKey;

impl<'de> Visitor<'de> for ReadPartitionKey {
    type Value = PartitionKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`random`, a column, or a list of columns")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PartitionKey, E> {
        let text = expand(text, environment).map_err(E::custom)?;
        if text == "random" {
            return Ok(PartitionKey(Key::Random));
        }
        let field = event::Field::from_name(&text);
        field
            .map(|field| PartitionKey(Key::Column(field)))
            .ok_or_else(|| E::custom(format!("expected `random` or a column, found `{text}`")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<PartitionKey, A::Error> {
        let mut fields = Vec::new();
        while let Some(text) = list.next_element::<Text>()? {
            let field = event::Field::from_name(&text);
            let wrong = || A::Error::custom(format!("unknown column `{}`", &*text));
            fields.push(field.ok_or_else(wrong)?);
        }
        match fields.len() {
            0 => Err(A::Error::custom("expected at least one column")),
            _ => Ok(PartitionKey(Key::Columns(fields))),
        }
    }
}

impl<'de> Deserialize<'de> for FieldLimits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ReadFieldLimits)
    }
}

struct ReadFieldLimits;

impl<'de> Visitor<'de> for ReadFieldLimits {
    type Value = FieldLimits;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("columns and their lengths")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FieldLimits, A::Error> {
        let mut limits = FieldLimits::default();
        while let Some((Column(field), limit)) = map.next_entry::<_, NonZeroU32>()? {
            limits.0.set(field, limit.get());
        }
        Ok(limits)
    }
}

/// A column of text; read on its own, so that a mistake is placed where its name stands.
struct Column(event::Field);

impl<'de> Deserialize<'de> for Column {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Limits::field(&name).map(Column).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for InitialPosition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        match &*text {
            "trim_horizon" => Ok(InitialPosition::TrimHorizon),
            "latest" => Ok(InitialPosition::Latest),
            time => moment(time).map(InitialPosition::AtTimestamp).map_err(|_| {
                D::Error::custom(format!(
                    "expected `trim_horizon`, `latest` or a time such as `2026-11-22T04:00:00Z`, \
                     found `{time}`"
                ))
            }),
        }
    }
}

impl<'de> Deserialize<'de> for Levels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Levels::parse(&Text::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Reads an instant as ISO 8601 and RFC 3339 write it, in milliseconds since 1970.
pub fn instant(text: &str) -> Option<i64> {
    let instant = DateTime::from_str(text, Format::DateTimeWithOffset).ok()?;
    instant.to_millis().ok()
}

/// A time as the command line takes it: an instant, or milliseconds since 1970.
pub fn moment(text: &str) -> Result<i64, String> {
    let read = text.parse().ok().or_else(|| instant(text));
    read.ok_or_else(|| {
        "expected a time such as 2026-11-22T04:00:00Z, or milliseconds since 1970".to_owned()
    })
}

/// What may become of personal data in bad rows, as configurations and the command line name it.
pub const PERSONAL: [(&str, Personal, &str); 3] = [
    ("keep", Personal::Keep, "It stays"),
    (
        "pseudonymise",
        Personal::Pseudonymise,
        "It is masked and hashed as the enrichments do it in events",
    ),
    ("withhold", Personal::Withhold, "It is left out"),
];

/// Reads such a name.
pub(super) fn personal<'de, D: Deserializer<'de>>(from: D) -> Result<Personal, D::Error> {
    let text = Text::deserialize(from)?;
    let named = PERSONAL.iter().find(|(name, ..)| *name == &*text);
    const NAMES: [&str; 3] = [PERSONAL[0].0, PERSONAL[1].0, PERSONAL[2].0];
    named.map(|(_, personal, _)| *personal).ok_or_else(|| D::Error::unknown_variant(&text, &NAMES))
}

/// Reads an address with its port.
pub(super) fn address<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = Text::deserialize(from)?;
    text.parse().map_err(|_| {
        D::Error::custom(format!("{:?} is no address and port such as 127.0.0.1:8000", &*text))
    })
}

/// Reads the name of a compression.
pub(super) fn compression<'de, D: Deserializer<'de>>(from: D) -> Result<Compression, D::Error> {
    let text = Text::deserialize(from)?;
    match &*text {
        "zstd" => Ok(Compression::Zstd),
        "gzip" => Ok(Compression::Gzip),
        "none" => Ok(Compression::Plain),
        other => Err(D::Error::unknown_variant(other, &["zstd", "gzip", "none"])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_an_instant_or_milliseconds() {
        assert_eq!(moment("1714558272345"), Ok(1_714_558_272_345));
        assert_eq!(moment("2024-05-01T10:11:12.345Z"), Ok(1_714_558_272_345));
        assert_eq!(moment("2024-05-01T12:11:12.345+02:00"), Ok(1_714_558_272_345));
        assert_eq!(moment("2000-02-29T00:00:00Z"), Ok(951_782_400_000));
        assert_eq!(moment("1969-12-31T23:59:59.999Z"), Ok(-1));
        for text in ["2024-05-01 10:11:12", "2024-05-01", "", "yesterday"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn references_are_replaced_once() {
        let variable = |name: &str| match name {
            "A" => Some("${B}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let check = |text: &str, expected: Result<&str, &str>| {
            let expanded = expand(text, variable);
            assert_eq!(expanded.as_deref().map_err(String::as_str), expected, "{text}");
        };
        check("plain $ {x}", Ok("plain $ {x}"));
        check("a-${A}-b", Ok("a-${B}-b"));
        check("${NONE:-x}/${EMPTY:-y}", Ok("x/y"));
        check("${NONE}", Err("the variable `NONE` is not set"));
        check("${NONE", Err("expected a closing brace after `${`"));
        check("", Err("expected a text that is not empty"));
    }

    #[test]
    fn an_instant_has_a_zone() {
        assert_eq!(instant("1970-01-01T00:00:01.5Z"), Some(1_500));
        assert_eq!(instant("2026-11-22T05:00:00+01:00"), instant("2026-11-22T04:00:00Z"));
        for text in ["", "yesterday", "2026-11-22", "2026-11-22T04:00:00", "2026-11-32T04:00:00Z"] {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    #[test]
    fn quantities_have_units_and_bounds() {
        let span = |text| quantity::<1_000, 3_600_000>(text, "a duration", &SPANS);
        assert_eq!(span("90s"), Ok(90_000));
        assert_eq!(span("1h"), Ok(3_600_000));
        let beyond = "expected a duration from 1s to 1h, found `999ms`";
        assert_eq!(span("999ms"), Err(beyond.to_owned()));
        for text in ["", "10", "s", "1.5s", "-1s", "99999999999999999999s", "1d"] {
            let error = span(text).expect_err(text);
            assert!(error.starts_with("expected a duration (a whole number"), "{error}");
        }
        assert_eq!(quantity::<1, 9999>("8 KiB", "a size", &SIZES), Ok(8192));
    }
}
