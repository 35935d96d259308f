//! The three stores keep the same promises: any sequence of operations has the same answers on
//! each, and leaves the same table.

use std::path::Path;
use std::sync::{Arc, Barrier};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use lease::store::{dynamo::Dynamo, memory::Memory, sqlite::Sqlite};
use lease::{
    Change, Counter, Error, Lease, LeaseKey, LeaseStore, Outcome, Position, SequenceNumber,
    ShardId, Stream, Suspect, WorkerId, Write, WriteId,
};
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::engine::{Engine, client};

/// One operation of one of a few workers on one of a few leases.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a test has few of them")]
enum Op {
    Create(Lease),
    Write(Write),
    Get(LeaseKey),
    Delete(LeaseKey, Counter),
    Scan,
}

/// What an operation answered.
#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Done(bool),
    Wrote(Outcome),
    Got(Option<Lease>),
    Scanned(Vec<Lease>),
}

async fn perform(store: &dyn LeaseStore, op: Op) -> lease::Result<Answer> {
    Ok(match op {
        Op::Create(lease) => Answer::Done(store.create(lease).await?),
        Op::Write(write) => Answer::Wrote(store.write(write).await?),
        Op::Get(key) => Answer::Got(store.get(&key).await?),
        Op::Delete(key, counter) => Answer::Done(store.delete(&key, counter).await?),
        Op::Scan => {
            let mut scan = store.scan().await?;
            assert_eq!(scan.unreadable, 0);
            scan.leases.sort_by(|a, b| a.key.cmp(&b.key));
            Answer::Scanned(scan.leases)
        }
    })
}

fn keys() -> impl Strategy<Value = ShardId> {
    (0..3).prop_map(|n| ShardId::new(&format!("shardId-{n:012}")))
}

fn workers() -> impl Strategy<Value = WorkerId> {
    prop_oneof!["a", "b"].prop_map(|name| WorkerId::parse(&name).expect("a letter"))
}

fn positions() -> impl Strategy<Value = Position> {
    let after = ("[1-9][0-9]{0,55}", 0u64..3).prop_map(|(digits, sub_sequence)| {
        let sequence = SequenceNumber::parse(&digits).expect("digits");
        Position::After { sequence, sub_sequence }
    });
    let named = [
        Position::TrimHorizon,
        Position::Latest,
        Position::AtTimestamp(None),
        Position::AtTimestamp(Some(1_700_000_000_000)),
        Position::ShardEnd,
        Position::ShardEnd,
    ];
    prop_oneof![after, proptest::sample::select(named.to_vec())]
}

fn records() -> impl Strategy<Value = Option<Suspect>> {
    let record = || positions().prop_filter("a record", |p| matches!(p, Position::After { .. }));
    let range = (record(), record(), 1u32..3)
        .prop_map(|(first, last, tries)| Suspect { tries, ..Suspect::new(first, last) });
    proptest::option::of(range)
}

fn leases() -> impl Strategy<Value = Lease> {
    let range = proptest::option::of(Just(("0".to_owned(), "9".repeat(38))));
    (keys(), positions(), vec(keys(), 0..3), range).prop_map(|(shard, position, parents, range)| {
        let mut lease = Lease::new(&shard, position);
        lease.parents = parents;
        lease.parents.sort();
        lease.parents.dedup();
        lease.stream.created = range.is_some().then_some(1_700_000_000);
        lease.stream.name = range.is_none().then(|| "raw".into());
        lease.hash_range = range;
        lease
    })
}

fn changes() -> impl Strategy<Value = Change> {
    let moved = || proptest::option::of(positions());
    let peer = || proptest::option::of(workers());
    prop_oneof![
        (workers(), any::<bool>(), 1u32..4, moved()).prop_map(
            |(owner, switched, capacity, start)| {
                let created = switched.then_some(u64::from(capacity));
                let name = (capacity > 1).then(|| format!("stream-{capacity}").into());
                let (stream, duration_ms) =
                    (Stream { name, created, ..Stream::default() }, u64::from(capacity) * 1000);
                Change::Take { owner, switched, capacity, duration_ms, stream, start }
            }
        ),
        (moved(), 0u64..1 << 40, peer(), records()).prop_map(
            |(checkpoint, weight, offer, suspect)| {
                let lag_ms = (weight % 2 == 0).then_some(weight / 2);
                Change::Renew { checkpoint, weight, lag_ms, offer, suspect }
            }
        ),
        (moved(), peer(), records(), any::<bool>()).prop_map(
            |(checkpoint, next, suspect, failed)| {
                Change::Release { checkpoint, next, suspect, failed }
            }
        ),
        proptest::collection::btree_set(keys(), 1..3)
            .prop_map(|children| Change::Note { children: children.into_iter().collect() }),
        workers().prop_map(|next| Change::Ask { next }),
    ]
}

fn ops() -> impl Strategy<Value = Op> {
    let writes =
        (keys(), 0u64..6, any::<u64>(), changes()).prop_map(|(shard, counter, id, change)| {
            let key = LeaseKey::of(&shard);
            Op::Write(Write { key, expected: Counter(counter), id: WriteId(id), change })
        });
    prop_oneof![
        2 => leases().prop_map(Op::Create),
        12 => writes,
        1 => keys().prop_map(|shard| Op::Get(LeaseKey::of(&shard))),
        2 => (keys(), 0u64..6).prop_map(|(s, c)| Op::Delete(LeaseKey::of(&s), Counter(c))),
        1 => Just(Op::Scan),
    ]
}

/// The three stores, the last behind a server in this process.
struct Stores {
    runtime: Runtime,
    client: Client,
    folder: tempfile::TempDir,
    _engine: Engine,
}

impl Stores {
    fn start() -> Stores {
        let runtime = Runtime::new().expect("a runtime");
        let engine = runtime.block_on(Engine::named());
        let client = client(engine.address);
        let folder = tempfile::tempdir().expect("a folder");
        Stores { runtime, client, folder, _engine: engine }
    }

    fn fresh(&self, name: &str) -> Vec<Arc<dyn LeaseStore>> {
        let file = self.folder.path().join(format!("{name}.sqlite"));
        vec![
            Arc::new(Memory::new()),
            Arc::new(Sqlite::open(&file).expect("a new file")),
            Arc::new(Dynamo::new(self.client.clone(), name)),
        ]
    }
}

#[test]
fn the_stores_answer_alike() {
    let stores = Stores::start();
    let table = std::sync::atomic::AtomicUsize::new(0);
    let config = ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() };
    proptest!(config, |(script in vec(ops(), 1..60))| {
        let n = table.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let stores = (stores.fresh(&format!("alike-{n}")), &stores.runtime);
        check(stores.0, stores.1, script)?;
    });
}

fn check(
    stores: Vec<Arc<dyn LeaseStore>>,
    runtime: &Runtime,
    script: Vec<Op>,
) -> Result<(), TestCaseError> {
    runtime.block_on(async {
        for store in &stores {
            store.open().await.expect("the store opens");
            store.open().await.expect("and opens again");
        }
        for (n, op) in script.into_iter().chain([Op::Scan]).enumerate() {
            let expected = perform(stores[0].as_ref(), op.clone()).await.expect("memory answers");
            for store in &stores[1..] {
                let answer = perform(store.as_ref(), op.clone()).await.expect("the store answers");
                prop_assert_eq!(&answer, &expected, "operation {} on {:?}: {:?}", n, store, op);
            }
        }
        Ok(())
    })
}

/// Ten workers take one lease at once; one of them gets it, every time.
#[test]
fn of_many_writers_one_wins() {
    let stores = Stores::start();
    for store in stores.fresh("race") {
        let won = stores.runtime.block_on(race(store.clone(), 20));
        assert_eq!(won, 20, "{store:?}");
    }
}

async fn race(store: Arc<dyn LeaseStore>, rounds: u64) -> usize {
    store.open().await.expect("the store opens");
    let shard = ShardId::new("shardId-000000000000");
    let key = LeaseKey::of(&shard);
    assert!(store.create(Lease::new(&shard, Position::TrimHorizon)).await.expect("created"));
    let mut won = 0;
    for round in 0..rounds {
        let mut writers = JoinSet::new();
        for n in 0..10u64 {
            let (store, key) = (store.clone(), key.clone());
            let owner = WorkerId::parse(&format!("w{n}")).expect("a name");
            let change = Change::Take {
                owner,
                switched: true,
                capacity: 1,
                duration_ms: 1,
                stream: Stream::default(),
                start: None,
            };
            let write = Write { key, expected: Counter(round), id: WriteId(n), change };
            writers.spawn(async move { store.write(write).await });
        }
        while let Some(outcome) = writers.join_next().await {
            let outcome = outcome.expect("no panic").expect("the store answers");
            won += usize::from(matches!(outcome, Outcome::Applied(_)));
        }
    }
    let lease = store.get(&key).await.expect("the store answers").expect("it is there");
    assert_eq!((lease.counter, lease.owner_switches), (Counter(rounds), rounds));
    won
}

/// Two processes share a file as two connections do.
#[test]
fn a_file_is_shared() {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("leases.sqlite");
    let open = |file: &Path| Sqlite::open(file).expect("the file opens");
    let (one, two) = (open(&file), open(&file));
    let shard = ShardId::new("shardId-000000000000");
    runtime.block_on(async {
        one.open().await.expect("opens");
        two.open().await.expect("opens");
        let lease = Lease::new(&shard, Position::Latest);
        assert!(one.create(lease.clone()).await.expect("creates"));
        assert!(!two.create(lease.clone()).await.expect("sees it"));
        assert_eq!(two.get(&lease.key).await.expect("reads"), Some(lease));
    });
}

/// Workers of one machine often start together, and each finds the file in another state.
#[test]
fn a_file_is_opened_by_many_at_once() {
    const OPENERS: usize = 8;
    for _ in 0..25 {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("leases.sqlite");
        let together = Barrier::new(OPENERS);
        std::thread::scope(|scope| {
            for _ in 0..OPENERS {
                scope.spawn(|| {
                    together.wait();
                    let runtime = Runtime::new().expect("a runtime");
                    let store = Sqlite::open(&file).expect("the file opens");
                    runtime.block_on(store.open()).expect("the table opens");
                });
            }
        });
    }
}

/// A file that was deleted is no table any more, and one that is there in its place is.
#[test]
fn a_file_that_is_replaced_is_followed() {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("leases.sqlite");
    let open = || Sqlite::open(&file).expect("the file opens");
    let lease = Lease::new(&ShardId::new("shardId-000000000000"), Position::Latest);
    runtime.block_on(async {
        let one = open();
        one.open().await.expect("opens");
        assert!(one.create(lease.clone()).await.expect("creates"));
        for file in std::fs::read_dir(folder.path()).expect("a folder") {
            std::fs::remove_file(file.expect("a file").path()).expect("it is ours to delete");
        }
        let gone = one.get(&lease.key).await;
        assert!(matches!(gone, Err(Error::Unavailable(_))), "{gone:?}");
        assert!(!file.exists(), "it is not made anew");

        let two = open();
        two.open().await.expect("opens");
        assert_eq!(one.scan().await.expect("reads").leases, []);
        assert!(two.create(lease.clone()).await.expect("creates"));
        assert_eq!(one.get(&lease.key).await.expect("reads"), Some(lease));
    });
}

/// Whoever put the file there may still be writing to it.
#[test]
fn a_replaced_file_that_is_busy_is_followed_later() {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("leases.sqlite");
    let store = Sqlite::open(&file).expect("the file opens");
    runtime.block_on(store.open()).expect("opens");
    for file in std::fs::read_dir(folder.path()).expect("a folder") {
        std::fs::remove_file(file.expect("a file").path()).expect("it is ours to delete");
    }
    let other = rusqlite::Connection::open(&file).expect("the file opens");
    other.pragma_update(None, "journal_mode", "WAL").expect("a setting");
    other.execute_batch("BEGIN IMMEDIATE; CREATE TABLE other (x INTEGER)").expect("begins");
    let busy = runtime.block_on(store.scan());
    assert!(matches!(busy, Err(Error::Unavailable(_))), "{busy:?}");
    other.execute_batch("COMMIT").expect("commits");
    assert_eq!(runtime.block_on(store.scan()).expect("reads").leases, []);
}

/// While a fleet is updated, workers of two versions share a file.
#[test]
fn what_a_later_version_adds_is_kept() {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("leases.sqlite");
    let store = Sqlite::open(&file).expect("the file opens");
    let lease = |n: u32| Lease::new(&ShardId::new(&format!("shardId-{n:012}")), Position::Latest);
    runtime.block_on(async {
        store.open().await.expect("opens");
        assert!(store.create(lease(0)).await.expect("creates"));
        let other = rusqlite::Connection::open(&file).expect("the file opens");
        let later = "ALTER TABLE leases ADD COLUMN later TEXT; UPDATE leases SET later = 'kept'";
        other.execute_batch(later).expect("the table changes");
        assert!(store.create(lease(1)).await.expect("creates"));
        assert!(!store.create(lease(0)).await.expect("it is there"));
        let key = lease(0).key;
        let change = Change::Ask { next: WorkerId::parse("me").expect("a name") };
        let write = Write { key: key.clone(), expected: Counter(0), id: WriteId(1), change };
        assert!(matches!(store.write(write).await.expect("writes"), Outcome::Applied(_)));
        let kept = "SELECT later FROM leases WHERE lease_key = ?1";
        let kept: String = other.query_row(kept, [key.as_str()], |row| row.get(0)).expect("a row");
        assert_eq!(kept, "kept");
        assert_eq!(store.scan().await.expect("reads").leases.len(), 2);
    });
}

/// Or a child would be begun while its parent's lease cannot be read.
#[test]
fn an_unreadable_lease_is_not_an_absent_one() {
    let stores = Stores::start();
    let lease = Lease::new(&ShardId::new("shardId-000000000000"), Position::Latest);
    let [_, sqlite, dynamo] = stores.fresh("unreadable").try_into().expect("three");
    stores.runtime.block_on(async {
        for store in [&sqlite, &dynamo] {
            store.open().await.expect("the store opens");
            assert!(store.create(lease.clone()).await.expect("created"));
        }
        let file = stores.folder.path().join("unreadable.sqlite");
        let other = rusqlite::Connection::open(file).expect("the file opens");
        other.execute("UPDATE leases SET checkpoint = 'soon'", []).expect("a row changes");
        let key = AttributeValue::S(lease.key.as_str().to_owned());
        let update = stores.client.update_item().table_name("unreadable").key("leaseKey", key);
        let update = update.update_expression("SET checkpoint = :soon");
        let soon = AttributeValue::S("soon".to_owned());
        update.expression_attribute_values(":soon", soon).send().await.expect("an item changes");
        for store in [sqlite, dynamo] {
            assert_eq!(store.scan().await.expect("an answer").unreadable, 1);
            let got = store.get(&lease.key).await;
            assert!(matches!(got, Err(Error::Unavailable(_))), "{store:?}: {got:?}");
        }
    });
}
