//! The whole loop in one process, on parts in memory: what is sent is in the outputs, whatever
//! happens to workers, leases and sinks. That verdicts and lines add up is asserted by the loop
//! itself, for every batch.

mod destinations;
mod iceberg;
mod objects;
mod stage;
mod tables;

use std::sync::Arc;
use std::time::Duration;

use enricher::life::End;
use enricher::signal::Stop;
use enricher::sink::{self, Route, Sinks, memory};
use lease::{Position, ShardId};
use pipeline::parked::Parked;

use stage::{PATIENCE, Stage, after, shared, until};

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_write_everything_once_and_follow_a_split() {
    let mut stage = Stage::new(&["shard-1", "shard-2"]);
    stage.send("shard-1", 95);
    stage.send("shard-2", 40);
    let (a, b) = (stage.start("a"), stage.start("b"));
    until("output", async || a.written() + b.written() > 20).await;
    for child in ["shard-3", "shard-4"] {
        stage.stream.add(&ShardId::new(child), &[&ShardId::new("shard-1")]);
    }
    stage.stream.close(&ShardId::new("shard-1"));
    stage.send("shard-3", 30);
    stage.send("shard-4", 5);
    until("checkpoints", async || {
        stage.position("shard-3").await == after(29)
            && stage.position("shard-4").await == after(4)
            && stage.position("shard-2").await == after(39)
    })
    .await;
    // The parent is done before its children begin; its lease may be gone already.
    assert!(matches!(stage.position("shard-1").await, None | Some(Position::ShardEnd)));
    assert_eq!(stage.check(&[&a, &b]), 0, "nothing is written twice");
    assert!(matches!(a.drain().await, End::Drained));
    assert!(matches!(b.drain().await, End::Drained));
    for shard in ["shard-2", "shard-3", "shard-4"] {
        assert_eq!(stage.owner(shard).await, None, "{shard} is released");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_worker_leaves_its_place_to_the_next_without_repetition() {
    let mut stage = Stage::new(&["shard-1"]);
    stage.send("shard-1", 200);
    let first = stage.start("first");
    until("output", async || first.written() > 0).await;
    first.stop.drain.cancel();
    until("the end", async || first.end.is_finished()).await;
    stage.send("shard-1", 50);
    let second = stage.start("second");
    until("a checkpoint", async || stage.position("shard-1").await == after(249)).await;
    assert_eq!(stage.check(&[&first, &second]), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_waits_for_every_route() {
    let mut stage = Stage::new(&["shard-1"]);
    stage.send("shard-1", 100);
    let worker = stage.start_with("worker", Duration::from_millis(50));
    worker.bad.close();
    until("enriched events", async || worker.enriched.lines().len() >= stage.good.len()).await;
    stage.renewed("shard-1").await;
    let position = stage.position("shard-1").await;
    assert_eq!(position, Some(Position::TrimHorizon), "no bad row is written yet");
    // What is in flight cannot finish within the grace.
    assert!(matches!(worker.drain().await, End::CutOff));
    assert_eq!(stage.position("shard-1").await, Some(Position::TrimHorizon));
    // Nobody has to wait until it expires, and nothing was wrong with the shard.
    assert_eq!((stage.owner("shard-1").await, stage.failures("shard-1").await), (None, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    let mut stage = Stage::new(&["shard-1"]);
    stage.send("shard-1", 30);
    let worker = stage.start_with("worker", PATIENCE * 10);
    worker.enriched.close();
    until("a write that waits", async || worker.enriched.under_way() > 0).await;
    worker.stop.drain.cancel();
    worker.stop.now.cancel();
    assert!(matches!(worker.end.await.expect("no panic"), End::CutOff));
    assert_eq!((stage.owner("shard-1").await, stage.failures("shard-1").await), (None, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_fails_is_given_back_and_the_others_go_on() {
    let mut stage = Stage::new(&["shard-1", "shard-2"]);
    stage.send("shard-1", 60);
    let worker = stage.start("worker");
    worker.bad.fail_once(sink::Error::failed("writing", "as the test wants"));
    until("the failure", async || stage.failures("shard-1").await == 1).await;
    stage.send("shard-2", 60);
    until("the other shard", async || stage.position("shard-2").await == after(59)).await;
    // It is tried again when its pause is over, and nothing was lost.
    until("the shard", async || stage.position("shard-1").await == after(59)).await;
    assert_eq!(stage.failures("shard-1").await, 0, "it is worked again");
    assert_eq!(worker.repeats("failed"), stage.repeated(&[&worker]));
    let metrics = Arc::clone(&worker.metrics);
    assert!(matches!(worker.drain().await, End::Drained));
    let stopped = "snowmelt_duplicates_total{cause=\"stopped\"} 0";
    assert!(metrics.text().contains(stopped), "a drain leaves nothing to repeat");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_next_owner_of_a_lost_lease_writes_again_is_counted() {
    let mut stage = Stage::new(&["shard-1"]);
    stage.send("shard-1", 60);
    let worker = stage.start("worker");
    // No batch is done, and all of them have been written to one of two places.
    worker.bad.close();
    let good = stage.good.len();
    until("the good events", async || worker.enriched.lines().len() == good).await;
    stage.steal("shard-1").await;
    until("the loss", async || worker.metrics.counts().lost == 1).await;
    until("the count", async || worker.repeats("lease_lost") > 0).await;
    worker.bad.open();
    until("the shard", async || stage.position("shard-1").await == after(59)).await;
    assert_eq!(stage.repeated(&[&worker]), good);
    assert_eq!(worker.repeats("lease_lost"), good);
    assert!(matches!(worker.drain().await, End::Drained));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_which_nothing_works_ends_and_loses_nothing() {
    let mut stage = Stage::new(&["shard-1"]);
    stage.send("shard-1", 60);
    let first = stage.start("first");
    first.bad.fail_once(sink::Error::failed("writing", "as the test wants"));
    until("the end", async || first.end.is_finished()).await;
    let second = stage.start("second");
    until("a checkpoint", async || stage.position("shard-1").await == after(59)).await;
    stage.check(&[&first, &second]);
    assert!(matches!(first.end.await.expect("no panic"), End::Failed(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_without_a_destination_stop_the_worker_and_are_not_passed() {
    let mut stage = Stage::new(&["shard-1"]);
    stage.send("shard-1", 60);
    let sinks = Sinks::default().with(Route::Enriched, Arc::new(memory::Memory::default()));
    let end = stage.run("worker", PATIENCE, &Stop::default(), shared(8 << 20), sinks);
    until("the end", async || end.is_finished()).await;
    let End::Failed(error) = end.await.expect("no panic") else { panic!("bad rows were dropped") };
    let said = enricher::causes::chain(&error);
    assert!(said.contains("writing bad: no destination"), "{said}");
    assert_eq!(stage.position("shard-1").await, Some(Position::TrimHorizon));
    let worker = stage.start("worker");
    until("checkpoint", async || stage.position("shard-1").await == after(59)).await;
    stage.check(&[&worker]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lease_ends_its_shard_alone_and_writes_nothing_more() {
    let mut stage = Stage::new(&["shard-1", "shard-2"]);
    stage.send("shard-1", 10);
    let worker = stage.start("worker");
    worker.enriched.close();
    worker.bad.close();
    until("the leases", async || {
        let (one, two) = (stage.owner("shard-1").await, stage.owner("shard-2").await);
        one.as_ref() == Some(&worker.name) && two.as_ref() == Some(&worker.name)
    })
    .await;
    stage.steal("shard-1").await;
    until("the loss", async || worker.metrics.counts().lost == 1).await;
    worker.enriched.open();
    worker.bad.open();
    stage.send("shard-2", 10);
    until("the other shard", async || stage.position("shard-2").await == after(9)).await;
    // The thief never renews, so the worker takes the lease back and does the work then.
    until("the first shard", async || stage.position("shard-1").await == after(9)).await;
    let repeated = stage.check(&[&worker]);
    assert_eq!(repeated, 0, "what was held back when the lease was lost was not written");
    assert!(matches!(worker.drain().await, End::Drained));
}

/// An owner that is paused, or killed for another reason, goes as one does that a record kills.
#[tokio::test(flavor = "multi_thread")]
async fn one_owner_that_went_does_not_make_a_killer() {
    let mut stage = Stage::new(&["shard-1"]);
    stage.send("shard-1", 40);
    stage.went_at("shard-1", 20, 1).await;
    let worker = stage.start("worker");
    until("a checkpoint", async || stage.position("shard-1").await == after(39)).await;
    assert_eq!(worker.parked.lines().len(), 0);
    assert_eq!(stage.check(&[&worker]), 0);
    assert!(matches!(worker.drain().await, End::Drained));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_two_owners_went_at_alone_is_parked() {
    let mut stage = Stage::new(&["shard-1"]);
    stage.send("shard-1", 40);
    stage.went_at("shard-1", 20, 2).await;
    let worker = stage.start("worker");
    until("a checkpoint", async || stage.position("shard-1").await == after(39)).await;
    let parked = worker.parked.lines();
    assert_eq!(parked.len(), 1);
    assert_eq!(Parked::parse(&parked[0]).expect("a parked line").sequence, "20");
    assert!(matches!(worker.drain().await, End::Drained));
}
