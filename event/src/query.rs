//! Query strings, and the form bodies that follow the same rules.
//!
//! A query string is taken as the query of a URL, so one illegal character or escape anywhere, even
//! in a fragment, spoils it whole. Pairs are separated by `&` or `;`; a name may lack its value;
//! a pair without a name is dropped. Order and duplicates are kept: which duplicate counts is for
//! the adapter to say.

use bumpalo::Bump;
use bumpalo::collections::{String as ArenaString, Vec as ArenaVec};

use crate::charset::Charset;
use crate::convert::digits;
use crate::raw_event::Parameter;
use crate::reason::Words;
use crate::url::chars::{self, Class, MalformedEscape};

/// The pairs of a query string in order, decoded.
///
/// The error says what is wrong at which index, as the JVM would. An unknown charset should not get
/// here: it
/// fails a payload earlier and otherwise, see [`Charset::named`]; if it does, it is the error.
pub fn parse<'a>(
    query: &'a str,
    encoding: &str,
    arena: &'a Bump,
) -> Result<&'a [Parameter<'a>], Words> {
    let charset = Charset::named(encoding).ok_or_else(|| Words::from(encoding.to_owned()))?;
    let query = checked(query)?;
    Ok(pairs(query, charset, arena))
}

/// The pairs of a query that has been checked already, as the query of a URL has.
pub(crate) fn pairs<'a>(query: &'a str, charset: Charset, arena: &'a Bump) -> &'a [Parameter<'a>] {
    let mut pairs = ArenaVec::new_in(arena);
    let mut rest = query;
    while !rest.is_empty() {
        let bytes = rest.as_bytes();
        let name_end = memchr::memchr3(b'=', b'&', b';', bytes).unwrap_or(bytes.len());
        let (name, after) = (&rest[..name_end], &rest[name_end..]);
        let (value, next) = match after.strip_prefix('=') {
            Some(after) => {
                let end = memchr::memchr2(b'&', b';', after.as_bytes()).unwrap_or(after.len());
                (Some(&after[..end]), &after[end..])
            }
            None => (None, after),
        };
        if !name.is_empty() {
            let value = value.map(|value| decode(value, charset, arena));
            pairs.push((decode(name, charset, arena), value));
        }
        rest = next.get(1..).unwrap_or_default();
    }
    pairs.into_bump_slice()
}

/// The query without its fragment, if both are legal; else what the JVM says of them.
fn checked(query: &str) -> Result<&str, Words> {
    const BASE: &str = "http://localhost/?";
    let index = |at: usize| BASE.len() + query[..at].encode_utf16().count();
    let refusal = |what: String| Words::quoting(what, printable(&format!("{BASE}{query}")));
    let illegal =
        |part, at| refusal(format!("Illegal character in {part} at index {}: ", index(at)));
    let malformed =
        |MalformedEscape(at)| refusal(format!("Malformed escape pair at index {}: ", index(at)));
    let end = chars::scan(query, 0, Class::URIC).map_err(malformed)?;
    match query.as_bytes().get(end) {
        None => Ok(query),
        Some(b'#') => match chars::scan(query, end + 1, Class::URIC).map_err(malformed)? {
            all if all == query.len() => Ok(&query[..end]),
            at => Err(illegal("fragment", at)),
        },
        Some(_) => Err(illegal("query", end)),
    }
}

/// Undoes the form encoding. What a sender should have encoded and did not stands for itself,
/// whatever the charset.
fn decode<'a>(text: &'a str, charset: Charset, arena: &'a Bump) -> &'a str {
    let plain = memchr::memchr2(b'%', b'+', text.as_bytes()).is_none();
    if plain && charset.extends_ascii() {
        return text;
    }
    let mut decoded = ArenaString::new_in(arena);
    let mut bytes = ArenaVec::with_capacity_in(text.len(), arena);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '+' => bytes.push(b' '),
            '%' => bytes.push(escape(&mut rest)),
            _ if c.is_ascii() => bytes.push(c as u8),
            _ if charset == Charset::Utf8 => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
            _ => {
                let before = std::mem::replace(&mut bytes, ArenaVec::new_in(arena));
                decoded.push_str(charset.decode(before.into_bump_slice(), arena));
                decoded.push(c);
            }
        }
    }
    let rest = charset.decode(bytes.into_bump_slice(), arena);
    if decoded.is_empty() {
        return rest;
    }
    decoded.push_str(rest);
    decoded.into_bump_str()
}

/// A form in another charset as one in UTF-8: the same names and values, escaped anew. A form that
/// is not well-formed stays as it is.
pub fn form_to_utf8<'a>(form: &'a str, charset: Charset, arena: &'a Bump) -> &'a str {
    if checked(form).is_err() {
        return form;
    }
    let mut out = ArenaString::with_capacity_in(form.len() * 2, arena);
    for part in form.split_inclusive(['=', '&', ';', '#']) {
        let (text, separator) = match part.strip_suffix(['=', '&', ';', '#']) {
            Some(text) => (text, &part[text.len()..]),
            None => (part, ""),
        };
        for byte in decode(text, charset, arena).bytes() {
            match byte {
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'.' | b'_' | b'*' => {
                    out.push(char::from(byte));
                }
                b' ' => out.push('+'),
                _ => out.push_str(bumpalo::format!(in arena, "%{:02X}", byte).as_str()),
            }
        }
        out.push_str(separator);
    }
    out.into_bump_str()
}

/// The byte of an escape whose percent sign has been read.
fn escape(rest: &mut std::str::Chars<'_>) -> u8 {
    let mut digit = || rest.next().and_then(digits::hexadecimal).unwrap_or_default();
    digit() << 4 | digit()
}

/// An exception's message as bad rows carry it: no instance numbers, no control characters.
fn printable(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = rest.find('@') {
        text.push_str(&rest[..=at]);
        rest = &rest[at + 1..];
        let instance = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let end = rest.bytes().position(|b| !instance(b)).unwrap_or(rest.len());
        if end > 0 && rest[end..].starts_with(';') {
            text.push_str("xxxxxx");
            rest = &rest[end..];
        }
    }
    text.push_str(rest);
    let mut text = text.replace('\t', "    ");
    text.retain(|c| !c.is_ascii_control());
    text.trim_matches(' ').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utf8<'a>(query: &'a str, arena: &'a Bump) -> &'a [Parameter<'a>] {
        parse(query, "UTF-8", arena).expect("a query string")
    }

    #[test]
    fn pairs_come_in_order() {
        let arena = Bump::new();
        let cases: [(&str, &[Parameter<'_>]); 17] = [
            ("", &[]),
            ("a=b&a=c", &[("a", Some("b")), ("a", Some("c"))]),
            ("a", &[("a", None)]),
            ("a=", &[("a", Some(""))]),
            ("a&", &[("a", None)]),
            ("=b&=&c", &[("c", None)]),
            ("a=b=c", &[("a", Some("b=c"))]),
            ("a+b=c+d+", &[("a b", Some("c d "))]),
            ("a=b;c=d", &[("a", Some("b")), ("c", Some("d"))]),
            ("&&a=1&;", &[("a", Some("1"))]),
            ("?a=b", &[("?a", Some("b"))]),
            ("a=b#c=d", &[("a", Some("b"))]),
            ("%61=%c3%A9&[x]=[1]", &[("a", Some("é")), ("[x]", Some("[1]"))]),
            ("a=%3B%26%3D%2B", &[("a", Some(";&=+"))]),
            ("a=%E9&b=%ED%A0%80", &[("a", Some("\u{fffd}")), ("b", Some("\u{fffd}"))]),
            ("a=日本&b=😀", &[("a", Some("日本")), ("b", Some("😀"))]),
            ("é=%C3é+%C3%A9", &[("é", Some("\u{fffd}é é"))]),
        ];
        for (query, expected) in cases {
            assert_eq!(utf8(query, &arena), expected, "{query}");
        }
    }

    #[test]
    fn one_illegal_character_spoils_all() {
        let arena = Bump::new();
        for (query, expected) in [
            ("a=%zz", "Malformed escape pair at index 20: http://localhost/?a=%zz"),
            ("é=%2", "Malformed escape pair at index 20: http://localhost/?é=%2"),
            ("😀=%u0041", "Malformed escape pair at index 21: http://localhost/?😀=%u0041"),
            ("a={}", "Illegal character in query at index 20: http://localhost/?a={}"),
            ("a=\0", "Illegal character in query at index 20: http://localhost/?a="),
            ("\t=", "Illegal character in query at index 18: http://localhost/?    ="),
            ("a=\u{2028}", "Illegal character in query at index 20: http://localhost/?a=\u{2028}"),
            ("a#b#c", "Illegal character in fragment at index 21: http://localhost/?a#b#c"),
            ("a#%zz", "Malformed escape pair at index 20: http://localhost/?a#%zz"),
            ("@0f; ", "Illegal character in query at index 22: http://localhost/?@xxxxxx;"),
        ] {
            let refusal = parse(query, "utf8", &arena).expect_err(query);
            assert_eq!(refusal.to_string(), expected, "{query}");
            let quoted = refusal.withheld().to_string();
            assert!(!quoted.contains("localhost") && quoted.contains("at index"), "{quoted}");
        }
        for illegal in [' ', '"', '<', '>', '\\', '^', '`', '{', '|', '}', '\u{7f}', '\u{a0}'] {
            assert!(parse(&format!("a={illegal}"), "UTF-8", &arena).is_err(), "{illegal}");
        }
    }

    #[test]
    fn charsets_say_what_escapes_mean() {
        let arena = Bump::new();
        for (encoding, query, expected) in [
            ("ISO-8859-1", "a=%E9", "é"),
            ("latin1", "a=é%E9日", "éé日"),
            ("latin1", "a=日", "日"),
            ("Shift_JIS", "a=%83e%83X%83g", "テスト"),
            ("windows-1251", "a=%DF%ED%E4%E5%EA%F1+Я", "Яндекс Я"),
            ("GB18030", "a=%D6%D0", "中"),
            ("UTF-16BE", "a=%00H日%00i", "H日i"),
            ("US-ASCII", "a=%E9b", "\u{fffd}b"),
            ("utf-16be", "a=%00H%00i", "Hi"),
            ("UTF-16", "a=%FF%FEH%00", "H"),
            ("UTF-16LE", "a=H%00i", "H\u{fffd}"),
        ] {
            let pairs = parse(query, encoding, &arena).expect("a query string");
            assert_eq!(pairs[0].1, Some(expected), "{encoding} {query}");
        }
        assert_eq!(parse("a=b", "UTF 8", &arena), Err("UTF 8".to_owned().into()));
    }

    #[test]
    fn a_form_is_escaped_anew_in_utf8() {
        let arena = Bump::new();
        let sjis = Charset::named("Shift_JIS").expect("a charset");
        for (form, expected) in [
            ("a=%83e&b+c=d;e=%26", "a=%E3%83%86&b+c=d;e=%26"),
            ("%83e=テ&=", "%E3%83%86=%E3%83%86&="),
            ("a=%zz", "a=%zz"),
            ("", ""),
        ] {
            assert_eq!(form_to_utf8(form, sjis, &arena), expected, "{form}");
        }
    }

    #[test]
    fn plain_texts_are_not_copied() {
        let arena = Bump::new();
        let query = "name=value";
        let pairs = utf8(query, &arena);
        assert!(std::ptr::eq(pairs[0].0, &query[..4]));
        assert!(std::ptr::eq(pairs[0].1.expect("a value"), &query[5..]));
    }

    proptest! {
        #[test]
        fn encoded_pairs_round_trip(
            pairs in proptest::collection::vec(("\\PC{1,9}", any::<String>()), 0..6),
        ) {
            let arena = Bump::new();
            let encode = |text: &str| -> String {
                text.bytes().map(|byte| format!("%{byte:02x}")).collect()
            };
            let query: Vec<_> = pairs
                .iter()
                .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
                .collect();
            let query = query.join("&");
            let expected: Vec<_> =
                pairs.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))).collect();
            prop_assert_eq!(utf8(&query, &arena), expected);
        }

        #[test]
        fn any_text_is_a_query_or_not(text in "[&;=%+#a-f0-9]*|.*", charset in 0..3_usize) {
            let arena = Bump::new();
            let _ = parse(&text, ["UTF-8", "UTF-16", "US-ASCII"][charset], &arena);
        }
    }
}
