//! A lease as an item of a KCL lease table.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::lease::{Counter, Lease, WorkerId, WriteId};
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
const HASH_START: &str = "startingHashKey";
const HASH_END: &str = "endingHashKey";
const KIND: &str = "entityType";
/// A checkpoint prepared and not committed; a checkpoint of ours makes it void.
pub(super) const PENDING: [&str; 3] =
    ["pendingCheckpoint", "pendingCheckpointSubSequenceNumber", "pendingCheckpointState"];

// Ours. Short, because every item is billed by its size.
pub(super) const NEXT: &str = "sx_n";
pub(super) const WRITTEN: &str = "sx_w";
pub(super) const TAKEN: &str = "sx_e";
pub(super) const WEIGHT: &str = "sx_b";
pub(super) const CAPACITY: &str = "sx_c";

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

/// Reads an item. A lease has a counter, and a kind that is absent or `LEASE`.
pub(super) fn read(item: &Item) -> Reading {
    let foreign = string(item, KIND).is_some_and(|kind| kind != "LEASE");
    if foreign || !item.contains_key(COUNTER) {
        return Reading::NoLease;
    }
    match lease(item) {
        Some(lease) => Reading::Lease(Box::new(lease)),
        None => Reading::Unreadable,
    }
}

fn lease(item: &Item) -> Option<Lease> {
    let key = ShardId::new(string(item, KEY)?);
    let sub_sequence = number(item, SUB_SEQUENCE).unwrap_or(0);
    let checkpoint = Position::from_checkpoint(string(item, CHECKPOINT)?, sub_sequence)?;
    let mut parents = strings(item, PARENTS);
    parents.sort();
    let hash_range = string(item, HASH_START).zip(string(item, HASH_END));
    Some(Lease {
        owner: string(item, OWNER).map(WorkerId::stored),
        counter: Counter(number(item, COUNTER)?),
        owner_switches: number(item, SWITCHES).unwrap_or(0),
        parents,
        hash_range: hash_range.map(|(start, end)| (start.to_owned(), end.to_owned())),
        next: string(item, NEXT).map(WorkerId::stored),
        written: string(item, WRITTEN).and_then(read_written),
        taken: Counter(number(item, TAKEN).unwrap_or(0)),
        weight: number(item, WEIGHT).unwrap_or(0),
        capacity: number(item, CAPACITY).and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
        ..Lease::new(&key, checkpoint)
    })
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
        let parents = lease.parents.iter().map(|parent| parent.as_str().to_owned()).collect();
        item.insert(PARENTS.to_owned(), AttributeValue::Ss(parents));
    }
    if let Some((start, end)) = &lease.hash_range {
        item.insert(HASH_START.to_owned(), text(start));
        item.insert(HASH_END.to_owned(), text(end));
    }
    item
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

fn number(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

fn strings(item: &Item, name: &str) -> Vec<ShardId> {
    let strings = item.get(name).and_then(|value| value.as_ss().ok());
    strings.into_iter().flatten().map(|text| ShardId::new(text)).collect()
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
                match read(&item) {
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
        assert_eq!(read(&other), Reading::NoLease);
        let mut bare = lease_item();
        bare.remove(COUNTER);
        assert_eq!(read(&bare), Reading::NoLease);
        let mut odd = lease_item();
        odd.insert(CHECKPOINT.to_owned(), AttributeValue::S("soon".to_owned()));
        assert_eq!(read(&odd), Reading::Unreadable);
    }

    /// A new lease has the attributes that every KCL version needs, and no others.
    #[test]
    fn a_new_lease_is_the_kcls() {
        let mut names: Vec<String> = lease_item().into_keys().collect();
        names.sort();
        assert_eq!(names, [CHECKPOINT, SUB_SEQUENCE, COUNTER, KEY, SWITCHES]);
    }

    #[test]
    fn a_stamp_is_read_back() {
        let stamp = (Counter(7), WriteId(0xfeed));
        assert_eq!(read_written(&written(stamp.0, stamp.1)), Some(stamp));
        assert_eq!(read_written("7"), None);
        assert_eq!(read_written("x-1"), None);
    }
}
