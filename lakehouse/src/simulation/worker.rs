//! One worker: it looks at the leases now and then, takes the chains of what it got, reads, adds to
//! them, and commits when it feels like it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use columns::Type;
use iceberg::spec::{DataContentType, DataFile, DataFileBuilder, DataFileFormat};

use super::bugs::Bug;
use super::weather::{Gate, Sky};
use super::world::{ALWAYS, RECORDS, TABLES, table_of};
use crate::chain::{Appended, Chain, Lakes, Next};
use crate::committer::Committer;
use crate::error::Error;
use crate::mark::Shard;
use crate::testing::field;

/// Who has which shard, as the lease table says: no worker knows it better than its last look.
#[derive(Default)]
pub(super) struct Leases {
    pub(super) owners: Vec<Lease>,
    pub(super) lost: u64,
    pub(super) repeated: u64,
    pub(super) refused: u64,
    pub(super) nobodys: u64,
    /// Records that were added for the table that not every worker fills.
    pub(super) more: BTreeSet<(usize, u64)>,
}

pub(super) struct Lease {
    pub(super) owner: usize,
    pub(super) epoch: u64,
    pub(super) checkpoint: u64,
    /// A former owner who begins one more request: it looked at its lease, and then was paused.
    pub(super) paused: Option<usize>,
}

/// What files hold: the table is only told of them.
#[derive(Default)]
pub(super) struct Shelf {
    files: BTreeMap<String, Vec<(usize, u64)>>,
    written: u64,
}

impl Shelf {
    /// The records of a file, if it is there.
    pub(super) fn read(&self, path: &str) -> Option<&[(usize, u64)]> {
        self.files.get(path).map(Vec::as_slice)
    }

    fn write(&mut self, records: Vec<(usize, u64)>) -> DataFile {
        self.written += 1;
        let path = format!("memory:///w/data/{}.parquet", self.written);
        let rows = records.len() as u64;
        self.files.insert(path.clone(), records);
        let mut file = DataFileBuilder::default();
        file.content(DataContentType::Data)
            .file_path(path)
            .file_format(DataFileFormat::Parquet)
            .record_count(rows)
            .file_size_in_bytes(rows);
        file.build().expect("nothing is missing")
    }
}

pub(super) struct Worker {
    pub(super) id: usize,
    pub(super) bug: Option<Bug>,
    pub(super) sky: Arc<Sky>,
    pub(super) gate: Gate,
    pub(super) leases: Arc<Mutex<Leases>>,
    pub(super) shelf: Arc<Mutex<Shelf>>,
    pub(super) lakes: Lakes,
    pub(super) committer: Committer,
    /// By shard.
    pub(super) held: BTreeMap<usize, Held>,
}

/// A shard that a worker believes to own.
pub(super) struct Held {
    epoch: u64,
    /// `None` until it is taken.
    chain: Option<Chain>,
    /// The next record to read.
    next: u64,
    /// What is being added to the chain, and the record after that.
    adding: Option<(Next, u64)>,
    /// Where a mistaken worker begins once more.
    anew: Option<u64>,
}

pub(super) fn shard(number: usize) -> Shard {
    Shard::new("raw", &format!("shardId-{number:012}"))
}

/// The number of records before a place.
fn number_of(place: &str) -> u64 {
    let number = place.split('/').next().expect("there is a first part");
    if number.is_empty() { 0 } else { number.parse().expect("ours") }
}

impl Worker {
    pub(super) async fn work(mut self) {
        loop {
            self.gate.pass().await;
            if self.sky.is_calm() || self.sky.once_in(3) {
                self.look();
            }
            self.tend().await;
            self.take().await;
            self.add().await;
            if self.sky.below(6) == 0 {
                self.commit().await;
            }
        }
    }

    /// Looks at the leases.
    fn look(&mut self) {
        let leases = self.leases.lock().expect("nothing panics while it holds this");
        let owners = leases.owners.iter().enumerate();
        let mine = owners.filter(|(_, lease)| lease.owner == self.id);
        let mine: BTreeMap<usize, u64> = mine.map(|(n, lease)| (n, lease.epoch)).collect();
        self.held.retain(|shard, held| mine.get(shard) == Some(&held.epoch));
        for (shard, epoch) in mine {
            let held = || Held { epoch, chain: None, next: 0, adding: None, anew: None };
            self.held.entry(shard).or_insert_with(held);
        }
    }

    /// Adds a column, or forgets old snapshots, as somebody does now and then.
    async fn tend(&mut self) {
        let events = self.lakes.table("events").expect("it is one of them");
        if self.sky.once_in(25) {
            let name = format!("column_{}", self.sky.below(6));
            let member = field(&format!("member_{}", self.sky.below(6)), Type::Long);
            let column = field(&name, Type::Struct(vec![member]));
            let added = events.evolve(&[column]).await;
            self.sky.tell(format!("worker {}: adds to {name}: {}", self.id, told(&added)));
        }
        if self.sky.once_in(40) {
            let expired = events.expire(i64::MAX / 2).await;
            self.sky.tell(format!("worker {}: expires: {}", self.id, told(&expired)));
        }
    }

    async fn take(&mut self) {
        for (number, held) in self.held.iter_mut().filter(|(_, held)| held.chain.is_none()) {
            let by = format!("worker {}", self.id);
            let taken = self.lakes.take(&shard(*number), &by, 0).await;
            self.sky.tell(format!("{by}: takes {number} in {}: {}", held.epoch, told(&taken)));
            let Ok(chain) = taken else { continue };
            let mut leases = self.leases.lock().expect("nothing panics here");
            let lease = &mut leases.owners[*number];
            // What the chain has is left out of what is read once more, and is durable.
            held.next = match self.bug {
                Some(Bug::BeginsAtCheckpoint) => lease.checkpoint,
                Some(_) if held.anew.is_some() => held.anew.take().expect("it is there"),
                _ => lease.checkpoint.max(number_of(chain.place())),
            };
            if lease.owner == self.id && lease.epoch == held.epoch {
                lease.checkpoint = held.next;
            }
            drop(leases);
            held.chain = Some(chain);
        }
    }

    /// Adds something to each chain.
    async fn add(&mut self) {
        let mut lost = Vec::new();
        for (number, held) in &mut self.held {
            let Some(chain) = &mut held.chain else { continue };
            if held.adding.is_none() && held.next < RECORDS && self.sky.below(3) > 0 {
                let least = number_of(chain.place()).max(held.next) + 1;
                let end = RECORDS.min(least + self.sky.below(4) as u64);
                let names: Vec<&str> = self.lakes.names().collect();
                let mut files = Appended::none(names.iter().copied());
                let is_for = |name: &str, n: u64| name == TABLES[ALWAYS] || table_of(n) == name;
                for name in &names {
                    let of = |n: &u64| is_for(name, *n);
                    let records: Vec<_> =
                        (held.next..end).filter(of).map(|n| (*number, n)).collect();
                    if records.is_empty() {
                        continue;
                    }
                    let lake = self.lakes.table(name).expect("it is one of them");
                    let Ok(table) = lake.table().await else { continue };
                    let file = self.shelf.lock().expect("nothing panics here").write(records);
                    files.add(&table, file).expect("it is one of ours");
                }
                let some = |name: &&&str| (held.next..end).any(|n| is_for(name, n));
                let wanted = names.iter().filter(some);
                if files.files() < wanted.count() {
                    continue;
                }
                let place = format!("{end}/0");
                if chain.place() == place {
                    // Only who begins at a checkpoint comes where the chain is already.
                    continue;
                }
                held.adding = Some((chain.link(&place, files, 0), end));
            }
            let Some((next, end)) = &held.adding else { continue };
            let added = chain.add(next).await;
            let who = format!("worker {}: adds to {number} up to {end}", self.id);
            self.sky.tell(format!("{who}: {}", told(&added)));
            let mut leases = self.leases.lock().expect("nothing panics while it holds this");
            match added {
                Ok(()) => {
                    if self.lakes.table(TABLES[ALWAYS]).is_some() {
                        leases.more.extend((held.next..*end).map(|n| (*number, n)));
                    }
                    held.next = *end;
                    held.adding = None;
                    let lease = &mut leases.owners[*number];
                    if lease.owner == self.id && lease.epoch == held.epoch {
                        lease.checkpoint = held.next;
                    }
                }
                Err(Error::Lost { .. }) => {
                    leases.lost += 1;
                    lost.push(*number);
                }
                Err(_) => {
                    leases.repeated += 1;
                    if self.bug == Some(Bug::WrittenAnewAfterSilence) {
                        (held.chain, held.adding, held.anew) = (None, None, Some(held.next));
                    }
                }
            }
        }
        // If one is ours all the same, the next look brings it back, to be taken anew.
        for number in lost {
            self.held.remove(&number);
        }
    }

    async fn commit(&mut self) {
        let round = self.committer.round(&BTreeMap::new()).await;
        self.sky.tell(format!("worker {}: commits: {}", self.id, told(&round)));
        if let Ok(round) = round {
            let mut leases = self.leases.lock().expect("nothing panics while it holds this");
            leases.refused += round.refused;
            leases.nobodys += round.nobodys.len() as u64;
        }
    }
}

fn told<T>(result: &crate::error::Result<T>) -> String {
    match result {
        Ok(_) => "done".to_owned(),
        // What the library says may name files, which chance has named.
        Err(Error::Lost { found, .. }) => format!("lost, it is at {found}"),
        Err(Error::Unavailable { .. }) => "not known".to_owned(),
        Err(Error::Unusable(why)) => why.clone(),
    }
}
