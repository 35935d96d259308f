//! The DynamoDB store over a network that fails: a write that happened and was not answered is
//! found out, and no lease is given up for it.

use std::sync::Arc;
use std::time::Duration;

use lease::store::dynamo::Dynamo;
use lease::{
    Config, Keeper, LeaseKey, LeaseStore, Position, SequenceNumber, Shard, ShardId, WorkerId,
};
use tokio::time::timeout;

use crate::engine::{Engine, client};
use crate::network::{Fate, Network};

/// Of a hundred requests, so many fail in one way or another.
const FAULTS: u32 = 30;

fn after(n: u64) -> Position {
    let sequence = SequenceNumber::parse(&n.to_string()).expect("a number");
    Position::After { sequence, sub_sequence: 0 }
}

#[tokio::test]
async fn a_failing_network_costs_no_lease() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let engine = Engine::start().await;
    let network = Network::start(engine.address, seed, FAULTS).await;
    let flaky: Arc<dyn LeaseStore> = Arc::new(Dynamo::new(client(network.address), "leases"));
    let plain = Dynamo::new(client(engine.address), "leases");
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
    for n in 1..=10 {
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
    assert!(network.met(Fate::Unanswered) > 0 && network.met(Fate::Doubled) > 0);
    let status = keeper.status();
    assert_eq!((status.lost, status.held), (0, 4), "{status:?}");
    for held in held {
        held.release().await;
    }
    let scan = plain.scan().await.expect("an answer");
    assert!(scan.leases.iter().all(|lease| lease.owner.is_none()), "{scan:?}");
}
