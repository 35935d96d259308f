//! The `snowmelt` command: picks the command, turns its error into words and an exit code.

use std::process::ExitCode;

use clap::Parser;
use enricher::commands::{self, Cli};

#[global_allocator]
static ALLOCATOR: enricher::allocations::Counting = enricher::allocations::Counting;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return commands::usage(&error),
    };
    match commands::run(cli) {
        Ok(code) => code,
        Err(error) => commands::failed(&error),
    }
}
