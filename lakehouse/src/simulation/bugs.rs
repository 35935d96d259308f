//! Mistakes to plant: each breaks one rule, and each must show in the tables.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use iceberg::Catalog;
use iceberg::spec::DataFile;
use iceberg::transaction::{ApplyTransactionAction, Transaction};

use crate::error::{Error, Result};
use crate::fenced::position;
use crate::lake::{Lake, Move, Piece, Settled};
use crate::mark::{Mark, Shard};

/// A planted mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A shard may be further in a table than where the chain goes on.
    AtLeastInsteadOfEqual,
    /// After a lost answer the commit is repeated, whatever became of it.
    BlindRepeat,
    /// The position is checked before the first attempt of a commit, and not before the next.
    CheckedOnce,
    /// The position is told in a commit after the one that appends.
    PositionAfterwards,
    /// A new owner begins at the lease's checkpoint.
    BeginsAtCheckpoint,
    /// A new owner does not look whether its link became part of the chain.
    TakenUnseen,
    /// A link is written over another of its name.
    Overwritten,
    /// A link that is there already counts as ours.
    AnothersTakenForOurs,
    /// Files of a link whose answer was lost are written anew, for another link.
    WrittenAnewAfterSilence,
}

pub(super) const ALL: [Bug; 9] = [
    Bug::AtLeastInsteadOfEqual,
    Bug::BlindRepeat,
    Bug::CheckedOnce,
    Bug::PositionAfterwards,
    Bug::BeginsAtCheckpoint,
    Bug::TakenUnseen,
    Bug::Overwritten,
    Bug::AnothersTakenForOurs,
    Bug::WrittenAnewAfterSilence,
];

impl Bug {
    /// Appends as the mistake has it; `None` if it is about something else.
    pub(crate) async fn append(
        self,
        lake: &Lake,
        pieces: &[Piece],
    ) -> Option<Result<Vec<Settled>>> {
        let appended = match self {
            Bug::AtLeastInsteadOfEqual => checked(lake, pieces, 1, is_at_least).await,
            Bug::CheckedOnce => checked(lake, pieces, 1, is_equal).await,
            Bug::BlindRepeat => checked(lake, pieces, 4, is_equal).await,
            Bug::PositionAfterwards => afterwards(lake, pieces).await,
            _ => return None,
        };
        Some(appended.map_err(|error| Error::from_iceberg("appending", error)))
    }
}

fn is_equal(found: Option<&Mark>, wanted: &Move) -> bool {
    found == wanted.from.as_ref()
}

fn is_at_least(found: Option<&Mark>, wanted: &Move) -> bool {
    found >= wanted.from.as_ref()
}

/// Checks once, and commits up to so many times, with whatever the table has become.
async fn checked(
    lake: &Lake,
    pieces: &[Piece],
    times: u32,
    right: fn(Option<&Mark>, &Move) -> bool,
) -> iceberg::Result<Vec<Settled>> {
    let (catalog, ident) = lake.parts();
    let table = catalog.load_table(ident).await?;
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
        match commit(lake, &files, &marks).await {
            Ok(()) => break,
            Err(error) if time == times => return Err(error),
            Err(_) => {}
        }
    }
    Ok(settled)
}

async fn commit(lake: &Lake, files: &[DataFile], marks: &[(Shard, Mark)]) -> iceberg::Result<()> {
    let (catalog, ident): (&Arc<dyn Catalog>, _) = lake.parts();
    let table = catalog.load_table(ident).await?;
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

async fn afterwards(lake: &Lake, pieces: &[Piece]) -> iceberg::Result<Vec<Settled>> {
    for piece in pieces {
        if !piece.files.is_empty() {
            commit(lake, &piece.files, &[]).await?;
        }
    }
    let marks = pieces.iter().flat_map(|piece| &piece.moves);
    let marks: Vec<_> = marks.map(|m| (m.shard.clone(), m.to.clone())).collect();
    commit(lake, &[], &marks).await?;
    Ok(pieces.iter().map(|_| Settled::Committed).collect())
}
