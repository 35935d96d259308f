//! Bad rows by reason, schema and application. What comes in decides how many of these there are,
//! so only the most frequent have series of their own.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use pipeline::Cause;
use prometheus::IntCounterVec;

use super::make::{Maker, counters};

/// So many causes have series of their own.
const SHOWN: usize = 100;

/// So many others are counted, to find those that have become frequent.
const WATCHED: usize = 1_000;

/// What stands for every cause that has no series.
const OTHER: [&str; 4] = ["other", "other", "other", "other"];

/// The counters, and who has one.
#[derive(Debug)]
pub(super) struct Causes {
    counter: IntCounterVec,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// How often each that has a series came.
    shown: HashMap<Cause, u64>,
    /// How often each came that has none.
    watched: HashMap<Cause, u64>,
}

impl Causes {
    pub(super) fn new(maker: &Maker) -> Causes {
        let counter = counters(
            maker,
            "bad_events_total",
            "Bad rows made, by their first reason, the schema that it is about and the \
             application: the 100 most frequent, and all others as `other`. A cause whose series \
             goes away for a more frequent one is counted there from then on.",
            &["kind", "reason", "schema", "app_id"],
        );
        Causes { counter, known: Mutex::default() }
    }

    /// Rows were made for these causes.
    pub(super) fn count(&self, causes: &[Cause]) {
        if causes.is_empty() {
            return;
        }
        let known = &mut *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for cause in causes {
            if let Some(gone) = known.count(cause) {
                // Errs only if it had no series.
                let _ = self.counter.remove_label_values(&labels(&gone));
            }
            let shown = known.shown.contains_key(cause);
            let labels = if shown { labels(cause) } else { OTHER };
            self.counter.with_label_values(&labels).inc();
        }
    }
}

impl Known {
    /// Counts one more; returns who gave up its place for it.
    fn count(&mut self, cause: &Cause) -> Option<Cause> {
        if let Some(times) = self.shown.get_mut(cause) {
            *times += 1;
            return None;
        }
        if self.shown.len() < SHOWN {
            self.shown.insert(cause.clone(), 1);
            return None;
        }
        if self.watched.len() >= WATCHED && !self.watched.contains_key(cause) {
            // Whatever was rare until now has to begin again.
            self.watched.clear();
        }
        let times = self.watched.entry(cause.clone()).or_default();
        *times += 1;
        let times = *times;
        let rarest = self.shown.iter().min_by_key(|(cause, times)| (**times, *cause));
        // Twice as often: two that are as frequent do not take turns.
        let (rarest, _) = rarest.filter(|(_, shown)| times > 2 * **shown)?;
        let rarest = rarest.clone();
        self.watched.remove(cause);
        self.shown.insert(cause.clone(), times);
        let kept = self.shown.remove(&rarest).unwrap_or_default();
        self.watched.insert(rarest.clone(), kept);
        Some(rarest)
    }
}

fn labels(cause: &Cause) -> [&str; 4] {
    [cause.kind.name(), cause.reason, &cause.schema, &cause.app_id]
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::bad_row::BadKind;

    fn cause(app_id: &str) -> Cause {
        Cause {
            kind: BadKind::SchemaViolations,
            reason: "validation",
            schema: "com.acme/click/jsonschema/1-0-0".into(),
            app_id: app_id.into(),
        }
    }

    fn of(causes: &Causes, app_id: &str) -> u64 {
        let cause = cause(app_id);
        causes.counter.with_label_values(&labels(&cause)).get()
    }

    #[test]
    fn the_frequent_have_series_and_the_rest_is_other() {
        let causes = Causes::new(&Maker::default());
        for n in 0..5_000 {
            causes.count(&[cause("shop"), cause(&format!("app{n}"))]);
        }
        assert_eq!(of(&causes, "shop"), 5_000);
        assert_eq!(causes.counter.with_label_values(&OTHER).get(), 5_000 - 99);
        let known = causes.known.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(known.shown.len(), SHOWN);
        assert!(known.watched.len() <= WATCHED);
    }

    #[test]
    fn what_becomes_frequent_takes_the_place_of_what_is_rare() {
        let causes = Causes::new(&Maker::default());
        for n in 0..SHOWN {
            causes.count(&[cause(&format!("app{n:03}"))]);
        }
        for _ in 0..10 {
            causes.count(&[cause("late")]);
        }
        assert_eq!(causes.counter.with_label_values(&OTHER).get(), 2);
        assert_eq!(of(&causes, "late"), 8, "it was counted with the others before");
        assert_eq!(of(&causes, "app000"), 0, "the rarest has gone");
    }
}
