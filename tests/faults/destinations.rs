//! Named destinations: each gets the lines that it wants, in its form and its folders, once; also
//! when the work passes from one worker to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::traffic::{self, Expected, Producer};
use tests::{arrivals, scratch, wait};

use crate::stage::{Config, ENRICHED, SOON, Stage};

/// Events of these pages go to one destination, the others to another.
const ONES: &str = "/products/1";
const EVENTS: u32 = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn each_destination_gets_what_it_wants_once() -> Result<()> {
    scratch::run(async |scratch| divide(scratch).await).await
}

async fn divide(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 2).await?;
    for bucket in ["ones", "all", "archive"] {
        stage.aws.create_bucket(bucket).await?;
    }
    let folder = scratch.join("bad");
    let config = config(&stage, &folder)?;
    let mut one = stage.start("one", &config).await?;
    let mut producer = stage.producer();
    producer.send_up_to(EVENTS / 2).await?;
    // The first takes its leave while there is work to do, and the second goes on with it.
    let mut two = stage.start("two", &config).await?;
    let left = one.terminate(SOON).await?;
    ensure!(left.success(), "{left}: {}", one.log()?);
    producer.send_up_to(EVENTS).await?;
    wait::until("every event in a bucket", SOON, async || {
        let stored = lines(&stage, "all").await?.len();
        ensure!(stored >= EVENTS as usize, "{stored} of {EVENTS}");
        Ok(Some(()))
    })
    .await?;
    let left = two.terminate(SOON).await?;
    ensure!(left.success(), "{left}: {}", two.log()?);
    look(&stage, &producer, &folder).await
}

fn config(stage: &Stage<'_>, folder: &Path) -> Result<Config> {
    let text = format!(
        r#"
        [[enriched.to]]
        name = "ones"
        where = 'page_urlpath starts with "{ONES}"'
        format = "json"
        s3 = {{ bucket = "ones", key = "event={{event_name}}/day={{dvce_created_tstamp:date}}/", compression = "gzip", object_age = "1s" }}

        [[enriched.to]]
        name = "others"
        where = 'page_urlpath not starts with "{ONES}"'
        kinesis = {{ stream = "{ENRICHED}", partition_key = ["app_id", "event_id"] }}

        [[enriched.to]]
        name = "all"
        s3 = {{ bucket = "all", prefix = "good", object_age = "1s" }}

        [[bad.to]]
        name = "all"
        s3 = {{ bucket = "all", prefix = "failed", object_age = "1s" }}

        [[bad.to]]
        name = "near"
        folder = {{ path = "{}", object_age = "1s" }}
        "#,
        folder.display()
    );
    let routes: toml::Table = toml::from_str(&text)?;
    let mut config = stage.config().without("enriched").without("bad");
    for route in ["enriched", "bad"] {
        config = config.with(&format!("{route}.to"), routes[route]["to"].clone());
    }
    Ok(config.with("archive.raw", "s3://archive/raw"))
}

/// Every destination has its events, each once.
async fn look(stage: &Stage<'_>, producer: &Producer, folder: &Path) -> Result<()> {
    let is_one = |number: &u32| format!("/products/{number}").starts_with(ONES);
    let ids = |wanted: Expected, of: &dyn Fn(&u32) -> bool| -> BTreeSet<String> {
        let numbers = (0..EVENTS).filter(|number| traffic::expected(*number) == wanted);
        numbers.filter(of).map(traffic::event_id).collect()
    };
    let bad = ids(Expected::Bad, &|_| true);
    ensure!(producer.sent.len() == EVENTS as usize, "{} were sent", producer.sent.len());

    let mut ones = Vec::new();
    for (name, line) in lines(stage, "ones").await? {
        let event: Value = serde_json::from_str(&line)?;
        let day = event["dvce_created_tstamp"].as_str().and_then(|time| time.get(..10));
        let expected = format!("enriched-ones/event=page_view/day={}/", day.context("no time")?);
        ensure!(name.starts_with(&expected) && name.ends_with(".jsonl.gz"), "{name}: {line}");
        ones.push(event["event_id"].as_str().context("no id")?.to_owned());
    }
    once("ones", ones, &ids(Expected::Enriched, &is_one))?;

    let others = arrivals::in_streams(&stage.aws.kinesis, &[ENRICHED]).await?;
    ensure!(others.bad.is_empty() && others.strange.is_empty(), "{others:?}");
    let times = others.enriched.iter().flat_map(|(id, times)| vec![id.clone(); *times as usize]);
    let rest = ids(Expected::Enriched, &|number| !is_one(number));
    once("others", times.collect(), &rest)?;

    let mut all: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let stored = lines(stage, "all").await?;
    for (name, line) in &stored {
        let (prefix, _) = name.split_once('/').context("no folder")?;
        let id = match prefix {
            "good" => line.split('\t').nth(6),
            _ => traffic::bad_id_in(line),
        };
        all.entry(prefix).or_default().push(id.context("no id")?.to_owned());
    }
    ensure!(all.keys().eq(&["failed", "good"]), "{:?}", all.keys());
    once("all", all["good"].clone(), &ids(Expected::Enriched, &|_| true))?;
    once("all, failed", all["failed"].clone(), &bad)?;

    let mut near = Vec::new();
    for file in files(folder)? {
        for line in zstd::decode_all(std::fs::File::open(&file)?)?.split(|byte| *byte == b'\n') {
            let id = traffic::bad_id_in(std::str::from_utf8(line)?);
            near.extend(id.map(str::to_owned));
        }
    }
    once("near", near, &bad)?;
    let archived = arrivals::objects(&stage.aws.s3, "archive").await?;
    ensure!(archived.iter().any(|name| name.starts_with("raw/")), "{archived:?}");
    Ok(())
}

/// These are all events that a destination wants, and none of them is there twice.
fn once(destination: &str, mut found: Vec<String>, wanted: &BTreeSet<String>) -> Result<()> {
    found.sort();
    let missing: Vec<_> = wanted.iter().filter(|id| found.binary_search(id).is_err()).collect();
    ensure!(missing.is_empty(), "{destination}: {} missing: {:?}", missing.len(), missing.first());
    ensure!(found.iter().eq(wanted), "{destination}: {} of {}", found.len(), wanted.len());
    Ok(())
}

/// The lines of a bucket, each with the name of its object.
async fn lines(stage: &Stage<'_>, bucket: &str) -> Result<Vec<(String, String)>> {
    arrivals::lines(&stage.aws.s3, bucket).await
}

/// The files of lines in a folder and those in it.
fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('_'));
        if path.is_dir() && !hidden {
            found.extend(files(&path)?);
        } else if !hidden {
            found.push(path);
        }
    }
    Ok(found)
}
