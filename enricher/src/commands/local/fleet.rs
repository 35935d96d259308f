//! The workers of a run, put together as a fleet's are, on embedded parts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use lease::store::Scan;
use lease::store::sqlite::Sqlite;
use lease::{LeaseStore, Position, WorkerId};
use resolver::Resolver;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Args;
use super::inquiry::Inquiry;
use super::settings::Settings;
use crate::budget::Hurry;
use crate::life::{self, End};
use crate::metrics::Metrics;
use crate::pool::Pool;
use crate::signal::Stop;
use crate::sink::object::Compression;
use crate::source::local::Local;
use crate::witness::{Seen, Witness};
use crate::worker::destinations::{Growth, LOCAL_TABLES, json_folder};
use crate::worker::enriching::{self, Renewal};
use crate::worker::plan::Plan;
use crate::worker::{Shared, Worker, build};
use crate::{aws, clock};

/// Short, so that a reader sees the next worker take over: a machine's own clock does not drift
/// against itself.
pub(super) const LEASE: Duration = Duration::from_secs(4);

/// Objects close after a second or two, so that files appear while one watches.
const GROWTH: Growth =
    Growth { compression: Compression::Zstd, bytes: 8 << 20, age: Duration::from_secs(2) };

/// Tables take longer: a query opens every file, and a demonstration of an hour should not make ten
/// thousand.
const TABLES: Growth = Growth { age: Duration::from_secs(5), ..GROWTH };

/// The bytes in flight of one worker.
const BUDGET: usize = 64 * 1024 * 1024;

/// How long the workers may take to finish once they are asked to.
const GRACE: Duration = Duration::from_secs(60);

/// What is worked stays in the stream for so long, for whoever wants to look at it.
const KEPT: Duration = Duration::from_secs(60);

/// How often is looked for what may go.
const TENDING: Duration = Duration::from_secs(5);

/// All workers of a run.
pub(super) struct Fleet {
    pub(super) workers: JoinSet<End>,
    /// What each worker counted, by its name.
    pub(super) metrics: Vec<(String, Arc<Metrics>)>,
    /// Calls each worker to close what is open.
    pub(super) hurry: Vec<Hurry>,
    /// What becomes of records by the rules that the workers have.
    pub(super) inquiry: Arc<Inquiry>,
}

impl Fleet {
    /// Starts them.
    pub(super) async fn start(
        args: &Args,
        settings: &Settings,
        resolver: &Resolver,
        (stream, leases): (&Local, &Arc<Sqlite>),
        seen: mpsc::Sender<Seen>,
        stop: &Stop,
    ) -> anyhow::Result<(Fleet, Renewal)> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let pool = Arc::new(Pool::new(cores)?);
        let rules = settings.pipeline.clone();
        let aws = aws::Settings::default();
        let (pipeline, renewal) = enriching::start(
            rules.clone(),
            &settings.rules,
            &settings.enrichments,
            &aws,
            &Arc::default(),
        )
        .await?;
        let lookups = build::lookups(&pipeline.borrow(), |name| settings.lookups.of(name))?;
        let inquiry =
            Inquiry::new(&settings.rules, pipeline.clone(), Arc::clone(&lookups), resolver.clone());
        let mut fleet = Fleet {
            workers: JoinSet::new(),
            metrics: Vec::new(),
            hurry: Vec::new(),
            inquiry: Arc::new(inquiry),
        };
        for n in 0..args.workers {
            // A run's own names: a worker that was killed must not come back under its old one.
            let name = format!("local-{}-{n}", clock::now_ms());
            let id = WorkerId::parse(&name).context("a worker id is letters and digits")?;
            let config = lease::Config::with_lease_duration(id, LEASE);
            let tables = (!args.no_tables).then_some(TABLES);
            let plan = Plan::local(config, rules.clone(), &args.dir, GROWTH, tables);
            let shared = Shared::new(Arc::clone(&pool), BUDGET);
            fleet.metrics.push((name.clone(), Arc::clone(&shared.metrics)));
            fleet.hurry.push(shared.hurry.clone());
            let (source, sinks) = (
                Arc::new(stream.clone()),
                build::sinks(&plan, &shared, &build::Clients::default(), resolver),
            );
            let worker = Worker::new(source, pipeline.clone(), resolver.clone(), sinks, shared)
                .with_lookups(Arc::clone(&lookups))
                .with_witness(Witness::of(&name, seen.clone()));
            let store: Arc<dyn LeaseStore> = Arc::clone(leases) as _;
            let life = life::run(Arc::new(worker), store, plan.leases, GRACE, stop.clone());
            fleet.workers.spawn(life);
        }
        Ok((fleet, renewal))
    }
}

/// Where each shard is read from next.
pub(super) async fn positions(
    stream: &Local,
    scan: &Scan,
) -> anyhow::Result<Vec<(lease::ShardId, Position)>> {
    let position = |shard: lease::ShardId| {
        let lease = scan.leases.iter().find(|lease| lease.key.shard() == &shard);
        let from = lease.map_or(Position::TrimHorizon, |lease| lease.checkpoint.clone());
        (shard, from)
    };
    Ok(stream.shard_ids().await?.into_iter().map(position).collect())
}

/// How many records are in the stream that no stored position has passed.
pub(super) async fn backlog(stream: &Local, leases: &dyn LeaseStore) -> anyhow::Result<u64> {
    let mut left = 0;
    for (shard, from) in positions(stream, &leases.scan().await?).await? {
        left += stream.left(&shard, &from).await?;
    }
    Ok(left)
}

/// Drops what is done and older than a while, for ever.
pub(super) async fn tend(stream: &Local, leases: &dyn LeaseStore) -> anyhow::Result<()> {
    loop {
        tokio::time::sleep(TENDING).await;
        drop_done(stream, leases, clock::now_ms() - KEPT.as_millis() as i64).await?;
    }
}

/// Drops what is done and came before a time.
pub(super) async fn drop_done(
    stream: &Local,
    leases: &dyn LeaseStore,
    before_ms: i64,
) -> anyhow::Result<()> {
    for (shard, done) in positions(stream, &leases.scan().await?).await? {
        while stream.drop_done(&shard, &done, before_ms).await? > 0 {}
    }
    Ok(())
}

/// Where everything of a run is, for one that begins anew.
pub(super) fn reset(dir: &Path) -> anyhow::Result<()> {
    // Only a folder that is one of ours: a mistaken `--dir` must not cost anybody his files.
    if !dir.join("stream.db").is_file() {
        return Ok(());
    }
    let files = ["stream.db", "leases.db"]
        .map(|name| ["", "-wal", "-shm"].map(|end| format!("{name}{end}")));
    for file in files.concat().into_iter().chain([super::ledger::FILE.to_owned()]) {
        match std::fs::remove_file(dir.join(&file)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot delete {file}"));
            }
            _ => {}
        }
    }
    let folders = pipeline::Route::ALL.map(|route| [route.name().to_owned(), json_folder(route)]);
    for folder in folders.concat().into_iter().chain([LOCAL_TABLES.to_owned()]) {
        match std::fs::remove_dir_all(dir.join(&folder)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot delete {folder}"));
            }
            _ => {}
        }
    }
    Ok(())
}
