//! What a process owes to its surroundings: it takes the proxy that the environment names, and ends
//! when it is asked to, also where no default does it, as in a container.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tests::emulators::REGION;
use tests::{emulators, scratch, wait, workers};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;

use crate::stage::{PAYLOADS, SOON, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_by_the_proxy_of_the_environment() -> Result<()> {
    scratch::run(async |scratch| go_by_a_proxy(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn generating_ends_at_once_when_asked() -> Result<()> {
    scratch::run(async |scratch| stop_generating(scratch).await).await
}

async fn go_by_a_proxy(scratch: &Path) -> Result<()> {
    let stage = Stage::bare(scratch).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut command = workers::snowmelt()?;
    command.env("HTTPS_PROXY", format!("http://{}", listener.local_addr()?));
    let config = stage.config().with("aws.kinesis_endpoint_url", "https://kinesis.example");
    let admin = emulators::free_address()?;
    let text = config.named("worker", admin);
    let _worker = workers::Worker::spawn("worker", admin, &text, scratch, command, None)?;
    let (connection, _) = tokio::time::timeout(SOON, listener.accept()).await??;
    let mut line = String::new();
    BufReader::new(connection).read_line(&mut line).await?;
    ensure!(line.starts_with("CONNECT kinesis.example:443 "), "{line}");
    Ok(())
}

async fn stop_generating(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    let mut generate = workers::snowmelt()?;
    generate.args(["generate", "--to=kinesis", "--events=1000000", "--rate=50"]);
    generate.args(["--stream", PAYLOADS, "--region", REGION]);
    generate.args(["--endpoint-url", &stage.faults.kinesis_url]).stderr(Stdio::piped());
    let mut child = generate.spawn()?;
    wait::until("events", SOON, async || {
        Ok((stage.faults.count("PutRecords").requests > 2).then_some(()))
    })
    .await?;
    let pid = child.id().to_string();
    let sent = std::process::Command::new("kill").args(["-TERM", &pid]).status()?;
    ensure!(sent.success(), "it is gone already");
    let ended = wait::until("its end", SOON, async || Ok(child.try_wait()?)).await;
    if ended.is_err() {
        child.kill()?;
    }
    // A signal that nobody handles would end it, too, but not as the first process of a container.
    ensure!(ended.context("it goes on")?.success(), "it was ended, and did not end");
    Ok(())
}
