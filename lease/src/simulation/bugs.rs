//! Protocol bugs to plant: each breaks one rule, from outside the shipped code, and each must be
//! caught by an invariant.

use std::collections::BTreeSet;
use std::time::Duration;

use super::weather::Weather;
use super::world::SECOND;
use crate::config::Config;
use crate::lease::{Change, Counter, Lease, Stream, WorkerId, Write};
use crate::position::{Position, ShardId};
use crate::protocol::{Command, Event};
use crate::store::Outcome;

/// A planted bug, named by the rule it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    /// A renewal is conditional on the owner, not on the counter.
    RenewalIgnoresCounter,
    /// A take is conditional on nothing.
    TakeIgnoresCounter,
    /// A release leaves the counter alone, so the next take has an epoch that was used before.
    ReleaseKeepsCounter,
    /// Asking for a lease moves its counter.
    AskMovesCounter,
    /// The deadline counts from the reply of a renewal, not from its sending.
    DeadlineFromReply,
    /// The deadline has no margin for clocks that drift.
    DeadlineWithoutMargin,
    /// The deadline is not looked at at all.
    NoDeadline,
    /// A lease counts as expired after half its duration.
    ExpiryTooSoon,
    /// A write whose reply was lost is not recognised.
    LostReplyIsLostLease,
    /// A refused renewal is taken for a stored one.
    RefusalIgnored,
    /// The checkpoint is what was read, not what is durable.
    CheckpointWhatWasRead,
    /// A checkpoint is written from an old report.
    CheckpointFromTheStart,
    /// The lease is released while output is under way.
    ReleaseBeforeOutputEnds,
    /// A child is taken without regard to its parents.
    ChildrenDoNotWait,
    /// A child starts at the newest record.
    ChildrenStartAtLatest,
    /// The announced next owner takes the lease while its owner still works.
    NextOwnerDoesNotWait,
    /// The shard's task is not told that the lease is lost, and holds on to it.
    LossIsNotTold,
    /// A shard counts as ended when it is closed, whatever is still unread.
    ClosedIsEnded,
    /// A task goes on before what it has announced is stored.
    AnnouncedBeforeStored,
    /// A take removes what the last owner had announced.
    TakeForgetsSuspicion,
    /// A record is parked after a single owner went while it worked on it.
    ParkedAtFirstDeath,
    /// A record is tried again, however many owners went while they worked on it.
    KillerIsNeverParked,
    /// A lease is taken though it is of a stream that is no more.
    ForeignLeaseTaken,
    /// The counter of a lease that is created anew has the values of the old one again.
    CountersStartAtZero,
    /// An ended lease names one of its children only.
    OneChildIsNamed,
    /// Only the worker that came to a shard's end creates its children's leases.
    OnlyTheLastOwnerCreatesChildren,
    /// A lease is deleted as soon as its shard is done.
    ParentDeletedAtItsEnd,
    /// A lease that is left for a worker which never comes is left for ever.
    ReservedForEver,
    /// Every owner of a shard that starts at the newest records starts at those that are newest
    /// when it comes.
    LatestIsResolvedAnew,
    /// Where a lease starts that does not say it for good is not stored when it is taken.
    StartIsNotStored,
    /// A lease of another stream is told by the time of its creation alone.
    NamesAreNotCompared,
    /// Who gave a shard back leaves it alone for a while, and nobody else does.
    PauseIsMineAlone,
    /// A lease expires by the duration of whoever looks at it.
    DurationsOfOthersDoNotCount,
}

pub(super) const ALL: [Bug; 33] = [
    Bug::RenewalIgnoresCounter,
    Bug::TakeIgnoresCounter,
    Bug::ReleaseKeepsCounter,
    Bug::AskMovesCounter,
    Bug::DeadlineFromReply,
    Bug::DeadlineWithoutMargin,
    Bug::NoDeadline,
    Bug::ExpiryTooSoon,
    Bug::LostReplyIsLostLease,
    Bug::RefusalIgnored,
    Bug::CheckpointWhatWasRead,
    Bug::CheckpointFromTheStart,
    Bug::ReleaseBeforeOutputEnds,
    Bug::ChildrenDoNotWait,
    Bug::ChildrenStartAtLatest,
    Bug::NextOwnerDoesNotWait,
    Bug::LossIsNotTold,
    Bug::ClosedIsEnded,
    Bug::AnnouncedBeforeStored,
    Bug::TakeForgetsSuspicion,
    Bug::ParkedAtFirstDeath,
    Bug::KillerIsNeverParked,
    Bug::ForeignLeaseTaken,
    Bug::CountersStartAtZero,
    Bug::OneChildIsNamed,
    Bug::OnlyTheLastOwnerCreatesChildren,
    Bug::ParentDeletedAtItsEnd,
    Bug::ReservedForEver,
    Bug::LatestIsResolvedAnew,
    Bug::StartIsNotStored,
    Bug::NamesAreNotCompared,
    Bug::PauseIsMineAlone,
    Bug::DurationsOfOthersDoNotCount,
];

impl Bug {
    /// Sees to it that there is what the bug is about.
    pub(super) fn arrange(self, weather: &mut Weather) {
        match self {
            Bug::AnnouncedBeforeStored
            | Bug::TakeForgetsSuspicion
            | Bug::ParkedAtFirstDeath
            | Bug::KillerIsNeverParked => weather.killers = weather.killers.max(1),
            Bug::ForeignLeaseTaken | Bug::CountersStartAtZero => {
                weather.recreated = weather.recreated.or(Some(15 * SECOND));
                weather.inherited = false;
            }
            Bug::NamesAreNotCompared => {
                weather.recreated = weather.recreated.or(Some(15 * SECOND));
                (weather.inherited, weather.renamed) = (false, true);
            }
            Bug::LatestIsResolvedAnew | Bug::StartIsNotStored => {
                weather.latest = true;
                (weather.inherited, weather.recreated) = (false, None);
            }
            Bug::PauseIsMineAlone => weather.broken = weather.broken.max(100),
            Bug::DurationsOfOthersDoNotCount => weather.two_durations = true,
            _ => {}
        }
    }

    /// Changes the settings of a worker.
    pub(super) fn configure(self, config: &mut Config) {
        if self == Bug::ExpiryTooSoon {
            let full = config.lease_duration;
            config.lease_duration = full / 2;
            config.renew_interval = full / 3;
        }
    }

    /// Changes a lease that is about to be created.
    pub(super) fn before_creation(self, lease: &mut Lease) {
        if self == Bug::CountersStartAtZero {
            lease.counter = Counter(0);
        }
    }

    /// Changes a write before the store looks at it.
    pub(super) fn before_store(self, old: &Lease, write: &mut Write) {
        if let (Bug::CheckpointFromTheStart, Change::Renew { checkpoint: Some(to), .. }) =
            (self, &mut write.change)
        {
            *to = Position::TrimHorizon;
        }
        if let (Bug::StartIsNotStored, Change::Take { start, .. }) = (self, &mut write.change) {
            *start = None;
        }
        if let (Bug::OneChildIsNamed, Change::Note { children }) = (self, &mut write.change) {
            children.truncate(1);
        }
        let blind = matches!(
            (self, &write.change),
            (Bug::RenewalIgnoresCounter, Change::Renew { .. })
                | (Bug::TakeIgnoresCounter, Change::Take { .. })
        );
        if blind {
            write.expected = old.counter;
        }
    }

    /// Changes what the store stores.
    pub(super) fn after_store(self, write: &Write, new: &mut Lease) {
        match (self, &write.change) {
            (Bug::ReleaseKeepsCounter, Change::Release { .. }) => new.counter = write.expected,
            (Bug::AskMovesCounter, Change::Ask { .. }) => new.counter = write.expected.next(),
            (Bug::TakeForgetsSuspicion, Change::Take { .. }) => new.suspect = None,
            _ => {}
        }
    }

    /// Changes an event before a worker's protocol sees it.
    pub(super) fn before_step(self, event: &mut Event, me: &WorkerId) {
        match (self, event) {
            (Bug::LostReplyIsLostLease, Event::Wrote(_, Some(Outcome::Refused(Some(lease))))) => {
                lease.written = None;
            }
            (Bug::RefusalIgnored, Event::Wrote(write, Some(outcome))) => {
                if let (Outcome::Refused(Some(lease)), Change::Renew { .. }) =
                    (&*outcome, &write.change)
                {
                    *outcome = Outcome::Applied(lease.clone());
                }
            }
            (Bug::ChildrenDoNotWait, Event::Scanned(Some(scan))) => {
                scan.leases.iter_mut().for_each(|lease| lease.parents.clear());
            }
            (Bug::ForeignLeaseTaken, Event::Scanned(Some(scan))) => {
                scan.leases.iter_mut().for_each(|lease| lease.stream = Stream::default());
            }
            (Bug::NamesAreNotCompared, Event::Scanned(Some(scan))) => {
                scan.leases.iter_mut().for_each(|lease| lease.stream.name = None);
            }
            (Bug::PauseIsMineAlone, Event::Scanned(Some(scan))) => {
                scan.leases.iter_mut().for_each(|lease| lease.failures = 0);
            }
            (Bug::DurationsOfOthersDoNotCount, Event::Scanned(Some(scan))) => {
                scan.leases.iter_mut().for_each(|lease| lease.duration_ms = None);
            }
            (Bug::ReservedForEver, Event::Scanned(Some(scan))) => {
                let left = |lease: &Lease| lease.next.as_ref().is_some_and(|next| next != me);
                let left = scan.leases.iter_mut().filter(|l| l.owner.is_none() && left(l));
                left.for_each(|lease| lease.stream.created = Some(u64::MAX));
            }
            (Bug::NextOwnerDoesNotWait, Event::Got(_, Some(Some(lease))))
                if lease.next.as_ref() == Some(me) =>
            {
                lease.owner = None;
            }
            _ => {}
        }
    }

    /// What a worker does about an event besides what its protocol commands.
    pub(super) fn reflex(self, event: &Event) -> Option<Command> {
        match (self, event) {
            (Bug::AnnouncedBeforeStored, Event::Announced(progress, news)) => {
                Some(Command::Announced(progress.key.clone(), news.number))
            }
            (Bug::ParentDeletedAtItsEnd, Event::Wrote(_, Some(Outcome::Applied(lease))))
                if lease.ended() && lease.owner.is_none() =>
            {
                Some(Command::Delete(lease.key.clone(), lease.counter))
            }
            _ => None,
        }
    }

    /// Whether a worker that has worked these shards to their end creates a lease.
    pub(super) fn creates(self, lease: &Lease, finished: &BTreeSet<ShardId>) -> bool {
        let alone = self == Bug::OnlyTheLastOwnerCreatesChildren;
        !alone || lease.parents.is_empty() || lease.parents.iter().any(|p| finished.contains(p))
    }

    /// Changes what a worker's protocol commands; `now` and the settings are that worker's.
    pub(super) fn after_step(
        self,
        commands: &mut Vec<Command>,
        now: Duration,
        config: &Config,
        honest_duration: Duration,
    ) {
        let margin = config.margin();
        for command in commands.iter_mut() {
            let deadline = match command {
                Command::Extend(_, deadline, _) => Some(deadline),
                Command::Grant(grant) => Some(&mut grant.deadline),
                _ => None,
            };
            if let Some(deadline) = deadline {
                *deadline = match self {
                    Bug::DeadlineFromReply => now + config.lease_duration - margin,
                    Bug::DeadlineWithoutMargin => *deadline + margin,
                    Bug::NoDeadline => now + Duration::from_secs(100_000),
                    // The owner itself goes by the true duration: only the taker errs.
                    Bug::ExpiryTooSoon => *deadline + honest_duration.mul_f64(0.4),
                    _ => *deadline,
                };
            }
            if let (Bug::LatestIsResolvedAnew, Command::Grant(grant)) = (self, &mut *command)
                && grant.position.is_start()
                && grant.position != Position::TrimHorizon
            {
                grant.position = Position::Latest;
            }
            if let (Bug::ChildrenStartAtLatest, Command::Grant(grant)) = (self, &mut *command)
                && grant.position == Position::TrimHorizon
            {
                grant.position = Position::Latest;
            }
        }
        if self == Bug::LossIsNotTold {
            commands.retain(|command| !matches!(command, Command::Lose(_)));
        }
    }
}
