//! Which links follow a mark: the part of the protocol that is about marks alone.

use std::collections::{BTreeMap, BTreeSet};

use super::link::Ends;
use crate::mark::Mark;

/// The links of a shard that are written down, by where they begin.
pub(crate) type Known<L> = BTreeMap<Option<Mark>, (L, Ends)>;

/// The links that follow a mark, one after the other.
pub(crate) fn after<'k, L>(known: &'k Known<L>, mark: Option<&Mark>) -> Links<'k, L> {
    let mut path: Links<'k, L> = Vec::new();
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
) -> Links<'k, L> {
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

/// Links of a shard.
type Links<'k, L> = Vec<&'k (L, Ends)>;

/// Which links are no longer of use, the oldest first, and which never were: nobody's, since they
/// continue a mark that another link continued.
pub(crate) fn spent<'k, L>(
    known: &'k Known<L>,
    marks: &BTreeMap<&str, Option<Mark>>,
    wanted: impl Fn(&L, &str) -> bool,
) -> (Links<'k, L>, Links<'k, L>) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(text: &str) -> Mark {
        text.parse().expect("it is one")
    }

    /// Links as `from→to` each, with what a link is called.
    fn known(links: &[&'static str]) -> Known<&'static str> {
        let link = |link: &&'static str| {
            let (from, to) = link.split_once('→').expect("it has two ends");
            let from = (!from.is_empty()).then(|| mark(from));
            (from.clone(), (*link, Ends { from, to: mark(to) }))
        };
        links.iter().map(link).collect()
    }

    fn names(links: &[&(&'static str, Ends)]) -> Vec<&'static str> {
        links.iter().map(|(name, _)| *name).collect()
    }

    fn marks<'n>(of: &[(&'n str, &str)]) -> BTreeMap<&'n str, Option<Mark>> {
        of.iter().map(|(name, text)| (*name, (!text.is_empty()).then(|| mark(text)))).collect()
    }

    /// What each table gets, and which links are spent and nobody's after that.
    fn check(
        links: &[&'static str],
        tables: &[(&str, &str)],
        get: &[&[&str]],
        [removed, nobodys_are]: [&[&str]; 2],
    ) {
        let known = known(links);
        let mut at = marks(tables);
        let pending = pending(&known, &at);
        for ((name, _), expected) in tables.iter().zip(get) {
            let due = due(&pending, at[name].as_ref());
            assert_eq!(names(due), *expected, "{name} of {links:?}");
        }
        for (name, _) in tables {
            if let Some((_, last)) = due(&pending, at[name].as_ref()).last() {
                at.insert(name, Some(last.to.clone()));
            }
        }
        let (used, nobodys) = spent(&known, &at, |_, _| true);
        assert_eq!([names(&used), names(&nobodys)], [removed.to_vec(), nobodys_are.to_vec()]);
    }

    const ALL: [&str; 3] = ["→1/", "1/→1/5/0", "1/5/0→1/9/0"];

    #[test]
    fn tables_go_on_where_they_are() {
        check(&ALL, &[("a", ""), ("b", "1/5/0")], &[&ALL, &ALL[2..]], [&ALL[..2], &[]]);
        check(&ALL, &[("a", "1/9/0"), ("b", "1/9/0")], &[&[], &[]], [&ALL[..2], &[]]);
        check(&ALL[2..], &[("a", "1/5/0"), ("b", "1/9/0")], &[&ALL[2..], &[]], [&[], &[]]);
    }

    #[test]
    fn a_link_stays_until_every_table_has_it_that_it_is_for() {
        let known = known(&ALL);
        for (bad, wanted, removed) in [
            ("1/", true, &ALL[..1]),
            ("1/", false, &ALL[..2]),
            ("1/5/0", true, &ALL[..2]),
            ("", true, &[]),
        ] {
            let at = marks(&[("events", "1/9/0"), ("bad", bad)]);
            let (used, nobodys) = spent(&known, &at, |_, name| wanted || name == "events");
            assert_eq!((names(&used), nobodys.len()), (removed.to_vec(), 0), "{bad} {wanted}");
        }
    }

    #[test]
    fn a_table_that_was_not_filled_before_goes_on_with_the_first_link() {
        check(&ALL[1..], &[("a", "1/"), ("new", "")], &[&ALL[1..], &ALL[1..]], [&ALL[1..2], &[]]);
        // It was filled once, and then was not.
        let later = ["4/→4/7/0"];
        check(&later, &[("a", "4/"), ("b", "2/3/0")], &[&later, &later], [&[], &[]]);
    }

    #[test]
    fn a_table_that_is_further_than_what_was_listed_gets_nothing() {
        check(&ALL[1..2], &[("a", "1/"), ("b", "2/8/0")], &[&[], &[]], [&[], &ALL[1..2]]);
    }

    #[test]
    fn a_link_that_came_too_late_is_nobodys() {
        let late = ["1/5/0→2/5/0", "1/→1/7/0", "2/5/0→2/6/0"];
        check(&late, &[("a", "1/5/0")], &[&[late[0], late[2]]], [&late[..1], &late[1..2]]);
    }

    #[test]
    fn what_continues_a_link_that_was_not_listed_waits() {
        check(&ALL[2..], &[("a", "1/")], &[&[]], [&[], &[]]);
    }

    #[test]
    fn a_chain_ends_behind_the_last_link_that_follows_the_furthest_table() {
        let end_of = |links: &[&'static str], at: &[&str]| {
            let at: Vec<Mark> = at.iter().map(|text| mark(text)).collect();
            end(&known(links), at.iter().map(Some)).map(|mark| mark.to_string())
        };
        assert_eq!(end_of(&[], &[]), None);
        assert_eq!(end_of(&ALL, &[]).as_deref(), Some("1/9/0"));
        assert_eq!(end_of(&ALL, &["1/", "1/5/0"]).as_deref(), Some("1/9/0"));
        assert_eq!(end_of(&ALL[..1], &["1/5/0"]).as_deref(), Some("1/5/0"));
    }
}
