//! Registries in order, with a memory.
//!
//! [`Resolver::resolve`] asks for keys that nothing is known of: each key once however many ask
//! for it, a bounded number at a time. Registries are tried in the peer's order until one has the
//! schema. One that cannot be reached gives no verdict: the key waits, at most as long as the
//! registry may have been down, and is then unavailable until [`Resolver::keep_fresh`] gets an
//! answer. Schemas once found are served for ever; they are asked for again in the background.
//!
//! What an event becomes whose schema is missing or unavailable is the pipeline's decision.

mod book;
mod config;
mod published;
mod registered;
mod registry;
mod settle;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use event::SchemaKey;
use hashbrown::HashMap;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use validator::Schemas;

pub use book::Asked;
use book::{Book, Terms};
pub use config::{BucketPlace, ConfigError};
use config::{Connection, Place, Repository};
pub use published::{Listed, Published, Pulled, Unpublished, distance};
use registered::{Class, Registered};
pub use registered::{Failing, RegistryFigures};
use registry::bundle::Bundle;
pub use registry::bundle::BundleError;
use registry::embedded::Embedded;
use registry::folder::Folder;
use registry::http::Http;
pub use registry::{Answer, Asking, Listing, Registry, SCHEMA_LIMIT, Unlisted, key_at};
pub use settle::Figures;

/// Requests to registries at the same time, all keys together.
const CONCURRENCY: usize = 16;

/// The name of the schemas in the binary; it stands in bad rows.
const EMBEDDED: &str = "Iglu Client Embedded";

/// The name of a folder given beside the configuration; it stands in bad rows.
const FOLDER: &str = "Schemas Folder";

/// The name of a bundle; it stands in bad rows.
const BUNDLE: &str = "Schemas Bundle";

/// Entries kept where the configuration asks for fewer: a batch must find all it needs at once.
const LEAST_SIZE: usize = 1_000;

/// How long a schema stands when the configuration does not say.
const FOUND_TERM: Duration = Duration::from_secs(600);

/// How long "nobody has it" stands at most: a schema published now works within a minute.
const MISSING_TERM: Duration = Duration::from_secs(30);

/// How long "nobody could be asked" stands; the registries' own pauses are what counts.
const UNAVAILABLE_TERM: Duration = Duration::from_secs(2);

/// The shortest any answer stands.
const LEAST_TERM: Duration = Duration::from_secs(1);

/// How long unknown keys wait for a registry, from its first failure.
const WAIT: Duration = Duration::from_secs(30);

/// How often answers that are due are looked for.
const FRESHEN_INTERVAL: Duration = Duration::from_secs(1);

/// Registries in order, with a memory.
#[derive(Clone)]
pub struct Resolver {
    inner: Arc<Inner>,
}

struct Inner {
    registries: Vec<Registered>,
    terms: Terms,
    wait: Duration,
    book: Mutex<Book>,
    /// One lock per key that is being asked for.
    flights: Mutex<HashMap<SchemaKey, Arc<tokio::sync::Mutex<()>>>>,
    permits: Semaphore,
    figures: settle::Counters,
}

impl Resolver {
    /// The embedded registry alone.
    pub fn embedded() -> Resolver {
        Resolver::new(LEAST_SIZE, FOUND_TERM)
    }

    /// The registries of an Iglu resolver configuration file, and the embedded one. Buckets are
    /// opened by `open`.
    pub fn from_file(path: &Path, open: OpenBucket<'_>) -> Result<Resolver, ConfigError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|why| Place::new(&file, "").error("a readable file", &why.to_string()))?;
        build(&text, &file, path.parent().unwrap_or(Path::new("")), open)
    }

    /// As [`Resolver::from_file`], from text; folders are relative to `base_dir`.
    pub fn from_config(
        text: &str,
        base_dir: &Path,
        open: OpenBucket<'_>,
    ) -> Result<Resolver, ConfigError> {
        build(text, "the resolver configuration", base_dir, open)
    }

    /// Adds a folder registry (`schemas/` inside) that is asked before all others.
    ///
    /// Before the resolver is cloned only.
    pub fn with_folder(self, dir: &Path) -> Resolver {
        self.with(Registered::new(FOLDER, Class::Override, Box::new(Folder::new(dir))))
    }

    /// Adds the schemas of a file that [`Resolver::pull`] wrote, to be asked before all others.
    ///
    /// Before the resolver is cloned only.
    pub fn with_bundle(self, path: &Path) -> Result<Resolver, BundleError> {
        let bundle = Bundle::read(BufReader::new(File::open(path)?))?;
        Ok(self.with(Registered::new(BUNDLE, Class::Override, Box::new(bundle))))
    }

    /// Sets how long unknown keys wait for a registry, counted from the registry's first failure.
    ///
    /// Before the resolver is cloned only.
    pub fn with_wait(mut self, wait: Duration) -> Resolver {
        self.setup().wait = wait;
        self
    }

    /// What is known now.
    pub fn schemas(&self) -> Schemas {
        self.inner.book().snapshot()
    }

    /// Asks the registries for the keys not known yet, and returns what is known then: an answer
    /// for every one of the keys.
    pub async fn resolve(&self, keys: &[SchemaKey]) -> Schemas {
        let unknown = {
            let mut book = self.inner.book();
            book.sweep(&self.inner.terms);
            let unknown = |key: &&SchemaKey| !book.has(&key.to_string());
            keys.iter().filter(unknown).cloned().collect()
        };
        self.each(unknown, |inner, key| async move { inner.settle(key).await }).await;
        self.schemas()
    }

    /// Asks again, for ever, for what is due and in use. To be run, and dropped, by whoever keeps
    /// the resolver for long.
    pub async fn keep_fresh(&self) {
        loop {
            tokio::time::sleep(FRESHEN_INTERVAL).await;
            self.freshen().await;
        }
    }

    /// Asks again, once, for what is due and in use.
    pub async fn freshen(&self) {
        let due = self.inner.book().due();
        self.each(due, |inner, key| async move { inner.ask_again(key).await }).await;
    }

    /// Asks again for every schema there is, and forgets what was said of all other keys: for
    /// whoever knows that a registry changed. A schema that cannot be had again stays.
    pub async fn ask_all_again(&self) {
        let known = self.inner.book().schemas_only();
        self.each(known, |inner, key| async move { inner.ask_again(key).await }).await;
    }

    /// The registries whose last answer was none, for whoever tells people.
    pub fn failing(&self) -> Vec<Failing> {
        self.inner.registries.iter().filter_map(Registered::failing).collect()
    }

    /// How long unknown keys wait for a registry.
    pub fn wait(&self) -> Duration {
        self.inner.wait
    }

    /// Counts since the start, and what is known now.
    pub fn figures(&self) -> Figures {
        self.inner.figures()
    }

    fn new(size: usize, found: Duration) -> Resolver {
        let found = found.max(LEAST_TERM);
        let terms = Terms {
            size: size.max(LEAST_SIZE),
            found,
            missing: MISSING_TERM.min(found),
            unavailable: UNAVAILABLE_TERM,
        };
        let inner = Inner {
            registries: vec![Registered::new(EMBEDDED, Class::Embedded, Box::new(Embedded))],
            terms,
            wait: WAIT,
            book: Mutex::default(),
            flights: Mutex::default(),
            permits: Semaphore::new(CONCURRENCY),
            figures: settle::Counters::default(),
        };
        Resolver { inner: Arc::new(inner) }
    }

    fn with(mut self, registry: Registered) -> Resolver {
        self.setup().registries.push(registry);
        self
    }

    fn setup(&mut self) -> &mut Inner {
        Arc::get_mut(&mut self.inner).expect("a resolver is set up before it is shared")
    }

    /// Does something for each key, all at the same time; dropped together with this future.
    async fn each<F>(&self, keys: Vec<SchemaKey>, act: impl Fn(Arc<Inner>, SchemaKey) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        for key in keys {
            tasks.spawn(act(self.inner.clone(), key));
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(why) = ended {
                std::panic::resume_unwind(why.into_panic());
            }
        }
    }
}

impl Inner {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("nothing panics while it is held")
    }
}

/// Opens a bucket; whoever has a client for buckets gives this. `None` where nobody has one.
pub type OpenBucket<'a> = Option<&'a dyn Fn(&BucketPlace) -> Box<dyn Registry>>;

fn build(
    text: &str,
    file: &str,
    base_dir: &Path,
    open: OpenBucket<'_>,
) -> Result<Resolver, ConfigError> {
    let config = config::read(text, file, base_dir)?;
    let mut resolver = Resolver::new(config.cache_size, config.cache_ttl.unwrap_or(FOUND_TERM));
    for repository in config.repositories {
        resolver = resolver.with(registered(repository, file, open)?);
    }
    Ok(resolver)
}

fn registered(
    repository: Repository,
    file: &str,
    open: OpenBucket<'_>,
) -> Result<Registered, ConfigError> {
    let Repository { name, priority, vendor_prefixes, connection, pointer } = repository;
    let registered = match connection {
        Connection::Embedded => Registered::new(&name, Class::Embedded, Box::new(Embedded)),
        Connection::Folder(dir) => {
            if !dir.join("schemas").is_dir() {
                let place = Place::new(file, &format!("{pointer}/connection/folder/path"));
                let found = format!("{} without it", dir.display());
                return Err(place.error("a folder with schemas/ inside", &found));
            }
            Registered::new(&name, Class::Folder, Box::new(Folder::new(&dir)))
        }
        Connection::Http { uri, key } => {
            let http = Http::new(&uri, key.as_deref()).map_err(|why| {
                let place = Place::new(file, &format!("{pointer}/connection/http"));
                place.error("a usable connection", &why.to_string())
            })?;
            Registered::new(&name, Class::Http, Box::new(http))
        }
        Connection::S3(bucket) => {
            let place = Place::new(file, &format!("{pointer}/connection/s3"));
            let open = open.ok_or_else(|| place.error("another kind of connection", "a bucket"))?;
            Registered::new(&name, Class::Http, open(&bucket))
        }
    };
    Ok(registered.ranked(priority, vendor_prefixes))
}

#[cfg(test)]
mod tests;
