use super::*;
use crate::lease::Counter;
use crate::position::ShardId;

const LEASE: Duration = Duration::from_secs(10);

fn worker() -> Protocol {
    let me = WorkerId::parse("me").expect("a good name");
    Protocol::new(Config::with_lease_duration(me, LEASE), 7)
}

fn shard() -> Shard {
    Shard { id: ShardId::new("a"), parents: Vec::new(), hash_range: None, closed: false }
}

fn stream(created: u64) -> Stream {
    Stream { name: Some("raw".into()), created: Some(created), ..Stream::default() }
}

/// The lease of that shard in one stream or another.
fn lease(created: u64) -> Lease {
    Lease { stream: stream(created), ..Lease::new(&shard().id, Position::TrimHorizon) }
}

fn scan(leases: &[Lease]) -> Event {
    Event::Scanned(Some(Scan { leases: leases.to_vec(), unreadable: 0 }))
}

fn is_take(command: &Command) -> bool {
    matches!(command, Command::Write(Write { change: Change::Take { .. }, .. }))
}

/// Or leases would be created that say they are of the new stream and are not.
#[test]
fn a_listing_of_the_stream_before_is_forgotten() {
    let mut worker = worker();
    worker.step(Event::Stream(stream(1)), Duration::ZERO);
    worker.step(Event::Listed(vec![shard()]), Duration::ZERO);
    worker.step(Event::Stream(stream(2)), Duration::ZERO);
    assert_eq!(worker.step(scan(&[]), LEASE), []);
    worker.step(Event::Listed(vec![shard()]), LEASE);
    let [Command::Create(created)] = &worker.step(scan(&[]), LEASE)[..] else {
        panic!("one lease is created")
    };
    assert_eq!(created.stream, stream(2));
    assert_ne!(created.counter, Counter(0), "a lease created anew has counters of its own");
}

/// What is left for us may be of another stream by now.
#[test]
fn a_foreign_lease_is_not_taken_over() {
    let mut worker = worker();
    worker.step(Event::Stream(stream(1)), Duration::ZERO);
    let next = Some(WorkerId::parse("me").expect("a good name"));
    let owner = Some(WorkerId::parse("other").expect("a good name"));
    let asked = Lease { next: next.clone(), owner, ..lease(1) };
    let watched = worker.step(scan(&[asked]), Duration::ZERO);
    assert!(watched.contains(&Command::Get(LeaseKey::of(&shard().id))), "{watched:?}");
    worker.step(Event::Stream(stream(2)), Duration::ZERO);
    let left = Lease { next, counter: Counter(1), ..lease(1) };
    let got = Event::Got(left.key.clone(), Some(Some(left)));
    assert!(!worker.step(got, LEASE).iter().any(is_take));
}

/// A lease that is deleted and created anew between two scans is another lease.
#[test]
fn a_lease_created_anew_is_seen_as_it_is() {
    let mut worker = worker();
    worker.step(Event::Stream(stream(2)), Duration::ZERO);
    let old = Lease { counter: Counter(50), ..lease(1) };
    assert!(!worker.step(scan(&[old]), Duration::ZERO).iter().any(is_take));
    // It may be that this scan is out of date; but not all of them.
    assert!(!worker.step(scan(&[lease(2)]), LEASE / 2).iter().any(is_take));
    assert!(worker.step(scan(&[lease(2)]), LEASE * 2).iter().any(is_take));
}

/// A take may be on its way when the stream turns out to be another one.
#[test]
fn a_lease_that_became_foreign_is_given_back() {
    let mut worker = worker();
    worker.step(Event::Stream(stream(1)), Duration::ZERO);
    let commands = worker.step(scan(&[lease(1)]), LEASE);
    let take = commands.into_iter().find(is_take).expect("it is free");
    let Command::Write(take) = take else { panic!("a take is a write") };
    worker.step(Event::Stream(stream(2)), LEASE);
    let taken = lease(1).apply(&take).expect("nobody else has written");
    let told = worker.step(Event::Wrote(take, Some(Outcome::Applied(taken))), LEASE);
    let [Command::Write(Write { change: Change::Release { .. }, .. })] = &told[..] else {
        panic!("it is released, not worked: {told:?}")
    };
}

/// Two streams have shards of the same names, and may have been created in the same second.
#[test]
fn leases_of_a_stream_of_another_name_are_left_alone() {
    let mut worker = worker();
    worker.step(Event::Stream(Stream { name: Some("other".into()), ..stream(1) }), Duration::ZERO);
    assert!(!worker.step(scan(&[lease(1)]), LEASE).iter().any(is_take));
    assert_eq!(worker.status(LEASE).foreign, 1);
}

/// Whoever comes next, and whenever, goes on from the time at which the fleet began.
#[test]
fn the_newest_records_are_stored_as_a_time_before_they_are_read() {
    let mut worker = worker();
    (worker.config.initial_position, worker.config.latest_ms) = (Position::Latest, Some(77));
    let start = Position::AtTimestamp(Some(77));
    worker.step(Event::Listed(vec![shard()]), Duration::ZERO);
    let [Command::Create(created)] = &worker.step(scan(&[]), LEASE)[..] else {
        panic!("one lease is created")
    };
    assert_eq!(created.checkpoint, start);
    // One that an earlier version has made.
    let latest = Lease::new(&ShardId::new("b"), Position::Latest);
    let commands = worker.step(scan(std::slice::from_ref(&latest)), LEASE);
    let Some(Command::Write(take)) = commands.into_iter().find(is_take) else { panic!("a take") };
    let taken = latest.apply(&take).expect("nobody else has written");
    assert_eq!(taken.checkpoint, start);
    let told = worker.step(Event::Wrote(take, Some(Outcome::Applied(taken))), LEASE);
    let [Command::Grant(grant), ..] = &told[..] else { panic!("it is ours: {told:?}") };
    assert_eq!(grant.position, start);
}
