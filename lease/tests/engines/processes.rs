//! Eight processes share 200 leases, in one file or in DynamoDB, behind a good network and behind a
//! failing one; one process is killed, one stands still for longer than a lease lasts, and the rest
//! leave in good order.
//!
//! The processes are this test binary, started again for the test `process` alone. Their outputs
//! are rows of a table; the order of the rows shows who wrote when.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lease::store::{dynamo::Dynamo, sqlite::Sqlite};
use lease::{
    Change, Config, Counter, Held, Keeper, Lease, LeaseStore, Position, SequenceNumber, Shard,
    ShardId, WorkerId, Write, WriteId,
};
use rusqlite::{Connection, TransactionBehavior};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::engine::{Engine, client};
use crate::network::{Fate, Network};

const FOLDER: &str = "SNOWMELT_LEASE_TEST_FOLDER";
const ENDPOINT: &str = "SNOWMELT_LEASE_TEST_ENDPOINT";
const LEASE_MS: &str = "SNOWMELT_LEASE_TEST_LEASE_MS";
const PERIOD_MS: &str = "SNOWMELT_LEASE_TEST_PERIOD_MS";
const SHARDS_SET: &str = "SNOWMELT_LEASE_TEST_SHARDS";
const PROCESSES: usize = 8;
const SHARDS: u32 = 200;
const LEASE: Duration = Duration::from_secs(3);
/// Of a hundred requests, so many fail where the network does.
const FAULTS: u32 = 15;

/// One fleet at a time: this is about leases, not about a crowded machine.
pub(crate) static TURN: Mutex<()> = Mutex::new(());

#[test]
fn eight_processes_share_two_hundred_leases_of_a_file() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let stage = Stage::new(None, LEASE);
    stage.runtime.block_on(fleet(&stage));
}

#[test]
fn eight_processes_share_two_hundred_leases_of_dynamodb() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let engine = runtime.block_on(Engine::start());
    let stage = Stage::new(Some(engine.address), runtime.block_on(bearable(engine.address)));
    stage.runtime.block_on(fleet(&stage));
}

#[test]
fn eight_processes_share_two_hundred_leases_through_a_failing_network() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let engine = runtime.block_on(Engine::start());
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let network = runtime.block_on(Network::start(engine.address, seed, FAULTS));
    let stage = Stage::new(Some(network.address), runtime.block_on(bearable(engine.address)));
    stage.runtime.block_on(fleet(&stage));
    assert!(network.met(Fate::Unanswered) > 0 && network.met(Fate::Throttled) > 0);
}

/// A lease duration in which the emulator can carry out what a fleet asks of it. It is a debug
/// build on the cores that the processes run on: where others crowd the machine, leases of a fixed
/// duration expire faster than it can renew them, and nobody ever holds his share. So it is asked
/// first how fast it is now.
async fn bearable(address: SocketAddr) -> Duration {
    const SAMPLE: u64 = 20;
    let store = Dynamo::new(client(address), "speed");
    store.open().await.expect("a table");
    let mut rounds = Vec::new();
    for n in 0..SAMPLE {
        let begun = Instant::now();
        let lease = Lease::new(&shard(n as u32), Position::Latest);
        let (key, owner) = (lease.key.clone(), WorkerId::parse("nobody").expect("a name"));
        store.create(lease).await.expect("created");
        let change = Change::Take {
            owner,
            switched: false,
            capacity: 1,
            duration_ms: 10_000,
            stream: lease::Stream::default(),
            start: None,
        };
        let write = Write { key, expected: Counter(0), id: WriteId(n), change };
        store.write(write).await.expect("written");
        store.scan().await.expect("scanned");
        rounds.push(begun.elapsed());
    }
    rounds.sort_unstable();
    // In one lease duration every lease is written three times, and every worker scans five times:
    // 600 writes, and 40 scans that are ten times as long. That should fill a third of the time.
    let once = rounds[rounds.len() / 2] / 3;
    let bearable = once * (3 * SHARDS + 40 * 10) * 3;
    println!("one request takes {once:?}: leases last {bearable:?}");
    bearable.clamp(Duration::from_secs(6), Duration::from_secs(60))
}

fn shard(n: u32) -> ShardId {
    ShardId::new(&format!("shardId-{n:012}"))
}

/// Where a fleet of processes works.
pub(crate) struct Stage {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) runtime: tokio::runtime::Runtime,
    endpoint: Option<SocketAddr>,
    pub(crate) lease: Duration,
    /// Between two outputs of a shard.
    pub(crate) period: Duration,
    pub(crate) shards: u32,
}

impl Stage {
    pub(crate) fn new(endpoint: Option<SocketAddr>, lease: Duration) -> Stage {
        let folder = tempfile::tempdir().expect("a folder");
        outputs(folder.path())
            .execute_batch(
                "CREATE TABLE outputs (row INTEGER PRIMARY KEY, shard TEXT, epoch INTEGER,
                 process INTEGER, at INTEGER DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)));
                 CREATE INDEX by_shard ON outputs (shard, row)",
            )
            .expect("a table");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let period = Duration::from_secs(1);
        Stage { folder, runtime, endpoint, lease, period, shards: SHARDS }
    }

    /// Starts a process.
    pub(crate) fn start(&self) -> Child {
        let millis = |duration: Duration| duration.as_millis().to_string();
        Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "processes::process", "--nocapture", "--ignored"])
            .env(FOLDER, self.folder.path())
            .env(LEASE_MS, millis(self.lease))
            .env(PERIOD_MS, millis(self.period))
            .env(SHARDS_SET, self.shards.to_string())
            .envs(self.endpoint.map(|endpoint| (ENDPOINT, endpoint.to_string())))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts")
    }

    /// Waits for something that must come true, however busy the machine is.
    pub(crate) async fn until(&self, condition: impl Fn() -> bool) {
        let wait = async {
            while !condition() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let long = self.lease * 40;
        timeout(long, wait).await.expect("the condition comes true");
    }
}

async fn fleet(stage: &Stage) {
    let folder = stage.folder.path();
    let mut children = Children((0..PROCESSES).map(|_| stage.start()).collect());
    let children = &mut children.0;
    let begun = Instant::now();
    stage.until(|| working(folder, 0).len() == SHARDS as usize).await;
    println!("all shards worked after {:?}", begun.elapsed());
    stage.until(|| shares(folder).iter().all(|share| (20..=30).contains(share))).await;
    println!("and shared fairly after {:?}", begun.elapsed());

    let mut killed = children.remove(0);
    let orphans = shards_of(folder, killed.id());
    assert!(!orphans.is_empty());
    let row = last_row(folder);
    killed.kill().expect("it is ours to kill");
    killed.wait().expect("it has ended");
    let died = Instant::now();
    let adopted = |working: BTreeMap<String, u32>| {
        orphans.iter().all(|shard| working.get(shard).is_some_and(|owner| *owner != killed.id()))
    };
    stage.until(|| adopted(working(folder, row))).await;
    println!("{} orphans worked {:?} after their owner died", orphans.len(), died.elapsed());

    let stopped = children[0].id();
    let theirs = shards_of(folder, stopped);
    signal(stopped, "-STOP");
    let row = last_row(folder);
    let adopted = |working: BTreeMap<String, u32>| {
        theirs.iter().all(|shard| working.get(shard).is_some_and(|owner| *owner != stopped))
    };
    stage.until(|| adopted(working(folder, row))).await;
    signal(stopped, "-CONT");
    let row = last_row(folder);
    stage.until(|| working(folder, row).len() == SHARDS as usize).await;
    println!("{} leases of a process that stood still are worked", theirs.len());

    for child in children.iter_mut() {
        leave(stage, child).await;
    }
    verify(folder);
}

/// The processes; none outlives the test.
pub(crate) struct Children(pub(crate) Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A process is told to leave, and does so in good order.
pub(crate) async fn leave(stage: &Stage, child: &mut Child) {
    drop(child.stdin.take());
    let ended = async {
        loop {
            if let Some(status) = child.try_wait().expect("it is our child") {
                return status;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(stage.lease * 40, ended).await.expect("it ends").success());
}

/// No shard was written by an earlier owner after a later one had begun, not even by the process
/// that stood still.
pub(crate) fn verify(folder: &Path) {
    let sql = outputs(folder);
    let mut query =
        sql.prepare("SELECT shard, epoch, process FROM outputs ORDER BY row").expect("a query");
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let mut newest: BTreeMap<String, (u64, u32)> = BTreeMap::new();
    for row in rows.expect("rows") {
        let (shard, epoch, process): (String, u64, u32) = row.expect("a row");
        let newest = newest.entry(shard.clone()).or_default();
        assert!(*newest <= (epoch, process), "{shard}: {epoch} of {process} after {newest:?}");
        *newest = (epoch, process);
    }
}

pub(crate) fn signal(process: u32, signal: &str) {
    let status = Command::new("kill").args([signal, &process.to_string()]).status();
    assert!(status.expect("kill is there").success());
}

/// The table of outputs. A process may be stopped while it holds the lock; the others wait for it.
pub(crate) fn outputs(folder: &Path) -> Connection {
    let sql = Connection::open(folder.join("outputs.sqlite")).expect("a file");
    sql.busy_timeout(Duration::from_secs(600)).expect("a setting");
    sql.pragma_update(None, "journal_mode", "WAL").expect("a setting");
    sql.pragma_update(None, "synchronous", "OFF").expect("a setting");
    sql
}

/// The shards whose last output was written by a process.
pub(crate) fn shards_of(folder: &Path, process: u32) -> Vec<String> {
    let owners = working(folder, 0).into_iter();
    owners.filter(|(_, owner)| *owner == process).map(|(shard, _)| shard).collect()
}

/// The shards written since a row, with who wrote last.
pub(crate) fn working(folder: &Path, since: i64) -> BTreeMap<String, u32> {
    let sql = outputs(folder);
    let mut query = sql
        .prepare(
            "SELECT shard, process FROM outputs
             WHERE row IN (SELECT max(row) FROM outputs GROUP BY shard) AND row > ?1",
        )
        .expect("a query");
    let rows = query.query_map([since], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    rows.map(|row| row.expect("a row")).collect()
}

/// How many shards each process works.
fn shares(folder: &Path) -> Vec<usize> {
    let mut shares: BTreeMap<u32, usize> = BTreeMap::new();
    for owner in working(folder, 0).into_values() {
        *shares.entry(owner).or_default() += 1;
    }
    // Processes that have nothing yet.
    let mut shares: Vec<usize> = shares.into_values().collect();
    shares.resize(PROCESSES, 0);
    shares
}

pub(crate) fn last_row(folder: &Path) -> i64 {
    let sql = outputs(folder);
    sql.query_row("SELECT coalesce(max(row), 0) FROM outputs", [], |row| row.get(0)).expect("a row")
}

/// One of the processes.
#[test]
#[ignore = "started by the other tests"]
fn process() {
    let Some(folder) = setting(FOLDER) else { return };
    tokio::runtime::Runtime::new().expect("a runtime").block_on(work(PathBuf::from(folder)));
}

fn setting(name: &str) -> Option<String> {
    #[allow(clippy::disallowed_methods, reason = "the only way into a test's process")]
    std::env::var(name).ok()
}

fn number(name: &str) -> u64 {
    setting(name).expect("it was given").parse().expect("a number")
}

fn store(folder: &Path) -> Arc<dyn LeaseStore> {
    match setting(ENDPOINT) {
        Some(address) => {
            Arc::new(Dynamo::new(client(address.parse().expect("an address")), "leases"))
        }
        None => Arc::new(Sqlite::open(&folder.join("leases.sqlite")).expect("the file opens")),
    }
}

async fn work(folder: PathBuf) {
    let name = WorkerId::parse(&format!("process-{}", std::process::id())).expect("a good name");
    let lease = Duration::from_millis(number(LEASE_MS));
    let mut config = Config::with_lease_duration(name, lease);
    // The test is to see a fleet that has come to rest, and does not wait a minute for it.
    config.residence = Duration::ZERO;
    config.moves_per_minute = 1_000;
    let (keeper, mut leases) = Keeper::start(store(&folder), config);
    let listed = |n: u64| Shard {
        id: shard(n as u32),
        parents: Vec::new(),
        hash_range: None,
        closed: false,
    };
    keeper.observe_shards((0..number(SHARDS_SET)).map(listed).collect());
    // One connection, so one request at a time.
    let sql = Arc::new(Mutex::new(outputs(&folder)));
    let mut tasks = JoinSet::new();
    let leaver = keeper.clone();
    tasks.spawn(async move {
        // The end of the input is the word to leave.
        let read = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        tokio::task::spawn_blocking(read).await.expect("no panic").expect("the end");
        leaver.drain().await;
    });
    while let Some(held) = leases.next().await {
        tasks.spawn(serve(held, sql.clone(), Duration::from_millis(number(PERIOD_MS))));
    }
    leases.join().await.expect("the keeper ends well");
    while let Some(task) = tasks.join_next().await {
        task.expect("no panic");
    }
}

async fn serve(held: Held, sql: Arc<Mutex<Connection>>, period: Duration) {
    let held = Arc::new(held);
    let mut done = 0;
    while !held.lost().is_cancelled() && !held.asked_back().is_cancelled() {
        let (gate, sql) = (held.clone(), sql.clone());
        let write = move || pass(&gate, &mut sql.lock().expect("nobody panics"));
        if tokio::task::spawn_blocking(write).await.expect("no panic") {
            done += 1;
            let sequence = SequenceNumber::parse(&format!("{done}{}", held.epoch()));
            let to = Position::After { sequence: sequence.expect("a number"), sub_sequence: 0 };
            held.advance(to.max(held.position()));
        }
        tokio::select! {
            () = sleep(period) => {}
            () = held.lost().cancelled_owned() => {}
            () = held.asked_back().cancelled_owned() => {}
        }
    }
    Arc::into_inner(held).expect("no output is under way").release().await;
}

/// Writes one output, if the gate is open once nobody else can write: so the order of the rows is
/// the order in which the gates were passed, on a machine as busy as you like.
fn pass(held: &Held, sql: &mut Connection) -> bool {
    let output = sql.transaction_with_behavior(TransactionBehavior::Immediate).expect("the lock");
    if Instant::now() > held.deadline() {
        return false;
    }
    let row = (held.shard().as_str(), held.epoch(), std::process::id());
    let insert = "INSERT INTO outputs (shard, epoch, process) VALUES (?1, ?2, ?3)";
    output.execute(insert, row).expect("a row");
    output.commit().expect("a row");
    true
}
