//! The account at the end of a run: what was sent against what is in the output files, read back
//! from there. Nothing that a worker counted enters into it.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::Path;

use anyhow::{Context, ensure};

use crate::sink::local::Folder;
use crate::sink::object::Compression;
use crate::source::local::Sum;
use pipeline::Route;

/// The column of an enriched line that holds the event's id.
const EVENT_ID: usize = event::Field::EventId as usize;

/// What was sent, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Account {
    sent: Sum,
    /// Records of the stream that are not worked on yet.
    left: u64,
    enriched: u64,
    repeated: u64,
    bad: BTreeMap<String, u64>,
    objects: u64,
}

/// Reads all outputs in a run's folder.
pub(super) fn take(dir: &Path, sent: Sum, left: u64) -> anyhow::Result<Account> {
    let mut account = Account { sent, left, ..Account::default() };
    let mut ids = HashSet::new();
    each_line(dir, Route::Enriched, &mut account.objects, |line| {
        let id = line.split(|byte| *byte == b'\t').nth(EVENT_ID).context("a line without an id")?;
        if ids.insert(id.to_vec()) {
            account.enriched += 1
        } else {
            account.repeated += 1
        }
        Ok(())
    })?;
    each_line(dir, Route::Bad, &mut account.objects, |line| {
        let row: serde_json::Value = serde_json::from_slice(line).context("a bad row")?;
        let schema = row["schema"].as_str().context("a bad row without a schema")?;
        let kind = schema.split('/').nth(1).unwrap_or(schema);
        *account.bad.entry(kind.to_owned()).or_default() += 1;
        Ok(())
    })?;
    Ok(account)
}

fn each_line(
    dir: &Path,
    route: Route,
    objects: &mut u64,
    mut each: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for path in Folder::new(dir).objects(route.name())? {
        let name = path.to_string_lossy();
        let failed = || format!("cannot read {name}");
        let frames = std::fs::read(&path).with_context(failed)?;
        let lines = Compression::of(&name).lines(&frames).with_context(failed)?;
        let lines = lines.strip_suffix(b"\n").with_context(failed)?;
        for line in lines.split(|byte| *byte == b'\n') {
            ensure!(!line.is_empty(), "an empty line in {name}");
            each(line).with_context(failed)?;
        }
        *objects += 1;
    }
    Ok(())
}

impl Account {
    /// Whether nothing is missing and nothing is there that should not be. Bad rows carry no id of
    /// their own, so surplus ones are repetitions.
    pub(super) fn adds_up(&self) -> bool {
        let surplus = self.sent.unforetold == 0 && self.enriched > self.sent.good;
        self.left > 0 || (self.missing() == 0 && !surplus)
    }

    fn bad(&self) -> u64 {
        self.bad.values().sum()
    }

    fn foretold(&self) -> bool {
        self.sent.good + self.sent.bad > 0
    }

    fn missing(&self) -> u64 {
        self.sent.good.saturating_sub(self.enriched) + self.sent.bad.saturating_sub(self.bad())
    }

    fn duplicates(&self) -> u64 {
        match self.sent.unforetold {
            0 => self.repeated + self.bad().saturating_sub(self.sent.bad),
            // Nobody knows how many bad rows there should be.
            _ => self.repeated,
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sent.unforetold > 0 {
            writeln!(f, "requests received  {:>10}", self.sent.unforetold)?;
        }
        if self.foretold() || self.sent.unforetold == 0 {
            writeln!(f, "events sent        {:>10}", self.sent.good + self.sent.bad)?;
            writeln!(f, "  to be enriched   {:>10}", self.sent.good)?;
            writeln!(f, "  to be bad rows   {:>10}", self.sent.bad)?;
        }
        writeln!(f, "enriched           {:>10}", self.enriched)?;
        writeln!(f, "bad rows           {:>10}", self.bad())?;
        for (kind, count) in &self.bad {
            writeln!(f, "  {count:>7} {kind}")?;
        }
        writeln!(f, "duplicates         {:>10}", self.duplicates())?;
        if self.left == 0 && self.sent.unforetold == 0 {
            writeln!(f, "missing            {:>10}", self.missing())?;
        } else if self.left > 0 {
            writeln!(f, "not worked on yet  {:>10} records", self.left)?;
        }
        writeln!(f, "output files       {:>10}", self.objects)?;
        let verdict = match (self.left, self.adds_up()) {
            (0, true) if self.sent.unforetold > 0 => "all that was received is in the outputs",
            (0, true) => "adds up: every event sent is in the outputs",
            (0, false) => "DOES NOT ADD UP",
            _ => "stopped early: run again with the same --dir to go on",
        };
        write!(f, "{verdict}")
    }
}
