//! Tables of Iceberg that workers fill: every event is in them once, whoever is killed, with the
//! catalog in a folder that workers share, and in Glue.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use arrow_array::cast::AsArray;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use enricher::catalogs;
use lakehouse::{Access, Aws, Buckets, Catalog, CatalogConfig, GlueConfig, Lake, Places};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tests::emulators::REGION;
use tests::faults::{Fault, Rule};
use tests::traffic::{self, Expected};
use tests::{repository, scratch, wait};

use crate::stage::{BUCKET, Config, SOON, Stage};

/// Events that are sent before each kill, and kills.
const PART: u32 = 300;
const KILLS: u32 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_once_in_a_folders_tables_whoever_is_killed() -> Result<()> {
    scratch::run(async |scratch: &Path| {
        let stage = Stage::set(scratch, 2).await?;
        let folder = scratch.join("lake");
        let where_it_is = format!("folder = {:?}", folder.display().to_string());
        let config = config(&stage, &where_it_is)?;
        let catalog = || Ok((catalogs::in_folder(&folder).open)()?);
        kill(&stage, &config, &catalog).await?;
        others_agree(&folder)
    })
    .await
}

/// Whether readers that we did not write find the same.
fn others_agree(folder: &Path) -> Result<()> {
    let all = 0..KILLS * PART;
    let bad = all.clone().filter(|number| traffic::expected(*number) == Expected::Bad).count();
    let python = repository::target().join("tools/python/bin/python");
    let mut judge = Command::new(&python);
    judge.arg(repository::root().join("tests/filled.py")).arg(folder);
    let judged = judge.args([all.len() - bad, bad].map(|count| count.to_string())).output();
    let judged = judged.with_context(|| python.display().to_string())?;
    ensure!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_once_in_glues_tables_whoever_is_killed() -> Result<()> {
    scratch::run(async |scratch: &Path| {
        let stage = Stage::set(scratch, 2).await?;
        let config = config(&stage, &format!("catalog = \"glue:s3://{BUCKET}/tables\""))?;
        let config = config.with("aws.endpoint_url", stage.aws.s3_url.clone());
        let catalog = || glue(&stage);
        kill(&stage, &config, &catalog).await?;
        // What all tables have is removed, but for the last link of each shard.
        let names = tests::arrivals::objects(&stage.aws.s3, BUCKET).await?;
        let links = names.iter().filter(|name| name.starts_with("tables/_links/")).count();
        ensure!(links <= 2 + 1, "{links} links and claims are left: {names:?}");
        Ok(())
    })
    .await
}

/// Answers of commits are lost, and then the catalog fails: shards go on all the same, and all that
/// they made is committed once when it answers again.
#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_is_away_holds_up_no_shard() -> Result<()> {
    scratch::run(async |scratch: &Path| {
        let stage = Stage::set(scratch, 2).await?;
        let config = config(&stage, &format!("catalog = \"glue:s3://{BUCKET}/tables\""))?;
        let config = config.with("aws.endpoint_url", stage.faults.s3_url.clone());
        let mut worker = stage.start("worker", &config).await?;
        let mut producer = stage.producer();
        let good = |sent: u32| (0..sent).filter(|n| traffic::expected(*n) == Expected::Enriched);
        stage.faults.add(Rule::of("UpdateTable", Fault::LoseAnswer).times(6));
        producer.send_up_to(PART).await?;
        let committed = good(PART).count();
        wait::until("the first part in the table", SOON, async || {
            Ok((rows(glue(&stage)?, "events").await?.len() == committed).then_some(()))
        })
        .await?;
        for action in ["GetTable", "UpdateTable"] {
            stage.faults.add(Rule::of(action, Fault::BROKEN));
        }
        producer.send_up_to(2 * PART).await?;
        wait::until("the second part in links", SOON, async || {
            let lines = worker.metric("snowmelt_lines_total").await?;
            Ok((lines >= f64::from(2 * PART)).then_some(()))
        })
        .await?;
        wait::until("word of what waits", SOON, async || {
            let waiting = worker.metric("snowmelt_iceberg_links_waiting").await?;
            Ok((waiting > 0.0).then_some(()))
        })
        .await?;
        let found = rows(glue(&stage)?, "events").await?.len();
        ensure!(found == committed, "{found} rows, though nobody could commit");
        ensure!(worker.ended()?.is_none(), "{}", worker.log()?);
        stage.faults.clear();
        wait::until("both parts in the table", SOON, async || {
            Ok((rows(glue(&stage)?, "events").await?.len() == good(2 * PART).count()).then_some(()))
        })
        .await?;
        let status = worker.terminate(SOON).await?;
        ensure!(status.success(), "{status}: {}", worker.log()?);
        let twice = rows(glue(&stage)?, "events").await?.values().filter(|n| **n > 1).count();
        ensure!(twice == 0, "{twice} events are there twice");
        Ok(())
    })
    .await
}

/// Workers of which one is killed again and again, until everything is in the tables.
async fn kill(
    stage: &Stage<'_>,
    config: &Config,
    catalog: &dyn Fn() -> Result<Arc<dyn Catalog>>,
) -> Result<()> {
    let mut producer = stage.producer();
    let mut steady = stage.start("steady", config).await?;
    for kill in 1..=KILLS {
        let mut worker = stage.start(&format!("worker-{kill}"), config).await?;
        producer.send_up_to(kill * PART).await?;
        wait::until("rows of the last part", SOON, async || {
            let found = rows(catalog()?, "events").await?;
            let first = (kill - 1) * PART;
            let some = (first..kill * PART).any(|n| found.contains_key(&traffic::event_id(n)));
            Ok(some.then_some(()))
        })
        .await?;
        // One that has leases, or is about to get some, and may be the one that commits.
        worker.kill()?;
        if kill == KILLS / 2 {
            steady.kill()?;
            steady = stage.start("steady-again", config).await?;
        }
    }
    let all = KILLS * PART;
    for (table, expected) in [("events", Expected::Enriched), ("bad", Expected::Bad)] {
        let wanted = (0..all).filter(|number| traffic::expected(*number) == expected).count();
        wait::until(&format!("all rows of {table}"), SOON, async || {
            Ok((rows(catalog()?, table).await?.len() >= wanted).then_some(()))
        })
        .await?;
    }
    let status = steady.terminate(SOON).await?;
    ensure!(status.success(), "{status}: {}", steady.log()?);
    for (table, expected) in [("events", Expected::Enriched), ("bad", Expected::Bad)] {
        let found = rows(catalog()?, table).await?;
        let wanted = (0..all).filter(|number| traffic::expected(*number) == expected);
        let wanted: Vec<String> = wanted.map(traffic::event_id).collect();
        let missing = wanted.iter().filter(|id| !found.contains_key(*id)).count();
        let twice = found.values().filter(|times| **times > 1).count();
        let rows = found.len();
        println!("{table}: {rows} of {}, {missing} missing, {twice} twice", wanted.len());
        ensure!((rows, missing, twice) == (wanted.len(), 0, 0), "{table}: {missing}, {twice}");
    }
    Ok(())
}

fn config(stage: &Stage<'_>, where_it_is: &str) -> Result<Config> {
    let text = format!(
        r#"
        name = "lake"
        iceberg = {{ {where_it_is}, object_age = "500ms", commit_every = "500ms" }}
        "#
    );
    let to: toml::Value = toml::from_str::<toml::Table>(&text)?.into();
    let to = toml::Value::Array(vec![to]);
    let config = stage.config().without("enriched").without("bad");
    Ok(config.with("enriched.to", to.clone()).with("bad.to", to))
}

fn glue(stage: &Stage<'_>) -> Result<Arc<dyn Catalog>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::new();
    let credentials = Credentials::new("test", "test", None, None, "tests");
    let aws = Aws {
        http: http.clone(),
        credentials: SharedCredentialsProvider::new(credentials),
        region: REGION.to_owned(),
        endpoint: Some(stage.aws.s3_url.clone()),
    };
    let files = Arc::new(Places { buckets: Buckets::new(stage.aws.s3.clone()) });
    let warehouse = format!("s3://{BUCKET}/tables");
    let config = CatalogConfig::Glue(GlueConfig { catalog: None, warehouse });
    Ok(config.open(Access { files, http, aws: Some(aws) })?)
}

/// How often each event is in the newest snapshot of a table, by its id.
async fn rows(catalog: Arc<dyn Catalog>, table: &str) -> Result<BTreeMap<String, u32>> {
    let mut found = BTreeMap::new();
    let lake = Lake::find(catalog, "snowmelt", table).await?;
    let Some(lake) = lake else { return Ok(found) };
    let table = lake.table().await?;
    let Some(snapshot) = table.metadata().current_snapshot() else { return Ok(found) };
    let list = table.manifest_list_reader(snapshot).load().await?;
    for manifest in list.entries() {
        let manifest = manifest.load_manifest(table.file_io()).await?;
        for entry in manifest.entries().iter().filter(|entry| entry.is_alive()) {
            let path = entry.file_path();
            let bytes = table.file_io().new_input(path)?.read().await?;
            let reader =
                ParquetRecordBatchReaderBuilder::try_new(bytes).context(path.to_owned())?;
            let column = ProjectionMask::columns(reader.parquet_schema(), ["event_id"]);
            for batch in reader.with_projection(column).build()? {
                let batch = batch?;
                for id in batch.column(0).as_string::<i32>() {
                    *found.entry(id.context("a row without an id")?.to_owned()).or_default() += 1;
                }
            }
        }
    }
    Ok(found)
}
