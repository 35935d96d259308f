//! Notices that the machine of a worker is to go: the metadata service of EC2 (version 2) tells of
//! them, and each starts the drain that SIGTERM starts. When nothing is left here, the group that
//! waits for this machine is told that it may go on: its lifecycle hook is completed.
//!
//! Nothing is asked unless the configuration says so. A metadata service that does not answer is
//! told of in the log, once a minute, and stops nothing.

mod hook;
mod metadata;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::backoff::Backoff;
use crate::config::Notice;
use crate::health::{Check, Failure};
use crate::metrics::Metrics;
use crate::signal::Stop;

pub use hook::{Hook, Uncompleted};
pub use metadata::Metadata;

/// Between two looks. A spot instance has two minutes from its notice on.
const EVERY: Duration = Duration::from_secs(5);

/// How often a hook is completed until it is left to its own timeout: half a minute. The notice
/// comes somewhat sooner than the state in which the service takes the answer.
const TRIES: u32 = 10;

/// Where notices of one kind stand.
fn path(notice: Notice) -> &'static str {
    match notice {
        Notice::Spot => "spot/instance-action",
        Notice::Rebalance => "events/recommendations/rebalance",
        Notice::Group => "autoscaling/target-lifecycle-state",
    }
}

/// What is looked for, and what then becomes of the machine.
#[derive(Debug)]
pub struct Notices {
    kinds: Vec<Notice>,
    metadata: Metadata,
    hook: Option<Hook>,
    check: Arc<Check>,
    metrics: Arc<Metrics>,
    seen: AtomicBool,
    staying: AtomicBool,
}

impl Notices {
    /// These kinds, from there; the hook is completed in the end.
    pub fn new(
        kinds: Vec<Notice>,
        metadata: Metadata,
        hook: Option<Hook>,
        metrics: Arc<Metrics>,
    ) -> Notices {
        let check = Check::alone("instance metadata");
        let (seen, staying) = (AtomicBool::new(false), AtomicBool::new(false));
        Notices { kinds, metadata, hook, check, metrics, seen, staying }
    }

    /// Looks once, so that a machine that is to go takes no leases.
    pub async fn look(&self, stop: &Stop) {
        for &notice in &self.kinds {
            let Some(said) = self.ask(path(notice)).await else { continue };
            // Every other state is one in which the machine stays.
            if notice == Notice::Group && said.trim() != "Terminated" {
                continue;
            }
            if !self.seen.swap(true, Ordering::Relaxed) {
                self.metrics.noticed(notice.name());
                let said: String = said.split_whitespace().collect::<Vec<_>>().join(" ");
                tracing::warn!(
                    notice = notice.name(),
                    said,
                    "this machine is to go: the worker drains"
                );
            }
            stop.drain.cancel();
            return;
        }
    }

    /// Whether the work is done and the group is waited for.
    pub fn stays(&self) -> bool {
        self.staying.load(Ordering::Relaxed)
    }

    /// Looks for ever, or until the worker was asked to stop.
    pub async fn watch(&self, stop: &Stop) -> ! {
        while !stop.drain.is_cancelled() {
            self.look(stop).await;
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.drain.cancelled() => {}
            }
        }
        std::future::pending().await
    }

    /// After the drain: completes the hook. Where the group has not said yet that the machine is to
    /// go, though another notice has come, it is waited for until a signal comes.
    pub async fn see_off(&self, stop: &Stop) {
        let Some(hook) = &self.hook else { return };
        self.staying.store(true, Ordering::Relaxed);
        loop {
            let state = self.ask(path(Notice::Group)).await;
            if state.is_some_and(|state| state.trim() == "Terminated") {
                return self.complete(hook).await;
            }
            if !self.seen.load(Ordering::Relaxed) {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.signalled.cancelled() => return,
            }
        }
    }

    async fn complete(&self, hook: &Hook) {
        let Some(instance) = self.ask("instance-id").await else {
            tracing::error!("the lifecycle hook is left to its timeout: who this is is not known");
            return;
        };
        let mut backoff = Backoff::default();
        loop {
            match hook.complete(instance.trim()).await {
                Ok(()) => {
                    let (group, hook) = (hook.group(), hook.name());
                    return tracing::info!(group, hook, "the lifecycle hook is completed");
                }
                Err(Uncompleted { why, passing }) if passing && backoff.failures() < TRIES => {
                    tracing::debug!(why, "the lifecycle hook is not completed yet");
                    backoff.wait().await;
                }
                Err(Uncompleted { why, .. }) => {
                    return tracing::error!(
                        why,
                        "the lifecycle hook is not completed here: it was, or its timeout ends it"
                    );
                }
            }
        }
    }

    async fn ask(&self, path: &'static str) -> Option<String> {
        match self.metadata.get(path).await {
            Ok(said) => {
                self.check.succeeded();
                said
            }
            Err(message) => {
                let (action, code) = ("GetMetadata", None);
                let failure = Failure { action, status: None, code, message, passing: true };
                self.check.failed(&failure);
                None
            }
        }
    }
}
