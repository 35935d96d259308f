//! A batch of which some events wait: what became of all others, and where the output of these
//! belongs.
//!
//! Nothing here borrows from a thread's arena or from the batch. An event that waits is a place:
//! its record, its index, and a mark in the output. It is begun anew when what it asked for is
//! there, and what it becomes is put in its place, so that the output is the same in whatever
//! order and in however many rounds the answers come.

use enrichments::lookup::Question;
use event::SchemaKey;

use super::Outcome;
use super::output::{Mark, Output};
use super::parked::Parking;

/// A batch of which some events wait.
#[derive(Debug, Default)]
pub struct Suspended {
    /// What became of all others.
    pub(super) output: Output,
    /// Where something is missing, in the order of the output.
    pub(super) gaps: Vec<Gap>,
    /// Schemas that nobody has asked for yet.
    pub(super) schemas: Vec<SchemaKey>,
}

/// Something missing in an output.
#[derive(Clone, Debug)]
pub(super) struct Gap {
    pub(super) record: u32,
    pub(super) what: What,
    /// Where in the output it belongs.
    pub(super) at: Mark,
}

/// What is missing.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// An event, with all that its look-ups ask.
    Event { index: u32, questions: Vec<Question> },
    /// The line of a record's events that are parked, as far as they are known: behind its events.
    Parking(Parking),
}

impl Suspended {
    /// What the events that wait ask, what has an answer already included.
    pub fn questions(&self) -> impl Iterator<Item = &Question> {
        self.gaps.iter().flat_map(|gap| match &gap.what {
            What::Event { questions, .. } => questions.as_slice(),
            What::Parking(_) => &[],
        })
    }

    /// Schemas that nobody has asked for yet.
    pub fn schemas(&self) -> &[SchemaKey] {
        &self.schemas
    }

    /// How many events wait.
    pub fn waiting(&self) -> usize {
        self.gaps.iter().filter(|gap| matches!(gap.what, What::Event { .. })).count()
    }

    /// The output, if nothing waits.
    pub fn outcome(self) -> Outcome {
        debug_assert_eq!(self.output.causes.len(), self.output.bad.len(), "each row has its cause");
        if self.gaps.is_empty() { Outcome::Done(self.output) } else { Outcome::Waits(self) }
    }

    /// Appends what became of the records that follow; `records` of them came before.
    pub fn append(&mut self, other: Suspended, records: u32) {
        let end = self.output.mark();
        self.gaps.extend(other.gaps.into_iter().map(|gap| Gap {
            record: gap.record + records,
            at: end + gap.at,
            ..gap
        }));
        if end == Mark::default() && records == 0 {
            self.output = other.output;
        } else {
            self.output.append(&other.output, records);
        }
        self.schemas.extend(other.schemas);
    }

    /// Puts what became of the gaps into their places. Of each gap the filling says where its part
    /// of the new output, and of the new gaps, begins.
    pub(super) fn fill(self, filling: Filling) -> Suspended {
        let Filling { begins, suspended: new } = filling;
        assert_eq!(begins.len(), self.gaps.len(), "every gap has been looked at");
        let mut merged = Suspended { schemas: new.schemas, ..Suspended::default() };
        let room = self.output.enriched.as_bytes().len() + new.output.enriched.as_bytes().len();
        merged.output.enriched.reserve(room);
        let mut copied = Mark::default();
        let ends = begins.iter().skip(1).copied();
        let ends = ends.chain([(new.output.mark(), new.gaps.len())]);
        for ((gap, begin), end) in self.gaps.iter().zip(&begins).zip(ends) {
            merged.output.append_part(&self.output, copied, gap.at);
            copied = gap.at;
            // What is left of a gap writes nothing before itself.
            let at = merged.output.mark();
            let again = new.gaps[begin.1..end.1].iter().cloned();
            merged.gaps.extend(again.map(|gap| Gap { at, ..gap }));
            merged.output.append_part(&new.output, begin.0, end.0);
        }
        merged.output.append_part(&self.output, copied, self.output.mark());
        // A script that is run once more for an event is cut off once more.
        for cut_offs in [self.output.cut_offs, new.output.cut_offs] {
            merged.output.cut_offs += cut_offs;
        }
        merged.output.compressed = self.output.compressed + new.output.compressed;
        merged.output.too_long = self.output.too_long + new.output.too_long;
        merged
    }
}

impl From<Output> for Suspended {
    fn from(output: Output) -> Suspended {
        Suspended { output, ..Suspended::default() }
    }
}

/// What became of some gaps.
#[derive(Debug)]
pub(super) struct Filling {
    /// For each of them the first line of its part, and the first of its gaps.
    pub(super) begins: Vec<(Mark, usize)>,
    pub(super) suspended: Suspended,
}
