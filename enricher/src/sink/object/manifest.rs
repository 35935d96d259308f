//! What an object holds, as JSON beside it: with the manifests alone one can tell which records
//! of a shard are in which object, and which objects repeat records after a crash.

use serde::Serialize;

use super::{Frame, Settings};

#[derive(Serialize)]
struct Manifest<'a> {
    object: &'a str,
    route: &'a str,
    worker: &'a str,
    lines: usize,
    bytes: usize,
    shards: Vec<Shard<'a>>,
}

/// One ownership's share of an object: the lines of so many records from `first` to `last`.
/// Batches side by side may end up in two objects whose ranges overlap; `records` tells.
#[derive(Serialize)]
struct Shard<'a> {
    shard: &'a str,
    epoch: u64,
    first: Position<'a>,
    last: Position<'a>,
    records: usize,
    lines: usize,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Position<'a>(&'a lease::SequenceNumber, u64);

impl Serialize for Position<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.0.as_str(), self.1).serialize(serializer)
    }
}

/// The manifest of an object made of these frames.
pub(super) fn write(settings: &Settings, object: &str, frames: &[Frame]) -> Vec<u8> {
    let mut shards: Vec<Shard<'_>> = Vec::new();
    for frame in frames {
        let origin = &frame.origin;
        let (shard, epoch) = (origin.shard.as_str(), origin.epoch);
        let first = Position(&origin.first.0, origin.first.1);
        let last = Position(&origin.last.0, origin.last.1);
        match shards.iter_mut().find(|known| known.shard == shard && known.epoch == epoch) {
            Some(known) => {
                known.first = known.first.clone().min(first);
                known.last = known.last.clone().max(last);
                known.records += origin.records;
                known.lines += frame.lines;
            }
            None => {
                let (records, lines) = (origin.records, frame.lines);
                shards.push(Shard { shard, epoch, first, last, records, lines });
            }
        }
    }
    let manifest = Manifest {
        object,
        route: settings.route.name(),
        worker: &settings.worker,
        lines: frames.iter().map(|frame| frame.lines).sum(),
        bytes: frames.iter().map(|frame| frame.bytes).sum(),
        shards,
    };
    serde_json::to_vec(&manifest).expect("texts and numbers make JSON")
}
