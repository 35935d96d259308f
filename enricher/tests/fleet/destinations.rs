//! Several destinations of a route: each gets what it wants, and a checkpoint waits for all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use enricher::life::End;
use enricher::metrics::Metrics;
use enricher::signal::Stop;
use enricher::sink::local::Folder;
use enricher::sink::object::{Compression, Objects, Settings};
use enricher::sink::storage::Storage;
use enricher::sink::{Route, Sinks, memory};
use enricher::worker::Shared;
use pipeline::archive;
use pipeline::divide::{Condition, Folder as Templates, Form, Want};

use crate::stage::{PATIENCE, Stage, after, shared, until};

fn want(condition: &str) -> Want {
    let condition = Condition::parse(condition, Route::Enriched).expect("it is right");
    Want { condition: Some(condition), ..Want::default() }
}

fn sinks(parts: &Shared) -> Sinks {
    Sinks::dividing(Arc::clone(&parts.pool), Arc::clone(&parts.metrics))
        .with(Route::Bad, Arc::new(memory::Memory::default()))
        .with(Route::Parked, Arc::new(memory::Memory::default()))
}

fn column(line: &[u8], field: event::Field) -> String {
    let line = std::str::from_utf8(line).expect("lines are UTF-8");
    line.split('\t').nth(field as usize).expect("131 columns").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_waits_for_every_destination_that_wants_lines() {
    let mut stage = Stage::new(&["shard-1"]);
    stage.send("shard-1", 60);
    let parts = shared(8 << 20);
    let [views, others, nobody] = [(); 3].map(|()| Arc::new(memory::Memory::default()));
    others.close();
    nobody.close();
    let sinks = sinks(&parts)
        .with_want(Route::Enriched, want("event_name == 'page_view'"), Arc::clone(&views) as _)
        .with_want(Route::Enriched, want("event_name != 'page_view'"), Arc::clone(&others) as _)
        .with_want(Route::Enriched, want("app_id == 'nobody'"), Arc::clone(&nobody) as _);
    let stop = Stop::default();
    let end = stage.run("worker", PATIENCE, &stop, parts, sinks);
    until("lines", async || !views.lines().is_empty() && others.under_way() > 0).await;
    stage.renewed("shard-1").await;
    // What was read so far is durable in one destination and not in the other.
    assert_eq!(stage.position("shard-1").await, Some(lease::Position::TrimHorizon));
    others.open();
    until("checkpoint", async || stage.position("shard-1").await == after(59)).await;
    assert_eq!(nobody.under_way(), 0, "a destination that wants nothing is not asked");
    stop.drain.cancel();
    assert!(matches!(end.await.expect("no panic"), End::Drained));
    let kinds = |lines: &[Vec<u8>]| -> BTreeSet<String> {
        lines.iter().map(|line| column(line, event::Field::EventName)).collect()
    };
    let (views, others) = (views.lines(), others.lines());
    assert_eq!(kinds(&views), BTreeSet::from(["page_view".to_owned()]));
    assert!(!kinds(&others).is_empty() && !kinds(&others).contains("page_view"));
    let ids: Vec<String> =
        views.iter().chain(&others).map(|line| column(line, event::Field::EventId)).collect();
    assert_eq!(ids.iter().cloned().collect::<BTreeSet<_>>(), stage.good);
    assert_eq!(ids.len(), stage.good.len(), "each event went to one destination, once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_destination_wants_is_counted_and_does_not_wait() {
    let mut stage = Stage::new(&["shard-1"]);
    stage.send("shard-1", 10);
    let parts = shared(8 << 20);
    let (views, metrics) = (Arc::new(memory::Memory::default()), Arc::clone(&parts.metrics));
    let page_views = want("event_name == 'page_view'");
    let sinks = sinks(&parts).with_want(Route::Enriched, page_views, Arc::clone(&views) as _);
    let stop = Stop::default();
    let end = stage.run("worker", PATIENCE, &stop, parts, sinks);
    until("checkpoint", async || stage.position("shard-1").await == after(9)).await;
    stop.drain.cancel();
    assert!(matches!(end.await.expect("no panic"), End::Drained));
    let unwanted = stage.good.len() - views.lines().len();
    assert!(unwanted > 0, "there are other events than page views");
    let line = format!("snowmelt_unwanted_lines_total{{route=\"enriched\"}} {unwanted}");
    assert!(metrics.text().lines().any(|found| found == line), "{line}");
}

fn objects(parts: &Shared, route: Route, key: &str, open: usize, at: &Path) -> Arc<Objects> {
    let settings = Settings {
        route,
        name: Some("folders".to_owned()),
        form: Form::Own,
        kind: Default::default(),
        prefix: "in".to_owned(),
        folder: Templates::parse(key, route).expect("it is right"),
        open_objects: open,
        worker: "worker".to_owned(),
        compression: Compression::Zstd,
        object_bytes: usize::MAX,
        object_age: Duration::from_secs(3600),
        names: Default::default(),
    };
    let (pool, metrics) = (Arc::clone(&parts.pool), Arc::clone(&parts.metrics));
    let storage = Storage::Folder(Folder::new(at));
    Arc::new(Objects::start(storage, settings, pool, parts.hurry.clone(), metrics))
}

/// What stands in the objects of a folder, by object.
fn contents(at: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let objects = Folder::new(at).objects("in").expect("the folder can be read");
    let read = |path: PathBuf| {
        let object = std::fs::read(&path).expect("the object can be read");
        let compression = Compression::of(&path.to_string_lossy());
        let name = path.strip_prefix(at.join("in")).expect("it is inside").to_owned();
        (name, compression.lines(&object).expect("frames are whole"))
    };
    objects.into_iter().map(read).collect()
}

/// Works 600 payloads with so much room, and returns the objects.
async fn in_folders(stage: &mut Stage, budget: usize, open: usize, at: &Path) -> Arc<Metrics> {
    stage.send("shard-1", 600);
    let parts = shared(budget);
    let metrics = Arc::clone(&parts.metrics);
    let key = "name={event_name}/{platform}";
    let folder = Templates::parse(key, Route::Enriched).expect("it is right");
    let want = Want { folder: Some(folder), ..Want::default() };
    let sinks = sinks(&parts).with_want(
        Route::Enriched,
        want,
        objects(&parts, Route::Enriched, key, open, at),
    );
    let stop = Stop::default();
    let end = stage.run("worker", PATIENCE, &stop, parts, sinks);
    let all = stage.good.len() as u64;
    until("events", async || metrics.counts().enriched == all).await;
    stop.drain.cancel();
    assert!(matches!(end.await.expect("no panic"), End::Drained));
    assert_eq!(stage.position("shard-1").await, after(599));
    metrics
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_into_the_folders_of_their_columns_and_the_rest_to_one_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::new(&["shard-1"]);
    in_folders(&mut stage, 64 << 20, 3, folder.path()).await;
    let mut ids = BTreeSet::new();
    let mut folders = BTreeSet::new();
    let objects = contents(folder.path());
    for (name, text) in &objects {
        let of = name.parent().expect("it is in a folder").to_string_lossy().into_owned();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            assert!(ids.insert(column(line, event::Field::EventId)), "once");
            let (event_name, platform) =
                (column(line, event::Field::EventName), column(line, event::Field::Platform));
            let own = format!("name={event_name}/{platform}");
            assert!(of == own || of == "name=other/other", "{own} in {of}");
        }
        assert!(name.to_string_lossy().contains("Z-enriched-folders-worker-"), "{name:?}");
        folders.insert(of);
    }
    assert_eq!(ids, stage.good);
    assert!(folders.contains("name=other/other"), "{folders:?}");
    assert_eq!(folders.len(), 4, "three and the one for the rest: {folders:?}");
    assert_eq!(objects.len(), 4, "each grew until the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budget_and_many_objects_do_not_wait_for_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::new(&["shard-1"]);
    // Less than what is made of these payloads, even compressed.
    let metrics = in_folders(&mut stage, 128 << 10, 64, folder.path()).await;
    let text = contents(folder.path()).into_values().flatten().collect::<Vec<_>>();
    assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), stage.good.len());
    assert!(metrics.counts().objects > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_archived_as_they_came_before_their_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::new(&["shard-1"]);
    stage.send("shard-1", 40);
    let parts = shared(8 << 20);
    let raw = objects(&parts, Route::Raw, "{date}", 1, folder.path());
    let sinks = sinks(&parts)
        .with(Route::Enriched, Arc::new(memory::Memory::default()))
        .with(Route::Raw, raw);
    let (stop, metrics) = (Stop::default(), Arc::clone(&parts.metrics));
    let end = stage.run("worker", PATIENCE, &stop, parts, sinks);
    let all = stage.good.len() as u64;
    until("events", async || metrics.counts().enriched == all).await;
    stage.renewed("shard-1").await;
    // The object is open, and everything else is durable.
    assert_eq!(stage.position("shard-1").await, Some(lease::Position::TrimHorizon));
    stop.drain.cancel();
    assert!(matches!(end.await.expect("no panic"), End::Drained));
    assert_eq!(stage.position("shard-1").await, after(39));
    let objects = contents(folder.path());
    let (name, bytes) = objects.first_key_value().expect("there is one");
    assert_eq!(objects.len(), 1);
    assert!(name.to_string_lossy().ends_with(".records.zst"), "{name:?}");
    let mut found: Vec<_> = archive::records(bytes)
        .map(|(_, record)| record.expect("it is whole"))
        .map(|record| (record.shard.to_owned(), after_of(record.sequence), record.data.to_vec()))
        .collect();
    // Batches are written side by side.
    found.sort_by(|one, other| one.1.partial_cmp(&other.1).expect("positions have an order"));
    let sent = stage.stream.records(&lease::ShardId::new("shard-1"));
    let sent = sent.into_iter().enumerate();
    let expected: Vec<_> =
        sent.map(|(n, data)| ("shard-1".to_owned(), after(n), data.to_vec())).collect();
    assert!(found == expected, "{} of {} records, or others", found.len(), expected.len());
}

fn after_of(sequence: &str) -> Option<lease::Position> {
    let sequence = lease::SequenceNumber::parse(sequence)?;
    Some(lease::Position::After { sequence, sub_sequence: 0 })
}
