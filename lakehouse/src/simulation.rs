//! Chains and commits against whatever can go wrong, for many seeded worlds.
//!
//! Workers add records of shards to chains, and whoever of them feels like it appends what chains
//! hold to two tables, through the catalog that is shipped, on a SQLite file in memory. Between any
//! two calls of the catalog or of the storage another worker may go on; requests and answers are
//! lost, requests arrive long after they were given up, both refuse for a moment; workers die
//! wherever they wait; leases are stolen, and who had them begins no request after that, but may
//! have one under way; columns are added and snapshots expire meanwhile. Then the faults stop, the
//! fleet comes to rest, and the tables must hold every record once.
//!
//! `SNOWMELT_SIM_SEEDS=2000 cargo test -p lakehouse simulation` runs more worlds than the usual;
//! `SNOWMELT_SIM_SEED=17` replays one and prints its story.
#![allow(clippy::print_stdout, reason = "figures are for whoever runs the test")]

mod bugs;
mod storage;
mod weather;
mod worker;
mod world;

pub(crate) use bugs::Bug;
use world::World;

/// Worlds run by default: some seconds' worth.
const SEEDS: u64 = 12;

/// Worlds in which a planted bug must show itself.
const BUG_SEEDS: u64 = 200;

fn setting(name: &str) -> Option<u64> {
    #[allow(clippy::disallowed_methods, reason = "a test's own setting, not the program's")]
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("the setting is a number"))
}

fn run(seed: u64, bug: Option<Bug>) -> (Result<world::Account, String>, Vec<String>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime of one thread");
    runtime.block_on(World::run(seed, bug))
}

#[test]
fn every_record_is_in_a_table_once() {
    if let Some(seed) = setting("SNOWMELT_SIM_SEED") {
        let (verdict, story) = run(seed, None);
        panic!("{}\nseed {seed}: {verdict:?}", story.join("\n"));
    }
    let seeds = setting("SNOWMELT_SIM_SEEDS").unwrap_or(SEEDS);
    let mut total = world::Account::default();
    let mut violations = Vec::new();
    for seed in 0..seeds {
        match run(seed, None).0 {
            Ok(account) => total.add(&account),
            Err(violation) => violations.push(format!("SNOWMELT_SIM_SEED={seed}: {violation}")),
        }
    }
    println!("{seeds} seeds: {total:?}");
    assert!(violations.is_empty(), "{} of {seeds}:\n{}", violations.len(), violations.join("\n"));
    total.must_have_seen_everything();
}

/// The same seed is the same world: its story can be read again.
#[test]
fn a_world_repeats_itself() {
    let (first, second) = (run(7, None), run(7, None));
    assert_eq!(first.1, second.1);
}

#[test]
fn every_planted_bug_is_caught() {
    // A fleet that does not come to rest has not shown what is wrong with its tables.
    let shown = |violation: &String| violation.contains("times") || violation.contains("not in");
    let search = |bug| {
        let shows = |seed| Some((seed, run(seed, Some(bug)).0.err().filter(shown)?));
        (0..BUG_SEEDS).find_map(shows)
    };
    std::thread::scope(|scope| {
        let searches = bugs::ALL.map(|bug| (bug, scope.spawn(move || search(bug))));
        for (bug, searching) in searches {
            let caught = searching.join().expect("no world panics");
            let (seed, violation) = caught.unwrap_or_else(|| panic!("{bug:?} is not caught"));
            println!("{bug:?}: seed {seed}: {violation}");
        }
    });
}
