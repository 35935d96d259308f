//! Measuring URLs: with or without a scheme, by a host whose last part is a top level domain, or by
//! an address; bare, in angle brackets, or as the link of a page.

use std::ops::Range;

use crate::yauaa::domains::Domains;

/// Where in a text the characters of a host's name last ended, so that not every start within them
/// counts them anew.
#[derive(Default)]
pub(super) struct Labels {
    counted: Range<usize>,
    /// How many characters were looked at.
    pub(super) looks: u32,
}

impl Labels {
    /// Where the characters of a host's name end that begin at a place.
    fn end(&mut self, text: &[u8], start: usize) -> usize {
        if !self.counted.contains(&start) {
            let length = text[start..].iter().take_while(|b| is_label(**b) || **b == b'.').count();
            self.looks += length as u32;
            self.counted = start..start + length;
        }
        self.counted.end.max(start)
    }
}

/// The length of the longest URL at a place of a text.
pub(super) fn url_length(
    whole: &str,
    start: usize,
    domains: &Domains,
    labels: &mut Labels,
) -> Option<usize> {
    let (text, bytes) = (&whole[start..], whole.as_bytes());
    let end = match text.as_bytes().first()? {
        b'<' => in_brackets(whole, start, domains, labels)?,
        b'/' | b'-' | b'_' => bare_url(bytes, start, domains, labels)?,
        first if first.is_ascii_alphanumeric() => bare_url(bytes, start, domains, labels)?,
        _ => return None,
    };
    Some(end - start)
}

/// Where a URL in angle brackets, or the link of a page, ends.
fn in_brackets(whole: &str, start: usize, domains: &Domains, labels: &mut Labels) -> Option<usize> {
    let link = whole[start..].starts_with("<a href=\"");
    let (open, close) = if link { ("<a href=\"", "\">") } else { ("<", ">") };
    let inner = bare_url(whole.as_bytes(), start + open.len(), domains, labels)?;
    let rest = whole[inner..].strip_prefix(close)?;
    if !link {
        return Some(whole.len() - rest.len());
    }
    let label = rest.find('<').filter(|length| *length > 0)?;
    let behind = rest[label..].strip_prefix("</a>")?;
    Some(whole.len() - behind.len())
}

/// Where the longest URL ends that begins at a place.
fn bare_url(text: &[u8], start: usize, domains: &Domains, labels: &mut Labels) -> Option<usize> {
    let mut longest = with_host(text, start, false, domains, labels);
    let bytes = &text[start..];
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
            let host = start + slashes + 2;
            longest = longest.max(with_host(text, host, scheme > 0, domains, labels));
            longest = longest.max(with_address(text, host));
        }
    }
    longest
}

/// Where the longest URL ends whose host starts at a place.
fn with_host(
    text: &[u8],
    host: usize,
    any_path: bool,
    domains: &Domains,
    labels: &mut Labels,
) -> Option<usize> {
    let rest = &text[host..];
    let mut longest = rest.starts_with(b"localhost").then(|| with_port(text, host + 9, any_path));
    let end = labels.end(text, host);
    for dot in memchr::memchr_iter(b'.', text.get(host + 1..end).unwrap_or_default()) {
        let dot = host + 1 + dot;
        labels.looks += 1;
        if text[dot - 1] == b'.' {
            break;
        }
        if domains.long_first_label && !first_label_is_long(rest) {
            break;
        }
        let behind = &text[dot + 1..end];
        let letters = behind.iter().take(domains.longest_top_level());
        let letters = letters.take_while(|b| b.is_ascii_lowercase()).count();
        for length in 1..=letters {
            if domains.is_top_level(&behind[..length]) {
                longest = longest.max(Some(with_port(text, dot + 1 + length, any_path)));
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
