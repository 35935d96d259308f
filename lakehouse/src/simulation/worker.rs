//! One worker: it looks at the leases now and then, fences what it got, reads, and appends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use columns::Type;
use iceberg::Catalog;
use iceberg::spec::{DataContentType, DataFile, DataFileBuilder, DataFileFormat};

use super::bugs::Bug;
use super::weather::{Gate, Sky};
use super::world::{RECORDS, SHARDS};
use crate::error::Error;
use crate::lake::{Lake, Move, Piece, Settled};
use crate::mark::{Mark, Shard};
use crate::testing::field;

/// Who has which shard, as the lease table says: no worker knows it better than its last look.
#[derive(Default)]
pub(super) struct Leases {
    pub(super) owners: Vec<Lease>,
    pub(super) lost: u64,
    pub(super) repeated: u64,
}

pub(super) struct Lease {
    pub(super) owner: usize,
    pub(super) epoch: u64,
    pub(super) checkpoint: u64,
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
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) lake: Lake,
    /// By shard.
    pub(super) held: BTreeMap<usize, Held>,
}

/// A shard that a worker believes to own.
pub(super) struct Held {
    epoch: u64,
    /// Where the worker left it in the table; `None` until it is fenced.
    at: Option<Mark>,
    /// The next record to read.
    next: u64,
}

pub(super) fn shard(number: usize) -> Shard {
    Shard::new("raw", &format!("shardId-{number:012}"))
}

impl Worker {
    pub(super) async fn work(mut self) {
        let mut pieces: Vec<Piece> = Vec::new();
        loop {
            self.gate.pass().await;
            if self.sky.is_calm() || self.sky.once_in(3) {
                self.look();
            }
            self.tend().await;
            self.fence().await;
            if pieces.is_empty() {
                pieces = self.read();
            }
            if !pieces.is_empty() {
                self.append(&mut pieces).await;
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
            self.held.entry(shard).or_insert(Held { epoch, at: None, next: 0 });
        }
    }

    /// Adds a column, or forgets old snapshots, as somebody does now and then.
    async fn tend(&mut self) {
        if self.sky.once_in(25) {
            let name = format!("column_{}", self.sky.below(6));
            let member = field(&format!("member_{}", self.sky.below(6)), Type::Long);
            let column = field(&name, Type::Struct(vec![member]));
            let added = self.lake.evolve(&[column]).await;
            self.sky.tell(format!("worker {}: adds to {name}: {}", self.id, told(&added)));
        }
        if self.sky.once_in(40) {
            let expired = self.lake.expire(i64::MAX / 2).await;
            self.sky.tell(format!("worker {}: expires: {}", self.id, told(&expired)));
        }
    }

    async fn fence(&mut self) {
        let unfenced = self.held.iter().filter(|(_, held)| held.at.is_none());
        let unfenced: Vec<(usize, u64)> = unfenced.map(|(n, held)| (*n, held.epoch)).collect();
        for (number, epoch) in unfenced {
            let buggy = match self.bug {
                Some(bug) => bug.fence(&self.catalog, &shard(number), epoch).await,
                None => None,
            };
            let fenced = match buggy {
                Some(fenced) => fenced,
                None => {
                    let asked = [(shard(number), epoch)];
                    let fenced = self.lake.fence(&asked, &BTreeMap::new()).await;
                    fenced.map(|marks| marks[&shard(number)].clone())
                }
            };
            let who = format!("worker {}: fences {number} in {epoch}", self.id);
            self.sky.tell(format!("{who}: {}", told(&fenced)));
            match fenced {
                Ok(mark) => {
                    let place = mark.place.split('/').next().expect("there is a first part");
                    let mut next = if place.is_empty() { 0 } else { place.parse().expect("ours") };
                    let mut leases = self.leases.lock().expect("nothing panics here");
                    let lease = &mut leases.owners[number];
                    if self.bug == Some(Bug::BeginsAtCheckpoint) {
                        next = lease.checkpoint;
                    }
                    // What is in the table is durable, whoever brought it there.
                    if lease.owner == self.id && lease.epoch == epoch {
                        lease.checkpoint = next;
                    }
                    drop(leases);
                    let held = self.held.get_mut(&number).expect("it was held");
                    (held.at, held.next) = (Some(mark), next);
                }
                Err(Error::Lost { .. }) => drop(self.held.remove(&number)),
                Err(_) => {}
            }
        }
    }

    /// Reads of some shards, and writes files.
    fn read(&mut self) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        for (number, held) in &self.held {
            let Some(at) = &held.at else { continue };
            if held.next == RECORDS || self.sky.below(3) == 0 {
                continue;
            }
            let end = RECORDS.min(held.next + 1 + self.sky.below(4) as u64);
            let records: Vec<(usize, u64)> = (held.next..end).map(|n| (*number, n)).collect();
            let to = Mark { epoch: held.epoch, place: format!("{end}/0") };
            if to == *at {
                // Only who begins at a checkpoint comes where the table is already.
                continue;
            }
            let moved = Move { shard: shard(*number), from: Some(at.clone()), to };
            let file = self.shelf.lock().expect("nothing panics here").write(records);
            match pieces.last_mut() {
                // A piece of two shards now and then, as a file of several shards makes it.
                Some(piece) if self.sky.below(2) == 0 => {
                    piece.moves.push(moved);
                    piece.files.push(file);
                }
                _ => pieces.push(Piece { moves: vec![moved], files: vec![file] }),
            }
        }
        pieces
    }

    async fn append(&mut self, pieces: &mut Vec<Piece>) {
        let buggy = match self.bug {
            Some(bug) => bug.append(&self.catalog, pieces).await,
            None => None,
        };
        let appended = match buggy {
            Some(appended) => appended,
            None => self.lake.append(pieces, &BTreeMap::new()).await,
        };
        let moves = pieces.iter().flat_map(|piece| &piece.moves);
        let what: Vec<String> = moves.map(|m| format!("{}→{}", m.shard, m.to)).collect();
        let who = format!("worker {}: appends {}", self.id, what.join(", "));
        self.sky.tell(format!("{who}: {}", told(&appended)));
        match appended {
            Ok(settled) => {
                for (piece, settled) in std::mem::take(pieces).into_iter().zip(settled) {
                    self.settle(&piece, &settled);
                }
            }
            Err(_) if self.bug == Some(Bug::DeletesAfterSilence) => {
                let mut shelf = self.shelf.lock().expect("nothing panics while it holds this");
                for file in pieces.drain(..).flat_map(|piece| piece.files) {
                    shelf.files.remove(file.file_path());
                }
            }
            Err(_) => {
                self.leases.lock().expect("nothing panics while it holds this").repeated += 1;
            }
        }
    }

    fn settle(&mut self, piece: &Piece, settled: &Settled) {
        let mut leases = self.leases.lock().expect("nothing panics while it holds this");
        let lost: BTreeSet<&Shard> = match settled {
            Settled::Lost(Error::Lost { shard, .. }) => BTreeSet::from([shard]),
            _ => BTreeSet::new(),
        };
        leases.lost += lost.len() as u64;
        for number in 0..SHARDS {
            let moved = piece.moves.iter().find(|moved| moved.shard == shard(number));
            let Some(Move { shard, from, to }) = moved else { continue };
            if lost.contains(shard) {
                // If it is ours all the same, the next look brings it back, to be fenced anew.
                self.held.remove(&number);
                continue;
            }
            let held = self.held.get_mut(&number);
            let Some(held) = held.filter(|held| held.at == *from) else { continue };
            if matches!(settled, Settled::Lost(_)) {
                held.at = None;
                continue;
            }
            held.next = to.place.split('/').next().and_then(|n| n.parse().ok()).expect("ours");
            held.at = Some(to.clone());
            let lease = &mut leases.owners[number];
            if lease.owner == self.id && lease.epoch == held.epoch {
                lease.checkpoint = held.next;
            }
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
