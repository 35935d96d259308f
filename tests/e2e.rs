//! The proof: the release binary over HTTP against emulators. A fleet loses nothing while one
//! worker is killed, a shard is split and another worker is asked to stop; and every duplicate is
//! one that the killed worker had written and not yet checkpointed.

#![allow(clippy::print_stdout, reason = "the proof closes with an account of what it saw")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::arrivals::{self, Arrivals};
use tests::emulators::{self, Emulators, REGION};
use tests::leases::{self, Lease, SHARD_END};
use tests::traffic::{Expected, Producer};
use tests::workers::{self, Worker};
use tests::{admin, scratch, wait};

const PAYLOADS: &str = "payloads";
const ENRICHED: &str = "enriched";
const BAD: &str = "bad";
const BUCKET: &str = "proof";
const TABLE: &str = "leases";
const SHARDS: i32 = 4;
const EVENTS: u32 = 20_000;
const GENERATED: usize = 2_000;

// Generous, since the machine may be busy: what takes longer is stuck.
const SOON: Duration = Duration::from_secs(60);
const IN_THE_END: Duration = Duration::from_secs(120);

// Long enough for the killed worker to have written events downstream that no object holds yet.
const OBJECT_AGE: &str = "3s";

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_loses_nothing() -> Result<()> {
    scratch::run(async |scratch| lose_nothing(scratch, "polling").await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_over_subscriptions_loses_nothing() -> Result<()> {
    scratch::run(async |scratch| lose_nothing(scratch, "fan_out").await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_traffic_becomes_what_it_should() -> Result<()> {
    scratch::run(async |scratch| enrich_generated(scratch).await).await
}

async fn lose_nothing(scratch: &Path, mode: &'static str) -> Result<()> {
    let stage = Stage::set(scratch, mode).await?;
    let mut producer = Producer::new(&stage.aws.kinesis, PAYLOADS);

    let mut killed = stage.start("worker-a").await?;
    let mut stopped = stage.start("worker-b").await?;
    let mut last = stage.start("worker-c").await?;
    stage.wait_for_a_lease_each(&[&killed, &stopped, &last]).await?;

    producer.send_up_to(EVENTS / 5).await?;
    stage.wait_for_checkpoints().await?;
    producer.send_up_to(EVENTS * 2 / 5).await?;
    stage.wait_for_events(EVENTS as usize * 3 / 10).await?;
    killed.kill()?;
    let at_death = stage.leases_of(&killed).await?;
    ensure!(!at_death.is_empty(), "the killed worker held no lease");

    producer.send_up_to(EVENTS * 3 / 5).await?;
    stage.wait_until_nothing_is_held_by(&killed).await?;

    let parent = stage.split_an_open_shard().await?;
    producer.send_up_to(EVENTS * 4 / 5).await?;

    check_admin_port(&stopped).await?;
    let status = stopped.terminate(SOON).await?;
    ensure!(status.success(), "{}: {status}: {}", stopped.name, stopped.log()?);
    let left = stage.leases_of(&stopped).await?;
    ensure!(left.is_empty(), "{} ended with leases: {left:?}", stopped.name);

    producer.send_up_to(EVENTS).await?;
    stage.wait_for_all_downstream(&producer).await?;
    stage.wait_for_all_in_bucket(&producer).await?;
    stage.wait_for_the_end_of(&parent).await?;
    check_admin_port(&last).await?;
    let status = last.terminate(SOON).await?;
    ensure!(status.success(), "{}: {status}: {}", last.name, last.log()?);
    let left = stage.leases_of(&last).await?;
    ensure!(left.is_empty(), "{} ended with leases: {left:?}", last.name);

    let streams = stage.downstream().await?;
    let bucket = arrivals::in_bucket(&stage.aws.s3, BUCKET).await?;
    ensure!(bucket.lines == bucket.lines_in_manifests, "{bucket:?}");
    let downstream = check_arrivals("downstream", &streams, &producer, &at_death)?;
    let stored = check_arrivals("in the bucket", &bucket.arrivals, &producer, &at_death)?;
    for worker in [&killed, &stopped, &last] {
        check_log(worker)?;
    }
    println!(
        "{EVENTS} events sent; all of them downstream ({downstream} twice) and in {} objects \
         ({stored} twice); every duplicate was in the window of the killed worker",
        bucket.objects
    );
    Ok(())
}

async fn enrich_generated(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, "polling").await?;
    let mut worker = stage.start("worker").await?;
    let list = scratch.join("ids");
    let mut generate = workers::snowmelt()?;
    generate
        .args(["generate", "--to=kinesis", "--bad=0.1", "--seed=7"])
        .args(["--stream", PAYLOADS, "--region", REGION])
        .args(["--endpoint-url", &stage.aws.kinesis_url])
        .args(["--events", &GENERATED.to_string(), "--ids"])
        .arg(&list);
    let made = tokio::task::spawn_blocking(move || generate.output()).await??;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let list = std::fs::read_to_string(list)?;
    let sent: BTreeSet<&str> = list.lines().collect();
    ensure!(sent.len() > GENERATED * 3 / 4, "only {} good events generated", sent.len());

    let arrivals = wait::until("generated events downstream", SOON, async || {
        let arrivals = stage.downstream().await?;
        let missing = sent.iter().filter(|id| !arrivals.enriched.contains_key(**id)).count();
        ensure!(missing == 0, "{missing} events missing");
        Ok((!arrivals.strange.is_empty()).then_some(arrivals))
    })
    .await?;
    ensure!(arrivals.duplicates().count() == 0, "nobody was killed");
    let unasked = arrivals.enriched.keys().find(|id| !sent.contains(id.as_str()));
    ensure!(unasked.is_none(), "{unasked:?} should not have been enriched");
    let status = worker.terminate(SOON).await?;
    ensure!(status.success(), "{status}: {}", worker.log()?);
    check_log(&worker)
}

/// What the workers work on.
struct Stage<'a> {
    aws: Emulators,
    scratch: &'a Path,
    /// How the stream is read.
    mode: &'static str,
}

impl<'a> Stage<'a> {
    async fn set(scratch: &'a Path, mode: &'static str) -> Result<Stage<'a>> {
        let aws = Emulators::start(scratch).await?;
        aws.create_stream(PAYLOADS, SHARDS).await?;
        aws.create_stream(ENRICHED, 2).await?;
        aws.create_stream(BAD, 1).await?;
        aws.create_bucket(BUCKET).await?;
        Ok(Stage { aws, scratch, mode })
    }

    async fn start(&self, name: &str) -> Result<Worker> {
        let admin = emulators::free_address()?;
        Worker::start(name, admin, &self.config(name, admin), self.scratch).await
    }

    /// Short leases, so that a killed worker is noticed soon; young objects, so there are many.
    fn config(&self, name: &str, admin: SocketAddr) -> String {
        let Emulators { kinesis_url, dynamodb_url, s3_url, .. } = &self.aws;
        let mode = self.mode;
        format!(
            r#"
            [worker]
            name = "{name}"
            threads = 1
            [aws]
            region = "{REGION}"
            kinesis_endpoint_url = "{kinesis_url}"
            dynamodb_endpoint_url = "{dynamodb_url}"
            s3_endpoint_url = "{s3_url}"
            s3_path_style = true
            [source]
            stream = "{PAYLOADS}"
            mode = "{mode}"
            poll_interval = "250ms"
            batch_age = "250ms"
            [leases]
            table = "{TABLE}"
            duration = "4s"
            [enriched]
            kinesis = {{ stream = "{ENRICHED}" }}
            s3 = {{ bucket = "{BUCKET}", object_age = "{OBJECT_AGE}" }}
            [bad]
            kinesis = {{ stream = "{BAD}" }}
            s3 = {{ bucket = "{BUCKET}", object_age = "{OBJECT_AGE}", compression = "gzip" }}
            [admin]
            listen = "{admin}"
            "#
        )
    }

    async fn leases(&self) -> Result<BTreeMap<String, Lease>> {
        leases::read(&self.aws.dynamodb, TABLE).await
    }

    async fn leases_of(&self, worker: &Worker) -> Result<BTreeMap<String, Lease>> {
        let mut leases = self.leases().await?;
        leases.retain(|_, lease| lease.owner.as_deref().is_some_and(|owner| worker.is(owner)));
        Ok(leases)
    }

    async fn wait_for_a_lease_each(&self, workers: &[&Worker]) -> Result<()> {
        wait::until("a lease for each worker", SOON, async || {
            let leases = self.leases().await?;
            let owners: Vec<&str> = leases.values().filter_map(|l| l.owner.as_deref()).collect();
            let all = owners.len() == SHARDS as usize;
            let each = workers.iter().all(|worker| owners.iter().any(|owner| worker.is(owner)));
            Ok((all && each).then_some(()))
        })
        .await
    }

    async fn wait_for_checkpoints(&self) -> Result<()> {
        wait::until("a checkpoint in every shard", SOON, async || {
            let leases = self.leases().await?;
            Ok(leases.values().all(|lease| lease.covers("0")).then_some(()))
        })
        .await
    }

    async fn wait_until_nothing_is_held_by(&self, worker: &Worker) -> Result<()> {
        let what = format!("others to take the leases of {}", worker.name);
        wait::until(&what, SOON, async || {
            Ok(self.leases_of(worker).await?.is_empty().then_some(()))
        })
        .await
    }

    /// Splits the first shard in the middle of its hash keys; returns its id.
    async fn split_an_open_shard(&self) -> Result<String> {
        let kinesis = &self.aws.kinesis;
        let shards = kinesis.list_shards().stream_name(PAYLOADS).send().await?;
        let shard = shards.shards().first().context("no shard")?;
        let range = shard.hash_key_range().context("no hash keys")?;
        let start: u128 = range.starting_hash_key().parse()?;
        let end: u128 = range.ending_hash_key().parse()?;
        let middle = start + (end - start) / 2;
        let split = kinesis.split_shard().stream_name(PAYLOADS).shard_to_split(shard.shard_id());
        split.new_starting_hash_key(middle.to_string()).send().await?;
        let open = SHARDS + 1;
        wait::until("the split", SOON, async || {
            let stream = kinesis.describe_stream_summary().stream_name(PAYLOADS).send().await?;
            let summary = stream.stream_description_summary().context("no description")?;
            Ok((summary.open_shard_count() == open).then_some(()))
        })
        .await?;
        Ok(shard.shard_id().to_owned())
    }

    async fn wait_for_the_end_of(&self, shard: &str) -> Result<()> {
        wait::until("the split shard's lease to end", SOON, async || {
            let leases = self.leases().await?;
            let lease = leases.get(shard).context("no lease")?;
            Ok((lease.checkpoint == SHARD_END).then_some(()))
        })
        .await
    }

    async fn downstream(&self) -> Result<Arrivals> {
        arrivals::in_streams(&self.aws.kinesis, &[ENRICHED, BAD]).await
    }

    async fn wait_for_events(&self, count: usize) -> Result<()> {
        wait::until(&format!("{count} events downstream"), SOON, async || {
            Ok((self.downstream().await?.enriched.len() >= count).then_some(()))
        })
        .await
    }

    async fn wait_for_all_downstream(&self, producer: &Producer) -> Result<()> {
        wait::until("every event downstream", IN_THE_END, async || {
            missing(&self.downstream().await?, producer)
        })
        .await
    }

    async fn wait_for_all_in_bucket(&self, producer: &Producer) -> Result<()> {
        wait::until("every event in the bucket", IN_THE_END, async || {
            let bucket = arrivals::in_bucket(&self.aws.s3, BUCKET).await?;
            missing(&bucket.arrivals, producer)
        })
        .await
    }
}

/// `Some` when nothing is missing; an error that says how much is.
fn missing(arrivals: &Arrivals, producer: &Producer) -> Result<Option<()>> {
    let enriched =
        producer.ids(Expected::Enriched).filter(|id| !arrivals.enriched.contains_key(*id));
    let bad = producer.ids(Expected::Bad).filter(|id| !arrivals.bad.contains_key(*id));
    let (enriched, bad) = (enriched.count(), bad.count());
    ensure!(enriched == 0 && bad == 0, "{enriched} enriched events and {bad} bad rows missing");
    Ok(Some(()))
}

/// Everything sent has arrived as what it was to become, and nothing else has; what arrived twice
/// was worked by the killed worker and not behind its checkpoint. Returns how much arrived twice.
fn check_arrivals(
    place: &str,
    arrivals: &Arrivals,
    producer: &Producer,
    at_death: &BTreeMap<String, Lease>,
) -> Result<usize> {
    missing(arrivals, producer).with_context(|| place.to_owned())?;
    ensure!(arrivals.strange.is_empty(), "{place}: {:?}", arrivals.strange.first());
    let events = arrivals.enriched.len() + arrivals.bad.len();
    ensure!(events == producer.sent.len(), "{place}: {events} different events");
    let mut duplicates = 0;
    for (id, times) in arrivals.duplicates() {
        let sent = &producer.sent[id];
        let explained = at_death.get(&sent.shard).is_some_and(|l| !l.covers(&sent.sequence));
        ensure!(explained && times == 2, "{place}: {id} arrived {times} times: {sent:?}");
        duplicates += 1;
    }
    Ok(duplicates)
}

async fn check_admin_port(worker: &Worker) -> Result<()> {
    for path in ["/live", "/ready"] {
        let answer = worker.get(path).await?;
        ensure!(answer.status == 200, "{path} of {}: {answer:?}", worker.name);
    }
    let metrics = worker.get("/metrics").await?.body;
    for name in ["snowmelt_records_total", "snowmelt_events_enriched_total"] {
        let value = admin::metric(&metrics, name).with_context(|| format!("no {name}"))?;
        ensure!(value > 0.0, "{name} of {} is {value}", worker.name);
    }
    Ok(())
}

/// Every line is a JSON object, and none has anything of a payload in it.
fn check_log(worker: &Worker) -> Result<()> {
    let log = worker.log()?;
    ensure!(!log.is_empty(), "{} logged nothing", worker.name);
    for line in log.lines() {
        let parsed: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(line).with_context(|| format!("{}: {line}", worker.name))?;
        ensure!(parsed.contains_key("level"), "a line without a level: {line}");
        for secret in ["203.0.113.7", "shop.example", "-0000-4000-8000-", "5e1f0c36"] {
            ensure!(!line.contains(secret), "{} logged {secret}: {line}", worker.name);
        }
    }
    Ok(())
}
