//! How far the workers of this run have come: up to which number every record of the stream has
//! been worked, so that who asks for events sees all that came before his question.
//!
//! Numbers of the local stream follow one another without gaps, over all its shards.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::batch::Batch;

/// Up to where all is worked.
#[derive(Debug, Default)]
pub(in super::super) struct Reached {
    /// Every record up to this number is.
    floor: watch::Sender<u64>,
    /// Numbers above it of records that are, too: as many as are in flight at most.
    above: Mutex<BTreeSet<u64>>,
}

impl Reached {
    /// Nothing is worked yet of what comes after this number; what came before does not matter.
    pub(in super::super) fn begin_after(&self, newest: u64) {
        self.floor.send_replace(newest);
    }

    /// Records of a batch are worked; after a change of owners, some a second time.
    pub(super) fn saw(&self, batch: &Batch) {
        let numbers =
            batch.records.iter().filter_map(|record| record.sequence.as_str().parse().ok());
        self.worked(numbers);
    }

    fn worked(&self, numbers: impl Iterator<Item = u64>) {
        let mut above = self.above.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *self.floor.borrow();
        above.extend(numbers.filter(|number| *number > before));
        let mut floor = before;
        while above.remove(&(floor + 1)) {
            floor += 1;
        }
        if floor > before {
            self.floor.send_replace(floor);
        }
    }

    /// Waits until all records up to this number are worked.
    pub(in super::super) async fn wait(&self, newest: u64) {
        let mut floor = self.floor.subscribe();
        floor.wait_for(|floor| *floor >= newest).await.expect("the sender is here");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_rises_over_what_is_worked_without_a_gap() {
        let reached = Reached::default();
        reached.begin_after(10);
        for (worked, floor) in
            [(vec![12, 14], 10), (vec![3], 10), (vec![11], 12), (vec![12], 12), (vec![15, 13], 15)]
        {
            reached.worked(worked.iter().copied());
            assert_eq!(*reached.floor.borrow(), floor, "{worked:?}");
        }
        assert!(reached.above.lock().expect("ours").is_empty());
    }
}
