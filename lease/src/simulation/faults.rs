//! What breaks in a simulated world besides its network: processes die, stand still, are cut off,
//! join and leave; shards split and merge; the stream is deleted and created anew; and somebody
//! who is no worker of ours writes to the table.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::crash::{Operation, Point};
use super::stream;
use super::table::WorkerNumber;
use super::world::{Happening, LEASE, SECOND, Worker, World};
use crate::config::Config;
use crate::lease::{Counter, Lease, LeaseKey, WorkerId};
use crate::position::{Position, ShardId};
use crate::protocol::{Command, Event, Protocol};

/// The most workers at a time.
const WORKERS: usize = 10;
/// How often a process dies at the point that is fatal in its world, in ten thousand.
const FATAL: u32 = 500;
/// How long the operator may take to clear away what is left of the stream before, beyond the last
/// fault: longer than a process stands still or a request is under way.
const CLEARING: u64 = 60 * SECOND;
/// How often the operator looks.
const CLEARED_EVERY: u64 = 5 * SECOND;

impl World {
    /// What there is at the beginning.
    pub(super) fn begin(&mut self) {
        if self.weather.inherited {
            self.inherit();
        }
        self.open_shards();
        // What says "latest" says neither of which stream it is nor what came before it.
        let alone = !self.weather.inherited && self.weather.recreated.is_none();
        if self.weather.latest && alone && self.rng.bool() {
            self.say_latest();
        }
        for _ in 0..self.rng.u32(2..6) {
            self.join();
        }
        self.later(SECOND, Happening::Fault);
        if let Some(at) = self.weather.recreated.filter(|at| *at < self.weather.storm_until) {
            self.at(at, Happening::Recreate);
        }
    }

    /// The shards of a new stream, and the records in them that kill.
    fn open_shards(&mut self) {
        for _ in 0..self.rng.u32(1..7) {
            self.open_shard(Vec::new());
        }
        let open = self.stream.open_shards();
        for _ in 0..self.weather.killers {
            let shard = &open[self.rng.usize(0..open.len())];
            self.stream.poison(shard, self.rng.u64(0..300));
        }
    }

    pub(super) fn open_shard(&mut self, parents: Vec<ShardId>) -> ShardId {
        let period = self.rng.u64(20..400) * 1000;
        let weight = match self.rng.u32(0..3) {
            0 => 0,
            1 => self.rng.u64(0..50_000),
            _ => self.rng.u64(0..1_000_000),
        };
        self.stream.open(parents, period, weight, self.now)
    }

    /// A worker of the KCL had worked a shard, and died where it was split: it creates the
    /// children's leases, names them in the parent's, and stores the parent's end; how far it came
    /// is drawn.
    fn inherit(&mut self) {
        self.now = 0;
        let parent = self.open_shard(Vec::new());
        self.now = SECOND;
        self.stream.close(&parent, self.now);
        let children = [(); 2].map(|()| self.open_shard(vec![parent.clone()]));
        let records = self.stream.get(&parent).records(self.now);
        let came = self.rng.usize(0..5);
        let done = if came == 4 { records } else { self.rng.u64(0..=records) };
        self.stream.written_out(&parent, 0, done);
        self.stream.leased(&parent);
        let mut lease = Lease::new(&parent, stream::after(done, &Position::TrimHorizon));
        lease.owner = Some(WorkerId::stored("10.0.0.1:a worker of the KCL"));
        lease.counter = Counter(self.rng.u64(2..60));
        if came > 2 {
            lease.children = children.to_vec();
        }
        if came > 3 {
            lease.checkpoint = Position::ShardEnd;
        }
        self.table.put(lease, self.now);
        for child in children.iter().take(came) {
            let lease = Lease::new(child, Position::TrimHorizon);
            let parents = vec![parent.clone()];
            self.stream.leased(child);
            self.table.put(Lease { parents, ..lease }, self.now);
        }
    }

    /// Somebody had begun at the newest records, and stored that and no time: an earlier version,
    /// or the KCL.
    fn say_latest(&mut self) {
        for shard in self.stream.open_shards() {
            if self.rng.bool() {
                self.stream.leased(&shard);
                self.table.put(Lease::new(&shard, Position::Latest), self.now);
            }
        }
    }

    pub(super) fn join(&mut self) {
        let number = self.workers.len();
        let name = WorkerId::parse(&format!("worker-{number}")).expect("a good name");
        let longer = self.weather.two_durations && self.rng.bool();
        let duration = if longer { LEASE * 5 / 2 } else { LEASE };
        let mut config = Config::with_lease_duration(name, Duration::from_micros(duration));
        config.initial_position = self.initial.clone();
        // The time of day is wrong by some seconds, one way or the other.
        let wrong = self.rng.u64(0..4 * SECOND);
        config.latest_ms = Some(((self.now + 2 * SECOND).saturating_sub(wrong) / 1000) as i64);
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
        let knows = self.stream.number;
        let mut protocol = Protocol::new(config.clone(), seed);
        let first = protocol.step(Event::Stream(self.stream.identity()), Duration::ZERO);
        assert!(first.is_empty(), "nothing is due yet");
        self.workers.push(Worker {
            protocol,
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
            knows,
            careful_with: None,
            finished: BTreeSet::new(),
        });
        self.schedule_wake(number);
        self.later(1000, Happening::List(number, true));
    }

    pub(super) fn restart(&mut self) {
        if self.living().len() < WORKERS {
            self.join();
        }
    }

    /// The workers that are not on their way out.
    fn living(&self) -> Vec<WorkerNumber> {
        let staying = |number: &WorkerNumber| {
            let worker = &self.workers[*number];
            worker.alive && !worker.draining
        };
        (0..self.workers.len()).filter(staying).collect()
    }

    /// A process dies, and perhaps another one is started in its place.
    pub(super) fn crash(&mut self, number: WorkerNumber, restarted: bool) {
        let worker = &mut self.workers[number];
        worker.alive = false;
        for task in worker.tasks.values().filter(|task| !task.lost) {
            self.stopped.insert(task.key.clone(), (self.now, true));
            let ours = self.table.ownership(&task.key) == Some(task.ownership);
            let here = task.stream == self.stream.number;
            if let Some(words) = task.caution.last_words().filter(|_| ours && here) {
                self.last_words.insert(task.key.clone(), (task.ownership, words.clone()));
            }
        }
        if restarted || self.living().is_empty() {
            let pause = self.rng.u64(SECOND / 10..5 * SECOND);
            self.later(pause, Happening::Restart);
        }
    }

    /// Whether a process dies now, while it waits for something.
    pub(super) fn dies_suddenly(&mut self, number: WorkerNumber, point: Point) -> bool {
        if !self.storm() || !self.workers[number].alive {
            return false;
        }
        let fatal = self.weather.fatal == Some(point);
        let chance = self.weather.sudden + if fatal { FATAL } else { 0 };
        if chance == 0 || self.rng.u32(0..10_000) >= chance {
            return false;
        }
        *self.account.deaths.entry(point).or_default() += 1;
        let restarted = self.rng.u32(0..4) > 0;
        self.crash(number, restarted);
        true
    }

    /// The same, around an operation of the store.
    pub(super) fn dies_at(
        &mut self,
        number: WorkerNumber,
        point: fn(Operation) -> Point,
        command: &Command,
    ) -> bool {
        let operation = Operation::of(command).expect("it is for the store");
        self.dies_suddenly(number, point(operation))
    }

    /// Once a second, something may break.
    pub(super) fn fault(&mut self) {
        let alive = self.living();
        if !alive.is_empty() {
            let victim = alive[self.rng.usize(0..alive.len())];
            self.strike(victim, alive.len() > 1);
        }
        if self.chance(self.weather.join) && self.living().len() < WORKERS {
            self.join();
        }
        if self.chance(self.weather.reshard) {
            self.reshard();
            for worker in self.living() {
                let delay = self.rng.u64(0..5 * SECOND);
                self.later(delay, Happening::List(worker, false));
            }
        }
        if self.chance(self.weather.broken) {
            let open = self.stream.open_shards();
            let shard = &open[self.rng.usize(0..open.len())];
            let until = self.now + self.rng.u64(0..40 * SECOND);
            self.stream.break_until(shard, until);
        }
        if self.chance(self.weather.stranger) {
            self.name_a_stranger();
        }
        if self.storm() {
            self.later(SECOND, Happening::Fault);
        }
    }

    fn strike(&mut self, victim: WorkerNumber, others: bool) {
        if others && self.chance(self.weather.crash) {
            self.crash(victim, false);
        } else if self.chance(self.weather.pause) {
            self.workers[victim].paused_until = self.now + self.rng.u64(0..25 * SECOND);
        } else if self.chance(self.weather.partition) {
            self.workers[victim].cut_off_until = self.now + self.rng.u64(0..25 * SECOND);
        } else if others && self.chance(self.weather.drain) {
            self.workers[victim].draining = true;
            self.later(1, Happening::Drain(victim));
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

    /// A leader of the KCL 3 begins a hand-over: it names a next owner, which may be one of us and
    /// does not know of it, or a worker that never comes.
    fn name_a_stranger(&mut self) {
        let keys: Vec<LeaseKey> = self.table.all().map(|lease| lease.key.clone()).collect();
        if keys.is_empty() {
            return;
        }
        let key = &keys[self.rng.usize(0..keys.len())];
        let next = match self.rng.bool() {
            true => self.workers[self.rng.usize(0..self.workers.len())].config.worker_id.clone(),
            false => WorkerId::stored("10.0.0.1:a worker of the KCL"),
        };
        self.table.name_next(key, next, self.now);
    }

    /// The stream is deleted and created anew. Its shards have the names of the old ones, and what
    /// the table says of those is wrong for them, until the operator clears it away.
    pub(super) fn recreate(&mut self) {
        self.stream.recreate(self.now);
        self.account.recreated += 1;
        self.last_words.clear();
        self.open_shards();
        let mut at = self.now + self.rng.u64(0..10 * SECOND);
        while at < self.weather.storm_until + CLEARING {
            self.at(at, Happening::Clear);
            at += CLEARED_EVERY;
        }
    }
}
