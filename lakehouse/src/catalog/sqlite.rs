//! [`Sqlite`]: a catalog in a SQLite file, for the processes of one machine.
//!
//! The file has the two tables that the catalogs of JDBC and PyIceberg's `SqlCatalog` have, so that
//! either opens it. Which metadata file a table's newest is changes only from the one that the
//! change was made of, in one statement: of two commits made of the same one, one fails.
//!
//! SQLite's rollback journal is kept as it is by default, and every change is on the disk when it
//! is acknowledged: a table changes every few seconds at most, and one file is all there is.

use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use iceberg::io::FileIO;
use iceberg::spec::{TableMetadata, TableMetadataBuilder};
use iceberg::table::Table;
use iceberg::{
    Catalog, Error, ErrorKind, MetadataLocation, Namespace, NamespaceIdent, Result, Runtime,
    TableCommit, TableCreation, TableIdent,
};
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

/// How long to wait for another process's change, which takes milliseconds.
const BUSY: Duration = Duration::from_secs(10);

/// Whether metadata files are deleted that a table does not list any more. The library has no word
/// for it, since that is a catalog's to do.
const DELETES_METADATA: &str = "write.metadata.delete-after-commit.enabled";

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS iceberg_tables (
  catalog_name VARCHAR(255) NOT NULL,
  table_namespace VARCHAR(255) NOT NULL,
  table_name VARCHAR(255) NOT NULL,
  metadata_location VARCHAR(1000),
  previous_metadata_location VARCHAR(1000),
  PRIMARY KEY (catalog_name, table_namespace, table_name)
);
CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
  catalog_name VARCHAR(255) NOT NULL,
  namespace VARCHAR(255) NOT NULL,
  property_key VARCHAR(255) NOT NULL,
  property_value VARCHAR(1000) NOT NULL,
  PRIMARY KEY (catalog_name, namespace, property_key)
);";

/// The property that a namespace without any other has, so that there is a row of it.
const EXISTS: (&str, &str) = ("exists", "true");

/// A catalog in a SQLite file.
#[derive(Clone, Debug)]
pub struct Sqlite {
    connection: Arc<Mutex<Connection>>,
    /// Its name: a file may have several catalogs.
    name: String,
    /// The location below which tables are made.
    warehouse: String,
    io: FileIO,
    runtime: Runtime,
}

impl Sqlite {
    /// The catalog of that name in a file, which is made if it is not there. New tables go below
    /// the location `warehouse`; their files are read and written with `io`.
    ///
    /// Blocks while another process makes the same file. Panics outside of a tokio runtime.
    pub fn open(file: &Path, name: &str, warehouse: &str, io: FileIO) -> Result<Sqlite> {
        Sqlite::with(Connection::open(file).map_err(failed)?, name, warehouse, io)
    }

    /// A catalog that is gone with the process.
    #[cfg(test)]
    pub(crate) fn in_memory(name: &str, warehouse: &str, io: FileIO) -> Result<Sqlite> {
        Sqlite::with(Connection::open_in_memory().map_err(failed)?, name, warehouse, io)
    }

    fn with(sql: Connection, name: &str, warehouse: &str, io: FileIO) -> Result<Sqlite> {
        sql.busy_timeout(BUSY).map_err(failed)?;
        sql.execute_batch(TABLES).map_err(failed)?;
        Ok(Sqlite {
            connection: Arc::new(Mutex::new(sql)),
            name: name.to_owned(),
            warehouse: warehouse.trim_end_matches('/').to_owned(),
            io,
            runtime: Runtime::current(),
        })
    }

    /// Runs statements on a thread that may block.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &str) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (connection, name) = (Arc::clone(&self.connection), self.name.clone());
        let work = move || {
            let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            work(&connection, &name)
        };
        let done = tokio::task::spawn_blocking(work).await.map_err(|failure| {
            Error::new(ErrorKind::Unexpected, "a catalog's thread failed").with_source(failure)
        })?;
        done.map_err(failed)
    }

    /// Where a table's newest metadata file is, if there is such a table.
    async fn location(&self, table: &TableIdent) -> Result<Option<String>> {
        let (space, table) = names(table);
        let found = self.run(move |sql, catalog| {
            let query = "SELECT metadata_location FROM iceberg_tables WHERE catalog_name = ?1 \
                         AND table_namespace = ?2 AND table_name = ?3";
            sql.query_row(query, params![catalog, space, table], |row| row.get(0)).optional()
        });
        Ok(found.await?.flatten())
    }

    fn table(&self, ident: TableIdent, metadata: TableMetadata, at: String) -> Result<Table> {
        Table::builder()
            .identifier(ident)
            .metadata(metadata)
            .metadata_location(at)
            .file_io(self.io.clone())
            .runtime(self.runtime.clone())
            .build()
    }

    /// Makes a row of a table; an error if there is one.
    async fn insert(&self, ident: &TableIdent, location: &str) -> Result<()> {
        let ((space, table), location) = (names(ident), location.to_owned());
        let inserted = self.run(move |sql, catalog| {
            sql.execute(
                "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, \
                 metadata_location) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                params![catalog, space, table, location],
            )
        });
        match inserted.await? {
            0 => Err(Error::new(ErrorKind::TableAlreadyExists, format!("{ident} exists already"))),
            _ => Ok(()),
        }
    }

    /// Makes another file a table's newest, if the one that was replaced still is.
    async fn swap(&self, ident: &TableIdent, old: &str, new: &str) -> Result<bool> {
        let ((space, table), old, new) = (names(ident), old.to_owned(), new.to_owned());
        let swapped = self.run(move |sql, catalog| {
            sql.execute(
                "UPDATE iceberg_tables SET metadata_location = ?1, \
                 previous_metadata_location = ?2 WHERE catalog_name = ?3 AND \
                 table_namespace = ?4 AND table_name = ?5 AND metadata_location = ?2",
                params![new, old, catalog, space, table],
            )
        });
        Ok(swapped.await? == 1)
    }

    /// Deletes metadata files that the table no longer lists, where it is said to. One that stays
    /// is in nobody's way.
    async fn clean(&self, before: &TableMetadata, after: &TableMetadata) {
        if after.properties().get(DELETES_METADATA).is_none_or(|value| value != "true") {
            return;
        }
        let kept = |file: &str| after.metadata_log().iter().any(|log| log.metadata_file == file);
        for log in before.metadata_log().iter().filter(|log| !kept(&log.metadata_file)) {
            if let Err(error) = self.io.delete(&log.metadata_file).await {
                tracing::warn!("cannot delete an old metadata file: {error}");
            }
        }
    }

    async fn properties(&self, space: &NamespaceIdent) -> Result<HashMap<String, String>> {
        let name = space.join(".");
        let found = self.run(move |sql, catalog| {
            let mut query = sql.prepare_cached(
                "SELECT property_key, property_value FROM iceberg_namespace_properties \
                 WHERE catalog_name = ?1 AND namespace = ?2",
            )?;
            let rows = query.query_map([catalog, &name], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<_>>()
        });
        found.await
    }
}

/// What a statement's failure means: one that waited for others in vain did nothing.
fn failed(error: rusqlite::Error) -> Error {
    let busy = [Some(ErrorCode::DatabaseBusy), Some(ErrorCode::DatabaseLocked)];
    let busy = busy.contains(&error.sqlite_error_code());
    Error::new(ErrorKind::Unexpected, "the catalog's file cannot be used")
        .with_retryable(busy)
        .with_source(error)
}

/// The names of a table's namespace and of the table.
fn names(ident: &TableIdent) -> (String, String) {
    (ident.namespace().join("."), ident.name().to_owned())
}

fn space_missing(space: &NamespaceIdent) -> Error {
    Error::new(ErrorKind::NamespaceNotFound, format!("there is no namespace {space}"))
}

fn table_missing(ident: &TableIdent) -> Error {
    Error::new(ErrorKind::TableNotFound, format!("there is no table {ident}"))
}

fn unsupported(what: &str) -> Error {
    let why = format!("{what} is not done by this catalog: PyIceberg's SqlCatalog opens its file");
    Error::new(ErrorKind::FeatureUnsupported, why)
}

#[async_trait]
impl Catalog for Sqlite {
    async fn list_namespaces(
        &self,
        parent: Option<&NamespaceIdent>,
    ) -> Result<Vec<NamespaceIdent>> {
        let found = self.run(|sql, catalog| {
            let mut query = sql.prepare_cached(
                "SELECT table_namespace FROM iceberg_tables WHERE catalog_name = ?1 UNION \
                 SELECT namespace FROM iceberg_namespace_properties WHERE catalog_name = ?1",
            )?;
            let rows = query.query_map([catalog], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<Vec<String>>>()
        });
        let above = parent.map(|parent| parent.as_ref().clone()).unwrap_or_default();
        let found = found.await?;
        let spaces = found.iter().map(|name| NamespaceIdent::from_strs(name.split('.')));
        let below =
            |space: &NamespaceIdent| space.len() == above.len() + 1 && space.starts_with(&above);
        spaces.filter(|space| space.as_ref().map_or(true, below)).collect()
    }

    async fn create_namespace(
        &self,
        space: &NamespaceIdent,
        mut properties: HashMap<String, String>,
    ) -> Result<Namespace> {
        if self.namespace_exists(space).await? {
            let why = format!("the namespace {space} exists already");
            return Err(Error::new(ErrorKind::NamespaceAlreadyExists, why));
        }
        properties.entry(EXISTS.0.to_owned()).or_insert_with(|| EXISTS.1.to_owned());
        self.update_namespace(space, properties.clone()).await?;
        Ok(Namespace::with_properties(space.clone(), properties))
    }

    async fn get_namespace(&self, space: &NamespaceIdent) -> Result<Namespace> {
        if !self.namespace_exists(space).await? {
            return Err(space_missing(space));
        }
        Ok(Namespace::with_properties(space.clone(), self.properties(space).await?))
    }

    async fn namespace_exists(&self, space: &NamespaceIdent) -> Result<bool> {
        let tables = self.list_tables(space).await?;
        Ok(!tables.is_empty() || !self.properties(space).await?.is_empty())
    }

    async fn update_namespace(
        &self,
        space: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<()> {
        let name = space.join(".");
        let updated = self.run(move |sql, catalog| {
            let sql = sql.unchecked_transaction()?;
            sql.execute(
                "DELETE FROM iceberg_namespace_properties \
                 WHERE catalog_name = ?1 AND namespace = ?2",
                [catalog, &name],
            )?;
            for (key, value) in properties {
                sql.execute(
                    "INSERT INTO iceberg_namespace_properties VALUES (?1, ?2, ?3, ?4)",
                    [catalog, &name, &key, &value],
                )?;
            }
            sql.commit()
        });
        updated.await
    }

    async fn drop_namespace(&self, space: &NamespaceIdent) -> Result<()> {
        if !self.list_tables(space).await?.is_empty() {
            let why = format!("the namespace {space} has tables");
            return Err(Error::new(ErrorKind::PreconditionFailed, why));
        }
        if !self.namespace_exists(space).await? {
            return Err(space_missing(space));
        }
        self.update_namespace(space, HashMap::new()).await
    }

    async fn list_tables(&self, space: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        let name = space.join(".");
        let found = self.run(move |sql, catalog| {
            let mut query = sql.prepare_cached(
                "SELECT table_name FROM iceberg_tables \
                 WHERE catalog_name = ?1 AND table_namespace = ?2 ORDER BY table_name",
            )?;
            let rows = query.query_map([catalog, &name], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<Vec<String>>>()
        });
        let found = found.await?.into_iter();
        Ok(found.map(|table| TableIdent::new(space.clone(), table)).collect())
    }

    async fn create_table(
        &self,
        space: &NamespaceIdent,
        mut creation: TableCreation,
    ) -> Result<Table> {
        if !self.namespace_exists(space).await? {
            return Err(space_missing(space));
        }
        let ident = TableIdent::new(space.clone(), creation.name.clone());
        let usual = || format!("{}/{}/{}", self.warehouse, space.join("/"), ident.name());
        let location = creation.location.take().unwrap_or_else(usual);
        creation.location = Some(location.clone());
        let metadata = TableMetadataBuilder::from_table_creation(creation)?.build()?.metadata;
        let first = MetadataLocation::new_with_metadata(location, &metadata);
        metadata.write_to(&self.io, &first).await?;
        let inserted = self.insert(&ident, &first.to_string()).await;
        if let Err(error) = &inserted
            && error.kind() == ErrorKind::TableAlreadyExists
            && let Err(error) = self.io.delete(first.to_string()).await
        {
            tracing::warn!("cannot delete the metadata of a table made by another: {error}");
        }
        inserted?;
        self.table(ident, metadata, first.to_string())
    }

    async fn load_table(&self, ident: &TableIdent) -> Result<Table> {
        let at = self.location(ident).await?.ok_or_else(|| table_missing(ident))?;
        let read = TableMetadata::read_from(&self.io, &at).await;
        let metadata = match read {
            Ok(metadata) => metadata,
            // Old metadata is deleted while it is read, where others commit often.
            Err(error) if self.location(ident).await?.as_ref() != Some(&at) => {
                return Err(error.with_retryable(true));
            }
            Err(error) => return Err(error),
        };
        self.table(ident.clone(), metadata, at)
    }

    async fn drop_table(&self, ident: &TableIdent) -> Result<()> {
        let (space, table) = names(ident);
        let dropped = self.run(move |sql, catalog| {
            sql.execute(
                "DELETE FROM iceberg_tables WHERE catalog_name = ?1 AND table_namespace = ?2 \
                 AND table_name = ?3",
                params![catalog, space, table],
            )
        });
        match dropped.await? {
            0 => Err(table_missing(ident)),
            _ => Ok(()),
        }
    }

    async fn purge_table(&self, _: &TableIdent) -> Result<()> {
        Err(unsupported("deleting a table's files"))
    }

    async fn table_exists(&self, ident: &TableIdent) -> Result<bool> {
        Ok(self.location(ident).await?.is_some())
    }

    async fn rename_table(&self, _: &TableIdent, _: &TableIdent) -> Result<()> {
        Err(unsupported("renaming a table"))
    }

    async fn register_table(&self, ident: &TableIdent, location: String) -> Result<Table> {
        let metadata = TableMetadata::read_from(&self.io, &location).await?;
        self.insert(ident, &location).await?;
        self.table(ident.clone(), metadata, location)
    }

    async fn update_table(&self, commit: TableCommit) -> Result<Table> {
        let before = self.load_table(commit.identifier()).await?;
        let old = before.metadata_location_result()?.to_owned();
        let was = before.metadata_ref();
        let after = commit.apply(before)?;
        let new = after.metadata_location_result()?.to_owned();
        after.metadata().write_to(&self.io, &MetadataLocation::from_str(&new)?).await?;
        if !self.swap(after.identifier(), &old, &new).await? {
            // It was refused for certain, so nobody will ever look for this file.
            if let Err(error) = self.io.delete(&new).await {
                tracing::warn!("cannot delete the metadata of a commit that was refused: {error}");
            }
            let why = format!("{} was changed by another meanwhile", after.identifier());
            let conflict = Error::new(ErrorKind::CatalogCommitConflicts, why);
            return Err(conflict.with_retryable(true));
        }
        self.clean(&was, after.metadata()).await;
        Ok(after)
    }
}

#[cfg(test)]
mod tests;
