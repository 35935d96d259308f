//! The lease table vanishes, refuses and throttles; one shard cannot be read; a worker is asked to
//! stop while nothing can be written.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::faults::{Fault, Rule};
use tests::workers::Worker;
use tests::{leases, scratch, wait};

use crate::stage::{SOON, Stage, TABLE};

/// Not everything that was read could be made durable before the worker had to end.
const GRACE_RAN_OUT: i32 = 75;

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_vanishes_is_made_again() -> Result<()> {
    scratch::run(async |scratch| vanish(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_that_cannot_be_renewed_are_not_held() -> Result<()> {
    scratch::run(async |scratch| throttle(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_shard_that_cannot_be_read_ends_no_worker() -> Result<()> {
    scratch::run(async |scratch| forbid_a_shard(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_grace_runs_out_gives_its_leases_back() -> Result<()> {
    scratch::run(async |scratch| run_out_of_grace(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_is_a_request_to_drain() -> Result<()> {
    scratch::run(async |scratch| hang_up(scratch).await).await
}

async fn vanish(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 2).await?;
    let mut worker = stage.start("worker", &stage.config()).await?;
    stage.wait_until_held(&worker, 2).await?;
    let mut producer = stage.producer();
    producer.send_up_to(20).await?;
    stage.wait_until_stored(&producer).await?;
    stage.aws.dynamodb.delete_table().table_name(TABLE).send().await?;
    producer.send_up_to(60).await?;
    stage.wait_until_stored(&producer).await?;
    stage.wait_until_held(&worker, 2).await?;
    ensure!(worker.ended()?.is_none(), "{}", worker.log()?);
    wait::until("positions behind every record", SOON, async || {
        let leases = leases::read(&stage.aws.dynamodb, TABLE).await?;
        let late = producer.sent.values().filter(|sent| {
            !leases.get(&sent.shard).is_some_and(|lease| lease.covers(&sent.sequence))
        });
        let late = late.count();
        ensure!(late == 0, "{late} records are not behind a checkpoint: {leases:?}");
        Ok(Some(()))
    })
    .await?;
    ensure!(worker.log()?.contains(TABLE), "the table is not named: {}", worker.log()?);
    let ready = worker.get("/ready").await?;
    ensure!(ready.status == 200, "{ready:?}");
    Ok(())
}

async fn throttle(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 2).await?;
    let config = stage.config().with("admin.patience", "2s");
    let worker = stage.start("worker", &config).await?;
    stage.wait_until_held(&worker, 2).await?;
    stage.faults.add(Rule::of("UpdateItem", Fault::Throttle));
    stage.wait_until_held(&worker, 0).await?;
    wait::until("/ready to name the table", SOON, async || {
        let answer = worker.get("/ready").await?;
        ensure!(answer.status == 503 && answer.body.contains(TABLE), "{answer:?}");
        Ok(Some(()))
    })
    .await?;
    stage.faults.clear();
    stage.wait_until_held(&worker, 2).await?;
    let mut producer = stage.producer();
    producer.send_up_to(20).await?;
    stage.wait_until_stored(&producer).await
}

/// Two workers of three shards each. One shard's iterators are refused, those in use expire.
async fn forbid_a_shard(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 6).await?;
    let config = stage.config();
    let mut workers = [stage.start("one", &config).await?, stage.start("two", &config).await?];
    for worker in &workers {
        stage.wait_until_held(worker, 3).await?;
    }
    let mut producer = stage.producer();
    producer.send_up_to(200).await?;
    stage.wait_until_stored(&producer).await?;
    let forbidden = producer.sent.values().next().context("something was sent")?.shard.clone();
    let expired = Fault::Refuse(400, "ExpiredIteratorException", "iterator expired");
    stage.faults.add(Rule::of("GetShardIterator", Fault::DENIED).containing(&forbidden));
    stage.faults.add(Rule::of("GetRecords", expired).containing(&forbidden).times(3));
    // It was given back by one worker and taken by the other, or again, and refused each time.
    wait::until("the shard to be refused repeatedly", SOON * 2, async || {
        let refused = stage.faults.count("GetShardIterator").harmed;
        ensure!(refused >= 3, "refused {refused} times");
        Ok(Some(()))
    })
    .await?;
    let before = producer.sent.len() as u32;
    producer.send_up_to(before + 200).await?;
    wait::until("every event of the other shards", SOON, async || {
        let bucket = tests::arrivals::in_bucket(&stage.aws.s3, crate::stage::BUCKET).await?;
        let found = bucket.arrivals;
        let missing = producer.sent.iter().filter(|(_, sent)| sent.shard != forbidden);
        let missing = missing
            .filter(|(id, _)| !found.enriched.contains_key(*id) && !found.bad.contains_key(*id));
        let missing = missing.count();
        ensure!(missing == 0, "{missing} are missing");
        Ok(Some(()))
    })
    .await?;
    for worker in &mut workers {
        ensure!(worker.ended()?.is_none(), "{} ended: {}", worker.name, worker.log()?);
    }
    let told = workers.iter().map(Worker::log).collect::<Result<String>>()?;
    ensure!(told.contains(&forbidden) && told.contains("GetShardIterator"), "{told}");
    stage.faults.clear();
    stage.wait_until_stored(&producer).await
}

async fn run_out_of_grace(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 2).await?;
    let config = stage.config().with("worker.grace", "2s");
    let mut worker = stage.start("worker", &config).await?;
    stage.wait_until_held(&worker, 2).await?;
    stage.faults.add(Rule::of("PutObject", Fault::Hang));
    let mut producer = stage.producer();
    producer.send_up_to(40).await?;
    wait::until("a write that hangs", SOON, async || {
        let asked = stage.faults.count("PutObject").harmed;
        Ok((asked > 0).then_some(()))
    })
    .await?;
    let status = worker.terminate(SOON).await?;
    ensure!(status.code() == Some(GRACE_RAN_OUT), "{status}: {}", worker.log()?);
    let leases = leases::read(&stage.aws.dynamodb, TABLE).await?;
    ensure!(leases.values().all(|lease| lease.owner.is_none()), "{leases:?}");
    stage.faults.clear();
    let _next = stage.start("next", &stage.config()).await?;
    stage.wait_until_stored(&producer).await
}

async fn hang_up(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    let config = stage.config().with("enriched.s3.object_age", "60s");
    let mut worker = stage.start("worker", &config).await?;
    stage.wait_until_held(&worker, 1).await?;
    let mut producer = stage.producer();
    producer.send_up_to(20).await?;
    wait::until("records to be read", SOON, async || {
        let read = worker.metric("snowmelt_records_total").await?;
        Ok((read > 0.0).then_some(()))
    })
    .await?;
    worker.signal("HUP")?;
    let status = worker.end(Duration::from_secs(30)).await?;
    ensure!(status.success(), "{status}: {}", worker.log()?);
    let leases = leases::read(&stage.aws.dynamodb, TABLE).await?;
    ensure!(leases.values().all(|lease| lease.owner.is_none()), "{leases:?}");
    let _next = stage.start("next", &stage.config()).await?;
    stage.wait_until_stored(&producer).await
}
