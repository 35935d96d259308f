//! Objects: when they close, what they leave out, and what their manifests say.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use enricher::life::End;
use enricher::metrics::Metrics;
use enricher::signal::Stop;
use enricher::sink::local::Folder;
use enricher::sink::object::{Compression, Objects, Settings};
use enricher::sink::storage::Storage;
use enricher::sink::{Route, Sinks};
use pipeline::divide::{Folder as Templates, Form};
use tokio::task::JoinHandle;

use crate::stage::{PATIENCE, Stage, after, shared, until};

/// A worker whose objects close neither by age nor by size.
struct Holding {
    stop: Stop,
    metrics: Arc<Metrics>,
    end: JoinHandle<End>,
}

fn start(stage: &Stage, budget: usize, folder: &Path) -> Holding {
    let parts = shared(budget);
    let mut sinks = Sinks::default();
    for route in [Route::Enriched, Route::Bad] {
        let settings = Settings {
            route,
            name: None,
            form: Form::Own,
            kind: Default::default(),
            folder: Templates::default(),
            open_objects: 1,
            prefix: route.name().to_owned(),
            worker: "worker".to_owned(),
            compression: Compression::Zstd,
            object_bytes: usize::MAX,
            object_age: Duration::from_secs(3600),
            names: Default::default(),
        };
        let (pool, metrics) = (Arc::clone(&parts.pool), Arc::clone(&parts.metrics));
        let storage = Storage::Folder(Folder::new(folder));
        let objects = Objects::start(storage, settings, pool, parts.hurry.clone(), metrics);
        sinks = sinks.with(route, Arc::new(objects));
    }
    let (stop, metrics) = (Stop::default(), Arc::clone(&parts.metrics));
    let end = stage.run("worker", PATIENCE, &stop, parts, sinks);
    Holding { stop, metrics, end }
}

fn lines(folder: &Path, route: Route) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    for path in Folder::new(folder).objects(route.name()).expect("the folder can be read") {
        let name = path.to_string_lossy();
        let object = std::fs::read(&path).expect("the object can be read");
        let text = Compression::of(&name).lines(&object).expect("frames are whole");
        let text = text.strip_suffix(b"\n").expect("lines end with a newline");
        let before = lines.len();
        lines.extend(text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
        check_manifest(folder, route, &path, lines.len() - before);
    }
    lines
}

fn check_manifest(folder: &Path, route: Route, object: &Path, lines: usize) {
    let inner = object.strip_prefix(folder.join(route.name())).expect("it is inside");
    let mut path = folder.join(route.name()).join("_manifests").join(inner).into_os_string();
    path.push(".json");
    let text = std::fs::read_to_string(path).expect("every object has a manifest");
    let manifest: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(manifest["lines"], lines, "{text}");
    let shards = manifest["shards"].as_array().expect("it lists shards");
    let sum: u64 = shards.iter().filter_map(|shard| shard["lines"].as_u64()).sum();
    assert_eq!(sum, lines as u64, "{text}");
    for shard in shards {
        assert!(shard["epoch"].as_u64() > Some(0), "{text}");
        assert!(shard["first"][0].is_string() && shard["last"][0].is_string(), "{text}");
    }
}

fn check(stage: &Stage, folder: &Path) -> usize {
    stage.check_lines(lines(folder, Route::Enriched), lines(folder, Route::Bad).len())
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_closes_what_is_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::new(&["shard-1", "shard-2"]);
    stage.send("shard-1", 40);
    stage.send("shard-2", 25);
    let worker = start(&stage, 8 << 20, folder.path());
    until("events", async || {
        let counts = worker.metrics.counts();
        counts.enriched == stage.good.len() as u64
    })
    .await;
    assert_eq!(lines(folder.path(), Route::Enriched).len(), 0, "the objects are open");
    worker.stop.drain.cancel();
    assert!(matches!(worker.end.await.expect("no panic"), End::Drained));
    assert_eq!(check(&stage, folder.path()), 0);
    assert_eq!(stage.position("shard-1").await, after(39));
    assert_eq!(stage.position("shard-2").await, after(24));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budget_and_an_object_do_not_wait_for_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::new(&["shard-1"]);
    stage.send("shard-1", 600);
    // Less than what is made of these payloads, even compressed, so that reading stops until an
    // object closes.
    let worker = start(&stage, 128 << 10, folder.path());
    until("progress", async || stage.position("shard-1").await > after(300)).await;
    let all = stage.good.len() as u64;
    until("events", async || worker.metrics.counts().enriched == all).await;
    worker.stop.drain.cancel();
    assert!(matches!(worker.end.await.expect("no panic"), End::Drained));
    assert_eq!(check(&stage, folder.path()), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_a_lost_lease_are_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::new(&["shard-1", "shard-2"]);
    stage.send("shard-1", 30);
    let in_shard_1 = stage.good.len();
    stage.send("shard-2", 30);
    let worker = start(&stage, 8 << 20, folder.path());
    let made = async || worker.metrics.counts().enriched;
    let once = stage.good.len() as u64;
    until("events", async || made().await == once).await;
    stage.steal("shard-1").await;
    // The thief never renews: the worker loses the lease, takes it back, and reads all of it again.
    let twice = once + in_shard_1 as u64;
    until("repetition", async || made().await == twice).await;
    worker.stop.drain.cancel();
    assert!(matches!(worker.end.await.expect("no panic"), End::Drained));
    assert_eq!(check(&stage, folder.path()), 0, "no event is twice in the objects");
    assert_eq!(stage.position("shard-1").await, after(29));
}
