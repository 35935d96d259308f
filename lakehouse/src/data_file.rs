//! [`describe`]: what a table is told of a Parquet file, from the file's own footer.
//!
//! Bounds are told of the columns that queries leave files out by, and of no others: of some
//! thousand columns they would make a table's metadata larger than what it saves.

use std::collections::HashMap;

use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, Literal, PrimitiveType,
    Schema, Struct, Type,
};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::statistics::Statistics;

use crate::error::{Error, Result};

/// Columns of text that queries leave files out by; beside them, instants are.
const BOUNDED: [&str; 3] = ["event_name", "app_id", "event_id"];

/// A written file.
pub(crate) struct Written<'a> {
    pub(crate) location: String,
    pub(crate) bytes: u64,
    pub(crate) footer: &'a ParquetMetaData,
    /// The day that all its rows were loaded on, where the table is partitioned so.
    pub(crate) day: Option<i32>,
}

/// What a table with that schema is told of the file.
pub(crate) fn describe(file: Written, schema: &Schema, spec: i32) -> Result<DataFile> {
    let Written { location, bytes, footer, day } = file;
    let rows = footer.file_metadata().num_rows();
    let mut described = DataFileBuilder::default();
    described
        .content(DataContentType::Data)
        .file_path(location)
        .file_format(DataFileFormat::Parquet)
        .partition(Struct::from_iter(day.map(|day| Some(Literal::date(day)))))
        .partition_spec_id(spec)
        .record_count(rows.unsigned_abs())
        .file_size_in_bytes(bytes)
        .split_offsets(Some(footer.row_groups().iter().map(starts).collect()));
    let mut columns = Columns::default();
    for field in schema.as_struct().fields() {
        let Type::Primitive(ty) = field.field_type.as_ref() else { continue };
        if *ty == PrimitiveType::Timestamptz || BOUNDED.contains(&field.name.as_str()) {
            columns.add(field.id, chunks(footer, &field.name).collect());
        }
    }
    described
        .column_sizes(columns.sizes)
        .value_counts(columns.values)
        .null_value_counts(columns.nulls)
        .lower_bounds(columns.lower)
        .upper_bounds(columns.upper);
    described.build().map_err(|error| Error::Unusable(format!("a data file: {error}")))
}

/// Where a row group starts in its file.
fn starts(group: &parquet::file::metadata::RowGroupMetaData) -> i64 {
    let first = |column: &ColumnChunkMetaData| {
        column.dictionary_page_offset().unwrap_or(i64::MAX).min(column.data_page_offset())
    };
    group.columns().iter().map(first).min().unwrap_or_default()
}

/// The chunks of a column, one of each row group.
fn chunks<'a>(
    footer: &'a ParquetMetaData,
    name: &'a str,
) -> impl Iterator<Item = &'a ColumnChunkMetaData> {
    let columns = footer.row_groups().iter().flat_map(|group| group.columns());
    columns.filter(move |column| column.column_path().parts() == [name])
}

#[derive(Default)]
struct Columns {
    sizes: HashMap<i32, u64>,
    values: HashMap<i32, u64>,
    nulls: HashMap<i32, u64>,
    lower: HashMap<i32, Datum>,
    upper: HashMap<i32, Datum>,
}

impl Columns {
    fn add(&mut self, id: i32, chunks: Vec<&ColumnChunkMetaData>) {
        if chunks.is_empty() {
            return;
        }
        let sum = |of: fn(&ColumnChunkMetaData) -> i64| {
            chunks.iter().map(|chunk| of(chunk).unsigned_abs()).sum::<u64>()
        };
        self.sizes.insert(id, sum(ColumnChunkMetaData::compressed_size));
        self.values.insert(id, sum(ColumnChunkMetaData::num_values));
        let nulls = |chunk: &&ColumnChunkMetaData| chunk.statistics()?.null_count_opt();
        let Some(nulls) = chunks.iter().map(nulls).collect::<Option<Vec<u64>>>() else { return };
        self.nulls.insert(id, nulls.iter().sum());
        let filled = chunks.iter().zip(nulls);
        let filled = filled.filter(|(chunk, nulls)| chunk.num_values().unsigned_abs() > *nulls);
        // Of a chunk that holds something but does not say what, no bound can be told.
        let bounds = filled.map(|(chunk, _)| bounds(chunk.statistics()?));
        let Some(bounds) = bounds.collect::<Option<Vec<_>>>() else { return };
        let (lower, upper): (Vec<_>, Vec<_>) = bounds.into_iter().unzip();
        self.lower.extend(lower.into_iter().reduce(Bound::least).map(|bound| (id, bound.datum())));
        self.upper.extend(upper.into_iter().reduce(Bound::most).map(|bound| (id, bound.datum())));
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Bound {
    Instant(i64),
    Text(String),
}

impl Bound {
    fn least(self, other: Bound) -> Bound {
        self.min(other)
    }

    fn most(self, other: Bound) -> Bound {
        self.max(other)
    }

    fn datum(self) -> Datum {
        match self {
            Bound::Instant(micros) => Datum::timestamptz_micros(micros),
            Bound::Text(text) => Datum::string(text),
        }
    }
}

/// The least and the most value of a chunk: long texts are cut short, so that the least is no more
/// and the most no less than any.
fn bounds(statistics: &Statistics) -> Option<(Bound, Bound)> {
    match statistics {
        Statistics::Int64(of) => {
            Some((Bound::Instant(*of.min_opt()?), Bound::Instant(*of.max_opt()?)))
        }
        Statistics::ByteArray(of) => {
            let text = |bytes: &parquet::data_type::ByteArray| {
                bytes.as_utf8().ok().map(|text| Bound::Text(text.to_owned()))
            };
            Some((text(of.min_opt()?)?, text(of.max_opt()?)?))
        }
        _ => None,
    }
}
