//! A table over a fixed list of files, as the engine asks for one.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, ScalarValue, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

use crate::files::DataFile;

/// A table.
#[derive(Debug)]
pub(crate) struct Table {
    /// Columns of the files, and after them those of folders.
    columns: TableSchema,
    files: Vec<PartitionedFile>,
    url: ObjectStoreUrl,
}

impl Table {
    /// Of files that have all or some of these columns.
    pub(crate) fn new(
        url: ObjectStoreUrl,
        columns: SchemaRef,
        files: Vec<DataFile>,
        statistics: Vec<Arc<Statistics>>,
    ) -> Table {
        let folders = folder_columns(&columns, &files);
        let values = |file: &DataFile| -> Vec<ScalarValue> {
            folders.iter().map(|field| value(field, file)).collect()
        };
        let files = files.iter().zip(statistics).map(|(file, statistics)| {
            PartitionedFile::new_from_meta(file.meta.clone())
                .with_partition_values(values(file))
                .with_statistics(statistics)
        });
        let files = files.collect();
        let columns = TableSchema::new(columns, folders);
        Table { columns, files, url }
    }

    /// How many files it has.
    pub(crate) fn files(&self) -> usize {
        self.files.len()
    }

    /// How many bytes they have.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.object_meta.size).sum()
    }

    /// How many rows they have, by their footers.
    pub(crate) fn rows(&self) -> usize {
        let rows = self.files.iter().filter_map(|file| file.statistics.as_ref());
        rows.filter_map(|statistics| statistics.num_rows.get_value()).sum()
    }
}

/// Columns that folders add to those of files. A file that has the column itself knows better.
fn folder_columns(columns: &Schema, files: &[DataFile]) -> Vec<FieldRef> {
    let mut keys: Vec<&String> = files.iter().flat_map(|file| file.folders.keys()).collect();
    keys.sort();
    keys.dedup();
    let keys = keys.into_iter().filter(|key| columns.field_with_name(key).is_err());
    keys.map(|key| {
        let values = || files.iter().filter_map(|file| file.folders.get(key)?.as_deref());
        let are_dates = values().next().is_some()
            && values().all(|value| {
                ScalarValue::try_from_string(value.to_owned(), &DataType::Date32).is_ok()
                    && value.len() == 10
            });
        let ty = if are_dates { DataType::Date32 } else { DataType::Utf8 };
        Arc::new(Field::new(key, ty, true))
    })
    .collect()
}

fn value(field: &Field, file: &DataFile) -> ScalarValue {
    let text = file.folders.get(field.name()).cloned().flatten();
    let of_type = |text| ScalarValue::try_from_string(text, field.data_type()).ok();
    text.and_then(of_type).unwrap_or_else(|| {
        ScalarValue::try_from(field.data_type()).expect("dates and texts can be null")
    })
}

#[async_trait]
impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.columns.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Files and row groups are left out by their statistics, which leaves rows to be looked at.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.files.is_empty() {
            let columns = datafusion::physical_plan::project_schema(&self.schema(), projection)?;
            return Ok(Arc::new(EmptyExec::new(columns)));
        }
        let groups = FileGroup::new(self.files.clone())
            .split_files(state.config_options().execution.target_partitions);
        let of_files = self.files.iter().filter_map(|file| file.statistics.as_deref());
        let statistics = Statistics::try_merge_iter(of_files, &self.schema())?;
        let source = Arc::new(ParquetSource::new(self.columns.clone()));
        // A row that is left out by a filter does not count towards the limit.
        let limit = limit.filter(|_| filters.is_empty());
        let scan = FileScanConfigBuilder::new(self.url.clone(), source)
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        let options = state.default_table_options().parquet;
        ParquetFormat::new().with_options(options).create_physical_plan(state, scan).await
    }
}
