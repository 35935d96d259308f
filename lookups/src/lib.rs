//! Who answers look-ups: APIs over HTTP, databases, a service of rates.
//!
//! What is asked and what an answer gives is decided in `enrichments`. Here questions are sent: a
//! question that several batches have is sent once, only so many are under way at a time, and
//! answers are kept for as long as the configuration says. A look-up that does not answer is left
//! alone for a while, and what its outage means for events is a setting of its own.

mod address;
pub mod api;
mod circuit;
pub mod currency;
pub mod database;
mod figures;
mod kept;
pub mod mysql;
mod one;
pub mod postgres;

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use enrichments::lookup::sql::{Dialect, Sql};
use enrichments::lookup::{Answer, Answers, Key, Lookup, Question, Then};
use event::reason::Words;
use foldhash::fast::FixedState;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use figures::Figures;
use one::One;

/// Batches that hold answers at a time, so that these cannot fill the memory.
const BATCHES: usize = 16;

/// Bytes of answers that a batch gets at a time; the rest of its events wait for the next.
const BATCH_BYTES: usize = 2 << 20;

/// A client of the database that a look-up asks. Nothing is connected before it is asked.
pub fn client(
    sql: &Sql,
    settings: &database::Settings,
) -> Result<Box<dyn Ask>, database::AuthoritiesError> {
    Ok(match sql.database.dialect {
        Dialect::Postgres => Box::new(postgres::Postgres::new(sql, settings)?),
        Dialect::MySql => Box::new(mysql::MySql::new(sql, settings)?),
    })
}

/// All look-ups, in the order in which they run.
#[derive(Debug)]
pub struct Lookups {
    all: Vec<Arc<One>>,
    batches: Semaphore,
}

/// How look-ups are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What becomes of events while one cannot be asked.
    pub then: Then,
    /// How long events wait first, from its first failure; where they fail at once, nobody waits.
    pub patience: Duration,
    /// How many questions are under way at a time.
    pub concurrency: usize,
    /// Bytes that its kept answers occupy at most, however many the configuration allows.
    pub cache_bytes: u64,
    /// Hosts that may be asked although they have an address of a cloud's own services.
    pub allow_hosts: Vec<String>,
    /// How databases are asked.
    pub database: database::Settings,
    /// Where rates come from.
    pub rates: currency::Settings,
}

impl Default for Settings {
    /// A peer's behaviour: an event fails when its look-up cannot be asked.
    fn default() -> Settings {
        Settings {
            then: Then::Fail,
            patience: Duration::from_secs(30),
            concurrency: 16,
            cache_bytes: 64 << 20,
            allow_hosts: Vec::new(),
            database: database::Settings::default(),
            rates: currency::Settings::default(),
        }
    }
}

/// Why look-ups cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {why}")]
pub struct SetupError {
    /// The configuration's name.
    pub name: &'static str,
    /// What is wrong with it.
    pub why: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The question was answered by a refusal: another try would not help.
    Refused(Vec<Words>),
    /// Nobody answered.
    Outage(Vec<Words>),
}

/// A question under way.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Result<Answer, Trouble>> + Send + 'a>>;

/// Somebody who can be asked.
pub trait Ask: Send + Sync {
    /// Asks once. Takes no longer than its configuration allows.
    fn ask<'a>(&'a self, key: &'a Key) -> Asking<'a>;

    /// Sees whether it can be asked at all, without asking anything.
    fn reach(&self) -> Pin<Box<dyn Future<Output = Result<(), Trouble>> + Send + '_>>;
}

impl Lookups {
    /// Sets up the look-ups, each with its settings. Nobody is asked yet.
    pub fn open(
        lookups: &[Lookup],
        settings: impl Fn(&'static str) -> Settings,
    ) -> Result<Lookups, SetupError> {
        let open = |lookup: &Lookup| {
            let name = lookup.name();
            let settings = settings(name);
            let wrong = |why: &dyn Error| SetupError { name, why: why.to_string() };
            let whom: Box<dyn Ask> = match lookup {
                Lookup::Api(api) => {
                    let api = api::Api::new(api.clone(), &settings);
                    Box::new(api.map_err(|why| wrong(&why))?)
                }
                Lookup::Sql(sql) => client(sql, &settings.database).map_err(|why| wrong(&why))?,
                Lookup::Currency(currency) => {
                    let rates = currency::Rates::new(currency, &settings.rates);
                    Box::new(rates.map_err(|why| wrong(&why))?)
                }
            };
            Ok((name, whom, lookup.cache(), settings))
        };
        let all: Result<Vec<_>, _> = lookups.iter().map(open).collect();
        Ok(Lookups::of(all?))
    }

    /// Look-ups that somebody answers.
    pub fn of(
        all: Vec<(&'static str, Box<dyn Ask>, enrichments::lookup::Cache, Settings)>,
    ) -> Lookups {
        let one = |(name, whom, cache, settings)| Arc::new(One::new(name, whom, cache, &settings));
        Lookups { all: all.into_iter().map(one).collect(), batches: Semaphore::new(BATCHES) }
    }

    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.all.iter().map(|one| one.name())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The right of a batch to hold answers; waits while too many do.
    pub async fn room(&self) -> SemaphorePermit<'_> {
        self.batches.acquire().await.expect("it is never closed")
    }

    /// Answers some questions, at least one; all unless the answers are large. Each comes with the
    /// time that it took.
    pub async fn answer(&self, questions: Vec<Question>) -> Vec<(Question, (Answer, Duration))> {
        // As many again stand ready, so that none who could be asked waits for this task's turn.
        let most: usize = self.all.iter().map(|one| 2 * one.concurrency()).sum();
        let (mut rest, mut under_way) = (questions.into_iter(), JoinSet::new());
        let (mut answers, mut bytes) = (Vec::new(), 0);
        let mut asked = HashMap::new();
        loop {
            while under_way.len() < most && bytes < BATCH_BYTES {
                let Some(question) = rest.next() else { break };
                let (one, key) = (Arc::clone(&self.all[question.lookup]), question.key.clone());
                let began = Instant::now();
                let task =
                    under_way.spawn(async move { (one.answer(&key).await, began.elapsed()) });
                asked.insert(task.id(), question);
            }
            let Some(done) = under_way.join_next_with_id().await else { return answers };
            let (task, answer) = match done {
                Ok((task, answer)) => (task, answer),
                // A panic costs the one question, and its events.
                Err(panic) => {
                    tracing::error!(%panic, "a look-up panicked");
                    let words = "the look-up failed unexpectedly";
                    (panic.id(), (Answer::failed(words), Duration::ZERO))
                }
            };
            bytes += answer.0.bytes();
            answers.push((asked.remove(&task).expect("every task has a question"), answer));
        }
    }

    /// Sees whether each can be asked. What is wrong, by name.
    pub async fn reach(&self) -> Vec<(&'static str, Result<(), Trouble>)> {
        let mut all = Vec::new();
        for one in &self.all {
            all.push((one.name(), one.reach().await));
        }
        all
    }

    /// Has what is kept brought into its bounds, which otherwise happens by and by.
    #[cfg(test)]
    fn settle(&self) {
        self.all.iter().for_each(|one| one.settle());
    }

    /// What was counted, of each look-up.
    pub fn figures(&self) -> Vec<Figures> {
        self.all.iter().map(|one| one.figures()).collect()
    }
}

impl Default for Lookups {
    /// None.
    fn default() -> Lookups {
        Lookups::of(Vec::new())
    }
}

impl Answers for Lookups {
    /// What is kept and still counts.
    fn get(&self, question: &Question) -> Option<Answer> {
        self.all.get(question.lookup)?.kept(&question.key)
    }
}

/// The answers that one batch got, before those that are kept for all: what a batch was told once
/// it is told again, however long it takes.
#[derive(Clone, Debug)]
pub struct Told {
    lookups: Arc<Lookups>,
    answers: HashMap<Question, (Answer, Duration), FixedState>,
}

impl Told {
    /// Nothing yet.
    pub fn by(lookups: &Arc<Lookups>) -> Told {
        Told { lookups: Arc::clone(lookups), answers: HashMap::default() }
    }

    /// Gets answers to some of these questions, at least to one that has none; forgets those to
    /// any others.
    pub async fn ask(&mut self, questions: impl Iterator<Item = &Question>) {
        let wanted: HashSet<&Question, FixedState> = questions.collect();
        self.answers.retain(|question, _| wanted.contains(question));
        let open = wanted.into_iter().filter(|question| !self.answers.contains_key(*question));
        let mut open: Vec<Question> = open.cloned().collect();
        // In any order that is always the same.
        open.sort_unstable();
        self.answers.extend(self.lookups.answer(open).await);
    }

    /// What was answered, and how long that took, while it is needed.
    pub fn get_with_time(&self, question: &Question) -> Option<&(Answer, Duration)> {
        self.answers.get(question)
    }
}

impl Answers for Told {
    fn get(&self, question: &Question) -> Option<Answer> {
        let told = self.answers.get(question).map(|(answer, _)| answer.clone());
        told.or_else(|| self.lookups.get(question))
    }
}

#[cfg(test)]
mod tests;
