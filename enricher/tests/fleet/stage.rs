//! A fleet in memory: a stream, its leases, workers with their outputs, and what was sent.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use enricher::life::{self, End};
use enricher::metrics::Metrics;
use enricher::pool::Pool;
use enricher::process::this_program;
use enricher::signal::Stop;
use enricher::sink::{Route, Sinks, memory};
use enricher::source;
use enricher::worker::{Shared, Worker};
use lease::store::memory::Memory as Leases;
use lease::{
    Change, Counter, Lease, LeaseKey, LeaseStore, Position, ShardId, Suspect, WorkerId, Write,
    WriteId,
};
use pipeline::{Pipeline, Settings};
use tokio::task::JoinHandle;
use traffic::Generator;

/// Short, so that a test is; nothing here depends on how long it takes.
const LEASE: Duration = Duration::from_secs(1);

/// Far longer than anything here takes; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A stream, its leases, the outputs, and what was sent.
pub(crate) struct Stage {
    pub(crate) stream: source::memory::Memory,
    leases: Arc<Leases>,
    generator: Generator,
    pub(crate) good: BTreeSet<String>,
    pub(crate) bad: usize,
}

/// A worker with sinks of its own.
pub(crate) struct Running {
    pub(crate) name: WorkerId,
    pub(crate) enriched: Arc<memory::Memory>,
    pub(crate) bad: Arc<memory::Memory>,
    pub(crate) parked: Arc<memory::Memory>,
    pub(crate) stop: Stop,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) end: JoinHandle<End>,
}

impl Stage {
    pub(crate) fn new(shards: &[&str]) -> Stage {
        let stream = source::memory::Memory::default();
        for name in shards {
            stream.add(&ShardId::new(name), &[]);
        }
        let generator = Generator::new(11, 0.1, 1_700_000_000_000);
        Stage { stream, leases: Arc::default(), generator, good: BTreeSet::new(), bad: 0 }
    }

    pub(crate) fn send(&mut self, shard: &str, payloads: usize) {
        for _ in 0..payloads {
            let payload = self.generator.payload();
            self.good.extend(payload.good);
            self.bad += payload.bad.len();
            self.stream.put(&ShardId::new(shard), Bytes::from(payload.bytes));
        }
    }

    pub(crate) fn start(&self, name: &str) -> Running {
        self.start_with(name, Duration::from_secs(30))
    }

    pub(crate) fn start_with(&self, name: &str, grace: Duration) -> Running {
        let [enriched, bad, parked] = [(); 3].map(|()| Arc::new(memory::Memory::default()));
        let sinks = Sinks::default()
            .with(Route::Enriched, Arc::clone(&enriched) as _)
            .with(Route::Bad, Arc::clone(&bad) as _)
            .with(Route::Parked, Arc::clone(&parked) as _);
        let parts = shared(8 << 20);
        let (stop, metrics) = (Stop::default(), Arc::clone(&parts.metrics));
        let end = self.run(name, grace, &stop, parts, sinks);
        let name = WorkerId::parse(name).expect("a name");
        Running { name, enriched, bad, parked, stop, metrics, end }
    }

    /// Starts a worker on these parts and sinks.
    pub(crate) fn run(
        &self,
        name: &str,
        grace: Duration,
        stop: &Stop,
        parts: Shared,
        sinks: Sinks,
    ) -> JoinHandle<End> {
        let pipeline = Pipeline::new(Settings::new(this_program()), Arc::default());
        let pipeline = enricher::worker::enriching::fixed(pipeline);
        let (source, resolver) = (Arc::new(self.stream.clone()), resolver::Resolver::embedded());
        let worker = Worker::new(source, pipeline, resolver, sinks, parts);
        let name = WorkerId::parse(name).expect("a name");
        let config = lease::Config::with_lease_duration(name, LEASE);
        let store = Arc::clone(&self.leases) as Arc<dyn LeaseStore>;
        #[allow(clippy::disallowed_methods, reason = "the test joins it")]
        tokio::spawn(life::run(Arc::new(worker), store, config, grace, stop.clone()))
    }

    async fn lease(&self, shard: &str) -> Option<lease::Lease> {
        let scan = self.leases.scan().await.expect("memory does not fail");
        scan.leases.into_iter().find(|lease| lease.key.as_str() == shard)
    }

    /// Waits until the keeper has stored what it knows of a shard now.
    pub(crate) async fn renewed(&self, shard: &str) {
        let counter = async || self.lease(shard).await.map(|lease| lease.counter.0);
        // One renewal may be on its way already.
        let now = counter().await.expect("there is a lease");
        until("renewal", async || counter().await >= Some(now + 2)).await;
    }

    /// How often in a row a shard could not be worked.
    pub(crate) async fn failures(&self, shard: &str) -> u32 {
        self.lease(shard).await.map_or(0, |lease| lease.failures)
    }

    pub(crate) async fn position(&self, shard: &str) -> Option<Position> {
        Some(self.lease(shard).await?.checkpoint)
    }

    pub(crate) async fn owner(&self, shard: &str) -> Option<WorkerId> {
        self.lease(shard).await?.owner
    }

    /// A shard's owner went while it worked on the n-th record alone, for the so many-th time.
    pub(crate) async fn went_at(&self, shard: &str, n: usize, tries: u32) {
        let (shard, gone) = (ShardId::new(shard), WorkerId::parse("gone").expect("a name"));
        let lease = Lease::new(&shard, Position::TrimHorizon);
        assert!(self.leases.create(lease).await.expect("memory does not fail"));
        let record = after(n).expect("a position");
        let suspect = Some(Suspect { tries, ..Suspect::new(record.clone(), record) });
        let take = Change::Take {
            owner: gone,
            switched: false,
            capacity: 1,
            duration_ms: 10_000,
            stream: lease::Stream::default(),
            start: None,
        };
        let renew =
            Change::Renew { checkpoint: None, weight: 0, lag_ms: None, offer: None, suspect };
        for (counter, change) in (0..).zip([take, renew]) {
            let (key, expected) = (LeaseKey::of(&shard), Counter(counter));
            let write = Write { key, expected, id: WriteId(counter), change };
            let outcome = self.leases.write(write).await.expect("memory does not fail");
            assert!(matches!(outcome, lease::Outcome::Applied(_)));
        }
    }

    /// Somebody else takes a shard's lease.
    pub(crate) async fn steal(&self, shard: &str) {
        loop {
            let lease = self.lease(shard).await.expect("it was leased");
            let owner = WorkerId::parse("thief").expect("a name");
            let write = Write {
                key: lease.key,
                expected: lease.counter,
                id: WriteId(1),
                change: Change::Take {
                    owner,
                    switched: true,
                    capacity: 1,
                    duration_ms: 10_000,
                    stream: lease::Stream::default(),
                    start: None,
                },
            };
            let outcome = self.leases.write(write).await.expect("memory does not fail");
            if matches!(outcome, lease::Outcome::Applied(_)) {
                return;
            }
        }
    }

    /// Checks the outputs of some workers as [`Stage::check_lines`] does.
    pub(crate) fn check(&self, workers: &[&Running]) -> usize {
        let enriched = workers.iter().flat_map(|worker| worker.enriched.lines()).collect();
        self.check_lines(enriched, workers.iter().map(|worker| worker.bad.lines().len()).sum())
    }

    /// Checks that outputs hold all that was sent, and says how many enriched events they hold
    /// twice.
    pub(crate) fn check_lines(&self, enriched: Vec<Vec<u8>>, bad: usize) -> usize {
        let mut ids: HashMap<String, usize> = HashMap::new();
        for line in enriched {
            let line = String::from_utf8(line).expect("lines are UTF-8");
            let id = line.split('\t').nth(event::Field::EventId as usize).expect("131 columns");
            *ids.entry(id.to_owned()).or_default() += 1;
        }
        let seen: BTreeSet<String> = ids.keys().cloned().collect();
        let missing: Vec<_> = self.good.difference(&seen).take(3).collect();
        assert!(missing.is_empty(), "{} of {}, not {missing:?}", seen.len(), self.good.len());
        let invented: Vec<_> = seen.difference(&self.good).take(3).collect();
        assert!(invented.is_empty(), "events that nobody sent: {invented:?}");
        assert!(bad >= self.bad, "{bad} bad rows of {}", self.bad);
        let twice = ids.values().map(|count| count - 1).sum();
        if twice == 0 {
            assert_eq!(bad, self.bad, "bad rows");
        }
        twice
    }
}

impl Stage {
    /// How many lines workers wrote more than once.
    pub(crate) fn repeated(&self, workers: &[&Running]) -> usize {
        let bad: usize = workers.iter().map(|worker| worker.bad.lines().len()).sum();
        self.check(workers) + bad - self.bad
    }
}

/// What the sinks and the shards of a worker use, with a budget of so many bytes.
pub(crate) fn shared(budget: usize) -> Shared {
    Shared::new(Arc::new(Pool::new(2).expect("threads start")), budget)
}

impl Running {
    pub(crate) async fn drain(self) -> End {
        self.stop.drain.cancel();
        self.end.await.expect("the worker does not panic")
    }

    /// The lines that it says may be in a destination twice, by cause.
    pub(crate) fn repeats(&self, cause: &str) -> usize {
        let name = format!("snowmelt_duplicates_total{{cause=\"{cause}\"}} ");
        let text = self.metrics.text();
        let value = text.lines().find_map(|line| line.strip_prefix(&name));
        value.map_or(0, |value| value.parse().expect("a count"))
    }

    pub(crate) fn written(&self) -> usize {
        self.enriched.lines().len() + self.bad.lines().len()
    }
}

/// Looks again and again.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("no {what} in time"));
}

pub(crate) fn after(n: usize) -> Option<Position> {
    let sequence = lease::SequenceNumber::parse(&n.to_string()).expect("a number");
    Some(Position::After { sequence, sub_sequence: 0 })
}
