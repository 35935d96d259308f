//! Leaving the fleet: every lease is offered to another worker and then given up.

use std::time::Duration;

use super::{Command, Holding, Protocol, Stage};
use crate::lease::LeaseKey;
use crate::plan;

/// How far a worker is with leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drain {
    No,
    /// A last scan is to show who is there.
    Looking,
    /// Peers have been chosen; until then they are given time to notice.
    Announced(Duration),
    Asked,
    Done,
}

impl Protocol {
    /// Begins to leave, with a look at who is there to take over.
    pub(super) fn drain(&mut self, now: Duration) {
        if self.drain == Drain::No {
            self.drain = Drain::Looking;
            self.polls.clear();
            self.replan_due = None;
            self.scan.due = now;
        }
    }

    /// Gives up every lease at once. What cannot be stored is left to expire.
    pub(super) fn abandon(&mut self, out: &mut Vec<Command>) {
        self.abandoned = true;
        self.polls.clear();
        self.replan_due = None;
        if self.drain != Drain::Done {
            self.drain = Drain::Asked;
        }
        // What is being taken is worked by no task yet.
        self.holdings.retain(|_, holding| holding.stage != Stage::Taking);
        for holding in self.holdings.values_mut() {
            holding.ask_back(out);
        }
    }

    /// A write of ours was not stored, and no other attempt will be made.
    pub(super) fn give_up_on(&mut self, key: &LeaseKey, out: &mut Vec<Command>) {
        let dropped = |holding: &Holding| holding.stage == Stage::Dropped;
        if self.abandoned && self.holdings.get(key).is_some_and(dropped) {
            self.holdings.remove(key);
            out.push(Command::Release(key.clone()));
        }
    }

    /// Offers our leases to the others, and gives them time to notice.
    pub(super) fn announce(&mut self, now: Duration) {
        let offers = {
            let rules = self.rules();
            plan::offers(&self.view(now), &rules)
        };
        for (key, peer) in &offers {
            if let Some(holding) = self.holdings.get_mut(key) {
                holding.offer(peer.clone(), now);
            }
        }
        let notice = self.scan_interval() + self.config.poll_interval * 2;
        self.drain = Drain::Announced(if offers.is_empty() { now } else { now + notice });
    }

    pub(super) fn tend_drain(&mut self, now: Duration, out: &mut Vec<Command>) {
        if let Drain::Announced(until) = self.drain
            && until <= now
        {
            self.drain = Drain::Asked;
            for holding in self.holdings.values_mut() {
                holding.ask_back(out);
            }
        }
        if self.drain == Drain::Asked {
            let lease_duration = self.config.lease_duration;
            let hopeless = self.holdings.extract_if(.., |_, h| h.is_hopeless(now, lease_duration));
            out.extend(hopeless.map(|(key, _)| Command::Release(key)));
        }
        let ours = self.holdings.values().any(Holding::is_ours);
        if !matches!(self.drain, Drain::No | Drain::Done) && !ours {
            self.drain = Drain::Done;
            out.push(Command::Drained);
        }
    }
}
