//! Parquet files of row groups that were encoded by themselves.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use arrow_schema::{FieldRef, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use crate::batch::Batch;
use crate::group::{self, Encoded};

/// Columns whose values nearly all differ: a dictionary of them would be as large as they are.
const DIFFERING: [&str; 5] =
    ["event_id", "event_fingerprint", "collector_tstamp", "derived_tstamp", "row"];

/// Rows of a page: a reader that looks for one event reads that many.
const PAGE_ROWS: usize = 20_000;

/// Bytes at the beginning of texts that statistics keep.
const STATISTICS_BYTES: usize = 64;

/// How often a bloom filter says that an id may be there which is not.
const FALSE_POSITIVES: f64 = 0.01;

/// How columns are encoded, and compressed by that level of zstd.
pub fn properties(zstd_level: i32) -> WriterPropertiesPtr {
    let level = ZstdLevel::try_new(zstd_level).expect("a level that zstd has");
    let id = || ColumnPath::from("event_id");
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("snowmelt ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES))
        .set_offset_index_disabled(true)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_column_bloom_filter_enabled(id(), true)
        .set_column_bloom_filter_fpp(id(), FALSE_POSITIVES)
        .set_column_bloom_filter_ndv(id(), group::GROUP_ROWS as u64);
    for column in DIFFERING {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(column), false);
    }
    Arc::new(properties.build())
}

/// A file that row groups gather for.
#[derive(Default)]
pub struct File {
    groups: Vec<Encoded>,
    columns: Vec<FieldRef>,
    names: BTreeMap<String, usize>,
}

impl File {
    /// Whether these columns are of the types that they have here.
    pub fn takes<'f>(&self, columns: impl IntoIterator<Item = &'f FieldRef>) -> bool {
        columns
            .into_iter()
            .all(|field| self.names.get(field.name()).is_none_or(|at| self.columns[*at] == *field))
    }

    /// Adds a row group.
    ///
    /// # Panics
    ///
    /// If it does not [take](File::takes) its columns.
    pub fn add(&mut self, group: Encoded) {
        assert!(self.takes(group.columns()), "columns keep their types");
        for (field, _) in &group.columns {
            self.names.entry(field.name().clone()).or_insert_with(|| {
                self.columns.push(Arc::clone(field));
                self.columns.len() - 1
            });
        }
        self.groups.push(group);
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.groups.iter().map(Encoded::rows).sum()
    }

    /// What they take in the file.
    pub fn bytes(&self) -> usize {
        self.groups.iter().map(Encoded::bytes).sum()
    }

    /// Whether there is no row group.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Writes the file. Columns of events and entities stand behind all others, by name; a row
    /// group that lacks one has nulls there.
    pub fn write(
        mut self,
        out: impl Write + Send,
        properties: &WriterPropertiesPtr,
    ) -> Result<ParquetMetaData, ParquetError> {
        let nested =
            |name: &str| name.starts_with("contexts_") || name.starts_with("unstruct_event_");
        self.columns.sort_by_key(|field| {
            let name = field.name();
            nested(name).then(|| name.clone())
        });
        let schema = Schema::new(self.columns.clone());
        let parquet = ArrowSchemaConverter::new().convert(&schema)?;
        let root = parquet.root_schema_ptr();
        let mut file = SerializedFileWriter::new(out, root, Arc::clone(properties))?;
        for group in self.groups {
            let rows = group.rows();
            let mut chunks: BTreeMap<String, _> = group
                .columns
                .into_iter()
                .map(|(field, chunks)| (field.name().clone(), chunks))
                .collect();
            let mut writer = file.next_row_group()?;
            for field in &self.columns {
                let chunks = match chunks.remove(field.name()) {
                    Some(chunks) => chunks,
                    None => group::encode(field, Vec::new(), rows, properties)?,
                };
                for chunk in chunks {
                    chunk.append_to_row_group(&mut writer)?;
                }
            }
            writer.close()?;
        }
        file.close()
    }
}

/// Batches as one file of one row group: for whoever has few.
pub fn of_batches(
    batches: &[Batch],
    out: impl Write + Send,
    properties: &WriterPropertiesPtr,
) -> Result<ParquetMetaData, ParquetError> {
    let mut group = crate::Group::default();
    batches.iter().for_each(|batch| group.add(batch));
    let mut file = File::default();
    file.add(group.encode(properties)?);
    file.write(out, properties)
}
