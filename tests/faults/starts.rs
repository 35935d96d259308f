//! What nobody but an operator can mend is found at the start: before a lease is taken, by its
//! name, with an exit code of its own.

use std::path::Path;

use anyhow::{Result, ensure};
use tests::faults::{Api, Fault, Rule};
use tests::workers;
use tests::{arrivals, scratch, wait};

use crate::stage::{BUCKET, Config, ENRICHED, PAYLOADS, SOON, Stage, TABLE};

/// What is refused, or is not there.
const REFUSED: i32 = 77;

/// The configuration cannot be used.
const USAGE: i32 = 64;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_or_missing_ends_the_worker_before_it_reads() -> Result<()> {
    scratch::run(async |scratch| refuse(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_waited_for() -> Result<()> {
    scratch::run(async |scratch| start_in_an_outage(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_no_network_is_refused_with_64() -> Result<()> {
    scratch::run(async |scratch| mistakes(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_without_a_section_stay_where_their_bucket_allows() -> Result<()> {
    scratch::run(async |scratch| borrow_a_bucket(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_online_tells_all_that_is_refused() -> Result<()> {
    scratch::run(async |scratch| check_what_is_refused(scratch).await).await
}

async fn check_what_is_refused(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    stage.faults.add(Rule::of("PutRecords", Fault::DENIED));
    stage.faults.add(Rule::of("DescribeStreamSummary", Fault::DENIED).containing("enriched"));
    stage.faults.add(Rule::of("PutObject", Fault::DENIED_BY_S3));
    let refused = stage.check_online(&stage.config(), workers::snowmelt()?)?;
    let text = String::from_utf8_lossy(&refused.stdout).into_owned();
    ensure!(refused.status.code() == Some(77), "{refused:?}");
    for words in ["stream enriched for enriched", "bucket events for bad", "check --iam"] {
        ensure!(text.contains(words), "{words}: {text}");
    }
    stage.faults.clear();
    let fit = stage.check_online(&stage.config(), workers::snowmelt()?)?;
    ensure!(fit.status.success(), "{fit:?}");

    let mut command = workers::snowmelt()?;
    command.args(["check", "--iam", "--account", "123456789012", "--config"]);
    let printed = command.arg(scratch.join("checked.toml")).output()?;
    let policy: serde_json::Value = serde_json::from_slice(&printed.stdout)?;
    let text = policy.to_string();
    for resource in [":123456789012:stream/payloads", ":table/leases", ":s3:::events/bad/*"] {
        ensure!(text.contains(resource), "{resource}: {text}");
    }
    Ok(())
}

async fn ends_with(stage: &Stage<'_>, config: &Config, code: i32, words: &[&str]) -> Result<()> {
    let mut worker = stage.spawn("worker", config, None)?;
    let status = worker.end(SOON).await?;
    let log = worker.log()?;
    ensure!(status.code() == Some(code), "{status}, not {code}: {log}");
    for word in words {
        ensure!(log.contains(word), "no {word} in {log}");
    }
    Ok(())
}

async fn refuse(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    let mut producer = stage.producer();
    producer.send_up_to(20).await?;
    let good = stage.config();
    for (config, words) in [
        (good.clone().with("enriched.s3.bucket", "nowhere"), ["PutObject", "nowhere"]),
        (good.clone().with("bad.s3.bucket", "nowhere"), ["PutObject", "nowhere"]),
        (good.clone().with("source.stream", "nostream"), ["ListShards", "nostream"]),
        (good.clone().with("enriched.kinesis.stream", "nostream"), ["PutRecords", "nostream"]),
    ] {
        ends_with(&stage, &config, REFUSED, &words).await?;
    }
    for (action, fault, name) in [
        ("PutObject", Fault::DENIED_BY_S3, BUCKET),
        ("PutRecords", Fault::DENIED, ENRICHED),
        ("ListShards", Fault::DENIED, PAYLOADS),
        ("GetShardIterator", Fault::DENIED, PAYLOADS),
        ("GetRecords", Fault::DENIED, PAYLOADS),
        ("DescribeTable", Fault::DENIED, TABLE),
        ("Scan", Fault::DENIED, TABLE),
        ("PutItem", Fault::DENIED, TABLE),
        ("UpdateItem", Fault::DENIED, TABLE),
    ] {
        stage.faults.add(Rule::of(action, fault));
        ends_with(&stage, &good, REFUSED, &[action, name]).await?;
        stage.faults.clear();
    }
    let leases = tests::leases::read(&stage.aws.dynamodb, TABLE).await?;
    ensure!(leases.values().all(|lease| lease.owner.is_none()), "{leases:?}");
    let written = arrivals::in_streams(&stage.aws.kinesis, &[ENRICHED]).await?;
    ensure!(written.enriched.is_empty(), "{} events were written", written.enriched.len());
    let objects = stage.objects().await?;
    ensure!(objects.is_empty(), "{objects:?}");
    Ok(())
}

async fn start_in_an_outage(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    for service in [Api::Kinesis, Api::Dynamodb, Api::S3] {
        stage.faults.add(Rule::all(service, Fault::Answer(503, "text/html", "<p>busy</p>")));
    }
    let worker = stage.start("worker", &stage.config()).await?;
    wait::until("reasons", SOON, async || {
        let answer = worker.get("/ready").await?;
        ensure!(answer.status == 503, "{answer:?}");
        let told = answer.body.contains("503") && answer.body.contains(PAYLOADS);
        Ok(told.then_some(()))
    })
    .await?;
    stage.faults.clear();
    let mut producer = stage.producer();
    producer.send_up_to(20).await?;
    stage.wait_until_stored(&producer).await?;
    wait::until("to be ready", SOON, async || {
        let answer = worker.get("/ready").await?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(Some(()))
    })
    .await
}

async fn mistakes(scratch: &Path) -> Result<()> {
    let stage = Stage::bare(scratch).await?;
    let good = stage.config();
    let checked = stage.check(&good, workers::snowmelt()?)?;
    ensure!(checked.status.success(), "{checked:?}");
    for (path, value) in [
        ("aws.kinesis_endpoint_url", "127.0.0.1:4567"),
        ("aws.dynamodb_endpoint_url", "hello world"),
        ("aws.s3_endpoint_url", "ftp://127.0.0.1"),
        ("aws.region", "eu west 1"),
        ("source.stream", "arn:aws:s3:::raw"),
        ("source.initial_position", "2036-01-01T00:00:00Z"),
        ("leases.table", "my leases"),
        ("enriched.s3.bucket", "s3://events/x"),
        ("enriched.s3.prefix", "/enriched"),
        ("enriched.s3.object_bytes", "4GiB"),
        ("enriched.kinesis.stream", PAYLOADS),
        ("bad.kinesis.stream", PAYLOADS),
        ("enrichments.max_age", "720h"),
    ] {
        let refused = stage.check(&good.clone().with(path, value), workers::snowmelt()?)?;
        ensure!(refused.status.code() == Some(USAGE), "{path} = {value}: {refused:?}");
    }
    let mut nowhere = workers::snowmelt()?;
    nowhere.env_remove("AWS_REGION").env("HOME", scratch);
    let refused = stage.check(&good.without("aws.region"), nowhere)?;
    ensure!(refused.status.code() == Some(USAGE), "no region: {refused:?}");
    Ok(())
}

/// What a role refuses that allows nothing but the configured folders.
async fn borrow_a_bucket(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 1).await?;
    for folder in ["parked", "oversized", "bad", "enriched"] {
        let elsewhere = Rule::of("PutObject", Fault::DENIED_BY_S3);
        stage.faults.add(elsewhere.containing(&format!("/{BUCKET}/{folder}/")));
    }
    let config = stage.config().with("enriched.s3.prefix", "snowmelt/enriched");
    let config = config.without("bad.s3").with("bad.kinesis.stream", crate::stage::BAD);
    let config = config.with("bad.fallback.bucket", BUCKET);
    let config = config.with("bad.fallback.prefix", "snowmelt/large");
    let config = config.with("bad.fallback.object_age", "1s");
    let worker = stage.start("worker", &config).await?;
    stage.wait_until_held(&worker, 1).await?;
    let log = worker.log()?;
    for place in ["snowmelt/large/_parked", "snowmelt/large/_oversized"] {
        ensure!(log.contains(place), "the start does not tell of {place}: {log}");
    }
    stage.put(&tests::traffic::oversized()).await?;
    wait::until("the whole text under the prefix", SOON, async || {
        let names = arrivals::objects(&stage.aws.s3, BUCKET).await?;
        let whole = names.iter().any(|name| {
            name.starts_with("snowmelt/large/_oversized/") && !name.ends_with("_writable")
        });
        ensure!(whole, "{names:?}");
        Ok(Some(()))
    })
    .await?;
    Ok(())
}
