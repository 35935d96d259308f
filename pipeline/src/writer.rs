//! The one who writes down what became of a batch: verdicts, lines, and what goes along with them.
//!
//! Its verbs stand where they belong: [`super::verdicts`] writes what an event or a payload
//! became, [`super::companions`] what goes along with that, and [`super::protection`] decides what
//! may be shown of them.

use event::bad_row::Stamp;
use validator::Schemas;

use super::{Format, Output, Pipeline, Route, Work};

/// What names and `null`s make of an event's line as flat JSON, about: most fields are unset.
const UNSET_AS_JSON: usize = 2300;

/// Writes the output of one batch.
pub(super) struct Writer<'r> {
    pub(super) pipeline: &'r Pipeline,
    pub(super) work: Work<'r>,
    pub(super) schemas: &'r Schemas,
    pub(super) stamp: Stamp<'r>,
    pub(super) output: Output,
}

impl<'r> Writer<'r> {
    /// With nothing written yet.
    pub(super) fn new(
        pipeline: &'r Pipeline,
        work: Work<'r>,
        schemas: &'r Schemas,
        now_ms: i64,
    ) -> Writer<'r> {
        let stamp = Stamp { processor: &pipeline.settings.processor, now_ms };
        Writer { pipeline, work, schemas, stamp, output: Output::default() }
    }

    /// Makes room for the enriched lines of the batch. One is about as long as its event's share of
    /// the payload.
    pub(super) fn reserve(&mut self) {
        let Work { batch, .. } = self.work;
        let bytes = batch.bytes();
        let (tsv, json) = (bytes + bytes / 8, bytes + batch.records.len() * UNSET_AS_JSON);
        let Output { enriched, json: also, .. } = &mut self.output;
        match self.pipeline.settings.format {
            Format::Tsv => enriched.reserve(tsv),
            Format::Json => enriched.reserve(json),
        }
        let also = also.lines_mut(Route::Enriched);
        if let Some(lines) = also.filter(|_| self.pipeline.settings.json.contains(&Route::Enriched))
        {
            lines.reserve(json);
        }
    }
}
