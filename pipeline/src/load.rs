//! A record's bytes become a collector payload, or the reasons why they do not.
//!
//! The struct decides first, then its schema, then the charset; the query string, the path and the
//! network user id are checked together, and each that fails is a reason, and a bad row, of its
//! own.

use event::reason::Reason;
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
    let wire = read(record, encoding, arena).map_err(|error| vec![undecodable(error)])?;
    let api = match wire.schema {
        Some(uri) => {
            check_schema(text(uri, arena)).map_err(|reason| vec![reason])?;
            Api::InPath
        }
        None => Api::Fixed("com.snowplowanalytics.snowplow", "tp1"),
    };
    let charset = wire.encoding.map(|encoding| text(encoding, arena));
    let charset = charset.ok_or_else(|| vec![undecodable("no encoding")])?;
    if query::Charset::named(charset).is_none() {
        return Err(vec![undecodable(charset)]);
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
    let simple = |error: String| Reason::Simple { error };
    let parts =
        Parts::parse(uri).map_err(|error| simple(format!("could not parse schema: {error}")))?;
    if !COLLECTOR_PAYLOAD.matches(parts) {
        let expected = format!("verifying record as {COLLECTOR_PAYLOAD} failed");
        return Err(simple(format!("{expected}: found {uri}")));
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
            let charset = query::Charset::named(charset).map_or(charset, |known| known.name());
            let expectation = format!(
                "could not extract name-value pairs from querystring with encoding {charset}: \
                 {error}"
            );
            Reason::input("querystring", Some(querystring), expectation)
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
    Ok(CollectorPayload {
        vendor,
        version,
        querystring,
        content_type: some(wire.content_type),
        body: some(wire.body),
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

fn endpoint(path: Option<&str>) -> Result<(&str, &str), Reason> {
    let path =
        path.ok_or_else(|| Reason::input("path", None, "request does not contain a path"))?;
    convert::path(path).ok_or_else(|| {
        let expectation =
            "path does not match (/)vendor/version(/) nor is a legacy /i(ce.png) request";
        Reason::input("path", Some(path), expectation)
    })
}

fn undecodable(error: impl std::fmt::Display) -> Reason {
    Reason::Simple { error: format!("error deserializing raw event: {error}") }
}

/// A text of the record; what is not UTF-8 becomes the replacement character.
fn text<'a>(bytes: &'a [u8], arena: &'a Bump) -> &'a str {
    convert::utf8(bytes, arena)
}
