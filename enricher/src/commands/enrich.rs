//! `snowmelt enrich`.

use std::process::ExitCode;

/// What `snowmelt enrich` was asked for.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs `snowmelt enrich`.
pub fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not there yet")
}
