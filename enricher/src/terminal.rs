//! The one place that prints: results go to standard output, words about them to standard error.
//! A reader that went away (a closed pipe) is not an error here.

use std::io::{self, Write};

/// Writes a line to standard output.
pub fn line(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}");
}

/// Writes a line to standard error.
pub fn note(text: &str) {
    let mut out = io::stderr().lock();
    let _ = writeln!(out, "{text}");
}
