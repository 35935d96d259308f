//! The published rules: matchers, look-ups and sets, as their files say them.

use std::collections::HashMap;

use event::map_order;

use super::yaml::{self, Node};

/// All rules of one version.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Rules {
    /// The second part of the version: 31 of 7.31.0.
    pub(super) version: u16,
    pub(super) files: Vec<String>,
    pub(super) matchers: Vec<Matcher>,
    /// Look-ups: names, and keys in lower case with values.
    pub(super) lookups: Vec<(String, Vec<(String, String)>)>,
    /// Sets: names and members in lower case.
    pub(super) sets: Vec<(String, Vec<String>)>,
    /// The list of public suffixes.
    pub(super) suffixes: String,
}

/// Expressions that together set fields.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Matcher {
    /// Its file, and the line it starts in.
    pub(super) file: u16,
    pub(super) line: u32,
    pub(super) lines: Vec<Line>,
}

/// An expression of a matcher.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    Variable { name: String, expression: String },
    Require(String),
    FailIfFound(String),
    Extract { field: String, weight: i64, expression: String },
}

/// What is read before look-ups are merged.
#[derive(Default)]
pub(super) struct Reader {
    rules: Rules,
    lookups: HashMap<String, usize>,
    raw_lookups: Vec<JavaMap>,
    sets: HashMap<String, usize>,
    lookup_merges: Vec<(String, Vec<String>)>,
    set_merges: Vec<(String, Vec<String>)>,
}

impl Reader {
    /// Adds a file; its tests are left out.
    pub(super) fn add(&mut self, name: &str, text: &str) -> Result<(), String> {
        self.file(name, text).map_err(|error| format!("{name}: {error}"))
    }

    fn file(&mut self, name: &str, text: &str) -> Result<(), String> {
        let Some(document) = yaml::read(text)? else { return Ok(()) };
        for (key, value) in document.map()? {
            match key.as_str() {
                "version" => return self.version(value),
                "config" => {
                    let file = u16::try_from(self.rules.files.len());
                    let file = file.map_err(|_| "too many files".to_owned())?;
                    self.rules.files.push(name.to_owned());
                    return value.list()?.iter().try_for_each(|entry| self.entry(entry, file));
                }
                _ => {}
            }
        }
        Err("expected config or version, found neither".to_owned())
    }

    fn version(&mut self, value: &Node) -> Result<(), String> {
        for entry in value.list()? {
            for (key, value) in entry.map()? {
                if key == "project_version" {
                    let version = value.text()?;
                    let mut parts = version.split('.');
                    let wrong = || format!("expected a version 7.x, found {version}");
                    if parts.next() != Some("7") {
                        return Err(wrong());
                    }
                    self.rules.version =
                        parts.next().and_then(|p| p.parse().ok()).ok_or_else(wrong)?;
                }
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Node, file: u16) -> Result<(), String> {
        let [(kind, value)] = entry.map()? else {
            return Err(format!("line {}: expected one entry", entry.line));
        };
        match kind.as_str() {
            "lookup" => self.lookup(value),
            "set" => self.set(value),
            "matcher" => self.matcher(value, file),
            "test" => Ok(()),
            _ => Err(format!(
                "line {}: expected lookup, set, matcher or test, found {kind}",
                value.line
            )),
        }
    }

    fn lookup(&mut self, value: &Node) -> Result<(), String> {
        let (mut name, mut merge) = ("", Vec::new());
        let mut map = JavaMap::default();
        for (key, value) in value.map()? {
            match key.as_str() {
                "name" => name = value.text()?,
                "merge" => merge = owned(value)?,
                "map" => {
                    for (key, value) in value.map()? {
                        map.put(key.clone(), value.text()?.to_owned());
                    }
                }
                _ => {}
            }
        }
        if !merge.is_empty() {
            self.lookup_merges.push((name.to_owned(), merge));
        }
        match self.lookups.get(name) {
            Some(known) => {
                for (key, value) in map.entries {
                    self.raw_lookups[*known].put(key, value);
                }
            }
            None => {
                self.lookups.insert(name.to_owned(), self.raw_lookups.len());
                self.rules.lookups.push((name.to_owned(), Vec::new()));
                self.raw_lookups.push(map);
            }
        }
        Ok(())
    }

    fn set(&mut self, value: &Node) -> Result<(), String> {
        let (mut name, mut merge, mut members) = ("", Vec::new(), Vec::new());
        for (key, value) in value.map()? {
            match key.as_str() {
                "name" => name = value.text()?,
                "merge" => merge = owned(value)?,
                "values" => members = owned(value)?,
                _ => {}
            }
        }
        if !merge.is_empty() {
            self.set_merges.push((name.to_owned(), merge));
        }
        let members = members.into_iter().map(|member| member.to_lowercase());
        match self.sets.get(name) {
            Some(known) => self.rules.sets[*known].1.extend(members),
            None => {
                self.sets.insert(name.to_owned(), self.rules.sets.len());
                self.rules.sets.push((name.to_owned(), members.collect()));
            }
        }
        Ok(())
    }

    fn matcher(&mut self, value: &Node, file: u16) -> Result<(), String> {
        let mut matcher = Matcher { file, line: value.line, lines: Vec::new() };
        for (key, value) in value.map()? {
            let kind = key.as_str();
            if !["variable", "require", "extract"].contains(&kind) {
                continue;
            }
            for text in value.texts()? {
                let text = text?.trim();
                let line = match kind {
                    "variable" => variable(text),
                    "extract" => extract(text),
                    _ => Some(require(text)),
                };
                let wrong = || format!("line {}: no {kind} expression: {text}", value.line);
                matcher.lines.push(line.ok_or_else(wrong)?);
            }
        }
        self.rules.matchers.push(matcher);
        Ok(())
    }

    /// The rules, once all files were added.
    pub(super) fn finish(mut self, suffixes: String) -> Result<Rules, String> {
        for (name, merge) in &self.lookup_merges {
            for other in merge {
                let missing = || format!("the look-up {name} merges {other}, which is not there");
                let other = self.lookups.get(other).ok_or_else(missing)?;
                let more = self.raw_lookups[*other].clone();
                self.raw_lookups[self.lookups[name]].put_all(more);
            }
        }
        for (lookup, map) in self.rules.lookups.iter_mut().zip(self.raw_lookups) {
            lookup.1 = map.in_order();
        }
        for (name, merge) in &self.set_merges {
            for other in merge {
                let lookup = self.lookups.get(other).map(|at| &self.rules.lookups[*at].1);
                let set = self.sets.get(other).map(|at| &self.rules.sets[*at].1);
                if lookup.is_none() && set.is_none() {
                    return Err(format!("the set {name} merges {other}, which is not there"));
                }
                let keys = lookup.into_iter().flatten().map(|(key, _)| key);
                let more: Vec<String> = keys.chain(set.into_iter().flatten()).cloned().collect();
                self.rules.sets[self.sets[name]].1.extend(more);
            }
        }
        for (_, set) in &mut self.rules.sets {
            let mut seen = std::collections::HashSet::new();
            set.retain(|member| seen.insert(member.clone()));
        }
        self.rules.suffixes = suffixes;
        Ok(self.rules)
    }
}

fn owned(list: &Node) -> Result<Vec<String>, String> {
    list.texts()?.map(|text| text.map(str::to_owned)).collect()
}

fn variable(text: &str) -> Option<Line> {
    let (name, expression) = text.split_once(':')?;
    let (name, expression) = (name.trim().to_owned(), expression.trim().to_owned());
    Some(Line::Variable { name, expression })
}

fn require(text: &str) -> Line {
    match text.strip_prefix("IsNull[") {
        None => Line::Require(text.to_owned()),
        Some(inner) => Line::FailIfFound(inner.strip_suffix(']').unwrap_or(inner).to_owned()),
    }
}

fn extract(text: &str) -> Option<Line> {
    let (field, rest) = text.split_once(':')?;
    let (weight, expression) = rest.split_once(':')?;
    let weight = weight.trim().parse().ok()?;
    let (field, expression) = (field.trim().to_owned(), expression.trim().to_owned());
    Some(Line::Extract { field, weight, expression })
}

/// A map whose entries come in the order of a Java hash map, which decides what a look-up finds
/// that contains several of a text's parts.
#[derive(Clone, Debug, Default)]
struct JavaMap {
    entries: Vec<(String, String)>,
    index: HashMap<String, usize>,
    capacity: usize,
}

impl JavaMap {
    fn put(&mut self, key: String, value: String) {
        if let Some(at) = self.index.get(&key) {
            self.entries[*at].1 = value;
            return;
        }
        self.capacity = self.capacity.max(16);
        self.index.insert(key.clone(), self.entries.len());
        self.entries.push((key, value));
        while self.entries.len() > self.capacity / 4 * 3 {
            self.capacity *= 2;
        }
    }

    fn put_all(&mut self, other: JavaMap) {
        let more = other.entries.len();
        if self.capacity == 0 {
            self.capacity = (more * 4 / 3 + 1).next_power_of_two();
        }
        while more > self.capacity / 4 * 3 {
            self.capacity *= 2;
        }
        for (key, value) in other.bucket_order() {
            self.put(key, value);
        }
    }

    fn bucket_order(mut self) -> Vec<(String, String)> {
        let mask = self.capacity.max(16) - 1;
        self.entries.sort_by_key(|(key, _)| {
            let hash = map_order::text_hash(key);
            (hash ^ (hash >> 16)) as usize & mask
        });
        self.entries
    }

    /// The entries in their order, the keys in lower case.
    fn in_order(self) -> Vec<(String, String)> {
        let mut index = HashMap::new();
        let mut entries: Vec<(String, String)> = Vec::new();
        for (key, value) in self.bucket_order() {
            let key = key.to_lowercase();
            match index.get(&key) {
                Some(at) => {
                    let at: usize = *at;
                    entries[at].1 = value;
                }
                None => {
                    index.insert(key.clone(), entries.len());
                    entries.push((key, value));
                }
            }
        }
        entries
    }
}
