//! Objects that are tables: what stands in files of Parquet, whatever happens to leases.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{RecordBatch, StringArray};
use enricher::life::End;
use enricher::metrics::Metrics;
use enricher::signal::Stop;
use enricher::sink::local::Folder;
use enricher::sink::object::table::Tables;
use enricher::sink::object::{Compression, Kind, Objects, Settings};
use enricher::sink::storage::Storage;
use enricher::sink::{Route, Sinks};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder as Reader;
use pipeline::divide::Form;
use tokio::task::JoinHandle;

use crate::stage::{PATIENCE, Stage, after, shared, until};

/// A worker whose tables close neither by age nor by size.
struct Holding {
    stop: Stop,
    metrics: Arc<Metrics>,
    end: JoinHandle<End>,
}

fn start(stage: &Stage, folder: &Path) -> Holding {
    let parts = shared(8 << 20);
    let (pool, metrics) = (Arc::clone(&parts.pool), Arc::clone(&parts.metrics));
    let tables = Arc::new(Tables::new(resolver::Resolver::embedded(), pool, metrics));
    let mut sinks = Sinks::default();
    for route in [Route::Enriched, Route::Bad] {
        let settings = Settings {
            route,
            name: None,
            form: Form::Own,
            kind: Kind::Table,
            folder: Default::default(),
            open_objects: 1,
            prefix: route.name().to_owned(),
            worker: "worker".to_owned(),
            compression: Compression::Zstd,
            object_bytes: usize::MAX,
            object_age: Duration::from_secs(3600),
            names: Default::default(),
        };
        let storage = Storage::Folder(Folder::new(folder));
        let (tables, hurry) = (Arc::clone(&tables), parts.hurry.clone());
        let objects = Objects::start_tables(storage, settings, tables, hurry);
        sinks = sinks.with(route, Arc::new(objects));
    }
    let (stop, metrics) = (Stop::default(), Arc::clone(&parts.metrics));
    let end = stage.run("worker", PATIENCE, &stop, parts, sinks);
    Holding { stop, metrics, end }
}

fn files(folder: &Path, route: Route) -> Vec<PathBuf> {
    let files = Folder::new(folder).objects(route.name()).expect("the folder can be read");
    assert!(files.iter().all(|file| file.extension().is_some_and(|end| end == "parquet")));
    files
}

fn reader(path: &Path) -> Reader<File> {
    Reader::try_new(File::open(path).expect("it is there")).expect("it is a file of Parquet")
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let column = batch.column_by_name(column).expect("the table has it");
    let texts = column.as_any().downcast_ref::<StringArray>().expect("it is of texts");
    texts.iter().map(|text| text.unwrap_or_default().to_owned()).collect()
}

/// The texts of a column of all files.
fn column(folder: &Path, route: Route, name: &str) -> Vec<String> {
    let mut all = Vec::new();
    for path in files(folder, route) {
        let batches = reader(&path).build().expect("it can be read");
        batches.for_each(|batch| all.extend(texts(&batch.expect("rows"), name)));
    }
    all
}

/// How often events are there beyond the first time.
fn check(stage: &Stage, folder: &Path) -> usize {
    let mut ids: HashMap<String, usize> = HashMap::new();
    for id in column(folder, Route::Enriched, "event_id") {
        *ids.entry(id).or_default() += 1;
    }
    let seen = ids.keys().cloned().collect();
    assert_eq!(stage.good, seen, "every event and no other");
    ids.values().map(|count| count - 1).sum()
}

/// A worker that has read everything, of two shards, and holds it.
async fn all_read(stage: &mut Stage, folder: &Path) -> (Holding, u64) {
    stage.send("shard-1", 30);
    let in_shard_1 = stage.good.len() as u64;
    stage.send("shard-2", 30);
    let worker = start(stage, folder);
    let all = stage.good.len() as u64;
    until("events", async || worker.metrics.counts().enriched == all).await;
    (worker, in_shard_1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_has_what_lines_would_have_in_row_groups_of_one_shard() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::new(&["shard-1", "shard-2"]);
    let (worker, in_shard_1) = all_read(&mut stage, folder.path()).await;
    assert!(files(folder.path(), Route::Enriched).is_empty(), "the objects are open");
    worker.stop.drain.cancel();
    assert!(matches!(worker.end.await.expect("no panic"), End::Drained));
    assert_eq!(check(&stage, folder.path()), 0);
    let bad = column(folder.path(), Route::Bad, "kind");
    assert!(!bad.is_empty() && bad.iter().all(|kind| !kind.is_empty()), "{bad:?}");

    let file = reader(&files(folder.path(), Route::Enriched)[0]);
    let groups: Vec<_> = file.metadata().row_groups().iter().collect();
    let rows: Vec<_> = groups.iter().map(|group| group.num_rows() as u64).collect();
    assert_eq!(rows, [in_shard_1, stage.good.len() as u64 - in_shard_1]);
    for group in groups {
        let id = group.columns().iter().find(|column| column.column_path().string() == "event_id");
        let id = id.expect("there is one");
        assert!(id.bloom_filter_offset().is_some() && id.statistics().is_some());
    }
    assert_eq!(stage.position("shard-1").await, after(29));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_lost_lease_are_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::new(&["shard-1", "shard-2"]);
    let (worker, in_shard_1) = all_read(&mut stage, folder.path()).await;
    let twice = stage.good.len() as u64 + in_shard_1;
    stage.steal("shard-1").await;
    // The thief never renews: the worker loses the lease, takes it back, and reads all of it again.
    until("repetition", async || worker.metrics.counts().enriched == twice).await;
    worker.stop.drain.cancel();
    assert!(matches!(worker.end.await.expect("no panic"), End::Drained));
    assert_eq!(check(&stage, folder.path()), 0, "no event is twice in the tables");
    assert_eq!(stage.position("shard-1").await, after(29));
}
