//! The whole loop in one process, on parts in memory: what is sent is in the outputs, whatever
//! happens to workers, leases and sinks. That verdicts and lines add up is asserted by the loop
//! itself, for every batch.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use enricher::budget::{Budget, Hurry};
use enricher::commands::enrich::this_program;
use enricher::generate::Generator;
use enricher::metrics::Metrics;
use enricher::pipeline::{Pipeline, Settings};
use enricher::pool::Pool;
use enricher::signal::Stop;
use enricher::sink::{self, Route, Sinks, memory};
use enricher::source;
use enricher::worker::{self, End, Worker};
use lease::store::memory::Memory as Leases;
use lease::{Change, LeaseStore, Position, ShardId, WorkerId, Write, WriteId};
use tokio::task::JoinHandle;

/// Short, so that a test is; nothing below depends on how long it takes.
const LEASE: Duration = Duration::from_secs(1);

/// Far longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stream, its leases, the outputs, and what was sent.
struct Stage {
    stream: source::memory::Memory,
    leases: Arc<Leases>,
    generator: Generator,
    good: BTreeSet<String>,
    bad: usize,
}

/// A worker with sinks of its own.
struct Running {
    name: WorkerId,
    enriched: Arc<memory::Memory>,
    bad: Arc<memory::Memory>,
    stop: Stop,
    metrics: Arc<Metrics>,
    end: JoinHandle<End>,
}

impl Stage {
    fn new(shards: &[&str]) -> Stage {
        let stream = source::memory::Memory::default();
        for name in shards {
            stream.add(&ShardId::new(name), &[]);
        }
        let generator = Generator::new(11, 0.1, 1_700_000_000_000);
        Stage { stream, leases: Arc::default(), generator, good: BTreeSet::new(), bad: 0 }
    }

    fn send(&mut self, shard: &str, payloads: usize) {
        for _ in 0..payloads {
            let payload = self.generator.payload();
            self.good.extend(payload.good);
            self.bad += payload.bad.len();
            self.stream.put(&ShardId::new(shard), Bytes::from(payload.bytes));
        }
    }

    fn start(&self, name: &str) -> Running {
        self.start_with(name, Duration::from_secs(30))
    }

    fn start_with(&self, name: &str, grace: Duration) -> Running {
        let (enriched, bad) = (Arc::new(memory::Memory::default()), Arc::default());
        let (hurry, metrics) = (Hurry::default(), Arc::new(Metrics::new()));
        let pipeline = Pipeline::new(Settings::new(this_program()), Arc::default());
        let worker = Worker {
            source: Arc::new(self.stream.clone()),
            pipeline: Arc::new(pipeline),
            resolver: validator::Resolver::embedded(),
            pool: Arc::new(Pool::new(2).expect("threads start")),
            sinks: Sinks::default()
                .with(Route::Enriched, Arc::clone(&enriched) as _)
                .with(Route::Bad, Arc::clone(&bad) as _),
            budget: Arc::new(Budget::new(8 << 20, hurry.clone())),
            hurry,
            metrics: Arc::clone(&metrics),
        };
        let name = WorkerId::parse(name).expect("a name");
        let config = lease::Config::with_lease_duration(name.clone(), LEASE);
        let (store, stop) = (Arc::clone(&self.leases) as Arc<dyn LeaseStore>, Stop::default());
        #[allow(clippy::disallowed_methods, reason = "the test joins it")]
        let end = tokio::spawn(worker::run(Arc::new(worker), store, config, grace, stop.clone()));
        Running { name, enriched, bad, stop, metrics, end }
    }

    async fn position(&self, shard: &str) -> Option<Position> {
        let scan = self.leases.scan().await.expect("memory does not fail");
        let lease = scan.leases.into_iter().find(|lease| lease.key.as_str() == shard)?;
        Some(lease.checkpoint)
    }

    async fn owner(&self, shard: &str) -> Option<WorkerId> {
        let scan = self.leases.scan().await.expect("memory does not fail");
        scan.leases.into_iter().find(|lease| lease.key.as_str() == shard)?.owner
    }

    /// Somebody else takes a shard's lease.
    async fn steal(&self, shard: &str) {
        loop {
            let scan = self.leases.scan().await.expect("memory does not fail");
            let lease = scan.leases.into_iter().find(|lease| lease.key.as_str() == shard);
            let lease = lease.expect("it was leased");
            let owner = WorkerId::parse("thief").expect("a name");
            let write = Write {
                key: lease.key,
                expected: lease.counter,
                id: WriteId(1),
                change: Change::Take { owner, switched: true, capacity: 1 },
            };
            let outcome = self.leases.write(write).await.expect("memory does not fail");
            if matches!(outcome, lease::Outcome::Applied(_)) {
                return;
            }
        }
    }

    /// Checks that the outputs of some workers hold all that was sent, and says how many enriched
    /// events they hold twice.
    fn check(&self, workers: &[&Running]) -> usize {
        let mut ids: HashMap<String, usize> = HashMap::new();
        for line in workers.iter().flat_map(|worker| worker.enriched.lines()) {
            let line = String::from_utf8(line).expect("lines are UTF-8");
            let id = line.split('\t').nth(event::Field::EventId as usize).expect("131 columns");
            *ids.entry(id.to_owned()).or_default() += 1;
        }
        let seen: BTreeSet<String> = ids.keys().cloned().collect();
        assert_eq!(seen, self.good, "the events enriched are the good ones sent");
        let bad: usize = workers.iter().map(|worker| worker.bad.lines().len()).sum();
        assert!(bad >= self.bad, "{bad} bad rows of {}", self.bad);
        let twice = ids.values().map(|count| count - 1).sum();
        if twice == 0 {
            assert_eq!(bad, self.bad, "bad rows");
        }
        twice
    }
}

impl Running {
    async fn drain(self) -> End {
        self.stop.drain.cancel();
        self.end.await.expect("the worker does not panic")
    }

    fn written(&self) -> usize {
        self.enriched.lines().len() + self.bad.lines().len()
    }
}

/// Looks again and again.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("no {what} in time"));
}

fn after(n: usize) -> Option<Position> {
    let sequence = lease::SequenceNumber::parse(&n.to_string()).expect("a number");
    Some(Position::After { sequence, sub_sequence: 0 })
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_write_everything_once_and_follow_a_split() {
    let mut stage = Stage::new(&["shard-1", "shard-2"]);
    stage.send("shard-1", 95);
    stage.send("shard-2", 40);
    let (a, b) = (stage.start("a"), stage.start("b"));
    until("output", async || a.written() + b.written() > 20).await;
    for child in ["shard-3", "shard-4"] {
        stage.stream.add(&ShardId::new(child), &[&ShardId::new("shard-1")]);
    }
    stage.stream.close(&ShardId::new("shard-1"));
    stage.send("shard-3", 30);
    stage.send("shard-4", 5);
    until("checkpoints", async || {
        stage.position("shard-3").await == after(29)
            && stage.position("shard-4").await == after(4)
            && stage.position("shard-2").await == after(39)
    })
    .await;
    // The parent is done before its children begin; its lease may be gone already.
    assert!(matches!(stage.position("shard-1").await, None | Some(Position::ShardEnd)));
    assert_eq!(stage.check(&[&a, &b]), 0, "nothing is written twice");
    assert!(matches!(a.drain().await, End::Drained));
    assert!(matches!(b.drain().await, End::Drained));
    for shard in ["shard-2", "shard-3", "shard-4"] {
        assert_eq!(stage.owner(shard).await, None, "{shard} is released");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_worker_leaves_its_place_to_the_next_without_repetition() {
    let mut stage = Stage::new(&["shard-1"]);
    stage.send("shard-1", 200);
    let first = stage.start("first");
    until("output", async || first.written() > 0).await;
    first.stop.drain.cancel();
    until("the end", async || first.end.is_finished()).await;
    stage.send("shard-1", 50);
    let second = stage.start("second");
    until("a checkpoint", async || stage.position("shard-1").await == after(249)).await;
    assert_eq!(stage.check(&[&first, &second]), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_waits_for_every_route() {
    let mut stage = Stage::new(&["shard-1"]);
    stage.send("shard-1", 100);
    let worker = stage.start_with("worker", Duration::from_millis(50));
    worker.bad.close();
    until("enriched events", async || worker.enriched.lines().len() >= stage.good.len()).await;
    let position = stage.position("shard-1").await;
    assert_eq!(position, Some(Position::TrimHorizon), "no bad row is written yet");
    // What is in flight cannot finish within the grace.
    assert!(matches!(worker.drain().await, End::CutOff));
    assert_eq!(stage.position("shard-1").await, Some(Position::TrimHorizon));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    let mut stage = Stage::new(&["shard-1"]);
    stage.send("shard-1", 30);
    let worker = stage.start_with("worker", PATIENCE * 10);
    worker.enriched.close();
    until("a lease", async || stage.owner("shard-1").await.is_some()).await;
    worker.stop.drain.cancel();
    worker.stop.now.cancel();
    assert!(matches!(worker.end.await.expect("no panic"), End::CutOff));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_fails_stops_the_worker_and_loses_nothing() {
    let mut stage = Stage::new(&["shard-1", "shard-2"]);
    stage.send("shard-1", 60);
    stage.send("shard-2", 60);
    let first = stage.start("first");
    first.bad.fail_once(sink::Error::failed("writing", "as the test wants"));
    until("the end", async || first.end.is_finished()).await;
    let second = stage.start("second");
    until("checkpoints", async || {
        stage.position("shard-1").await == after(59) && stage.position("shard-2").await == after(59)
    })
    .await;
    stage.check(&[&first, &second]);
    assert!(matches!(first.end.await.expect("no panic"), End::Failed(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lease_ends_its_shard_alone_and_writes_nothing_more() {
    let mut stage = Stage::new(&["shard-1", "shard-2"]);
    stage.send("shard-1", 10);
    let worker = stage.start("worker");
    worker.enriched.close();
    worker.bad.close();
    until("the leases", async || {
        let (one, two) = (stage.owner("shard-1").await, stage.owner("shard-2").await);
        one.as_ref() == Some(&worker.name) && two.as_ref() == Some(&worker.name)
    })
    .await;
    stage.steal("shard-1").await;
    until("the loss", async || worker.metrics.counts().lost == 1).await;
    worker.enriched.open();
    worker.bad.open();
    stage.send("shard-2", 10);
    until("the other shard", async || stage.position("shard-2").await == after(9)).await;
    // The thief never renews, so the worker takes the lease back and does the work then.
    until("the first shard", async || stage.position("shard-1").await == after(9)).await;
    let repeated = stage.check(&[&worker]);
    assert_eq!(repeated, 0, "what was held back when the lease was lost was not written");
    assert!(matches!(worker.drain().await, End::Drained));
}
