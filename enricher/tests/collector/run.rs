//! A run of `snowmelt local` for a test, and what it wrote.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use enricher::sink::local::Folder;
use enricher::sink::object::Compression;

/// A collector of its own, on a port of its own.
pub(crate) struct Local {
    child: Child,
    /// Where it listens: host and port.
    pub(crate) address: String,
}

impl Local {
    pub(crate) fn start(dir: &Path, more: &[&str]) -> Local {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snowmelt"));
        command.args(["local", "--port", "0", "--shards", "2", "--dir"]).arg(dir).args(more);
        let child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("the binary runs");
        let mut said = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut first = String::new();
        said.read_line(&mut first).expect("it says something");
        let address = first.trim().rsplit_once("http://").unwrap_or_else(|| {
            let mut more = String::new();
            said.read_to_string(&mut more).expect("it is text");
            panic!("no address: {first}{more}")
        });
        let address = address.1.to_owned();
        // What it says later must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Local { child, address }
    }

    /// Sends a request as it is, and reads the answer.
    pub(crate) fn ask(&self, head: &str, body: &str) -> String {
        let mut socket = TcpStream::connect(&self.address).expect("it listens");
        let host = match head.contains("Host: ") {
            true => String::new(),
            false => format!("Host: {}\r\n", self.address),
        };
        let length = match body {
            "" => String::new(),
            body => format!("Content-Length: {}\r\n", body.len()),
        };
        let request = format!("{head}\r\n{host}{length}Connection: close\r\n\r\n{body}");
        // A body that is refused early is not read to its end.
        let _ = socket.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Ends it as Ctrl-C does; answers with what it printed.
    pub(crate) fn end(mut self) -> String {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-INT", &pid]).status();
        assert!(asked.expect("kill runs").success());
        let mut said = String::new();
        let mut output = self.child.stdout.take().expect("it is piped");
        output.read_to_string(&mut said).expect("it is text");
        assert!(self.child.wait().expect("it is ours").success(), "{said}");
        said
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// The lines of a route.
pub(crate) fn lines(dir: &Path, route: &str) -> Vec<String> {
    let mut all = Vec::new();
    for path in Folder::new(dir).objects(route).expect("a folder") {
        let frames = std::fs::read(&path).expect("a file");
        let text = Compression::of(&path.to_string_lossy()).lines(&frames).expect("whole frames");
        all.extend(String::from_utf8(text).expect("text").lines().map(str::to_owned));
    }
    all
}

/// Waits until a route has so many lines.
#[allow(clippy::disallowed_methods, reason = "files tell nobody that they are there")]
pub(crate) fn wait_for_lines(dir: &Path, route: &str, count: usize) {
    let came = (0..3000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        lines(dir, route).len() >= count
    });
    assert!(came, "{route} never came to {count}");
}

pub(crate) fn column(line: &str, field: event::Field) -> &str {
    line.split('\t').nth(field as usize).expect("131 columns")
}
