//! `snowmelt local`: a fleet on one machine, on embedded parts: stream and leases in SQLite files,
//! outputs in files, generated traffic. The same loop as in production, with nothing to install.
//!
//! Everything is in one folder. A run that was killed goes on where its leases stand when the
//! folder is given again. Each run counts its own events while it lasts; the account at the end is
//! of all runs in the folder.

mod account;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use lease::store::sqlite::Sqlite;
use lease::{LeaseStore, Position, WorkerId};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::tolerance::Tolerance;
use crate::exit::{EXIT_GRACE, Usage};
use crate::life::{self, End};
use crate::metrics::Metrics;
use crate::pool::Pool;
use crate::rules::Rules;
use crate::signal::Stop;
use crate::sink::Route;
use crate::sink::local::Folder;
use crate::sink::object::Compression;
use crate::source::local::{Local, Put};
use crate::worker::destinations::Growth;
use crate::worker::enriching::{self, Renewal};
use crate::worker::plan::Plan;
use crate::worker::{Shared, Worker, build};
use crate::{aws, clock, config, log, terminal};
use traffic::Generator;

/// What `snowmelt local` was asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Feed generated traffic.
    #[arg(long, required = true)]
    demo: bool,
    /// The folder of the stream, the leases and the outputs.
    #[arg(long, default_value = "snowmelt-local", value_name = "DIR")]
    dir: PathBuf,
    /// How many workers.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = at_most(64))]
    workers: u16,
    /// How many shards a new stream has.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = at_most(1024))]
    shards: u16,
    /// Stop when this run has sent so many events.
    #[arg(long, value_name = "N")]
    events: Option<u64>,
    /// Stop after so many seconds; 20 if no number of events is given either.
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,
    /// Events sent a second.
    #[arg(long, default_value_t = 2000, value_name = "N")]
    rate: u64,
    /// The share of payloads that are bad, from 0 to 1.
    #[arg(long, default_value_t = 0.02, value_name = "SHARE")]
    bad: f64,
    /// The same seed makes the same traffic.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    tolerance: Tolerance,
}

/// From 1 to so many.
fn at_most(most: i64) -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..=most)
}

/// How long a demo runs that was not told.
const SECONDS: u64 = 20;

/// Short, so that a reader sees the next worker take over: a machine's own clock does not drift
/// against itself.
const LEASE: Duration = Duration::from_secs(4);

/// Objects close after a second or two, so that files appear while one watches.
const GROWTH: Growth =
    Growth { compression: Compression::Zstd, bytes: 8 << 20, age: Duration::from_secs(2) };

/// The bytes in flight of one worker.
const BUDGET: usize = 64 * 1024 * 1024;

/// How long the workers may take to finish once the traffic stops.
const GRACE: Duration = Duration::from_secs(60);

/// Runs `snowmelt local`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if !(0.0..=1.0).contains(&args.bad) {
        return Err(Usage("--bad is a share from 0 to 1".to_owned()).into());
    }
    let quiet = log::Levels::parse("warn").expect("it is a level");
    let _log = log::start(&quiet).map_err(Usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(demo(args))
}

async fn demo(mut args: Args) -> anyhow::Result<ExitCode> {
    let dir = &args.dir.clone();
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    if args.rules.enrichments.is_none() {
        super::init::enrichments(dir, None)?;
        args.rules.enrichments = Some(dir.join("enrichments"));
        args.rules.assets.get_or_insert_with(|| dir.join("assets"));
    } else if args.rules.assets.is_none() {
        args.rules.asset_cache.get_or_insert_with(|| dir.join("asset-cache"));
    }
    let stream = Local::open(&dir.join("stream.db"), args.shards.into())?;
    let leases = Arc::new(Sqlite::open(&dir.join("leases.db"))?);
    leases.open().await?;
    let stop = Stop::default();
    tell_start(dir, leases.as_ref()).await?;
    let (mut fleet, renewal) = Fleet::start(&args, &stream, &leases, &stop).await?;
    let code = tokio::select! {
        code = fleet.run(&args, &stream, &leases, &stop) => code?,
        never = renewal.keep_fresh() => never,
        signals = stop.on_signals() => { signals?; unreachable!("signals never end") }
    };
    if code != ExitCode::SUCCESS {
        return Ok(code);
    }
    let left = backlog(&stream, leases.as_ref()).await?;
    let account = account::take(dir, stream.sum().await?, left)?;
    terminal::line(&account.to_string());
    terminal::line(&next(dir)?);
    Ok(if account.adds_up() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Says where everything is, and why nothing may happen at first.
async fn tell_start(dir: &Path, leases: &dyn LeaseStore) -> anyhow::Result<()> {
    let place = dir.display();
    terminal::tell(&format!(
        "everything is in {place}; Ctrl-C stops, and what was read is finished"
    ));
    // A run that ends in order gives its leases back.
    if leases.scan().await?.leases.iter().any(|lease| lease.owner.is_some()) {
        terminal::tell(&format!(
            "an earlier run was killed: its leases expire {} s after it renewed them last,\n\
             and until then nothing is read",
            LEASE.as_secs()
        ));
    }
    Ok(())
}

/// What can be looked at, and what to do next.
fn next(dir: &Path) -> anyhow::Result<String> {
    let shown = |route: Route| -> anyhow::Result<String> {
        let newest = Folder::new(dir).objects(route.name())?.into_iter().next_back();
        Ok(newest
            .map_or(String::new(), |path| format!("\n  zstd -dc {} | head -n 1", path.display())))
    };
    let (enriched, bad) = (shown(Route::Enriched)?, shown(Route::Bad)?);
    Ok(format!(
        "outputs are in {place}/enriched and {place}/bad:{enriched}{bad}\n\
         again, with other events: the same command; all over: delete {place}\n\
         with your own payloads:   snowmelt enrich --input FILE --output DIR\n\
         with your own streams:    snowmelt init DIR",
        place = dir.display()
    ))
}

/// All workers of the demo.
struct Fleet {
    workers: JoinSet<End>,
    metrics: Vec<Arc<Metrics>>,
}

impl Fleet {
    async fn start(
        args: &Args,
        stream: &Local,
        leases: &Arc<Sqlite>,
        stop: &Stop,
    ) -> anyhow::Result<(Fleet, Renewal)> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let pool = Arc::new(Pool::new(cores)?);
        let resolver = args.rules.resolver(&aws::Settings::default())?;
        let mut settings = pipeline::Settings::new(crate::process::this_program());
        settings.stream = "local".to_owned();
        args.tolerance.apply(&mut settings);
        let (config, aws) = (config::Enrichments::default(), aws::Settings::default());
        let (pipeline, renewal) =
            enriching::start(settings.clone(), &args.rules, &config, &aws, &Arc::default()).await?;
        let settings_of = |_| lookups::Settings::default();
        let lookups = build::lookups(&pipeline.borrow(), settings_of)?;
        let mut fleet = Fleet { workers: JoinSet::new(), metrics: Vec::new() };
        for n in 0..args.workers {
            // A run's own names: a worker that was killed must not come back under its old one.
            let name = format!("local-{}-{n}", clock::now_ms());
            let id = WorkerId::parse(&name).context("a worker id is letters and digits")?;
            let config = lease::Config::with_lease_duration(id, LEASE);
            let plan = Plan::local(config, settings.clone(), &args.dir, GROWTH);
            let shared = Shared::new(Arc::clone(&pool), BUDGET);
            fleet.metrics.push(Arc::clone(&shared.metrics));
            let (source, sinks) = (
                Arc::new(stream.clone()),
                build::sinks(&plan, &shared, &build::Clients::default()),
            );
            let worker = Worker::new(source, pipeline.clone(), resolver.clone(), sinks, shared)
                .with_lookups(Arc::clone(&lookups));
            let store: Arc<dyn LeaseStore> = Arc::clone(leases) as _;
            let life = life::run(Arc::new(worker), store, plan.leases, GRACE, stop.clone());
            fleet.workers.spawn(life);
        }
        Ok((fleet, renewal))
    }

    /// Runs until the traffic is worked off or somebody asks to stop, then drains.
    async fn run(
        &mut self,
        args: &Args,
        stream: &Local,
        leases: &Arc<Sqlite>,
        stop: &Stop,
    ) -> anyhow::Result<ExitCode> {
        let traffic = async {
            feed(stream, args, &stop.drain).await?;
            while backlog(stream, leases.as_ref()).await? > 0 {
                tokio::time::sleep(LOOK).await;
            }
            anyhow::Ok(())
        };
        tokio::select! {
            done = traffic => done?,
            () = stop.drain.cancelled() => {}
            end = self.workers.join_next() => tracing::error!(?end, "a worker ended early"),
            never = live(&self.metrics, stream) => never?,
        }
        stop.drain.cancel();
        let mut code = ExitCode::SUCCESS;
        while let Some(end) = self.workers.join_next().await {
            match end? {
                End::Drained => {}
                End::CutOff => code = ExitCode::from(EXIT_GRACE),
                End::Failed(error) => return Err(error.into()),
                End::Leaseless(error) => return Err(error.into()),
            }
        }
        Ok(code)
    }
}

/// How often a producer puts its share, and how often somebody looks whether all is worked off.
const LOOK: Duration = Duration::from_millis(100);

/// Puts traffic into the stream until there is enough of it.
async fn feed(stream: &Local, args: &Args, stop: &CancellationToken) -> anyhow::Result<()> {
    let (shards, sent) = (stream.shard_ids().await?, stream.sum().await?);
    // Another run in this folder goes on with other events.
    let mut generator = Generator::new(args.seed ^ sent.records, args.bad, clock::now_ms());
    let mut events = 0;
    let most = args.events.unwrap_or(u64::MAX);
    let seconds = args.seconds.or(args.events.is_none().then_some(SECONDS));
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let share = args.rate.div_ceil(10).max(1);
    let mut tick = tokio::time::interval(LOOK);
    while events < most && until.is_none_or(|until| Instant::now() < until) {
        tick.tick().await;
        if stop.is_cancelled() {
            break;
        }
        generator.advance_to(clock::now_ms());
        let mut records = Vec::new();
        let target = most.min(events + share);
        while events < target {
            let payload = generator.payload();
            let (good, bad) = (payload.good.len(), payload.bad.len());
            let shard = shards[fastrand::usize(..shards.len())].clone();
            events += (good + bad) as u64;
            records.push(Put { shard, data: payload.bytes, good, bad });
        }
        stream.put(records).await?;
    }
    Ok(())
}

/// How many records are in the stream that no stored position has passed.
async fn backlog(stream: &Local, leases: &dyn LeaseStore) -> anyhow::Result<u64> {
    let scan = leases.scan().await?;
    let mut left = 0;
    for shard in stream.shard_ids().await? {
        let lease = scan.leases.iter().find(|lease| lease.key.shard() == &shard);
        let from = lease.map_or(Position::TrimHorizon, |lease| lease.checkpoint.clone());
        left += stream.left(&shard, &from).await?;
    }
    Ok(left)
}

/// Prints a line a second, for ever: what this run sent, and what became of it and of what earlier
/// runs had left.
async fn live(metrics: &[Arc<Metrics>], stream: &Local) -> anyhow::Result<()> {
    let (started, before_us) = (Instant::now(), stream.sum().await?);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let mut before = 0;
    tick.tick().await;
    loop {
        tick.tick().await;
        let sent = stream.sum().await?;
        let sent = (sent.good + sent.bad) - (before_us.good + before_us.bad);
        let counts: Vec<_> = metrics.iter().map(|worker| worker.counts()).collect();
        let mut now = Line { seconds: started.elapsed().as_secs(), sent, ..Line::default() };
        for counts in counts {
            now.enriched += counts.enriched;
            now.bad += counts.bad;
            now.files += counts.objects;
            now.held.push(counts.held);
        }
        now.speed = (now.enriched + now.bad).saturating_sub(before);
        before = now.enriched + now.bad;
        terminal::tell(&now.to_string());
    }
}

/// A second of a demo.
#[derive(Default)]
struct Line {
    seconds: u64,
    sent: u64,
    enriched: u64,
    bad: u64,
    speed: u64,
    files: u64,
    held: Vec<u64>,
}

/// What is left of 80 columns for the leases; workers that do not fit in are counted together.
const LEASES_WIDTH: usize = 9;

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { seconds, sent, enriched, bad, speed, files, held } = self;
        write!(
            f,
            "{seconds:>3}s sent {sent:>7} enriched {enriched:>7} bad {bad:>5} {speed:>6}/s "
        )?;
        write!(f, "files {files:>4} leases ")?;
        let each: Vec<String> = held.iter().map(ToString::to_string).collect();
        let each = each.join("+");
        match each.len() <= LEASES_WIDTH {
            true => f.write_str(&each),
            false => write!(f, "{}", held.iter().sum::<u64>()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_on_a_terminal() {
        for held in [vec![2, 2], vec![256; 4], vec![16; 64]] {
            let (sent, enriched, bad) = (9_999_999, 9_999_999, 99_999);
            let line =
                Line { seconds: 999, sent, enriched, bad, speed: 99_999, files: 9_999, held };
            assert!(line.to_string().len() <= 80, "{line}");
        }
    }
}
