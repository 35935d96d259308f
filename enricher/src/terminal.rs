//! The one place that prints: results go to standard output, words about them to standard error.
//! A reader that went away (a closed pipe) is not an error here. Any other failure is kept until
//! the command ends: what was to be printed is lost, and [`written`] says so.

use std::io::{self, ErrorKind, Write};
use std::sync::Mutex;

/// The first failure to write a result.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Writes a line to standard output.
pub fn line(text: &str) {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            FAILED.lock().expect("nothing panics with it").get_or_insert(error);
        }
        _ => {}
    }
}

/// Whether all lines were written.
pub fn written() -> io::Result<()> {
    FAILED.lock().expect("nothing panics with it").take().map_or(Ok(()), Err)
}

/// Writes a line to standard error.
pub fn note(text: &str) {
    let mut out = io::stderr().lock();
    let _ = writeln!(out, "{text}");
}
