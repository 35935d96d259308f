//! The small conversions between what a tracker sends and what a field holds.
//!
//! Each function is one rule of the tracker protocol, with the acceptance and the output of a
//! running peer, whose rules are those of the JVM's own parsers. They return texts in final form,
//! borrowed from the input when nothing changes, else from the arena. The errors print as the
//! expectation that a bad row states. Which parameter uses which rule is the caller's affair, and
//! JSON, URLs and Base64 have modules of their own.

mod decimal;
pub(crate) mod digits;
mod utf8;

use bumpalo::Bump;

use crate::time;

pub use decimal::{decimal, float32_text, float64_text};
pub use utf8::utf8;

/// A list of addresses that has separators and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no address between the separators")]
pub struct NoAddress;

/// A text that is no signed 32-bit integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot be converted to java.lang.Integer")]
pub struct NotAnInteger;

/// Why a text is no time in milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// It is no 64-bit integer.
    #[error("not in the expected format: ms since epoch")]
    NotMillis,
    /// Its year does not lie in 0 to 9999; holds the time as text.
    #[error("formatting as {0} is not Redshift-compatible")]
    OutOfRange(String),
}

/// Why a text is no `<width>x<height>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DimensionsError {
    /// It does not have the shape.
    #[error(r"does not conform to regex (\d+)x(\d+)")]
    Shape,
    /// A number does not fit 32 bits.
    #[error("could not be converted to java.lang.Integer s")]
    Overflow,
}

/// Replaces tabs by four spaces and drops control characters (0x00-0x1F and 0x7F, no others);
/// `None` when nothing is left.
pub fn tsv_safe<'a>(text: &'a str, arena: &'a Bump) -> Option<&'a str> {
    let text = if is_tsv_safe(text) { text } else { clean(text, arena) };
    (!text.is_empty()).then_some(text)
}

/// The event's name for a value of the parameter `e`.
pub fn event_type(code: &str) -> Option<&'static str> {
    Some(match code {
        "se" | "ev" => "struct",
        "ue" => "unstruct",
        "ad" => "ad_impression",
        "tr" => "transaction",
        "ti" => "transaction_item",
        "pv" => "page_view",
        "pp" => "page_ping",
        _ => return None,
    })
}

/// Whether a value of the parameter `p` names a platform.
pub fn platform(code: &str) -> bool {
    matches!(code, "web" | "iot" | "app" | "mob" | "pc" | "cnsl" | "tv" | "srv")
}

/// The first of a list of addresses separated by commas, bars or spaces. What stands before the
/// first separator is taken, even if that is nothing.
pub fn first_ip<'a>(text: &'a str, arena: &'a Bump) -> Result<Option<&'a str>, NoAddress> {
    const SEPARATORS: [char; 3] = [',', '|', ' '];
    let Some(end) = text.find(SEPARATORS) else { return Ok(tsv_safe(text, arena)) };
    if end == 0 && text.trim_matches(SEPARATORS).is_empty() {
        return Err(NoAddress);
    }
    Ok(tsv_safe(&text[..end], arena))
}

/// A signed 32-bit integer in canonical text; `null` in any case is none.
pub fn int32<'a>(text: &'a str, arena: &'a Bump) -> Result<Option<&'a str>, NotAnInteger> {
    if digits::is_short_canonical(text) {
        return Ok(Some(text));
    }
    if text.eq_ignore_ascii_case("null") {
        return Ok(None);
    }
    let number = digits::parse_i64(text).and_then(|number| i32::try_from(number).ok());
    number.map(|number| Some(digits::canonical(number, arena))).ok_or(NotAnInteger)
}

/// A signed 64-bit integer.
pub fn int64(text: &str) -> Option<i64> {
    digits::parse_i64(text)
}

/// `0` or `1`.
pub fn bool01(text: &str) -> Option<&'static str> {
    match text {
        "0" => Some("0"),
        "1" => Some("1"),
        _ => None,
    }
}

/// A UUID in its canonical form of either case; the result is in lower case.
pub fn uuid_strict<'a>(text: &'a str, arena: &'a Bump) -> Option<&'a str> {
    /// What stands where: hexadecimal digits, and hyphens between the groups.
    const SHAPE: &[u8; 36] = b"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    let bytes: &[u8; 36] = text.as_bytes().try_into().ok()?;
    // Without a branch inside, so that the compiler can look at many bytes at a time.
    let misfit = bytes.iter().zip(SHAPE).fold(false, |misfit, (byte, shape)| {
        let lower = byte | 0x20;
        let digit = (byte.wrapping_sub(b'0') < 10) | (lower.wrapping_sub(b'a') < 6);
        let hyphen = *shape == b'-';
        misfit | (digit == hyphen) | ((*byte == b'-') != hyphen)
    });
    (!misfit).then(|| lower_case(text, arena))
}

/// A UUID whose groups may lack leading zeros or have digits too many, as the JVM reads it; the
/// result is in canonical form.
pub fn uuid_lenient<'a>(text: &'a str, arena: &'a Bump) -> Option<&'a str> {
    const LONGEST: usize = 36;
    if let Some(uuid) = uuid_strict(text, arena) {
        return Some(uuid);
    }
    if text.chars().map(char::len_utf16).sum::<usize>() > LONGEST {
        return None;
    }
    let mut groups = text.split('-');
    let mut group = || groups.next().and_then(digits::parse_hex);
    let (a, b, c, d, e) = (group()?, group()?, group()?, group()?, group()?);
    if groups.next().is_some() {
        return None;
    }
    let (a, b, c, d) = (a & 0xffff_ffff, b & 0xffff, c & 0xffff, d & 0xffff);
    let e = e & 0xffff_ffff_ffff;
    let uuid = bumpalo::format!(in arena, "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", a, b, c, d, e);
    Some(uuid.into_bump_str())
}

/// A time in milliseconds since the epoch, as number and as text of a timestamp field.
pub fn ms_timestamp<'a>(text: &str, arena: &'a Bump) -> Result<(i64, &'a str), TimestampError> {
    let ms = digits::parse_i64(text).ok_or(TimestampError::NotMillis)?;
    let text = time::format_ms(ms, arena);
    if !time::is_redshift_compatible(ms) {
        return Err(TimestampError::OutOfRange(text.to_owned()));
    }
    Ok((ms, text))
}

/// The two numbers of `<width>x<height>` in canonical text.
pub fn dimensions<'a>(
    text: &'a str,
    arena: &'a Bump,
) -> Result<(&'a str, &'a str), DimensionsError> {
    let (width, height) = text.split_once('x').ok_or(DimensionsError::Shape)?;
    let digits = |side: &str| !side.is_empty() && side.bytes().all(|b| b.is_ascii_digit());
    if !digits(width) || !digits(height) {
        return Err(DimensionsError::Shape);
    }
    let side = |text| int32(text, arena).ok().flatten().ok_or(DimensionsError::Overflow);
    Ok((side(width)?, side(height)?))
}

/// The client's address according to the forwarding headers, else the fallback.
///
/// `X-Forwarded-For` wins wherever it stands. `Forwarded` counts only while no header follows that
/// has nothing to say about addresses: a peer forgets it there, and columns must agree.
pub fn client_ip<'a>(
    headers: &[&'a str],
    fallback: Option<&'a str>,
    arena: &'a Bump,
) -> Option<&'a str> {
    let mut forwarded = None;
    for header in headers {
        if let Some(ip) = after(header, "x-forwarded-for: ").and_then(leading_ip) {
            return Some(lower_case(ip, arena));
        }
        forwarded = after(header, "forwarded: for=").and_then(leading_ip);
    }
    forwarded.map(|ip| lower_case(ip, arena)).or(fallback)
}

/// Vendor and version of the endpoint that a request's path names.
pub fn path(path: &str) -> Option<(&str, &str)> {
    const PIXEL: (&str, &str) = ("com.snowplowanalytics.snowplow", "tp1");
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let named = inner.split_once('/').filter(|(vendor, version)| {
        !vendor.is_empty() && !version.is_empty() && !version.contains('/')
    });
    let pixel = || path.starts_with("/ice.png") || path == "/i" || path.starts_with("/i?");
    named.or_else(|| pixel().then_some(PIXEL))
}

/// Whether [`tsv_safe`] would leave a text as it is. Looks at blocks without branching inside, so
/// that the compiler can take many bytes at a time.
fn is_tsv_safe(text: &str) -> bool {
    const BLOCK: usize = 32;
    text.as_bytes()
        .chunks(BLOCK)
        .all(|block| !block.iter().fold(false, |bad, byte| bad | (*byte < 0x20) | (*byte == 0x7f)))
}

#[cold]
fn clean<'a>(text: &str, arena: &'a Bump) -> &'a str {
    let mut cleaned = bumpalo::collections::String::with_capacity_in(text.len() + 16, arena);
    for part in text.split_inclusive(|c: char| c.is_ascii_control()) {
        match part.strip_suffix(|c: char| c.is_ascii_control()) {
            Some(kept) => {
                cleaned.push_str(kept);
                if part.ends_with('\t') {
                    cleaned.push_str("    ");
                }
            }
            None => cleaned.push_str(part),
        }
    }
    cleaned.into_bump_str()
}

fn lower_case<'a>(text: &'a str, arena: &'a Bump) -> &'a str {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let text = arena.alloc_str(text);
        text.make_ascii_lowercase();
        text
    } else {
        text
    }
}

/// What follows a prefix that is given in lower case and may stand in any.
fn after<'a>(header: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = header.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// The address a forwarding header's value begins with: a dotted quad, or whatever else could be
/// a part of an IPv6 address. A line break anywhere spoils the header.
fn leading_ip(value: &str) -> Option<&str> {
    if value.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        return None;
    }
    let value = value.strip_prefix('"').unwrap_or(value);
    let value = value.strip_prefix('[').unwrap_or(value);
    let other = || value.bytes().position(|b| !(b.is_ascii_hexdigit() || b == b'.' || b == b':'));
    let end = dotted_quad(value).unwrap_or_else(|| other().unwrap_or(value.len()));
    (end > 0).then_some(&value[..end])
}

/// The length of four groups of one to three digits at the start of a text.
fn dotted_quad(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut end = 0;
    for group in 0..4 {
        if group > 0 {
            end += bytes.get(end).filter(|byte| **byte == b'.').map(|_| 1)?;
        }
        let digits = bytes[end..].iter().take(3).take_while(|b| b.is_ascii_digit()).count();
        end += Some(digits).filter(|digits| *digits > 0)?;
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_lose_what_would_break_a_line() {
        let arena = Bump::new();
        for (text, expected) in [
            ("", None),
            ("plain é 日本 \u{80}\u{9f}\u{2028}\u{feff}", None),
            ("a\tb\r\nc\0d\u{7f}e", Some("a    bcde")),
            ("\t", Some("    ")),
            ("\r\n\0", Some("")),
            ("  a  ", None),
            ("\u{1f}é\u{1f}é\t\t", Some("éé        ")),
        ] {
            let expected = Some(expected.unwrap_or(text)).filter(|text| !text.is_empty());
            assert_eq!(tsv_safe(text, &arena), expected, "{text:?}");
        }
        let clean = "0123456789abcdef0123456789abcdef0123456789";
        assert!(std::ptr::eq(tsv_safe(clean, &arena).expect("not empty"), clean));
    }

    #[test]
    fn the_first_of_many_addresses_is_taken() {
        let arena = Bump::new();
        for (text, expected) in [
            ("1.2.3.4", Ok(Some("1.2.3.4"))),
            ("2001:DB8::FF", Ok(Some("2001:DB8::FF"))),
            ("9.9.9.9, 8.8.8.8", Ok(Some("9.9.9.9"))),
            ("1.1.1.1|2.2.2.2", Ok(Some("1.1.1.1"))),
            ("not an ip", Ok(Some("not"))),
            ("1.2\t.3", Ok(Some("1.2    .3"))),
            (",9.9.9.9", Ok(None)),
            ("", Ok(None)),
            (",", Err(NoAddress)),
            (" |, ", Err(NoAddress)),
        ] {
            assert_eq!(first_ip(text, &arena), expected, "{text}");
        }
    }

    #[test]
    fn integers_come_out_canonical() {
        let arena = Bump::new();
        for (text, expected) in [
            ("42", Ok(Some("42"))),
            ("0", Ok(Some("0"))),
            ("007", Ok(Some("7"))),
            ("+5", Ok(Some("5"))),
            ("-0", Ok(Some("0"))),
            ("-5", Ok(Some("-5"))),
            ("٤２", Ok(Some("42"))),
            ("2147483647", Ok(Some("2147483647"))),
            ("-2147483648", Ok(Some("-2147483648"))),
            ("nUlL", Ok(None)),
            ("2147483648", Err(NotAnInteger)),
            ("", Err(NotAnInteger)),
            ("5.0", Err(NotAnInteger)),
            ("1e3", Err(NotAnInteger)),
            (" 1", Err(NotAnInteger)),
            ("0x10", Err(NotAnInteger)),
        ] {
            assert_eq!(int32(text, &arena), expected, "{text}");
        }
    }

    #[test]
    fn codes_are_case_sensitive() {
        assert_eq!(event_type("ue"), Some("unstruct"));
        assert_eq!(event_type("ev"), Some("struct"));
        assert_eq!((event_type("UE"), event_type("")), (None, None));
        assert!(platform("srv") && !platform("Web") && !platform(""));
        assert_eq!((bool01("1"), bool01("0")), (Some("1"), Some("0")));
        assert_eq!((bool01("true"), bool01("00"), bool01("1 ")), (None, None, None));
    }

    #[test]
    fn uuids_are_strict_from_trackers_and_lenient_from_collectors() {
        let arena = Bump::new();
        let uuid = "b8ba9cbb-7a6d-4a5e-9b1e-0f1a2b3c4d5e";
        for text in [uuid, "B8BA9CBB-7A6D-4A5E-9B1E-0F1A2B3C4D5E"] {
            assert_eq!(uuid_strict(text, &arena), Some(uuid));
            assert_eq!(uuid_lenient(text, &arena), Some(uuid));
        }
        for (text, expected) in [
            ("1-1-1-1-1", Some("00000001-0001-0001-0001-000000000001")),
            ("A-B-C-D-+E", Some("0000000a-000b-000c-000d-00000000000e")),
            ("123456789-12345-1-1-1", Some("23456789-2345-0001-0001-000000000001")),
            ("ｆ-0-0-0-0", Some("0000000f-0000-0000-0000-000000000000")),
            ("1-1-1-1", None),
            ("1-1-1-1-1-1", None),
            ("-1-1-1-1", None),
            ("", None),
            ("{b8ba9cbb-7a6d-4a5e-9b1e-0f1a2b3c4d5e}", None),
            ("b8ba9cbb7a6d4a5e9b1e0f1a2b3c4d5e", None),
            ("b8ba9cbb-7a6d-4a5e-9b1e-0f1a2b3c4d5g", None),
            ("8000000000000000-0-0-0-0", None),
        ] {
            assert_eq!(uuid_strict(text, &arena), None, "{text}");
            assert_eq!(uuid_lenient(text, &arena), expected, "{text}");
        }
    }

    #[test]
    fn timestamps_are_milliseconds_within_the_range() {
        let arena = Bump::new();
        let ok = Ok((1_714_550_000_123, "2024-05-01 07:53:20.123"));
        assert_eq!(ms_timestamp("1714550000123", &arena), ok);
        assert_eq!(ms_timestamp("+0001714550000123", &arena), ok);
        assert_eq!(ms_timestamp("-1", &arena), Ok((-1, "1969-12-31 23:59:59.999")));
        for text in ["", "1.7e12", " 1", "2024-05-01T00:00:00Z", "9223372036854775808"] {
            assert_eq!(ms_timestamp(text, &arena), Err(TimestampError::NotMillis), "{text}");
        }
        let error = ms_timestamp("253402300800000", &arena).expect_err("year 10000");
        let message = "formatting as 10000-01-01 00:00:00.000 is not Redshift-compatible";
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn dimensions_are_two_numbers() {
        let arena = Bump::new();
        assert_eq!(dimensions("1920x1080", &arena), Ok(("1920", "1080")));
        assert_eq!(dimensions("007x0", &arena), Ok(("7", "0")));
        for text in ["", "x", "1x", "1X2", "-1x2", "1x2x3", "1*2", "1x2\n", "١x٢", "1.0x2"] {
            assert_eq!(dimensions(text, &arena), Err(DimensionsError::Shape), "{text}");
        }
        assert_eq!(dimensions("1x99999999999", &arena), Err(DimensionsError::Overflow));
    }

    #[test]
    fn forwarding_headers_name_the_client() {
        let arena = Bump::new();
        for (header, expected) in [
            ("X-Forwarded-For: 1.2.3.4, 5.6.7.8", "1.2.3.4"),
            ("x-forwarded-for: 1.2.3.4:8080", "1.2.3.4"),
            ("X-FORWARDED-FOR: [2001:DB8::1]:443", "2001:db8::1"),
            ("X-Forwarded-For: \"1.2.3.4\"", "1.2.3.4"),
            ("X-Forwarded-For: 1.2.3.4567", "1.2.3.456"),
            ("X-Forwarded-For: 1234.1.1.1", "1234.1.1.1"),
            ("X-Forwarded-For: fe, 1.2.3.4", "fe"),
            ("X-Forwarded-For: client", "c"),
            ("X-Forwarded-For: .", "."),
            ("Forwarded: For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("Forwarded: for=1.1.1.1;proto=http", "1.1.1.1"),
            ("X-Forwarded-For:1.2.3.4", "fallback"),
            ("X-Forwarded-For:  1.2.3.4", "fallback"),
            ("X-Forwarded-For: ", "fallback"),
            ("X-Forwarded-For: unknown, 1.2.3.4", "fallback"),
            ("X-Forwarded-For: 1.2.3.4\n", "fallback"),
            ("Forwarded: proto=http;for=1.2.3.4", "fallback"),
            ("X-Real-IP: 9.9.9.9", "fallback"),
            ("ﬀ", "fallback"),
        ] {
            assert_eq!(client_ip(&[header], Some("fallback"), &arena), Some(expected), "{header}");
        }
        let (forwarded, other) = ("Forwarded: for=1.1.1.1", "Host: a.test");
        let ip = |headers: &[&'static str]| client_ip(headers, None, &arena);
        assert_eq!(ip(&[other, forwarded]), Some("1.1.1.1"));
        assert_eq!(ip(&[forwarded, other]), None);
        assert_eq!(ip(&[forwarded, "forwarded: for=2.2.2.2"]), Some("2.2.2.2"));
        assert_eq!(ip(&[forwarded, other, "x-forwarded-for: 3.3.3.3"]), Some("3.3.3.3"));
    }

    #[test]
    fn paths_name_an_endpoint() {
        let pixel = Some(("com.snowplowanalytics.snowplow", "tp1"));
        for (text, expected) in [
            ("/a/b", Some(("a", "b"))),
            ("a/b/", Some(("a", "b"))),
            ("/com.a/v1?x=1", Some(("com.a", "v1?x=1"))),
            ("/i", pixel),
            ("/i?x", pixel),
            ("/ice.pngfoo", pixel),
            ("/ice.png/x", Some(("ice.png", "x"))),
            ("/i/", None),
            ("i", None),
            ("", None),
            ("/", None),
            ("//", None),
            ("/a//b", None),
            ("/a/b/c", None),
            ("//a/b", None),
        ] {
            assert_eq!(path(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_cleaned_text_is_clean_and_stays_so(text in any::<String>()) {
            let arena = Bump::new();
            let cleaned = tsv_safe(&text, &arena).unwrap_or_default();
            prop_assert!(!cleaned.contains(|c: char| c.is_ascii_control()));
            let again = tsv_safe(cleaned, &arena).unwrap_or_default();
            prop_assert!(std::ptr::eq(again, cleaned) || cleaned.is_empty());
            let kept: String = text.replace('\t', "    ");
            let kept: String = kept.chars().filter(|c| !c.is_ascii_control()).collect();
            prop_assert_eq!(cleaned, kept);
        }

        #[test]
        fn no_text_makes_a_conversion_panic(text in any::<String>(), hex in "[-0-9a-f+xX.,| ]*") {
            let arena = Bump::new();
            for text in [&text, &hex] {
                let _ = (first_ip(text, &arena), int32(text, &arena), decimal(text, &arena));
                let _ = (uuid_strict(text, &arena), uuid_lenient(text, &arena), path(text));
                let _ = (ms_timestamp(text, &arena), dimensions(text, &arena));
                let header = format!("X-Forwarded-For: {text}");
                let _ = client_ip(&[text, &header], Some(text), &arena);
            }
        }

        #[test]
        fn integers_round_trip(number in any::<i32>()) {
            let arena = Bump::new();
            let text = number.to_string();
            prop_assert_eq!(int32(&text, &arena), Ok(Some(text.as_str())));
        }
    }
}
