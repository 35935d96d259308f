//! [`Fenced`]: a catalog that shows a table only while its shards are where they are expected.
//!
//! A commit of the library loads the table at the start of each of its attempts, makes the
//! requirement of that very table, that its newest snapshot still be the newest, and has the
//! catalog check it. So a check made on loading and the commit are one: whoever changes a position
//! together with the snapshot in between makes the commit fail, and the next attempt loads and
//! checks anew.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use iceberg::table::Table;
use iceberg::{
    Catalog, Error, ErrorKind, Namespace, NamespaceIdent, Result, TableCommit, TableCreation,
    TableIdent,
};

use crate::mark::{Mark, Shard, told};

/// A catalog whose tables are loaded only while these shards are exactly there.
#[derive(Debug)]
pub(crate) struct Fenced {
    pub(crate) inner: Arc<dyn Catalog>,
    /// Where each shard must be; `None` where the table must not know it.
    pub(crate) expected: BTreeMap<Shard, Option<Mark>>,
}

/// Where a table says that a shard is.
pub(crate) fn position(table: &Table, shard: &Shard) -> Result<Option<Mark>> {
    let property = shard.property();
    let Some(text) = table.metadata().properties().get(&property) else { return Ok(None) };
    text.parse().map(Some).map_err(|error| {
        let why = format!("the table {} has the property {property}: {error}", table.identifier());
        Error::new(ErrorKind::DataInvalid, why)
    })
}

impl Fenced {
    fn check(&self, table: Table) -> Result<Table> {
        for (shard, expected) in &self.expected {
            let found = position(&table, shard)?;
            if found != *expected {
                let (found, expected) = (told(found.as_ref()), told(expected.as_ref()));
                let why = format!("the shard {shard} is at {found}, not at {expected}");
                return Err(Error::new(ErrorKind::PreconditionFailed, why));
            }
        }
        Ok(table)
    }
}

#[async_trait]
impl Catalog for Fenced {
    async fn load_table(&self, table: &TableIdent) -> Result<Table> {
        self.check(self.inner.load_table(table).await?)
    }

    async fn update_table(&self, commit: TableCommit) -> Result<Table> {
        self.inner.update_table(commit).await
    }

    async fn list_namespaces(
        &self,
        parent: Option<&NamespaceIdent>,
    ) -> Result<Vec<NamespaceIdent>> {
        self.inner.list_namespaces(parent).await
    }

    async fn create_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<Namespace> {
        self.inner.create_namespace(namespace, properties).await
    }

    async fn get_namespace(&self, namespace: &NamespaceIdent) -> Result<Namespace> {
        self.inner.get_namespace(namespace).await
    }

    async fn namespace_exists(&self, namespace: &NamespaceIdent) -> Result<bool> {
        self.inner.namespace_exists(namespace).await
    }

    async fn update_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<()> {
        self.inner.update_namespace(namespace, properties).await
    }

    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        self.inner.drop_namespace(namespace).await
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        self.inner.list_tables(namespace).await
    }

    async fn create_table(
        &self,
        namespace: &NamespaceIdent,
        creation: TableCreation,
    ) -> Result<Table> {
        self.inner.create_table(namespace, creation).await
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<()> {
        self.inner.drop_table(table).await
    }

    async fn purge_table(&self, table: &TableIdent) -> Result<()> {
        self.inner.purge_table(table).await
    }

    async fn table_exists(&self, table: &TableIdent) -> Result<bool> {
        self.inner.table_exists(table).await
    }

    async fn rename_table(&self, src: &TableIdent, dest: &TableIdent) -> Result<()> {
        self.inner.rename_table(src, dest).await
    }

    async fn register_table(&self, table: &TableIdent, location: String) -> Result<Table> {
        self.inner.register_table(table, location).await
    }
}
