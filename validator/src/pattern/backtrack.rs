//! Matches what refers back to what was caught, or gives nothing back, by trying.
//!
//! Trying can take a time that doubles with each character. So every match has a number of steps
//! for its text, and a pattern that has not been found by then counts as not found.

mod program;

use super::fold::{folded, same_ascii};
use super::places::Text;
use super::set::Class;
use super::syntax::{Fold, Greed, Syntax};
use super::{Found, steps_allowed};
use program::{Program, Step};

/// How many decisions may wait to be changed at once. Each takes 40 bytes.
const WAITING: usize = 1 << 18;

/// A register that holds no place.
const UNSET: usize = usize::MAX;

/// A pattern as steps.
#[derive(Debug)]
pub(super) struct Backtracker {
    program: Program,
    classes: Vec<Class>,
}

impl Backtracker {
    /// The steps of a pattern; `None` if there are too many.
    pub(super) fn new(syntax: &Syntax) -> Option<Backtracker> {
        let program = Program::new(syntax)?;
        Some(Backtracker { program, classes: syntax.classes.clone() })
    }

    /// The memory that it holds, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.program.bytes() + self.classes.iter().map(Class::bytes).sum::<usize>()
    }

    /// Whether the pattern is found in a text.
    pub(super) fn find(&self, text: &str) -> Found {
        let text = Text::new(text, self.program.needs_clusters);
        let mut attempt = Attempt {
            backtracker: self,
            registers: vec![UNSET; self.program.registers],
            waiting: Vec::new(),
            steps: steps_allowed(text.text),
            text,
        };
        let mut start = 0;
        loop {
            match attempt.from(start) {
                None => return Found::GaveUp,
                Some(true) => return Found::Yes,
                Some(false) => {}
            }
            match attempt.text.after(start) {
                Some(character) => start += character.len_utf8(),
                None => return Found::No,
            }
        }
    }
}

/// What is done when a way led nowhere.
#[derive(Clone, Copy, Debug)]
enum Waiting {
    /// Going on at another step.
    Step { step: u32, at: usize },
    /// Setting a register back.
    Register { register: u32, value: usize },
    /// Giving back one character of a run that had this many more than it needs.
    Less { step: u32, at: usize, spare: usize },
    /// Taking one more character in a run.
    More { step: u32, at: usize, taken: u32 },
    /// Beginning a look-behind one character further back.
    Further { step: u32, at: usize, back: u32 },
}

struct Attempt<'a> {
    backtracker: &'a Backtracker,
    text: Text<'a>,
    registers: Vec<usize>,
    waiting: Vec<Waiting>,
    steps: usize,
}

impl Attempt<'_> {
    /// Whether the pattern is found at a place; `None` if that takes too many steps.
    fn from(&mut self, start: usize) -> Option<bool> {
        self.registers.fill(UNSET);
        self.waiting.clear();
        let (mut step, mut at) = (0, start);
        loop {
            self.steps = self.steps.checked_sub(1)?;
            if self.waiting.len() > WAITING {
                return None;
            }
            if matches!(self.backtracker.program.steps[step as usize], Step::End) {
                return Some(true);
            }
            match self.step(step, at) {
                Some(next) => (step, at) = next,
                None => match self.another() {
                    Some(next) => (step, at) = next,
                    None => return Some(false),
                },
            }
        }
    }

    fn class(&self, class: u32) -> &Class {
        &self.backtracker.classes[class as usize]
    }

    /// Takes one step; `None` if it leads nowhere.
    fn step(&mut self, step: u32, at: usize) -> Option<(u32, usize)> {
        let next = step + 1;
        Some(match self.backtracker.program.steps[step as usize] {
            Step::Class(class) => {
                let character = self.text.after(at)?;
                (self.class(class).has(character)).then(|| (next, at + character.len_utf8()))?
            }
            Step::Run { .. } => self.run(step, at)?,
            Step::Jump(to) => (to, at),
            Step::Split(one, other) => {
                self.waiting.push(Waiting::Step { step: other, at });
                (one, at)
            }
            Step::Place(place) => {
                self.text.is(place, at, &self.backtracker.classes).then_some((next, at))?
            }
            Step::Set(register, value) => {
                self.set(register, value);
                (next, at)
            }
            Step::Here(register) => {
                self.set(register, at);
                (next, at)
            }
            Step::Caught(group) => {
                // A group's first register is where it may begin, the others what it caught.
                self.set(3 * group + 1, self.registers[3 * group as usize]);
                self.set(3 * group + 2, at);
                (next, at)
            }
            Step::Again(group, fold) => (next, self.again(group, fold, at)?),
            Step::Loop { repeat, body, least, most, greed } => {
                self.turn(step, at, [repeat, body, least, most], greed)
            }
            Step::Turn { repeat, body } => self.once_more(repeat, body, at),
            Step::Never => return None,
            Step::Mark(register) => {
                self.set(register, self.waiting.len());
                (next, at)
            }
            Step::Keep(mark) => {
                self.keep(self.registers[mark as usize]);
                (next, at)
            }
            Step::Forbid(mark) => {
                let height = self.registers[mark as usize];
                self.undo_to(height);
                return None;
            }
            Step::Back { least, .. } => self.back(step, at, least)?,
            Step::Return(register) => (next, self.registers[register as usize]),
            Step::Arrived(register) => {
                (at == self.registers[register as usize]).then_some((next, at))?
            }
            Step::End => (step, at),
        })
    }

    /// Goes on where another way was left open.
    fn another(&mut self) -> Option<(u32, usize)> {
        loop {
            let waiting = self.waiting.pop()?;
            match waiting {
                Waiting::Step { step, at } => return Some((step, at)),
                Waiting::Register { register, value } => {
                    self.registers[register as usize] = value;
                }
                Waiting::Less { step, at, spare } => {
                    let at = at - self.text.before(at)?.len_utf8();
                    if spare > 1 {
                        self.waiting.push(Waiting::Less { step, at, spare: spare - 1 });
                    }
                    return Some((step + 1, at));
                }
                Waiting::More { step, at, taken } => {
                    if let Some(next) = self.one_more(step, at, taken) {
                        return Some(next);
                    }
                }
                Waiting::Further { step, at, back } => {
                    if let Some(next) = self.back(step, at, back) {
                        return Some(next);
                    }
                }
            }
        }
    }

    fn set(&mut self, register: u32, value: usize) {
        let old = std::mem::replace(&mut self.registers[register as usize], value);
        self.waiting.push(Waiting::Register { register, value: old });
    }

    /// Leaves no other way open since some height; registers can still be set back.
    fn keep(&mut self, height: usize) {
        let since = self.waiting.split_off(height);
        self.steps = self.steps.saturating_sub(since.len());
        let is_register = |waiting: &Waiting| matches!(waiting, Waiting::Register { .. });
        self.waiting.extend(since.into_iter().filter(is_register));
    }

    fn undo_to(&mut self, height: usize) {
        while self.waiting.len() > height {
            if let Some(Waiting::Register { register, value }) = self.waiting.pop() {
                self.registers[register as usize] = value;
            }
        }
    }

    /// As many characters as there are, or as few as there must be.
    fn run(&mut self, step: u32, at: usize) -> Option<(u32, usize)> {
        let Step::Run { class, least, most, greed } = self.backtracker.program.steps[step as usize]
        else {
            return None;
        };
        let wanted = if greed == Greed::Lazy { least } else { most };
        let (mut end, mut taken) = (at, 0);
        while taken < wanted {
            let Some(character) = self.text.after(end) else { break };
            if !self.class(class).has(character) {
                break;
            }
            end += character.len_utf8();
            taken += 1;
        }
        self.steps = self.steps.saturating_sub(taken as usize);
        let spare = taken.checked_sub(least)? as usize;
        if greed == Greed::Lazy && taken < most {
            self.waiting.push(Waiting::More { step, at: end, taken });
        }
        if greed == Greed::Greedy && spare > 0 {
            self.waiting.push(Waiting::Less { step, at: end, spare });
        }
        Some((step + 1, end))
    }

    /// One more character of a run that had enough.
    fn one_more(&mut self, step: u32, at: usize, taken: u32) -> Option<(u32, usize)> {
        let Step::Run { class, most, .. } = self.backtracker.program.steps[step as usize] else {
            return None;
        };
        let character = self.text.after(at).filter(|next| self.class(class).has(*next))?;
        let end = at + character.len_utf8();
        if taken + 1 < most {
            self.waiting.push(Waiting::More { step, at: end, taken: taken + 1 });
        }
        Some((step + 1, end))
    }

    /// One more turn of a loop, or none.
    fn turn(
        &mut self,
        step: u32,
        at: usize,
        [repeat, body, least, most]: [u32; 4],
        greed: Greed,
    ) -> (u32, usize) {
        let turns = self.registers[repeat as usize];
        let out = (step + 1, at);
        // A turn that read nothing ends the loop, whatever it lacks: no other would read more.
        if turns > 0 && self.registers[repeat as usize + 1] == at || turns >= most as usize {
            return out;
        }
        if turns >= least as usize {
            if greed == Greed::Lazy {
                self.waiting.push(Waiting::Step { step: step + 2, at });
                return out;
            }
            self.waiting.push(Waiting::Step { step: step + 1, at });
        }
        self.once_more(repeat, body, at)
    }

    /// The body of a loop, once more.
    fn once_more(&mut self, repeat: u32, body: u32, at: usize) -> (u32, usize) {
        self.set(repeat, self.registers[repeat as usize] + 1);
        self.set(repeat + 1, at);
        (body, at)
    }

    /// Begins a look-behind so many characters back.
    fn back(&mut self, step: u32, at: usize, back: u32) -> Option<(u32, usize)> {
        let Step::Back { least, most } = self.backtracker.program.steps[step as usize] else {
            return None;
        };
        let mut place = at;
        // What waits has gone all but one already.
        for _ in 0..if back == least { least } else { 1 } {
            place -= self.text.before(place)?.len_utf8();
        }
        self.steps = self.steps.saturating_sub(back as usize);
        if back < most {
            self.waiting.push(Waiting::Further { step, at: place, back: back + 1 });
        }
        Some((step + 1, place))
    }

    /// Where what a group caught ends, when it stands here once more.
    fn again(&mut self, group: u32, fold: Fold, at: usize) -> Option<usize> {
        let register = 3 * group as usize;
        let (start, end) = (*self.registers.get(register + 1)?, *self.registers.get(register + 2)?);
        if start == UNSET || end == UNSET {
            return None;
        }
        let caught = self.text.text.get(start..end)?;
        let rest = &self.text.text[at..];
        self.steps = self.steps.saturating_sub(caught.len());
        if fold == Fold::None {
            return rest.starts_with(caught).then(|| at + caught.len());
        }
        let mut place = at;
        let mut rest = rest.chars();
        for character in caught.chars() {
            let other = rest.next()?;
            let same = match fold {
                Fold::Unicode => character == other || folded(character) == folded(other),
                _ => same_ascii(character, other),
            };
            if !same {
                return None;
            }
            place += other.len_utf8();
        }
        Some(place)
    }
}
