//! A shard's task in a simulated world: it reads records, writes them out through the gate, and
//! advances in order.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;

use super::bugs::Bug;
use super::stream;
use crate::lease::LeaseKey;
use crate::position::Position;
use crate::protocol::Grant;

/// Output requests under way at a time.
const FLIGHTS: usize = 3;

#[derive(Debug)]
pub(super) struct Task {
    pub(super) key: LeaseKey,
    pub(super) epoch: u64,
    pub(super) start: Position,
    pub(super) deadline: Duration,
    pub(super) lost: bool,
    pub(super) asked_back: bool,
    /// Records read.
    pub(super) read: u64,
    /// Records known to be durable, in order.
    pub(super) done: u64,
    began: u64,
    flights: VecDeque<Flight>,
}

/// An output request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) timeout: Duration,
    /// Whether it stores its records.
    pub(super) stores: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    InAir,
    Done,
    Failed,
}

impl Flight {
    pub(super) fn lost(self) -> Flight {
        Flight { stores: false, ..self }
    }
}

impl Task {
    pub(super) fn new(grant: &Grant, read: u64) -> Task {
        Task {
            key: grant.key.clone(),
            epoch: grant.epoch.0,
            start: grant.position.clone(),
            deadline: grant.deadline,
            lost: false,
            asked_back: false,
            read,
            done: read,
            began: read,
            flights: VecDeque::new(),
        }
    }

    pub(super) fn position(&self) -> Position {
        if self.done == self.began {
            self.start.clone()
        } else {
            stream::after(self.done, &self.start)
        }
    }

    /// Advances over what is durable.
    pub(super) fn collect(&mut self) {
        while let Some(flight) = self.flights.pop_front_if(|flight| flight.state == State::Done) {
            self.done = flight.to;
        }
    }

    pub(super) fn is_over(&self, ended: bool, bug: Option<Bug>) -> bool {
        let finished = self.flights.is_empty() || bug == Some(Bug::ReleaseBeforeOutputEnds);
        // Losing a lease ends the task at once; its requests run on.
        self.lost || ((self.asked_back || ended) && finished)
    }

    pub(super) fn final_position(&self, ended: bool) -> Position {
        if ended && !self.lost && self.flights.is_empty() {
            Position::ShardEnd
        } else {
            self.position()
        }
    }

    /// The next output request, if the gate lets it pass.
    pub(super) fn next_flight(
        &mut self,
        available: u64,
        clock: Duration,
        rng: &mut Rng,
    ) -> Option<Flight> {
        let timeout = Duration::from_millis(rng.u64(50..2500));
        if self.lost || clock + timeout > self.deadline {
            return None;
        }
        if let Some(failed) = self.flights.iter_mut().find(|f| f.state == State::Failed) {
            failed.state = State::InAir;
            failed.timeout = timeout;
            return Some(*failed);
        }
        if self.asked_back || self.flights.len() >= FLIGHTS || self.read >= available {
            return None;
        }
        let to = available.min(self.read + 200);
        let flight = Flight { from: self.read, to, timeout, stores: true, state: State::InAir };
        self.read = to;
        self.flights.push_back(flight);
        Some(flight)
    }

    pub(super) fn landed(&mut self, flight: Flight, done: bool) {
        if let Some(mine) = self.flights.iter_mut().find(|mine| mine.from == flight.from) {
            mine.state = if done { State::Done } else { State::Failed };
        }
    }
}
