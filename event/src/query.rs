//! Query strings, and the form bodies that follow the same rules.
//!
//! A query string is taken as the query of a URL, so one illegal character or escape anywhere, even
//! in a fragment, spoils it whole. Pairs are separated by `&` or `;`; a name may lack its value;
//! a pair without a name is dropped. Order and duplicates are kept: which duplicate counts is for
//! the adapter to say.

use bumpalo::Bump;
use bumpalo::collections::{String as ArenaString, Vec as ArenaVec};

use crate::convert;
use crate::convert::digits;
use crate::raw_event::Parameter;
use crate::url::chars::{self, Class, MalformedEscape};

/// The charset that a collector says its query strings are in.
///
/// Collectors say UTF-8. The others are here because a JVM must know them; it may know more, which
/// are not worth carrying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8.
    Utf8,
    /// ISO-8859-1.
    Latin1,
    /// ISO-8859-15.
    Latin9,
    /// The western code page of Windows.
    Windows1252,
    /// US-ASCII.
    Ascii,
    /// UTF-16 in the order of its byte order mark, else with the high byte first.
    Utf16,
    /// UTF-16 with the high byte first.
    Utf16Be,
    /// UTF-16 with the low byte first.
    Utf16Le,
}

impl Charset {
    /// The charset of that name or alias, in any case.
    pub fn named(name: &str) -> Option<Charset> {
        const NAMES: [(Charset, &[&str]); 8] = [
            (Charset::Utf8, &["UTF-8", "UTF8", "unicode-1-1-utf-8"]),
            (
                Charset::Latin1,
                &[
                    "ISO-8859-1",
                    "ISO8859-1",
                    "ISO8859_1",
                    "ISO_8859-1",
                    "ISO_8859_1",
                    "8859_1",
                    "latin1",
                    "l1",
                    "cp819",
                    "csISOLatin1",
                ],
            ),
            (
                Charset::Latin9,
                &["ISO-8859-15", "ISO8859-15", "ISO8859_15", "ISO_8859-15", "latin9", "l9"],
            ),
            (Charset::Windows1252, &["windows-1252", "cp1252", "ibm-1252", "ibm1252"]),
            (
                Charset::Ascii,
                &["US-ASCII", "ASCII", "ISO646-US", "us", "cp367", "csASCII", "646", "default"],
            ),
            (Charset::Utf16, &["UTF-16", "UTF_16", "UTF16", "unicode", "UnicodeBig"]),
            (Charset::Utf16Be, &["UTF-16BE", "UTF_16BE", "UnicodeBigUnmarked"]),
            (Charset::Utf16Le, &["UTF-16LE", "UTF_16LE", "UnicodeLittleUnmarked"]),
        ];
        let of_name = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        NAMES.into_iter().find(|(_, names)| of_name(names)).map(|(charset, _)| charset)
    }

    /// The name to print.
    pub const fn name(self) -> &'static str {
        match self {
            Charset::Utf8 => "UTF-8",
            Charset::Latin1 => "ISO-8859-1",
            Charset::Latin9 => "ISO-8859-15",
            Charset::Windows1252 => "windows-1252",
            Charset::Ascii => "US-ASCII",
            Charset::Utf16 => "UTF-16",
            Charset::Utf16Be => "UTF-16BE",
            Charset::Utf16Le => "UTF-16LE",
        }
    }

    /// Whether an ASCII text encodes itself.
    const fn extends_ascii(self) -> bool {
        !matches!(self, Charset::Utf16 | Charset::Utf16Be | Charset::Utf16Le)
    }

    fn decode<'a>(self, bytes: &'a [u8], arena: &'a Bump) -> &'a str {
        let (charset, bytes) = match (self, bytes) {
            (Charset::Utf8, _) => return convert::utf8(bytes, arena),
            (Charset::Utf16, [0xff, 0xfe, rest @ ..]) => (Charset::Utf16Le, rest),
            (Charset::Utf16, [0xfe, 0xff, rest @ ..]) => (Charset::Utf16Be, rest),
            _ => (self, bytes),
        };
        let mut text = ArenaString::with_capacity_in(bytes.len() * 2, arena);
        let units = bytes.chunks(2).map(|unit| match (charset, unit) {
            (_, [_]) => 0xd800, // half a unit: as broken as half a pair
            (Charset::Utf16Le, [low, high, ..]) => u16::from_be_bytes([*high, *low]),
            (_, unit) => u16::from_be_bytes([unit[0], unit[1]]),
        });
        match charset {
            Charset::Latin1 => text.extend(bytes.iter().map(|byte| char::from(*byte))),
            Charset::Latin9 => text.extend(bytes.iter().map(|byte| latin9(*byte))),
            Charset::Windows1252 => text.extend(bytes.iter().map(|byte| windows_1252(*byte))),
            Charset::Ascii => text.extend(bytes.iter().map(|byte| match byte {
                0..0x80 => char::from(*byte),
                _ => char::REPLACEMENT_CHARACTER,
            })),
            _ => text.extend(
                char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)),
            ),
        }
        text.into_bump_str()
    }
}

const fn latin9(byte: u8) -> char {
    match byte {
        0xa4 => '€',
        0xa6 => 'Š',
        0xa8 => 'š',
        0xb4 => 'Ž',
        0xb8 => 'ž',
        0xbc => 'Œ',
        0xbd => 'œ',
        0xbe => 'Ÿ',
        _ => byte as char,
    }
}

const fn windows_1252(byte: u8) -> char {
    /// What stands in the place of the control characters 0x80 to 0x9F; five bytes are nothing.
    const UPPER_CONTROLS: [char; 32] = [
        '€', '\u{fffd}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{fffd}', 'Ž',
        '\u{fffd}', '\u{fffd}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ',
        '\u{fffd}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => UPPER_CONTROLS[byte as usize - 0x80],
        _ => byte as char,
    }
}

/// The pairs of a query string in order, decoded.
///
/// The error says what is wrong at which index, as the JVM would. An unknown charset should not get
/// here: it
/// fails a payload earlier and otherwise, see [`Charset::named`]; if it does, it is the error.
pub fn parse<'a>(
    query: &'a str,
    encoding: &str,
    arena: &'a Bump,
) -> Result<&'a [Parameter<'a>], String> {
    let charset = Charset::named(encoding).ok_or_else(|| encoding.to_owned())?;
    let query = checked(query).map_err(|refusal| printable(&refusal))?;
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
fn checked(query: &str) -> Result<&str, String> {
    const BASE: &str = "http://localhost/?";
    let index = |at: usize| BASE.len() + query[..at].encode_utf16().count();
    let illegal =
        |part, at| format!("Illegal character in {part} at index {}: {BASE}{query}", index(at));
    let malformed = |MalformedEscape(at)| {
        format!("Malformed escape pair at index {}: {BASE}{query}", index(at))
    };
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

/// Undoes the form encoding.
fn decode<'a>(text: &'a str, charset: Charset, arena: &'a Bump) -> &'a str {
    let plain = memchr::memchr2(b'%', b'+', text.as_bytes()).is_none();
    if plain && charset.extends_ascii() && text.is_ascii() {
        return text;
    }
    let mut bytes = ArenaVec::with_capacity_in(text.len(), arena);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '+' => bytes.push(b' '),
            '%' => bytes.push(escape(&mut rest)),
            _ if c.is_ascii() => bytes.push(c as u8),
            // Not encoded, which a sender must not do: the low bytes of its UTF-16 units are all
            // that a peer keeps.
            _ => bytes.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| *unit as u8)),
        }
    }
    charset.decode(bytes.into_bump_slice(), arena)
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
    fn code_pages_decode_as_the_jvm_has_them() {
        let arena = Bump::new();
        for (charset, expected) in [
            ("windows-1252", "€ÿ\u{fffd}Ÿ¤"),
            ("ISO-8859-15", "\u{80}ÿ\u{81}\u{9f}€"),
            ("l1", "\u{80}ÿ\u{81}\u{9f}¤"),
        ] {
            let pairs = parse("a=%80%ff%81%9f%a4", charset, &arena).expect("a query string");
            assert_eq!(pairs, [("a", Some(expected))], "{charset}");
        }
    }

    #[test]
    fn pairs_come_in_order() {
        let arena = Bump::new();
        let cases: [(&str, &[Parameter<'_>]); 16] = [
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
            ("a=日本&b=😀", &[("a", Some("\u{fffd},")), ("b", Some("=\0"))]),
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
            assert_eq!(parse(query, "utf8", &arena), Err(expected.to_owned()), "{query}");
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
            ("latin1", "a=é", "é"),
            ("US-ASCII", "a=%E9b", "\u{fffd}b"),
            ("utf-16be", "a=%00H%00i", "Hi"),
            ("UTF-16", "a=%FF%FEH%00", "H"),
            ("UTF-16LE", "a=H%00i", "H\u{fffd}"),
        ] {
            let pairs = parse(query, encoding, &arena).expect("a query string");
            assert_eq!(pairs[0].1, Some(expected), "{encoding} {query}");
        }
        assert_eq!(Charset::named("UTF 8"), None);
        assert_eq!(parse("a=b", "UTF 8", &arena), Err("UTF 8".to_owned()));
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
