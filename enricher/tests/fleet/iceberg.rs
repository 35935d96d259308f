//! Tables of Iceberg: every event is in them once, whatever happens to workers and leases.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::StringArray;
use enricher::catalogs;
use enricher::life::End;
use enricher::metrics::Metrics;
use enricher::signal::Stop;
use enricher::sink::iceberg::{Iceberg, Settings};
use enricher::sink::memory::Memory;
use enricher::sink::object::table::Tables;
use enricher::sink::{Route, Sinks};
use lakehouse::Lake;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder as Reader;
use tokio::task::JoinHandle;

use crate::stage::{PATIENCE, Stage, after, shared, until};

const NEVER: Duration = Duration::from_secs(3_600);

/// A worker that fills tables.
struct Filling {
    stop: Stop,
    metrics: Arc<Metrics>,
    lines: Arc<Memory>,
    end: JoinHandle<End>,
}

/// When lines become files, and files are committed.
#[derive(Clone, Copy)]
struct Pace {
    age: Duration,
    bytes: usize,
    commits: Duration,
}

/// Files are small and many, and committed as soon as they are there.
const HASTY: Pace =
    Pace { age: Duration::from_millis(20), bytes: 2_000, commits: Duration::from_millis(30) };

fn start(stage: &Stage, name: &str, folder: &Path, pace: Pace) -> Filling {
    let parts = shared(8 << 20);
    let (pool, metrics) = (Arc::clone(&parts.pool), Arc::clone(&parts.metrics));
    let making = Arc::new(Tables::new(resolver::Resolver::embedded(), pool, metrics));
    let table = |route, name| (route, name, "lake".to_owned());
    let settings = Settings {
        catalog: "here".to_owned(),
        namespace: "snowmelt".to_owned(),
        links: lakehouse::Folder::location(&folder.join("_links")),
        stream: "raw".to_owned(),
        worker: name.to_owned(),
        object_bytes: pace.bytes,
        object_age: pace.age,
        commit_every: pace.commits,
        tables: vec![table(Route::Enriched, "events"), table(Route::Bad, "bad")],
    };
    let home = catalogs::in_folder(folder);
    let iceberg = Arc::new(Iceberg::new(home, settings, making, parts.hurry.clone()));
    let lines = Arc::new(Memory::default());
    let wants = vec![(Route::Enriched, Default::default()), (Route::Bad, Default::default())];
    let sinks = Sinks::default()
        .with(Route::Enriched, Arc::clone(&lines) as _)
        .with_tables(iceberg, wants)
        .with(Route::Parked, Arc::new(Memory::default()));
    let (stop, metrics) = (Stop::default(), Arc::clone(&parts.metrics));
    let end = stage.run(name, PATIENCE, &stop, parts, sinks);
    Filling { stop, metrics, lines, end }
}

impl Filling {
    /// The enriched events that are durable for the tables.
    fn linked(&self) -> usize {
        let name = "snowmelt_lines_total{route=\"enriched\",sink=\"lake\"} ";
        let text = self.metrics.text();
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        value.map_or(0, |value| value.parse().expect("a count"))
    }

    async fn drain(self) {
        self.stop.drain.cancel();
        assert!(matches!(self.end.await.expect("no panic"), End::Drained));
    }
}

/// The texts of a column of a table, as its newest snapshot has them, file by file.
async fn column(folder: &Path, table: &str, column: &str) -> Vec<Vec<String>> {
    let catalog = (catalogs::in_folder(folder).open)().expect("it is there");
    let lake = Lake::find(catalog, "snowmelt", table).await.expect("it can be asked");
    let table = lake.expect("it is there").table().await.expect("it is there");
    let Some(snapshot) = table.metadata().current_snapshot() else { return Vec::new() };
    let list = table.manifest_list_reader(snapshot).load().await.expect("it is there");
    let mut all = Vec::new();
    for manifest in list.entries() {
        let manifest = manifest.load_manifest(table.file_io()).await.expect("it is there");
        for entry in manifest.entries().iter().filter(|entry| entry.is_alive()) {
            let path = entry.file_path().strip_prefix("file://").expect("it is of this machine");
            let file = Reader::try_new(File::open(path).expect("it is there")).expect("Parquet");
            let mut of_file = Vec::new();
            for batch in file.build().expect("it can be read") {
                let batch = batch.expect("rows");
                let texts = batch.column_by_name(column).expect("the table has it");
                let texts = texts.as_any().downcast_ref::<StringArray>().expect("texts");
                of_file.extend(texts.iter().map(|text| text.unwrap_or_default().to_owned()));
            }
            assert_eq!(of_file.len() as u64, entry.data_file().record_count(), "{path}");
            all.push(of_file);
        }
    }
    all
}

/// Whether the tables hold what was sent, once.
async fn check(stage: &Stage, folder: &Path) {
    let mut ids: HashMap<String, usize> = HashMap::new();
    for id in column(folder, "events", "event_id").await.into_iter().flatten() {
        *ids.entry(id).or_default() += 1;
    }
    let seen: BTreeSet<String> = ids.keys().cloned().collect();
    let missing = stage.good.difference(&seen).count();
    let twice = ids.values().filter(|count| **count > 1).count();
    assert_eq!((seen.len(), missing, twice), (stage.good.len(), 0, 0), "of {:?}", stage.good.len());
    let bad: usize = column(folder, "bad", "kind").await.iter().map(Vec::len).sum();
    assert_eq!(bad, stage.bad, "bad rows");
}

fn links(folder: &Path, shard: &str) -> usize {
    let links = std::fs::read_dir(folder.join(format!("_links/raw.{shard}")));
    links.map_or(0, |links| links.filter(|link| link.is_ok()).count())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_down_is_durable_before_any_commit() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::new(&["shard-1", "shard-2"]);
    stage.send("shard-1", 60);
    stage.send("shard-2", 30);
    let pace = Pace { commits: NEVER, ..HASTY };
    let worker = start(&stage, "worker", folder.path(), pace);
    until("checkpoints", async || {
        stage.position("shard-1").await == after(59) && stage.position("shard-2").await == after(29)
    })
    .await;
    assert!(column(folder.path(), "events", "event_id").await.is_empty(), "nobody committed");
    assert!(links(folder.path(), "shard-1") > 1, "it was taken, and has lines");
    // Who drains alone commits what there is.
    worker.drain().await;
    check(&stage, folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_a_shard_wait_for_one_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::new(&["shard-1", "shard-2"]);
    stage.send("shard-1", 60);
    stage.send("shard-2", 30);
    let pace = Pace { age: NEVER, bytes: usize::MAX, commits: HASTY.commits };
    let worker = start(&stage, "worker", folder.path(), pace);
    let all = stage.good.len() as u64;
    until("events", async || worker.metrics.counts().enriched == all).await;
    assert_eq!(stage.position("shard-1").await, Some(lease::Position::TrimHorizon));
    worker.drain().await;
    check(&stage, folder.path()).await;
    let files = column(folder.path(), "events", "event_id").await;
    assert_eq!(files.len(), 2, "a file for each shard");
}

/// The lease table knows less than the chain: what the chain has is read again, for the others.
#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_once_in_the_tables_whoever_dies() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::new(&["shard-1", "shard-2"]);
    let mut again = 0;
    for round in 0..4 {
        stage.send("shard-1", 60);
        stage.send("shard-2", 40);
        let worker = start(&stage, &format!("worker-{round}"), folder.path(), HASTY);
        until("links", async || worker.linked() > 10).await;
        worker.end.abort();
        assert!(worker.end.await.is_err(), "it was cut off");
        again += worker.lines.lines().len();
    }
    let last = start(&stage, "last", folder.path(), HASTY);
    until("checkpoints", async || {
        stage.position("shard-1").await == after(239)
            && stage.position("shard-2").await == after(159)
    })
    .await;
    again += last.lines.lines().len();
    last.drain().await;
    check(&stage, folder.path()).await;
    assert!(again > stage.good.len(), "{again}: something was worked again");
}

/// The table was made by somebody else, or has lost columns.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_gets_the_columns_that_it_lacks() {
    let folder = tempfile::tempdir().expect("a folder");
    let some: Vec<_> = columns::always().into_iter().take(8).collect();
    let catalog = (catalogs::in_folder(folder.path()).open)().expect("it can be made");
    Lake::open(catalog, "snowmelt", "events", &some).await.expect("it can be made");
    let mut stage = Stage::new(&["shard-1"]);
    stage.send("shard-1", 30);
    let worker = start(&stage, "worker", folder.path(), HASTY);
    until("checkpoints", async || stage.position("shard-1").await == after(29)).await;
    worker.drain().await;
    check(&stage, folder.path()).await;
}

/// Where the tables end lies inside of a batch of the next owner.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_cut_where_the_tables_have_the_shard() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::new(&["shard-1"]);
    stage.send("shard-1", 3);
    let first = start(&stage, "first", folder.path(), HASTY);
    until("a link", async || links(folder.path(), "shard-1") > 1).await;
    first.end.abort();
    assert!(first.end.await.is_err(), "it was cut off");
    let again = stage.good.len();
    stage.send("shard-1", 57);
    let second = start(&stage, "second", folder.path(), HASTY);
    until("checkpoints", async || stage.position("shard-1").await == after(59)).await;
    let lines = second.lines.lines().len();
    second.drain().await;
    check(&stage, folder.path()).await;
    // It was not in the lease table, so the other destination gets it again.
    assert_eq!(lines, stage.good.len(), "{again} of them for the second time");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_lost_lease_are_in_the_tables_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::new(&["shard-1", "shard-2"]);
    stage.send("shard-1", 60);
    let in_shard_1 = stage.good.len() as u64;
    stage.send("shard-2", 30);
    let pace = Pace { age: NEVER, bytes: usize::MAX, commits: HASTY.commits };
    let worker = start(&stage, "worker", folder.path(), pace);
    let all = stage.good.len() as u64;
    until("events", async || worker.metrics.counts().enriched == all).await;
    stage.steal("shard-1").await;
    let twice = all + in_shard_1;
    until("repetition", async || worker.metrics.counts().enriched == twice).await;
    worker.drain().await;
    check(&stage, folder.path()).await;
}
