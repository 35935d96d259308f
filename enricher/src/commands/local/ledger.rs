//! What is in the output files of a run's folder, read back from there: nothing that a worker
//! counted enters into it.
//!
//! Files are read as they appear, so that a run which wrote many of them does not read them all at
//! its end; what a run that ended in order had counted is kept in a file for the next.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use pipeline::Route;
use serde::{Deserialize, Serialize};

use crate::sink::local::Folder;
use crate::sink::object::Compression;

/// Where a run in order leaves what it had counted. A run takes the file away when it begins: after
/// one that was killed everything is counted anew.
pub(super) const FILE: &str = "account.json";

/// How often is looked for new files.
const LOOK: Duration = Duration::from_secs(5);

/// So many events' ids are remembered: what a crash repeats lies within some seconds, and a demo
/// has thousands of events in each. Some 15 MB.
const REMEMBERED: usize = 1 << 19;

/// The column of an enriched line that holds the event's id.
const EVENT_ID: usize = event::Field::EventId as usize;

/// What is in the files.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Events that are there once.
    pub(super) enriched: u64,
    /// Lines of events that are there already.
    pub(super) repeated: u64,
    /// Bad rows by kind.
    pub(super) bad: BTreeMap<String, u64>,
    /// Lines of the other routes, by route.
    pub(super) others: BTreeMap<String, u64>,
    /// The files themselves.
    pub(super) objects: u64,
}

/// Counts what is in a folder.
#[derive(Clone)]
pub(super) struct Ledger(Arc<Mutex<Books>>);

struct Books {
    dir: PathBuf,
    counts: Counts,
    counted: HashSet<PathBuf>,
    recent: Recent,
}

impl Ledger {
    /// Begins where the last run ended, if it ended in order and its files are all there.
    pub(super) fn open(dir: &Path) -> anyhow::Result<Ledger> {
        let file = dir.join(FILE);
        let left: Option<Counts> =
            std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot delete {}", file.display()));
            }
            _ => {}
        }
        let files = objects(dir)?;
        let (counts, counted) = match left {
            Some(counts) if counts.objects == files.len() as u64 => {
                (counts, files.into_iter().map(|(_, path)| path).collect())
            }
            _ => Default::default(),
        };
        let books = Books { dir: dir.to_owned(), counts, counted, recent: Recent::default() };
        Ok(Ledger(Arc::new(Mutex::new(books))))
    }

    /// Counts what appears, for ever.
    pub(super) async fn keep(&self) -> anyhow::Result<std::convert::Infallible> {
        loop {
            tokio::time::sleep(LOOK).await;
            self.catch_up().await?;
        }
    }

    /// Counts what is left, and keeps the counts for the next run.
    pub(super) async fn close(&self) -> anyhow::Result<Counts> {
        self.catch_up().await?;
        let books = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, unfinished) = (books.dir.join(FILE), books.dir.join(format!(".{FILE}")));
        std::fs::write(&unfinished, serde_json::to_vec(&books.counts)?)
            .and_then(|()| std::fs::rename(&unfinished, &file))
            .with_context(|| format!("cannot write {}", file.display()))?;
        Ok(books.counts.clone())
    }

    async fn catch_up(&self) -> anyhow::Result<()> {
        let books = Arc::clone(&self.0);
        let reading = tokio::task::spawn_blocking(move || {
            books.lock().unwrap_or_else(PoisonError::into_inner).catch_up()
        });
        reading.await.context("the outputs could not be read")?
    }
}

/// All files of all routes, each with its route.
fn objects(dir: &Path) -> std::io::Result<Vec<(Route, PathBuf)>> {
    let folder = Folder::new(dir);
    let mut all = Vec::new();
    for route in Route::ALL {
        all.extend(folder.objects(route.name())?.into_iter().map(|path| (route, path)));
    }
    Ok(all)
}

impl Books {
    fn catch_up(&mut self) -> anyhow::Result<()> {
        for (route, path) in objects(&self.dir)? {
            if !self.counted.contains(&path) {
                self.count(route, &path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                self.counted.insert(path);
            }
        }
        Ok(())
    }

    fn count(&mut self, route: Route, path: &Path) -> anyhow::Result<()> {
        let frames = std::fs::read(path)?;
        let lines = Compression::of(&path.to_string_lossy()).lines(&frames)?;
        let lines = lines.strip_suffix(b"\n").context("it does not end with a line's end")?;
        for line in lines.split(|byte| *byte == b'\n') {
            ensure!(!line.is_empty(), "it has an empty line");
            match route {
                Route::Enriched => self.enriched(line)?,
                Route::Bad => *self.counts.bad.entry(kind(line)?).or_default() += 1,
                other => *self.counts.others.entry(other.name().to_owned()).or_default() += 1,
            }
        }
        self.counts.objects += 1;
        Ok(())
    }

    fn enriched(&mut self, line: &[u8]) -> anyhow::Result<()> {
        let id = line.split(|byte| *byte == b'\t').nth(EVENT_ID).context("a line without an id")?;
        match self.recent.repeats(id) {
            true => self.counts.repeated += 1,
            false => self.counts.enriched += 1,
        }
        Ok(())
    }
}

/// The kind of a bad row: the name of its schema.
fn kind(line: &[u8]) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Row<'r> {
        #[serde(borrow)]
        schema: std::borrow::Cow<'r, str>,
    }
    let row: Row<'_> = serde_json::from_slice(line).context("a bad row")?;
    Ok(row.schema.split('/').nth(1).unwrap_or(&row.schema).to_owned())
}

/// The ids of the newest events, as hashes.
#[derive(Default)]
struct Recent {
    hashes: HashSet<u64>,
    order: VecDeque<u64>,
    hasher: RandomState,
}

impl Recent {
    fn repeats(&mut self, id: &[u8]) -> bool {
        let hash = self.hasher.hash_one(id);
        if !self.hashes.insert(hash) {
            return true;
        }
        self.order.push_back(hash);
        if self.order.len() > REMEMBERED {
            let oldest = self.order.pop_front().expect("it is not empty");
            self.hashes.remove(&oldest);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(dir: &Path, name: &str, text: &str) {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("ours");
        std::fs::write(path, text).expect("ours");
    }

    fn line(id: &str) -> String {
        let columns = vec![""; 131];
        let mut columns = columns;
        columns[EVENT_ID] = id;
        columns.join("\t") + "\n"
    }

    #[tokio::test]
    async fn files_are_counted_once_and_what_was_counted_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path();
        put(dir, "enriched/date=1/a.tsv", &(line("1") + &line("2") + &line("1")));
        put(dir, "bad/b.jsonl", "{\"schema\":\"iglu:a/size_violation/jsonschema/1-0-0\"}\n");
        let ledger = Ledger::open(dir).expect("a folder");
        ledger.catch_up().await.expect("it is read");
        put(dir, "enriched/date=2/c.tsv", &(line("2") + &line("3")));
        put(dir, "parked/d.jsonl", "{}\n{}\n");
        let counts = ledger.close().await.expect("it is read");
        assert_eq!((counts.enriched, counts.repeated, counts.objects), (3, 2, 4));
        assert_eq!(counts.bad, [("size_violation".to_owned(), 1)].into());
        assert_eq!(counts.others, [("parked".to_owned(), 2)].into());

        // A file that was counted is not read again: this one is no text any more.
        put(dir, "enriched/date=1/a.tsv", "no columns\n");
        let next = Ledger::open(dir).expect("a folder");
        assert!(!dir.join(FILE).exists(), "a run that is killed leaves no counts");
        assert_eq!(next.close().await.expect("nothing is read").enriched, 3);

        // Of a folder that is not as the counts say, everything is.
        std::fs::remove_file(dir.join("parked/d.jsonl")).expect("it is there");
        put(dir, "enriched/date=1/a.tsv", &line("9"));
        let counts = Ledger::open(dir).expect("a folder").close().await.expect("it is read");
        assert_eq!((counts.enriched, counts.objects), (3, 3));
        assert!(counts.others.is_empty());
    }

    #[test]
    fn the_newest_ids_are_remembered_and_no_more() {
        let mut recent = Recent::default();
        let ids: Vec<[u8; 8]> = (0..=REMEMBERED as u64).map(u64::to_be_bytes).collect();
        assert!(ids.iter().all(|id| !recent.repeats(id)));
        assert!(recent.repeats(&ids[REMEMBERED]) && recent.repeats(&ids[1]));
        assert!(!recent.repeats(&ids[0]), "the oldest went");
        assert_eq!(recent.hashes.len(), REMEMBERED);
    }
}
