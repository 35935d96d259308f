//! The charsets in which collectors hand texts over: query strings by the charset that the record
//! names, bodies by the one that their content type names.
//!
//! Collectors say UTF-8. Of the others UTF-8's relatives, Latin-1 and ASCII are read as a JVM reads
//! them, and all that browsers know by the tables of the Encoding Standard, under its names and
//! those of a JVM. What a charset has no character for becomes U+FFFD.

use bumpalo::Bump;
use bumpalo::collections::String as ArenaString;
use encoding_rs::{Encoding, REPLACEMENT, UTF_16BE, UTF_16LE};

use crate::convert;

/// What bytes of a text mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8.
    Utf8,
    /// ISO-8859-1, whose every byte is a character: not what browsers mean by that name.
    Latin1,
    /// US-ASCII.
    Ascii,
    /// UTF-16 in the order of its byte order mark, else with the high byte first.
    Utf16,
    /// Any other.
    Other(&'static Encoding),
}

/// Names that mean something else to a JVM than to browsers.
const OWN: [(Charset, &[&str]); 4] = [
    (Charset::Utf8, &["UTF-8", "UTF8", "unicode-1-1-utf-8"]),
    (
        Charset::Latin1,
        &[
            "ISO-8859-1",
            "ISO8859-1",
            "ISO8859_1",
            "ISO88591",
            "ISO_8859-1",
            "ISO_8859_1",
            "ISO_8859-1:1987",
            "iso-ir-100",
            "8859_1",
            "latin1",
            "l1",
            "cp819",
            "IBM819",
            "IBM-819",
            "csISOLatin1",
        ],
    ),
    (
        Charset::Ascii,
        &[
            "US-ASCII",
            "ASCII",
            "ANSI_X3.4-1968",
            "ANSI_X3.4-1986",
            "ISO_646.irv:1991",
            "ISO646-US",
            "iso-ir-6",
            "us",
            "cp367",
            "IBM367",
            "csASCII",
            "646",
            "default",
        ],
    ),
    (Charset::Utf16, &["UTF-16", "UTF_16", "UTF16", "unicode", "UnicodeBig"]),
];

/// Names by which a JVM alone knows a charset, and those of browsers.
const ALIASES: [(&str, &str); 19] = [
    ("UnicodeBigUnmarked", "UTF-16BE"),
    ("UnicodeLittleUnmarked", "UTF-16LE"),
    ("latin9", "ISO-8859-15"),
    ("ibm1252", "windows-1252"),
    ("ibm-1252", "windows-1252"),
    ("MS874", "windows-874"),
    ("MS936", "GBK"),
    ("CP936", "GBK"),
    ("MS949", "EUC-KR"),
    ("EUC-CN", "GBK"),
    ("eucjp", "EUC-JP"),
    ("euckr", "EUC-KR"),
    ("MS950", "Big5"),
    ("windows-950", "Big5"),
    ("windows-936", "GBK"),
    ("MacRoman", "macintosh"),
    ("MacCyrillic", "x-mac-cyrillic"),
    ("ISO2022JP", "ISO-2022-JP"),
    ("IBM874", "windows-874"),
];

impl Charset {
    /// The charset of that name or alias, in any case.
    pub fn named(name: &str) -> Option<Charset> {
        let is_name = |names: &&[&str]| names.iter().any(|own| own.eq_ignore_ascii_case(name));
        if let Some((charset, _)) = OWN.iter().find(|(_, names)| is_name(names)) {
            return Some(*charset);
        }
        if name.contains(char::is_whitespace) {
            return None;
        }
        let known = |name: &str| {
            let alias = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name));
            let label = alias.map_or(name, |(_, label)| label);
            // Some names stand for a charset that decodes nothing.
            Encoding::for_label(label.as_bytes()).filter(|found| *found != REPLACEMENT)
        };
        let hyphens = name.replace('_', "-");
        let bare = hyphens.strip_prefix("x-").or_else(|| hyphens.strip_prefix("X-"));
        let found = known(name).or_else(|| known(&hyphens)).or_else(|| known(bare?));
        found.map(Charset::Other)
    }

    /// The name to print.
    pub fn name(self) -> &'static str {
        match self {
            Charset::Utf8 => "UTF-8",
            Charset::Latin1 => "ISO-8859-1",
            Charset::Ascii => "US-ASCII",
            Charset::Utf16 => "UTF-16",
            Charset::Other(encoding) => encoding.name(),
        }
    }

    /// Whether an ASCII text encodes itself.
    pub fn extends_ascii(self) -> bool {
        match self {
            Charset::Utf8 | Charset::Latin1 | Charset::Ascii => true,
            Charset::Utf16 => false,
            Charset::Other(encoding) => encoding.is_ascii_compatible(),
        }
    }

    /// The text of some bytes.
    pub fn decode<'a>(self, bytes: &'a [u8], arena: &'a Bump) -> &'a str {
        let (encoding, bytes) = match (self, bytes) {
            (Charset::Utf8, _) => return convert::utf8(bytes, arena),
            (Charset::Latin1 | Charset::Ascii, _) => return self.byte_by_byte(bytes, arena),
            (Charset::Utf16, [0xff, 0xfe, rest @ ..]) => (UTF_16LE, rest),
            (Charset::Utf16, [0xfe, 0xff, rest @ ..]) => (UTF_16BE, rest),
            (Charset::Utf16, _) => (UTF_16BE, bytes),
            (Charset::Other(encoding), _) => (encoding, bytes),
        };
        let (text, _) = encoding.decode_without_bom_handling(bytes);
        let mut decoded = ArenaString::with_capacity_in(text.len(), arena);
        // Browsers read the bytes that a code page of Windows does not have as control characters.
        match encoding.is_single_byte() && encoding.name().starts_with("windows-") {
            true => decoded.extend(text.chars().map(|c| match c {
                '\u{80}'..='\u{9f}' => char::REPLACEMENT_CHARACTER,
                other => other,
            })),
            false => decoded.push_str(&text),
        }
        decoded.into_bump_str()
    }

    fn byte_by_byte<'a>(self, bytes: &[u8], arena: &'a Bump) -> &'a str {
        let mut text = ArenaString::with_capacity_in(bytes.len() * 2, arena);
        text.extend(bytes.iter().map(|byte| match (self, byte) {
            (Charset::Ascii, 0x80..) => char::REPLACEMENT_CHARACTER,
            _ => char::from(*byte),
        }));
        text.into_bump_str()
    }
}

/// The charset that a content type names, if it is known, and the content type without it.
pub fn of_content_type(content_type: &str) -> Option<(Charset, String)> {
    let mut charset = None;
    let mut rest = Vec::new();
    for part in content_type.split(';') {
        match part.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                charset = Some(Charset::named(value.trim().trim_matches(['"', '\'']))?);
            }
            _ => rest.push(part.trim()),
        }
    }
    rest.retain(|part| !part.is_empty());
    Some((charset?, rest.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_those_of_browsers_and_of_a_jvm() {
        for (names, expected) in [
            (
                &["Shift_JIS", "SJIS", "x-sjis", "MS932", "windows-31j", "csShiftJIS"][..],
                "Shift_JIS",
            ),
            (&["GB18030", "gb18030"], "gb18030"),
            (&["GBK", "GB2312", "CP936", "MS936", "x-EUC-CN", "EUC_CN"], "GBK"),
            (&["Big5", "Big5_HKSCS", "MS950", "x-windows-950"], "Big5"),
            (&["EUC-JP", "EUC_JP", "eucjp"], "EUC-JP"),
            (&["EUC-KR", "MS949", "x-windows-949", "KS_C_5601-1987"], "EUC-KR"),
            (&["ISO-2022-JP", "ISO2022JP"], "ISO-2022-JP"),
            (&["windows-1251", "Cp1251"], "windows-1251"),
            (&["windows-1252", "cp1252", "ibm1252"], "windows-1252"),
            (&["KOI8-R", "KOI8_R", "koi8"], "KOI8-R"),
            (&["ISO-8859-2", "ISO8859_2", "latin2"], "ISO-8859-2"),
            (&["ISO-8859-15", "ISO8859_15", "latin9"], "ISO-8859-15"),
            (&["TIS-620", "windows-874", "x-windows-874", "MS874"], "windows-874"),
            (&["IBM866", "Cp866"], "IBM866"),
            (&["x-MacRoman", "macintosh"], "macintosh"),
            (&["UTF-16LE", "UnicodeLittleUnmarked"], "UTF-16LE"),
            (&["UTF_16BE", "UnicodeBigUnmarked"], "UTF-16BE"),
            (&["unicode", "utf16"], "UTF-16"),
            (&["utf8", "UTF-8"], "UTF-8"),
            (&["l1", "iso-ir-100"], "ISO-8859-1"),
            (&["ANSI_X3.4-1968", "646"], "US-ASCII"),
        ] {
            for name in names {
                let found = Charset::named(name).map(Charset::name);
                assert_eq!(found, Some(expected), "{name}");
            }
        }
        for name in ["", "UTF 8", " Shift_JIS", "nonsense", "replacement", "hz-gb-2312"] {
            assert_eq!(Charset::named(name), None, "{name}");
        }
    }

    #[test]
    fn bytes_are_read_by_the_charset() {
        let arena = Bump::new();
        let cases: [(&str, &[u8], &str); 18] = [
            ("Shift_JIS", b"\x83e\x83X\x83g", "テスト"),
            ("EUC-JP", b"\xa5\xc6\xa5\xb9\xa5\xc8", "テスト"),
            ("ISO-2022-JP", b"\x1b$B%F%9%H\x1b(B", "テスト"),
            ("GB18030", b"\xd6\xd0\xce\xc4\x81\x30\x81\x30", "中文\u{80}"),
            ("GBK", b"\xd6\xd0\xce\xc4", "中文"),
            ("Big5", b"\xa4\xa4\xa4\xe5", "中文"),
            ("EUC-KR", b"\xc7\xd1\xb1\xdb", "한글"),
            ("windows-1251", b"\xdf\xed\xe4\xe5\xea\xf1\x98", "Яндекс\u{fffd}"),
            ("KOI8-R", b"\xf1\xce\xc4\xc5\xcb\xd3", "Яндекс"),
            ("ISO-8859-2", b"\xb3\xf3d\xbc\x80", "łódź\u{80}"),
            ("windows-1252", b"\x80\xff\x81\x9f\xa4", "€ÿ\u{fffd}Ÿ¤"),
            ("ISO-8859-15", b"\x80\xff\x81\x9f\xa4", "\u{80}ÿ\u{81}\u{9f}€"),
            ("ISO-8859-1", b"\x80\xff\xa4", "\u{80}ÿ¤"),
            ("US-ASCII", b"a\xff", "a\u{fffd}"),
            ("UTF-16", b"\xff\xfeH\0", "H"),
            ("UTF-16", b"\0H\0i", "Hi"),
            ("UTF-16LE", b"H\0i", "H\u{fffd}"),
            ("windows-874", b"\xa1\xd2\xc3", "การ"),
        ];
        for (name, bytes, expected) in cases {
            let charset = Charset::named(name).expect(name);
            assert_eq!(charset.decode(bytes, &arena), expected, "{name}");
        }
    }

    #[test]
    fn a_content_type_names_a_charset_or_none() {
        for (text, expected) in [
            ("application/json", None),
            ("application/json; charset=nonsense", None),
            ("application/json; charset=", None),
            ("application/json; charset=utf-8", Some(("UTF-8", "application/json"))),
            ("a/b;Charset=\"Shift_JIS\"", Some(("Shift_JIS", "a/b"))),
            ("a/b ; charset = koi8-r ;c=d", Some(("KOI8-R", "a/b; c=d"))),
            ("", None),
        ] {
            let found = of_content_type(text);
            let found = found.as_ref().map(|(charset, rest)| (charset.name(), rest.as_str()));
            assert_eq!(found, expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_text(
            bytes in any::<Vec<u8>>(),
            name in prop::sample::select(vec![
                "UTF-8", "UTF-16", "UTF-16LE", "Shift_JIS", "GB18030", "Big5", "EUC-KR", "EUC-JP",
                "ISO-2022-JP", "windows-1251", "KOI8-U", "ISO-8859-8-I", "x-user-defined",
            ]),
        ) {
            let arena = Bump::new();
            let charset = Charset::named(name).expect("a known charset");
            let _ = charset.decode(&bytes, &arena);
        }

        #[test]
        fn what_is_encoded_is_decoded(text in "\\PC*") {
            let arena = Bump::new();
            for encoding in [encoding_rs::GB18030, encoding_rs::EUC_KR, encoding_rs::KOI8_R] {
                let (bytes, _, unmappable) = encoding.encode(&text);
                if !unmappable {
                    let bytes = arena.alloc_slice_copy(&bytes);
                    prop_assert_eq!(Charset::Other(encoding).decode(bytes, &arena), text.as_str());
                }
            }
        }
    }
}
