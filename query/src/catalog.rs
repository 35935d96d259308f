//! The tables `events`, `failed` and `bad` of a place, as they stand when a query begins.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::datasource::physical_plan::parquet::transform_schema_to_view;
use tokio::sync::Mutex;

use crate::dictionary::{self, Dictionary};
use crate::fault::Fault;
use crate::files::{self, DataFile, Footers};
use crate::iceberg::{self, Manifests};
use crate::loader::Loader;
use crate::place::{CATALOG, Place};
use crate::schema::{self, TABLES};
use crate::table::Table;

/// Finds the tables of a place.
pub(crate) struct Catalog {
    place: Place,
    footers: Footers,
    manifests: Manifests,
    /// The tables as they were found last, with the files that they were made of.
    last: Mutex<BTreeMap<String, Seen>>,
}

struct Seen {
    files: Vec<DataFile>,
    columns: SchemaRef,
    table: Arc<Table>,
}

/// All tables at one moment.
pub(crate) struct Tables {
    /// Each by its name.
    pub(crate) tables: BTreeMap<String, Arc<Table>>,
    /// What is known of their columns, by table and column.
    pub(crate) descriptions: BTreeMap<(String, String), String>,
    /// Whether there is anything to ask.
    some: bool,
}

/// Files of a table, and what a catalog says of its columns, where there is one.
struct Found {
    name: &'static str,
    files: Vec<DataFile>,
    declared: Option<Schema>,
}

impl Catalog {
    /// Of a place.
    pub(crate) fn new(place: Place, footers: Footers) -> Catalog {
        Catalog { place, footers, manifests: Manifests::default(), last: Mutex::default() }
    }

    /// The tables as they are now, all three: one of which nothing was written yet is empty. What
    /// did not change is not read again.
    pub(crate) async fn tables(&self) -> Result<Tables, Fault> {
        let mut descriptions = described();
        let catalog = self.place.iceberg()?;
        let found = match &catalog {
            Some(catalog) => self.of_catalog(catalog, &mut descriptions).await?,
            None => self.of_folders().await?,
        };
        self.footers.keep(found.iter().flat_map(|found| &found.files));
        // A folder's catalog is no wrong place, whatever it has.
        let some = (catalog.is_some() && !self.place.is_remote())
            || found.iter().any(|found| found.declared.is_some() || !found.files.is_empty());
        let mut last = self.last.lock().await;
        let mut tables = BTreeMap::new();
        for found in found {
            let name = found.name;
            let table = self.table(found, last.get(name)).await?;
            tables.insert(name.to_owned(), Arc::clone(&table.table));
            last.insert(name.to_owned(), table);
        }
        Ok(Tables { tables, descriptions, some })
    }

    /// What the dictionary beside them says of their columns.
    pub(crate) async fn dictionary(&self) -> Dictionary {
        dictionary::read(&self.place).await
    }

    /// Whether there is anything to ask; a place that holds nothing may be the wrong one.
    pub(crate) async fn check(&self) -> Result<(), Fault> {
        match self.tables().await?.some {
            true => Ok(()),
            false => Err(self.nothing()),
        }
    }

    async fn of_folders(&self) -> Result<Vec<Found>, Fault> {
        let mut found = Vec::new();
        for name in TABLES {
            let folder = self.place.root.clone().join(name);
            let files = files::list(&self.place, &folder).await?;
            found.push(Found { name, files, declared: None });
        }
        Ok(found)
    }

    async fn of_catalog(
        &self,
        catalog: &Loader,
        descriptions: &mut BTreeMap<(String, String), String>,
    ) -> Result<Vec<Found>, Fault> {
        let snapshots = TABLES.map(|name| async move {
            match catalog.table(name).await? {
                Some(table) => self.manifests.snapshot(&self.place, &table).await.map(Some),
                None => Ok(None),
            }
        });
        let snapshots = futures_util::future::try_join_all(snapshots).await?;
        let mut found = Vec::new();
        for (name, snapshot) in TABLES.into_iter().zip(snapshots) {
            let Some(snapshot) = snapshot else {
                found.push(Found { name, files: Vec::new(), declared: None });
                continue;
            };
            let described = snapshot.descriptions.into_iter();
            descriptions.extend(described.map(|(column, text)| ((name.to_owned(), column), text)));
            found.push(Found { name, files: snapshot.files, declared: Some(snapshot.columns) });
        }
        Ok(found)
    }

    /// A table of its files; the one that was seen last if nothing differs.
    async fn table(&self, found: Found, seen: Option<&Seen>) -> Result<Seen, Fault> {
        let Found { name, files, declared } = found;
        let schemas = self.footers.schemas(&self.place, &files).await?;
        let columns = union(&self.place, name, &files, &schemas)?;
        let columns = match &declared {
            Some(declared) => iceberg::columns(declared, &columns)?,
            None if files.is_empty() => warehouse::arrow::schema(&fields(name)).as_ref().clone(),
            None => columns,
        };
        // Texts as views into what was read: most of a query's work is with texts.
        let columns = Arc::new(transform_schema_to_view(&columns));
        let same = seen.filter(|seen| {
            let metas =
                |files: &[DataFile]| files.iter().map(|file| file.meta.clone()).collect::<Vec<_>>();
            seen.columns == columns && metas(&seen.files) == metas(&files)
        });
        let table = match same {
            Some(seen) => Arc::clone(&seen.table),
            None => {
                let statistics = self.footers.statistics(&self.place, &files, &columns).await?;
                let (url, columns) = (self.place.url.clone(), Arc::clone(&columns));
                Arc::new(Table::new(url, columns, files.clone(), statistics))
            }
        };
        Ok(Seen { files, columns, table })
    }

    fn nothing(&self) -> Fault {
        let place = &self.place;
        let (why, hint) = match place.is_remote() {
            true => (
                format!("{place} has none of the tables {} in snowmelt", TABLES.join(", ")),
                format!("`snowmelt enrich --format iceberg --catalog {place}` makes them"),
            ),
            false => (
                format!("{place} holds nothing to ask yet"),
                format!(
                    "expected Parquet files in {place}/events/, {place}/failed/ or {place}/bad/, \
                     or the Iceberg catalog {place}/{CATALOG}, as `snowmelt enrich --format \
                     parquet` and `--format iceberg` write them"
                ),
            ),
        };
        Fault::mistake(why).hint(hint)
    }
}

/// The columns that a table has whatever was written to it.
fn fields(name: &str) -> Vec<columns::Field> {
    match name {
        "bad" => warehouse::bad::fields(),
        _ => warehouse::atomic::fields(),
    }
}

/// What is known of them.
fn described() -> BTreeMap<(String, String), String> {
    let of = |name: &'static str| {
        let described = fields(name).into_iter();
        described.filter_map(move |field| Some(((name.to_owned(), field.name), field.description?)))
    };
    TABLES.into_iter().flat_map(of).collect()
}

/// The columns of all files of a table.
fn union(
    place: &Place,
    name: &str,
    files: &[DataFile],
    schemas: &[Arc<Schema>],
) -> Result<Schema, Fault> {
    let mut all: Option<Arc<Schema>> = None;
    for (file, schema) in files.iter().zip(schemas) {
        all = Some(match all {
            None => Arc::clone(schema),
            Some(all) if all == *schema => all,
            Some(all) => Arc::new(schema::unite(&all, schema).map_err(|error| {
                let location = place.location(&file.meta.location);
                Fault::failure(format!("table {name}: {error} ({location})"))
            })?),
        });
    }
    Ok(all.map_or_else(Schema::empty, |all| all.as_ref().clone()))
}
