//! `snowmelt enrich`: the worker's transform on files, with no stream, no lease and no cloud.
//!
//! [`input`] reads payload records, threads process chunks of them, [`output`] writes what they
//! became in the records' order, and [`account`] says at the end what it all came to.

pub(super) mod account;
pub(super) mod chunk;
mod iceberg;
pub mod input;
mod outcomes;
pub(super) mod output;
mod tables;
pub(super) mod transform;
pub(super) mod unfinished;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use event::bad_row::Processor;

use crate::aws;
use crate::causes::chain;
use crate::commands::tolerance::Tolerance;
use crate::config::{self, OnUnavailable};
use crate::exit::{EXIT_FAULTS, EXIT_GRACE, EXIT_UNAVAILABLE, Usage};
use crate::process::this_program;
use crate::rules::Rules;
use crate::signal;
use crate::terminal;
use account::Account;
pub use chunk::{Chunk, next_chunk};
use input::Input;
use output::{Destination, Writer};
use pipeline::Settings;
use pipeline::protection::Personal;
use tables::Tables;
pub use transform::{Setup, Transform};

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
    /// With --format parquet, the folders of each table's files: a template as of a destination's
    /// key, load_date={date}/event_name={event_name}.
    #[arg(long, value_name = "TEMPLATE", default_value = "load_date={date}/")]
    key: String,
    /// With --format iceberg, how many records are read until the tables are told: after a run was
    /// killed, at most so many are read again.
    #[arg(long, value_name = "RECORDS")]
    commit_every: Option<NonZeroU32>,
    /// With --format iceberg, a catalog other than DIR/catalog.db: glue:s3://BUCKET/PREFIX, the ARN
    /// of a table bucket, or the address of a REST catalog (which is asked with the token in
    /// SNOWMELT_CATALOG_TOKEN, or as the client ID:SECRET in SNOWMELT_CATALOG_CLIENT).
    #[arg(long, value_name = "CATALOG")]
    catalog: Option<lakehouse::Remote>,
    /// What a REST catalog knows the warehouse by.
    #[arg(long, value_name = "NAME", requires = "catalog")]
    warehouse: Option<String>,
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
pub enum Format {
    /// Enriched lines of 131 columns, and bad rows.
    Tsv,
    /// Enriched flat JSON, and bad rows.
    Json,
    /// One line of JSON for each record with everything that became of it.
    Outcomes,
    /// Tables of typed columns, in folders: events, failed (which are the --incomplete ones) and
    /// bad.
    Parquet,
    /// The same tables in a catalog of Iceberg, DIR/catalog.db: to what is there is appended, and
    /// what of the input is there already is left out.
    Iceberg,
}

/// Runs `snowmelt enrich`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut settings = args.transform.settings()?;
    match args.format {
        Format::Json => settings.format = pipeline::Format::Json,
        Format::Parquet | Format::Iceberg => settings.incomplete = true,
        Format::Tsv | Format::Outcomes => {}
    }
    let folders = tables::folders(&args.key).map_err(|why| Usage(format!("--key: {why}")))?;
    check_form(&args)?;
    if args.format == Format::Iceberg {
        let transform = Transform::new(args.transform.setup(settings))?;
        let halt = signal::halt().context("cannot listen to signals")?;
        return iceberg::run(&args, &transform, &halt);
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
    let transform = Transform::new(args.transform.setup(settings))?;
    let halt = signal::halt().context("cannot listen to signals")?;
    let mut input = input.until(Arc::clone(&halt));
    let tables = || Tables::new(destination.folder.clone(), folders, transform.find_shapes());
    let mut writer = Writer::open(args.format, &destination, tables)?;
    let mut account = Account::start();
    account.follow(input.bytes());
    let mut unwritten = false;
    let next = || next_chunk(&mut input);
    let processed = transform.all(next, args.threads.into(), &halt, |chunk: Chunk, output| {
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
            account.misfits(writer.misfits());
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

/// Tables are folders of files that are compressed in themselves.
fn check_form(args: &Args) -> Result<(), Usage> {
    let refused = |why: &str| Err(Usage(why.to_owned()));
    if args.commit_every.is_some() && args.format != Format::Iceberg {
        return refused("--commit-every: only --format iceberg has commits");
    }
    if args.catalog.is_some() && args.format != Format::Iceberg {
        return refused("--catalog: only --format iceberg has one");
    }
    if !matches!(args.format, Format::Parquet | Format::Iceberg) {
        return Ok(());
    }
    if args.output == Path::new("-") {
        return refused("--format: tables are files; name a folder with --output");
    }
    if args.format == Format::Iceberg && args.force {
        return refused("--force: to tables of Iceberg is appended; remove the folder instead");
    }
    if args.compress.is_some() {
        return refused("--compress: files of Parquet are compressed in themselves");
    }
    Ok(())
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
        false => format!("{}/*{}", destination.folder.display(), unfinished::UNFINISHED),
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
    /// The time that is stamped on the results, where it was given.
    pub fn now(&self) -> Option<i64> {
        self.now
    }

    /// What a transform with these settings is made of.
    pub fn setup(&self, settings: Settings) -> Setup {
        let then = self.on_unavailable.then();
        Setup {
            settings,
            rules: self.rules.clone(),
            lookups: Box::new(move |_| lookups::Settings { then, ..Default::default() }),
            wait: None,
            aws: aws::Settings::default(),
            now: self.now,
        }
    }

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
