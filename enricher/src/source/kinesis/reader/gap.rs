//! What may have expired before it was read: pure, from what the stream says of each answer.
//!
//! An answer that is so long behind the shard's tip covers everything up to that time. If the time
//! up to which all is covered is longer ago than the stream keeps records, some may have been lost
//! since: how many nobody knows, but between which times. A stream tells of that by refusing a
//! position, or not at all: it goes on with the oldest record that it has.

use std::time::Duration;

/// The time up to which a shard's records are covered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Covered {
    /// In milliseconds since 1970; absent as long as it is not known.
    until_ms: Option<i64>,
    /// The stream has refused the position that it was asked to go on after.
    refused: bool,
    /// The record that the position names may be asked for again, to see whether it is there.
    asked: bool,
}

/// An answer of the stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) now_ms: i64,
    /// How far behind the tip its end is.
    pub(super) lag: Option<Duration>,
    /// Its first record, if it has any.
    pub(super) first: Option<First>,
}

/// The first record of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct First {
    /// When it came, in milliseconds since 1970.
    pub(super) came_ms: Option<i64>,
    /// It is the one that the position names, or one before: nothing is missing.
    pub(super) known: bool,
}

/// What may be missing before an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    /// From what was covered to what the stream still has, where that is known.
    pub(super) time: Option<Duration>,
}

impl Covered {
    /// Reading goes on after a record of that time, if it is known.
    pub(super) fn resumed(until_ms: Option<i64>) -> Covered {
        Covered { until_ms, refused: false, asked: true }
    }

    /// The stream has refused the position.
    pub(super) fn refused(&mut self) {
        self.refused = true;
    }

    /// Whether it has, and reading begins with the oldest record.
    pub(super) fn is_refused(&self) -> bool {
        self.refused
    }

    /// Takes note of an answer. Says what may be missing before it, given how long the stream keeps
    /// records, where that is known.
    pub(super) fn answered(&mut self, answer: Answer, retention: Option<Duration>) -> Option<Gap> {
        let Answer { now_ms, lag, first } = answer;
        let end = lag.map(|lag| now_ms.saturating_sub_unsigned(lag.as_millis() as u64));
        let known = first.is_some_and(|first| first.known);
        let horizon =
            retention.map(|retention| now_ms.saturating_sub_unsigned(retention.as_millis() as u64));
        let expired = self.until_ms.zip(horizon).is_some_and(|(until, horizon)| until < horizon);
        // An empty shard that was resumed has nothing to say of what was in it.
        let silent =
            first.is_none() && (self.refused || (self.asked && lag == Some(Duration::ZERO)));
        if silent {
            if !self.refused {
                *self = Covered { until_ms: end, refused: false, asked: false };
            }
            return None;
        }
        let missing = (self.refused || expired) && !known;
        let begins = first.and_then(|first| first.came_ms).or(end);
        let begins = begins.map(|begins| horizon.map_or(begins, |horizon| begins.min(horizon)));
        let gap = missing.then(|| {
            let time = begins.zip(self.until_ms).map(|(begins, until)| begins - until);
            let time = time.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
            Gap { time }
        });
        let until_ms = end.or(first.and_then(|first| first.came_ms)).or(self.until_ms);
        *self = Covered { until_ms, refused: false, asked: false };
        gap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const DAY: Option<Duration> = Some(Duration::from_secs(86_400));

    fn hours(hours: u64) -> Option<Duration> {
        Some(Duration::from_secs(hours * 3_600))
    }

    fn answer(now: i64, lag: u64, first: Option<(i64, bool)>) -> Answer {
        let first = first.map(|(came, known)| First { came_ms: Some(came * HOUR), known });
        Answer { now_ms: now * HOUR, lag: hours(lag), first }
    }

    fn lost(time: Option<Duration>) -> Option<Gap> {
        Some(Gap { time })
    }

    #[test]
    fn a_refused_position_is_a_gap_once_a_record_says_where_it_ends() {
        let mut covered = Covered::resumed(Some(0));
        covered.refused();
        assert_eq!(covered.answered(answer(30, 24, None), DAY), None, "nothing is known yet");
        assert!(covered.is_refused());
        assert_eq!(covered.answered(answer(30, 20, Some((8, false))), DAY), lost(hours(6)));
        assert_eq!(covered.answered(answer(30, 0, Some((29, false))), DAY), None);
    }

    #[test]
    fn without_a_word_of_the_stream_the_retention_tells() {
        let mut covered = Covered::resumed(Some(0));
        assert_eq!(covered.answered(answer(30, 20, Some((7, false))), DAY), lost(hours(6)));
        let mut covered = Covered::resumed(Some(0));
        assert_eq!(covered.answered(answer(30, 20, Some((0, true))), DAY), None, "it is there");
        let mut covered = Covered::resumed(Some(7 * HOUR));
        assert_eq!(covered.answered(answer(30, 20, Some((8, false))), DAY), None, "not so old");
        let mut covered = Covered::resumed(Some(0));
        assert_eq!(covered.answered(answer(30, 20, Some((7, false))), None), None, "who knows");
        let mut covered = Covered::resumed(None);
        assert_eq!(covered.answered(answer(30, 20, Some((7, false))), DAY), None, "who knows");
    }

    #[test]
    fn a_shard_that_was_idle_has_lost_nothing_that_is_known() {
        let mut covered = Covered::resumed(Some(0));
        assert_eq!(covered.answered(answer(100, 0, None), DAY), None);
        assert_eq!(covered.answered(answer(110, 0, Some((110, false))), DAY), None);
        assert_eq!(covered.answered(answer(500, 0, None), None), None);
    }

    #[test]
    fn a_reader_that_stood_still_for_too_long_has_a_gap() {
        let mut covered = Covered::default();
        assert_eq!(covered.answered(answer(0, 0, Some((0, false))), DAY), None);
        assert_eq!(covered.answered(answer(23, 0, Some((1, false))), DAY), None);
        assert_eq!(covered.answered(answer(50, 24, Some((26, false))), DAY), lost(hours(3)));
        assert_eq!(covered.answered(answer(51, 0, None), DAY), lost(hours(1)), "27 - 26");
        assert_eq!(covered.answered(answer(90, 24, None), DAY), lost(hours(15)), "66 - 51");
    }
}
