//! A shard's task in a simulated world: it reads records, writes them out through the gate, and
//! advances in order.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;

use super::bugs::Bug;
use super::caution::{Caution, Piece};
use super::stream;
use crate::lease::LeaseKey;
use crate::position::Position;
use crate::protocol::Grant;

/// Output requests under way at a time.
const FLIGHTS: usize = 3;

#[derive(Debug)]
pub(super) struct Task {
    pub(super) key: LeaseKey,
    /// The number of the ownership, in the order in which the lease was taken.
    pub(super) ownership: u64,
    /// The stream it reads, by number.
    pub(super) stream: u64,
    pub(super) caution: Caution,
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
    /// The stream they are of, by number.
    pub(super) stream: u64,
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
    pub(super) fn new(grant: &Grant, ownership: u64, stream: u64, read: u64) -> Task {
        Task {
            key: grant.key.clone(),
            ownership,
            stream,
            caution: Caution::of(grant),
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
        self.lost || ((self.asked_back || ended) && finished && !self.caution.is_at_work())
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
        if self.asked_back || !self.has_room() || self.read >= available {
            return None;
        }
        let to = available.min(self.read + 200);
        let flight = self.flight(Piece { from: self.read, to }, timeout, State::InAir);
        self.read = to;
        self.flights.push_back(flight);
        Some(flight)
    }

    /// The records that the next output request has, if it is not one that is sent again.
    pub(super) fn next_piece(&self, available: u64) -> Option<Piece> {
        let idle = self.asked_back || !self.has_room() || self.read >= available;
        let again = self.flights.iter().any(|flight| flight.state == State::Failed);
        (!idle && !again && !self.lost)
            .then(|| Piece { from: self.read, to: available.min(self.read + 200) })
    }

    pub(super) fn has_room(&self) -> bool {
        self.flights.len() < FLIGHTS
    }

    /// Output that is ready, and is sent when the gate lets it pass.
    pub(super) fn queue(&mut self, piece: Piece) {
        let flight = self.flight(piece, Duration::ZERO, State::Failed);
        self.flights.push_back(flight);
        self.read = piece.to;
    }

    fn flight(&self, piece: Piece, timeout: Duration, state: State) -> Flight {
        let Piece { from, to } = piece;
        Flight { from, to, timeout, stores: true, stream: self.stream, state }
    }

    pub(super) fn landed(&mut self, flight: Flight, done: bool) {
        if let Some(mine) = self.flights.iter_mut().find(|mine| mine.from == flight.from) {
            mine.state = if done { State::Done } else { State::Failed };
        }
    }
}
