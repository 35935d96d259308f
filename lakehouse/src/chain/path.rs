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

/// The chain of a shard, as far as it is written down: with links that tables have, and those that
/// none has.
pub(crate) fn chain<'k, L>(
    known: &'k Known<L>,
    marks: &BTreeMap<&str, Option<Mark>>,
) -> Links<'k, L> {
    let furthest = marks.values().flatten().max();
    let by_end: BTreeMap<&Mark, &(L, Ends)> =
        known.values().map(|link| (&link.1.to, link)).collect();
    let (mut chain, mut at) = (Vec::new(), furthest);
    while let Some(link) = at.and_then(|mark| by_end.get(mark))
        && chain.len() < known.len()
    {
        chain.push(*link);
        at = link.1.from.as_ref();
    }
    chain.reverse();
    chain.extend(after(known, furthest));
    chain
}

/// The part of a [chain] that a table is to get which is at that mark.
///
/// A table that is before all of its marks was not filled when what was removed of it was written:
/// a link stays until every table has it that it is for. One that is at another mark is further
/// than what was listed, and gets nothing.
pub(crate) fn due<'p, 'k, L>(
    chain: &'p [&'k (L, Ends)],
    mark: Option<&Mark>,
) -> &'p [&'k (L, Ends)] {
    let Some((_, first)) = chain.first() else { return &[] };
    match chain.iter().position(|(_, ends)| ends.from.as_ref() == mark) {
        Some(at) => &chain[at..],
        None if mark < first.from.as_ref() => chain,
        None => &[],
    }
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
    let chain = chain(known, marks);
    let passed = |(link, ends): &(L, Ends)| {
        let has = |(name, mark): (&&str, &Option<Mark>)| {
            !wanted(link, name) || mark.as_ref().is_some_and(|mark| *mark >= ends.to)
        };
        marks.iter().all(has)
    };
    // The last one stays: as long as it is there, nobody else can continue the same mark.
    let last = chain.iter().filter(|(_, ends)| ends.to <= *furthest).count().saturating_sub(1);
    let spent = chain[..last].iter().take_while(|link| passed(link)).copied().collect();
    let of_chain: BTreeSet<Option<&Mark>> =
        chain.iter().map(|(_, ends)| ends.from.as_ref()).collect();
    let nobodys = |(_, ends): &&(L, Ends)| {
        !of_chain.contains(&ends.from.as_ref()) && ends.from.as_ref() < Some(furthest)
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
        let chain = chain(&known, &at);
        for ((name, _), expected) in tables.iter().zip(get) {
            let due = due(&chain, at[name].as_ref());
            assert_eq!(names(due), *expected, "{name} of {links:?}");
        }
        for (name, _) in tables {
            if let Some((_, last)) = due(&chain, at[name].as_ref()).last() {
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

    /// The others have been told, and it has not.
    #[test]
    fn a_table_that_missed_a_round_gets_what_the_others_have() {
        let links = ["3/→4/", "4/→4/5/0", "4/5/0→4/6/0"];
        check(
            &links,
            &[("events", "4/5/0"), ("new", ""), ("old", "2/8/0")],
            &[&links[2..], &links, &links],
            [&links[..2], &[]],
        );
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
