//! The life of a worker: ready, draining, ended.

use std::sync::Arc;
use std::time::Duration;

use lease::LeaseStore;
use resolver::Failing;

use crate::causes::chain;
use crate::expiry;
use crate::fleet::Fleet;
use crate::metrics::Load;
use crate::process;
use crate::shard;
use crate::signal::Stop;
use crate::sink::iceberg::commit_for_ever;
use crate::worker::Worker;

/// How a worker came to its end.
#[derive(Debug)]
pub enum End {
    /// Everything read is durable and every lease released.
    Drained,
    /// The grace ran out, or a second signal came: what was in flight is read again by others.
    CutOff,
    /// The last shard that this worker had could not be worked on, and neither could those before.
    Failed(shard::Error),
    /// The lease table cannot be used.
    Leaseless(lease::Error),
}

/// How often the keeper's counts are copied into the metrics.
const STATUS: Duration = Duration::from_secs(1);

/// How long a worker that is cut off waits until its leases are given back: they are one write
/// each, and who has asked twice should not wait for a table that does not answer.
const GIVING_BACK: Duration = Duration::from_secs(2);

/// Runs a worker until it is asked to stop or cannot go on.
pub async fn run(
    worker: Arc<Worker>,
    store: Arc<dyn LeaseStore>,
    leases: lease::Config,
    grace: Duration,
    stop: Stop,
) -> End {
    let lasting = leases.lease_duration;
    let (keeper, leases) = lease::Keeper::start(store, leases);
    worker.pulse.begin(keeper.clone(), lasting);
    let fleet = Fleet::new(Arc::clone(&worker), keeper.clone(), leases);
    let began = tokio::time::Instant::now();
    let counting = async {
        let mut told = lease::Status::default();
        let (mut failing, mut left_alone) = (Vec::new(), Vec::new());
        let mut expiry = expiry::Warning::default();
        loop {
            worker.pulse.round();
            let status = keeper.status();
            worker.metrics.leases(&status);
            tell(&told, &status);
            told = status;
            expiry.tell(&worker.metrics.ages());
            worker.metrics.load(Load {
                at: began.elapsed(),
                used: process::cpu_time(),
                cores: worker.pool.threads(),
                workers: status.workers,
                shards: status.known,
                ..Load::default()
            });
            worker.metrics.in_flight(worker.budget.taken(), worker.budget.limit());
            worker.metrics.schemas(&worker.resolver.figures());
            let lookups = worker.lookups.figures();
            worker.metrics.lookups(&lookups);
            left_alone = tell_lookups(&left_alone, &lookups);
            failing = tell_registries(failing, worker.resolver.failing());
            tokio::time::sleep(STATUS).await;
        }
    };
    let end = tokio::select! {
        end = live(&worker, &keeper, fleet, grace, &stop) => end,
        never = counting => never,
        () = commit_for_ever(worker.sinks.tables()) => unreachable!("it commits for ever"),
        () = worker.resolver.keep_fresh() => unreachable!("it asks for ever"),
    };
    if matches!(end, End::Drained) {
        for tables in worker.sinks.tables() {
            tables.finish().await;
        }
    }
    worker.pulse.end();
    worker.metrics.leases(&keeper.status());
    log(&end);
    end
}

/// Works until the worker is asked to stop or nothing of it works, and then drains.
async fn live(
    worker: &Worker,
    keeper: &lease::Keeper,
    mut fleet: Fleet,
    grace: Duration,
    stop: &Stop,
) -> End {
    let unusable = keeper.unusable();
    let failed = tokio::select! {
        end = fleet.run() => end.err(),
        () = stop.drain.cancelled() => None,
        () = unusable.cancelled() => None,
    };
    stop.drain.cancel();
    let drained = tokio::select! {
        drained = tokio::time::timeout(grace, drain(keeper, &mut fleet)) => drained.ok(),
        () = stop.now.cancelled() => None,
    };
    let Some(also) = drained else {
        cut_off(worker, keeper, &mut fleet).await;
        return End::CutOff;
    };
    match failed.or(also) {
        Some(error) => End::Failed(error),
        None => fleet.join().await.map_or_else(End::Leaseless, |()| End::Drained),
    }
}

/// Says what an operator has to do something about, when it comes up.
fn tell(before: &lease::Status, now: &lease::Status) {
    if now.foreign > before.foreign {
        tracing::error!(
            leases = now.foreign,
            "the lease table has leases of other streams, or of one of this name that was created \
             at another time; they are not worked on. If the stream was created anew, delete them; \
             otherwise name a table of its own in [leases] table"
        );
    }
    if now.unreadable > before.unreadable {
        let items = now.unreadable;
        tracing::error!(items, "leases that cannot be read are left alone, and their shards too");
    }
}

/// Says once of each look-up that it does not answer, and once that it does again.
fn tell_lookups(before: &[&'static str], now: &[lookups::Figures]) -> Vec<&'static str> {
    let open = now.iter().filter(|figures| figures.open).map(|figures| figures.name);
    let open: Vec<&'static str> = open.collect();
    for lookup in open.iter().filter(|name| !before.contains(name)) {
        tracing::warn!(lookup, "a look-up does not answer: it is left alone for a while");
    }
    for lookup in before.iter().filter(|name| !open.contains(name)) {
        tracing::info!(lookup, "the look-up answers again");
    }
    open
}

/// Says once of each registry that it cannot be asked, and once that it can be asked again.
fn tell_registries(before: Vec<Failing>, now: Vec<Failing>) -> Vec<Failing> {
    let is_in = |all: &[Failing], one: &Failing| all.iter().any(|other| other.name == one.name);
    for failing in now.iter().filter(|failing| !is_in(&before, failing)) {
        let (registry, why) = (&failing.name, &failing.why);
        tracing::warn!(
            registry,
            why,
            "a registry cannot be asked: known schemas stay in use, what needs others waits"
        );
    }
    for failing in before.iter().filter(|failing| !is_in(&now, failing)) {
        tracing::info!(registry = failing.name, "the registry answers again");
    }
    now
}

/// Gives every lease back once its shard has nothing in flight. Answers with the first failure.
async fn drain(keeper: &lease::Keeper, fleet: &mut Fleet) -> Option<shard::Error> {
    let joined = async {
        let mut first = None;
        while let Err(error) = fleet.run().await {
            first.get_or_insert(error);
        }
        first
    };
    let (first, ()) = tokio::join!(joined, keeper.drain());
    first
}

/// Stops all output first, and then gives the leases back: whoever takes them reads what was in
/// flight again.
async fn cut_off(worker: &Worker, keeper: &lease::Keeper, fleet: &mut Fleet) {
    tracing::error!("gave up draining");
    let given_back = async {
        let stopped = async {
            fleet.stop().await;
            worker.sinks.stop();
        };
        // Asked first: shards that are stopped now have not failed.
        tokio::join!(keeper.drain(), stopped);
    };
    if tokio::time::timeout(GIVING_BACK, given_back).await.is_err() {
        tracing::warn!("not every lease could be given back; what is left will expire");
    }
}

fn log(end: &End) {
    match end {
        End::Drained => tracing::info!("drained"),
        End::CutOff => tracing::error!("ended with batches in flight; they will be read again"),
        End::Failed(error) => tracing::error!(error = chain(error), "no shard could be worked"),
        End::Leaseless(error) => {
            tracing::error!(error = chain(error), "the lease table cannot be used");
        }
    }
}
