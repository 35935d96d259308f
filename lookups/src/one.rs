//! One look-up: its questions, each sent once, and what their answers or the want of them mean.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use enrichments::lookup::{Answer, Cache, Key, Then, Unavailable};
use event::reason::Words;
use foldhash::fast::RandomState;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;

use crate::circuit::{Circuit, Turn};
use crate::figures::Counters;
use crate::kept::Kept;
use crate::{Ask, Figures, Settings, Trouble};

/// Failures in a row after which a look-up is left alone whose events fail with it: so many are no
/// accident of some questions.
const PATIENT: u32 = 10;

/// A look-up.
pub(crate) struct One {
    name: &'static str,
    whom: Box<dyn Ask>,
    then: Then,
    patience: Duration,
    kept: Kept,
    circuit: Circuit,
    concurrency: usize,
    room: Semaphore,
    /// Questions under way, for all who have them.
    under_way: Mutex<HashMap<Key, Arc<OnceCell<Answer>>, RandomState>>,
    counters: Counters,
}

impl fmt::Debug for One {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("One").field("name", &self.name).finish_non_exhaustive()
    }
}

impl One {
    pub(crate) fn new(
        name: &'static str,
        whom: Box<dyn Ask>,
        cache: Cache,
        settings: &Settings,
    ) -> One {
        // Where events wait anyway, one failure is enough to send no more than one question.
        let failures = if settings.then == Then::Fail { PATIENT } else { 1 };
        let concurrency = settings.concurrency.max(1);
        One {
            name,
            whom,
            then: settings.then,
            patience: settings.patience,
            kept: Kept::new(cache, settings.cache_bytes),
            circuit: Circuit::new(failures),
            concurrency,
            room: Semaphore::new(concurrency),
            under_way: Mutex::default(),
            counters: Counters::default(),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn concurrency(&self) -> usize {
        self.concurrency
    }

    pub(crate) fn figures(&self) -> Figures {
        Figures { open: self.circuit.is_open(), ..self.counters.figures(self.name) }
    }

    pub(crate) async fn reach(&self) -> Result<(), Trouble> {
        self.whom.reach().await
    }

    #[cfg(test)]
    pub(crate) fn settle(&self) {
        self.kept.settle();
    }

    /// The answer that counts at present.
    pub(crate) fn kept(&self, key: &Key) -> Option<Answer> {
        let answer = self.kept.get(key)?;
        Counters::count(&self.counters.kept);
        Some(answer)
    }

    /// Answers a question; all who have it at a time share one.
    pub(crate) async fn answer(&self, key: &Key) -> Answer {
        let cell = Arc::clone(self.under_way().entry(key.clone()).or_default());
        let shared = Shared { one: self, key, cell };
        // Should the one who asks be cut off, the next one goes on.
        shared.cell.get_or_init(|| self.find(key)).await.clone()
    }

    async fn find(&self, key: &Key) -> Answer {
        if let Some(answer) = self.kept.get(key) {
            return answer;
        }
        let mut changes = self.circuit.changes();
        let mut own: Option<Instant> = None;
        let mut words = Vec::new();
        loop {
            let room = self.room.acquire().await.expect("it is never closed");
            changes.borrow_and_update();
            let until = match self.circuit.turn() {
                Turn::Go(going) => {
                    match self.send(key).await {
                        Ok(answer) => {
                            going.answered();
                            self.kept.answered(key, &answer);
                            return answer;
                        }
                        Err(Trouble::Refused(words)) => {
                            going.answered();
                            let failure = Answer::Failed(words.into());
                            return self.instead(key, failure, Kept::failed);
                        }
                        Err(Trouble::Outage(said)) => {
                            going.failed();
                            words = said;
                            own.get_or_insert_with(Instant::now);
                        }
                    }
                    None
                }
                Turn::Wait { until } => {
                    Counters::count(&self.counters.unsent);
                    Some(until)
                }
            };
            drop(room);
            let deadline = self.deadline(own);
            if self.then == Then::Fail || self.kept.has(key) || Instant::now() >= deadline {
                // What was not even sent, and what events do not fail with, is no failure to keep.
                let sent = self.then == Then::Fail && own.is_some();
                let keep = |kept: &Kept, key: &Key, failure: &Answer| {
                    if sent {
                        kept.failed(key, failure);
                    }
                };
                return self.instead(key, self.outage(words), keep);
            }
            if let Some(until) = until {
                tokio::select! {
                    () = tokio::time::sleep_until(until.min(deadline)) => {}
                    _ = changes.changed() => {}
                }
            }
        }
    }

    async fn send(&self, key: &Key) -> Result<Answer, Trouble> {
        let sent = Instant::now();
        let result = self.whom.ask(key).await;
        self.counters.took(sent.elapsed());
        Counters::count(match &result {
            Ok(_) => &self.counters.answered,
            Err(Trouble::Refused(_)) => &self.counters.refused,
            Err(Trouble::Outage(_)) => &self.counters.outages,
        });
        result
    }

    /// Until when a question waits: its patience counts from the first failure, its own or the
    /// look-up's.
    fn deadline(&self, own: Option<Instant>) -> Instant {
        let first = match (own, self.circuit.failing_since()) {
            (Some(own), Some(all)) => own.min(all),
            (own, all) => own.or(all).unwrap_or_else(Instant::now),
        };
        first + self.patience
    }

    fn outage(&self, words: Vec<Words>) -> Answer {
        let words = match words.is_empty() {
            true => vec![Words::own("it has not answered for a while and was not asked")],
            false => words,
        };
        Answer::Unavailable(Arc::new(Unavailable { words, then: self.then }))
    }

    /// What counts in place of an answer: the one before, else the failure.
    fn instead(
        &self,
        key: &Key,
        failure: Answer,
        keep: impl FnOnce(&Kept, &Key, &Answer),
    ) -> Answer {
        if let Some(answer) = self.kept.stale(key) {
            Counters::count(&self.counters.stale);
            return answer;
        }
        keep(&self.kept, key, &failure);
        failure
    }

    #[cfg(test)]
    pub(crate) fn questions_under_way(&self) -> usize {
        self.under_way().len()
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Key, Arc<OnceCell<Answer>>, RandomState>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question that is waited for. Whoever lets go of it, its answer in hand or cut off, takes it
/// off the list when it was answered or nobody else waits for it.
struct Shared<'o> {
    one: &'o One,
    key: &'o Key,
    cell: Arc<OnceCell<Answer>>,
}

impl Drop for Shared<'_> {
    fn drop(&mut self) {
        let mut under_way = self.one.under_way();
        let present = under_way.get(self.key).is_some_and(|it| Arc::ptr_eq(it, &self.cell));
        // The list has one, this is one.
        if present && (self.cell.initialized() || Arc::strong_count(&self.cell) <= 2) {
            under_way.remove(self.key);
        }
    }
}
