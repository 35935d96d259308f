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
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use iceberg::io::FileIO;
use iceberg::spec::TableMetadata;
use iceberg::{Error, ErrorKind, NamespaceIdent, Result, TableIdent};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

use super::pointed::{Pointed, Pointer, Pointers};

/// How long to wait for another process's change, which takes milliseconds.
const BUSY: Duration = Duration::from_secs(10);

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

/// The file of a catalog.
#[derive(Clone, Debug)]
pub struct Sqlite {
    connection: Arc<Mutex<Connection>>,
    /// Its name: a file may have several catalogs.
    name: String,
    /// The location below which tables are made.
    warehouse: String,
}

impl Sqlite {
    /// The catalog of that name in a file, which is made if it is not there. New tables go below
    /// the location `warehouse`; their files are read and written with `io`.
    ///
    /// Blocks while another process makes the same file. Panics outside of a tokio runtime.
    pub fn open(file: &Path, name: &str, warehouse: &str, io: FileIO) -> Result<Pointed<Sqlite>> {
        Sqlite::with(Connection::open(file).map_err(failed)?, name, warehouse, io)
    }

    /// The catalog of that name in a file that is there, to be read: SQLite refuses every change.
    /// Panics outside of a tokio runtime.
    pub fn read(file: &Path, name: &str, io: FileIO) -> Result<Pointed<Sqlite>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let sql = Connection::open_with_flags(file, flags).map_err(failed)?;
        Sqlite::of(sql, name, "", io)
    }

    /// A catalog that is gone with the process.
    #[cfg(test)]
    pub(crate) fn in_memory(name: &str, warehouse: &str, io: FileIO) -> Result<Pointed<Sqlite>> {
        Sqlite::with(Connection::open_in_memory().map_err(failed)?, name, warehouse, io)
    }

    fn with(sql: Connection, name: &str, warehouse: &str, io: FileIO) -> Result<Pointed<Sqlite>> {
        sql.busy_timeout(BUSY).map_err(failed)?;
        sql.execute_batch(TABLES).map_err(failed)?;
        Sqlite::of(sql, name, warehouse, io)
    }

    fn of(sql: Connection, name: &str, warehouse: &str, io: FileIO) -> Result<Pointed<Sqlite>> {
        sql.busy_timeout(BUSY).map_err(failed)?;
        let file = Sqlite {
            connection: Arc::new(Mutex::new(sql)),
            name: name.to_owned(),
            warehouse: warehouse.trim_end_matches('/').to_owned(),
        };
        Ok(Pointed::new(file, io))
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

#[async_trait]
impl Pointers for Sqlite {
    async fn namespaces(&self) -> Result<Vec<NamespaceIdent>> {
        let found = self.run(|sql, catalog| {
            let mut query = sql.prepare_cached(
                "SELECT table_namespace FROM iceberg_tables WHERE catalog_name = ?1 UNION \
                 SELECT namespace FROM iceberg_namespace_properties WHERE catalog_name = ?1",
            )?;
            let rows = query.query_map([catalog], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<Vec<String>>>()
        });
        let found = found.await?;
        found.iter().map(|name| NamespaceIdent::from_strs(name.split('.'))).collect()
    }

    async fn namespace(&self, space: &NamespaceIdent) -> Result<Option<HashMap<String, String>>> {
        let properties = self.properties(space).await?;
        let there = !properties.is_empty() || !self.tables(space).await?.is_empty();
        Ok(there.then_some(properties))
    }

    async fn make_namespace(
        &self,
        space: &NamespaceIdent,
        mut properties: HashMap<String, String>,
    ) -> Result<bool> {
        if self.namespace(space).await?.is_some() {
            return Ok(false);
        }
        properties.entry(EXISTS.0.to_owned()).or_insert_with(|| EXISTS.1.to_owned());
        self.set_properties(space, properties).await?;
        Ok(true)
    }

    async fn set_properties(
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

    async fn remove_namespace(&self, space: &NamespaceIdent) -> Result<()> {
        self.set_properties(space, HashMap::new()).await
    }

    async fn tables(&self, space: &NamespaceIdent) -> Result<Vec<TableIdent>> {
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

    /// A file of this name is no other's: that is its version, too.
    async fn look(&self, table: &TableIdent) -> Result<Option<Pointer>> {
        let (space, table) = names(table);
        let found = self.run(move |sql, catalog| {
            let query = "SELECT metadata_location FROM iceberg_tables WHERE catalog_name = ?1 \
                         AND table_namespace = ?2 AND table_name = ?3";
            sql.query_row(query, params![catalog, space, table], |row| row.get(0)).optional()
        });
        let location: Option<String> = found.await?.flatten();
        Ok(location.map(|location| Pointer { version: location.clone(), location }))
    }

    async fn place(&self, table: &TableIdent) -> Result<String> {
        let space = table.namespace().join("/");
        Ok(format!("{}/{space}/{}", self.warehouse, table.name()))
    }

    async fn insert(&self, table: &TableIdent, _: &TableMetadata, at: &str) -> Result<bool> {
        let ((space, table), at) = (names(table), at.to_owned());
        let inserted = self.run(move |sql, catalog| {
            sql.execute(
                "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, \
                 metadata_location) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                params![catalog, space, table, at],
            )
        });
        Ok(inserted.await? == 1)
    }

    async fn exchange(
        &self,
        table: &TableIdent,
        old: &Pointer,
        _: &TableMetadata,
        at: &str,
    ) -> Result<bool> {
        let ((space, table), old, new) = (names(table), old.location.clone(), at.to_owned());
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

    async fn remove(&self, table: &TableIdent) -> Result<bool> {
        let (space, table) = names(table);
        let dropped = self.run(move |sql, catalog| {
            sql.execute(
                "DELETE FROM iceberg_tables WHERE catalog_name = ?1 AND table_namespace = ?2 \
                 AND table_name = ?3",
                params![catalog, space, table],
            )
        });
        Ok(dropped.await? > 0)
    }
}

#[cfg(test)]
mod tests;
