//! The storm: a fleet that is killed, stopped and resharded while every service refuses, throttles,
//! hangs, loses answers and cuts them off, in an order drawn from a seed. What went in comes out.
//!
//! `SNOWMELT_STORM_MINUTES` says how long (2 when it is not set; an hour takes 64 shards and 300
//! events a second), `SNOWMELT_STORM_SEED` repeats an order.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::faults::{Api, Fault, Rule};
use tests::traffic::{Expected, Producer};
use tests::workers::Worker;
use tests::{arrivals, leases, scratch, wait};
use tokio::time::{Instant, MissedTickBehavior};

use crate::stage::{BAD, BUCKET, Config, ENRICHED, PAYLOADS, Stage, TABLE};

const WORKERS: usize = 3;

/// Everything must be behind a checkpoint so long after the last fault.
const CALM: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_faults_loses_nothing() -> Result<()> {
    scratch::run(async |scratch| weather(scratch, "polling").await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_over_subscriptions_loses_nothing() -> Result<()> {
    scratch::run(async |scratch| weather(scratch, "fan_out").await).await
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

async fn weather(scratch: &Path, mode: &str) -> Result<()> {
    let minutes = number("SNOWMELT_STORM_MINUTES").unwrap_or(2);
    let seed = number("SNOWMELT_STORM_SEED").unwrap_or(2026);
    let long = minutes >= 30;
    let (shards, per_second) = if long { (64, 300) } else { (8, 100) };
    println!(
        "a storm of {minutes} minutes, {mode}, {shards} shards, {per_second} events/s, seed {seed}"
    );
    let stage = Stage::set(scratch, shards).await?;
    let config = stage.config().with("bad.kinesis.stream", BAD).with("source.mode", mode);
    let mut storm = Storm::over(&stage, config, seed).await?;
    let healthy = storm.calm_minute(per_second).await?;
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    storm.rage(end, per_second).await?;
    stage.faults.clear();
    storm.settle().await?;
    storm.account(&healthy, minutes).await
}

struct Storm<'a> {
    stage: &'a Stage<'a>,
    config: Config,
    chance: fastrand::Rng,
    producer: Producer,
    sent: u32,
    workers: Vec<Worker>,
    started: usize,
    /// How workers ended by themselves, how often.
    ends: BTreeMap<String, u32>,
    faults: BTreeMap<&'static str, u32>,
    lines: u64,
}

/// Requests and log lines of a time.
struct Load {
    requests: u64,
    lines: u64,
}

impl<'a> Storm<'a> {
    async fn over(stage: &'a Stage<'a>, config: Config, seed: u64) -> Result<Storm<'a>> {
        let mut storm = Storm {
            stage,
            config,
            chance: fastrand::Rng::with_seed(seed),
            producer: stage.producer(),
            sent: 0,
            workers: Vec::new(),
            started: 0,
            ends: BTreeMap::new(),
            faults: BTreeMap::new(),
            lines: 0,
        };
        for _ in 0..WORKERS {
            storm.start()?;
        }
        for worker in &mut storm.workers {
            worker.wait_until_live().await?;
        }
        Ok(storm)
    }

    fn start(&mut self) -> Result<()> {
        self.started += 1;
        let name = format!("worker{}", self.started);
        self.workers.push(self.stage.spawn(&name, &self.config, None)?);
        Ok(())
    }

    /// What requests and lines a minute without faults costs.
    async fn calm_minute(&mut self, per_second: u32) -> Result<Load> {
        self.stage.faults.forget();
        let before = self.lines()?;
        self.produce(Duration::from_secs(60), per_second).await?;
        Ok(Load { requests: self.requests(), lines: self.lines()? - before })
    }

    async fn rage(&mut self, end: Instant, per_second: u32) -> Result<()> {
        self.stage.faults.forget();
        self.lines = self.lines()?;
        while Instant::now() < end {
            let (name, fault) = self.draw();
            *self.faults.entry(name).or_default() += 1;
            match fault {
                Trouble::Rules(rules) => {
                    rules.into_iter().for_each(|rule| self.stage.faults.add(rule))
                }
                Trouble::Kill => self.kill()?,
                Trouble::Stop => self.stop().await?,
                Trouble::Split => self.split().await,
            }
            let lasts = Duration::from_secs(self.chance.u64(2..=12));
            self.produce(lasts, per_second).await?;
            // Now and then one fault goes on while another begins.
            if self.chance.u8(..4) > 0 {
                self.stage.faults.clear();
            }
        }
        Ok(())
    }

    /// Sends events second by second, and starts again what has ended, as a supervisor does.
    async fn produce(&mut self, time: Duration, per_second: u32) -> Result<()> {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let end = Instant::now() + time;
        while Instant::now() < end {
            second.tick().await;
            self.sent += per_second;
            self.producer.send_up_to(self.sent).await?;
            self.supervise()?;
        }
        Ok(())
    }

    fn supervise(&mut self) -> Result<()> {
        let mut running = Vec::new();
        for mut worker in std::mem::take(&mut self.workers) {
            match worker.ended()? {
                None => running.push(worker),
                Some(status) => {
                    *self.ends.entry(status.to_string()).or_default() += 1;
                    let log = worker.log()?;
                    ensure!(!log.contains("panicked"), "{}: {log}", worker.name);
                }
            }
        }
        self.workers = running;
        while self.workers.len() < WORKERS {
            self.start()?;
        }
        Ok(())
    }

    fn kill(&mut self) -> Result<()> {
        let victim = self.chance.usize(..self.workers.len());
        self.workers.remove(victim).kill()?;
        self.start()
    }

    async fn stop(&mut self) -> Result<()> {
        let victim = self.chance.usize(..self.workers.len());
        let mut worker = self.workers.remove(victim);
        self.start()?;
        // Its grace is a minute. A service that hangs may use all of it.
        let status = worker.terminate(Duration::from_secs(90)).await?;
        *self.ends.entry(format!("asked to stop: {status}")).or_default() += 1;
        Ok(())
    }

    /// Splits an open shard, unless there are many.
    async fn split(&mut self) {
        let draw = self.chance.usize(..);
        if let Err(error) = split(self.stage, draw).await {
            println!("no split: {error:#}");
        }
    }

    fn draw(&mut self) -> (&'static str, Trouble) {
        let actions = [
            "GetRecords",
            "GetShardIterator",
            "SubscribeToShard",
            "ListShards",
            "PutRecords",
            "PutObject",
            "UpdateItem",
            "Scan",
            "PutItem",
            "GetItem",
        ];
        let action = actions[self.chance.usize(..actions.len())];
        let part = [0.1, 0.5, 1.0][self.chance.usize(..3)];
        let api = [Api::Kinesis, Api::Dynamodb, Api::S3][self.chance.usize(..3)];
        let of = |fault| Trouble::Rules(vec![Rule::of(action, fault).with_probability(part)]);
        let all = |fault| Trouble::Rules(vec![Rule::all(api, fault).with_probability(part)]);
        let busy = Fault::Answer(503, "text/html", "<html>busy</html>");
        let expired = Fault::Refuse(400, "ExpiredIteratorException", "too old");
        let late = Fault::Delay(Duration::from_millis(self.chance.u64(100..3000)));
        match self.chance.u8(..16) {
            0 => ("throttled", of(Fault::Throttle)),
            1 => ("broken", of(Fault::BROKEN)),
            2 => ("busy", of(busy)),
            3 => ("late", of(late)),
            4 => ("hanging", of(Fault::Hang)),
            5 => ("reset", of(Fault::Reset)),
            6 => ("answers lost", of(Fault::LoseAnswer)),
            7 => ("answers cut", of(Fault::CutAnswer)),
            8 => ("service throttled", all(Fault::Throttle)),
            9 => ("service broken", all(Fault::BROKEN)),
            10 => ("service unreachable", all(Fault::Reset)),
            11 => ("iterators expired", Trouble::Rules(vec![Rule::of("GetRecords", expired)])),
            12 => ("killed", Trouble::Kill),
            13 => ("stopped", Trouble::Stop),
            14 => ("silent", Trouble::Rules(vec![Rule::of("SubscribeToShard", Fault::Silence(2))])),
            _ => ("split", Trouble::Split),
        }
    }

    /// Waits until every record is behind a checkpoint, and finds everything where it belongs then:
    /// to look at all that a long storm leaves takes longer than the fleet does.
    async fn settle(&mut self) -> Result<()> {
        let until = Instant::now() + CALM;
        loop {
            self.supervise()?;
            let leases = leases::read(&self.stage.aws.dynamodb, TABLE).await?;
            ensure!(!leases.is_empty(), "the leases are gone");
            // The lease of a shard that is done is deleted after a while.
            let late = self.producer.sent.values().filter(|sent| {
                leases.get(&sent.shard).is_some_and(|lease| !lease.covers(&sent.sequence))
            });
            let late = late.count();
            if late == 0 {
                return self.find_all().await;
            }
            let logs = || self.workers.iter().filter_map(|worker| worker.log().ok());
            ensure!(
                Instant::now() < until,
                "{late} events are not behind a checkpoint: {:?}",
                logs().map(|log| log.lines().rev().take(5).collect::<String>()).collect::<Vec<_>>()
            );
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }

    /// What went in is in the bucket and in the streams.
    async fn find_all(&self) -> Result<()> {
        let bucket = arrivals::in_bucket(&self.stage.aws.s3, BUCKET).await?;
        let streams = arrivals::in_streams(&self.stage.aws.kinesis, &[ENRICHED, BAD]).await?;
        let missing = |found: &arrivals::Arrivals| {
            let enriched = self.producer.ids(Expected::Enriched);
            let enriched = enriched.filter(|id| !found.enriched.contains_key(*id)).count();
            let bad = self.producer.ids(Expected::Bad);
            enriched + bad.filter(|id| !found.bad.contains_key(*id)).count()
        };
        let (stored, streamed) = (missing(&bucket.arrivals), missing(&streams));
        ensure!(
            stored + streamed == 0,
            "{stored} events are not in the bucket, {streamed} not in the streams"
        );
        let strange = bucket.arrivals.strange.len() + streams.strange.len();
        ensure!(strange == 0, "{strange} lines that nobody sent");
        let twice = (bucket.arrivals.duplicates().count(), streams.duplicates().count());
        println!(
            "{} events in; all in the bucket ({} twice) and in the streams ({} twice)",
            self.sent, twice.0, twice.1
        );
        Ok(())
    }

    async fn account(&mut self, healthy: &Load, minutes: u64) -> Result<()> {
        let (requests, lines) = (self.requests(), self.lines()? - self.lines);
        let minutes = minutes.max(1);
        println!("faults: {:?}", self.faults);
        println!("ends of workers: {:?}", self.ends);
        println!(
            "a minute: {} requests and {} lines in the storm, {} and {} in health",
            requests / minutes,
            lines / minutes,
            healthy.requests,
            healthy.lines
        );
        for worker in &mut self.workers {
            let status = worker.terminate(Duration::from_secs(90)).await?;
            ensure!(status.success(), "{}: {status}: {}", worker.name, worker.log()?);
        }
        Ok(())
    }

    fn requests(&self) -> u64 {
        self.stage.faults.counts().values().map(|count| count.requests).sum()
    }

    /// The log lines of all workers that there were.
    fn lines(&self) -> Result<u64> {
        let mut lines = 0;
        for n in 1..=self.started {
            let log = std::fs::read_to_string(self.stage.scratch.join(format!("worker{n}.log")))?;
            lines += log.lines().count() as u64;
        }
        Ok(lines)
    }
}

/// What happens next.
enum Trouble {
    Rules(Vec<Rule>),
    Kill,
    Stop,
    Split,
}

async fn split(stage: &Stage<'_>, draw: usize) -> Result<()> {
    const MOST: usize = 100;
    let kinesis = &stage.aws.kinesis;
    let listed = kinesis.list_shards().stream_name(PAYLOADS).send().await?;
    let open: Vec<_> = listed
        .shards()
        .iter()
        .filter(|shard| {
            let range = shard.sequence_number_range();
            range.is_some_and(|range| range.ending_sequence_number().is_none())
        })
        .collect();
    if open.len() > MOST {
        return Ok(());
    }
    let shard = open[draw % open.len()];
    let range = shard.hash_key_range().context("no hash keys")?;
    let (start, end): (u128, u128) =
        (range.starting_hash_key().parse()?, range.ending_hash_key().parse()?);
    ensure!(end - start > 2, "too narrow");
    let split = kinesis.split_shard().stream_name(PAYLOADS).shard_to_split(shard.shard_id());
    split.new_starting_hash_key((start + (end - start) / 2).to_string()).send().await?;
    wait::until("the split", Duration::from_secs(30), async || {
        let stream = kinesis.describe_stream_summary().stream_name(PAYLOADS).send().await?;
        let summary = stream.stream_description_summary().context("no description")?;
        Ok((summary.stream_status().as_str() == "ACTIVE").then_some(()))
    })
    .await
}
