//! Worker processes of the release binary: started from a configuration text, asked over their
//! admin port, ended by a signal. A worker that a test forgets is killed when it is dropped.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::emulators::REGION;
use crate::{admin, repository, wait};

const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// A running `snowmelt worker`.
pub struct Worker {
    /// How its worker id in the lease table begins.
    pub name: String,
    /// Where `/metrics`, `/live` and `/ready` answer.
    pub admin: SocketAddr,
    child: Child,
    log: PathBuf,
}

/// The binary under test, with credentials that the emulators take. `SNOWMELT_BINARY` names another
/// than the build that ships, such as one for development.
pub fn snowmelt() -> Result<Command> {
    let build = "cargo build --profile dist -p enricher";
    program("SNOWMELT_BINARY", "dist/snowmelt", build)
}

/// The program that answers SQL, as it was built with the tests, or the one that `SNOWMELT_QUERY`
/// names.
pub fn query() -> Result<Command> {
    program("SNOWMELT_QUERY", "debug/snowmelt-query", "cargo test --workspace --no-run")
}

fn program(named: &str, otherwise: &str, build: &str) -> Result<Command> {
    let program = match std::env::var_os(named) {
        Some(program) => PathBuf::from(program),
        None => repository::target().join(otherwise),
    };
    ensure!(program.exists(), "{} is missing: {build}", program.display());
    let mut command = Command::new(program);
    command
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", REGION)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null());
    Ok(command)
}

impl Worker {
    /// Starts a worker and waits until it is live. Its files go to `scratch`.
    pub async fn start(
        name: &str,
        admin: SocketAddr,
        config: &str,
        scratch: &Path,
    ) -> Result<Worker> {
        let mut worker = Worker::spawn(name, admin, config, scratch, snowmelt()?, None)?;
        worker.wait_until_live().await?;
        Ok(worker)
    }

    /// Starts a worker that may end before it is live. Its log lines go to `log`, or to a file.
    pub fn spawn(
        name: &str,
        admin: SocketAddr,
        config: &str,
        scratch: &Path,
        mut command: Command,
        log: Option<Stdio>,
    ) -> Result<Worker> {
        let file = scratch.join(format!("{name}.toml"));
        std::fs::write(&file, config)?;
        let path = scratch.join(format!("{name}.log"));
        let output = std::fs::File::create(&path)?;
        command.args(["worker", "--config"]).arg(&file).stdout(output.try_clone()?);
        let child = command.stderr(log.unwrap_or_else(|| output.into())).spawn()?;
        Ok(Worker { name: name.to_owned(), admin, child, log: path })
    }

    /// Ends it at once, with nothing written any more.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to drain (SIGTERM) and waits for its end.
    pub async fn terminate(&mut self, within: Duration) -> Result<ExitStatus> {
        self.signal("TERM")?;
        self.end(within).await
    }

    /// Sends it a signal, such as `HUP`.
    pub fn signal(&self, name: &str) -> Result<()> {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status()?;
        ensure!(sent.success(), "{} is gone already", self.name);
        Ok(())
    }

    /// Waits for its end.
    pub async fn end(&mut self, within: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        let ended = wait::until(&what, within, async || Ok(self.child.try_wait()?)).await;
        ended.with_context(|| self.log().unwrap_or_default())
    }

    /// How it has ended; `None` while it runs.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// What it writes its log lines to, where that is a pipe of the test's.
    pub fn pipe(&mut self) -> Option<std::process::ChildStderr> {
        self.child.stderr.take()
    }

    /// The most memory that it has had resident, in bytes.
    pub fn peak_memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|text| text.trim().strip_suffix(" kB")).context("no VmHWM")?;
        Ok(peak.trim().parse::<u64>()? * 1024)
    }

    /// The sum of a metric over its labels; 0 where it is not there yet.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        Ok(admin::metric(&self.get("/metrics").await?.body, name).unwrap_or_default())
    }

    /// Whether an owner in the lease table is this worker: its name and the ending of its start.
    pub fn is(&self, owner: &str) -> bool {
        owner.strip_prefix(&self.name).is_some_and(|ending| ending.starts_with(['-', ':']))
    }

    /// A page of its admin port.
    pub async fn get(&self, path: &str) -> Result<admin::Answer> {
        admin::get(self.admin, path).await.with_context(|| format!("{path} of {}", self.name))
    }

    /// What it has logged so far.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    /// Waits until its admin port answers.
    pub async fn wait_until_live(&mut self) -> Result<()> {
        let what = format!("{} to be live", self.name);
        let live = wait::until(&what, STARTS_WITHIN, async || {
            if self.child.try_wait()?.is_some() {
                return Ok(Some(false));
            }
            let answer = self.get("/live").await?;
            Ok((answer.status == 200).then_some(true))
        })
        .await;
        let log = self.log().unwrap_or_default();
        ensure!(live.with_context(|| log.clone())?, "{} ended: {log}", self.name);
        Ok(())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself; either way it must not outlive the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
