//! [`Committer`]: appends to tables what links tell of.
//!
//! There should be one for the tables, and a [claim](Committer::claim) sees to that: a file that
//! its holder changes, and that another takes over when it has not changed for a while by that
//! one's own clock. Nothing depends on there being one: where tables are is changed by the commits
//! alone, so of two that append the same link one is refused.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::chain::{Ends, Known, Lakes, Link, Written, chain, due, spent};
use crate::error::{Error, Result};
use crate::lake::{Lake, Move, Piece, Settled};
use crate::mark::{Mark, Shard};

/// Links of a shard that a table is told of though none of them has a file for it, so that they can
/// be removed.
const QUIET: usize = 16;

/// The file of the claim, beside the folders of links.
const CLAIM: &str = "committer.json";

/// Appends what links tell of.
#[derive(Debug)]
pub struct Committer {
    lakes: Lakes,
    /// Tables that links name, and that are not filled by who has this.
    others: BTreeMap<String, Lake>,
    read: HashMap<String, (Shard, Arc<Link>, Ends)>,
    claim: Option<(Claim, Instant)>,
}

/// Who appends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    by: String,
    /// Grows as long as its holder is there.
    count: u64,
}

/// What a round did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Of each table: files that were appended, and their rows.
    pub appended: BTreeMap<String, (usize, u64)>,
    /// Tables of which another committer was faster.
    pub refused: u64,
    /// Links that some table does not have yet.
    pub waiting: usize,
    /// When the oldest of these that has a file was written, in milliseconds since 1970.
    pub oldest_ms: Option<i64>,
    /// Links that nobody can use any more, which were removed: their files are in no table, and
    /// what is in them was read again by the next owner.
    pub nobodys: Vec<String>,
}

/// Where each table is.
type Marks<'n> = BTreeMap<&'n str, BTreeMap<Shard, Mark>>;

/// The tables that links name.
fn named(written: &Written) -> impl Iterator<Item = &str> {
    let links = written.values().flat_map(BTreeMap::values);
    links.flat_map(|((_, link), _)| link.tables())
}

fn of_shard<'n>(marks: &Marks<'n>, shard: &Shard) -> BTreeMap<&'n str, Option<Mark>> {
    marks.iter().map(|(name, of)| (*name, of.get(shard).cloned())).collect()
}

impl Committer {
    /// Appends to these tables, and to others that links name.
    pub fn new(lakes: Lakes) -> Committer {
        Committer { lakes, others: BTreeMap::new(), read: HashMap::new(), claim: None }
    }

    /// Whether it is on us to commit: nobody else has said so for that time, by our clock.
    pub async fn claim(&mut self, by: &str, patience: Duration) -> Result<bool> {
        let links = self.lakes.links();
        let location = format!("{}/{CLAIM}", links.at);
        let failed = |source: std::io::Error| Error::Unavailable {
            doing: format!("claiming {location}"),
            source: source.into(),
        };
        let found = match links.files.read(&location, None).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            found => {
                let found: serde_json::Result<Claim> =
                    serde_json::from_slice(&found.map_err(failed)?);
                Some(found.unwrap_or(Claim { by: String::new(), count: 0 }))
            }
        };
        if let Some(found) = &found
            && found.by != by
        {
            match &self.claim {
                Some((seen, since)) if seen == found => {
                    if since.elapsed() < patience {
                        return Ok(false);
                    }
                }
                _ => {
                    self.claim = Some((found.clone(), Instant::now()));
                    return Ok(false);
                }
            }
        }
        let count = found.map_or(0, |found| found.count + 1);
        let ours = Claim { by: by.to_owned(), count };
        let bytes = serde_json::to_vec(&ours).expect("a text and a number make JSON");
        links.files.replace(&location, bytes.into()).await.map_err(failed)?;
        Ok(true)
    }

    /// Gives the claim up, so that another has it at once.
    pub async fn resign(&self, by: &str) {
        let links = self.lakes.links();
        let location = format!("{}/{CLAIM}", links.at);
        let ours = match links.files.read(&location, None).await {
            Ok(bytes) => serde_json::from_slice::<Claim>(&bytes).is_ok_and(|claim| claim.by == by),
            Err(_) => false,
        };
        if ours {
            // Whoever is next waits a little longer if this fails.
            let _ = links.files.delete(&location).await;
        }
    }

    /// Appends everything that links tell of, and removes those that all tables have.
    pub async fn round(&mut self, summary: &BTreeMap<String, String>) -> Result<Round> {
        // Whoever drops a table has no use for files that wait for it.
        let mut gone: BTreeSet<String> = BTreeSet::new();
        loop {
            // Where tables are is read before links are: a link that a table needs is there as long
            // as the table is before it, and a commit is refused if the table has moved meanwhile.
            let mut marks: Marks<'_> = BTreeMap::new();
            for (name, lake) in self.lakes.tables().iter().chain(&self.others) {
                marks.insert(name, lake.positions().await?);
            }
            let written = self.lakes.links().of(None, &mut self.read).await?;
            let known = |name: &str| marks.contains_key(name) || gone.contains(name);
            let Some(name) = named(&written).find(|name| !known(name)).map(str::to_owned) else {
                return self.append(marks, &written, summary).await;
            };
            match self.lakes.other(&name).await? {
                Some(other) => drop(self.others.insert(name, other)),
                None => {
                    tracing::warn!(table = name, "links name a table that is not there any more");
                    gone.insert(name);
                }
            }
        }
    }

    async fn append(
        &self,
        mut marks: Marks<'_>,
        written: &Written,
        summary: &BTreeMap<String, String>,
    ) -> Result<Round> {
        let mut round = Round::default();
        let chains: Vec<(&Shard, Vec<_>)> = written
            .iter()
            .map(|(shard, known)| (shard, chain(known, &of_shard(&marks, shard))))
            .collect();
        let names: Vec<&str> = marks.keys().copied().collect();
        let mut failed = None;
        for name in names {
            let lake = self.lakes.tables().get(name).or_else(|| self.others.get(name));
            let lake = lake.expect("its marks were read");
            let mut moves = Vec::new();
            for (shard, chain) in &chains {
                let from = marks[name].get(*shard);
                let due = due(chain, from);
                let Some((_, Ends { to, .. })) = due.last() else { continue };
                let links: Vec<&Link> = due.iter().map(|((_, link), _)| &**link).collect();
                if !links.iter().any(|link| link.is_for(name)) {
                    continue;
                }
                let moved = Move { shard: (*shard).clone(), from: from.cloned(), to: to.clone() };
                moves.push((moved, links));
            }
            let files = |(_, links): &(Move, Vec<&Link>)| links.iter().any(|l| l.count(name) > 0);
            let quiet = moves.iter().all(|(_, links)| links.len() < QUIET);
            if moves.is_empty() || (quiet && !moves.iter().any(files)) {
                continue;
            }
            match self.append_to(name, lake, moves, summary, &mut round).await {
                Ok(moved) => marks.get_mut(name).expect("its marks were read").extend(moved),
                // The others do not wait for a table that cannot be written.
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
        for (shard, known) in written {
            self.clear(known, &of_shard(&marks, shard), &mut round).await?;
        }
        failed.map_or(Ok(round), Err)
    }

    /// Appends to one table; says where it is after that.
    async fn append_to(
        &self,
        name: &str,
        lake: &Lake,
        moves: Vec<(Move, Vec<&Link>)>,
        summary: &BTreeMap<String, String>,
        round: &mut Round,
    ) -> Result<Vec<(Shard, Mark)>> {
        let table = lake.table().await?;
        let mut pieces = Vec::new();
        for (moved, links) in moves {
            let mut files = Vec::new();
            for link in links {
                files.extend(link.files(&table)?);
            }
            pieces.push(Piece { moves: vec![moved], files });
        }
        #[cfg(test)]
        let planted = match self.lakes.bug {
            Some(bug) => bug.append(lake, &pieces).await,
            None => None,
        };
        #[cfg(not(test))]
        let planted: Option<Result<Vec<Settled>>> = None;
        let settled = match planted {
            Some(settled) => settled?,
            None => lake.append(&pieces, summary).await?,
        };
        let mut moved = Vec::new();
        for (piece, settled) in pieces.into_iter().zip(settled) {
            match settled {
                Settled::Committed => {
                    let rows = piece.files.iter().map(|file| file.record_count()).sum::<u64>();
                    let appended = round.appended.entry(name.to_owned()).or_default();
                    *appended = (appended.0 + piece.files.len(), appended.1 + rows);
                    moved.extend(piece.moves.into_iter().map(|moved| (moved.shard, moved.to)));
                }
                Settled::Lost(_) => round.refused += 1,
            }
        }
        Ok(moved)
    }

    /// Removes the links of a shard that are of no use any more, and counts those that wait.
    async fn clear(
        &self,
        known: &Known<(String, Arc<Link>)>,
        marks: &BTreeMap<&str, Option<Mark>>,
        round: &mut Round,
    ) -> Result<()> {
        let wanted = |(_, link): &(String, Arc<Link>), name: &str| link.is_for(name);
        let (spent, nobodys) = spent(known, marks, wanted);
        for ((location, link), _) in &nobodys {
            let files: usize = link.tables().map(|name| link.count(name)).sum();
            if files > 0 {
                round.nobodys.push(location.clone());
            }
        }
        for ((location, _), _) in spent.iter().chain(&nobodys) {
            let deleted = self.lakes.links().files.delete(location).await;
            deleted.map_err(|source| Error::Unavailable {
                doing: format!("removing {location}"),
                source: source.into(),
            })?;
        }
        let waits = |((_, link), ends): &&((String, Arc<Link>), Ends)| {
            marks.iter().any(|(name, mark)| {
                link.count(name) > 0 && mark.as_ref().is_none_or(|mark| *mark < ends.to)
            })
        };
        let waiting = chain(known, marks).into_iter().filter(waits);
        for ((_, link), _) in waiting {
            round.waiting += 1;
            let oldest = round.oldest_ms.unwrap_or(i64::MAX);
            round.oldest_ms = Some(oldest.min(link.at_ms()));
        }
        Ok(())
    }
}
