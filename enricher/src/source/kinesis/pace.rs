//! How often a shard is asked for records, how much room an answer needs, and how long a shard is
//! polled that cannot be subscribed to: pure, from what the last answers were.

use std::time::Duration;

/// Between two requests for records of one shard: five a second are granted, and one second's
/// fifth has to do for a reader that is taking the shard over.
pub const LEAST_INTERVAL: Duration = Duration::from_millis(250);

/// What AWS takes into a shard in a second.
const BYTES_PER_SECOND: usize = 1 << 20;

/// The most records AWS puts into one answer.
const PAGE_RECORDS: i32 = 10_000;

/// The largest answer.
const PAGE_BYTES: usize = 10 << 20;

/// What an answer occupies while it is read, for each byte of its records: Base64 in JSON and what
/// is decoded of it.
const COST: usize = 3;

/// The pace of one shard's reader.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    fastest: Duration,
    slowest: Duration,
    next: Duration,
    behind: bool,
    /// Attempts that took too long, since an answer had less than was asked for.
    too_long: u32,
}

impl Pace {
    /// From `fastest`, while there are records, to `slowest`, while there are none.
    pub(super) fn new(fastest: Duration, slowest: Duration) -> Pace {
        Pace { fastest, slowest: slowest.max(fastest), next: fastest, behind: true, too_long: 0 }
    }

    /// The longest time between two requests.
    pub(super) fn slowest(&self) -> Duration {
        self.slowest
    }

    /// The time from one request to the next, after an answer with or without records, at the tip
    /// of the shard or behind it.
    pub(super) fn after(&mut self, records: bool, behind: bool) -> Duration {
        self.behind = behind;
        if behind {
            self.next = self.fastest;
            return LEAST_INTERVAL;
        }
        if records {
            self.next = self.fastest;
        } else {
            // Half as long again each time: a pause between two visitors is no silence.
            self.next = self.next.mul_f64(1.5).min(self.slowest);
        }
        self.next
    }

    /// How many records to ask for, and how often that took too long: a quarter each time, so that
    /// a slow line or a busy service comes to an end with something.
    pub(super) fn attempt(&self) -> (i32, u32) {
        ((PAGE_RECORDS >> (2 * self.too_long.min(7))).max(1), self.too_long)
    }

    /// The last attempt was given up.
    pub(super) fn took_too_long(&mut self) {
        self.too_long = self.too_long.saturating_add(1);
    }

    /// The last attempt had an answer. While answers are full, larger ones would take longer.
    pub(super) fn answered(&mut self, records: usize) {
        if records < self.attempt().0 as usize {
            self.too_long = 0;
        }
    }

    /// The room that the next answer may need. At the tip there is no more than what came in since
    /// the last answer.
    pub(super) fn room(&self, since_last: Duration) -> usize {
        let seconds = since_last.as_secs() as usize + 2;
        let bytes = if self.behind { PAGE_BYTES } else { seconds * BYTES_PER_SECOND };
        bytes.min(PAGE_BYTES) * COST
    }
}

/// AWS refuses a subscription within so long of the one before it, and one that another reader of
/// the shard, which has just lost it, began within this time.
const FIRST_SPELL: Duration = Duration::from_secs(5);

/// As long as a subscription lasts: what is repaired is found out soon enough.
const LONGEST_SPELL: Duration = Duration::from_secs(300);

/// How long a shard is polled that cannot be subscribed to: twice as long each time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spells {
    first: Duration,
    refused: u32,
}

impl Default for Spells {
    fn default() -> Spells {
        Spells::new(FIRST_SPELL)
    }
}

impl Spells {
    /// The first of so long.
    pub(super) fn new(first: Duration) -> Spells {
        Spells { first, refused: 0 }
    }

    /// The time until the next attempt, after one that failed.
    pub(super) fn next(&mut self) -> Duration {
        let spell = self.first.saturating_mul(1 << self.refused.min(16)).min(LONGEST_SPELL);
        self.refused = self.refused.saturating_add(1);
        spell
    }

    /// A subscription has ended after so long, and had events. Whether another may be asked for at
    /// once.
    pub(super) fn ended(&mut self, lasted: Duration) -> bool {
        let whole = lasted >= self.first;
        if whole {
            self.refused = 0;
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_millis(500);
    const SLOW: Duration = Duration::from_millis(1500);

    #[test]
    fn silence_slows_down_and_a_record_speeds_up_at_once() {
        let mut pace = Pace::new(FAST, SLOW);
        let mut silence = |records| pace.after(records, false).as_millis();
        let millis: Vec<u128> = (0..4).map(|_| silence(false)).collect();
        assert_eq!(millis, [750, 1125, 1500, 1500]);
        assert_eq!(silence(true), 500);
        assert_eq!(silence(false), 750);
    }

    #[test]
    fn what_is_behind_is_read_as_fast_as_is_granted() {
        let mut pace = Pace::new(FAST, SLOW);
        pace.after(false, false);
        assert_eq!(pace.after(false, true), LEAST_INTERVAL);
        assert_eq!(pace.after(true, false), FAST);
    }

    #[test]
    fn what_took_too_long_is_asked_for_in_smaller_pieces() {
        let mut pace = Pace::new(FAST, SLOW);
        assert_eq!(pace.attempt(), (10_000, 0));
        pace.took_too_long();
        pace.took_too_long();
        assert_eq!(pace.attempt(), (625, 2));
        pace.answered(625);
        assert_eq!(pace.attempt(), (625, 2), "there is more");
        pace.answered(624);
        assert_eq!(pace.attempt(), (10_000, 0));
        (0..100).for_each(|_| pace.took_too_long());
        assert_eq!(pace.attempt().0, 1);
    }

    #[test]
    fn room_is_for_what_can_have_come() {
        let mut pace = Pace::new(FAST, SLOW);
        assert_eq!(pace.room(Duration::ZERO), PAGE_BYTES * COST, "nothing is known yet");
        pace.after(true, false);
        assert_eq!(pace.room(Duration::from_millis(1500)), 3 * BYTES_PER_SECOND * COST);
        assert_eq!(pace.room(Duration::from_secs(3600)), PAGE_BYTES * COST);
    }

    #[test]
    fn what_is_refused_again_is_polled_for_longer() {
        let mut spells = Spells::default();
        let seconds: Vec<u64> = (0..8).map(|_| spells.next().as_secs()).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 80, 160, 300, 300]);
        assert!(!spells.ended(Duration::from_secs(4)), "the next would be refused");
        assert_eq!(spells.next().as_secs(), 300);
        assert!(spells.ended(Duration::from_secs(5)));
        assert_eq!(spells.next().as_secs(), 5);
    }
}
