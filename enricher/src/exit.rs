//! How commands end: the exit codes they share, and mistakes of whoever called. docs/operations.md
//! has the same codes with what to do about each.

use std::process::ExitCode;

use crate::causes::chain;
use crate::health::Unfit;
use crate::terminal;

/// All exit codes, each with what it means.
pub const CODES: [(u8, &str); 9] = [
    (0, "all was done"),
    (1, "something failed on the way: a file, the network, a service"),
    (EXIT_USAGE, "arguments or configuration that cannot be used"),
    (EXIT_FAULTS, "what was looked at or read is not as it should be"),
    (EXIT_UNAVAILABLE, "a schema registry or a look-up could not be asked"),
    (EXIT_ABSENT, "a program that the command starts is not installed"),
    (EXIT_GRACE, "stopped before all was done; nothing is lost"),
    (EXIT_REFUSED, "what a worker needs is refused to it, or is not there"),
    (EXIT_PANIC, "a mistake of ours"),
];

/// The exit codes as the help shows them.
pub fn codes() -> String {
    let lines = CODES.iter().map(|(code, means)| format!("\n  {code:>3}  {means}"));
    format!("Exit codes:{}", lines.collect::<String>())
}

/// Arguments or configuration that cannot be used.
pub const EXIT_USAGE: u8 = 64;
/// What was looked at is not as it should be.
pub const EXIT_FAULTS: u8 = 65;
/// A schema registry or a look-up could not be asked.
pub const EXIT_UNAVAILABLE: u8 = 69;
/// Another program of ours is needed, and is not there.
pub const EXIT_ABSENT: u8 = 72;
/// Stopped before everything in flight was written.
pub const EXIT_GRACE: u8 = 75;
/// What the worker needs is refused to it, or is not there.
pub const EXIT_REFUSED: u8 = 77;
/// A panic, as Rust ends with one.
const EXIT_PANIC: u8 = 101;

/// A mistake in arguments or configuration: what to say, already in full sentences.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Says why the arguments cannot be used; help and version are not mistakes.
pub fn usage(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if error.use_stderr() {
        terminal::note(text.trim_end());
        return ExitCode::from(EXIT_USAGE);
    }
    terminal::line(text.trim_end());
    ExitCode::SUCCESS
}

/// Says what failed, with its causes, and chooses the exit code.
pub fn failed(error: &anyhow::Error) -> ExitCode {
    terminal::last_note(format!("snowmelt: {}", chain(error.as_ref())));
    let usage = error.chain().any(|cause| cause.is::<Usage>());
    let refused = error.chain().any(|cause| cause.is::<Unfit>());
    match (usage, refused) {
        (true, _) => ExitCode::from(EXIT_USAGE),
        (false, true) => ExitCode::from(EXIT_REFUSED),
        (false, false) => ExitCode::FAILURE,
    }
}
