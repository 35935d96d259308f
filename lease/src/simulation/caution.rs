//! How a simulated task reads a shard whose owners keep dying: it announces what it is about to
//! work on, waits until that is stored, and parks the record that two owners went at alone. The
//! same rules as those of the real task in `enricher`.

use super::stream;
use super::task::Task;
use crate::lease::Suspect;
use crate::position::Position;
use crate::protocol::{Announcement, Grant};

/// So many owners died without advancing the shard.
const FRUITLESS: u64 = 2;
/// So many owners in a row went while they worked on one record alone.
pub(super) const TRIES: u32 = 2;
/// Records that an owner may have had in flight.
const IN_FLIGHT: u64 = 600;
/// The most records that are announced together, or gone through one by one in one turn.
const TOGETHER: u64 = 50;

#[derive(Debug)]
pub(super) struct Caution {
    suspect: Option<Suspect>,
    /// The records to read before all is well again.
    left: u64,
    /// The end of the records that are gone through in one turn.
    batch_end: u64,
    announcement: Announcement,
    doing: Doing,
}

/// Records by number, the last excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) from: u64,
    pub(super) to: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Nothing,
    /// Waits until it is stored that it works on these.
    Announcing(Piece),
    /// That is stored.
    Working(Piece),
    /// Waits until the record parked is durable.
    Parking(u64),
    /// Waits until it is stored that it works on none in particular.
    Clearing,
}

/// What a careful task does next.
#[derive(Debug)]
pub(super) enum Step {
    Wait,
    /// Says what it goes on with.
    Announce(Announcement),
    /// Processes these.
    Work(Piece),
    /// Parks this record.
    Park(u64),
    /// Has nothing to do, so that another shard may have its turn.
    Rest,
}

impl Caution {
    /// As much as a lease calls for.
    pub(super) fn of(grant: &Grant) -> Caution {
        let called_for = grant.suspect.is_some() || grant.fruitless_owners >= FRUITLESS;
        Caution {
            suspect: grant.suspect.clone(),
            left: if called_for { IN_FLIGHT } else { 0 },
            batch_end: 0,
            announcement: Announcement::default(),
            doing: Doing::Nothing,
        }
    }

    /// Whether records may be under suspicion of which this task has said so.
    pub(super) fn is_at_work(&self) -> bool {
        self.doing != Doing::Nothing || self.announcement.suspect.is_some()
    }

    /// Whether the shard is read as usual.
    pub(super) fn is_over(&self) -> bool {
        self.left == 0 && !self.is_at_work()
    }

    /// The records that it is about to process.
    pub(super) fn working(&self) -> Option<Piece> {
        match self.doing {
            Doing::Working(piece) => Some(piece),
            _ => None,
        }
    }

    /// Where the owners before left off looking for the killer.
    pub(super) fn inherited(&self) -> Option<&Suspect> {
        self.suspect.as_ref()
    }

    /// What it announced last.
    pub(super) fn announced(&self) -> Option<&Suspect> {
        self.announcement.suspect.as_ref()
    }

    /// The records of which it has said that it works on them, if it does.
    pub(super) fn last_words(&self) -> Option<&Suspect> {
        self.announced().filter(|_| self.working().is_some())
    }

    /// Whether it waits for this announcement to be stored.
    pub(super) fn waits_for(&self, number: u64) -> bool {
        let waits = matches!(self.doing, Doing::Announcing(_) | Doing::Clearing);
        waits && number >= self.announcement.number
    }

    /// What it has announced is stored.
    pub(super) fn stored(&mut self) {
        self.doing = match self.doing {
            Doing::Announcing(piece) => Doing::Working(piece),
            Doing::Clearing => Doing::Nothing,
            doing => doing,
        };
    }

    /// The next step of a task that is so far. A record is parked after so many tries.
    pub(super) fn step(&mut self, task: &Progress, most_tries: u32) -> Step {
        match self.doing {
            Doing::Announcing(_) | Doing::Clearing => return Step::Wait,
            Doing::Parking(to) if task.done < to => return Step::Wait,
            Doing::Working(piece) => {
                self.doing = Doing::Nothing;
                self.left = self.left.saturating_sub(piece.to - piece.from);
                return Step::Work(piece);
            }
            Doing::Parking(_) | Doing::Nothing => self.doing = Doing::Nothing,
        }
        let between = task.read >= self.batch_end;
        if task.asked_back || self.left == 0 || between {
            if self.announced().is_some() {
                return self.announce(None, Doing::Clearing);
            }
            self.batch_end = task.available.min(task.read + TOGETHER);
        }
        if task.asked_back || self.left == 0 || task.read >= self.batch_end {
            return Step::Rest;
        }
        if !task.has_room {
            return Step::Wait;
        }
        let piece = self.piece(task.read, self.batch_end);
        let suspect = self.once_more(piece);
        if suspect.tries > most_tries {
            self.doing = Doing::Parking(piece.to);
            return Step::Park(piece.from);
        }
        self.announce(Some(suspect), Doing::Announcing(piece))
    }

    fn announce(&mut self, suspect: Option<Suspect>, doing: Doing) -> Step {
        self.announcement = Announcement { number: self.announcement.number + 1, suspect };
        self.doing = doing;
        Step::Announce(self.announcement.clone())
    }

    /// The records that are worked on next: one, if it is suspect.
    fn piece(&self, from: u64, end: u64) -> Piece {
        let suspect = |record: u64| {
            let place = stream::after(record + 1, &Position::TrimHorizon);
            self.suspect.as_ref().is_some_and(|suspect| suspect.contains(&place))
        };
        let to = match suspect(from) {
            true => from + 1,
            false => (from + 1..end).find(|record| suspect(*record)).unwrap_or(end),
        };
        Piece { from, to }
    }

    fn once_more(&self, piece: Piece) -> Suspect {
        let place = |records| stream::after(records, &Position::TrimHorizon);
        let records = Suspect::new(place(piece.from + 1), place(piece.to));
        match self.suspect.as_ref().filter(|suspect| suspect.is_same_as(&records)) {
            Some(suspect) if records.is_single() => Suspect { tries: suspect.tries + 1, ..records },
            _ => records,
        }
    }
}

/// How far a task is.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) read: u64,
    pub(super) done: u64,
    pub(super) available: u64,
    pub(super) has_room: bool,
    pub(super) asked_back: bool,
}

impl Task {
    /// How far it is, where so many records are there to be read.
    pub(super) fn progress(&self, available: u64) -> Progress {
        Progress {
            read: self.read,
            done: self.done,
            available,
            has_room: self.has_room(),
            asked_back: self.asked_back,
        }
    }
}
