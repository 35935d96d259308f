//! A world: the table, the leases and the workers, of which one at a time goes on.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use columns::Type;
use iceberg::Catalog;

use super::bugs::Bug;
use super::weather::{Counts, Gate, Sky, Weather};
use super::worker::{Lease, Leases, Shelf, Worker};
use crate::lake::Lake;
use crate::testing::{catalog, field, ident};

pub(super) const SHARDS: usize = 3;
/// Records of each shard.
pub(super) const RECORDS: u64 = 24;
const WORKERS: usize = 3;
/// Steps with faults, and in all.
const FAULTY: usize = 700;
const STEPS: usize = 6_000;

pub(super) struct World {
    bug: Option<Bug>,
    sky: Arc<Sky>,
    catalog: Arc<dyn Catalog>,
    leases: Arc<Mutex<Leases>>,
    shelf: Arc<Mutex<Shelf>>,
    workers: Vec<Running>,
    /// How many workers there have been.
    born: usize,
    account: Account,
}

struct Running {
    id: usize,
    gate: Gate,
    work: Pin<Box<dyn Future<Output = ()>>>,
}

/// What happened in a world, or in many.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    counts: Counts,
    kills: u64,
    steals: u64,
    lost: u64,
    repeated: u64,
    steps: u64,
}

impl Account {
    pub(super) fn add(&mut self, other: &Account) {
        let Account { counts, kills, steals, lost, repeated, steps } = other;
        self.kills += kills;
        self.steals += steals;
        self.lost += lost;
        self.repeated += repeated;
        self.steps += steps;
        self.counts.commits += counts.commits;
        self.counts.conflicts += counts.conflicts;
        self.counts.lost_requests += counts.lost_requests;
        self.counts.lost_answers += counts.lost_answers;
        self.counts.late += counts.late;
        self.counts.late_made += counts.late_made;
    }

    /// Faults that never happened were not survived.
    pub(super) fn must_have_seen_everything(&self) {
        let Counts { commits, conflicts, lost_requests, lost_answers, late, late_made } =
            self.counts;
        let Account { kills, steals, lost, repeated, steps, .. } = self;
        let seen = [
            commits,
            conflicts,
            lost_requests,
            lost_answers,
            late,
            late_made,
            *kills,
            *steals,
            *lost,
            *repeated,
            *steps,
        ];
        assert!(seen.iter().all(|count| *count > 0), "something never happened: {self:?}");
    }
}

impl World {
    /// Runs a world to its end; its story beside what became of it.
    pub(super) async fn run(seed: u64, bug: Option<Bug>) -> (Result<Account, String>, Vec<String>) {
        let catalog = catalog();
        let columns = [field("event_id", Type::String)];
        let opened = Lake::open(Arc::clone(&catalog), "snowmelt", "events", &columns).await;
        opened.expect("nothing is in its way");
        let owners = (0..SHARDS).map(|n| Lease { owner: n % WORKERS, epoch: 1, checkpoint: 0 });
        let mut world = World {
            bug,
            sky: Sky::new(seed),
            catalog,
            leases: Arc::new(Mutex::new(Leases { owners: owners.collect(), lost: 0, repeated: 0 })),
            shelf: Arc::default(),
            workers: Vec::new(),
            born: 0,
            account: Account::default(),
        };
        for _ in 0..WORKERS {
            let born = world.bear().await;
            world.workers.push(born);
        }
        let verdict = world.live().await;
        (verdict, world.sky.story())
    }

    async fn bear(&mut self) -> Running {
        let (id, gate) = (self.born, Gate::default());
        self.born += 1;
        let catalog: Arc<dyn Catalog> = Arc::new(Weather {
            inner: Arc::clone(&self.catalog),
            sky: Arc::clone(&self.sky),
            gate: gate.clone(),
            worker: format!("worker {id}"),
        });
        let lake = Lake::open(Arc::clone(&catalog), "snowmelt", "events", &[]).await;
        let worker = Worker {
            id,
            bug: self.bug,
            sky: Arc::clone(&self.sky),
            gate: gate.clone(),
            leases: Arc::clone(&self.leases),
            shelf: Arc::clone(&self.shelf),
            catalog,
            lake: lake.expect("the table is there"),
            held: BTreeMap::new(),
        };
        Running { id, gate, work: Box::pin(worker.work()) }
    }

    async fn live(&mut self) -> Result<Account, String> {
        for step in 0..STEPS {
            if step == FAULTY {
                self.sky.tell("the faults stop".to_owned());
                self.sky.calm();
                self.assign();
            }
            self.befall().await;
            if self.sky.below(10) == 0 {
                self.sky.deliver(&*self.catalog).await;
            }
            let turn = self.sky.below(self.workers.len());
            self.workers[turn].step().await;
            self.account.steps += 1;
            if self.sky.is_calm() && self.is_done() {
                while self.sky.deliver(&*self.catalog).await {}
                return self.judge().await;
            }
        }
        Err("the fleet does not come to rest".to_owned())
    }

    /// Faults of the fleet.
    async fn befall(&mut self) {
        if self.sky.once_in(60) {
            let dies = self.sky.below(self.workers.len());
            self.sky.tell(format!("worker {} dies", self.workers[dies].id));
            self.workers[dies] = self.bear().await;
            self.account.kills += 1;
        }
        if self.sky.once_in(20) {
            let (shard, thief) = (self.sky.below(SHARDS), self.sky.below(self.workers.len()));
            self.steal(shard, self.workers[thief].id);
            self.account.steals += 1;
        }
    }

    fn steal(&self, shard: usize, thief: usize) {
        let mut leases = self.leases.lock().expect("nothing panics while it holds this");
        let lease = &mut leases.owners[shard];
        (lease.owner, lease.epoch) = (thief, lease.epoch + 1);
        self.sky.tell(format!("worker {thief} has {shard} in {}", lease.epoch));
    }

    /// Gives shards of the dead to the living.
    fn assign(&self) {
        for shard in 0..SHARDS {
            let owner = self.leases.lock().expect("nothing panics here").owners[shard].owner;
            if self.workers.iter().all(|worker| worker.id != owner) {
                self.steal(shard, self.workers[shard % self.workers.len()].id);
            }
        }
    }

    fn is_done(&self) -> bool {
        let leases = self.leases.lock().expect("nothing panics while it holds this");
        leases.owners.iter().all(|lease| lease.checkpoint == RECORDS)
    }

    /// Reads the table, and counts every record in it.
    async fn judge(&mut self) -> Result<Account, String> {
        let table = self.catalog.load_table(&ident()).await.map_err(|error| error.to_string())?;
        let text = |error: iceberg::Error| error.to_string();
        let snapshot = table.metadata().current_snapshot().ok_or("the table has no snapshot")?;
        let list = table.manifest_list_reader(snapshot).load().await.map_err(text)?;
        let mut counts: BTreeMap<(usize, u64), u64> = BTreeMap::new();
        for manifest in list.entries() {
            let manifest = manifest.load_manifest(table.file_io()).await.map_err(text)?;
            let shelf = self.shelf.lock().expect("nothing panics while it holds this");
            for entry in manifest.entries().iter().filter(|entry| entry.is_alive()) {
                let path = entry.file_path();
                let records = shelf.read(path).ok_or(format!("{path} is gone"))?;
                records.iter().for_each(|record| *counts.entry(*record).or_default() += 1);
            }
        }
        for shard in 0..SHARDS {
            for number in 0..RECORDS {
                let count = counts.get(&(shard, number)).copied().unwrap_or_default();
                if count != 1 {
                    let what = format!("record {number} of shard {shard}");
                    return Err(format!("{what} is in the table {count} times"));
                }
            }
        }
        let leases = self.leases.lock().expect("nothing panics while it holds this");
        let Leases { lost, repeated, .. } = *leases;
        Ok(Account { counts: self.sky.counts(), lost, repeated, ..self.account })
    }
}

impl Running {
    /// Lets the worker go on to its next gate.
    async fn step(&mut self) {
        poll_fn(|cx| match self.work.as_mut().poll(cx) {
            Poll::Ready(()) => unreachable!("workers work for ever"),
            Poll::Pending if self.gate.left() => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        })
        .await;
    }
}
