//! What the resolver remembers: one entry per key, with its age.
//!
//! The book decides when an answer is due to be asked for again and which entries make room; it
//! asks nobody. It is bounded: when there are too many entries, those go that nobody used since the
//! last sweep, and when there are far too many, everything that is no schema.

use std::sync::Arc;
use std::time::Duration;

use event::SchemaKey;
use event::reason::RegistryHistory;
use hashbrown::HashMap;
use tokio::time::Instant;
use validator::{Known, Lookup, Schemas};

/// How long answers stand.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// Entries kept; a few more for a short time.
    pub(super) size: usize,
    /// A schema.
    pub(super) found: Duration,
    /// That there is none.
    pub(super) missing: Duration,
    /// That nobody could be asked.
    pub(super) unavailable: Duration,
}

/// A key that was asked for, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its Iglu URI in parts.
    pub key: SchemaKey,
    /// The registry that its schema came from; none where there is no schema.
    pub registry: Option<String>,
    /// Whether a registry could not be asked, so that it is not known whether there is a schema.
    pub open: bool,
}

/// How often a key has been unavailable makes its next try later, up to so many times.
const LONGER: u32 = 15;

/// Sweeps are this far apart, so that a batch that is processed again still finds what it used.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// At so many times its size the book is swept at once, and of what is no schema.
const OVERFLOW: usize = 16;

/// Everything that registries have said of late.
#[derive(Default)]
pub(super) struct Book {
    entries: HashMap<Arc<str>, Entry, foldhash::fast::RandomState>,
    snapshot: Schemas,
    /// Whether the snapshot is behind.
    behind: bool,
    swept: Option<Instant>,
}

struct Entry {
    key: SchemaKey,
    known: Arc<Known>,
    born: Instant,
    due: Instant,
    edition: Option<Edition>,
}

/// What a found schema was made of.
#[derive(Clone, Debug)]
pub(super) struct Edition {
    /// Identifies the texts.
    pub(super) digest: u64,
    /// Index of the registry that gave them.
    pub(super) registry: usize,
    /// What that registry calls the text, where it stands for itself.
    pub(super) tag: Option<Box<str>>,
}

/// What writing an answer down changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// It is new, or a verdict in place of another.
    New,
    /// It is the schema known already.
    Same,
    /// It is another schema under the same key.
    Changed,
    /// A schema that cannot be had again stays in use.
    Stale,
}

impl Entry {
    fn is_found(&self) -> bool {
        matches!(self.known.lookup(), Lookup::Found(_))
    }
}

impl Book {
    /// Whether a key has an answer.
    pub(super) fn has(&self, uri: &str) -> bool {
        self.entries.contains_key(uri)
    }

    /// What was last said of a key that no registry gave.
    pub(super) fn history(&self, uri: &str) -> Option<&[RegistryHistory]> {
        match self.entries.get(uri)?.known.lookup() {
            Lookup::Missing(history) | Lookup::Unavailable(history) => Some(history),
            Lookup::Found(_) => None,
        }
    }

    /// Where the schema of a key came from, if it is known.
    pub(super) fn edition(&self, uri: &str) -> Option<&Edition> {
        self.entries.get(uri)?.edition.as_ref()
    }

    /// The schema of a key is what it was.
    pub(super) fn renew(&mut self, uri: &str, terms: &Terms) {
        if let Some(entry) = self.entries.get_mut(uri) {
            entry.due = Instant::now() + jittered(terms.found);
        }
    }

    /// Writes an answer down. A schema that was found stays when it cannot be found again.
    pub(super) fn write(
        &mut self,
        key: SchemaKey,
        lookup: Lookup,
        edition: Option<Edition>,
        terms: &Terms,
    ) -> Written {
        let uri: Arc<str> = key.to_string().into();
        let now = Instant::now();
        let mut written = Written::New;
        if let Some(entry) = self.entries.get_mut(&uri)
            && let Some(known) = &entry.edition
        {
            let same = edition.as_ref().is_some_and(|edition| edition.digest == known.digest);
            if same || edition.is_none() {
                entry.due = now + jittered(terms.found);
                entry.edition = edition.or(entry.edition.take());
                return if same { Written::Same } else { Written::Stale };
            }
            written = Written::Changed;
        }
        let term = match &lookup {
            Lookup::Found(_) => terms.found,
            Lookup::Missing(_) => terms.missing,
            Lookup::Unavailable(history) => {
                let attempts = history.iter().map(|registry| registry.attempts).max();
                terms.unavailable * attempts.unwrap_or(1).clamp(1, LONGER)
            }
        };
        let due = now + jittered(term);
        let known = Arc::new(Known::new(lookup));
        self.entries.insert(uri, Entry { key, known, born: now, due, edition });
        self.behind = true;
        written
    }

    /// The keys whose answers are due and were used. Other answers that are due are forgotten,
    /// unless they are schemas.
    pub(super) fn due(&mut self) -> Vec<SchemaKey> {
        let now = Instant::now();
        let mut keys = Vec::new();
        let before = self.entries.len();
        self.entries.retain(|_, entry| {
            if now < entry.due {
                return true;
            }
            if entry.known.take_used() {
                keys.push(entry.key.clone());
                return true;
            }
            entry.is_found()
        });
        self.behind |= self.entries.len() < before;
        keys
    }

    /// Forgets what is no schema; answers with the keys of the rest.
    pub(super) fn schemas_only(&mut self) -> Vec<SchemaKey> {
        let before = self.entries.len();
        self.entries.retain(|_, entry| entry.is_found());
        self.behind |= self.entries.len() < before;
        self.entries.values().map(|entry| entry.key.clone()).collect()
    }

    /// Makes room if there are too many entries.
    pub(super) fn sweep(&mut self, terms: &Terms) {
        let length = self.entries.len();
        let recently = self.swept.is_some_and(|swept| swept.elapsed() < SWEEP_INTERVAL);
        let overflow = length > terms.size.saturating_mul(OVERFLOW);
        if length <= terms.size || (recently && !overflow) {
            return;
        }
        let now = Instant::now();
        let mut surplus = length - terms.size;
        self.entries.retain(|_, entry| {
            // The batch that brought a young entry may not have used it yet.
            let young = now < entry.born + SWEEP_INTERVAL;
            let wanted = entry.known.take_used() || young;
            let keep = surplus == 0 || (wanted && (entry.is_found() || !overflow));
            surplus -= usize::from(!keep);
            keep
        });
        self.swept = Some(Instant::now());
        self.behind = true;
    }

    /// Everything there is, as a snapshot.
    pub(super) fn snapshot(&mut self) -> Schemas {
        if self.behind {
            let known = self.entries.iter();
            self.snapshot = known.map(|(uri, entry)| (uri.clone(), entry.known.clone())).collect();
            self.behind = false;
        }
        self.snapshot.clone()
    }

    /// Every key, in any order; `name` names the registry of an index.
    pub(super) fn asked(&self, name: impl Fn(usize) -> String) -> Vec<Asked> {
        let asked = |entry: &Entry| Asked {
            key: entry.key.clone(),
            registry: entry.edition.as_ref().map(|edition| name(edition.registry)),
            open: matches!(entry.known.lookup(), Lookup::Unavailable(_)),
        };
        self.entries.values().map(asked).collect()
    }

    /// How many entries are found, missing and unavailable.
    pub(super) fn counts(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for entry in self.entries.values() {
            counts[match entry.known.lookup() {
                Lookup::Found(_) => 0,
                Lookup::Missing(_) => 1,
                Lookup::Unavailable(_) => 2,
            }] += 1;
        }
        counts
    }
}

/// Up to a tenth less, so that what was learnt at once is not asked for again at once.
fn jittered(term: Duration) -> Duration {
    term.mul_f64(1.0 - fastrand::f64() / 10.0)
}
