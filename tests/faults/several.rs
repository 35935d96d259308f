//! Several streams in one worker, one of them by its ARN: all are read, their leases are the KCL's,
//! and those of a stream that is no longer read are left alone.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::faults::{Fault, Rule};
use tests::traffic::Producer;
use tests::workers::Worker;
use tests::{arrivals, leases, scratch, wait};

use crate::stage::{BUCKET, PAYLOADS, SOON, Stage, TABLE};

const MORE: &str = "more";
const EVENTS: u32 = 40;

#[tokio::test(flavor = "multi_thread")]
async fn one_worker_reads_several_streams() -> Result<()> {
    scratch::run(async |scratch| read_both(scratch).await).await
}

/// The emulator knows streams by their names only.
fn by_name(request: &mut Value) {
    let Some(fields) = request.as_object_mut() else { return };
    let Some(Value::String(arn)) = fields.remove("StreamARN") else { return };
    if !fields.contains_key("ShardIterator") {
        let name = arn.rsplit('/').next().unwrap_or_default();
        fields.insert("StreamName".to_owned(), json!(name));
    }
}

async fn read_both(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 2).await?;
    stage.aws.create_stream(MORE, 1).await?;
    for action in ["ListShards", "DescribeStreamSummary", "GetShardIterator", "GetRecords"] {
        stage.faults.add(Rule::of(action, Fault::Ask(by_name)));
    }
    let described = stage.aws.kinesis.describe_stream_summary().stream_name(MORE).send().await?;
    let arn = described.stream_description_summary.context("a summary")?.stream_arn;
    let input = |stream: &str| {
        toml::Value::from(toml::Table::from_iter([("stream".to_owned(), stream.into())]))
    };
    let config = stage.config().without("source.stream");
    let both = config.clone().with("source.streams", vec![input(PAYLOADS), input(&arn)]);
    let mut first = stage.start("first", &both).await?;
    stage.wait_until_held(&first, 3).await?;
    let (mut one, mut other) = (stage.producer(), Producer::new(&stage.aws.kinesis, MORE));
    one.send_up_to(EVENTS).await?;
    other.send_up_to(EVENTS).await?;
    // Both have the same events.
    wait_until_stored(&stage, EVENTS, 2).await?;
    let status = first.terminate(SOON).await?;
    ensure!(status.success(), "{status}: {}", first.log()?);

    let found = leases::read(&stage.aws.dynamodb, TABLE).await?;
    ensure!(found.len() == 3, "{found:?}");
    for key in found.keys() {
        let parts: Vec<&str> = key.split(':').collect();
        ensure!(
            matches!(parts[..], [_, PAYLOADS | MORE, _, shard] if shard.starts_with("shardId-"))
        );
    }
    let streams = leases::attribute(&stage.aws.dynamodb, TABLE, "streamName").await?;
    ensure!(streams.len() == 3, "{streams:?}");

    let alone = config.with("source.streams", vec![input(PAYLOADS)]);
    let second = stage.start("second", &alone).await?;
    stage.wait_until_held(&second, 2).await?;
    one.send_up_to(EVENTS * 2).await?;
    wait_until_stored(&stage, EVENTS * 2, 1).await?;
    let found = leases::read(&stage.aws.dynamodb, TABLE).await?;
    let left = found.iter().find(|(key, _)| key.contains(":more:")).context("it is there")?;
    ensure!(left.1.owner.is_none(), "{left:?}");
    wait_for_foreign(&second, 1).await
}

async fn wait_until_stored(stage: &Stage<'_>, events: u32, times: u32) -> Result<()> {
    wait::until("every event of every stream", SOON, async || {
        let found = arrivals::in_bucket(&stage.aws.s3, BUCKET).await?.arrivals;
        let all = found.enriched.values().chain(found.bad.values());
        let enough = all.filter(|count| **count >= times).count();
        ensure!(enough >= events as usize, "{enough} of {events}");
        Ok(Some(()))
    })
    .await
}

async fn wait_for_foreign(worker: &Worker, count: usize) -> Result<()> {
    wait::until("a lease that is left alone", SOON, async || {
        let page = worker.get("/metrics").await?.body;
        let line = format!("snowmelt_leases{{state=\"foreign\"}} {count}");
        Ok(page.lines().any(|found| found == line).then_some(()))
    })
    .await
}
