//! `snowmelt replay`: what was archived, parked or refused, once more through the transform.
//!
//! [`reading`] reads records from any place on, the transform of `enrich` processes them, and part
//! by part what they became is made durable, and then the [`progress`]: so a replay that is cut off
//! anywhere goes on where its last whole part ended, and what it writes is there once.

mod choice;
mod counts;
mod dry;
mod folder;
mod parts;
mod progress;
mod reading;
mod routes;
mod tally;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context;

use crate::clock;
use crate::commands::enrich::account::Account;
use crate::commands::enrich::input::Progress as Bytes;
use crate::commands::enrich::input::places;
use crate::commands::enrich::output::{Compression, Destination};
use crate::commands::enrich::{Setup, Transform, TransformArgs, threads};
use crate::config::{self, Config};
use crate::exit::{EXIT_GRACE, Usage};
use crate::worker::{build, plan};
use crate::{aws, signal, terminal};
use choice::ChoiceArgs;
use dry::Dry;
use folder::Folder;
use parts::{Parts, Target};
use progress::{Plan, Position, Progress};
use reading::shards::{KINESIS, Stream};
use reading::{Object, Reading};
use routes::Routes;

/// What `snowmelt replay` was asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is replayed: objects of a raw archive, or lines of parked records, of bad rows and of
    /// texts that were too large, each a file, a folder for the files in it, or s3://BUCKET/NAME
    /// for an object or all objects below it; or kinesis://STREAM, as far as it is filled now.
    #[arg(required = true, value_name = "FROM")]
    from: Vec<PathBuf>,
    #[command(flatten)]
    choice: ChoiceArgs,
    /// Folder for the results. The same command goes on there with what it began.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Write to the routes of the configuration that --config names, as a worker does.
    #[arg(long, value_enum, conflicts_with = "output", requires_all = ["config", "state"])]
    to: Option<To>,
    /// With --to: a folder that keeps how far the replay is. The same command goes on there.
    #[arg(long, value_name = "DIR", requires = "to")]
    state: Option<PathBuf>,
    /// Write nothing, and say what would change: events by verdict and reason before and after,
    /// and some of those that become something else.
    #[arg(
        long,
        required_unless_present_any = ["output", "to"],
        conflicts_with_all = ["output", "to"],
    )]
    dry_run: bool,
    /// With --dry-run: compare with what another configuration of a worker would make of it.
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    against: Option<PathBuf>,
    /// With --dry-run: show so many events that become something else.
    #[arg(long, value_name = "N", default_value_t = 10)]
    examples: usize,
    /// Compress the result files.
    #[arg(long, value_enum, requires = "output")]
    compress: Option<Compression>,
    /// Begin anew, and replace results of an earlier run. What was written to routes stays there.
    #[arg(long, conflicts_with = "dry_run")]
    force: bool,
    /// What marks the events in etl_tags.
    #[arg(long, default_value = "replay", value_name = "TEXT", value_parser = tag)]
    tag: String,
    /// A worker's configuration, whose rules are applied.
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "resolver", "schemas", "bundle", "enrichments", "assets", "asset_cache",
        "allow_unsupported", "peer_masking", "processor", "accept_invalid", "limits", "base64",
        "bad_row_pii", "adapters", "incomplete", "on_unavailable",
    ])]
    config: Option<PathBuf>,
    #[command(flatten)]
    transform: TransformArgs,
    /// How many threads process.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = threads())]
    threads: u16,
}

/// Where results go besides folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum To {
    /// The routes of the configuration.
    Routes,
}

fn tag(text: &str) -> Result<String, String> {
    /// As long as the column may be.
    const LONGEST: usize = 500;
    let fits = !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control);
    let expected = || format!("expected a text of at most {LONGEST} bytes in one line");
    fits.then(|| text.to_owned()).ok_or_else(expected)
}

/// Where the folder of results keeps how far the replay is, out of sight of those who read them.
const STATE: &str = "_replay";

/// Runs `snowmelt replay`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    args.choice.check().map_err(Usage)?;
    let config = args.config.as_deref().map(configuration).transpose()?;
    let aws = config.as_ref().map_or_else(aws::Settings::default, |config| build::aws(&config.aws));
    let to = args.output.clone().map(|folder| Destination {
        folder,
        compression: args.compress,
        force: args.force,
    });
    let state = to.as_ref().map(|to| to.folder.join(STATE)).or(args.state.clone());
    let Begun { progress, plan, position } = match &state {
        None => Begun::anew(None, planned(&args, &aws)?),
        Some(state) => begun(&args, (state, to.as_ref()), &aws)?,
    };
    if position.done {
        return parts::finish(to.as_ref(), progress, &position);
    }
    let transform = Transform::new(setup(&args, config.as_ref(), &plan)?)?;
    let target = match (&to, &config) {
        (Some(to), _) => Target::Folder(Folder::open(to.clone(), &position.files)?),
        (None, Some(config)) if args.to.is_some() => {
            Target::Routes(Box::new(Routes::open(config, &plan.id, plan.begun_ms)?))
        }
        _ => Target::Nowhere(Box::new(Dry::new(against(&args, &plan)?, args.examples))),
    };
    let halt = signal::halt().context("cannot listen to signals")?;
    let objects = objects(&plan, &aws)?;
    let mut parts = Parts::new(target, progress, position);
    parts.confirm()?;
    let met = (parts.position().place.clone(), parts.position().tally.clone());
    let reading =
        Reading::new(objects, (args.choice.choice(), plan.begun_ms), met, Arc::clone(&halt));
    let mut account = Account::start();
    let total = plan.objects.iter().map(|(_, bytes)| *bytes).sum();
    account.follow(Bytes { total, read: reading.read_bytes() });
    let worked = parts.work(&transform, reading, args.threads.into(), (&halt, &mut account));
    transform.tell_asked();
    terminal::tell(&account.finish());
    let goes_on =
        state.is_some().then_some("snowmelt: the same command goes on where this one ended");
    match worked {
        _ if halt.load(Ordering::Relaxed) => {
            terminal::note("snowmelt: interrupted");
            goes_on.iter().for_each(|said| terminal::note(said));
            Ok(ExitCode::from(EXIT_GRACE))
        }
        Err(error) => {
            goes_on.iter().for_each(|said| terminal::note(said));
            Err(error)
        }
        Ok(()) => parts.finish(to.as_ref()),
    }
}

fn configuration(file: &Path) -> Result<Config, Usage> {
    config::load(file).map_err(|error| Usage(error.to_string()))
}

/// A replay, and how far it is.
struct Begun {
    /// Where that is kept; nowhere, if it writes nothing.
    progress: Option<Progress>,
    plan: Plan,
    position: Position,
}

impl Begun {
    /// One that begins now.
    fn anew(progress: Option<Progress>, plan: Plan) -> Begun {
        Begun { progress, plan, position: Position::default() }
    }
}

/// The replay that was begun in a folder, or one that begins there now.
fn begun(
    args: &Args,
    (state, to): (&Path, Option<&Destination>),
    aws: &aws::Settings,
) -> anyhow::Result<Begun> {
    if let Some(to) = to.filter(|_| !progress::is_begun(state)) {
        to.check()?;
    }
    let progress = Progress::take(state)?;
    if let Some((plan, position)) = progress.begun()?.filter(|_| !args.force) {
        plan.check(&arguments(args), state)?;
        let (done, all) = (position.place.object, plan.objects.len());
        terminal::note(&format!("snowmelt: going on: {done} of {all} objects are done"));
        return Ok(Begun { progress: Some(progress), plan, position });
    }
    let plan = planned(args, aws)?;
    progress.begin(&plan)?;
    Ok(Begun::anew(Some(progress), plan))
}

/// A replay of what is there now.
fn planned(args: &Args, aws: &aws::Settings) -> anyhow::Result<Plan> {
    let mut objects = Vec::new();
    let stream = |from: &PathBuf| Some(from.to_str()?.strip_prefix(KINESIS)?.to_owned());
    let (streams, files): (Vec<PathBuf>, Vec<PathBuf>) =
        args.from.iter().cloned().partition(|from| stream(from).is_some());
    for name in streams.iter().filter_map(stream) {
        let shards = Stream::open(&name, aws)?.shards()?;
        objects.extend(shards.iter().map(|shard| (format!("{KINESIS}{name}/{shard}"), None)));
    }
    for place in places::all(&files, aws)? {
        let name = place.name().ok_or_else(|| {
            let why = "a replay may have to go on later, and needs the name of a file";
            Usage(format!("{place}: {why}"))
        })?;
        objects.push((name, place.bytes()));
    }
    let begun_ms = args.transform.now().unwrap_or_else(clock::now_ms);
    Ok(Plan::new(arguments(args), objects, begun_ms))
}

/// What a plan names.
fn objects(plan: &Plan, aws: &aws::Settings) -> anyhow::Result<Vec<Object>> {
    let mut streams: BTreeMap<&str, Arc<Stream>> = BTreeMap::new();
    let mut objects = Vec::with_capacity(plan.objects.len());
    let mut files = Vec::new();
    for object in &plan.objects {
        // Streams come first.
        let shard = object.0.strip_prefix(KINESIS).and_then(|name| name.split_once('/'));
        let Some((name, shard)) = shard else {
            files.push(object.clone());
            continue;
        };
        let stream = match streams.get(name) {
            Some(stream) => Arc::clone(stream),
            None => {
                let stream = Arc::new(Stream::open(name, aws)?);
                streams.insert(name, Arc::clone(&stream));
                stream
            }
        };
        objects.push(Object::Shard(stream, shard.to_owned()));
    }
    objects.extend(places::listed(&files, aws)?.into_iter().map(Object::File));
    Ok(objects)
}

/// The arguments that decide what comes of a replay, in words that two runs can be compared by.
fn arguments(args: &Args) -> Vec<String> {
    let mut words: Vec<String> = args.from.iter().map(|from| from.display().to_string()).collect();
    words.extend(args.choice.words());
    words.push(format!("--tag {}", args.tag));
    words.extend(args.to.map(|to| format!("--to {to:?}")));
    words.extend(args.compress.map(|compress| format!("--compress {compress:?}")));
    words.extend(args.transform.now().map(|now| format!("--now {now}")));
    words
}

/// What the transform is made of: today's configuration, and the mark and the time of the replay.
fn setup(args: &Args, config: Option<&Config>, plan: &Plan) -> anyhow::Result<Setup> {
    let mut setup = match config {
        None => args.transform.setup(args.transform.settings()?),
        Some(config) => configured(config, &plan.id)?,
    };
    if args.to.is_none() {
        // A folder takes what waits, whatever the configuration has for it.
        let bad = config.is_some_and(|it| it.schemas.unavailable == config::Unavailable::Bad);
        setup.settings.unavailable =
            if bad { pipeline::Unavailable::Bad } else { pipeline::Unavailable::Park };
    }
    setup.settings.tag = Some(args.tag.clone());
    setup.now = Some(plan.begun_ms);
    Ok(setup)
}

/// What another configuration is tried with.
fn against(args: &Args, plan: &Plan) -> anyhow::Result<Option<Transform>> {
    let Some(file) = &args.against else { return Ok(None) };
    let mut setup = configured(&configuration(file)?, &plan.id)?;
    setup.now = Some(plan.begun_ms);
    Transform::new(setup).map(Some)
}

fn configured(config: &Config, id: &str) -> Result<Setup, Usage> {
    let settings = plan::Plan::of_part(config, &format!("replay-{id}"))?.pipeline;
    let lookups = config.lookups.clone();
    Ok(Setup {
        settings,
        rules: build::rules(config),
        lookups: Box::new(move |name| lookups.of(name)),
        wait: Some(config.schemas.wait()),
        aws: build::aws(&config.aws),
        now: None,
    })
}
