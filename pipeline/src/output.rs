//! What a batch became: the lines of each route and the verdicts that account for every event.

use enrichments::javascript::CutOffs;
use event::bad_row::BadKind;

use super::cause::Cause;

/// The kinds of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Route {
    /// Enriched events.
    Enriched,
    /// Bad rows.
    Bad,
    /// Records whose verdict waits, as [`parked`](super::parked) describes them.
    Parked,
    /// Events about what pseudonymisation replaced.
    Pii,
    /// Companions of failed events: enriched lines with their failures as entities.
    Incomplete,
    /// Texts too large for a line, whole.
    Oversized,
    /// Records as they came, as [`archive`](super::archive) writes them: not in lines.
    Raw,
}

impl Route {
    /// All routes that the pipeline makes lines for: all but the raw one.
    pub const ALL: [Route; 6] = [
        Route::Enriched,
        Route::Bad,
        Route::Parked,
        Route::Pii,
        Route::Incomplete,
        Route::Oversized,
    ];

    /// The name in object names, metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Route::Enriched => "enriched",
            Route::Bad => "bad",
            Route::Parked => "parked",
            Route::Pii => "pii",
            Route::Incomplete => "incomplete",
            Route::Oversized => "oversized",
            Route::Raw => "raw",
        }
    }

    /// Whether its lines are all there is of some events; the others are companions of such lines.
    pub fn has_verdicts(self) -> bool {
        matches!(self, Route::Enriched | Route::Bad | Route::Parked)
    }

    /// Whether its lines are written as enriched events are; all other lines are JSON.
    pub fn is_of_events(self) -> bool {
        matches!(self, Route::Enriched | Route::Pii | Route::Incomplete)
    }
}

/// The result of processing one batch.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// Enriched events, one line each.
    pub enriched: Lines,
    /// Bad rows, one line of JSON each.
    pub bad: Lines,
    /// Records with events that wait, one line of JSON each.
    pub parked: Lines,
    /// PII events, one line each, in the form of enriched events.
    pub pii: Lines,
    /// Incomplete events, one line each, in the form of enriched events.
    pub incomplete: Lines,
    /// The texts that became size violations, whole: each a line of JSON with the route it was for
    /// and the line itself, `{"route":"enriched","line":"…"}`.
    pub oversized: Lines,
    /// The records themselves, where somebody archives them. The pipeline leaves it empty.
    pub raw: Lines,
    /// Of routes of events the same lines as flat JSON, where that is wanted; else empty.
    pub json: Json,
    /// Every verdict in order: by record, then by event. The n-th `Enriched` is the n-th line of
    /// `enriched`, the n-th `Bad` the n-th of `bad`.
    pub verdicts: Vec<(u32, Verdict)>,
    /// Why each bad row is one: the n-th is of the n-th line of `bad`.
    pub causes: Vec<Cause>,
    /// How often scripts were cut off.
    pub cut_offs: CutOffs,
    /// Records that are parked since they are compressed.
    pub compressed: u32,
    /// Events that are enriched although a field is longer than a row of events holds.
    pub too_long: u32,
}

/// Events as flat JSON: the n-th line is the n-th of the route.
#[derive(Clone, Debug, Default)]
pub struct Json {
    enriched: Lines,
    pii: Lines,
    incomplete: Lines,
}

impl Json {
    /// The lines of a route; none of a route that has other lines than events.
    pub fn lines(&self, route: Route) -> Option<&Lines> {
        match route {
            Route::Enriched => Some(&self.enriched),
            Route::Pii => Some(&self.pii),
            Route::Incomplete => Some(&self.incomplete),
            Route::Bad | Route::Parked | Route::Oversized | Route::Raw => None,
        }
    }

    /// The lines of a route, to be changed.
    pub fn lines_mut(&mut self, route: Route) -> Option<&mut Lines> {
        match route {
            Route::Enriched => Some(&mut self.enriched),
            Route::Pii => Some(&mut self.pii),
            Route::Incomplete => Some(&mut self.incomplete),
            Route::Bad | Route::Parked | Route::Oversized | Route::Raw => None,
        }
    }
}

/// A point in an output to come back to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    lines: [usize; Route::ALL.len()],
    verdicts: usize,
}

impl std::ops::Add for Mark {
    type Output = Mark;

    fn add(mut self, other: Mark) -> Mark {
        self.lines.iter_mut().zip(other.lines).for_each(|(mine, more)| *mine += more);
        Mark { verdicts: self.verdicts + other.verdicts, ..self }
    }
}

impl Output {
    /// The lines of a route.
    pub fn lines(&self, route: Route) -> &Lines {
        match route {
            Route::Enriched => &self.enriched,
            Route::Bad => &self.bad,
            Route::Parked => &self.parked,
            Route::Pii => &self.pii,
            Route::Incomplete => &self.incomplete,
            Route::Oversized => &self.oversized,
            Route::Raw => &self.raw,
        }
    }

    /// The lines of a route, to be changed.
    pub fn lines_mut(&mut self, route: Route) -> &mut Lines {
        match route {
            Route::Enriched => &mut self.enriched,
            Route::Bad => &mut self.bad,
            Route::Parked => &mut self.parked,
            Route::Pii => &mut self.pii,
            Route::Incomplete => &mut self.incomplete,
            Route::Oversized => &mut self.oversized,
            Route::Raw => &mut self.raw,
        }
    }

    /// The present point.
    pub fn mark(&self) -> Mark {
        let lines = Route::ALL.map(|route| self.lines(route).len());
        Mark { lines, verdicts: self.verdicts.len() }
    }

    /// Takes back everything since a point, lines begun but not ended included.
    pub fn rewind(&mut self, mark: Mark) {
        for (route, lines) in Route::ALL.into_iter().zip(mark.lines) {
            self.lines_mut(route).truncate(lines);
            if let Some(json) = self.json.lines_mut(route) {
                json.truncate(lines);
            }
        }
        self.causes.truncate(self.bad.len());
        self.verdicts.truncate(mark.verdicts);
    }

    /// Appends the output of the records that follow; `records` of them came before.
    pub fn append(&mut self, other: &Output, records: u32) {
        for route in Route::ALL {
            self.lines_mut(route).append(other.lines(route));
            if let Some((json, more)) = self.json.lines_mut(route).zip(other.json.lines(route)) {
                json.append(more);
            }
        }
        let moved = other.verdicts.iter().map(|(record, verdict)| (record + records, *verdict));
        self.verdicts.extend(moved);
        self.causes.extend_from_slice(&other.causes);
        self.cut_offs += other.cut_offs;
        self.compressed += other.compressed;
        self.too_long += other.too_long;
    }

    /// Appends the part of another output, of the same records, between two points.
    pub(crate) fn append_part(&mut self, other: &Output, from: Mark, to: Mark) {
        for (index, route) in Route::ALL.into_iter().enumerate() {
            let (from, to) = (from.lines[index], to.lines[index]);
            if route == Route::Bad {
                self.causes.extend_from_slice(&other.causes[from..to]);
            }
            self.lines_mut(route).append_part(other.lines(route), from, to);
            let json = self.json.lines_mut(route).zip(other.json.lines(route));
            if let Some((json, more)) = json.filter(|(_, more)| !more.is_empty()) {
                json.append_part(more, from, to);
            }
        }
        self.verdicts.extend_from_slice(&other.verdicts[from.verdicts..to.verdicts]);
    }
}

/// What became of one event, or of a payload that failed whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// A line of `enriched`.
    Enriched,
    /// A line of `bad`, of that kind.
    Bad(BadKind),
    /// Named by a line of `parked`: one for all of a record's events that wait.
    Parked,
    /// A script wanted it to vanish: no line.
    Dropped,
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

    /// Appends what is no line, and so has no newline: a record of an archive.
    pub fn push_record(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
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
        self.append_part(other, 0, other.len());
    }

    /// Appends the lines of another from one up to the next.
    fn append_part(&mut self, other: &Lines, from: usize, to: usize) {
        let end = |lines: usize| lines.checked_sub(1).map_or(0, |last| other.ends[last]);
        let (base, start) = (self.bytes.len(), end(from));
        self.bytes.extend_from_slice(&other.bytes[start..end(to)]);
        self.ends.extend(other.ends[from..to].iter().map(|end| base + end - start));
    }
}
