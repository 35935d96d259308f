//! The metadata service of an EC2 instance, on the loopback address: the mock that AWS itself gives
//! away (`amazon-ec2-metadata-mock`), which `tests/run` builds where there is Go.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{admin, emulators, repository, wait};

const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// A metadata service that takes tokens of version 2 only.
pub struct Metadata {
    /// Where it answers.
    pub url: String,
    child: Child,
}

/// The mock, if it was built.
pub fn program() -> Option<PathBuf> {
    let program = repository::target().join("tools/ec2-metadata-mock");
    program.exists().then_some(program)
}

impl Metadata {
    /// Starts one: `spot` or `asglifecycle`, and when what it tells begins.
    pub async fn start(program: &Path, args: &[&str], scratch: &Path) -> Result<Metadata> {
        let address = emulators::free_address()?;
        let log = std::fs::File::create(scratch.join("metadata.log"))?;
        let child = Command::new(program)
            .args(args)
            .args(["--imdsv2", "--hostname", "127.0.0.1", "--port", &address.port().to_string()])
            .env("HOME", scratch)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let metadata = Metadata { url: format!("http://{address}"), child };
        wait::until("the metadata service", STARTS_WITHIN, async || {
            // Without a token it refuses, which is an answer.
            let answer = admin::get(address, "/latest/meta-data/instance-id").await?;
            Ok((answer.status == 401).then_some(()))
        })
        .await?;
        Ok(metadata)
    }
}

impl Drop for Metadata {
    fn drop(&mut self) {
        // It may have ended by itself; either way it must not outlive the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
