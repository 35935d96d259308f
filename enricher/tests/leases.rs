//! `snowmelt leases` as a person calls it, on a SQLite file and on a DynamoDB table; and the times
//! it sets, as a stream is read from them.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use enricher::budget::{Budget, Hurry};
use enricher::clock;
use enricher::source::local::{Local, Put};
use enricher::source::{Batches, Source};
use lease::store::{dynamo::Dynamo, sqlite::Sqlite};
use lease::{
    Change, Lease, LeaseKey, LeaseStore, Position, SequenceNumber, ShardId, WorkerId, Write,
    WriteId,
};
use serde_json::Value;

fn id(n: u32) -> ShardId {
    ShardId::new(&format!("shardId-{n:012}"))
}

fn after(n: u64) -> Position {
    let sequence = SequenceNumber::parse(&n.to_string()).expect("a number");
    Position::After { sequence, sub_sequence: 3 }
}

async fn get(store: &dyn LeaseStore, n: u32) -> Lease {
    store.get(&LeaseKey::of(&id(n))).await.expect("an answer").expect("it is there")
}

/// An owned lease at record 17, and a free one of its child.
async fn fill(store: &dyn LeaseStore) {
    store.open().await.expect("it opens");
    let parent = Lease::new(&id(0), Position::TrimHorizon);
    let child = Lease { parents: vec![id(0)], ..Lease::new(&id(1), Position::TrimHorizon) };
    let key = parent.key.clone();
    for lease in [parent, child] {
        assert!(store.create(lease).await.expect("an answer"));
    }
    let owner = WorkerId::parse("worker-7").expect("a name");
    let take = Change::Take {
        owner,
        switched: false,
        capacity: 1,
        duration_ms: 10_000,
        stream: lease::Stream::default(),
        start: None,
    };
    let renew = Change::Renew {
        checkpoint: Some(after(17)),
        weight: 4096,
        lag_ms: Some(1500),
        offer: None,
        suspect: None,
    };
    for change in [take, renew] {
        let expected = get(store, 0).await.counter;
        let write = Write { key: key.clone(), expected, id: WriteId(expected.0), change };
        store.write(write).await.expect("an answer");
    }
}

async fn snowmelt(args: Vec<String>) -> Output {
    let run = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snowmelt"));
        let keys = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];
        command.arg("leases").args(args).envs(keys).output().expect("it starts")
    };
    tokio::task::spawn_blocking(run).await.expect("no panic")
}

/// Calls the command; what it prints, if it succeeds.
async fn call(place: &[&str], args: &[&str]) -> Result<String, String> {
    let words = args.iter().take(1).chain(place).chain(args.iter().skip(1));
    let output = snowmelt(words.map(|word| (*word).to_owned()).collect()).await;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    match output.status.code() {
        Some(0) => Ok(text(output.stdout)),
        Some(64) => Err(text(output.stderr)),
        code => panic!("{code:?}: {}", text(output.stderr)),
    }
}

/// The commands on a filled table: all that they show, and all that they change.
async fn check(store: &dyn LeaseStore, place: &[&str]) {
    let list = call(place, &["list", "--watch=0", "--json"]).await.expect("a list");
    let list: Value = serde_json::from_str(&list).expect("JSON");
    let [parent, child] = [&list["leases"][0], &list["leases"][1]];
    assert_eq!((&parent["owner"], &parent["checkpoint"]), (&"worker-7".into(), &"17".into()));
    let figures = (&parent["lag_ms"], &parent["weight"], &parent["sub_sequence"]);
    assert_eq!(figures, (&1500.into(), &4096.into(), &3.into()));
    assert_eq!(child["parents"][0], id(0).as_str());
    let table = call(place, &["list", "--watch=0"]).await.expect("a list");
    assert_eq!(table.lines().count(), 3, "{table}");
    for word in ["OWNER", "worker-7", "1.5s", "4096B/s", "17/3", "TRIM_HORIZON"] {
        assert!(table.contains(word), "{word} is missing: {table}");
    }

    let before = get(store, 0).await;
    let shard = id(0);
    let said = call(place, &["release", shard.as_str()]).await.expect("a plan");
    assert!(said.contains("would be asked") && said.contains("nothing was changed"), "{said}");
    let said = call(place, &["reset", "--all", "--to=latest"]).await.expect("a plan");
    let since = "would be read from AT_TIMESTAMP/";
    assert_eq!(said.matches(since).count(), 2, "{said}");
    assert_eq!(get(store, 0).await, before);

    call(place, &["release", "--all", "--yes"]).await.expect("it is asked");
    let asked = get(store, 0).await;
    assert!(asked.next.is_some_and(|next| next.as_str().starts_with("operator-")));
    assert_eq!(get(store, 1).await.next, None, "nobody owns it");

    let at = "2026-01-02T03:04:05.006Z";
    let reset = ["reset", shard.as_str(), "--to=timestamp", "--at", at, "--yes", "--json"];
    let said = call(place, &reset).await.expect("it is reset");
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["changed"], true);
    let lease = get(store, 0).await;
    assert_eq!(lease.checkpoint, Position::AtTimestamp(Some(1_767_323_045_006)));
    assert_eq!((lease.owner, lease.next), (None, None));
    call(place, &["reset", "--all", "--to=trim-horizon", "--yes"]).await.expect("it is reset");
    assert_eq!(get(store, 0).await.checkpoint, Position::TrimHorizon);

    let future = ["reset", "--all", "--to=timestamp", "--at=2999-01-01T00:00:00Z"];
    for (args, word) in [
        (&["release", "shardId-7"][..], "no lease of shardId-7"),
        (&["release"], "SHARD"),
        (&["reset", "--all"], "--to"),
        (&["reset", "--all", "--to=timestamp"], "--at"),
        (&["reset", "--all", "--to=latest", "--at=x"], "--at belongs to"),
        (&future, "in the future"),
    ] {
        let error = call(place, args).await.expect_err("a mistake");
        assert!(error.contains(word), "{args:?}: {error}");
    }
}

#[tokio::test]
async fn leases_of_a_file_are_shown_and_set() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("leases.db");
    let store = Sqlite::open(&file).expect("the file opens");
    fill(&store).await;
    check(&store, &["--file", file.to_str().expect("text")]).await;
    let missing = folder.path().join("elsewhere.db");
    let place = ["--file", missing.to_str().expect("text")];
    let error = call(&place, &["list"]).await.expect_err("no such file");
    assert!(error.contains("no such file") && !missing.exists(), "{error}");
}

#[tokio::test]
async fn leases_of_a_table_are_shown_and_set() {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", socket.local_addr().expect("it is bound"));
    let database = dynoxide::Database::memory().expect("memory");
    let mut server = tokio::task::JoinSet::new();
    server.spawn(dynoxide::server::serve_on(socket, database));
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .endpoint_url(&url)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let client = aws_sdk_dynamodb::Client::from_conf(config);

    let store = Dynamo::new(client.clone(), "by-flags");
    fill(&store).await;
    let place = ["--table", "by-flags", "--region", "eu-west-1", "--endpoint-url", &url];
    check(&store, &place).await;

    let store = Dynamo::new(client, "by-configuration");
    fill(&store).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("worker.toml");
    std::fs::write(&file, configuration(&url)).expect("a file");
    check(&store, &["--config", file.to_str().expect("text")]).await;
}

fn configuration(url: &str) -> String {
    format!(
        r#"
        [aws]
        region = "eu-west-1"
        dynamodb_endpoint_url = "{url}"
        [source]
        stream = "payloads"
        [leases]
        table = "by-configuration"
        [enriched.kinesis]
        stream = "enriched"
        [bad.kinesis]
        stream = "bad"
        "#
    )
}

/// What was written before the time is not read, what was written since is.
#[tokio::test]
async fn a_stream_is_read_from_a_time_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let stream = Local::open(&Path::new(folder.path()).join("stream"), 1).expect("a new file");
    let put = |data: &str| Put { shard: id(0), data: data.into(), good: 0, bad: 0 };
    stream.put(vec![put("old")]).await.expect("stored");
    let written = clock::now_ms();
    while clock::now_ms() <= written + 1 {
        tokio::task::yield_now().await;
    }
    let since = clock::now_ms();
    stream.put(vec![put("new")]).await.expect("stored");
    let budget = Arc::new(Budget::new(1 << 20, Hurry::default()));
    let read = async |from| {
        let source: &dyn Source = &stream;
        let mut batches = Batches::open(source, &id(0), from, &budget);
        let (batch, _) = batches.next().await.expect("it can be read").expect("a batch");
        batch.records.iter().map(|r| r.data.to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(read(Position::AtTimestamp(Some(since))).await, [b"new".to_vec()]);
    assert_eq!(read(Position::TrimHorizon).await.len(), 2);
    assert_eq!(read(Position::AtTimestamp(None)).await.len(), 2);
}
