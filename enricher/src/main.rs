//! The `snowmelt` command: picks the command, turns its error into words and an exit code.

use std::process::ExitCode;

use enricher::commands::{self, help};
use enricher::exit;

#[global_allocator]
static ALLOCATOR: enricher::allocations::Counting = enricher::allocations::Counting;

fn main() -> ExitCode {
    let cli = match help::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    match commands::run(cli) {
        Ok(code) => code,
        Err(error) => exit::failed(&error),
    }
}
