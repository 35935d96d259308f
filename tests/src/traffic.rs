//! Traffic whose every event is known: collector payloads with chosen event ids, sent to a
//! stream, and where each of them went. The Thrift encoding here is its own, so that a mistake in
//! the one under test cannot hide.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;

// Half of what PutRecords accepts: more calls, more places to be interrupted at.
const RECORDS_PER_CALL: usize = 250;
// Every tenth payload is a POST that carries several events.
const EVENTS_PER_POST: u32 = 5;
// Every twentieth event names a schema that does not exist.
const ONE_BAD_IN: u32 = 20;
// 2026-01-01: events in the order of their numbers, whenever the test runs.
const FIRST_TIMESTAMP_MS: i64 = 1_767_225_600_000;
const COLLECTOR_SCHEMA: &str = "iglu:com.snowplowanalytics.snowplow/CollectorPayload/thrift/1-0-0";

/// Where an event of ours begins its id, so that it is found in any text.
const ENRICHED_ID: &str = "a0000000-0000-4000-8000-";
const BAD_ID: &str = "bad00000-0000-4000-8000-";
const ID_LENGTH: usize = 36;

/// What is to become of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing is wrong with it.
    Enriched,
    /// It names a schema that does not exist.
    Bad,
}

/// Where an event went.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The shard that took its record.
    pub shard: String,
    /// The record's number in the shard.
    pub sequence: String,
    /// What is to become of it.
    pub expected: Expected,
}

/// Sends numbered events and remembers them.
pub struct Producer {
    kinesis: aws_sdk_kinesis::Client,
    stream: String,
    next_event: u32,
    next_record: u32,
    /// Every event sent so far, by its id.
    pub sent: BTreeMap<String, Sent>,
}

impl Producer {
    /// A producer that has sent nothing yet.
    pub fn new(kinesis: &aws_sdk_kinesis::Client, stream: &str) -> Producer {
        Producer {
            kinesis: kinesis.clone(),
            stream: stream.to_owned(),
            next_event: 0,
            next_record: 0,
            sent: BTreeMap::new(),
        }
    }

    /// Sends until `total` events have been sent since the beginning.
    pub async fn send_up_to(&mut self, total: u32) -> Result<()> {
        while self.next_event < total {
            let mut records = Vec::with_capacity(RECORDS_PER_CALL);
            while records.len() < RECORDS_PER_CALL && self.next_event < total {
                records.push(self.next_payload(total));
            }
            self.put(records).await?;
        }
        Ok(())
    }

    /// The ids that are to become enriched events, or bad rows.
    pub fn ids(&self, expected: Expected) -> impl Iterator<Item = &String> {
        let sent = self.sent.iter().filter(move |(_, sent)| sent.expected == expected);
        sent.map(|(id, _)| id)
    }

    fn next_payload(&mut self, total: u32) -> (Vec<u32>, Vec<u8>) {
        let left = total - self.next_event;
        let events = if self.next_record % 10 == 9 { EVENTS_PER_POST.min(left) } else { 1 };
        let numbers: Vec<u32> = (self.next_event..self.next_event + events).collect();
        self.next_event += events;
        self.next_record += 1;
        let payload = payload(&numbers);
        (numbers, payload)
    }

    async fn put(&mut self, records: Vec<(Vec<u32>, Vec<u8>)>) -> Result<()> {
        let mut request = self.kinesis.put_records().stream_name(&self.stream);
        for (numbers, payload) in &records {
            let entry = PutRecordsRequestEntry::builder()
                .partition_key(numbers[0].to_string())
                .data(Blob::new(payload.as_slice()));
            request = request.records(entry.build()?);
        }
        let answer = request.send().await?;
        ensure!(answer.failed_record_count() == Some(0), "the emulator refused records");
        for ((numbers, _), taken) in records.iter().zip(answer.records()) {
            let shard = taken.shard_id().context("no shard")?;
            let sequence = taken.sequence_number().context("no sequence number")?;
            for &number in numbers {
                let sent = Sent {
                    shard: shard.to_owned(),
                    sequence: sequence.to_owned(),
                    expected: expected(number),
                };
                self.sent.insert(event_id(number), sent);
            }
        }
        Ok(())
    }
}

/// What is to become of the event with this number.
pub fn expected(number: u32) -> Expected {
    if number % ONE_BAD_IN == ONE_BAD_IN - 1 { Expected::Bad } else { Expected::Enriched }
}

/// The id of the event with this number.
pub fn event_id(number: u32) -> String {
    match expected(number) {
        Expected::Enriched => format!("{ENRICHED_ID}{number:012}"),
        Expected::Bad => format!("{BAD_ID}{number:012}"),
    }
}

/// The first id of a bad event of ours in a text.
pub fn bad_id_in(text: &str) -> Option<&str> {
    let start = text.find(BAD_ID)?;
    text.get(start..start + ID_LENGTH)
}

/// A collector payload with the events of these numbers: one by GET, several by POST.
pub fn payload(numbers: &[u32]) -> Vec<u8> {
    let mut record = Vec::new();
    string(&mut record, 100, "203.0.113.7");
    integer(&mut record, 200, FIRST_TIMESTAMP_MS + i64::from(numbers[0]));
    string(&mut record, 210, "UTF-8");
    string(&mut record, 220, "tests-1.0.0");
    string(&mut record, 300, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0");
    if let [number] = numbers {
        string(&mut record, 320, "/i");
        string(&mut record, 330, &querystring(*number));
    } else {
        string(&mut record, 320, "/com.snowplowanalytics.snowplow/tp2");
        string(&mut record, 340, &body(numbers));
    }
    strings(&mut record, 350, &["Host: collector.example", "Accept: */*"]);
    if numbers.len() > 1 {
        string(&mut record, 360, "application/json; charset=utf-8");
    }
    string(&mut record, 400, "collector.example");
    string(&mut record, 410, "5e1f0c36-2b4d-4c6e-9d1b-0f6c8a7b3e21");
    string(&mut record, 31337, COLLECTOR_SCHEMA);
    record.push(0);
    record
}

/// A collector payload that becomes a bad row too large for a line: it goes nowhere that is known,
/// and its text doubles when it is quoted.
pub fn oversized() -> Vec<u8> {
    let mut record = Vec::new();
    string(&mut record, 100, "203.0.113.7");
    integer(&mut record, 200, FIRST_TIMESTAMP_MS);
    string(&mut record, 210, "UTF-8");
    string(&mut record, 220, "tests-1.0.0");
    string(&mut record, 320, "/nothing/here");
    string(&mut record, 330, &format!("e=pv&{}", "\"".repeat(900_000)));
    string(&mut record, 400, "collector.example");
    string(&mut record, 31337, COLLECTOR_SCHEMA);
    record.push(0);
    record
}

fn querystring(number: u32) -> String {
    let pairs = parameters(number);
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn body(numbers: &[u32]) -> String {
    let data: Vec<serde_json::Value> = numbers
        .iter()
        .map(|&number| {
            let pairs = parameters(number).into_iter();
            pairs.map(|(name, value)| (name.to_owned(), serde_json::Value::from(value))).collect()
        })
        .collect();
    serde_json::json!({
        "schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
        "data": data,
    })
    .to_string()
}

fn parameters(number: u32) -> Vec<(&'static str, String)> {
    let timestamp = FIRST_TIMESTAMP_MS + i64::from(number);
    let mut pairs = vec![
        ("eid", event_id(number)),
        ("p", "web".to_owned()),
        ("tv", "tests-1.0.0".to_owned()),
        ("aid", "tests".to_owned()),
        ("dtm", timestamp.to_string()),
        ("url", format!("https://shop.example/products/{number}?colour=blå")),
    ];
    match expected(number) {
        Expected::Enriched => pairs.push(("e", "pv".to_owned())),
        Expected::Bad => {
            pairs.push(("e", "ue".to_owned()));
            pairs.push(("ue_pr", event_of_no_schema()));
        }
    }
    pairs
}

fn event_of_no_schema() -> String {
    serde_json::json!({
        "schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0",
        "data": {
            "schema": "iglu:example.tests/published_nowhere/jsonschema/1-0-0",
            "data": {},
        },
    })
    .to_string()
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

// The Thrift binary protocol: a type, a field id, the value; strings and lists after their length.

fn field(record: &mut Vec<u8>, kind: u8, id: i16) {
    record.push(kind);
    record.extend(id.to_be_bytes());
}

fn integer(record: &mut Vec<u8>, id: i16, value: i64) {
    field(record, 10, id);
    record.extend(value.to_be_bytes());
}

fn string(record: &mut Vec<u8>, id: i16, value: &str) {
    field(record, 11, id);
    text(record, value);
}

fn strings(record: &mut Vec<u8>, id: i16, values: &[&str]) {
    field(record, 15, id);
    record.push(11);
    length(record, values.len());
    for value in values {
        text(record, value);
    }
}

fn text(record: &mut Vec<u8>, value: &str) {
    length(record, value.len());
    record.extend(value.as_bytes());
}

fn length(record: &mut Vec<u8>, length: usize) {
    record.extend(u32::try_from(length).expect("payloads of ours are small").to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_again() {
        let bad = event_id(19);
        assert_eq!(bad_id_in(&format!("{{\"event_id\":\"{bad}\"}}")), Some(bad.as_str()));
        assert_eq!(bad_id_in(&event_id(18)), None);
        assert_eq!(event_id(3).len(), ID_LENGTH);
    }

    #[test]
    fn a_payload_ends_with_its_schema() {
        let record = payload(&[1, 2, 3]);
        let tail = [COLLECTOR_SCHEMA.as_bytes(), &[0]].concat();
        assert!(record.ends_with(&tail));
        assert_eq!(record[..3], [11, 0, 100]);
    }
}
