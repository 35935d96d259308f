//! The `snowmelt` command: picks the command, turns its error into words and an exit code.

use std::process::ExitCode;

use clap::Parser;
use enricher::commands::{self, Cli};

// Batches are made on one thread and freed on another; the system's allocator pays for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
