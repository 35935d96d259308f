//! How fast a worker catches up with a stream of another process, and how fast a reader does that
//! does nothing else; and how long an event takes through a worker that keeps up. Figures for
//! BENCHMARKS.md, which no test asserts:
//! `cargo test --workspace --test throughput -- --ignored --nocapture --test-threads=1`.

#![allow(clippy::print_stdout, reason = "figures are printed")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Record, ShardIteratorType};
use tests::arrivals::Arrivals;
use tests::emulators::{self, Emulators, REGION};
use tests::traffic::{self, Expected, Producer};
use tests::workers::{self, Worker};
use tests::{admin, scratch, wait};
use tokio::task::JoinSet;

const PAYLOADS: &str = "payloads";
const ENRICHED: &str = "enriched";
const BAD: &str = "bad";
const SHARDS: i32 = 4;
const SOON: Duration = Duration::from_secs(120);

/// So many events are sent at once, so often, and so many times.
const PER_TICK: u32 = 50;
const TICK: Duration = Duration::from_millis(50);
const PARTS: u32 = 600;

/// How often a reader looks that has seen everything.
const LOOK: Duration = Duration::from_millis(10);

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
    let began = Instant::now();
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
            began = Some(Instant::now());
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

/// From when an event is sent until a reader of the stream that the worker writes to has it, at a
/// thousand events a second. Both times are this process's own.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; figures for BENCHMARKS.md"]
async fn latency() -> Result<()> {
    for (name, source) in [
        ("polling, as it is set", ""),
        ("polling every 250 ms", "poll_interval = \"250ms\""),
        ("subscriptions", "mode = \"fan_out\""),
    ] {
        scratch::run(async |scratch| delays(scratch, name, source).await).await?;
    }
    Ok(())
}

async fn delays(scratch: &Path, name: &str, source: &str) -> Result<()> {
    let aws = streams(scratch).await?;
    let mut worker = start(&aws, scratch, source).await?;
    wait::until("the leases", SOON, async || {
        let held = format!("snowmelt_leases{{state=\"held\"}} {SHARDS}\n");
        Ok(worker.get("/metrics").await?.body.contains(&held).then_some(()))
    })
    .await?;
    let seen = Arc::new(Mutex::new(HashMap::new()));
    let mut readers = JoinSet::new();
    for shard in aws.kinesis.list_shards().stream_name(ENRICHED).send().await?.shards() {
        let (kinesis, seen) = (aws.kinesis.clone(), Arc::clone(&seen));
        let shard = shard.shard_id().to_owned();
        readers.spawn(async move { follow(&kinesis, &shard, &seen).await });
    }
    let mut producer = Producer::new(&aws.kinesis, PAYLOADS);
    let mut sent = HashMap::new();
    let mut tick = tokio::time::interval(TICK);
    for part in 1..=PARTS {
        tick.tick().await;
        let at = Instant::now();
        producer.send_up_to(part * PER_TICK).await?;
        for number in (part - 1) * PER_TICK..part * PER_TICK {
            sent.insert(traffic::event_id(number), at);
        }
    }
    let expected: Vec<String> = producer.ids(Expected::Enriched).cloned().collect();
    wait::until("the last event", SOON, async || {
        let seen = seen.lock().expect("no reader panics with it").len();
        Ok((seen >= expected.len()).then_some(()))
    })
    .await?;
    readers.shutdown().await;
    let status = worker.terminate(SOON).await?;
    ensure!(status.success(), "{status}: {}", worker.log()?);
    let seen = seen.lock().expect("no reader panics with it");
    let mut delays: Vec<Duration> =
        expected.iter().map(|id| seen[id].saturating_duration_since(sent[id])).collect();
    delays.sort();
    let ms = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize].as_millis();
    println!(
        "{name}: {} events at {} a second: p50 {} ms, p99 {} ms, longest {} ms",
        delays.len(),
        PER_TICK * 1000 / TICK.as_millis() as u32,
        ms(0.5),
        ms(0.99),
        ms(1.0),
    );
    Ok(())
}

/// Notes when events come to a shard of the stream that the worker writes to.
async fn follow(
    kinesis: &aws_sdk_kinesis::Client,
    shard: &str,
    seen: &Mutex<HashMap<String, Instant>>,
) -> Result<()> {
    let iterator = kinesis
        .get_shard_iterator()
        .stream_name(ENRICHED)
        .shard_id(shard)
        .shard_iterator_type(ShardIteratorType::TrimHorizon);
    let mut next = iterator.send().await?.shard_iterator;
    while let Some(iterator) = next.take() {
        let answer = kinesis.get_records().shard_iterator(iterator).send().await?;
        let at = Instant::now();
        let empty = answer.records.is_empty();
        let mut arrivals = Arrivals::default();
        for record in answer.records {
            arrivals.count(std::str::from_utf8(record.data().as_ref())?)?;
        }
        {
            let mut seen = seen.lock().expect("no reader panics with it");
            for id in arrivals.enriched.into_keys() {
                seen.entry(id).or_insert(at);
            }
        }
        next = answer.next_shard_iterator;
        if empty {
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(())
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

/// How large the files of tables become that a worker fills at a thousand events a second in
/// [`MINUTES`], and what the worker takes for that. The events are synthetic, or those of the file
/// that `SNOWMELT_PAYLOADS` names.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a quarter of an hour; figures for BENCHMARKS.md"]
async fn files_of_tables() -> Result<()> {
    scratch::run(async |scratch: &Path| {
        let pace = "object_age = \"5m\", commit_every = \"1m\"";
        let (aws, mut worker) = fill(scratch, pace).await?;
        match std::env::var_os("SNOWMELT_PAYLOADS") {
            Some(file) => send(&aws, Path::new(&file)).await?,
            None => Generating::start(&aws, MINUTES * 60_000, 1_000)?.done().await?,
        }
        let metrics = worker.get("/metrics").await?.body;
        for name in ["process_cpu_seconds_total", "process_resident_memory_bytes"] {
            println!("{name}: {}", admin::metric(&metrics, name).unwrap_or_default());
        }
        let status = worker.terminate(SOON).await?;
        ensure!(status.success(), "{status}: {}", worker.log()?);
        for table in ["events", "bad"] {
            let folder = scratch.join("lake/snowmelt").join(table).join("data");
            let mut sizes = Vec::new();
            // A table without rows has no folder.
            for day in std::fs::read_dir(folder).into_iter().flatten() {
                for file in std::fs::read_dir(day?.path())? {
                    sizes.push(file?.metadata()?.len() as f64 / 1e6);
                }
            }
            sizes.sort_by(f64::total_cmp);
            println!("{table}: {} files, in MB: {sizes:.1?}", sizes.len());
        }
        Ok(())
    })
    .await
}

/// How long rounds of commits take on the catalog in a file, from the first to the thousandth.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; figures for BENCHMARKS.md"]
async fn commits() -> Result<()> {
    const COMMITS: usize = 1_000;
    scratch::run(async |scratch: &Path| {
        let pace = "object_age = \"100ms\", commit_every = \"100ms\"";
        let (aws, mut worker) = fill(scratch, pace).await?;
        let _sending = Generating::start(&aws, 2_000_000, 300)?;
        let took = wait::until("a thousand commits", SOON * 10, async || {
            let log = worker.log()?;
            let rounds = |line: &&str| line.contains("committed") && line.contains("events");
            let took = log.lines().filter(rounds);
            let took: Vec<u64> = took.filter_map(took_ms).collect();
            Ok((took.len() >= COMMITS).then_some(took))
        })
        .await?;
        for (name, part) in [
            ("first hundred", &took[..100]),
            ("last hundred", &took[COMMITS - 100..COMMITS]),
            ("all", &took[..COMMITS]),
        ] {
            let mut part = part.to_vec();
            part.sort_unstable();
            let at = |share: f64| part[((part.len() - 1) as f64 * share) as usize];
            println!("{name}: p50 {} ms, p99 {} ms, most {} ms", at(0.5), at(0.99), at(1.0));
        }
        worker.kill()
    })
    .await
}

/// Payloads of a request, and how often one is made: some thousand events a second, where three
/// events come in two payloads.
const PAYLOADS_AT_ONCE: usize = 160;
const EVERY: Duration = Duration::from_millis(250);

/// Puts the payloads of a file, each behind its length, into the stream, over and over.
async fn send(aws: &Emulators, file: &Path) -> Result<()> {
    let bytes = zstd::decode_all(std::fs::File::open(file)?)?;
    let (mut rest, mut payloads) = (&bytes[..], Vec::new());
    while let Some((length, more)) = rest.split_first_chunk::<4>() {
        let (payload, more) = more.split_at(u32::from_be_bytes(*length) as usize);
        payloads.push(payload.to_vec());
        rest = more;
    }
    let mut ticks = tokio::time::interval(EVERY);
    let mut next = payloads.iter().cycle();
    let until = Instant::now() + Duration::from_secs(u64::from(MINUTES) * 60);
    while Instant::now() < until {
        ticks.tick().await;
        let mut put = aws.kinesis.put_records().stream_name(PAYLOADS);
        for payload in next.by_ref().take(PAYLOADS_AT_ONCE) {
            let entry = PutRecordsRequestEntry::builder().partition_key("key");
            put = put.records(entry.data(Blob::new(payload.clone())).build()?);
        }
        put.send().await?;
    }
    Ok(())
}

/// How long events are sent for.
const MINUTES: u32 = 11;

/// The milliseconds that a line of the log tells of.
fn took_ms(line: &str) -> Option<u64> {
    let rest = line.split("took_ms").nth(1)?.trim_start_matches(['"', ':', '=', ' ']);
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// A worker of one shard that fills tables in a folder.
async fn fill(scratch: &Path, pace: &str) -> Result<(Emulators, Worker)> {
    let aws = Emulators::start(scratch).await?;
    aws.create_stream(PAYLOADS, 1).await?;
    let admin = emulators::free_address()?;
    let Emulators { kinesis_url, dynamodb_url, .. } = &aws;
    let iceberg = format!("iceberg = {{ folder = {:?}, {pace} }}", scratch.join("lake"));
    let config = format!(
        r#"
        [worker]
        bytes_in_flight = "1GiB"
        [aws]
        region = "{REGION}"
        kinesis_endpoint_url = "{kinesis_url}"
        dynamodb_endpoint_url = "{dynamodb_url}"
        [source]
        stream = "{PAYLOADS}"
        [leases]
        table = "leases"
        [[enriched.to]]
        name = "lake"
        {iceberg}
        [[bad.to]]
        name = "lake"
        {iceberg}
        [admin]
        listen = "{admin}"
        [log]
        level = "debug"
        "#
    );
    let worker = Worker::start("worker", admin, &config, scratch).await?;
    Ok((aws, worker))
}

/// Puts synthetic events into the stream, so many a second; ends when this is dropped.
struct Generating(std::process::Child);

impl Generating {
    fn start(aws: &Emulators, events: u32, rate: u32) -> Result<Generating> {
        let mut generate = workers::snowmelt()?;
        generate.args(["generate", "--to=kinesis", "--stream", PAYLOADS, "--region", REGION]).args(
            [
                "--quiet",
                "--endpoint-url",
                &aws.kinesis_url,
                "--events",
                &events.to_string(),
                "--rate",
                &rate.to_string(),
            ],
        );
        Ok(Generating(generate.stdout(std::process::Stdio::null()).spawn()?))
    }

    async fn done(&mut self) -> Result<()> {
        let status =
            wait::until("all events to be sent", SOON * 10, async || Ok(self.0.try_wait()?));
        let status = status.await?;
        ensure!(status.success(), "{status}");
        Ok(())
    }
}

impl Drop for Generating {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}
