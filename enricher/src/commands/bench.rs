//! `snowmelt bench`: what the transform, the worker's loop around it, and where its schemas are
//! kept, cost on this machine.
//!
//! What is measured of the transform is records to lines, both in memory. Two figures are told
//! apart: what the whole process has used after its first passes, with its start, reading the input
//! and every cache cold,
//! and what a run costs once all is warm. The latter is compared with a reference measured in the
//! same run, because absolute figures do not carry from machine to machine.

mod adapters;
mod each;
mod schemas;
mod worker;

use std::hint::black_box;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use clap::Subcommand;
use event::{Bump, thrift};
use lease::{Position, ShardId};
use tokio::time::Instant;

use super::enrich::{Transform, TransformArgs, input::Input, threads};
use crate::allocations;
use crate::batch::{Batch, Record};
use crate::process;
use crate::terminal;
use pipeline::{Settings, Validation};

/// What `snowmelt bench` was asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Records in, lines out, on the records of some files.
    Transform(Box<TransformBench>),
    /// The same with schemas kept in five places, from a throttled bucket to a bundle.
    Schemas(schemas::Args),
    /// The worker's loop on the same records, in memory and into objects.
    Worker(Box<worker::Args>),
}

#[derive(Debug, clap::Args)]
struct TransformBench {
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
    /// How many threads work, each on the whole input.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = threads())]
    threads: u16,
    /// Only check that self-describing JSON is JSON.
    #[arg(long)]
    syntax_only: bool,
    /// Also measure requests of one kind of webhook, by the adapter's name in configurations, or of
    /// `all` kinds, in the same runs.
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,
    /// Also measure each configured enrichment alone, on one thread.
    #[arg(long)]
    each: bool,
}

/// Runs `snowmelt bench`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Transform(bench) => transform(*bench),
        What::Schemas(args) => schemas::run(args),
        What::Worker(args) => worker::run(*args),
    }
    .map(|()| ExitCode::SUCCESS)
}

impl TransformBench {
    fn settings(&self) -> anyhow::Result<Settings> {
        let mut settings = self.transform.settings()?;
        if self.syntax_only {
            settings.validation = Validation::Syntax;
        }
        Ok(settings)
    }
}

fn transform(args: TransformBench) -> anyhow::Result<()> {
    ensure!(args.passes > 0 && args.runs > 0, "the counts start at 1");
    let transform = Transform::new(args.transform.setup(args.settings()?))?;
    let batches = batches(Input::open(&args.input)?)?;
    let bytes: usize = batches.iter().map(Batch::bytes).sum();

    let threads = usize::from(args.threads);
    let Passed { events: done, enriched } = passes(&transform, &batches, args.passes, threads);
    let since_start = process::cpu_time();
    ensure!(done > 0, "the input has no events");
    let all_passes = args.passes * threads;
    let events = done / all_passes;

    let mut runs: Vec<Measured> = Vec::new();
    let mut references: Vec<Measured> = Vec::new();
    let bodies = bodies(&batches);
    for _ in 0..args.runs {
        references.push(measure(|| bodies.iter().for_each(|body| parse(body))));
        runs.push(measure(|| passes(&transform, &batches, args.passes, threads)));
    }
    let per_event = |measured: &[Measured], pick: fn(&Measured) -> Duration, events: usize| {
        median(measured, pick).as_secs_f64() / events as f64
    };
    let cpu = per_event(&runs, |run| run.cpu, done);
    let wall = per_event(&runs, |run| run.wall, done);
    let reference = per_event(&references, |run| run.cpu, events);
    let row = |name: &str, value: String| terminal::line(&format!("{name:<44} {value:>12}"));
    row("events", format!("{events}"));
    row("enriched", format!("{}", enriched / all_passes));
    row("MB of records", format!("{:.1}", bytes as f64 / 1e6));
    row("threads", threads.to_string());
    terminal::line(&format!(
        "one process, start and cold caches included: {:.0} events per CPU-second ({} passes)",
        done as f64 / since_start.as_secs_f64(),
        args.passes,
    ));
    row("events per CPU second, median", format!("{:.0}", 1.0 / cpu));
    row("events per second, median", format!("{:.0}", 1.0 / wall));
    row("ns of CPU per event, median", format!("{:.0}", cpu * 1e9));
    row("reference: serde_json Value of the bodies, ns", format!("{:.0}", reference * 1e9));
    row("ratio to the reference", format!("{:.2}", cpu / reference));
    row(
        "allocations per event",
        format!("{:.2}", allocations_per_event(&transform, &batches, events)),
    );
    let (p50, p99) = latency(&transform, &batches);
    row("one payload, p50, µs", format!("{:.1}", p50.as_secs_f64() * 1e6));
    row("one payload, p99, µs", format!("{:.1}", p99.as_secs_f64() * 1e6));
    if let Some(bytes) = process::peak_memory() {
        row("peak memory, MB", format!("{:.1}", bytes as f64 / 1e6));
    }
    if let Some(adapter) = &args.adapter {
        adapters::run(adapter, &transform, &batches, &args)?;
    }
    if args.each { each::run(&args, &batches) } else { Ok(()) }
}

struct Measured {
    wall: Duration,
    cpu: Duration,
}

fn measure<T>(work: impl FnOnce() -> T) -> Measured {
    let (cpu, wall) = (process::cpu_time(), Instant::now());
    black_box(work());
    Measured { wall: wall.elapsed(), cpu: process::cpu_time() - cpu }
}

fn median(runs: &[Measured], pick: fn(&Measured) -> Duration) -> Duration {
    let mut times: Vec<Duration> = runs.iter().map(pick).collect();
    times.sort();
    times[times.len() / 2]
}

/// What some passes came to.
#[derive(Default)]
struct Passed {
    events: usize,
    enriched: usize,
}

fn passes(transform: &Transform, batches: &[Batch], passes: usize, threads: usize) -> Passed {
    let all = || {
        let mut passed = Passed::default();
        for batch in (0..passes).flat_map(|_| batches) {
            let output = black_box(transform.process(batch));
            passed.events += output.verdicts.len();
            passed.enriched += output.enriched.len();
        }
        passed
    };
    if threads == 1 {
        return all();
    }
    let each = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(all)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
    });
    each.into_iter().fold(Passed::default(), |sum, passed| Passed {
        events: sum.events + passed.events,
        enriched: sum.enriched + passed.enriched,
    })
}

fn batches(mut input: Input) -> anyhow::Result<Vec<Batch>> {
    let mut batches = Vec::new();
    while let Some(chunk) = super::enrich::next_chunk(&mut input)? {
        batches.push(chunk.batch);
    }
    Ok(batches)
}

/// The bodies that are JSON, as trackers post them.
fn bodies(batches: &[Batch]) -> Vec<Vec<u8>> {
    let records = batches.iter().flat_map(|batch| &batch.records);
    let body = |record: &Record| {
        let arena = Bump::new();
        let wire = thrift::read(&record.data, &arena).ok()?;
        wire.body.map(<[u8]>::to_vec)
    };
    records.filter_map(body).collect()
}

fn parse(body: &[u8]) {
    black_box(serde_json::from_slice::<serde_json::Value>(body).ok());
}

fn allocations_per_event(transform: &Transform, batches: &[Batch], events: usize) -> f64 {
    let before = allocations::of_this_thread();
    for batch in batches {
        black_box(transform.process(batch));
    }
    (allocations::of_this_thread() - before) as f64 / events as f64
}

/// The median and the 99th percentile of the time one payload takes on its own.
fn latency(transform: &Transform, batches: &[Batch]) -> (Duration, Duration) {
    let mut times = Vec::new();
    for record in batches.iter().flat_map(|batch| &batch.records) {
        let end = Position::After { sequence: record.sequence.clone(), sub_sequence: 0 };
        let records = vec![record.clone()];
        let batch = Batch { shard: ShardId::new("bench"), records, lag: None, end };
        let start = Instant::now();
        black_box(transform.process(&batch));
        times.push(start.elapsed());
    }
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}
