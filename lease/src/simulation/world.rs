//! A simulated world: workers with clocks of their own, one table, one stream, and whatever can
//! go wrong between them. Everything follows from the seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use fastrand::Rng;

use super::bugs::Bug;
use super::invariants::{self, Violation};
use super::stream::{self, Output, Stream};
use super::table::{Table, WorkerNumber};
use super::task::{Flight, Task};
use crate::config::Config;
use crate::lease::{LeaseKey, WorkerId};
use crate::position::{Position, ShardId};
use crate::protocol::{Command, Event, Grant, Progress, Protocol};

pub(super) const SECOND: u64 = 1_000_000;
/// The lease duration, by a clock that goes right.
pub(super) const LEASE: u64 = 10 * SECOND;
/// How long the world stays calm after the last fault.
const CALM: u64 = 240 * SECOND;
/// The part of the calm in which nothing may move any more.
const QUIET: u64 = 40 * SECOND;

/// What can happen.
#[derive(Debug)]
enum Happening {
    Wake(WorkerNumber),
    Arrive(Request),
    Answer(WorkerNumber, u64, Event),
    GiveUp(WorkerNumber, u64),
    Tick(WorkerNumber, LeaseKey, u64),
    Landed(WorkerNumber, LeaseKey, u64, Flight, bool),
    List(WorkerNumber, bool),
    Fault,
    Drain(WorkerNumber),
}

/// An operation on its way to the store.
#[derive(Clone, Debug)]
struct Request {
    worker: WorkerNumber,
    id: u64,
    command: Command,
    answer: bool,
}

/// How likely each fault is, in a thousand.
#[derive(Clone, Copy, Debug, Default)]
struct Rates {
    lost_request: u32,
    lost_reply: u32,
    late_reply: u32,
    duplicate: u32,
    throttle: u32,
    slow: u32,
    stale: u32,
    crash: u32,
    pause: u32,
    partition: u32,
    drain: u32,
    reshard: u32,
    join: u32,
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
}

struct Worker {
    protocol: Protocol,
    config: Config,
    rate: f64,
    born: u64,
    alive: bool,
    paused_until: u64,
    cut_off_until: u64,
    wake_at: u64,
    requests: BTreeMap<u64, Command>,
    tasks: BTreeMap<LeaseKey, Task>,
    draining: bool,
}

impl Worker {
    fn clock(&self, now: u64) -> Duration {
        Duration::from_micros(((now - self.born) as f64 * self.rate) as u64)
    }

    /// When this worker's clock shows a time.
    fn global(&self, local: Duration) -> u64 {
        let micros = local.as_micros().min(u128::from(u64::MAX / 4)) as f64;
        self.born + (micros / self.rate) as u64 + 1
    }
}

pub(super) struct World {
    rng: Rng,
    now: u64,
    sequence: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    workers: Vec<Worker>,
    table: Table,
    stream: Stream,
    rates: Rates,
    storm_until: u64,
    end: u64,
    initial: Position,
    bug: Option<Bug>,
    requests: u64,
    /// When the last owner of a lease stopped, and whether it crashed.
    stopped: BTreeMap<LeaseKey, (u64, bool)>,
    quiet_takes: u64,
    account: Account,
    /// The last happenings, for the report of a failure.
    log: Option<Vec<String>>,
}

impl World {
    pub(super) fn new(seed: u64, bug: Option<Bug>, log: bool) -> World {
        let mut rng = Rng::with_seed(seed);
        let some = |rng: &mut Rng, most: u32| if rng.bool() { rng.u32(0..most) } else { 0 };
        let rates = Rates {
            lost_request: some(&mut rng, 60),
            lost_reply: some(&mut rng, 60),
            late_reply: some(&mut rng, 500),
            duplicate: some(&mut rng, 60),
            throttle: some(&mut rng, 150),
            slow: some(&mut rng, 200),
            stale: some(&mut rng, 500),
            crash: some(&mut rng, 250),
            pause: some(&mut rng, 400),
            partition: some(&mut rng, 500),
            drain: some(&mut rng, 200),
            reshard: some(&mut rng, 300),
            join: some(&mut rng, 300),
        };
        let storm_until = SECOND * rng.u64(20..120);
        let latest = rng.u32(0..8) == 0;
        let mut world = World {
            now: SECOND,
            sequence: 0,
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            workers: Vec::new(),
            table: Table::default(),
            stream: Stream::new(latest),
            rates,
            storm_until,
            end: storm_until + CALM,
            initial: if latest { Position::Latest } else { Position::TrimHorizon },
            bug,
            requests: 0,
            stopped: BTreeMap::new(),
            quiet_takes: 0,
            account: Account::default(),
            log: log.then(Vec::new),
            rng,
        };
        for _ in 0..world.rng.u32(1..7) {
            world.open_shard(Vec::new());
        }
        for _ in 0..world.rng.u32(2..6) {
            world.join();
        }
        world.later(SECOND, Happening::Fault);
        world
    }

    /// A world in which workers crash, join and leave, and nothing else fails.
    pub(super) fn mild(seed: u64) -> World {
        let mut world = World::new(seed, None, false);
        world.rates = Rates { crash: 20, drain: 20, join: 60, ..Rates::default() };
        world
    }

    /// A world of so many shards and workers in which nothing fails.
    pub(super) fn calm(shards: usize, workers: usize) -> World {
        let mut worlds = (0..).map(|seed| World::new(seed, None, false));
        let mut world = worlds.find(|world| world.workers.len() <= 2).expect("there are many");
        world.rates = Rates::default();
        world.storm_until = 0;
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
            let status = world.workers.iter().map(|worker| worker.protocol.status());
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

    fn later(&mut self, delay: u64, happening: Happening) {
        self.at(self.now + delay, happening);
    }

    fn at(&mut self, at: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.push(Reverse((at, self.sequence)));
        self.happenings.insert(self.sequence, happening);
    }

    fn storm(&self) -> bool {
        self.now < self.storm_until
    }

    fn chance(&mut self, thousandth: u32) -> bool {
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
            Happening::Arrive(_) | Happening::Landed(..) | Happening::Fault => None,
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
            Happening::Answer(worker, id, event) => {
                match self.workers[worker].requests.remove(&id) {
                    Some(_) => self.deliver(worker, event),
                    None => Ok(()),
                }
            }
            Happening::GiveUp(worker, id) => match self.workers[worker].requests.remove(&id) {
                Some(command) => self.deliver(worker, failure(command)),
                None => Ok(()),
            },
            Happening::Tick(worker, key, epoch) => self.tick(worker, &key, epoch),
            Happening::Landed(worker, key, epoch, flight, done) => {
                self.landed(worker, &key, epoch, flight, done);
                Ok(())
            }
            Happening::List(worker, again) => {
                let at = self.now - self.rng.u64(0..SECOND).min(self.now);
                let listing = self.stream.listing(at, 60 * SECOND);
                if again {
                    let pause = self.rng.u64(3..8) * SECOND;
                    self.later(pause, Happening::List(worker, true));
                }
                self.deliver(worker, Event::Listed(listing))
            }
            Happening::Fault => {
                self.fault();
                Ok(())
            }
            Happening::Drain(worker) => {
                self.workers[worker].draining = true;
                self.deliver(worker, Event::Drain)
            }
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
            weight: self.stream.get(task.key.shard()).weight,
            lag: None,
        });
        let progress = progress.collect();
        self.deliver(number, Event::Worked(progress))
    }

    /// Gives a worker's protocol an event and performs what it commands.
    fn deliver(&mut self, number: WorkerNumber, mut event: Event) -> Result<(), Violation> {
        let worker = &mut self.workers[number];
        let clock = worker.clock(self.now);
        if let Some(bug) = self.bug {
            bug.before_step(&mut event, &worker.config.worker_id);
        }
        let mut commands = worker.protocol.step(event, clock);
        if let Some(bug) = self.bug {
            let honest = Duration::from_micros((LEASE as f64) as u64);
            bug.after_step(&mut commands, clock, &worker.config, honest);
        }
        for command in commands {
            if let Some(log) = &mut self.log {
                log.push(format!("{:>11}   {number}: {command:?}", self.now));
            }
            self.perform(number, command)?;
        }
        self.schedule_wake(number);
        Ok(())
    }

    fn schedule_wake(&mut self, number: WorkerNumber) {
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
            Command::Extend(key, deadline) => {
                if let Some(task) = self.workers[number].tasks.get_mut(&key) {
                    task.deadline = deadline;
                }
            }
            Command::AskBack(key) => {
                if let Some(task) = self.workers[number].tasks.get_mut(&key) {
                    task.asked_back = true;
                }
            }
            Command::Lose(key) => {
                invariants::invariant_lost_to_others_only(&key, &self.table, number)?;
                if let Some(task) = self.workers[number].tasks.get_mut(&key) {
                    task.lost = true;
                }
            }
            Command::Release(_) => {}
            Command::Drained => self.workers[number].alive = false,
            request => self.send(number, request),
        }
        Ok(())
    }

    /// Sends an operation to the store, over a network that may lose, delay or repeat it.
    fn send(&mut self, worker: WorkerNumber, command: Command) {
        self.requests += 1;
        let id = self.requests;
        let patience = self.workers[worker].config.store_timeout.as_micros() as f64;
        let patience = (patience / self.workers[worker].rate) as u64;
        self.workers[worker].requests.insert(id, command.clone());
        self.later(patience, Happening::GiveUp(worker, id));
        if self.workers[worker].cut_off_until > self.now || self.chance(self.rates.lost_request) {
            return;
        }
        let mut delay = self.rng.u64(500..15_000);
        if self.chance(self.rates.slow) {
            delay += self.rng.u64(0..25 * SECOND);
        }
        let answer = !self.chance(self.rates.lost_reply);
        let request = Request { worker, id, command, answer };
        if self.chance(self.rates.duplicate) {
            let later = delay + self.rng.u64(0..30 * SECOND);
            self.later(later, Happening::Arrive(Request { answer: false, ..request.clone() }));
        }
        self.later(delay, Happening::Arrive(request));
    }

    /// An operation reaches the store.
    fn arrive(&mut self, request: Request) -> Result<(), Violation> {
        let Request { worker, id, command, answer } = request;
        let event = if self.chance(self.rates.throttle) {
            failure(command)
        } else {
            self.operate(worker, command)?
        };
        let mut delay = self.rng.u64(500..15_000);
        if self.chance(self.rates.late_reply) {
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
                let oldest = if self.chance(self.rates.stale) { 3 * SECOND } else { 1 };
                let rng = &mut self.rng;
                Event::Scanned(Some(self.table.scan(|| now - rng.u64(0..oldest).min(now))))
            }
            Command::Get(key) => {
                let lease = self.table.get(&key).cloned();
                Event::Got(key, Some(lease))
            }
            Command::Create(lease) => {
                let done = self.table.create(lease.clone(), now);
                let shard = lease.key.shard();
                let state = self.stream.get(shard);
                if lease.checkpoint == Position::Latest
                    && state.closed.is_some()
                    && self.stream.is_root(shard)
                {
                    // The newest record is the shard's end: too late for there to be anything.
                    self.stream.written_out(shard, 0, state.records(now));
                } else {
                    self.stream.leased(shard);
                }
                Event::Created(lease, Some(done))
            }
            Command::Delete(key, counter) => {
                let done = self.table.delete(&key, counter, &self.stream, now)?;
                Event::Deleted(key, Some(done))
            }
            Command::Write(write) => {
                let outcome =
                    self.table.write(write.clone(), worker, &self.stream, now, self.bug)?;
                Event::Wrote(write, Some(outcome))
            }
            other => unreachable!("{other:?} is not for the store"),
        })
    }

    fn grant(&mut self, number: WorkerNumber, grant: Grant) -> Result<(), Violation> {
        let key = grant.key.clone();
        self.account.takes += 1;
        self.quiet_takes += u64::from(self.now > self.end - QUIET);
        match self.stopped.remove(&key) {
            Some((since, false)) => self.account.hand_overs.push(self.now - since),
            Some((since, true)) => self.account.failovers.push(self.now - since),
            None => {}
        }
        let state = self.stream.get(key.shard());
        let read = stream::records_before(&grant.position, state, self.now);
        let epoch = grant.epoch.0;
        if grant.position == Position::Latest && self.stream.is_root(key.shard()) {
            // Nobody asked for the records before.
            self.stream.written_out(key.shard(), 0, read);
        }
        self.workers[number].tasks.insert(key.clone(), Task::new(&grant, read));
        self.later(1, Happening::Tick(number, key, epoch));
        Ok(())
    }

    /// A shard's task does what there is to do.
    fn tick(&mut self, number: WorkerNumber, key: &LeaseKey, epoch: u64) -> Result<(), Violation> {
        let worker = &mut self.workers[number];
        let clock = worker.clock(self.now);
        let Some(task) = worker.tasks.get_mut(key).filter(|task| task.epoch == epoch) else {
            return Ok(());
        };
        task.collect();
        let state = self.stream.get(key.shard());
        let available = state.records(self.now);
        let closed = state.closed.is_some();
        let eager = self.bug == Some(Bug::ClosedIsEnded);
        if task.is_over(closed && (eager || task.done == available), self.bug) {
            let position = task.final_position(closed && (eager || task.done == available));
            let asked = worker.tasks.remove(key).is_some_and(|task| task.asked_back);
            if asked && position != Position::ShardEnd {
                self.stopped.insert(key.clone(), (self.now, false));
            }
            return self.deliver(number, Event::Dropped(key.clone(), position));
        }
        let mut rng = Rng::with_seed(self.rng.u64(..));
        let pause = (rng.u64(100..500) as f64 * 1000.0 / worker.rate) as u64;
        let flight = task.next_flight(available, clock, &mut rng);
        self.later(pause, Happening::Tick(number, key.clone(), epoch));
        match flight {
            Some(flight) => self.start_output(number, key, epoch, flight, &mut rng),
            None => Ok(()),
        }
    }

    fn start_output(
        &mut self,
        number: WorkerNumber,
        key: &LeaseKey,
        epoch: u64,
        flight: Flight,
        rng: &mut Rng,
    ) -> Result<(), Violation> {
        let worker = &self.workers[number];
        let patience = (flight.timeout.as_micros() as f64 / worker.rate) as u64;
        let output =
            Output { worker: number, epoch, from: flight.from, until: self.now + patience };
        self.stream.start_output(key.shard(), output, self.now)?;
        let fails = self.storm() && rng.u32(0..10) == 0;
        // A failed request may have stored its records none the less.
        let stores = !fails || rng.bool();
        let landing = rng.u64(0..patience.max(1));
        let happening = Happening::Landed(number, key.clone(), epoch, flight, !fails);
        if stores {
            self.later(landing, happening);
        } else {
            self.later(
                landing,
                Happening::Landed(number, key.clone(), epoch, flight.lost(), false),
            );
        }
        Ok(())
    }

    fn landed(
        &mut self,
        number: WorkerNumber,
        key: &LeaseKey,
        epoch: u64,
        flight: Flight,
        done: bool,
    ) {
        self.stream.end_output(key.shard(), (number, epoch, flight.from));
        if flight.stores {
            self.stream.written_out(key.shard(), flight.from, flight.to);
            self.account.records += flight.to - flight.from;
        }
        let worker = &mut self.workers[number];
        if let Some(task) = worker.tasks.get_mut(key).filter(|task| task.epoch == epoch) {
            task.landed(flight, done);
        }
    }

    fn open_shard(&mut self, parents: Vec<ShardId>) {
        let period = self.rng.u64(20..400) * 1000;
        let weight = match self.rng.u32(0..3) {
            0 => 0,
            1 => self.rng.u64(0..50_000),
            _ => self.rng.u64(0..1_000_000),
        };
        self.stream.open(parents, period, weight, self.now);
    }

    fn join(&mut self) {
        let number = self.workers.len();
        let name = WorkerId::parse(&format!("worker-{number}")).expect("a good name");
        let mut config = Config::with_lease_duration(name, Duration::from_micros(LEASE));
        config.initial_position = self.initial.clone();
        if let Some(bug) = self.bug {
            bug.configure(&mut config);
        }
        let seed = self.rng.u64(..);
        // Often as fast or as slow as a clock may be.
        let rate = match self.rng.u32(0..3) {
            0 => 0.9,
            1 => 1.1,
            _ => 0.9 + 0.2 * self.rng.f64(),
        };
        self.workers.push(Worker {
            protocol: Protocol::new(config.clone(), seed),
            config,
            rate,
            born: self.now,
            alive: true,
            paused_until: 0,
            cut_off_until: 0,
            wake_at: u64::MAX,
            requests: BTreeMap::new(),
            tasks: BTreeMap::new(),
            draining: false,
        });
        self.schedule_wake(number);
        self.later(1000, Happening::List(number, true));
    }

    /// Once a second, something may break.
    fn fault(&mut self) {
        let living = |world: &World| -> Vec<WorkerNumber> {
            let staying = |w: &WorkerNumber| {
                let worker = &world.workers[*w];
                worker.alive && !worker.draining
            };
            (0..world.workers.len()).filter(staying).collect()
        };
        let alive = living(self);
        let victim = alive[self.rng.usize(0..alive.len())];
        if alive.len() > 1 && self.chance(self.rates.crash) {
            let worker = &mut self.workers[victim];
            worker.alive = false;
            let held = worker.tasks.values().filter(|task| !task.lost);
            self.stopped.extend(held.map(|task| (task.key.clone(), (self.now, true))));
        } else if self.chance(self.rates.pause) {
            self.workers[victim].paused_until = self.now + self.rng.u64(0..25 * SECOND);
        } else if self.chance(self.rates.partition) {
            self.workers[victim].cut_off_until = self.now + self.rng.u64(0..25 * SECOND);
        } else if alive.len() > 1 && self.chance(self.rates.drain) {
            self.workers[victim].draining = true;
            self.later(1, Happening::Drain(victim));
        }
        if self.chance(self.rates.join) && living(self).len() < 10 {
            self.join();
        }
        if self.chance(self.rates.reshard) {
            self.reshard();
            for worker in living(self) {
                let delay = self.rng.u64(0..5 * SECOND);
                self.later(delay, Happening::List(worker, false));
            }
        }
        if self.storm() {
            self.later(SECOND, Happening::Fault);
        }
    }

    fn reshard(&mut self) {
        let open = self.stream.open_shards();
        let one = &open[self.rng.usize(0..open.len())];
        let other = &open[self.rng.usize(0..open.len())];
        if one == other && open.len() < 12 {
            self.stream.close(one, self.now);
            self.open_shard(vec![one.clone()]);
            self.open_shard(vec![one.clone()]);
        } else if one != other {
            self.stream.close(one, self.now);
            self.stream.close(other, self.now);
            self.open_shard(vec![one.clone(), other.clone()]);
        }
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
            let weight = |key: &&LeaseKey| self.stream.get(key.shard()).weight + 32 * 1024;
            held.push(tasks.iter().map(weight).collect::<Vec<u64>>());
        }
        invariants::invariant_everything_is_owned(&self.table, &owned)?;
        let slack = 15 * SECOND;
        invariants::invariant_every_record_is_written_out(&self.stream, self.now, slack)?;
        invariants::invariant_nothing_moves(self.quiet_takes)?;
        invariants::invariant_load_is_in_the_band(&held)
    }
}

/// The event that tells of a command's failure.
fn failure(command: Command) -> Event {
    match command {
        Command::Scan => Event::Scanned(None),
        Command::Get(key) => Event::Got(key, None),
        Command::Create(lease) => Event::Created(lease, None),
        Command::Delete(key, _) => Event::Deleted(key, None),
        Command::Write(write) => Event::Wrote(write, None),
        other => unreachable!("{other:?} is not for the store"),
    }
}
