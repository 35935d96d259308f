//! `snowmelt-query` at work on the tables of a run. It is started when somebody first asks, and
//! again when it has ended; it listens on a port of loopback that it chooses, and ends with this
//! process, however that ends.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use tokio::sync::oneshot;

use super::super::super::query;
/// How long it may take to listen. A busy machine takes its time; a minute is an answer, too.
const STARTING: Duration = Duration::from_secs(60);

/// How long it may take to end by itself, so that it can remove its temporary files.
const ENDING: Duration = Duration::from_secs(2);

/// The longest line of it that is read.
const LINE_BYTES: u64 = 16 << 10;

/// Why it cannot be asked.
#[derive(Debug)]
pub(super) enum Unasked {
    /// It is not there; how to get it.
    Absent(String),
    /// It did not start, or has ended at once.
    Ended(String),
}

/// The program, which runs while somebody asks.
pub(super) struct Program {
    tables: PathBuf,
    running: tokio::sync::Mutex<Option<Running>>,
}

impl Program {
    /// Over the tables of a folder.
    pub(super) fn over(tables: PathBuf) -> Program {
        Program { tables, running: tokio::sync::Mutex::default() }
    }

    /// Where it listens, when it does.
    pub(super) async fn address(&self) -> Result<SocketAddr, Unasked> {
        let mut running = self.running.lock().await;
        if let Some(there) = running.as_mut()
            && there.lives()
        {
            return Ok(there.address);
        }
        *running = None;
        let program = query::program().ok_or_else(|| Unasked::Absent(query::absent()))?;
        let started = Running::start(&program, &self.tables).await.map_err(Unasked::Ended)?;
        Ok(running.insert(started).address)
    }
}

/// One life of it.
struct Running {
    child: Child,
    /// It ends when nobody holds the other end.
    input: Option<ChildStdin>,
    /// Closed when it has said its last.
    ended: mpsc::Receiver<()>,
    address: SocketAddr,
}

impl Running {
    async fn start(program: &Path, tables: &Path) -> Result<Running, String> {
        let failed =
            |error: std::io::Error| format!("{} does not start: {error}", program.display());
        std::fs::create_dir_all(tables).map_err(failed)?;
        let mut command = Command::new(program);
        command.args(["--serve", "--with-parent", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(tables).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        // A terminal's Ctrl-C is this process's, which finishes what came before it ends.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(failed)?;
        let (input, said) = (child.stdin.take(), child.stderr.take().expect("it was asked for"));
        let (heard, hears) = oneshot::channel();
        let last = Arc::new(Mutex::new(String::new()));
        let (told, (ends, ended)) = (Arc::clone(&last), mpsc::channel());
        // It ends with the program, which is waited for.
        std::thread::spawn(move || listen(said, heard, &told, ends));
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        // Until it is known to listen, whatever happens ends it.
        let mut running = Running { child, input, ended, address };
        match tokio::time::timeout(STARTING, hears).await {
            Ok(Ok(address)) => running.address = address,
            Err(_) => return Err("snowmelt-query did not begin to listen".to_owned()),
            Ok(Err(_)) => {
                let last = last.lock().unwrap_or_else(PoisonError::into_inner);
                return Err(format!("snowmelt-query ended as it began: {last}"));
            }
        }
        Ok(running)
    }

    fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.input.take());
        // Nothing is sent: who listens to it lets go when it has ended.
        let _ = self.ended.recv_timeout(ENDING);
        // One that has ended by itself does not mind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads what it says: first of all where it listens. What it says later is a warning.
fn listen(
    said: ChildStderr,
    heard: oneshot::Sender<SocketAddr>,
    last: &Mutex<String>,
    _ends: mpsc::Sender<()>,
) {
    let (mut said, mut heard) = (BufReader::new(said), Some(heard));
    loop {
        let mut line = Vec::new();
        match (&mut said).take(LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        match (address(&line), heard.take()) {
            (Some(address), Some(heard)) => drop(heard.send(address)),
            (_, still) => {
                heard = still;
                tracing::warn!(said = line, "snowmelt-query");
                *last.lock().unwrap_or_else(PoisonError::into_inner) = line;
            }
        }
    }
}

/// The address in what it says when it listens.
fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("http://")?;
    rest.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_listens_is_read_of_its_words() {
        let line = "the page is at http://127.0.0.1:34567/query/";
        assert_eq!(address(line), Some(SocketAddr::from(([127, 0, 0, 1], 34567))));
        for other in ["", "the page is at http://", "http://localhost:1/", "cannot listen"] {
            assert_eq!(address(other), None, "{other}");
        }
    }
}
