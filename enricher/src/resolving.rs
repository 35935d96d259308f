//! The one place where a batch waits: it is tried with what is known, what it lacks is got, and it
//! is tried again.
//!
//! Schemas are missing once, so a batch that lacks some is begun anew. Answers to look-ups are
//! missing once for each key: only the events that wait for them are begun anew, and a batch may
//! get its answers in several rounds.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

use enrichments::lookup::Answers;
use event::SchemaKey;
use lookups::{Lookups, Told};
use pipeline::replay::Replay;
use pipeline::{Known, Outcome, Output, Pipeline, Suspended};
use resolver::Resolver;
use validator::Schemas;

use crate::batch::Batch;
use crate::clock;

/// Who is asked for what a batch lacks.
#[derive(Clone, Copy)]
pub struct Sources<'s> {
    /// For schemas.
    pub resolver: &'s Resolver,
    /// For answers to look-ups.
    pub lookups: &'s Arc<Lookups>,
}

/// What an attempt begins with.
#[derive(Default)]
pub struct Attempt {
    /// The schemas known.
    pub schemas: Schemas,
    /// The answers known; none where there is nobody to ask.
    pub told: Option<Arc<Told>>,
    /// How far earlier attempts came.
    pub suspended: Option<Suspended>,
}

impl Attempt {
    /// Has a pipeline try a batch, or the part of it that waits; in a replay, the events that are
    /// meant.
    pub fn run(
        self,
        pipeline: &Pipeline,
        batch: &pipeline::Batch<'_>,
        replay: Option<&Replay>,
        now_ms: i64,
    ) -> Outcome {
        let answers = self.told.as_deref().map(|told| told as &dyn Answers);
        let known = Known { schemas: &self.schemas, answers };
        match (self.suspended, replay) {
            (Some(suspended), _) => pipeline.resume(suspended, (batch, replay), known, now_ms),
            (None, Some(replay)) => pipeline.replay(replay, batch, known, now_ms),
            (None, None) => pipeline.process(batch, known, now_ms),
        }
    }
}

/// Tries until nothing is lacking any more. Nearly every batch takes one attempt.
pub async fn resolving<E, A: Future<Output = Result<Outcome, E>>>(
    sources: Sources<'_>,
    mut attempt: impl FnMut(Attempt) -> A,
) -> Result<Output, E> {
    let Sources { resolver, lookups } = sources;
    let mut schemas = resolver.schemas();
    let mut told = (!lookups.is_empty()).then(|| Arc::new(Told::by(lookups)));
    let (mut suspended, mut room) = (None, None);
    loop {
        let (schemas_now, told_now) = (schemas.clone(), told.clone());
        let next = Attempt { schemas: schemas_now, told: told_now, suspended };
        match attempt(next).await? {
            Outcome::Done(output) => return Ok(output),
            Outcome::Need(keys) => {
                schemas = resolver.resolve(&keys).await;
                suspended = None;
            }
            Outcome::Waits(waits) => {
                if room.is_none() {
                    room = Some(lookups.room().await);
                }
                let told = told.as_mut().expect("who configures look-ups brings those who answer");
                let told = Arc::make_mut(told);
                match waits.schemas() {
                    [] => told.ask(waits.questions()).await,
                    keys => {
                        let both =
                            tokio::join!(resolver.resolve(keys), told.ask(waits.questions()));
                        (schemas, ()) = both;
                    }
                }
                suspended = Some(waits);
            }
        }
    }
}

/// Every key that a pipeline without look-ups asks for when it meets a batch.
pub async fn needed(pipeline: &Pipeline, resolver: &Resolver, batch: &Batch) -> Vec<SchemaKey> {
    let (batch, now_ms) = (batch.view(), clock::now_ms());
    let mut keys = Vec::new();
    let attempt = |attempt: Attempt| {
        let outcome = attempt.run(pipeline, &batch, None, now_ms);
        if let Outcome::Need(more) = &outcome {
            keys.extend(more.iter().cloned());
        }
        ready(Ok::<_, Infallible>(outcome))
    };
    let Ok(_) = resolving(Sources { resolver, lookups: &Arc::default() }, attempt).await;
    keys
}
