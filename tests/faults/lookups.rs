//! A worker whose events ask a database: what an outage makes of them, and what is left of it when
//! the database is back.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::databases::{Database, Kind, PASSWORD, USER};
use tests::workers::{self, Worker};
use tests::{arrivals, scratch, wait};

use crate::stage::{BUCKET, Config, SOON, Stage};

const TABLE: &str = "CREATE TABLE apps (id text PRIMARY KEY, owner text);
    INSERT INTO apps SELECT id, 'somebody' FROM unnest(ARRAY['web', 'mobile']) AS id;";

#[tokio::test(flavor = "multi_thread")]
async fn events_wait_for_a_database_that_is_down() -> Result<()> {
    scratch::run(async |scratch| lose_the_database(scratch).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_online_says_that_a_database_is_down() -> Result<()> {
    scratch::run(async |scratch| check_online(scratch).await).await
}

/// A PostgreSQL that knows who owns an app; none where there are no programs for it.
async fn started() -> Result<Option<Database>> {
    let Some(database) = Database::start(Kind::Postgres).await? else { return Ok(None) };
    database.fill(TABLE).await?;
    Ok(Some(database))
}

/// The worker's configuration, with the look-up and the schema of what it adds.
fn config(stage: &Stage<'_>, port: u16) -> Result<Config> {
    let enrichment = json!({
        "schema": "iglu:com.snowplowanalytics.snowplow.enrichments/sql_query_enrichment_config/jsonschema/1-0-0",
        "data": {
            "vendor": "com.snowplowanalytics.snowplow.enrichments",
            "name": "sql_query_enrichment_config",
            "enabled": true,
            "parameters": {
                "inputs": [{ "placeholder": 1, "pojo": { "field": "event_id" } }],
                "database": { "postgresql": {
                    "host": "127.0.0.1", "port": port, "sslMode": false,
                    "username": USER, "password": PASSWORD, "database": "postgres"
                } },
                "query": {
                    "sql": "SELECT count(*)::text AS owner FROM apps WHERE id <> ?"
                },
                "output": {
                    "expectedRows": "AT_MOST_ONE",
                    "json": {
                        "schema": "iglu:com.acme/owner/jsonschema/1-0-0",
                        "describes": "ALL_ROWS",
                        "propertyNames": "AS_IS"
                    }
                },
                "cache": { "size": 10, "ttl": 60 }
            }
        }
    });
    let schema = json!({
        "$schema": "http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#",
        "self": { "vendor": "com.acme", "name": "owner", "format": "jsonschema", "version": "1-0-0" },
        "type": "object",
        "properties": { "owner": { "type": "string", "maxLength": 16 } }
    });
    let enrichments = stage.scratch.join("enrichments");
    std::fs::create_dir_all(&enrichments)?;
    std::fs::write(enrichments.join("sql.json"), enrichment.to_string())?;
    let schemas = stage.scratch.join("registry/schemas/com.acme/owner/jsonschema");
    std::fs::create_dir_all(&schemas)?;
    std::fs::write(schemas.join("1-0-0"), schema.to_string())?;
    let text = |path: std::path::PathBuf| path.display().to_string();
    Ok(stage
        .config()
        .with("enrichments.folder", text(enrichments))
        .with("schemas.folder", text(stage.scratch.join("registry")))
        .with("lookups.on_unavailable", "park")
        .with("lookups.patience", "2s")
        .with("parked.s3.bucket", BUCKET)
        .with("parked.s3.object_age", "1s"))
}

async fn wait_for_circuit(worker: &Worker, open: f64) -> Result<()> {
    wait::until(&format!("a circuit of {open}"), SOON, async || {
        Ok((worker.metric("snowmelt_lookup_circuit_open").await? == open).then_some(()))
    })
    .await
    .with_context(|| worker.log().unwrap_or_default())
}

async fn lose_the_database(scratch: &Path) -> Result<()> {
    let Some(mut database) = started().await? else { return Ok(()) };
    let stage = Stage::set(scratch, 1).await?;
    let worker = stage.start("worker", &config(&stage, database.port)?).await?;
    stage.wait_until_held(&worker, 1).await?;
    let mut producer = stage.producer();
    producer.send_up_to(20).await?;
    stage.wait_until_stored(&producer).await?;

    database.stop();
    producer.send_up_to(60).await?;
    wait::until("events that are parked", SOON, async || {
        let parked = parked(&stage).await?;
        Ok((!parked.is_empty()).then_some(()))
    })
    .await
    .with_context(|| worker.log().unwrap_or_default())?;
    wait_for_circuit(&worker, 1.0).await?;

    database.resume().await?;
    // Only events that come bring the question that finds it back.
    let mut up_to = 60;
    wait::until("a circuit that closes", SOON, async || {
        up_to += 10;
        producer.send_up_to(up_to).await?;
        Ok((worker.metric("snowmelt_lookup_circuit_open").await? == 0.0).then_some(()))
    })
    .await?;

    // What was parked and what was not are everything that was sent.
    wait::until("every event", SOON, async || {
        let found = arrivals::in_bucket(&stage.aws.s3, BUCKET).await?.arrivals;
        let parked = replayed(&stage).await?;
        let missing = producer.sent.keys().filter(|id| {
            !found.enriched.contains_key(*id)
                && !found.bad.contains_key(*id)
                && !parked.lines().any(|line| line.contains(id.as_str()))
        });
        let missing = missing.count();
        ensure!(missing == 0, "{missing} of {} are missing", producer.sent.len());
        ensure!(parked.lines().all(|line| line.contains("com.acme/owner")), "{parked}");
        ensure!(parked.lines().count() > 0, "nothing was parked");
        Ok(Some(()))
    })
    .await
    .with_context(|| worker.log().unwrap_or_default())?;
    let log = worker.log()?;
    ensure!(!log.contains(PASSWORD), "the password is in the log");
    Ok(())
}

/// The names of the objects with what waits.
async fn parked(stage: &Stage<'_>) -> Result<Vec<String>> {
    let mut names = stage.objects().await?;
    names.retain(|name| name.contains("parked"));
    Ok(names)
}

/// The enriched lines that `snowmelt enrich` makes of what waits.
async fn replayed(stage: &Stage<'_>) -> Result<String> {
    let waits = stage.scratch.join("waits");
    std::fs::create_dir_all(&waits)?;
    for name in parked(stage).await? {
        let object = stage.aws.s3.get_object().bucket(BUCKET).key(&name).send().await?;
        let bytes = object.body.collect().await?.into_bytes();
        std::fs::write(waits.join(name.replace('/', "_")), bytes)?;
    }
    let folder = |name: &str| stage.scratch.join(name);
    let mut command: Command = workers::snowmelt()?;
    command.args(["enrich", "--output", "-", "--schemas"]).arg(folder("registry"));
    command.arg("--enrichments").arg(folder("enrichments")).arg("--input").arg(&waits);
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

async fn check_online(scratch: &Path) -> Result<()> {
    let Some(mut database) = started().await? else { return Ok(()) };
    let stage = Stage::set(scratch, 1).await?;
    let config = config(&stage, database.port)?;
    let check = async || {
        let mut command = workers::snowmelt()?;
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        let output = stage.check_online(&config, command)?;
        let said = [output.stdout, output.stderr].concat();
        anyhow::Ok((output.status.code(), String::from_utf8_lossy(&said).into_owned()))
    };
    let (code, said) = check().await?;
    ensure!(code == Some(0), "{code:?}: {said}");
    database.stop();
    let (code, said) = check().await?;
    ensure!(code == Some(69), "{code:?}: {said}");
    ensure!(said.contains("sql_query_enrichment_config cannot be asked"), "{said}");
    ensure!(!said.contains("can be used"), "{said}");
    ensure!(!said.contains(PASSWORD), "{said}");
    Ok(())
}
