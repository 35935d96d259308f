//! Reading by subscriptions, against an emulator behind a layer of faults: what was put into a
//! shard comes out of it once and in order, whatever happens to connections and subscriptions.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{ConsumerStatus, PutRecordsRequestEntry};
use enricher::budget::{Budget, Hurry};
use enricher::metrics::Metrics;
use enricher::source::kinesis::fan_out::{Consumer, FanOut};
use enricher::source::kinesis::{Expired, Kinesis, Settings};
use enricher::source::{Batches, Source};
use lease::{Position, SequenceNumber, ShardId};
use tests::emulators::{self, Streams};
use tests::faults::{Fault, Faults, Rule};
use tests::wait;

const STREAM: &str = "payloads";
const FIRST: &str = "shardId-000000000000";
const SECOND: &str = "shardId-000000000001";
const SUBSCRIBE: &str = "SubscribeToShard";

/// Generous, since the machine may be busy: what takes longer is stuck.
const SOON: Duration = Duration::from_secs(60);

/// Long enough for the emulator, which has an event every 200 ms.
const SILENCE: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_follow_a_shard_to_its_end() -> Result<()> {
    let stage = Stage::set(1).await?;
    let mut batches = stage.open(FIRST, Position::TrimHorizon);
    let mut sent = Vec::new();
    for round in 0..4 {
        sent.extend(stage.put(round * 50..round * 50 + 50, None).await?);
        let read = stage.read(&mut batches, 50).await?;
        ensure!(read == sent[sent.len() - 50..], "round {round}: {read:?}");
        // What comes next comes over another subscription.
        stage.wait_for_subscriptions(u64::from(round) + 2).await?;
    }
    sent.extend(stage.put(200..230, None).await?);
    let middle = (u128::MAX / 2).to_string();
    let split = stage.aws.kinesis.split_shard().stream_name(STREAM).shard_to_split(FIRST);
    split.new_starting_hash_key(middle).send().await?;
    let read = stage.read_to_the_end(&mut batches).await?;
    ensure!(read == sent[200..], "{read:?}");
    ensure!(stage.faults.count("GetRecords").requests == 0, "nothing was polled");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_is_resumed_after_its_record() -> Result<()> {
    let stage = Stage::set(1).await?;
    let sent = stage.put(0..20, None).await?;
    let (sequence, _) = sent[11].clone();
    let sequence = SequenceNumber::parse(&sequence).context("a number")?;
    let mut batches = stage.open(FIRST, Position::After { sequence, sub_sequence: 0 });
    let read = stage.read(&mut batches, 8).await?;
    ensure!(read == sent[12..], "{read:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_subscriptions_every_record_comes_once() -> Result<()> {
    let mut chance = fastrand::Rng::with_seed(2026);
    for seed in [1, 2, 3] {
        let stage = Stage::set_with(1, seed).await?;
        let mut batches = stage.open(FIRST, Position::TrimHorizon);
        let mut sent = Vec::new();
        let used = Fault::Refuse(400, "ResourceInUseException", "in use");
        let faults = [
            Fault::CutAnswer,
            Fault::Silence(2),
            Fault::Reset,
            Fault::LoseAnswer,
            Fault::Throttle,
            Fault::BROKEN,
            used,
        ];
        for round in 0..8 {
            let fault = &faults[chance.usize(..faults.len())];
            stage.faults.add(Rule::of(SUBSCRIBE, fault.clone()).with_probability(0.7));
            sent.extend(stage.put(round * 20..round * 20 + 20, None).await?);
            let read = stage.read(&mut batches, 20).await?;
            ensure!(read == sent[sent.len() - 20..], "seed {seed}, {fault:?}: {read:?}");
            if chance.bool() {
                stage.faults.clear();
            }
        }
        stage.faults.clear();
        let before = stage.faults.count(SUBSCRIBE).requests;
        stage.wait_for_subscriptions(before + 1).await?;
        sent.extend(stage.put(160..180, None).await?);
        let read = stage.read(&mut batches, 20).await?;
        ensure!(read == sent[160..], "seed {seed}: {read:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_left_for_another() -> Result<()> {
    let stage = Stage::set(1).await?;
    stage.faults.add(Rule::of(SUBSCRIBE, Fault::Silence(0)).times(1));
    stage.faults.add(Rule::of(SUBSCRIBE, Fault::Silence(1)).times(1));
    // So that records come by another subscription, or not at all.
    stage.faults.add(Rule::of("GetRecords", Fault::Throttle));
    let sent = stage.put(0..10, None).await?;
    let mut batches = stage.open(FIRST, Position::TrimHorizon);
    let read = stage.read(&mut batches, 10).await?;
    ensure!(read == sent, "{read:?}");
    ensure!(stage.counts(r#"subscriptions_total{event="silent"} 2"#), "{}", stage.metrics.text());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_subscribed_is_polled_until_it_can() -> Result<()> {
    let stage = Stage::without_consumer(1, 1).await?;
    let many = Fault::Refuse(400, "LimitExceededException", "twenty consumers");
    stage.faults.add(Rule::of("RegisterStreamConsumer", many));
    stage.source.look().await?;
    let mut batches = stage.open(FIRST, Position::TrimHorizon);
    let sent = stage.put(0..10, None).await?;
    ensure!(stage.read(&mut batches, 10).await? == sent);
    ensure!(stage.counts(r#"shards_read{by="polling"} 1"#), "{}", stage.metrics.text());
    ensure!(stage.faults.count(SUBSCRIBE).requests == 0, "there is no consumer");
    stage.faults.clear();
    wait::until("a subscription", SOON, async || {
        Ok(stage.counts(r#"shards_read{by="subscription"} 1"#).then_some(()))
    })
    .await?;
    stage.faults.add(Rule::of("GetRecords", Fault::Throttle));
    let sent = stage.put(10..20, None).await?;
    ensure!(stage.read(&mut batches, 10).await? == sent);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_told_at_the_start() -> Result<()> {
    let stage = Stage::without_consumer(1, 1).await?;
    stage.faults.add(Rule::of("RegisterStreamConsumer", Fault::DENIED));
    let unfit = stage.source.look().await.err().context("it may not register")?;
    let said = unfit.to_string();
    ensure!(said.contains("fleet") && said.contains("RegisterStreamConsumer"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_nobody_reads_on_holds_up_no_other() -> Result<()> {
    let stage = Stage::set(2).await?;
    let mut full = stage.open(FIRST, Position::TrimHorizon);
    let mut other = stage.open(SECOND, Position::TrimHorizon);
    let (low, high) = (Some("0"), Some("340282366920938463463374607431768211455"));
    let mut waiting = Vec::new();
    for round in 0..5 {
        waiting.extend(stage.put(round * 200..round * 200 + 200, low).await?);
        let sent = stage.put(round * 200..round * 200 + 200, high).await?;
        ensure!(stage.read(&mut other, 200).await? == sent, "round {round}");
    }
    // Longer than a subscription lasts: the full one has gone on elsewhere.
    let before = stage.faults.count(SUBSCRIBE).requests;
    stage.wait_for_subscriptions(before + 2).await?;
    let read = stage.read(&mut full, 1000).await?;
    ensure!(read == waiting, "{} of {}", read.len(), waiting.len());
    Ok(())
}

/// A stream behind the layer of faults, and its source.
struct Stage {
    aws: Streams,
    faults: Faults,
    source: Kinesis,
    metrics: Arc<Metrics>,
    budget: Arc<Budget>,
}

/// Records by their numbers in the stream, and what they say.
type Records = Vec<(String, String)>;

impl Stage {
    async fn set(shards: i32) -> Result<Stage> {
        Stage::set_with(shards, 1).await
    }

    async fn set_with(shards: i32, seed: u64) -> Result<Stage> {
        let stage = Stage::without_consumer(shards, seed).await?;
        stage.source.look().await?;
        let described = stage.aws.kinesis.describe_stream_summary().stream_name(STREAM).send();
        let stream = described.await?.stream_description_summary.context("a summary")?.stream_arn;
        wait::until("the consumer", SOON, async || {
            let describe = stage.aws.kinesis.describe_stream_consumer().stream_arn(&stream);
            let consumer = describe.consumer_name("fleet").send().await?.consumer_description;
            let consumer = consumer.context("a description")?;
            Ok((*consumer.consumer_status() == ConsumerStatus::Active).then_some(()))
        })
        .await?;
        stage.faults.forget();
        Ok(stage)
    }

    async fn without_consumer(shards: i32, seed: u64) -> Result<Stage> {
        let aws = Streams::start().await?;
        emulators::create_stream(&aws.kinesis, STREAM, shards).await?;
        let faults = Faults::over([&aws.kinesis_url; 3], seed).await?;
        let settings = Settings {
            stream: STREAM.to_owned(),
            arn: None,
            poll_interval: Duration::from_millis(50),
            idle_poll_interval: Duration::from_millis(50),
            batch_bytes: 1 << 10,
            batch_age: Duration::from_millis(20),
            expired: Expired::GoOn,
        };
        let metrics = Arc::new(Metrics::new());
        let client = emulators::kinesis_at(&faults.kinesis_url).await;
        let line = client.clone();
        let consumer = Consumer::Named("fleet".to_owned());
        let fan_out = FanOut::new(STREAM, consumer, Box::new(move || line.clone()));
        let source = Kinesis::new(client, settings, Arc::clone(&metrics));
        let source = source.with_fan_out(fan_out.with_times(SILENCE, AGAIN));
        let budget = Arc::new(Budget::new(256 << 20, Hurry::default()));
        Ok(Stage { aws, faults, source, metrics, budget })
    }

    fn open(&self, shard: &str, from: Position) -> Batches {
        Batches::open(&self.source, &ShardId::new(shard), from, &self.budget)
    }

    /// Puts numbered records into the stream, all of them into the shard of a hash key.
    async fn put(&self, numbers: std::ops::Range<u32>, hash_key: Option<&str>) -> Result<Records> {
        let texts: Vec<String> = numbers.map(|n| format!("record {n}")).collect();
        let entries = texts.iter().map(|text| {
            let entry = PutRecordsRequestEntry::builder().data(Blob::new(text.as_bytes()));
            let entry = entry.partition_key("key").set_explicit_hash_key(hash_key.map(Into::into));
            entry.build().expect("data and key are given")
        });
        let put = self.aws.kinesis.put_records().stream_name(STREAM);
        let answer = put.set_records(Some(entries.collect())).send().await?;
        ensure!(answer.failed_record_count().unwrap_or(0) == 0, "{answer:?}");
        let numbers = answer.records().iter().map(|it| it.sequence_number().unwrap_or_default());
        let mut records: Records = numbers.map(str::to_owned).zip(texts).collect();
        records.sort_by_key(|(number, _)| SequenceNumber::parse(number));
        Ok(records)
    }

    /// Reads so many records.
    async fn read(&self, batches: &mut Batches, count: usize) -> Result<Records> {
        let mut records = Vec::new();
        while records.len() < count {
            let next = tokio::time::timeout(SOON, batches.next()).await;
            let came = || format!("{} of {count} came: {}", records.len(), self.metrics.text());
            let next = next.with_context(came)??;
            let (batch, _permit) = next.context("the shard has not ended")?;
            records.extend(batch.records.iter().map(said));
        }
        Ok(records)
    }

    async fn read_to_the_end(&self, batches: &mut Batches) -> Result<Records> {
        let (mut records, mut end) = (Vec::new(), Position::TrimHorizon);
        while let Some((batch, _permit)) = tokio::time::timeout(SOON, batches.next()).await?? {
            records.extend(batch.records.iter().map(said));
            end = batch.end;
        }
        ensure!(end == Position::ShardEnd, "{end}");
        Ok(records)
    }

    async fn wait_for_subscriptions(&self, count: u64) -> Result<()> {
        wait::until("another subscription", SOON, async || {
            Ok((self.faults.count(SUBSCRIBE).requests >= count).then_some(()))
        })
        .await
    }

    fn counts(&self, line: &str) -> bool {
        self.metrics.text().lines().any(|found| found == format!("snowmelt_{line}"))
    }
}

fn said(record: &enricher::batch::Record) -> (String, String) {
    let text = String::from_utf8_lossy(&record.data).into_owned();
    (record.sequence.as_str().to_owned(), text)
}
