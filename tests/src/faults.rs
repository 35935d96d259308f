//! A layer of faults between workers and the emulators: an HTTP proxy for each service that counts
//! what passes by service and action, and harms requests by [`Rule`]s. Chance is drawn from a seed,
//! so a run that failed can be repeated with the same draws.
//!
//! What is not harmed passes as it is. An emulator that cannot be reached is answered for with 502.

mod proxy;
mod rule;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use tokio::task::JoinSet;

pub use rule::{Fault, Rule};

use crate::emulators::Emulators;

/// Whose API is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Api {
    /// Streams.
    Kinesis,
    /// Lease tables.
    Dynamodb,
    /// Buckets.
    S3,
}

/// How often an action was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Requests that came, harmed ones included.
    pub requests: u64,
    /// Those that a rule harmed.
    pub harmed: u64,
}

/// The proxies of one test. They end when it is dropped.
pub struct Faults {
    /// Where Kinesis answers, through the layer.
    pub kinesis_url: String,
    /// Where DynamoDB answers, through the layer.
    pub dynamodb_url: String,
    /// Where S3 answers, through the layer.
    pub s3_url: String,
    desk: Arc<Desk>,
    _servers: JoinSet<()>,
}

/// What the proxies share.
struct Desk(Mutex<State>);

struct State {
    rules: Vec<Rule>,
    chance: fastrand::Rng,
    counts: BTreeMap<(Api, String), Count>,
    /// Which shard an iterator reads: requests for records name only that.
    iterators: HashMap<String, String>,
}

impl Faults {
    /// Puts a layer without rules before emulators.
    pub async fn before(aws: &Emulators, seed: u64) -> Result<Faults> {
        Faults::over([&aws.kinesis_url, &aws.dynamodb_url, &aws.s3_url], seed).await
    }

    /// Puts a layer without rules before Kinesis, DynamoDB and S3 at these addresses.
    pub async fn over([kinesis, dynamodb, s3]: [&str; 3], seed: u64) -> Result<Faults> {
        let state = State {
            rules: Vec::new(),
            chance: fastrand::Rng::with_seed(seed),
            counts: BTreeMap::new(),
            iterators: HashMap::new(),
        };
        let desk = Arc::new(Desk(Mutex::new(state)));
        let mut servers = JoinSet::new();
        let mut urls = Vec::new();
        for (service, upstream) in
            [(Api::Kinesis, kinesis), (Api::Dynamodb, dynamodb), (Api::S3, s3)]
        {
            urls.push(proxy::serve(&mut servers, service, upstream, Arc::clone(&desk)).await?);
        }
        let [kinesis_url, dynamodb_url, s3_url] = urls.try_into().expect("there are three");
        Ok(Faults { kinesis_url, dynamodb_url, s3_url, desk, _servers: servers })
    }

    /// Adds a rule behind those there are: the first that applies to a request harms it.
    pub fn add(&self, rule: Rule) {
        self.desk.lock().rules.push(rule);
    }

    /// Takes all rules away. What hangs meanwhile stays without an answer.
    pub fn clear(&self) {
        self.desk.lock().rules.clear();
    }

    /// Everything counted so far.
    pub fn counts(&self) -> BTreeMap<(Api, String), Count> {
        self.desk.lock().counts.clone()
    }

    /// How often an action was asked for. The names of actions are AWS's: `GetRecords`, `Scan`,
    /// `PutObject`; no two services share one.
    pub fn count(&self, action: &str) -> Count {
        let counts = self.counts();
        let mut all = Count::default();
        for ((_, name), count) in counts {
            if name == action {
                all.requests += count.requests;
                all.harmed += count.harmed;
            }
        }
        all
    }

    /// Counts from zero again.
    pub fn forget(&self) {
        self.desk.lock().counts.clear();
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request and tells what is to become of it.
    fn judge(&self, service: Api, action: &str, subject: &str) -> Option<Fault> {
        let state = &mut *self.lock();
        let chance = &mut state.chance;
        let rules = state.rules.iter_mut();
        let fault = rules.filter_map(|rule| rule.harm(service, action, subject, chance)).next();
        let count = state.counts.entry((service, action.to_owned())).or_default();
        count.requests += 1;
        count.harmed += u64::from(fault.is_some());
        fault
    }

    fn shard_of(&self, iterator: &str) -> Option<String> {
        self.lock().iterators.get(iterator).cloned()
    }

    fn reads(&self, iterator: String, shard: String) {
        self.lock().iterators.insert(iterator, shard);
    }
}
