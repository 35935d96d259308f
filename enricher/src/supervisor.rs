//! What systemd is told of a worker, where a unit asks for it (`Type=notify`, `WatchdogSec=`): that
//! it is ready, what it is doing, that it lives, that it stops. The protocol is that of
//! `sd_notify(3)`: assignments in a datagram to the socket that `NOTIFY_SOCKET` names.
//!
//! Telling never waits: a datagram that the socket does not take at once is left out, and the next
//! one says the same. Whoever is not asked for anything sends nothing.

use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How often it is looked at what there is to tell, unless the watchdog wants it sooner.
const LOOK: Duration = Duration::from_secs(1);

/// A start that gets on is given so much more time with each look, however long it takes until a
/// table or a stream answers.
const STARTING: Duration = Duration::from_secs(30);

/// What a worker takes at most beyond its grace until its process has ended.
const ENDING: Duration = Duration::from_secs(15);

/// A status is a line to be glanced at.
const LONGEST: usize = 400;

/// How a worker is at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether it turns: what stands still is not to be told that it lives.
    pub alive: bool,
    /// Whether it could lately do what it is for.
    pub ready: bool,
    /// Whether all work is done and it stays for something else.
    pub stays: bool,
    /// How it is, in words that change when something does.
    pub words: String,
}

/// Who supervises this process; nobody, as a rule.
#[derive(Debug)]
pub struct Supervisor {
    socket: Option<UnixDatagram>,
    /// It counts as dead that has not said for so long that it lives.
    watchdog: Option<Duration>,
}

/// What a worker is at, as far as a supervisor is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Starting,
    Running,
    Stopping,
}

impl Supervisor {
    /// Nobody who would want to hear anything.
    pub fn none() -> Supervisor {
        Supervisor { socket: None, watchdog: None }
    }

    /// The one that the environment names; or why it cannot be told anything.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Supervisor, String> {
        let Some(name) = variable("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(Supervisor::none());
        };
        let socket = connect(&name).map_err(|why| format!("NOTIFY_SOCKET={name}: {why}"))?;
        let own = std::process::id().to_string();
        let meant = variable("WATCHDOG_PID").is_none_or(|pid| pid == own);
        let watchdog = match variable("WATCHDOG_USEC").filter(|_| meant) {
            None => None,
            Some(text) => match text.parse() {
                Ok(0) | Err(_) => return Err(format!("WATCHDOG_USEC={text}: no time")),
                Ok(microseconds) => Some(Duration::from_micros(microseconds)),
            },
        };
        Ok(Supervisor { socket: Some(socket), watchdog })
    }

    /// Says for ever that a worker is being put together.
    pub async fn tell_of_start(&self) -> ! {
        loop {
            let mut said = vec![extended(STARTING), "STATUS=starting".to_owned()];
            // A unit that is no `Type=notify` is watched from its start on.
            said.extend(self.watchdog.map(|_| "WATCHDOG=1".to_owned()));
            self.send(&said);
            tokio::time::sleep(self.pause()).await;
        }
    }

    /// Tells of a worker for ever. It gets so long to drain when it is asked to stop.
    pub async fn tell(
        &self,
        look: impl Fn() -> Look,
        drain: &CancellationToken,
        grace: Duration,
    ) -> ! {
        let (mut stage, mut told) = (Stage::Starting, String::new());
        loop {
            let Look { alive, ready, stays, words } = look();
            let draining = drain.is_cancelled();
            let next = match stage {
                _ if draining => Stage::Stopping,
                Stage::Starting if ready => Stage::Running,
                stage => stage,
            };
            let mut said = match (stage, next) {
                (Stage::Starting, Stage::Starting) if alive => vec![extended(STARTING)],
                (Stage::Stopping, Stage::Stopping) if stays => vec![extended(ENDING)],
                (Stage::Starting, Stage::Running) => vec!["READY=1".to_owned()],
                (Stage::Starting | Stage::Running, Stage::Stopping) => {
                    vec!["STOPPING=1".to_owned(), extended(grace + ENDING)]
                }
                _ => Vec::new(),
            };
            let status = format!("STATUS={}", one_line(&words));
            said.extend(Some(status.clone()).filter(|status| *status != told));
            said.extend(self.watchdog.filter(|_| alive).map(|_| "WATCHDOG=1".to_owned()));
            if self.send(&said) {
                (stage, told) = (next, status);
            }
            tokio::select! {
                () = tokio::time::sleep(self.pause()) => {}
                () = drain.cancelled(), if !draining => {}
            }
        }
    }

    /// A third of the watchdog's time: one datagram may be lost, and one come late.
    fn pause(&self) -> Duration {
        self.watchdog.map_or(LOOK, |watchdog| LOOK.min(watchdog / 3))
    }

    /// Whether it was taken, or nobody is there to take it.
    fn send(&self, said: &[String]) -> bool {
        match &self.socket {
            Some(socket) if !said.is_empty() => socket.send(said.join("\n").as_bytes()).is_ok(),
            _ => true,
        }
    }
}

/// What services say may have lines; here each would be an assignment of its own.
fn one_line(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
}

fn extended(time: Duration) -> String {
    format!("EXTEND_TIMEOUT_USEC={}", time.as_micros())
}

/// A socket of a path, or of a name of Linux's own that begins with `@`.
fn connect(name: &str) -> Result<UnixDatagram, String> {
    let address = match name.strip_prefix('@') {
        Some(name) => of_name(name)?,
        None if name.starts_with('/') => {
            SocketAddr::from_pathname(name).map_err(|error| error.to_string())?
        }
        None => return Err("expected a path, or a name that begins with `@`".to_owned()),
    };
    let connected = UnixDatagram::unbound().and_then(|socket| {
        socket.set_nonblocking(true)?;
        socket.connect_addr(&address)?;
        Ok(socket)
    });
    connected.map_err(|error| error.to_string())
}

#[cfg(target_os = "linux")]
fn of_name(name: &str) -> Result<SocketAddr, String> {
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(name).map_err(|error| error.to_string())
}

#[cfg(not(target_os = "linux"))]
fn of_name(_: &str) -> Result<SocketAddr, String> {
    Err("such sockets are Linux's".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(socket: &str, watchdog: Option<&str>, pid: Option<&str>) -> Result<Supervisor, String> {
        Supervisor::of(|name| match name {
            "NOTIFY_SOCKET" => Some(socket.to_owned()),
            "WATCHDOG_USEC" => watchdog.map(str::to_owned),
            "WATCHDOG_PID" => pid.map(str::to_owned),
            _ => None,
        })
    }

    fn said(words: &str) -> Vec<String> {
        words.split(' ').map(str::to_owned).collect()
    }

    /// What was heard since the last time, a datagram each.
    fn heard(socket: &UnixDatagram) -> Vec<String> {
        let mut datagram = [0; 4096];
        let next = std::iter::from_fn(|| {
            let length = socket.recv(&mut datagram).ok()?;
            Some(String::from_utf8_lossy(&datagram[..length]).into_owned())
        });
        next.collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_life_is_told_from_its_start_to_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let listening = UnixDatagram::bind(&path).expect("a socket");
        listening.set_nonblocking(true).expect("it is ours");
        let supervisor = of(&path.display().to_string(), Some("3000000"), None);
        let supervisor = supervisor.expect("it is there");
        let look = |alive, ready, words: &str| Look {
            alive,
            ready,
            stays: words == "stays",
            words: words.to_owned(),
        };
        let now = std::cell::RefCell::new(look(true, false, "not ready: a\nREADY=1"));
        let (drain, grace) = (CancellationToken::new(), Duration::from_secs(60));
        let check = async {
            // Between two looks, so that there is one in each step.
            tokio::time::sleep(Duration::from_millis(500)).await;
            let after = async |ms: u64, look: Look, expected: &[&str]| {
                *now.borrow_mut() = look;
                tokio::time::sleep(Duration::from_millis(ms)).await;
                let heard = heard(&listening);
                let lines: Vec<&str> = heard.iter().flat_map(|one| one.split('\n')).collect();
                assert_eq!(lines, expected);
            };
            let step = async |look: Look, expected: &[&str]| after(1_000, look, expected).await;
            heard(&listening);
            let more = "EXTEND_TIMEOUT_USEC=30000000";
            step(
                look(true, false, "not ready: b\nREADY=1"),
                &[more, "STATUS=not ready: b READY=1", "WATCHDOG=1"],
            )
            .await;
            step(look(true, false, "not ready: b\nREADY=1"), &[more, "WATCHDOG=1"]).await;
            step(look(true, true, "ready"), &["READY=1", "STATUS=ready", "WATCHDOG=1"]).await;
            step(look(true, true, "ready"), &["WATCHDOG=1"]).await;
            // What was ready once has started, whatever comes.
            step(look(true, false, "not ready"), &["STATUS=not ready", "WATCHDOG=1"]).await;
            step(look(true, true, "not ready"), &["WATCHDOG=1"]).await;
            step(look(false, true, "stands still"), &["STATUS=stands still"]).await;
            step(look(false, true, "stands still"), &[]).await;
            drain.cancel();
            // At once, and not with the next look.
            let stopping = ["STOPPING=1", "EXTEND_TIMEOUT_USEC=75000000", "STATUS=draining"];
            let stopping = [&stopping[..], &["WATCHDOG=1"]].concat();
            after(500, look(true, false, "draining"), &stopping).await;
            step(
                look(true, false, "stays"),
                &["EXTEND_TIMEOUT_USEC=15000000", "STATUS=stays", "WATCHDOG=1"],
            )
            .await;
        };
        tokio::select! {
            never = supervisor.tell(|| now.borrow().clone(), &drain, grace) => never,
            () = check => {}
        }
    }

    #[test]
    fn a_socket_is_a_path_or_a_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let listening = UnixDatagram::bind(&path).expect("a socket");
        let path = path.display().to_string();
        assert!(of(&path, None, None).expect("it is there").send(&said("READY=1 STATUS=x")));
        let mut heard = [0; 64];
        let length = listening.recv(&mut heard).expect("it was sent");
        assert_eq!(&heard[..length], b"READY=1\nSTATUS=x");

        for (socket, wrong) in [
            ("notify", "expected a path"),
            ("vsock:2:1234", "expected a path"),
            ("/nowhere/notify", "No such file"),
            ("@snowmelt-nobody-listens", "refused"),
        ] {
            let why = of(socket, None, None).expect_err(socket);
            assert!(why.starts_with("NOTIFY_SOCKET=") && why.contains(wrong), "{why}");
        }
        let none = Supervisor::of(|_| None).expect("nobody asks");
        assert!(none.socket.is_none() && none.send(&said("READY=1")));
    }

    #[test]
    fn a_watchdog_is_told_three_times_in_its_time_if_it_means_this_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let _listening = UnixDatagram::bind(&path).expect("a socket");
        let path = path.display().to_string();
        let own = std::process::id().to_string();
        let pause = |watchdog, pid| of(&path, watchdog, pid).map(|it| (it.watchdog, it.pause()));
        let ms = Duration::from_millis;
        let told = (Some(ms(1_500)), ms(500));
        assert_eq!(pause(Some("1500000"), Some(&own)), Ok(told));
        assert_eq!(pause(Some("1500000"), None), Ok(told));
        assert_eq!(pause(Some("30000000"), None), Ok((Some(ms(30_000)), LOOK)));
        assert_eq!(pause(Some("1500000"), Some("1")), Ok((None, LOOK)));
        assert_eq!(pause(None, None), Ok((None, LOOK)));
        for text in ["0", "soon", "-1"] {
            let why = pause(Some(text), None).expect_err(text);
            assert_eq!(why, format!("WATCHDOG_USEC={text}: no time"));
        }
    }
}
