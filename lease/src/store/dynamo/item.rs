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
