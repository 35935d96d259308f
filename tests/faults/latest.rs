//! A worker that begins at the newest record: from the moment it has a lease, everything that comes
//! is its to do, whoever goes on after it.

use std::path::Path;

use anyhow::{Result, ensure};
use tests::faults::{Fault, Rule};
use tests::workers::Worker;
use tests::{scratch, wait};

use crate::stage::{Config, SOON, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_before_a_crash_is_read_again() -> Result<()> {
    scratch::run(async |scratch| crash(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_between_two_runs_is_read() -> Result<()> {
    scratch::run(async |scratch| stop_and_start(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_a_worker_that_was_not_fit_is_read() -> Result<()> {
    scratch::run(async |scratch| refuse(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_iterator_that_expires_skips_nothing() -> Result<()> {
    scratch::run(async |scratch| expire(scratch).await).await
}

fn latest(stage: &Stage<'_>) -> Config {
    stage.config().with("source.initial_position", "latest")
}

async fn wait_until_read(worker: &Worker) -> Result<()> {
    wait::until("records to be read", SOON, async || {
        let read = worker.metric("snowmelt_records_total").await?;
        Ok((read > 0.0).then_some(()))
    })
    .await
}

async fn crash(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    // Nothing becomes durable, so that no checkpoint says how far the first worker came.
    let config = latest(&stage).with("enriched.s3.object_age", "60s");
    let mut first = stage.start("first", &config).await?;
    stage.wait_until_held(&first, 1).await?;
    let mut producer = stage.producer();
    producer.send_up_to(40).await?;
    wait_until_read(&first).await?;
    first.kill()?;
    let _second = stage.start("second", &latest(&stage)).await?;
    stage.wait_until_stored(&producer).await
}

async fn stop_and_start(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    let mut first = stage.start("first", &latest(&stage)).await?;
    stage.wait_until_held(&first, 1).await?;
    let status = first.terminate(SOON).await?;
    ensure!(status.success(), "{status}: {}", first.log()?);
    let mut producer = stage.producer();
    producer.send_up_to(20).await?;
    let _second = stage.start("second", &latest(&stage)).await?;
    stage.wait_until_stored(&producer).await
}

async fn refuse(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 2).await?;
    stage.faults.add(Rule::of("PutObject", Fault::DENIED_BY_S3));
    let mut first = stage.spawn("first", &latest(&stage), None)?;
    let status = first.end(SOON).await?;
    ensure!(!status.success(), "{status}: {}", first.log()?);
    stage.faults.clear();
    let mut producer = stage.producer();
    producer.send_up_to(20).await?;
    let _second = stage.start("second", &latest(&stage)).await?;
    stage.wait_until_stored(&producer).await
}

async fn expire(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    let worker = stage.start("worker", &latest(&stage)).await?;
    stage.wait_until_held(&worker, 1).await?;
    let expired = Fault::Refuse(400, "ExpiredIteratorException", "iterator expired");
    stage.faults.add(Rule::of("GetRecords", expired));
    wait::until("the iterator to expire", SOON, async || {
        let expired = stage.faults.count("GetRecords").harmed;
        Ok((expired > 0).then_some(()))
    })
    .await?;
    let mut producer = stage.producer();
    producer.send_up_to(20).await?;
    stage.faults.clear();
    stage.wait_until_stored(&producer).await
}
