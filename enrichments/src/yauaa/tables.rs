//! Look-ups and sets, by whole values, by how values start, and by what they contain.

use aho_corasick::AhoCorasick;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::rules::Rules;

/// A look-up or a set: keys in lower case with a value each.
pub(super) struct Table {
    values: HashMap<Box<str>, Box<str>, FixedState>,
    /// The lengths that keys have, in bytes, the longest first.
    lengths: Vec<usize>,
    /// Finds keys within values, with the value of each, in the order that decides.
    contained: Option<(AhoCorasick, Vec<Box<str>>)>,
}

/// All look-ups and sets.
pub(super) struct Tables {
    tables: Vec<Table>,
    by_name: HashMap<Box<str>, u16, FixedState>,
}

impl Tables {
    /// Takes the look-ups and sets of rules; a look-up hides a set of its name.
    pub(super) fn new(rules: &Rules) -> Tables {
        let mut tables = Tables { tables: Vec::new(), by_name: HashMap::default() };
        for (name, entries) in &rules.lookups {
            let entries = entries.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            tables.add(name, entries);
        }
        for (name, members) in &rules.sets {
            if !tables.by_name.contains_key(name.as_str()) {
                tables.add(name, members.iter().map(|member| (member.as_str(), "")));
            }
        }
        tables
    }

    fn add<'r>(&mut self, name: &str, entries: impl Iterator<Item = (&'r str, &'r str)>) {
        let entries = entries.map(|(key, value)| (key.into(), value.into()));
        let values: HashMap<Box<str>, Box<str>, FixedState> = entries.collect();
        let mut lengths: Vec<usize> = values.keys().map(|key| key.len()).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        self.by_name.insert(name.into(), self.tables.len() as u16);
        self.tables.push(Table { values, lengths, contained: None });
    }

    /// The number of a table by its name.
    pub(super) fn number(&self, name: &str) -> Result<u16, String> {
        let known = self.by_name.get(name).copied();
        known.ok_or_else(|| format!("expected the name of a look-up or set, found {name}"))
    }

    /// Prepares a table for values that contain its keys.
    pub(super) fn find_within(&mut self, number: u16, rules: &Rules) -> Result<(), String> {
        let table = &mut self.tables[usize::from(number)];
        if table.contained.is_some() {
            return Ok(());
        }
        let name = self.by_name.iter().find(|(_, known)| **known == number);
        let name = name.map_or("", |(name, _)| name);
        let lookup = rules.lookups.iter().find(|(lookup, _)| lookup == name);
        let (mut keys, mut values): (Vec<&str>, Vec<Box<str>>) = (Vec::new(), Vec::new());
        for (key, value) in lookup.into_iter().flat_map(|(_, entries)| entries) {
            keys.push(key);
            values.push(value.as_str().into());
        }
        if lookup.is_none() {
            keys.extend(table.values.keys().map(|key| &**key));
            values.resize(keys.len(), "".into());
        }
        let finder = AhoCorasick::new(keys).map_err(|error| error.to_string())?;
        table.contained = Some((finder, values));
        Ok(())
    }

    pub(super) fn get(&self, number: u16) -> &Table {
        &self.tables[usize::from(number)]
    }

    /// A look-up by its name.
    pub(super) fn named(&self, name: &str) -> Option<&Table> {
        self.by_name.get(name).map(|number| self.get(*number))
    }
}

impl Table {
    /// The value of a key, in lower case.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(|value| &**value)
    }

    /// The value of the longest key that a text, in lower case, starts with.
    pub(super) fn value_of_prefix(&self, text: &str) -> Option<&str> {
        self.longest_prefix(text).map(|(_, value)| value)
    }

    /// The length and the value of the longest key that a text, in lower case, starts with.
    pub(super) fn longest_prefix(&self, text: &str) -> Option<(usize, &str)> {
        self.lengths.iter().find_map(|length| {
            let value = self.value(text.get(..*length)?)?;
            Some((*length, value))
        })
    }

    /// The value of the first key that a text, in lower case, contains.
    pub(super) fn value_of_part(&self, text: &str) -> Option<&str> {
        let (finder, values) = self.contained.as_ref()?;
        let found = finder.find_overlapping_iter(text).map(|found| found.pattern().as_usize());
        found.min().map(|first| &*values[first])
    }
}
