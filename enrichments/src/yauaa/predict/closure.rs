//! Where a place in the grammar leads without a token: into rules, out of them, past what may be
//! absent.

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

use super::{Learnt, Stuck};
use crate::yauaa::grammar::{Moves, NETWORK};
use crate::yauaa::stacks::{BOTTOM, NOBODY, Stack};

/// A place in the grammar that one alternative leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) state: u16,
    pub(super) alternative: u8,
    /// Whether the rule that the choice is in was left on the way.
    pub(super) left: bool,
    pub(super) stack: Stack,
}

impl Place {
    /// All of it in one number.
    pub(super) fn key(self, popped: bool) -> u64 {
        let flags = u64::from(self.left) | u64::from(popped) << 1;
        let place = u64::from(self.state) << 16 | u64::from(self.alternative) << 8;
        u64::from(self.stack) << 32 | place | flags
    }
}

/// Places on the way to become a state.
#[derive(Clone, Default)]
pub(super) struct Reach {
    pub(super) places: Vec<Place>,
    pub(super) index: HashMap<u32, usize, FixedState>,
    /// What was followed already, by [`Place::key`].
    pub(super) seen: HashSet<u64, FixedState>,
    work: Vec<Work>,
    pub(super) with_callers: bool,
    /// Whether the end of the text is reached, which may be taken again and again.
    pub(super) at_end: bool,
}

impl Learnt {
    /// Adds a place and all that are reached from it without a token.
    pub(super) fn close(&mut self, place: Place, reach: &mut Reach) -> Result<(), Stuck> {
        let mut work = std::mem::take(&mut reach.work);
        work.clear();
        enter(place, &mut work);
        // Last in, first out, with what follows pushed in reverse: the order of a recursion.
        while let Some((place, popped)) = work.pop() {
            self.pay(1)?;
            let moves = &NETWORK.states[usize::from(place.state)].moves;
            // What was reached before on another way leads nowhere else.
            let token = matches!(moves, Moves::Token(..));
            if (!token || reach.at_end) && !reach.seen.insert(place.key(popped)) {
                continue;
            }
            match moves {
                Moves::Token(set, to) => {
                    self.keep(place, reach);
                    if reach.at_end && set & 1 == 1 {
                        enter(Place { state: *to, ..place }, &mut work);
                    }
                }
                Moves::Rule(rule, after) => {
                    let stack = self.stacks.push(place.stack, *after);
                    let state = NETWORK.starts[*rule as usize];
                    enter(Place { state, stack, ..place }, &mut work);
                }
                Moves::Stop if popped => self.fall_out(place, reach, &mut work),
                Moves::Stop => self.return_to_callers(place, reach, &mut work),
                Moves::Free(_) => unreachable!("they were gone through on entering"),
            }
        }
        reach.work = work;
        self.pay(0)
    }

    /// Goes on from the end of a rule where its callers said.
    fn return_to_callers(&mut self, place: Place, reach: &mut Reach, work: &mut Vec<Work>) {
        if place.stack == NOBODY {
            if reach.with_callers {
                self.keep(place, reach);
            } else {
                work.push((place, true));
            }
            return;
        }
        let mut bottom = false;
        for (state, stack) in self.stacks.get(place.stack).iter().rev() {
            if *state != BOTTOM {
                enter(Place { state: *state, stack: *stack, ..place }, work);
                continue;
            }
            bottom = true;
            if !reach.with_callers {
                work.push((place, true));
            }
        }
        if reach.with_callers && bottom {
            self.keep(Place { stack: NOBODY, ..place }, reach);
        }
    }

    /// Goes on from the end of a rule, whose callers are not known, wherever the rule is used.
    fn fall_out(&mut self, place: Place, reach: &mut Reach, work: &mut Vec<Work>) {
        let rule = NETWORK.states[usize::from(place.state)].rule;
        let follows = &NETWORK.follows[rule as usize];
        if follows.is_empty() {
            self.keep(place, reach);
        }
        for to in follows.iter().rev() {
            enter(Place { state: *to, left: true, ..place }, work);
        }
    }

    /// Keeps a place, its callers joined with those of the same place by the same alternative.
    pub(super) fn keep(&mut self, place: Place, reach: &mut Reach) {
        let key = u32::from(place.state) << 8 | u32::from(place.alternative);
        match reach.index.get(&key) {
            None => {
                reach.index.insert(key, reach.places.len());
                reach.places.push(place);
            }
            Some(index) => {
                let there = reach.places[*index];
                let stack = self.stacks.merge(there.stack, place.stack, !reach.with_callers);
                let left = there.left || place.left;
                reach.places[*index] = Place { stack, left, ..there };
            }
        }
    }
}

/// A place to go on from, and whether the end of its rule was found to be nobody's.
type Work = (Place, bool);

/// Goes on from where a place leads without tokens and rules.
fn enter(place: Place, work: &mut Vec<Work>) {
    for state in NETWORK.near[usize::from(place.state)].iter().rev() {
        work.push((Place { state: *state, ..place }, false));
    }
}

/// Whether a state ends its rule.
pub(super) fn is_stop(state: u16) -> bool {
    matches!(NETWORK.states[usize::from(state)].moves, Moves::Stop)
}
