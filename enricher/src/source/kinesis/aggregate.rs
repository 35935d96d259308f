//! Aggregated records, as the Kinesis Producer Library writes them: several records in one.
//!
//! Four magic bytes, a protobuf message, the MD5 of the message. Whatever does not fit all of
//! that is an ordinary record. A sub-record whose partition key would belong to another shard is
//! kept: producers that retry around a reshard make such records, and the event's id tells
//! repetitions.

use bytes::Bytes;
use md5::{Digest, Md5};

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const MD5_BYTES: usize = 16;

/// The message's field that repeats for each partition key.
const KEYS: u64 = 1;
/// The message's field that repeats for each record.
const RECORDS: u64 = 3;
/// A record's field that says which of the partition keys is its own.
const KEY: u64 = 1;
/// A record's field that holds its data.
const DATA: u64 = 3;

/// What a record with so many bytes adds to an aggregated one, at most.
pub fn cost(bytes: usize) -> usize {
    /// Two tags, two lengths, and the field for its key.
    const AROUND: usize = 2 * (1 + 5) + 2;
    bytes + AROUND
}

/// Records of one partition key as one.
pub fn join<'a>(key: &str, records: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    field(KEYS, key.as_bytes(), &mut out);
    for record in records {
        let mut inner = Vec::with_capacity(cost(record.len()));
        varint(KEY << 3, &mut inner);
        varint(0, &mut inner);
        field(DATA, record, &mut inner);
        field(RECORDS, &inner, &mut out);
    }
    let digest = Md5::digest(&out[MAGIC.len()..]);
    out.extend_from_slice(digest.as_slice());
    out
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn field(number: u64, bytes: &[u8], out: &mut Vec<u8>) {
    varint(number << 3 | 2, out);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// The records inside an aggregated one, in order, without copying; `None` for any other record.
pub fn split(record: &Bytes) -> Option<Vec<Bytes>> {
    let rest = record.strip_prefix(&MAGIC)?;
    let (message, digest) = rest.split_at(rest.len().checked_sub(MD5_BYTES)?);
    if Md5::digest(message).as_slice() != digest {
        return None;
    }
    let mut parts = Vec::new();
    let mut fields = Fields { rest: message };
    while !fields.rest.is_empty() {
        if let (RECORDS, Value::Bytes(inner)) = fields.next()? {
            parts.push(record.slice_ref(data(inner)?));
        }
    }
    // Without any record inside it would have no verdict: then it is a record like any other.
    (!parts.is_empty()).then_some(parts)
}

fn data(record: &[u8]) -> Option<&[u8]> {
    let mut fields = Fields { rest: record };
    let mut data = None;
    while !fields.rest.is_empty() {
        if let (DATA, Value::Bytes(bytes)) = fields.next()? {
            data = Some(bytes);
        }
    }
    data
}

/// The fields of a protobuf message.
struct Fields<'a> {
    rest: &'a [u8],
}

enum Value<'a> {
    Bytes(&'a [u8]),
    Other,
}

impl<'a> Fields<'a> {
    fn next(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => self.varint().map(|_| Value::Other)?,
            1 => self.bytes(8).map(|_| Value::Other)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.bytes(length)?)
            }
            5 => self.bytes(4).map(|_| Value::Other)?,
            _ => return None,
        };
        Some((tag >> 3, value))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn bytes(&mut self, length: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn aggregate(parts: &[Vec<u8>]) -> Vec<u8> {
        join("partition key", parts.iter().map(Vec::as_slice))
    }

    proptest! {
        #[test]
        fn parts_come_back_in_order(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20),
        ) {
            let record = Bytes::from(aggregate(&parts));
            let split = split(&record).map(|parts| parts.iter().map(|p| p.to_vec()).collect());
            prop_assert_eq!(split, Some(parts));
        }

        #[test]
        fn one_without_records_is_an_ordinary_record(_ in Just(())) {
            prop_assert_eq!(split(&Bytes::from(aggregate(&[]))), None);
        }

        #[test]
        fn a_damaged_one_is_an_ordinary_record(at in 0_usize..200, flip in 1_u8..) {
            let mut record = aggregate(&[b"one".to_vec(), b"two".to_vec()]);
            let at = at % record.len();
            record[at] ^= flip;
            prop_assert_eq!(split(&Bytes::from(record)), None);
        }

        #[test]
        fn no_message_is_too_odd(message in prop::collection::vec(any::<u8>(), 0..60)) {
            let digest = Md5::digest(&message);
            let record = [&MAGIC, message.as_slice(), digest.as_slice()].concat();
            let _ = split(&Bytes::from(record));
        }
    }

    #[test]
    fn short_and_plain_records_are_ordinary() {
        for record in [&b""[..], b"plain", &MAGIC, &[0xf3, 0x89, 0x9a, 0xc2, 1, 2, 3]] {
            assert_eq!(split(&Bytes::copy_from_slice(record)), None);
        }
    }
}
