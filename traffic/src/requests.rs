//! Requests as a collector writes them to its stream: records for generated traffic, and for tests
//! that say themselves what is in them. What a caller wants otherwise it changes in the [`Wire`].

use event::thrift::{self, Wire};

/// The path of trackers' POSTs.
pub const POST_PATH: &str = "/com.snowplowanalytics.snowplow/tp2";

/// The body of a POST with these events: JSON objects of parameters, with commas between them.
pub fn body(events: &str) -> String {
    let schema = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4";
    format!(r#"{{"schema":"{schema}","data":[{events}]}}"#)
}

/// A tracker's POST with a body.
pub fn post(body: &str) -> Wire<'_> {
    Wire {
        path: Some(POST_PATH.as_bytes()),
        content_type: Some(b"application/json"),
        body: Some(body.as_bytes()),
        ..request()
    }
}

/// What a collector writes of a request without a body.
pub fn get<'a>(path: &'a str, query: &'a str) -> Wire<'a> {
    Wire { path: Some(path.as_bytes()), querystring: Some(query.as_bytes()), ..request() }
}

/// The record of a request.
pub fn record(wire: &Wire<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    thrift::write(wire, &mut bytes);
    bytes
}

fn request() -> Wire<'static> {
    Wire {
        schema: Some(b"iglu:com.snowplowanalytics.snowplow/CollectorPayload/thrift/1-0-0"),
        ip_address: Some(b"198.51.100.23"),
        timestamp: 1_714_558_271_000,
        encoding: Some(b"UTF-8"),
        collector: Some(b"collector-1.0"),
        ..Wire::default()
    }
}
