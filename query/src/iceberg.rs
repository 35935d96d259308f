//! What an Iceberg table holds: exactly the files of the newest snapshot, with the columns of its
//! schema.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use datafusion::arrow::datatypes::{Field, FieldRef, Schema};
use futures_util::{StreamExt, TryStreamExt};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{DataFileFormat, ManifestContentType, ManifestFile};
use iceberg::table::Table;
use object_store::ObjectMeta;

use crate::fault::Fault;
use crate::files::DataFile;
use crate::loader::words;
use crate::place::Place;
use crate::schema;

/// So many manifests are read at a time: they wait for the network more than they work.
const AT_ONCE: usize = 16;

/// What a snapshot holds.
pub(crate) struct Snapshot {
    /// The table's columns, each with its id.
    pub(crate) columns: Schema,
    /// The files that are live in it.
    pub(crate) files: Vec<DataFile>,
    /// What the schema says of columns.
    pub(crate) descriptions: BTreeMap<String, String>,
}

/// What is known of manifests, by tables and names. They never change: each is read once while a
/// snapshot has it.
#[derive(Default)]
pub(crate) struct Manifests(Mutex<HashMap<String, Known>>);

type Known = HashMap<String, Arc<Vec<DataFile>>>;

impl Manifests {
    /// Reads the newest snapshot of a table.
    pub(crate) async fn snapshot(&self, place: &Place, table: &Table) -> Result<Snapshot, Fault> {
        let broken = |error| broken(table, &error);
        let metadata = table.metadata();
        let columns = schema_to_arrow_schema(metadata.current_schema()).map_err(broken)?;
        let fields = metadata.current_schema().as_struct().fields().iter();
        let described = fields.filter_map(|field| Some((field.name.clone(), field.doc.clone()?)));
        let descriptions = described.collect();
        let mut files = Vec::new();
        if let Some(newest) = metadata.current_snapshot() {
            let list = table.manifest_list_reader(newest).load().await.map_err(broken)?;
            let name = table.identifier().name();
            let known = self.table().get(name).cloned().unwrap_or_default();
            let read = list.entries().iter().map(|manifest| async {
                let found = known.get(&manifest.manifest_path).cloned();
                let found = match found {
                    Some(found) => found,
                    None => Arc::new(live(place, table, manifest).await?),
                };
                Ok::<_, Fault>((manifest.manifest_path.clone(), found))
            });
            let read = futures_util::stream::iter(read).boxed().buffered(AT_ONCE);
            let read: Known = read.try_collect().await?;
            files.extend(read.values().flat_map(|found| found.iter().cloned()));
            self.table().insert(name.to_owned(), read);
        }
        files.sort_by(|a, b| a.meta.location.cmp(&b.meta.location));
        Ok(Snapshot { columns: schema::plain(&columns), files, descriptions })
    }

    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.0.lock().expect("nothing panics with it")
    }
}

fn broken(table: &Table, error: &iceberg::Error) -> Fault {
    Fault::failure(format!("{}: {}", called(table), words(error)))
}

/// Its newest metadata file, or its name.
fn called(table: &Table) -> String {
    let location = table.metadata_location().map(str::to_owned);
    location.unwrap_or_else(|| format!("table {}", table.identifier()))
}

/// The files that a manifest has and no later one has removed.
async fn live(
    place: &Place,
    table: &Table,
    manifest: &ManifestFile,
) -> Result<Vec<DataFile>, Fault> {
    let deletes = manifest.content == ManifestContentType::Deletes;
    let manifest = manifest.load_manifest(table.file_io()).await;
    let manifest = manifest.map_err(|error| broken(table, &error))?;
    let mut live = manifest.entries().iter().filter(|entry| entry.is_alive());
    match deletes && live.next().is_some() {
        true => Err(row_deletes(&called(table))),
        false => live.map(|entry| data_file(place, entry.data_file())).collect(),
    }
}

fn row_deletes(table: &str) -> Fault {
    Fault::failure(format!("{table}: another writer has deleted rows by delete files"))
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
