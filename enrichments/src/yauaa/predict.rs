//! Choosing between the alternatives of the grammar by looking ahead as far as needed.
//!
//! The grammar is ambiguous on purpose, and what it makes of broken texts is part of what the rules
//! rely on. So this is the adaptive algorithm of the parser generator that the grammar was written
//! for, down to where it gives up: all alternatives are followed at once, first without knowing
//! who called the present rule, and where that leaves several, once more with the callers known;
//! of alternatives that stay equal the first wins. What was found out is kept in a machine whose
//! states are sets of places in the grammar, so that most choices cost a table look-up per token.
//! The machine begins with what some samples teach, is kept by its thread, and goes back to its
//! beginning when it has grown too large.
//!
//! A text is given up that asks for too much: for too many steps, for rules that call one another
//! too deep, or for too much that the samples did not teach. All three are counted as if it were
//! the first text that the thread reads, so that a replay repeats what became of it.

mod closure;

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};

use super::grammar::{Moves, NETWORK, Network, Rule};
use super::lexer::{KINDS, Kind, Token};
use super::stacks::{BOTTOM, NOBODY, Stack, Stacks};
use closure::{Place, Reach, is_stop};

/// The machine goes back to what the samples taught when its states or stacks are this many: some
/// 10 MB.
const MOST_STATES: usize = 10_000;
const MOST_STACKS: usize = 100_000;

/// How many steps along the machine are made for one text before it is given up. Of the 5,000 user
/// agents of a corpus none needed 500.
const MOST_WORK: u32 = 300_000;
/// How many places of the grammar one text may have followed beyond what the samples taught. Of
/// 10,000 real user agents none needs 9,000.
const MOST_PLACES: u32 = 25_000;

/// A state of the machine.
#[derive(Clone)]
struct Known {
    places: Box<[Place]>,
    hash: u64,
    with_callers: bool,
    verdict: Verdict,
    /// By token the next state, with [`BEYOND`] where no sample took that way.
    next: [u32; KINDS],
    /// By token what that way cost; empty as long as there is none beyond the samples.
    costs: Box<[Cost]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Undecided,
    Decided(u8),
    /// Several alternatives are left and the callers decide.
    AskCallers,
}

/// What it costs to find out where a way leads, and the text that was last charged for it. Each
/// text is charged, whether this thread has found it out before or not: what becomes of a text
/// must not depend on those before it.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    places: u32,
    text: u32,
}

const UNKNOWN: u32 = u32::MAX;
const NOWHERE: u32 = BEYOND - 1;
/// Beside the number of a state: no sample led to it.
const BEYOND: u32 = 1 << 31;

/// What a thread has found out about the grammar.
#[derive(Clone)]
pub(super) struct Learnt {
    pub(super) stacks: Stacks,
    states: Vec<Known>,
    state_numbers: HashTable<u32>,
    /// By decision the first state without callers.
    starts: Vec<u32>,
    /// By decision and callers the first state, and what it cost.
    starts_with_callers: HashMap<(u16, Stack), (u32, Cost), FixedState>,
    /// Whether what is found out is free from then on.
    teaching: bool,
    /// Tells texts from one another.
    text: u32,
    work: u32,
    places: u32,
    reach: Reach,
}

/// Why there is no choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stuck {
    /// No alternative leads on.
    NoneFits,
    /// The work was too much.
    TooMuch,
}

impl Learnt {
    /// A machine that knows nothing, and has no bounds while it is taught.
    pub(super) fn ignorant() -> Learnt {
        let mut learnt = Learnt {
            stacks: Stacks::default(),
            states: Vec::new(),
            state_numbers: HashTable::new(),
            starts: Vec::new(),
            starts_with_callers: HashMap::default(),
            teaching: true,
            text: 0,
            work: 0,
            places: 0,
            reach: Reach::default(),
        };
        for decision in 0..NETWORK.decisions.len() as u16 {
            let start = learnt.start(decision, NOBODY, false).expect("teaching has no bounds");
            learnt.starts.push(start);
        }
        learnt
    }

    /// The machine with its bounds, once it was taught.
    pub(super) fn graduate(self) -> Learnt {
        Learnt { teaching: false, ..self }
    }

    /// Whether it has learnt so much that it should begin anew.
    pub(super) fn is_full(&self) -> bool {
        let large = self.states.len() > MOST_STATES || self.stacks.len() > MOST_STACKS;
        large || self.text == u32::MAX
    }

    /// Prepares for another text.
    pub(super) fn begin(&mut self) {
        self.text += 1;
        self.stacks.begin();
        (self.work, self.places) = (0, 0);
    }

    /// The share of the allowed work that was done for this text, in thousandths.
    #[cfg(test)]
    pub(super) fn work_done(&self) -> u32 {
        (self.work / (MOST_WORK / 1000)).max(self.places / (MOST_PLACES / 1000))
    }

    /// The alternative of a decision that the tokens from here on ask for.
    pub(super) fn choose(
        &mut self,
        decision: u16,
        tokens: &[Token],
        callers: Stack,
    ) -> Result<u8, Stuck> {
        if let Some(alternative) = self.run(self.starts[usize::from(decision)], tokens)? {
            return Ok(alternative);
        }
        let start = self.start_with_callers(decision, callers)?;
        Ok(self.run(start, tokens)?.expect("callers need not be asked twice"))
    }

    /// Follows the machine until it decides, or asks for the callers.
    fn run(&mut self, mut state: u32, tokens: &[Token]) -> Result<Option<u8>, Stuck> {
        let mut tokens = tokens;
        loop {
            self.work += 1;
            let kind = tokens[0].kind;
            let mut next = self.states[state as usize].next[kind as usize];
            if next & BEYOND != 0 {
                next = self.beyond(state, kind, next)?;
            }
            if next == NOWHERE {
                return self.finished(state).map(Some).ok_or(Stuck::NoneFits);
            }
            match self.states[next as usize].verdict {
                Verdict::Decided(alternative) => return Ok(Some(alternative)),
                Verdict::AskCallers => return Ok(None),
                Verdict::Undecided => {}
            }
            state = next;
            if kind != Kind::Eof {
                tokens = &tokens[1..];
            }
            if self.work > MOST_WORK && !self.teaching {
                return Err(Stuck::TooMuch);
            }
        }
    }

    /// Where a way leads that no sample took.
    fn beyond(&mut self, state: u32, kind: Kind, known: u32) -> Result<u32, Stuck> {
        if known != UNKNOWN {
            let cost = &mut self.states[state as usize].costs[kind as usize];
            let places = charge(cost, self.text);
            self.pay(places)?;
            return Ok(known & !BEYOND);
        }
        let before = self.places;
        let next = self.follow(state, kind)?;
        let cost = Cost { places: self.places - before, text: self.text };
        let from = &mut self.states[state as usize];
        if self.teaching {
            from.next[kind as usize] = next;
            return Ok(next);
        }
        if from.costs.is_empty() {
            from.costs = Box::new([Cost::default(); KINDS]);
        }
        from.costs[kind as usize] = cost;
        from.next[kind as usize] = next | BEYOND;
        Ok(next)
    }

    fn start_with_callers(&mut self, decision: u16, callers: Stack) -> Result<u32, Stuck> {
        if let Some((start, cost)) = self.starts_with_callers.get_mut(&(decision, callers)) {
            let (start, places) = (*start, charge(cost, self.text));
            self.pay(places)?;
            return Ok(start);
        }
        let before = self.places;
        let start = self.start(decision, callers, true)?;
        let places = if self.teaching { 0 } else { self.places - before };
        let cost = Cost { places, text: self.text };
        self.starts_with_callers.insert((decision, callers), (start, cost));
        Ok(start)
    }

    fn pay(&mut self, places: u32) -> Result<(), Stuck> {
        self.places += places;
        let bounded = self.places <= MOST_PLACES && !self.stacks.too_deep();
        if bounded || self.teaching { Ok(()) } else { Err(Stuck::TooMuch) }
    }

    /// The first alternative that came to the end of the rule that the choice is in.
    fn finished(&self, state: u32) -> Option<u8> {
        let places = self.states[state as usize].places.iter();
        let done = places.filter(|place| {
            place.left
                || (is_stop(place.state)
                    && self.stacks.get(place.stack).iter().any(|(ret, _)| *ret == BOTTOM))
        });
        done.map(|place| place.alternative).min()
    }

    fn start(&mut self, decision: u16, callers: Stack, with_callers: bool) -> Result<u32, Stuck> {
        let network: &Network = &NETWORK;
        let state = &network.states[usize::from(network.decisions[usize::from(decision)])];
        let Moves::Free(targets) = &state.moves else { unreachable!("decisions are free") };
        let mut reach = self.reach(with_callers, false);
        for (index, target) in targets.iter().enumerate() {
            let alternative = index as u8 + 1;
            let place = Place { state: *target, alternative, left: false, stack: callers };
            self.close(place, &mut reach)?;
        }
        Ok(self.state(reach))
    }

    /// Room for places, taken over from the last ones.
    fn reach(&mut self, with_callers: bool, at_end: bool) -> Reach {
        let mut reach = std::mem::take(&mut self.reach);
        reach.places.clear();
        reach.index.clear();
        reach.seen.clear();
        (reach.with_callers, reach.at_end) = (with_callers, at_end);
        reach
    }

    /// The state that a token leads to.
    fn follow(&mut self, from: u32, kind: Kind) -> Result<u32, Stuck> {
        let with_callers = self.states[from as usize].with_callers;
        let (mut moved, mut stopped) = (self.reach(with_callers, false), Vec::new());
        for index in 0..self.states[from as usize].places.len() {
            let place = self.states[from as usize].places[index];
            match &NETWORK.states[usize::from(place.state)].moves {
                Moves::Stop if with_callers || kind == Kind::Eof => stopped.push(place),
                Moves::Token(set, to) if set >> kind as u32 & 1 == 1 => {
                    self.keep(Place { state: *to, ..place }, &mut moved);
                }
                _ => {}
            }
        }
        let ends = stopped.is_empty() && kind != Kind::Eof;
        if !ends || moved.places.is_empty() || unique(&moved.places).is_none() {
            let places = std::mem::take(&mut moved.places);
            moved.index.clear();
            moved.at_end = kind == Kind::Eof;
            for place in places {
                self.close(place, &mut moved)?;
            }
        }
        if kind == Kind::Eof {
            let all = std::mem::take(&mut moved.places);
            moved.index.clear();
            for place in all.into_iter().filter(|place| is_stop(place.state)) {
                self.keep(place, &mut moved);
            }
        }
        if !with_callers || !moved.places.iter().any(|place| is_stop(place.state)) {
            for place in stopped {
                self.keep(place, &mut moved);
            }
        }
        if moved.places.is_empty() {
            self.reach = moved;
            return Ok(NOWHERE);
        }
        Ok(self.state(moved))
    }

    /// The number of the state that has these places.
    fn state(&mut self, reach: Reach) -> u32 {
        let with_callers = reach.with_callers;
        let hash = hash(with_callers, &reach.places);
        let is_same = |number: &u32| {
            let known = &self.states[*number as usize];
            known.hash == hash
                && known.with_callers == with_callers
                && *known.places == *reach.places
        };
        if let Some(number) = self.state_numbers.find(hash, is_same) {
            let number = *number;
            self.reach = reach;
            return number;
        }
        let number = self.states.len() as u32;
        let places: Box<[Place]> = reach.places.as_slice().into();
        self.reach = reach;
        let verdict = verdict(&places, with_callers);
        let (next, costs) = ([UNKNOWN; KINDS], Box::default());
        self.states.push(Known { places, hash, with_callers, verdict, next, costs });
        let Learnt { states, state_numbers, .. } = self;
        state_numbers.insert_unique(hash, number, |number| states[*number as usize].hash);
        number
    }
}

fn hash(with_callers: bool, places: &[Place]) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    places.iter().for_each(|place| hasher.write_u64(place.key(with_callers)));
    hasher.finish()
}

/// What a text pays for a way: once its cost.
fn charge(cost: &mut Cost, text: u32) -> u32 {
    if cost.text == text {
        return 0;
    }
    cost.text = text;
    cost.places
}

/// The alternative that all places belong to.
fn unique(places: &[Place]) -> Option<u8> {
    let first = places.first()?.alternative;
    places.iter().all(|place| place.alternative == first).then_some(first)
}

fn verdict(places: &[Place], with_callers: bool) -> Verdict {
    if let Some(alternative) = unique(places) {
        return Verdict::Decided(alternative);
    }
    let mut sorted: Vec<(u16, Stack, u32)> =
        places.iter().map(|place| (place.state, place.stack, 1 << place.alternative)).collect();
    sorted.sort_unstable();
    let set = |same: &[(u16, Stack, u32)]| same.iter().fold(0_u32, |set, one| set | one.2);
    let mut subsets = sorted.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).map(set);
    if with_callers {
        let mut least = subsets.map(u32::trailing_zeros);
        let first = least.next().expect("there are places");
        let same = least.all(|other| other == first);
        return if same { Verdict::Decided(first as u8) } else { Verdict::Undecided };
    }
    let mut by_state = sorted.chunk_by(|a, b| a.0 == b.0).map(set);
    let conflict =
        subsets.any(|set| set.count_ones() > 1) && by_state.all(|set| set.count_ones() > 1);
    let stopped = places.iter().all(|place| is_stop(place.state));
    if conflict || stopped { Verdict::AskCallers } else { Verdict::Undecided }
}

const _: () = assert!(Kind::Eof as u8 == 0 && (Rule::Token as u8) < 64);
