//! The one place that prints: results go to standard output, words about them to standard error.
//! A reader that went away (a closed pipe) is not an error here. Any other failure is kept until
//! the command ends: what was to be printed is lost, and [`written`] says so.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

/// The first failure to write a result.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// A text without anything that a terminal obeys or that makes it show another text: control
/// characters but tabs and the ends of lines, and what turns the direction of writing. They are
/// written as JSON writes them, `\u001b`, so that JSON stays the same JSON.
///
/// What is printed may quote what strangers sent.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| match c {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' => true,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => c.is_control(),
    };
    if !text.contains(obeyed) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match obeyed(c) {
            true => shown.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => shown.push(c),
        }
    }
    shown.into()
}

/// Writes a line to standard output.
pub fn line(text: &str) {
    let mut out = io::stdout().lock();
    match writeln!(out, "{}", harmless(text)).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            FAILED.lock().expect("nothing panics with it").get_or_insert(error);
        }
        _ => {}
    }
}

/// Nobody reads standard output any more, as after `| head`: there is nothing left to do, and
/// nothing has failed.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads standard output any more")]
pub struct Unread;

/// What a failure to write to standard output means.
pub fn unread(error: anyhow::Error) -> anyhow::Error {
    let closed = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    match closed.into_iter().any(|error| error.kind() == ErrorKind::BrokenPipe) {
        true => Unread.into(),
        false => error,
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
    let _ = writeln!(out, "{}", harmless(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_shown() {
        for (text, expected) in [
            ("plain é 日本\n\ttext", "plain é 日本\n\ttext"),
            ("\u{1b}[2J\u{7}\r", "\\u001b[2J\\u0007\\u000d"),
            ("\u{9b}31m\u{7f}\0", "\\u009b31m\\u007f\\u0000"),
            ("a\u{202e}b\u{2066}c", "a\\u202eb\\u2066c"),
        ] {
            assert_eq!(harmless(text), expected);
        }
        let json = "{\"a\":\"\u{7f}\u{9b}\u{202e}\"}";
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(read(&harmless(json)), read(json));
    }
}
