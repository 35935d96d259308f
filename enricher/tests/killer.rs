//! Records that kill their workers: a process really dies of each, again and again, until the
//! record is known and parked. Everything else in the stream is enriched.
//!
//! The processes are this test binary, started again for the test `process` alone. What kills them
//! is the only registry that may have a schema which the records mention: asked for it, it aborts
//! the process.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use enricher::life::{self, End};
use enricher::pool::Pool;
use enricher::seam::Pending;
use enricher::signal::Stop;
use enricher::sink::{Error, Part, Route, Sink, Sinks, Written, guard};
use enricher::source::local::{Local, Put};
use enricher::worker::{Shared, Worker};
use event::bad_row::Processor;
use lease::store::sqlite::Sqlite;
use lease::{LeaseStore, Position, ShardId, WorkerId};
use pipeline::parked::{Parked, Reason};
use pipeline::{Pipeline, Settings};
use resolver::Resolver;
use traffic::{Generator, requests};

const FOLDER: &str = "SNOWMELT_KILLER_TEST_FOLDER";
const SHARDS: usize = 2;
const RECORDS: usize = 120;
/// The places of the killers among the records. Two are neighbours.
const KILLERS: [usize; 3] = [30, 31, 90];
/// Two owners in vain, one that finds the batch, one that finds the record, one that makes sure.
const DEATHS_EACH: usize = 5;
const LEASE: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_record_that_kills_workers_is_parked_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let sent = send(folder.path());
    let mut deaths = 0;
    while !run(folder.path()) {
        deaths += 1;
        assert!(deaths <= DEATHS_EACH * KILLERS.len(), "{deaths} workers died");
    }
    assert!(deaths >= KILLERS.len(), "each killer kills somebody: {deaths}");

    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for line in lines(folder.path(), Route::Enriched) {
        let id = line.split('\t').nth(event::Field::EventId as usize).expect("131 columns");
        *seen.entry(id.to_owned()).or_default() += 1;
    }
    let seen: BTreeSet<String> = seen.into_keys().collect();
    assert_eq!(seen, sent.good);
    // A record that was in flight when its worker died is written, and perhaps parked, twice.
    let mut parked = BTreeSet::new();
    for line in lines(folder.path(), Route::Parked) {
        let line = Parked::parse(line.as_bytes()).expect("a parked line");
        assert!(matches!(line.reason, Reason::KilledWorkers(n) if n > 0), "{:?}", line.reason);
        assert_eq!(line.events, None);
        parked.insert(event::base64::encode(&killer(line.sequence.parse().expect("a number"))));
        assert!(parked.contains(&line.record), "only killers are parked");
    }
    assert_eq!(parked.len(), KILLERS.len());
}

struct Sent {
    good: BTreeSet<String>,
}

/// Fills the stream; the killers are all in the first shard.
fn send(folder: &Path) -> Sent {
    let mut generator = Generator::new(7, 0.0, 1_767_225_600_000);
    let (mut good, mut records) = (BTreeSet::new(), Vec::new());
    for n in 0..RECORDS {
        if KILLERS.contains(&n) {
            // Records are numbered from 1.
            let data = killer(n as u64 + 1);
            records.push(Put { shard: shard(0), data, good: 0, bad: 0 });
            continue;
        }
        let payload = generator.payload();
        good.extend(payload.good.iter().cloned());
        records.push(Put { shard: shard(n % SHARDS), data: payload.bytes, good: 0, bad: 0 });
    }
    runtime().block_on(async {
        let stream = Local::open(&folder.join("stream"), SHARDS).expect("a new file");
        stream.put(records).await.expect("stored");
    });
    Sent { good }
}

fn shard(n: usize) -> ShardId {
    ShardId::new(&format!("shardId-{n:012}"))
}

/// A payload with an event whose schema nobody has; each is different.
fn killer(n: u64) -> Vec<u8> {
    let unstruct = r#"{"schema":"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0","data":{"schema":"iglu:com.acme/killer/jsonschema/1-0-0","data":{}}}"#;
    let event = format!(r#"{{"e":"ue","p":"web","tv":"{n}","ue_pr":{unstruct:?}}}"#);
    let body = requests::body(&event);
    requests::record(&requests::post(&body))
}

fn lines(folder: &Path, route: Route) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join(route.name())).expect("lines were written");
    text.lines().map(str::to_owned).collect()
}

/// Runs one process to its end; says whether it worked the stream off.
fn run(folder: &Path) -> bool {
    let status = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "process", "--nocapture", "--ignored"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.expect("it starts").success()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("a runtime")
}

/// One of the processes: works until the stream is worked off, or until it dies.
#[test]
#[ignore = "started by the other test"]
fn process() {
    #[allow(clippy::disallowed_methods, reason = "the only way into a test's process")]
    let Ok(folder) = std::env::var(FOLDER) else { return };
    runtime().block_on(work(&PathBuf::from(folder)));
}

async fn work(folder: &Path) {
    let stream = Local::open(&folder.join("stream"), SHARDS).expect("the file opens");
    let leases = Arc::new(Sqlite::open(&folder.join("leases")).expect("the file opens"));
    let stop = Stop::default();
    let file = |route| Arc::new(File(folder.join(Route::name(route)))) as Arc<dyn Sink>;
    let routes = [Route::Enriched, Route::Bad, Route::Parked];
    let sinks = routes.into_iter().fold(Sinks::default(), |all, of| all.with(of, file(of)));
    let processor = Processor { artifact: "test".to_owned(), version: "1".to_owned() };
    let pipeline = Pipeline::new(Settings::new(processor), Arc::default());
    let pipeline = enricher::worker::enriching::fixed(pipeline);
    let shared = Shared::new(Arc::new(Pool::new(1).expect("a thread")), 8 << 20);
    let source = Arc::new(stream.clone());
    let worker = Worker::new(source, pipeline, deadly().await, sinks, shared);
    let name = WorkerId::parse(&format!("process-{}", std::process::id())).expect("a name");
    let config = lease::Config::with_lease_duration(name, LEASE);
    let store = Arc::clone(&leases) as Arc<dyn LeaseStore>;
    let done = async {
        while left(&stream, leases.as_ref()).await > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stop.drain.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        end = life::run(Arc::new(worker), store, config, LONG, stop.clone()) => {
            assert!(matches!(end, End::Drained), "{end:?}");
        }
        () = done => {}
    }
}

/// How many records no checkpoint has passed.
async fn left(stream: &Local, leases: &dyn LeaseStore) -> u64 {
    let Ok(scan) = leases.scan().await else { return 1 };
    let mut left = 0;
    for n in 0..SHARDS {
        let lease = scan.leases.iter().find(|lease| *lease.key.shard() == shard(n));
        let from = lease.map_or(Position::TrimHorizon, |lease| lease.checkpoint.clone());
        left += stream.left(&shard(n), &from).await.expect("the file can be read");
    }
    left
}

/// A resolver that ends the process when it asks its registry.
async fn deadly() -> Resolver {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("it is bound");
    #[allow(clippy::disallowed_methods, reason = "ends with the process")]
    tokio::spawn(async move {
        let _ = socket.accept().await;
        std::process::abort();
    });
    let config = format!(
        r#"{{"schema":"iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-1","data":{{
        "cacheSize":500,"repositories":[
        {{"name":"Own","priority":0,"vendorPrefixes":[],
          "connection":{{"embedded":{{"path":"/x"}}}}}},
        {{"name":"Far","priority":0,"vendorPrefixes":["com.acme"],
          "connection":{{"http":{{"uri":"http://{address}"}}}}}}]}}}}"#
    );
    Resolver::from_config(&config, Path::new("."), None).expect("the configuration is right")
}

/// A file that takes lines, durable against the death of the process.
struct File(PathBuf);

impl Sink for File {
    fn write(&self, part: Arc<Part>) -> Pending<'_, Result<Written, Error>> {
        Box::pin(async move {
            let write = async {
                let file = std::fs::OpenOptions::new().create(true).append(true).open(&self.0);
                file.expect("the file opens").write_all(part.lines.as_bytes()).expect("room");
            };
            guard([&part.origin].into_iter(), write).await?;
            Ok(Written::Durable)
        })
    }
}
