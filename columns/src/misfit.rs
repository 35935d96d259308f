//! What becomes of values that do not fit their columns.
//!
//! The event keeps its row, the column stays empty, and the value goes, whole and as JSON, into
//! the row's column `_misfits`: a list with an entry for each such value. A query that looks there
//! finds everything, and a loader that knows better can take it from there.

use crate::field::{Field, Type};

/// The column of a table that holds what does not fit the others: a JSON list of objects with
/// `column`, `schema`, `data` and `why`.
pub const MISFITS: &str = "_misfits";

/// The field of [`MISFITS`].
pub fn misfits() -> Field {
    let description = "Values that do not fit their columns: a JSON list of column, schema, data \
                       and why. Empty in almost every row.";
    Field {
        name: MISFITS.to_owned(),
        ty: Type::Json,
        nullable: true,
        keys: Vec::new(),
        description: Some(description.to_owned()),
    }
}
