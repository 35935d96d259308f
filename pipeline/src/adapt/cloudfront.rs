//! The access log of CloudFront, of which the body is one line.
//!
//! The line says when it was written and for whom, so the event takes time, address and user agent
//! from it and nothing from the request that brought it.

use bumpalo::collections::Vec as BumpVec;
use event::convert::{self, float64_text};
use event::reason::{Reason, Words};
use event::{CollectorPayload, RawEvent};

use super::tree::Json;
use super::webhook::Request;
use super::{Adapted, dates};
use crate::schema_check::Stop;

/// The fields behind date and time, which are one member.
const FIELDS: [&str; 24] = [
    "xEdgeLocation",
    "scBytes",
    "cIp",
    "csMethod",
    "csHost",
    "csUriStem",
    "scStatus",
    "csReferer",
    "csUserAgent",
    "csUriQuery",
    "csCookie",
    "xEdgeResultType",
    "xEdgeRequestId",
    "xHostHeader",
    "csProtocol",
    "csBytes",
    "timeTaken",
    "xForwardedFor",
    "sslProtocol",
    "sslCipher",
    "xEdgeResponseResultType",
    "csProtocolVersion",
    "fleStatus",
    "fleEncryptedFields",
];

pub(super) fn events<'a>(request: &Request<'_, 'a>) -> Result<Adapted<'a>, Stop> {
    let Some(body) = request.payload.body else {
        return Err(Reason::input("body", None, "empty body").into());
    };
    let fields: Vec<&str> = body.split('\t').collect();
    let schema = match fields.len() {
        12 => "with_12_fields",
        15 => "with_15_fields",
        18 => "with_18_fields",
        19 => "with_19_fields",
        23 => "with_23_fields",
        24 => "with_24_fields",
        26 => "with_26_fields",
        other => {
            let expectation = format!(
                "access log contained {other} fields, expected 12, 15, 18, 19, 23, 24 or 26"
            );
            return Err(Reason::input("body", Some(body), Words::own(expectation)).into());
        }
    };
    let (date, time) = (fields[0], fields[1]);
    let mut reasons = Vec::new();
    let timestamp = dates::iso(&format!("{date}T{time}+00:00"));
    if timestamp.is_none() {
        let expectation = "could not convert access log timestamp: expected a date and a time";
        reasons.push(Reason::input("dateTime", Some(&format!("{date} {time}")), expectation));
    }
    let mut data = BumpVec::with_capacity_in(fields.len(), request.arena);
    data.push(("dateTime", Json::string(&format!("{date}T{time}Z"), request.arena)));
    for (name, text) in FIELDS.into_iter().zip(&fields[2..]) {
        match member(name, text, request) {
            Ok(value) => data.push((name, value)),
            Err(expectation) => reasons.push(Reason::input(name, Some(text), expectation)),
        }
    }
    let Some(timestamp) = timestamp.filter(|_| reasons.is_empty()) else {
        return Err(Stop::Refused(reasons));
    };
    let present = |index: usize| Some(fields[index]).filter(|text| !text.is_empty());
    let url = present(9).map(|url| ("url", Some(url)));
    let event =
        request.event_with(request.schema_of(schema), &Json::Object(data), &Vec::from_iter(url));
    let payload = request.arena.alloc(CollectorPayload {
        timestamp,
        ip_address: present(4),
        useragent: present(10).map(|text| &*request.arena.alloc_str(&encoded_once(text))),
        referer_uri: None,
        headers: &[],
        network_userid: None,
        ..request.payload.clone()
    });
    Ok(request.one(RawEvent { payload, ..event }))
}

fn member<'a>(name: &str, text: &str, request: &Request<'_, 'a>) -> Result<Json<'a>, String> {
    let arena = request.arena;
    match name {
        _ if text.is_empty() => Ok(Json::NULL),
        "timeTaken" => double(text)
            .map(|number| Json::Scalar(arena.alloc_str(&float64_text(number))))
            .ok_or_else(|| "cannot be converted to Double".to_owned()),
        "scBytes" | "csBytes" => match convert::int32(text, arena) {
            Ok(Some(number)) => Ok(Json::Scalar(arena.alloc_str(number))),
            _ => Err("cannot be converted to Int".to_owned()),
        },
        "csReferer" | "csUserAgent" => {
            let decoded = form_decoded(&encoded_once(text))?;
            Ok(Json::string(&decoded.replace(['\r', '\n'], "").replace('\t', "    "), arena))
        }
        "csUriQuery" => Ok(Json::string(&encoded_once(text), arena)),
        _ => Ok(Json::string(text, arena)),
    }
}

/// A 64-bit float as the JVM reads it, if it is a finite number.
fn double(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let text = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
    // What is called `inf` or `nan` is no number here.
    let digits =
        |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    let number: f64 = text.bytes().all(digits).then(|| text.parse().ok()).flatten()?;
    number.is_finite().then_some(number)
}

/// CloudFront encodes percent signs, those of texts that are encoded already too: `%25XX` becomes
/// `%XX`.
pub(super) fn encoded_once(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("%25") {
        let hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
        let after = &rest.as_bytes()[at + 3..];
        let twice = hex(after.first()) && hex(after.get(1));
        out.push_str(&rest[..=at]);
        if !twice {
            out.push_str("25");
        }
        rest = &rest[at + 3..];
        if twice {
            out.push_str(&rest[..2]);
            rest = &rest[2..];
        }
    }
    out.push_str(rest);
    out
}

/// Undoes the encoding of forms.
fn form_decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
                let value = digit().zip(digit()).map(|(high, low)| high << 4 | low);
                let value = value.ok_or(
                    "exception URL-decoding (encoding UTF-8): expected two hexadecimal digits \
                     after a percent sign",
                )?;
                bytes.push(value as u8);
            }
            other => bytes.push(other),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_are_encoded_once() {
        for (text, expected) in [
            ("page=Celestial%25Tarot", "page=Celestial%25Tarot"),
            ("page=Dreaming%2520Way%2520Tarot", "page=Dreaming%20Way%20Tarot"),
            ("loading 30%2525 complete", "loading 30%25 complete"),
            ("%25", "%25"),
            ("%25é1", "%25é1"),
        ] {
            assert_eq!(encoded_once(text), expected);
        }
    }

    #[test]
    fn doubles_are_the_jvms() {
        for (text, expected) in [
            ("0.001", Some(0.001)),
            (" 1e3 ", Some(1000.0)),
            ("1.5d", Some(1.5)),
            (".5", Some(0.5)),
            ("NaN", None),
            ("Infinity", None),
            ("1e999", None),
            ("", None),
            ("1,5", None),
        ] {
            assert_eq!(double(text), expected, "{text}");
        }
    }
}
