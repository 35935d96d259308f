//! How often a worker reads the whole table.

use std::time::Duration;

use super::Protocol;

/// So many scans are made as often as is set: who has just come has to see who is there.
const FIRST_SCANS: u64 = 5;

/// So many others and more are as good as any number.
const LARGE: u64 = 100;

impl Protocol {
    /// How often we scan: as what can happen calls for it. A scan is to see a renewal soon after it
    /// was made, in case it was the owner's last; where several others look, at times of their own,
    /// each may look less often for the same chance that one of them does. Alone, there is nobody
    /// to be watched: who comes makes himself known by asking. And a leaver waits for one interval
    /// until the others have noticed, so it has a limit.
    pub(super) fn scan_interval(&self) -> Duration {
        let (pace, longest) = (self.config.scan_interval, self.config.lease_duration);
        if self.status.scans <= FIRST_SCANS {
            return pace;
        }
        match self.status.workers.saturating_sub(1) {
            0 => longest,
            others => (pace + pace * others.min(LARGE) as u32 / 4).min(longest),
        }
    }
}
