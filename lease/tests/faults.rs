//! The DynamoDB store over a network that loses answers: a write that happened and was not
//! answered is found out, and no lease is given up for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use lease::store::dynamo::Dynamo;
use lease::{
    Config, Keeper, LeaseKey, LeaseStore, Position, SequenceNumber, Shard, ShardId, WorkerId,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Every so manieth answer is lost, together with its connection.
const LOST: usize = 4;

/// Passes on requests, and most of the answers.
async fn lose_answers(front: TcpListener, back: SocketAddr) {
    let mut connections = JoinSet::new();
    let answers = Arc::new(AtomicUsize::new(1));
    while let Ok((client, _)) = front.accept().await {
        let answers = answers.clone();
        connections.spawn(async move {
            let Ok(server) = TcpStream::connect(back).await else { return };
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let requests = async { tokio::io::copy(&mut from_client, &mut to_server).await };
            let replies = async {
                let mut buffer = vec![0; 1 << 16];
                loop {
                    let read = from_server.read(&mut buffer).await.unwrap_or(0);
                    let lost = answers.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOST);
                    if read == 0 || lost || to_client.write_all(&buffer[..read]).await.is_err() {
                        return;
                    }
                }
            };
            tokio::select! { _ = requests => {}, () = replies => {} }
        });
    }
}

fn client(address: SocketAddr) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .endpoint_url(format!("http://{address}"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

fn after(n: u64) -> Position {
    let sequence = SequenceNumber::parse(&n.to_string()).expect("a number");
    Position::After { sequence, sub_sequence: 0 }
}

async fn local() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port")
}

#[tokio::test]
async fn lost_answers_cost_no_lease() {
    let (server, front) = (local().await, local().await);
    let address = |socket: &TcpListener| socket.local_addr().expect("the port is bound");
    let (back, proxy) = (address(&server), address(&front));
    let mut tasks = JoinSet::new();
    let database = dynoxide::Database::memory().expect("memory");
    tasks.spawn(dynoxide::server::serve_on(server, database));
    tasks.spawn(lose_answers(front, back));

    let flaky: Arc<dyn LeaseStore> = Arc::new(Dynamo::new(client(proxy), "leases"));
    let plain = Dynamo::new(client(back), "leases");
    let me = WorkerId::parse("one").expect("a good name");
    let mut config = Config::with_lease_duration(me, Duration::from_secs(6));
    // Many renewals in a short time.
    config.renew_interval = Duration::from_millis(50);
    let (keeper, mut leases) = Keeper::start(flaky, config);
    let ids: Vec<ShardId> = (0..4).map(|n| ShardId::new(&format!("shardId-{n:012}"))).collect();
    let shard = |id: &ShardId| Shard {
        id: id.clone(),
        parents: Vec::new(),
        hash_range: None,
        closed: false,
    };
    keeper.observe_shards(ids.iter().map(shard).collect());

    let long = Duration::from_secs(60);
    let mut held = Vec::new();
    while held.len() < 4 {
        held.push(timeout(long, leases.next()).await.expect("in time").expect("it runs"));
    }
    for n in 1..=5 {
        held.iter().for_each(|held| held.advance(after(n)));
        for id in &ids {
            let stored = async {
                loop {
                    let lease = plain.get(&LeaseKey::of(id)).await.expect("an answer");
                    if lease.is_some_and(|lease| lease.checkpoint == after(n)) {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
            };
            timeout(long, stored).await.expect("the checkpoint is stored");
        }
    }
    let status = keeper.status();
    assert_eq!((status.lost, status.held), (0, 4), "{status:?}");
    for held in held {
        held.release().await;
    }
    let scan = plain.scan().await.expect("an answer");
    assert!(scan.leases.iter().all(|lease| lease.owner.is_none()), "{scan:?}");
}
