//! The one who writes down what became of a batch: verdicts, lines, and what goes along with them.
//!
//! Its verbs stand where they belong: [`super::verdicts`] writes what an event or a payload
//! became, [`super::companions`] what goes along with that, and [`super::protection`] decides what
//! may be shown of them.

use event::bad_row::Stamp;
use validator::Schemas;

use super::{Output, Pipeline, Work};

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
}
