//! Names of schemas: [`SchemaKey`] (one schema), [`SchemaVer`] (its version) and [`Criterion`] (a
//! key with wildcards).
//!
//! The grammar is that of the Iglu URI as a running peer reads it:
//! `iglu:<vendor>/<name>/<format>/<model>-<revision>-<addition>`. Parsing fails with the code that
//! bad rows carry.

use std::fmt;

/// A version, `model-revision-addition`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaVer {
    /// Changes when old data no longer fits.
    pub model: u32,
    /// Changes when some old data may no longer fit.
    pub revision: u32,
    /// Changes when all old data still fits.
    pub addition: u32,
}

/// The full name of one schema.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaKey {
    /// The organisation, `com.acme`.
    pub vendor: String,
    /// The entity or event, `checkout`.
    pub name: String,
    /// The schema language, in practice always `jsonschema`.
    pub format: String,
    /// Model, revision and addition.
    pub version: SchemaVer,
}

/// A schema key in which revision and addition may be left open (`1-0-*`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Criterion {
    /// As in [`SchemaKey`].
    pub vendor: &'static str,
    /// As in [`SchemaKey`].
    pub name: &'static str,
    /// As in [`SchemaKey`].
    pub format: &'static str,
    /// The model that must match.
    pub model: u32,
    /// The revision that must match, if any.
    pub revision: Option<u32>,
}

/// Why a text is not a schema key or not self-describing; `Display` is the code of bad rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The text does not have the shape of an Iglu URI.
    #[error("INVALID_IGLUURI")]
    InvalidIgluUri,
    /// The version is not `M-R-A` with M ≥ 1 and no leading zeros.
    #[error("INVALID_SCHEMAVER")]
    InvalidSchemaVer,
    /// The JSON is not an object with a string `schema` and a `data`.
    #[error("INVALID_DATA_PAYLOAD")]
    InvalidDataPayload,
}

impl SchemaKey {
    /// Reads an Iglu URI.
    pub fn parse(uri: &str) -> Result<SchemaKey, ParseError> {
        let parts = Parts::parse(uri)?;
        Ok(SchemaKey {
            vendor: parts.vendor.to_owned(),
            name: parts.name.to_owned(),
            format: parts.format.to_owned(),
            version: parts.version,
        })
    }

    /// Whether both name versions of one model of one schema.
    pub fn is_of_model(&self, other: &SchemaKey) -> bool {
        (&self.vendor, &self.name, &self.format, self.version.model)
            == (&other.vendor, &other.name, &other.format, other.version.model)
    }

    /// The path of this schema in a static registry, below `schemas/`.
    pub fn path(&self) -> String {
        format!("{}/{}/{}/{}", self.vendor, self.name, self.format, self.version)
    }
}

/// An Iglu URI taken apart without copying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// As in [`SchemaKey`].
    pub vendor: &'a str,
    /// As in [`SchemaKey`].
    pub name: &'a str,
    /// As in [`SchemaKey`].
    pub format: &'a str,
    /// The version as it stands in the text.
    pub version_text: &'a str,
    /// Model, revision and addition.
    pub version: SchemaVer,
}

impl<'a> Parts<'a> {
    /// Reads an Iglu URI, borrowing from it.
    pub fn parse(uri: &'a str) -> Result<Parts<'a>, ParseError> {
        let rest = uri.strip_prefix("iglu:").ok_or(ParseError::InvalidIgluUri)?;
        let (vendor, rest) = part(rest, true)?;
        let (name, rest) = part(rest, false)?;
        let (format, version_text) = part(rest, false)?;
        if !looks_like_version(version_text) {
            return Err(ParseError::InvalidIgluUri);
        }
        let version = SchemaVer::parse(version_text)?;
        Ok(Parts { vendor, name, format, version_text, version })
    }
}

/// The bytes that any part of a URI may hold.
const ALLOWED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        byte += 1;
    }
    table
};

/// A part of a URI up to its slash, and what follows the slash.
fn part(text: &str, dots: bool) -> Result<(&str, &str), ParseError> {
    let allowed = |b: u8| ALLOWED[usize::from(b)] || (dots && b == b'.');
    let end = text.bytes().position(|b| !allowed(b)).ok_or(ParseError::InvalidIgluUri)?;
    if end == 0 || text.as_bytes()[end] != b'/' {
        return Err(ParseError::InvalidIgluUri);
    }
    Ok((&text[..end], &text[end + 1..]))
}

/// Three runs of digits, possibly empty, joined by hyphens: the outer shape of a version, which
/// decides between the two error codes.
fn looks_like_version(text: &str) -> bool {
    text.bytes().filter(|b| *b == b'-').count() == 2
        && text.bytes().all(|b| b == b'-' || b.is_ascii_digit())
}

impl SchemaVer {
    /// A version from its three numbers.
    pub const fn new(model: u32, revision: u32, addition: u32) -> SchemaVer {
        SchemaVer { model, revision, addition }
    }

    /// Reads `M-R-A`; each number must fit a signed 32-bit integer.
    pub fn parse(text: &str) -> Result<SchemaVer, ParseError> {
        let mut numbers = [0_u32; 3];
        let mut rest = text.as_bytes();
        for (index, number) in numbers.iter_mut().enumerate() {
            let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            *number = decimal(&rest[..digits]).ok_or(ParseError::InvalidSchemaVer)?;
            rest = &rest[digits..];
            if index < 2 {
                rest = rest.strip_prefix(b"-").ok_or(ParseError::InvalidSchemaVer)?;
            }
        }
        let [model, revision, addition] = numbers;
        if model == 0 || !rest.is_empty() {
            return Err(ParseError::InvalidSchemaVer);
        }
        Ok(SchemaVer { model, revision, addition })
    }
}

/// Digits without leading zeros that fit a signed 32-bit integer.
fn decimal(digits: &[u8]) -> Option<u32> {
    /// More digits than the largest such integer has; up to here nothing overflows below.
    const LONGEST: usize = 10;
    let canonical = digits == b"0" || digits.first().is_some_and(|b| *b != b'0');
    if !canonical || digits.len() > LONGEST {
        return None;
    }
    let value = digits.iter().fold(0_u64, |value, b| value * 10 + u64::from(b - b'0'));
    i32::try_from(value).ok().map(|value| value as u32)
}

impl Criterion {
    /// The criterion `vendor/name/jsonschema/1-0-*`.
    pub const fn one_zero(vendor: &'static str, name: &'static str) -> Criterion {
        Criterion { vendor, name, format: "jsonschema", model: 1, revision: Some(0) }
    }

    /// Whether a key satisfies this criterion.
    pub fn matches(&self, key: Parts<'_>) -> bool {
        key.vendor == self.vendor
            && key.name == self.name
            && key.format == self.format
            && key.version.model == self.model
            && self.revision.is_none_or(|revision| key.version.revision == revision)
    }
}

impl fmt::Display for SchemaVer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.model, self.revision, self.addition)
    }
}

impl fmt::Display for SchemaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "iglu:{}/{}/{}/{}", self.vendor, self.name, self.format, self.version)
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "iglu:{}/{}/{}/{}-", self.vendor, self.name, self.format, self.model)?;
        match self.revision {
            Some(revision) => write!(f, "{revision}-*"),
            None => write!(f, "*-*"),
        }
    }
}

impl std::str::FromStr for SchemaKey {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<SchemaKey, ParseError> {
        SchemaKey::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_round_trip_or_fail_with_the_code_of_bad_rows() {
        let uri = "iglu:com.acme-x/Ad_Click/jsonschema/1-0-12";
        assert_eq!(SchemaKey::parse(uri).map(|key| key.to_string()), Ok(uri.to_owned()));
        for bad in [
            "",
            "iglu:",
            "iglu:a/b/c",
            "iglu:a/b/c/1-0",
            "iglu:a/b.c/d/1-0-0",
            "iglu:a/b/c/1-0-0/x",
            "http:a/b/c/1-0-0",
            "iglu:a/b/c/1-0-x",
            "iglu://b/c/1-0-0",
        ] {
            assert_eq!(SchemaKey::parse(bad), Err(ParseError::InvalidIgluUri), "{bad}");
        }
        for bad in [
            "iglu:a/b/c/0-0-0",
            "iglu:a/b/c/1-00-0",
            "iglu:a/b/c/1-0-",
            "iglu:a/b/c/--",
            "iglu:a/b/c/1-0-2147483648",
        ] {
            assert_eq!(SchemaKey::parse(bad), Err(ParseError::InvalidSchemaVer), "{bad}");
        }
    }
}
