//! The keeper's mind: what happened → what to do.
//!
//! [`Protocol::step`] takes one event and the time, and says what the keeper is to do: read, write,
//! hand a lease to a shard's task, tell the task that it is lost. Every command to the store is
//! answered by exactly one event, if only by a failure; between the two, nothing else is sent for
//! that lease. Pure: the keeper performs it against a store, the simulation against a model. Times
//! are counted by this worker's own monotonic clock, from any start.

mod drain;
mod exchange;
mod holding;
mod lineage;
mod pace;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::config::Config;
use crate::lease::{Change, Lease, LeaseKey, Stream, WorkerId, Write, WriteId};
use crate::plan::{self, Action, Rules, Standing, Why};
use crate::position::Position;
use crate::shards::{self, Shard};
use crate::sightings::{Seen, Sightings};
use crate::status::Status;
use crate::store::{Outcome, Scan};

use drain::Drain;
pub(crate) use exchange::{Announcement, Command, Event, Grant, Progress};
use holding::{Holding, Settled, Stage};
use lineage::Attempt;

/// The most leases taken before the plan is made anew with what the takes showed: of workers that
/// start together, none should take everything before it has seen the others.
const TAKES: usize = 16;
/// The most hand-overs asked for at a time.
const ASKS: usize = 4;

/// One worker's part in the protocol.
#[derive(Debug)]
pub(crate) struct Protocol {
    config: Config,
    next_write: u64,
    sightings: Sightings,
    holdings: BTreeMap<LeaseKey, Holding>,
    listing: Option<Vec<Shard>>,
    stream: Stream,
    /// Leases being created or deleted; and, until the next scan, those where that failed or
    /// somebody else was faster.
    attempts: BTreeMap<LeaseKey, Attempt>,
    /// Requests for other workers' leases that are on their way to the store.
    asking: BTreeSet<LeaseKey>,
    /// When we asked for leases, in the last minute.
    asked: VecDeque<Duration>,
    /// Leases that were read since the last scan and are not there.
    gone: BTreeSet<LeaseKey>,
    /// Single leases that are read: those whose hand-over to us is watched, and parents that the
    /// scans do not show.
    polls: BTreeMap<LeaseKey, Poll>,
    scan: Poll,
    /// When the plan is to be made anew though nothing was read.
    replan_due: Option<Duration>,
    drain: Drain,
    /// Whether the store refuses what cannot pass by itself.
    abandoned: bool,
    status: Status,
}

#[derive(Clone, Copy, Debug)]
struct Poll {
    due: Duration,
    in_flight: bool,
}

impl Protocol {
    /// A worker that knows nothing yet. The seed is to differ from worker to worker.
    pub(crate) fn new(config: Config, seed: u64) -> Protocol {
        // Workers that start together should not scan in step for ever.
        let phase = config.scan_interval.mul_f64((seed >> 40) as f64 / (1u64 << 24) as f64);
        Protocol {
            next_write: seed,
            sightings: Sightings::new(config.lease_duration),
            holdings: BTreeMap::new(),
            listing: None,
            stream: Stream::default(),
            attempts: BTreeMap::new(),
            asking: BTreeSet::new(),
            asked: VecDeque::new(),
            gone: BTreeSet::new(),
            polls: BTreeMap::new(),
            scan: Poll { due: phase / 4, in_flight: false },
            replan_due: None,
            drain: Drain::No,
            abandoned: false,
            status: Status::default(),
            config,
        }
    }

    /// Takes in one event.
    pub(crate) fn step(&mut self, event: Event, now: Duration) -> Vec<Command> {
        let mut out = Vec::new();
        match event {
            Event::Scanned(scan) => self.scanned(scan, now, &mut out),
            Event::Got(key, lease) => self.got(key, lease, now, &mut out),
            Event::Wrote(write, outcome) => self.wrote(write, outcome, now, &mut out),
            Event::Created(lease, done) => self.created(*lease, done, now, &mut out),
            Event::Deleted(key, done) => self.deleted(key, done),
            Event::Worked(progress) => self.worked(progress),
            Event::Dropped(key, position) => self.dropped(key, position, now),
            Event::Announced(progress, news) => self.announced(progress, news, now),
            Event::Listed(shards) => self.listing = Some(shards),
            Event::Stream(stream) => self.stream_is(stream),
            Event::Drain => self.drain(now),
            Event::Abandon => self.abandon(&mut out),
        }
        self.tend(now, &mut out);
        out
    }

    /// When the next [`Event::Worked`] is to be given, if nothing else happens before.
    pub(crate) fn due(&self) -> Duration {
        let writes = self.holdings.values().filter_map(Holding::due).min();
        let reads = match self.drain {
            Drain::No => {
                let reads = self.polls.values().chain([&self.scan]);
                let reads = reads.filter(|poll| !poll.in_flight).map(|poll| poll.due);
                reads.chain(self.replan_due).min()
            }
            Drain::Looking => (!self.scan.in_flight).then_some(self.scan.due),
            Drain::Announced(until) => Some(until),
            Drain::Asked | Drain::Done => None,
        };
        writes.into_iter().chain(reads).min().unwrap_or(Duration::MAX)
    }

    /// What has been done and is seen.
    pub(crate) fn status(&self, now: Duration) -> Status {
        let held = self.holdings.values().filter(|holding| holding.may_work(now)).count();
        Status { held: held as u64, ..self.status }
    }

    /// Starts whatever is due.
    fn tend(&mut self, now: Duration, out: &mut Vec<Command>) {
        self.tend_drain(now, out);
        if self.replan_due.is_some_and(|due| due <= now) {
            self.replan(now, out);
        }
        for holding in self.holdings.values_mut() {
            let id = WriteId(self.next_write);
            if let Some(write) = holding.next_write(id, now, &self.config, &self.stream) {
                self.next_write = self.next_write.wrapping_add(1);
                self.status.writes += 1;
                out.push(Command::Write(write));
            }
        }
        if !matches!(self.drain, Drain::No | Drain::Looking) {
            return;
        }
        if !self.scan.in_flight && self.scan.due <= now {
            self.scan.in_flight = true;
            self.status.scans += 1;
            out.push(Command::Scan);
        }
        for (key, poll) in &mut self.polls {
            if !poll.in_flight && poll.due <= now {
                poll.in_flight = true;
                self.status.reads += 1;
                out.push(Command::Get(key.clone()));
            }
        }
    }

    /// If the stream is another one than we knew, what was listed before is not for this one.
    fn stream_is(&mut self, stream: Stream) {
        self.listing.take_if(|_| self.stream.differs(&stream));
        self.stream = stream.or(&self.stream);
    }

    fn worked(&mut self, progress: Vec<Progress>) {
        for progress in progress {
            if let Some(holding) = self.holdings.get_mut(&progress.key) {
                holding.worked(progress);
            }
        }
    }

    /// A task is about to work on some records by themselves, and waits until that is stored.
    fn announced(&mut self, progress: Progress, news: Announcement, now: Duration) {
        if let Some(holding) = self.holdings.get_mut(&progress.key) {
            holding.worked(progress);
            holding.announce(news, now);
        }
    }

    fn scanned(&mut self, scan: Option<Scan>, now: Duration, out: &mut Vec<Command>) {
        self.scan = Poll { due: now + self.scan_interval(), in_flight: false };
        match scan {
            None => self.status.scan_errors += 1,
            Some(scan) => {
                self.status.unreadable = scan.unreadable as u64;
                self.status.items += (scan.leases.len() + scan.unreadable) as u64;
                self.take_in(scan.leases, now, out);
                self.replan(now, out);
            }
        }
        if self.drain == Drain::Looking {
            self.announce(now);
        }
    }

    fn take_in(&mut self, leases: Vec<Lease>, now: Duration, out: &mut Vec<Command>) {
        for lease in &leases {
            if let Some(holding) = self.holdings.get_mut(&lease.key) {
                holding.noticed(lease, &self.config.worker_id, out);
            }
        }
        self.attempts.retain(|_, attempt| *attempt == Attempt::InFlight);
        self.gone.clear();
        let kept = self.holdings.keys().cloned().collect();
        self.sightings.scanned(leases, now, &kept);
    }

    fn got(
        &mut self,
        key: LeaseKey,
        lease: Option<Option<Lease>>,
        now: Duration,
        out: &mut Vec<Command>,
    ) {
        if let Some(poll) = self.polls.get_mut(&key) {
            *poll = Poll { due: now + self.config.poll_interval, in_flight: false };
        }
        match lease {
            Some(Some(lease)) if !self.holdings.contains_key(&key) => {
                self.sightings.saw(lease, now);
                self.take_over(&key, now);
            }
            Some(None) => {
                self.polls.remove(&key);
                self.gone.insert(key);
                self.replan(now, out);
            }
            Some(Some(_)) | None => {}
        }
    }

    /// Takes a lease whose hand-over was watched, once its owner has let go of it.
    fn take_over(&mut self, key: &LeaseKey, now: Duration) {
        let Some(lease) = self.sightings.get(key).cloned() else { return };
        let foreign = lease.is_foreign_to(&self.stream);
        if lease.next.as_ref() != Some(&self.config.worker_id) || foreign {
            self.polls.remove(key);
        } else if lease.owner.is_none() && self.drain == Drain::No && !lease.ended() {
            self.take(lease, Why::HandedOver, now);
        }
    }

    fn wrote(
        &mut self,
        write: Write,
        outcome: Option<Outcome>,
        now: Duration,
        out: &mut Vec<Command>,
    ) {
        self.status.write_errors += u64::from(outcome.is_none());
        match write.change {
            Change::Ask { .. } => return self.asked(&write, outcome, now),
            Change::Note { .. } => return self.noted(&write, outcome, now),
            Change::Take { .. } | Change::Renew { .. } | Change::Release { .. } => {}
        }
        let Some(holding) = self.holdings.get_mut(&write.key) else { return };
        match holding.settle(&write, outcome, now, &self.config) {
            Settled::Unknown => self.give_up_on(&write.key, out),
            Settled::Stored => self.stored(&write, now, out),
            Settled::Refused(current) => {
                self.refused(&write.key, current.map(|lease| *lease), now, out)
            }
        }
        let busy = self.holdings.values().any(|holding| holding.stage == Stage::Taking);
        if !busy && matches!(write.change, Change::Take { .. } | Change::Release { .. }) {
            self.replan(now, out);
        }
    }

    /// A write of ours is stored, and the holding knows it.
    fn stored(&mut self, write: &Write, now: Duration, out: &mut Vec<Command>) {
        let key = &write.key;
        let holding = self.holdings.get_mut(key).expect("the caller has just settled it");
        self.sightings.saw(holding.lease.clone(), now);
        match &write.change {
            Change::Take { .. } => {
                match holding.why {
                    Why::Free => self.status.taken_free += 1,
                    Why::Expired => self.status.taken_expired += 1,
                    Why::HandedOver => self.status.taken_over += 1,
                }
                self.polls.remove(key);
                // Meanwhile we may have been told to stop, or that the stream is another one.
                if self.drain == Drain::No && !holding.lease.is_foreign_to(&self.stream) {
                    out.push(Command::Grant(holding.grant()));
                } else {
                    holding.decline(now);
                }
            }
            Change::Renew { .. } if holding.stage == Stage::Working => {
                let checkpoint = holding.lease.checkpoint.clone();
                out.push(Command::Extend(key.clone(), holding.deadline, checkpoint));
                if let Some(number) = holding.stored_announcement() {
                    out.push(Command::Announced(key.clone(), number));
                }
                holding.heed(&self.config.worker_id, out);
                if wanted_by_another(&holding.lease, &self.config.worker_id) {
                    // Somebody is there whom we may not have seen yet.
                    let soon = now + self.config.scan_interval;
                    self.scan.due = self.scan.due.min(soon);
                }
            }
            Change::Release { .. } => {
                self.status.released += 1;
                self.status.failed += u64::from(holding.lease.failures > 0);
                self.holdings.remove(key);
                out.push(Command::Release(key.clone()));
            }
            Change::Renew { .. } | Change::Ask { .. } | Change::Note { .. } => {}
        }
    }

    /// Somebody else has written the lease: it is not ours, or not any more.
    fn refused(
        &mut self,
        key: &LeaseKey,
        current: Option<Lease>,
        now: Duration,
        out: &mut Vec<Command>,
    ) {
        self.sightings.refused(key, current, now);
        let holding = self.holdings.get_mut(key).expect("the caller has just settled it");
        if holding.stage == Stage::Taking {
            self.holdings.remove(key);
            return;
        }
        self.status.lost += 1;
        out.push(Command::Lose(key.clone()));
        match holding.stage {
            Stage::Working => holding.stage = Stage::Lost,
            Stage::Taking | Stage::Dropped | Stage::Lost => drop(self.holdings.remove(key)),
        }
    }

    fn dropped(&mut self, key: LeaseKey, position: Position, now: Duration) {
        let leaving = self.drain != Drain::No;
        match self.holdings.get_mut(&key) {
            Some(holding) if holding.is_ours() => holding.end(position, leaving, now),
            _ => drop(self.holdings.remove(&key)),
        }
    }

    /// Looks at everything known and does what it calls for.
    fn replan(&mut self, now: Duration, out: &mut Vec<Command>) {
        if self.drain != Drain::No {
            return;
        }
        let foreign = |holding: &&mut Holding| holding.lease.is_foreign_to(&self.stream);
        self.holdings.values_mut().filter(foreign).for_each(|holding| holding.ask_back(out));
        self.asked.retain(|at| now.saturating_sub(*at) < MINUTE);
        let lineage = self.lineage(now);
        self.gone.retain(|key| !lineage.missing.contains(key));
        self.status.missing = self.listing.as_ref().map(|_| lineage.missing.len() as u64);
        let (actions, polls, good_for) = {
            let rules = self.rules();
            let view = self.view(now);
            let mut polls = plan::hand_overs(&view, &rules);
            polls.extend(plan::doubts(&view, &rules));
            polls.extend(lineage.doubts);
            (plan::plan(&view, &rules), polls, plan::good_for(&view, &rules))
        };
        self.replan_due = good_for.map(|good_for| now + good_for);
        self.count(now);
        self.polls.retain(|key, poll| poll.in_flight || polls.contains(key));
        for key in polls {
            self.polls.entry(key).or_insert(Poll { due: now, in_flight: false });
        }
        for change in lineage.changes {
            self.change_lineage(change, out);
        }
        for action in actions {
            self.act(action, now, out);
        }
    }

    fn act(&mut self, action: Action, now: Duration, out: &mut Vec<Command>) {
        match action {
            Action::Take { key, why, .. } => {
                let lease = self.sightings.get(&key).cloned();
                self.take(lease.expect("the plan was made from these sightings"), why, now);
            }
            Action::Ask { key, counter } => {
                let change = Change::Ask { next: self.config.worker_id.clone() };
                self.asking.insert(key.clone());
                self.asked.push_back(now);
                self.status.asked += 1;
                self.status.writes += 1;
                let id = WriteId(self.next_write);
                self.next_write = self.next_write.wrapping_add(1);
                out.push(Command::Write(Write { key, expected: counter, id, change }));
            }
        }
    }

    /// Begins to take a lease; [`tend`](Protocol::tend) sends the write.
    fn take(&mut self, lease: Lease, why: Why, now: Duration) {
        let mut parents = lease.parents.iter().map(LeaseKey::of);
        let has_parent = parents.any(|parent| self.sightings.get(&parent).is_some());
        let start = shards::start(&lease, has_parent, &self.config.initial());
        let key = lease.key.clone();
        self.holdings.entry(key).or_insert_with(|| Holding::taking(lease, why, start, now));
    }

    /// Our request for a lease is stored or was too late. If the reply was lost, the next scan
    /// shows which.
    fn asked(&mut self, write: &Write, outcome: Option<Outcome>, now: Duration) {
        self.asking.remove(&write.key);
        match outcome {
            Some(Outcome::Applied(lease)) => {
                self.sightings.saw(lease, now);
                let due = now + self.config.poll_interval;
                self.polls.insert(write.key.clone(), Poll { due, in_flight: false });
            }
            Some(Outcome::Refused(lease)) => self.sightings.refused(&write.key, lease, now),
            None => {}
        }
    }

    fn view(&self, now: Duration) -> Vec<Seen<'_>> {
        let mine = |key: &LeaseKey| self.holdings.get(key).is_some_and(Holding::is_ours);
        let barred = |key: &LeaseKey| self.holdings.contains_key(key);
        self.sightings.view(now, mine, barred)
    }

    fn rules(&self) -> Rules {
        let config = &self.config;
        let hand_overs = self.polls.len() + self.asking.len();
        let in_budget = (config.moves_per_minute as usize).saturating_sub(self.asked.len());
        let renew = config.renew_interval.as_millis().max(1);
        Rules {
            me: config.worker_id.clone(),
            stream: self.stream.clone(),
            gone: self.gone.clone(),
            lease_duration: config.lease_duration,
            patience: config.scan_interval,
            hand_over_limit: config.lease_duration * 3,
            residence: (config.residence.as_millis() / renew) as u64,
            capacity: config.capacity.max(1),
            max_held: config.max_held,
            takes: TAKES,
            asks: ASKS.saturating_sub(hand_overs).min(in_budget),
        }
    }

    fn count(&mut self, now: Duration) {
        let (mut known, mut free, mut foreign, mut paused) = (0, 0, 0, 0);
        let (mut workers, mut unfollowed) = (BTreeSet::new(), 0);
        let rules = self.rules();
        workers.insert(rules.me.clone());
        for (seen, standing) in plan::standings(&self.view(now), &rules) {
            known += u64::from(!matches!(standing, Standing::Ended | Standing::Foreign));
            match standing {
                Standing::Live(owner) => drop(workers.insert(owner.clone())),
                Standing::Open(_) | Standing::Reserved(_) => free += 1,
                Standing::Foreign => foreign += 1,
                Standing::Paused => paused += 1,
                Standing::Ended => unfollowed += u64::from(seen.lease.children.is_empty()),
                Standing::Blocked => {}
            }
        }
        self.status.foreign = foreign;
        self.status.paused = paused;
        self.status.unfollowed = unfollowed;
        self.status.known = known;
        self.status.free = free;
        self.status.workers = workers.len() as u64;
    }
}

/// What [`Config::moves_per_minute`] counts over.
const MINUTE: Duration = Duration::from_secs(60);

/// Whether a lease names a next owner other than `me`.
fn wanted_by_another(lease: &Lease, me: &WorkerId) -> bool {
    lease.next.as_ref().is_some_and(|next| next != me)
}

#[cfg(test)]
mod tests;
