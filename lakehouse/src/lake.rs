//! [`Lake`]: a table to which every event is appended once.
//!
//! Where each shard is stands in a property of the table, and changes in the same commit that
//! appends what brings it there. A commit is made only if each of its shards is exactly where the
//! appender left it ([`Fenced`]). So whatever is lost, late or repeated, and whoever else still
//! believes to own a shard, a part of a shard is in the table once or not at all.
//!
//! Every commit makes a snapshot, if an empty one: the library asks a catalog to refuse a commit
//! only if the snapshot has changed, so another commit under way would pass a change of the
//! property alone, and overwrite it.
//!
//! What became of a commit whose answer was lost is read from the table, before anything is
//! repeated. Files of a commit that failed are left alone: it may have been made all the same.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use columns::Field;
use iceberg::spec::{DataFile, Transform, UnboundPartitionSpec};
use iceberg::table::Table;
use iceberg::transaction::{ApplyTransactionAction, Transaction};
use iceberg::{Catalog, ErrorKind, NamespaceIdent, TableCreation, TableIdent};

use crate::error::{Error, Result};
use crate::fenced::{Fenced, position};
use crate::mark::{Mark, Shard, told};
use crate::schema;

/// How often a commit is tried whose outcome the table does not tell, before the caller is asked
/// to come again. Conflicts with others are not counted: the library goes on after them.
const ATTEMPTS: u32 = 3;

/// The column that tables are partitioned by, by its days.
const LOADED: &str = "load_tstamp";

/// What tables are made with. A metadata file names every snapshot that is kept and is written
/// anew by every commit: a day of them is what a night's reader needs, and at a commit a minute
/// about a megabyte. The retries' longest wait is short, since a conflict costs another writer's
/// commit, and not a minute.
const PROPERTIES: [(&str, &str); 9] = [
    ("write.metadata.delete-after-commit.enabled", "true"),
    ("write.metadata.previous-versions-max", "20"),
    ("history.expire.max-snapshot-age-ms", "86400000"),
    ("history.expire.min-snapshots-to-keep", "10"),
    ("commit.retry.num-retries", "20"),
    ("commit.retry.min-wait-ms", "50"),
    ("commit.retry.max-wait-ms", "2000"),
    ("commit.retry.total-timeout-ms", "60000"),
    ("write.parquet.compression-codec", "zstd"),
];

/// A table to append to.
#[derive(Clone, Debug)]
pub struct Lake {
    catalog: Arc<dyn Catalog>,
    ident: TableIdent,
}

/// How far a shard is brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Which shard is brought further.
    pub shard: Shard,
    /// Where it must be; `None` if the table must not know it yet.
    pub from: Option<Mark>,
    /// Where it is after that, which is somewhere else.
    pub to: Mark,
}

/// What is appended as one: files, and the shards that all of their rows are of.
#[derive(Clone, Debug)]
pub struct Piece {
    /// How far the shards are brought by what is in the files.
    pub moves: Vec<Move>,
    /// The files. There may be none, where nothing came of the records.
    pub files: Vec<DataFile>,
}

/// What became of a piece.
#[derive(Debug)]
pub enum Settled {
    /// It is in the table, once.
    Committed,
    /// A shard of it is another owner's now, who has it or will read it again. If the piece has
    /// several shards, those that are still ours must be written again without that one.
    Lost(Error),
}

impl Lake {
    /// The table of that name, which is made with these columns if it is not there. Where there is
    /// a `load_tstamp`, a new table is partitioned by its days.
    pub async fn open(
        catalog: Arc<dyn Catalog>,
        namespace: &str,
        name: &str,
        columns: &[Field],
    ) -> Result<Lake> {
        let space = NamespaceIdent::new(namespace.to_owned());
        let lake = Lake { catalog, ident: TableIdent::new(space.clone(), name.to_owned()) };
        let looked = lake.catalog.table_exists(&lake.ident).await;
        if !looked.map_err(|error| lake.failed("looking for", error))? {
            lake.make_namespace(&space).await?;
            let created = lake.catalog.create_table(&space, creation(name, columns)?).await;
            // Others that start at the same time want the same table.
            match created {
                Err(error) if error.kind() != ErrorKind::TableAlreadyExists => {
                    return Err(lake.failed("making", error));
                }
                _ => {}
            }
        }
        Ok(lake)
    }

    async fn make_namespace(&self, space: &NamespaceIdent) -> Result<()> {
        let Err(error) = self.catalog.create_namespace(space, HashMap::new()).await else {
            return Ok(());
        };
        // Others that start at the same time make it, too, and of two some servers say to one that
        // they failed.
        if error.kind() == ErrorKind::NamespaceAlreadyExists
            || self.catalog.namespace_exists(space).await.unwrap_or(false)
        {
            return Ok(());
        }
        Err(self.failed("making the namespace of", error))
    }

    /// The table as it is.
    pub async fn table(&self) -> Result<Table> {
        let loaded = self.catalog.load_table(&self.ident).await;
        loaded.map_err(|error| self.failed("reading", error))
    }

    /// The table of that name, if it is there.
    pub async fn find(
        catalog: Arc<dyn Catalog>,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Lake>> {
        let space = NamespaceIdent::new(namespace.to_owned());
        let lake = Lake { catalog, ident: TableIdent::new(space, name.to_owned()) };
        let found = lake.catalog.table_exists(&lake.ident).await;
        let found = found.map_err(|error| lake.failed("looking for", error))?;
        Ok(found.then_some(lake))
    }

    #[cfg(test)]
    pub(crate) fn parts(&self) -> (&Arc<dyn Catalog>, &TableIdent) {
        (&self.catalog, &self.ident)
    }

    /// Where the table says that a shard is.
    pub async fn position(&self, shard: &Shard) -> Result<Option<Mark>> {
        let table = self.table().await?;
        position(&table, shard).map_err(|error| self.failed("reading", error))
    }

    /// Where the table says that its shards are.
    pub async fn positions(&self) -> Result<BTreeMap<Shard, Mark>> {
        let table = self.table().await?;
        let shards = table.metadata().properties().keys().filter_map(|key| Shard::of_property(key));
        let mark = |shard: Shard| Ok(position(&table, &shard)?.map(|mark| (shard, mark)));
        let marks = shards.filter_map(|shard| mark(shard).transpose());
        marks.collect::<iceberg::Result<_>>().map_err(|error| self.failed("reading", error))
    }

    /// Appends pieces whose shards are where they must be, in one commit, and says of each what
    /// became of it.
    ///
    /// An error says that it is not known, or that nothing was done. The same pieces may be
    /// appended again: what is in the table already is found there.
    pub async fn append(
        &self,
        pieces: &[Piece],
        summary: &BTreeMap<String, String>,
    ) -> Result<Vec<Settled>> {
        for attempt in 1.. {
            let table = self.table().await?;
            let states = pieces.iter().map(|piece| state(&table, piece));
            let states = states.collect::<iceberg::Result<Vec<_>>>();
            let states = states.map_err(|error| self.failed("reading", error))?;
            let due = pieces.iter().zip(&states).filter(|(_, state)| state.is_none());
            let due: Vec<&Piece> = due.map(|(piece, _)| piece).collect();
            let committed = match due.is_empty() {
                true => Ok(()),
                false => self.commit(&table, &due, summary).await,
            };
            match committed {
                Ok(()) => {
                    let states = states.into_iter();
                    return Ok(states.map(|state| state.unwrap_or(Settled::Committed)).collect());
                }
                Err(error) => self.may_repeat("appending to", attempt, error)?,
            }
        }
        unreachable!("attempts are counted")
    }

    /// Which of these columns the table has in another type, by name, and in what it differs.
    pub async fn conflicts(&self, columns: &[Field]) -> Result<BTreeMap<String, String>> {
        let table = self.table().await?;
        let missing = schema::missing(table.metadata().current_schema(), columns);
        let conflicts = missing.conflicts.into_iter().map(|(path, found, asked)| {
            let name = columns.iter().map(|column| &column.name).find(|name| {
                path.strip_prefix(name.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            });
            let name = name.expect("a conflict is of a column that was asked for").clone();
            (name, format!("{path} is {found}, and not {asked}"))
        });
        Ok(conflicts.collect())
    }

    /// Adds columns, members of structs and members of what lists hold that the table does not
    /// have. Others may do the same at the same time, and others may append.
    pub async fn evolve(&self, columns: &[Field]) -> Result<()> {
        for attempt in 1.. {
            let table = self.table().await?;
            let missing = schema::missing(table.metadata().current_schema(), columns);
            if let Some((path, found, asked)) = missing.conflicts.first() {
                let table = &self.ident;
                let why = format!("the column {path} of {table} is {found}, and not {asked}");
                return Err(Error::Unusable(why));
            }
            if missing.additions.is_empty() {
                return Ok(());
            }
            let transaction = Transaction::new(&table);
            let update = transaction.update_schema();
            let update =
                missing.additions.into_iter().fold(update, |all, column| all.add_column(column));
            let committed = match update.apply(transaction) {
                Ok(transaction) => transaction.commit(&*self.catalog).await,
                Err(error) => Err(error),
            };
            match committed {
                Ok(_) => return Ok(()),
                Err(error) => self.may_repeat("adding columns to", attempt, error)?,
            }
        }
        unreachable!("attempts are counted")
    }

    /// Forgets snapshots older than the table's properties say, and deletes their lists of
    /// manifests. Returns how many. What they name is left alone: newer snapshots name it too.
    pub async fn expire(&self, now_ms: i64) -> Result<usize> {
        let table = self.table().await?;
        let metadata = table.metadata();
        let properties = metadata.table_properties().map_err(|e| self.failed("reading", e))?;
        let oldest = now_ms.saturating_sub(properties.max_snapshot_age_ms);
        let old = metadata.snapshots().filter(|snapshot| snapshot.timestamp_ms() < oldest).count();
        let all = metadata.snapshots().count();
        if old == 0 || all <= properties.min_snapshots_to_keep {
            return Ok(0);
        }
        let transaction = Transaction::new(&table);
        let expire = transaction.expire_snapshots().expire_older_than_ms(oldest);
        let committed = match expire.apply(transaction) {
            Ok(transaction) => transaction.commit(&*self.catalog).await,
            Err(error) => Err(error),
        };
        let after = committed.map_err(|error| self.failed("expiring snapshots of", error))?;
        let kept: HashSet<&str> = after.metadata().snapshots().map(|s| s.manifest_list()).collect();
        let lists = metadata.snapshots().map(|snapshot| snapshot.manifest_list());
        let gone: Vec<&str> = lists.filter(|list| !kept.contains(list)).collect();
        for list in &gone {
            if let Err(error) = table.file_io().delete(list).await {
                tracing::warn!("cannot delete the list of an expired snapshot: {error}");
            }
        }
        Ok(gone.len())
    }

    /// One commit: the pieces' files, and where their shards are after that.
    async fn commit(
        &self,
        table: &Table,
        pieces: &[&Piece],
        summary: &BTreeMap<String, String>,
    ) -> iceberg::Result<()> {
        let moves = || pieces.iter().flat_map(|piece| &piece.moves);
        let expected = moves().map(|m| (m.shard.clone(), m.from.clone())).collect();
        let marks = || moves().map(|m| (m.shard.property(), m.to.to_string()));
        let mut snapshot: HashMap<String, String> = marks().collect();
        snapshot.extend(summary.iter().map(|(key, value)| (key.clone(), value.clone())));
        let files = pieces.iter().flat_map(|piece| piece.files.iter().cloned());
        let transaction = Transaction::new(table);
        // The check for files that the table has already reads every manifest of the table, at
        // every commit. The positions make it needless.
        let append = transaction.fast_append().with_check_duplicate(false);
        let append = append.set_snapshot_properties(snapshot).add_data_files(files);
        let transaction = append.apply(transaction)?;
        let properties = transaction.update_table_properties();
        let properties = marks().fold(properties, |all, (key, value)| all.set(key, value));
        let transaction = properties.apply(transaction)?;
        let fenced = Fenced { inner: Arc::clone(&self.catalog), expected };
        transaction.commit(&fenced).await.map(|_| ())
    }

    /// What to do after a commit failed: read what became of it, or leave that to the caller.
    fn may_repeat(&self, doing: &str, attempt: u32, error: iceberg::Error) -> Result<()> {
        let refused = error.kind() == ErrorKind::PreconditionFailed;
        let error = self.failed(doing, error);
        // Where a precondition failed, the table says why.
        if attempt >= ATTEMPTS || (matches!(error, Error::Unusable(_)) && !refused) {
            return Err(error);
        }
        tracing::debug!("{error}: reading what became of it");
        Ok(())
    }

    fn failed(&self, doing: &str, error: iceberg::Error) -> Error {
        Error::from_iceberg(&format!("{doing} the table {}", self.ident), error)
    }
}

fn creation(name: &str, columns: &[Field]) -> Result<TableCreation> {
    let schema = schema::schema(columns)?;
    // Servers of the REST protocol that are written in Java want a number, though it is theirs to
    // give.
    let mut partitions = UnboundPartitionSpec::builder().with_spec_id(0);
    if let Some(loaded) = schema.field_by_name(LOADED) {
        let by_day = partitions.add_partition_field(loaded.id, "load_tstamp_day", Transform::Day);
        partitions = by_day.map_err(|error| Error::from_iceberg("partitioning a table", error))?;
    }
    let properties = PROPERTIES.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Ok(TableCreation::builder()
        .name(name.to_owned())
        .schema(schema)
        .partition_spec(partitions.build())
        .properties(properties)
        .build())
}

/// What became of a piece already; `None` if it is still to be appended.
fn state(table: &Table, piece: &Piece) -> iceberg::Result<Option<Settled>> {
    let (mut waits, mut done, mut elsewhere) = (false, false, None);
    for Move { shard, from, to } in &piece.moves {
        assert!(from.as_ref() != Some(to), "{shard} does not move, and no commit would be told");
        let found = position(table, shard)?;
        match found {
            _ if found == *from => waits = true,
            Some(ref mark) if mark == to => done = true,
            _ => elsewhere = Some(lost(shard, from.as_ref(), found.as_ref())),
        }
    }
    // Shards move together. Where one of them has moved all have, and those that are elsewhere
    // have been taken by others since.
    Ok(match (waits, done, elsewhere) {
        (_, true, _) => Some(Settled::Committed),
        (_, false, Some(lost)) => Some(Settled::Lost(lost)),
        (_, false, None) => None,
    })
}

fn lost(shard: &Shard, expected: Option<&Mark>, found: Option<&Mark>) -> Error {
    Error::Lost { shard: shard.clone(), expected: told(expected), found: told(found) }
}

#[cfg(test)]
mod tests;
