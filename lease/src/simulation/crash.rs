//! Where a process can die: around every operation of the store, and around everything that a
//! shard's task waits for.

use crate::lease::Change;
use crate::protocol::Command;

/// An operation of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Scan,
    Get,
    Create,
    Delete,
    Take,
    Renew,
    Release,
    Ask,
    Note,
}

/// A moment at which a process can die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Point {
    /// It has decided on the operation, and not sent it.
    Before(Operation),
    /// It has sent it, and the store is about to carry it out.
    Sent(Operation),
    /// It is carried out, and the answer is on its way.
    Applied(Operation),
    /// The answer has arrived, and nothing has been made of it.
    Answered(Operation),
    /// A lease is ours, and its task has not begun.
    Granted,
    /// The task has been told something, and has not acted upon it.
    Told,
    /// Records are processed, and their output is not sent.
    Processed,
    /// Their output is durable, and the task does not know.
    Landed,
    /// The task has come to its end, and the keeper does not know.
    Ended,
}

const OPERATIONS: [Operation; 9] = [
    Operation::Scan,
    Operation::Get,
    Operation::Create,
    Operation::Delete,
    Operation::Take,
    Operation::Renew,
    Operation::Release,
    Operation::Ask,
    Operation::Note,
];

/// Every moment there is.
pub(super) fn points() -> Vec<Point> {
    let around = [Point::Before, Point::Sent, Point::Applied, Point::Answered];
    let around = OPERATIONS.iter().flat_map(|operation| around.map(|point| point(*operation)));
    around
        .chain([Point::Granted, Point::Told, Point::Processed, Point::Landed, Point::Ended])
        .collect()
}

impl Operation {
    /// Which operation a command is; `None` if it is not for the store.
    pub(super) fn of(command: &Command) -> Option<Operation> {
        Some(match command {
            Command::Scan => Operation::Scan,
            Command::Get(_) => Operation::Get,
            Command::Create(_) => Operation::Create,
            Command::Delete(..) => Operation::Delete,
            Command::Write(write) => match write.change {
                Change::Take { .. } => Operation::Take,
                Change::Renew { .. } => Operation::Renew,
                Change::Release { .. } => Operation::Release,
                Change::Ask { .. } => Operation::Ask,
                Change::Note { .. } => Operation::Note,
            },
            _ => return None,
        })
    }
}
