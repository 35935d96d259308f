//! [`Loader`]: looks tables up in an Iceberg catalog. It makes and changes none, whatever the
//! catalog could.

use std::sync::Arc;

use iceberg::table::Table;
use iceberg::{ErrorKind, NamespaceIdent, TableIdent};
use lakehouse::Catalog;

use crate::fault::Fault;

/// The namespace in which tables are.
const NAMESPACE: &str = "snowmelt";

/// How often a table is looked up that others change: its metadata may be gone as it is read.
const ATTEMPTS: usize = 3;

/// A catalog that is asked for nothing but tables.
#[derive(Clone)]
pub(crate) struct Loader {
    catalog: Arc<dyn Catalog>,
    name: String,
}

impl Loader {
    /// Of a catalog, with what it is called where it fails.
    pub(crate) fn new(catalog: Arc<dyn Catalog>, name: &str) -> Loader {
        Loader { catalog, name: name.to_owned() }
    }

    /// The table of that name as it is now, if it is there.
    pub(crate) async fn table(&self, name: &str) -> Result<Option<Table>, Fault> {
        let space = NamespaceIdent::new(NAMESPACE.to_owned());
        let ident = TableIdent::new(space, name.to_owned());
        let mut attempts = 1;
        loop {
            let error = match self.catalog.load_table(&ident).await {
                Ok(table) => return Ok(Some(table)),
                Err(error) => error,
            };
            match error.kind() {
                ErrorKind::TableNotFound | ErrorKind::NamespaceNotFound => return Ok(None),
                _ if error.retryable() && attempts < ATTEMPTS => attempts += 1,
                _ => {
                    let why = format!("{}: table {ident}: {}", self.name, words(&error));
                    return Err(Fault::failure(why));
                }
            }
        }
    }
}

/// What the library or a catalog says is wrong, and why.
pub(crate) fn words(error: &iceberg::Error) -> String {
    let mut words = error.message().to_owned();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
