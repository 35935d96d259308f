//! Getting an answer for one key: who is asked, what follows from what they say.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use event::reason::{RegistryError, RegistryHistory};
use event::{SchemaKey, SchemaVer};
use tokio::time::Instant;

use crate::document;
use crate::registry::Answer;
use crate::resolver::Inner;
use crate::resolver::registered::Registered;
use crate::schema::{DEPTH_LIMIT, Schema};
use crate::schemas::Lookup;

/// Different errors of one registry that a bad row reports, as the peer bounds them.
const ERRORS_LIMIT: usize = 32;

/// The pause between the first two attempts at one key; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause between two attempts at one key, of its own.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a key is tried again at a registry that answers others.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// Counts since the start, and what is known now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Keys whose schema is known.
    pub found: usize,
    /// Keys that no registry has.
    pub missing: usize,
    /// Keys that no registry could be asked for.
    pub unavailable: usize,
    /// Questions to registries.
    pub asked: u64,
    /// Questions that got no verdict.
    pub failed: u64,
    /// Times a schema stayed in use because it could not be had again.
    pub stale: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    asked: AtomicU64,
    failed: AtomicU64,
    stale: AtomicU64,
}

/// The text of a schema, and of the one that superseded it.
pub(super) struct Texts {
    asked_for: String,
    newer: Option<(SchemaVer, String)>,
}

/// What all registries together said.
enum Outcome {
    /// The schema.
    Found(Texts),
    /// What each said, with its index.
    Nothing(Vec<(usize, RegistryError)>),
    /// As above, but some could not be asked.
    Unreachable(Vec<(usize, RegistryError)>),
}

impl Inner {
    /// Gets an answer for a key that has none, waiting for registries as long as they may take.
    pub(super) async fn settle(&self, key: SchemaKey) {
        let flight = Flight::board(self, &key);
        let _seat = flight.lock.lock().await;
        if self.book().has(&key.to_string()) {
            return;
        }
        let (start, mut least) = (Instant::now(), FIRST_PAUSE);
        let outcome = loop {
            let outcome = self.ask_all(&key).await;
            let Outcome::Unreachable(errors) = &outcome else { break outcome };
            let Some(pause) = self.pause(errors, start.elapsed(), least) else { break outcome };
            tokio::time::sleep(pause).await;
            least = (least * 2).min(LONGEST_PAUSE);
        };
        self.write(key.clone(), outcome);
    }

    /// Asks once more for a key that has an answer.
    pub(super) async fn ask_again(&self, key: SchemaKey) {
        let flight = Flight::board(self, &key);
        let _seat = flight.lock.lock().await;
        let outcome = self.ask_all(&key).await;
        self.write(key.clone(), outcome);
    }

    /// The texts that a key stands for; else what each registry said.
    pub(super) async fn fetch(&self, key: &SchemaKey) -> Result<Texts, Vec<RegistryHistory>> {
        match self.ask_all(key).await {
            Outcome::Found(texts) => Ok(texts),
            Outcome::Nothing(errors) | Outcome::Unreachable(errors) => {
                Err(self.history(errors, &[]))
            }
        }
    }

    /// Counts since the start, and what is known now.
    pub(super) fn figures(&self) -> Figures {
        let [found, missing, unavailable] = self.book().counts();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            found,
            missing,
            unavailable,
            asked: read(&self.figures.asked),
            failed: read(&self.figures.failed),
            stale: read(&self.figures.stale),
        }
    }

    /// How long to wait before asking again for a key that has waited for so long already; `None`
    /// once every registry that failed has been troubled for too long.
    fn pause(
        &self,
        errors: &[(usize, RegistryError)],
        waited: Duration,
        least: Duration,
    ) -> Option<Duration> {
        let failed = errors.iter().map(|(index, _)| &self.registries[*index]);
        let left = failed.filter_map(|registry| {
            let since_first = self.wait.saturating_sub(registry.troubled_for()?);
            let again = if registry.is_down() { Duration::ZERO } else { TRY_AGAIN };
            let left = since_first.max(again.saturating_sub(waited));
            Some((left.min(self.wait.saturating_sub(waited)), registry.pause()))
        });
        let (left, pause) = left.max_by_key(|(left, _)| *left)?;
        (!left.is_zero()).then(|| pause.max(least).min(left))
    }

    /// Asks the registries in order until one has the schema.
    async fn ask_all(&self, key: &SchemaKey) -> Outcome {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let mut order: Vec<usize> = (0..self.registries.len()).collect();
        order.sort_by_key(|index| self.registries[*index].rank(&key.vendor));
        let (mut errors, mut verdict) = (Vec::new(), true);
        for index in order {
            match self.ask_one(&self.registries[index], key).await {
                Ok(texts) => return Outcome::Found(texts),
                Err(Answer::Found(_)) => unreachable!("a schema that was found is no error"),
                Err(Answer::NotFound) => errors.push((index, RegistryError::NotFound)),
                Err(Answer::Refused(error)) => errors.push((index, error)),
                Err(Answer::Unreachable { error, .. }) => {
                    verdict = false;
                    errors.push((index, error));
                }
            }
        }
        if verdict { Outcome::Nothing(errors) } else { Outcome::Unreachable(errors) }
    }

    /// Asks one registry for a schema and, if another version superseded it, for that.
    async fn ask_one(&self, registry: &Registered, key: &SchemaKey) -> Result<Texts, Answer> {
        let asked_for = self.text(registry, key).await?;
        let newer = match superseding(&asked_for, key)? {
            None => None,
            Some(version) => {
                let newer = SchemaKey { version, ..key.clone() };
                Some((version, self.text(registry, &newer).await?))
            }
        };
        Ok(Texts { asked_for, newer })
    }

    async fn text(&self, registry: &Registered, key: &SchemaKey) -> Result<String, Answer> {
        self.figures.asked.fetch_add(1, Ordering::Relaxed);
        let answer = registry.ask(key).await;
        if let Answer::Unreachable { .. } = answer {
            self.figures.failed.fetch_add(1, Ordering::Relaxed);
        }
        if let Answer::Found(text) = answer { Ok(text) } else { Err(answer) }
    }

    fn write(&self, key: SchemaKey, outcome: Outcome) {
        let history = |errors| {
            let before = self.book().history(&key.to_string()).unwrap_or_default().to_vec();
            Arc::new(self.history(errors, &before))
        };
        // The book is not kept waiting for a schema to be compiled.
        let (lookup, digest) = match outcome {
            Outcome::Found(texts) => (Lookup::Found(Arc::new(texts.compile())), texts.digest()),
            Outcome::Nothing(errors) => (Lookup::Missing(history(errors)), 0),
            Outcome::Unreachable(errors) => (Lookup::Unavailable(history(errors)), 0),
        };
        let mut book = self.book();
        if book.write(key, lookup, digest, &self.terms) {
            self.figures.stale.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What each registry said, now and before, sorted by name.
    fn history(
        &self,
        errors: Vec<(usize, RegistryError)>,
        before: &[RegistryHistory],
    ) -> Vec<RegistryHistory> {
        let last_attempt_ms = now_ms();
        let mut histories: Vec<RegistryHistory> = Vec::with_capacity(errors.len());
        for (index, error) in errors {
            let name = &self.registries[index].name;
            let old = before.iter().find(|history| history.repository == *name);
            let mut all = old.map_or_else(Vec::new, |history| history.errors.clone());
            all.retain(|known| *known != error);
            all.truncate(ERRORS_LIMIT - 1);
            all.push(error);
            all.sort();
            histories.push(RegistryHistory {
                repository: name.clone(),
                errors: all,
                attempts: old.map_or(0, |history| history.attempts).saturating_add(1),
                last_attempt_ms,
            });
        }
        histories.sort_by(|a, b| a.repository.cmp(&b.repository));
        histories
    }
}

/// The one conversation about a key that all who want it share.
struct Flight<'a> {
    inner: &'a Inner,
    key: &'a SchemaKey,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl<'a> Flight<'a> {
    fn board(inner: &'a Inner, key: &'a SchemaKey) -> Flight<'a> {
        let mut flights = inner.flights.lock().expect("nothing panics while it is held");
        let lock = flights.entry(key.clone()).or_default().clone();
        Flight { inner, key, lock }
    }
}

impl Drop for Flight<'_> {
    /// The last one off forgets the flight, also when it is given up on the way.
    fn drop(&mut self) {
        let mut flights = self.inner.flights.lock().expect("nothing panics while it is held");
        // One in the list, one here.
        if Arc::strong_count(&self.lock) == 2 {
            flights.remove(self.key);
        }
    }
}

impl Texts {
    /// The schema that data is checked against.
    fn compile(&self) -> Schema {
        match &self.newer {
            None => Schema::compile(&self.asked_for),
            Some((version, text)) => Schema::compile(text).superseding(*version),
        }
    }

    /// Identifies the texts.
    fn digest(&self) -> u64 {
        let newer = self.newer.as_ref().map(|(_, text)| text);
        foldhash::quality::FixedState::default().hash_one((&self.asked_for, newer))
    }

    /// Each text with its key.
    pub(super) fn with_keys(self, key: SchemaKey) -> impl Iterator<Item = (SchemaKey, String)> {
        let newer = self.newer.map(|(version, text)| (SchemaKey { version, ..key.clone() }, text));
        std::iter::once((key, self.asked_for)).chain(newer)
    }
}

/// The version that a schema says superseded it.
fn superseding(text: &str, key: &SchemaKey) -> Result<Option<SchemaVer>, Answer> {
    let refused = |message: String| Err(Answer::Refused(RegistryError::ClientFailure(message)));
    // The word is rare and reading the document is not free.
    if !text.contains("$supersededBy") {
        return Ok(None);
    }
    let Ok(document) = document::parse(text, DEPTH_LIMIT) else { return Ok(None) };
    let Some(value) = document.get("$supersededBy") else { return Ok(None) };
    let Some(version) = value.as_str().and_then(|text| SchemaVer::parse(text).ok()) else {
        let value = value.to_json();
        return refused(format!("Error while trying to decode superseding version: {value}"));
    };
    if version <= key.version {
        return refused(format!(
            "Superseding version {version} isn't greater than the version of schema {}",
            key.path()
        ));
    }
    Ok(Some(version))
}

/// Bad rows tell when a registry was last asked.
#[allow(clippy::disallowed_methods, reason = "the resolver is part of the shell")]
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
