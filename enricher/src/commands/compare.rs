//! `snowmelt compare A B`: two sets of enriched events, event by event and column by column, as one
//! does before one pipeline takes the place of another.
//!
//! One set is kept in memory, the other passes by it. What is too large for that is compared in
//! parts: events whose ids hash to one part, then those of the next.

mod report;
mod set;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use event::Field;
use event::fields::FIELDS;

use crate::exit::{EXIT_FAULTS, Usage};
use crate::terminal;
use report::Report;
use set::Set;

/// What `snowmelt compare` was asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A set: files of enriched lines and bad rows, plain or compressed with zstd or gzip. A folder
    /// stands for the files in it, s3://BUCKET/NAME for an object or all objects below it.
    #[arg(value_name = "A")]
    a: PathBuf,
    /// The set it is compared with.
    #[arg(value_name = "B")]
    b: PathBuf,
    /// Columns that may differ. Without it, those that tell of the processing: etl_tstamp,
    /// etl_tags and v_etl.
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', value_parser = column())]
    ignore: Vec<Field>,
    /// How many events of each difference are named.
    #[arg(long, default_value_t = 3, value_name = "N")]
    examples: usize,
    /// In how many parts the sets are compared: more take less memory and more time. Without it, as
    /// many as the size of A suggests.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    parts: Option<u32>,
    /// Form of the report.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// One JSON object.
    Json,
}

/// Columns that tell of the processing, and so differ between any two.
const OF_PROCESSING: [Field; 3] = [Field::EtlTstamp, Field::EtlTags, Field::VEtl];

/// A part takes about so much memory, in bytes of lines.
const PART: u64 = 1 << 30;

/// So many times as long as its objects are lines, at most times.
const UNPACKED: u64 = 10;

fn column() -> impl TypedValueParser<Value = Field> {
    let names = FIELDS.map(|field| field.name());
    PossibleValuesParser::new(names).map(|text| {
        let named = FIELDS.into_iter().find(|field| field.name() == text);
        named.expect("the parser takes no other")
    })
}

/// Runs `snowmelt compare`: 0 if the sets are the same, 65 if they differ.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (a, b) = (Set::open(&args.a)?, Set::open(&args.b)?);
    let parts = match args.parts {
        Some(parts) => parts,
        None => (a.bytes().saturating_mul(UNPACKED) / PART).min(10_000) as u32 + 1,
    };
    if parts > 1 && (a.is_read_once() || b.is_read_once()) {
        let why = "standard input cannot be read more than once: compare it with --parts 1";
        return Err(Usage(why.to_owned()).into());
    }
    let ignored = if args.ignore.is_empty() { OF_PROCESSING.to_vec() } else { args.ignore };
    let mut report = Report::new(ignored, args.examples);
    for part in 0..parts {
        let kept = a.part(part, parts, &mut |line| report.count_a(line))?;
        report.compare(kept, |each| b.each(part, parts, each))?;
    }
    ensure!(report.events() > 0, "neither {} nor {} has an event", a.name(), b.name());
    match args.format {
        Format::Table => report.lines(a.name(), b.name()).iter().for_each(|it| terminal::line(it)),
        Format::Json => terminal::line(&report.json().to_string()),
    }
    Ok(if report.same() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAULTS) })
}
