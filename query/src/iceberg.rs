//! The tables of an Iceberg catalog in an SQLite file, as PyIceberg lays it out: exactly the files
//! of the newest snapshot, with the columns of its schema.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, FieldRef, Schema};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::io::FileIO;
use iceberg::spec::{DataFileFormat, ManifestContentType, ManifestList, TableMetadata};
use object_store::ObjectMeta;
use rusqlite::{Connection, OpenFlags};

use crate::fault::Fault;
use crate::files::DataFile;
use crate::place::Place;
use crate::schema;

/// The catalog's file in a folder.
pub(crate) const CATALOG: &str = "catalog.db";

/// The catalog's name, and that of the namespace in which tables are.
const NAME: &str = "snowmelt";

/// How long another process may hold the catalog while it commits.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// What a snapshot holds.
pub(crate) struct Snapshot {
    /// The table's columns, each with its id.
    pub(crate) columns: Schema,
    /// The files that are live in it.
    pub(crate) files: Vec<DataFile>,
    /// What the schema says of columns.
    pub(crate) descriptions: BTreeMap<String, String>,
}

/// Where the metadata of each table is, by the tables' names.
pub(crate) fn tables(catalog: &FilePath) -> Result<BTreeMap<String, String>, Fault> {
    let wrong = |error: rusqlite::Error| {
        Fault::failure(format!("{} is no catalog that can be read: {error}", catalog.display()))
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(catalog, flags).map_err(wrong)?;
    connection.busy_timeout(PATIENCE).map_err(wrong)?;
    let mut found = connection
        .prepare(
            "SELECT table_name, metadata_location FROM iceberg_tables
             WHERE catalog_name = ?1 AND table_namespace = ?1 AND metadata_location IS NOT NULL",
        )
        .map_err(wrong)?;
    let rows = found.query_map([NAME], |row| Ok((row.get(0)?, row.get(1)?))).map_err(wrong)?;
    rows.collect::<Result<_, _>>().map_err(wrong)
}

/// Reads the newest snapshot of a table.
pub(crate) async fn snapshot(place: &Place, metadata: &str) -> Result<Snapshot, Fault> {
    let broken = |error: iceberg::Error| Fault::failure(format!("{metadata}: {error}"));
    let io = FileIO::new_with_fs();
    let table = TableMetadata::read_from(&io, metadata).await.map_err(broken)?;
    let columns = schema_to_arrow_schema(table.current_schema()).map_err(broken)?;
    let fields = table.current_schema().as_struct().fields().iter();
    let described = fields.filter_map(|field| Some((field.name.clone(), field.doc.clone()?)));
    let descriptions = described.collect();
    let mut files = Vec::new();
    if let Some(newest) = table.current_snapshot() {
        let list = io.new_input(newest.manifest_list()).map_err(broken)?;
        let list = list.read().await.map_err(broken)?;
        let list = ManifestList::parse_with_version(&list, table.format_version());
        let list = list.map_err(broken)?;
        for manifest in list.entries() {
            let deletes = manifest.content == ManifestContentType::Deletes;
            let manifest = manifest.load_manifest(&io).await.map_err(broken)?;
            let live = manifest.entries().iter().filter(|entry| entry.is_alive());
            for entry in live {
                if deletes {
                    return Err(row_deletes(metadata));
                }
                files.push(data_file(place, entry.data_file())?);
            }
        }
    }
    files.sort_by(|a, b| a.meta.location.cmp(&b.meta.location));
    Ok(Snapshot { columns: schema::plain(&columns), files, descriptions })
}

fn row_deletes(metadata: &str) -> Fault {
    Fault::failure(format!("{metadata}: another writer has deleted rows by delete files"))
        .hint("compact the table with the engine that wrote them, and ask again")
}

fn data_file(place: &Place, file: &iceberg::spec::DataFile) -> Result<DataFile, Fault> {
    let path = file.file_path();
    if file.file_format() != DataFileFormat::Parquet {
        let format = file.file_format();
        return Err(Fault::failure(format!("{path} is {format}; only Parquet is read")));
    }
    // A data file never changes, so that its name and size are all there is to know.
    let meta = ObjectMeta {
        location: place.inside(path)?,
        last_modified: std::time::SystemTime::UNIX_EPOCH.into(),
        size: file.file_size_in_bytes(),
        e_tag: None,
        version: None,
    };
    Ok(DataFile { meta, folders: BTreeMap::new() })
}

/// The key under which a Parquet file keeps a column's id.
const ID: &str = "PARQUET:field_id";

/// Columns by the table's schema, with the types that the files have. Columns are found in files by
/// their names, so a name must mean one column in all of them.
pub(crate) fn columns(table: &Schema, files: &Schema) -> Result<Schema, Fault> {
    let id = |field: &Field| field.metadata().get(ID).cloned();
    for field in files.fields() {
        let same = table.fields().iter().find(|known| id(known) == id(field));
        let name = field.name();
        let differs = same.filter(|known| id(known).is_some() && known.name() != name);
        if let Some(known) = differs {
            let known = known.name();
            return Err(Fault::failure(format!(
                "column {known} is called {name} in some files: another writer has renamed it"
            ))
            .hint("rewrite those files with the engine that renamed it"));
        }
    }
    let both = |field: &FieldRef| -> Result<FieldRef, Fault> {
        let nullable = Arc::new(field.as_ref().clone().with_nullable(true));
        let Ok(of_files) = files.field_with_name(field.name()) else { return Ok(nullable) };
        let united = schema::unite(
            &Schema::new(vec![of_files.clone().with_nullable(true)]),
            &Schema::new(vec![nullable]),
        );
        let united = united.map_err(|error| Fault::failure(error.to_string()))?;
        Ok(Arc::clone(&united.fields()[0]))
    };
    let fields = table.fields().iter().map(both).collect::<Result<Vec<_>, _>>()?;
    Ok(Schema::new(fields))
}
