//! The commands of `snowmelt`, and their arguments.

pub mod bench;
pub mod check;
pub mod compare;
pub mod ddl;
pub mod dictionary;
pub mod enrich;
pub mod explain;
pub mod generate;
pub mod help;
pub mod import;
pub mod init;
mod known;
pub mod leases;
pub mod local;
pub mod query;
pub mod replay;
pub mod schemas;
pub mod tolerance;
pub mod top;
pub mod worker;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::exit::{self, Usage};
use crate::log;
use crate::terminal::{self, Loudness, Manner};

/// Enriches collector payloads from Kinesis, offline files or an embedded stream.
#[derive(Debug, Parser)]
#[command(name = "snowmelt", version, after_help = exit::codes())]
pub struct Cli {
    #[command(flatten)]
    manner: Manner,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Enrich payloads from files or standard input.
    Enrich(enrich::Args),
    /// Process once more what was archived, parked or refused.
    Replay(replay::Args),
    /// Show what every step makes of one payload.
    Explain(explain::Args),
    /// Compare two sets of enriched events, event by event and column by column.
    Compare(compare::Args),
    /// Write a folder of configuration to start from.
    Init(init::Args),
    /// Turn the configuration of OpenSnowcat, or of one alike, into ours.
    Import(import::Args),
    /// Say what is wrong with a worker's configuration, and what the worker needs.
    Check(check::Args),
    /// Read a Kinesis stream as one of a fleet.
    Worker(worker::Args),
    /// Show a fleet live: what its workers do, and what limits them.
    Top(top::Args),
    /// Make synthetic payloads.
    Generate(generate::Args),
    /// Run a fleet on this machine alone, on embedded parts.
    Local(local::Args),
    /// Take events from trackers into a Kinesis stream, for stacks on one machine.
    Collector(local::streaming::Args),
    /// Answer SQL over what was written as Parquet or Iceberg.
    Query(query::Args),
    /// Look at leases, ask for their release, and set where shards are read from.
    Leases(leases::Args),
    /// Look at schemas and registries, and pull them into a bundle.
    Schemas(schemas::Args),
    /// Print statements that make tables of what was written known to an engine.
    Ddl(ddl::Args),
    /// Print what every column says, and of which schema it is.
    Dictionary(dictionary::Args),
    /// Measure the transform on this machine.
    Bench(bench::Args),
    /// Write what a shell needs to complete commands and arguments.
    Completions(help::Completions),
    /// Write the pages that `man` shows.
    Man(help::Man),
}

/// Runs the command that was asked for.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    terminal::speak(cli.manner);
    // The others log by their configuration, or their own needs.
    let logs = matches!(
        cli.command,
        Command::Check(_) | Command::Worker(_) | Command::Local(_) | Command::Collector(_)
    );
    let _log = match terminal::loudness() {
        Loudness::Everything if !logs => Some(log::start(&log::Levels::default()).map_err(Usage)?),
        _ => None,
    };
    let code = match cli.command {
        Command::Enrich(args) => enrich::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Import(args) => import::run(args),
        Command::Init(args) => init::run(args),
        Command::Check(args) => check::run(args),
        Command::Worker(args) => worker::run(args),
        Command::Generate(args) => generate::run(args),
        Command::Local(args) => local::run(args),
        Command::Collector(args) => local::streaming::run(args),
        Command::Leases(args) => leases::run(args),
        Command::Schemas(args) => schemas::run(args),
        Command::Ddl(args) => ddl::run(args),
        Command::Dictionary(args) => dictionary::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Query(_) => query::run(),
        Command::Top(args) => top::run(args),
        Command::Completions(args) => help::completions(&args),
        Command::Man(args) => help::man(&args),
    };
    let code = match code {
        // As after `| head`.
        Err(error) if error.chain().any(|cause| cause.is::<terminal::Unread>()) => {
            ExitCode::SUCCESS
        }
        code => code?,
    };
    terminal::written().context("cannot write standard output")?;
    Ok(code)
}
