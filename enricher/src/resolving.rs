//! The one place where a batch waits for schemas: it is tried with what is known, what it needs is
//! resolved, and it is tried again.

use std::convert::Infallible;
use std::future::ready;

use event::SchemaKey;
use pipeline::{Outcome, Output, Pipeline};
use resolver::Resolver;
use validator::Schemas;

use crate::batch::Batch;
use crate::clock;

/// Tries until nothing is needed any more. Nearly every batch takes one attempt.
pub async fn resolving<E, A: Future<Output = Result<Outcome, E>>>(
    resolver: &Resolver,
    mut attempt: impl FnMut(Schemas) -> A,
) -> Result<Output, E> {
    let mut schemas = resolver.schemas();
    loop {
        match attempt(schemas).await? {
            Outcome::Done(output) => return Ok(output),
            Outcome::Need(keys) => schemas = resolver.resolve(&keys).await,
        }
    }
}

/// Every key that a pipeline asks for when it meets a batch.
pub async fn needed(pipeline: &Pipeline, resolver: &Resolver, batch: &Batch) -> Vec<SchemaKey> {
    let (batch, now_ms) = (batch.view(), clock::now_ms());
    let mut keys = Vec::new();
    let attempt = |schemas: Schemas| {
        let outcome = pipeline.process(&batch, &schemas, now_ms);
        if let Outcome::Need(more) = &outcome {
            keys.extend(more.iter().cloned());
        }
        ready(Ok::<_, Infallible>(outcome))
    };
    let Ok(_) = resolving(resolver, attempt).await;
    keys
}
