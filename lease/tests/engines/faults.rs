//! The DynamoDB store over a network that fails: a write that happened and was not answered is
//! found out, and no lease is given up for it.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use lease::store::dynamo::Dynamo;
use lease::{
    Config, Error, Keeper, LeaseKey, LeaseStore, Position, SequenceNumber, Shard, ShardId, WorkerId,
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

/// A table that is being created is waited for; one that is being changed is there.
#[tokio::test]
async fn a_table_is_used_while_it_is_changed() {
    let engine = Engine::start().await;
    let creating = Fate::Table("CREATING");
    let fates = [Fate::Answered, Fate::Answered, creating, creating, Fate::Table("UPDATING")];
    let network = Network::listed(engine.address, &fates).await;
    let store = Dynamo::new(client(network.address), "leases");
    let opened = timeout(Duration::from_secs(30), store.open()).await;
    opened.expect("in time").expect("the table opens");
    assert_eq!((network.met(creating), network.met(Fate::Table("UPDATING"))), (2, 1));
}

#[tokio::test]
async fn a_table_is_made_by_many_at_once() {
    let engine = Engine::start().await;
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = Dynamo::new(client(engine.address), "leases");
        workers.spawn(async move { store.open().await });
    }
    while let Some(opened) = workers.join_next().await {
        opened.expect("no panic").expect("the table opens");
    }
}

/// What passes is waited for; what cannot get better by itself ends the worker.
#[tokio::test]
async fn refusals_are_told_apart() {
    let engine = Engine::start().await;
    let refused = async |name| {
        let network = Network::listed(engine.address, &[Fate::Refused(name)]).await;
        let store = Dynamo::new(client(network.address), "leases");
        let opened = store.open().await.expect_err("it is refused");
        let scanned = store.scan().await.expect_err("it is refused");
        let passes = |error: &Error| matches!(error, Error::Unavailable(_));
        let text = scanned.to_string();
        assert!(opened.to_string().contains(name), "{opened}");
        assert!(text.contains("Scan of table leases: ") && text.contains(name), "{text}");
        assert!(text.lines().count() == 1 && text.len() < 200, "{text}");
        (passes(&opened), passes(&scanned))
    };
    for name in ["ExpiredTokenException", "ThrottlingException", "LimitExceededException"] {
        assert_eq!(refused(name).await, (true, true), "{name}");
    }
    // Credentials that were just renewed are not known everywhere yet.
    assert_eq!(refused("UnrecognizedClientException").await, (true, true));
    for name in ["AccessDeniedException", "ValidationException"] {
        assert_eq!(refused(name).await, (false, false), "{name}");
    }
}

/// Somebody has deleted the table under a running fleet.
#[tokio::test]
async fn a_table_that_is_deleted_is_made_again() {
    let engine = Engine::start().await;
    let client = client(engine.address);
    let store: Arc<dyn LeaseStore> = Arc::new(Dynamo::new(client.clone(), "leases"));
    let me = WorkerId::parse("one").expect("a good name");
    let config = Config::with_lease_duration(me, Duration::from_secs(2));
    let (keeper, mut leases) = Keeper::start(store, config);
    let id = ShardId::new("shardId-000000000000");
    let shard = Shard { id, parents: Vec::new(), hash_range: None, closed: false };
    keeper.observe_shards(vec![shard]);
    let long = Duration::from_secs(60);
    let held = timeout(long, leases.next()).await.expect("in time").expect("it runs");
    held.advance(after(3));
    client.delete_table().table_name("leases").send().await.expect("the table goes");
    timeout(long, held.lost().cancelled()).await.expect("its lease is gone");
    drop(held);
    let again = timeout(long, leases.next()).await.expect("in time").expect("it runs on");
    assert_eq!(again.position(), Position::TrimHorizon, "it begins as at the start");
    assert!(!keeper.unusable().is_cancelled());
    let health = keeper.health();
    let mut told = [health.scan.last_error, health.write.last_error].into_iter().flatten();
    let gone = "of table leases: ResourceNotFoundException";
    assert!(told.any(|(_, why)| why.contains(gone)), "whichever asked first says so");
}

/// A table of another shape is refused before anything is written to it.
#[tokio::test]
async fn a_table_with_another_key_is_refused() {
    let engine = Engine::start().await;
    let client = client(engine.address);
    for (table, name, kind, said) in [
        ("numbers", "leaseKey", ScalarAttributeType::N, "its key leaseKey is of type N, not S"),
        ("others", "id", ScalarAttributeType::S, "its key is not leaseKey alone"),
    ] {
        let key = KeySchemaElement::builder().attribute_name(name).key_type(KeyType::Hash);
        let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(kind);
        let request = client.create_table().table_name(table);
        let request = request.key_schema(key.build().expect("a key"));
        let request = request.attribute_definitions(attribute.build().expect("an attribute"));
        request.billing_mode(BillingMode::PayPerRequest).send().await.expect("a table");
        let refused = Dynamo::new(client.clone(), table).open().await;
        let Err(Error::Unusable(why)) = refused else { panic!("{table}: {refused:?}") };
        assert!(why.to_string().contains(said), "{why}");
    }
}
