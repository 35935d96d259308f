//! Measuring URLs: with or without a scheme, by a host whose last part is a top level domain, or by
//! an address; bare, in angle brackets, or as the link of a page.

use crate::yauaa::domains::Domains;

/// The length of the longest URL at the start of a text.
pub(super) fn url_length(text: &str, domains: &Domains) -> Option<usize> {
    let bytes = text.as_bytes();
    match bytes.first()? {
        b'<' => {
            let (open, close) =
                if text.starts_with("<a href=\"") { ("<a href=\"", "\">") } else { ("<", ">") };
            let inner = bare_url_length(&bytes[open.len()..], domains)?;
            let rest = text[open.len() + inner..].strip_prefix(close)?;
            let mut length = text.len() - rest.len();
            if open.len() > 1 {
                let label = rest.find('<').filter(|length| *length > 0)?;
                rest[label..].strip_prefix("</a>")?;
                length += label + "</a>".len();
            }
            Some(length)
        }
        b'/' | b'-' | b'_' => bare_url_length(bytes, domains),
        first if first.is_ascii_alphanumeric() => bare_url_length(bytes, domains),
        _ => None,
    }
}

fn bare_url_length(bytes: &[u8], domains: &Domains) -> Option<usize> {
    let mut longest = with_host(bytes, 0, false, domains);
    let scheme = if bytes.starts_with(b"http") {
        4
    } else if bytes.starts_with(b"ftp") {
        3
    } else {
        0
    };
    let secure = scheme > 0 && bytes.get(scheme) == Some(&b's');
    for colon in [scheme, scheme + usize::from(secure)] {
        let slashes = if scheme == 0 { 0 } else { colon + 1 };
        if scheme > 0 && bytes.get(colon) != Some(&b':') {
            continue;
        }
        if bytes.get(slashes..slashes + 2) == Some(b"//") {
            longest = longest.max(with_host(bytes, slashes + 2, scheme > 0, domains));
            longest = longest.max(with_address(bytes, slashes + 2));
        }
    }
    longest
}

/// The longest URL whose host starts at a place.
fn with_host(bytes: &[u8], host: usize, any_path: bool, domains: &Domains) -> Option<usize> {
    let rest = &bytes[host..];
    let run = rest.iter().take_while(|b| is_label(**b) || **b == b'.').count();
    let mut longest = rest.starts_with(b"localhost").then(|| with_port(bytes, host + 9, any_path));
    for dot in 1..run {
        if rest[dot] != b'.' {
            continue;
        }
        if rest[dot - 1] == b'.' {
            break;
        }
        if domains.long_first_label && !first_label_is_long(rest) {
            break;
        }
        let letters = rest[dot + 1..run].iter().take_while(|b| b.is_ascii_lowercase()).count();
        for length in 1..=letters {
            if domains.is_top_level(&rest[dot + 1..dot + 1 + length]) {
                let end = with_port(bytes, host + dot + 1 + length, any_path);
                longest = longest.max(Some(end));
            }
        }
    }
    longest
}

fn is_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// Whether the first label has two characters and starts with no digit.
fn first_label_is_long(host: &[u8]) -> bool {
    !host[0].is_ascii_digit() && host.get(1).is_some_and(|byte| is_label(*byte))
}

/// The longest URL whose host is an address.
fn with_address(bytes: &[u8], host: usize) -> Option<usize> {
    let mut at = host;
    for part in 0..4 {
        if part > 0 {
            (bytes.get(at) == Some(&b'.')).then_some(())?;
            at += 1;
        }
        (b'1'..=b'9').contains(bytes.get(at)?).then_some(())?;
        let digits = bytes[at..].iter().take(3).take_while(|b| b.is_ascii_digit()).count();
        at += digits;
    }
    Some(with_port(bytes, at, false))
}

/// Where a URL ends whose host ends at a place.
fn with_port(bytes: &[u8], end: usize, any_path: bool) -> usize {
    let path = path_length(&bytes[end..], any_path);
    let digits = bytes[end..].iter().skip(1).take_while(|b| b.is_ascii_digit()).count();
    if bytes.get(end) == Some(&b':') && digits > 0 {
        let after = end + 1 + digits;
        return after + path_length(&bytes[after..], any_path);
    }
    end + path
}

fn path_length(bytes: &[u8], any: bool) -> usize {
    let Some(b'/' | b'?') = bytes.first() else { return 0 };
    let in_path = |b: &&u8| b.is_ascii_alphanumeric() || b"-_~=?&%+.:/#".contains(b);
    let whole = 1 + bytes[1..].iter().take_while(in_path).count();
    let first = bytes.get(1).copied().unwrap_or(b' ');
    let segment = bytes[1..].iter().take_while(|b| is_label(**b)).count();
    let numbered = first.is_ascii_digit() && bytes.get(1 + segment) == Some(&b'/');
    if any || first.is_ascii_alphabetic() || numbered { whole } else { 0 }
}
