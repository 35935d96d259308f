//! `snowmelt bench worker`: what a worker's loop costs beside the transform alone, from records in
//! memory to lines that nobody keeps, or to objects of a folder.
//!
//! Leases, batches, the pool, the budget and the sinks are the worker's own; what is left out is
//! the network. All kinds of output take turns in one process, because the machine is not the same
//! from minute to minute.

mod corpus;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use lease::store::memory::Memory;
use lease::{Held, Keeper, Leases, WorkerId};
use pipeline::Pipeline;
use pipeline::divide::Form;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::{Measured, batches, measure, median, passes};
use crate::commands::enrich::{Transform, TransformArgs, input::Input, threads};
use crate::pool::Pool;
use crate::seam::Pending;
use crate::shard;
use crate::sink::object::Compression;
use crate::sink::{Error, Part, Route, Sink, Sinks, Written};
use crate::source::Source;
use crate::terminal;
use crate::worker::destinations::Growth;
use crate::worker::plan::Plan;
use crate::worker::{Shared, Worker, build, enriching};
use corpus::Corpus;

/// The bytes in flight, as in a worker's configuration by default.
const BUDGET: usize = 256 << 20;

/// The size of an object, as by default.
const OBJECT: usize = 64 << 20;

/// No lease is to run out while the machine is busy.
const LEASE: Duration = Duration::from_secs(120);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files of payloads, as `snowmelt enrich` reads them.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    input: Vec<PathBuf>,
    #[command(flatten)]
    transform: TransformArgs,
    /// How often a measured run goes over the input.
    #[arg(long, default_value_t = 4, value_name = "N")]
    passes: usize,
    /// How many runs are measured; their median counts.
    #[arg(long, default_value_t = 5, value_name = "N")]
    runs: usize,
    /// How many shards the records are spread over.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = threads())]
    shards: u16,
    /// How many threads compute.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = threads())]
    threads: u16,
    /// A folder for objects, which are deleted after each run; by default one for temporary files.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// What becomes of lines.
#[derive(Clone, Copy, Debug)]
enum Kept {
    /// Nobody keeps them.
    Nowhere,
    /// They are in objects of a folder.
    Objects(Compression, Form),
}

const CONTENDERS: [(&str, Kept); 5] = [
    ("the loop, lines kept nowhere", Kept::Nowhere),
    ("objects, lines as they are", Kept::Objects(Compression::Plain, Form::Own)),
    ("objects, zstd", Kept::Objects(Compression::Zstd, Form::Own)),
    ("objects, gzip", Kept::Objects(Compression::Gzip, Form::Own)),
    ("objects, JSON, zstd", Kept::Objects(Compression::Zstd, Form::Json)),
];

/// Takes lines, counts them and lets them go.
#[derive(Debug, Default)]
struct Nowhere(AtomicUsize);

impl Sink for Nowhere {
    fn write(&self, part: Arc<Part>) -> Pending<'_, Result<Written, Error>> {
        self.0.fetch_add(part.lines.len(), Ordering::Relaxed);
        Box::pin(std::future::ready(Ok(Written::Durable)))
    }
}

/// The parts that all runs share.
struct Bench {
    corpus: Arc<Corpus>,
    transform: Transform,
    pipelines: [Arc<Pipeline>; 2],
    pool: Arc<Pool>,
    runtime: Runtime,
    folder: PathBuf,
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    ensure!(args.passes > 0 && args.runs > 0, "the counts start at 1");
    let input = batches(Input::open(&args.input)?)?;
    let bench = Bench::new(&args, &input)?;
    let passed = passes(&bench.transform, &input, 1, 1);
    ensure!(passed.events > 0, "the input has no events");
    let events = passed.events * args.passes;
    let threads = usize::from(args.threads);

    let mut alone: Vec<Measured> = Vec::new();
    let mut turns: Vec<Vec<Measured>> = CONTENDERS.map(|_| Vec::new()).into();
    for _ in 0..args.runs {
        alone.push(measure(|| passes(&bench.transform, &input, args.passes, 1)));
        for ((name, kept), turns) in CONTENDERS.iter().zip(&mut turns) {
            let (turn, lines) = bench.turn(*kept)?;
            ensure!(lines.is_none_or(|lines| lines == events), "{name}: lines are missing");
            turns.push(turn);
        }
    }
    terminal::line(&format!(
        "{} events, {} shards, {threads} threads, medians of {} runs of {} passes",
        passed.events, args.shards, args.runs, args.passes
    ));
    terminal::line(&format!(
        "{:<32} {:>18} {:>10} {:>14}",
        "", "events/CPU-second", "ratio", "events/second"
    ));
    let reference = median(&alone, |run| run.cpu).as_secs_f64();
    let row = |name: &str, runs: &[Measured]| {
        let (cpu, wall) = (median(runs, |run| run.cpu), median(runs, |run| run.wall));
        terminal::line(&format!(
            "{name:<32} {:>18.0} {:>10.2} {:>14.0}",
            events as f64 / cpu.as_secs_f64(),
            reference / cpu.as_secs_f64(),
            events as f64 / wall.as_secs_f64(),
        ));
    };
    row("the transform alone, one thread", &alone);
    for ((name, _), turns) in CONTENDERS.iter().zip(&turns) {
        row(name, turns);
    }
    Ok(())
}

impl Bench {
    fn new(args: &Args, input: &[crate::batch::Batch]) -> anyhow::Result<Bench> {
        let own = args.transform.settings()?;
        let mut json = own.clone();
        json.json = vec![Route::Enriched];
        let transform = Transform::new(args.transform.setup(own.clone()))?;
        let enrichments = args.transform.rules.enrichments()?;
        let pipelines =
            [own, json].map(|settings| Arc::new(Pipeline::new(settings, Arc::clone(&enrichments))));
        let records = input.iter().flat_map(|batch| &batch.records);
        let records = records.map(|record| record.data.clone()).collect();
        let corpus = Corpus::new(records, args.passes, usize::from(args.shards));
        let folder = args.folder.clone().unwrap_or_else(std::env::temp_dir);
        let folder = folder.join(format!("snowmelt-bench-{}", std::process::id()));
        Ok(Bench {
            corpus: Arc::new(corpus),
            transform,
            pipelines,
            pool: Arc::new(Pool::new(usize::from(args.threads))?),
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(usize::from(args.threads))
                .enable_all()
                .build()?,
            folder,
        })
    }

    /// All records once, from the leases held to the last byte durable; and how many lines there
    /// were, where they were counted.
    fn turn(&self, kept: Kept) -> anyhow::Result<(Measured, Option<usize>)> {
        let turn = self.runtime.block_on(self.worked(kept));
        if self.folder.exists() {
            std::fs::remove_dir_all(&self.folder).context("cannot delete the run's objects")?;
        }
        turn
    }

    async fn worked(&self, kept: Kept) -> anyhow::Result<(Measured, Option<usize>)> {
        let shared = Shared::new(Arc::clone(&self.pool), BUDGET);
        let nowhere = Arc::new(Nowhere::default());
        let (pipeline, sinks) = match kept {
            Kept::Nowhere => {
                let to = Sinks::default();
                let to = Route::ALL
                    .into_iter()
                    .fold(to, |to, route| to.with(route, Arc::clone(&nowhere) as Arc<dyn Sink>));
                (&self.pipelines[0], to)
            }
            Kept::Objects(compression, form) => {
                let pipeline = &self.pipelines[usize::from(form == Form::Json)];
                let plan = plan(pipeline, &self.folder, compression, form)?;
                (
                    pipeline,
                    build::sinks(
                        &plan,
                        &shared,
                        &build::Clients::default(),
                        self.transform.resolver(),
                    ),
                )
            }
        };
        let pipeline = enriching::fixed(Arc::clone(pipeline));
        let resolver = self.transform.resolver().clone();
        let source = Arc::clone(&self.corpus) as Arc<dyn Source>;
        let worker = Worker::new(source, pipeline, resolver, sinks, shared);
        let worker = Arc::new(worker.with_lookups(self.transform.lookups()));
        let (held, _keeper) = self.held().await?;
        let (cpu, wall) = (crate::process::cpu_time(), tokio::time::Instant::now());
        let mut shards = JoinSet::new();
        for held in held {
            let worker = Arc::clone(&worker);
            shards.spawn(async move { shard::run(&worker, held).await });
        }
        // What has been read and waits in an open object is closed by whoever ends last.
        while let Some(end) = shards.join_next().await {
            ensure!(end?? == shard::End::ShardEnd, "a lease was lost while its shard was worked");
        }
        let measured = Measured { wall: wall.elapsed(), cpu: crate::process::cpu_time() - cpu };
        let lines = nowhere.0.load(Ordering::Relaxed);
        Ok((measured, matches!(kept, Kept::Nowhere).then_some(lines)))
    }

    /// The leases on all shards, which are held as long as their keeper is.
    async fn held(&self) -> anyhow::Result<(Vec<Held>, (Keeper, Leases))> {
        let id = WorkerId::parse("bench").context("a worker's name")?;
        let config = lease::Config::with_lease_duration(id, LEASE);
        let (keeper, mut leases) = Keeper::start(Arc::new(Memory::new()), config);
        let shards = self.corpus.shards().await?;
        let wanted = shards.len();
        keeper.observe_shards(shards);
        let mut held = Vec::new();
        while held.len() < wanted {
            held.push(leases.next().await.context("the leases ended")?);
        }
        Ok((held, (keeper, leases)))
    }
}

/// Objects below a folder, enriched lines in this form.
fn plan(
    pipeline: &Pipeline,
    folder: &Path,
    compression: Compression,
    form: Form,
) -> anyhow::Result<Plan> {
    let id = WorkerId::parse("bench").context("a worker's name")?;
    let config = lease::Config::with_lease_duration(id, LEASE);
    let growth = Growth { compression, bytes: OBJECT, age: Duration::from_secs(3600) };
    let mut plan = Plan::local(config, pipeline.settings().clone(), folder, growth, None);
    plan.destinations.retain(|to| to.route != Route::Enriched || to.want.form == form);
    Ok(plan)
}
