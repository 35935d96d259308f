//! Page and referrer URLs, taken apart as a running peer does.
//!
//! A URL is first read strictly ([`strict`]), spaces apart. What that refuses is read again in a
//! relaxed way that percent-encodes whatever may not stand where it stands ([`relaxed`]), and the
//! result must then pass the strict reading. Nothing is normalised beyond that: parts keep their
//! escapes and their case. An ordinary URL is looked at once and borrowed.

pub(crate) mod chars;
mod host;
mod relaxed;
mod strict;

use bumpalo::Bump;

use crate::charset::Charset;
use crate::convert::{self, TimestampError};
use crate::query;
use crate::raw_event::Parameter;
use crate::reason::Words;

/// A URL in the form that is stored, and its parts, percent-escapes kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Url<'a> {
    /// The whole: the input, unless something had to be escaped.
    pub text: &'a str,
    /// What stands before the colon.
    pub scheme: Option<&'a str>,
    /// The host, if the authority is a host name or an address; IPv6 keeps its brackets.
    pub host: Option<&'a str>,
    /// The explicit port, else 443 for `https` in lower case, else 80.
    pub port: i32,
    /// The path; `None` when empty.
    pub path: Option<&'a str>,
    /// The query; `None` when empty.
    pub query: Option<&'a str>,
    /// The fragment; `None` when empty.
    pub fragment: Option<&'a str>,
}

/// Why a cross-domain parameter could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrossDomainError {
    /// Its second part is no timestamp.
    #[error("{error}")]
    Timestamp {
        /// The second part.
        value: String,
        /// What is wrong with it.
        error: TimestampError,
    },
    /// It has dots and nothing else.
    #[error("nothing but dots")]
    OnlyDots,
}

/// Reads a URL; the error is the message of a failure.
pub fn parse<'a>(text: &'a str, arena: &'a Bump) -> Result<Url<'a>, Words> {
    strict::parse(escape_spaces(text, arena)).map(Url::from).or_else(|first| {
        let relaxed = relaxed::rewrite(text, arena).ok_or_else(|| relaxed::REFUSAL.to_owned());
        let parsed =
            relaxed.and_then(|text| strict::parse(text).map_err(|refusal| refusal.to_string()));
        parsed.map(Url::from).map_err(|second| {
            let quoted = format!(
                "[{text}] could not be parsed, neither by Java parsing (error: [{first}]) \
                 nor by Scala parsing (error: [{second}])."
            );
            Words::quoting("Provided URI ", quoted)
        })
    })
}

/// The user and the time, as text of a timestamp field, that the page which linked here put into
/// the parameter `_sp`, `<user>.<milliseconds>.…`. Neither of them is there for an empty value.
pub fn cross_domain<'a>(
    value: &'a str,
    arena: &'a Bump,
) -> Result<(Option<&'a str>, Option<&'a str>), CrossDomainError> {
    let trimmed = value.trim_end_matches('.');
    if trimmed.is_empty() && !value.is_empty() {
        return Err(CrossDomainError::OnlyDots);
    }
    let mut parts = trimmed.split('.');
    let user = parts.next().and_then(|user| convert::tsv_safe(user, arena));
    let time = parts.next().map(|value| {
        let time = convert::ms_timestamp(value, arena).map(|(_, text)| text);
        time.map_err(|error| CrossDomainError::Timestamp { value: value.to_owned(), error })
    });
    Ok((user, time.transpose()?))
}

impl<'a> Url<'a> {
    /// The parameters of the query.
    pub fn parameters(&self, charset: Charset, arena: &'a Bump) -> &'a [Parameter<'a>] {
        query::pairs(self.query.unwrap_or_default(), charset, arena)
    }
}

impl<'a> From<strict::Parts<'a>> for Url<'a> {
    fn from(parts: strict::Parts<'a>) -> Url<'a> {
        let some = |part: Option<&'a str>| part.filter(|part| !part.is_empty());
        let default = if parts.scheme == Some("https") { 443 } else { 80 };
        Url {
            text: parts.text,
            scheme: parts.scheme,
            host: parts.host,
            port: parts.port.unwrap_or(default),
            path: some(parts.path),
            query: some(parts.query),
            fragment: some(parts.fragment),
        }
    }
}

fn escape_spaces<'a>(text: &'a str, arena: &'a Bump) -> &'a str {
    if memchr::memchr(b' ', text.as_bytes()).is_none() {
        return text;
    }
    let mut escaped = bumpalo::collections::String::with_capacity_in(text.len() + 16, arena);
    for (index, part) in text.split(' ').enumerate() {
        if index > 0 {
            escaped.push_str("%20");
        }
        escaped.push_str(part);
    }
    escaped.into_bump_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `text scheme host port path query fragment`, absent parts as a hyphen.
    fn check(text: &str, expected: &str) {
        let arena = Bump::new();
        let url = parse(text, &arena).expect(text);
        let part = |part: Option<&str>| part.unwrap_or("-").to_owned();
        let port = url.port.to_string();
        let parts = [part(url.scheme), part(url.host), port, part(url.path), part(url.query)];
        let found = format!("{} {} {}", url.text, parts.join(" "), part(url.fragment));
        assert_eq!(found, expected, "{text}");
    }

    fn text(text: &str) -> String {
        let arena = Bump::new();
        parse(text, &arena).expect(text).text.to_owned()
    }

    fn host(authority: &str) -> String {
        let arena = Bump::new();
        let text = format!("http://{authority}/");
        let url = parse(&text, &arena).expect("a URL");
        format!("{}:{}", url.host.unwrap_or("-"), url.port)
    }

    #[test]
    fn urls_fall_apart() {
        for (url, expected) in [
            ("http://a.test/p?x=1&y=2#f/g?h", "http a.test 80 /p x=1&y=2 f/g?h"),
            ("https://u:p@a.test:8443", "https a.test 8443 - - -"),
            ("https://a.test/", "https a.test 443 / - -"),
            ("HTTPS://A.test/", "HTTPS A.test 80 / - -"),
            ("//a.test/p", "- a.test 80 /p - -"),
            ("p/q?", "- - 80 p/q - -"),
            ("", "- - 80 - - -"),
            ("#f", "- - 80 - - f"),
            ("mailto:a@b.test?x", "mailto - 80 - - -"),
            ("a.test:8080/p", "a.test - 80 - - -"),
            ("file:///p", "file - 80 /p - -"),
            ("com.acme.app://open/x?y=1", "com.acme.app open 80 /x y=1 -"),
            ("http://a.test/%C3%A9?x[0]=[z]&q=é'#%23", "http a.test 80 /%C3%A9 x[0]=[z]&q=é' %23"),
        ] {
            check(url, &format!("{url} {expected}"));
        }
        check("http://a.test/a b", "http://a.test/a%20b http a.test 80 /a%20b - -");
    }

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for named in [
            "a",
            "1",
            "1.a",
            "a.",
            "xn--a.c",
            "1.2.3.4",
            "01.2.3.255",
            "[::1]",
            "[1:2::3%eth0]",
            "[2001:DB8::1]",
            "[::ffff:1.2.3.4]",
            "[1:2:3:4:5:6:7:8]",
            "[1:2:3:4:5:6:1.2.3.4]",
        ] {
            assert_eq!(host(named), format!("{named}:80"));
        }
        for none in [
            "a_b.test",
            "é.test",
            "a.1",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.4.",
            "256.1.1.1",
            "a..b",
            "a-.c",
            "-a",
            ".a",
            "a%20b",
            "a&b",
            "u@v@a",
            "u@",
            "*.a",
            "a:b",
            "a:-1",
            "a:80:90",
            "a:99999999999",
        ] {
            assert_eq!(host(none), "-:80", "{none}");
        }
        assert_eq!(host("a:"), "a:80");
        assert_eq!(host("@a:2147483647"), "a:2147483647");
        assert_eq!(host("u:p@[::1]:99"), "[::1]:99");
    }

    #[test]
    fn what_is_illegal_is_escaped_where_it_stands() {
        for (url, expected) in [
            ("http://a.test/x:y|z?u=http://b", "http://a.test/x%3Ay%7Cz?u=http%3A%2F%2Fb"),
            ("http://a.test/[x]", "http://a.test/%5Bx%5D"),
            ("http://a.test/p?x={{y}}&z", "http://a.test/p?x=%7B%7By%7D%7D&z"),
            ("http://a.test/%zz%41%2B+%7c", "http://a.test/%25zzA++%7C"),
            ("http://a.test/%+1%-1|", "http://a.test/%01%EF%BF%BD%7C"),
            ("http://a.test/|%E9t", "http://a.test/%7C%EF%BF%BDt"),
            ("http://a.test/|日😀", "http://a.test/%7C%E6%97%A5%3F%3F"),
            ("http://a.test/p#a#b", "http://a.test/p#a%23b"),
            ("http://a.test/|?", "http://a.test/%7C"),
            ("http://a.test/|?&a=&&b=c=d&#", "http://a.test/%7C?&a=&&b=c%3Dd&#"),
            ("http://u:p?@a.test:0080/|", "http://u:p%3F@a.test:80/%7C"),
            ("http://[2001:DB8::0:1]/|", "http://[2001:db8::1]/%7C"),
            ("http://[::ffff:1.2.3.4]/|", "http://[::ffff:102:304]/%7C"),
            ("http://[1:0:0:2:0:0:0:3]/|", "http://[1:0:0:2::3]/%7C"),
            ("http://[1:0:2:3:4:5:6:7]/|", "http://[1:0:2:3:4:5:6:7]/%7C"),
            ("http://01.2.3.004/|", "http://1.2.3.4/%7C"),
            ("//a.test/|", "//a.test/%7C"),
            ("mailto:a|b@c.test", "mailto:a%7Cb%40c.test"),
            ("a/b:c|", "a/b%3Ac%7C"),
            ("#|", "#%7C"),
            ("data:text/html;a=b;,<b>/", "data:text/html;a=b,%3Cb%3E%2F"),
            ("data:;charset=utf-8,<b>", "data:;charset=utf-8,%3Cb%3E"),
            ("data:;a;,<b>", "data:%3Ba%3B%2C%3Cb%3E"),
            ("urn:isbn:a/b%zz", "urn:isbn:a%2Fb%25zz"),
            ("urn:i:a%zz", "urn:i%3Aa%25zz"),
        ] {
            assert_eq!(text(url), expected, "{url}");
        }
    }

    #[test]
    fn what_no_reading_accepts_is_refused_with_both_reasons() {
        let arena = Bump::new();
        for url in [
            "1http://a.test/",
            ":",
            "a:",
            "//",
            "//|",
            "{\"a\":1}",
            "http://a|b.test/p",
            "http://[x",
            "http://[1::2::3]/",
            "http://[1:2:3:4:5:6:7::8]/",
            "http://[]/",
            "http://[12345::]/",
            "http://a b/|",
            "a%3Ab|",
            "http://a.test:/|",
            "http://a.test:x/|",
            "http://a.test/|?=v",
            "http://u[x]@a.test/",
            "http://a.test:00000000080/|",
            "http://[::1%]/",
            "http://a%zz/",
            "data:;charset=none,<b>",
            "data:;base64,<b>",
            "data:<b>,<b>",
        ] {
            let error = parse(url, &arena).expect_err(url);
            let error = error.text();
            let start =
                format!("Provided URI [{url}] could not be parsed, neither by Java parsing");
            assert!(error.starts_with(&start), "{error}");
        }
        let error = parse("é:p", &arena).expect_err("no scheme");
        let error = error.text();
        let reason = "(error: [Illegal character in scheme name at index 0: é:p]) nor by";
        assert!(error.contains(reason), "{error}");
    }

    #[test]
    fn pages_say_who_sent_the_user() {
        let arena = Bump::new();
        let time = Some("2023-11-14 22:13:20.123");
        for (value, expected) in [
            ("", (None, None)),
            ("abc", (Some("abc"), None)),
            ("abc.", (Some("abc"), None)),
            ("a\tb.1700000000123", (Some("a    b"), time)),
            ("\n.1700000000123.more.of.it", (None, time)),
            (".1700000000123", (None, time)),
        ] {
            assert_eq!(cross_domain(value, &arena), Ok(expected), "{value}");
        }
        assert_eq!(cross_domain("...", &arena), Err(CrossDomainError::OnlyDots));
        let error = TimestampError::NotMillis;
        for (value, part) in [("abc.x", "x"), ("abc..x", "")] {
            let value = cross_domain(value, &arena);
            let error =
                CrossDomainError::Timestamp { value: part.to_owned(), error: error.clone() };
            assert_eq!(value, Err(error));
        }
    }

    #[test]
    fn an_ordinary_url_is_borrowed() {
        let arena = Bump::new();
        let text = "https://www.a.test/p?q=1#f";
        assert!(std::ptr::eq(parse(text, &arena).expect("a URL").text, text));
        assert_eq!(arena.allocated_bytes(), 0);
    }

    proptest! {
        #[test]
        fn any_text_is_a_url_or_not(
            text in "([a-z]{1,4}:)?(//)?[\\[\\]:@a-c0-9.%]{0,12}[/?#&=:;,|a%é😀 -]{0,16}|.*",
        ) {
            let arena = Bump::new();
            if let Ok(url) = parse(&text, &arena) {
                // What was accepted once is accepted again, as it stands.
                prop_assert_eq!(parse(url.text, &arena), Ok(url));
                prop_assert!(!url.text.contains(|c: char| c.is_ascii_control() || c == ' '));
            }
        }

        #[test]
        fn parts_make_up_the_text(
            text in "[a-z]{1,5}://[a-z0-9.]{1,9}(/[a-z%41]{0,5})?(\\?[a-z=&]{0,6})?(#[a-z]{0,4})?",
        ) {
            let arena = Bump::new();
            if let Ok(parts) = strict::parse(&text) {
                let mut whole = format!("{}://", parts.scheme.unwrap_or_default());
                let authority = &text[whole.len()..];
                let end = authority.find(['/', '?', '#']).unwrap_or(authority.len());
                whole += &authority[..end];
                whole += parts.path.unwrap_or_default();
                whole += &parts.query.map(|query| format!("?{query}")).unwrap_or_default();
                whole += &parts.fragment.map(|part| format!("#{part}")).unwrap_or_default();
                prop_assert_eq!(&whole, &text);
                prop_assert_eq!(parse(&text, &arena).expect("strict").text, text.as_str());
            }
        }

        #[test]
        fn any_text_names_a_user_or_not(text in "[.0-9]*|.*") {
            let arena = Bump::new();
            let _ = cross_domain(&text, &arena);
        }
    }
}
