//! One ownership of one shard: its batches in their order, lines that wait for their files, and the
//! chain that grows.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use lakehouse::{Appended, Chain};
use lease::Position;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Iceberg, place};
use crate::clock;
use crate::sink::object::frame;
use crate::sink::{Error, Origin, Part, Written, guard};

/// One ownership of one shard. Dropping it abandons what waits; whoever waits for it learns so.
pub struct Run {
    tables: Arc<Iceberg>,
    /// Up to where the tables have the shard already.
    place: Option<Position>,
    heard: mpsc::Sender<Heard>,
    task: JoinHandle<()>,
}

/// Lines of one batch for one table, compressed.
#[derive(Debug)]
pub(super) struct Frame {
    /// Which of the tables.
    pub(super) table: usize,
    pub(super) packed: Bytes,
    pub(super) now_ms: i64,
    lines: usize,
    text_bytes: usize,
}

/// A batch that was worked, with what became of it for the tables: perhaps nothing.
struct Heard {
    number: u64,
    origin: Origin,
    frames: Vec<Frame>,
    done: oneshot::Sender<Result<(), Error>>,
}

/// What is to be the next link.
#[derive(Default)]
struct Open {
    batches: Vec<Heard>,
    bytes: usize,
    close_at: Option<Instant>,
}

impl Run {
    #[allow(clippy::disallowed_methods, reason = "the run owns the task and aborts it")]
    pub(super) fn start(tables: Arc<Iceberg>, chain: Chain, place: Option<Position>) -> Run {
        // One batch may wait: its sender holds its bytes of the budget meanwhile.
        let (heard, receiver) = mpsc::channel(1);
        let writer = Writer {
            calls: tables.hurry.listen(),
            tables: Arc::clone(&tables),
            batches: receiver,
            early: BTreeMap::new(),
            next: 0,
            open: Open::default(),
            called: false,
        };
        Run { tables, place, heard, task: tokio::spawn(writer.run(chain)) }
    }

    /// Up to where the tables have the shard already: whoever cuts a batch there has one of which
    /// they need all or nothing.
    pub fn place(&self) -> Option<&Position> {
        self.place.as_ref()
    }

    /// Takes the lines that a batch came to, by table; those of a batch before the place are there
    /// already. `number` counts the batches of the ownership from 0.
    pub async fn write(
        &self,
        number: u64,
        origin: Origin,
        parts: Vec<(usize, Arc<Part>)>,
    ) -> Result<Written, Error> {
        let (sequence, sub_sequence) = origin.last.clone();
        let last = Position::After { sequence, sub_sequence };
        let there = self.place.as_ref().is_some_and(|place| last <= *place);
        let frames = if there { Vec::new() } else { self.packed(parts).await? };
        let bytes = frames.iter().map(|frame| frame.packed.len()).sum();
        let (done, answer) = oneshot::channel();
        let nothing = frames.is_empty();
        let heard = Heard { number, origin, frames, done };
        self.heard.send(heard).await.map_err(|_| Error::gone())?;
        if nothing {
            return Ok(Written::Durable);
        }
        Ok(Written::Held { bytes, done: answer })
    }

    async fn packed(&self, parts: Vec<(usize, Arc<Part>)>) -> Result<Vec<Frame>, Error> {
        if parts.is_empty() {
            return Ok(Vec::new());
        }
        let packed = self.tables.making.pool.run(move || {
            let frame = |(table, part): (usize, Arc<Part>)| Frame {
                table,
                packed: frame::pack(part.lines.as_bytes()).into(),
                now_ms: part.origin.now_ms,
                lines: part.lines.len(),
                text_bytes: part.lines.as_bytes().len(),
            };
            parts.into_iter().map(frame).collect()
        });
        packed.await.map_err(|error| Error::failed("compressing lines", error))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The task behind it.
struct Writer {
    tables: Arc<Iceberg>,
    batches: mpsc::Receiver<Heard>,
    calls: tokio::sync::watch::Receiver<u64>,
    /// Batches before which another is missing.
    early: BTreeMap<u64, Heard>,
    next: u64,
    open: Open,
    /// Whether somebody calls for what is open to be written.
    called: bool,
}

impl Writer {
    async fn run(mut self, chain: Chain) {
        let mut chain = Some(chain);
        let mut writing = std::pin::pin!(None);
        loop {
            if writing.is_none()
                && self.is_due()
                && let Some(chain) = chain.take()
            {
                self.called = false;
                let open = std::mem::take(&mut self.open);
                writing.set(Some(write(Arc::clone(&self.tables), chain, open.batches)));
            }
            let close_at = self.open.close_at.filter(|_| writing.is_none());
            tokio::select! {
                heard = self.batches.recv() => match heard {
                    Some(heard) => self.hear(heard),
                    None => return,
                },
                () = until(close_at) => {}
                // A call that finds nothing open is not for what comes later.
                _ = self.calls.changed() => self.called = self.open.close_at.is_some(),
                // The future is there, or this arm is not.
                done = async { writing.as_mut().as_pin_mut().expect("it is there").await },
                    if writing.is_some() =>
                {
                    writing.set(None);
                    match done {
                        Ok(longer) => chain = Some(longer),
                        Err(error) => return self.fail(&error).await,
                    }
                }
            }
        }
    }

    /// Whether what is open is to be written now.
    fn is_due(&self) -> bool {
        let Some(close_at) = self.open.close_at else { return false };
        let full = self.open.bytes >= self.tables.settings.object_bytes;
        full || self.called || close_at <= Instant::now()
    }

    fn hear(&mut self, heard: Heard) {
        self.early.insert(heard.number, heard);
        while let Some(heard) = self.early.remove(&self.next) {
            self.next += 1;
            let bytes = heard.frames.iter().map(|frame| frame.packed.len()).sum::<usize>();
            let begins = self.open.close_at.is_none();
            if begins && bytes == 0 {
                // It brings the shard further with the first line that is written behind it.
                continue;
            }
            if begins {
                self.open.close_at = Some(Instant::now() + self.tables.settings.object_age);
            }
            self.open.bytes += bytes;
            self.open.batches.push(heard);
        }
    }

    /// Nothing can be written for the shard any more: says so to all who wait, and who come.
    async fn fail(mut self, error: &Error) {
        let open = std::mem::take(&mut self.open.batches);
        answer(open.into_iter().chain(self.early.into_values()), &Err(error.clone()));
        while let Some(heard) = self.batches.recv().await {
            answer([heard], &Err(error.clone()));
        }
    }
}

/// Writes what batches came to; durable when this returns the chain, which is longer then.
async fn write(
    tables: Arc<Iceberg>,
    chain: Chain,
    mut batches: Vec<Heard>,
) -> Result<Chain, Error> {
    let frames = batches.iter_mut().flat_map(|heard| std::mem::take(&mut heard.frames)).collect();
    let written = link(&tables, chain, frames, &batches).await;
    match written {
        Ok(chain) => {
            answer(batches, &Ok(()));
            Ok(chain)
        }
        Err(error) => {
            answer(batches, &Err(error.clone()));
            Err(error)
        }
    }
}

async fn link(
    tables: &Arc<Iceberg>,
    mut chain: Chain,
    frames: Vec<Frame>,
    batches: &[Heard],
) -> Result<Chain, Error> {
    let origins = || batches.iter().map(|heard| &heard.origin);
    let names = tables.settings.tables.iter().map(|(_, name, _)| *name);
    let mut files = Appended::none(names);
    let counts: Vec<_> = frames.iter().map(|f| (f.table, f.lines, f.text_bytes)).collect();
    let mut bytes = vec![0; tables.settings.tables.len()];
    for (table, made) in guard(origins(), tables.files(frames)).await?? {
        for file in made {
            let write = || async { file.write().await };
            let told = guard(origins(), tables.try_until(write)).await??;
            bytes[table] += file.bytes();
            let added = files.add(file.table(), told);
            added.map_err(|error| Error::failed("telling of a file", error))?;
        }
    }
    let last = &batches.last().expect("a link has batches").origin.last;
    let next = chain.link(&place(&last.0, last.1), files, clock::now_ms());
    let adding = async {
        loop {
            let turn = tables.circuit.turn().await;
            match chain.add(&next).await {
                Ok(()) => {
                    turn.succeeded();
                    return Ok(chain);
                }
                Err(lakehouse::Error::Lost { .. }) => {
                    turn.succeeded();
                    return Err(Error::Lost);
                }
                Err(error) => {
                    tables.count_failure();
                    if turn.failed(&super::failure(&error)) == crate::circuit::Then::GiveUp {
                        return Err(Error::failed(tables.circuit.what(), error));
                    }
                }
            }
        }
    };
    let chain = guard(origins(), adding).await??;
    for (table, lines, text_bytes) in counts {
        let (route, _, name) = &tables.settings.tables[table];
        tables.metrics.wrote(*route, name, lines, text_bytes);
    }
    for ((route, ..), bytes) in tables.settings.tables.iter().zip(bytes).filter(|(_, n)| *n > 0) {
        tables.metrics.object_written(*route, bytes);
    }
    Ok(chain)
}

fn answer(batches: impl IntoIterator<Item = Heard>, result: &Result<(), Error>) {
    for heard in batches {
        // Nobody waits any more when the shard was left meanwhile.
        let _ = heard.done.send(result.clone());
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
