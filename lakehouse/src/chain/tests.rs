use std::io;
use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

use arrow_array::{RecordBatch, StringArray};
use arrow_schema::{DataType, Field as Column, Schema};
use async_trait::async_trait;
use columns::Type;

use super::*;
use crate::DataFile;
use crate::committer::{Committer, Round};
use crate::files::Folder;
use crate::growing::Growing;
use crate::testing::{catalog, field};

/// Tables in memory, and links in a folder.
struct Stage {
    catalog: Arc<dyn Catalog>,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Stage {
        Stage { catalog: catalog(), folder: tempfile::tempdir().expect("there") }
    }

    async fn lakes_over(&self, names: &[&str], files: Arc<dyn Files>) -> Lakes {
        let columns = [field("event_id", Type::String)];
        let mut tables = Vec::new();
        for name in names {
            let lake = Lake::open(Arc::clone(&self.catalog), "snowmelt", name, &columns).await;
            tables.push(((*name).to_owned(), lake.expect("done")));
        }
        let links = Folder::location(&self.folder.path().join("links"));
        Lakes::new(Arc::clone(&self.catalog), "snowmelt", tables, files, &links)
    }

    async fn lakes(&self, names: &[&str]) -> Lakes {
        self.lakes_over(names, Arc::new(Folder)).await
    }

    /// The names of links that are written down, of the one shard.
    fn links(&self) -> Vec<String> {
        let folder = self.folder.path().join(format!("links/{}", shard()));
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("there").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

fn shard() -> Shard {
    Shard::new("raw", "shardId-000000000000")
}

async fn file(lake: &Lake, id: &str) -> DataFile {
    let schema = Arc::new(Schema::new(vec![Column::new("event_id", DataType::Utf8, true)]));
    let ids = Arc::new(StringArray::from_iter_values([id]));
    let rows = RecordBatch::try_new(schema, vec![ids]).expect("there");
    let table = lake.table().await.expect("done");
    let properties = warehouse::file::properties(1);
    let mut growing = Growing::begin(&table, properties, 0, "x").expect("there");
    growing.add(&rows.into()).expect("there");
    growing.finish().await.expect("done")
}

/// Adds a link with a row for each of some tables.
async fn add(lakes: &Lakes, chain: &mut Chain, place: &str, to: &[&str]) -> Result<()> {
    let mut files = Appended::none(lakes.names());
    for name in to {
        let lake = lakes.table(name).expect("it is one of them");
        let table = lake.table().await.expect("done");
        files.add(&table, file(lake, place).await).expect("there");
    }
    let next = chain.link(place, files, 0);
    chain.add(&next).await
}

async fn round(committer: &mut Committer) -> Round {
    committer.round(&BTreeMap::new()).await.expect("done")
}

/// How many rows a table has.
async fn rows(lakes: &Lakes, name: &str) -> u64 {
    let table = lakes.table(name).expect("it is one of them").table().await.expect("done");
    let Some(snapshot) = table.metadata().current_snapshot() else { return 0 };
    snapshot.summary().additional_properties["total-records"].parse().expect("a number")
}

const BOTH: [&str; 2] = ["bad", "events"];

#[tokio::test]
async fn what_chains_hold_is_appended_once_and_removed() {
    let stage = Stage::new();
    let lakes = stage.lakes(&BOTH).await;
    let mut chain = lakes.take(&shard(), "one", 0).await.expect("done");
    assert_eq!(chain.place(), "");
    add(&lakes, &mut chain, "5/0", &["events"]).await.expect("done");
    add(&lakes, &mut chain, "9/0", &BOTH).await.expect("done");
    let mut committer = Committer::new(lakes.clone());
    let told = round(&mut committer).await;
    assert_eq!((told.appended["events"], told.appended["bad"]), ((2, 2), (1, 1)));
    assert_eq!((told.waiting, told.nobodys.len(), told.refused), (0, 0, 0));
    assert_eq!((rows(&lakes, "events").await, rows(&lakes, "bad").await), (2, 1));
    assert_eq!(stage.links(), ["1_5_0.json"], "the last one stays");
    let told = round(&mut committer).await;
    assert_eq!(told, Round::default());
    // A table for which there is nothing is told nothing, and the link waits for it.
    add(&lakes, &mut chain, "11/0", &["events"]).await.expect("done");
    let told = round(&mut committer).await;
    assert!(told.appended.contains_key("events") && !told.appended.contains_key("bad"));
    assert_eq!(stage.links(), ["1_9_0.json"]);
    assert_eq!((rows(&lakes, "events").await, rows(&lakes, "bad").await), (3, 1));
}

#[tokio::test]
async fn a_former_owner_adds_nothing_more() {
    let stage = Stage::new();
    let lakes = stage.lakes(&BOTH).await;
    let mut old = lakes.take(&shard(), "one", 0).await.expect("done");
    add(&lakes, &mut old, "5/0", &["events"]).await.expect("done");
    let mut new = lakes.take(&shard(), "two", 0).await.expect("done");
    assert_eq!(new.place(), "5/0", "what the former owner added counts, committed or not");
    let late = add(&lakes, &mut old, "6/0", &["events"]).await.expect_err("refused");
    assert!(matches!(late, Error::Lost { .. }), "{late}");
    assert!(late.to_string().contains("1_5_0.json, which is another's"), "{late}");
    add(&lakes, &mut new, "7/0", &["events"]).await.expect("done");
    round(&mut Committer::new(lakes.clone())).await;
    assert_eq!(rows(&lakes, "events").await, 2);
    // The table is where the chain is, so there it goes on.
    let next = lakes.take(&shard(), "three", 0).await.expect("done");
    assert_eq!(next.place(), "7/0");
}

#[tokio::test]
async fn a_link_of_which_no_answer_came_is_added_once() {
    let stage = Stage::new();
    let lakes = stage.lakes(&BOTH).await;
    let mut chain = lakes.take(&shard(), "one", 0).await.expect("done");
    let mut files = Appended::none(BOTH);
    let events = lakes.table("events").expect("there");
    files.add(&events.table().await.expect("done"), file(events, "a").await).expect("there");
    let next = chain.link("5/0", files, 0);
    for _ in 0..3 {
        chain.add(&next).await.expect("it is ours");
    }
    round(&mut Committer::new(lakes.clone())).await;
    assert_eq!(rows(&lakes, "events").await, 1);
}

#[tokio::test]
async fn a_table_that_is_filled_later_gets_what_was_made_for_it() {
    let stage = Stage::new();
    let before = stage.lakes(&["events"]).await;
    let mut chain = before.take(&shard(), "one", 0).await.expect("done");
    add(&before, &mut chain, "5/0", &["events"]).await.expect("done");
    round(&mut Committer::new(before.clone())).await;
    let both = stage.lakes(&BOTH).await;
    let mut chain = both.take(&shard(), "two", 0).await.expect("done");
    assert_eq!(chain.place(), "5/0");
    add(&both, &mut chain, "9/0", &BOTH).await.expect("done");
    // Whoever commits may still be one that knows nothing of the new table.
    let mut old = Committer::new(before.clone());
    let told = round(&mut old).await;
    assert_eq!((told.appended["events"], told.appended["bad"]), ((1, 1), (1, 1)));
    assert_eq!((rows(&both, "events").await, rows(&both, "bad").await), (2, 1));
}

/// What waits and what is too large may have its folder beside those of shards.
#[tokio::test]
async fn what_is_no_link_is_left_alone() {
    let stage = Stage::new();
    let lakes = stage.lakes(&["events"]).await;
    let mut chain = lakes.take(&shard(), "one", 0).await.expect("done");
    add(&lakes, &mut chain, "5/0", &["events"]).await.expect("done");
    for name in ["_parked/_manifests/x.json", "_parked/x.json", "y.json", "a/b/c.json"] {
        let location = Folder::location(&stage.folder.path().join("links").join(name));
        assert!(Folder.create(&location, Bytes::from_static(b"{}")).await.expect("done"));
    }
    round(&mut Committer::new(lakes.clone())).await;
    assert_eq!(rows(&lakes, "events").await, 1);
}

#[tokio::test(start_paused = true)]
async fn one_of_several_commits_until_it_is_gone() {
    let stage = Stage::new();
    let lakes = stage.lakes(&["events"]).await;
    let (mut one, mut two) = (Committer::new(lakes.clone()), Committer::new(lakes.clone()));
    let patience = Duration::from_secs(30);
    assert!(one.claim("one", patience).await.expect("done"));
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(20)).await;
        assert!(!two.claim("two", patience).await.expect("done"), "it is there");
        assert!(one.claim("one", patience).await.expect("done"));
    }
    assert!(!two.claim("two", patience).await.expect("done"));
    tokio::time::advance(Duration::from_secs(31)).await;
    assert!(two.claim("two", patience).await.expect("done"), "it has not changed for so long");
    assert!(!one.claim("one", patience).await.expect("done"));
    two.resign("two").await;
    one.resign("one").await;
    assert!(one.claim("one", patience).await.expect("done"), "nobody has it");
}

/// Links of which a list shows only those that were there when it was begun, and those behind some
/// that were written meanwhile; what is written meanwhile is committed by another.
#[derive(Debug)]
struct Torn {
    /// What is to be hidden from the next list, and what is done before it is answered.
    hidden: Mutex<Option<(String, Lakes)>>,
}

#[async_trait]
impl Files for Torn {
    async fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut all = Folder.list(folder).await?;
        let hidden = self.hidden.lock().expect("nothing panics here").take();
        if let Some((hidden, lakes)) = hidden {
            // Another has committed to one of the tables, and not yet to the other.
            let mut events = lakes;
            events.tables.retain(|name, _| name == "events");
            let link = all.iter().find(|name| name.ends_with(&hidden)).expect("there").clone();
            let bytes = Folder.read(&link, None).await?;
            let at = link.rsplitn(3, '/').nth(2).expect("it is in two folders").to_owned();
            let (link, ends) = Link::read(&at, &link, &bytes).expect("there");
            let lake = &events.tables["events"];
            let files = link.files(&lake.table().await.expect("done")).expect("there");
            let from = lake.position(&shard()).await.expect("done");
            let moved = crate::Move { shard: shard(), from, to: ends.to };
            let piece = crate::Piece { moves: vec![moved], files };
            lake.append(&[piece], &BTreeMap::new()).await.expect("done");
            all.retain(|name| !name.ends_with(&hidden));
        }
        Ok(all)
    }

    async fn read(&self, location: &str, range: Option<Range<u64>>) -> io::Result<Bytes> {
        Folder.read(location, range).await
    }

    async fn size(&self, location: &str) -> io::Result<Option<u64>> {
        Folder.size(location).await
    }

    async fn write(&self, location: &str, bytes: Bytes) -> io::Result<()> {
        Folder.write(location, bytes).await
    }

    async fn delete(&self, location: &str) -> io::Result<()> {
        Folder.delete(location).await
    }

    async fn create(&self, location: &str, bytes: Bytes) -> io::Result<bool> {
        Folder.create(location, bytes).await
    }

    async fn replace(&self, location: &str, bytes: Bytes) -> io::Result<()> {
        Folder.replace(location, bytes).await
    }
}

/// Lists come in pages, and are of no one moment.
#[tokio::test]
async fn a_link_that_a_list_did_not_show_is_not_passed_over() {
    let stage = Stage::new();
    let lakes = stage.lakes(&BOTH).await;
    let mut chain = lakes.take(&shard(), "one", 0).await.expect("done");
    add(&lakes, &mut chain, "5/0", &BOTH).await.expect("done");
    round(&mut Committer::new(lakes.clone())).await;
    add(&lakes, &mut chain, "7/0", &BOTH).await.expect("done");
    add(&lakes, &mut chain, "9/0", &BOTH).await.expect("done");
    let hidden = Mutex::new(Some(("1_5_0.json".to_owned(), lakes.clone())));
    let torn = stage.lakes_over(&BOTH, Arc::new(Torn { hidden })).await;
    let mut committer = Committer::new(torn);
    round(&mut committer).await;
    round(&mut committer).await;
    round(&mut Committer::new(lakes.clone())).await;
    assert_eq!((rows(&lakes, "events").await, rows(&lakes, "bad").await), (3, 3));
}
