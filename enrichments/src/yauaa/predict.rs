//! Choosing between the alternatives of the grammar by looking ahead as far as needed.
//!
//! The grammar is ambiguous on purpose, and what it makes of broken texts is part of what the rules
//! rely on. So this is the adaptive algorithm of the parser generator that the grammar was written
//! for, down to where it gives up: all alternatives are followed at once, first without knowing
//! who called the present rule, and where that leaves several, once more with the callers known;
//! of alternatives that stay equal the first wins. What was found out is kept in a machine whose
//! states are sets of places in the grammar, so that most choices cost a table look-up per token.
//! The machine is kept by its thread and forgotten when it has grown too large.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::grammar::{Moves, NETWORK, Network, Rule, State};
use super::lexer::{KINDS, Kind, Token};

/// Callers: an entry of [`Learnt::stacks`].
pub(super) type Stack = u32;

/// No callers; while callers are not looked at, any callers.
pub(super) const NOBODY: Stack = 0;

/// In a [`Stack`], the place of a caller that nobody called.
const BOTTOM: u16 = u16::MAX;

/// The machine is forgotten when its states or stacks are this many: some 20 MB.
const MOST_STATES: usize = 30_000;
const MOST_STACKS: usize = 100_000;

/// How many steps along the machine are made for one text before it is given up: what real user
/// agents need is far below a tenth of it.
const MOST_WORK: u32 = 1_000_000;
/// How many places of the grammar are followed for one text, to make states of the machine. A
/// thread's first text follows up to two hundred thousand.
const MOST_PLACES: u32 = 800_000;

/// A place in the grammar that one alternative leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    state: u16,
    alternative: u8,
    /// Whether the rule that the choice is in was left on the way.
    left: bool,
    stack: Stack,
}

/// A state of the machine.
struct Known {
    places: Box<[Place]>,
    with_callers: bool,
    verdict: Verdict,
    /// By token the next state.
    next: [u32; KINDS],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Undecided,
    Decided(u8),
    /// Several alternatives are left and the callers decide.
    AskCallers,
}

const UNKNOWN: u32 = u32::MAX;
const NOWHERE: u32 = u32::MAX - 1;

/// What a thread has found out about the grammar.
pub(super) struct Learnt {
    stacks: Vec<Box<[(u16, Stack)]>>,
    stack_numbers: HashMap<Box<[(u16, Stack)]>, Stack, FixedState>,
    states: Vec<Known>,
    state_numbers: HashMap<(bool, Box<[Place]>), u32, FixedState>,
    /// By decision the first state without callers.
    starts: Vec<u32>,
    /// By decision and callers the first state.
    starts_with_callers: HashMap<(u16, Stack), u32, FixedState>,
    merged: HashMap<(Stack, Stack, bool), Stack, FixedState>,
    work: u32,
    places: u32,
}

/// Why there is no choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stuck {
    /// No alternative leads on.
    NoneFits,
    /// The work was too much.
    TooMuch,
}

impl Default for Learnt {
    fn default() -> Learnt {
        let mut learnt = Learnt {
            stacks: Vec::new(),
            stack_numbers: HashMap::default(),
            states: Vec::new(),
            state_numbers: HashMap::default(),
            starts: vec![UNKNOWN; NETWORK.decisions.len()],
            starts_with_callers: HashMap::default(),
            merged: HashMap::default(),
            work: 0,
            places: 0,
        };
        learnt.stack(&[(BOTTOM, NOBODY)]);
        learnt
    }
}

impl Learnt {
    /// Prepares for another text.
    pub(super) fn begin(&mut self) {
        if self.states.len() > MOST_STATES || self.stacks.len() > MOST_STACKS {
            *self = Learnt::default();
        }
        (self.work, self.places) = (0, 0);
    }

    /// The share of the allowed work that was done for this text, in thousandths.
    #[cfg(test)]
    pub(super) fn work_done(&self) -> u32 {
        (self.work / (MOST_WORK / 1000)).max(self.places / (MOST_PLACES / 1000))
    }

    /// The callers with one more, who goes on from a state.
    pub(super) fn push(&mut self, stack: Stack, state: u16) -> Stack {
        self.stack(&[(state, stack)])
    }

    fn stack(&mut self, entries: &[(u16, Stack)]) -> Stack {
        if let Some(number) = self.stack_numbers.get(entries) {
            return *number;
        }
        let number = self.stacks.len() as Stack;
        self.stacks.push(entries.into());
        self.stack_numbers.insert(entries.into(), number);
        number
    }

    /// The alternative of a decision that the tokens from here on ask for.
    pub(super) fn choose(
        &mut self,
        decision: u16,
        tokens: &[Token],
        callers: Stack,
    ) -> Result<u8, Stuck> {
        let start = self.starts[usize::from(decision)];
        let start = if start == UNKNOWN {
            let start = self.start(decision, NOBODY, false)?;
            self.starts[usize::from(decision)] = start;
            start
        } else {
            start
        };
        match self.run(start, tokens)? {
            Some(alternative) => Ok(alternative),
            None => {
                let known = self.starts_with_callers.get(&(decision, callers)).copied();
                let start = match known {
                    Some(start) => start,
                    None => {
                        let start = self.start(decision, callers, true)?;
                        self.starts_with_callers.insert((decision, callers), start);
                        start
                    }
                };
                Ok(self.run(start, tokens)?.expect("callers need not be asked twice"))
            }
        }
    }

    /// Follows the machine until it decides, or asks for the callers.
    fn run(&mut self, mut state: u32, tokens: &[Token]) -> Result<Option<u8>, Stuck> {
        let mut tokens = tokens;
        loop {
            self.work += 1;
            let kind = tokens[0].kind;
            let mut next = self.states[state as usize].next[kind as usize];
            if next == UNKNOWN {
                next = self.follow(state, kind)?;
                self.states[state as usize].next[kind as usize] = next;
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
            if self.work > MOST_WORK {
                return Err(Stuck::TooMuch);
            }
        }
    }

    /// The first alternative that came to the end of the rule that the choice is in.
    fn finished(&self, state: u32) -> Option<u8> {
        let places = self.states[state as usize].places.iter();
        let done = places.filter(|place| {
            place.left
                || (is_stop(place.state)
                    && self.stacks[place.stack as usize].iter().any(|(ret, _)| *ret == BOTTOM))
        });
        done.map(|place| place.alternative).min()
    }

    fn start(&mut self, decision: u16, callers: Stack, with_callers: bool) -> Result<u32, Stuck> {
        let network: &Network = &NETWORK;
        let state = &network.states[usize::from(network.decisions[usize::from(decision)])];
        let Moves::Free(targets) = &state.moves else { unreachable!("decisions are free") };
        let mut reach = Reach::new(with_callers, false);
        for (index, target) in targets.iter().enumerate() {
            let alternative = index as u8 + 1;
            let place = Place { state: *target, alternative, left: false, stack: callers };
            reach.busy.clear();
            self.close(place, &mut reach)?;
        }
        Ok(self.state(reach.places, with_callers))
    }

    /// The state that a token leads to.
    fn follow(&mut self, from: u32, kind: Kind) -> Result<u32, Stuck> {
        let with_callers = self.states[from as usize].with_callers;
        let (mut moved, mut stopped) = (Reach::new(with_callers, false), Vec::new());
        for index in 0..self.states[from as usize].places.len() {
            let place = self.states[from as usize].places[index];
            match &network_state(place.state).moves {
                Moves::Stop if with_callers || kind == Kind::Eof => stopped.push(place),
                Moves::Token(set, to) if set >> kind as u32 & 1 == 1 => {
                    self.keep(Place { state: *to, ..place }, &mut moved);
                }
                _ => {}
            }
        }
        let ends = stopped.is_empty() && kind != Kind::Eof;
        let mut reach = if ends && !moved.places.is_empty() && unique(&moved.places).is_some() {
            moved
        } else {
            let mut reach = Reach::new(with_callers, kind == Kind::Eof);
            for place in moved.places {
                self.close(place, &mut reach)?;
            }
            reach
        };
        if kind == Kind::Eof {
            let all = std::mem::replace(&mut reach, Reach::new(with_callers, true));
            for place in all.places.into_iter().filter(|place| is_stop(place.state)) {
                self.keep(place, &mut reach);
            }
        }
        if !with_callers || !reach.places.iter().any(|place| is_stop(place.state)) {
            for place in stopped {
                self.keep(place, &mut reach);
            }
        }
        if reach.places.is_empty() {
            return Ok(NOWHERE);
        }
        Ok(self.state(reach.places, with_callers))
    }

    /// The number of the state that has these places.
    fn state(&mut self, places: Vec<Place>, with_callers: bool) -> u32 {
        let key = (with_callers, places.into_boxed_slice());
        if let Some(number) = self.state_numbers.get(&key) {
            return *number;
        }
        let number = self.states.len() as u32;
        let verdict = verdict(&key.1, with_callers);
        let (places, next) = (key.1.clone(), [UNKNOWN; KINDS]);
        self.states.push(Known { places, with_callers, verdict, next });
        self.state_numbers.insert(key, number);
        number
    }

    /// Adds a place and all that are reached from it without a token.
    fn close(&mut self, place: Place, reach: &mut Reach) -> Result<(), Stuck> {
        let mut work = vec![(place, false)];
        // Last in, first out, with what follows pushed in reverse: the order of a recursion.
        while let Some((place, popped)) = work.pop() {
            self.places += 1;
            if self.places > MOST_PLACES {
                return Err(Stuck::TooMuch);
            }
            if is_stop(place.state) && !popped {
                self.return_to_callers(place, reach, &mut work);
                continue;
            }
            let state = network_state(place.state);
            match &state.moves {
                Moves::Token(set, to) => {
                    self.keep(place, reach);
                    if reach.at_end && set & 1 == 1 {
                        let next = Place { state: *to, ..place };
                        if reach.busy.insert(next, ()).is_none() {
                            work.push((next, false));
                        }
                    }
                }
                Moves::Rule(rule, after) => {
                    let stack = self.push(place.stack, *after);
                    let state = NETWORK.starts[*rule as usize];
                    work.push((Place { state, stack, ..place }, false));
                }
                Moves::Free(targets) => {
                    let places = targets.iter().rev().map(|to| Place { state: *to, ..place });
                    work.extend(places.map(|place| (place, false)));
                }
                Moves::Stop => self.fall_out(place, state, reach, &mut work),
            }
        }
        Ok(())
    }

    /// Goes on from the end of a rule where its callers said.
    fn return_to_callers(
        &mut self,
        place: Place,
        reach: &mut Reach,
        work: &mut Vec<(Place, bool)>,
    ) {
        if place.stack == NOBODY {
            if reach.with_callers {
                self.keep(place, reach);
            } else {
                work.push((place, true));
            }
            return;
        }
        let entries = self.stacks[place.stack as usize].clone();
        for (state, stack) in entries.iter().rev() {
            if *state != BOTTOM {
                work.push((Place { state: *state, stack: *stack, ..place }, false));
            } else if !reach.with_callers {
                work.push((place, true));
            }
        }
        if reach.with_callers && entries.iter().any(|(state, _)| *state == BOTTOM) {
            self.keep(Place { stack: NOBODY, ..place }, reach);
        }
    }

    /// Goes on from the end of a rule, whose callers are not known, wherever the rule is used.
    fn fall_out(
        &mut self,
        place: Place,
        state: &State,
        reach: &mut Reach,
        work: &mut Vec<(Place, bool)>,
    ) {
        let follows = &NETWORK.follows[state.rule as usize];
        if follows.is_empty() {
            self.keep(place, reach);
        }
        for to in follows.iter().rev() {
            let next = Place { state: *to, left: true, ..place };
            if reach.busy.insert(next, ()).is_none() {
                work.push((next, false));
            }
        }
    }

    /// Keeps a place, its callers joined with those of the same place by the same alternative.
    fn keep(&mut self, place: Place, reach: &mut Reach) {
        let key = (place.state, place.alternative);
        match reach.index.get(&key) {
            None => {
                reach.index.insert(key, reach.places.len());
                reach.places.push(place);
            }
            Some(index) => {
                let there = reach.places[*index];
                let stack = self.merge(there.stack, place.stack, !reach.with_callers);
                let left = there.left || place.left;
                reach.places[*index] = Place { stack, left, ..there };
            }
        }
    }

    /// Callers of either kind; nobody stands for anybody if `open`.
    fn merge(&mut self, a: Stack, b: Stack, open: bool) -> Stack {
        if a == b {
            return a;
        }
        if open && (a == NOBODY || b == NOBODY) {
            return NOBODY;
        }
        if let Some(stack) = self.merged.get(&(a, b, open)) {
            return *stack;
        }
        let (left, right) = (self.stacks[a as usize].clone(), self.stacks[b as usize].clone());
        let mut entries: Vec<(u16, Stack)> = left.to_vec();
        for (state, stack) in &right {
            match entries.iter_mut().position(|(other, _)| other == state) {
                None => entries.push((*state, *stack)),
                Some(at) => entries[at].1 = self.merge(entries[at].1, *stack, open),
            }
        }
        entries.sort_unstable();
        let stack = self.stack(&entries);
        self.merged.insert((a, b, open), stack);
        stack
    }
}

/// Places on the way to become a state.
struct Reach {
    places: Vec<Place>,
    index: HashMap<(u16, u8), usize, FixedState>,
    busy: HashMap<Place, (), FixedState>,
    with_callers: bool,
    /// Whether the end of the text is reached, which may be taken again and again.
    at_end: bool,
}

impl Reach {
    fn new(with_callers: bool, at_end: bool) -> Reach {
        let (index, busy) = (HashMap::default(), HashMap::default());
        Reach { places: Vec::new(), index, busy, with_callers, at_end }
    }
}

fn network_state(state: u16) -> &'static State {
    &NETWORK.states[usize::from(state)]
}

fn is_stop(state: u16) -> bool {
    matches!(network_state(state).moves, Moves::Stop)
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
    let mut subsets: HashMap<(u16, Stack), u32, FixedState> = HashMap::default();
    let mut by_state: HashMap<u16, u32, FixedState> = HashMap::default();
    for place in places {
        let alternative = 1 << place.alternative;
        *subsets.entry((place.state, place.stack)).or_default() |= alternative;
        *by_state.entry(place.state).or_default() |= alternative;
    }
    if with_callers {
        let mut least = subsets.values().map(|set| set.trailing_zeros());
        let first = least.next().expect("there are places");
        let same = least.all(|other| other == first);
        return if same { Verdict::Decided(first as u8) } else { Verdict::Undecided };
    }
    let conflict = subsets.values().any(|set| set.count_ones() > 1)
        && by_state.values().all(|set| set.count_ones() > 1);
    let stopped = places.iter().all(|place| is_stop(place.state));
    if conflict || stopped { Verdict::AskCallers } else { Verdict::Undecided }
}

const _: () = assert!(Kind::Eof as u8 == 0 && (Rule::Token as u8) < 64);
