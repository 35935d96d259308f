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
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "instants")]
    arrived: Option<(i64, i64)>,
}

/// When the earliest and the latest record came to the stream.
fn instants<S: serde::Serializer>(
    arrived: &Option<(i64, i64)>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    arrived.map(|(first, last)| [instant(first), instant(last)]).serialize(serializer)
}

fn instant(ms: i64) -> String {
    let mut text = Vec::new();
    event::time::write_instant_millis(ms, &mut text);
    String::from_utf8(text).expect("digits and punctuation")
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Position<'a>(&'a lease::SequenceNumber, u64);

impl Serialize for Position<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.0.as_str(), self.1).serialize(serializer)
    }
}

/// The manifest of an object of so many bytes, made of these frames.
pub(super) fn write(settings: &Settings, object: &str, frames: &[Frame], bytes: usize) -> Vec<u8> {
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
                known.arrived = match (known.arrived, origin.arrived_ms) {
                    (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
                    (one, other) => one.or(other),
                };
            }
            None => {
                let (records, lines, arrived) = (origin.records, frame.lines, origin.arrived_ms);
                shards.push(Shard { shard, epoch, first, last, records, lines, arrived });
            }
        }
    }
    let manifest = Manifest {
        object,
        route: settings.route.name(),
        worker: &settings.worker,
        lines: frames.iter().map(|frame| frame.lines).sum(),
        bytes,
        shards,
    };
    serde_json::to_vec(&manifest).expect("texts and numbers make JSON")
}
