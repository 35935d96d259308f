//! What a batch became: the lines of each route and the verdicts that account for every event.

use event::bad_row::BadKind;

/// The result of processing one batch.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// Enriched events, one line each.
    pub enriched: Lines,
    /// Bad rows, one line of JSON each.
    pub bad: Lines,
    /// Every verdict in order: by record, then by event. The n-th `Enriched` is the n-th line of
    /// `enriched`, the n-th `Bad` the n-th of `bad`.
    pub verdicts: Vec<(u32, Verdict)>,
}

/// What became of one event, or of a payload that failed whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// A line of `enriched`.
    Enriched,
    /// A line of `bad`, of that kind.
    Bad(BadKind),
}

/// Lines in one buffer, each ended by a newline.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Lines {
    /// All lines with their newlines.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Each line without its newline.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..end - 1])
    }

    /// Appends one line through `write`, which must not write a newline.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.bytes.push(b'\n');
        self.ends.push(self.bytes.len());
    }

    /// Takes back the newest line.
    pub fn pop(&mut self) {
        self.ends.pop();
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Appends all lines of another.
    pub fn append(&mut self, other: &Lines) {
        let base = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.ends.extend(other.ends.iter().map(|end| base + end));
    }
}
