//! What chains hold is appended to tables: by one of the workers, every so often.
//!
//! A committer that cannot do it holds up no shard: links pile up, and are counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lakehouse::{Committer, Error as LakeError, Round};
use tokio::time::Instant;

use super::{Iceberg, failure};
use crate::clock;
use crate::process::this_program;

/// Whose claim has not changed for so many of its rounds is gone, and whose rounds fail so often
/// gives it up.
const MISSED: u32 = 3;

/// Between two looks for snapshots that are old.
const EXPIRE_EVERY: Duration = Duration::from_secs(3_600);

/// How long a worker that ends has to commit what there is.
const LAST: Duration = Duration::from_secs(5);

/// How long it has to give the claim up, when that took too long.
const RESIGNING: Duration = Duration::from_secs(2);

/// Commits for all of these, and never ends.
pub async fn commit_for_ever(tables: &[Arc<Iceberg>]) {
    let loops = tables.iter().map(|tables| Box::pin(tables.commit_for_ever()) as _);
    crate::seam::join::<()>(loops.collect()).await;
    std::future::pending::<()>().await;
}

impl Iceberg {
    async fn commit_for_ever(&self) {
        let mut expire_at = Instant::now();
        let (mut failures, mut succeeded) = (0, Instant::now());
        loop {
            // Workers that were started together are not to ask together.
            let every = self.settings.commit_every;
            tokio::time::sleep(every.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
            let turn = self.commits.turn().await;
            let began = Instant::now();
            match self.commit(false).await {
                Ok(round) => {
                    turn.succeeded();
                    (failures, succeeded) = (0, Instant::now());
                    self.tell(round.as_ref(), began.elapsed());
                    if round.is_some() && self.expires && Instant::now() >= expire_at {
                        expire_at = Instant::now() + EXPIRE_EVERY;
                        self.expire().await;
                    }
                }
                Err(error) => {
                    turn.failed(&failure(&error));
                    failures += 1;
                    // What waits cannot be told, but for how long nothing was committed.
                    let namespace = &self.settings.namespace;
                    self.metrics.links_wait(namespace, 1, succeeded.elapsed());
                    if failures == MISSED {
                        // Another worker may have what this one lacks.
                        failures = 0;
                        self.resign().await;
                        tokio::time::sleep(every * MISSED * 2).await;
                    }
                }
            }
        }
    }

    async fn resign(&self) {
        if let Some(committer) = &*self.committer.lock().await {
            committer.resign(&self.settings.worker).await;
        }
    }

    /// Commits if it is on us; `last` gives it up after that.
    async fn commit(&self, last: bool) -> Result<Option<Round>, LakeError> {
        let lakes = self.lakes().await?;
        let mut committer = self.committer.lock().await;
        let committer = committer.get_or_insert_with(|| Committer::new(lakes.clone()));
        let worker = &self.settings.worker;
        if !committer.claim(worker, self.settings.commit_every * MISSED).await? {
            return Ok(None);
        }
        let program = this_program();
        let version = format!("{}-{}", program.artifact, program.version);
        let summary = BTreeMap::from([
            ("snowmelt.version".to_owned(), version),
            ("snowmelt.worker".to_owned(), worker.clone()),
        ]);
        let round = committer.round(&summary).await;
        if last {
            committer.resign(worker).await;
        }
        round.map(Some)
    }

    /// Commits what there is, if that is on us, and has another worker go on with it.
    pub async fn finish(&self) {
        match tokio::time::timeout(LAST, self.commit(true)).await {
            Ok(Ok(round)) => self.tell(round.as_ref(), Duration::ZERO),
            Ok(Err(error)) => tracing::warn!(
                error = crate::causes::chain(&error),
                "links are left for another worker to commit"
            ),
            Err(_) => {
                tracing::warn!("links are left for another worker to commit");
                let _ = tokio::time::timeout(RESIGNING, self.resign()).await;
            }
        }
        self.metrics.links_wait(&self.settings.namespace, 0, Duration::ZERO);
    }

    /// Tells of a round; of none, that what waits is another worker's to tell.
    fn tell(&self, round: Option<&Round>, took: Duration) {
        let namespace = &self.settings.namespace;
        let Some(round) = round else {
            return self.metrics.links_wait(namespace, 0, Duration::ZERO);
        };
        let oldest = round.oldest_ms.map(|ms| clock::now_ms().saturating_sub(ms));
        let oldest = oldest.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
        self.metrics.links_wait(namespace, round.waiting, oldest.unwrap_or_default());
        for (table, (files, rows)) in &round.appended {
            self.metrics.committed(table, *files, *rows, took);
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::debug!(table, files, rows, took_ms, "committed");
        }
        for link in &round.nobodys {
            self.metrics.link_of_nobody();
            tracing::warn!(
                link,
                "a link that came too late was removed: what is in its files was read again by the \
                 shard's next owner"
            );
        }
    }

    async fn expire(&self) {
        let Ok(lakes) = self.lakes().await else { return };
        for name in lakes.names() {
            let lake = lakes.table(name).expect("it is one of them");
            match lake.expire(clock::now_ms()).await {
                Ok(0) => {}
                Ok(expired) => tracing::debug!(table = name, expired, "snapshots are forgotten"),
                Err(error) => tracing::warn!(
                    table = name,
                    error = crate::causes::chain(&error),
                    "old snapshots stay for now"
                ),
            }
        }
    }
}
