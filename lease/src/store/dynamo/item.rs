//! A lease as an item of a KCL lease table.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::lease::{Counter, Lease, Stream, Suspect, WorkerId, WriteId};
use crate::position::{Position, ShardId};

/// An item as the SDK has it.
pub(super) type Item = HashMap<String, AttributeValue>;

pub(super) const KEY: &str = "leaseKey";
pub(super) const OWNER: &str = "leaseOwner";
pub(super) const COUNTER: &str = "leaseCounter";
pub(super) const CHECKPOINT: &str = "checkpoint";
pub(super) const SUB_SEQUENCE: &str = "checkpointSubSequenceNumber";
pub(super) const SWITCHES: &str = "ownerSwitchesSinceCheckpoint";
pub(super) const CHECKPOINT_OWNER: &str = "checkpointOwner";
const PARENTS: &str = "parentShardId";
pub(super) const CHILDREN: &str = "childShardIds";
const HASH_START: &str = "startingHashKey";
const HASH_END: &str = "endingHashKey";
const KIND: &str = "entityType";
/// Only where one table serves several streams, whose leases have keys of another form: what these
/// begin with, and what they end with.
const STREAM_NAME: &str = "streamName";
const SHARD: &str = "shardId";
/// A checkpoint prepared and not committed; a checkpoint of ours makes it void.
pub(super) const PENDING: [&str; 3] =
    ["pendingCheckpoint", "pendingCheckpointSubSequenceNumber", "pendingCheckpointState"];

// Ours. Short, because every item is billed by its size.
pub(super) const NEXT: &str = "sx_n";
pub(super) const WRITTEN: &str = "sx_w";
pub(super) const TAKEN: &str = "sx_e";
pub(super) const WEIGHT: &str = "sx_b";
pub(super) const LAG: &str = "sx_l";
pub(super) const CAPACITY: &str = "sx_p";
/// The stream: its name or ARN, and when it was created.
pub(super) const STREAM: &str = "sx_s";
pub(super) const CREATED: &str = "sx_c";
/// The time of an `AT_TIMESTAMP`.
pub(super) const AT: &str = "sx_t";
pub(super) const SUSPECT: &str = "sx_k";
/// The owner's lease duration in milliseconds.
pub(super) const DURATION: &str = "sx_d";
pub(super) const FAILURES: &str = "sx_f";

/// What an item is.
#[derive(Debug, PartialEq)]
pub(super) enum Reading {
    Lease(Box<Lease>),
    /// Something that the KCL or somebody else keeps in the same table.
    NoLease,
    /// A lease that says something we do not understand.
    Unreadable,
}

impl Reading {
    pub(super) fn lease(self) -> Option<Lease> {
        match self {
            Reading::Lease(lease) => Some(*lease),
            Reading::NoLease | Reading::Unreadable => None,
        }
    }
}

/// Which leases of a table count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// Those of one stream, whose key is the shard's name.
    #[default]
    OfOne,
    /// Those of several, whose key is `account:stream:created:shard`.
    OfSeveral,
    /// Both.
    OfAny,
}

/// Reads an item. A lease of ours has a counter, a kind that is absent or `LEASE`, and a key of the
/// form that counts: the others are of workers that read other streams.
pub(super) fn read(item: &Item, keys: Keys) -> Reading {
    let foreign = item.get(KIND).is_some_and(|kind| kind.as_s().is_ok_and(|k| k != "LEASE"));
    let several = string(item, KEY).is_some_and(|key| key.contains(':'));
    let elsewhere = match keys {
        Keys::OfOne => several || item.contains_key(STREAM_NAME),
        Keys::OfSeveral => !several,
        Keys::OfAny => false,
    };
    if foreign || elsewhere || !item.contains_key(COUNTER) {
        return Reading::NoLease;
    }
    match lease(item) {
        Some(lease) => Reading::Lease(Box::new(lease)),
        None => Reading::Unreadable,
    }
}

fn lease(item: &Item) -> Option<Lease> {
    let key = ShardId::new(string(item, KEY)?);
    // A condition compares numbers with numbers only: a counter that is a text can not be moved.
    let counter = item.get(COUNTER)?.as_n().ok().and_then(|n| whole(n))?;
    let worker = |name| string(item, name).filter(|name| !name.is_empty()).map(WorkerId::stored);
    // In a hand-over between workers of the KCL 3 the owner is already the next one, and the
    // worker that may still write the checkpoint stands beside it.
    let (owner, next) = match worker(CHECKPOINT_OWNER) {
        Some(working) => (Some(working), worker(OWNER)),
        None => (worker(OWNER), worker(NEXT)),
    };
    let hash_range = digits(item, HASH_START).zip(digits(item, HASH_END));
    Some(Lease {
        owner,
        counter: Counter(counter),
        owner_switches: number(item, SWITCHES).unwrap_or(0),
        parents: strings(item, PARENTS, &key),
        children: strings(item, CHILDREN, &key),
        hash_range: hash_range.map(|(start, end)| (start.to_owned(), end.to_owned())),
        next,
        written: string(item, WRITTEN).and_then(read_written),
        taken: Counter(number(item, TAKEN).unwrap_or(0)),
        weight: number(item, WEIGHT).unwrap_or(0),
        lag_ms: number(item, LAG),
        capacity: number(item, CAPACITY).and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
        suspect: string(item, SUSPECT).and_then(Suspect::parse),
        stream: Stream {
            name: string(item, STREAM).filter(|name| !name.is_empty()).map(Into::into),
            created: number(item, CREATED),
            ..Stream::default()
        },
        duration_ms: number(item, DURATION),
        failures: number(item, FAILURES).map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX)),
        ..Lease::new(&key, position(item)?)
    })
}

/// The checkpoint. A lease without one has everything still to be read; one that is there and not
/// understood must not be taken for that.
fn position(item: &Item) -> Option<Position> {
    let Some(checkpoint) = item.get(CHECKPOINT) else { return Some(Position::TrimHorizon) };
    let checkpoint = checkpoint.as_s().or_else(|_| checkpoint.as_n()).ok()?;
    match Position::from_checkpoint(checkpoint, number(item, SUB_SEQUENCE).unwrap_or(0))? {
        Position::AtTimestamp(_) => Some(Position::AtTimestamp(milliseconds(item))),
        position => Some(position),
    }
}

fn milliseconds(item: &Item) -> Option<i64> {
    item.get(AT)?.as_n().ok()?.parse().ok()
}

/// A lease that is being created, as the KCL would create it.
pub(super) fn new(lease: &Lease) -> Item {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let number = |number: u64| AttributeValue::N(number.to_string());
    let (checkpoint, sub_sequence) = lease.checkpoint.to_checkpoint();
    let mut item = Item::from([
        (KEY.to_owned(), text(lease.key.as_str())),
        (COUNTER.to_owned(), number(lease.counter.0)),
        (CHECKPOINT.to_owned(), text(checkpoint)),
        (SUB_SEQUENCE.to_owned(), number(sub_sequence)),
        (SWITCHES.to_owned(), number(lease.owner_switches)),
    ]);
    // A set must not be empty.
    if !lease.parents.is_empty() {
        item.insert(PARENTS.to_owned(), names(&lease.parents));
    }
    if let Some((stream, shard)) = lease.key.shard().of_several() {
        item.insert(STREAM_NAME.to_owned(), text(stream));
        item.insert(SHARD.to_owned(), text(shard));
    }
    if let Some((start, end)) = &lease.hash_range {
        item.insert(HASH_START.to_owned(), text(start));
        item.insert(HASH_END.to_owned(), text(end));
    }
    if let Position::AtTimestamp(Some(ms)) = lease.checkpoint {
        item.insert(AT.to_owned(), AttributeValue::N(ms.to_string()));
    }
    if let Some(name) = &lease.stream.name {
        item.insert(STREAM.to_owned(), text(name));
    }
    if let Some(created) = lease.stream.created {
        item.insert(CREATED.to_owned(), number(created));
    }
    item
}

/// Names of shards as a set: those that their stream gives them.
pub(super) fn names(shards: &[ShardId]) -> AttributeValue {
    let name = |shard: &ShardId| match shard.of_several() {
        Some((_, name)) => name.to_owned(),
        None => shard.as_str().to_owned(),
    };
    AttributeValue::Ss(shards.iter().map(name).collect())
}

/// The stamp of a write. It names the counter that the write stored: where the two differ, a
/// program that does not know the stamp has written since.
pub(super) fn written(counter: Counter, id: WriteId) -> String {
    format!("{}-{:x}", counter.0, id.0)
}

fn read_written(text: &str) -> Option<(Counter, WriteId)> {
    let (counter, id) = text.split_once('-')?;
    Some((Counter(counter.parse().ok()?), WriteId(u64::from_str_radix(id, 16).ok()?)))
}

fn string<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

/// Digits, whether they are stored as a text or as a number.
fn digits<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    let value = item.get(name)?;
    let text = value.as_s().or_else(|_| value.as_n()).ok()?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then_some(text)
}

/// A whole number, whether it is stored as a text or as a number.
fn number(item: &Item, name: &str) -> Option<u64> {
    let value = item.get(name)?;
    whole(value.as_n().or_else(|_| value.as_s()).ok()?)
}

/// Servers other than DynamoDB give numbers back as they came, perhaps `7.0` or `7E0`.
fn whole(text: &str) -> Option<u64> {
    /// Above it, not every whole number is one of these.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok()?;
        (number.fract() == 0.0 && (0.0..EXACT).contains(&number)).then_some(number as u64)
    })
}

/// Shards of the same stream as another, from a set or a list of names: sorted, and none twice.
fn strings(item: &Item, name: &str, of: &ShardId) -> Vec<ShardId> {
    let list = |values: &Vec<AttributeValue>| {
        values.iter().filter_map(|value| value.as_s().ok().cloned()).collect()
    };
    let texts = match item.get(name) {
        Some(AttributeValue::Ss(texts)) => texts.clone(),
        Some(AttributeValue::L(values)) => list(values),
        Some(AttributeValue::S(text)) => vec![text.clone()],
        _ => Vec::new(),
    };
    let shard = |name: &String| match of.of_several() {
        Some((stream, _)) => ShardId::within(stream, name),
        None => ShardId::new(name),
    };
    let mut names: Vec<ShardId> = texts.iter().map(shard).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::*;

    fn attribute(value: &Value) -> AttributeValue {
        let (kind, content) = value.as_object().and_then(|o| o.iter().next()).expect("one kind");
        let text = || content.as_str().expect("text").to_owned();
        match kind.as_str() {
            "S" => AttributeValue::S(text()),
            "N" => AttributeValue::N(text()),
            "BOOL" => AttributeValue::Bool(content.as_bool().expect("a boolean")),
            "SS" => {
                let texts = content.as_array().expect("a list").iter();
                AttributeValue::Ss(texts.map(|t| t.as_str().expect("text").to_owned()).collect())
            }
            "L" => {
                let values = content.as_array().expect("a list").iter();
                AttributeValue::L(values.map(attribute).collect())
            }
            "M" => {
                let values = content.as_object().expect("a map").iter();
                AttributeValue::M(values.map(|(k, v)| (k.clone(), attribute(v))).collect())
            }
            other => panic!("an attribute of kind {other}"),
        }
    }

    fn item(value: &Value) -> Item {
        let attributes = value.as_object().expect("an item").iter();
        attributes.map(|(name, value)| (name.clone(), attribute(value))).collect()
    }

    /// Every whole item in a recorded exchange; a query of an index has only keys.
    fn items(exchange: &Value) -> Vec<Item> {
        if exchange["op"] == "Query" {
            return Vec::new();
        }
        let put = exchange.pointer("/req/Item");
        let found = ["/res/Item", "/res/Attributes"].map(|at| exchange.pointer(at));
        let scanned = exchange.pointer("/res/Items").and_then(Value::as_array);
        let single = put.into_iter().chain(found.into_iter().flatten());
        let all = single.chain(scanned.into_iter().flatten());
        all.filter(|item| item.get(KEY).is_some()).map(item).collect()
    }

    /// What real KCL workers wrote is read for what it is.
    #[test]
    fn recorded_items_are_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/kcl-traces");
        let Ok(files) = std::fs::read_dir(&folder) else {
            #[allow(clippy::print_stderr, reason = "whoever runs the test should know")]
            {
                eprintln!("skipped: no recorded traces at {}", folder.display());
            }
            return;
        };
        let (mut leases, mut others, mut children) = (0, 0, 0);
        for file in files {
            let text = std::fs::read_to_string(file.expect("an entry").path()).expect("text");
            let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON"));
            for item in lines.flat_map(|exchange: Value| items(&exchange)) {
                match read(&item, Keys::OfOne) {
                    Reading::Lease(lease) => {
                        assert!(lease.key.as_str().starts_with("shardId-"), "{item:?}");
                        assert!(lease.hash_range.is_some(), "{item:?}");
                        children += usize::from(!lease.parents.is_empty());
                        leases += 1;
                    }
                    Reading::NoLease => {
                        let key = string(&item, KEY).expect("a key");
                        assert!(!key.starts_with("shardId-"), "{item:?}");
                        others += 1;
                    }
                    Reading::Unreadable => panic!("unreadable: {item:?}"),
                }
            }
        }
        assert!(leases > 30 && others > 20 && children > 3, "{leases} {others} {children}");
    }

    fn lease_item() -> Item {
        new(&Lease::new(&ShardId::new("shardId-000000000000"), Position::TrimHorizon))
    }

    #[test]
    fn what_is_no_lease_is_left_alone() {
        let mut other = lease_item();
        other.insert(KIND.to_owned(), AttributeValue::S("LEADER".to_owned()));
        assert_eq!(read(&other, Keys::OfOne), Reading::NoLease);
        let mut bare = lease_item();
        bare.remove(COUNTER);
        assert_eq!(read(&bare, Keys::OfOne), Reading::NoLease);
        let mut odd = lease_item();
        odd.insert(CHECKPOINT.to_owned(), AttributeValue::S("soon".to_owned()));
        assert_eq!(read(&odd, Keys::OfOne), Reading::Unreadable);
    }

    /// A new lease has the attributes that every KCL version needs, and no others.
    #[test]
    fn a_new_lease_is_the_kcls() {
        let mut names: Vec<String> = lease_item().into_keys().collect();
        names.sort();
        assert_eq!(names, [CHECKPOINT, SUB_SEQUENCE, COUNTER, KEY, SWITCHES]);
    }

    /// With several streams in a table the item is the KCL's, too: the key has the stream in it,
    /// relatives are named as the stream does.
    #[test]
    fn a_lease_of_one_of_several_streams_is_the_kcls() {
        let shard = |n: u8| ShardId::within("123456789012:raw:1700000000", &format!("shardId-{n}"));
        let parents = vec![shard(1), shard(2)];
        let lease = Lease { parents, ..Lease::new(&shard(7), Position::TrimHorizon) };
        let item = new(&lease);
        assert_eq!(string(&item, KEY), Some("123456789012:raw:1700000000:shardId-7"));
        assert_eq!(string(&item, "streamName"), Some("123456789012:raw:1700000000"));
        assert_eq!(string(&item, "shardId"), Some("shardId-7"));
        let mut named = item["parentShardId"].as_ss().expect("a set").clone();
        named.sort();
        assert_eq!(named, ["shardId-1", "shardId-2"]);
        for (keys, ours) in [(Keys::OfOne, false), (Keys::OfSeveral, true), (Keys::OfAny, true)] {
            let expected = if ours { Some(lease.clone()) } else { None };
            assert_eq!(read(&item, keys).lease(), expected, "{keys:?}");
            assert_eq!(read(&lease_item(), keys).lease().is_some(), keys != Keys::OfSeveral);
        }
    }

    #[test]
    fn a_stamp_is_read_back() {
        let stamp = (Counter(7), WriteId(0xfeed));
        assert_eq!(read_written(&written(stamp.0, stamp.1)), Some(stamp));
        assert_eq!(read_written("7"), None);
        assert_eq!(read_written("x-1"), None);
    }
}
