use std::collections::HashMap;

use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};
use iceberg::table::Table;
use iceberg::transaction::{ApplyTransactionAction, Transaction};
use iceberg::{Catalog, TableCreation};

use super::super::pointed::DELETES_METADATA;
use super::*;
use crate::files::{Folder, file_io};

fn space() -> NamespaceIdent {
    NamespaceIdent::new("snowmelt".to_owned())
}

fn creation() -> TableCreation {
    let id = NestedField::optional(1, "id", Type::Primitive(PrimitiveType::Long));
    let schema = Schema::builder().with_fields([id.into()]).build().expect("there");
    let properties = [(DELETES_METADATA, "true"), ("write.metadata.previous-versions-max", "2")];
    let properties = properties.map(|(key, value)| (key.to_owned(), value.to_owned()));
    TableCreation::builder().name("events".to_owned()).schema(schema).properties(properties).build()
}

fn open(folder: &Path) -> Pointed<Sqlite> {
    let io = file_io(Arc::new(Folder));
    Sqlite::open(&folder.join("catalog.db"), "snowmelt", &Folder::location(folder), io)
        .expect("there")
}

/// Appends nothing, which makes a snapshot all the same.
async fn append(table: &Table, catalog: &Pointed<Sqlite>) -> Result<Table> {
    let transaction = Transaction::new(table);
    let summary = HashMap::from([("by".to_owned(), "a test".to_owned())]);
    let append = transaction.fast_append().set_snapshot_properties(summary);
    append.apply(transaction)?.commit(catalog).await
}

#[tokio::test]
async fn a_table_is_there_for_whoever_opens_the_file() {
    let folder = tempfile::tempdir().expect("there");
    let catalog = open(folder.path());
    let missing = catalog.create_table(&space(), creation()).await.expect_err("refused");
    assert_eq!(missing.kind(), ErrorKind::NamespaceNotFound);
    catalog.create_namespace(&space(), HashMap::new()).await.expect("done");
    let again = catalog.create_namespace(&space(), HashMap::new()).await.expect_err("refused");
    assert_eq!(again.kind(), ErrorKind::NamespaceAlreadyExists);
    let table = catalog.create_table(&space(), creation()).await.expect("done");
    let again = catalog.create_table(&space(), creation()).await.expect_err("refused");
    assert_eq!(again.kind(), ErrorKind::TableAlreadyExists);
    let table = append(&table, &catalog).await.expect("done");

    let other = open(folder.path());
    assert_eq!(other.list_namespaces(None).await.expect("done"), [space()]);
    assert_eq!(other.list_tables(&space()).await.expect("done"), [table.identifier().clone()]);
    let loaded = other.load_table(table.identifier()).await.expect("done");
    assert_eq!(loaded.metadata(), table.metadata());
    assert_eq!(loaded.metadata_location(), table.metadata_location());
    assert!(!other.table_exists(&TableIdent::new(space(), "bad".to_owned())).await.expect("done"));
    let not_empty = other.drop_namespace(&space()).await.expect_err("refused");
    assert_eq!(not_empty.kind(), ErrorKind::PreconditionFailed);
    other.drop_table(table.identifier()).await.expect("done");
    let gone = catalog.load_table(table.identifier()).await.expect_err("refused");
    assert_eq!(gone.kind(), ErrorKind::TableNotFound);
    catalog.drop_namespace(&space()).await.expect("done");
    assert!(!other.namespace_exists(&space()).await.expect("done"));
}

#[tokio::test]
async fn a_file_that_is_read_is_neither_made_nor_changed() {
    let folder = tempfile::tempdir().expect("there");
    let file = folder.path().join("catalog.db");
    let read = || Sqlite::read(&file, "snowmelt", file_io(Arc::new(Folder)));
    read().expect_err("there is none");
    assert!(!file.exists());
    let written = open(folder.path());
    written.create_namespace(&space(), HashMap::new()).await.expect("done");
    let reader = read().expect("it is there");
    let table = written.create_table(&space(), creation()).await.expect("done");
    let loaded = reader.load_table(table.identifier()).await.expect("done");
    assert_eq!(loaded.metadata(), table.metadata());
    append(&loaded, &reader).await.expect_err("it is only read");
    let other = NamespaceIdent::new("other".to_owned());
    reader.create_namespace(&other, HashMap::new()).await.expect_err("it is only read");
    assert_eq!(written.list_namespaces(None).await.expect("done"), [space()]);
    let newest = written.load_table(table.identifier()).await.expect("done");
    assert_eq!(newest.metadata_location(), table.metadata_location());
}

/// The columns and the rows are those that PyIceberg's catalog makes and looks for.
#[tokio::test]
async fn the_file_is_laid_out_as_others_expect() {
    let folder = tempfile::tempdir().expect("there");
    let catalog = open(folder.path());
    catalog.create_namespace(&space(), HashMap::new()).await.expect("done");
    let first = catalog.create_table(&space(), creation()).await.expect("done");
    let second = append(&first, &catalog).await.expect("done");
    let sql = Connection::open(folder.path().join("catalog.db")).expect("there");
    let row: [String; 5] = sql
        .query_row(
            "SELECT catalog_name, table_namespace, table_name, metadata_location, \
             previous_metadata_location FROM iceberg_tables",
            [],
            |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?]),
        )
        .expect("there");
    let (new, old) =
        (second.metadata_location().expect("there"), first.metadata_location().expect("there"));
    assert_eq!(row, ["snowmelt", "snowmelt", "events", new, old]);
    let place = format!("{}/snowmelt/events/metadata/00001-", Folder::location(folder.path()));
    assert!(new.starts_with(&place), "{new}");
    let exists: String = sql
        .query_row(
            "SELECT property_value FROM iceberg_namespace_properties WHERE catalog_name = \
             'snowmelt' AND namespace = 'snowmelt' AND property_key = 'exists'",
            [],
            |row| row.get(0),
        )
        .expect("there");
    assert_eq!(exists, "true");
}

#[tokio::test]
async fn of_two_changes_of_one_file_one_is_refused() {
    let folder = tempfile::tempdir().expect("there");
    let (one, two) = (open(folder.path()), open(folder.path()));
    one.create_namespace(&space(), HashMap::new()).await.expect("done");
    let table = one.create_table(&space(), creation()).await.expect("done");
    let ident = table.identifier();
    let old = one.pointers.look(ident).await.expect("done").expect("there");
    let metadata = table.metadata();
    let swapped = [
        one.pointers.exchange(ident, &old, metadata, "file:///a").await.expect("done"),
        two.pointers.exchange(ident, &old, metadata, "file:///b").await.expect("done"),
    ];
    assert_eq!(swapped, [true, false]);
    let found = one.pointers.look(ident).await.expect("done").expect("there");
    assert_eq!(found.location, "file:///a");
}

#[tokio::test]
async fn writers_at_the_same_time_lose_no_commit() {
    let folder = tempfile::tempdir().expect("there");
    let catalog = open(folder.path());
    catalog.create_namespace(&space(), HashMap::new()).await.expect("done");
    let table = catalog.create_table(&space(), creation()).await.expect("done");
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (catalog, table) = (open(folder.path()), table.clone());
        writers.spawn(async move {
            for _ in 0..4 {
                while let Err(error) = append(&table, &catalog).await {
                    assert!(error.retryable(), "{error}");
                }
            }
        });
    }
    writers.join_all().await;
    let table = catalog.load_table(table.identifier()).await.expect("done");
    assert_eq!(table.metadata().snapshots().count(), 12);
    // Of the metadata files, the newest and the two before it are left, and none of a commit that
    // was refused.
    let files = std::fs::read_dir(folder.path().join("snowmelt/events/metadata")).expect("there");
    let files = files.map(|file| file.expect("there").file_name().into_string().expect("there"));
    assert_eq!(files.filter(|name| name.ends_with(".metadata.json")).count(), 3);
}
