//! Which places of a text are which.

use std::sync::LazyLock;

use super::family;
use super::read::is_line_end;
use super::set::Class;
use super::syntax::{Lines, Place, Words};

/// How many marks may follow a letter and still be of its word, as in Unicode's format of texts
/// that can be read as a stream.
const MARKS: usize = 30;

/// Places of a text, one bit each.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<u64>);

impl Places {
    /// None of the places of a text of so many bytes.
    pub(super) fn none(&mut self, length: usize) {
        self.0.clear();
        self.0.resize(length / 64 + 1, 0);
    }

    /// Adds a place.
    pub(super) fn add(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    /// Whether a place is one of these.
    pub(super) fn has(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|bits| bits >> (at % 64) & 1 == 1)
    }
}

/// A text and what is known of it.
pub(super) struct Text<'t> {
    pub(super) text: &'t str,
    /// Where clusters begin and end, if somebody asks.
    pub(super) clusters: Places,
}

impl<'t> Text<'t> {
    /// A text; the edges of clusters are looked for if they are needed.
    pub(super) fn new(text: &'t str, needs_clusters: bool) -> Text<'t> {
        let clusters = if needs_clusters { cluster_edges(text) } else { Places::default() };
        Text { text, clusters }
    }

    /// The character that begins at a place.
    pub(super) fn after(&self, at: usize) -> Option<char> {
        self.text[at..].chars().next()
    }

    /// The character that ends at a place.
    pub(super) fn before(&self, at: usize) -> Option<char> {
        self.text[..at].chars().next_back()
    }

    /// Whether a place is one of that kind.
    pub(super) fn is(&self, place: Place, at: usize, classes: &[Class]) -> bool {
        match place {
            Place::Start => at == 0,
            Place::End => at == self.text.len(),
            Place::LastLineEnd(lines) => self.is_last_line_end(lines, at),
            Place::LineStart(lines) => self.is_line_start(lines, at),
            Place::LineEnd(lines) => self.is_line_end(lines, at),
            Place::WordEdge(words) => self.is_word_edge(words, at),
            Place::NoWordEdge(words) => !self.is_word_edge(words, at),
            Place::ClusterEdge => self.clusters.has(at),
            Place::NoClusterEdge => !self.clusters.has(at),
            Place::NotBefore(class) => {
                !self.after(at).is_some_and(|next| classes[class as usize].has(next))
            }
        }
    }

    /// A line does not end between the two characters of a Windows line's end.
    fn is_within_line_end(&self, lines: Lines, at: usize) -> bool {
        let bytes = self.text.as_bytes();
        lines == Lines::Any && bytes.get(at) == Some(&b'\n') && bytes[..at].ends_with(b"\r")
    }

    fn is_last_line_end(&self, lines: Lines, at: usize) -> bool {
        let mut rest = self.text[at..].chars();
        match (rest.next(), rest.next(), rest.next()) {
            (None, ..) => true,
            (Some('\r'), Some('\n'), None) => lines == Lines::Any,
            (Some(only), None, _) => {
                is_line_end(only, lines) && !self.is_within_line_end(lines, at)
            }
            _ => false,
        }
    }

    /// Behind a line's end, but not where the text ends.
    fn is_line_start(&self, lines: Lines, at: usize) -> bool {
        at != self.text.len()
            && self.before(at).is_none_or(|before| is_line_end(before, lines))
            && !self.is_within_line_end(lines, at)
    }

    fn is_line_end(&self, lines: Lines, at: usize) -> bool {
        self.after(at).is_none_or(|after| is_line_end(after, lines))
            && !self.is_within_line_end(lines, at)
    }

    fn is_word_edge(&self, words: Words, at: usize) -> bool {
        let is_word = |character: char, before: &str| {
            family::is_word(words, character) || family::is_mark(character) && carries(before)
        };
        let left =
            self.before(at).is_some_and(|left| is_word(left, &self.text[..at - left.len_utf8()]));
        let right = self.after(at).is_some_and(|right| is_word(right, &self.text[..at]));
        left != right
    }
}

/// Whether a text ends with a letter and its marks.
fn carries(text: &str) -> bool {
    let mut before = text.chars().rev().take(MARKS).skip_while(|c| family::is_mark(*c));
    before.next().is_some_and(family::is_base)
}

/// What a character is in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Other,
    Return,
    Feed,
    Control,
    Extend,
    Joiner,
    Flag,
    Prepend,
    Spacing,
    Leading,
    Vowel,
    Trailing,
    LeadingVowel,
    LeadingVowelTrailing,
    Picture,
}

/// The kinds of characters, in order.
static KINDS: LazyLock<Vec<(char, char, Kind)>> = LazyLock::new(|| {
    let names = [
        ("gcb=CR", Kind::Return),
        ("gcb=LF", Kind::Feed),
        ("gcb=Control", Kind::Control),
        ("gcb=Extend", Kind::Extend),
        ("gcb=ZWJ", Kind::Joiner),
        ("gcb=Regional_Indicator", Kind::Flag),
        ("gcb=Prepend", Kind::Prepend),
        ("gcb=SpacingMark", Kind::Spacing),
        ("gcb=L", Kind::Leading),
        ("gcb=V", Kind::Vowel),
        ("gcb=T", Kind::Trailing),
        ("gcb=LV", Kind::LeadingVowel),
        ("gcb=LVT", Kind::LeadingVowelTrailing),
        ("Extended_Pictographic", Kind::Picture),
    ];
    let ranges = names.iter().flat_map(|(name, kind)| {
        let ranges = family::unicode_class(name).char_ranges();
        ranges.into_iter().map(|(first, last)| (first, last, *kind))
    });
    let mut ranges: Vec<_> = ranges.collect();
    ranges.sort_unstable_by_key(|(first, ..)| *first);
    ranges
});

fn kind(character: char) -> Kind {
    let after = KINDS.partition_point(|(first, ..)| *first <= character);
    match after.checked_sub(1).map(|index| KINDS[index]) {
        Some((_, last, kind)) if last >= character => kind,
        _ => Kind::Other,
    }
}

/// The edges of the extended grapheme clusters of a text, by the rules of Unicode's annex 29.
fn cluster_edges(text: &str) -> Places {
    let mut edges = Places::default();
    edges.none(text.len());
    let mut before = None;
    // Whether a picture, with what extends it, comes before; and how many flags do.
    let (mut picture, mut flags) = (false, 0_usize);
    for (at, character) in text.char_indices() {
        let kind = kind(character);
        let joined = before.is_some_and(|before| {
            let joiner = before == Kind::Joiner && picture && kind == Kind::Picture;
            let flag = before == Kind::Flag && kind == Kind::Flag && flags % 2 == 1;
            joiner || flag || hang_together(before, kind)
        });
        if !joined {
            edges.add(at);
        }
        picture = kind == Kind::Picture
            || picture
                && matches!(kind, Kind::Extend | Kind::Joiner)
                && before != Some(Kind::Joiner);
        flags = if kind == Kind::Flag { flags + 1 } else { 0 };
        before = Some(kind);
    }
    edges.add(text.len());
    edges
}

/// Whether two neighbours belong to one cluster, whatever comes before.
fn hang_together(left: Kind, right: Kind) -> bool {
    use Kind::{
        Control, Extend, Feed, Joiner, Leading, LeadingVowel, LeadingVowelTrailing, Prepend,
        Return, Spacing, Trailing, Vowel,
    };
    match (left, right) {
        (Return, Feed) => true,
        (Return | Feed | Control, _) | (_, Return | Feed | Control) => false,
        (Leading, Leading | Vowel | LeadingVowel | LeadingVowelTrailing)
        | (LeadingVowel | Vowel, Vowel | Trailing)
        | (LeadingVowelTrailing | Trailing, Trailing)
        | (_, Extend | Joiner | Spacing)
        | (Prepend, _) => true,
        _ => false,
    }
}
