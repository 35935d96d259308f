//! The commands of `snowmelt`: their arguments, and the exit codes they share.
//!
//! 0 is success, 1 a failure at run time, 64 a mistake in arguments or configuration, 65 something
//! looked at that is not as it should be, 69 a schema registry that could not be asked, 75 a worker
//! that had to stop before everything in flight was written (nothing is lost: it is read again).

pub mod bench;
pub mod enrich;
pub mod explain;
pub mod generate;
pub mod init;
pub mod leases;
pub mod local;
pub mod rules;
pub mod schemas;
pub mod tolerance;
pub mod worker;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::terminal;

/// Arguments or configuration that cannot be used.
pub const EXIT_USAGE: u8 = 64;
/// What was looked at is not as it should be.
pub const EXIT_FAULTS: u8 = 65;
/// A schema registry could not be asked.
pub const EXIT_UNAVAILABLE: u8 = 69;
/// Stopped before everything in flight was written.
pub const EXIT_GRACE: u8 = 75;

/// Enriches collector payloads from Kinesis, offline files or an embedded stream.
#[derive(Debug, Parser)]
#[command(name = "snowmelt", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Enrich payloads from files or standard input.
    Enrich(enrich::Args),
    /// Show what every step makes of one payload.
    Explain(explain::Args),
    /// Write a folder of configuration to start from.
    Init(init::Args),
    /// Read a Kinesis stream as one of a fleet.
    Worker(worker::Args),
    /// Make synthetic payloads.
    Generate(generate::Args),
    /// Run a fleet on this machine alone, on embedded parts.
    Local(local::Args),
    /// Look at leases, ask for their release, and set where shards are read from.
    Leases(leases::Args),
    /// Look at schemas and registries, and pull them into a bundle.
    Schemas(schemas::Args),
    /// Measure the transform on this machine.
    Bench(bench::Args),
}

/// Runs the command that was asked for.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let code = match cli.command {
        Command::Enrich(args) => enrich::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Init(args) => init::run(args),
        Command::Worker(args) => worker::run(args),
        Command::Generate(args) => generate::run(args),
        Command::Local(args) => local::run(args),
        Command::Leases(args) => leases::run(args),
        Command::Schemas(args) => schemas::run(args),
        Command::Bench(args) => bench::run(args),
    }?;
    terminal::written().context("cannot write standard output")?;
    Ok(code)
}

/// A mistake in arguments or configuration: what to say, already in full sentences.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Says why the arguments cannot be used; help and version are not mistakes.
pub fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
}

/// Says what failed, with its causes, and chooses the exit code.
pub fn failed(error: &anyhow::Error) -> ExitCode {
    terminal::last_note(format!("snowmelt: {error:#}"));
    let usage = error.chain().any(|cause| cause.is::<Usage>());
    if usage { ExitCode::from(EXIT_USAGE) } else { ExitCode::FAILURE }
}
