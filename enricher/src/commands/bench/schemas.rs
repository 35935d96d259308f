//! `snowmelt bench schemas`: what the place where schemas are kept costs.
//!
//! One pipeline works on the same payloads with its schemas in five places: a registry that
//! answers like a throttled bucket, one that is near, one on this machine, a folder, a bundle.
//! Schemas are asked for again every second, so that a registry that cost anything would show.
//! Runs of all five take turns, because the machine is not the same from minute to minute.

mod crowd;
mod hosting;
mod plot;

use std::convert::Infallible;
use std::future::ready;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use resolver::{Figures, Resolver};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::batches;
use crate::batch::Batch;
use crate::commands::enrich::input::Input;
use crate::process::this_program;
use crate::resolving::{Attempt, Sources, resolving};
use crate::{clock, terminal};
use hosting::{Corpus, Hosting};
use pipeline::{Outcome, Pipeline, Settings};

/// What `snowmelt bench schemas` was asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files of payloads, as `snowmelt enrich` reads them.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    input: Vec<PathBuf>,
    /// An Iglu resolver configuration for schemas that are not embedded; asked once, before
    /// anything is measured.
    #[arg(long, value_name = "FILE")]
    resolver: Option<PathBuf>,
    /// How often each hosting is measured, in turn; medians count.
    #[arg(long, default_value_t = 7, value_name = "N")]
    runs: usize,
    /// How long the steady state of each run lasts.
    #[arg(long, default_value_t = 3, value_name = "SECONDS")]
    seconds: u64,
    /// Where to write the plot.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// A folder of schemas to take those of the large bundles from; else copies of those in use.
    #[arg(long, value_name = "DIR")]
    crowd: Option<PathBuf>,
}

/// One run with one hosting.
#[derive(Clone, Debug)]
struct Run {
    /// Events per second from an empty memory, over the whole input once.
    cold: f64,
    /// Events per second after that.
    steady: f64,
    /// Events in the steady state.
    events: u64,
    /// Times that the pipeline had to wait for a registry in the steady state.
    waits: u64,
    /// Requests to registries in the steady state.
    requests: u64,
    /// How long the steady state lasted.
    lasted: Duration,
}

/// A hosting and what its runs came to.
struct Measured {
    name: &'static str,
    runs: Vec<Run>,
}

/// Runs `snowmelt bench schemas`.
pub(super) fn run(args: Args) -> anyhow::Result<()> {
    ensure!(args.runs > 0 && args.seconds > 0, "the counts start at 1");
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build()?;
    let pipeline = Pipeline::new(Settings::new(this_program()), Arc::default());
    let batches = batches(Input::open(&args.input)?)?;
    let corpus = Corpus::of(&args, &pipeline, &batches, &runtime)?;
    let hostings = hosting::all(&corpus, &runtime)?;
    let bench = Bench { pipeline, batches, runtime, lookups: Arc::default() };

    let mut measured: Vec<Measured> =
        hostings.iter().map(|h| Measured { name: h.name, runs: Vec::new() }).collect();
    for _ in 0..args.runs {
        for (hosting, measured) in hostings.iter().zip(&mut measured) {
            measured.runs.push(bench.run(hosting, Duration::from_secs(args.seconds))?);
        }
    }
    report(&measured);
    if let Some(path) = &args.svg {
        std::fs::write(path, plot::svg(&measured))?;
    }
    crowd::measure(&args, &corpus, &bench)
}

/// The parts that all runs share.
struct Bench {
    pipeline: Pipeline,
    batches: Vec<Batch>,
    runtime: tokio::runtime::Runtime,
    /// None.
    lookups: Arc<lookups::Lookups>,
}

impl Bench {
    fn run(&self, hosting: &Hosting, seconds: Duration) -> anyhow::Result<Run> {
        let resolver = (hosting.make)()?;
        // As in a worker: what is due is asked for in the background. Ends with this run.
        let mut keeper = JoinSet::new();
        let fresh = resolver.clone();
        keeper.spawn_on(async move { fresh.keep_fresh().await }, self.runtime.handle());

        let start = Instant::now();
        let (events, _) = self.pass(&resolver);
        let cold = events as f64 / start.elapsed().as_secs_f64();

        let before = requests(&resolver.figures());
        let (start, mut all, mut waits) = (Instant::now(), 0, 0);
        while start.elapsed() < seconds {
            let (events, waited) = self.pass(&resolver);
            (all, waits) = (all + events, waits + waited);
        }
        let lasted = start.elapsed();
        Ok(Run {
            cold,
            steady: all as f64 / lasted.as_secs_f64(),
            events: all,
            waits,
            requests: requests(&resolver.figures()) - before,
            lasted,
        })
    }

    /// Processes the input once: how many events, and how often it had to wait for schemas.
    fn pass(&self, resolver: &Resolver) -> (u64, u64) {
        let (mut events, mut waits) = (0, 0);
        for batch in &self.batches {
            let batch = batch.view();
            let attempt = |attempt: Attempt| {
                let outcome = attempt.run(&self.pipeline, &batch, None, clock::now_ms());
                waits += u64::from(matches!(outcome, Outcome::Need(_)));
                ready(Ok::<_, Infallible>(outcome))
            };
            let sources = Sources { resolver, lookups: &self.lookups };
            let Ok(output) = self.runtime.block_on(resolving(sources, attempt));
            events += black_box(output).verdicts.len() as u64;
        }
        (events, waits)
    }
}

/// Requests that left the process, or would have: those to the registry under test.
fn requests(figures: &Figures) -> u64 {
    let under_test = figures.registries.iter().filter(|registry| registry.name == hosting::NAME);
    under_test.map(|registry| registry.asked()).sum()
}

/// The least, the median and the most.
fn spread(runs: &[Run], pick: fn(&Run) -> f64) -> [f64; 3] {
    let mut values: Vec<f64> = runs.iter().map(pick).collect();
    values.sort_by(f64::total_cmp);
    [values[0], values[values.len() / 2], values[values.len() - 1]]
}

fn report(measured: &[Measured]) {
    terminal::line(&format!(
        "{:<34} {:>26} {:>28} {:>9} {:>11}",
        "schemas in", "cold start, events/s", "steady state, events/s", "blocking", "background"
    ));
    for Measured { name, runs } in measured {
        let thousands =
            |[least, median, most]: [f64; 3]| format!("{median:.0} ({least:.0} to {most:.0})");
        let (cold, steady) = (spread(runs, |run| run.cold), spread(runs, |run| run.steady));
        let events: u64 = runs.iter().map(|run| run.events).sum();
        let waits: u64 = runs.iter().map(|run| run.waits).sum();
        let requests: u64 = runs.iter().map(|run| run.requests).sum();
        let lasted: f64 = runs.iter().map(|run| run.lasted.as_secs_f64()).sum();
        terminal::line(&format!(
            "{name:<34} {:>26} {:>28} {:>9.2} {:>11.1}",
            thousands(cold),
            thousands(steady),
            waits as f64 * 1e6 / events as f64,
            requests as f64 / lasted,
        ));
    }
    terminal::line("blocking: waits per million events; background: requests per second");
    let Some(bundle) = measured.last() else { return };
    let [least, _, most] = spread(&bundle.runs, |run| run.steady);
    for Measured { name, runs } in measured {
        let [_, median, _] = spread(runs, |run| run.steady);
        let inside = if (least..=most).contains(&median) { "inside" } else { "outside" };
        terminal::line(&format!("{name}: its median is {inside} the bundle's spread"));
    }
}
