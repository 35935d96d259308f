//! How commands end: the exit codes they share, and mistakes of whoever called.
//!
//! 0 is success, 1 a failure at run time, 64 a mistake in arguments or configuration, 65 something
//! looked at that is not as it should be, 69 a schema registry that could not be asked, 75 a worker
//! that had to stop before everything in flight was written (nothing is lost: it is read again), 77
//! a stream, bucket or table that is refused to the worker or is not there.

use std::process::ExitCode;

use crate::causes::chain;
use crate::health::Unfit;
use crate::terminal;

/// Arguments or configuration that cannot be used.
pub const EXIT_USAGE: u8 = 64;
/// What was looked at is not as it should be.
pub const EXIT_FAULTS: u8 = 65;
/// A schema registry could not be asked.
pub const EXIT_UNAVAILABLE: u8 = 69;
/// Stopped before everything in flight was written.
pub const EXIT_GRACE: u8 = 75;
/// What the worker needs is refused to it, or is not there.
pub const EXIT_REFUSED: u8 = 77;

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
