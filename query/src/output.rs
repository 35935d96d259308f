//! Answers in the formats that programs and people read.

mod grid;

use std::io::Write;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;

use crate::values::{self, Large};
use grid::Grid;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// To look at: columns beneath each other, long values cut.
    Table,
    /// A line of names, then a line for each row; nothing for null, "" for an empty text.
    Csv,
    /// One array with an object for each row, each in a line of its own.
    Json,
    /// An object for each row, each in a line of its own.
    Ndjson,
    /// A Parquet file.
    Parquet,
}

/// Writes an answer.
pub(crate) enum Writer<W: Write + Send> {
    /// To look at.
    Table(Grid, W),
    /// Comma-separated values.
    Csv(W),
    /// JSON; whether as an array, and whether a row was written.
    Json { out: W, array: bool, any: bool },
    /// A Parquet file, row group by row group.
    Parquet(Box<ArrowWriter<W>>),
}

impl<W: Write + Send> Writer<W> {
    /// Begins an answer with these columns.
    pub(crate) fn new(
        format: Format,
        columns: &SchemaRef,
        mut out: W,
    ) -> anyhow::Result<Writer<W>> {
        Ok(match format {
            Format::Table => Writer::Table(Grid::new(columns), out),
            Format::Csv => {
                let mut line = String::new();
                csv_line(
                    columns.fields().iter().map(|field| Some(field.name().as_str())),
                    &mut line,
                );
                out.write_all(line.as_bytes())?;
                Writer::Csv(out)
            }
            Format::Json => {
                out.write_all(b"[")?;
                Writer::Json { out, array: true, any: false }
            }
            Format::Ndjson => Writer::Json { out, array: false, any: false },
            Format::Parquet => {
                let zstd = Compression::ZSTD(ZstdLevel::try_new(1)?);
                let properties = WriterProperties::builder().set_compression(zstd).build();
                let columns = SchemaRef::clone(columns);
                Writer::Parquet(Box::new(ArrowWriter::try_new(out, columns, Some(properties))?))
            }
        })
    }

    /// Writes rows.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        match self {
            Writer::Table(grid, out) => grid.write(batch, out)?,
            Writer::Csv(out) => {
                let mut lines = String::new();
                csv_rows(batch, &mut lines);
                out.write_all(lines.as_bytes())?;
            }
            Writer::Json { out, array, any } => {
                let mut lines = String::new();
                json_rows(batch, *array, any, &mut lines);
                out.write_all(lines.as_bytes())?;
            }
            Writer::Parquet(writer) => writer.write(batch)?,
        }
        Ok(())
    }

    /// Ends the answer; it is flushed.
    pub(crate) fn end(self) -> anyhow::Result<W> {
        let mut out = match self {
            Writer::Table(grid, mut out) => {
                grid.end(&mut out)?;
                out
            }
            Writer::Csv(out) => out,
            Writer::Json { mut out, array, any } => {
                if array {
                    out.write_all(if any { b"\n]\n" } else { b"]\n" })?;
                }
                out
            }
            Writer::Parquet(writer) => writer.into_inner()?,
        };
        out.flush()?;
        Ok(out)
    }
}

/// Rows as lines of CSV.
pub(crate) fn csv_rows(batch: &RecordBatch, out: &mut String) {
    let mut cell = String::new();
    for row in 0..batch.num_rows() {
        for (at, column) in batch.columns().iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            if column.is_null(row) {
                continue;
            }
            cell.clear();
            values::plain(column.as_ref(), row, &mut cell);
            csv_cell(&cell, out);
        }
        out.push('\n');
    }
}

/// A line of CSV.
pub(crate) fn csv_line<'a>(cells: impl Iterator<Item = Option<&'a str>>, out: &mut String) {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            out.push(',');
        }
        if let Some(cell) = cell {
            csv_cell(cell, out);
        }
    }
    out.push('\n');
}

/// An empty text is quoted, so that it is not taken for null.
fn csv_cell(cell: &str, out: &mut String) {
    let spaced = cell.starts_with(' ') || cell.ends_with(' ');
    if !cell.is_empty() && !spaced && !cell.contains([',', '"', '\n', '\r']) {
        return out.push_str(cell);
    }
    out.push('"');
    out.push_str(&cell.replace('"', "\"\""));
    out.push('"');
}

fn json_rows(batch: &RecordBatch, array: bool, any: &mut bool, out: &mut String) {
    let schema = batch.schema_ref();
    for row in 0..batch.num_rows() {
        if array {
            out.push_str(if *any { ",\n" } else { "\n" });
        }
        *any = true;
        let names = schema.fields().iter().map(|field| field.name().as_str());
        values::object(names, batch.columns(), row, Large::Numbers, out);
        if !array {
            out.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};
    use std::sync::Arc;

    fn written(format: Format, batch: Option<&RecordBatch>) -> String {
        let schema = rows().schema();
        let mut writer = Writer::new(format, &schema, Vec::new()).expect("memory");
        batch.iter().for_each(|batch| writer.write(batch).expect("memory"));
        String::from_utf8(writer.end().expect("memory")).expect("text")
    }

    fn rows() -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(i64::MIN), None]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a, \"b\"\n"), Some("")]));
        RecordBatch::try_from_iter([("n", numbers), ("the text", texts)]).expect("they fit")
    }

    #[test]
    fn csv_quotes_what_it_must_and_tells_null_from_nothing() {
        let expected = "n,the text\n-9223372036854775808,\"a, \"\"b\"\"\n\"\n,\"\"\n";
        assert_eq!(written(Format::Csv, Some(&rows())), expected);
        assert_eq!(written(Format::Csv, None), "n,the text\n");
    }

    #[test]
    fn json_is_one_array_of_lines() {
        let expected = "[\n{\"n\":-9223372036854775808,\"the text\":\"a, \\\"b\\\"\\n\"},\n\
                        {\"n\":null,\"the text\":\"\"}\n]\n";
        assert_eq!(written(Format::Json, Some(&rows())), expected);
        assert_eq!(written(Format::Json, None), "[]\n");
        assert_eq!(written(Format::Ndjson, Some(&rows())).lines().count(), 2);
        assert_eq!(written(Format::Ndjson, None), "");
    }

    #[test]
    fn parquet_holds_the_same_rows() {
        let columns = rows().schema();
        let mut writer = Writer::new(Format::Parquet, &columns, Vec::new()).expect("memory");
        writer.write(&rows()).expect("memory");
        let bytes = datafusion::parquet::file::metadata::ParquetMetaDataReader::new();
        let written = writer.end().expect("memory");
        let file = bytes::Bytes::from(written);
        assert_eq!(bytes.parse_and_finish(&file).expect("a file").file_metadata().num_rows(), 2);
    }
}
