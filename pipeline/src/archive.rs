//! The raw archive: records as they came, each behind its length, with all that a replay needs to
//! process it as if it were read from its stream. `docs/archive.md` is the format in words.
//!
//! Only the bytes are here. Where they are kept, and how they are compressed, is others' business.

use crate::batch::{Origin, Record};

/// The version that is written, and the only one that is read.
const VERSION: u8 = 1;

/// The most bytes of one record with what is told of it: several times what any stream takes. A
/// larger length is no length but a sign of damage.
pub const RECORD_BYTES_MAX: usize = 64 << 20;

/// Bytes before a record, which hold its length.
const LENGTH: usize = size_of::<u32>();

/// A record of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Archived<'a> {
    /// The stream that it was read from, by name.
    pub stream: &'a str,
    /// Its shard of that stream.
    pub shard: &'a str,
    /// Its sequence number.
    pub sequence: &'a str,
    /// Its index inside an aggregated record; 0 for any other.
    pub sub_sequence: u64,
    /// When it came to its stream, in milliseconds since 1970, where that is known.
    pub arrived_ms: Option<i64>,
    /// What spread it over the shards; empty where that is not known.
    pub partition_key: &'a str,
    /// What a collector wrote.
    pub data: &'a [u8],
}

/// Bytes that are no record of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The length cannot be one.
    #[error("expected a length of at most {RECORD_BYTES_MAX}, found {0}")]
    Length(u32),
    /// A later program wrote it, or none.
    #[error("expected a record of version {VERSION}, found version {0}")]
    Version(u8),
    /// What is told of the record does not fit into its length.
    #[error("the record's length ends before {0}")]
    Short(&'static str),
    /// A text is none.
    #[error("{0} is not UTF-8")]
    Text(&'static str),
    /// There are bytes left, but fewer than the record has.
    #[error("the archive ends within a record: {there} of {of} bytes are there")]
    CutOff {
        /// The bytes that are there.
        there: usize,
        /// How many the record has, its length included; of a length that is cut off, its own.
        of: usize,
    },
}

impl<'a> Archived<'a> {
    /// As the pipeline looks at it.
    pub fn record(&self) -> Record<'a> {
        let Archived { sequence, sub_sequence, data, .. } = *self;
        Record { sequence, sub_sequence, data }
    }

    /// Where it comes from.
    pub fn origin(&self) -> Origin<'a> {
        let Archived { stream, shard, sequence, sub_sequence, .. } = *self;
        Origin { stream, shard, sequence, sub_sequence }
    }

    /// Appends the record.
    ///
    /// # Panics
    ///
    /// If a text has 65,536 bytes or more, or all together more than [`RECORD_BYTES_MAX`]: no name
    /// and no record of a stream does.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; LENGTH]);
        out.push(VERSION);
        out.extend_from_slice(&self.arrived_ms.unwrap_or(i64::MIN).to_be_bytes());
        out.extend_from_slice(&self.sub_sequence.to_be_bytes());
        for text in [self.stream, self.shard, self.sequence, self.partition_key] {
            let length = u16::try_from(text.len()).expect("names of streams are short");
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(self.data);
        let length = out.len() - start - LENGTH;
        assert!(length <= RECORD_BYTES_MAX, "a record of {length} bytes could not be read again");
        let length = u32::try_from(length).expect("it is bounded");
        out[start..start + LENGTH].copy_from_slice(&length.to_be_bytes());
    }

    /// The record that these bytes begin with, and how many bytes it takes; `None` where more bytes
    /// are needed to tell, so that an archive can be read piece by piece.
    pub fn first(bytes: &'a [u8]) -> Result<Option<(Archived<'a>, usize)>, Error> {
        let Some((length, rest)) = bytes.split_first_chunk::<LENGTH>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length);
        let size = usize::try_from(length).ok().filter(|size| *size <= RECORD_BYTES_MAX);
        let size = size.ok_or(Error::Length(length))?;
        let Some(record) = rest.get(..size) else { return Ok(None) };
        Ok(Some((Archived::parse(record)?, LENGTH + size)))
    }

    fn parse(record: &'a [u8]) -> Result<Archived<'a>, Error> {
        let mut rest = Rest(record);
        let [version] = rest.take("its version")?;
        if version != VERSION {
            return Err(Error::Version(version));
        }
        let arrived_ms = i64::from_be_bytes(rest.take("its time of arrival")?);
        Ok(Archived {
            arrived_ms: (arrived_ms != i64::MIN).then_some(arrived_ms),
            sub_sequence: u64::from_be_bytes(rest.take("its index")?),
            stream: rest.text("the name of its stream")?,
            shard: rest.text("the name of its shard")?,
            sequence: rest.text("its sequence number")?,
            partition_key: rest.text("its partition key")?,
            data: rest.0,
        })
    }
}

/// What of a record is not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Error> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Error::Short(what))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn text(&mut self, what: &'static str) -> Result<&'a str, Error> {
        let length = usize::from(u16::from_be_bytes(self.take(what)?));
        let (text, rest) = self.0.split_at_checked(length).ok_or(Error::Short(what))?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| Error::Text(what))
    }
}

/// The records of a whole archive, in order, each with the place of its first byte. After an error
/// there are no more: where the next record would begin is not known.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    at: usize,
}

/// The records that these bytes are.
pub fn records(bytes: &[u8]) -> Records<'_> {
    Records { rest: bytes, at: 0 }
}

impl<'a> Iterator for Records<'a> {
    type Item = (usize, Result<Archived<'a>, Error>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (rest, at) = (std::mem::take(&mut self.rest), self.at);
        let record = match Archived::first(rest) {
            Ok(Some((record, size))) => {
                self.rest = &rest[size..];
                self.at += size;
                Ok(record)
            }
            Ok(None) => Err(cut_off(rest)),
            Err(error) => Err(error),
        };
        Some((at, record))
    }
}

/// What is wrong with bytes at the end that are less than a record.
pub fn cut_off(rest: &[u8]) -> Error {
    let length = rest.first_chunk::<LENGTH>().map_or(0, |length| u32::from_be_bytes(*length));
    Error::CutOff { there: rest.len(), of: LENGTH + length as usize }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> Archived<'static> {
        Archived {
            stream: "raw",
            shard: "shardId-000000000001",
            sequence: "49590338271490256608559692538361571095921575989136588898",
            sub_sequence: 7,
            arrived_ms: Some(1_714_558_272_345),
            partition_key: "é",
            data: b"\x0b\0\n",
        }
    }

    fn written(records: &[Archived<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        records.iter().for_each(|record| record.write(&mut out));
        out
    }

    /// The bytes are what `docs/archive.md` says: a change of them is another version.
    #[test]
    fn the_bytes_are_those_of_the_document() {
        let short = Archived {
            stream: "s",
            shard: "h",
            sequence: "42",
            sub_sequence: 1,
            arrived_ms: Some(258),
            partition_key: "",
            data: b"data",
        };
        let expected = [
            &[0, 0, 0, 33, 1][..],
            &[0, 0, 0, 0, 0, 0, 1, 2],
            &[0, 0, 0, 0, 0, 0, 0, 1],
            &[0, 1, b's', 0, 1, b'h', 0, 2, b'4', b'2', 0, 0],
            b"data",
        ];
        assert_eq!(written(&[short]), expected.concat());
    }

    #[test]
    fn an_unknown_time_of_arrival_stays_unknown() {
        let record = Archived { arrived_ms: None, data: b"", ..record() };
        let bytes = written(&[record]);
        assert_eq!(Archived::first(&bytes), Ok(Some((record, bytes.len()))));
    }

    #[test]
    fn what_is_damaged_says_what_is_wrong_and_where() {
        let good = written(&[record()]);
        let second = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bad = good.clone();
            change(&mut bad);
            let bytes = [good.clone(), bad].concat();
            let found: Vec<_> = records(&bytes).map(|(at, found)| (at, found.err())).collect();
            assert_eq!(found[0], (0, None));
            assert_eq!((found.len(), found[1].0), (2, good.len()));
            found[1].1.expect("the second is damaged").to_string()
        };
        for (change, expected) in [
            (&(|bad: &mut Vec<u8>| bad[0] = 0xff) as &dyn Fn(&mut Vec<u8>), "expected a length of"),
            (&|bad| bad[4] = 2, "expected a record of version 1, found version 2"),
            (&|bad| bad[21] = 0xff, "the record's length ends before the name of its stream"),
            (&|bad| bad[23] = 0xff, "the name of its stream is not UTF-8"),
            (&|bad| bad[..4].copy_from_slice(&[0, 0, 0, 5]), "ends before its time of arrival"),
            (&|bad| bad.truncate(3), "ends within a record: 3 of 4 bytes are there"),
            (&|bad| bad.truncate(bad.len() - 1), "ends within a record: "),
        ] {
            let said = second(change);
            assert!(said.contains(expected), "{said}");
        }
    }

    proptest! {
        #[test]
        fn records_are_read_as_they_were_written(
            all in prop::collection::vec(
                (".{0,20}", "[0-9]{1,56}", any::<u64>(), any::<Option<u32>>(), ".{0,9}",
                 prop::collection::vec(any::<u8>(), 0..200)),
                0..9,
            ),
        ) {
            let all: Vec<Archived<'_>> = all
                .iter()
                .map(|(name, sequence, sub_sequence, arrived, partition_key, data)| Archived {
                    stream: name,
                    shard: partition_key,
                    sequence,
                    sub_sequence: *sub_sequence,
                    arrived_ms: arrived.map(i64::from),
                    partition_key,
                    data,
                })
                .collect();
            let bytes = written(&all);
            let read: Result<Vec<_>, _> = records(&bytes).map(|(_, record)| record).collect();
            prop_assert_eq!(read, Ok(all));
        }

        #[test]
        fn any_bytes_are_records_or_an_error(
            bytes in prop::collection::vec(any::<u8>(), 0..100),
            length in 0..90_u8,
        ) {
            let bytes = [vec![0, 0, 0, length, 1], bytes].concat();
            // Reading ends, and every byte belongs to a record or to the one error.
            let end = records(&bytes).map(|(at, record)| (at, record.is_err())).last();
            prop_assert!(end.is_some_and(|(at, _)| at < bytes.len()));
        }

        #[test]
        fn a_part_of_a_record_asks_for_more(cut in 0..100_usize) {
            let bytes = written(&[record()]);
            let cut = cut.min(bytes.len() - 1);
            prop_assert_eq!(Archived::first(&bytes[..cut]), Ok(None));
        }
    }
}
