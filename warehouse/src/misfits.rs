//! What fits no column, kept as text: a column of JSON arrays.
//!
//! ```json
//! [{"column": "contexts_com_acme_user_1", "schema": "iglu:com.acme/user/jsonschema/1-0-3",
//!   "data": {"age": "old"}, "why": "expected a whole number of 64 bits at /age"}]
//! ```

use arrow_array::ArrayRef;
use columns::Type;
use event::json::{write_optional, write_string};

use crate::buffer::{Buffer, Values};
use crate::fill::Misfit;

/// The column.
pub(crate) struct Misfits {
    buffer: Buffer,
    /// Those of the row that grows.
    row: Vec<u8>,
    /// How many there are of each row that has some, and of which.
    counts: Vec<(usize, u64)>,
    count: u64,
}

/// Why data is in no column, or not only there.
pub(crate) enum Why {
    /// It does not fit.
    Misfit(Misfit),
    /// It has more than its column has room for.
    More,
    /// Its schema cannot be had, or makes no column.
    NoColumn,
    /// That is not known yet: the row will be made once more.
    NotYet,
}

impl Default for Misfits {
    fn default() -> Misfits {
        Misfits { buffer: Buffer::new(&Type::Json), row: Vec::new(), counts: Vec::new(), count: 0 }
    }
}

impl Misfits {
    /// Adds data of a schema to a row.
    pub(crate) fn add(
        &mut self,
        row: usize,
        column: Option<&str>,
        uri: &str,
        data: &str,
        why: &Why,
    ) {
        let words = match why {
            Why::Misfit(misfit) => match misfit.pointer() {
                at if at.is_empty() => format!("expected {}", misfit.expected),
                at => format!("expected {} at {at}", misfit.expected),
            },
            Why::More => "the column has no room for some of its members".to_owned(),
            Why::NoColumn => "there is no column for its schema".to_owned(),
            Why::NotYet => String::new(),
        };
        self.entry(row, column, Some(uri), |out| out.extend_from_slice(data.as_bytes()), &words);
    }

    /// Adds the text of a line's column to a row.
    pub(crate) fn add_text(&mut self, row: usize, column: &str, text: &str, expected: &str) {
        let words = format!("expected {expected}");
        self.entry(row, Some(column), None, |out| write_string(text, out), &words);
    }

    fn entry(
        &mut self,
        row: usize,
        column: Option<&str>,
        schema: Option<&str>,
        data: impl FnOnce(&mut Vec<u8>),
        why: &str,
    ) {
        let out = &mut self.row;
        out.extend_from_slice(if out.is_empty() { b"[{\"column\":" } else { b",{\"column\":" });
        write_optional(column, out);
        out.extend_from_slice(b",\"schema\":");
        write_optional(schema, out);
        out.extend_from_slice(b",\"data\":");
        data(out);
        out.extend_from_slice(b",\"why\":");
        write_string(why, out);
        out.push(b'}');
        self.count += 1;
        match self.counts.last_mut().filter(|(of, _)| *of == row) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((row, 1)),
        }
    }

    /// Ends a row.
    pub(crate) fn end(&mut self, row: usize) {
        if self.row.is_empty() {
            return;
        }
        self.row.push(b']');
        self.buffer.pad(row);
        if let Values::Json(texts) = &mut self.buffer.values {
            texts.push_with(|out| out.extend_from_slice(&self.row));
        }
        self.buffer.added();
        self.row.clear();
    }

    /// How many there are, in all rows since the beginning.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Takes back all rows from that one on, the one that grows included.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.buffer.truncate(rows);
        self.row.clear();
        while let Some((_, count)) = self.counts.pop_if(|(row, _)| *row >= rows) {
            self.count -= count;
        }
    }

    pub(crate) fn finish(&mut self, rows: usize) -> ArrayRef {
        self.counts.clear();
        self.buffer.finish(rows)
    }
}
