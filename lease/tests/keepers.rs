//! Keepers at work on a real store, on time that the tests move.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use lease::store::{Pending, memory::Memory, sqlite::Sqlite};
use lease::{
    Change, Config, Counter, Error, Held, Keeper, Lease, LeaseKey, LeaseStore, Leases, Outcome,
    Position, Scan, SequenceNumber, Shard, ShardId, Stream, Suspect, WorkerId, Write, WriteId,
    operator,
};
use tokio::time::{Instant, timeout};

/// Long enough for anything to happen that is going to.
const LONG: Duration = Duration::from_secs(300);

fn config(name: &str) -> Config {
    Config::new(WorkerId::parse(name).expect("a good name"))
}

fn id(n: u32) -> ShardId {
    ShardId::new(&format!("shardId-{n:012}"))
}

fn shard(n: u32, parents: &[u32]) -> Shard {
    let parents = parents.iter().map(|n| id(*n)).collect();
    Shard { id: id(n), parents, hash_range: None, closed: false }
}

fn stream(created: u64) -> Stream {
    Stream { name: Some("raw".into()), created: Some(created), ..Stream::default() }
}

fn after(n: u64) -> Position {
    let sequence = SequenceNumber::parse(&n.to_string()).expect("a number");
    Position::After { sequence, sub_sequence: 0 }
}

fn start(store: &Arc<dyn LeaseStore>, name: &str, shards: u32) -> (Keeper, Leases) {
    let (keeper, leases) = Keeper::start(store.clone(), config(name));
    keeper.observe_shards((0..shards).map(|n| shard(n, &[])).collect());
    (keeper, leases)
}

async fn next(leases: &mut Leases) -> Held {
    timeout(LONG, leases.next()).await.expect("a lease in time").expect("the keeper runs")
}

async fn take(leases: &mut Leases, count: usize) -> Vec<Held> {
    let mut held = Vec::new();
    while held.len() < count {
        held.push(next(leases).await);
    }
    held
}

async fn stored(store: &Arc<dyn LeaseStore>, n: u32) -> Lease {
    store.get(&LeaseKey::of(&id(n))).await.expect("the store answers").expect("it is there")
}

/// Waits until the table satisfies a condition.
async fn until(store: &Arc<dyn LeaseStore>, n: u32, condition: impl Fn(&Lease) -> bool) -> Lease {
    let waited = timeout(LONG, async {
        loop {
            let lease = stored(store, n).await;
            if condition(&lease) {
                return lease;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.expect("the condition comes true")
}

fn memory() -> Arc<dyn LeaseStore> {
    Arc::new(Memory::new())
}

#[tokio::test(start_paused = true)]
async fn a_renewal_carries_the_checkpoint_and_a_release_the_last_one() {
    let store = memory();
    let (keeper, mut leases) = start(&store, "a", 1);
    let held = next(&mut leases).await;
    assert_eq!(held.position(), Position::TrimHorizon);
    assert_eq!(held.shard(), &id(0));
    let before = held.deadline();
    held.advance(after(5));
    let lease = until(&store, 0, |lease| lease.checkpoint == after(5)).await;
    assert_eq!(lease.counter.0, held.epoch() + 1, "heartbeat and checkpoint are one write");
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(held.deadline() > before);
    held.advance(after(9));
    held.release().await;
    let lease = stored(&store, 0).await;
    assert_eq!((lease.checkpoint, lease.owner), (after(9), None));
    assert_eq!(keeper.status().released, 1);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "went back")]
async fn a_position_never_goes_back() {
    let store = memory();
    let (_keeper, mut leases) = start(&store, "a", 1);
    let held = next(&mut leases).await;
    held.advance(after(5));
    held.advance(after(4));
}

#[tokio::test(start_paused = true)]
async fn a_drain_hands_over_to_the_peer_at_once() {
    let store = memory();
    let (one, mut leases_of_one) = start(&store, "one", 4);
    let mut held = take(&mut leases_of_one, 4).await;
    let (two, mut leases_of_two) = start(&store, "two", 4);
    // The peer has asked for one, as a newcomer does.
    let given = asked_back(&mut held).await;
    given.release().await;
    let mut theirs = vec![next(&mut leases_of_two).await];

    let drain = one.drain();
    let give = async {
        for held in held {
            held.asked_back().cancelled().await;
            held.advance(after(7));
            held.release().await;
        }
        Instant::now()
    };
    let (_, given_at) = tokio::join!(drain, give);
    assert!(leases_of_one.next().await.is_none());
    leases_of_one.join().await.expect("a drained keeper ends well");
    while theirs.len() < 4 {
        theirs.push(next(&mut leases_of_two).await);
    }
    assert!(given_at.elapsed() < Duration::from_secs(1), "{:?}", given_at.elapsed());
    assert_eq!(two.status().taken_over, 4);
    assert_eq!(theirs.iter().filter(|held| held.position() == after(7)).count(), 3);
}

/// Waits for one of them to be asked back, and takes it out.
async fn asked_back(held: &mut Vec<Held>) -> Held {
    let asked = timeout(LONG, async {
        loop {
            if let Some(n) = held.iter().position(|held| held.asked_back().is_cancelled()) {
                return n;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let n = asked.await.expect("one is asked back");
    held.remove(n)
}

#[tokio::test(start_paused = true)]
async fn a_dead_workers_leases_are_taken_when_they_expire() {
    let store = memory();
    let (_one, mut leases_of_one) = start(&store, "one", 3);
    let held = take(&mut leases_of_one, 3).await;
    held[0].advance(after(3));
    until(&store, 0, |lease| lease.checkpoint == after(3)).await;
    let died = Instant::now();
    // The process is gone: nothing of it runs any more.
    drop(leases_of_one);
    assert!(timeout(LONG, held[0].lost().cancelled()).await.is_ok());
    let (two, mut leases_of_two) = start(&store, "two", 3);
    let theirs = take(&mut leases_of_two, 3).await;
    assert!(died.elapsed() > Duration::from_secs(10), "not before they expire");
    assert!(died.elapsed() < Duration::from_secs(13), "{:?}", died.elapsed());
    let first = theirs.iter().find(|held| held.shard() == &id(0)).expect("it was taken");
    assert_eq!((first.position(), first.fruitless_owners()), (after(3), 1));
    assert_eq!(two.status().taken_expired, 3);
    // The dead worker's right to write output ended before its leases were taken.
    assert!(held.iter().all(|held| held.deadline() < Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_ends_one_shard_only() {
    let store = memory();
    let (keeper, mut leases) = start(&store, "one", 2);
    let held = take(&mut leases, 2).await;
    let victim = held.iter().find(|held| held.shard() == &id(0)).expect("held");
    let other = held.iter().find(|held| held.shard() == &id(1)).expect("held");
    let change = Change::Take {
        owner: WorkerId::parse("thief").expect("a name"),
        switched: true,
        capacity: 1,
        duration_ms: 10_000,
        stream: Stream::default(),
        start: None,
    };
    let lease = stored(&store, 0).await;
    let write = Write { key: lease.key, expected: lease.counter, id: WriteId(1), change };
    store.write(write).await.expect("the store answers");
    timeout(LONG, victim.lost().cancelled()).await.expect("it is found out");
    assert!(!other.lost().is_cancelled());
    assert_eq!((keeper.status().lost, keeper.status().held), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn children_wait_for_their_parents_end() {
    let store = memory();
    let (keeper, mut leases) = start(&store, "one", 1);
    let parent = next(&mut leases).await;
    keeper.observe_shards(vec![shard(0, &[]), shard(1, &[0]), shard(2, &[0])]);
    let taken = stored(&store, 0).await.counter.0;
    until(&store, 0, |lease| lease.counter.0 > taken + 2).await;
    assert_eq!(stored(&store, 1).await.owner, None, "created, and not taken");
    parent.advance(Position::ShardEnd);
    parent.release().await;
    let ended = Instant::now();
    let children = take(&mut leases, 2).await;
    assert!(ended.elapsed() < Duration::from_millis(100), "they start at once");
    let names: BTreeSet<ShardId> = children.iter().map(|held| held.shard().clone()).collect();
    assert_eq!(names, BTreeSet::from([id(1), id(2)]));
}

/// Nor is it by anybody else, and the pause grows with each failure, whoever has it.
#[tokio::test(start_paused = true)]
async fn a_failed_task_is_not_started_again_at_once() {
    let store = memory();
    let (_one, mut leases_of_one) = start(&store, "one", 1);
    let mut held = next(&mut leases_of_one).await;
    let (_two, mut leases_of_two) = start(&store, "two", 1);
    held.advance(after(2));
    for (failures, pause) in [(1, 10), (2, 20), (3, 40)] {
        drop(held);
        let lease = until(&store, 0, |lease| lease.owner.is_none()).await;
        let failed = Instant::now();
        assert_eq!(lease.failures, failures);
        held = tokio::select! {
            held = next(&mut leases_of_one) => held,
            held = next(&mut leases_of_two) => held,
        };
        let paused = failed.elapsed().as_secs();
        assert!((pause - 1..pause + 4).contains(&paused), "{paused} s of {pause}");
        assert_eq!(held.position(), after(2));
    }
    held.advance(after(3));
    let lease = until(&store, 0, |lease| lease.checkpoint == after(3)).await;
    assert_eq!(lease.failures, 0, "it is worked again");
}

/// A task that works record by record says which one it is at; if its process dies, the next owner
/// knows. What the owner lived through is no longer under suspicion.
#[tokio::test(start_paused = true)]
async fn a_suspicion_outlives_the_owner_that_it_killed() {
    let store = memory();
    let (_one, mut leases_of_one) = start(&store, "one", 1);
    let held = next(&mut leases_of_one).await;
    assert_eq!(held.suspected(), None);
    let records = |first, last| Some(Suspect::new(after(first), after(last)));
    held.announce(records(1, 1)).await;
    held.advance(after(1));
    held.announce(None).await;
    assert_eq!(stored(&store, 0).await.suspect, None);
    held.announce(records(2, 5)).await;
    let lease = stored(&store, 0).await;
    assert_eq!((lease.checkpoint, lease.suspect), (after(1), records(2, 5)));
    let died = lease.counter;
    drop(leases_of_one);

    let (_two, mut leases_of_two) = start(&store, "two", 1);
    let held = next(&mut leases_of_two).await;
    assert_eq!((held.position(), held.suspected()), (after(1), records(2, 5).as_ref()));
    // It stays until it is dealt with, whoever has the lease.
    until(&store, 0, |lease| lease.counter > died.next().next()).await;
    held.release().await;
    drop(leases_of_two);
    assert_eq!(stored(&store, 0).await.suspect, records(2, 5));
    let (_three, mut leases_of_three) = start(&store, "three", 1);
    let held = next(&mut leases_of_three).await;
    assert_eq!(held.suspected(), records(2, 5).as_ref());
    held.advance(after(2));
    held.announce(records(3, 3)).await;
    drop(held);
    // The search goes on where it stopped.
    let lease = until(&store, 0, |lease| lease.owner.is_none()).await;
    assert_eq!((lease.checkpoint, lease.suspect), (after(2), records(2, 5)));
    let held = next(&mut leases_of_three).await;
    held.advance(after(5));
    held.announce(None).await;
    assert_eq!(stored(&store, 0).await.suspect, None);
    drop(held);
}

/// A stream that was deleted and created anew has shards of the same names. What the table says
/// of the old ones is not for the new ones.
#[tokio::test(start_paused = true)]
async fn leases_of_a_stream_that_is_no_more_are_left_alone() {
    let store = memory();
    let (one, mut leases_of_one) = Keeper::start(store.clone(), config("one"));
    one.observe_stream(stream(1_700_000_000));
    one.observe_shards(vec![shard(0, &[])]);
    let held = next(&mut leases_of_one).await;
    held.advance(after(9));
    assert_eq!(stored(&store, 0).await.stream, stream(1_700_000_000));

    let (two, mut leases_of_two) = Keeper::start(store.clone(), config("two"));
    two.observe_stream(stream(1_800_000_000));
    two.observe_shards(vec![shard(0, &[]), shard(1, &[])]);
    assert_eq!(next(&mut leases_of_two).await.shard(), &id(1), "a shard of the new stream");
    one.observe_stream(stream(1_800_000_000));
    timeout(LONG, held.asked_back().cancelled()).await.expect("its owner finds out");
    held.release().await;
    tokio::time::sleep(LONG).await;
    assert_eq!(stored(&store, 0).await.owner, None);
    assert_eq!((two.status().foreign, two.status().known), (1, 1));
}

/// Three processes' worth of keepers on one file: every shard has one owner, and nobody is idle.
#[tokio::test(start_paused = true)]
async fn workers_share_the_shards_of_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("leases.sqlite");
    let mut tasks = tokio::task::JoinSet::new();
    for name in ["one", "two", "three"] {
        let store: Arc<dyn LeaseStore> = Arc::new(Sqlite::open(&file).expect("the file opens"));
        let (keeper, mut leases) = start(&store, name, 12);
        tasks.spawn(async move {
            let mut shards = tokio::task::JoinSet::new();
            let serve = async {
                while let Some(held) = leases.next().await {
                    shards.spawn(async move {
                        held.asked_back().cancelled().await;
                        held.release().await;
                    });
                }
            };
            // Residence is thirty seconds; after ten times that, the fleet has come to rest.
            let served = timeout(LONG, serve).await;
            assert!(served.is_err(), "the keeper runs");
            keeper.status()
        });
    }
    let mut held = 0;
    while let Some(status) = tasks.join_next().await {
        let status = status.expect("no panic");
        assert!((3..=5).contains(&status.held), "{status:?}");
        assert_eq!((status.workers, status.known, status.free), (3, 12, 0), "{status:?}");
        held += status.held;
    }
    assert_eq!(held, 12);
}

#[tokio::test(start_paused = true)]
async fn an_operator_asks_for_a_lease_and_sets_a_checkpoint() {
    let store = memory();
    let (_keeper, mut leases) = start(&store, "one", 1);
    let held = next(&mut leases).await;
    held.advance(after(8));
    let key = LeaseKey::of(&id(0));
    let me = WorkerId::parse("operator").expect("a good name");
    let rows = operator::list(store.as_ref(), Duration::from_secs(5)).await.expect("an answer");
    assert!(rows[0].moved, "{rows:?}");

    let asked = operator::release(store.as_ref(), &key, &me).await.expect("an answer");
    assert_eq!(asked.expect("it is there").next, Some(me.clone()));
    timeout(LONG, held.asked_back().cancelled()).await.expect("the owner is asked");
    held.release().await;
    assert_eq!(stored(&store, 0).await.checkpoint, after(8));
    let asked = operator::release(store.as_ref(), &key, &me).await.expect("an answer");
    assert_eq!(asked, None, "nobody owns it");

    let again = next(&mut leases).await;
    let reset = operator::reset(store.as_ref(), &key, &Position::TrimHorizon).await;
    assert_eq!(reset.expect("an answer").expect("it is there").checkpoint, Position::TrimHorizon);
    timeout(LONG, again.lost().cancelled()).await.expect("the owner finds out");
    drop(again);
    assert_eq!(next(&mut leases).await.position(), Position::TrimHorizon);
    let none = LeaseKey::of(&id(7));
    let none = operator::reset(store.as_ref(), &none, &Position::Latest).await;
    assert_eq!(none.expect("an answer"), None);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_though_the_store_is_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("leases.sqlite");
    let store: Arc<dyn LeaseStore> = Arc::new(Sqlite::open(&file).expect("the file opens"));
    let (keeper, mut leases) = start(&store, "one", 1);
    let held = next(&mut leases).await;
    let other = rusqlite::Connection::open(&file).expect("the file opens");
    other.execute_batch("DROP TABLE leases").expect("the table goes");
    let (_, ()) = tokio::join!(timeout(LONG, keeper.drain()), async {
        held.asked_back().cancelled().await;
        held.release().await;
    });
    assert_eq!(keeper.status().held, 0);
}

/// A table that never becomes ready.
#[derive(Debug)]
struct Unready(Memory);

impl LeaseStore for Unready {
    fn open(&self) -> Pending<'_, ()> {
        Box::pin(std::future::pending())
    }

    fn scan(&self) -> Pending<'_, Scan> {
        self.0.scan()
    }

    fn get(&self, key: &LeaseKey) -> Pending<'_, Option<Lease>> {
        self.0.get(key)
    }

    fn create(&self, lease: Lease) -> Pending<'_, bool> {
        self.0.create(lease)
    }

    fn write(&self, write: Write) -> Pending<'_, Outcome> {
        self.0.write(write)
    }

    fn delete(&self, key: &LeaseKey, counter: Counter) -> Pending<'_, bool> {
        self.0.delete(key, counter)
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_though_the_store_is_not_ready() {
    let store: Arc<dyn LeaseStore> = Arc::new(Unready(Memory::new()));
    let (keeper, leases) = start(&store, "one", 1);
    timeout(LONG, keeper.drain()).await.expect("it does not wait for the store");
    leases.join().await.expect("a drained keeper ends well");
}

/// A table that answers some operations with an error.
#[derive(Debug)]
struct Refusing {
    table: Memory,
    scans: Option<fn() -> Error>,
    writes: Option<fn() -> Error>,
    opened: std::sync::atomic::AtomicUsize,
}

impl Refusing {
    fn new(scans: Option<fn() -> Error>, writes: Option<fn() -> Error>) -> Arc<Refusing> {
        let opened = std::sync::atomic::AtomicUsize::new(0);
        Arc::new(Refusing { table: Memory::new(), scans, writes, opened })
    }

    fn opened(&self) -> usize {
        self.opened.load(std::sync::atomic::Ordering::Relaxed)
    }
}

fn refused<T: Send + 'static>(why: fn() -> Error) -> Pending<'static, T> {
    Box::pin(std::future::ready(Err(why())))
}

impl LeaseStore for Refusing {
    fn open(&self) -> Pending<'_, ()> {
        self.opened.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.table.open()
    }

    fn scan(&self) -> Pending<'_, Scan> {
        match self.scans {
            Some(why) => refused(why),
            None => self.table.scan(),
        }
    }

    fn get(&self, key: &LeaseKey) -> Pending<'_, Option<Lease>> {
        self.table.get(key)
    }

    fn create(&self, lease: Lease) -> Pending<'_, bool> {
        self.table.create(lease)
    }

    fn write(&self, write: Write) -> Pending<'_, Outcome> {
        match self.writes {
            Some(why) => refused(why),
            None => self.table.write(write),
        }
    }

    fn delete(&self, key: &LeaseKey, counter: Counter) -> Pending<'_, bool> {
        self.table.delete(key, counter)
    }
}

/// What cannot pass by itself ends the keeper at the first attempt, and is told.
#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_ends_the_keeper() {
    let denied: fn() -> Error = || Error::Unusable("Scan of table leases: denied".into());
    for (scans, writes) in [(Some(denied), None), (None, Some(denied))] {
        let store = Refusing::new(scans, writes);
        let (keeper, mut leases) = start(&(store.clone() as Arc<dyn LeaseStore>), "one", 2);
        let ended = timeout(Duration::from_secs(5), leases.next()).await;
        assert!(ended.expect("it ends soon").is_none());
        assert!(keeper.unusable().is_cancelled());
        let (status, health) = (keeper.status(), keeper.health());
        let failing = if scans.is_some() { health.scan } else { health.write };
        let (_, why) = failing.last_error.expect("an error");
        assert!(why.contains("table leases: denied"), "{why}");
        assert!(failing.failing_since.is_some());
        assert_eq!(status.held, 0);
        let end = leases.join().await;
        assert!(matches!(end, Err(Error::Unusable(_))), "{end:?}");
    }
}

/// What may pass is waited for, and told meanwhile.
#[tokio::test(start_paused = true)]
async fn a_store_that_is_unavailable_is_waited_for() {
    let store = Refusing::new(None, Some(|| Error::Unavailable("throttled".into())));
    let (keeper, mut leases) = start(&(store as Arc<dyn LeaseStore>), "one", 2);
    assert!(timeout(LONG, leases.next()).await.is_err(), "no lease, and no end");
    assert_eq!(keeper.status().held, 0, "what is being taken is not held");
    let health = keeper.health();
    assert!(health.scan.last_success.is_some() && health.scan.failing_since.is_none());
    let since = health.write.failing_since.expect("it fails");
    assert!(since.elapsed() > LONG / 2, "since the first failure");
    assert!(health.write.last_error.expect("an error").0.elapsed() < Duration::from_secs(5));
}

/// A table that somebody has deleted is made again as at the start.
#[tokio::test(start_paused = true)]
async fn a_table_that_is_gone_is_made_again() {
    let store = Refusing::new(Some(|| Error::Missing("no such table".into())), None);
    let (keeper, _leases) = start(&(store.clone() as Arc<dyn LeaseStore>), "one", 2);
    let opened = timeout(LONG, async {
        while store.opened() < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    opened.await.expect("it is opened again, and again if that did not help");
    assert!(!keeper.unusable().is_cancelled());
}

/// A lease that could not be renewed in time is none that one has a right to work.
#[tokio::test(start_paused = true)]
async fn a_lease_that_is_not_renewed_is_not_held() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("leases.sqlite");
    let store: Arc<dyn LeaseStore> = Arc::new(Sqlite::open(&file).expect("the file opens"));
    let (keeper, mut leases) = start(&store, "one", 1);
    let held = next(&mut leases).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(keeper.status().held, 1);
    std::fs::remove_file(&file).expect("it is there");
    while Instant::now() < held.deadline() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(keeper.status().held, 0);
    assert!(!held.lost().is_cancelled(), "if nobody takes it, nothing happened");
}
