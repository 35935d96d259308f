//! The newest events of a run, in memory: what the workers made of each record, by number, newest
//! last. Old ones go when there are too many, or too many bytes of them; the files keep all.
//!
//! It is fed by the workers themselves ([`crate::witness`]), so what stands here is what they hand
//! to their sinks. Nothing is read back at the start of a run: it is empty then.

mod filter;
mod kept;
mod reached;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use serde::Serialize;
use tokio::sync::{mpsc, watch};

use super::pulse::Pulse;
use crate::witness::Seen;
use pipeline::{Route, Verdict};

pub(super) use filter::Filter;
pub(super) use kept::Kept;
use kept::New;
use reached::Reached;

/// So many events are kept.
const EVENTS: usize = 100_000;

/// So many bytes of them: their lines, and the records that these are of.
const BYTES: usize = 256 << 20;

/// So many events are looked at in one go.
const LOOKED_AT: usize = 4_096;

/// Batches that wait to be kept. Workers wait for them, so that nothing is left out.
const WAITING: usize = 16;

/// What becomes of events, and what they are about.
#[derive(Clone)]
pub(super) struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    most: Most,
    reached: Reached,
    events: Mutex<Events>,
    /// The number of the newest event.
    newest: watch::Sender<u64>,
}

/// How much is kept.
#[derive(Clone, Copy, Debug)]
struct Most {
    events: usize,
    bytes: usize,
}

#[derive(Default)]
struct Events {
    kept: VecDeque<Arc<Kept>>,
    bytes: usize,
    /// The number of the newest event there ever was.
    newest: u64,
    totals: Totals,
    apps: Names,
    events: Names,
    schemas: Names,
}

/// How many events came to which end since the start, or since all was forgotten. An incomplete
/// event is counted besides its bad row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Totals {
    pub(super) enriched: u64,
    pub(super) bad: u64,
    pub(super) incomplete: u64,
    pub(super) parked: u64,
    pub(super) dropped: u64,
}

/// Names of what is kept, each once in memory, with how many events have it.
#[derive(Default)]
struct Names(HashMap<Arc<str>, usize>);

/// What one may filter by, the most frequent first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Choices {
    pub(super) apps: Vec<(Arc<str>, usize)>,
    pub(super) events: Vec<(Arc<str>, usize)>,
    pub(super) schemas: Vec<(Arc<str>, usize)>,
}

/// Which events, newest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    /// Numbers above this one.
    pub(super) after: u64,
    /// Numbers below this one.
    pub(super) before: u64,
    /// At most so many.
    pub(super) most: usize,
}

impl Default for Page {
    fn default() -> Page {
        Page { after: 0, before: u64::MAX, most: usize::MAX }
    }
}

impl Store {
    /// An empty one.
    pub(super) fn new() -> Store {
        Store::with(Most { events: EVENTS, bytes: BYTES })
    }

    fn with(most: Most) -> Store {
        let (newest, _) = watch::channel(0);
        let (reached, events) = (Reached::default(), Mutex::default());
        Store { inner: Arc::new(Inner { most, reached, events, newest }) }
    }

    /// Where workers tell what they see, and the task that keeps it, which ends when they have.
    pub(super) fn open(
        &self,
        pulse: Pulse,
    ) -> (mpsc::Sender<Seen>, impl Future<Output = ()> + use<>) {
        let (sender, mut seen) = mpsc::channel(WAITING);
        let store = self.clone();
        let keeping = async move {
            while let Some(seen) = seen.recv().await {
                pulse.saw(&seen);
                let store = store.clone();
                let kept = tokio::task::spawn_blocking(move || store.keep(&seen)).await;
                kept.expect("keeping does not panic");
            }
        };
        (sender, keeping)
    }

    /// Keeps a batch.
    fn keep(&self, seen: &Seen) {
        let new = kept::of(seen);
        let dropped = seen.output.verdicts.iter().filter(|(_, end)| *end == Verdict::Dropped);
        let dropped = dropped.count() as u64;
        let mut events = self.events();
        events.totals.dropped += dropped;
        for event in new {
            events.push(event);
        }
        events.shrink(self.inner.most);
        let newest = events.newest;
        drop(events);
        self.inner.newest.send_replace(newest);
        self.inner.reached.saw(&seen.batch);
    }

    /// How far the workers have come whose batches are kept here.
    pub(super) fn reached(&self) -> &Reached {
        &self.inner.reached
    }

    /// How many events came to which end.
    pub(super) fn totals(&self) -> Totals {
        self.events().totals
    }

    /// Tells the number of the newest event, and when it changes.
    pub(super) fn newest(&self) -> watch::Receiver<u64> {
        self.inner.newest.subscribe()
    }

    /// How many events are kept.
    pub(super) fn len(&self) -> usize {
        self.events().kept.len()
    }

    /// The event of a number, if it is still kept.
    pub(super) fn get(&self, number: u64) -> Option<Arc<Kept>> {
        let events = self.events();
        let first = events.kept.front()?.number;
        let at = usize::try_from(number.checked_sub(first)?).ok()?;
        events.kept.get(at).cloned()
    }

    /// The events that a filter lets through, newest first. A text that is rare makes it look at
    /// everything, which takes a while: not for a thread that others wait for.
    pub(super) fn find(&self, filter: &Filter, page: Page) -> Vec<Arc<Kept>> {
        let (mut found, mut before) = (Vec::new(), page.before);
        // Most pages are full after a few events, and workers wait while these are copied.
        while found.len() < page.most {
            let looked_at = self.newest_between(page.after, before);
            let Some(oldest) = looked_at.first() else { break };
            before = oldest.number;
            let more = looked_at.into_iter().rev().filter(|kept| filter.lets(kept));
            found.extend(more.take(page.most - found.len()));
        }
        found
    }

    /// The events above a number that a filter lets through, once there are so many, newest first.
    /// Who does not want to wait for ever drops it.
    pub(super) async fn wait(&self, filter: &Filter, after: u64, events: usize) -> Vec<Arc<Kept>> {
        let mut newest = self.newest();
        let (mut found, mut until) = (VecDeque::new(), after);
        loop {
            let now = *newest.borrow_and_update();
            let (store, filter) = (self.clone(), filter.clone());
            let page = Page { after: until, ..Page::default() };
            let more = tokio::task::spawn_blocking(move || store.find(&filter, page)).await;
            for kept in more.expect("finding does not panic").into_iter().rev() {
                until = until.max(kept.number);
                found.push_front(kept);
            }
            until = until.max(now);
            if found.len() >= events {
                return found.into();
            }
            newest.changed().await.expect("the store has the sender");
        }
    }

    /// What one may filter by, at most so many of each.
    pub(super) fn choices(&self, most: usize) -> Choices {
        let events = self.events();
        Choices {
            apps: events.apps.most_frequent(most),
            events: events.events.most_frequent(most),
            schemas: events.schemas.most_frequent(most),
        }
    }

    /// Forgets all events, and counts from zero. Numbers go on.
    pub(super) fn forget(&self) {
        let mut events = self.events();
        *events = Events { newest: events.newest, ..Events::default() };
        drop(events);
        self.inner.newest.send_modify(|_| {});
    }

    /// The newest events between two numbers, the oldest of them first.
    fn newest_between(&self, after: u64, before: u64) -> Vec<Arc<Kept>> {
        let events = self.events();
        let from = events.kept.partition_point(|kept| kept.number <= after);
        let to = events.kept.partition_point(|kept| kept.number < before).max(from);
        events.kept.range(from.max(to.saturating_sub(LOOKED_AT))..to).cloned().collect()
    }

    fn events(&self) -> MutexGuard<'_, Events> {
        self.inner.events.lock().expect("nobody panics while holding it")
    }
}

impl Events {
    fn push(&mut self, new: New) {
        self.newest += 1;
        let count = match new.route {
            Route::Enriched => &mut self.totals.enriched,
            Route::Incomplete => &mut self.totals.incomplete,
            Route::Parked => &mut self.totals.parked,
            _ => &mut self.totals.bad,
        };
        *count += 1;
        let app = self.apps.with(&new.app);
        let event = self.events.with(&new.event);
        let schemas = new.schemas.iter().map(|schema| self.schemas.with(schema)).collect();
        let kept = Kept::new(self.newest, new, app, event, schemas);
        self.bytes += kept.size();
        self.kept.push_back(Arc::new(kept));
    }

    fn shrink(&mut self, most: Most) {
        while self.kept.len() > most.events || self.bytes > most.bytes {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= oldest.size();
            self.apps.without(&oldest.app);
            self.events.without(&oldest.event);
            oldest.schemas.iter().for_each(|schema| self.schemas.without(schema));
        }
    }
}

impl Names {
    fn with(&mut self, name: &str) -> Arc<str> {
        if let Some(count) = self.0.get_mut(name) {
            *count += 1;
            let (name, _) = self.0.get_key_value(name).expect("it was there just now");
            return Arc::clone(name);
        }
        let name: Arc<str> = name.into();
        self.0.insert(Arc::clone(&name), 1);
        name
    }

    fn without(&mut self, name: &str) {
        match self.0.get_mut(name) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.0.remove(name)),
        }
    }

    fn most_frequent(&self, most: usize) -> Vec<(Arc<str>, usize)> {
        let named = self.0.iter().filter(|(name, _)| !name.is_empty());
        let mut all: Vec<_> = named.map(|(name, count)| (Arc::clone(name), *count)).collect();
        all.sort_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then_with(|| a.cmp(b)));
        all.truncate(most);
        all
    }
}

#[cfg(test)]
mod tests;
