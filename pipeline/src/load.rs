//! A record's bytes become a collector payload, or the reasons why they do not.
//!
//! The struct decides first, then its schema, then the charset; the query string, the path and the
//! network user id are checked together, and each that fails is a reason, and a bad row, of its
//! own.
//!
//! From here on all texts are UTF-8. A body in another charset that its content type names is read
//! in that, its escapes included if it is a form, and the content type names it no longer: the
//! adapters need not know of charsets.

use event::charset::{self, Charset};
use event::reason::{Reason, Words};
use event::schema_key::Parts;
use event::thrift::{self, Wire, WireError};
use event::{Bump, CollectorPayload, Criterion, base64, convert, query};

/// The struct that collectors write.
const COLLECTOR_PAYLOAD: Criterion = Criterion {
    vendor: "com.snowplowanalytics.snowplow",
    name: "CollectorPayload",
    format: "thrift",
    model: 1,
    revision: Some(0),
};

/// How records may be encoded besides plain Thrift.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordEncoding {
    /// Thrift only.
    #[default]
    Plain,
    /// A record that is not Thrift may be Base64 text of it.
    PlainOrBase64,
}

/// Decodes one record.
pub fn payload<'a>(
    record: &'a [u8],
    encoding: RecordEncoding,
    arena: &'a Bump,
) -> Result<CollectorPayload<'a>, Vec<Reason>> {
    let wire = read(record, encoding, arena)
        .map_err(|error| vec![undecodable(Words::own(error.to_string()))])?;
    let api = match wire.schema {
        Some(uri) => {
            check_schema(text(uri, arena)).map_err(|reason| vec![reason])?;
            Api::InPath
        }
        None => Api::Fixed("com.snowplowanalytics.snowplow", "tp1"),
    };
    let charset = wire.encoding.map(|encoding| text(encoding, arena));
    let charset = charset.ok_or_else(|| vec![undecodable("no encoding")])?;
    if Charset::named(charset).is_none() {
        return Err(vec![undecodable(charset.to_owned())]);
    }
    check_parts(&wire, api, charset, arena)
}

enum Api {
    InPath,
    Fixed(&'static str, &'static str),
}

fn read<'a>(
    record: &'a [u8],
    encoding: RecordEncoding,
    arena: &'a Bump,
) -> Result<Wire<'a>, WireError> {
    match (thrift::read(record, arena), encoding) {
        (Err(error), RecordEncoding::PlainOrBase64) if error != WireError::NoTrackerPayload => {
            thrift::read(base64::decode_bytes(record, arena), arena)
        }
        (result, _) => result,
    }
}

fn check_schema(uri: &str) -> Result<(), Reason> {
    /// What every collector writes; it satisfies the criterion.
    const USUAL: &str = "iglu:com.snowplowanalytics.snowplow/CollectorPayload/thrift/1-0-0";
    if uri == USUAL {
        return Ok(());
    }
    let parts = Parts::parse(uri)
        .map_err(|error| Reason::simple(Words::own(format!("could not parse schema: {error}"))))?;
    if !COLLECTOR_PAYLOAD.matches(parts) {
        let expected = format!("verifying record as {COLLECTOR_PAYLOAD} failed: found ");
        return Err(Reason::simple(Words::quoting(expected, uri)));
    }
    Ok(())
}

fn check_parts<'a>(
    wire: &Wire<'a>,
    api: Api,
    charset: &'a str,
    arena: &'a Bump,
) -> Result<CollectorPayload<'a>, Vec<Reason>> {
    let mut reasons = Vec::new();
    let some = |bytes: Option<&'a [u8]>| bytes.map(|bytes| text(bytes, arena));
    let querystring = some(wire.querystring).map_or(Ok(&[][..]), |querystring| {
        query::parse(querystring, charset, arena).map_err(|error| {
            let charset = Charset::named(charset).map_or(charset, |known| known.name());
            let expectation = format!(
                "could not extract name-value pairs from querystring with encoding {charset}: "
            );
            Reason::input("querystring", Some(querystring), error.after(&expectation))
        })
    });
    let querystring = querystring.unwrap_or_else(|reason| {
        reasons.push(reason);
        &[]
    });
    let (vendor, version) = match api {
        Api::Fixed(vendor, version) => (vendor, version),
        Api::InPath => endpoint(some(wire.path)).unwrap_or_else(|reason| {
            reasons.push(reason);
            ("", "")
        }),
    };
    let network_userid = some(wire.network_userid).and_then(|id| {
        let uuid = convert::uuid_lenient(id, arena);
        if uuid.is_none() {
            reasons.push(Reason::input("networkUserId", Some(id), "not valid UUID"));
        }
        uuid
    });
    if !reasons.is_empty() {
        return Err(reasons);
    }
    let headers = wire.headers.iter().map(|header| text(header, arena));
    let headers: &[&str] = arena.alloc_slice_fill_iter(headers);
    let (content_type, body) = body(some(wire.content_type), wire.body, charset, arena);
    Ok(CollectorPayload {
        vendor,
        version,
        querystring,
        content_type,
        body,
        collector: some(wire.collector),
        encoding: charset,
        hostname: some(wire.hostname),
        timestamp: wire.timestamp,
        ip_address: convert::client_ip(headers, some(wire.ip_address), arena),
        useragent: some(wire.user_agent),
        referer_uri: some(wire.referer_uri),
        headers,
        network_userid,
    })
}

/// A body as text, with its content type. Where the collector decoded it already it is UTF-8,
/// whatever the content type says; else it is in the charset named there, or in the record's.
fn body<'a>(
    content_type: Option<&'a str>,
    body: Option<&'a [u8]>,
    encoding: &str,
    arena: &'a Bump,
) -> (Option<&'a str>, Option<&'a str>) {
    let Some(bytes) = body else { return (content_type, None) };
    // What nearly every tracker writes is seen at a glance.
    let usual = |text: &str| {
        let end = text.len().checked_sub("charset=utf-8".len()).and_then(|from| text.get(from..));
        end.is_some_and(|end| end.eq_ignore_ascii_case("charset=utf-8"))
    };
    let named = content_type.filter(|text| text.contains(';') && !usual(text));
    let named = named.and_then(charset::of_content_type);
    let named = named.filter(|(charset, _)| *charset != Charset::Utf8);
    let undecoded = |charset: Charset| match std::str::from_utf8(bytes) {
        // What no text of UTF-8 that anybody sends has in it, and all of these charsets do.
        Ok(text) => !charset.extends_ascii() && text.contains(['\0', '\u{1b}']),
        Err(_) => true,
    };
    let decoded = |charset: Charset| charset.decode(bytes, arena).trim_start_matches('\u{feff}');
    match named {
        Some((charset, media_type)) => {
            let read = if undecoded(charset) { charset } else { Charset::Utf8 };
            let is_form = media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded");
            let text = match is_form && charset.extends_ascii() {
                true => query::form_to_utf8(decoded(read), charset, arena),
                false => decoded(read),
            };
            (Some(arena.alloc_str(&media_type)), Some(text))
        }
        None => match Charset::named(encoding).filter(|charset| *charset != Charset::Utf8) {
            Some(charset) if std::str::from_utf8(bytes).is_err() => {
                (content_type, Some(decoded(charset)))
            }
            _ => (content_type, Some(text(bytes, arena))),
        },
    }
}

fn endpoint(path: Option<&str>) -> Result<(&str, &str), Reason> {
    let path =
        path.ok_or_else(|| Reason::input("path", None, "request does not contain a path"))?;
    convert::path(path).ok_or_else(|| {
        let expectation =
            "path does not match (/)vendor/version(/) nor is a legacy /i(ce.png) request";
        Reason::input("path", Some(path), expectation)
    })
}

fn undecodable(error: impl Into<Words>) -> Reason {
    Reason::simple(error.into().after("error deserializing raw event: "))
}

/// A text of the record; what is not UTF-8 becomes the replacement character.
fn text<'a>(bytes: &'a [u8], arena: &'a Bump) -> &'a str {
    convert::utf8(bytes, arena)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = "application/json";
    const FORM: &str = "application/x-www-form-urlencoded";

    fn check(content_type: Option<&str>, bytes: &[u8], encoding: &str, expected: (&str, &str)) {
        let arena = Bump::new();
        let (kept, text) = body(content_type, Some(bytes), encoding, &arena);
        let found = (kept.unwrap_or("-"), text.unwrap_or("-"));
        assert_eq!(found, expected, "{content_type:?} {encoding} {bytes:x?}");
    }

    #[test]
    fn bodies_are_read_in_the_charset_they_name() {
        let json = |charset: &str| format!("{JSON}; charset={charset}");
        let utf16: Vec<u8> =
            "\u{feff}{\"é\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (charset, bytes, text) in [
            ("Shift_JIS", &b"\x83e\x83X\x83g"[..], "テスト"),
            ("gb18030", b"\xd6\xd0", "中"),
            ("windows-1251", b"\xdf", "Я"),
            ("KOI8-R", b"\xf1", "Я"),
            ("latin1", b"\xe9", "é"),
            ("utf-16", &utf16, "{\"é\":1}"),
            ("UTF-16LE", &utf16, "{\"é\":1}"),
            ("iso-2022-jp", b"\x1b$B%F\x1b(B", "テ"),
            // The collector decoded it already.
            ("Shift_JIS", "テスト".as_bytes(), "テスト"),
            ("utf-16", "{\"é\":1}".as_bytes(), "{\"é\":1}"),
            ("iso-2022-jp", "テ".as_bytes(), "テ"),
        ] {
            check(Some(&json(charset)), bytes, "UTF-8", (JSON, text));
        }
        for same in [json("utf-8"), json("UTF-8"), json("nonsense"), JSON.to_owned()] {
            check(Some(&same), b"\x83e", "UTF-8", (&same, "\u{fffd}e"));
            check(Some(&same), "テ".as_bytes(), "Shift_JIS", (&same, "テ"));
        }
        check(Some(JSON), b"\x83e", "Shift_JIS", (JSON, "テ"));
        check(None, b"\x83e", "Shift_JIS", ("-", "テ"));
    }

    #[test]
    fn escapes_of_a_form_are_in_its_charset_too() {
        let form = |charset: &str| format!("{FORM};charset={charset}");
        for (charset, bytes, text) in [
            ("Shift_JIS", &b"a=%83e&b=\x83X+1"[..], "a=%E3%83%86&b=%E3%82%B9+1"),
            ("windows-1251", b"a=%DF;b", "a=%D0%AF;b"),
            ("windows-1251", "a=Я%DF".as_bytes(), "a=%D0%AF%D0%AF"),
            ("windows-1251", b"a=%zz", "a=%zz"),
        ] {
            check(Some(&form(charset)), bytes, "UTF-8", (FORM, text));
        }
        let utf8 = form("utf-8");
        check(Some(&utf8), b"a=%83e", "UTF-8", (&utf8, "a=%83e"));
    }

    #[test]
    fn a_request_without_a_body_keeps_its_content_type() {
        let arena = Bump::new();
        let content_type = Some("text/plain; charset=Shift_JIS");
        assert_eq!(body(content_type, None, "UTF-8", &arena), (content_type, None));
    }
}
