//! Batches of one origin on their way to a row group.
//!
//! Batches wait as they are; when there are enough of them each column is encoded by itself, one
//! after the other, so that only one column's encoder is in memory at a time however many columns
//! there are. What comes out knows no file yet: row groups of an origin that must not be written
//! any more can be left out, and a column that no batch of a group has is filled in by the file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, new_null_array};
use arrow_schema::{FieldRef, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::writer::SerializedFileWriter;

use crate::batch::{Batch, Column};

/// Rows of a row group that is worth its overhead.
pub const GROUP_ROWS: usize = 100_000;

/// Bytes that batches may take in memory until they are encoded, however few rows they are: some
/// 50,000 rows of usual events.
pub const GROUP_BYTES: usize = 64 << 20;

/// The most nulls that are made at once.
const NULLS: usize = 1 << 16;

/// Batches that are going to be a row group.
#[derive(Default)]
pub struct Group {
    columns: Vec<FieldRef>,
    /// By name: which column.
    names: BTreeMap<String, usize>,
    /// Of each column what batches have, each with the rows that it is about.
    parts: Vec<Vec<(Range<usize>, Column)>>,
    rows: usize,
    bytes: usize,
}

/// A row group, encoded.
pub struct Encoded {
    pub(crate) columns: Vec<(FieldRef, Vec<ArrowColumnChunk>)>,
    rows: usize,
    bytes: usize,
}

impl Group {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The bytes of memory that the batches take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it is large enough to be encoded.
    pub fn is_full(&self) -> bool {
        self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES
    }

    /// Whether the batch's columns are of the types that they have here.
    pub fn takes(&self, batch: &Batch) -> bool {
        let known = |field: &FieldRef| self.names.get(field.name()).map(|at| &self.columns[*at]);
        batch.columns().iter().all(|it| known(&it.field).is_none_or(|known| *known == it.field))
    }

    /// The columns so far.
    pub fn columns(&self) -> &[FieldRef] {
        &self.columns
    }

    /// Adds a batch.
    ///
    /// # Panics
    ///
    /// If it does not [take](Group::takes) it.
    pub fn add(&mut self, batch: &Batch) {
        assert!(self.takes(batch), "columns keep their types");
        let rows = self.rows..self.rows + batch.rows();
        for column in batch.columns() {
            let field = &column.field;
            let at = *self.names.entry(field.name().clone()).or_insert_with(|| {
                self.columns.push(Arc::clone(field));
                self.parts.push(Vec::new());
                self.columns.len() - 1
            });
            // A column of nulls alone is as good as none.
            if !column.is_null() {
                self.parts[at].push((rows.clone(), column.clone()));
            }
        }
        self.rows = rows.end;
        self.bytes += batch.bytes();
    }

    /// Encodes the rows.
    pub fn encode(self, properties: &WriterPropertiesPtr) -> Result<Encoded, ParquetError> {
        let (mut columns, mut bytes) = (Vec::with_capacity(self.columns.len()), 0);
        for (field, parts) in self.columns.into_iter().zip(self.parts) {
            let chunks = encode(&field, parts, self.rows, properties)?;
            bytes += size(&chunks);
            columns.push((field, chunks));
        }
        Ok(Encoded { columns, rows: self.rows, bytes })
    }
}

impl Encoded {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// What it takes in a file.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Those that some batch of it has.
    pub fn columns(&self) -> impl Iterator<Item = &FieldRef> {
        self.columns.iter().map(|(field, _)| field)
    }
}

fn size(chunks: &[ArrowColumnChunk]) -> usize {
    chunks.iter().map(|chunk| chunk.close().bytes_written as usize).sum()
}

/// Encodes the leaves of a column: its parts, and nulls where it has none.
pub(crate) fn encode(
    field: &FieldRef,
    parts: Vec<(Range<usize>, Column)>,
    rows: usize,
    properties: &WriterPropertiesPtr,
) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
    let mut writers = writers(field, properties)?;
    let mut at = 0;
    for (of, column) in parts {
        nulls(field, of.start - at, &mut writers)?;
        write(field, &column.filled(of.len()), &mut writers)?;
        at = of.end;
    }
    nulls(field, rows - at, &mut writers)?;
    writers.into_iter().map(ArrowColumnWriter::close).collect()
}

fn nulls(
    field: &FieldRef,
    mut count: usize,
    writers: &mut [ArrowColumnWriter],
) -> Result<(), ParquetError> {
    while count > 0 {
        let some = count.min(NULLS);
        write(field, &new_null_array(field.data_type(), some), writers)?;
        count -= some;
    }
    Ok(())
}

fn write(
    field: &FieldRef,
    array: &ArrayRef,
    writers: &mut [ArrowColumnWriter],
) -> Result<(), ParquetError> {
    let leaves = compute_leaves(field, array)?;
    writers.iter_mut().zip(&leaves).try_for_each(|(writer, leaf)| writer.write(leaf))
}

/// An encoder for each leaf of a column. They are made for a file; which one makes no difference.
fn writers(
    field: &FieldRef,
    properties: &WriterPropertiesPtr,
) -> Result<Vec<ArrowColumnWriter>, ParquetError> {
    let schema = Arc::new(Schema::new(vec![Arc::clone(field)]));
    let parquet = ArrowSchemaConverter::new().convert(&schema)?;
    let file = SerializedFileWriter::new(
        std::io::sink(),
        parquet.root_schema_ptr(),
        Arc::clone(properties),
    )?;
    ArrowRowGroupWriterFactory::new(&file, schema).create_column_writers(0)
}
