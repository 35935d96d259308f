//! Replays against emulators: what a worker archived becomes the same lines once more, and a replay
//! to routes that is killed again and again writes every event once.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use event::{Field, tsv};
use fastrand::Rng;
use pipeline::archive::Archived;
use tests::emulators::{self, Emulators, REGION};
use tests::traffic::{self, Expected, Producer};
use tests::workers::{self, Worker};
use tests::{arrivals, scratch, wait};

/// Many times what it takes.
const SOON: Duration = Duration::from_secs(60);

const PAYLOADS: &str = "payloads";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_archived_becomes_the_same_lines_once_more() -> Result<()> {
    scratch::run(async |scratch| archive_and_replay(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_to_routes_that_is_killed_writes_every_event_once() -> Result<()> {
    scratch::run(async |scratch| replay_to_routes(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_replayed_from_a_time_on() -> Result<()> {
    scratch::run(async |scratch| replay_a_stream(scratch).await).await
}

async fn replay_a_stream(scratch: &Path) -> Result<()> {
    let aws = Emulators::start(scratch).await?;
    aws.create_stream(PAYLOADS, 3).await?;
    std::fs::write(scratch.join("again.toml"), config(&aws, "none", "")?)?;
    let mut producer = Producer::new(&aws.kinesis, PAYLOADS);
    producer.send_up_to(300).await?;
    let first = producer.ids(Expected::Enriched).count();
    // The emulator knows times of arrival to the second: the others come in a later one.
    let middle = (enricher::clock::now_ms() / 1_000 + 1) * 1_000;
    wait::until("another second", SOON, async || {
        Ok((enricher::clock::now_ms() > middle).then_some(()))
    })
    .await?;
    producer.send_up_to(600).await?;
    let all = producer.ids(Expected::Enriched).count();
    let from = ["replay", "kinesis://payloads", "--config", "again.toml", "--force", "--output"];
    let count = async |to: &str, more: &[&str]| -> Result<usize> {
        check(snowmelt(scratch, &[&from[..], &[to], more].concat())?, 0).await?;
        let text = std::fs::read_to_string(scratch.join(to).join("enriched.tsv"))?;
        let (found, marked) = lines(&text, "replay")?;
        ensure!(found.len() == marked, "{marked} marks");
        Ok(found.len())
    };
    let since = middle.to_string();
    let found = count("all", &[]).await?;
    ensure!(found == all, "{found}, not {all}");
    let found = count("late", &["--since", &since]).await?;
    ensure!(found == all - first, "{found}, not {}", all - first);
    let found = count("early", &["--until", &since]).await?;
    ensure!(found == first, "{found}, not {first}");

    // One that was cut off goes on behind the last record that is done.
    let shard = "shardId-000000000001";
    let kinds = aws_sdk_kinesis::types::ShardIteratorType::TrimHorizon;
    let iterator = aws.kinesis.get_shard_iterator().stream_name(PAYLOADS).shard_id(shard);
    let iterator = iterator.shard_iterator_type(kinds).send().await?.shard_iterator;
    let records = aws.kinesis.get_records().set_shard_iterator(iterator).send().await?.records;
    let after = records.get(4).context("five records")?.sequence_number();
    std::fs::create_dir_all(scratch.join("cut/_replay"))?;
    let plan = serde_json::json!({
        "version": 1, "id": "x", "begun_ms": enricher::clock::now_ms(),
        "arguments": ["kinesis://payloads", "--tag replay"],
        "objects": [[format!("kinesis://payloads/{shard}"), null]],
    });
    std::fs::write(scratch.join("cut/_replay/plan.json"), plan.to_string())?;
    let position = serde_json::json!({
        "place": {"object": 0, "entries": 5, "after": after}, "parts": 1, "files": {},
        "tally": {"read": 5, "chosen": 5, "passed_over": 0, "left": {}, "damaged": 0, "damage": []},
        "counts": {"before": {}, "after": {}, "left": {}}, "done": false,
    });
    std::fs::write(scratch.join("cut/_replay/position.json"), position.to_string())?;
    let from = ["replay", "kinesis://payloads", "--config", "again.toml", "--output", "cut"];
    let said = check(snowmelt(scratch, &from)?, 0).await?;
    let count = |name: &str, count: usize| format!("{name:<36} {count:>14}");
    ensure!(said.contains(&count("payloads", records.len() - 5)), "{}: {said}", records.len());
    ensure!(said.contains(&count("read", records.len())), "{}: {said}", records.len());
    Ok(())
}

fn config(aws: &Emulators, bucket: &str, more: &str) -> Result<String> {
    let Emulators { kinesis_url, dynamodb_url, s3_url, .. } = aws;
    let admin = emulators::free_address()?;
    Ok(format!(
        r#"
        [worker]
        threads = 1
        bytes_in_flight = "8MiB"
        [aws]
        region = "{REGION}"
        kinesis_endpoint_url = "{kinesis_url}"
        dynamodb_endpoint_url = "{dynamodb_url}"
        s3_endpoint_url = "{s3_url}"
        s3_path_style = true
        [source]
        stream = "{PAYLOADS}"
        poll_interval = "250ms"
        batch_age = "250ms"
        [leases]
        table = "leases"
        duration = "4s"
        [enriched]
        s3 = {{ bucket = "{bucket}", object_age = "1s" }}
        [bad]
        s3 = {{ bucket = "{bucket}", object_age = "1s", compression = "gzip" }}
        [admin]
        listen = "{admin}"
        {more}
        "#
    ))
}

/// A command that is run in the folder.
fn snowmelt(scratch: &Path, args: &[&str]) -> Result<Command> {
    let mut command = workers::snowmelt()?;
    command.current_dir(scratch).args(args);
    Ok(command)
}

async fn check(mut command: Command, code: i32) -> Result<String> {
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(code), "{:?}: {said}", output.status);
    Ok(said)
}

/// Enriched lines by id, without what tells of the processing; how many have a mark.
fn lines(text: &str, mark: &str) -> Result<(BTreeMap<String, String>, usize)> {
    let (mut found, mut marked) = (BTreeMap::new(), 0);
    for line in text.lines() {
        let mut columns = tsv::columns(line).context("131 columns")?;
        marked += usize::from(columns[Field::EtlTags as usize] == mark);
        for field in [Field::EtlTags, Field::EtlTstamp] {
            columns[field as usize] = "";
        }
        let id = columns[Field::EventId as usize].to_owned();
        ensure!(found.insert(id, columns.join("\t")).is_none(), "twice: {line}");
    }
    Ok((found, marked))
}

/// The lines of a route's objects in a bucket.
async fn in_bucket(aws: &Emulators, bucket: &str, route: &str) -> Result<String> {
    let mut text = Vec::new();
    for key in arrivals::objects(&aws.s3, bucket).await? {
        if !key.starts_with(&format!("{route}/")) || arrivals::is_hidden(&key) {
            continue;
        }
        let object = aws.s3.get_object().bucket(bucket).key(&key).send().await?;
        let bytes = object.body.collect().await?.into_bytes();
        let compression = enricher::sink::object::Compression::of(&key);
        text.extend(compression.lines(&bytes)?);
    }
    Ok(String::from_utf8(text)?)
}

async fn archive_and_replay(scratch: &Path) -> Result<()> {
    let aws = Emulators::start(scratch).await?;
    aws.create_stream(PAYLOADS, 2).await?;
    for bucket in ["first", "again"] {
        aws.create_bucket(bucket).await?;
    }
    let archive = "[archive]\nraw = \"s3://first/raw\"";
    let text = config(&aws, "first", archive)?;
    let admin = text.split("listen = \"").nth(1).and_then(|rest| rest.split('"').next());
    let admin = admin.context("an address")?.parse()?;
    let mut worker = Worker::start("worker", admin, &text, scratch).await?;
    let mut producer = Producer::new(&aws.kinesis, PAYLOADS);
    producer.send_up_to(600).await?;
    let all = producer.ids(Expected::Enriched).count();
    wait::until("the events", SOON, async || {
        let found = in_bucket(&aws, "first", "enriched").await?;
        Ok((found.lines().count() >= all).then_some(()))
    })
    .await?;
    worker.terminate(SOON).await?;
    let (first, _) = lines(&in_bucket(&aws, "first", "enriched").await?, "")?;
    ensure!(first.len() == all, "{} of {all}", first.len());

    // To a folder, and to routes; neither archives anything once more.
    std::fs::write(scratch.join("again.toml"), config(&aws, "again", archive)?)?;
    let from = ["replay", "s3://first/raw", "--config", "again.toml"];
    let before = arrivals::objects(&aws.s3, "first").await?;
    let folder = [&from[..], &["--output", "folder"]].concat();
    check(snowmelt(scratch, &folder)?, 0).await?;
    let routes = [&from[..], &["--to", "routes", "--state", "state"]].concat();
    check(snowmelt(scratch, &routes)?, 0).await?;
    ensure!(arrivals::objects(&aws.s3, "first").await? == before, "something was archived again");
    let folder = std::fs::read_to_string(scratch.join("folder/enriched.tsv"))?;
    for again in [folder, in_bucket(&aws, "again", "enriched").await?] {
        let (again, marked) = lines(&again, "replay")?;
        ensure!(marked == all, "{marked} marks, not {all}");
        for (id, line) in &first {
            ensure!(again.get(id) == Some(line), "{line}\n{:?}", again.get(id));
        }
        ensure!(again.len() == all, "{} of {all}", again.len());
    }
    let bad = |text: String| text.lines().count();
    let [first, again] =
        [in_bucket(&aws, "first", "bad").await?, in_bucket(&aws, "again", "bad").await?].map(bad);
    ensure!(first == again && first > 0, "{first} bad rows, then {again}");

    // Who gives the command once more is told that it is done.
    let objects = arrivals::objects(&aws.s3, "again").await?;
    check(snowmelt(scratch, &routes)?, 0).await?;
    ensure!(arrivals::objects(&aws.s3, "again").await? == objects, "it was done twice");

    // The manifests say that nothing came so long ago.
    let none = [&from[..], &["--output", "none", "--until", "2001-01-01T00:00:00Z"]].concat();
    let said = check(snowmelt(scratch, &none)?, 0).await?;
    ensure!(!said.contains(&format!("{:<36} {:>14}", "objects passed over", 0)), "{said}");
    ensure!(said.contains(&format!("{:<36} {:>14}", "read", 0)), "{said}");
    Ok(())
}

/// So many events are in the archive: some parts of a replay.
const EVENTS: u32 = 12_000;

async fn replay_to_routes(scratch: &Path) -> Result<()> {
    let aws = Emulators::start(scratch).await?;
    for bucket in ["kept", "again"] {
        aws.create_bucket(bucket).await?;
    }
    let numbers: Vec<u32> = (0..EVENTS).collect();
    for (object, numbers) in numbers.chunks(1_500).enumerate() {
        let mut bytes = Vec::new();
        for numbers in numbers.chunks(6) {
            let data = traffic::payload(numbers);
            let record = Archived {
                stream: PAYLOADS,
                shard: "shardId-000000000000",
                sequence: &numbers[0].to_string(),
                sub_sequence: 0,
                arrived_ms: None,
                partition_key: "",
                data: &data,
            };
            record.write(&mut bytes);
        }
        let put = aws.s3.put_object().bucket("kept").key(format!("raw/{object:03}.records"));
        put.body(bytes.into()).send().await?;
    }
    std::fs::write(scratch.join("again.toml"), config(&aws, "again", "")?)?;
    let seed = fastrand::u64(..);
    let mut rng = Rng::with_seed(seed);
    let args = ["replay", "s3://kept/raw", "--config", "again.toml", "--to", "routes"];
    let args = [&args[..], &["--state", "state"]].concat();
    let mut kills = 0;
    for _ in 0..12 {
        let mut child = snowmelt(scratch, &args)?.stderr(Stdio::null()).spawn()?;
        let enough = arrivals::objects(&aws.s3, "again").await?.len() + rng.usize(0..3);
        let ended = wait::until("objects, or the end", SOON, async || {
            let ended = child.try_wait()?.is_some();
            let there = arrivals::objects(&aws.s3, "again").await?.len();
            Ok((ended || there > enough).then_some(ended))
        });
        if ended.await? {
            break;
        }
        child.kill()?;
        child.wait()?;
        kills += 1;
    }
    check(snowmelt(scratch, &args)?, 0).await.with_context(|| format!("seed {seed}"))?;
    ensure!(kills > 2, "killed {kills} times only");
    let found = arrivals::in_bucket(&aws.s3, "again").await?.arrivals;
    ensure!(found.duplicates().count() == 0, "doubled, seed {seed}, {kills} kills");
    for number in 0..EVENTS {
        let id = traffic::event_id(number);
        let there = found.enriched.contains_key(&id) || found.bad.contains_key(&id);
        ensure!(there, "{id} is lost, seed {seed}, {kills} kills");
    }
    ensure!(found.enriched.len() + found.bad.len() == EVENTS as usize, "others came up");
    Ok(())
}
