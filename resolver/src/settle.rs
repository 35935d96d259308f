//! Getting an answer for one key: who is asked, what follows from what they say.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use event::reason::{RegistryError, RegistryHistory};
use event::{SchemaKey, SchemaVer};
use tokio::time::Instant;
use validator::{Lookup, Schema, superseding_version};

use crate::book::{Edition, Written};
use crate::registered::{Registered, RegistryFigures};
use crate::registry::{self, Answer};
use crate::{Inner, WAIT};

/// Different errors of one registry that a bad row reports, as the peer bounds them.
const ERRORS_LIMIT: usize = 32;

/// The pause between the first two attempts at one key; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause between two attempts at one key, of its own.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a key is tried again at a registry that answers others.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// How long a key waits for a registry that answers others, where it would wait for ever for one
/// that is down: what fails for one name only is no outage, and may be that name's fault.
const ALONE: Duration = WAIT;

/// What a registry is asked for to see whether it answers at all. None has to have it.
const OTHER: &str = "iglu:snowmelt/nothing/jsonschema/1-0-0";

/// Counts since the start, and what is known now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Times a registry had another schema under a key than before.
    pub changed: u64,
    /// Keys that data waited for, by answer.
    pub waited_found: u64,
    /// As above: no registry has it.
    pub waited_missing: u64,
    /// As above: no registry could be asked.
    pub waited_unavailable: u64,
    /// Each registry, in the order of the configuration.
    pub registries: Vec<RegistryFigures>,
}

#[derive(Default)]
pub(super) struct Counters {
    stale: AtomicU64,
    changed: AtomicU64,
    waited: [AtomicU64; 3],
}

/// The text of a schema, and of the one that superseded it.
pub(super) struct Texts {
    /// Index of the registry that has both.
    registry: usize,
    pub(super) asked_for: String,
    /// Names the text, where nothing superseded it.
    tag: Option<Box<str>>,
    pub(super) newer: Option<(SchemaVer, String)>,
}

/// What all registries together say.
pub(super) enum Reply {
    /// The schema.
    Found(Texts),
    /// The schema that is known.
    Unchanged,
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
        let reply = self.ask_patiently(&key).await;
        let answer = match &reply {
            Reply::Found(_) | Reply::Unchanged => 0,
            Reply::Nothing(_) => 1,
            Reply::Unreachable(_) => 2,
        };
        self.figures.waited[answer].fetch_add(1, Ordering::Relaxed);
        self.write(key.clone(), reply);
    }

    /// Asks for a key until there is a verdict or the wait is over.
    pub(super) async fn ask_patiently(&self, key: &SchemaKey) -> Reply {
        let (start, mut least) = (Instant::now(), FIRST_PAUSE);
        loop {
            let reply = self.ask_all(key, None).await;
            let Reply::Unreachable(errors) = &reply else { return reply };
            let Some(pause) = self.pause(errors, start.elapsed(), least) else { return reply };
            if start.elapsed() >= ALONE && self.answer_others(errors).await {
                return reply;
            }
            tokio::time::sleep(pause).await;
            least = (least * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether every registry that has trouble answers when it is asked for something else.
    async fn answer_others(&self, errors: &[(usize, RegistryError)]) -> bool {
        let other = SchemaKey::parse(OTHER).expect("an Iglu URI");
        for (index, _) in errors {
            let registry = &self.registries[*index];
            let answer = match registry.troubled_for() {
                Some(_) => registry.ask(&other, None).await,
                None => continue,
            };
            if matches!(answer, Answer::Unreachable { .. }) {
                return false;
            }
        }
        true
    }

    /// Asks once more for a key that has an answer.
    pub(super) async fn ask_again(&self, key: SchemaKey) {
        let flight = Flight::board(self, &key);
        let _seat = flight.lock.lock().await;
        let known = self.book().edition(&key.to_string()).cloned();
        let reply = self.ask_all(&key, known.as_ref()).await;
        self.write(key.clone(), reply);
    }

    /// Counts since the start, and what is known now.
    pub(super) fn figures(&self) -> Figures {
        let [found, missing, unavailable] = self.book().counts();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let registries: Vec<RegistryFigures> =
            self.registries.iter().map(Registered::figures).collect();
        Figures {
            found,
            missing,
            unavailable,
            asked: registries.iter().map(RegistryFigures::asked).sum(),
            failed: registries.iter().map(|registry| registry.failed).sum(),
            stale: read(&self.figures.stale),
            changed: read(&self.figures.changed),
            waited_found: read(&self.figures.waited[0]),
            waited_missing: read(&self.figures.waited[1]),
            waited_unavailable: read(&self.figures.waited[2]),
            registries,
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

    /// Asks the registries in order until one has the schema. The one that gave the schema that is
    /// known only says whether it still is the same.
    async fn ask_all(&self, key: &SchemaKey, known: Option<&Edition>) -> Reply {
        if !registry::is_possible(key) {
            let nobody = |index| (index, RegistryError::NotFound);
            return Reply::Nothing((0..self.registries.len()).map(nobody).collect());
        }
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let mut order: Vec<usize> = (0..self.registries.len()).collect();
        order.sort_by_key(|index| self.registries[*index].rank(&key.vendor));
        let (mut errors, mut verdict) = (Vec::new(), true);
        for index in order {
            let tag = known.filter(|known| known.registry == index);
            let tag = tag.and_then(|known| known.tag.as_deref());
            match self.ask_one(index, key, tag).await {
                Ok(texts) => return Reply::Found(texts),
                Err(Answer::Unchanged) => return Reply::Unchanged,
                Err(Answer::Found { .. }) => unreachable!("a schema that was found is no error"),
                Err(Answer::NotFound) => errors.push((index, RegistryError::NotFound)),
                Err(Answer::Refused(error)) => errors.push((index, error)),
                Err(Answer::Unreachable { error, .. }) => {
                    verdict = false;
                    errors.push((index, error));
                }
            }
        }
        if verdict { Reply::Nothing(errors) } else { Reply::Unreachable(errors) }
    }

    /// Asks one registry for a schema and, if another version superseded it, for that.
    async fn ask_one(
        &self,
        index: usize,
        key: &SchemaKey,
        known: Option<&str>,
    ) -> Result<Texts, Answer> {
        let registry = &self.registries[index];
        let (asked_for, tag) = text(registry.ask(key, known).await)?;
        let Some(version) = superseding(&asked_for, key)? else {
            return Ok(Texts { registry: index, asked_for, tag, newer: None });
        };
        let newer = SchemaKey { version, ..key.clone() };
        let (newer, _) = text(registry.ask(&newer, None).await)?;
        // One tag does not name two texts.
        Ok(Texts { registry: index, asked_for, tag: None, newer: Some((version, newer)) })
    }

    fn write(&self, key: SchemaKey, reply: Reply) {
        let history = |errors| {
            let before = self.book().history(&key.to_string()).unwrap_or_default().to_vec();
            Arc::new(self.history(errors, &before))
        };
        // The book is not kept waiting for a schema to be compiled.
        let (lookup, edition) = match reply {
            Reply::Unchanged => return self.book().renew(&key.to_string(), &self.terms),
            Reply::Found(texts) => {
                (Lookup::Found(Arc::new(texts.compile())), Some(texts.edition()))
            }
            Reply::Nothing(errors) => (Lookup::Missing(history(errors)), None),
            Reply::Unreachable(errors) => (Lookup::Unavailable(history(errors)), None),
        };
        let written = self.book().write(key, lookup, edition, &self.terms);
        match written {
            Written::Stale => self.figures.stale.fetch_add(1, Ordering::Relaxed),
            Written::Changed => self.figures.changed.fetch_add(1, Ordering::Relaxed),
            Written::New | Written::Same => 0,
        };
    }

    /// What each registry said, now and before, sorted by name.
    pub(super) fn history(
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

    /// Identifies the texts, and says where they are from.
    fn edition(&self) -> Edition {
        let newer = self.newer.as_ref().map(|(_, text)| text);
        Edition {
            digest: foldhash::quality::FixedState::default().hash_one((&self.asked_for, newer)),
            registry: self.registry,
            tag: self.tag.clone(),
        }
    }

    /// Index of the registry that has them.
    pub(super) fn registry(&self) -> usize {
        self.registry
    }
}

/// A text, and the tag that names it; any other answer is an error.
fn text(answer: Answer) -> Result<(String, Option<Box<str>>), Answer> {
    if let Answer::Found { text, tag } = answer { Ok((text, tag)) } else { Err(answer) }
}

/// The version that a schema says superseded it.
fn superseding(text: &str, key: &SchemaKey) -> Result<Option<SchemaVer>, Answer> {
    let refused = |message: String| Answer::Refused(RegistryError::ClientFailure(message));
    let version = superseding_version(text).map_err(|value| {
        refused(format!("Error while trying to decode superseding version: {value}"))
    })?;
    match version {
        Some(version) if version <= key.version => Err(refused(format!(
            "Superseding version {version} isn't greater than the version of schema {}",
            key.path()
        ))),
        version => Ok(version),
    }
}

/// Bad rows tell when a registry was last asked.
#[allow(clippy::disallowed_methods, reason = "the resolver is part of the shell")]
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
