//! Tables of Parquet in a bucket, when a worker that writes them is killed: no row is missing, and
//! only what it had not yet checkpointed is there twice.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use arrow_array::cast::AsArray;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tests::traffic::{self, Expected};
use tests::{arrivals, scratch, wait};

use crate::stage::{BUCKET, Config, SOON, Stage};

const BEFORE: u32 = 600;
const ALL: u32 = 1_200;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_leaves_tables_whole() -> Result<()> {
    scratch::run(async |scratch| kill(scratch).await).await
}

async fn kill(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, 2).await?;
    let config = config(&stage)?;
    let mut one = stage.start("one", &config).await?;
    let mut producer = stage.producer();
    producer.send_up_to(BEFORE).await?;
    wait::until("the first files", SOON, async || {
        Ok((!rows(&stage, "events").await?.is_empty()).then_some(()))
    })
    .await?;
    one.kill()?;
    let mut two = stage.start("two", &config).await?;
    producer.send_up_to(ALL).await?;
    let wanted = |expected| (0..ALL).filter(move |number| traffic::expected(*number) == expected);
    for (table, expected) in [("events", Expected::Enriched), ("bad", Expected::Bad)] {
        let found = wait::until(&format!("all rows of {table}"), SOON, async || {
            let found = rows(&stage, table).await?;
            let missing = wanted(expected).filter(|n| !found.contains_key(&traffic::event_id(*n)));
            let missing = missing.count();
            ensure!(missing == 0, "{missing} are missing");
            Ok(Some(found))
        })
        .await?;
        ensure!(found.len() == wanted(expected).count(), "{table} has rows that nobody sent");
    }
    let status = two.terminate(SOON).await?;
    ensure!(status.success(), "{status}: {}", two.log()?);
    for table in ["events", "bad"] {
        let found = rows(&stage, table).await?;
        for number in BEFORE..ALL {
            let times = found.get(&traffic::event_id(number)).copied().unwrap_or(0);
            ensure!(times <= 1, "event {number}, sent after the kill, is there {times} times");
        }
    }
    Ok(())
}

fn config(stage: &Stage<'_>) -> Result<Config> {
    let to = |table: &str| {
        let text = format!(
            r#"
            name = "tables"
            format = "parquet"
            s3 = {{ bucket = "{BUCKET}", prefix = "tables/{table}", object_age = "1s" }}
            "#
        );
        toml::from_str::<toml::Table>(&text).map(|to| toml::Value::Array(vec![to.into()]))
    };
    let config = stage.config().without("enriched").without("bad");
    Ok(config.with("enriched.to", to("events")?).with("bad.to", to("bad")?))
}

/// How often each event is in a table, by its id.
async fn rows(stage: &Stage<'_>, table: &str) -> Result<BTreeMap<String, u32>> {
    let mut found = BTreeMap::new();
    let folder = format!("tables/{table}/load_date=");
    for name in arrivals::objects(&stage.aws.s3, BUCKET).await? {
        if !name.starts_with(&folder) || !name.ends_with(".parquet") {
            continue;
        }
        let answer = stage.aws.s3.get_object().bucket(BUCKET).key(&name).send().await?;
        let bytes = answer.body.collect().await?.into_bytes();
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).context(name)?;
        let column = ProjectionMask::columns(reader.parquet_schema(), ["event_id"]);
        for batch in reader.with_projection(column).build()? {
            let batch = batch?;
            for id in batch.column(0).as_string::<i32>() {
                *found.entry(id.context("a row without an id")?.to_owned()).or_default() += 1;
            }
        }
    }
    Ok(found)
}
