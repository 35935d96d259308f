//! `snowmelt enrich`: the worker's transform on files, with no stream, no lease and no cloud.
//!
//! [`input`] reads payload records, threads process chunks of them, [`output`] writes what they
//! became in the records' order, and [`account`] says at the end what it all came to.

mod account;
mod chunk;
pub mod input;
mod outcomes;
mod output;

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::future::ready;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use anyhow::Context;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use enrichments::Enrichments;
use event::SchemaKey;
use event::bad_row::Processor;
use lookups::{Lookups, Told};
use resolver::{RegistryFigures, Resolver};
use validator::Schemas;

use crate::aws;
use crate::batch::Batch;
use crate::causes::chain;
use crate::clock;
use crate::commands::tolerance::Tolerance;
use crate::config::{self, OnUnavailable};
use crate::exit::{EXIT_FAULTS, EXIT_GRACE, EXIT_UNAVAILABLE, Usage};
use crate::process::this_program;
use crate::resolving::{Attempt, Sources, resolving};
use crate::rules::Rules;
use crate::signal;
use crate::terminal::{self, Loudness};
use crate::worker::build;
use account::Account;
pub use chunk::{Chunk, next_chunk};
use input::Input;
use output::{Destination, Writer};
use pipeline::parked::Parked;
use pipeline::protection::Personal;
use pipeline::{Output, Pipeline, Settings};

/// What `snowmelt enrich` was asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files of payloads, or - for standard input: length-prefixed records (u32 big-endian, then
    /// the record), lines of Base64, or lines of parked records, of which only the events that
    /// wait are processed; each may be compressed with zstd or gzip. A folder stands for the files
    /// in it, s3://BUCKET/NAME for an object or all objects below it.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    input: Vec<PathBuf>,
    /// Folder for the results, or - for standard output: bad rows are then only counted, and where
    /// events wait for schemas that cannot be had, the command ends with 69.
    #[arg(long, default_value = "-", value_name = "DIR")]
    output: PathBuf,
    /// Replace results of an earlier run in the folder.
    #[arg(long)]
    force: bool,
    /// Form of the results.
    #[arg(long, value_enum, default_value_t = Format::Tsv)]
    format: Format,
    /// Compress the result files.
    #[arg(long, value_enum)]
    compress: Option<output::Compression>,
    #[command(flatten)]
    transform: TransformArgs,
    /// How many threads process.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = threads())]
    threads: u16,
}

/// How payloads are transformed.
#[derive(Debug, clap::Args)]
pub struct TransformArgs {
    #[command(flatten)]
    /// What events are checked against and enriched with.
    pub rules: Rules,
    /// The time stamped on every event and bad row: milliseconds since the epoch, or
    /// 2024-05-01T10:11:12.345Z. Without it, the clock's.
    #[arg(long, value_name = "TIME", value_parser = config::moment, allow_hyphen_values = true)]
    now: Option<i64>,
    /// Name and version stamped on the results, NAME-VERSION.
    #[arg(long, value_name = "NAME-VERSION", value_parser = processor)]
    processor: Option<Processor>,
    #[command(flatten)]
    tolerance: Tolerance,
    /// What becomes of personal data in bad rows.
    #[arg(long, default_value = "keep", value_name = "WHAT", value_parser = personal())]
    bad_row_pii: Personal,
    /// A worker's configuration, of which only what it says of webhooks is read.
    #[arg(long, value_name = "FILE")]
    adapters: Option<PathBuf>,
    /// Write failed events a second time, in the shape of enriched ones with their failures as
    /// entities.
    #[arg(long)]
    incomplete: bool,
    /// What becomes of events whose look-up cannot be asked.
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    on_unavailable: OnUnavailable,
}

/// One of the names that configurations have for it.
fn personal() -> impl TypedValueParser<Value = Personal> {
    let known = config::PERSONAL.map(|(name, _, help)| PossibleValue::new(name).help(help));
    PossibleValuesParser::new(known).map(|text| {
        let named = config::PERSONAL.iter().find(|(name, ..)| *name == text);
        named.expect("the parser takes no other").1
    })
}

/// More threads than the largest machines have cores are a slip.
pub fn threads() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..=1024)
}

/// The form of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Enriched lines of 131 columns, and bad rows.
    Tsv,
    /// Enriched flat JSON, and bad rows.
    Json,
    /// One line of JSON for each record with everything that became of it.
    Outcomes,
}

/// Runs `snowmelt enrich`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut settings = args.transform.settings()?;
    if args.format == Format::Json {
        settings.format = pipeline::Format::Json;
    }
    let lines_alone = args.output == Path::new("-") && args.format != Format::Outcomes;
    if lines_alone && settings.incomplete {
        let why = "--incomplete: standard output takes enriched events alone; name a folder with \
                   --output";
        return Err(Usage(why.to_owned()).into());
    }
    let destination =
        Destination { folder: args.output, compression: args.compress, force: args.force };
    destination.check()?;
    let input = Input::open(&args.input)?;
    let transform = Transform::new(&args.transform, settings)?;
    let halt = signal::halt().context("cannot listen to signals")?;
    let input = input.until(Arc::clone(&halt));
    let mut writer = Writer::open(args.format, &destination)?;
    let mut account = Account::start();
    account.follow(input.bytes());
    let mut unwritten = false;
    let processed = transform.all(input, args.threads.into(), &halt, |chunk, output| {
        account.add(&chunk, &output);
        let written = writer.write(chunk.first, &chunk.batch, &output);
        unwritten = written.is_err();
        written
    });
    transform.tell_asked();
    match processed {
        Err(error) if unwritten => Err(error),
        // What was read when the signal came is written; that no more was read is no failure.
        Err(_) if halt.load(Ordering::Relaxed) => stop(Ok(()), writer, account, &destination),
        Ok(()) if !halt.load(Ordering::Relaxed) => {
            writer.finish(&destination)?;
            let waiting = account.waiting();
            terminal::tell(&account.finish());
            let Some(said) = left_out(lines_alone, waiting) else { return Ok(ExitCode::SUCCESS) };
            terminal::note(&said);
            Ok(ExitCode::from(EXIT_UNAVAILABLE))
        }
        stopped => stop(stopped, writer, account, &destination),
    }
}

/// Ends a run before its input ended, and says what is complete.
fn stop(
    stopped: anyhow::Result<()>,
    writer: Writer,
    account: Account,
    destination: &Destination,
) -> anyhow::Result<ExitCode> {
    writer.leave_unfinished()?;
    let payloads = account.payloads();
    terminal::tell(&account.finish());
    let place = match destination.is_stdout() {
        true => "standard output".to_owned(),
        false => format!("{}/*{}", destination.folder.display(), output::UNFINISHED),
    };
    let complete = format!(
        "everything of the first {payloads} payloads is in {place}, and nothing of those after them"
    );
    match stopped {
        Ok(()) => {
            terminal::note(&format!("snowmelt: interrupted: {complete}"));
            Ok(ExitCode::from(EXIT_GRACE))
        }
        Err(error) => {
            let why = chain(error.as_ref());
            terminal::note(&format!("snowmelt: {why}\nsnowmelt: {complete}"));
            let broken = error.chain().any(|cause| cause.is::<input::Broken>());
            Ok(if broken { ExitCode::from(EXIT_FAULTS) } else { ExitCode::FAILURE })
        }
    }
}

/// What to say of events that are nowhere: they wait, and the output has no place for that.
fn left_out(lines_alone: bool, waiting: u64) -> Option<String> {
    (lines_alone && waiting > 0).then(|| {
        format!(
            "snowmelt: {waiting} events wait for schemas or look-ups that cannot be had now, and \
             are not in the output: run this again later, or name a folder with --output, which \
             keeps them"
        )
    })
}

impl TransformArgs {
    /// The pipeline's settings according to the arguments.
    pub fn settings(&self) -> Result<Settings, Usage> {
        let mut settings = Settings::new(self.processor.clone().unwrap_or_else(this_program));
        self.tolerance.apply(&mut settings);
        settings.personal = self.bad_row_pii;
        settings.incomplete = self.incomplete;
        if let Some(file) = &self.adapters {
            let adapters = config::adapters(file).map_err(|error| Usage(error.to_string()))?;
            settings.adapters = Arc::new(adapters);
        }
        Ok(settings)
    }
}

/// Everything between records and output.
pub struct Transform {
    pipeline: Pipeline,
    resolver: Resolver,
    lookups: Arc<Lookups>,
    runtime: tokio::runtime::Runtime,
    now: Option<i64>,
    /// Registries of which it was said that they cannot be asked.
    told: Mutex<HashSet<String>>,
}

impl Transform {
    /// Opens what the arguments name.
    pub fn new(args: &TransformArgs, settings: Settings) -> anyhow::Result<Transform> {
        Transform::with(args, settings, Rules::enrichments)
    }

    /// The same with the enrichments that `open` makes of the rules.
    pub fn with(
        args: &TransformArgs,
        settings: Settings,
        open: impl FnOnce(&Rules) -> Result<Arc<Enrichments>, Usage>,
    ) -> anyhow::Result<Transform> {
        // What waits for a registry is driven by a thread of its own: the others compute.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (rules, _temporary) = runtime.block_on(args.rules.with_assets())?;
        let enrichments = open(&rules)?;
        if terminal::loudness() >= Loudness::Verbose
            && let Some(configuration) = rules.configuration()?
        {
            let steps = configuration.steps().join(", ");
            terminal::detail(&format!("snowmelt: enrichments that run: {steps}"));
        }
        for warning in enrichments.warnings() {
            terminal::note(&format!("snowmelt: {warning}"));
        }
        let pipeline = Pipeline::new(settings, enrichments);
        Ok(Transform {
            lookups: build::lookups(&pipeline, |_| lookups::Settings {
                then: args.on_unavailable.then(),
                ..lookups::Settings::default()
            })?,
            pipeline,
            resolver: rules.resolver(&aws::Settings::default())?,
            runtime,
            now: args.now,
            told: Mutex::default(),
        })
    }

    /// Processes the input on some threads, until it ends or `halt` is set; `each` sees the chunks
    /// in order.
    fn all(
        &self,
        mut input: Input,
        threads: usize,
        halt: &AtomicBool,
        mut each: impl FnMut(Chunk, Output) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        // What fails in writing ends the reading, too.
        let failed = AtomicBool::new(false);
        let mut next = || match halt.load(Ordering::Relaxed) || failed.load(Ordering::Relaxed) {
            true => Ok(None),
            false => next_chunk(&mut input),
        };
        if threads == 1 {
            while let Some(chunk) = next()? {
                let output = self.chunk(&chunk);
                each(chunk, output)?;
            }
            return Ok(());
        }
        // A chunk for every thread waits on either side: none ever idles, and memory is bounded.
        let (give, take) = mpsc::sync_channel::<Chunk>(threads);
        let take = Mutex::new(take);
        let (reply, done) = mpsc::sync_channel(threads);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let (take, reply, failed) = (&take, reply.clone(), &failed);
                let thread = std::thread::Builder::new().spawn_scoped(scope, move || {
                    loop {
                        let next = take.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok(chunk) = next else { break };
                        if failed.load(Ordering::Relaxed) {
                            continue;
                        }
                        let output = self.chunk(&chunk);
                        // Where nobody takes it, what is still given is only let go.
                        let _ = reply.send((chunk, output));
                    }
                });
                thread.context("cannot start so many threads")?;
            }
            drop(reply);
            let reader = scope.spawn(move || -> anyhow::Result<()> {
                while let Some(chunk) = next()? {
                    if give.send(chunk).is_err() {
                        break;
                    }
                }
                Ok(())
            });
            let written = in_order(done, &mut each);
            if written.is_err() {
                failed.store(true, Ordering::Relaxed);
                // The reader may be waiting for an input in which nothing comes.
                halt.store(true, Ordering::Relaxed);
            }
            let read = reader.join().map_err(|_| anyhow::anyhow!("the reader panicked"))?;
            written.and(read)
        })
    }

    /// Processes one batch, resolving what it needs.
    pub fn process(&self, batch: &Batch) -> Output {
        self.resolving(batch, None, |_| {})
    }

    /// The same, and what was told of look-ups in each round.
    pub fn process_telling(&self, batch: &Batch) -> (Output, Vec<Arc<Told>>) {
        let mut rounds = Vec::new();
        let output = self.resolving(batch, None, |told| rounds.push(Arc::clone(told)));
        (output, rounds)
    }

    /// The schemas resolved so far.
    pub fn schemas(&self) -> Schemas {
        self.resolver.schemas()
    }

    /// The version of a schema nearest to this one that accepts the data.
    pub fn nearest(&self, key: &SchemaKey, json: &str) -> Option<SchemaKey> {
        self.runtime.block_on(self.telling(self.resolver.nearest(key, json)))
    }

    fn chunk(&self, chunk: &Chunk) -> Output {
        self.resolving(&chunk.batch, chunk.parked.as_deref(), |_| {})
    }

    fn resolving(
        &self,
        batch: &Batch,
        parked: Option<&Parked>,
        mut round: impl FnMut(&Arc<Told>),
    ) -> Output {
        let (batch, now) = (batch.view(), self.now());
        let attempt = |attempt: Attempt| {
            attempt.told.iter().for_each(&mut round);
            ready(Ok::<_, Infallible>(attempt.run(&self.pipeline, &batch, parked, now)))
        };
        let sources = Sources { resolver: &self.resolver, lookups: &self.lookups };
        let Ok(output) = self.runtime.block_on(self.telling(resolving(sources, attempt)));
        output
    }

    /// The time that is stamped on what is processed next.
    pub fn now(&self) -> i64 {
        self.now.unwrap_or_else(clock::now_ms)
    }
}

impl Transform {
    /// Waits, and says which registry is waited for while that takes.
    async fn telling<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                () = tokio::time::sleep(LOOK) => self.tell_failing(),
            }
        };
        self.tell_failing();
        done
    }

    /// Says what registries were asked.
    fn tell_asked(&self) {
        for registry in self.resolver.figures().registries {
            let (asked, RegistryFigures { name, found, missing, .. }) =
                (registry.asked(), registry);
            terminal::detail(&format!(
                "snowmelt: the registry {name:?} was asked {asked} times: {found} schemas found, \
                 {missing} missing"
            ));
        }
    }

    fn tell_failing(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for failing in self.resolver.failing() {
            if told.insert(failing.name.clone()) {
                let (name, why) = (&failing.name, &failing.why);
                let wait = self.resolver.wait().as_secs();
                terminal::note(&format!(
                    "snowmelt: the registry {name:?} cannot be asked ({why}): it is waited for \
                     {wait} s at most, then events are parked whose schemas nobody else has"
                ));
            }
        }
    }
}

/// How often it is looked whether a registry is waited for.
const LOOK: Duration = Duration::from_millis(500);

/// Hands over what arrives in any order in the order of the records.
fn in_order(
    done: mpsc::Receiver<(Chunk, Output)>,
    each: &mut impl FnMut(Chunk, Output) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    for (chunk, output) in done {
        waiting.insert(chunk.first, (chunk, output));
        while let Some((chunk, output)) = waiting.remove(&next) {
            next += chunk.batch.records.len() as u64;
            each(chunk, output)?;
        }
    }
    Ok(())
}

fn processor(text: &str) -> Result<Processor, String> {
    let (artifact, version) = text
        .rsplit_once('-')
        .filter(|(artifact, version)| !artifact.is_empty() && !version.is_empty())
        .ok_or("expected a name and a version joined by a hyphen, my-enrich-1.0.0")?;
    Ok(Processor { artifact: artifact.to_owned(), version: version.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_wait_are_not_dropped_in_silence() {
        assert!(left_out(true, 3).is_some_and(|said| said.contains("3 events wait")));
        assert_eq!(left_out(true, 0), None);
        assert_eq!(left_out(false, 3), None);
    }
}
