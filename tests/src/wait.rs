//! Waiting for a condition: asks again and again until it holds or the deadline passes. Nothing
//! in the tests waits for time to go by.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::MissedTickBehavior;

// Often enough not to be noticed in a test, rarely enough not to load two cores.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(100);

/// Asks until the answer is `Some`, and returns it; an error says what was waited for.
/// An `Err` from the question itself counts as "not yet", and the last one is reported.
pub async fn until<T>(
    what: &str,
    deadline: Duration,
    mut question: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let mut last = None;
    let mut pause = tokio::time::interval(BETWEEN_QUESTIONS);
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let asked = tokio::time::timeout(deadline, async {
        loop {
            pause.tick().await;
            match question().await {
                Ok(Some(answer)) => return answer,
                Ok(None) => last = None,
                Err(error) => last = Some(error),
            }
        }
    })
    .await;
    asked.with_context(|| {
        let why = last.map(|error| format!(": {error:#}")).unwrap_or_default();
        format!("waited {deadline:?} in vain for {what}{why}")
    })
}
