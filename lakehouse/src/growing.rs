//! [`Growing`]: a data file while rows are added to it.
//!
//! It grows in memory, compressed, and is written in one piece, under a name that no other file
//! has; the caller says when it is large enough. No table knows of it until it is appended.

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::DataFile;
use iceberg::table::Table;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::data_file::{Written, describe};
use crate::error::{Error, Result};
use crate::fit;

/// A data file while rows are added to it.
pub struct Growing {
    table: Table,
    target: SchemaRef,
    day: Option<i32>,
    name: String,
    rows: usize,
    writer: ArrowWriter<Vec<u8>>,
}

impl Growing {
    /// A file for rows of those columns, which the table has, as `properties` say. Its name begins
    /// with `name`. All rows are loaded on `day`, in days since 1970, where the table is
    /// partitioned by that.
    pub fn begin(
        table: &Table,
        columns: &Schema,
        properties: WriterProperties,
        day: Option<i32>,
        name: &str,
    ) -> Result<Growing> {
        let schema = schema_to_arrow_schema(table.metadata().current_schema());
        let schema = schema.map_err(|e| Error::from_iceberg("reading the table's columns", e))?;
        let target = fit::target(&schema, columns)?;
        let writer = ArrowWriter::try_new(Vec::new(), target.clone(), Some(properties));
        let writer = writer.map_err(|error| unwritten(&error))?;
        let name = format!("{name}-{:032x}", fastrand::u128(..));
        let day = day.filter(|_| !table.metadata().default_partition_spec().is_unpartitioned());
        Ok(Growing { table: table.clone(), target, day, name, rows: 0, writer })
    }

    /// Whether rows of those columns can be added: of a column that it does not have they cannot.
    pub fn takes(&self, columns: &Schema) -> bool {
        columns.fields().iter().all(|field| self.target.column_with_name(field.name()).is_some())
    }

    /// Adds rows. What one costs is the encoding of an earlier one: this is work for a thread that
    /// computes.
    pub fn add(&mut self, rows: &RecordBatch) -> Result<()> {
        let rows = fit::batch(rows, &self.target)?;
        self.writer.write(&rows).map_err(|error| unwritten(&error))?;
        self.rows += rows.num_rows();
        Ok(())
    }

    /// How many rows were added.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How large the file is about to be, in bytes, as far as can be told.
    pub fn bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// Writes the file, and describes it to its table.
    pub async fn finish(mut self) -> Result<DataFile> {
        let footer = self.writer.finish().map_err(|error| unwritten(&error))?;
        let bytes = std::mem::take(self.writer.inner_mut());
        let metadata = self.table.metadata();
        let folder = match self.day {
            Some(day) => format!("load_tstamp_day={}/", date(day)),
            None => String::new(),
        };
        let location = format!("{}/data/{folder}{}.parquet", metadata.location(), self.name);
        let file = Written {
            location: location.clone(),
            bytes: bytes.len() as u64,
            footer: &footer,
            day: self.day,
        };
        let spec = metadata.default_partition_spec_id();
        let described = describe(file, metadata.current_schema(), spec)?;
        let output = self.table.file_io().new_output(&location);
        let output = output.map_err(|error| Error::from_iceberg("writing a data file", error))?;
        let written = output.write(bytes.into()).await;
        written.map_err(|error| Error::from_iceberg("writing a data file", error))?;
        Ok(described)
    }
}

/// A day as folders name it, `2026-11-29`.
fn date(day: i32) -> String {
    iceberg::spec::Datum::date(day).to_string()
}

fn unwritten(error: &parquet::errors::ParquetError) -> Error {
    Error::Unusable(format!("rows that cannot be written as Parquet: {error}"))
}
