//! A simulated world: workers with clocks of their own, one table, one stream, and whatever can
//! go wrong between them. Everything follows from the seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use fastrand::Rng;

use super::bugs::Bug;
use super::crash::{Operation, Point};
use super::invariants::{self, Violation};
use super::stream::{self, Stream};
use super::table::{Table, WorkerNumber};
use super::task::{Flight, Task};
use super::weather::Weather;
use crate::config::Config;
use crate::lease::{Change, Lease, LeaseKey, Suspect};
use crate::position::{Position, ShardId};
use crate::protocol::{Command, Event, Progress, Protocol};
use crate::store::Outcome;

pub(super) const SECOND: u64 = 1_000_000;
/// The lease duration, by a clock that goes right.
pub(super) const LEASE: u64 = 10 * SECOND;
/// How long the world stays calm after the last fault.
const CALM: u64 = 240 * SECOND;
/// The part of the calm in which nothing may move any more.
const QUIET: u64 = 40 * SECOND;

/// How long a closed shard is listed.
const RETENTION: u64 = 60 * SECOND;

/// What can happen.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a simulation has few of them")]
pub(super) enum Happening {
    Wake(WorkerNumber),
    Arrive(Request),
    Answer(WorkerNumber, u64, Event),
    GiveUp(WorkerNumber, u64),
    Tick(WorkerNumber, LeaseKey, u64),
    Landed(WorkerNumber, LeaseKey, u64, Flight, bool),
    List(WorkerNumber, bool),
    Fault,
    Drain(WorkerNumber),
    /// A process is started in the place of one that died.
    Restart,
    Recreate,
    /// The operator clears away what is left of the stream before.
    Clear,
}

/// An operation on its way to the store.
#[derive(Clone, Debug)]
pub(super) struct Request {
    worker: WorkerNumber,
    id: u64,
    command: Command,
    answer: bool,
}

/// What a run was like.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    pub(super) steps: u64,
    pub(super) writes: u64,
    pub(super) takes: u64,
    pub(super) records: u64,
    pub(super) duplicates: u64,
    /// From the old owner's last output to the new one's start, for hand-overs.
    pub(super) hand_overs: Vec<u64>,
    /// The same for leases taken from an owner that had stopped renewing.
    pub(super) failovers: Vec<u64>,
    /// Where processes died while they waited for something.
    pub(super) deaths: BTreeMap<Point, u64>,
    /// Workers that a record killed, the most that one did, and records parked: those that kill,
    /// and others.
    pub(super) kills: u64,
    pub(super) most_kills: u32,
    pub(super) parked: [u64; 2],
    /// Streams created anew.
    pub(super) recreated: u64,
    /// Tasks that found their shard broken.
    pub(super) failed: u64,
}

pub(super) struct Worker {
    pub(super) protocol: Protocol,
    pub(super) config: Config,
    pub(super) rate: f64,
    pub(super) born: u64,
    pub(super) alive: bool,
    pub(super) paused_until: u64,
    pub(super) cut_off_until: u64,
    pub(super) wake_at: u64,
    pub(super) requests: BTreeMap<u64, Command>,
    pub(super) tasks: BTreeMap<LeaseKey, Task>,
    pub(super) draining: bool,
    /// The stream that it knows of, by number.
    pub(super) knows: u64,
    /// The shard whose records it may be working on by themselves.
    pub(super) careful_with: Option<LeaseKey>,
    /// Shards that it has worked to their end.
    pub(super) finished: BTreeSet<ShardId>,
}

impl Worker {
    pub(super) fn clock(&self, now: u64) -> Duration {
        Duration::from_micros(((now - self.born) as f64 * self.rate) as u64)
    }

    /// When this worker's clock shows a time.
    fn global(&self, local: Duration) -> u64 {
        let micros = local.as_micros().min(u128::from(u64::MAX / 4)) as f64;
        self.born + (micros / self.rate) as u64 + 1
    }
}

pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) now: u64,
    sequence: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    pub(super) workers: Vec<Worker>,
    pub(super) table: Table,
    pub(super) stream: Stream,
    pub(super) weather: Weather,
    end: u64,
    pub(super) initial: Position,
    pub(super) bug: Option<Bug>,
    requests: u64,
    /// When the last owner of a lease stopped, and whether it crashed.
    pub(super) stopped: BTreeMap<LeaseKey, (u64, bool)>,
    /// The records that owners were at when they died, and by which ownership.
    pub(super) last_words: BTreeMap<LeaseKey, (u64, Suspect)>,
    pub(super) quiet_takes: u64,
    pub(super) account: Account,
    /// The last happenings, for the report of a failure.
    log: Option<Vec<String>>,
}

impl World {
    pub(super) fn new(seed: u64, bug: Option<Bug>, log: bool) -> World {
        let mut rng = Rng::with_seed(seed);
        let mut weather = Weather::drawn(&mut rng);
        if let Some(bug) = bug {
            bug.arrange(&mut weather);
        }
        World::with(rng, weather, bug, log)
    }

    /// A world in which workers die at this point.
    pub(super) fn deadly(seed: u64, point: Point) -> World {
        let mut rng = Rng::with_seed(seed);
        let mut weather = Weather::drawn(&mut rng);
        weather.fatal = Some(point);
        World::with(rng, weather, None, false)
    }

    fn with(rng: Rng, weather: Weather, bug: Option<Bug>, log: bool) -> World {
        let mut world = World {
            now: SECOND,
            sequence: 0,
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            workers: Vec::new(),
            table: Table::default(),
            stream: Stream::new(&weather),
            end: weather.storm_until + weather.calm(CALM),
            initial: if weather.latest { Position::Latest } else { Position::TrimHorizon },
            weather,
            bug,
            requests: 0,
            stopped: BTreeMap::new(),
            last_words: BTreeMap::new(),
            quiet_takes: 0,
            account: Account::default(),
            log: log.then(Vec::new),
            rng,
        };
        world.begin();
        world
    }

    /// A world in which workers crash, join and leave, and nothing else fails.
    pub(super) fn mild(seed: u64) -> World {
        let mut rng = Rng::with_seed(seed);
        let storm_until = Weather::drawn(&mut rng).storm_until;
        World::with(rng, Weather::mild(storm_until), None, false)
    }

    /// A world of so many shards and workers in which nothing fails.
    pub(super) fn calm(shards: usize, workers: usize) -> World {
        let calm = |seed| World::with(Rng::with_seed(seed), Weather::default(), None, false);
        let mut worlds = (0..).map(calm);
        let mut world = worlds.find(|world| world.workers.len() <= 2).expect("there are many");
        while world.stream.open_shards().len() < shards {
            world.open_shard(Vec::new());
        }
        while world.workers.len() < workers {
            world.join();
        }
        world
    }

    /// The requests of all workers in a stretch of the world, in seconds.
    pub(super) fn requests_between(mut self, from: u64, to: u64) -> [u64; 3] {
        let requests = |world: &World| {
            let status = world.workers.iter().map(|worker| worker.protocol.status(Duration::ZERO));
            status.fold([0; 3], |[writes, scans, reads], status| {
                [writes + status.writes, scans + status.scans, reads + status.reads]
            })
        };
        self.end = from * SECOND;
        let (_, mut world) = self.run();
        let before = requests(&world);
        world.end = to * SECOND;
        let (_, world) = world.run();
        let after = requests(&world);
        [0, 1, 2].map(|n| after[n] - before[n])
    }

    pub(super) fn log(&self) -> &[String] {
        self.log.as_deref().unwrap_or_default()
    }

    /// What the living workers' tasks are at.
    pub(super) fn tasks(&self) -> Vec<String> {
        let living = self.workers.iter().enumerate().filter(|(_, worker)| worker.alive);
        let tasks = living.flat_map(|(number, worker)| {
            let careful_with = &worker.careful_with;
            let tasks = worker.tasks.values();
            tasks.map(move |task| format!("{number} careful with {careful_with:?}: {task:?}"))
        });
        tasks.collect()
    }

    /// Runs the world to its end.
    pub(super) fn run(mut self) -> (Result<Account, Violation>, World) {
        while let Some(Reverse((at, number))) = self.queue.peek().copied() {
            if at > self.end {
                break;
            }
            self.queue.pop();
            self.now = at;
            let happening = self.happenings.remove(&number).expect("each happens once");
            if let Some(log) = &mut self.log {
                log.push(format!("{:>11} {happening:?}", at));
            }
            if let Err(violation) = self.happen(happening) {
                return (Err(format!("at {} µs: {violation}", self.now)), self);
            }
        }
        let verdict = self.at_the_end();
        self.account.writes = self.table.stored;
        self.account.duplicates = self.stream.duplicates;
        (verdict.map(|()| self.account.clone()), self)
    }

    pub(super) fn later(&mut self, delay: u64, happening: Happening) {
        self.at(self.now + delay, happening);
    }

    pub(super) fn at(&mut self, at: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.push(Reverse((at, self.sequence)));
        self.happenings.insert(self.sequence, happening);
    }

    pub(super) fn storm(&self) -> bool {
        self.now < self.weather.storm_until
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.now > self.end - QUIET
    }

    pub(super) fn chance(&mut self, thousandth: u32) -> bool {
        self.storm() && self.rng.u32(0..1000) < thousandth
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Violation> {
        // Nothing reaches a stopped process until it goes on.
        let addressed = match &happening {
            Happening::Wake(worker)
            | Happening::Answer(worker, ..)
            | Happening::GiveUp(worker, _)
            | Happening::Tick(worker, ..)
            | Happening::List(worker, _)
            | Happening::Drain(worker) => Some(*worker),
            Happening::Arrive(_)
            | Happening::Landed(..)
            | Happening::Fault
            | Happening::Restart
            | Happening::Recreate
            | Happening::Clear => None,
        };
        if let Some(number) = addressed {
            let worker = &self.workers[number];
            if !worker.alive {
                return Ok(());
            }
            if worker.paused_until > self.now {
                let until = worker.paused_until;
                self.at(until, happening);
                return Ok(());
            }
        }
        self.account.steps += 1;
        match happening {
            Happening::Wake(worker) => self.wake(worker),
            Happening::Arrive(request) => self.arrive(request),
            Happening::Answer(worker, id, event) => self.answer(worker, id, event),
            Happening::GiveUp(worker, id) => match self.workers[worker].requests.remove(&id) {
                Some(command) => self.deliver(worker, failure(command)),
                None => Ok(()),
            },
            Happening::Tick(worker, key, epoch) => self.tick(worker, &key, epoch),
            Happening::Landed(worker, key, ownership, flight, done) => {
                self.landed(worker, &key, ownership, flight, done);
                Ok(())
            }
            Happening::List(worker, again) => self.list(worker, again),
            Happening::Fault => {
                self.fault();
                Ok(())
            }
            Happening::Drain(worker) => {
                self.workers[worker].draining = true;
                self.deliver(worker, Event::Drain)
            }
            Happening::Restart => {
                self.restart();
                Ok(())
            }
            Happening::Recreate => {
                self.recreate();
                Ok(())
            }
            Happening::Clear => {
                self.table.clear_foreign(&self.stream.identity(), self.now);
                Ok(())
            }
        }
    }

    /// An answer arrives, unless nobody waits for it any more.
    fn answer(&mut self, worker: WorkerNumber, id: u64, event: Event) -> Result<(), Violation> {
        let Some(command) = self.workers[worker].requests.remove(&id) else { return Ok(()) };
        if self.dies_at(worker, Point::Answered, &command) {
            return Ok(());
        }
        self.deliver(worker, event)
    }

    /// A worker lists the stream's shards.
    fn list(&mut self, number: WorkerNumber, again: bool) -> Result<(), Violation> {
        let at = self.now - self.rng.u64(0..SECOND).min(self.now);
        if again {
            let pause = self.rng.u64(3..8) * SECOND;
            self.later(pause, Happening::List(number, true));
        }
        // A stream that is being created has none yet.
        let Some(listing) = self.stream.listing(at, RETENTION) else { return Ok(()) };
        let (stream, identity) = (self.stream.number, self.stream.identity());
        let worker = &mut self.workers[number];
        if worker.knows != stream {
            worker.knows = stream;
            self.deliver(number, Event::Stream(identity))?;
        }
        match self.workers[number].alive {
            true => self.deliver(number, Event::Listed(listing)),
            false => Ok(()),
        }
    }

    fn wake(&mut self, number: WorkerNumber) -> Result<(), Violation> {
        let worker = &mut self.workers[number];
        if worker.wake_at > self.now {
            // An earlier wake made this one needless.
            return Ok(());
        }
        worker.wake_at = u64::MAX;
        let clock = worker.clock(self.now);
        if worker.protocol.due() > clock {
            self.schedule_wake(number);
            return Ok(());
        }
        let progress = worker.tasks.values().map(|task| Progress {
            key: task.key.clone(),
            position: match self.bug {
                Some(Bug::CheckpointWhatWasRead) => stream::after(task.read, &task.start),
                _ => task.position(),
            },
            weight: self.stream.weight(task.key.shard()),
            lag: None,
        });
        let progress = progress.collect();
        self.deliver(number, Event::Worked(progress))
    }

    /// Gives a worker's protocol an event and performs what it commands.
    pub(super) fn deliver(
        &mut self,
        number: WorkerNumber,
        mut event: Event,
    ) -> Result<(), Violation> {
        let worker = &mut self.workers[number];
        let clock = worker.clock(self.now);
        if let Some(bug) = self.bug {
            bug.before_step(&mut event, &worker.config.worker_id);
        }
        let reflex = self.bug.and_then(|bug| bug.reflex(&event));
        let mut commands = worker.protocol.step(event, clock);
        commands.extend(reflex);
        if let Some(bug) = self.bug {
            let honest = Duration::from_micros((LEASE as f64) as u64);
            bug.after_step(&mut commands, clock, &worker.config, honest);
        }
        for command in commands {
            if let Some(log) = &mut self.log {
                log.push(format!("{:>11}   {number}: {command:?}", self.now));
            }
            self.perform(number, command)?;
            if !self.workers[number].alive {
                return Ok(());
            }
        }
        self.schedule_wake(number);
        Ok(())
    }

    pub(super) fn schedule_wake(&mut self, number: WorkerNumber) {
        let worker = &mut self.workers[number];
        let due = worker.global(worker.protocol.due()).max(self.now + 1);
        if due < worker.wake_at {
            worker.wake_at = due;
            self.at(due, Happening::Wake(number));
        }
    }

    fn perform(&mut self, number: WorkerNumber, command: Command) -> Result<(), Violation> {
        match command {
            Command::Grant(grant) => return self.grant(number, grant),
            Command::Extend(key, deadline, _) => {
                if let Some(task) = self.workers[number].tasks.get_mut(&key) {
                    task.deadline = deadline;
                }
            }
            Command::AskBack(key) => {
                if let Some(task) = self.workers[number].tasks.get_mut(&key) {
                    task.asked_back = true;
                }
                self.dies_suddenly(number, Point::Told);
            }
            Command::Announced(key, said) => {
                let waits = |task: &&mut Task| task.caution.waits_for(said);
                if let Some(task) = self.workers[number].tasks.get_mut(&key).filter(waits) {
                    invariants::invariant_announcements_are_stored(&self.table, task)?;
                    task.caution.stored();
                }
                self.dies_suddenly(number, Point::Told);
            }
            Command::Lose(key) => {
                invariants::invariant_lost_to_others_only(&key, &self.table, number)?;
                if let Some(task) = self.workers[number].tasks.get_mut(&key) {
                    task.lost = true;
                }
                self.dies_suddenly(number, Point::Told);
            }
            Command::Release(_) => {}
            Command::Drained => self.workers[number].alive = false,
            Command::Create(lease) if !self.creates(number, &lease) => {
                return self.deliver(number, Event::Created(lease, None));
            }
            request => {
                if !self.dies_at(number, Point::Before, &request) {
                    self.send(number, request);
                }
            }
        }
        Ok(())
    }

    /// Whether a worker creates a lease, unless a bug keeps it from that.
    fn creates(&self, number: WorkerNumber, lease: &Lease) -> bool {
        self.bug.is_none_or(|bug| bug.creates(lease, &self.workers[number].finished))
    }

    /// Sends an operation to the store, over a network that may lose, delay or repeat it.
    fn send(&mut self, worker: WorkerNumber, command: Command) {
        self.requests += 1;
        let id = self.requests;
        let patience = self.workers[worker].config.store_timeout.as_micros() as f64;
        let patience = (patience / self.workers[worker].rate) as u64;
        self.workers[worker].requests.insert(id, command.clone());
        self.later(patience, Happening::GiveUp(worker, id));
        if self.workers[worker].cut_off_until > self.now || self.chance(self.weather.lost_request) {
            return;
        }
        let mut delay = self.rng.u64(500..15_000);
        if self.chance(self.weather.slow) {
            delay += self.rng.u64(0..25 * SECOND);
        }
        let answer = !self.chance(self.weather.lost_reply);
        let request = Request { worker, id, command, answer };
        if self.chance(self.weather.duplicate) {
            let later = delay + self.rng.u64(0..30 * SECOND);
            self.later(later, Happening::Arrive(Request { answer: false, ..request.clone() }));
        }
        self.later(delay, Happening::Arrive(request));
    }

    /// An operation reaches the store.
    fn arrive(&mut self, request: Request) -> Result<(), Violation> {
        let Request { worker, id, command, answer } = request;
        let operation = Operation::of(&command).expect("nothing else is sent");
        self.dies_suddenly(worker, Point::Sent(operation));
        let event = if self.chance(self.weather.throttle) {
            failure(command)
        } else {
            self.operate(worker, command)?
        };
        self.dies_suddenly(worker, Point::Applied(operation));
        let mut delay = self.rng.u64(500..15_000);
        if self.chance(self.weather.late_reply) {
            delay += self.rng.u64(0..3 * SECOND);
        }
        if answer {
            self.later(delay, Happening::Answer(worker, id, event));
        }
        Ok(())
    }

    fn operate(&mut self, worker: WorkerNumber, command: Command) -> Result<Event, Violation> {
        let now = self.now;
        Ok(match command {
            Command::Scan => {
                let oldest = if self.chance(self.weather.stale) { 3 * SECOND } else { 1 };
                let rng = &mut self.rng;
                Event::Scanned(Some(self.table.scan(|| now - rng.u64(0..oldest).min(now))))
            }
            Command::Get(key) => {
                let lease = self.table.get(&key).cloned();
                Event::Got(key, Some(lease))
            }
            Command::Create(lease) => {
                let mut lease = lease;
                if let Some(bug) = self.bug {
                    bug.before_creation(&mut lease);
                }
                let done = self.table.create(Lease::clone(&lease), &self.stream, now)?;
                let shard = lease.key.shard();
                if !done || lease.is_foreign_to(&self.stream.identity()) {
                    return Ok(Event::Created(lease, Some(done)));
                }
                self.stream.leave_out(shard, &lease.checkpoint, now);
                self.stream.leased(shard);
                Event::Created(lease, Some(done))
            }
            Command::Delete(key, counter) => {
                let done = self.table.delete(&key, counter, &self.stream, now)?;
                Event::Deleted(key, Some(done))
            }
            Command::Write(write) => {
                let outcome =
                    self.table.write(write.clone(), worker, &self.stream, now, self.bug)?;
                if let (Outcome::Applied(_), Change::Take { start: Some(start), .. }) =
                    (&outcome, &write.change)
                    && self.stream.has(write.key.shard())
                {
                    self.stream.leave_out(write.key.shard(), start, now);
                }
                Event::Wrote(write, Some(outcome))
            }
            other => unreachable!("{other:?} is not for the store"),
        })
    }

    fn at_the_end(&mut self) -> Result<(), Violation> {
        let mut owned: BTreeMap<LeaseKey, Vec<WorkerNumber>> = BTreeMap::new();
        let mut held = Vec::new();
        for (number, worker) in self.workers.iter().enumerate().filter(|(_, w)| w.alive) {
            let tasks: BTreeSet<&LeaseKey> =
                worker.tasks.values().filter(|t| !t.lost).map(|t| &t.key).collect();
            for key in &tasks {
                owned.entry((*key).clone()).or_default().push(number);
            }
            let weight = |key: &&LeaseKey| self.stream.weight(key.shard()) + 32 * 1024;
            held.push(tasks.iter().map(weight).collect::<Vec<u64>>());
        }
        invariants::invariant_everything_is_owned(&self.table, &owned)?;
        let listed = self.stream.listing(self.now, RETENTION).unwrap_or_default();
        let (table, stream) = (&self.table, &self.stream);
        invariants::invariant_ended_parents_name_their_children(table, stream, &listed)?;
        let slack = 15 * SECOND;
        invariants::invariant_every_record_is_written_out(&self.stream, self.now, slack)?;
        invariants::invariant_nothing_moves(self.quiet_takes)?;
        invariants::invariant_load_is_in_the_band(&held)
    }
}

/// The event that tells of a command's failure.
pub(super) fn failure(command: Command) -> Event {
    match command {
        Command::Scan => Event::Scanned(None),
        Command::Get(key) => Event::Got(key, None),
        Command::Create(lease) => Event::Created(lease, None),
        Command::Delete(key, _) => Event::Deleted(key, None),
        Command::Write(write) => Event::Wrote(write, None),
        other => unreachable!("{other:?} is not for the store"),
    }
}
