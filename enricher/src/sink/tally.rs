//! What would be written again if a shard were begun anew from its checkpoint.

use std::sync::{Mutex, MutexGuard, PoisonError};

use lease::Position;

/// The lines of one shard that are durable in a destination and may not be in the checkpoint yet,
/// by the end of the batch that they are from. A line counts once for each destination it is in.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Vec<(Position, u64)>>);

impl Tally {
    /// Lines of a batch that ends there are durable.
    pub fn add(&self, end: Position, lines: usize) {
        let mut durable = self.lock();
        match durable.iter_mut().find(|(other, _)| *other == end) {
            Some((_, all)) => *all += lines as u64,
            None => durable.push((end, lines as u64)),
        }
    }

    /// The checkpoint is here: nothing up to it is written again.
    pub fn settle(&self, checkpoint: &Position) {
        self.lock().retain(|(end, _)| end > checkpoint);
    }

    /// How many lines a shard that is begun there writes again.
    pub fn beyond(&self, start: &Position) -> u64 {
        self.lock().iter().filter(|(end, _)| end > start).map(|(_, lines)| lines).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Position, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lease::SequenceNumber;

    fn after(number: &str) -> Position {
        let sequence = SequenceNumber::parse(number).expect("a number");
        Position::After { sequence, sub_sequence: 0 }
    }

    #[test]
    fn what_is_past_the_checkpoint_is_written_again() {
        let tally = Tally::default();
        for (end, lines) in [("20", 5), ("9", 3), ("20", 2), ("100", 1)] {
            tally.add(after(end), lines);
        }
        for (start, lines) in [("8", 11), ("9", 8), ("19", 8), ("20", 1), ("100", 0)] {
            assert_eq!(tally.beyond(&after(start)), lines, "from {start}");
        }
        tally.settle(&after("20"));
        assert_eq!(tally.beyond(&after("8")), 1, "the rest is forgotten");
    }
}
