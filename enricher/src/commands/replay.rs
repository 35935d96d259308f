//! `snowmelt replay`: what was archived, parked or refused, once more through the transform.
//!
//! [`reading`] reads records from any place on, the transform of `enrich` processes them, and part
//! by part what they became is made durable, and then the [`progress`]: so a replay that is cut off
//! anywhere goes on where its last whole part ended, and what it writes is there once.

mod choice;
mod folder;
mod progress;
mod reading;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

use crate::clock;
use crate::commands::enrich::account::Account;
use crate::commands::enrich::input::Progress as Bytes;
use crate::commands::enrich::input::places;
use crate::commands::enrich::output::{Compression, Destination};
use crate::commands::enrich::{Setup, Transform, TransformArgs, threads};
use crate::config::{self, Config};
use crate::exit::{EXIT_FAULTS, EXIT_GRACE, Usage};
use crate::worker::{build, plan};
use crate::{aws, signal, terminal};
use choice::ChoiceArgs;
use folder::Folder;
use progress::{Plan, Position, Progress};
use reading::{Piece, Reading};

/// What `snowmelt replay` was asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is replayed: objects of a raw archive or lines of parked records, each a file, a folder
    /// for the files in it, or s3://BUCKET/NAME for an object or all objects below it.
    #[arg(required = true, value_name = "FROM")]
    from: Vec<PathBuf>,
    #[command(flatten)]
    choice: ChoiceArgs,
    /// Folder for the results. The same command goes on there with what it began.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Compress the result files.
    #[arg(long, value_enum)]
    compress: Option<Compression>,
    /// Begin anew, and replace results of an earlier run.
    #[arg(long)]
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

fn tag(text: &str) -> Result<String, String> {
    /// As long as the column may be.
    const LONGEST: usize = 500;
    let fits = !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control);
    let expected = || format!("expected a text of at most {LONGEST} bytes in one line");
    fits.then(|| text.to_owned()).ok_or_else(expected)
}

/// A part is made durable when so many bytes of records are in it: large enough that what that
/// costs does not count, small enough that little is done twice, and that it fits into memory.
const PART_BYTES: usize = 4 << 20;

/// Where the folder of results keeps how far the replay is, out of sight of those who read them.
const STATE: &str = "_replay";

/// Runs `snowmelt replay`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    args.choice.check().map_err(Usage)?;
    let config = args.config.as_deref().map(config::load).transpose();
    let config = config.map_err(|error| Usage(error.to_string()))?;
    let aws = config.as_ref().map_or_else(aws::Settings::default, |config| build::aws(&config.aws));
    let to =
        Destination { folder: args.output.clone(), compression: args.compress, force: args.force };
    let state = args.output.join(STATE);
    if !progress::is_begun(&state) {
        to.check()?;
    }
    let progress = Progress::take(&state)?;
    let (plan, mut position) = begun(&args, &progress, &state, &aws)?;
    if position.done {
        return finish(progress, &to, &position);
    }
    let transform = Transform::new(setup(&args, config.as_ref(), &plan)?)?;
    let halt = signal::halt().context("cannot listen to signals")?;
    let objects = places::listed(&plan.objects, &aws)?;
    let met = (position.place, position.tally.clone());
    let reading = Reading::new(objects, args.choice.choice(), met, Arc::clone(&halt));
    let mut account = Account::start();
    let total = plan.objects.iter().map(|(_, bytes)| *bytes).sum();
    account.follow(Bytes { total, read: reading.read_bytes() });
    let mut parts = Parts {
        folder: Folder::open(to.clone(), &position.files)?,
        progress: &progress,
        position: &mut position,
        bytes: 0,
    };
    let worked = work(&transform, reading, args.threads.into(), (&halt, &mut account), &mut parts);
    transform.tell_asked();
    terminal::tell(&account.finish());
    let halted = halt.load(Ordering::Relaxed);
    match worked {
        Err(error) if !halted => {
            terminal::note(GO_ON);
            Err(error)
        }
        _ if halted => {
            terminal::note(&format!("snowmelt: interrupted\n{GO_ON}"));
            Ok(ExitCode::from(EXIT_GRACE))
        }
        _ => finish(progress, &to, &position),
    }
}

const GO_ON: &str = "snowmelt: the same command goes on where this one ended";

/// The replay that was begun in the folder, or one that begins now.
fn begun(
    args: &Args,
    progress: &Progress,
    state: &Path,
    aws: &aws::Settings,
) -> anyhow::Result<(Plan, Position)> {
    let arguments = arguments(args);
    if let Some((plan, position)) = progress.begun()?.filter(|_| !args.force) {
        plan.check(&arguments, state)?;
        let (done, all) = (position.place.object, plan.objects.len());
        terminal::note(&format!("snowmelt: going on: {done} of {all} objects are done"));
        return Ok((plan, position));
    }
    let mut objects = Vec::new();
    for place in places::all(&args.from, aws)? {
        let name = place.name().ok_or_else(|| {
            let why = "a replay may have to go on later, and needs the name of a file";
            Usage(format!("{place}: {why}"))
        })?;
        objects.push((name, place.bytes()));
    }
    let plan = Plan::new(arguments, objects, args.transform.now().unwrap_or_else(clock::now_ms));
    progress.begin(&plan)?;
    Ok((plan, Position::default()))
}

/// The arguments that decide what comes of a replay, in words that two runs can be compared by.
fn arguments(args: &Args) -> Vec<String> {
    let mut words: Vec<String> = args.from.iter().map(|from| from.display().to_string()).collect();
    words.extend(args.choice.words());
    words.push(format!("--tag {}", args.tag));
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
    setup.settings.tag = Some(args.tag.clone());
    setup.now = Some(plan.begun_ms);
    Ok(setup)
}

fn configured(config: &Config, id: &str) -> Result<Setup, Usage> {
    let mut settings = plan::Plan::of(config, &format!("replay-{id}"))?.pipeline;
    // A folder takes what waits, whatever the configuration has for it.
    settings.unavailable = match config.schemas.unavailable {
        config::Unavailable::Bad => pipeline::Unavailable::Bad,
        config::Unavailable::Wait | config::Unavailable::Park => pipeline::Unavailable::Park,
    };
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

/// Processes everything that is read, part by part.
fn work(
    transform: &Transform,
    mut reading: Reading,
    threads: usize,
    (halt, account): (&AtomicBool, &mut Account),
    parts: &mut Parts<'_>,
) -> anyhow::Result<()> {
    transform.all(
        || reading.piece(),
        threads,
        halt,
        |piece: Piece, output| {
            account.add(piece.as_ref(), &output);
            parts.folder.take(&output);
            parts.bytes += piece.as_ref().bytes;
            (parts.position.place, parts.position.tally) = (piece.place, piece.tally);
            if parts.bytes >= PART_BYTES { parts.commit() } else { Ok(()) }
        },
    )?;
    // All that was handed out has been processed.
    (parts.position.place, parts.position.tally) = reading.reached();
    parts.position.done = !halt.load(Ordering::Relaxed);
    parts.commit()
}

/// What is done so far, and what is in the making.
struct Parts<'p> {
    folder: Folder,
    progress: &'p Progress,
    position: &'p mut Position,
    /// Bytes of the records of the present part.
    bytes: usize,
}

impl Parts<'_> {
    /// Ends the present part.
    fn commit(&mut self) -> anyhow::Result<()> {
        self.position.files = self.folder.commit()?;
        self.position.parts += 1;
        self.bytes = 0;
        self.progress.advance(self.position)
    }
}

/// Gives results their names, and says what was left out.
fn finish(progress: Progress, to: &Destination, position: &Position) -> anyhow::Result<ExitCode> {
    folder::finish(to, &position.files)?;
    progress.forget()?;
    let tally = &position.tally;
    terminal::tell(&format!(
        "{:<36} {:>14}\n{:<36} {:>14}",
        "read", tally.read, "chosen", tally.chosen
    ));
    for (why, count) in &tally.left {
        terminal::note(&format!("snowmelt: left out: {count}, {why}"));
    }
    if tally.damaged == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let damaged = tally.damaged;
    terminal::note(&format!("snowmelt: damaged objects, whose rest is left out: {damaged}"));
    tally.damage.iter().for_each(|why| terminal::note(&format!("snowmelt: {why}")));
    Ok(ExitCode::from(EXIT_FAULTS))
}
