//! The one place that prints: results go to standard output, words about them to standard error.
//! A reader that went away (a closed pipe) is not an error here. Any other failure is kept until
//! the command ends: what was to be printed is lost, and [`written`] says so.

use std::io::{self, ErrorKind, Write};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

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

/// How long a last word may take: a pipe that nobody reads must not keep a process from ending.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Writes a process's last line to standard error, or gives up.
pub fn last_note(text: String) {
    let (written, told) = channel();
    let thread = std::thread::Builder::new().spawn(move || {
        note(&text);
        let _ = written.send(());
    });
    if thread.is_ok() {
        let _ = told.recv_timeout(LAST_WORD);
    }
}

/// Writes a line to standard error.
pub fn note(text: &str) {
    let mut out = io::stderr().lock();
    let _ = writeln!(out, "{text}");
}
