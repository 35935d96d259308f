//! What a worker does about the leases it sees: take those that nobody works, and ask a busier
//! worker for one of its own.
//!
//! Every worker plans for itself from its own view of the table. Two plans may contradict each
//! other; the counter lets one write through, and the other worker plans again. So a plan needs to
//! be good, not agreed upon. Pure: ages are arguments, and the same view gives the same plan.

mod loads;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::lease::{Counter, Lease, LeaseKey, Stream, WorkerId};
use crate::sightings::Seen;
use loads::{Loads, weight};

/// Loads within a tenth of each other are even, so that noise moves nothing. And a move must not
/// turn more than nine tenths of a difference around, so that nothing moves back and forth.
const MARGIN: f64 = 0.1;

/// The settings that bear on a plan.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) me: WorkerId,
    pub(crate) stream: Stream,
    /// Parents whose leases are not there, as a read that is never stale has just shown.
    pub(crate) gone: BTreeSet<LeaseKey>,
    /// An owned lease whose counter has not moved for so long is expired, unless its owner goes by
    /// a longer duration.
    pub(crate) lease_duration: Duration,
    /// How long a lease is left to the worker it is meant for before anybody takes it.
    pub(crate) patience: Duration,
    /// How long a request for a lease counts before it is forgotten.
    pub(crate) hand_over_limit: Duration,
    /// How often a lease is renewed before anybody asks for it.
    pub(crate) residence: u64,
    pub(crate) capacity: u32,
    pub(crate) max_held: usize,
    /// The most leases to take in one go, before looking again.
    pub(crate) takes: usize,
    /// The most leases to ask for now.
    pub(crate) asks: usize,
}

impl Rules {
    /// An owned lease whose counter has not moved for so long is expired. While a fleet changes
    /// from one duration to another, its owner may renew less often than we would.
    fn expiry(&self, lease: &Lease) -> Duration {
        let theirs = lease.duration_ms.map(Duration::from_millis).unwrap_or_default();
        self.lease_duration.max(theirs.min(LONGEST_DURATION))
    }

    /// How long a lease that was given back because its shard could not be worked is left alone by
    /// everybody: the lease duration, then twice as long each time.
    pub(crate) fn pause(&self, failures: u32) -> Duration {
        match failures {
            0 => Duration::ZERO,
            n => self.lease_duration * (1 << (n - 1).min(MOST_DOUBLINGS)),
        }
    }
}

/// What an owner says of its duration is believed up to here, the longest that can be configured.
const LONGEST_DURATION: Duration = Duration::from_secs(300);

/// A shard that can be worked again stands still for sixteen lease durations at most.
const MOST_DOUBLINGS: u32 = 4;

/// What to do about one lease, if its counter is still this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Take { key: LeaseKey, counter: Counter, why: Why },
    Ask { key: LeaseKey, counter: Counter },
}

/// Why a lease may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Free,
    Expired,
    HandedOver,
}

/// How a lease stands, as one worker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing<'a> {
    /// It is of a stream of the same name that is no more.
    Foreign,
    /// Nothing is left to read.
    Ended,
    /// It waits for a parent's end.
    Blocked,
    /// Somebody works it, or we do.
    Live(&'a WorkerId),
    /// Nobody owns it, but it is left for another worker for a moment.
    Reserved(&'a WorkerId),
    /// Nobody owns it, since it could not be worked, and it is not time to try again.
    Paused,
    /// It may be taken.
    Open(Why),
}

/// The leases to take and to ask for.
pub(crate) fn plan(view: &[Seen], rules: &Rules) -> Vec<Action> {
    let standings = standings(view, rules);
    let takes = takes(&standings, rules);
    let settled = !standings.iter().any(|(_, standing)| matches!(standing, Standing::Open(_)));
    if takes.is_empty() && settled { asks(&standings, rules) } else { takes }
}

/// How every lease stands.
pub(crate) fn standings<'a>(
    view: &'a [Seen<'a>],
    rules: &'a Rules,
) -> Vec<(&'a Seen<'a>, Standing<'a>)> {
    let leases = by_key(view);
    let blocked = |lease: &Lease| {
        let mut parents = lease.parents.iter().map(LeaseKey::of);
        parents.any(|parent| match leases.get(&parent) {
            Some(parent) => !parent.ended() || parent.is_foreign_to(&rules.stream),
            None => lease.is_untouched() && !rules.gone.contains(&parent),
        })
    };
    view.iter().map(|seen| (seen, standing(seen, blocked(seen.lease), rules))).collect()
}

/// How long the plan stays as it is if nothing is written: until the next lease expires, or has
/// waited long enough for others.
pub(crate) fn good_for(view: &[Seen], rules: &Rules) -> Option<Duration> {
    let standings = standings(view, rules);
    let moments = standings.iter().filter_map(|(seen, standing)| {
        let moment = match standing {
            Standing::Live(_) if !seen.mine => rules.expiry(seen.lease),
            Standing::Open(Why::Expired) => rules.expiry(seen.lease) + rules.patience,
            Standing::Paused => rules.pause(seen.lease.failures),
            Standing::Open(_) | Standing::Reserved(_) => rules.patience,
            Standing::Live(_) | Standing::Ended | Standing::Blocked | Standing::Foreign => {
                return None;
            }
        };
        // A lease is no longer alive, and no longer left to others, when the moment has passed.
        (seen.unchanged <= moment).then(|| moment - seen.unchanged + PASSED)
    });
    moments.min()
}

const PASSED: Duration = Duration::from_millis(1);

/// The parents to read before their children may be taken. A parent's lease that a scan does not
/// show may have been deleted when its shard was done; or the scan is stale, and shows the child
/// but not yet the parent, which was created first.
pub(crate) fn doubts(view: &[Seen], rules: &Rules) -> Vec<LeaseKey> {
    let leases = by_key(view);
    let untouched = view.iter().filter(|seen| {
        let open = matches!(standing(seen, false, rules), Standing::Open(_));
        open && seen.lease.is_untouched()
    });
    let parents = untouched.flat_map(|seen| seen.lease.parents.iter().map(LeaseKey::of));
    parents.filter(|key| !leases.contains_key(key) && !rules.gone.contains(key)).collect()
}

fn by_key<'a>(view: &[Seen<'a>]) -> BTreeMap<&'a LeaseKey, &'a Lease> {
    view.iter().map(|seen| (&seen.lease.key, seen.lease)).collect()
}

fn standing<'a>(seen: &Seen<'a>, blocked: bool, rules: &'a Rules) -> Standing<'a> {
    let Seen { lease, unchanged, mine, .. } = *seen;
    match (&lease.owner, &lease.next) {
        _ if mine => Standing::Live(&rules.me),
        _ if lease.is_foreign_to(&rules.stream) => Standing::Foreign,
        _ if lease.ended() => Standing::Ended,
        (Some(owner), _) if unchanged <= rules.expiry(lease) => Standing::Live(owner),
        _ if blocked => Standing::Blocked,
        (Some(_), _) => Standing::Open(Why::Expired),
        (None, Some(next)) if *next == rules.me => Standing::Open(Why::HandedOver),
        (None, Some(next)) if unchanged <= rules.patience => Standing::Reserved(next),
        (None, _) if lease.failures > 0 && unchanged <= rules.pause(lease.failures) => {
            Standing::Paused
        }
        (None, _) => Standing::Open(Why::Free),
    }
}

/// Takes what is handed to us, and of the rest our share. The shares of all workers add up to the
/// whole, so some worker is always below its own; should that one be about to be found dead, the
/// others wait a moment and then take regardless of shares.
fn takes(standings: &[(&Seen, Standing)], rules: &Rules) -> Vec<Action> {
    let loads = Loads::of(standings, rules);
    let mut load = loads.of_worker(&rules.me);
    let share = loads.share(standings);
    let mut held = standings.iter().filter(|(seen, _)| seen.mine).count();

    let mut open: Vec<(&Seen, Why)> = Vec::new();
    for (seen, standing) in standings {
        if let Standing::Open(why) = standing
            && !seen.barred
        {
            open.push((seen, *why));
        }
    }
    // Each worker goes through them in an order of its own, so that they rarely collide.
    open.sort_by_key(|(seen, why)| (*why != Why::HandedOver, spread(&rules.me, &seen.lease.key)));

    let mut takes = Vec::new();
    for (seen, why) in open {
        let waited = match why {
            Why::Expired => seen.unchanged.saturating_sub(rules.expiry(seen.lease)),
            Why::Free | Why::HandedOver => seen.unchanged,
        };
        let due = why == Why::HandedOver || load < share || waited > rules.patience;
        if due && held < rules.max_held && takes.len() < rules.takes {
            let Lease { key, counter, .. } = seen.lease;
            takes.push(Action::Take { key: key.clone(), counter: *counter, why });
            load += weight(seen.lease) / f64::from(rules.capacity);
            held += 1;
        }
    }
    takes
}

/// Asks busier workers for leases, if we have less to do than the mean or than anybody else. A
/// worker with nothing gets one from anybody with two or more; beyond that a move must pay.
fn asks(standings: &[(&Seen, Standing)], rules: &Rules) -> Vec<Action> {
    let mut loads = Loads::of(standings, rules);
    let mut asked: BTreeSet<&LeaseKey> = BTreeSet::new();
    let mut asks = Vec::new();
    while asks.len() < rules.asks && loads.count(&rules.me) < rules.max_held {
        let free = |seen: &Seen| !asked.contains(&seen.lease.key);
        let Some((lease, donor)) = best_move(standings, &loads, free, rules) else { break };
        asks.push(Action::Ask { key: lease.key.clone(), counter: lease.counter });
        asked.insert(&lease.key);
        loads.shift(lease, &donor, rules);
    }
    asks
}

/// The move to us that leaves the two workers most even, from the busiest worker that has one.
fn best_move<'a>(
    standings: &[(&'a Seen<'a>, Standing)],
    loads: &Loads,
    free: impl Fn(&Seen) -> bool,
    rules: &Rules,
) -> Option<(&'a Lease, WorkerId)> {
    let empty = loads.count(&rules.me) == 0;
    // Many may fill up to the mean at once; beyond it, one at a time.
    let ceiling = match empty || loads.is_lightest(&rules.me) {
        true => f64::INFINITY,
        false => loads.mean(),
    };
    for donor in loads.busiest_first(&rules.me) {
        if empty && loads.count(donor) < 2 {
            continue;
        }
        let theirs = loads.of_worker(donor);
        let difference = theirs - loads.of_worker(&rules.me);
        if !empty && difference < theirs * MARGIN {
            return None;
        }
        let theirs = standings.iter().filter(|(_, standing)| *standing == Standing::Live(donor));
        let movable = theirs.filter(|(seen, _)| {
            let ours = loads.with(seen.lease, &rules.me);
            let pays = ours - loads.of_worker(&rules.me) <= difference * (1.0 - MARGIN);
            let helps = empty || (settled_in(seen.lease, rules) && pays && ours <= ceiling);
            !seen.mine && helps && free(seen) && !is_moving(seen, rules)
        });
        let best = movable
            .map(|(seen, _)| (loads.after_move(seen.lease, donor, rules), seen.lease))
            .min_by(|(a, _), (b, _)| a.total_cmp(b));
        if let Some((_, lease)) = best {
            return Some((lease, donor.clone()));
        }
    }
    None
}

/// Which of the other workers each of our leases should go to when we leave: always the one with
/// the least to do.
pub(crate) fn offers(view: &[Seen], rules: &Rules) -> Vec<(LeaseKey, WorkerId)> {
    let standings = standings(view, rules);
    let mut loads = Loads::of(&standings, rules);
    let mut offers = Vec::new();
    for (seen, _) in standings.iter().filter(|(seen, _)| seen.mine && !is_moving(seen, rules)) {
        let Some(peer) = loads.successor(rules) else { break };
        loads.add(&peer, seen.lease);
        offers.push((seen.lease.key.clone(), peer));
    }
    offers
}

/// The leases that are being handed to us.
pub(crate) fn hand_overs(view: &[Seen], rules: &Rules) -> BTreeSet<LeaseKey> {
    let ours = |seen: &&Seen| {
        seen.lease.next.as_ref() == Some(&rules.me)
            && !seen.mine
            && seen.asked <= rules.hand_over_limit
    };
    view.iter().filter(ours).map(|seen| seen.lease.key.clone()).collect()
}

/// Whether another worker has asked for the lease and may still get it.
fn is_moving(seen: &Seen, rules: &Rules) -> bool {
    seen.lease.next.is_some() && seen.asked <= rules.hand_over_limit
}

/// Whether the lease has been with its owner long enough to move again. Counted in renewals, so
/// that a worker that has just started can tell.
fn settled_in(lease: &Lease, rules: &Rules) -> bool {
    lease.counter.0.saturating_sub(lease.taken.0) >= rules.residence
}

/// A number that looks random and is the same for the same worker and lease (FNV-1a).
fn spread(me: &WorkerId, key: &LeaseKey) -> u64 {
    let bytes = me.as_str().bytes().chain([0]).chain(key.as_str().bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::{Position, SequenceNumber, ShardId};

    const LEASE: Duration = Duration::from_secs(10);
    const SCAN: Duration = Duration::from_secs(2);

    fn worker(name: &str) -> WorkerId {
        WorkerId::parse(name).expect("a good name")
    }

    fn rules() -> Rules {
        Rules {
            me: worker("me"),
            stream: Stream::default(),
            gone: BTreeSet::new(),
            lease_duration: LEASE,
            patience: SCAN,
            hand_over_limit: LEASE * 3,
            residence: 9,
            capacity: 1,
            max_held: 100,
            takes: 16,
            asks: 4,
        }
    }

    /// `shard owner>next @checkpoint !age %weight <parent ~failures =duration`, all but the first
    /// optional: a lease, unchanged for so many seconds.
    fn lease(text: &str) -> (Lease, Duration) {
        let mut words = text.split_whitespace();
        let shard = ShardId::new(words.next().expect("a shard"));
        let mut lease = Lease::new(&shard, Position::TrimHorizon);
        // Long with its owner.
        lease.counter = Counter(50);
        let mut age = 0;
        for word in words {
            let number = || word[1..].parse::<u64>().expect("a number");
            match word.as_bytes()[0] {
                b'@' if word == "@end" => lease.checkpoint = Position::ShardEnd,
                b'@' => {
                    let sequence = SequenceNumber::parse(&word[1..]).expect("a number");
                    lease.checkpoint = Position::After { sequence, sub_sequence: 0 };
                }
                b'!' => age = number(),
                b'%' => lease.weight = number() * 1024,
                b'~' => lease.failures = number() as u32,
                b'=' => lease.duration_ms = Some(number() * 1000),
                b'<' => lease.parents.push(ShardId::new(&word[1..])),
                b'+' => lease.taken = Counter(50),
                _ => {
                    let (owner, next) = word.split_once('>').unwrap_or((word, ""));
                    lease.owner = (!owner.is_empty()).then(|| worker(owner));
                    lease.next = (!next.is_empty()).then(|| worker(next));
                }
            }
        }
        (lease, Duration::from_secs(age))
    }

    /// What we do about a table.
    fn check(rules: &Rules, table: &[&str], expected: &[&str]) {
        let leases: Vec<(Lease, Duration)> = table.iter().map(|text| lease(text)).collect();
        let view: Vec<Seen> = leases
            .iter()
            .map(|(lease, age)| Seen {
                lease,
                unchanged: *age,
                asked: *age,
                begun: None,
                mine: lease.owner == Some(rules.me.clone()),
                barred: false,
            })
            .collect();
        let mut said: Vec<String> = plan(&view, rules)
            .into_iter()
            .map(|action| match action {
                Action::Take { key, why, .. } => format!("take {key} {why:?}"),
                Action::Ask { key, .. } => format!("ask {key}"),
            })
            .collect();
        said.sort();
        assert_eq!(said, expected, "{table:?}");
    }

    #[test]
    fn what_nobody_works_is_taken() {
        check(&rules(), &["a"], &["take a Free"]);
        check(&rules(), &["a other !10"], &[]);
        check(&rules(), &["a other !11"], &["take a Expired"]);
        check(&rules(), &["a me !11"], &[]);
        check(&rules(), &["a @end", "b other @end !99"], &[]);
    }

    #[test]
    fn a_lease_left_for_somebody_is_his_for_a_moment() {
        check(&rules(), &["a >me"], &["take a HandedOver"]);
        check(&rules(), &["a >other !2"], &[]);
        check(&rules(), &["a >other !3"], &["take a Free"]);
        check(&rules(), &["a other>me !9"], &[]);
    }

    /// Whoever tried it, nobody tries again at once.
    #[test]
    fn a_shard_that_cannot_be_worked_is_left_alone_for_longer_each_time() {
        for (failures, pause) in [(1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 160), (99, 160)]
        {
            check(&rules(), &[&format!("a ~{failures} !{pause}")], &[]);
            check(&rules(), &[&format!("a ~{failures} !{}", pause + 1)], &["take a Free"]);
        }
        // If its owner died, it is as any other.
        check(&rules(), &["a other ~5 !11"], &["take a Expired"]);
        // Meanwhile it is no work that somebody has.
        check(&rules(), &["a ~5", "b other"], &[]);
    }

    /// While a fleet changes from one duration to another, the longer one counts.
    #[test]
    fn a_lease_expires_by_the_longer_of_two_durations() {
        check(&rules(), &["a other =30 !30"], &[]);
        check(&rules(), &["a other =30 !31"], &["take a Expired"]);
        check(&rules(), &["a other =5 !10"], &[]);
        check(&rules(), &["a other =5 !11"], &["take a Expired"]);
        check(&rules(), &["a other =99999999 !301"], &["take a Expired"]);
    }

    #[test]
    fn a_child_waits_for_its_parents() {
        check(&rules(), &["a other", "b <a"], &[]);
        check(&rules(), &["a @end", "c other", "b <a <c"], &[]);
        check(&rules(), &["a @end", "b <a"], &["take b Free"]);
        // A parent out of sight may be one that a stale scan does not show.
        check(&rules(), &["b <a"], &[]);
        check(&rules(), &["b <a @7"], &["take b Free"]);
        let gone = BTreeSet::from([LeaseKey::of(&ShardId::new("a"))]);
        check(&Rules { gone, ..rules() }, &["b <a"], &["take b Free"]);
    }

    #[test]
    fn everybody_takes_his_share() {
        let all = ["take a Free", "take b Free", "take c Free", "take d Free"];
        check(&rules(), &["a", "b", "c", "d"], &all);
        // Two workers, six leases: we have one and take two, in an order of our own.
        let table = ["a", "b", "c", "d", "e me", "f other"];
        check(&rules(), &table, &["take a Free", "take d Free"]);
        // After a while anybody takes what is left.
        let table = ["a !3", "b !3", "c !3", "d", "e me", "f other"];
        let due = ["take a Free", "take b Free", "take c Free", "take d Free"];
        check(&rules(), &table, &due);
        // A worker of twice the size has twice the share.
        let rules = Rules { capacity: 2, ..rules() };
        let table = ["a", "b", "c", "d", "e me", "f other"];
        check(&rules, &table, &["take a Free", "take c Free", "take d Free"]);
        check(&Rules { max_held: 2, ..rules }, &table, &["take d Free"]);
    }

    #[test]
    fn a_newcomer_asks_whoever_has_two() {
        check(&rules(), &["a other"], &[]);
        check(&rules(), &["a other +", "b other +"], &["ask a"]);
        check(&rules(), &["a one %900", "b two +", "c two +"], &["ask b"]);
        // What somebody else has asked for counts as his.
        check(&rules(), &["a other>third", "b other"], &[]);
    }

    #[test]
    fn a_move_must_pay() {
        check(&rules(), &["a other", "b other", "c other", "d me"], &["ask a"]);
        check(&rules(), &["a other", "b other", "d me"], &[]);
        // Of many small ones, too.
        let many = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
        let mut table: Vec<String> = many.map(|name| format!("{name} other")).into();
        table.extend(["m", "n", "o", "p", "q", "r", "s", "t", "u"].map(|n| format!("{n} me")));
        let table: Vec<&str> = table.iter().map(String::as_str).collect();
        check(&rules(), &table, &["ask a"]);
        check(&rules(), &table[1..], &[]);
        check(&rules(), &["a other +", "b other +", "c other +", "d me"], &[]);
        // Small loads are no reason, large ones are.
        check(&rules(), &["a other %3", "b other", "c me", "d me"], &[]);
        check(&rules(), &["a other %500", "b other %500", "c me", "d me"], &["ask a"]);
        // Above the mean the lightest worker asks, and nobody else.
        let table = ["a one", "b one", "c one", "d one", "e me", "f me", "g two"];
        check(&rules(), &table, &[]);
        let table = ["a one", "b one", "c one", "d one", "e one", "f one", "g me", "h two"];
        check(&rules(), &table, &["ask a"]);
    }

    #[test]
    fn a_leaver_offers_to_whoever_has_least() {
        let leases =
            ["a me", "b me", "c one", "d one", "e two", "f third>one", "g dead !9"].map(lease);
        let view: Vec<Seen> = leases
            .iter()
            .map(|(lease, age)| Seen {
                lease,
                unchanged: *age,
                asked: *age,
                begun: None,
                mine: lease.owner == Some(worker("me")),
                barred: false,
            })
            .collect();
        let offers = offers(&view, &rules());
        let peers: Vec<&str> = offers.iter().map(|(_, peer)| peer.as_str()).collect();
        assert_eq!(peers, ["two", "two"]);
    }
}
