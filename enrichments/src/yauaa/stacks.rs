//! The callers of a rule while one looks ahead: a graph in which equal parts are one.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};

/// Callers: where each goes on, and who called it in turn.
pub(super) type Stack = u32;

/// No callers; while callers are not looked at, any callers.
pub(super) const NOBODY: Stack = 0;

/// The place of a caller that nobody called.
pub(super) const BOTTOM: u16 = u16::MAX;

/// How deep rules may call one another: some eighty comments within comments.
pub(super) const MOST_DEPTH: u32 = 256;

#[derive(Clone, Copy)]
struct Known {
    /// Where its entries end.
    end: u32,
    depth: u32,
    hash: u64,
}

/// All callers so far.
#[derive(Clone)]
pub(super) struct Stacks {
    entries: Vec<(u16, Stack)>,
    stacks: Vec<Known>,
    numbers: HashTable<Stack>,
    merged: HashMap<(Stack, Stack, bool), Stack, FixedState>,
    /// Whether rules called one another too deep since [`Stacks::begin`].
    too_deep: bool,
}

impl Default for Stacks {
    fn default() -> Stacks {
        let mut stacks = Stacks {
            entries: Vec::new(),
            stacks: Vec::new(),
            numbers: HashTable::new(),
            merged: HashMap::default(),
            too_deep: false,
        };
        stacks.number(&[(BOTTOM, NOBODY)]);
        stacks
    }
}

impl Stacks {
    pub(super) fn len(&self) -> usize {
        self.stacks.len()
    }

    /// Prepares for another text.
    pub(super) fn begin(&mut self) {
        self.too_deep = false;
    }

    /// Whether rules call one another too deep in the present text.
    pub(super) fn too_deep(&self) -> bool {
        self.too_deep
    }

    /// The callers: where each goes on, and its own callers.
    pub(super) fn get(&self, stack: Stack) -> &[(u16, Stack)] {
        let at = stack as usize;
        let start = at.checked_sub(1).map_or(0, |before| self.stacks[before].end);
        &self.entries[start as usize..self.stacks[at].end as usize]
    }

    /// The callers with one more, who goes on from a state.
    pub(super) fn push(&mut self, stack: Stack, state: u16) -> Stack {
        self.number(&[(state, stack)])
    }

    fn number(&mut self, entries: &[(u16, Stack)]) -> Stack {
        let hash = self::hash(entries);
        let is_same = |number: &Stack| {
            self.stacks[*number as usize].hash == hash && self.get(*number) == entries
        };
        if let Some(number) = self.numbers.find(hash, is_same) {
            let number = *number;
            self.too_deep |= self.stacks[number as usize].depth > MOST_DEPTH;
            return number;
        }
        let number = self.stacks.len() as Stack;
        let above = entries.iter().filter(|(state, _)| *state != BOTTOM);
        let depth = above.map(|(_, stack)| self.stacks[*stack as usize].depth + 1);
        let depth = depth.max().unwrap_or(0);
        self.too_deep |= depth > MOST_DEPTH;
        self.entries.extend_from_slice(entries);
        self.stacks.push(Known { end: self.entries.len() as u32, depth, hash });
        let Stacks { stacks, numbers, .. } = self;
        numbers.insert_unique(hash, number, |number| stacks[*number as usize].hash);
        number
    }

    /// Callers of either kind; nobody stands for anybody if `open`.
    pub(super) fn merge(&mut self, a: Stack, b: Stack, open: bool) -> Stack {
        if a == b {
            return a;
        }
        if open && (a == NOBODY || b == NOBODY) {
            return NOBODY;
        }
        let key = (a.min(b), a.max(b), open);
        if let Some(stack) = self.merged.get(&key) {
            return *stack;
        }
        let mut entries = self.get(a).to_vec();
        for index in 0..self.get(b).len() {
            let (state, stack) = self.get(b)[index];
            match entries.iter().position(|(other, _)| *other == state) {
                None => entries.push((state, stack)),
                Some(at) => entries[at].1 = self.merge(entries[at].1, stack, open),
            }
        }
        entries.sort_unstable();
        let stack = self.number(&entries);
        self.merged.insert(key, stack);
        stack
    }
}

fn hash(entries: &[(u16, Stack)]) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    for (state, stack) in entries {
        hasher.write_u64(u64::from(*state) << 32 | u64::from(*stack));
    }
    hasher.finish()
}
