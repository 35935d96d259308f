//! What a run's own rules make of a record, step by step, and why: what `snowmelt explain` says, by
//! the schemas as they are by now and the enrichments that the workers have.

use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use event::SchemaKey;
use lease::{Position, SequenceNumber, ShardId};
use lookups::Lookups;
use resolver::Resolver;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use validator::{Explanation, Lookup, Schemas};

use super::super::explain::account::{self, Run, Steps};
use super::super::explain::asked::Asked;
use super::super::explain::why::{self, Judge, Why};
use super::store::Kept;
use crate::batch::{Arrival, Batch, Record};
use crate::clock;
use crate::resolving::{Attempt, Sources, resolving};
use crate::rules::Rules;
use crate::worker::enriching::Newest;
use pipeline::Route;

/// Answers what becomes of records.
pub(super) struct Inquiry {
    pub(super) rules: Rules,
    pub(super) pipeline: Newest,
    pub(super) lookups: Arc<Lookups>,
    pub(super) resolver: Resolver,
    steps: OnceLock<Steps>,
}

/// What becomes of a record.
#[derive(Debug, Serialize)]
pub(super) struct Became {
    /// Of each event, in order, `{VERDICT: LINE}`.
    pub(super) verdicts: Value,
    /// Why each of them is not enriched.
    pub(super) why: Vec<Option<Why>>,
    /// What each step made of it.
    pub(super) account: Map<String, Value>,
}

impl Inquiry {
    /// By the rules of a run. Assets lie in the folder that the rules name, or keep them in.
    pub(super) fn new(
        rules: &Rules,
        pipeline: Newest,
        lookups: Arc<Lookups>,
        resolver: Resolver,
    ) -> Inquiry {
        let assets = rules.assets.clone().or_else(|| rules.asset_cache.clone());
        let rules = Rules { assets, ..rules.clone() };
        Inquiry { rules, pipeline, lookups, resolver, steps: OnceLock::new() }
    }

    /// What becomes of a record at its place in the stream. Waits as data would.
    pub(super) fn ask(
        &self,
        record: &Bytes,
        (shard, sequence): (&ShardId, &SequenceNumber),
    ) -> anyhow::Result<Became> {
        let record = Record {
            sequence: sequence.clone(),
            sub_sequence: 0,
            arrival: Arrival::default(),
            data: record.clone(),
        };
        let (shard, end) = (shard.clone(), Position::ShardEnd);
        let batch = Batch { shard, records: vec![record], lag: None, end };
        let (pipeline, now_ms) = (Arc::clone(&self.pipeline.borrow()), clock::now_ms());
        let mut told = Vec::new();
        let view = batch.view();
        let attempt = |attempt: Attempt| {
            attempt.told.iter().for_each(|round| told.push(Arc::clone(round)));
            ready(Ok::<_, Infallible>(attempt.run(&pipeline, &view, None, now_ms)))
        };
        let sources = Sources { resolver: &self.resolver, lookups: &self.lookups };
        let Ok(output) = Handle::current().block_on(resolving(sources, attempt));
        let schemas = self.resolver.schemas();
        let run = Run {
            settings: pipeline.settings(),
            schemas: &schemas,
            steps: self.steps()?,
            asked: &Asked(told),
            now_ms,
        };
        let account = account::of(&batch, &run);
        let verdicts = account::became(&output);
        let why = why::of(&verdicts, &Known { resolver: &self.resolver, schemas });
        Ok(Became { verdicts, why, account })
    }

    /// Why an event is where it is, by its own line.
    pub(super) fn why(&self, kept: &Kept) -> Option<Why> {
        let line: Value = match kept.route {
            Route::Enriched | Route::Incomplete => return None,
            _ => serde_json::from_slice(kept.line()).ok()?,
        };
        let verdict = match kept.route {
            Route::Parked => "parked",
            _ => line.get("schema")?.as_str()?.split('/').nth(1)?,
        };
        let became = json!([{verdict: line}]);
        let schemas = self.resolver.schemas();
        why::of(&became, &Known { resolver: &self.resolver, schemas }).pop().flatten()
    }

    /// Opened when somebody asks first: assets take a while and some memory.
    fn steps(&self) -> anyhow::Result<&Steps> {
        if let Some(steps) = self.steps.get() {
            return Ok(steps);
        }
        let opened = Steps::open(&self.rules)?;
        Ok(self.steps.get_or_init(|| opened))
    }
}

/// What the registries said, and say. Only for threads that may wait.
struct Known<'a> {
    resolver: &'a Resolver,
    schemas: Schemas,
}

impl Judge for Known<'_> {
    fn explain(&self, uri: &str, data: &str) -> Vec<Explanation> {
        match self.schemas.get(uri) {
            Some(Lookup::Found(schema)) => schema.explain(data).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    fn nearest(&self, uri: &str, data: &str) -> Option<String> {
        let key = SchemaKey::parse(uri).ok()?;
        let nearest = Handle::current().block_on(self.resolver.nearest(&key, data));
        nearest.map(|key| key.to_string())
    }
}
