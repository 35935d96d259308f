//! What a fleet costs while nothing comes: requests and log lines of a minute, counted.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::{leases, scratch};

use crate::stage::{Stage, TABLE};

const SHARDS: i32 = 8;

/// A KCL asks 40 times a minute; a machine that is busy asks less often.
const GET_RECORDS: u64 = 45;

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_fleet_is_quiet() -> Result<()> {
    scratch::run(async |scratch| idle(scratch).await).await
}

async fn idle(scratch: &Path) -> Result<()> {
    let stage = Stage::set(scratch, SHARDS).await?;
    let config = stage.config().with("leases.duration", "10s");
    let config = config.with("source.poll_interval", "500ms").with("source.batch_age", "1s");
    let workers = [stage.start("one", &config).await?, stage.start("two", &config).await?];
    for worker in &workers {
        stage.wait_until_held(worker, SHARDS as usize / workers.len()).await?;
    }
    // The fleet has found its balance, and readers their slowest pace, before the count begins.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let lines = || -> Result<usize> {
        let logs = workers.iter().map(|worker| worker.log());
        Ok(logs.collect::<Result<Vec<_>>>()?.iter().map(|log| log.lines().count()).sum())
    };
    let before = lines()?;
    stage.faults.forget();
    tokio::time::sleep(Duration::from_secs(60)).await;
    println!("a minute of {SHARDS} shards and {} workers without traffic:", workers.len());
    for ((api, action), count) in stage.faults.counts() {
        println!("  {api:?} {action}: {}", count.requests);
    }
    let told = lines()? - before;
    println!("  log lines: {told}");
    let asked = stage.faults.count("GetRecords").requests;
    ensure!(asked > 0 && asked <= GET_RECORDS * SHARDS as u64, "{asked} requests for records");
    ensure!(stage.faults.count("PutObject").requests == 0, "nothing is to be written");
    ensure!(told == 0, "{told} lines about nothing");
    ensure!(leases::read(&stage.aws.dynamodb, TABLE).await?.len() == SHARDS as usize, "leases");
    Ok(())
}
