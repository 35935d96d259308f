//! Matches in linear time what needs no memory of what was caught.
//!
//! All ways through the pattern are followed at once, character by character. A counted
//! repetition of one class, `[a-z]{1,5000}`, is one step that remembers where it was entered, and
//! no five thousand. What stands before or behind is decided beforehand for all places of the
//! text, in one pass each: what stands behind a place backwards from the end.

mod program;

use std::cell::RefCell;
use std::collections::VecDeque;

use super::places::{Places, Text};
use super::set::Class;
use super::syntax::Syntax;
use super::{Found, steps_allowed};
use program::{Programs, Step};

/// A pattern as steps.
#[derive(Debug)]
pub(super) struct Automaton {
    programs: Programs,
    classes: Vec<Class>,
}

impl Automaton {
    /// The steps of a pattern; `None` if it refers back, gives nothing back, or has too many.
    pub(super) fn new(syntax: &Syntax) -> Option<Automaton> {
        let programs = Programs::new(syntax)?;
        Some(Automaton { programs, classes: syntax.classes.clone() })
    }

    /// The memory that it holds, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.programs.bytes() + self.classes.iter().map(Class::bytes).sum::<usize>()
    }

    /// Whether the pattern is found in a text.
    pub(super) fn find(&self, text: &str) -> Found {
        self.find_within(text, &mut steps_allowed(text))
    }

    /// As [`Automaton::find`], taking its steps from so many.
    pub(super) fn find_within(&self, text: &str, steps: &mut usize) -> Found {
        thread_local! {
            static ROOM: RefCell<Room> = RefCell::default();
        }
        ROOM.with_borrow_mut(|room| {
            let text = Text::new(text, self.programs.needs_clusters);
            // The looks may ask for one another, the inner ones being first.
            room.looks.resize_with(self.programs.looks.len(), Places::default);
            for index in 0..self.programs.looks.len() {
                let look = &self.programs.looks[index];
                let mut places = std::mem::take(&mut room.looks[index]);
                places.none(text.text.len());
                let run = Run { automaton: self, text: &text, program: &look.steps };
                let done = if look.behind {
                    run.forwards(room, steps, |at| places.add(at))
                } else {
                    run.backwards(room, steps, |at| places.add(at))
                };
                room.looks[index] = places;
                if done.is_none() {
                    return Found::GaveUp;
                }
            }
            let run = Run { automaton: self, text: &text, program: &self.programs.main };
            run.search(room, steps)
        })
    }
}

/// Memory that is used again from text to text.
#[derive(Default)]
struct Room {
    now: Threads,
    next: Threads,
    stack: Vec<u32>,
    /// When each counted step was entered, oldest first.
    entered: Vec<VecDeque<u32>>,
    /// Where each look-around holds.
    looks: Vec<Places>,
}

/// A set of steps that is cheap to clear.
#[derive(Default)]
struct Threads {
    list: Vec<u32>,
    index: Vec<u32>,
}

impl Threads {
    fn clear(&mut self, steps: usize) {
        self.list.clear();
        self.index.resize(self.index.len().max(steps), 0);
    }

    /// Adds a step; `false` if it is there.
    fn add(&mut self, step: u32) -> bool {
        let known = self.list.get(self.index[step as usize] as usize) == Some(&step);
        if !known {
            self.index[step as usize] = u32::try_from(self.list.len()).expect("steps are few");
            self.list.push(step);
        }
        !known
    }
}

/// One program on one text.
struct Run<'r> {
    automaton: &'r Automaton,
    text: &'r Text<'r>,
    program: &'r [Step],
}

impl Run<'_> {
    /// Whether the end of the program is reached from any place.
    fn search(&self, room: &mut Room, steps: &mut usize) -> Found {
        let mut found = false;
        let whole = self.scan(room, steps, self.text.text.char_indices(), |_| {
            found = true;
            false
        });
        match (found, whole) {
            (true, _) => Found::Yes,
            (false, Some(())) => Found::No,
            (false, None) => Found::GaveUp,
        }
    }

    /// Reports every place that the end of the program is reached at.
    fn forwards(
        &self,
        room: &mut Room,
        steps: &mut usize,
        mut add: impl FnMut(usize),
    ) -> Option<()> {
        let text = self.text.text.char_indices();
        self.scan(room, steps, text, |at| {
            add(at);
            true
        })
    }

    /// As [`Run::forwards`], reading from the end.
    fn backwards(
        &self,
        room: &mut Room,
        steps: &mut usize,
        mut add: impl FnMut(usize),
    ) -> Option<()> {
        // Where a character ends is the place that it is read from.
        let text = self.text.text.char_indices().rev();
        let text = text.map(|(at, character)| (at + character.len_utf8(), character));
        self.scan(room, steps, text, |at| {
            add(at);
            true
        })
    }

    /// Reads characters, each with the place that it is read from, and begins anew at each place,
    /// until `reached` says no. `None` if it takes more steps than allowed.
    fn scan(
        &self,
        room: &mut Room,
        steps: &mut usize,
        text: impl DoubleEndedIterator<Item = (usize, char)>,
        mut reached: impl FnMut(usize) -> bool,
    ) -> Option<()> {
        room.now.clear(self.program.len());
        room.entered.iter_mut().for_each(VecDeque::clear);
        room.entered.resize_with(room.entered.len().max(self.program.len()), VecDeque::new);
        let mut time = 0;
        let mut characters = text.peekable();
        let mut at = match characters.peek() {
            Some((at, _)) => *at,
            None => 0,
        };
        let backwards = at != 0;
        let mut end = false;
        loop {
            room.stack.push(0);
            end |= self.follow(room, at, time);
            if end && !reached(at) {
                return Some(());
            }
            let Some((_, character)) = characters.next() else { return Some(()) };
            *steps = steps.checked_sub(room.now.list.len() + 1)?;
            at = if backwards { at - character.len_utf8() } else { at + character.len_utf8() };
            time += 1;
            end = self.read(room, character, at, time);
        }
    }

    /// Passes a character on to every step that waits for one; whether the end is reached.
    fn read(&self, room: &mut Room, character: char, at: usize, time: u32) -> bool {
        std::mem::swap(&mut room.now, &mut room.next);
        room.now.clear(self.program.len());
        let mut reached = false;
        for index in 0..room.next.list.len() {
            let step = room.next.list[index];
            match self.program[step as usize] {
                Step::Class(class) if self.automaton.classes[class as usize].has(character) => {
                    room.stack.push(step + 1);
                }
                Step::Count { class, least, most } => {
                    let entered = &mut room.entered[step as usize];
                    if self.automaton.classes[class as usize].has(character) {
                        while entered.front().is_some_and(|start| time - start > most) {
                            entered.pop_front();
                        }
                        if let Some(start) = entered.front() {
                            if time - start >= least {
                                room.stack.push(step + 1);
                            }
                            room.now.add(step);
                        }
                    } else {
                        // What was entered just now has not read this character.
                        while entered.front().is_some_and(|start| *start != time) {
                            entered.pop_front();
                        }
                    }
                }
                _ => {}
            }
            reached |= self.follow(room, at, time);
        }
        reached
    }

    /// Follows the steps of the stack as far as they go without reading; whether to the end.
    fn follow(&self, room: &mut Room, at: usize, time: u32) -> bool {
        let mut reached = false;
        while let Some(step) = room.stack.pop() {
            if let Step::Count { least, most, .. } = self.program[step as usize] {
                let entered = &mut room.entered[step as usize];
                if entered.back() != Some(&time) {
                    // Without a bound the oldest entry outlives all but the newest.
                    if most == u32::MAX && entered.len() == 2 {
                        entered.pop_back();
                    }
                    entered.push_back(time);
                    if least == 0 {
                        room.stack.push(step + 1);
                    }
                }
                room.now.add(step);
                continue;
            }
            if !room.now.add(step) {
                continue;
            }
            match self.program[step as usize] {
                Step::Jump(to) => room.stack.push(to),
                Step::Split(one, other) => room.stack.extend([other, one]),
                Step::Place(place) if self.text.is(place, at, &self.automaton.classes) => {
                    room.stack.push(step + 1);
                }
                Step::Look { look, negative } if room.looks[look as usize].has(at) != negative => {
                    room.stack.push(step + 1);
                }
                Step::End => reached = true,
                _ => {}
            }
        }
        reached
    }
}
