//! One pattern of the rules, compiled when it is first needed.
//!
//! User agents are short, most patterns meet few of them, and a process compiles hundreds. So a
//! pattern is matched by backtracking, bounded by a mark for every state at every byte: that
//! needs one small automaton and builds nothing while it matches, which over the first
//! thousands of user agents is far cheaper than the lazy automata of the `regex` crate, and as
//! cheap afterwards. Only a user agent too long for the bound is left to that crate.
//!
//! Patterns are matched on bytes, and their classes and cases are those of ASCII, as in the peer's
//! implementation; that also keeps them small. One that is too large to compile matches nothing.

use std::borrow::Cow;
use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};
use regex_automata::nfa::thompson::backtrack::{self, BoundedBacktracker, Cache};
use regex_automata::nfa::thompson::{Compiler, Config, WhichCaptures};
use regex_automata::util::prefilter::Prefilter;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind};

/// Bytes of marks that one search may set: a bit for each state at each byte of a user agent.
/// It bounds the steps of a search, and is enough for any pattern and the usual user agents.
const MARKS: usize = 128 << 10;

/// Bytes of a compiled pattern, which is also what the `regex` crate allows.
const COMPILED: usize = 10 << 20;

/// The whole match and the groups `$1` to `$9`, a start and an end each.
const SLOTS: usize = 20;

/// A pattern and what it was compiled to so far.
pub(super) struct Pattern {
    text: String,
    ignore_case: bool,
    short: OnceLock<Option<BoundedBacktracker>>,
    long: OnceLock<Option<Regex>>,
}

/// Room for searches, of any patterns one after the other.
#[derive(Default)]
pub(super) struct Room(Option<Cache>);

/// What the groups of a pattern matched.
pub(super) struct Groups<'u> {
    useragent: &'u str,
    slots: [Option<NonMaxUsize>; SLOTS],
}

impl Pattern {
    pub(super) fn new(text: String, ignore_case: bool) -> Pattern {
        Pattern { text, ignore_case, short: OnceLock::new(), long: OnceLock::new() }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn ignores_case(&self) -> bool {
        self.ignore_case
    }

    /// Where the pattern matches first, if it does.
    pub(super) fn find<'u>(&self, useragent: &'u str, room: &mut Room) -> Option<Groups<'u>> {
        let mut slots = [None; SLOTS];
        let short = self.short.get_or_init(|| self.compile_short());
        match short.as_ref().filter(|short| useragent.len() <= short.max_haystack_len()) {
            Some(short) => {
                let cache = room.0.get_or_insert_with(|| short.create_cache());
                cache.reset(short);
                let input = Input::new(useragent);
                let found = short.try_search_slots(cache, &input, &mut slots);
                found.expect("the user agent is not too long")?;
            }
            None => self.find_long(useragent, &mut slots)?,
        }
        Some(Groups { useragent, slots })
    }

    #[cold]
    fn find_long(&self, useragent: &str, slots: &mut [Option<NonMaxUsize>; SLOTS]) -> Option<()> {
        let long = self.long.get_or_init(|| self.compile_long()).as_ref()?;
        let found = long.captures(useragent.as_bytes())?;
        for (group, slots) in slots.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            if let Some(found) = found.get(group) {
                *slots = [found.start(), found.end()].map(NonMaxUsize::new);
            }
        }
        Some(())
    }

    fn compile_short(&self) -> Option<BoundedBacktracker> {
        let hir = |unicode| {
            let config = syntax::Config::new().utf8(false).unicode(unicode);
            syntax::parse_with(&self.text, &config.case_insensitive(self.ignore_case)).ok()
        };
        let hir = hir(false).or_else(|| hir(true))?;
        let config = Config::new().utf8(false).which_captures(WhichCaptures::All);
        let config = config.nfa_size_limit(Some(COMPILED));
        let nfa = Compiler::new().configure(config).build_from_hir(&hir).ok()?;
        let prefilter = Prefilter::from_hir_prefix(MatchKind::LeftmostFirst, &hir);
        let config = backtrack::Config::new().visited_capacity(MARKS).prefilter(prefilter);
        BoundedBacktracker::builder().configure(config).build_from_nfa(nfa).ok()
    }

    fn compile_long(&self) -> Option<Regex> {
        let build = |unicode| {
            let mut builder = RegexBuilder::new(&self.text);
            builder.case_insensitive(self.ignore_case).unicode(unicode).build()
        };
        build(false).or_else(|_| build(true)).ok()
    }
}

impl<'u> Groups<'u> {
    /// The text of a group; empty where it did not take part.
    pub(super) fn get(&self, group: usize) -> Cow<'u, str> {
        let slot = |slot: usize| Some(self.slots.get(slot).copied()??.get());
        let (Some(start), Some(end)) = (slot(2 * group), slot(2 * group + 1)) else {
            return Cow::Borrowed("");
        };
        String::from_utf8_lossy(&self.useragent.as_bytes()[start..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(pattern: &Pattern, useragent: &str) -> Option<[String; 4]> {
        let found = pattern.find(useragent, &mut Room::default())?;
        Some([0, 1, 2, 9].map(|group| found.get(group).into_owned()))
    }

    #[test]
    fn long_user_agents_are_matched_as_short_ones_are() {
        let pattern = Pattern::new("(acme|other)/(\\d+)(?:\\.x|)(é|)".to_owned(), true);
        for padding in [0, 100, 2 * MARKS * 8] {
            let padding = "é ".repeat(padding);
            let useragent = format!("{padding}Acme/12.xé;Other/2");
            let expected = ["Acme/12.xé", "Acme", "12", ""].map(str::to_owned);
            assert_eq!(groups(&pattern, &useragent), Some(expected));
            assert_eq!(groups(&pattern, &format!("{padding}acme/")), None);
        }
        assert!(pattern.long.get().is_some_and(Option::is_some), "the last one was long");
    }

    #[test]
    fn a_pattern_of_letters_beyond_ascii_is_compiled_all_the_same() {
        let pattern = Pattern::new("\\p{Greek}(\\w)".to_owned(), false);
        let expected = ["λx", "x", "", ""].map(str::to_owned);
        assert_eq!(groups(&pattern, "é λx"), Some(expected));
    }

    #[test]
    fn a_pattern_too_large_to_compile_matches_nothing() {
        let pattern = Pattern::new("(?:a{1000}){1000}".to_owned(), false);
        assert_eq!(groups(&pattern, &"a".repeat(10)), None);
    }
}
