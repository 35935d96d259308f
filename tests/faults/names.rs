//! Objects of two routes never take each other's place, whatever names their routes have.

use std::path::Path;

use anyhow::{Result, ensure};
use tests::faults::{Fault, Rule};
use tests::traffic::Expected;
use tests::{arrivals, scratch, wait};

use crate::stage::{BUCKET, SOON, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn routes_with_one_prefix_lose_nothing() -> Result<()> {
    scratch::run(async |scratch| share_a_prefix(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_answer_was_lost_is_written_once() -> Result<()> {
    scratch::run(async |scratch| lose_answers(scratch).await).await
}

async fn share_a_prefix(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    let config = stage.config().with("enriched.s3.prefix", "out").with("bad.s3.prefix", "out");
    let mut worker = stage.start("worker", &config).await?;
    stage.wait_until_held(&worker, 1).await?;
    let mut producer = stage.producer();
    producer.send_up_to(60).await?;
    stage.wait_until_stored(&producer).await?;
    let names = stage.objects().await?;
    for route in ["enriched", "bad"] {
        ensure!(names.iter().any(|name| name.contains(route)), "no {route} in {names:?}");
    }
    let status = worker.terminate(SOON).await?;
    ensure!(status.success(), "{status}: {}", worker.log()?);
    Ok(())
}

async fn lose_answers(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    let worker = stage.start("worker", &stage.config()).await?;
    stage.wait_until_held(&worker, 1).await?;
    stage.faults.add(Rule::of("PutObject", Fault::LoseAnswer).times(4));
    let mut producer = stage.producer();
    producer.send_up_to(100).await?;
    stage.wait_until_stored(&producer).await?;
    wait::until("all answers to be lost", SOON, async || {
        Ok((stage.faults.count("PutObject").harmed == 4).then_some(()))
    })
    .await?;
    let found = arrivals::in_bucket(&stage.aws.s3, BUCKET).await?.arrivals;
    ensure!(found.duplicates().count() == 0, "{:?}", found.duplicates().next());
    ensure!(producer.ids(Expected::Bad).count() > 0, "both routes were used");
    Ok(())
}
