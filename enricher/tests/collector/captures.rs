//! Requests as published trackers sent them, recorded from the wire: what the collector makes of
//! each is checked byte for byte against an encoder that knows nothing but the field ids of a
//! collector payload, and what the workers make of its events against what the tracker wrote.
//!
//! Three things differ from one collector to the next, and are taken from the record or the answer:
//! the time, the collector's own name, and the network user id of whom it has not seen before.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use event::Field;
use serde::Deserialize;

use crate::run::{Local, column, lines};

const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// A recorded request.
#[derive(Deserialize)]
struct Capture {
    method: String,
    target: String,
    path: String,
    querystring: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Capture {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(of, _)| of.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The request as it was on the wire. The answer, and the id that its cookie holds.
    fn send(&self, socket: &mut TcpStream) -> Option<String> {
        let mut request = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("\r\n{}", self.body);
        socket.write_all(request.as_bytes()).expect("it is taken");
        let head = answer(socket);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let cookie = head.split("set-cookie: sp=").nth(1)?;
        cookie.split(';').next().map(str::to_owned)
    }

    /// The record of a collector, from the ids of its fields.
    fn record(&self, now_ms: i64, collector: &str, user: &str) -> Vec<u8> {
        let anonymous = self.header("SP-Anonymous").is_some();
        let kept = |name: &str| {
            let tells = ["cookie", "x-forwarded-for", "x-real-ip", "forwarded"];
            !anonymous || !tells.contains(&name.to_ascii_lowercase().as_str())
        };
        let headers = self.headers.iter().filter(|(name, _)| kept(name));
        let headers: Vec<String> =
            headers.map(|(name, value)| format!("{name}: {value}")).collect();
        let host = self.header("host").expect("all have one").split(':').next();
        let mut record = Vec::new();
        text(&mut record, 100, Some(if anonymous { "unknown" } else { "127.0.0.1" }));
        record.extend([&[10, 0, 200], &now_ms.to_be_bytes()[..]].concat());
        text(&mut record, 210, Some("UTF-8"));
        text(&mut record, 220, Some(collector));
        text(&mut record, 300, self.header("user-agent"));
        text(&mut record, 310, self.header("referer"));
        text(&mut record, 320, Some(&self.path));
        text(&mut record, 330, Some(self.querystring.as_str()).filter(|text| !text.is_empty()));
        text(&mut record, 340, (self.method == "POST").then_some(self.body.as_str()));
        record.extend([&[15, 1, 94, 11], &(headers.len() as u32).to_be_bytes()[..]].concat());
        for header in headers {
            record.extend((header.len() as u32).to_be_bytes());
            record.extend(header.as_bytes());
        }
        text(&mut record, 360, self.header("content-type"));
        text(&mut record, 400, host);
        text(&mut record, 410, Some(user));
        let schema = "iglu:com.snowplowanalytics.snowplow/CollectorPayload/thrift/1-0-0";
        text(&mut record, 31337, Some(schema));
        record.push(0);
        record
    }

    /// The events in it: names and values as the tracker wrote them.
    fn events(&self) -> Vec<Vec<(String, String)>> {
        if self.method == "GET" {
            return vec![query(&self.querystring)];
        }
        let body: serde_json::Value = serde_json::from_str(&self.body).expect("it is JSON");
        let text = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let event = |event: &serde_json::Value| {
            let members = event.as_object().expect("an event is an object").iter();
            members.map(|(name, value)| (name.clone(), text(value))).collect()
        };
        body["data"].as_array().expect("a list of events").iter().map(event).collect()
    }
}

/// A field of type string.
fn text(record: &mut Vec<u8>, id: u16, value: Option<&str>) {
    let Some(value) = value else { return };
    record.push(11);
    record.extend(id.to_be_bytes());
    record.extend((value.len() as u32).to_be_bytes());
    record.extend(value.as_bytes());
}

/// The head of an answer; its body is read, too.
fn answer(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).expect("it answers");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("it is text");
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let length = length.expect("it says how long it is").parse().expect("a number");
    socket.read_exact(&mut vec![0; length]).expect("as long as it says");
    head
}

fn query(text: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').expect("all have values");
        let mut bytes = Vec::new();
        let mut rest = value.bytes();
        while let Some(byte) = rest.next() {
            let mut digit = || (rest.next().expect("two digits") as char).to_digit(16);
            bytes.push(match byte {
                b'+' => b' ',
                b'%' => digit().expect("hex") as u8 * 16 + digit().expect("hex") as u8,
                other => other,
            });
        }
        (name.to_owned(), String::from_utf8(bytes).expect("text"))
    };
    text.split('&').map(pair).collect()
}

/// All files of recordings, sorted, each a client of its own.
fn recordings() -> Vec<(String, Vec<Capture>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/collector/captures");
    let files = std::fs::read_dir(folder).expect("the recordings");
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    let read = |file: &std::path::PathBuf| {
        let text = std::fs::read_to_string(file).expect("text");
        let name = file.file_name().expect("it has one").to_string_lossy().into_owned();
        let lines = text.lines();
        (name, lines.map(|line| serde_json::from_str(line).expect("a request")).collect())
    };
    files.iter().map(read).collect()
}

/// Schemas that the recorded events name and nobody publishes: they take everything.
fn schemas(dir: &Path) {
    for (vendor, name) in [
        ("com.acme", "checkout"),
        ("com.acme", "user"),
        ("com.snowplowanalytics.snowplow", "screen_view"),
    ] {
        let folder = dir.join(format!("schemas/{vendor}/{name}/jsonschema"));
        std::fs::create_dir_all(&folder).expect("the folder is ours");
        let schema = serde_json::json!({
            "self": {"vendor": vendor, "name": name, "format": "jsonschema", "version": "1-0-0"},
            "type": "object",
        });
        std::fs::write(folder.join("1-0-0"), schema.to_string()).expect("the folder is ours");
    }
}

/// The records in the stream's file, in their order.
fn records(dir: &Path) -> Vec<Vec<u8>> {
    let stream = rusqlite::Connection::open(dir.join("stream.db")).expect("it is there");
    let mut all = stream.prepare("SELECT data FROM records ORDER BY sequence").expect("a table");
    let rows = all.query_map([], |row| row.get(0)).expect("rows");
    rows.map(|row| row.expect("a record")).collect()
}

#[test]
fn records_of_published_trackers_are_a_collectors_byte_for_byte() {
    let dir = tempfile::tempdir().expect("a folder");
    schemas(dir.path());
    let local = Local::start(dir.path(), &[]);
    let mut sent = Vec::new();
    for (name, captures) in recordings() {
        // As a client does: one connection for all.
        let mut socket = TcpStream::connect(&local.address).expect("it listens");
        for capture in captures {
            let id = capture.send(&mut socket).unwrap_or_else(|| NOBODY.to_owned());
            sent.push((name.clone(), capture, id));
        }
    }
    let records = records(dir.path());
    let said = local.end();
    assert_eq!(records.len(), sent.len(), "{said}");
    assert_eq!(records.len(), 22);
    let ours = concat!("snowmelt-", env!("CARGO_PKG_VERSION"), "-local");
    for ((name, capture, user), record) in sent.iter().zip(&records) {
        // The time follows the address: field 100 of four and some bytes, then field 200.
        let address = u32::from_be_bytes(record[3..7].try_into().expect("four bytes"));
        let at = 7 + address as usize + 3;
        let now_ms = i64::from_be_bytes(record[at..at + 8].try_into().expect("eight bytes"));
        let expected = capture.record(now_ms, ours, user);
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(shown(record), shown(&expected), "{name} {}", capture.target);
        assert_eq!(*record, expected, "{name} {}", capture.target);
        let cookie = capture.header("cookie").and_then(|all| all.split("sp=").nth(1));
        if let Some(known) = cookie {
            assert_eq!(user, known.split(';').next().expect("it is not empty"), "{name}");
        }
    }
    columns(dir.path(), &sent);
}

/// What trackers wrote of an event stands in its columns.
fn columns(dir: &Path, sent: &[(String, Capture, String)]) {
    let (enriched, bad) = (lines(dir, "enriched"), lines(dir, "bad"));
    // Whoever made these two gave a screen an id that is no UUID.
    let reasons: Vec<_> = bad.iter().map(|row| row.contains("s1 is an invalid uuid")).collect();
    assert_eq!(reasons, [true, true], "{bad:?}");
    let mut events = 0;
    for (name, capture, user) in sent {
        for event in capture.events() {
            let value = |of: &str| event.iter().find(|(name, _)| name == of).map(|(_, text)| text);
            let id = value("eid").expect("all have ids");
            events += 1;
            if bad.iter().any(|row| row.contains(&format!(r#""event_id":"{id}""#))) {
                continue;
            }
            let lines: Vec<_> =
                enriched.iter().filter(|line| column(line, Field::EventId) == id).collect();
            assert_eq!(lines.len(), 1, "{name} {id}");
            for (parameter, field) in [
                ("aid", Field::AppId),
                ("p", Field::Platform),
                ("tv", Field::VTracker),
                ("tna", Field::NameTracker),
                ("url", Field::PageUrl),
                ("page", Field::PageTitle),
                ("duid", Field::DomainUserid),
                ("sid", Field::DomainSessionid),
                ("uid", Field::UserId),
                ("se_ca", Field::SeCategory),
                ("se_ac", Field::SeAction),
                ("se_la", Field::SeLabel),
                ("tz", Field::OsTimezone),
                ("lang", Field::BrLang),
            ] {
                let expected = value(parameter).map_or("", String::as_str);
                let known = match field {
                    // Without a parameter the page is the one that the request came from.
                    Field::PageUrl if expected.is_empty() => continue,
                    _ => column(lines[0], field),
                };
                assert_eq!(known, expected, "{name} {id} {parameter}");
            }
            let user = value("tnuid").map_or(user.as_str(), String::as_str);
            assert_eq!(column(lines[0], Field::NetworkUserid), user, "{name} {id}");
            let entities = value("co").is_some() || value("cx").is_some();
            assert_eq!(!column(lines[0], Field::Contexts).is_empty(), entities, "{name} {id}");
        }
    }
    assert_eq!((events, enriched.len()), (37, 35));
}
