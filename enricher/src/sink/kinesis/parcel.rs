//! What becomes one record of a stream: a line, or several lines of one partition key, compressed
//! or not.

use std::borrow::Cow;
use std::collections::HashMap;

use super::KEY_BYTES;
use crate::packed;
use crate::source::kinesis::aggregate;

/// An aggregated record is complete with so many bytes, as with the Kinesis Producer Library.
const AGGREGATE_BYTES: usize = 51_200;

/// How lines become records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packing {
    /// Several lines of one partition key are aggregated.
    pub aggregate: bool,
    /// Records are compressed.
    pub zstd: bool,
}

impl Packing {
    /// Whether records are anything else than lines.
    pub fn packs(self) -> bool {
        self.aggregate || self.zstd
    }
}

/// One record on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parcel<'a> {
    /// Its partition key; chosen anew for each attempt where absent.
    pub(super) key: Option<String>,
    pub(super) data: Cow<'a, [u8]>,
    pub(super) lines: usize,
    /// The bytes of its lines.
    pub(super) bytes: usize,
}

impl<'a> Parcel<'a> {
    /// A line as it is.
    pub(super) fn line(line: &'a [u8]) -> Parcel<'a> {
        Parcel { key: None, data: Cow::Borrowed(line), lines: 1, bytes: line.len() }
    }

    /// What it takes of a request.
    pub(super) fn size(&self) -> usize {
        self.data.len() + KEY_BYTES
    }

    fn of(key: &str, lines: &[&[u8]], packing: Packing) -> Parcel<'static> {
        let data = match lines {
            [line] => line.to_vec(),
            lines => aggregate::join(key, lines.iter().copied()),
        };
        let data = packing.zstd.then(|| packed::pack(&data)).flatten().unwrap_or(data);
        let bytes = lines.iter().map(|line| line.len()).sum();
        let key = Some(key.to_owned());
        Parcel { key, data: Cow::Owned(data), lines: lines.len(), bytes }
    }
}

/// Packs lines. Those of one partition key stay in their order; `key` says which one a line has, or
/// none where any will do. Whoever takes an aggregated record apart may leave out what would belong
/// to another shard, so all in it have the key that the record has.
pub(super) fn pack(
    lines: &[&[u8]],
    packing: Packing,
    key: impl Fn(&[u8]) -> Option<String>,
) -> Vec<Parcel<'static>> {
    let any = || format!("{:016x}", fastrand::u64(..));
    if !packing.aggregate {
        let one = |line: &&[u8]| Parcel::of(&key(line).unwrap_or_else(any), &[line], packing);
        return lines.iter().map(one).collect();
    }
    let mut parcels = Vec::new();
    let mut open: HashMap<Option<String>, (usize, Vec<&[u8]>)> = HashMap::new();
    for line in lines {
        let (bytes, gathered) = open.entry(key(line)).or_default();
        let more = aggregate::cost(line.len());
        if *bytes + more > AGGREGATE_BYTES && !gathered.is_empty() {
            let key = key(line).unwrap_or_else(any);
            parcels.push(Parcel::of(&key, gathered, packing));
            gathered.clear();
            *bytes = 0;
        }
        *bytes += more;
        gathered.push(line);
    }
    let rest = open.into_iter().filter(|(_, (_, gathered))| !gathered.is_empty());
    parcels.extend(
        rest.map(|(key, (_, gathered))| Parcel::of(&key.unwrap_or_else(any), &gathered, packing)),
    );
    parcels
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    /// What a reader makes of parcels: lines by partition key.
    fn read(parcels: &[Parcel<'_>]) -> Vec<(String, Vec<u8>)> {
        let mut lines = Vec::new();
        for parcel in parcels {
            let data = Bytes::copy_from_slice(&parcel.data);
            let data = packed::unpack(&data).unwrap_or(data);
            let parts = aggregate::split(&data).unwrap_or_else(|| vec![data]);
            assert_eq!(parts.len(), parcel.lines);
            assert_eq!(parts.iter().map(Bytes::len).sum::<usize>(), parcel.bytes);
            let key = parcel.key.clone().expect("what is packed has its key");
            lines.extend(parts.into_iter().map(|part| (key.clone(), part.to_vec())));
        }
        lines
    }

    fn first(line: &[u8]) -> Option<String> {
        line.first().map(|byte| (byte % 3).to_string())
    }

    proptest! {
        #[test]
        fn every_line_is_read_once_under_its_key(
            lines in prop::collection::vec(prop::collection::vec(1_u8.., 1..9_000), 0..40),
            aggregate: bool,
            zstd: bool,
        ) {
            let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
            let packing = Packing { aggregate, zstd };
            let parcels = pack(&lines, packing, first);
            prop_assert!(parcels.iter().all(|it| it.data.len() <= AGGREGATE_BYTES + 100));
            let found = read(&parcels);
            for key in ["0", "1", "2"] {
                let of = |line: &[u8]| first(line).as_deref() == Some(key);
                let sent: Vec<_> = lines.iter().copied().filter(|line| of(line)).collect();
                let came = found.iter().filter(|(of, _)| of == key);
                let came: Vec<_> = came.map(|(_, line)| line.as_slice()).collect();
                prop_assert_eq!(came, sent);
            }
        }
    }

    #[test]
    fn what_may_go_anywhere_goes_together() {
        let lines = vec![&b"line of an event"[..]; 1_000];
        let packing = Packing { aggregate: true, zstd: false };
        let parcels = pack(&lines, packing, |_| None);
        assert_eq!(parcels.iter().map(|parcel| parcel.lines).sum::<usize>(), 1_000);
        assert!(parcels.len() == 1, "{}", parcels.len());
        let zstd = pack(&lines, Packing { zstd: true, ..packing }, |_| None);
        assert!(zstd[0].data.len() * 10 < parcels[0].data.len());
        let large = vec![&[7; 60_000][..]; 3];
        assert_eq!(pack(&large, packing, |_| None).len(), 3, "alone it is a record like any other");
    }
}
