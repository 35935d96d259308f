//! What the tables know of inputs.
//!
//! An input is known by its records, not by its name. All inputs that begin with the same record
//! have the first digits of that record's digest for a name, and a number among them; how far one
//! is in a table is a count of records and the digest of those. So a file that was renamed, moved
//! or compressed is the same, one that has grown goes on, and one that differs in a single record
//! is another from its beginning.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use bytes::Bytes;
use lakehouse::{Mark, Shard};
use sha2::{Digest, Sha256};

use crate::commands::enrich::input::Entry;

/// What inputs are called where streams have their names.
const STREAM: &str = "files";

/// Digits of a digest that tell inputs apart: 128 bits of it.
const DIGITS: usize = 32;

/// The records of an input from its beginning to somewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    /// How many there are.
    pub(super) records: u64,
    /// What tells them from others.
    pub(super) digest: String,
}

impl Part {
    /// The mark of a table that has this part of an input. There is no lease, so the epoch is 0:
    /// of two runs that append the same, the one that comes second is refused.
    pub(super) fn mark(&self) -> Mark {
        Mark { epoch: 0, place: format!("{}/{}", self.records, self.digest) }
    }

    /// The part that a table has by its mark.
    pub(super) fn of(mark: &Mark) -> Option<Part> {
        let (records, digest) = mark.place.split_once('/')?;
        Some(Part { records: records.parse().ok()?, digest: digest.to_owned() })
    }
}

/// Digests records as they are read.
#[derive(Clone, Default)]
pub(super) struct Digesting {
    digest: Sha256,
    records: u64,
}

impl Digesting {
    /// Adds a record: its length and its bytes, and of a parked one which events of it wait.
    pub(super) fn add(&mut self, entry: &Entry) {
        let parked = entry.parked.as_ref().map(|parked| format!("{:?}", parked.events));
        self.add_bytes(&entry.data, parked.as_deref());
    }

    fn add_bytes(&mut self, data: &Bytes, parked: Option<&str>) {
        self.digest.update((data.len() as u64).to_be_bytes());
        self.digest.update(data);
        self.digest.update(parked.unwrap_or_default());
        self.records += 1;
    }

    /// What was added so far.
    pub(super) fn part(&self) -> Part {
        let digest = self.digest.clone().finalize();
        let mut digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.truncate(DIGITS);
        Part { records: self.records, digest: digits }
    }
}

/// What all tables know, by the first record of inputs.
#[derive(Debug, Default)]
pub(super) struct Known {
    inputs: BTreeMap<String, BTreeMap<u32, Vec<Option<Part>>>>,
    tables: usize,
}

/// Where an input is to be found in the tables.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its name there.
    pub(super) shard: Shard,
    /// Up to where each table has it: nowhere, for the first time.
    pub(super) has: BTreeSet<u64>,
}

impl Known {
    /// What these tables know: the marks of each.
    pub(super) fn of<'m>(
        tables: impl Iterator<Item = &'m BTreeMap<Shard, Mark>>,
    ) -> anyhow::Result<Known> {
        let mut known = Known::default();
        for marks in tables {
            for (shard, mark) in marks {
                let Some(name) = shard.as_str().strip_prefix(STREAM) else { continue };
                let read = || {
                    let (first, number) = name.strip_prefix('.')?.rsplit_once('-')?;
                    Some((first.to_owned(), number.parse().ok()?, Part::of(mark)?))
                };
                let unknown = || format!("the tables say of {shard} that it is at {mark}");
                let (first, number, part) = read().with_context(unknown)?;
                let parts = known.inputs.entry(first).or_default().entry(number).or_default();
                parts.resize(known.tables, None);
                parts.push(Some(part));
            }
            known.tables += 1;
        }
        let all = known.inputs.values_mut().flat_map(BTreeMap::values_mut);
        all.for_each(|parts| parts.resize(known.tables, None));
        Ok(known)
    }

    /// The parts that an input which begins with that record has to be compared with, by their
    /// numbers of records.
    pub(super) fn candidates(&self, first: &Part) -> BTreeSet<u64> {
        let inputs = self.inputs.get(&first.digest).into_iter().flat_map(BTreeMap::values);
        inputs.flatten().flatten().map(|part| part.records).collect()
    }

    /// Which input it is of those that begin with that record, by the parts of it that were
    /// compared: the one of which most is there.
    pub(super) fn find(&self, first: &Part, parts: &BTreeSet<Part>) -> Found {
        let inputs = self.inputs.get(&first.digest);
        let fits =
            |parts_of: &[Option<Part>]| parts_of.iter().flatten().all(|part| parts.contains(part));
        let all = inputs.into_iter().flatten().filter(|(_, of)| fits(of));
        let best = all.max_by_key(|(number, of)| (of.iter().max(), Reverse(**number)));
        let next = || inputs.and_then(|all| all.last_key_value()).map_or(1, |(last, _)| last + 1);
        let number = best.map_or_else(next, |(number, _)| *number);
        let records = |part: &Option<Part>| part.as_ref().map_or(0, |part| part.records);
        Found {
            shard: Shard::new(STREAM, &format!("{}-{number}", first.digest)),
            has: best
                .map_or_else(|| BTreeSet::from([0]), |(_, has)| has.iter().map(records).collect()),
        }
    }

    /// Takes note that all tables are going to have this of an input.
    pub(super) fn note(&mut self, first: &Part, shard: &Shard, part: &Part) {
        let number = shard.as_str().rsplit_once('-').and_then(|(_, number)| number.parse().ok());
        let number = number.expect("inputs are numbered");
        let parts = vec![Some(part.clone()); self.tables];
        self.inputs.entry(first.digest.clone()).or_default().insert(number, parts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(records: &[&str]) -> Part {
        parts(records).pop_last().expect("there is a record")
    }

    fn parts(records: &[&str]) -> BTreeSet<Part> {
        let mut digesting = Digesting::default();
        let mut add = |record: &&str| {
            digesting.add_bytes(&Bytes::copy_from_slice(record.as_bytes()), None);
            digesting.part()
        };
        records.iter().map(&mut add).collect()
    }

    /// Tables that have these parts of inputs, each by its number.
    fn known(tables: &[&[(u32, &[&str])]]) -> Known {
        let marks: Vec<BTreeMap<Shard, Mark>> = tables
            .iter()
            .map(|table| {
                let mark = |(number, records): &(u32, &[&str])| {
                    let name = format!("{}-{number}", part(&records[..1]).digest);
                    (Shard::new(STREAM, &name), part(records).mark())
                };
                table.iter().map(mark).collect()
            })
            .collect();
        Known::of(marks.iter()).expect("these are ours")
    }

    fn find(known: &Known, records: &[&str]) -> (String, Vec<u64>) {
        let found = known.find(&part(&records[..1]), &parts(records));
        let (_, number) = found.shard.as_str().rsplit_once('-').expect("a number");
        (number.to_owned(), found.has.into_iter().collect())
    }

    #[test]
    fn an_input_is_found_by_what_it_holds() {
        let of = |number: &str, has: &[u64]| (number.to_owned(), has.to_vec());
        let nothing = Known::of([BTreeMap::new()].iter()).expect("nothing is wrong");
        assert_eq!(find(&nothing, &["a", "b"]), of("1", &[0]));
        let abc: &[(u32, &[&str])] = &[(1, &["a", "b", "c"])];
        let ab: &[(u32, &[&str])] = &[(1, &["a", "b"])];
        let whole = known(&[abc, abc, abc]);
        assert_eq!(find(&whole, &["a", "b", "c"]), of("1", &[3]));
        assert_eq!(find(&whole, &["a", "b", "c", "d"]), of("1", &[3]));
        assert_eq!(find(&whole, &["a", "b", "x"]), of("2", &[0]));
        assert_eq!(find(&whole, &["b"]), of("1", &[0]));
        // A run died after it had told one table, or the first for the first time.
        let torn = known(&[abc, ab, ab]);
        assert_eq!(find(&torn, &["a", "b", "c", "d"]), of("1", &[2, 3]));
        assert_eq!(find(&torn, &["a", "b", "x"]), of("2", &[0]));
        let begun = known(&[ab, &[], &[]]);
        assert_eq!(find(&begun, &["a", "b", "c"]), of("1", &[0, 2]));
    }

    #[test]
    fn of_several_that_fit_the_one_with_most_is_meant() {
        let both: &[(u32, &[&str])] = &[(1, &["a"]), (2, &["a", "b"]), (3, &["a", "c"])];
        let known = known(&[both]);
        assert_eq!(find(&known, &["a", "b", "c"]), ("2".to_owned(), vec![2]));
        assert_eq!(find(&known, &["a", "d"]), ("1".to_owned(), vec![1]));
        assert_eq!(known.candidates(&part(&["a"])), BTreeSet::from([1, 2]));
        assert!(known.candidates(&part(&["b"])).is_empty());
    }

    #[test]
    fn what_is_noted_counts_for_the_next_input() {
        let mut known = known(&[&[], &[]]);
        let (first, whole) = (part(&["a"]), part(&["a", "b"]));
        let found = known.find(&first, &BTreeSet::new());
        known.note(&first, &found.shard, &whole);
        assert_eq!(find(&known, &["a", "b", "c"]), ("1".to_owned(), vec![2]));
    }

    #[test]
    fn records_are_told_apart_where_they_end() {
        assert_ne!(part(&["ab", "c"]), part(&["a", "bc"]));
        let mark = part(&["a", "b"]).mark();
        assert_eq!(Part::of(&mark), Some(part(&["a", "b"])));
    }
}
