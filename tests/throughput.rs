//! What a worker does against a stream of another process: how long a record takes from its arrival
//! until its line is downstream, and how fast a worker catches up. Figures for BENCHMARKS.md, which
//! no test asserts:
//! `cargo test --workspace --test throughput -- --ignored --nocapture --test-threads=1`.

#![allow(clippy::print_stdout, reason = "figures are printed")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_sdk_kinesis::types::{Record, ShardIteratorType};
use tests::emulators::{self, Emulators, REGION};
use tests::traffic::{Expected, Producer};
use tests::workers::{self, Worker};
use tests::{admin, scratch, wait};

const PAYLOADS: &str = "payloads";
const ENRICHED: &str = "enriched";
const BAD: &str = "bad";
const SHARDS: i32 = 4;
const SOON: Duration = Duration::from_secs(120);

/// Events a second, and for how many seconds.
const RATE: u32 = 1_000;
const SECONDS: u32 = 30;
const TICKS_A_SECOND: u32 = 20;

/// What a worker that starts has before it.
const BACKLOG: usize = 200_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "figures"]
async fn from_arrival_to_downstream() -> Result<()> {
    for (name, source) in [
        ("polling, the defaults", ""),
        ("polling every 250 ms", "poll_interval = \"250ms\"\nbatch_age = \"250ms\""),
        ("subscriptions", "mode = \"fan_out\""),
    ] {
        scratch::run(async |scratch| arrive(scratch, name, source).await).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "figures"]
async fn catching_up() -> Result<()> {
    for (name, source) in [("polling", ""), ("subscriptions", "mode = \"fan_out\"")] {
        scratch::run(async |scratch| catch_up(scratch, name, source).await).await?;
    }
    Ok(())
}

async fn arrive(scratch: &Path, name: &str, source: &str) -> Result<()> {
    let aws = streams(scratch).await?;
    let mut worker = start(&aws, scratch, source).await?;
    let mut producer = Producer::new(&aws.kinesis, PAYLOADS);
    producer.send_up_to(RATE).await?;
    all_downstream(&aws, &producer).await?;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / TICKS_A_SECOND);
    for tick in 1..=SECONDS * TICKS_A_SECOND {
        ticks.tick().await;
        producer.send_up_to(RATE + tick * RATE / TICKS_A_SECOND).await?;
    }
    let downstream = all_downstream(&aws, &producer).await?;
    let mut arrived = BTreeMap::new();
    for (shard, record) in records(&aws.kinesis, PAYLOADS).await? {
        arrived.insert((shard, record.sequence_number().to_owned()), at_ms(&record)?);
    }
    let mut took = Vec::new();
    for id in producer.ids(Expected::Enriched) {
        let sent = &producer.sent[id];
        let came = arrived.get(&(sent.shard.clone(), sent.sequence.clone()));
        took.push(downstream[id] - came.context("a record that is not in the stream")?);
    }
    took.sort_unstable();
    let part = |share: usize| took[(took.len() - 1) * share / 100];
    println!(
        "{name}: {} events at {RATE} a second; arrival to downstream p50 {} ms, p90 {} ms, \
         p99 {} ms, at most {} ms",
        took.len(),
        part(50),
        part(90),
        part(99),
        part(100),
    );
    let status = worker.terminate(SOON).await?;
    ensure!(status.success(), "{status}: {}", worker.log()?);
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
    let bytes: usize = all.iter().map(|(_, record)| record.data().as_ref().len()).sum();

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

/// When each event came downstream, once all have.
async fn all_downstream(aws: &Emulators, producer: &Producer) -> Result<BTreeMap<String, i64>> {
    wait::until("every event downstream", SOON, async || {
        let mut came = BTreeMap::new();
        for (_, record) in records(&aws.kinesis, ENRICHED).await? {
            let line = std::str::from_utf8(record.data().as_ref())?;
            let id = line.split('\t').nth(6).context("no event id")?;
            came.insert(id.to_owned(), at_ms(&record)?);
        }
        let missing = producer.ids(Expected::Enriched).filter(|id| !came.contains_key(*id));
        let missing = missing.count();
        ensure!(missing == 0, "{missing} events missing");
        Ok(Some(came))
    })
    .await
}

/// All records of a stream, each with its shard.
async fn records(kinesis: &aws_sdk_kinesis::Client, stream: &str) -> Result<Vec<(String, Record)>> {
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
            let shard = shard.shard_id().to_owned();
            all.extend(answer.records.into_iter().map(|record| (shard.clone(), record)));
        }
    }
    Ok(all)
}

fn at_ms(record: &Record) -> Result<i64> {
    let time = record.approximate_arrival_timestamp().context("a record without a time")?;
    Ok(time.to_millis()?)
}
