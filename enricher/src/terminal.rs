//! The one place that prints: results go to standard output, words about them to standard error.
//! How much is said, and whether in colours, is chosen once, before anything is printed.
//!
//! A reader that went away (a closed pipe) is not an error here. Any other failure is kept until
//! the command ends: what was to be printed is lost, and [`written`] says so.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::mpsc::channel;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// How a command speaks.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Manner {
    /// Colours: on a terminal (unless NO_COLOR is set), always, or never.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: Color,
    /// Leave out progress, counts and advice. Results are printed, and what is wrong is said. A
    /// worker logs warnings and errors alone.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say what is read, opened and asked on the way; given twice, everything, as lines of a log. A
    /// worker logs debug, given twice trace. SNOWMELT_LOG wins over both.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loudness {
    /// What is wrong.
    Quiet,
    /// And what a run came to.
    Usual,
    /// And what happens on the way.
    Verbose,
    /// And all that anybody has to say.
    Everything,
}

/// The look of a line of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// As the others.
    Plain,
    /// What stands below is part of it.
    Heading,
    /// All is well.
    Good,
    /// Something is not.
    Bad,
}

static MANNER: OnceLock<Manner> = OnceLock::new();

/// Sets how everything is said from here on. A second call changes nothing.
pub fn speak(manner: Manner) {
    let _ = MANNER.set(manner);
}

/// How much is to be said.
pub fn loudness() -> Loudness {
    match MANNER.get().copied().unwrap_or_default() {
        Manner { quiet: true, .. } => Loudness::Quiet,
        Manner { verbose: 0, .. } => Loudness::Usual,
        Manner { verbose: 1, .. } => Loudness::Verbose,
        Manner { .. } => Loudness::Everything,
    }
}

fn colored(to: &impl IsTerminal) -> bool {
    let color = MANNER.get().copied().unwrap_or_default().color;
    color.is_for(to.is_terminal(), |name| std::env::var_os(name))
}

impl Color {
    fn is_for(self, terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> bool {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let dumb = set("TERM").is_none_or(|term| term == "dumb");
                terminal && !dumb && set("NO_COLOR").is_none()
            }
        }
    }
}

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
    line_as(Look::Plain, text);
}

/// Writes a line to standard output that stands out.
pub fn line_as(look: Look, text: &str) {
    let mut out = io::stdout().lock();
    let (on, off) = match look {
        Look::Heading if colored(&out) => ("\u{1b}[1m", "\u{1b}[0m"),
        Look::Good if colored(&out) => ("\u{1b}[32m", "\u{1b}[0m"),
        Look::Bad if colored(&out) => ("\u{1b}[31m", "\u{1b}[0m"),
        _ => ("", ""),
    };
    match writeln!(out, "{on}{}{off}", harmless(text)).and_then(|()| out.flush()) {
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

/// Writes a line to standard error: something is wrong, or may be.
pub fn note(text: &str) {
    let mut out = io::stderr().lock();
    let text = harmless(text);
    let _ = match text.strip_prefix(NAME).filter(|_| colored(&out)) {
        Some(rest) => writeln!(out, "\u{1b}[1;33m{NAME}\u{1b}[0m{rest}"),
        None => writeln!(out, "{text}"),
    };
}

/// How this program's words begin.
const NAME: &str = "snowmelt:";

/// Shows lines in place of all that the terminal shows; beneath each other where there is none.
pub fn screen(lines: &[(Look, String)]) {
    if io::stdout().is_terminal() {
        let mut out = io::stdout().lock();
        // To the upper left corner, and everything from there on is wiped.
        let _ = write!(out, "\u{1b}[H\u{1b}[J");
    }
    lines.iter().for_each(|(look, text)| line_as(*look, text));
}

/// Writes a line about what goes well to standard error, unless nobody wants to hear it.
pub fn tell(text: &str) {
    if loudness() >= Loudness::Usual {
        note(text);
    }
}

/// Writes a line about what happens on the way to standard error, where somebody wants to know.
pub fn detail(text: &str) {
    if loudness() >= Loudness::Verbose {
        note(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_that_want_them() {
        for (color, terminal, variables, expected) in [
            (Color::Auto, true, &[("TERM", "xterm")][..], true),
            (Color::Auto, true, &[("TERM", "xterm"), ("NO_COLOR", "")], true),
            (Color::Auto, true, &[("TERM", "xterm"), ("NO_COLOR", "1")], false),
            (Color::Auto, true, &[("TERM", "dumb")], false),
            (Color::Auto, true, &[], false),
            (Color::Auto, false, &[("TERM", "xterm")], false),
            (Color::Always, false, &[("NO_COLOR", "1")], true),
            (Color::Never, true, &[("TERM", "xterm")], false),
        ] {
            let variable = |name: &str| {
                let set = variables.iter().find(|(set, _)| *set == name);
                set.map(|(_, value)| OsString::from(value))
            };
            let colored = color.is_for(terminal, variable);
            assert_eq!(colored, expected, "{color:?} {terminal} {variables:?}");
        }
    }

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
