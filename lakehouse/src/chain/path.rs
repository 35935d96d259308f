//! Which links follow a mark: the part of the protocol that is about marks alone.

use std::collections::{BTreeMap, BTreeSet};

use super::link::Ends;
use crate::mark::Mark;

/// The links of a shard that are written down, by where they begin.
pub(crate) type Known<L> = BTreeMap<Option<Mark>, (L, Ends)>;

/// The links that follow a mark, one after the other.
pub(crate) fn after<'k, L>(known: &'k Known<L>, mark: Option<&Mark>) -> Vec<&'k (L, Ends)> {
    let mut path: Vec<&(L, Ends)> = Vec::new();
    let mut at = mark.cloned();
    while let Some(next) = known.get(&at)
        && path.len() < known.len()
    {
        at = Some(next.1.to.clone());
        path.push(next);
    }
    path
}

/// Where the chain of a shard ends, by where tables are.
pub(crate) fn end<'m, L>(
    known: &Known<L>,
    marks: impl IntoIterator<Item = Option<&'m Mark>>,
) -> Option<Mark> {
    let furthest = marks.into_iter().flatten().max().cloned();
    after(known, furthest.as_ref()).last().map(|(_, ends)| ends.to.clone()).or(furthest)
}

/// The chain of a shard, as far as some table does not have it yet.
pub(crate) fn pending<'k, L>(
    known: &'k Known<L>,
    marks: &BTreeMap<&str, Option<Mark>>,
) -> Vec<&'k (L, Ends)> {
    let furthest = marks.values().flatten().max();
    let paths = marks.values().map(|mark| after(known, mark.as_ref()));
    // A link that continues what was continued long ago leads nowhere.
    let paths = paths.filter(|path| path.last().map(|link| &link.1.to) >= furthest);
    paths.max_by_key(Vec::len).unwrap_or_default()
}

/// The part of a [pending](pending) chain that a table is to get which is at that mark.
///
/// A table that is at none of its marks is one that was not filled when the links before were
/// written. It goes on with the first that there is, if it is not further already: a list of links
/// that is old would begin where the table was.
pub(crate) fn due<'p, 'k, L>(
    pending: &'p [&'k (L, Ends)],
    mark: Option<&Mark>,
) -> &'p [&'k (L, Ends)] {
    let Some((_, first)) = pending.first() else { return &[] };
    if let Some(at) = pending.iter().position(|(_, ends)| ends.from.as_ref() == mark) {
        return &pending[at..];
    }
    let behind = mark < first.from.as_ref();
    if behind { pending } else { &[] }
}

/// Which links are no longer of use, the oldest first, and which never were: nobody's, since they
/// continue a mark that another link continued.
pub(crate) fn spent<'k, L>(
    known: &'k Known<L>,
    marks: &BTreeMap<&str, Option<Mark>>,
    wanted: impl Fn(&L, &str) -> bool,
) -> (Vec<&'k (L, Ends)>, Vec<&'k (L, Ends)>) {
    let Some(furthest) = marks.values().flatten().max() else { return Default::default() };
    let mut chain: BTreeSet<Option<&Mark>> = BTreeSet::new();
    let by_end: BTreeMap<&Mark, &(L, Ends)> =
        known.values().map(|link| (&link.1.to, link)).collect();
    let (mut used, mut at) = (Vec::new(), Some(furthest));
    while let Some(link) = at.and_then(|mark| by_end.get(mark))
        && chain.insert(link.1.from.as_ref())
    {
        used.push(*link);
        at = link.1.from.as_ref();
    }
    let ahead = after(known, Some(furthest));
    chain.extend(ahead.iter().map(|(_, ends)| ends.from.as_ref()));
    let passed = |(link, ends): &(L, Ends)| {
        let has = |(name, mark): (&&str, &Option<Mark>)| {
            !wanted(link, name) || mark.as_ref().is_some_and(|mark| *mark >= ends.to)
        };
        marks.iter().all(has)
    };
    // The last one stays: as long as it is there, nobody else can continue the same mark.
    let spent = used.iter().skip(1).rev().take_while(|link| passed(link)).copied().collect();
    let nobodys = |(_, ends): &&(L, Ends)| {
        !chain.contains(&ends.from.as_ref()) && ends.from.as_ref() < Some(furthest)
    };
    (spent, known.values().filter(nobodys).collect())
}
