//! Log lines: JSON on standard error, one object each, without payloads and secrets.
//!
//! A log is never in the way of the work. Lines wait in a bounded queue for a thread of their own;
//! one that finds the queue full, or that cannot be written (a full disk, a reader that went away),
//! is dropped and counted. The arguments choose levels over the configuration, and `SNOWMELT_LOG`
//! over both.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::time::Duration;

use tokio::time::Instant;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::terminal::{self, Loudness};

/// The variable that chooses what is logged.
const VARIABLE: &str = "SNOWMELT_LOG";

/// The lines that may wait: seconds of a busy log, and a bound of a few megabytes.
const WAITING: usize = 1024;

/// How long the end of a process waits for its last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Between two words about lines that were dropped.
const REMINDER: Duration = Duration::from_secs(60);

/// All lines of this process that were dropped.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Which lines are logged: a level, or levels by module, as in `warn,lease=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels(String);

impl Default for Levels {
    /// What a worker says that is not told otherwise.
    fn default() -> Levels {
        Levels("info".to_owned())
    }
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Levels {
    /// Reads levels, and refuses those that do not exist.
    pub fn parse(text: &str) -> Result<Levels, String> {
        for directive in text.split(',') {
            let (module, level) = match directive.split_once('=') {
                Some((module, level)) => (Some(module), level),
                None => (None, directive),
            };
            let level = level.trim().to_ascii_lowercase();
            if !LEVELS.contains(&level.as_str()) {
                let levels = LEVELS.join(", ");
                return Err(format!("expected a level ({levels}), found `{level}` in `{text}`"));
            }
            let named = |name: &str| {
                let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
                !name.is_empty() && name.chars().all(fits)
            };
            if let Some(module) = module.filter(|module| !named(module.trim())) {
                return Err(format!("expected a module before `=`, found `{module}` in `{text}`"));
            }
        }
        Ok(Levels(text.to_ascii_lowercase()))
    }
}

/// Logging that was started. The last lines are written when it is dropped, within a second.
#[must_use = "the last lines are written when it is dropped"]
#[derive(Debug)]
pub struct Log {
    lines: Lines,
}

/// Starts logging. A second call changes nothing.
pub fn start(levels: &Levels) -> Result<Log, String> {
    start_with(levels, io::stderr())
}

#[allow(clippy::disallowed_methods, reason = "the variable is part of the log's configuration")]
fn start_with(levels: &Levels, to: impl Write + Send + 'static) -> Result<Log, String> {
    let levels = match std::env::var(VARIABLE) {
        Ok(text) => Levels::parse(&text).map_err(|wrong| format!("{VARIABLE}: {wrong}"))?,
        Err(_) => said(terminal::loudness(), levels),
    };
    let filter = EnvFilter::try_new(&levels.0).map_err(|error| error.to_string())?;
    let lines = Lines::to(to).map_err(|error| error.to_string())?;
    let _ = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .log_internal_errors(false)
        .with_writer(lines.clone())
        .try_init();
    Ok(Log { lines })
}

/// The levels that were set, unless somebody wants to hear more or less.
fn said(loudness: Loudness, set: &Levels) -> Levels {
    let level = match loudness {
        Loudness::Quiet => "warn",
        Loudness::Usual => return set.clone(),
        Loudness::Verbose => "debug",
        Loudness::Everything => "trace",
    };
    Levels(level.to_owned())
}

/// How many lines of this process could not be written.
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

impl Drop for Log {
    fn drop(&mut self) {
        self.lines.flush(LAST_LINES);
    }
}

/// The queue of lines.
#[derive(Clone, Debug)]
struct Lines {
    queue: SyncSender<Message>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// Everything before it was written, or dropped.
    Flushed(std::sync::mpsc::Sender<()>),
}

impl Lines {
    /// Starts the thread that writes. It ends with the last handle on the queue, or with the
    /// process: whoever blocks it must not block the process's end.
    fn to(target: impl Write + Send + 'static) -> io::Result<Lines> {
        let (queue, messages) = sync_channel(WAITING);
        let writing = move || write_all(target, &messages);
        std::thread::Builder::new().name("log".to_owned()).spawn(writing)?;
        Ok(Lines { queue })
    }

    fn flush(&self, within: Duration) {
        let (written, told) = channel();
        // A queue that is full has a writer that is stuck.
        if self.queue.try_send(Message::Flushed(written)).is_ok() {
            let _ = told.recv_timeout(within);
        }
    }
}

fn write_all(mut target: impl Write, messages: &Receiver<Message>) {
    let (mut told, mut told_at) = (0, None::<Instant>);
    for message in messages {
        match message {
            Message::Line(line) => {
                if target.write_all(&line).and_then(|()| target.flush()).is_err() {
                    DROPPED.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
            }
            Message::Flushed(written) => {
                let _ = written.send(());
            }
        }
        let lines = dropped();
        if lines > told && told_at.is_none_or(|at| at.elapsed() > REMINDER) {
            (told, told_at) = (lines, Some(Instant::now()));
            tracing::warn!(lines, "log lines could not be written and were dropped");
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Lines;

    fn make_writer(&'a self) -> Lines {
        self.clone()
    }
}

impl Write for Lines {
    /// The formatter gives each line in one piece.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.queue.try_send(Message::Line(line.to_vec())) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                DROPPED.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn levels_that_do_not_exist_are_refused() {
        for text in ["info", "WARN", "off", "warn,lease=debug", "enricher::source=trace"] {
            assert!(Levels::parse(text).is_ok(), "{text}");
        }
        for text in ["", "verbose", "info,", "lease=", "=info", "a b=info", "lease=loud", "1"] {
            assert!(Levels::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn arguments_choose_over_the_configuration() {
        let set = Levels("warn,lease=debug".to_owned());
        assert_eq!(said(Loudness::Usual, &set), set);
        for (loudness, level) in [
            (Loudness::Quiet, "warn"),
            (Loudness::Verbose, "debug"),
            (Loudness::Everything, "trace"),
        ] {
            assert_eq!(said(loudness, &set), Levels(level.to_owned()));
        }
    }

    /// Takes lines into memory while it is open; its owner closes it by keeping the lock.
    #[derive(Clone, Default)]
    struct Target(Arc<Mutex<Vec<u8>>>);

    impl Write for Target {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nothing panics with it").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_target_that_is_stuck_drops_lines_and_holds_nobody_up() {
        let target = Target::default();
        let mut lines = Lines::to(target.clone()).expect("a thread");
        let before = dropped();
        let stuck = target.0.lock().expect("nothing panics with it");
        // One more line may be in the thread's hands.
        for _ in 0..WAITING + 10 {
            assert!(lines.write(b"line\n").is_ok());
        }
        assert!(dropped() >= before + 9, "{}", dropped() - before);
        lines.flush(Duration::ZERO);
        drop(stuck);
        // Behind all that were kept.
        let (told, flushed) = channel();
        lines.queue.send(Message::Line(b"end\n".to_vec())).expect("the thread lives");
        lines.queue.send(Message::Flushed(told)).expect("the thread lives");
        flushed.recv().expect("the thread lives");
        let written = target.0.lock().expect("nothing panics with it");
        assert!(written.starts_with(b"line\n") && written.ends_with(b"end\n"));
    }

    #[test]
    fn what_cannot_be_written_is_counted() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut lines = Lines::to(Full).expect("a thread");
        let before = dropped();
        assert!(lines.write(b"line\n").is_ok());
        lines.flush(Duration::from_secs(60));
        assert!(dropped() > before);
    }
}
