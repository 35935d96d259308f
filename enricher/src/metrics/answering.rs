//! Whether those answer who are asked all the time, registries and look-ups, told from what was
//! counted of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::health::{Check, Failure, Health, Need};

/// Those of the configuration, as they were counted last.
#[derive(Debug, Default)]
pub(super) struct Answering(Mutex<BTreeMap<String, One>>);

#[derive(Debug)]
struct One {
    check: Arc<Check>,
    answered: u64,
    failed: u64,
}

impl Answering {
    /// Takes note of what came since the last time: how often each, by what it is and its name,
    /// has answered and has failed.
    pub(super) fn note(&self, what: String, answered: u64, failed: u64, health: &Health) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let one = known.entry(what).or_insert_with_key(|what| {
            let check = health.check(what.clone(), Need::WhenUsed);
            One { check, answered: 0, failed: 0 }
        });
        if answered > one.answered {
            one.check.succeeded();
        } else if failed > one.failed {
            let times = failed - one.failed;
            one.check.failed(&Failure {
                action: "look-up",
                status: None,
                code: None,
                message: format!("{times} requests in a second without a verdict"),
                passing: true,
            });
        }
        (one.answered, one.failed) = (answered, failed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_that_does_not_answer_is_a_reason() {
        let (answering, health) = (Answering::default(), Health::default());
        let note = |answered, failed| {
            answering.note("registry Acme".to_owned(), answered, failed, &health);
        };
        note(0, 0);
        assert!(health.reasons().is_empty(), "it was not used yet");
        note(0, 3);
        assert_eq!(health.reasons().len(), 1);
        note(0, 3);
        assert_eq!(health.reasons().len(), 1, "nothing has changed");
        note(1, 3);
        assert!(health.reasons().is_empty());
    }
}
