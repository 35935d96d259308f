//! A catalog as the network makes it look: calls wait, get lost, arrive late.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use iceberg::table::Table;
use iceberg::{
    Catalog, Error, ErrorKind, Namespace, NamespaceIdent, Result, TableCommit, TableCreation,
    TableIdent,
};

use super::storage::{self, Stored};

/// What all workers of a world share.
pub(super) struct Sky {
    state: Mutex<State>,
}

struct State {
    rng: fastrand::Rng,
    calm: bool,
    late: Vec<TableCommit>,
    late_links: Vec<(String, Bytes)>,
    story: Vec<String>,
    counts: Counts,
}

/// What has happened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) commits: u64,
    pub(super) conflicts: u64,
    pub(super) lost_requests: u64,
    pub(super) lost_answers: u64,
    pub(super) late: u64,
    pub(super) late_made: u64,
    pub(super) late_links: u64,
    pub(super) late_links_made: u64,
}

impl Sky {
    pub(super) fn new(seed: u64) -> Arc<Sky> {
        Arc::new(Sky {
            state: Mutex::new(State {
                rng: fastrand::Rng::with_seed(seed),
                calm: false,
                late: Vec::new(),
                late_links: Vec::new(),
                story: Vec::new(),
                counts: Counts::default(),
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this")
    }

    pub(super) fn calm(&self) {
        self.state().calm = true;
    }

    pub(super) fn is_calm(&self) -> bool {
        self.state().calm
    }

    pub(super) fn counts(&self) -> Counts {
        self.state().counts
    }

    pub(super) fn below(&self, n: usize) -> usize {
        self.state().rng.usize(..n)
    }

    /// Whether something happens that does so once in `n` times, and never while it is calm.
    pub(super) fn once_in(&self, n: usize) -> bool {
        let mut state = self.state();
        state.rng.usize(..n) == 0 && !state.calm
    }

    pub(super) fn tell(&self, line: String) {
        self.state().story.push(line);
    }

    pub(super) fn story(&self) -> Vec<String> {
        self.state().story.clone()
    }

    /// Has a link arrive later.
    pub(super) fn delay(&self, location: &str, bytes: Bytes) {
        let mut state = self.state();
        state.counts.late_links += 1;
        state.late_links.push((location.to_owned(), bytes));
    }

    /// Has a link arrive whose writer has given it up long ago, if there is one.
    pub(super) fn deliver_link(&self, stored: &Stored, over: bool) -> bool {
        let late = {
            let mut state = self.state();
            let late = state.late_links.len();
            (late > 0).then(|| state.rng.usize(..late)).map(|n| state.late_links.swap_remove(n))
        };
        let Some((location, bytes)) = late else { return false };
        let made = storage::put(stored, &location, bytes, over);
        self.state().counts.late_links_made += u64::from(made);
        self.tell(format!("a late link is {}", if made { "written" } else { "refused" }));
        true
    }

    /// Has a request arrive that was given up long ago, if there is one.
    pub(super) async fn deliver(&self, catalog: &dyn Catalog) -> bool {
        let late = {
            let mut state = self.state();
            let late = state.late.len();
            (late > 0).then(|| state.rng.usize(..late)).map(|n| state.late.swap_remove(n))
        };
        let Some(commit) = late else { return false };
        let made = catalog.update_table(commit).await.is_ok();
        self.state().counts.late_made += u64::from(made);
        self.tell(format!("a late commit is {}", if made { "made" } else { "refused" }));
        true
    }
}

/// Where a worker waits until it is its turn.
#[derive(Clone, Default)]
pub(super) struct Gate {
    waits: Arc<AtomicBool>,
    open: bool,
}

impl Gate {
    /// One that nobody waits at.
    pub(super) fn open() -> Gate {
        Gate { open: true, ..Gate::default() }
    }

    /// Waits until the world goes on with this worker.
    pub(super) fn pass(&self) -> Pass {
        Pass { gate: self.clone(), reached: self.open }
    }

    /// Whether the worker waits at its gate, which is left behind.
    pub(super) fn left(&self) -> bool {
        self.waits.swap(false, Ordering::Relaxed)
    }
}

pub(super) struct Pass {
    gate: Gate,
    reached: bool,
}

impl Future for Pass {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.reached {
            return Poll::Ready(());
        }
        self.reached = true;
        self.gate.waits.store(true, Ordering::Relaxed);
        Poll::Pending
    }
}

/// The catalog as one worker sees it.
pub(super) struct Weather {
    pub(super) inner: Arc<dyn Catalog>,
    pub(super) sky: Arc<Sky>,
    pub(super) gate: Gate,
    pub(super) worker: String,
}

impl fmt::Debug for Weather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.worker)
    }
}

fn silence() -> Error {
    Error::new(ErrorKind::Unexpected, "no answer came")
}

#[async_trait]
impl Catalog for Weather {
    async fn load_table(&self, table: &TableIdent) -> Result<Table> {
        self.gate.pass().await;
        if self.sky.once_in(30) {
            return Err(silence().with_retryable(self.sky.once_in(2)));
        }
        let loaded = self.inner.load_table(table).await;
        // What was read is old by the time it is looked at.
        self.gate.pass().await;
        loaded
    }

    async fn update_table(&self, commit: TableCommit) -> Result<Table> {
        self.gate.pass().await;
        let (sky, worker) = (&self.sky, &self.worker);
        if sky.once_in(12) {
            sky.tell(format!("{worker}: a request is lost"));
            sky.state().counts.lost_requests += 1;
            return Err(silence());
        }
        if sky.once_in(12) {
            sky.tell(format!("{worker}: a request will be late"));
            let mut state = sky.state();
            state.counts.late += 1;
            state.late.push(commit);
            return Err(silence());
        }
        let updated = self.inner.update_table(commit).await;
        {
            let counts = &mut sky.state().counts;
            match &updated {
                Ok(_) => counts.commits += 1,
                Err(_) => counts.conflicts += 1,
            }
        }
        self.gate.pass().await;
        if updated.is_ok() && sky.once_in(8) {
            sky.tell(format!("{worker}: an answer is lost"));
            sky.state().counts.lost_answers += 1;
            return Err(silence());
        }
        updated
    }

    async fn list_namespaces(&self, _: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>> {
        unreachable!("no worker asks for it")
    }

    async fn create_namespace(
        &self,
        _: &NamespaceIdent,
        _: HashMap<String, String>,
    ) -> Result<Namespace> {
        unreachable!("the table is there")
    }

    async fn get_namespace(&self, _: &NamespaceIdent) -> Result<Namespace> {
        unreachable!("no worker asks for it")
    }

    async fn namespace_exists(&self, _: &NamespaceIdent) -> Result<bool> {
        unreachable!("no worker asks for it")
    }

    async fn update_namespace(&self, _: &NamespaceIdent, _: HashMap<String, String>) -> Result<()> {
        unreachable!("no worker asks for it")
    }

    async fn drop_namespace(&self, _: &NamespaceIdent) -> Result<()> {
        unreachable!("no worker asks for it")
    }

    async fn list_tables(&self, _: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        unreachable!("no worker asks for it")
    }

    async fn create_table(&self, _: &NamespaceIdent, _: TableCreation) -> Result<Table> {
        unreachable!("the table is there")
    }

    async fn drop_table(&self, _: &TableIdent) -> Result<()> {
        unreachable!("no worker asks for it")
    }

    async fn purge_table(&self, _: &TableIdent) -> Result<()> {
        unreachable!("no worker asks for it")
    }

    async fn table_exists(&self, table: &TableIdent) -> Result<bool> {
        self.inner.table_exists(table).await
    }

    async fn rename_table(&self, _: &TableIdent, _: &TableIdent) -> Result<()> {
        unreachable!("no worker asks for it")
    }

    async fn register_table(&self, _: &TableIdent, _: String) -> Result<Table> {
        unreachable!("no worker asks for it")
    }
}
