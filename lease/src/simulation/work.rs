//! What the shards' tasks of a simulated world do: they read, process, write out, and stop.

use fastrand::Rng;

use super::bugs::Bug;
use super::caution::{self, Piece, Step};
use super::crash::Point;
use super::invariants::{self, Violation};
use super::stream::{self, Output};
use super::table::WorkerNumber;
use super::task::{Flight, Task};
use super::world::{Happening, World};
use crate::lease::LeaseKey;
use crate::position::Position;
use crate::protocol::{Announcement, Event, Grant, Progress};

impl World {
    /// A lease is ours: its task begins.
    pub(super) fn grant(&mut self, number: WorkerNumber, grant: Grant) -> Result<(), Violation> {
        let key = grant.key.clone();
        self.account.takes += 1;
        self.quiet_takes += u64::from(self.is_quiet());
        match self.stopped.remove(&key) {
            Some((since, false)) => self.account.hand_overs.push(self.now - since),
            Some((since, true)) => self.account.failovers.push(self.now - since),
            None => {}
        }
        let ownership = self.table.ownership_of(&key, number, grant.epoch);
        if let Some((last, words)) = self.last_words.remove(&key)
            && last < ownership
        {
            let told = grant.suspect.as_ref();
            invariants::invariant_suspicion_outlives_its_owner(&key, &words, told)?;
        }
        // A stream that is no more cannot be read; the task finds that out.
        let knows = self.workers[number].knows;
        let here = knows == self.stream.number && self.stream.has(key.shard());
        let stream = if here { knows } else { 0 };
        let mut read = 0;
        if here {
            let state = self.stream.get(key.shard());
            read = stream::records_before(&grant.position, state, self.now);
            if let Some(lease) = self.table.get(&key).filter(|lease| lease.counter == grant.epoch) {
                invariants::invariant_starts_are_stored(lease, &grant.position)?;
            }
        }
        let task = Task::new(&grant, ownership, stream, read);
        self.workers[number].tasks.insert(key.clone(), task);
        self.later(1, Happening::Tick(number, key, ownership));
        self.dies_suddenly(number, Point::Granted);
        Ok(())
    }

    /// A shard's task does what there is to do.
    pub(super) fn tick(
        &mut self,
        number: WorkerNumber,
        key: &LeaseKey,
        ownership: u64,
    ) -> Result<(), Violation> {
        let worker = &mut self.workers[number];
        let Some(task) = worker.tasks.get_mut(key).filter(|task| task.ownership == ownership)
        else {
            return Ok(());
        };
        task.collect();
        let position = task.position();
        if task.stream != self.stream.number {
            return self.end(number, key, position);
        }
        let state = self.stream.get(key.shard());
        if state.broken_until > self.now {
            self.account.failed += 1;
            return self.end(number, key, position);
        }
        let available = state.records(self.now);
        let eager = self.bug == Some(Bug::ClosedIsEnded);
        // A time of day that is wrong may lie behind the shard's end.
        let ended = state.closed.is_some() && (eager || task.done >= available);
        if task.is_over(ended, self.bug) {
            let position = task.final_position(ended);
            if task.asked_back && position != Position::ShardEnd {
                self.stopped.insert(key.clone(), (self.now, false));
            }
            return self.end(number, key, position);
        }
        self.go_on(number, key, available)
    }

    /// A task has come to its end.
    fn end(
        &mut self,
        number: WorkerNumber,
        key: &LeaseKey,
        position: Position,
    ) -> Result<(), Violation> {
        if self.dies_suddenly(number, Point::Ended) {
            return Ok(());
        }
        let worker = &mut self.workers[number];
        worker.tasks.remove(key);
        worker.careful_with.take_if(|careful| careful == key);
        if position == Position::ShardEnd {
            worker.finished.insert(key.shard().clone());
        }
        self.deliver(number, Event::Dropped(key.clone(), position))
    }

    /// A task reads on, if there is something to read.
    fn go_on(
        &mut self,
        number: WorkerNumber,
        key: &LeaseKey,
        available: u64,
    ) -> Result<(), Violation> {
        let mut rng = Rng::with_seed(self.rng.u64(..));
        let (mut limit, mut pause) = (available, rng.u64(100..500));
        let careful = self.carefully(number, key, available)?;
        let worker = &mut self.workers[number];
        if !worker.alive {
            return Ok(());
        }
        let clock = worker.clock(self.now);
        let task = worker.tasks.get_mut(key).expect("the caller has just seen it");
        if careful {
            // What it takes up was taken up by now.
            (limit, pause) = (task.read, rng.u64(1..20));
        } else if let Some(piece) = task.next_piece(available)
            && self.kills(number, key, piece)?
        {
            return Ok(());
        }
        let worker = &mut self.workers[number];
        let task = worker.tasks.get_mut(key).expect("the process lives");
        let (ownership, flight) = (task.ownership, task.next_flight(limit, clock, &mut rng));
        let pause = (pause as f64 * 1000.0 / worker.rate) as u64;
        self.later(pause, Happening::Tick(number, key.clone(), ownership));
        match flight {
            Some(flight) => self.start_output(number, key, ownership, flight, &mut rng),
            None => Ok(()),
        }
    }

    /// A task that reads with caution takes its next step; says whether it does.
    fn carefully(
        &mut self,
        number: WorkerNumber,
        key: &LeaseKey,
        available: u64,
    ) -> Result<bool, Violation> {
        let most_tries = match self.bug {
            Some(Bug::ParkedAtFirstDeath) => 1,
            Some(Bug::KillerIsNeverParked) => u32::MAX,
            _ => caution::TRIES,
        };
        let worker = &mut self.workers[number];
        let task = worker.tasks.get_mut(key).expect("the caller has just seen it");
        if task.caution.is_over() {
            worker.careful_with.take_if(|careful| careful == key);
            return Ok(false);
        }
        // One shard of a worker at a time.
        if worker.careful_with.as_ref().is_some_and(|other| other != key) {
            return Ok(true);
        }
        let progress = task.progress(available);
        if let Some(piece) = task.caution.working()
            && self.kills(number, key, piece)?
        {
            return Ok(true);
        }
        let worker = &mut self.workers[number];
        let task = worker.tasks.get_mut(key).expect("the process lives");
        match task.caution.step(&progress, most_tries) {
            Step::Wait => {}
            Step::Rest => worker.careful_with = None,
            Step::Announce(news) => {
                worker.careful_with = Some(key.clone());
                self.announce(number, key, news)?;
            }
            Step::Work(piece) => task.queue(piece),
            Step::Park(record) => {
                task.queue(Piece { from: record, to: record + 1 });
                self.park(key, record)?;
            }
        }
        Ok(true)
    }

    fn announce(
        &mut self,
        number: WorkerNumber,
        key: &LeaseKey,
        news: Announcement,
    ) -> Result<(), Violation> {
        let task = &self.workers[number].tasks[key];
        let (position, weight) = (task.position(), self.stream.weight(key.shard()));
        let progress = Progress { key: key.clone(), position, weight, lag: None };
        self.deliver(number, Event::Announced(progress, news))
    }

    /// Whether a record is among these that kills the process.
    fn kills(
        &mut self,
        number: WorkerNumber,
        key: &LeaseKey,
        piece: Piece,
    ) -> Result<bool, Violation> {
        let shard = key.shard();
        let Some(record) = self.stream.killer(shard, piece.from, piece.to) else {
            return Ok(false);
        };
        let kills = self.stream.killed(shard, record)?;
        self.account.kills += 1;
        self.account.most_kills = self.account.most_kills.max(kills);
        self.crash(number, true);
        Ok(true)
    }

    fn park(&mut self, key: &LeaseKey, record: u64) -> Result<(), Violation> {
        let place = stream::after(record + 1, &Position::TrimHorizon);
        let tried = self.table.tried(key, &place);
        invariants::invariant_parked_records_were_tried(key, record, tried)?;
        let innocent = !self.stream.get(key.shard()).killers.contains_key(&record);
        self.account.parked[usize::from(innocent)] += 1;
        Ok(())
    }

    fn start_output(
        &mut self,
        number: WorkerNumber,
        key: &LeaseKey,
        ownership: u64,
        flight: Flight,
        rng: &mut Rng,
    ) -> Result<(), Violation> {
        if self.dies_suddenly(number, Point::Processed) {
            return Ok(());
        }
        let worker = &self.workers[number];
        let patience = (flight.timeout.as_micros() as f64 / worker.rate) as u64;
        let output =
            Output { worker: number, ownership, from: flight.from, until: self.now + patience };
        self.stream.start_output(key.shard(), output, self.now)?;
        let fails = self.storm() && rng.u32(0..10) == 0;
        // A failed request may have stored its records none the less.
        let stores = !fails || rng.bool();
        let landing = rng.u64(0..patience.max(1));
        let flight = if stores { flight } else { flight.lost() };
        let happening = Happening::Landed(number, key.clone(), ownership, flight, !fails);
        self.later(landing, happening);
        Ok(())
    }

    pub(super) fn landed(
        &mut self,
        number: WorkerNumber,
        key: &LeaseKey,
        ownership: u64,
        flight: Flight,
        done: bool,
    ) {
        if flight.stream != self.stream.number {
            return;
        }
        self.stream.end_output(key.shard(), (number, ownership, flight.from));
        if flight.stores {
            self.stream.written_out(key.shard(), flight.from, flight.to);
            self.account.records += flight.to - flight.from;
        }
        if self.dies_suddenly(number, Point::Landed) {
            return;
        }
        let worker = &mut self.workers[number];
        if let Some(task) = worker.tasks.get_mut(key).filter(|task| task.ownership == ownership) {
            task.landed(flight, done);
        }
    }
}
