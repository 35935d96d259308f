//! The wire form of a collector payload: one Thrift struct in the binary protocol, without framing.
//!
//! Two structs exist: `CollectorPayload`, which names its own schema in field 31337, and the older
//! `SnowplowRawEvent`, which does not. [`Wire`] holds either, its texts still bytes of the record.
//! The reader takes any field order, skips what it does not know (also a known field of another
//! type), lets the last of repeated fields win, and ignores what follows the struct; depth and
//! lengths are checked before anything is read or allocated. Like a running peer it passes over a
//! record once to find its schema, by the types that stand in it, and then takes the elements of
//! the headers' list for strings whatever type the list claims.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

/// A decoded struct. Strings are bytes: whether they are UTF-8 is not the wire's concern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wire<'a> {
    /// Field 31337: the Iglu URI of the struct. Absent in the older struct.
    pub schema: Option<&'a [u8]>,
    /// Field 100, or 40: the client's address as the collector saw it.
    pub ip_address: Option<&'a [u8]>,
    /// Field 200, or 1: milliseconds since the epoch.
    pub timestamp: i64,
    /// Field 210, or 30: name of the query string's charset.
    pub encoding: Option<&'a [u8]>,
    /// Field 220, or 20: name and version of the collector.
    pub collector: Option<&'a [u8]>,
    /// Field 300, or 50.
    pub user_agent: Option<&'a [u8]>,
    /// Field 310, or 60.
    pub referer_uri: Option<&'a [u8]>,
    /// Field 320.
    pub path: Option<&'a [u8]>,
    /// Field 330, or the `data` of field 41.
    pub querystring: Option<&'a [u8]>,
    /// Field 340.
    pub body: Option<&'a [u8]>,
    /// Field 350, or 70: each `Name: value`.
    pub headers: &'a [&'a [u8]],
    /// Field 360.
    pub content_type: Option<&'a [u8]>,
    /// Field 400, or 45.
    pub hostname: Option<&'a [u8]>,
    /// Field 410, or 80.
    pub network_userid: Option<&'a [u8]>,
    /// Whether the older struct's field 41, its tracker payload, is there.
    pub tracker_payload: bool,
}

/// Why bytes are not a struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The record ends inside a value.
    #[error("the record ends early: {wanted} bytes needed, {left} left")]
    Truncated {
        /// How many bytes the value needs.
        wanted: usize,
        /// How many there are.
        left: usize,
    },
    /// A field, or the elements of a container, have a type that does not exist.
    #[error("unrecognized type {0}")]
    UnknownType(i8),
    /// A string or container has a negative length.
    #[error("negative length {0}")]
    NegativeLength(i32),
    /// Structs or containers are nested too deeply.
    #[error("nested more than {DEPTH_BOUND} levels deep")]
    TooDeep,
    /// The older struct lacks the part that holds its parameters.
    #[error("neither a schema nor a tracker payload")]
    NoTrackerPayload,
}

/// No collector nests at all; unknown fields of a future one may, and skipping them recurses. A
/// peer has no bound but its stack, which holds some thousands of levels.
const DEPTH_BOUND: u32 = 1024;

/// The field that names the struct's schema.
const SCHEMA: i16 = 31337;

/// The headers, and the older struct's.
const HEADERS: i16 = 350;
const OLDER_HEADERS: i16 = 70;

/// Decodes a record.
pub fn read<'a>(record: &'a [u8], arena: &'a Bump) -> Result<Wire<'a>, WireError> {
    let mut other_list = false;
    let wire = read_fields(Reader { rest: record, texts: None }, &mut other_list, arena)?;
    match wire.schema {
        Some(_) if other_list => {
            let reader = Reader { rest: record, texts: Some(HEADERS) };
            let again = read_fields(reader, &mut other_list, arena)?;
            Ok(Wire { schema: wire.schema, ..again })
        }
        Some(_) => Ok(wire),
        None => read_older(record, arena),
    }
}

/// Reads the struct that names its schema; notes whether its headers claim not to be strings.
fn read_fields<'a>(
    mut reader: Reader<'a>,
    other_list: &mut bool,
    arena: &'a Bump,
) -> Result<Wire<'a>, WireError> {
    let mut wire = Wire::default();
    reader.each_field(arena, |id, value| {
        match (id, value) {
            (100, Value::Text(text)) => wire.ip_address = Some(text),
            (200, Value::I64(number)) => wire.timestamp = number,
            (210, Value::Text(text)) => wire.encoding = Some(text),
            (220, Value::Text(text)) => wire.collector = Some(text),
            (300, Value::Text(text)) => wire.user_agent = Some(text),
            (310, Value::Text(text)) => wire.referer_uri = Some(text),
            (320, Value::Text(text)) => wire.path = Some(text),
            (330, Value::Text(text)) => wire.querystring = Some(text),
            (340, Value::Text(text)) => wire.body = Some(text),
            (HEADERS, Value::Texts(texts)) => wire.headers = texts,
            (HEADERS, Value::OtherList) => *other_list = true,
            (360, Value::Text(text)) => wire.content_type = Some(text),
            (400, Value::Text(text)) => wire.hostname = Some(text),
            (410, Value::Text(text)) => wire.network_userid = Some(text),
            (SCHEMA, Value::Text(text)) => wire.schema = Some(text),
            _ => {}
        }
        Ok(())
    })?;
    Ok(wire)
}

fn read_older<'a>(record: &'a [u8], arena: &'a Bump) -> Result<Wire<'a>, WireError> {
    let mut wire = Wire::default();
    Reader { rest: record, texts: Some(OLDER_HEADERS) }.each_field(arena, |id, value| {
        match (id, value) {
            (1, Value::I64(number)) => wire.timestamp = number,
            (20, Value::Text(text)) => wire.collector = Some(text),
            (30, Value::Text(text)) => wire.encoding = Some(text),
            (40, Value::Text(text)) => wire.ip_address = Some(text),
            (41, Value::Struct(mut inner)) => {
                wire.tracker_payload = true;
                inner.each_field(arena, |id, value| {
                    if let (3, Value::Text(text)) = (id, value) {
                        wire.querystring = Some(text);
                    }
                    Ok(())
                })?;
            }
            (45, Value::Text(text)) => wire.hostname = Some(text),
            (50, Value::Text(text)) => wire.user_agent = Some(text),
            (60, Value::Text(text)) => wire.referer_uri = Some(text),
            (OLDER_HEADERS, Value::Texts(texts)) => wire.headers = texts,
            (80, Value::Text(text)) => wire.network_userid = Some(text),
            _ => {}
        }
        Ok(())
    })?;
    if wire.tracker_payload { Ok(wire) } else { Err(WireError::NoTrackerPayload) }
}

/// Appends a `CollectorPayload` struct, fields in the order collectors write them.
pub fn write(wire: &Wire<'_>, out: &mut Vec<u8>) {
    let text = |id: i16, value: Option<&[u8]>, out: &mut Vec<u8>| {
        if let Some(value) = value {
            out.push(STRING);
            out.extend_from_slice(&id.to_be_bytes());
            write_bytes(value, out);
        }
    };
    text(100, wire.ip_address, out);
    out.push(I64);
    out.extend_from_slice(&200_i16.to_be_bytes());
    out.extend_from_slice(&wire.timestamp.to_be_bytes());
    text(210, wire.encoding, out);
    text(220, wire.collector, out);
    text(300, wire.user_agent, out);
    text(310, wire.referer_uri, out);
    text(320, wire.path, out);
    text(330, wire.querystring, out);
    text(340, wire.body, out);
    if !wire.headers.is_empty() {
        out.push(LIST);
        out.extend_from_slice(&350_i16.to_be_bytes());
        out.push(STRING);
        out.extend_from_slice(&length(wire.headers.len()));
        for header in wire.headers {
            write_bytes(header, out);
        }
    }
    text(360, wire.content_type, out);
    text(400, wire.hostname, out);
    text(410, wire.network_userid, out);
    text(SCHEMA, wire.schema, out);
    out.push(STOP);
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&length(bytes.len()));
    out.extend_from_slice(bytes);
}

fn length(length: usize) -> [u8; 4] {
    i32::try_from(length).expect("a record is far below 2 GiB").to_be_bytes()
}

const STOP: u8 = 0;
const I64: u8 = 10;
const STRING: u8 = 11;
const STRUCT: u8 = 12;
const MAP: u8 = 13;
const SET: u8 = 14;
const LIST: u8 = 15;

/// The values this module has a use for.
enum Value<'a> {
    I64(i64),
    Text(&'a [u8]),
    Struct(Reader<'a>),
    /// A list of strings.
    Texts(&'a [&'a [u8]]),
    /// A list of anything else.
    OtherList,
    Other,
}

struct Reader<'a> {
    rest: &'a [u8],
    /// A field whose list is one of strings, whatever its elements' type.
    texts: Option<i16>,
}

impl<'a> Reader<'a> {
    /// Visits each field up to the struct's end.
    fn each_field(
        &mut self,
        arena: &'a Bump,
        mut visit: impl FnMut(i16, Value<'a>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        loop {
            let kind = self.byte()?;
            if kind == STOP {
                return Ok(());
            }
            let id = i16::from_be_bytes(self.array()?);
            let value = self.value(kind, id, arena)?;
            visit(id, value)?;
        }
    }

    fn value(&mut self, kind: u8, id: i16, arena: &'a Bump) -> Result<Value<'a>, WireError> {
        Ok(match kind {
            I64 => Value::I64(i64::from_be_bytes(self.array()?)),
            STRING => Value::Text(self.bytes()?),
            STRUCT => {
                let inner = Reader { rest: self.rest, texts: None };
                self.skip(STRUCT, DEPTH_BOUND)?;
                Value::Struct(inner)
            }
            LIST if self.rest.first() == Some(&STRING) || self.texts == Some(id) => {
                self.take(1)?;
                let count = self.count()?;
                let mut texts = BumpVec::with_capacity_in(count, arena);
                for _ in 0..count {
                    texts.push(self.bytes()?);
                }
                Value::Texts(texts.into_bump_slice())
            }
            LIST => {
                self.skip(LIST, DEPTH_BOUND)?;
                Value::OtherList
            }
            other => {
                self.skip(other, DEPTH_BOUND)?;
                Value::Other
            }
        })
    }

    fn skip(&mut self, kind: u8, depth: u32) -> Result<(), WireError> {
        let depth = depth.checked_sub(1).ok_or(WireError::TooDeep)?;
        match kind {
            2 | 3 => self.take(1).map(drop),
            6 => self.take(2).map(drop),
            8 => self.take(4).map(drop),
            4 | I64 => self.take(8).map(drop),
            16 => self.take(16).map(drop),
            STRING => self.bytes().map(drop),
            STRUCT => loop {
                match self.byte()? {
                    STOP => return Ok(()),
                    field => {
                        self.take(2)?;
                        self.skip(field, depth)?;
                    }
                }
            },
            MAP => {
                let (key, value) = (self.element()?, self.element()?);
                for _ in 0..self.count()? {
                    self.skip(key, depth)?;
                    self.skip(value, depth)?;
                }
                Ok(())
            }
            SET | LIST => {
                let element = self.element()?;
                for _ in 0..self.count()? {
                    self.skip(element, depth)?;
                }
                Ok(())
            }
            unknown => Err(WireError::UnknownType(unknown as i8)),
        }
    }

    /// The type of a container's elements. Unlike a field, an element may claim the types 0 and 1,
    /// as empty containers do, and may not have type 16.
    fn element(&mut self) -> Result<u8, WireError> {
        match self.byte()? {
            kind @ (0..=4 | 6 | 8 | I64..=LIST) => Ok(kind),
            unknown => Err(WireError::UnknownType(unknown as i8)),
        }
    }

    /// How many elements follow. Every element takes at least a byte, so more than there are
    /// bytes left is an error before any loop starts.
    fn count(&mut self) -> Result<usize, WireError> {
        let count = self.length()?;
        if count > self.rest.len() {
            return Err(WireError::Truncated { wanted: count, left: self.rest.len() });
        }
        Ok(count)
    }

    fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.length()?;
        self.take(length)
    }

    fn length(&mut self) -> Result<usize, WireError> {
        let length = i32::from_be_bytes(self.array()?);
        usize::try_from(length).map_err(|_| WireError::NegativeLength(length))
    }

    fn byte(&mut self) -> Result<u8, WireError> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        self.take(N).map(|bytes| bytes.try_into().expect("take gives that many bytes"))
    }

    fn take(&mut self, wanted: usize) -> Result<&'a [u8], WireError> {
        let left = self.rest.len();
        let (taken, rest) =
            self.rest.split_at_checked(wanted).ok_or(WireError::Truncated { wanted, left })?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            texts in prop::collection::vec(prop::option::of(any::<Vec<u8>>()), 11),
            headers in prop::collection::vec(any::<Vec<u8>>(), 0..5),
            timestamp in any::<i64>(),
        ) {
            let headers: Vec<&[u8]> = headers.iter().map(Vec::as_slice).collect();
            let text = |index: usize| texts[index].as_deref();
            let wire = Wire {
                schema: Some(b"iglu:a/b/thrift/1-0-0"),
                ip_address: text(0), timestamp, encoding: text(1), collector: text(2),
                user_agent: text(3), referer_uri: text(4), path: text(5), querystring: text(6),
                body: text(7), headers: &headers, content_type: text(8), hostname: text(9),
                network_userid: text(10), tracker_payload: false,
            };
            let mut record = Vec::new();
            write(&wire, &mut record);
            let arena = Bump::new();
            prop_assert_eq!(read(&record, &arena), Ok(wire));
        }

        #[test]
        fn arbitrary_bytes_never_panic(record in prop::collection::vec(any::<u8>(), 0..200)) {
            let arena = Bump::new();
            let _ = read(&record, &arena);
        }
    }

    #[test]
    fn hostile_shapes_are_errors() {
        let arena = Bump::new();
        let deep: Vec<u8> = [12, 0, 1].repeat(100_000);
        assert_eq!(read(&deep, &arena), Err(WireError::TooDeep));
        let huge = [15, 0, 7, 12, 0x7f, 0xff, 0xff, 0xff];
        assert!(matches!(read(&huge, &arena), Err(WireError::Truncated { .. })));
        let negative = [11, 0, 7, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(read(&negative, &arena), Err(WireError::NegativeLength(-1)));
        assert_eq!(read(&[0xff, 0, 0], &arena), Err(WireError::UnknownType(-1)));
        assert_eq!(read(&[0], &arena), Err(WireError::NoTrackerPayload));
        assert_eq!(read(&[], &arena), Err(WireError::Truncated { wanted: 1, left: 0 }));
    }

    #[test]
    fn depth_costs_nothing_that_a_peer_does_not_spend() {
        let arena = Bump::new();
        let schema = [&[11, 0x7a, 0x69, 0, 0, 0, 1], b"s".as_slice(), &[0]].concat();
        let nested = [[12, 0, 1].repeat(1000), vec![0; 1000], schema].concat();
        assert_eq!(read(&nested, &arena).map(|wire| wire.schema), Ok(Some(b"s".as_slice())));
    }

    #[test]
    fn elements_have_types_that_exist() {
        let arena = Bump::new();
        let schema = [11, 0x7a, 0x69, 0, 0, 0, 1, b's', 0];
        for (kind, known) in [(0, true), (1, true), (5, false), (9, false), (11, true), (16, false)]
        {
            for head in [vec![15, 0, 1, kind], vec![14, 0, 1, kind], vec![13, 0, 1, kind, kind]] {
                let record = [&head[..], &[0, 0, 0, 0], &schema[..]].concat();
                assert_eq!(read(&record, &arena).is_ok(), known, "{head:?}");
            }
        }
    }

    #[test]
    fn headers_are_strings_whatever_their_list_claims() {
        let arena = Bump::new();
        let schema = [11, 0x7a, 0x69, 0, 0, 0, 1, b's', 0];
        // A list of one 64-bit integer, the upper half of which is an empty string.
        let list =
            |element: &[u8]| [&[15, 0x01, 0x5e, 10, 0, 0, 0, 1], element, &schema[..]].concat();
        let record = list(&[0, 0, 0, 0, 0, 0, 0, 1]);
        let wire = read(&record, &arena).expect("it ends at a zero byte");
        assert_eq!((wire.headers, wire.schema), (&[&b""[..]][..], Some(&b"s"[..])));
        assert!(read(&list(&[0, 0, 9, 0, 0, 0, 0, 1]), &arena).is_err());
        let empty = [&[15, 0x01, 0x5e, 10, 0, 0, 0, 0], &schema[..]].concat();
        assert_eq!(read(&empty, &arena).map(|wire| wire.headers.len()), Ok(0));
    }
}
