//! What a batch became: the lines of each route and the verdicts that account for every event.

use event::bad_row::BadKind;

/// The result of processing one batch.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// Enriched events, one line each.
    pub enriched: Lines,
    /// Bad rows, one line of JSON each.
    pub bad: Lines,
    /// The texts that became size violations, whole: each a line of JSON with the route it was for
    /// and the line itself, `{"route":"enriched","line":"…"}`.
    pub oversized: Lines,
    /// Every verdict in order: by record, then by event. The n-th `Enriched` is the n-th line of
    /// `enriched`, the n-th `Bad` the n-th of `bad`.
    pub verdicts: Vec<(u32, Verdict)>,
}

/// A point in an output to come back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    enriched: usize,
    bad: usize,
    oversized: usize,
    verdicts: usize,
}

impl Output {
    /// The present point.
    pub fn mark(&self) -> Mark {
        Mark {
            enriched: self.enriched.len(),
            bad: self.bad.len(),
            oversized: self.oversized.len(),
            verdicts: self.verdicts.len(),
        }
    }

    /// Takes back everything since a point, lines begun but not ended included.
    pub fn rewind(&mut self, mark: Mark) {
        self.enriched.truncate(mark.enriched);
        self.bad.truncate(mark.bad);
        self.oversized.truncate(mark.oversized);
        self.verdicts.truncate(mark.verdicts);
    }

    /// Appends the output of the records that follow; `records` of them came before.
    pub fn append(&mut self, other: &Output, records: u32) {
        self.enriched.append(&other.enriched);
        self.bad.append(&other.bad);
        self.oversized.append(&other.oversized);
        let moved = other.verdicts.iter().map(|(record, verdict)| (record + records, *verdict));
        self.verdicts.extend(moved);
    }
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

    /// The newest line without its newline.
    pub fn last(&self) -> &[u8] {
        let start = self.ends.iter().rev().nth(1).copied().unwrap_or(0);
        let end = self.ends.last().map_or(0, |end| end - 1);
        &self.bytes[start..end]
    }

    /// Appends one line through `write`, which must not write a newline.
    pub fn push_with<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let result = write(&mut self.bytes);
        self.bytes.push(b'\n');
        self.ends.push(self.bytes.len());
        result
    }

    /// Makes room for about so many bytes: growing by doubling would touch twice the memory.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// Takes back the newest line.
    pub fn pop(&mut self) {
        self.truncate(self.ends.len().saturating_sub(1));
    }

    /// Keeps the first `lines` lines.
    fn truncate(&mut self, lines: usize) {
        self.ends.truncate(lines);
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Appends all lines of another.
    pub fn append(&mut self, other: &Lines) {
        let base = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.ends.extend(other.ends.iter().map(|end| base + end));
    }
}
