//! `snowmelt query`: starts `snowmelt-query`, which has the query engine that a worker does not
//! carry.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context;

use crate::exit::EXIT_ABSENT;
use crate::terminal;

/// The program.
pub(crate) const PROGRAM: &str = "snowmelt-query";

/// Everything behind the word `query` is for the program; `--help` tells what it takes.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct Args {
    /// Arguments of the program.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

/// Starts the program in the place of this one, with the same arguments.
pub fn run() -> anyhow::Result<ExitCode> {
    let Some(program) = program() else {
        terminal::note(&format!("snowmelt: {}", absent()));
        return Ok(ExitCode::from(EXIT_ABSENT));
    };
    let mut command = Command::new(&program);
    command.args(passed(std::env::args_os().skip(1)));
    replaced(command).with_context(|| format!("cannot start {}", program.display()))
}

/// What to say where there is none.
pub(crate) fn absent() -> String {
    format!(
        "{PROGRAM} is neither beside this program nor on the path: \
         `cargo build --release -p query` makes it"
    )
}

/// Where the program lies: beside this one, or on the path.
pub(crate) fn program() -> Option<PathBuf> {
    let name = format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX);
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent).map(|folder| folder.join(&name));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(&name));
    beside.into_iter().chain(on_path).find(|program| program.is_file())
}

/// All arguments but the first `query`: what stands before it says how all commands speak.
fn passed(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut found = false;
    arguments
        .filter(|argument| {
            let first = !found && argument == "query";
            found |= first;
            !first
        })
        .collect()
}

/// The program has this one's place, so that signals and the terminal are its own.
#[cfg(unix)]
fn replaced(mut command: Command) -> std::io::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(command.exec())
}

#[cfg(not(unix))]
fn replaced(mut command: Command) -> std::io::Result<ExitCode> {
    let code = command.status()?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_arguments_but_the_commands_name_are_passed() {
        for (given, expected) in [
            (&["query", "--data", "d", "SELECT 1"][..], &["--data", "d", "SELECT 1"][..]),
            (&["-q", "query", "query"], &["-q", "query"]),
            (&["query"], &[]),
        ] {
            let passed = passed(given.iter().map(OsString::from));
            assert_eq!(passed, expected);
        }
    }
}
