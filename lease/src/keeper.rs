//! The keeper: the only writer of the lease table.
//!
//! It performs what [`Protocol`] decides: reads and writes the store, hands each lease to the
//! shard's task as a [`Held`], and tells the protocol what became of it. It decides nothing. All of
//! it is one task, which the [`Leases`] own; what is under way at the store is owned by that task.
//!
//! What the store refuses for good ends the keeper, after it has given back what it can. A table
//! that is gone is made again.

mod requests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::gauge::Gauge;
use crate::health::StoreHealth;
use crate::held::{Held, Shared};
use crate::lease::{LeaseKey, Stream};
use crate::protocol::{Command, Event, Grant, Progress, Protocol};
use crate::shards::Shard;
use crate::status::Status;
use crate::store::LeaseStore;
use requests::{Reply, Requests};

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
    stream: Mutex<Option<Stream>>,
    status: Mutex<Status>,
    health: Mutex<StoreHealth>,
    /// When the task last came round, once its store is open.
    round: Mutex<Option<Instant>>,
    drain: CancellationToken,
    drained: CancellationToken,
    unusable: CancellationToken,
    wake: Arc<Notify>,
}

impl Keeper {
    /// Starts the keeper's task on the current runtime.
    pub fn start(store: Arc<dyn LeaseStore>, mut config: Config) -> (Keeper, Leases) {
        config.latest_ms.get_or_insert_with(clock_ms);
        let inbox = Arc::new(Inbox {
            listing: Mutex::default(),
            stream: Mutex::default(),
            status: Mutex::default(),
            health: Mutex::default(),
            round: Mutex::default(),
            drain: CancellationToken::new(),
            drained: CancellationToken::new(),
            unusable: CancellationToken::new(),
            wake: Arc::default(),
        });
        let (grants, taken) = mpsc::channel(WAITING);
        let desk = Desk {
            protocol: Protocol::new(config.clone(), fastrand::u64(..)),
            started: Instant::now(),
            tasks: BTreeMap::new(),
            requests: Requests::new(store, config.store_timeout),
            unusable: None,
            draining: false,
            _drained: inbox.drained.clone().drop_guard(),
            inbox: inbox.clone(),
            grants,
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

    /// Which stream it is. Leases of another one, be it of another name or one of this name that
    /// was deleted, are left alone, and counted in [`Status::foreign`]. To be called before
    /// [`observe_shards`](Keeper::observe_shards).
    pub fn observe_stream(&self, stream: Stream) {
        *self.inbox.stream.lock().expect(UNPOISONED) = Some(stream);
    }

    /// What the keeper has done and sees.
    pub fn status(&self) -> Status {
        *self.inbox.status.lock().expect(UNPOISONED)
    }

    /// Whether the lease table was lately read and written.
    pub fn health(&self) -> StoreHealth {
        self.inbox.health.lock().expect(UNPOISONED).clone()
    }

    /// For how long the keeper's task has not come round. It does so several times in a lease's
    /// duration whatever the store answers, so what exceeds that by far is a task that stands
    /// still. Zero before the store is open, and once the keeper has ended.
    pub fn silence(&self) -> Duration {
        let round = *self.inbox.round.lock().expect(UNPOISONED);
        let running = round.filter(|_| !self.inbox.drained.is_cancelled());
        running.map(|round| round.elapsed()).unwrap_or_default()
    }

    /// Cancelled when the store turns out to be unusable. Every [`Held`] is asked back then, and
    /// [`Leases::join`] says why.
    pub fn unusable(&self) -> CancellationToken {
        self.inbox.unusable.clone()
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

    /// A lease that became ours and was not asked for yet.
    pub fn waiting(&mut self) -> Option<Held> {
        self.taken.try_recv().ok()
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
    config: Config,
    protocol: Protocol,
    started: Instant,
    inbox: Arc<Inbox>,
    grants: mpsc::Sender<Held>,
    tasks: BTreeMap<LeaseKey, ShardTask>,
    /// What is under way at the store.
    requests: Requests,
    /// Why the store cannot be used, once that is known.
    unusable: Option<Error>,
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
        if let Err(error) = self.open().await {
            self.inbox.unusable.cancel();
            return Err(error);
        }
        loop {
            let mut drained = false;
            for event in self.events().await {
                let now = self.now();
                for command in self.protocol.step(event, now) {
                    drained |= command == Command::Drained;
                    self.perform(command);
                }
            }
            self.publish();
            *self.inbox.round.lock().expect(UNPOISONED) = Some(Instant::now());
            if drained {
                return self.unusable.take().map_or(Ok(()), Err);
            }
        }
    }

    /// Makes the store ready, however long that takes, unless the worker is to stop.
    async fn open(&mut self) -> Result<()> {
        let drain = self.inbox.drain.clone();
        loop {
            let opened = tokio::select! {
                biased;
                () = drain.cancelled() => return Ok(()),
                opened = self.requests.open() => opened,
            };
            self.publish();
            match opened {
                Ok(()) => return Ok(()),
                Err(error @ Error::Unusable(_)) => return Err(error),
                Err(_) => {}
            }
            tokio::select! {
                () = drain.cancelled() => return Ok(()),
                () = sleep(self.config.renew_interval) => {}
            }
        }
    }

    fn publish(&self) {
        *self.inbox.status.lock().expect(UNPOISONED) = self.protocol.status(self.now());
        *self.inbox.health.lock().expect(UNPOISONED) = self.requests.health();
    }

    /// Waits until something has happened, and says what.
    async fn events(&mut self) -> Vec<Event> {
        let due = self.started.checked_add(self.protocol.due());
        let due = due.unwrap_or_else(|| Instant::now() + FAR);
        let reply = tokio::select! {
            biased;
            Some(reply) = self.requests.next() => Some(reply),
            () = self.inbox.wake.notified() => None,
            () = sleep_until(due) => None,
        };
        let mut events = Vec::new();
        if self.protocol.due() <= self.now() {
            events.push(Event::Worked(self.progress()));
        }
        match reply {
            Some(Reply { event, fatal }) => {
                events.extend(event);
                if let Some(error) = fatal.filter(|_| self.unusable.is_none()) {
                    self.unusable = Some(error);
                    self.inbox.unusable.cancel();
                    events.push(Event::Abandon);
                }
            }
            None => self.look(&mut events),
        }
        events
    }

    /// Looks for what others left for us.
    fn look(&mut self, events: &mut Vec<Event>) {
        if let Some(stream) = self.inbox.stream.lock().expect(UNPOISONED).take() {
            events.push(Event::Stream(stream));
        }
        if let Some(listing) = self.inbox.listing.lock().expect(UNPOISONED).take() {
            events.push(Event::Listed(listing));
        }
        // Before what ends: a task that is stopped then has not failed.
        if self.inbox.drain.is_cancelled() && !self.draining {
            self.draining = true;
            events.push(Event::Drain);
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
        match command {
            Command::Grant(grant) => self.grant(grant),
            Command::Extend(key, deadline, checkpoint) => {
                let deadline = self.started + deadline;
                self.tell(&key, |shared| shared.stored(deadline, checkpoint));
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
            request => self.requests.send(request),
        }
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

/// The time of the day. It is stored and never compared: a stream knows when its records came.
fn clock_ms() -> i64 {
    #[allow(clippy::disallowed_methods, reason = "where the newest records begin is a time of day")]
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
