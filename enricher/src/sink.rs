//! Where output goes: the [`Sink`] seam, and [`Sinks`], which knows when a batch is durable on
//! every route it needs.
//!
//! A sink promises that what it reports as written stays written, that it starts no request for a
//! shard after that shard's output deadline, and that it never drops a line. It may write a line
//! twice. It retries what passes by itself.

pub mod iceberg;
pub mod kinesis;
pub mod local;
pub mod memory;
pub mod object;
pub mod put;
pub mod s3;
pub mod storage;
pub mod tally;

use std::sync::{Arc, Weak};
use std::time::Duration;

use lease::{Held, ShardId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::batch::{Batch, Record};
use crate::budget::Permit;
use crate::health::Unfit;
use crate::metrics::Metrics;
use crate::pool::Pool;
use crate::seam::{Pending, join};
use iceberg::{Iceberg, Run};
pub use pipeline::Route;
use pipeline::divide::{Both, Division, Form, Share, Want, divide};
use pipeline::{Lines, Output};
use tally::Tally;

/// One place that takes the lines of one route.
pub trait Sink: Send + Sync {
    /// Writes the lines, or takes them over: the answer tells which.
    fn write(&self, part: Arc<Part>) -> Pending<'_, Result<Written, Error>>;

    /// Whether it could be written to, as far as that can be told without writing lines.
    fn look(&self) -> Pending<'_, Result<(), Unfit>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Cuts off what it does by itself, beside the futures of [`write`](Sink::write).
    fn stop(&self) {}
}

/// Lines of one batch for one place.
#[derive(Debug)]
pub struct Part {
    /// The lines; at least one.
    pub lines: Lines,
    /// Where they come from.
    pub origin: Origin,
    /// The folder of objects that they belong into, where their columns tell.
    pub folder: Option<Arc<str>>,
}

/// The batch that lines come from, and the right to write them.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The shard that the batch was read from.
    pub shard: ShardId,
    /// The number of the ownership.
    pub epoch: u64,
    right: Right,
    /// The first record: sequence number and sub-sequence.
    pub first: (lease::SequenceNumber, u64),
    /// The last record.
    pub last: (lease::SequenceNumber, u64),
    /// How many records there are.
    pub records: usize,
    /// When the batch was processed, in milliseconds since the epoch.
    pub now_ms: i64,
    /// When the earliest and the latest record came to the stream, where that is known.
    pub arrived_ms: Option<(i64, i64)>,
    tally: Option<Arc<Tally>>,
    /// Which batch of its ownership it is, from 0.
    number: u64,
}

/// The right to write lines.
#[derive(Clone, Debug)]
enum Right {
    /// That of a lease. Not kept alive from here: what waits in an object must not keep a shard
    /// whose loop has ended.
    Lease(Weak<Held>),
    /// Nobody else makes these lines.
    Own,
}

/// How a sink took a part.
#[derive(Debug)]
pub enum Written {
    /// It is durable.
    Durable,
    /// It was copied, and will be durable when the object it is in is.
    Held {
        /// What the copy occupies.
        bytes: usize,
        /// Tells when it is durable. A sink that went away without a word failed.
        done: oneshot::Receiver<Result<(), Error>>,
    },
}

/// Why lines could not be written, by what to do next.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The lease is gone: stop working on the shard. Its next owner reads the batch again.
    #[error("the lease was lost")]
    Lost,
    /// Retries are spent or would not help: stop the worker.
    #[error("{doing}: {why}")]
    Failed {
        /// What was tried.
        doing: String,
        /// What came back.
        why: String,
    },
}

/// All sinks by route.
#[derive(Default)]
pub struct Sinks {
    routes: Vec<Sharing>,
    tables: Vec<Arc<Iceberg>>,
    dividing: Option<(Arc<Pool>, Arc<Metrics>)>,
}

/// The sinks of a route, and what each wants of its lines.
struct Sharing {
    route: Route,
    sinks: Vec<Place>,
    wants: Arc<Vec<Want>>,
}

/// What takes lines of a route.
enum Place {
    /// A sink of its own.
    Sink(Arc<dyn Sink>),
    /// A table, one of those that are filled together: which of these, and which table of them.
    Table(usize, usize),
}

/// What the lines of a batch come to.
#[derive(Default)]
struct Writes<'s> {
    sinks: Vec<Writing<'s>>,
    /// By those that are filled together: tables and their lines.
    tables: Vec<Vec<(usize, Arc<Part>)>>,
}

impl Sinks {
    /// None yet, some of which are going to want a part of the lines: threads divide these.
    pub fn dividing(pool: Arc<Pool>, metrics: Arc<Metrics>) -> Sinks {
        Sinks { routes: Vec::new(), tables: Vec::new(), dividing: Some((pool, metrics)) }
    }

    /// Adds a place to a route, which takes all lines as they are.
    pub fn with(self, route: Route, sink: Arc<dyn Sink>) -> Sinks {
        self.with_want(route, Want::default(), sink)
    }

    /// Adds a place to a route, which takes what it wants.
    ///
    /// # Panics
    ///
    /// If that is not everything and there are no threads to divide lines.
    pub fn with_want(self, route: Route, want: Want, sink: Arc<dyn Sink>) -> Sinks {
        self.with_place(route, want, Place::Sink(sink))
    }

    /// Adds tables that are filled together, of which each route's takes what it wants.
    ///
    /// # Panics
    ///
    /// If one wants a part and there are no threads to divide lines.
    pub fn with_tables(mut self, tables: Arc<Iceberg>, wants: Vec<(Route, Want)>) -> Sinks {
        let which = self.tables.len();
        self.tables.push(tables);
        let wants = wants.into_iter().enumerate();
        wants.fold(self, |all, (table, (route, want))| {
            all.with_place(route, want, Place::Table(which, table))
        })
    }

    fn with_place(mut self, route: Route, want: Want, place: Place) -> Sinks {
        assert!(want.is_all() || self.dividing.is_some(), "nobody divides the lines");
        let known = self.routes.iter().position(|sharing| sharing.route == route);
        let at = known.unwrap_or_else(|| {
            self.routes.push(Sharing { route, sinks: Vec::new(), wants: Arc::default() });
            self.routes.len() - 1
        });
        let sharing = &mut self.routes[at];
        sharing.sinks.push(place);
        Arc::make_mut(&mut sharing.wants).push(want);
        self
    }

    /// Every place.
    pub fn all(&self) -> impl Iterator<Item = &dyn Sink> {
        let places = self.routes.iter().flat_map(|sharing| &sharing.sinks);
        places.filter_map(|place| match place {
            Place::Sink(sink) => Some(&**sink),
            Place::Table(..) => None,
        })
    }

    /// The tables that are filled together.
    pub fn tables(&self) -> &[Arc<Iceberg>] {
        &self.tables
    }

    /// Whether somebody keeps records as they came.
    pub fn archives(&self) -> bool {
        self.routes.iter().any(|sharing| sharing.route == Route::Raw)
    }

    /// Writes everything a batch became; durable everywhere when this returns. The permit shrinks
    /// to what is held in objects as soon as the lines themselves are no longer needed. `runs` are
    /// those of the batch's ownership, one for each that is filled together.
    pub async fn write(
        &self,
        mut output: Output,
        origin: Origin,
        runs: &[Run],
        permit: &mut Permit,
    ) -> Result<(), Error> {
        let mut writes = Writes::default();
        writes.tables.resize_with(runs.len(), Vec::new);
        for route in Route::ALL.into_iter().chain([Route::Raw]) {
            let own = std::mem::take(output.lines_mut(route));
            let json = output.json.lines_mut(route).map(std::mem::take).unwrap_or_default();
            if own.is_empty() {
                continue;
            }
            let Some(sharing) = self.routes.iter().find(|sharing| sharing.route == route) else {
                if !route.has_verdicts() {
                    continue;
                }
                // Going on would checkpoint past what is written nowhere.
                let why = "no destination is configured for this route";
                return Err(Error::failed(format!("writing {}", route.name()), why));
            };
            self.writes(sharing, Both { own, json }, &origin, &mut writes).await?;
        }
        let Writes { sinks: mut writes, tables } = writes;
        for (run, parts) in runs.iter().zip(tables) {
            writes.push(Box::pin(run.write(origin.number, origin.clone(), parts)));
        }
        let mut waiting = Vec::new();
        let mut held = 0;
        for written in join(writes).await {
            if let Written::Held { bytes, done } = written? {
                held += bytes;
                waiting.push(done);
            }
        }
        permit.rest(held);
        for done in waiting {
            done.await.unwrap_or_else(|_| Err(Error::gone()))?;
        }
        Ok(())
    }
}

impl<'s> Writes<'s> {
    fn add(&mut self, place: &'s Place, part: Arc<Part>) {
        match place {
            Place::Sink(sink) => self.sinks.push(sink.write(part)),
            Place::Table(which, table) => self.tables[*which].push((*table, part)),
        }
    }
}

type Writing<'s> = Pending<'s, Result<Written, Error>>;

impl Sinks {
    /// Cuts off everything that is being written. Nothing is written after that.
    pub fn stop(&self) {
        self.all().for_each(Sink::stop);
    }

    /// Adds the writes that the lines of a route come to: each sink gets what it wants.
    async fn writes<'s>(
        &'s self,
        sharing: &'s Sharing,
        both: Both,
        origin: &Origin,
        writes: &mut Writes<'s>,
    ) -> Result<(), Error> {
        let part = |lines, folder: Option<String>| {
            let folder = folder.map(Arc::from);
            Arc::new(Part { lines, origin: origin.clone(), folder })
        };
        let Sharing { route, sinks, wants } = sharing;
        if wants.iter().all(Want::is_all) {
            let part = part(both.own, None);
            sinks.iter().for_each(|place| writes.add(place, Arc::clone(&part)));
            return Ok(());
        }
        let (both, division) = self.divided(*route, both, wants, origin.now_ms).await?;
        let (own, json) = (part(both.own, None), part(both.json, None));
        for ((place, want), share) in sinks.iter().zip(&**wants).zip(division.shares) {
            match share {
                Share::All => {
                    let whole = if want.form == Form::Json { &json } else { &own };
                    writes.add(place, Arc::clone(whole));
                }
                Share::Some(parts) => {
                    let parts = parts.into_iter().map(|(folder, lines)| part(lines, folder));
                    parts.for_each(|part| writes.add(place, part));
                }
            }
        }
        Ok(())
    }

    /// Divides lines, on a thread where they have to be looked at.
    async fn divided(
        &self,
        route: Route,
        both: Both,
        wants: &Arc<Vec<Want>>,
        now_ms: i64,
    ) -> Result<(Both, Division), Error> {
        if !wants.iter().any(Want::chooses) {
            let shares = wants.iter().map(|_| Share::All).collect();
            return Ok((both, Division { shares, unwanted: 0 }));
        }
        let (pool, metrics) = self.dividing.as_ref().expect("a want came with threads");
        let wants = Arc::clone(wants);
        let divided = pool.run(move || {
            let division = divide(route, &both, &wants, now_ms);
            (both, division)
        });
        let divided = divided.await.map_err(|error| Error::failed("dividing lines", error))?;
        metrics.unwanted(route, divided.1.unwanted);
        Ok(divided)
    }
}

/// What a destination is called: its route, and its name where it has one.
pub fn called(route: Route, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{}, {name}", route.name()),
        None => route.name().to_owned(),
    }
}

impl Origin {
    /// Of a batch that has records.
    pub fn of(batch: &Batch, held: &Arc<Held>, now_ms: i64) -> Option<Origin> {
        let place = |record: &Record| (record.sequence.clone(), record.sub_sequence);
        Some(Origin {
            shard: held.shard().clone(),
            epoch: held.epoch(),
            right: Right::Lease(Arc::downgrade(held)),
            first: place(batch.records.first()?),
            last: place(batch.records.last()?),
            records: batch.records.len(),
            now_ms,
            arrived_ms: batch.arrived_ms(),
            tally: None,
            number: 0,
        })
    }

    /// The same of the batch of that number, with what keeps count of what is durable.
    #[must_use]
    pub fn counted(self, number: u64, tally: &Arc<Tally>) -> Origin {
        Origin { number, tally: Some(Arc::clone(tally)), ..self }
    }

    /// Lines from there are durable in a destination, which would take them once more.
    pub fn wrote(&self, lines: usize) {
        if let Some(tally) = &self.tally {
            let (sequence, sub_sequence) = self.last.clone();
            tally.add(lease::Position::After { sequence, sub_sequence }, lines);
        }
    }

    /// Of the n-th part of a replay, which no lease is about.
    pub fn of_replay(replay: &str, part: u64, records: usize, now_ms: i64) -> Origin {
        let number = lease::SequenceNumber::parse(&part.to_string());
        let place = (number.expect("a number without a sign is one"), 0);
        let (shard, first, last) = (ShardId::new(replay), place.clone(), place);
        let (epoch, right, arrived_ms) = (0, Right::Own, None);
        let (tally, number) = (None, 0);
        Origin { shard, epoch, right, first, last, records, now_ms, arrived_ms, tally, number }
    }

    /// Whether output may still be written: the lease is held and its deadline ahead.
    pub fn may_write(&self) -> bool {
        self.deadline().is_some_and(|deadline| Instant::now() < deadline)
    }

    /// Until when output may be written; `None` once the lease is gone.
    fn deadline(&self) -> Option<Instant> {
        let held = match &self.right {
            Right::Lease(held) => held.upgrade()?,
            Right::Own => return Some(Instant::now() + OWN),
        };
        (!held.lost().is_cancelled()).then(|| held.deadline())
    }
}

/// How far ahead the deadline of what is one's own always is: a day.
const OWN: Duration = Duration::from_secs(86_400);

/// Runs a request only while every origin may write: it is not started when one may not, and cut
/// off when a deadline passes that no renewal moved. A request as long as a lease is fine as long
/// as the lease is renewed meanwhile.
pub async fn guard<T>(
    origins: impl Iterator<Item = &Origin> + Clone,
    request: impl Future<Output = T>,
) -> Result<T, Error> {
    let mut request = std::pin::pin!(request);
    while origins.clone().all(Origin::may_write) {
        let Some(deadline) = origins.clone().filter_map(Origin::deadline).min() else { break };
        tokio::select! {
            biased;
            result = &mut request => return Ok(result),
            () = tokio::time::sleep_until(deadline) => {}
        }
    }
    Err(Error::Lost)
}

/// Runs a request only while the lease is held, as [`guard`] does.
pub async fn within<T>(held: &Held, request: impl Future<Output = T>) -> Result<T, Error> {
    let mut request = std::pin::pin!(request);
    loop {
        let deadline = held.deadline();
        if held.lost().is_cancelled() || deadline <= Instant::now() {
            return Err(Error::Lost);
        }
        tokio::select! {
            biased;
            result = &mut request => return Ok(result),
            () = tokio::time::sleep_until(deadline) => {}
        }
    }
}

impl Error {
    /// A failure to do something, for a reason that prints with all its causes.
    pub fn failed(doing: impl Into<String>, why: impl std::fmt::Display) -> Error {
        Error::Failed { doing: doing.into(), why: why.to_string() }
    }

    /// The sink's task ended.
    pub(crate) fn gone() -> Error {
        Error::failed("writing", "the sink has stopped")
    }
}
