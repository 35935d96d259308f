//! Eight processes share 200 leases, in one file or in DynamoDB; one is killed, one stands still
//! for longer than a lease lasts, and the rest leave in good order.
//!
//! The processes are this test binary, started again for the test `process` alone. Their outputs
//! are rows of a table; the order of the rows shows who wrote when.
#![allow(clippy::print_stdout, reason = "figures are for whoever runs the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use lease::store::{dynamo::Dynamo, sqlite::Sqlite};
use lease::{Config, Held, Keeper, LeaseStore, Position, SequenceNumber, Shard, ShardId, WorkerId};
use rusqlite::Connection;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

const FOLDER: &str = "SNOWMELT_LEASE_TEST_FOLDER";
const ENDPOINT: &str = "SNOWMELT_LEASE_TEST_ENDPOINT";
const PROCESSES: usize = 8;
const SHARDS: u32 = 200;
/// The emulator is a debug build on the cores that the processes run on; it needs the time.
const LEASE_ON_DYNAMODB: Duration = Duration::from_secs(8);
const LEASE_ON_A_FILE: Duration = Duration::from_secs(3);
/// How long an output request may take.
const PATIENCE: Duration = Duration::from_millis(400);
const LONG: Duration = Duration::from_secs(120);

/// One fleet at a time: this is about leases, not about a crowded machine.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn eight_processes_share_two_hundred_leases_of_a_file() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    share(None);
}

#[test]
fn eight_processes_share_two_hundred_leases_of_dynamodb() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut server = JoinSet::new();
    let address = runtime.block_on(async {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("the port is bound");
        let database = dynoxide::Database::memory().expect("memory");
        server.spawn(dynoxide::server::serve_on(socket, database));
        address
    });
    share(Some(format!("http://{address}")));
}

fn share(endpoint: Option<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    outputs(folder.path())
        .execute_batch(
            "CREATE TABLE outputs (row INTEGER PRIMARY KEY, shard TEXT, epoch INTEGER,
             process INTEGER, at TEXT DEFAULT (strftime('%s', 'now')))",
        )
        .expect("a table");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(fleet(folder.path(), endpoint.as_deref()));
}

async fn fleet(folder: &Path, endpoint: Option<&str>) {
    let mut children = Children((0..PROCESSES).map(|_| start(folder, endpoint)).collect());
    let children = &mut children.0;
    let begun = Instant::now();
    until(|| working(folder, 0).len() == SHARDS as usize).await;
    println!("all shards worked after {:?}", begun.elapsed());
    until(|| shares(folder).iter().all(|share| (20..=30).contains(share))).await;
    println!("and shared fairly after {:?}", begun.elapsed());

    let mut killed = children.remove(0);
    let orphans: Vec<String> = last_owners(folder)
        .into_iter()
        .filter(|(_, owner)| *owner == killed.id())
        .map(|(shard, _)| shard)
        .collect();
    assert!(!orphans.is_empty());
    let row = last_row(folder);
    killed.kill().expect("it is ours to kill");
    killed.wait().expect("it has ended");
    let died = Instant::now();
    until(|| {
        let working = working(folder, row);
        orphans.iter().all(|shard| working.get(shard).is_some_and(|owner| *owner != killed.id()))
    })
    .await;
    println!("{} orphans worked {:?} after their owner died", orphans.len(), died.elapsed());

    let stopped = children[0].id();
    let theirs = last_owners(folder).values().filter(|owner| **owner == stopped).count();
    signal(stopped, "-STOP");
    sleep(lease_duration(endpoint) * 2).await;
    signal(stopped, "-CONT");
    let row = last_row(folder);
    until(|| working(folder, row).len() == SHARDS as usize).await;
    println!("{theirs} leases of a process that stood still are worked");

    leave(children).await;
    verify(folder, stopped);
}

/// The processes; none outlives the test.
struct Children(Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Everybody is told to leave, and does so in good order.
async fn leave(children: &mut [Child]) {
    for child in children.iter_mut() {
        drop(child.stdin.take());
    }
    for child in children {
        let ended = async {
            loop {
                if let Some(status) = child.try_wait().expect("it is our child") {
                    return status;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(timeout(LONG, ended).await.expect("it ends").success());
    }
}

/// No shard was written by an earlier owner after a later one had begun. An output request that
/// had passed the gate when its process was stopped may land late; such are counted apart.
fn verify(folder: &Path, stopped: u32) {
    let sql = outputs(folder);
    let mut query =
        sql.prepare("SELECT shard, epoch, process FROM outputs ORDER BY row").expect("a query");
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let mut newest: BTreeMap<String, u64> = BTreeMap::new();
    let mut late = 0;
    for row in rows.expect("rows") {
        let (shard, epoch, process): (String, u64, u32) = row.expect("a row");
        let newest = newest.entry(shard.clone()).or_default();
        if epoch < *newest {
            assert_eq!(process, stopped, "{shard}: epoch {epoch} after {newest}");
            late += 1;
        }
        *newest = epoch.max(*newest);
    }
    println!("{late} outputs landed late");
    assert!(late <= 1, "one request at a time is under way in a process: {late}");
}

fn start(folder: &Path, endpoint: Option<&str>) -> Child {
    Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "process", "--nocapture", "--ignored"])
        .env(FOLDER, folder)
        .envs(endpoint.map(|endpoint| (ENDPOINT, endpoint)))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts")
}

fn signal(process: u32, signal: &str) {
    let status = Command::new("kill").args([signal, &process.to_string()]).status();
    assert!(status.expect("kill is there").success());
}

async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, wait).await.expect("the condition comes true");
}

fn outputs(folder: &Path) -> Connection {
    let sql = Connection::open(folder.join("outputs.sqlite")).expect("a file");
    sql.busy_timeout(Duration::from_secs(5)).expect("a setting");
    sql.pragma_update(None, "journal_mode", "WAL").expect("a setting");
    sql.pragma_update(None, "synchronous", "OFF").expect("a setting");
    sql
}

/// The shards written since a row, with who wrote last.
fn working(folder: &Path, since: i64) -> BTreeMap<String, u32> {
    let sql = outputs(folder);
    let mut query = sql
        .prepare("SELECT shard, process FROM outputs WHERE row > ?1 ORDER BY row")
        .expect("a query");
    let rows = query.query_map([since], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    rows.map(|row| row.expect("a row")).collect()
}

/// How many shards each process works.
fn shares(folder: &Path) -> Vec<usize> {
    let mut shares: BTreeMap<u32, usize> = BTreeMap::new();
    for owner in last_owners(folder).into_values() {
        *shares.entry(owner).or_default() += 1;
    }
    // Processes that have nothing yet.
    let mut shares: Vec<usize> = shares.into_values().collect();
    shares.resize(PROCESSES, 0);
    shares
}

fn last_owners(folder: &Path) -> BTreeMap<String, u32> {
    working(folder, 0)
}

fn last_row(folder: &Path) -> i64 {
    let sql = outputs(folder);
    sql.query_row("SELECT coalesce(max(row), 0) FROM outputs", [], |row| row.get(0)).expect("a row")
}

/// One of the processes.
#[test]
#[ignore = "started by the other test"]
fn process() {
    let Some(folder) = setting(FOLDER) else { return };
    tokio::runtime::Runtime::new().expect("a runtime").block_on(work(PathBuf::from(folder)));
}

fn setting(name: &str) -> Option<String> {
    #[allow(clippy::disallowed_methods, reason = "the only way into a test's process")]
    std::env::var(name).ok()
}

fn lease_duration(endpoint: Option<&str>) -> Duration {
    if endpoint.is_some() { LEASE_ON_DYNAMODB } else { LEASE_ON_A_FILE }
}

fn store(folder: &Path) -> Arc<dyn LeaseStore> {
    let Some(endpoint) = setting(ENDPOINT) else {
        let file = folder.join("leases.sqlite");
        return Arc::new(Sqlite::open(&file).expect("the file opens"));
    };
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Arc::new(Dynamo::new(aws_sdk_dynamodb::Client::from_conf(config), "leases"))
}

async fn work(folder: PathBuf) {
    let store = store(&folder);
    let name = WorkerId::parse(&format!("process-{}", std::process::id())).expect("a good name");
    let mut config =
        Config::with_lease_duration(name, lease_duration(setting(ENDPOINT).as_deref()));
    // The test is to see a fleet that has come to rest, and does not wait a minute for it.
    config.residence = Duration::ZERO;
    config.moves_per_minute = 1_000;
    let (keeper, mut leases) = Keeper::start(store, config);
    let shard = |n: u32| Shard {
        id: ShardId::new(&format!("shardId-{n:012}")),
        parents: Vec::new(),
        hash_range: None,
        closed: false,
    };
    keeper.observe_shards((0..SHARDS).map(shard).collect());
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
        tasks.spawn(serve(held, sql.clone()));
    }
    leases.join().await.expect("the keeper ends well");
    while let Some(task) = tasks.join_next().await {
        task.expect("no panic");
    }
}

async fn serve(held: Held, sql: Arc<Mutex<Connection>>) {
    let mut done = 0;
    while !held.lost().is_cancelled() && !held.asked_back().is_cancelled() {
        let (deadline, epoch, shard) = (held.deadline(), held.epoch(), held.shard().clone());
        let sql = sql.clone();
        let write = move || {
            let sql = sql.lock().expect("nobody panics");
            // The gate.
            if Instant::now() + PATIENCE > deadline {
                return false;
            }
            let row = (shard.as_str(), epoch, std::process::id());
            let insert = "INSERT INTO outputs (shard, epoch, process) VALUES (?1, ?2, ?3)";
            sql.execute(insert, row).expect("a row");
            true
        };
        if tokio::task::spawn_blocking(write).await.expect("no panic") {
            done += 1;
            let sequence = SequenceNumber::parse(&format!("{done}{}", held.epoch()));
            let to = Position::After { sequence: sequence.expect("a number"), sub_sequence: 0 };
            held.advance(to.max(held.position()));
        }
        tokio::select! {
            () = sleep(Duration::from_secs(1)) => {}
            () = held.lost().cancelled_owned() => {}
            () = held.asked_back().cancelled_owned() => {}
        }
    }
    held.release().await;
}
