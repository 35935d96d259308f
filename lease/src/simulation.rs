//! The protocol against whatever can go wrong, for thousands of seeded worlds.
//!
//! Two to ten workers run the real [`Protocol`](crate::protocol::Protocol) on clocks that drift by
//! up to 10 %, against one table. Requests and replies are lost, late and doubled, reads are stale,
//! the store throttles; workers crash, stand still for longer than a lease lasts, are cut off, join
//! and leave; a process dies before a request is sent, on its way, when it is carried out and
//! before the answer is seen, and wherever a task waits. Shards split and merge, and may have been
//! left half split by a worker of the KCL; somebody names next owners that never come. Records kill
//! whoever processes them; shards cannot be read for a while; the stream is deleted and created
//! anew, or another one is read with the same table; some workers have a longer lease duration than
//! others; the newest records are asked for, by workers whose time of day is wrong. Then the faults
//! stop, and the fleet must come to rest. The functions `invariant_*` say what must hold after
//! every step and at the end.
//!
//! `SNOWMELT_SIM_SEEDS=20000 cargo test -p lease simulation` runs more worlds than the usual;
//! `SNOWMELT_SIM_SEED=17` replays one and prints its last steps.
#![allow(clippy::print_stdout, reason = "figures are for whoever runs the test")]

mod bugs;
mod caution;
mod crash;
mod faults;
mod invariants;
mod stream;
mod table;
mod task;
mod weather;
mod work;
mod world;

use bugs::Bug;
use world::{Account, World};

/// Worlds run by default: some seconds' worth.
const SEEDS: u64 = 60;

/// The most violations that a failure lists.
const SHOWN: usize = 10;

/// Worlds in which a planted bug must show itself.
const BUG_SEEDS: u64 = 300;

/// Worlds in which little fails: some hundred hand-overs are needed to tell what one of a hundred
/// takes.
const MILD_SEEDS: u64 = 150;

/// Worlds in which a process must have died at a given point.
const DEADLY_SEEDS: u64 = 100;

fn setting(name: &str) -> Option<u64> {
    #[allow(clippy::disallowed_methods, reason = "a test's own setting, not the program's")]
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("the setting is a number"))
}

fn run(seed: u64, bug: Option<Bug>) -> Result<Account, String> {
    World::new(seed, bug, false).run().0
}

/// Runs a world again, with its story.
fn replay(seed: u64, bug: Option<Bug>) -> String {
    let (verdict, world) = World::new(seed, bug, true).run();
    let log = world.log();
    let tail = log[log.len().saturating_sub(400)..].join("\n");
    let tasks = world.tasks().join("\n");
    format!("{tail}\n{tasks}\nseed {seed}: {verdict:?}")
}

#[test]
fn no_fault_breaks_the_protocol() {
    if let Some(seed) = setting("SNOWMELT_SIM_SEED") {
        panic!("{}", replay(seed, None));
    }
    let seeds = setting("SNOWMELT_SIM_SEEDS").unwrap_or(SEEDS);
    let mut total = Account::default();
    let mut violations = Vec::new();
    for seed in 0..seeds {
        match run(seed, None) {
            Ok(account) => total.add(&account),
            Err(violation) => violations.push(format!("SNOWMELT_SIM_SEED={seed}: {violation}")),
        }
    }
    println!("{seeds} seeds: {}", total.summary());
    let shown = violations[..violations.len().min(SHOWN)].join("\n");
    assert!(violations.is_empty(), "{} of {seeds} seeds:\n{shown}", violations.len());
}

/// A process dies wherever it can while it waits for something, and the fleet goes on.
#[test]
fn a_process_may_die_at_any_point() {
    for point in crash::points() {
        let died = |seed: &u64| {
            let account = World::deadly(*seed, point).run().0;
            let account = account.unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
            account.deaths.contains_key(&point)
        };
        let seed = (0..DEADLY_SEEDS).find(died);
        assert!(seed.is_some(), "nobody died at {point:?}");
    }
}

#[test]
fn every_planted_bug_is_caught() {
    for bug in bugs::ALL {
        let caught = (0..BUG_SEEDS).find_map(|seed| run(seed, Some(bug)).err().map(|v| (seed, v)));
        let (seed, violation) = caught.unwrap_or_else(|| panic!("{bug:?} is not caught"));
        println!("{bug:?}: seed {seed}: {violation}");
    }
}

/// How many worlds it takes to catch each planted bug: the median over many starts.
#[test]
#[ignore = "takes minutes; a figure for BENCHMARKS.md"]
fn seeds_to_detection() {
    for bug in bugs::ALL {
        let mut needed: Vec<u64> = (0..15u64)
            .map(|start| {
                let seeds = (0..BUG_SEEDS).map(|n| start * 1_000_000 + n);
                seeds.take_while(|seed| run(*seed, Some(bug)).is_ok()).count() as u64 + 1
            })
            .collect();
        needed.sort_unstable();
        println!("{bug:?}: median {}, most {}", needed[needed.len() / 2], needed[14]);
    }
}

/// How long a shard stands still when it changes hands, where nothing but workers fails.
#[test]
fn shards_stand_still_for_a_moment_only() {
    let mut total = Account::default();
    for seed in 0..setting("SNOWMELT_SIM_SEEDS").unwrap_or(MILD_SEEDS) {
        let (verdict, _) = World::mild(seed).run();
        total.add(&verdict.unwrap_or_else(|violation| panic!("seed {seed}: {violation}")));
    }
    println!("{}", total.summary());
    // Clocks may be 10 % slow.
    assert!(quantile(&total.hand_overs, 0.5) < 1_000);
    assert!(quantile(&total.hand_overs, 0.99) < 3_000);
    assert!(quantile(&total.failovers, 0.99) < 13_000 * 11 / 10);
}

/// What a fleet at rest costs: a write for each lease in every renewal interval, and scans.
#[test]
fn a_lease_costs_a_write_for_each_renewal() {
    // Two workers scan every 2.5 seconds, ten every 6.5, by clocks that may be a tenth too fast.
    for (shards, workers, most) in [(10, 2, 0.9), (100, 10, 1.7)] {
        let [writes, scans, reads] = requests(shards, workers);
        assert!(writes <= 0.34 * shards as f64, "{writes} writes a second");
        assert!(scans <= most, "{scans} scans a second");
        assert!(reads < 0.1, "{reads} reads a second");
    }
}

/// The figures of the cost table in docs/leases.md.
#[test]
#[ignore = "takes a minute; prints figures for the documents"]
fn requests_per_second() {
    for (shards, workers) in [(8, 2), (64, 8), (1000, 50)] {
        let [writes, scans, reads] = requests(shards, workers);
        // Pages of 4 KiB; a scan that may be stale takes half a unit for each.
        let units = scans * (shards as f64 * ITEM_BYTES / 4096.0).ceil() / 2.0 + reads;
        println!(
            "{shards} shards, {workers} workers: {writes:.1} writes, {scans:.2} scans, \
             {reads:.2} reads; {units:.1} read units a second"
        );
    }
}

/// The size of an item: names and values of a lease of ours with a checkpoint.
const ITEM_BYTES: f64 = 400.0;

/// Writes, scans and reads a second of a fleet at rest.
fn requests(shards: usize, workers: usize) -> [f64; 3] {
    let (from, to) = (240, 360);
    let requests = World::calm(shards, workers).requests_between(from, to);
    requests.map(|count| count as f64 / (to - from) as f64)
}

/// In milliseconds.
fn quantile(times: &[u64], q: f64) -> u64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get((times.len() as f64 * q) as usize).copied().unwrap_or(0) / 1000
}

impl Account {
    fn add(&mut self, other: &Account) {
        self.steps += other.steps;
        self.writes += other.writes;
        self.takes += other.takes;
        self.records += other.records;
        self.duplicates += other.duplicates;
        self.hand_overs.extend(&other.hand_overs);
        self.failovers.extend(&other.failovers);
        for (point, deaths) in &other.deaths {
            *self.deaths.entry(*point).or_default() += deaths;
        }
        self.kills += other.kills;
        self.most_kills = self.most_kills.max(other.most_kills);
        self.parked = [0, 1].map(|n| self.parked[n] + other.parked[n]);
        self.recreated += other.recreated;
        self.failed += other.failed;
    }

    fn summary(&self) -> String {
        format!(
            "{} steps, {} writes, {} takes, {} records, {} doubled; \
             hand-over p50 {} ms, p99 {} ms, most {} ms of {}; \
             failover p50 {} ms, p99 {} ms, most {} ms of {}; \
             {} sudden deaths at {} points; {} killed by records, {} by one at most, \
             {} killers parked, {} others; {} streams created anew; {} failed tasks",
            self.steps,
            self.writes,
            self.takes,
            self.records,
            self.duplicates,
            quantile(&self.hand_overs, 0.5),
            quantile(&self.hand_overs, 0.99),
            quantile(&self.hand_overs, 0.999_999),
            self.hand_overs.len(),
            quantile(&self.failovers, 0.5),
            quantile(&self.failovers, 0.99),
            quantile(&self.failovers, 0.999_999),
            self.failovers.len(),
            self.deaths.values().sum::<u64>(),
            self.deaths.len(),
            self.kills,
            self.most_kills,
            self.parked[0],
            self.parked[1],
            self.recreated,
            self.failed,
        )
    }
}
