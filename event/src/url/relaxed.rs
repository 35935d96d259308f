//! The relaxed reading of a URL: what the strict one refuses, rewritten so that it may pass.
//!
//! Within each path segment, query key, query value and fragment, escapes are undone (those that
//! are none are taken as they stand) and everything but letters, digits and `-._~+` is escaped
//! anew. What separates the parts stays. Scheme and host are left alone, except that addresses and
//! ports are printed in their short form. This is what the scala-uri library does in the
//! configuration that a running peer gives it.

use std::net::Ipv6Addr;

use bumpalo::Bump;
use bumpalo::collections::{String as ArenaString, Vec as ArenaVec};

use crate::charset::Charset;
use crate::convert::{self, digits};

/// What to say of a text for which there is no relaxed reading.
pub(super) const REFUSAL: &str = "Invalid URL could not be parsed";

/// Rewrites a text; `None` where it does not have the shape of a URL.
pub(super) fn rewrite<'a>(text: &'a str, arena: &'a Bump) -> Option<&'a str> {
    let mut out = Writer { out: ArenaString::with_capacity_in(text.len() * 2, arena), arena };
    let scheme = scheme(text);
    let after = |scheme: &str| &text[scheme.len() + 1..];
    match scheme {
        Some(scheme) if after(scheme).starts_with("//") => {
            out.out.push_str(scheme);
            out.out.push(':');
            out.with_authority(&after(scheme)[2..])?;
        }
        Some("urn") if is_urn(after("urn")) => out.urn(after("urn"))?,
        Some("data") if DataUrl::parse(after("data")).is_some() => out.data(after("data"))?,
        Some(scheme) => {
            out.out.push_str(scheme);
            out.out.push(':');
            out.path_and_on(after(scheme))?;
        }
        None => match text.strip_prefix("//") {
            Some(rest) => out.with_authority(rest)?,
            None if unescape(first_segment(text), arena).contains(&b':') => return None,
            None => out.path_and_on(text)?,
        },
    }
    Some(out.out.into_bump_str())
}

/// A letter and then letters, digits and `+-.` up to the colon.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(legal);
    fits.then_some(scheme)
}

fn first_segment(text: &str) -> &str {
    text.find(['/', '?', '#']).map_or(text, |end| &text[..end])
}

/// Whether a text is `<namespace>:<name>` of legal characters.
fn is_urn(text: &str) -> bool {
    let Some((namespace, name)) = text.split_once(':') else { return false };
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let hyphen = |c: Option<u8>| c == Some(b'-');
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:@/".contains(&b);
    namespace.len() >= 2
        && namespace.bytes().all(inner)
        && !hyphen(namespace.bytes().next())
        && !hyphen(namespace.bytes().last())
        && !name.is_empty()
        && !name.starts_with('/')
        && name.bytes().all(legal)
}

/// A URL under construction.
struct Writer<'a> {
    out: ArenaString<'a>,
    arena: &'a Bump,
}

impl Writer<'_> {
    /// What follows the two slashes.
    fn with_authority(&mut self, text: &str) -> Option<()> {
        self.out.push_str("//");
        let rest = self.user(text).unwrap_or(text);
        let rest = self.host(rest)?;
        let rest = match rest.strip_prefix(':') {
            Some(rest) => self.port(rest)?,
            None => rest,
        };
        match rest.as_bytes().first() {
            None | Some(b'/' | b'?' | b'#') => self.path_and_on(rest),
            Some(_) => None,
        }
    }

    /// Name and password, if there are any; returns what follows.
    fn user<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let end = text.find([':', '/', '?', '[', ']', '@', ' ', '\t', '\r', '\n'])?;
        let (name, mut rest) = text.split_at(end);
        let mut password = None;
        if let Some(after) = rest.strip_prefix(':') {
            let (text, after) = after.split_at(after.find(['/', '@'])?);
            (password, rest) = (Some(text), after);
        }
        let rest = rest.strip_prefix('@')?;
        self.part(name);
        if let Some(password) = password {
            self.out.push(':');
            self.part(password);
        }
        self.out.push('@');
        Some(rest)
    }

    /// Host name or address; returns what follows.
    fn host<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        if let Some(inner) = text.strip_prefix('[') {
            let (address, rest) = inner.split_once(']')?;
            self.ipv6(address.parse().ok()?);
            return Some(rest);
        }
        let end = text.find([':', '/', '\\', '?', '#', ' ', '\t', '\r', '\n']);
        let (host, rest) = text.split_at(end.unwrap_or(text.len()));
        match ipv4(host) {
            Some([a, b, c, d]) => {
                let quad = bumpalo::format!(in self.arena, "{}.{}.{}.{}", a, b, c, d);
                self.out.push_str(&quad);
            }
            None => self.out.push_str(host),
        }
        Some(rest)
    }

    /// An address with its longest run of zeros left out.
    fn ipv6(&mut self, address: Ipv6Addr) {
        let groups = address.segments();
        let (mut from, mut to, mut start) = (8, 8, 0);
        for end in 0..=groups.len() {
            if groups.get(end) != Some(&0) {
                if end - start > (to - from).max(1) {
                    (from, to) = (start, end);
                }
                start = end + 1;
            }
        }
        let join = |groups: &[u16]| {
            let groups: Vec<_> = groups.iter().map(|group| format!("{group:x}")).collect();
            groups.join(":")
        };
        self.out.push('[');
        self.out.push_str(&join(&groups[..from]));
        if from < to {
            self.out.push_str("::");
            self.out.push_str(&join(&groups[to..]));
        }
        self.out.push(']');
    }

    /// The digits after the colon; returns what follows.
    fn port<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
        let port: i32 = text[..end].parse().ok()?;
        self.out.push_str(&bumpalo::format!(in self.arena, ":{}", port));
        (end <= 10).then_some(&text[end..])
    }

    fn path_and_on(&mut self, text: &str) -> Option<()> {
        let (rest, fragment) = match text.split_once('#') {
            Some((rest, fragment)) => (rest, Some(fragment)),
            None => (text, None),
        };
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        for (index, segment) in path.split('/').enumerate() {
            if index > 0 {
                self.out.push('/');
            }
            self.part(segment);
        }
        if let Some(query) = query.filter(|query| !query.is_empty()) {
            self.query(query)?;
        }
        if let Some(fragment) = fragment {
            self.out.push('#');
            self.part(fragment);
        }
        Some(())
    }

    /// The parameters; one that has a value must have a name.
    fn query(&mut self, query: &str) -> Option<()> {
        for (index, parameter) in query.split('&').enumerate() {
            self.out.push(if index == 0 { '?' } else { '&' });
            match parameter.split_once('=') {
                Some(("", _)) => return None,
                Some((name, value)) => {
                    self.part(name);
                    self.out.push('=');
                    self.part(value);
                }
                None => self.part(parameter),
            }
        }
        Some(())
    }

    fn urn(&mut self, text: &str) -> Option<()> {
        let (namespace, name) = text.split_once(':')?;
        self.out.push_str("urn:");
        self.out.push_str(namespace);
        self.out.push(':');
        self.part(name);
        Some(())
    }

    /// The media type and the data of a data URL; `None` if the data cannot be text.
    fn data(&mut self, text: &str) -> Option<()> {
        let url = DataUrl::parse(text).filter(|url| url.is_text)?;
        self.out.push_str("data:");
        self.out.push_str(url.media_type);
        self.out.push(',');
        let bytes = unescape(url.data, self.arena);
        self.escape(bytes);
        Some(())
    }

    /// Undoes escapes and escapes anew.
    fn part(&mut self, part: &str) {
        let bytes = unescape(part, self.arena);
        self.escape(convert::utf8(bytes, self.arena).as_bytes());
    }

    fn escape(&mut self, bytes: &[u8]) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        for byte in bytes {
            if byte.is_ascii_alphanumeric() || b"-._~+".contains(byte) {
                self.out.push(char::from(*byte));
            } else {
                self.out.push('%');
                self.out.push(char::from(DIGITS[usize::from(byte >> 4)]));
                self.out.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
}

/// What follows `data:`.
struct DataUrl<'t> {
    media_type: &'t str,
    data: &'t str,
    /// Not Base64, which never comes here in good order, since it would have passed the strict
    /// reading; nor in a charset that is unknown.
    is_text: bool,
}

impl DataUrl<'_> {
    /// Reads `[<media type>][;<name>=<value>]*[;][;base64],<data>`.
    fn parse(text: &str) -> Option<DataUrl<'_>> {
        let (media, data) = text.split_once(',')?;
        if let Some(media_type) = media.strip_suffix(";base64") {
            return Some(DataUrl { media_type, data, is_text: false });
        }
        let media_type = media.strip_suffix(';').unwrap_or(media);
        let mut is_text = true;
        for parameter in media_type.split(';').skip(1) {
            let (name, value) = parameter.split_once('=')?;
            if name.is_empty() || value.is_empty() {
                return None;
            }
            let charset = name.trim_matches('"').eq_ignore_ascii_case("charset");
            is_text &= !charset || is_ascii_based(value);
        }
        Some(DataUrl { media_type, data, is_text })
    }
}

/// Whether a charset that a JVM knows leaves escaped text as it is.
fn is_ascii_based(charset: &str) -> bool {
    let charset = charset.to_ascii_lowercase();
    matches!(Charset::named(&charset), Some(Charset::Utf8 | Charset::Latin1 | Charset::Ascii))
        || charset.starts_with("iso-8859-")
        || charset.starts_with("windows-125")
}

/// Four numbers of one to three digits, none over 255.
fn ipv4(text: &str) -> Option<[u8; 4]> {
    let mut groups = text.split('.');
    let mut group = || {
        let group = groups.next().filter(|group| group.len() <= 3)?;
        group.bytes().all(|byte| byte.is_ascii_digit()).then(|| group.parse().ok())?
    };
    let quad = [group()?, group()?, group()?, group()?];
    groups.next().is_none().then_some(quad)
}

/// The bytes of a part with its escapes undone. A percent sign without digits is itself, and a
/// character outside the basic plane two question marks, one for each half that a JVM cannot
/// encode alone.
fn unescape<'a>(part: &str, arena: &'a Bump) -> &'a [u8] {
    let mut bytes = ArenaVec::with_capacity_in(part.len(), arena);
    let mut rest = part.chars();
    while let Some(c) = rest.next() {
        let mut ahead = rest.clone();
        let escape = |ahead: &mut std::str::Chars<'_>| hex_byte(ahead.next()?, ahead.next()?);
        match c {
            '%' => match escape(&mut ahead) {
                Some(byte) => {
                    bytes.push(byte);
                    rest = ahead;
                }
                None => bytes.push(b'%'),
            },
            '\u{10000}'.. => bytes.extend_from_slice(b"??"),
            _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes.into_bump_slice()
}

/// Two hexadecimal digits, or one with a sign: the JVM reads them as a number.
fn hex_byte(high: char, low: char) -> Option<u8> {
    let low = digits::hexadecimal(low)?;
    match high {
        '+' => Some(low),
        '-' => Some(low.wrapping_neg()),
        _ => Some(digits::hexadecimal(high)? << 4 | low),
    }
}
