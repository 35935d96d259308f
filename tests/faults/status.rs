//! What a fleet tells of itself: `/status`, its page, and `snowmelt top`.

use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::faults::{Fault, Rule};
use tests::workers::{self, Worker};
use tests::{admin, scratch, wait};

use crate::stage::{SOON, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_tells_its_shards_and_whom_it_waits_for() -> Result<()> {
    scratch::run(async |scratch| look_at_a_fleet(scratch).await).await
}

async fn look_at_a_fleet(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 4).await?;
    let one = stage.start("one", &stage.config()).await?;
    let mut two = stage.start("two", &stage.config()).await?;
    let mut producer = stage.producer();
    producer.send_up_to(100).await?;
    stage.wait_until_stored(&producer).await?;
    wait::until("two shards each, known to both", SOON, async || {
        for worker in [&one, &two] {
            let status = status(worker).await?;
            let shards = status["shards"].as_array().context("a list")?;
            ensure!(shards.len() == 4, "{shards:?}");
            let here = shards.iter().filter(|shard| shard["here"] == true).count();
            ensure!(here == 2, "{here} are here");
            let owned = shards.iter().filter(|shard| shard["owner"].is_string()).count();
            ensure!(owned == 4, "{shards:?}");
        }
        Ok(Some(()))
    })
    .await?;
    // Whoever was first may have written all there was: with two shards each, both have a part.
    producer.send_up_to(200).await?;
    stage.wait_until_stored(&producer).await?;
    let told = status(&one).await?;
    ensure!(told["stream"] == "payloads" && told["ready"] == true, "{told}");
    let places = told["destinations"].as_array().context("a list")?;
    let to = |place: &str| places.iter().any(|it| it["to"].as_str() == Some(place));
    ensure!(to("stream enriched") && to("s3://events/bad"), "{places:?}");
    let services = told["services"].as_array().context("a list")?;
    let stream = services.iter().find(|it| it["what"] == "stream enriched for enriched");
    ensure!(stream.is_some_and(|it| it["succeeded_ms"].is_i64()), "{services:?}");

    let sent = admin::browse(one.admin, "/status").await?;
    ensure!(sent.status == 303 && sent.head.contains("location: /\r\n"), "{sent:?}");
    let page = admin::browse(one.admin, "/").await?;
    ensure!(page.body.contains("<title>Worker"), "{page:?}");
    ensure!(page.head.contains("content-security-policy: default-src 'none'"), "{page:?}");

    let shown = top(&[&one, &two])?;
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    ensure!(shown.status.success(), "{text}");
    ensure!(text.contains("2 of 2 workers answer") && text.contains("4 of 4 shards"), "{text}");

    stage.faults.add(Rule::of("PutRecords", Fault::BROKEN));
    producer.send_up_to(300).await?;
    wait::until("the stream to be what limits", SOON, async || {
        let told = status(&one).await?;
        let why = told["limit"]["why"].as_str().unwrap_or_default().to_owned();
        ensure!(told["limit"]["stage"] == "destination", "{}", told["limit"]);
        ensure!(why.contains("stream enriched"), "{why}");
        let services = told["services"].as_array().context("a list")?;
        let error = services.iter().filter_map(|it| it["error"].as_str());
        ensure!(error.clone().any(|it| it.contains("InternalFailure")), "{services:?}");
        Ok(Some(()))
    })
    .await?;
    stage.faults.clear();
    stage.wait_until_stored(&producer).await?;

    two.kill()?;
    let shown = top(&[&one, &two])?;
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    ensure!(shown.status.code() == Some(69), "{:?}: {text}", shown.status);
    ensure!(text.contains("1 of 2 workers answer"), "{text}");
    Ok(())
}

async fn status(worker: &Worker) -> Result<Value> {
    let answer = worker.get("/status").await?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(serde_json::from_str(&answer.body)?)
}

fn top(fleet: &[&Worker]) -> Result<Output> {
    let mut command = workers::snowmelt()?;
    command.args(["top", "--once"]);
    command.args(fleet.iter().map(|worker| worker.admin.to_string()));
    Ok(command.output()?)
}
