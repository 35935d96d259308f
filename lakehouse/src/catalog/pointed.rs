//! [`Pointed`]: a catalog made of a service that keeps one text for each table, where its newest
//! metadata file is, and exchanges it only if nobody else has.
//!
//! A commit is made here: the newest metadata is read, what it requires is checked against it, the
//! next metadata is written beside it, and the text is exchanged for the one that was read. Of two
//! commits made of the same metadata one is refused, for certain and without a trace.

use std::collections::HashMap;
use std::fmt::Debug;
use std::str::FromStr;

use async_trait::async_trait;
use iceberg::io::FileIO;
use iceberg::spec::{TableMetadata, TableMetadataBuilder};
use iceberg::table::Table;
use iceberg::{
    Catalog, Error, ErrorKind, MetadataLocation, Namespace, NamespaceIdent, Result, Runtime,
    TableCommit, TableCreation, TableIdent,
};

/// Whether metadata files are deleted that a table does not list any more. The library has no word
/// for it, since that is a catalog's to do.
pub(super) const DELETES_METADATA: &str = "write.metadata.delete-after-commit.enabled";

/// Where a service says that a table's newest metadata file is.
#[derive(Clone, Debug)]
pub struct Pointer {
    pub location: String,
    /// What the service calls this state of the table; it has another name for every other state.
    pub version: String,
}

/// A service that keeps a pointer for each table.
#[async_trait]
pub trait Pointers: Debug + Send + Sync + 'static {
    async fn namespaces(&self) -> Result<Vec<NamespaceIdent>>;

    /// The properties of a namespace; `None` if it is not there.
    async fn namespace(&self, space: &NamespaceIdent) -> Result<Option<HashMap<String, String>>>;

    /// Makes a namespace; `false` if it is there.
    async fn make_namespace(
        &self,
        space: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<bool>;

    async fn set_properties(
        &self,
        space: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<()>;

    async fn remove_namespace(&self, space: &NamespaceIdent) -> Result<()>;

    async fn tables(&self, space: &NamespaceIdent) -> Result<Vec<TableIdent>>;

    /// Where the table's newest metadata file is; `None` if there is no such table, or if it has no
    /// metadata yet.
    async fn look(&self, table: &TableIdent) -> Result<Option<Pointer>>;

    /// The location below which a new table's files go.
    async fn place(&self, table: &TableIdent) -> Result<String>;

    /// Gives a table its first metadata file; `false` if it has one.
    async fn insert(&self, table: &TableIdent, first: &TableMetadata, at: &str) -> Result<bool>;

    /// Makes another metadata file the newest, if `old` still says where that is; `false` if it
    /// does not. An error says that it is not known, or that nothing was done.
    async fn exchange(
        &self,
        table: &TableIdent,
        old: &Pointer,
        new: &TableMetadata,
        at: &str,
    ) -> Result<bool>;

    /// Forgets a table; `false` if it is not there.
    async fn remove(&self, table: &TableIdent) -> Result<bool>;

    /// Whether files may be deleted where its tables are.
    fn deletes_files(&self) -> bool {
        true
    }
}

/// A catalog made of such a service.
#[derive(Clone, Debug)]
pub struct Pointed<P> {
    pub(super) pointers: P,
    pub(super) io: FileIO,
    pub(super) runtime: Runtime,
}

impl<P: Pointers> Pointed<P> {
    /// A catalog whose tables' files are read and written with `io`. Panics outside of a tokio
    /// runtime.
    pub(super) fn new(pointers: P, io: FileIO) -> Pointed<P> {
        Pointed { pointers, io, runtime: Runtime::current() }
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

    async fn load(&self, ident: &TableIdent) -> Result<(Table, Pointer)> {
        let found = self.pointers.look(ident).await?;
        let pointer = found.ok_or_else(|| table_missing(ident))?;
        let read = TableMetadata::read_from(&self.io, &pointer.location).await;
        let metadata = match read {
            Ok(metadata) => metadata,
            // Old metadata is deleted while it is read, where others commit often.
            Err(error) => {
                let newest = self.pointers.look(ident).await?;
                let moved = newest.is_none_or(|newest| newest.location != pointer.location);
                return Err(if moved { error.with_retryable(true) } else { error });
            }
        };
        Ok((self.table(ident.clone(), metadata, pointer.location.clone())?, pointer))
    }

    /// Deletes a metadata file that nobody will ever look for, since it was refused for certain.
    async fn discard(&self, location: &str) {
        if self.pointers.deletes_files()
            && let Err(error) = self.io.delete(location).await
        {
            tracing::warn!("cannot delete metadata that was refused: {error}");
        }
    }

    /// Deletes metadata files that the table no longer lists, where it is said to. One that stays
    /// is in nobody's way.
    async fn clean(&self, before: &TableMetadata, after: &TableMetadata) {
        let asked = after.properties().get(DELETES_METADATA).is_some_and(|value| value == "true");
        if !asked || !self.pointers.deletes_files() {
            return;
        }
        let kept = |file: &str| after.metadata_log().iter().any(|log| log.metadata_file == file);
        for log in before.metadata_log().iter().filter(|log| !kept(&log.metadata_file)) {
            if let Err(error) = self.io.delete(&log.metadata_file).await {
                tracing::warn!("cannot delete an old metadata file: {error}");
            }
        }
    }
}

fn space_missing(space: &NamespaceIdent) -> Error {
    Error::new(ErrorKind::NamespaceNotFound, format!("there is no namespace {space}"))
}

pub(super) fn table_missing(ident: &TableIdent) -> Error {
    Error::new(ErrorKind::TableNotFound, format!("there is no table {ident}"))
}

pub(super) fn unsupported(what: &str) -> Error {
    let why = format!("{what} is not done by this program: other engines open the same catalog");
    Error::new(ErrorKind::FeatureUnsupported, why)
}

#[async_trait]
impl<P: Pointers> Catalog for Pointed<P> {
    async fn list_namespaces(
        &self,
        parent: Option<&NamespaceIdent>,
    ) -> Result<Vec<NamespaceIdent>> {
        let above = parent.map(|parent| parent.as_ref().clone()).unwrap_or_default();
        let below =
            |space: &NamespaceIdent| space.len() == above.len() + 1 && space.starts_with(&above);
        Ok(self.pointers.namespaces().await?.into_iter().filter(below).collect())
    }

    async fn create_namespace(
        &self,
        space: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<Namespace> {
        if !self.pointers.make_namespace(space, properties.clone()).await? {
            let why = format!("the namespace {space} exists already");
            return Err(Error::new(ErrorKind::NamespaceAlreadyExists, why));
        }
        Ok(Namespace::with_properties(space.clone(), properties))
    }

    async fn get_namespace(&self, space: &NamespaceIdent) -> Result<Namespace> {
        let found = self.pointers.namespace(space).await?;
        let properties = found.ok_or_else(|| space_missing(space))?;
        Ok(Namespace::with_properties(space.clone(), properties))
    }

    async fn namespace_exists(&self, space: &NamespaceIdent) -> Result<bool> {
        Ok(self.pointers.namespace(space).await?.is_some())
    }

    async fn update_namespace(
        &self,
        space: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<()> {
        self.pointers.set_properties(space, properties).await
    }

    async fn drop_namespace(&self, space: &NamespaceIdent) -> Result<()> {
        if !self.pointers.tables(space).await?.is_empty() {
            let why = format!("the namespace {space} has tables");
            return Err(Error::new(ErrorKind::PreconditionFailed, why));
        }
        if !self.namespace_exists(space).await? {
            return Err(space_missing(space));
        }
        self.pointers.remove_namespace(space).await
    }

    async fn list_tables(&self, space: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        self.pointers.tables(space).await
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
        let location = match creation.location.take() {
            Some(location) => location,
            None => self.pointers.place(&ident).await?,
        };
        creation.location = Some(location.clone());
        let metadata = TableMetadataBuilder::from_table_creation(creation)?.build()?.metadata;
        let first = MetadataLocation::new_with_metadata(location, &metadata);
        metadata.write_to(&self.io, &first).await?;
        let first = first.to_string();
        if !self.pointers.insert(&ident, &metadata, &first).await? {
            self.discard(&first).await;
            return Err(table_exists(&ident));
        }
        self.table(ident, metadata, first)
    }

    async fn load_table(&self, ident: &TableIdent) -> Result<Table> {
        Ok(self.load(ident).await?.0)
    }

    async fn drop_table(&self, ident: &TableIdent) -> Result<()> {
        match self.pointers.remove(ident).await? {
            true => Ok(()),
            false => Err(table_missing(ident)),
        }
    }

    async fn purge_table(&self, _: &TableIdent) -> Result<()> {
        Err(unsupported("deleting a table's files"))
    }

    async fn table_exists(&self, ident: &TableIdent) -> Result<bool> {
        Ok(self.pointers.look(ident).await?.is_some())
    }

    async fn rename_table(&self, _: &TableIdent, _: &TableIdent) -> Result<()> {
        Err(unsupported("renaming a table"))
    }

    async fn register_table(&self, ident: &TableIdent, location: String) -> Result<Table> {
        let metadata = TableMetadata::read_from(&self.io, &location).await?;
        if !self.pointers.insert(ident, &metadata, &location).await? {
            return Err(table_exists(ident));
        }
        self.table(ident.clone(), metadata, location)
    }

    async fn update_table(&self, commit: TableCommit) -> Result<Table> {
        let (before, old) = self.load(commit.identifier()).await?;
        let was = before.metadata_ref();
        let after = commit.apply(before)?;
        let new = after.metadata_location_result()?.to_owned();
        after.metadata().write_to(&self.io, &MetadataLocation::from_str(&new)?).await?;
        if !self.pointers.exchange(after.identifier(), &old, after.metadata(), &new).await? {
            self.discard(&new).await;
            let why = format!("{} was changed by another meanwhile", after.identifier());
            let conflict = Error::new(ErrorKind::CatalogCommitConflicts, why);
            return Err(conflict.with_retryable(true));
        }
        self.clean(&was, after.metadata()).await;
        Ok(after)
    }
}

fn table_exists(ident: &TableIdent) -> Error {
    Error::new(ErrorKind::TableAlreadyExists, format!("{ident} exists already"))
}
