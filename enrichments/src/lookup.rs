//! Look-ups: enrichments that ask somebody else, split in two.
//!
//! What is asked, and what an event gets by an answer, are pure functions here. Asking is left to
//! others: they are given [`Lookup`]s to know whom and how, and [`Question`]s, and hold the
//! answers that they got behind [`Answers`]. An event whose question has no answer yet waits; once
//! there is one, the event is enriched from the beginning, and every other step gives the same
//! again.

mod answer;
pub mod api;
pub mod currency;
pub mod sql;

use std::fmt::Debug;
use std::sync::Arc;

use event::reason::{EnrichmentId, Words};
use event::{Bump, Failure, Reason};

use crate::Enriched;
use crate::inputs::Place;
use crate::reader::Node;
pub use answer::{Answer, Found, Then, Unavailable};

/// What is asked of one of the look-ups.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Question {
    /// The look-up, by its index among [`crate::Enrichments::lookups`].
    pub lookup: usize,
    /// What is asked.
    pub key: Key,
}

/// What tells one question to a look-up from another: its finished parameters, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub Box<[Value]>);

/// A parameter of a question.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number, by the bits of an `f64`.
    Float(u64),
    /// A number of a column that has 32-bit floats, by the bits of an `f32`.
    Single(u32),
    /// Anything else, as it stands in the event.
    Text(Box<str>),
    /// A text of a JSON, which may spell a number or a truth value.
    Spelled(Box<str>),
}

impl Key {
    /// How many bytes its texts have.
    pub fn bytes(&self) -> usize {
        let bytes = |value: &Value| match value {
            Value::Text(text) | Value::Spelled(text) => text.len(),
            _ => size_of::<Value>(),
        };
        self.0.iter().map(bytes).sum()
    }
}

/// Answers that are there, for any thread to look at.
pub trait Answers: Debug + Sync {
    /// The answer to a question, if there is one.
    fn get(&self, question: &Question) -> Option<Answer>;
}

/// What was asked for one event.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Every question, in order, those that have an answer included.
    pub questions: Vec<Question>,
    /// Whether one of them has none: the event waits.
    pub waits: bool,
    /// The look-ups that could not be asked and whose events are to be parked, each with why.
    pub unavailable: Vec<String>,
}

/// A look-up as it was configured.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// Of a database.
    Sql(sql::Sql),
    /// Of an API over HTTP.
    Api(api::Api),
    /// Of the rates of a day.
    Currency(currency::Currency),
}

impl Lookup {
    /// The name of its configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Lookup::Sql(_) => sql::NAME,
            Lookup::Api(api) => api.name,
            Lookup::Currency(_) => currency::NAME,
        }
    }

    /// A question in a form that can be shown: without what is a secret.
    pub fn shown(&self, key: &Key) -> String {
        match self {
            Lookup::Sql(sql) => sql.shown(key),
            Lookup::Api(api) => api.shown(key),
            Lookup::Currency(_) => format!("rates of {}", currency::Currency::day(key)),
        }
    }

    /// How long answers are kept, and how many.
    pub fn cache(&self) -> Cache {
        match self {
            Lookup::Sql(sql) => sql.cache,
            Lookup::Api(api) => api.cache,
            Lookup::Currency(_) => currency::CACHE,
        }
    }

    /// The key of its question for an event; none if there is nothing to ask.
    fn key(&self, place: &Place<'_, '_>, arena: &Bump) -> Result<Option<Key>, Vec<Words>> {
        match self {
            Lookup::Sql(sql) => sql.key(place, arena),
            Lookup::Api(api) => api.key(place, arena),
            // It has asked by then: its columns are there before the last enrichments run.
            Lookup::Currency(_) => Ok(None),
        }
    }

    /// Whether its questions depend on what others derived.
    fn reads_derived(&self) -> bool {
        match self {
            Lookup::Sql(sql) => sql.reads_derived(),
            Lookup::Api(api) => api.reads_derived(),
            Lookup::Currency(_) => false,
        }
    }

    fn ignores_errors(&self) -> bool {
        match self {
            Lookup::Sql(sql) => sql.ignore_errors,
            Lookup::Api(api) => api.ignore_errors,
            Lookup::Currency(_) => false,
        }
    }

    fn failures(&self, words: &[Words]) -> impl Iterator<Item = Failure> {
        let (uri, identifier) = match self {
            Lookup::Sql(sql) => (&sql.uri, sql::IDENTIFIER),
            Lookup::Api(api) => (&api.uri, api::IDENTIFIER),
            Lookup::Currency(currency) => (&currency.uri, currency::IDENTIFIER),
        };
        words.iter().map(move |words| Failure {
            enrichment: Some(EnrichmentId { schema_key: uri.clone(), identifier }),
            reason: Reason::Simple { error: words.clone() },
        })
    }
}

/// How answers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// How many; none is kept for 0.
    pub size: u64,
    /// How long an answer is given out, in seconds; an error a tenth of it.
    pub ttl_secs: u64,
}

impl Cache {
    /// Reads how answers are kept.
    pub(crate) fn read(node: &Node<'_>) -> Option<Cache> {
        /// A day, in seconds, as the published schemas have it.
        const LONGEST_TTL: u64 = 86_400;
        node.only(&["size", "ttl"])?;
        let size = node.field("size").number(0, u64::MAX);
        let ttl_secs = node.field("ttl").number(0, LONGEST_TTL);
        Some(Cache { size: size?, ttl_secs: ttl_secs? })
    }
}

/// Puts the questions of all look-ups about one event, and adds what the answers give.
pub(crate) fn run<'a>(
    lookups: &[Lookup],
    answers: Option<&dyn Answers>,
    (event, contexts, unstruct): Parts<'_, 'a>,
    done: &mut Enriched<'a>,
    arena: &'a Bump,
) {
    for (index, lookup) in lookups.iter().enumerate() {
        // It would be asked about something else once the answers are there.
        if done.asked.waits && lookup.reads_derived() {
            continue;
        }
        let place = Place { event, contexts, unstruct, derived: &done.entities };
        let key = match lookup.key(&place, arena) {
            Ok(None) => continue,
            Ok(Some(key)) => key,
            Err(words) => {
                done.failed(lookup, &words);
                continue;
            }
        };
        let question = Question { lookup: index, key };
        let answer = answers.and_then(|answers| answers.get(&question));
        done.asked.questions.push(question);
        match answer {
            None => done.asked.waits = true,
            Some(Answer::Found(found)) => done.steps(answer::entities(&found, arena)),
            Some(Answer::Failed(words)) => done.failed(lookup, &words),
            Some(Answer::Unavailable(outage)) => done.unavailable(lookup, &outage),
        }
    }
}

/// The columns of an event, the entities that came with it, and the self-describing event.
pub(crate) type Parts<'p, 'a> =
    (&'p event::Event<'a>, &'p [event::Entity<'a>], Option<&'p event::Entity<'a>>);

impl Enriched<'_> {
    fn failed(&mut self, lookup: &Lookup, words: &[Words]) {
        if !lookup.ignores_errors() {
            self.failures.splice(0..0, lookup.failures(words));
        }
    }

    fn unavailable(&mut self, lookup: &Lookup, outage: &Arc<Unavailable>) {
        match outage.then {
            Then::Fail => self.failed(lookup, &outage.words),
            Then::Skip => {}
            Then::Park => {
                let why: Vec<_> = outage.words.iter().map(Words::text).collect();
                self.asked.unavailable.push(format!("{}: {}", lookup.name(), why.join(", ")));
            }
        }
    }
}
