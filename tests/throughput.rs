//! How fast a worker catches up with a stream of another process, and how fast a reader does that
//! does nothing else. Figures for BENCHMARKS.md, which no test asserts:
//! `cargo test --workspace --test throughput -- --ignored --nocapture --test-threads=1`.

#![allow(clippy::print_stdout, reason = "figures are printed")]

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_sdk_kinesis::types::{Record, ShardIteratorType};
use tests::emulators::{self, Emulators, REGION};
use tests::workers::{self, Worker};
use tests::{admin, scratch, wait};

const PAYLOADS: &str = "payloads";
const ENRICHED: &str = "enriched";
const BAD: &str = "bad";
const SHARDS: i32 = 4;
const SOON: Duration = Duration::from_secs(120);

/// What a worker that starts has before it.
const BACKLOG: usize = 200_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; figures for BENCHMARKS.md"]
async fn catching_up() -> Result<()> {
    for (name, source) in [("polling", ""), ("subscriptions", "mode = \"fan_out\"")] {
        scratch::run(async |scratch| catch_up(scratch, name, source).await).await?;
    }
    Ok(())
}

async fn catch_up(scratch: &Path, name: &str, source: &str) -> Result<()> {
    let aws = streams(scratch).await?;
    let mut generate = workers::snowmelt()?;
    generate.args(["generate", "--to=kinesis", "--stream", PAYLOADS, "--region", REGION]).args([
        "--endpoint-url",
        &aws.kinesis_url,
        "--events",
        &BACKLOG.to_string(),
    ]);
    let made = tokio::task::spawn_blocking(move || generate.output()).await??;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let began = std::time::Instant::now();
    let all = records(&aws.kinesis, PAYLOADS).await?;
    let reading = began.elapsed();
    let bytes: usize = all.iter().map(|record| record.data().as_ref().len()).sum();

    let mut worker = start(&aws, scratch, source).await?;
    let done = |metrics: &str| {
        ["snowmelt_events_enriched_total", "snowmelt_bad_rows_total"]
            .iter()
            .map(|name| admin::metric(metrics, name).unwrap_or_default())
            .sum::<f64>()
    };
    let mut began = None;
    let took = wait::until("the backlog to be worked", SOON * 5, async || {
        let metrics = worker.get("/metrics").await?.body;
        let read = admin::metric(&metrics, "snowmelt_records_total").unwrap_or_default();
        if read > 0.0 && began.is_none() {
            began = Some(std::time::Instant::now());
        }
        ensure!(read >= all.len() as f64, "{read} of {}", all.len());
        Ok(began.map(|began| began.elapsed()))
    })
    .await?;
    let metrics = worker.get("/metrics").await?.body;
    let cpu = admin::metric(&metrics, "process_cpu_seconds_total").context("no CPU seconds")?;
    let status = worker.terminate(SOON).await?;
    ensure!(status.success(), "{status}: {}", worker.log()?);
    let mb = |took: Duration| bytes as f64 / 1e6 / took.as_secs_f64();
    println!(
        "{name}: {} records, {:.1} MB, {:.0} events; a reader that does nothing else {:.1} MB/s; \
         the worker {:.1} MB/s, {:.0} events a second, {:.2} CPU seconds of {:.2} s",
        all.len(),
        bytes as f64 / 1e6,
        done(&metrics),
        mb(reading),
        mb(took),
        done(&metrics) / took.as_secs_f64(),
        cpu,
        took.as_secs_f64(),
    );
    Ok(())
}

async fn streams(scratch: &Path) -> Result<Emulators> {
    let aws = Emulators::start(scratch).await?;
    aws.create_stream(PAYLOADS, SHARDS).await?;
    aws.create_stream(ENRICHED, SHARDS).await?;
    aws.create_stream(BAD, 1).await?;
    Ok(aws)
}

async fn start(aws: &Emulators, scratch: &Path, source: &str) -> Result<Worker> {
    let admin = emulators::free_address()?;
    let Emulators { kinesis_url, dynamodb_url, .. } = aws;
    let config = format!(
        r#"
        [aws]
        region = "{REGION}"
        kinesis_endpoint_url = "{kinesis_url}"
        dynamodb_endpoint_url = "{dynamodb_url}"
        [source]
        stream = "{PAYLOADS}"
        {source}
        [leases]
        table = "leases"
        [enriched.kinesis]
        stream = "{ENRICHED}"
        [bad.kinesis]
        stream = "{BAD}"
        [admin]
        listen = "{admin}"
        "#
    );
    Worker::start("worker", admin, &config, scratch).await
}

/// All records of a stream.
async fn records(kinesis: &aws_sdk_kinesis::Client, stream: &str) -> Result<Vec<Record>> {
    let mut all = Vec::new();
    let shards = kinesis.list_shards().stream_name(stream).send().await?;
    for shard in shards.shards() {
        let iterator = kinesis
            .get_shard_iterator()
            .stream_name(stream)
            .shard_id(shard.shard_id())
            .shard_iterator_type(ShardIteratorType::TrimHorizon);
        let mut next = iterator.send().await?.shard_iterator;
        while let Some(iterator) = next.take() {
            let answer = kinesis.get_records().shard_iterator(iterator).send().await?;
            if !answer.records.is_empty() {
                next = answer.next_shard_iterator;
            }
            all.extend(answer.records);
        }
    }
    Ok(all)
}
