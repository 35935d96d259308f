//! The sink of Iceberg tables: what becomes of a shard is in them once.
//!
//! Other sinks are given the lines of a route; this one is told of every batch of a shard, in the
//! shard's order and for all tables at once, since a batch that came to nothing brings the shard
//! further, too. Whoever begins to work a shard [takes](Iceberg::begin) its chain, and leaves out
//! what the chain has already ([`Run`]). Lines wait as those of any object do, become [files](rows)
//! of each table, and are durable with one link of the chain. One of the workers has what chains
//! hold appended to the tables ([`commits`]).

mod commits;
mod rows;
mod run;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lakehouse::{Catalog, Committer, Error as LakeError, Files, Lakes, Shard};
use lease::{Held, Position, SequenceNumber};
use tokio::sync::{Mutex, OnceCell};

use crate::budget::Hurry;
use crate::circuit::{Circuit, Then};
use crate::clock;
use crate::health::{Failure, Need, Unfit};
use crate::metrics::Metrics;
use crate::sink::object::table::Tables;
use crate::sink::{Error, Route, within};
pub use commits::commit_for_ever;
pub use run::Run;

/// What is to be known of tables that are filled together.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The catalog, for people.
    pub catalog: String,
    /// The namespace that the tables are in.
    pub namespace: String,
    /// The location below which links are.
    pub links: String,
    /// The streams' name, of shards that do not say which they are of.
    pub stream: String,
    /// The worker's run.
    pub worker: String,
    /// Lines of a shard become files at so many bytes, compressed.
    pub object_bytes: usize,
    /// They do so long after the first of them.
    pub object_age: Duration,
    /// How often what chains hold is appended.
    pub commit_every: Duration,
    /// The tables: whose lines they hold, what they are called, and the destination's name.
    pub tables: Vec<(Route, &'static str, String)>,
}

/// Tables that are filled together.
pub struct Iceberg {
    settings: Settings,
    home: Home,
    /// Whether old snapshots are ours to forget.
    expires: bool,
    lakes: OnceCell<Lakes>,
    /// Of each table what is known of its columns.
    known: Vec<rows::Known>,
    committer: Mutex<Option<Committer>>,
    making: Arc<Tables>,
    metrics: Arc<Metrics>,
    circuit: Circuit,
    commits: Circuit,
    hurry: Hurry,
}

/// Where tables are.
pub struct Home {
    /// Opens what says which metadata file is a table's newest.
    pub open: Box<dyn Fn() -> lakehouse::Result<Arc<dyn Catalog>> + Send + Sync>,
    /// Where links are.
    pub files: Arc<dyn Files>,
    /// Whether the catalog forgets old snapshots itself.
    pub expires_itself: bool,
}

impl Iceberg {
    /// Nothing is asked for yet.
    pub fn new(home: Home, settings: Settings, making: Arc<Tables>, hurry: Hurry) -> Iceberg {
        let metrics = Arc::clone(&making.metrics);
        let what = format!("tables of {} in {}", settings.namespace, settings.catalog);
        let check = |what| Circuit::new(metrics.health().check(what, Need::WhenUsed));
        Iceberg {
            circuit: check(what.clone()),
            commits: check(format!("{what}, commits")),
            known: settings.tables.iter().map(|_| rows::Known::default()).collect(),
            committer: Mutex::default(),
            settings,
            expires: !home.expires_itself,
            home,
            lakes: OnceCell::new(),
            making,
            metrics,
            hurry,
        }
    }

    /// Takes the chain of a shard.
    pub async fn begin(self: &Arc<Self>, held: &Arc<Held>) -> Result<Run, Error> {
        let shard = self.shard(held);
        let taking = self.try_until(|| async {
            let lakes = self.lakes().await?;
            lakes.take(&shard, &self.settings.worker, clock::now_ms()).await
        });
        let chain = within(held, taking).await??;
        let place = position(chain.place()).map_err(|why| Error::failed("taking a shard", why))?;
        let position = held.position();
        if let Some(place) = place.as_ref().filter(|place| **place > position) {
            tracing::info!(
                %shard,
                tables = %place,
                checkpoint = %position,
                "the tables have more of the shard than its checkpoint says, which is left out"
            );
        }
        Ok(Run::start(Arc::clone(self), chain, place))
    }

    /// Whether the tables are there, or can be made.
    pub async fn look(&self) -> Result<(), Unfit> {
        let looked = async { self.lakes().await?.look().await }.await;
        looked.map_err(|error| Unfit {
            what: self.circuit.what().to_owned(),
            failure: failure(&error),
        })
    }

    /// Makes the tables that are not there, once.
    async fn lakes(&self) -> Result<&Lakes, LakeError> {
        let open = || async {
            let Settings { namespace, links, tables, .. } = &self.settings;
            let catalog = (self.home.open)()?;
            let mut lakes = BTreeMap::new();
            for (route, name, _) in tables {
                let columns = crate::tables::columns(*route);
                let catalog = Arc::clone(&catalog);
                let lake = lakehouse::Lake::open(catalog, namespace, name, &columns).await?;
                lakes.insert((*name).to_owned(), lake);
            }
            Ok(Lakes::new(catalog, namespace, lakes, Arc::clone(&self.home.files), links))
        };
        self.lakes.get_or_try_init(open).await
    }

    /// Tries as long as that may help.
    async fn try_until<T, F: Future<Output = Result<T, LakeError>>>(
        &self,
        mut what: impl FnMut() -> F,
    ) -> Result<T, Error> {
        loop {
            let turn = self.circuit.turn().await;
            match what().await {
                Ok(done) => {
                    turn.succeeded();
                    return Ok(done);
                }
                Err(LakeError::Lost { .. }) => {
                    turn.succeeded();
                    return Err(Error::Lost);
                }
                Err(error) => {
                    self.count_failure();
                    if turn.failed(&failure(&error)) == Then::GiveUp {
                        return Err(Error::failed(self.circuit.what(), error));
                    }
                }
            }
        }
    }

    /// A request failed, of one table or of all.
    fn count_failure(&self) {
        for (route, _, name) in &self.settings.tables {
            self.metrics.write_failed(*route, name);
        }
    }

    /// A shard as tables name it.
    fn shard(&self, held: &Held) -> Shard {
        let (stream, shard) = pipeline::home(&self.settings.stream, held.shard().as_str());
        Shard::new(stream, shard)
    }
}

/// An error of tables as that of anything that is asked.
fn failure(error: &LakeError) -> Failure {
    let message = crate::causes::chain(error);
    let refused = ["AccessDenied", "Forbidden", "not authorized", "Permission denied"];
    let refused = refused.iter().any(|words| message.contains(words));
    Failure {
        action: "Iceberg",
        status: None,
        code: refused.then(|| "AccessDenied".to_owned()),
        passing: !refused && !matches!(error, LakeError::Unusable(_)),
        message,
    }
}

/// The place of a chain that ends after that record.
fn place(sequence: &SequenceNumber, sub_sequence: u64) -> String {
    format!("{sequence}/{sub_sequence}")
}

/// The position of a place; none at the beginning.
fn position(place: &str) -> Result<Option<Position>, String> {
    if place.is_empty() {
        return Ok(None);
    }
    let read = || {
        let (sequence, sub_sequence) = place.split_once('/')?;
        let sequence = SequenceNumber::parse(sequence)?;
        Some(Position::After { sequence, sub_sequence: sub_sequence.parse().ok()? })
    };
    let wrong = || format!("expected <sequence number>/<sub-sequence>, found {place:?}");
    read().map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written() {
        let sequence = SequenceNumber::parse("49590338271490256608").expect("a number");
        let after = Position::After { sequence: sequence.clone(), sub_sequence: 3 };
        assert_eq!(position(&place(&sequence, 3)), Ok(Some(after)));
        assert_eq!(position(""), Ok(None));
        for text in ["7", "x/3", "7/", "7/x", "LATEST"] {
            assert!(position(text).expect_err("no place").contains(text), "{text}");
        }
    }
}
