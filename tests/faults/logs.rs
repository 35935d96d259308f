//! A log is never in the way of the work.

use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tests::faults::{Fault, Rule};
use tests::workers::{self, Worker};
use tests::{scratch, wait};

use crate::stage::{SOON, Stage};

/// More lines than a pipe takes (64 KiB) and than may wait for it.
const LEVEL: &str = "trace";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_lines_and_nothing_else() -> Result<()> {
    scratch::run(async |scratch| {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full")?;
        work_without_a_log(scratch, Stdio::from(full), async |_| Ok(())).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_went_away_loses_lines_and_nothing_else() -> Result<()> {
    scratch::run(async |scratch| {
        work_without_a_log(scratch, Stdio::piped(), async |worker| {
            let mut pipe = worker.pipe().context("it is piped")?;
            pipe.read_exact(&mut [0])?;
            drop(pipe);
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_that_nobody_reads_loses_lines_and_nothing_else() -> Result<()> {
    // The pipe is kept open by the worker's handle, and never read.
    scratch::run(async |scratch| {
        work_without_a_log(scratch, Stdio::piped(), async |_| Ok(())).await
    })
    .await
}

async fn work_without_a_log(
    scratch: &Path,
    log: Stdio,
    meanwhile: impl AsyncFnOnce(&mut Worker) -> Result<()>,
) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    let config = stage.config().with("log.level", LEVEL);
    let mut worker = stage.spawn("worker", &config, Some(log))?;
    meanwhile(&mut worker).await?;
    worker.wait_until_live().await?;
    stage.wait_until_held(&worker, 1).await?;
    let mut producer = stage.producer();
    producer.send_up_to(500).await?;
    stage.wait_until_stored(&producer).await?;
    wait::until("lines to be dropped and counted", SOON, async || {
        let dropped = worker.metric("snowmelt_log_lines_dropped_total").await?;
        Ok((dropped > 0.0).then_some(()))
    })
    .await?;
    let status = worker.terminate(SOON).await?;
    ensure!(status.success(), "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn levels_that_do_not_exist_are_refused() -> Result<()> {
    scratch::run(async |scratch| {
        let stage = Stage::bare(scratch).await?;
        for level in ["verbose", "warn,lease=loud", "=info", "lease=", "info,,warn", "nosuch"] {
            let config = stage.config().with("log.level", level);
            let refused = stage.check(&config, workers::snowmelt()?)?;
            ensure!(refused.status.code() == Some(64), "{level}: {refused:?}");
            let mut command = workers::snowmelt()?;
            command.env("SNOWMELT_LOG", level);
            let refused = stage.check(&stage.config(), command)?;
            ensure!(refused.status.code() == Some(64), "SNOWMELT_LOG={level}: {refused:?}");
        }
        for level in ["off", "WARN", "warn,lease=debug,enricher::source=trace"] {
            let config = stage.config().with("log.level", level);
            let checked = stage.check(&config, workers::snowmelt()?)?;
            ensure!(checked.status.success(), "{level}: {checked:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_is_told_once_a_minute_with_a_count() -> Result<()> {
    scratch::run(async |scratch| {
        let stage = Stage::set(scratch, 2).await?;
        let worker = stage.start("worker", &stage.config()).await?;
        stage.wait_until_held(&worker, 2).await?;
        let before = worker.log()?.lines().count();
        stage.faults.forget();
        stage.faults.add(Rule::of("GetRecords", Fault::BROKEN));
        wait::until("many failed requests", SOON, async || {
            Ok((stage.faults.count("GetRecords").harmed >= 12).then_some(()))
        })
        .await?;
        let log = worker.log()?;
        let lines: Vec<&str> = log.lines().skip(before).collect();
        ensure!(lines.len() <= 2, "{lines:#?}");
        let told = lines.first().context("nothing was told")?;
        for part in ["500", "InternalFailure", "GetRecords", "payloads"] {
            ensure!(told.contains(part), "no {part} in {told}");
        }
        Ok(())
    })
    .await
}
