//! Rows that were taken out of their buffers.
//!
//! A table has columns for each schema that its events ever had, and an event has a few of them.
//! Columns of a few rows hold these alone and say which they are, so that a row costs what it has
//! and not what the table has; they are filled up when they are encoded, one after the other.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_schema::{FieldRef, Schema};
use arrow_select::take::take;

/// Rows of one table.
#[derive(Clone, Debug)]
pub struct Batch {
    rows: usize,
    columns: Vec<Column>,
}

/// What a column has of the rows of a batch.
#[derive(Clone, Debug)]
pub struct Column {
    /// What it is.
    pub field: FieldRef,
    /// Its values: of all rows, or of those that have one.
    pub values: ArrayRef,
    /// Which rows have one, in their order; `None` where each row has its own.
    pub at: Option<Arc<[u32]>>,
}

impl Batch {
    /// So many rows.
    ///
    /// # Panics
    ///
    /// If a column has other rows.
    pub fn new(rows: usize, columns: Vec<Column>) -> Batch {
        for Column { field, values, at } in &columns {
            let fits = match at {
                None => values.len() == rows,
                Some(at) => {
                    let within = at.last().is_none_or(|last| (*last as usize) < rows);
                    values.len() == at.len() && within && at.is_sorted()
                }
            };
            assert!(fits, "{} has other rows", field.name());
        }
        Batch { rows, columns }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns, each once.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The columns that it has.
    pub fn schema(&self) -> Schema {
        Schema::new(self.columns.iter().map(|column| Arc::clone(&column.field)).collect::<Vec<_>>())
    }

    /// The bytes of memory that it takes.
    pub fn bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum()
    }

    /// The same with nulls where a column has no value.
    pub fn filled(&self) -> RecordBatch {
        let arrays = self.columns.iter().map(|column| column.filled(self.rows)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(Arc::new(self.schema()), arrays, &options);
        batch.expect("columns were looked at")
    }
}

impl From<RecordBatch> for Batch {
    fn from(batch: RecordBatch) -> Batch {
        let fields = batch.schema_ref().fields().iter().cloned();
        let columns = fields.zip(batch.columns()).map(|(field, values)| {
            let values = Arc::clone(values);
            Column { field, values, at: None }
        });
        Batch { rows: batch.num_rows(), columns: columns.collect() }
    }
}

impl Column {
    fn bytes(&self) -> usize {
        let at = self.at.as_ref().map_or(0, |at| at.len() * size_of::<u32>());
        self.values.get_array_memory_size() + at
    }

    /// Its values, and nulls, of all of so many rows.
    pub(crate) fn filled(&self, rows: usize) -> ArrayRef {
        let Some(at) = &self.at else { return Arc::clone(&self.values) };
        let mut places = vec![None; rows];
        for (place, row) in (0..).zip(at.iter()) {
            places[*row as usize] = Some(place);
        }
        let places = UInt32Array::from(places);
        take(&self.values, &places, None).expect("places are those of values")
    }

    /// Whether no row has a value.
    pub(crate) fn is_null(&self) -> bool {
        self.values.null_count() == self.values.len()
    }
}
