//! The table in the layout of the KCL: what its workers wrote is read, what we write it could have
//! written, and what is not ours stays as it is.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use lease::store::dynamo::Dynamo;
use lease::{
    Change, Config, Keeper, Lease, LeaseKey, LeaseStore, Outcome, Position, SequenceNumber, Shard,
    ShardId, Stream, Suspect, WorkerId, Write, WriteId,
};
use serde_json::Value;
use tokio::time::timeout;

use crate::engine::{Engine, client};

type Item = HashMap<String, AttributeValue>;

const TABLE: &str = "leases";

/// The attributes of a KCL 2.x lease, with their types.
const KCL: [(&str, &str); 12] = [
    ("leaseKey", "S"),
    ("leaseOwner", "S"),
    ("leaseCounter", "N"),
    ("checkpoint", "S"),
    ("checkpointSubSequenceNumber", "N"),
    ("ownerSwitchesSinceCheckpoint", "N"),
    ("parentShardId", "SS"),
    ("childShardIds", "SS"),
    ("startingHashKey", "S"),
    ("endingHashKey", "S"),
    ("pendingCheckpoint", "S"),
    ("pendingCheckpointSubSequenceNumber", "N"),
];

/// Those that no lease may be without.
const ALWAYS: [&str; 5] = [
    "leaseKey",
    "leaseCounter",
    "checkpoint",
    "checkpointSubSequenceNumber",
    "ownerSwitchesSinceCheckpoint",
];

struct Table {
    _engine: Engine,
    client: Client,
    store: Arc<dyn LeaseStore>,
}

impl Table {
    async fn new() -> Table {
        let engine = Engine::start().await;
        let client = client(engine.address);
        let store: Arc<dyn LeaseStore> = Arc::new(Dynamo::new(client.clone(), TABLE));
        store.open().await.expect("a table");
        Table { _engine: engine, client, store }
    }

    async fn put(&self, item: Item) {
        let request = self.client.put_item().table_name(TABLE).set_item(Some(item));
        request.send().await.expect("stored");
    }

    async fn item(&self, key: &str) -> Item {
        let request = self.client.get_item().table_name(TABLE).consistent_read(true);
        let reply = request.key("leaseKey", text(key)).send().await.expect("an answer");
        reply.item.unwrap_or_else(|| panic!("{key} is there"))
    }

    async fn get(&self, key: &str) -> Lease {
        let lease = self.store.get(&LeaseKey::of(&ShardId::new(key))).await.expect("an answer");
        lease.unwrap_or_else(|| panic!("{key} is a lease"))
    }

    async fn write(&self, key: &str, change: Change) -> Lease {
        let lease = self.get(key).await;
        let id = WriteId(fastrand::u64(..));
        let write = Write { key: lease.key, expected: lease.counter, id, change };
        match self.store.write(write).await.expect("an answer") {
            Outcome::Applied(lease) => lease,
            Outcome::Refused(lease) => panic!("{key}: {lease:?}"),
        }
    }

    /// Everything that is written to a lease in its life.
    async fn live(&self, key: &str) {
        let me = WorkerId::parse("me").expect("a name");
        let to = |n: &str| Position::After {
            sequence: SequenceNumber::parse(n).expect("a number"),
            sub_sequence: 2,
        };
        let far = "9".repeat(56);
        let take = Change::Take {
            owner: me.clone(),
            switched: true,
            capacity: 1,
            duration_ms: 10_000,
            stream: Stream { name: Some("raw".into()), created: Some(7), ..Stream::default() },
            start: None,
        };
        self.write(key, take).await;
        self.write(key, Change::Ask { next: me.clone() }).await;
        let suspect = Some(Suspect::new(to(&far), to(&far)));
        let checkpoint = Some(to(&far));
        let renewal =
            Change::Renew { checkpoint, weight: 5, lag_ms: Some(9), offer: Some(me), suspect };
        self.write(key, renewal).await;
        let checkpoint = Some(Position::ShardEnd);
        self.write(key, Change::Release { checkpoint, next: None, suspect: None, failed: false })
            .await;
        self.write(key, Change::Note { children: vec![ShardId::new("shardId-000000000077")] })
            .await;
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: &str) -> AttributeValue {
    AttributeValue::N(number.to_owned())
}

fn attribute(value: &Value) -> AttributeValue {
    let (kind, content) = value.as_object().and_then(|o| o.iter().next()).expect("one kind");
    let list = || content.as_array().expect("a list").iter();
    match kind.as_str() {
        "S" => text(content.as_str().expect("text")),
        "N" => number(content.as_str().expect("text")),
        "SS" => AttributeValue::Ss(list().map(|t| t.as_str().expect("text").into()).collect()),
        "L" => AttributeValue::L(list().map(attribute).collect()),
        "M" => AttributeValue::M(item(content)),
        other => panic!("an attribute of kind {other}"),
    }
}

fn item(value: &Value) -> Item {
    let attributes = value.as_object().expect("an item").iter();
    attributes.map(|(name, value)| (name.clone(), attribute(value))).collect()
}

/// Every different whole item that real KCL workers wrote.
fn recorded() -> Vec<Item> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/kcl-traces");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("skipped: no recorded traces at {}", folder.display());
        return Vec::new();
    };
    let mut items: Vec<Item> = Vec::new();
    for file in files {
        let lines = std::fs::read_to_string(file.expect("an entry").path()).expect("text");
        for exchange in lines.lines().map(|line| serde_json::from_str(line).expect("JSON")) {
            let exchange: Value = exchange;
            let single = ["/req/Item", "/res/Item", "/res/Attributes"];
            let single = single.into_iter().filter_map(|at| exchange.pointer(at));
            let whole = exchange["op"] != "Query";
            let scanned = exchange.pointer("/res/Items").and_then(Value::as_array);
            for found in single.chain(scanned.filter(|_| whole).into_iter().flatten()) {
                let found = item(found);
                if found.contains_key("leaseKey") && !items.contains(&found) {
                    items.push(found);
                }
            }
        }
    }
    items
}

/// A lease as the KCL writes it.
fn kcl_lease(key: &str) -> Item {
    let attributes = [
        ("leaseKey", text(key)),
        ("leaseOwner", text("10.0.0.1:6f1e")),
        ("leaseCounter", number("41")),
        ("checkpoint", text("49590338271490256608559692538361571095921575989136588898")),
        ("checkpointSubSequenceNumber", number("3")),
        ("ownerSwitchesSinceCheckpoint", number("1")),
        ("startingHashKey", text("0")),
        ("endingHashKey", text("340282366920938463463374607431768211455")),
    ];
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What an item that we have written may not be: without what every KCL reads, with another type
/// for it, or with names of ours that are not marked as such.
fn check_written(before: &Item, after: &Item) {
    for name in ALWAYS {
        assert!(after.contains_key(name), "{name} is missing: {after:?}");
    }
    for (name, value) in after {
        match KCL.iter().find(|(known, _)| known == name) {
            Some((_, "S")) => assert!(value.is_s(), "{name}: {value:?}"),
            Some((_, "N")) => assert!(value.is_n(), "{name}: {value:?}"),
            Some(_) => assert!(value.as_ss().is_ok_and(|set| !set.is_empty()), "{name}: {value:?}"),
            None => assert!(name.starts_with("sx_") || before.get(name) == Some(value), "{name}"),
        }
    }
    // The end of a hand-over and of a prepared checkpoint, as in the KCL.
    let ended = ["leaseOwner", "checkpointOwner", "pendingCheckpointState"];
    for name in before.keys().filter(|name| !ended.contains(&name.as_str())) {
        let kept = after.contains_key(name) || name.starts_with("pendingCheckpoint");
        assert!(kept, "{name} is lost: {after:?}");
    }
}

#[tokio::test]
async fn recorded_items_live_on_as_the_kcl_could_have_written_them() {
    let (mut leases, mut others) = (0, 0);
    for before in recorded() {
        let table = Table::new().await;
        let key = before["leaseKey"].as_s().expect("text").clone();
        table.put(before.clone()).await;
        let scan = table.store.scan().await.expect("an answer");
        assert_eq!(scan.unreadable, 0, "{before:?}");
        if !key.starts_with("shardId-") {
            assert_eq!(scan.leases, [], "{before:?}");
            others += 1;
            continue;
        }
        table.live(&key).await;
        check_written(&before, &table.item(&key).await);
        leases += 1;
    }
    println!("{leases} leases, {others} items of other kinds");
}

#[tokio::test]
async fn whatever_stands_beside_a_lease_is_kept() {
    let table = Table::new().await;
    let key = "shardId-000000000001";
    let mut before = kcl_lease(key);
    let strange = [
        ("throughputKBps", number("0.000812")),
        ("entityType", text("LEASE")),
        ("checkpointOwner", text("another")),
        ("pendingCheckpoint", text("49590338271490256608559692538361571095921575989136588899")),
        ("pendingCheckpointSubSequenceNumber", number("0")),
        ("pendingCheckpointState", AttributeValue::B(Blob::new(vec![1, 2, 3]))),
        ("parentShardId", AttributeValue::Ss(vec!["shardId-000000000000".to_owned()])),
        ("tag", AttributeValue::M(Item::from([("deep".to_owned(), AttributeValue::Null(true))]))),
        ("flag", AttributeValue::Bool(false)),
        ("list", AttributeValue::L(vec![number("1"), text("2")])),
        ("numbers", AttributeValue::Ns(vec!["1.5".to_owned()])),
    ];
    before.extend(strange.map(|(name, value)| (name.to_owned(), value)));
    table.put(before.clone()).await;
    table.live(key).await;
    let after = table.item(key).await;
    check_written(&before, &after);
    assert_eq!(after["childShardIds"], AttributeValue::Ss(vec!["shardId-000000000077".into()]));
    assert!(!after.contains_key("pendingCheckpoint") && !after.contains_key("checkpointOwner"));
    assert_eq!(after["checkpoint"], text("SHARD_END"));
}

/// One lease with some attributes replaced, or without them.
async fn reads(changes: &[(&str, Option<AttributeValue>)]) -> Option<Lease> {
    let table = Table::new().await;
    let mut changed = kcl_lease("shardId-000000000003");
    for (name, value) in changes {
        match value {
            Some(value) => drop(changed.insert((*name).to_owned(), value.clone())),
            None => drop(changed.remove(*name)),
        }
    }
    table.put(changed).await;
    table.store.scan().await.expect("an answer").leases.pop()
}

#[tokio::test]
async fn odd_leases_are_read_for_what_they_say() {
    let odd = |name, value| [(name, Some(value))];
    let after = |n: &str, sub_sequence| {
        let sequence = SequenceNumber::parse(n).expect("a number");
        Position::After { sequence, sub_sequence }
    };
    let whole = reads(&[]).await.expect("a lease");
    assert_eq!((whole.counter.0, whole.owner_switches), (41, 1));

    let lease = reads(&odd("checkpoint", number("12"))).await.expect("digits are digits");
    assert_eq!(lease.checkpoint, after("12", 3));
    let lease = reads(&odd("checkpoint", text("0012"))).await.expect("digits are digits");
    assert_eq!(lease.checkpoint, after("12", 3));
    let lease = reads(&odd("checkpointSubSequenceNumber", text("4"))).await.expect("a lease");
    assert!(matches!(lease.checkpoint, Position::After { sub_sequence: 4, .. }), "{lease:?}");
    let lease = reads(&[("checkpointSubSequenceNumber", None)]).await.expect("a lease");
    assert!(matches!(lease.checkpoint, Position::After { sub_sequence: 0, .. }), "{lease:?}");
    let lease = reads(&[("checkpoint", None)]).await.expect("nothing was checkpointed");
    assert_eq!(lease.checkpoint, Position::TrimHorizon);
    let lease = reads(&odd("checkpoint", text("AT_TIMESTAMP"))).await.expect("a lease");
    assert_eq!(lease.checkpoint, Position::AtTimestamp(None));
    let lease = reads(&[("ownerSwitchesSinceCheckpoint", None)]).await.expect("a lease");
    assert_eq!(lease.owner_switches, 0);
    let lease = reads(&odd("leaseOwner", AttributeValue::Null(true))).await.expect("a lease");
    assert_eq!(lease.owner, None);
    let parent = AttributeValue::L(vec![text("shardId-000000000002")]);
    let lease = reads(&odd("parentShardId", parent)).await.expect("a lease");
    assert_eq!(lease.parents, [ShardId::new("shardId-000000000002")]);
    let lease = reads(&[("startingHashKey", None)]).await.expect("a lease");
    assert_eq!(lease.hash_range, None);

    // In a hand-over of the KCL 3 the worker that still works stands beside the next owner.
    let lease = reads(&odd("checkpointOwner", text("old"))).await.expect("a lease");
    let names = [lease.owner, lease.next].map(|name| name.expect("a worker").to_string());
    assert_eq!(names, ["old", "10.0.0.1:6f1e"]);

    assert_eq!(reads(&odd("checkpoint", text("soon"))).await, None);
    assert_eq!(reads(&odd("leaseCounter", text("41"))).await, None, "it could not be moved");
    assert_eq!(reads(&odd("leaseCounter", number("-1"))).await, None);
    assert_eq!(reads(&odd("entityType", text("STREAM"))).await, None);
    assert_eq!(reads(&odd("streamName", text("123:payloads:99"))).await, None);
}

/// A fleet on a table that others use as well: their items are as they were.
#[tokio::test]
async fn what_is_not_ours_is_left_alone() {
    let table = Table::new().await;
    let mut others: Vec<Item> = recorded();
    others.retain(|item| !item["leaseKey"].as_s().expect("text").starts_with("shardId-"));
    let key = "123456789012:payloads:1700000000:shardId-000000000000";
    let mut of_a_multi_stream_fleet = kcl_lease(key);
    of_a_multi_stream_fleet.insert("shardId".to_owned(), text("shardId-000000000000"));
    of_a_multi_stream_fleet.remove("leaseOwner");
    others.push(of_a_multi_stream_fleet);
    others.push(Item::from([("leaseKey".to_owned(), text("note to self"))]));
    let mut unreadable = kcl_lease("shardId-000000000009");
    unreadable.insert("checkpoint".to_owned(), text("soon"));
    others.push(unreadable);
    for item in &others {
        table.put(item.clone()).await;
    }
    // What was put under one key twice is there as it was put last.
    let keys: BTreeSet<String> =
        others.iter().map(|item| item["leaseKey"].as_s().expect("text").clone()).collect();
    let mut before = Vec::new();
    for key in &keys {
        before.push(table.item(key).await);
    }

    let me = WorkerId::parse("me").expect("a name");
    let config = Config::with_lease_duration(me, Duration::from_secs(6));
    let (keeper, mut leases) = Keeper::start(table.store.clone(), config);
    let id = ShardId::new("shardId-000000000000");
    let shard = Shard { id: id.clone(), parents: Vec::new(), hash_range: None, closed: false };
    keeper.observe_shards(vec![shard]);
    let long = Duration::from_secs(60);
    let held = timeout(long, leases.next()).await.expect("in time").expect("it runs");
    assert_eq!(held.shard(), &id);
    held.release().await;
    assert_eq!((keeper.status().known, keeper.status().unreadable), (1, 1));
    for (key, before) in keys.iter().zip(before) {
        assert_eq!(table.item(key).await, before);
    }
}
