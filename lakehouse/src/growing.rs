//! [`Growing`]: a data file while rows are added to it.
//!
//! It grows in memory, compressed, and is written in one piece, under a name that no other file
//! has; the caller says when it is large enough. No table knows of it until it is appended.

use arrow_schema::Schema;
use bytes::Bytes;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{DataFile, Datum, Transform};
use iceberg::table::Table;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::WriterPropertiesPtr;
use warehouse::{Batch, Group, file};

use crate::data_file::{Written, describe};
use crate::error::{Error, Result};
use crate::fit;

/// A data file while rows are added to it.
pub struct Growing {
    table: Table,
    columns: Schema,
    properties: WriterPropertiesPtr,
    day: Option<i32>,
    name: String,
    group: Group,
    file: file::File,
    rows: usize,
}

impl Growing {
    /// A file for rows of that table, encoded as `properties` say. Its name begins with `name`. All
    /// rows are loaded on `day`, in days since 1970, where the table is partitioned by that.
    pub fn begin(
        table: &Table,
        properties: WriterPropertiesPtr,
        day: i32,
        name: &str,
    ) -> Result<Growing> {
        let columns = schema_to_arrow_schema(table.metadata().current_schema());
        let columns = columns.map_err(|e| Error::from_iceberg("reading the table's columns", e))?;
        let spec = table.metadata().default_partition_spec();
        let partitioned = !spec.is_unpartitioned();
        if partitioned && !matches!(spec.fields(), [only] if only.transform == Transform::Day) {
            let table = table.identifier();
            let why = format!("{table} is partitioned in another way than by day: set that back");
            return Err(Error::Unusable(why));
        }
        Ok(Growing {
            table: table.clone(),
            columns,
            properties,
            day: partitioned.then_some(day),
            name: name.to_owned(),
            group: Group::default(),
            file: file::File::default(),
            rows: 0,
        })
    }

    /// The day that its rows are loaded on; `None` where that makes no difference.
    pub fn day(&self) -> Option<i32> {
        self.day
    }

    /// Whether the table has all of those columns and all of their members, of any type.
    pub fn knows(&self, columns: &Schema) -> bool {
        fit::has_all(self.columns.fields(), columns.fields())
    }

    /// Adds rows, of columns that the table [has](Growing::knows). Now and then that encodes those
    /// that were added before: it is work for a thread that computes.
    pub fn add(&mut self, rows: &Batch) -> Result<()> {
        let rows = fit::batch(rows, &self.columns)?;
        self.group.add(&rows);
        self.rows += rows.rows();
        if self.group.is_full() { self.encode() } else { Ok(()) }
    }

    /// How many rows were added.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How large the file is so far, in bytes, without the rows that wait to be encoded.
    pub fn bytes(&self) -> usize {
        self.file.bytes()
    }

    /// Writes the file, and describes it to its table.
    pub async fn finish(self) -> Result<DataFile> {
        self.complete()?.write().await
    }

    /// Encodes what is not yet: it is work for a thread that computes.
    pub fn complete(mut self) -> Result<Complete> {
        if self.group.rows() > 0 {
            self.encode()?;
        }
        // A footer tells of every column of every row group.
        let mut bytes = Vec::with_capacity(self.file.bytes() + self.file.bytes() / 16);
        let written = self.file.write(&mut bytes, &self.properties);
        let footer = written.map_err(|error| unwritten(&error))?;
        let Growing { table, day, name, .. } = self;
        Ok(Complete { table, day, name, footer, bytes: bytes.into() })
    }

    fn encode(&mut self) -> Result<()> {
        let group = std::mem::take(&mut self.group).encode(&self.properties);
        self.file.add(group.map_err(|error| unwritten(&error))?);
        Ok(())
    }
}

/// A data file that is complete, and is not written yet.
#[derive(Clone)]
pub struct Complete {
    table: Table,
    day: Option<i32>,
    name: String,
    footer: ParquetMetaData,
    bytes: Bytes,
}

impl Complete {
    /// The table that it is of, as it was when the file was begun.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// How many rows it has.
    pub fn rows(&self) -> i64 {
        self.footer.file_metadata().num_rows()
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Writes it under a name that no other file has, and describes it to its table. After a
    /// failure it may be written again; what there is of it under the name before is nobody's.
    pub async fn write(&self) -> Result<DataFile> {
        let metadata = self.table.metadata();
        let folder = match self.day {
            Some(day) => format!("load_tstamp_day={}/", Datum::date(day)),
            None => String::new(),
        };
        let (name, number) = (&self.name, fastrand::u128(..));
        let location = format!("{}/data/{folder}{name}-{number:032x}.parquet", metadata.location());
        let file = Written {
            location: location.clone(),
            bytes: self.bytes.len() as u64,
            footer: &self.footer,
            day: self.day,
        };
        let spec = metadata.default_partition_spec_id();
        let described = describe(file, metadata.current_schema(), spec)?;
        let output = self.table.file_io().new_output(&location);
        let output = output.map_err(|error| Error::from_iceberg("writing a data file", error))?;
        let written = output.write(self.bytes.clone()).await;
        written.map_err(|error| Error::from_iceberg("writing a data file", error))?;
        Ok(described)
    }
}

fn unwritten(error: &parquet::errors::ParquetError) -> Error {
    Error::Unusable(format!("rows that cannot be written as Parquet: {error}"))
}
