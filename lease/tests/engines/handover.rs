//! How long a shard stands still when it changes hands, from the last output of its old owner to
//! the first of its new one, with real processes: figures for BENCHMARKS.md.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

use crate::engine::Engine;
use crate::processes::{self, Children, Stage, TURN};

/// The default.
const LEASE: Duration = Duration::from_secs(10);
/// A shard writes so often that its last output tells when its owner stopped.
const PERIOD: Duration = Duration::from_millis(50);
const SHARDS: u32 = 32;
const PROCESSES: usize = 4;
const ROUNDS: usize = 4;

#[test]
#[ignore = "takes minutes; figures for BENCHMARKS.md"]
fn gaps_with_a_file() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    measure("SQLite", Stage::new(None, LEASE));
}

#[test]
#[ignore = "takes minutes; figures for BENCHMARKS.md"]
fn gaps_with_dynamodb() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let engine = runtime.block_on(Engine::start());
    measure("DynamoDB emulator", Stage::new(Some(engine.address), LEASE));
}

fn measure(name: &str, mut stage: Stage) {
    stage.period = PERIOD;
    stage.shards = SHARDS;
    let (graceful, crashes) = stage.runtime.block_on(rounds(&stage));
    processes::verify(stage.folder.path());
    print(name, "graceful move", &graceful);
    print(name, "crash", &crashes);
    assert!(quantile(&graceful, 50) < 1_000 && quantile(&graceful, 99) < 3_000);
    assert!(quantile(&crashes, 99) < (LEASE + Duration::from_secs(3)).as_millis() as u64);
}

/// A worker joins, one leaves in good order, one dies and is replaced; again and again.
async fn rounds(stage: &Stage) -> (Vec<u64>, Vec<u64>) {
    let folder = stage.folder.path();
    let fleet = (0..PROCESSES).map(|_| stage.start()).collect();
    let mut fleet = Children(fleet);
    let shared = |count: usize| {
        let mut shares: BTreeMap<u32, usize> = BTreeMap::new();
        for owner in processes::working(folder, 0).into_values() {
            *shares.entry(owner).or_default() += 1;
        }
        let least = SHARDS as usize / count - 1;
        shares.len() == count && shares.values().all(|share| *share >= least)
    };
    stage.until(|| shared(PROCESSES)).await;
    let (mut graceful, mut crashes) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let row = processes::last_row(folder);
        fleet.0.push(stage.start());
        stage.until(|| shared(PROCESSES + 1)).await;
        let mut leaver = fleet.0.remove(0);
        processes::leave(stage, &mut leaver).await;
        stage.until(|| shared(PROCESSES)).await;
        graceful.extend(gaps(folder, row));

        let row = processes::last_row(folder);
        let mut victim = fleet.0.remove(0);
        victim.kill().expect("it is ours to kill");
        victim.wait().expect("it has ended");
        stage.until(|| shared(PROCESSES - 1)).await;
        let dead = victim.id();
        crashes.extend(gaps_after(folder, row, Some(dead)));
        fleet.0.push(stage.start());
        stage.until(|| shared(PROCESSES)).await;
    }
    for child in &mut fleet.0 {
        processes::leave(stage, child).await;
    }
    (graceful, crashes)
}

fn gaps(folder: &Path, since: i64) -> Vec<u64> {
    gaps_after(folder, since, None)
}

/// The milliseconds between the last output of each owner and the first of the next one; of one
/// old owner only, if it is given.
fn gaps_after(folder: &Path, since: i64, old: Option<u32>) -> Vec<u64> {
    let sql = processes::outputs(folder);
    let mut query = sql
        .prepare("SELECT shard, epoch, process, at, row > ?1 FROM outputs ORDER BY row")
        .expect("a query");
    let rows = query.query_map([since], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
    });
    let mut last: BTreeMap<String, (u64, u32, u64)> = BTreeMap::new();
    let mut gaps = Vec::new();
    for row in rows.expect("rows") {
        let (shard, epoch, process, at, counts): (String, u64, u32, u64, bool) = row.expect("row");
        if let Some((before, owner, ended)) = last.insert(shard, (epoch, process, at))
            && before != epoch
            && counts
            && old.is_none_or(|old| old == owner)
        {
            gaps.push(at.saturating_sub(ended));
        }
    }
    gaps
}

fn quantile(gaps: &[u64], percent: usize) -> u64 {
    let mut gaps = gaps.to_vec();
    gaps.sort_unstable();
    gaps.get((gaps.len() * percent / 100).min(gaps.len() - 1)).copied().expect("something moved")
}

fn print(name: &str, what: &str, gaps: &[u64]) {
    let at = |percent| quantile(gaps, percent);
    println!(
        "{name}, {what}: p50 {} ms, p99 {} ms, most {} ms of {}",
        at(50),
        at(99),
        at(100),
        gaps.len()
    );
}
