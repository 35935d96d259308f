//! `snowmelt bench`.

use std::process::ExitCode;

/// What `snowmelt bench` was asked for.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs `snowmelt bench`.
pub fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not there yet")
}
