//! The strict reading of a URL: RFC 2396 with the extensions of the JVM's `java.net.URI`.
//!
//! Any text without an illegal character is a URL of some kind, absolute, relative or opaque.

use std::fmt;

use super::chars::{self, Class, Flaw};
use super::host;

/// The parts of a URL that is legal as it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    pub(super) text: &'a str,
    pub(super) scheme: Option<&'a str>,
    pub(super) host: Option<&'a str>,
    pub(super) port: Option<i32>,
    /// `None` for an opaque URL (`mailto:…`).
    pub(super) path: Option<&'a str>,
    pub(super) query: Option<&'a str>,
    pub(super) fragment: Option<&'a str>,
}

/// Why a text is no URL, in the words of the JVM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal<'a> {
    what: &'static str,
    at: usize,
    text: &'a str,
}

/// Takes a URL apart.
pub(super) fn parse(text: &str) -> Result<Parts<'_>, Refusal<'_>> {
    parts(text).map_err(|(what, at)| Refusal { what, at, text })
}

fn parts(text: &str) -> Result<Parts<'_>, Flaw> {
    let mut parts = Parts { text, ..Parts::default() };
    let bytes = text.as_bytes();
    let mut at = 0;
    let delimiter = bytes.iter().position(|b| matches!(b, b':' | b'/' | b'?' | b'#'));
    if let Some(colon) = delimiter.filter(|at| bytes[*at] == b':') {
        parts.scheme = Some(scheme(text, colon)?);
        at = colon + 1;
    }
    at = if parts.scheme.is_some() && bytes.get(at) != Some(&b'/') {
        match run(text, at, Class::URIC, "Illegal character in opaque part")? {
            end if end == at => return Err(("Expected scheme-specific part", at)),
            end => end,
        }
    } else {
        hierarchy(text, at, &mut parts)?
    };
    if at < text.len() {
        let end = chars::scan(text, at + 1, Class::URIC)?;
        if end < text.len() {
            return Err(("Illegal character in fragment", end));
        }
        parts.fragment = Some(&text[at + 1..]);
    }
    Ok(parts)
}

fn scheme(text: &str, colon: usize) -> Result<&str, Flaw> {
    const ILLEGAL: &str = "Illegal character in scheme name";
    let scheme = &text[..colon];
    match scheme.as_bytes() {
        [] => Err(("Expected scheme name", 0)),
        [first, ..] if !Class::ALPHA.has(*first) => Err((ILLEGAL, 0)),
        bytes => match bytes.iter().position(|byte| !Class::SCHEME.has(*byte)) {
            Some(at) => Err((ILLEGAL, at)),
            None => Ok(scheme),
        },
    }
}

/// Authority, path and query; returns where the fragment or the end is.
fn hierarchy<'a>(text: &'a str, start: usize, parts: &mut Parts<'a>) -> Result<usize, Flaw> {
    let bytes = text.as_bytes();
    let mut at = start;
    if bytes[at..].starts_with(b"//") {
        at += 2;
        let length = bytes[at..].iter().position(|b| matches!(b, b'/' | b'?' | b'#'));
        let end = length.map_or(text.len(), |length| at + length);
        if at == text.len() {
            return Err(("Expected authority", at));
        }
        if at < end {
            let place = |(what, offset): Flaw| (what, at + offset);
            (parts.host, parts.port) = host::parse(&text[at..end]).map_err(place)?;
        }
        at = end;
    }
    let end = chars::scan(text, at, Class::PATH)?;
    parts.path = Some(&text[at..end]);
    match bytes.get(end) {
        None | Some(b'#') => Ok(end),
        Some(b'?') => {
            let query = end + 1;
            let end = run(text, query, Class::URIC, "Illegal character in query")?;
            parts.query = Some(&text[query..end]);
            Ok(end)
        }
        Some(_) => Err(("Illegal character in path", end)),
    }
}

/// The end of a run that only the fragment or the end may stop.
fn run(text: &str, start: usize, class: Class, illegal: &'static str) -> Result<usize, Flaw> {
    let end = chars::scan(text, start, class)?;
    match text.as_bytes().get(end) {
        None | Some(b'#') => Ok(end),
        Some(_) => Err((illegal, end)),
    }
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = self.text[..self.at].encode_utf16().count();
        write!(f, "{} at index {index}: {}", self.what, self.text)
    }
}
