//! Everything between records and output, without a stream: on some threads, in the records' order.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use anyhow::Context;
use enrichments::Enrichments;
use event::SchemaKey;
use lookups::{Lookups, Told};
use pipeline::replay::{About, Replay};
use pipeline::{Output, Pipeline, Route, Settings};
use resolver::{RegistryFigures, Resolver};
use validator::Schemas;
use warehouse::{Need, Shapes};

use super::chunk::Chunk;
use crate::aws;
use crate::batch::Batch;
use crate::clock;
use crate::exit::Usage;
use crate::resolving::{Attempt, Sources, resolving};
use crate::rules::Rules;
use crate::shaping::Shaping;
use crate::terminal::{self, Loudness};
use crate::worker::build;

/// Everything between records and output.
pub struct Transform {
    pipeline: Pipeline,
    resolver: Resolver,
    lookups: Arc<Lookups>,
    runtime: tokio::runtime::Runtime,
    now: Option<i64>,
    /// Registries of which it was said that they cannot be asked.
    told: Mutex<HashSet<String>>,
}

/// What a transform is made of.
pub struct Setup {
    /// How the pipeline works.
    pub settings: Settings,
    /// What events are checked against and enriched with.
    pub rules: Rules,
    /// How those are asked who answer look-ups, by the look-up's name.
    pub lookups: Box<dyn Fn(&'static str) -> lookups::Settings>,
    /// How long unknown schemas wait for a registry that cannot be asked, where not as usual.
    pub wait: Option<Duration>,
    /// Where buckets of rules are.
    pub aws: aws::Settings,
    /// The time stamped on what is processed; the clock's if absent.
    pub now: Option<i64>,
}

impl Transform {
    /// Opens what the setup names.
    pub fn new(setup: Setup) -> anyhow::Result<Transform> {
        Transform::with(setup, Rules::enrichments)
    }

    /// The same with the enrichments that `open` makes of the rules.
    pub fn with(
        setup: Setup,
        open: impl FnOnce(&Rules) -> Result<Arc<Enrichments>, Usage>,
    ) -> anyhow::Result<Transform> {
        let Setup { settings, rules, lookups, wait, aws, now } = setup;
        // What waits for a registry is driven by a thread of its own: the others compute.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (rules, _temporary) = runtime.block_on(rules.with_assets(&aws))?;
        let enrichments = open(&rules)?;
        if terminal::loudness() >= Loudness::Verbose
            && let Some(configuration) = rules.configuration()?
        {
            let steps = configuration.steps().join(", ");
            terminal::detail(&format!("snowmelt: enrichments that run: {steps}"));
        }
        for warning in enrichments.warnings() {
            terminal::note(&format!("snowmelt: {warning}"));
        }
        let pipeline = Pipeline::new(settings, enrichments);
        let resolver = rules.resolver(&aws)?;
        Ok(Transform {
            lookups: build::lookups(&pipeline, lookups)?,
            pipeline,
            resolver: match wait {
                Some(wait) => resolver.with_wait(wait),
                None => resolver,
            },
            runtime,
            now,
            told: Mutex::default(),
        })
    }

    /// Processes all chunks that `next` gives on some threads, until there are no more or `halt` is
    /// set; `each` sees them in order.
    pub fn all<C: AsRef<Chunk> + Send>(
        &self,
        mut next: impl FnMut() -> anyhow::Result<Option<C>> + Send,
        threads: usize,
        halt: &AtomicBool,
        mut each: impl FnMut(C, Output) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        // What fails in writing ends the reading, too.
        let failed = AtomicBool::new(false);
        let mut next = || match halt.load(Ordering::Relaxed) || failed.load(Ordering::Relaxed) {
            true => Ok(None),
            false => next(),
        };
        if threads == 1 {
            while let Some(chunk) = next()? {
                let output = self.chunk(chunk.as_ref());
                each(chunk, output)?;
            }
            return Ok(());
        }
        // A chunk for every thread waits on either side: none ever idles, and memory is bounded.
        let (give, take) = mpsc::sync_channel::<(u64, C)>(threads);
        let take = Mutex::new(take);
        let (reply, done) = mpsc::sync_channel(threads);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let (take, reply, failed) = (&take, reply.clone(), &failed);
                let thread = std::thread::Builder::new().spawn_scoped(scope, move || {
                    loop {
                        let next = take.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok((number, chunk)) = next else { break };
                        if failed.load(Ordering::Relaxed) {
                            continue;
                        }
                        let output = self.chunk(chunk.as_ref());
                        // Where nobody takes it, what is still given is only let go.
                        let _ = reply.send((number, chunk, output));
                    }
                });
                thread.context("cannot start so many threads")?;
            }
            drop(reply);
            let reader = scope.spawn(move || -> anyhow::Result<()> {
                let mut numbers = 0..;
                while let Some(chunk) = next()? {
                    let number = numbers.next().expect("they do not end");
                    if give.send((number, chunk)).is_err() {
                        break;
                    }
                }
                Ok(())
            });
            let written = in_order(done, &mut each);
            if written.is_err() {
                failed.store(true, Ordering::Relaxed);
                // The reader may be waiting for an input in which nothing comes.
                halt.store(true, Ordering::Relaxed);
            }
            let read = reader.join().map_err(|_| anyhow::anyhow!("the reader panicked"))?;
            written.and(read)
        })
    }

    /// Processes one batch, resolving what it needs.
    pub fn process(&self, batch: &Batch) -> Output {
        self.resolving(batch, None, |_| {})
    }

    /// The same, and what was told of look-ups in each round.
    pub fn process_telling(&self, batch: &Batch) -> (Output, Vec<Arc<Told>>) {
        let mut rounds = Vec::new();
        let output = self.resolving(batch, None, |told| rounds.push(Arc::clone(told)));
        (output, rounds)
    }

    /// Where its schemas come from.
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// Who answers its look-ups.
    pub fn lookups(&self) -> Arc<Lookups> {
        Arc::clone(&self.lookups)
    }

    /// The schemas resolved so far.
    pub fn schemas(&self) -> Schemas {
        self.resolver.schemas()
    }

    /// The version of a schema nearest to this one that accepts the data.
    pub fn nearest(&self, key: &SchemaKey, json: &str) -> Option<SchemaKey> {
        self.runtime.block_on(self.telling(self.resolver.nearest(key, json)))
    }

    /// Processes one chunk, resolving what it needs.
    pub fn chunk(&self, chunk: &Chunk) -> Output {
        self.resolving(&chunk.batch, chunk.replay.as_deref(), |_| {})
    }

    fn resolving(
        &self,
        batch: &Batch,
        replay: Option<&Replay>,
        mut round: impl FnMut(&Arc<Told>),
    ) -> Output {
        let (batch, now) = (batch.view(), self.now());
        let attempt = |attempt: Attempt| {
            attempt.told.iter().for_each(&mut round);
            ready(Ok::<_, Infallible>(attempt.run(&self.pipeline, &batch, replay, now)))
        };
        let sources = Sources { resolver: &self.resolver, lookups: &self.lookups };
        let Ok(output) = self.runtime.block_on(self.telling(resolving(sources, attempt)));
        output
    }

    /// Finds out the columns of schemas.
    pub fn find_shapes(&self) -> Box<dyn Fn(&Need) -> Shapes> {
        let shaping = Shaping::new(self.resolver.clone());
        let runtime = self.runtime.handle().clone();
        Box::new(move |need| runtime.block_on(shaping.find(need)))
    }

    /// How its pipeline works.
    pub fn settings(&self) -> &Settings {
        self.pipeline.settings()
    }

    /// Writes down once more an event of which nothing but its line was kept, if it is about this.
    pub fn rewrite(&self, (route, line): &(Route, String), about: &About) -> Output {
        self.pipeline.rewrite(*route, line, about, self.now()).unwrap_or_default()
    }

    /// The time that is stamped on what is processed next.
    pub fn now(&self) -> i64 {
        self.now.unwrap_or_else(clock::now_ms)
    }
}

impl Transform {
    /// Waits, and says which registry is waited for while that takes.
    async fn telling<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                () = tokio::time::sleep(LOOK) => self.tell_failing(),
            }
        };
        self.tell_failing();
        done
    }

    /// Says what registries were asked.
    pub fn tell_asked(&self) {
        for registry in self.resolver.figures().registries {
            let (asked, RegistryFigures { name, found, missing, .. }) =
                (registry.asked(), registry);
            terminal::detail(&format!(
                "snowmelt: the registry {name:?} was asked {asked} times: {found} schemas found, \
                 {missing} missing"
            ));
        }
    }

    fn tell_failing(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for failing in self.resolver.failing() {
            if told.insert(failing.name.clone()) {
                let (name, why) = (&failing.name, &failing.why);
                let wait = self.resolver.wait().as_secs();
                terminal::note(&format!(
                    "snowmelt: the registry {name:?} cannot be asked ({why}): it is waited for \
                     {wait} s at most, then events are parked whose schemas nobody else has"
                ));
            }
        }
    }
}

/// How often it is looked whether a registry is waited for.
const LOOK: Duration = Duration::from_millis(500);

/// Hands over what arrives in any order by its number.
fn in_order<C>(
    done: mpsc::Receiver<(u64, C, Output)>,
    each: &mut impl FnMut(C, Output) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    for (number, chunk, output) in done {
        waiting.insert(number, (chunk, output));
        while let Some((chunk, output)) = waiting.remove(&next) {
            next += 1;
            each(chunk, output)?;
        }
    }
    Ok(())
}
