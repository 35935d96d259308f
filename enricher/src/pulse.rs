//! Whether a worker still turns: its loop comes round every second, and the keeper of its leases
//! several times in a lease's duration.
//!
//! Neither waits for anybody: what waits for a stream, a bucket or a table is in tasks of its own
//! and shows in [`crate::health`]. So what stands still for long is a mistake of ours or a machine
//! that has stopped, and a new start is all that helps.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lease::Keeper;
use tokio::time::Instant;

/// A machine that is overloaded or was suspended gets so long before it counts as stopped.
const PATIENCE: Duration = Duration::from_secs(30);

/// What turns in a worker; nothing before its life begins and after it has ended.
#[derive(Debug, Default)]
pub struct Pulse(Mutex<Option<Turning>>);

#[derive(Debug)]
struct Turning {
    round: Instant,
    keeper: Keeper,
    lease: Duration,
}

impl Pulse {
    /// The loop begins, with the keeper of leases that last so long.
    pub fn begin(&self, keeper: Keeper, lease: Duration) {
        *self.lock() = Some(Turning { round: Instant::now(), keeper, lease });
    }

    /// The loop has come round.
    pub fn round(&self) {
        if let Some(turning) = &mut *self.lock() {
            turning.round = Instant::now();
        }
    }

    /// The loop has ended, as it should.
    pub fn end(&self) {
        *self.lock() = None;
    }

    /// What stands still, in words; nothing while all turns.
    pub fn stopped(&self) -> Vec<String> {
        let turning = self.lock();
        let Some(Turning { round, keeper, lease }) = &*turning else { return Vec::new() };
        let parts = [
            ("the worker's loop", round.elapsed(), PATIENCE),
            // In large fleets the table is read more rarely; renewals are three to a lease.
            ("the keeper of leases", keeper.silence(), PATIENCE + *lease * 2),
        ];
        let stopped = parts.into_iter().filter(|(_, silence, most)| silence > most);
        let words = |(what, silence, _): (&str, Duration, Duration)| {
            format!("{what} has stood still for {} s", silence.as_secs())
        };
        stopped.map(words).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Turning>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;
    use lease::WorkerId;
    use lease::store::memory::Memory;

    use super::*;

    /// Lets time go by in which no task runs.
    fn freeze(time: Duration) {
        let _ = tokio::time::advance(time).now_or_never();
    }

    #[tokio::test(start_paused = true)]
    async fn what_stands_still_is_named_and_what_turns_is_not() {
        let config = lease::Config::new(WorkerId::parse("a").expect("a good name"));
        let lease = config.lease_duration;
        let (keeper, leases) = Keeper::start(Arc::new(Memory::new()), config);
        let pulse = Pulse::default();
        assert!(pulse.stopped().is_empty(), "nothing has begun");
        pulse.begin(keeper.clone(), lease);
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(pulse.stopped(), ["the worker's loop has stood still for 600 s"]);
        pulse.round();
        assert!(pulse.stopped().is_empty(), "the keeper comes round by itself");

        freeze(Duration::from_secs(20));
        pulse.round();
        assert!(pulse.stopped().is_empty(), "not for long enough");
        freeze(Duration::from_secs(40));
        pulse.round();
        let said = pulse.stopped();
        assert!(matches!(said.as_slice(), [one] if one.starts_with("the keeper")), "{said:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(pulse.stopped().is_empty(), "it goes on");

        keeper.drain().await;
        leases.join().await.expect("it was drained");
        freeze(Duration::from_secs(600));
        pulse.round();
        assert!(pulse.stopped().is_empty(), "a keeper that has ended stands still by right");
        freeze(Duration::from_secs(600));
        pulse.end();
        assert!(pulse.stopped().is_empty(), "so does a loop");
    }
}
