//! A world: the table, the leases and the workers, of which one at a time goes on.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use columns::Type;
use iceberg::{Catalog, NamespaceIdent, TableIdent};

use super::bugs::Bug;
use super::storage::{Storage, Stored};
use super::weather::{Counts, Gate, Sky, Weather};
use super::worker::{Lease, Leases, Shelf, Worker};
use crate::chain::Lakes;
use crate::committer::{Committer, Round};
use crate::files::Files;
use crate::lake::Lake;
use crate::testing::{catalog, field};

pub(super) const SHARDS: usize = 3;
/// Records of each shard.
pub(super) const RECORDS: u64 = 40;
/// The tables. The first one gets little; the last one gets once more what is in the others, from
/// workers that know of it.
pub(super) const TABLES: [&str; 3] = ["bad", "events", "more"];

/// Those that every worker fills.
pub(super) const ALWAYS: usize = 2;

/// Which table a record is for.
pub(super) fn table_of(record: u64) -> &'static str {
    if record % 5 == 3 { "bad" } else { "events" }
}

const WORKERS: usize = 3;
/// Steps with faults, and in all.
const FAULTY: usize = 1_500;
const STEPS: usize = 10_000;

pub(super) struct World {
    bug: Option<Bug>,
    sky: Arc<Sky>,
    catalog: Arc<dyn Catalog>,
    leases: Arc<Mutex<Leases>>,
    shelf: Arc<Mutex<Shelf>>,
    stored: Stored,
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
    refused: u64,
    nobodys: u64,
    steps: u64,
}

impl Account {
    pub(super) fn add(&mut self, other: &Account) {
        let Account { counts, kills, steals, lost, repeated, refused, nobodys, steps } = other;
        self.refused += refused;
        self.nobodys += nobodys;
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
        self.counts.late_links += counts.late_links;
        self.counts.late_links_made += counts.late_links_made;
    }

    /// Faults that never happened were not survived.
    pub(super) fn must_have_seen_everything(&self) {
        let Account { counts, .. } = self;
        let seen = [
            counts.commits,
            counts.conflicts,
            counts.lost_requests,
            counts.lost_answers,
            counts.late,
            counts.late_made,
            counts.late_links,
            counts.late_links_made,
            counts.late_links - counts.late_links_made,
            self.kills,
            self.steals,
            self.lost,
            self.repeated,
            self.refused,
            self.nobodys,
            self.steps,
        ];
        assert!(seen.iter().all(|count| *count > 0), "something never happened: {self:?}");
    }
}

impl World {
    /// Runs a world to its end; its story beside what became of it.
    pub(super) async fn run(seed: u64, bug: Option<Bug>) -> (Result<Account, String>, Vec<String>) {
        let catalog = catalog();
        let columns = [field("event_id", Type::String)];
        for name in TABLES {
            let opened = Lake::open(Arc::clone(&catalog), "snowmelt", name, &columns).await;
            opened.expect("nothing is in its way");
        }
        let owners = (0..SHARDS).map(|n| Lease {
            owner: n % WORKERS,
            epoch: 1,
            checkpoint: 0,
            paused: None,
        });
        let mut world = World {
            bug,
            sky: Sky::new(seed),
            catalog,
            leases: Arc::new(Mutex::new(Leases { owners: owners.collect(), ..Leases::default() })),
            shelf: Arc::default(),
            stored: Stored::default(),
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
        let mut tables = Vec::new();
        // A table that was added, which some know, while others are told otherwise again.
        let fills = if id >= WORKERS && self.sky.below(4) > 0 { TABLES.len() } else { ALWAYS };
        for name in &TABLES[..fills] {
            let lake = Lake::open(Arc::clone(&catalog), "snowmelt", name, &[]).await;
            tables.push(((*name).to_owned(), lake.expect("the table is there")));
        }
        let storage: Arc<dyn Files> = Arc::new(Storage {
            stored: Arc::clone(&self.stored),
            sky: Arc::clone(&self.sky),
            gate: gate.clone(),
            leases: Arc::clone(&self.leases),
            worker: id,
            bug: self.bug,
        });
        let mut lakes = Lakes::new(catalog, "snowmelt", tables, storage, "memory:///links");
        lakes.bug = self.bug;
        let worker = Worker {
            id,
            bug: self.bug,
            sky: Arc::clone(&self.sky),
            gate: gate.clone(),
            leases: Arc::clone(&self.leases),
            shelf: Arc::clone(&self.shelf),
            committer: Committer::new(lakes.clone()),
            lakes,
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
            if self.sky.below(40) == 0 {
                self.sky.deliver_link(&self.stored, self.bug == Some(Bug::Overwritten));
            }
            let turn = self.sky.below(self.workers.len());
            self.workers[turn].step().await;
            self.account.steps += 1;
            if self.sky.is_calm() && self.is_done() {
                while self.sky.deliver(&*self.catalog).await {}
                while self.sky.deliver_link(&self.stored, false) {}
                // A committer that nothing disturbs comes last.
                let round = self.commit().await.map_err(|error| error.to_string())?;
                if round.waiting > 0 {
                    return Err(format!("{} links wait for nothing", round.waiting));
                }
                return self.judge().await;
            }
        }
        Err("the fleet does not come to rest".to_owned())
    }

    /// Faults of the fleet.
    async fn befall(&mut self) {
        if self.sky.once_in(150) {
            let dies = self.sky.below(self.workers.len());
            self.sky.tell(format!("worker {} dies", self.workers[dies].id));
            self.workers[dies] = self.bear().await;
            self.account.kills += 1;
        }
        if self.sky.once_in(40) {
            let (shard, thief) = (self.sky.below(SHARDS), self.sky.below(self.workers.len()));
            self.steal(shard, self.workers[thief].id);
            self.account.steals += 1;
        }
    }

    fn steal(&self, shard: usize, thief: usize) {
        let mut leases = self.leases.lock().expect("nothing panics while it holds this");
        let lease = &mut leases.owners[shard];
        lease.paused = Some(lease.owner);
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

    async fn commit(&self) -> crate::error::Result<Round> {
        let mut tables = Vec::new();
        for name in TABLES {
            let lake = Lake::open(Arc::clone(&self.catalog), "snowmelt", name, &[]).await?;
            tables.push((name.to_owned(), lake));
        }
        let storage: Arc<dyn Files> = Arc::new(Storage {
            stored: Arc::clone(&self.stored),
            sky: Arc::clone(&self.sky),
            gate: Gate::open(),
            leases: Arc::clone(&self.leases),
            worker: usize::MAX,
            bug: None,
        });
        let catalog = Arc::clone(&self.catalog);
        let lakes = Lakes::new(catalog, "snowmelt", tables, storage, "memory:///links");
        Committer::new(lakes).round(&BTreeMap::new()).await
    }

    /// Reads the tables, and counts every record in them.
    async fn judge(&mut self) -> Result<Account, String> {
        let mut counts: BTreeMap<(usize, u64), u64> = BTreeMap::new();
        for name in &TABLES[..ALWAYS] {
            self.count(name, &mut counts).await?;
        }
        let mut more = BTreeMap::new();
        self.count(TABLES[ALWAYS], &mut more).await?;
        if let Some((record, count)) = more.iter().find(|(_, count)| **count > 1) {
            return Err(format!("{record:?} is in the table that was added {count} times"));
        }
        {
            let leases = self.leases.lock().expect("nothing panics while it holds this");
            if let Some(record) = leases.more.iter().find(|record| !more.contains_key(record)) {
                return Err(format!("{record:?} is not in the table that was added"));
            }
        }
        for shard in 0..SHARDS {
            for number in 0..RECORDS {
                let count = counts.get(&(shard, number)).copied().unwrap_or_default();
                if count != 1 {
                    let what = format!("record {number} of shard {shard}");
                    return Err(format!("{what} is in the tables {count} times"));
                }
            }
        }
        let leases = self.leases.lock().expect("nothing panics while it holds this");
        let Leases { lost, repeated, refused, nobodys, .. } = *leases;
        let counts = self.sky.counts();
        Ok(Account { counts, lost, repeated, refused, nobodys, ..self.account })
    }

    async fn count(
        &self,
        name: &'static str,
        counts: &mut BTreeMap<(usize, u64), u64>,
    ) -> Result<(), String> {
        let text = |error: iceberg::Error| error.to_string();
        let ident = TableIdent::new(NamespaceIdent::new("snowmelt".to_owned()), name.to_owned());
        let table = self.catalog.load_table(&ident).await.map_err(text)?;
        let Some(snapshot) = table.metadata().current_snapshot() else { return Ok(()) };
        let list = table.manifest_list_reader(snapshot).load().await.map_err(text)?;
        for manifest in list.entries() {
            let manifest = manifest.load_manifest(table.file_io()).await.map_err(text)?;
            let shelf = self.shelf.lock().expect("nothing panics while it holds this");
            for entry in manifest.entries().iter().filter(|entry| entry.is_alive()) {
                let path = entry.file_path();
                let records = shelf.read(path).ok_or(format!("{path} is gone"))?;
                for record in records {
                    if name != TABLES[ALWAYS] && table_of(record.1) != name {
                        return Err(format!("record {record:?} is in {name}"));
                    }
                    *counts.entry(*record).or_default() += 1;
                }
            }
        }
        Ok(())
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
