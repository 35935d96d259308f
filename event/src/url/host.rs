//! The authority of a URL: `[user[:password]@]host[:port]`, or a name that is no host.
//!
//! What has only legal characters but is no host (`a_b.test`) is accepted without one; what looks
//! like an IPv6 address must be one.

use super::chars::{self, Class, Flaw};

/// The host and the port of an authority. Places in the error count from its beginning.
pub(super) fn parse(authority: &str) -> Result<(Option<&str>, Option<i32>), Flaw> {
    let named = chars::scan(authority, 0, Class::REGISTRY)? == authority.len();
    let bytes = authority.as_bytes();
    let server = named || bytes.iter().all(|byte| !byte.is_ascii() || Class::SERVER.has(*byte));
    if !server || !(named || visible(authority)) {
        return Err(("Illegal character in authority", 0));
    }
    match host_and_port(authority) {
        Ok((host, port)) => Ok((Some(host), port)),
        Err(_) if named => Ok((None, None)),
        Err(flaw) => Err(flaw),
    }
}

/// Whether the characters outside ASCII may stand in a URL.
fn visible(text: &str) -> bool {
    let mut others = text.split(|c: char| c.is_ascii());
    others.all(|run| chars::scan(run, 0, Class::ALPHA) == Ok(run.len()))
}

fn host_and_port(authority: &str) -> Result<(&str, Option<i32>), Flaw> {
    let start = match authority.find('@') {
        Some(at) => {
            let end = chars::scan(&authority[..at], 0, Class::USERINFO)?;
            if end < at {
                return Err(("Illegal character in user info", end));
            }
            at + 1
        }
        None => 0,
    };
    let rest = &authority[start..];
    let place = |(what, offset): Flaw| (what, start + offset);
    let length = match rest.strip_prefix('[') {
        Some(inner) => bracketed(inner).map_err(|(what, at)| (what, start + 1 + at))? + 2,
        None => match ipv4(rest) {
            Some(length) if matches!(rest.as_bytes().get(length), None | Some(b':')) => length,
            _ => hostname(rest).map_err(place)?,
        },
    };
    let host = &rest[..length];
    let port = match rest[length..].strip_prefix(':') {
        None if length == rest.len() => None,
        None => return Err(("Expected port number", start + length)),
        Some("") => None,
        Some(digits) => Some(port(digits).map_err(|(what, at)| (what, start + length + 1 + at))?),
    };
    Ok((host, port))
}

fn port(text: &str) -> Result<i32, Flaw> {
    match text.bytes().position(|byte| !byte.is_ascii_digit()) {
        Some(at) => Err(("Illegal character in port number", at)),
        None => text.parse().map_err(|_| ("Malformed port number", 0)),
    }
}

/// The length of the host name at the start: labels of letters, digits and inner hyphens, the last
/// of several beginning with a letter.
fn hostname(text: &str) -> Result<usize, Flaw> {
    const ILLEGAL: &str = "Illegal character in hostname";
    let bytes = text.as_bytes();
    let end = bytes.iter().position(|byte| *byte == b':').unwrap_or(bytes.len());
    let (mut at, mut last) = (0, None);
    while at < end {
        if !Class::ALPHANUM.has(bytes[at]) {
            break;
        }
        last = Some(at);
        let label = |byte: &&u8| Class::ALPHANUM.has(**byte) || **byte == b'-';
        at += bytes[at..end].iter().take_while(label).count();
        if bytes[at - 1] == b'-' {
            return Err((ILLEGAL, at - 1));
        }
        if bytes.get(at) != Some(&b'.') {
            break;
        }
        at += 1;
    }
    match last {
        _ if at < end => Err((ILLEGAL, at)),
        None => Err(("Expected hostname", 0)),
        Some(last) if last > 0 && !Class::ALPHA.has(bytes[last]) => Err((ILLEGAL, last)),
        Some(_) => Ok(at),
    }
}

/// The length of the dotted quad that the digits and points at the start make up.
fn ipv4(text: &str) -> Option<usize> {
    let end = text.bytes().position(|byte| !(byte.is_ascii_digit() || byte == b'.'));
    let quad = &text[..end.unwrap_or(text.len())];
    let mut groups = quad.split('.');
    for _ in 0..4 {
        groups.next()?.parse::<i32>().ok().filter(|group| *group < 256)?;
    }
    groups.next().is_none().then_some(quad.len())
}

/// The length of an IPv6 address with or without a zone, up to its closing bracket.
fn bracketed(text: &str) -> Result<usize, Flaw> {
    let end = match text.find(']') {
        Some(end) if end > 0 => end,
        end => {
            return Err(("Expected closing bracket for IPv6 address", end.unwrap_or(text.len())));
        }
    };
    let inner = &text[..end];
    let address = match inner.split_once('%') {
        None => inner,
        Some((_, "")) => return Err(("scope id expected", end)),
        Some((address, zone)) => {
            let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'.';
            if let Some(at) = zone.bytes().position(|byte| !legal(byte)) {
                return Err(("Illegal character in scope id", address.len() + 1 + at));
            }
            address
        }
    };
    ipv6(address)?;
    Ok(end)
}

/// Checks an IPv6 address: eight groups, of which the last two may be a dotted quad, and of which
/// a run may be left out.
fn ipv6(text: &str) -> Result<(), Flaw> {
    const MALFORMED: Flaw = ("Malformed IPv6 address", 0);
    let (before, after) = match text.split_once("::") {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    };
    let quad_before = after.is_none();
    let mut count = groups(before, quad_before)?;
    if let Some(after) = after {
        count += groups(after, true)?;
        return if count < 8 { Ok(()) } else { Err(MALFORMED) };
    }
    match count {
        8 => Ok(()),
        0..8 => Err(("IPv6 address too short", 0)),
        _ => Err(("IPv6 address too long", 0)),
    }
}

/// How many groups of 16 bits a part of an IPv6 address has.
fn groups(part: &str, may_end_in_quad: bool) -> Result<usize, Flaw> {
    const MALFORMED: Flaw = ("Malformed IPv6 address", 0);
    if part.is_empty() {
        return Ok(0);
    }
    let mut count = 0;
    let mut rest = part.split(':').peekable();
    while let Some(group) = rest.next() {
        let quad = may_end_in_quad && rest.peek().is_none() && group.contains('.');
        match group {
            "" => return Err(("Expected digits for an IPv6 address", 0)),
            _ if quad && ipv4(group) == Some(group.len()) => count += 2,
            _ if !group.bytes().all(|byte| byte.is_ascii_hexdigit()) => return Err(MALFORMED),
            _ if group.len() > 4 => return Err(("IPv6 hexadecimal digit sequence too long", 0)),
            _ => count += 1,
        }
    }
    Ok(count)
}
