//! What is told of lag and of age is true: behind empty pages, on idle shards, while nothing
//! answers and while nothing becomes durable.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::faults::{Fault, Rule};
use tests::workers::Worker;
use tests::{leases, scratch, wait};

use crate::stage::{SOON, Stage, TABLE};

const TWO_HOURS_MS: u64 = 7_200_000;

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_shard_is_not_behind() -> Result<()> {
    scratch::run(async |scratch| go_idle(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_pages_tell_how_far_behind_they_are() -> Result<()> {
    scratch::run(async |scratch| read_empty_pages(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_hangs_is_made_again_and_lag_grows_meanwhile() -> Result<()> {
    scratch::run(async |scratch| hang(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_durable_has_an_age() -> Result<()> {
    scratch::run(async |scratch| keep_from_being_durable(scratch).await).await
}

fn behind_with_records(page: &mut Value) {
    let records = page["Records"].as_array().is_some_and(|records| !records.is_empty());
    page["MillisBehindLatest"] = json!(if records { TWO_HOURS_MS } else { 0 });
}

fn empty_and_behind(page: &mut Value) {
    page["Records"] = json!([]);
    page["MillisBehindLatest"] = json!(TWO_HOURS_MS);
}

async fn wait_for_lag(worker: &Worker, ms: f64) -> Result<()> {
    wait::until(&format!("a lag of {ms}"), SOON, async || {
        let page = worker.get("/metrics").await?.body;
        let lag = tests::admin::metric(&page, "snowmelt_lag_milliseconds").context("no lag")?;
        ensure!(lag == ms, "{lag}");
        Ok(Some(()))
    })
    .await
}

async fn go_idle(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    stage.faults.add(Rule::of("GetRecords", Fault::Rewrite(behind_with_records)));
    let config = stage.config().with("source.batch_bytes", "1KiB");
    let worker = stage.start("worker", &config).await?;
    stage.wait_until_held(&worker, 1).await?;
    let mut producer = stage.producer();
    producer.send_up_to(20).await?;
    stage.wait_until_stored(&producer).await?;
    wait_for_lag(&worker, 0.0).await?;
    wait::until("the lease to say so", SOON, async || {
        let lag = leases::attribute(&stage.aws.dynamodb, TABLE, "sx_l").await?;
        ensure!(lag.iter().all(|lag| lag == "0") && !lag.is_empty(), "{lag:?}");
        Ok(Some(()))
    })
    .await
}

async fn read_empty_pages(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    stage.faults.add(Rule::of("GetRecords", Fault::Rewrite(empty_and_behind)));
    let worker = stage.start("worker", &stage.config()).await?;
    stage.wait_until_held(&worker, 1).await?;
    wait_for_lag(&worker, TWO_HOURS_MS as f64).await
}

async fn hang(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    let worker = stage.start("worker", &stage.config()).await?;
    stage.wait_until_held(&worker, 1).await?;
    wait_for_lag(&worker, 0.0).await?;
    stage.faults.add(Rule::of("GetRecords", Fault::Hang));
    wait::until("lag to grow", SOON, async || {
        Ok((worker.metric("snowmelt_lag_milliseconds").await? > 5_000.0).then_some(()))
    })
    .await?;
    // The attempts that hung were given up, and are given up again, not after a minute.
    wait::until("more attempts", Duration::from_secs(30), async || {
        Ok((stage.faults.count("GetRecords").harmed >= 3).then_some(()))
    })
    .await?;
    stage.faults.clear();
    wait_for_lag(&worker, 0.0).await?;
    let mut producer = stage.producer();
    producer.send_up_to(20).await?;
    stage.wait_until_stored(&producer).await
}

async fn keep_from_being_durable(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    let worker = stage.start("worker", &stage.config()).await?;
    stage.wait_until_held(&worker, 1).await?;
    stage.faults.add(Rule::of("PutObject", Fault::Throttle));
    let mut producer = stage.producer();
    producer.send_up_to(20).await?;
    wait::until("an age", SOON, async || {
        Ok((worker.metric("snowmelt_undurable_seconds").await? >= 4.0).then_some(()))
    })
    .await?;
    stage.faults.clear();
    stage.wait_until_stored(&producer).await?;
    wait::until("no age", SOON, async || {
        Ok((worker.metric("snowmelt_undurable_seconds").await? == 0.0).then_some(()))
    })
    .await
}
