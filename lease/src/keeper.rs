//! The keeper: the only writer of the lease table.
//!
//! It performs what [`Protocol`] decides: reads and writes the store, hands each lease to the
//! shard's task as a [`Held`], and tells the protocol what became of it. It decides nothing. All of
//! it is one task, which the [`Leases`] own; what is under way at the store is owned by that task.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::gauge::Gauge;
use crate::held::{Held, Shared};
use crate::lease::LeaseKey;
use crate::protocol::{Command, Event, Grant, Progress, Protocol};
use crate::shards::Shard;
use crate::status::Status;
use crate::store::{LeaseStore, Pending};

/// The most leases that wait for somebody to call [`Leases::next`]. One more is given back.
const WAITING: usize = 1024;

/// A handle on the keeper; cheap to clone.
#[derive(Clone, Debug)]
pub struct Keeper {
    inbox: Arc<Inbox>,
}

/// What is left for the keeper's task to find.
#[derive(Debug)]
struct Inbox {
    listing: Mutex<Option<Vec<Shard>>>,
    stream: Mutex<Option<u64>>,
    status: Mutex<Status>,
    drain: CancellationToken,
    drained: CancellationToken,
    wake: Arc<Notify>,
}

impl Keeper {
    /// Starts the keeper's task on the current runtime.
    pub fn start(store: Arc<dyn LeaseStore>, config: Config) -> (Keeper, Leases) {
        let inbox = Arc::new(Inbox {
            listing: Mutex::default(),
            stream: Mutex::default(),
            status: Mutex::default(),
            drain: CancellationToken::new(),
            drained: CancellationToken::new(),
            wake: Arc::default(),
        });
        let (grants, taken) = mpsc::channel(WAITING);
        let desk = Desk {
            protocol: Protocol::new(config.clone(), fastrand::u64(..)),
            started: Instant::now(),
            tasks: BTreeMap::new(),
            replies: JoinSet::new(),
            draining: false,
            _drained: inbox.drained.clone().drop_guard(),
            inbox: inbox.clone(),
            grants,
            store,
            config,
        };
        let mut task = JoinSet::new();
        task.spawn(desk.run());
        (Keeper { inbox }, Leases { taken, task })
    }

    /// A complete listing of the stream's shards, from which leases are created and deleted.
    /// The newest one counts. To be called at the start, every few seconds or minutes, and soon
    /// after a shard's end.
    pub fn observe_shards(&self, shards: Vec<Shard>) {
        *self.inbox.listing.lock().expect(UNPOISONED) = Some(shards);
        self.inbox.wake.notify_one();
    }

    /// When the stream was created, in seconds since 1970. Leases that say otherwise are of a
    /// stream of the same name that was deleted: they are left alone, and counted in
    /// [`Status::foreign`]. To be called before [`observe_shards`](Keeper::observe_shards).
    pub fn observe_stream(&self, created: u64) {
        *self.inbox.stream.lock().expect(UNPOISONED) = Some(created);
    }

    /// What the keeper has done and sees.
    pub fn status(&self) -> Status {
        *self.inbox.status.lock().expect(UNPOISONED)
    }

    /// Takes no more leases, asks every [`Held`] back, and resolves when all are released or lost.
    /// The stream of [`Leases`] ends then.
    pub async fn drain(&self) {
        self.inbox.drain.cancel();
        self.inbox.wake.notify_one();
        self.inbox.drained.cancelled().await;
    }
}

const UNPOISONED: &str = "nothing panics while it holds this lock";

/// The keeper's task and the leases it takes. Dropping it stops the keeper where it stands, and
/// with it the right to work any lease.
#[derive(Debug)]
pub struct Leases {
    taken: mpsc::Receiver<Held>,
    task: JoinSet<Result<()>>,
}

impl Leases {
    /// The next lease that became ours; `None` when the keeper has ended, because it was drained
    /// or because its store cannot be used.
    pub async fn next(&mut self) -> Option<Held> {
        self.taken.recv().await
    }

    /// Waits for the keeper's end, and says why, if it was not drained.
    pub async fn join(mut self) -> Result<()> {
        drop(self.taken);
        match self.task.join_next().await {
            Some(Ok(end)) => end,
            Some(Err(failure)) => std::panic::resume_unwind(failure.into_panic()),
            None => Ok(()),
        }
    }
}

/// The keeper's task.
#[derive(Debug)]
struct Desk {
    store: Arc<dyn LeaseStore>,
    config: Config,
    protocol: Protocol,
    started: Instant,
    inbox: Arc<Inbox>,
    grants: mpsc::Sender<Held>,
    tasks: BTreeMap<LeaseKey, ShardTask>,
    /// What is under way at the store; each ends as the event that answers its command.
    replies: JoinSet<Event>,
    draining: bool,
    _drained: DropGuard,
}

/// A shard's task, as far as the keeper knows it.
#[derive(Debug)]
struct ShardTask {
    shared: Arc<Shared>,
    gauge: Gauge,
    weight: u64,
    /// The task's last announcement.
    announcement: u64,
    ended: bool,
}

impl Desk {
    async fn run(mut self) -> Result<()> {
        self.open().await?;
        loop {
            let mut drained = false;
            for event in self.events().await {
                let now = self.now();
                for command in self.protocol.step(event, now) {
                    drained |= command == Command::Drained;
                    self.perform(command);
                }
            }
            *self.inbox.status.lock().expect(UNPOISONED) = self.protocol.status();
            if drained {
                return Ok(());
            }
        }
    }

    /// Makes the store ready, however long that takes, unless the worker is to stop.
    async fn open(&self) -> Result<()> {
        let drain = self.inbox.drain.cancelled();
        tokio::select! {
            biased;
            () = drain => Ok(()),
            opened = self.open_at_last() => opened,
        }
    }

    async fn open_at_last(&self) -> Result<()> {
        loop {
            match self.store.open().await {
                Ok(()) => return Ok(()),
                Err(Error::Unavailable(error)) => {
                    tracing::warn!(%error, "lease store not ready");
                    sleep(self.config.renew_interval).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until something has happened, and says what.
    async fn events(&mut self) -> Vec<Event> {
        let due = self.started.checked_add(self.protocol.due());
        let due = due.unwrap_or_else(|| Instant::now() + FAR);
        let reply = tokio::select! {
            biased;
            Some(reply) = self.replies.join_next() => Some(reply),
            () = self.inbox.wake.notified() => None,
            () = sleep_until(due) => None,
        };
        let mut events = Vec::new();
        if self.protocol.due() <= self.now() {
            events.push(Event::Worked(self.progress()));
        }
        match reply {
            Some(Ok(event)) => events.push(event),
            Some(Err(failure)) => std::panic::resume_unwind(failure.into_panic()),
            None => self.look(&mut events),
        }
        events
    }

    /// Looks for what others left for us.
    fn look(&mut self, events: &mut Vec<Event>) {
        if let Some(created) = self.inbox.stream.lock().expect(UNPOISONED).take() {
            events.push(Event::Stream(created));
        }
        if let Some(listing) = self.inbox.listing.lock().expect(UNPOISONED).take() {
            events.push(Event::Listed(listing));
        }
        for (key, task) in &mut self.tasks {
            let state = task.shared.lock();
            if state.dropped && !task.ended {
                task.ended = true;
                events.push(Event::Dropped(key.clone(), state.position.clone()));
            } else if state.announcement.number > task.announcement {
                task.announcement = state.announcement.number;
                let (key, weight) = (key.clone(), task.weight);
                let (position, lag) = (state.position.clone(), state.lag);
                let progress = Progress { key, position, weight, lag };
                events.push(Event::Announced(progress, state.announcement.clone()));
            }
        }
        if self.inbox.drain.is_cancelled() && !self.draining {
            self.draining = true;
            events.push(Event::Drain);
        }
        let lost = |task: &ShardTask| task.ended && task.shared.lost.is_cancelled();
        self.tasks.retain(|_, task| !lost(task));
    }

    fn progress(&mut self) -> Vec<Progress> {
        let now = self.now();
        let interval = self.config.renew_interval;
        let progress = self.tasks.iter_mut().map(|(key, task)| {
            let mut state = task.shared.lock();
            // Samples over less than most of an interval would be noise.
            if task.gauge.age(now) >= interval.mul_f64(0.8) {
                task.gauge.measure(std::mem::take(&mut state.bytes), now);
                task.weight = task.gauge.weight(state.lag).unwrap_or(task.weight);
            }
            let (position, weight, lag) = (state.position.clone(), task.weight, state.lag);
            Progress { key: key.clone(), position, weight, lag }
        });
        progress.collect()
    }

    fn perform(&mut self, command: Command) {
        let store = self.store.clone();
        let limit = self.config.store_timeout;
        match command {
            Command::Scan => {
                self.ask(async move { Event::Scanned(answer(store.scan(), limit).await) });
            }
            Command::Get(key) => self.ask(async move {
                let lease = answer(store.get(&key), limit).await;
                Event::Got(key, lease)
            }),
            Command::Create(lease) => self.ask(async move {
                let done = answer(store.create(lease.clone()), limit).await;
                Event::Created(lease, done)
            }),
            Command::Delete(key, counter) => self.ask(async move {
                let done = answer(store.delete(&key, counter), limit).await;
                Event::Deleted(key, done)
            }),
            Command::Write(write) => self.ask(async move {
                let outcome = answer(store.write(write.clone()), limit).await;
                Event::Wrote(write, outcome)
            }),
            Command::Grant(grant) => self.grant(grant),
            Command::Extend(key, deadline) => {
                if let Some(task) = self.tasks.get(&key) {
                    task.shared.lock().deadline = self.started + deadline;
                }
            }
            Command::Announced(key, number) => {
                self.tell(&key, |shared| shared.on_record.send_modify(|last| *last = number));
            }
            Command::AskBack(key) => self.tell(&key, |shared| shared.asked_back.cancel()),
            Command::Lose(key) => {
                self.tell(&key, Shared::lose);
                self.inbox.wake.notify_one();
            }
            Command::Release(key) => {
                self.tell(&key, |shared| shared.gone.cancel());
                self.tasks.remove(&key);
            }
            Command::Drained => {}
        }
    }

    fn ask(&mut self, operation: impl Future<Output = Event> + Send + 'static) {
        self.replies.spawn(operation);
    }

    fn tell(&self, key: &LeaseKey, what: impl FnOnce(&Shared)) {
        if let Some(task) = self.tasks.get(key) {
            what(&task.shared);
        }
    }

    /// Hands out a lease. If too many wait already, or nobody waits for them any more, the `Held`
    /// is dropped on the spot, which gives the lease back.
    fn grant(&mut self, grant: Grant) {
        let deadline = self.started + grant.deadline;
        let shared = Arc::new(Shared::new(&grant, deadline, self.inbox.wake.clone()));
        let gauge = Gauge::new(self.now());
        let task = ShardTask {
            shared: shared.clone(),
            gauge,
            weight: grant.weight,
            announcement: 0,
            ended: false,
        };
        self.tasks.insert(grant.key, task);
        drop(self.grants.try_send(Held::new(shared)));
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        for task in self.tasks.values() {
            task.shared.lose();
        }
    }
}

/// Stands for "no time at all is set".
const FAR: Duration = Duration::from_secs(86_400);

/// The store's answer in time, or `None` if it is unknown.
async fn answer<T>(operation: Pending<'_, T>, limit: Duration) -> Option<T> {
    match timeout(limit, operation).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(error)) => {
            tracing::warn!(%error, "lease store failed");
            None
        }
        Err(_) => {
            tracing::warn!(limit_ms = limit.as_millis() as u64, "lease store too slow");
            None
        }
    }
}
