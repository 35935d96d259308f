//! What fails and comes back: requests and lines do not grow while it is away, and nothing is lost.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tests::faults::{Fault, Rule};
use tests::{arrivals, scratch, wait};

use crate::stage::{BUCKET, SOON, Stage};

/// Batches that wait for the stream when requests are counted. Each of them asking by itself would
/// make several times as many.
const BATCHES: u64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_fails_gets_one_request_at_a_time() -> Result<()> {
    scratch::run(async |scratch| fail_downstream(scratch).await).await
}

/// However many batches wait, together they send one probe after the other.
async fn fail_downstream(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 4).await?;
    let worker = stage.start("worker", &stage.config()).await?;
    stage.wait_until_held(&worker, 4).await?;
    stage.faults.add(Rule::of("PutRecords", Fault::BROKEN));
    stage.faults.forget();
    let before = worker.metric("snowmelt_batches_read_total").await?;
    let mut producer = stage.producer();
    let mut sent = 0;
    wait::until("batches that wait", SOON * 2, async || {
        sent += 8;
        producer.send_up_to(sent).await?;
        let read = worker.metric("snowmelt_batches_read_total").await? - before;
        Ok((read >= BATCHES as f64).then_some(()))
    })
    .await?;
    let asked = stage.faults.count("PutRecords").requests;
    ensure!(asked < BATCHES / 2, "{asked} requests for {BATCHES} batches");
    let log = worker.log()?;
    let lines = log.lines().filter(|line| line.contains("PutRecords")).count();
    ensure!(lines <= 3, "{lines} lines: {log}");
    stage.faults.clear();
    stage.wait_until_stored(&producer).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_cannot_be_written_fails_nothing_and_is_written_later() -> Result<()> {
    scratch::run(async |scratch| refuse_manifests(scratch).await).await
}

async fn refuse_manifests(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    let denied = Rule::of("PutObject", Fault::DENIED_BY_S3).containing("/_manifests/");
    stage.faults.add(denied);
    let mut worker = stage.start("worker", &stage.config()).await?;
    stage.wait_until_held(&worker, 1).await?;
    let mut producer = stage.producer();
    for n in 1..=12 {
        producer.send_up_to(n * 20).await?;
        stage.wait_until_stored(&producer).await?;
    }
    ensure!(worker.ended()?.is_none(), "{}", worker.log()?);
    let lines = async || {
        let bucket = arrivals::in_bucket(&stage.aws.s3, BUCKET).await?;
        anyhow::Ok((bucket.lines, bucket.lines_in_manifests))
    };
    let (_, described) = lines().await?;
    ensure!(described == 0, "{described} lines are described by manifests that were refused");
    let ready = worker.get("/ready").await?;
    ensure!(ready.status == 200, "{ready:?}");
    stage.faults.clear();
    wait::until("all manifests", SOON, async || {
        let (all, described) = lines().await?;
        ensure!(all == described, "{described} of {all} lines");
        Ok(Some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_fails_is_a_reason_not_to_be_ready() -> Result<()> {
    scratch::run(async |scratch| fail_a_destination(scratch).await).await
}

async fn fail_a_destination(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    let config = stage.config().with("admin.patience", "2s");
    let worker = stage.start("worker", &config).await?;
    stage.wait_until_held(&worker, 1).await?;
    let ready = async |wanted: u16, words: &[&str]| {
        wait::until(&format!("/ready to say {wanted}"), SOON, async || {
            let answer = worker.get("/ready").await?;
            ensure!(answer.status == wanted, "{answer:?}");
            ensure!(words.iter().all(|word| answer.body.contains(word)), "{answer:?}");
            Ok(Some(()))
        })
        .await
    };
    ready(200, &[]).await?;
    let mut producer = stage.producer();
    for (action, fault, words) in [
        ("PutRecords", Fault::BROKEN, ["stream enriched", "500", "InternalFailure"]),
        ("PutObject", Fault::Throttle, ["bucket events", "503", "SlowDown"]),
        ("UpdateItem", Fault::BROKEN, ["table leases", "UpdateItem", "writing"]),
        ("Scan", Fault::BROKEN, ["table leases", "Scan", "reading"]),
        ("GetRecords", Fault::Throttle, ["stream payloads", "reading", "GetRecords"]),
        ("ListShards", Fault::BROKEN, ["stream payloads", "listing", "ListShards"]),
    ] {
        stage.faults.add(Rule::of(action, fault));
        let sent = producer.sent.len() as u32 + 20;
        producer.send_up_to(sent).await?;
        ready(503, &words).await.with_context(|| format!("{action} fails"))?;
        stage.faults.clear();
        ready(200, &[]).await?;
    }
    stage.wait_until_stored(&producer).await
}
