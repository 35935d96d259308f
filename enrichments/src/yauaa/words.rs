//! Cutting values into words, parts of versions, and segments.

use super::expression::Range;

/// What a value is cut at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Splitter {
    /// Words: white space and most punctuation; brackets end the value.
    Words,
    /// Parts of a version.
    Version,
    /// Parts of a version, of which the first is the major one.
    MajorVersion,
    /// Segments, cut at bars.
    Segments,
}

impl Splitter {
    fn cuts(self, byte: u8) -> bool {
        match self {
            Splitter::Words => b"| .:;=/\\+-_<>~#()".contains(&byte),
            Splitter::Version => b"|._-,+".contains(&byte),
            Splitter::MajorVersion => b"|.,".contains(&byte),
            Splitter::Segments => byte == b'|',
        }
    }

    fn ends(self, byte: u8) -> bool {
        self == Splitter::Words && (byte == b'(' || byte == b')')
    }

    /// Where the word of a number starts, counted from 1.
    fn start(self, value: &[u8], number: u8) -> Option<usize> {
        let (mut inside, mut count) = (false, 0);
        for (at, byte) in value.iter().enumerate() {
            if self.ends(*byte) {
                return None;
            }
            if self.cuts(*byte) {
                inside = false;
            } else if !inside {
                inside = true;
                count += 1;
                if count == number {
                    return Some(at);
                }
            }
        }
        None
    }

    fn end(self, value: &[u8], start: usize) -> usize {
        let length = value[start..].iter().position(|byte| self.cuts(*byte));
        length.map_or(value.len(), |length| start + length)
    }

    /// The words of a range with what is between them; none if one is not there.
    pub(super) fn range(self, value: &str, range: Range) -> Option<&str> {
        let bytes = value.as_bytes();
        if range.last.is_some_and(|last| last > 0 && last < range.first) {
            return None;
        }
        let start = self.start(bytes, range.first)?;
        let Some(last) = range.last else {
            let end = bytes[start..].iter().position(|byte| self.ends(*byte));
            return Some(&value[start..end.map_or(value.len(), |length| start + length)]);
        };
        let last_start = if last == range.first { start } else { self.start(bytes, last)? };
        Some(&value[start..self.end(bytes, last_start)])
    }

    /// Where all words are.
    pub(super) fn all(self, value: &str) -> Vec<(usize, usize)> {
        let bytes = value.as_bytes();
        let mut words = Vec::new();
        let mut next = self.start(bytes, 1);
        while let Some(start) = next {
            let end = self.end(bytes, start);
            words.push((start, end));
            let rest = &bytes[end..];
            let ends = rest.iter().position(|byte| self.ends(*byte)).unwrap_or(rest.len());
            let begins = rest.iter().position(|byte| !self.cuts(*byte));
            next = begins.filter(|begins| *begins < ends).map(|begins| end + begins);
        }
        words
    }

    /// The words of a range, of words found by [`Self::all`]. Unlike [`Self::range`] it leaves out
    /// what stands behind the last word.
    pub(super) fn range_of<'v>(
        value: &'v str,
        words: &[(usize, usize)],
        range: Range,
    ) -> Option<&'v str> {
        let last = range.last.map_or(words.len(), usize::from);
        let (start, _) = words.get(usize::from(range.first).checked_sub(1)?)?;
        let (_, end) = words.get(last.checked_sub(1)?)?;
        value.get(*start..*end)
    }

    /// The first words up to a number, with what is before them; an address is one word.
    pub(super) fn first(self, value: &str, number: u8) -> Option<&str> {
        if looks_like_address(value) {
            return (number == 1).then_some(value);
        }
        let start = self.start(value.as_bytes(), number)?;
        Some(&value[..self.end(value.as_bytes(), start)])
    }

    /// The word of a number; an address is one word.
    pub(super) fn single(self, value: &str, number: u8) -> Option<&str> {
        if looks_like_address(value) {
            return (number == 1).then_some(value);
        }
        let start = self.start(value.as_bytes(), number)?;
        Some(&value[start..self.end(value.as_bytes(), start)])
    }
}

fn looks_like_address(value: &str) -> bool {
    value.starts_with("www.")
        || value.starts_with("http")
        || (value.contains('@') && value.contains('.'))
}
