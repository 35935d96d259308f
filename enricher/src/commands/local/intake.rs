//! Where the collector's records go into the stream: many at a time in one transaction, each
//! answered when it is durable. Before each transaction the folders of schemas are looked at, so
//! that a schema which was saved before an event was sent counts for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use lease::ShardId;
use resolver::Resolver;
use tokio::sync::{mpsc, oneshot};

use crate::source::Error;
use crate::source::local::{Local, Put};

/// Records that wait for their transaction; who brings more waits himself. The collector bounds
/// their bytes.
const WAITING: usize = 256;

pub(super) type Answer = oneshot::Sender<bool>;

/// Takes records.
#[derive(Clone)]
pub(super) struct Intake {
    records: mpsc::Sender<(Vec<u8>, Answer)>,
}

/// What has been taken and waits for the stream.
pub(super) struct Taken {
    records: mpsc::Receiver<(Vec<u8>, Answer)>,
}

/// An intake, and its other end.
pub(super) fn open() -> (Intake, Taken) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Intake { records: sender }, Taken { records: receiver })
}

impl Intake {
    /// Puts a record into the stream. It is durable when this returns.
    pub(super) async fn put(&self, record: Vec<u8>) -> Result<(), &'static str> {
        let (sender, answer) = oneshot::channel();
        let sent = self.records.send((record, sender)).await;
        sent.map_err(|_| "the stream is closed")?;
        match answer.await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err("the stream could not be written"),
        }
    }
}

impl Taken {
    /// Adds what came, as soon as there is any; false when nothing will come any more.
    pub(super) async fn next(&mut self, taken: &mut Vec<(Vec<u8>, Answer)>) -> bool {
        self.records.recv_many(taken, WAITING).await > 0
    }

    /// Writes what comes until no intake is left.
    pub(super) async fn write(mut self, stream: &Local, mut folders: Watched) -> Result<(), Error> {
        let shards = stream.shard_ids().await?;
        let mut taken = Vec::new();
        while self.next(&mut taken).await {
            folders = folders.looked_at().await;
            let (records, answers): (Vec<_>, Vec<Answer>) = taken.drain(..).unzip();
            let written = stream.put(puts(records, &shards)).await;
            if let Err(error) = &written {
                tracing::error!(error = crate::causes::chain(error), "the local stream");
            }
            for answer in answers {
                // Who does not wait any more need not know.
                let _ = answer.send(written.is_ok());
            }
        }
        Ok(())
    }
}

fn puts(records: Vec<Vec<u8>>, shards: &[ShardId]) -> Vec<Put> {
    let put = |data| {
        let shard = shards[fastrand::usize(..shards.len())].clone();
        Put { shard, data, good: 0, bad: 0 }
    };
    records.into_iter().map(put).collect()
}

/// Folders of schemas, as they were when they were looked at last.
pub(super) struct Watched {
    folders: Vec<PathBuf>,
    seen: Seen,
    resolver: Resolver,
}

/// When each file was changed, and how long it was.
type Seen = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

impl Watched {
    /// Has a resolver ask again when something changes in the folders.
    pub(super) fn new(folders: Vec<PathBuf>, resolver: Resolver) -> Watched {
        let seen = look(&folders);
        Watched { folders, seen, resolver }
    }

    async fn looked_at(self) -> Watched {
        let Watched { folders, seen, resolver } = self;
        let looked = tokio::task::spawn_blocking(move || (look(&folders), folders)).await;
        let (now, folders) = looked.expect("looking at folders does not panic");
        if now != seen {
            resolver.ask_all_again().await;
        }
        Watched { folders, seen: now, resolver }
    }
}

fn look(folders: &[PathBuf]) -> Seen {
    let mut seen = Seen::new();
    for folder in folders {
        files(folder, DEPTH, &mut seen);
    }
    seen
}

/// `schemas/vendor/name/format/version` below the folder of a registry: deeper is no schema.
const DEPTH: usize = 4;

/// What cannot be read is not there: registries say so themselves.
fn files(folder: &Path, depth: usize, seen: &mut Seen) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(about) = entry.metadata() else { continue };
        if !about.is_dir() {
            seen.insert(entry.path(), (about.modified().ok(), about.len()));
        } else if depth > 0 {
            files(&entry.path(), depth - 1, seen);
        }
    }
}
