//! The `snowmelt-query` command: reads its arguments, and turns the outcome into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    query::run()
}
