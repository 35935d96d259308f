//! Mistakes to plant: each breaks one rule, from outside the shipped code, and each must show in
//! the table.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use iceberg::Catalog;
use iceberg::spec::DataFile;
use iceberg::transaction::{ApplyTransactionAction, Transaction};

use crate::error::{Error, Result};
use crate::fenced::position;
use crate::lake::{Move, Piece, Settled};
use crate::mark::{Mark, Shard};
use crate::testing::ident;

/// A planted mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    /// A new owner changes the position's property alone, and makes no snapshot.
    FenceOfPropertyAlone,
    /// A shard may be further than where its owner left it.
    AtLeastInsteadOfEqual,
    /// After a lost answer the commit is repeated, whatever became of it.
    BlindRepeat,
    /// The position is checked before the first attempt of a commit, and not before the next.
    CheckedOnce,
    /// A new owner begins at the lease's checkpoint.
    BeginsAtCheckpoint,
    /// The position is told in a commit after the one that appends.
    PositionAfterwards,
    /// Files of a commit whose answer was lost are deleted, and written anew.
    DeletesAfterSilence,
}

pub(super) const ALL: [Bug; 7] = [
    Bug::FenceOfPropertyAlone,
    Bug::AtLeastInsteadOfEqual,
    Bug::BlindRepeat,
    Bug::CheckedOnce,
    Bug::BeginsAtCheckpoint,
    Bug::PositionAfterwards,
    Bug::DeletesAfterSilence,
];

impl Bug {
    /// Fences as the mistake has it; `None` if it is about something else.
    pub(super) async fn fence(
        self,
        catalog: &Arc<dyn Catalog>,
        shard: &Shard,
        epoch: u64,
    ) -> Option<Result<Mark>> {
        if self != Bug::FenceOfPropertyAlone {
            return None;
        }
        let fence = async {
            let table = catalog.load_table(&ident()).await?;
            let mark = position(&table, shard)?.unwrap_or_default().in_epoch(epoch);
            let transaction = Transaction::new(&table);
            let properties = transaction.update_table_properties();
            let properties = properties.set(shard.property(), mark.to_string());
            properties.apply(transaction)?.commit(&**catalog).await?;
            Ok(mark)
        };
        Some(fence.await.map_err(|error| Error::from_iceberg("fencing", error)))
    }

    /// Appends as the mistake has it; `None` if it is about something else.
    pub(super) async fn append(
        self,
        catalog: &Arc<dyn Catalog>,
        pieces: &[Piece],
    ) -> Option<Result<Vec<Settled>>> {
        let appended = match self {
            Bug::AtLeastInsteadOfEqual => checked(catalog, pieces, 1, is_at_least).await,
            Bug::CheckedOnce => checked(catalog, pieces, 1, is_equal).await,
            Bug::BlindRepeat => checked(catalog, pieces, 4, is_equal).await,
            Bug::PositionAfterwards => afterwards(catalog, pieces).await,
            _ => return None,
        };
        Some(appended.map_err(|error| Error::from_iceberg("appending", error)))
    }
}

fn is_equal(found: Option<&Mark>, wanted: &Move) -> bool {
    found == wanted.from.as_ref()
}

fn is_at_least(found: Option<&Mark>, wanted: &Move) -> bool {
    let number = |mark: Option<&Mark>| {
        let place = mark.map(|mark| mark.place.split('/').next().unwrap_or_default().parse());
        place.and_then(|place: std::result::Result<u64, _>| place.ok()).unwrap_or(0)
    };
    number(found) >= number(wanted.from.as_ref())
}

/// Checks once, and commits up to so many times, with whatever the table has become.
async fn checked(
    catalog: &Arc<dyn Catalog>,
    pieces: &[Piece],
    times: u32,
    right: fn(Option<&Mark>, &Move) -> bool,
) -> iceberg::Result<Vec<Settled>> {
    let table = catalog.load_table(&ident()).await?;
    let mut settled = Vec::new();
    let mut due = Vec::new();
    for piece in pieces {
        let mut fits = true;
        for wanted in &piece.moves {
            fits &= right(position(&table, &wanted.shard)?.as_ref(), wanted);
        }
        if fits {
            due.push(piece);
            settled.push(Settled::Committed);
        } else {
            settled.push(Settled::Lost(Error::Unusable("another's".to_owned())));
        }
    }
    let files: Vec<DataFile> = due.iter().flat_map(|piece| piece.files.clone()).collect();
    let marks: Vec<(Shard, Mark)> = due
        .iter()
        .flat_map(|piece| &piece.moves)
        .map(|wanted| (wanted.shard.clone(), wanted.to.clone()))
        .collect();
    if due.is_empty() {
        return Ok(settled);
    }
    for time in 1.. {
        match commit(catalog, &files, &marks).await {
            Ok(()) => break,
            Err(error) if time == times => return Err(error),
            Err(_) => {}
        }
    }
    Ok(settled)
}

async fn commit(
    catalog: &Arc<dyn Catalog>,
    files: &[DataFile],
    marks: &[(Shard, Mark)],
) -> iceberg::Result<()> {
    let table = catalog.load_table(&ident()).await?;
    let mut transaction = Transaction::new(&table);
    let summary: BTreeMap<String, String> =
        marks.iter().map(|(shard, mark)| (shard.property(), mark.to_string())).collect();
    if !files.is_empty() {
        let append = transaction.fast_append().with_check_duplicate(false);
        let append = append.add_data_files(files.to_vec());
        let append = append.set_snapshot_properties(HashMap::from_iter(summary.clone()));
        transaction = append.apply(transaction)?;
    }
    let properties = transaction.update_table_properties();
    let properties = summary.into_iter().fold(properties, |all, (key, value)| all.set(key, value));
    properties.apply(transaction)?.commit(&**catalog).await.map(|_| ())
}

async fn afterwards(catalog: &Arc<dyn Catalog>, pieces: &[Piece]) -> iceberg::Result<Vec<Settled>> {
    for piece in pieces {
        if !piece.files.is_empty() {
            commit(catalog, &piece.files, &[]).await?;
        }
    }
    let marks = pieces.iter().flat_map(|piece| &piece.moves);
    let marks: Vec<_> = marks.map(|m| (m.shard.clone(), m.to.clone())).collect();
    commit(catalog, &[], &marks).await?;
    Ok(pieces.iter().map(|_| Settled::Committed).collect())
}
