//! Bad rows read back: the request that one was made of, as a record that can be processed again.
//!
//! Rows of the published schemas are read, whoever wrote them, this program or a peer, in any of
//! their versions. A row about a payload holds all of it. A row about an event holds the event's
//! parameters and the request around them: they become the record of one event, under the id that
//! the event had. What a row no longer holds (a text that was cut off, what was hidden of a person)
//! cannot be had from it, and is said to be [`Lost`].

use std::borrow::Cow;

use event::thrift::{self, Wire};
use event::{Bump, base64, calendar};
use md5::{Digest, Md5};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// What a bad row tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// Its kind, as its schema is called: `schema_violations`.
    pub kind: String,
    /// Why it is one, in words that can be counted: its kind comes first, then what is known of the
    /// first failure.
    pub reasons: Vec<String>,
    /// When the request came, or at least when it failed, in milliseconds since 1970.
    pub came_ms: Option<i64>,
    /// What it was made of.
    pub request: Result<Request, Lost>,
}

/// The request that a bad row was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// As a collector would have written it.
    pub record: Vec<u8>,
    /// How much of it failed.
    pub failed: Failed,
    /// A number made of what the row holds: another row of the same has the same.
    pub number: u128,
}

/// How much of a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// All of it.
    Whole,
    /// The one event that it has, and the id that this had, if it had one.
    Event(Option<String>),
    /// One of its events, and nobody wrote down which: if it has others, they did not fail.
    OneOfSome,
}

/// Why a bad row does not hold the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// It has the beginning of a text.
    #[error("its text was cut off: all of it is among what is oversized, and in the archive")]
    CutOff,
    /// Something in it was replaced.
    #[error("personal data in it was pseudonymised or left out: it is in the archive")]
    Protected,
    /// Such rows are not about requests.
    #[error("rows of this kind hold no request")]
    Kind,
    /// It lacks something that its schema has.
    #[error("it does not hold a request as its schema says")]
    Malformed,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    schema: Cow<'a, str>,
    #[serde(borrow)]
    data: Parts<'a>,
}

#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(default)]
    processor: Value,
    failure: Value,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// A payload, or the request around an event: the latter calls some members otherwise.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    #[serde(borrow)]
    vendor: Cow<'a, str>,
    #[serde(borrow)]
    version: Cow<'a, str>,
    #[serde(default)]
    querystring: Option<Parameters>,
    #[serde(default)]
    parameters: Option<Parameters>,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default, alias = "loaderName")]
    collector: Option<String>,
    #[serde(default)]
    hostname: Option<String>,
    #[serde(default)]
    timestamp: Option<String>,
    #[serde(default)]
    ip_address: Option<String>,
    #[serde(default)]
    useragent: Option<String>,
    #[serde(default)]
    referer_uri: Option<String>,
    #[serde(default)]
    headers: Option<Vec<String>>,
    #[serde(default, alias = "userId")]
    network_user_id: Option<String>,
}

/// Parameters: a list, or an object in the first versions.
#[derive(Deserialize)]
#[serde(untagged)]
enum Parameters {
    List(Vec<Parameter>),
    Object(serde_json::Map<String, Value>),
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    #[serde(default)]
    value: Option<String>,
}

#[derive(Deserialize)]
struct EventAndRequest<'a> {
    #[serde(default)]
    enriched: Value,
    #[serde(borrow)]
    raw: &'a RawValue,
}

/// How the URIs of bad rows begin.
const VENDOR: &str = "iglu:com.snowplowanalytics.snowplow.badrows/";

/// This program's name in rows that it writes.
const OURS: &str = "snowmelt";

/// Reads a bad row. The error says why the line is none.
pub fn read(line: &[u8]) -> Result<Original, String> {
    let row: Row<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let kind = row.schema.strip_prefix(VENDOR).and_then(|rest| rest.split('/').next());
    let kind = kind.ok_or_else(|| format!("its schema is {}", row.schema))?.to_owned();
    let Parts { processor, failure, payload } = &row.data;
    let failed_ms = failure["timestamp"].as_str().and_then(instant);
    let number = u128::from_be_bytes(Md5::digest(payload.get()).into());
    let request = match kind.as_str() {
        "collector_payload_format_violation" => record(payload).map(|it| (it, Failed::Whole)),
        "generic_error" => record(payload).map(|it| (it, of_generic(processor, failure))),
        "adapter_failures" | "tracker_protocol_violations" => whole(payload),
        "schema_violations" | "enrichment_failures" => event(payload),
        "size_violation" => Err(Lost::CutOff),
        _ => Err(Lost::Kind),
    };
    let collected = |record: &[u8]| {
        let wire = thrift::read(record, &Bump::new()).ok()?.timestamp;
        Some(wire)
    };
    let request = request.map(|(record, failed)| Request { record, failed, number });
    let came_ms = request.as_ref().ok().and_then(|request| collected(&request.record));
    let reasons = reasons(&kind, failure);
    Ok(Original { kind, reasons, came_ms: came_ms.or(failed_ms), request })
}

/// Why a row is one: its kind, and what the first failure says that others say, too.
pub fn reasons(kind: &str, failure: &Value) -> Vec<String> {
    let mut words = vec![kind.to_owned()];
    let first = match &failure["messages"] {
        Value::Array(messages) => messages.first(),
        _ => failure.get("message"),
    };
    let first = first.unwrap_or(&Value::Null);
    let message = first.get("message").filter(|message| message.is_object()).unwrap_or(first);
    let enrichment = &first["enrichment"]["identifier"];
    let error = &message["error"]["error"];
    let field = [&message["field"], &message["payloadField"]];
    let told = [enrichment, error, &message["schemaKey"], field[0], field[1]];
    words.extend(told.into_iter().filter_map(|word| Some(word.as_str()?.to_owned())));
    let endpoint = failure["vendor"].as_str().zip(failure["version"].as_str());
    words.extend(endpoint.map(|(vendor, version)| format!("{vendor}/{version}")));
    words
}

/// What failed, where a row tells nothing but that something did. A peer gives up a whole payload
/// then; here one event does, unless workers died of the record.
fn of_generic(processor: &Value, failure: &Value) -> Failed {
    let error = failure["errors"][0].as_str().unwrap_or_default();
    match processor["artifact"].as_str() == Some(OURS) && !error.ends_with("died on this record") {
        true => Failed::OneOfSome,
        false => Failed::Whole,
    }
}

/// A payload that is a record in Base64.
fn record(payload: &RawValue) -> Result<Vec<u8>, Lost> {
    let text: Cow<'_, str> = serde_json::from_str(payload.get()).map_err(|_| Lost::Malformed)?;
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    if !text.bytes().all(known) {
        // A hash and a length.
        return Err(Lost::Protected);
    }
    let record = base64::decode_bytes(text.as_bytes(), &Bump::new()).to_vec();
    // Columns of an event that could not be written otherwise.
    let columns = std::str::from_utf8(&record).is_ok_and(|it| event::tsv::columns(it).is_some());
    if columns { Err(Lost::Kind) } else { Ok(record) }
}

/// A payload that its adapter refused.
fn whole(payload: &RawValue) -> Result<(Vec<u8>, Failed), Lost> {
    let payload = Payload::read(payload)?;
    let path = format!("/{}/{}", payload.vendor, payload.version);
    let query = payload.querystring.as_ref().map(Parameters::query).transpose()?;
    let query = query.filter(|query| !query.is_empty());
    Ok((payload.record(&path, query.as_deref(), payload.body.as_deref())?, Failed::Whole))
}

/// An event, as if it had come alone, in the query of a pixel.
fn event(payload: &RawValue) -> Result<(Vec<u8>, Failed), Lost> {
    let both: EventAndRequest<'_> =
        serde_json::from_str(payload.get()).map_err(|_| Lost::Malformed)?;
    let request = Payload::read(both.raw)?;
    let parameters = request.parameters.as_ref().ok_or(Lost::Malformed)?;
    let query = parameters.query()?;
    let id = both.enriched["event_id"].as_str().map(str::to_owned);
    Ok((request.record("/i", Some(&query), None)?, Failed::Event(id)))
}

impl<'a> Payload<'a> {
    fn read(text: &'a RawValue) -> Result<Payload<'a>, Lost> {
        let payload: Payload<'_> = serde_json::from_str(text.get()).map_err(|_| Lost::Malformed)?;
        if payload.is_protected() { Err(Lost::Protected) } else { Ok(payload) }
    }

    /// Whether something in it was replaced or left out, as `docs/bad-rows.md` says.
    fn is_protected(&self) -> bool {
        let headers = self.headers.as_deref().unwrap_or_default();
        let texts = [&self.hostname, &self.body, &self.useragent, &self.referer_uri];
        let values = headers.iter().map(|header| header.split_once(": ").map_or("", |it| it.1));
        let replaced = texts.into_iter().flatten().map(String::as_str).chain(values).any(is_opaque);
        // A collector always has an address, and a host.
        let nobody = headers.is_empty() && self.ip_address.is_none() && self.hostname.is_none();
        replaced || nobody && self.useragent.is_none() && self.network_user_id.is_none()
    }

    fn record(&self, path: &str, query: Option<&str>, body: Option<&str>) -> Result<Vec<u8>, Lost> {
        fn bytes(text: Option<&str>) -> Option<&[u8]> {
            text.map(str::as_bytes)
        }
        let headers = self.headers.as_deref().unwrap_or_default();
        let headers: Vec<&[u8]> = headers.iter().map(String::as_bytes).collect();
        let timestamp = self.timestamp.as_deref().and_then(instant).ok_or(Lost::Malformed)?;
        let wire = Wire {
            schema: Some(b"iglu:com.snowplowanalytics.snowplow/CollectorPayload/thrift/1-0-0"),
            ip_address: bytes(self.ip_address.as_deref()),
            timestamp,
            // What is encoded in the query here is.
            encoding: Some(b"UTF-8"),
            collector: bytes(self.collector.as_deref()),
            user_agent: bytes(self.useragent.as_deref()),
            referer_uri: bytes(self.referer_uri.as_deref()),
            path: Some(path.as_bytes()),
            querystring: bytes(query),
            body: bytes(body),
            headers: &headers,
            content_type: bytes(self.content_type.as_deref()),
            hostname: bytes(self.hostname.as_deref()),
            network_userid: bytes(self.network_user_id.as_deref()),
            ..Wire::default()
        };
        let mut record = Vec::new();
        thrift::write(&wire, &mut record);
        Ok(record)
    }
}

impl Parameters {
    /// As the query of a URL.
    fn query(&self) -> Result<String, Lost> {
        let mut query = String::new();
        let mut pair = |name: &str, value: Option<&str>| {
            if !query.is_empty() {
                query.push('&');
            }
            escape(name, &mut query);
            if let Some(value) = value {
                query.push('=');
                escape(value, &mut query);
            }
        };
        match self {
            Parameters::List(list) => {
                list.iter().for_each(|it| pair(&it.name, it.value.as_deref()));
            }
            Parameters::Object(object) => {
                for (name, value) in object {
                    match value {
                        Value::String(text) => pair(name, Some(text)),
                        Value::Null => pair(name, None),
                        _ => return Err(Lost::Malformed),
                    }
                }
            }
        }
        Ok(query)
    }
}

/// Appends a text in a form in which any query can hold it.
fn escape(text: &str, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            out.push(char::from(byte));
        } else {
            let [high, low] = [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]);
            out.extend(['%', char::from(high), char::from(low)]);
        }
    }
}

/// Whether a text stands in the place of another: the name of a hash, the hash, a length.
fn is_opaque(text: &str) -> bool {
    let parts = text.strip_suffix(" bytes").and_then(|rest| rest.rsplit_once(", "));
    parts.is_some_and(|(hash, length)| {
        let hash = hash.rsplit_once(' ').map(|(_, hash)| hash).unwrap_or_default();
        let is_hash = hash.len() >= 32 && hash.bytes().all(|b| b.is_ascii_hexdigit());
        is_hash && !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit())
    })
}

/// An instant as the JVM prints it, to the millisecond: `2024-05-01T10:11:12.345Z`, with as many
/// digits of a fraction as it has, and years of any length.
fn instant(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let milli: i64 = format!("{:0<3}", fraction.get(..3.min(fraction.len()))?).parse().ok()?;
    let mut date = date.trim_start_matches('+').rsplitn(3, '-');
    let [day, month, year] = [date.next()?, date.next()?, date.next()?].map(str::parse);
    let mut time = time.splitn(3, ':');
    let [hour, minute, second] = [time.next()?, time.next()?, time.next()?].map(str::parse);
    let (date, time) =
        ([year.ok()?, month.ok()?, day.ok()?], [hour.ok()?, minute.ok()?, second.ok()?]);
    Some(calendar::of_civil(date, time)? + milli)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_as_they_are_printed() {
        for ms in [0, 1, -1, 1_714_558_272_345, 253_402_300_800_000, -62_200_000_000_001] {
            let (mut short, mut long) = (Vec::new(), Vec::new());
            event::time::write_instant(ms, &mut short);
            event::time::write_instant_millis(ms, &mut long);
            for text in [short, long] {
                let text = String::from_utf8(text).expect("ASCII");
                assert_eq!(instant(&text), Some(ms), "{text}");
            }
        }
        let micros = instant("2024-05-01T10:11:12.345678Z");
        assert_eq!(micros, Some(1_714_558_272_345));
        for wrong in ["", "Z", "2024-05-01", "2024-13-01T10:11:12Z", "2024-05-01T10:11Z"] {
            assert_eq!(instant(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_stands_for_another_text_is_told_from_texts() {
        let hash = "ab".repeat(32);
        assert!(is_opaque(&format!("SHA-256 {hash}, 812 bytes")));
        assert!(is_opaque(&format!("MD5 {}, 0 bytes", &hash[..32])));
        for text in ["", "SHA-256", "a text, 8 bytes", &format!("SHA-256 {hash}"), &hash] {
            assert!(!is_opaque(text), "{text}");
        }
    }

    #[test]
    fn texts_come_through_a_query_as_they_are() {
        let parameters = [("a", Some("1 & 2=3;é\u{1f600}#%+")), ("no", None), ("empty", Some(""))];
        let list = parameters.map(|(name, value)| Parameter {
            name: name.to_owned(),
            value: value.map(str::to_owned),
        });
        let query = Parameters::List(list.into()).query().expect("a query");
        let arena = Bump::new();
        assert_eq!(event::query::parse(&query, "UTF-8", &arena).expect("legal"), parameters);
    }
}
