//! The access log of CloudFront as Amazon Data Firehose delivers it: a batch of records, each with
//! log entries as lines of JSON, in Base64. An entry becomes a page view.
//!
//! The request is Firehose's and tells nothing of the visitor, so address, user agent and page are
//! the entry's, and what an entry lacks stays unknown.

use bumpalo::collections::Vec as BumpVec;
use event::json::{self, Elements};
use event::reason::{Reason, Words};
use event::{CollectorPayload, RawEvent, base64, convert};

use super::cloudfront::encoded_once;
use super::tree::Json;
use super::webhook::{ContentType, Empty, Request, compact};
use super::{Adapted, find, percent_decoded};
use crate::schema_check::Stop;

pub(super) fn events<'a>(request: &Request<'_, 'a>) -> Result<Adapted<'a>, Stop> {
    let encoding = request.header("Content-Encoding").filter(|coding| *coding != "identity");
    if let Some(coding) = encoding {
        let expectation = "expected no content encoding: disable it in the delivery stream";
        return Err(Reason::input("contentEncoding", Some(coding), expectation).into());
    }
    let body = request.body(ContentType::Any, Empty::IsNone)?;
    let envelope = request.compact("body", body)?;
    let Some(records) = json::member(envelope, "records").and_then(Elements::of) else {
        let expectation = "field `records` is not an array";
        return Err(Reason::input("records", Some(body), expectation).into());
    };
    let mut parts = Vec::new();
    for (index, record) in records.enumerate() {
        entries(index, record, request, &mut parts);
    }
    request.batch(parts.into_iter(), |refused| {
        let member = |name: &str| json::member(envelope, name).unwrap_or("null");
        let records: Vec<_> = refused.iter().map(|data| format!("{{\"data\":{data}}}")).collect();
        let (id, timestamp) = (member("requestId"), member("timestamp"));
        let records = records.join(",");
        format!("{{\"requestId\":{id},\"timestamp\":{timestamp},\"records\":[{records}]}}")
    })
}

/// What is made of a part of the body, and the JSON string that a record would hold it in.
type Part<'a> = (&'a str, Result<RawEvent<'a>, Vec<Reason>>);

/// The entries of a record.
fn entries<'a>(
    index: usize,
    record: &'a str,
    request: &Request<'_, 'a>,
    parts: &mut Vec<Part<'a>>,
) {
    let arena = request.arena;
    let data = json::member(record, "data").filter(|data| data.starts_with('"'));
    let Some(encoded) = data.and_then(|data| json::unescape(data, arena)) else {
        let expectation = Words::own(format!("expected a text in Base64 at index {index}"));
        let reason = Reason::input("data", data, expectation);
        parts.push((data.unwrap_or("null"), Err(vec![reason])));
        return;
    };
    let text = convert::utf8(base64::decode_bytes(encoded.as_bytes(), arena), arena);
    let before = parts.len();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let again = format!("\"{}\"", base64::encode(line.as_bytes()));
        parts.push((arena.alloc_str(&again), entry(line, request).map_err(|reason| vec![reason])));
    }
    if parts.len() == before {
        let expectation = Words::own(format!("expected a log entry at index {index}"));
        let reason = Reason::input("data", Some(encoded), expectation);
        parts.push((data.unwrap_or("null"), Err(vec![reason])));
    }
}

fn entry<'a>(line: &'a str, request: &Request<'_, 'a>) -> Result<RawEvent<'a>, Reason> {
    let arena = request.arena;
    let json = compact("data", line, arena)?;
    if !json.starts_with('{') {
        return Err(Reason::input("data", Some(line), "expected a log entry as a JSON object"));
    }
    let json = Json::of(json, arena);
    // What CloudFront does not know it writes as a hyphen.
    let field = |name: &str| {
        let text = json.get(name).and_then(|value| value.scalar_text(arena));
        text.filter(|text| !matches!(*text, "" | "-"))
    };
    let decoded = |name: &str| field(name).map(|text| &*arena.alloc_str(&percent_decoded(text)));
    let url = field("x-host-header").map(|host| {
        let scheme = field("cs-protocol").unwrap_or("https");
        let stem = encoded_once(field("cs-uri-stem").unwrap_or("/"));
        let query = field("cs-uri-query").map(|query| format!("?{}", encoded_once(query)));
        &*arena.alloc_str(&format!("{scheme}://{host}{stem}{}", query.unwrap_or_default()))
    });
    let app = find(request.query, "aid").flatten().unwrap_or("cloudfront");
    let mut parameters = BumpVec::with_capacity_in(9, arena);
    parameters.extend([
        ("e", Some("pv")),
        ("p", Some("srv")),
        ("tv", Some(request.tracker)),
        ("aid", Some(app)),
    ]);
    let known = [
        ("url", url),
        ("refr", decoded("cs(Referer)")),
        ("ua", decoded("cs(User-Agent)")),
        ("stm", field("timestamp(ms)")),
        ("ip", field("c-ip")),
    ];
    parameters.extend(known.into_iter().filter(|(_, value)| value.is_some()));
    let payload = arena.alloc(CollectorPayload {
        ip_address: None,
        useragent: None,
        referer_uri: None,
        headers: &[],
        network_userid: None,
        ..request.payload.clone()
    });
    Ok(RawEvent { payload, parameters: parameters.into_bump_slice() })
}
