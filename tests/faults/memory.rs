//! Memory stays inside its bound however many shards lag, and catching up writes full objects.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use tests::faults::{Fault, Rule};
use tests::{arrivals, scratch, wait};

use crate::stage::{BUCKET, PAYLOADS, SOON, Stage};

/// What the configuration allows, and what `worker.toml` says the process needs beside it.
const BUDGET: u64 = 32 << 20;
const BESIDE: u64 = 200 << 20;

/// Twice the budget waits in the stream, in records that no compression makes smaller.
const RECORDS: usize = 640;
const RECORD_BYTES: usize = 100 << 10;
const RECORDS_PER_CALL: usize = 40;

/// AWS puts no more than 10 MB into one answer, and the emulator as much as it is asked for.
const PAGE_RECORDS: usize = (10 << 20) / RECORD_BYTES;

const OBJECT_BYTES: usize = 8 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn one_shard_that_lags_stays_in_the_bound() -> Result<()> {
    scratch::run(async |scratch| catch_up(scratch, 1).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_shards_that_lag_stay_in_the_bound() -> Result<()> {
    scratch::run(async |scratch| catch_up(scratch, 8).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_shards_that_lag_stay_in_the_bound() -> Result<()> {
    scratch::run(async |scratch| catch_up(scratch, 64).await).await
}

async fn catch_up(scratch: &Path, shards: i32) -> Result<()> {
    let stage = Stage::set(scratch, shards).await?;
    fill(&stage).await?;
    // A bucket that is slow enough for readers to be ahead of it.
    stage.faults.add(Rule::of("PutObject", Fault::Delay(Duration::from_millis(300))));
    stage.faults.add(Rule::of("GetRecords", Fault::Ask(no_large_page)));
    let config = stage.config();
    let config = config.with("worker.bytes_in_flight", "32MiB").with("leases.duration", "60s");
    let config = config.with("bad.s3.object_bytes", "8MiB").with("bad.s3.object_age", "1m");
    let mut worker = stage.start("worker", &config).await?;
    wait::until("every record to be read", SOON * 3, async || {
        let read = worker.metric("snowmelt_records_total").await?;
        ensure!(read >= RECORDS as f64, "{read} of {RECORDS}");
        Ok(Some(()))
    })
    .await?;
    let peak = worker.peak_memory()?;
    let status = worker.terminate(SOON).await?;
    ensure!(status.success(), "{status}: {}", worker.log()?);
    let bucket = arrivals::in_bucket(&stage.aws.s3, BUCKET).await?;
    ensure!(bucket.lines == RECORDS as u64, "{} of {RECORDS} lines", bucket.lines);
    let mib = |bytes: u64| bytes >> 20;
    println!("{shards} shards: {} MiB at most, {} objects", mib(peak), bucket.objects);
    ensure!(peak < BUDGET + BESIDE, "{} MiB are more than {}", mib(peak), mib(BUDGET + BESIDE));
    let full = RECORDS * RECORD_BYTES / OBJECT_BYTES;
    ensure!(bucket.objects <= full * 2, "{} objects, where {full} would do", bucket.objects);
    Ok(())
}

fn no_large_page(request: &mut serde_json::Value) {
    let limit = request["Limit"].as_u64().unwrap_or(u64::MAX);
    request["Limit"] = limit.min(PAGE_RECORDS as u64).into();
}

/// Records that are no collector payloads: each becomes a bad row that quotes it.
async fn fill(stage: &Stage<'_>) -> Result<()> {
    let mut chance = fastrand::Rng::with_seed(8);
    for _ in 0..RECORDS / RECORDS_PER_CALL {
        let mut request = stage.aws.kinesis.put_records().stream_name(PAYLOADS);
        for _ in 0..RECORDS_PER_CALL {
            let mut data = vec![0; RECORD_BYTES];
            chance.fill(&mut data);
            let entry = PutRecordsRequestEntry::builder().data(Blob::new(data));
            request = request.records(entry.partition_key(chance.u64(..).to_string()).build()?);
        }
        let answer = request.send().await?;
        ensure!(answer.failed_record_count() == Some(0), "the emulator refused records");
    }
    Ok(())
}
