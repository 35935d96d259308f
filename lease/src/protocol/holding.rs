//! One lease that is ours, or that we are taking, or that we have lost while its task winds up.
//!
//! A lease has at most one write whose outcome is unknown. That one is repeated, unchanged, until
//! the store says what became of it; only then the next one is made. So a lost reply is found out
//! by the write's id, whichever write it was.

use std::time::Duration;

use super::{Announcement, Command, Grant, Progress, wanted_by_another};
use crate::config::Config;
use crate::lease::{Change, Lease, Stream, Suspect, WorkerId, Write, WriteId};
use crate::plan::Why;
use crate::position::Position;
use crate::store::Outcome;

/// How far a holding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The take is not settled yet.
    Taking,
    /// A shard's task works it.
    Working,
    /// The task has ended; the lease is to be released.
    Dropped,
    /// Another worker has it; our task has not ended yet. Until then we must not take it again.
    Lost,
}

#[derive(Debug)]
pub(super) struct Holding {
    pub(super) stage: Stage,
    pub(super) why: Why,
    /// As last stored by us; while taking, as last seen.
    pub(super) lease: Lease,
    /// Output may be written until then.
    pub(super) deadline: Duration,
    /// Where the shard starts, if the lease does not say it so that it lasts.
    start: Option<Position>,
    position: Position,
    weight: u64,
    lag: Option<Duration>,
    unsettled: Option<Unsettled>,
    /// When the next write is due.
    due: Duration,
    failures: u32,
    offer: Option<WorkerId>,
    asked_back: bool,
    /// The records that the last owner left under suspicion.
    inherited: Option<Suspect>,
    /// What our task has last said of those it works on by themselves.
    announced: Option<Announcement>,
}

/// A write whose outcome is unknown.
#[derive(Debug)]
struct Unsettled {
    write: Write,
    in_flight: bool,
    first_sent: Duration,
    last_sent: Duration,
}

/// What became of a write.
#[derive(Debug)]
pub(super) enum Settled {
    Unknown,
    Stored,
    Refused(Option<Box<Lease>>),
}

impl Holding {
    pub(super) fn taking(
        lease: Lease,
        why: Why,
        start: Option<Position>,
        now: Duration,
    ) -> Holding {
        Holding {
            stage: Stage::Taking,
            why,
            deadline: Duration::ZERO,
            start,
            position: lease.checkpoint.clone(),
            weight: lease.weight,
            lag: None,
            lease,
            unsettled: None,
            due: now,
            failures: 0,
            offer: None,
            asked_back: false,
            inherited: None,
            announced: None,
        }
    }

    /// Whether the lease is ours or may be.
    pub(super) fn is_ours(&self) -> bool {
        self.stage != Stage::Lost
    }

    /// Whether its task may write output.
    pub(super) fn may_work(&self, now: Duration) -> bool {
        self.stage == Stage::Working && now < self.deadline
    }

    pub(super) fn due(&self) -> Option<Duration> {
        let waiting = self.unsettled.as_ref().is_none_or(|unsettled| !unsettled.in_flight);
        (waiting && self.stage != Stage::Lost).then_some(self.due)
    }

    /// Whether no task works the lease any more, and the store has not answered for so long that
    /// it has expired by itself.
    pub(super) fn is_hopeless(&self, now: Duration, lease_duration: Duration) -> bool {
        let since = self.unsettled.as_ref().map(|unsettled| unsettled.first_sent);
        let idle = matches!(self.stage, Stage::Taking | Stage::Dropped);
        idle && since.is_some_and(|since| since + lease_duration < now)
    }

    /// What the shard's task is told.
    pub(super) fn grant(&self) -> Grant {
        Grant {
            key: self.lease.key.clone(),
            epoch: self.lease.counter,
            position: self.lease.checkpoint.clone(),
            fruitless_owners: self.lease.owner_switches,
            suspect: self.inherited.clone(),
            weight: self.lease.weight,
            deadline: self.deadline,
        }
    }

    pub(super) fn worked(&mut self, progress: Progress) {
        self.position = progress.position;
        self.weight = progress.weight;
        self.lag = progress.lag;
    }

    /// The task says what it goes on with by itself.
    pub(super) fn announce(&mut self, news: Announcement, now: Duration) {
        self.announced = Some(news);
        if self.unsettled.is_none() {
            self.due = now;
        }
    }

    /// The number of the task's last announcement, if the lease says the same.
    pub(super) fn stored_announcement(&self) -> Option<u64> {
        let told = self.announced.as_ref()?;
        (self.suspect() == self.lease.suspect).then_some(told.number)
    }

    /// The records under suspicion: what our task is at, or else what it has inherited, so that a
    /// search goes on where it stopped. Those that are done are above it.
    fn suspect(&self) -> Option<Suspect> {
        let told = self.announced.as_ref().and_then(|told| told.suspect.clone());
        told.filter(|suspect| suspect.last > self.position).or_else(|| self.still_inherited())
    }

    fn still_inherited(&self) -> Option<Suspect> {
        self.inherited.clone().filter(|suspect| suspect.last > self.position)
    }

    /// The task has come to `position` and ended; `expected`: not because it failed.
    pub(super) fn end(&mut self, position: Position, expected: bool, now: Duration) {
        self.asked_back |= expected;
        self.position = position;
        self.stage = Stage::Dropped;
        if self.unsettled.is_none() {
            self.due = now;
        }
    }

    /// No task is to work it after all.
    pub(super) fn decline(&mut self, now: Duration) {
        self.end(self.lease.checkpoint.clone(), true, now);
    }

    pub(super) fn offer(&mut self, peer: WorkerId, now: Duration) {
        self.offer = Some(peer);
        self.due = now;
    }

    pub(super) fn ask_back(&mut self, out: &mut Vec<Command>) {
        if self.stage == Stage::Working && !self.asked_back {
            self.asked_back = true;
            out.push(Command::AskBack(self.lease.key.clone()));
        }
    }

    /// A scan shows the lease: another worker may have asked for it since our last write.
    pub(super) fn noticed(&mut self, lease: &Lease, me: &WorkerId, out: &mut Vec<Command>) {
        let ours = self.stage == Stage::Working && lease.counter == self.lease.counter;
        if ours && lease.next.is_some() {
            self.lease.next.clone_from(&lease.next);
            self.heed(me, out);
        }
    }

    /// Asks the task back if another worker wants the lease; not if that is the peer of our own
    /// choice, who is given time to notice.
    pub(super) fn heed(&mut self, me: &WorkerId, out: &mut Vec<Command>) {
        let offered = self.lease.next == self.offer;
        if !offered && wanted_by_another(&self.lease, me) {
            self.ask_back(out);
        }
    }

    /// The write to send now, if one is due.
    pub(super) fn next_write(
        &mut self,
        id: WriteId,
        now: Duration,
        config: &Config,
        stream: &Stream,
    ) -> Option<Write> {
        if self.due().is_none_or(|due| due > now) {
            return None;
        }
        if let Some(unsettled) = &mut self.unsettled {
            unsettled.in_flight = true;
            unsettled.last_sent = now;
            return Some(unsettled.write.clone());
        }
        let Lease { key, counter, .. } = &self.lease;
        let change = self.next_change(config, stream)?;
        let write = Write { key: key.clone(), expected: *counter, id, change };
        self.unsettled = Some(Unsettled {
            write: write.clone(),
            in_flight: true,
            first_sent: now,
            last_sent: now,
        });
        Some(write)
    }

    fn next_change(&self, config: &Config, stream: &Stream) -> Option<Change> {
        let moved = self.position > self.lease.checkpoint && !self.position.is_start();
        let moved = moved.then(|| self.position.clone());
        match self.stage {
            Stage::Taking => Some(Change::Take {
                owner: config.worker_id.clone(),
                switched: self.lease.owner.as_ref().is_some_and(|o| *o != config.worker_id),
                capacity: config.capacity.max(1),
                duration_ms: config.lease_duration.as_millis() as u64,
                stream: stream.clone(),
                start: self.start.clone(),
            }),
            Stage::Working => Some(Change::Renew {
                checkpoint: moved,
                weight: self.weight,
                lag_ms: self.lag.map(|lag| lag.as_millis() as u64),
                offer: self.offer.clone().filter(|_| self.lease.next.is_none()),
                suspect: self.suspect(),
            }),
            Stage::Dropped => {
                let ended = self.position == Position::ShardEnd;
                let next = self.lease.next.clone().or(self.offer.clone());
                let next = next.filter(|next| *next != config.worker_id && !ended);
                // What we suspected ourselves did not kill us.
                let suspect = self.still_inherited();
                // Its task ended though nobody asked it to, and with work left.
                let failed = !self.asked_back && !ended;
                Some(Change::Release { checkpoint: moved, next, suspect, failed })
            }
            Stage::Lost => None,
        }
    }

    /// The store's answer to a write.
    pub(super) fn settle(
        &mut self,
        write: &Write,
        outcome: Option<Outcome>,
        now: Duration,
        config: &Config,
    ) -> Settled {
        let sent = match self.unsettled.as_mut().filter(|u| u.write.id == write.id) {
            Some(unsettled) => {
                unsettled.in_flight = false;
                (unsettled.first_sent, unsettled.last_sent)
            }
            None => return Settled::Unknown,
        };
        match outcome {
            None => {
                self.due = now + backoff(self.failures, config);
                self.failures += 1;
                Settled::Unknown
            }
            Some(Outcome::Applied(lease)) => self.stored(lease, sent.1, config),
            // Stored by an earlier attempt whose reply was lost: which one, nobody knows, so our
            // right to write output counts from the first.
            Some(Outcome::Refused(Some(lease))) if lease.is_written_by(write) => {
                self.stored(lease, sent.0, config)
            }
            Some(Outcome::Refused(current)) => Settled::Refused(current.map(Box::new)),
        }
    }

    fn stored(&mut self, lease: Lease, sent: Duration, config: &Config) -> Settled {
        self.unsettled = None;
        self.failures = 0;
        self.lease = lease;
        self.deadline = self.deadline.max(sent + config.lease_duration - config.margin());
        self.due = sent + config.renew_interval;
        match self.stage {
            Stage::Taking => {
                self.stage = Stage::Working;
                self.position = self.lease.checkpoint.clone();
                let suspect = self.lease.suspect.clone();
                self.inherited = suspect.filter(|suspect| suspect.last > self.position);
            }
            // The task ended while this write was on its way.
            Stage::Dropped => self.due = sent,
            Stage::Working | Stage::Lost => {}
        }
        let news = self.announced.is_some() && self.stored_announcement().is_none();
        if news || (self.offer.is_some() && self.lease.next.is_none()) {
            self.due = sent;
        }
        Settled::Stored
    }
}

/// How long to wait before a write is repeated: a sixteenth of the renewal interval, then twice
/// as long each time, up to the interval.
fn backoff(failures: u32, config: &Config) -> Duration {
    config.renew_interval * (1 << failures.min(4)) / 16
}
