//! The `format` keyword as the peer enforces it: on strings only, the whole text.
//!
//! `regex`, `json-pointer`, `uri-reference`, the `idn-` formats and unknown ones are not enforced
//! and have no [`Format`]. Rules are written out by hand where every event pays for them.

mod email;
mod time;

use std::net::Ipv6Addr;
use std::sync::LazyLock;

use crate::pattern::{Pattern, Room};

/// An enforced format.
#[derive(Debug)]
pub(crate) enum Format {
    /// RFC 3339, strictly.
    DateTime,
    /// ISO 8601, a day.
    Date,
    /// 8-4-4-4-12 hexadecimal digits.
    Uuid,
    /// With a scheme, in ASCII.
    Uri,
    /// A mail address under a known top-level domain.
    Email,
    /// A dotted quad without leading zeros.
    Ipv4,
    /// Without a zone.
    Ipv6,
    /// RFC 1123.
    Hostname,
    /// ISO 8601, `P1DT2H`.
    Duration,
    /// One of the formats that the peer defines by nothing but an expression.
    Expression(&'static str, &'static Pattern),
}

/// Formats defined by an expression that must match the whole text.
const EXPRESSIONS: [(&str, &str); 8] = [
    (
        "ip-address",
        concat!(
            r"^(?:(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)\.){3}",
            r"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)$",
        ),
    ),
    ("time", r"^\d{2}:\d{2}:\d{2}(?:\.\d+)?$"),
    ("alpha", "^[a-zA-Z]+$"),
    ("alphanumeric", "^[a-zA-Z0-9]+$"),
    ("phone", r"^\+(?:[0-9] ?){6,14}[0-9]$"),
    ("utc-millisec", r"^[0-9]+(\.?[0-9]+)?$"),
    ("style", r"\s*(.+?):\s*([^;]+);?"),
    (
        "color",
        concat!(
            r"(#?([0-9A-Fa-f]{3,6})\b)|(aqua)|(black)|(blue)|(fuchsia)|(gray)|(green)|(lime)|",
            r"(maroon)|(navy)|(olive)|(orange)|(purple)|(red)|(silver)|(teal)|(white)|(yellow)|",
            r"(rgb\(\s*\b([0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])\b\s*,\s*",
            r"\b([0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])\b\s*,\s*",
            r"\b([0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])\b\s*\))|",
            r"(rgb\(\s*(\d?\d%|100%)+\s*,\s*(\d?\d%|100%)+\s*,\s*(\d?\d%|100%)+\s*\))",
        ),
    ),
];

/// The same, compiled once for all schemas.
static WHOLE: LazyLock<[Pattern; 8]> = LazyLock::new(|| {
    EXPRESSIONS.map(|(_, expression)| {
        // Within a match of the whole text, `$` has no line end to stop before.
        let inner = expression.trim_end_matches('$');
        let whole = Pattern::new(&format!(r"^(?:{inner})\z"), &mut Room::default());
        whole.expect("the table is well-formed")
    })
});

impl Format {
    /// The format of that name, if it is enforced.
    pub(crate) fn named(name: &str) -> Option<Format> {
        Some(match name {
            "date-time" => Format::DateTime,
            "date" => Format::Date,
            "uuid" => Format::Uuid,
            "uri" => Format::Uri,
            "email" => Format::Email,
            "ipv4" => Format::Ipv4,
            "ipv6" => Format::Ipv6,
            "hostname" => Format::Hostname,
            "duration" => Format::Duration,
            _ => {
                let index = EXPRESSIONS.iter().position(|(format, _)| *format == name)?;
                Format::Expression(EXPRESSIONS[index].1, &WHOLE[index])
            }
        })
    }

    /// Whether a text has this format.
    pub(crate) fn accepts(&self, text: &str) -> bool {
        match self {
            Format::DateTime => time::is_date_time(text),
            Format::Date => time::is_date(text),
            Format::Uuid => is_uuid(text.as_bytes()),
            Format::Uri => is_uri(text.as_bytes()),
            Format::Email => email::is_email(text),
            Format::Ipv4 => is_ipv4(text),
            Format::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Format::Hostname => text.split('.').all(is_label),
            Format::Duration => time::is_duration(text),
            Format::Expression(_, pattern) => pattern.is_match(text),
        }
    }

    /// How many characters texts of this format have at least and at most.
    pub(crate) fn lengths(&self) -> (u64, u64) {
        match self {
            Format::Uuid => (36, 36),
            // Years have up to nine digits and a sign.
            Format::Date => (10, 16),
            Format::DateTime => (20, u64::MAX),
            Format::Ipv4 => (7, 15),
            Format::Ipv6 => (2, 45),
            Format::Email => (6, u64::MAX),
            Format::Duration => (3, u64::MAX),
            Format::Uri => (2, u64::MAX),
            Format::Hostname | Format::Expression(..) => (1, u64::MAX),
        }
    }

    /// What a report says of a text that does not have this format: keyword, message and targets.
    pub(crate) fn report(&self, name: &str, text: &str) -> (&'static str, String, Vec<String>) {
        let owned = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        let pattern = |pattern: &str| {
            let message = format!("does not match the {name} pattern {pattern}");
            ("format", message, owned(name, pattern))
        };
        match self {
            Format::DateTime | Format::Date => {
                ("dateTime", format!("{text} is an invalid {name}"), owned(text, name))
            }
            Format::Uuid => ("uuid", format!("{text} is an invalid uuid"), owned(text, name)),
            Format::Email | Format::Duration => {
                let message = format!("does not match the {text} pattern {name}");
                ("format", message, owned(text, name))
            }
            Format::Uri => pattern("<scheme>:[//<authority>][<path>][?<query>][#<fragment>]"),
            Format::Ipv4 => pattern("<0-255>.<0-255>.<0-255>.<0-255>"),
            Format::Ipv6 => pattern("<RFC 4291, no zone>"),
            Format::Hostname => pattern("<label>[.<label>]…"),
            Format::Expression(expression, _) => pattern(expression),
        }
    }
}

fn is_uuid(text: &[u8]) -> bool {
    let Ok(text) = <&[u8; 36]>::try_from(text) else { return false };
    // Counted without branches, many bytes at a time: all but the four hyphens are digits.
    let digits: u8 = text.iter().map(|byte| u8::from(byte.is_ascii_hexdigit())).sum();
    digits == 32 && [8, 13, 18, 23].iter().all(|at| text[*at] == b'-')
}

/// Characters of a user or host (`HOST`, brackets included) and of a path (`PATH`).
const HOST: u8 = 1;
const PATH: u8 = 2;

/// Which characters may stand where in a URI.
const URI_CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let both = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-%!$&'()*+,;=:";
    let mut at = 0;
    while at < both.len() {
        classes[both[at] as usize] = HOST | PATH;
        at += 1;
    }
    classes[b'[' as usize] = HOST;
    classes[b']' as usize] = HOST;
    classes[b'@' as usize] = PATH;
    classes[b'/' as usize] = PATH;
    classes
};

/// How many bytes at the start of the text are of a class.
fn run(text: &[u8], class: u8) -> usize {
    let stop = text.iter().position(|byte| URI_CLASSES[usize::from(*byte)] & class == 0);
    stop.unwrap_or(text.len())
}

fn is_uri(text: &[u8]) -> bool {
    let Some(colon) = text.iter().position(|byte| *byte == b':') else { return false };
    let scheme = text[..colon].split_first().is_some_and(|(first, rest)| {
        let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-');
        first.is_ascii_alphabetic() && rest.iter().all(inner)
    });
    let rest = &text[colon + 1..];
    scheme && (is_path_and_query(rest) || rest.strip_prefix(b"//").is_some_and(is_bracketed_rest))
}

/// After `//`, where a host may hold brackets; without them the path rule has said yes already.
fn is_bracketed_rest(text: &[u8]) -> bool {
    if is_path_and_query(&text[run(text, HOST)..]) {
        return true;
    }
    let user = text.iter().position(|byte| *byte == b'@').filter(|at| run(text, PATH) >= *at);
    user.is_some_and(|at| {
        let host = &text[at + 1..];
        !text[..at].contains(&b'/') && is_path_and_query(&host[run(host, HOST)..])
    })
}

/// `[path][?query][#fragment]`
fn is_path_and_query(text: &[u8]) -> bool {
    let mut rest = &text[run(text, PATH)..];
    for mark in [b'?', b'#'] {
        if let Some(after) = rest.strip_prefix(&[mark]) {
            let question = |byte: &u8| *byte == b'?' || URI_CLASSES[usize::from(*byte)] & PATH != 0;
            rest = &after[after.iter().position(|byte| !question(byte)).unwrap_or(after.len())..];
        }
    }
    rest.is_empty()
}

fn is_ipv4(text: &str) -> bool {
    let octet = |part: &str| {
        let canonical = part == "0" || !part.starts_with('0');
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        canonical && digits && part.parse::<u8>().is_ok()
    };
    text.split('.').count() == 4 && text.split('.').all(octet)
}

/// One label of a host name: letters, digits and inner hyphens, at most 63.
fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn accepts(format: &str, text: &str) -> bool {
        Format::named(format).expect("the format is enforced").accepts(text)
    }

    #[test]
    fn formats_draw_the_line_where_the_peer_does() {
        for (format, text) in [
            ("uri", "http://u:p@a.test:80/p?q#f"),
            ("uri", "x://[::1]/"),
            ("uri", "x://u@[::1]:5/a@b"),
            ("uri", "http:"),
            ("uri", "http://a.com/%zz"),
            ("ipv4", "255.255.255.255"),
            ("ip-address", "01.02.3.4"),
            ("ipv6", "::ffff:1.2.3.4"),
            ("ipv6", "1:2:3:4:5:6:7::"),
            ("hostname", "a-b.test"),
            ("uuid", "B8BA9CBB-7a6d-4a5e-9b1e-0f1a2b3c4d5e"),
            ("time", "99:99:99.5"),
            ("color", "#fff"),
            ("style", "color: red;"),
        ] {
            assert!(accepts(format, text), "{format} {text}");
        }
        for (format, text) in [
            ("uri", "/p"),
            ("uri", "http://a.test/[x]"),
            ("uri", "http://a/b@[::1]"),
            ("uri", "http://a.test/a b"),
            ("uri", "http://a.test/é"),
            ("uri", ""),
            ("ipv4", "01.2.3.4"),
            ("ipv4", "1.2.3.4."),
            ("ipv6", "fe80::1%eth0"),
            ("ipv6", " ::1"),
            ("hostname", "a_b"),
            ("hostname", "a.test."),
            ("uuid", "b8ba9cbb7a6d4a5e9b1e0f1a2b3c4d5e"),
            ("time", "10:11:12Z"),
            ("color", "#ggg"),
            ("alpha", "abc\n"),
        ] {
            assert!(!accepts(format, text), "{format} {text}");
        }
        for format in ["regex", "uri-reference", "json-pointer", "idn-email", "host-name", "x"] {
            assert!(Format::named(format).is_none(), "{format}");
        }
    }

    proptest! {
        #[test]
        fn the_uri_rule_is_this_expression(text in r"(x:|http://|)[a%:@/?#\[\] .]{0,8}") {
            let path = r"[A-Za-z0-9._~\-%!$&'()*+,;=:@/]*";
            let query = r"[A-Za-z0-9._~\-%!$&'()*+,;=:@/?]*";
            let user = r"[A-Za-z0-9._~\-%!$&'()*+,;=:]*";
            let host = r"[A-Za-z0-9._~\-!$&'()*+,;=%:\[\]]*";
            let expression = format!(
                r"^[A-Za-z][A-Za-z0-9+.-]*:(//({user}@)?{host})?{path}([?]{query})?(#{query})?\z"
            );
            let expected = Pattern::new(&expression, &mut Room::default());
            let expected = expected.expect("well-formed").is_match(&text);
            prop_assert_eq!(accepts("uri", &text), expected, "{}", text);
        }
    }
}
